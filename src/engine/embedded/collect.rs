//! Finds what a job left in its writable folders, when all its processes are gone.
//!
//! What the job wrote lies in the overlay's upper folder; what the image has there does not, so
//! only what the job made or changed is found. Every open file is asked of the kernel with
//! `RESOLVE_BENEATH`: a link that the job made is followed inside its writable folder and
//! nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::order::names;
use crate::engine::outputs::{Collector, Place, place};
use crate::engine::{EngineError, Failure, Job, Kept};

/// Absolute links followed for one file; the kernel's own limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Keeps what `job` wants kept of what it wrote in `folder`, its own folder.
pub(super) fn collect(
    folder: &Path,
    job: &Job,
    mut collector: Collector<'_>,
) -> Result<Vec<Kept>, EngineError> {
    if job.keep.is_empty() {
        return Ok(Vec::new());
    }
    let Some(places) = places(folder)? else {
        collector.refuse_all("the job never began");
        return Ok(collector.finish());
    };
    // Of two starts one may lie in the other; each file is visited once.
    let mut starts: BTreeMap<String, Place<'_>> = BTreeMap::new();
    for keep in &job.keep {
        let place = place(job, keep)?;
        starts.insert(place.start.clone(), place);
    }
    let outer: Vec<String> = starts.keys().cloned().collect();
    let is_inside = |start: &str| {
        outer.iter().any(|other| other != start && Path::new(start).starts_with(other))
    };
    for (start, place) in starts.iter().filter(|(start, _)| !is_inside(start)) {
        let upper = folder.join(names::UPPER).join(&places[place.writable]);
        Search { upper, writable: place.writable, collector: &mut collector }.begin(start);
    }
    Ok(collector.finish())
}

/// Where the writable folders are below the upper folder; `None` if the job never got so far.
fn places(folder: &Path) -> Result<Option<BTreeMap<String, PathBuf>>, EngineError> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::step("find the writable folders", error.to_string())
    };
    match fs::read(folder.join(names::PLACES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error).into()),
        Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(|error| failed(&error))?)),
    }
}

/// One writable folder while it is searched.
struct Search<'a, 'k> {
    /// The folder on this machine.
    upper: PathBuf,
    /// Its path in the job.
    writable: &'a str,
    collector: &'a mut Collector<'k>,
}

impl Search<'_, '_> {
    fn begin(&mut self, start: &str) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Where the job changed nothing there is no folder.
        let Ok(root) = openat(CWD, &self.upper, flags, Mode::empty()) else { return };
        let below = start.strip_prefix(self.writable).unwrap_or_default().trim_start_matches('/');
        if below.is_empty() {
            return self.folder(&root, Path::new(""));
        }
        self.entry(&root, Path::new(below));
    }

    /// Everything in the folder `path`, sorted, so that the same job gives the same notes.
    fn folder(&mut self, root: &OwnedFd, path: &Path) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let place = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let listed = beneath(root, place, flags).and_then(|folder| {
            let mut listed = Vec::new();
            for entry in Dir::new(folder)? {
                let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
                if name != "." && name != ".." {
                    listed.push(name);
                }
            }
            Ok(listed)
        });
        match listed {
            Ok(mut names) => {
                names.sort();
                names.iter().for_each(|name| self.entry(root, &path.join(name)));
            }
            Err(error) => self.collector.refuse(&self.in_job(path), &words(error)),
        }
    }

    fn entry(&mut self, root: &OwnedFd, path: &Path) {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let Ok(found) = beneath(root, path, flags) else { return };
        let kind = rustix::fs::fstat(&found).map(|found| FileType::from_raw_mode(found.st_mode));
        let in_job = self.in_job(path);
        match kind {
            Ok(FileType::Directory) => self.folder(root, path),
            Ok(FileType::RegularFile | FileType::Symlink) if self.collector.wants(&in_job) => {
                self.file(root, path, &in_job);
            }
            _ => {}
        }
    }

    fn file(&mut self, root: &OwnedFd, path: &Path, in_job: &str) {
        match self.open(root, path, MAX_LINKS) {
            Err(error) => self.collector.refuse(in_job, &words(error)),
            Ok(file) => {
                let mut file = File::from(file);
                match file.metadata() {
                    Ok(metadata) if metadata.is_file() => self.collector.take(in_job, &mut file),
                    Ok(_) => self.collector.refuse(in_job, "it leads to no regular file"),
                    Err(error) => self.collector.refuse(in_job, &error.to_string()),
                }
            }
        }
    }

    /// Opens a file of the folder. The kernel follows no absolute link for us, because it would
    /// begin at the machine's root; one that leads back into the folder begins there.
    fn open(&self, root: &OwnedFd, path: &Path, links: usize) -> Result<OwnedFd, Errno> {
        // Without waiting: a link may lead to a pipe that nobody writes to.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        match beneath(root, path, flags) {
            Err(Errno::XDEV) if links > 0 => match self.absolute_target(root, path) {
                Some(target) => self.open(root, &target, links - 1),
                None => Err(Errno::XDEV),
            },
            opened => opened,
        }
    }

    /// Where the absolute link at `path` leads in the folder, if it leads there.
    fn absolute_target(&self, root: &OwnedFd, path: &Path) -> Option<PathBuf> {
        let link = beneath(root, path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let target = rustix::fs::readlinkat(&link, "", Vec::new()).ok()?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        target.strip_prefix(self.writable).ok().map(Path::to_owned)
    }

    fn in_job(&self, path: &Path) -> String {
        Path::new(self.writable).join(path).to_string_lossy().into_owned()
    }
}

fn beneath(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::io::retry_on_intr(|| {
        openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    })
}

fn words(error: Errno) -> String {
    match error {
        Errno::XDEV => "it leads out of its writable folder".to_owned(),
        Errno::NOENT => "it leads to nothing that the job wrote".to_owned(),
        error => io::Error::from(error).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Gpus, Keep};
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    /// What is kept of a job whose writable folder `/out` really is `real/out`.
    fn kept(pattern: &str, make: impl Fn(&Path)) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("upper/real/out");
        fs::create_dir_all(&out).unwrap();
        fs::write(folder.path().join("places"), r#"{"/out": "real/out"}"#).unwrap();
        make(&out);
        let keep = Keep { pattern: pattern.to_owned(), folder: folder.path().join("kept") };
        let job = Job {
            command: vec!["true".to_owned()],
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            mounts: Vec::new(),
            writable: vec!["/out".to_owned()],
            shm_size: 1 << 20,
            timeout: Duration::from_secs(1),
            memory: None,
            gpus: Gpus::None,
            keep: vec![keep],
        };
        let mut found = collect(folder.path(), &job, Collector::new(&job).unwrap()).unwrap();
        let kept = found.remove(0);
        let text = |file: &crate::engine::KeptFile| {
            let copy = fs::read_to_string(folder.path().join("kept").join(&file.copy)).unwrap();
            format!("{} {copy}", file.path)
        };
        (kept.files.iter().map(text).collect(), kept.problems)
    }

    #[test]
    fn files_folders_and_links_inside_the_folder_are_kept() {
        let make = |out: &Path| {
            fs::create_dir_all(out.join("run/deep")).unwrap();
            fs::write(out.join("run/iter_10.pth"), "ten").unwrap();
            fs::write(out.join("run/deep/log"), "log").unwrap();
            symlink("/out/run/absolute", out.join("run/latest.pth")).unwrap();
            symlink("iter_10.pth", out.join("run/absolute")).unwrap();
        };
        let (files, problems) = kept("/out/*/latest.pth", make);
        assert_eq!((files, problems.len()), (vec!["/out/run/latest.pth ten".to_owned()], 0));
        let (files, _) = kept("/out/run", make);
        let all = ["absolute ten", "deep/log log", "iter_10.pth ten", "latest.pth ten"];
        assert_eq!(files, all.map(|file| format!("/out/run/{file}")));
        assert_eq!(kept("/out/run/deep/log", make).0, ["/out/run/deep/log log"]);
        assert_eq!(kept("/out/other/*", make), (Vec::new(), Vec::new()));
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let make = |out: &Path| {
            fs::write(out.join("../secret"), "secret").unwrap();
            symlink("../secret", out.join("relative")).unwrap();
            symlink("/etc/passwd", out.join("absolute")).unwrap();
            symlink("/out/absolute", out.join("chain")).unwrap();
            symlink("/out/../secret", out.join("through")).unwrap();
            symlink("..", out.join("folder")).unwrap();
            symlink("gone", out.join("broken")).unwrap();
        };
        for name in ["relative", "absolute", "chain", "through", "folder/secret"] {
            let (files, problems) = kept(&format!("/out/{name}"), make);
            assert!(files.is_empty(), "{name}: {files:?}");
            assert!(problems.iter().all(|it| it.contains("leads out of")), "{problems:?}");
        }
        let (files, problems) = kept("/out/*", make);
        assert_eq!((files.len(), problems.len()), (0, 6), "{problems:?}");
    }

    #[test]
    fn what_is_no_file_is_passed_over() {
        let make = |out: &Path| {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(CWD, out.join("pipe"), FileType::Fifo, mode, 0).unwrap();
            symlink("pipe", out.join("to-pipe")).unwrap();
        };
        let (files, problems) = kept("/out/*", make);
        assert!(files.is_empty());
        assert_eq!(problems, ["`/out/to-pipe`: it leads to no regular file"]);
    }
}
