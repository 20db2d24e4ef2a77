//! Brings one archive: from a mirror, from its URLs in order, or joined from its parts.

use std::path::Path;

use reqwest::Url;

use super::super::client::Publisher;
use super::super::download::{NotBrought, Sink, Sought};
use super::super::error::{FetchError, Refusal, Tried, Trouble};
use super::super::offers::below;
use super::file::DataFile;
use super::joined::Joined;
use super::{Crew, plan};
use crate::dataset::{self, Archive, Dataset};
use crate::digest::Digest;
use crate::settings::masked;

/// Where a URL stands that no setting named.
const LIST: &str = "`datasets.toml`";

/// A file that is to come: an archive, or a part of one.
struct Wish<'a> {
    file: &'a str,
    urls: &'a [String],
    size: Option<u64>,
    sha256: Option<Digest>,
}

/// Whether a file came.
pub(super) enum Brought {
    /// It is at its place, with this digest and size.
    Yes(Digest, u64),
    /// Every place was asked, in this order.
    No(Vec<Tried>),
}

impl Crew<'_> {
    /// Brings an archive to its place below the data folder.
    pub(super) fn bring(&self, set: &Dataset, archive: &Archive) -> Result<Brought, FetchError> {
        let target = plan::target(set, archive, self.data);
        let Archive { file, urls, size, sha256, .. } = archive;
        let wish = Wish { file, urls, size: *size, sha256: *sha256 };
        let check = |path: &Path, sha256: &Digest, size| match archive.sha256 {
            Some(_) => Ok(()),
            None => dataset::check_known(archive, path, (sha256, size), self.means.hashing),
        };
        let tried = match self.bring_file(&wish, &target, &check)? {
            Brought::No(tried) if !archive.parts.is_empty() => tried,
            other => return Ok(other),
        };
        for part in &archive.parts {
            let path = plan::part_path(set, archive, part, self.data);
            let wish =
                Wish { file: &part.file, urls: &part.urls, size: part.size, sha256: part.sha256 };
            if path.is_file() {
                continue;
            }
            if let Brought::No(more) = self.bring_file(&wish, &path, &|_, _, _| Ok(()))? {
                return Ok(Brought::No(tried.into_iter().chain(more).collect()));
            }
        }
        self.join(set, archive)
    }

    /// Joins an archive from its parts, which are there.
    pub(super) fn join(&self, set: &Dataset, archive: &Archive) -> Result<Brought, FetchError> {
        let mut whole = DataFile::open(&plan::target(set, archive, self.data))?;
        whole.restart()?;
        let path = |part| plan::part_path(set, archive, part, self.data);
        Joined::open(archive.parts.iter().map(path).collect())?.write(&mut whole)?;
        let (partial, sha256, size) = whole.measured();
        if let Some(pinned) = archive.sha256.filter(|pinned| *pinned != sha256) {
            whole.discard();
            let file = archive.file.clone();
            let wrong = dataset::DatasetError::PinnedOtherwise { file, pinned, found: sha256 };
            return Err(wrong.into());
        }
        if archive.sha256.is_none() {
            dataset::check_known(archive, partial, (&sha256, size), self.means.hashing)?;
        }
        whole.publish()?;
        let target = plan::target(set, archive, self.data);
        dataset::note_measured(self.means.store, &target, &sha256)?;
        Ok(Brought::Yes(sha256, size))
    }

    fn bring_file(
        &self,
        wish: &Wish<'_>,
        target: &Path,
        check: &dyn Fn(&Path, &Digest, u64) -> Result<(), dataset::DatasetError>,
    ) -> Result<Brought, FetchError> {
        let mut tried = Vec::new();
        for (url, setting) in self.places(wish)? {
            let shown = masked(url.as_str());
            let mut refused = |refusal| {
                tried.push(Tried { url: shown.clone(), setting: setting.clone(), refusal });
            };
            if self.means.settings.offline() && url.scheme() != "file" {
                let last = Trouble::Unusable { reason: "no network may be asked".to_owned() };
                refused(Refusal::Trouble { attempts: 1, last });
                continue;
            }
            if self.down.borrow().contains(&host(&url)) {
                refused(Refusal::Trouble { attempts: 0, last: Trouble::HostIsDown });
                continue;
            }
            let mut file = DataFile::open(target)?;
            let sought = Sought {
                name: wish.file,
                size: wish.size,
                publisher: Publisher::Web,
                is_pinned: wish.sha256.is_some(),
            };
            self.means.progress.started(wish.file, wish.size.unwrap_or(0));
            let filled = self.fill(&mut file, &url, sought, wish.sha256);
            self.means.progress.finished(wish.file);
            match filled {
                Ok(()) => {}
                Err(NotBrought::Stopped) => return Err(FetchError::Stopped),
                Err(NotBrought::Store(error)) => return Err(error.into()),
                Err(NotBrought::Refused(refusal)) => {
                    self.remember(&url, &refusal);
                    refused(refusal);
                    continue;
                }
            }
            let (partial, digest, size) = file.measured();
            if wish.sha256.is_some_and(|pinned| pinned != digest) {
                file.discard();
                refused(Refusal::Differs { digest, size });
                continue;
            }
            if let Err(error) = check(partial, &digest, size) {
                file.discard();
                return Err(error.into());
            }
            file.publish()?;
            dataset::note_measured(self.means.store, target, &digest)?;
            return Ok(Brought::Yes(digest, size));
        }
        Ok(Brought::No(tried))
    }

    /// What an earlier attempt left may be of another file: then all of it comes again, once.
    fn fill(
        &self,
        file: &mut DataFile,
        url: &Url,
        sought: Sought<'_>,
        pinned: Option<Digest>,
    ) -> Result<(), NotBrought> {
        let was_resumed = file.size() > 0;
        let downloader = self.downloader();
        if sought.size.is_some_and(|size| file.size() > size) {
            file.restart().map_err(NotBrought::Store)?;
        }
        downloader.fill(file, url, sought)?;
        let (_, digest, _) = file.measured();
        if was_resumed && pinned.is_some_and(|pinned| pinned != digest) {
            file.restart().map_err(NotBrought::Store)?;
            return downloader.fill(file, url, sought);
        }
        Ok(())
    }

    /// Remembers a server that could not be connected to, or that never said a word.
    fn remember(&self, url: &Url, refusal: &Refusal) {
        if let Refusal::Trouble { last: Trouble::Request { source }, .. } = refusal
            && (source.is_connect() || source.is_timeout())
        {
            self.down.borrow_mut().insert(host(url));
        }
    }

    /// Mirrors by digest, then the publisher's own.
    fn places(&self, wish: &Wish<'_>) -> Result<Vec<(Url, String)>, FetchError> {
        let mut places = Vec::new();
        if let Some(sha256) = wish.sha256 {
            for mirror in self.means.settings.mirrors()? {
                let url = below(mirror.url(), &format!("blobs/sha256/{}", sha256.hex()));
                places.push((url, mirror.setting().to_owned()));
            }
        }
        let own = wish.urls.iter().filter_map(|url| Url::parse(url).ok());
        places.extend(own.map(|url| (url, LIST.to_owned())));
        Ok(places)
    }
}

fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}
