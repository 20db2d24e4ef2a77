//! Finds what a job left in its writable folders, by asking the daemon for archives of them.
//!
//! A writable folder is a volume that begins with what the image has there. It is listed before
//! the job starts, so that only what the job made or changed is kept. An archive holds links as
//! links: they are followed here, inside their writable folder and nowhere else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tar::EntryType;

use super::daemon::{Daemon, is_missing};
use crate::engine::outputs::{Collector, place};
use crate::engine::{EngineError, Job, Kept};
use crate::store::StoreError;
use crate::tarball;

/// Links followed for one file; the kernel's own limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The bit of a symbolic link in the daemon's words for file modes (Go, `fs.ModeSymlink`).
const LINK: u32 = 1 << 27;

/// Size and time of every file, by its path in the job.
type Listing = BTreeMap<String, (u64, u64)>;

/// The search for what one job leaves.
pub(super) struct Collection<'a> {
    daemon: &'a Daemon,
    container: &'a str,
    /// The job's own folder, where archives are put.
    folder: &'a Path,
    collector: Collector<'a>,
    /// Where to look, and the writable folder that it lies in.
    starts: BTreeMap<String, String>,
    before: Listing,
}

/// A link that somebody wants to be followed.
struct Link {
    /// The path that is wanted.
    wanted: String,
    /// Where it leads, as far as that is known.
    target: String,
    followed: usize,
}

/// What reading one archive found.
#[derive(Default)]
struct Found {
    listing: Listing,
    /// Links that are wanted, and where they lead.
    links: Vec<(String, String)>,
}

impl<'a> Collection<'a> {
    /// Lists what is there before the job starts.
    pub(super) async fn begin(
        daemon: &'a Daemon,
        container: &'a str,
        folder: &'a Path,
        job: &'a Job,
    ) -> Result<Self, EngineError> {
        let mut starts = BTreeMap::new();
        for keep in &job.keep {
            let place = place(job, keep)?;
            starts.insert(place.start, place.writable.to_owned());
        }
        let outer: Vec<String> = starts.keys().cloned().collect();
        starts.retain(|start, _| {
            !outer.iter().any(|other| other != start && Path::new(start).starts_with(other))
        });
        let collector = Collector::new(job)?;
        let mut collection =
            Self { daemon, container, folder, collector, starts, before: Listing::new() };
        // The whole folders: a link may lead to what the image has beside a start.
        for folder in collection.starts.values().cloned().collect::<BTreeSet<_>>() {
            let found = collection.read(&folder, &folder, true).await?;
            collection.before.extend(found.listing);
        }
        Ok(collection)
    }

    /// Keeps what the job made or changed.
    pub(super) async fn end(mut self) -> Result<Vec<Kept>, EngineError> {
        for (start, writable) in self.starts.clone() {
            if let Some(link) = self.link_above(&start, &writable).await? {
                self.collector.refuse(&start, &format!("`{link}` is a link"));
                continue;
            }
            let found = self.read(&start, &start, false).await?;
            let link = |(wanted, target)| Link { wanted, target, followed: 0 };
            let mut links: VecDeque<Link> = found.links.into_iter().map(link).collect();
            while let Some(link) = links.pop_front() {
                links.extend(self.follow(link, &writable).await?);
            }
        }
        Ok(self.collector.finish())
    }

    /// Keeps what a link leads to; another link, if it leads to one.
    async fn follow(&mut self, link: Link, writable: &str) -> Result<Option<Link>, EngineError> {
        let Link { wanted, target, followed } = link;
        let problem = if !Path::new(&target).starts_with(writable) {
            "it leads out of its writable folder"
        } else if followed > MAX_LINKS || self.link_above(&target, writable).await?.is_some() {
            "it leads through too many links"
        } else {
            let mut found = self.read(&target, &wanted, false).await?;
            if let Some((_, target)) = found.links.pop() {
                return Ok(Some(Link { wanted, target, followed: followed + 1 }));
            }
            if found.listing.contains_key(&wanted) {
                return Ok(None);
            }
            "it leads to nothing that the job wrote"
        };
        self.collector.refuse(&wanted, problem);
        Ok(None)
    }

    /// The first folder above `path`, below the writable folder, that is a link.
    async fn link_above(&self, path: &str, writable: &str) -> Result<Option<String>, EngineError> {
        let above = Path::new(path).ancestors().skip(1);
        let inside = above.take_while(|it| it.starts_with(writable) && *it != Path::new(writable));
        for folder in inside {
            let folder = folder.to_string_lossy().into_owned();
            let options = ContainerArchiveInfoOptionsBuilder::new().path(&folder).build();
            let asked =
                self.daemon.client.get_container_archive_info(self.container, Some(options));
            match asked.await {
                Ok(state) if state.file_mode & LINK != 0 => return Ok(Some(folder)),
                Ok(_) => {}
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(self.daemon.failed("look at what the job left")(error)),
            }
        }
        Ok(None)
    }

    /// Reads the archive of `path`, whose files are called as if it were `name`; keeps what is
    /// wanted and was not there before, unless it is only to be listed.
    async fn read(
        &mut self,
        path: &str,
        name: &str,
        only_list: bool,
    ) -> Result<Found, EngineError> {
        let archive = self.folder.join("archive");
        if !self.fetch(path, &archive).await? {
            return Ok(Found::default());
        }
        let found = self.unpack(&archive, path, name, only_list);
        let _ = fs::remove_file(&archive);
        found.map_err(|error| EngineError::Daemon {
            action: format!("read the archive of `{path}`"),
            address: self.daemon.address().to_string(),
            reason: error.to_string(),
        })
    }

    /// Writes the archive of `path` into a file, because reading it waits and the daemon's stream
    /// may not; whether there is such a path.
    async fn fetch(&self, path: &str, archive: &Path) -> Result<bool, EngineError> {
        let write = |source| StoreError::Io { action: "write", path: archive.to_owned(), source };
        let mut file = File::create(archive).map_err(write)?;
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let stream = self.daemon.client.download_from_container(self.container, Some(options));
        let mut stream = Box::pin(stream);
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => file.write_all(&piece).map_err(write)?,
                Err(error) if is_missing(&error) => return Ok(false),
                Err(error) => return Err(self.daemon.failed("fetch what the job left")(error)),
            }
        }
        Ok(true)
    }

    fn unpack(
        &mut self,
        archive: &Path,
        place: &str,
        name: &str,
        only_list: bool,
    ) -> io::Result<Found> {
        let mut found = Found::default();
        let mut archive = tarball::open(File::open(archive)?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            // The first part is the last one of what was asked for.
            let below: PathBuf = entry.path()?.components().skip(1).collect();
            let path = in_job(name, &below);
            let header = entry.header();
            let stamp = (header.size()?, header.mtime()?);
            match header.entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let real = in_job(place, &below);
                    if only_list {
                        found.listing.insert(real, stamp);
                    } else if self.before.get(&real) != Some(&stamp) && self.collector.wants(&path)
                    {
                        self.collector.take(&path, &mut entry);
                        found.listing.insert(path, stamp);
                    }
                }
                // A second name of a file is asked for by itself, and then it is one.
                EntryType::Link if self.collector.wants(&path) => {
                    found.links.push((path.clone(), path));
                }
                EntryType::Symlink if self.collector.wants(&path) => {
                    let target = entry.link_name()?.unwrap_or_default();
                    let target =
                        normal(&Path::new(&path).parent().unwrap_or(Path::new("/")).join(target));
                    found.links.push((path, target));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The path of what lies `below` a file or folder; nothing does below a file.
fn in_job(folder: &str, below: &Path) -> String {
    Path::new(folder).join(below).to_string_lossy().trim_end_matches('/').to_owned()
}

/// An absolute path without `..`, as far as names alone tell.
fn normal(path: &Path) -> String {
    let mut parts = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name),
            _ => {}
        }
    }
    parts.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_by_names_alone() {
        assert_eq!(normal(Path::new("/out/run/../../etc/passwd")), "/etc/passwd");
        assert_eq!(normal(Path::new("/out/./run//last")), "/out/run/last");
        assert_eq!(normal(Path::new("/../..")), "/");
    }
}
