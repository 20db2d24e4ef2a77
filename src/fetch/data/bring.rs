//! Brings one archive: from a mirror, from its URLs in order, or joined from its parts.

use std::path::Path;

use reqwest::Url;

use super::super::client::Publisher;
use super::super::download::{NotBrought, Sink, Sought};
use super::super::error::{FetchError, Refusal, Tried, Trouble};
use super::super::offers::below;
use super::file::DataFile;
use super::joined::Joined;
use super::{Crew, is_about_content, plan};
use crate::address::{Address, masked};
use crate::dataset::{self, Archive, Dataset, DatasetError};
use crate::digest::Digest;

/// Where a URL stands that no setting named.
const LIST: &str = "`datasets.toml`";

/// A file that is to come: an archive, or a part of one.
struct Wish<'a> {
    file: &'a str,
    urls: &'a [Address],
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

/// Compares what nothing pins with the little that is known of it.
type Check<'c> = dyn Fn(&Path, &Digest, u64) -> Result<(), DatasetError> + 'c;

/// Why a place's file is not taken.
enum Unfit {
    Refused(Refusal),
    /// It is not what is known of it.
    Contradicted(DatasetError),
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
            return Err(DatasetError::PinnedOtherwise { file, pinned, found: sha256 }.into());
        }
        if archive.sha256.is_none()
            && let Err(error) =
                dataset::check_known(archive, partial, (&sha256, size), self.means.hashing)
        {
            whole.discard();
            return Err(error.into());
        }
        whole.publish()?;
        let target = plan::target(set, archive, self.data);
        dataset::note_measured(self.means.store, &target, &sha256)?;
        Ok(Brought::Yes(sha256, size))
    }

    /// Brings a file from the first place that has it as it is known to be.
    fn bring_file(
        &self,
        wish: &Wish<'_>,
        target: &Path,
        check: &Check<'_>,
    ) -> Result<Brought, FetchError> {
        let mut tried = Vec::new();
        let mut contradicted = None;
        for (url, setting) in self.places(wish)? {
            match self.bring_from(wish, &url, target, check)? {
                Ok((digest, size)) => return Ok(Brought::Yes(digest, size)),
                Err(Unfit::Contradicted(error)) => contradicted = Some(error),
                Err(Unfit::Refused(refusal)) => {
                    let url = masked(url.as_str());
                    tried.push(Tried { url, setting, refusal });
                }
            }
        }
        match contradicted {
            Some(error) => Err(error.into()),
            None => Ok(Brought::No(tried)),
        }
    }

    /// Brings a file from one place; nothing but what is right gets its name.
    fn bring_from(
        &self,
        wish: &Wish<'_>,
        url: &Url,
        target: &Path,
        check: &Check<'_>,
    ) -> Result<Result<(Digest, u64), Unfit>, FetchError> {
        if let Some(last) = self.cannot_ask(url) {
            return Ok(Err(Unfit::Refused(Refusal::Trouble { attempts: 1, last })));
        }
        let mut file = DataFile::open(target)?;
        self.means.progress.started(wish.file, wish.size.unwrap_or(0));
        let filled = self.fill(&mut file, url, wish);
        self.means.progress.finished(wish.file);
        match filled {
            Ok(()) => {}
            Err(NotBrought::Stopped) => return Err(FetchError::Stopped),
            Err(NotBrought::Store(error)) => return Err(error.into()),
            Err(NotBrought::Refused(refusal)) => {
                self.remember(url, &refusal);
                if file.size() == 0 || matches!(refusal, Refusal::Endless) {
                    file.discard();
                }
                return Ok(Err(Unfit::Refused(refusal)));
            }
        }
        let (partial, digest, size) = file.measured();
        if wish.sha256.is_some_and(|pinned| pinned != digest) {
            file.discard();
            return Ok(Err(Unfit::Refused(Refusal::Differs { digest, size })));
        }
        if let Err(error) = check(partial, &digest, size) {
            return match is_about_content(&error) {
                true => {
                    file.discard();
                    Ok(Err(Unfit::Contradicted(error)))
                }
                false => Err(error.into()),
            };
        }
        file.publish()?;
        dataset::note_measured(self.means.store, target, &digest)?;
        Ok(Ok((digest, size)))
    }

    /// Why a place is not asked at all.
    fn cannot_ask(&self, url: &Url) -> Option<Trouble> {
        if self.means.settings.offline() && url.scheme() != "file" {
            let reason = "no network may be asked".to_owned();
            return Some(Trouble::Unusable { reason });
        }
        self.down.borrow().contains(&host(url)).then_some(Trouble::HostIsDown)
    }

    /// What an earlier attempt left may be of another file: then all of it comes again, once.
    fn fill(&self, file: &mut DataFile, url: &Url, wish: &Wish<'_>) -> Result<(), NotBrought> {
        let sought = Sought {
            name: wish.file,
            size: wish.size,
            publisher: Publisher::Web,
            is_pinned: wish.sha256.is_some(),
        };
        let was_resumed = file.size() > 0;
        let downloader = self.downloader();
        if sought.size.is_some_and(|size| file.size() > size) {
            file.restart().map_err(NotBrought::Store)?;
        }
        downloader.fill(file, url, sought)?;
        let (_, digest, _) = file.measured();
        if was_resumed && wish.sha256.is_some_and(|pinned| pinned != digest) {
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
        let own = wish.urls.iter().filter_map(|url| Url::parse(url.whole()).ok());
        places.extend(own.map(|url| (url, LIST.to_owned())));
        Ok(places)
    }
}

fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}
