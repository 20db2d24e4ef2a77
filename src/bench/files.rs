//! The folder of a run: `results/RUN-ID/system/model/mode/batch/precision/`.
//!
//! A record appears in one step or not at all, and a killed run leaves no temporary
//! file: the file has no name until it is complete. Under sudo, what is made
//! belongs to whoever owns the folder it is made in.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};

use super::BenchError;
use super::error::at;
use crate::store::create_own;

/// The folder of one run.
#[derive(Debug)]
pub(super) struct RunFolder {
    /// The name of the run.
    pub id: String,
    /// The folder.
    pub path: PathBuf,
    owner: Option<(u32, u32)>,
    /// Keeps the folder's file lock: one process writes a run.
    _lock: File,
}

/// What stands for the newest run.
const LATEST: &str = "latest";

/// Ends the name of a folder with parsed logs, where a run has its seal.
pub const PARSED: &str = "-parsed";

impl RunFolder {
    /// Makes a new folder below `results` whose name begins with `name`.
    pub(super) fn create(results: &Path, name: &str) -> Result<Self, BenchError> {
        let owner = foreign_owner(results);
        make_folders(results, owner)?;
        for count in 1u32.. {
            let id = if count == 1 { name.to_owned() } else { format!("{name}-{count}") };
            let path = results.join(&id);
            match fs::create_dir(&path) {
                Ok(()) => {
                    give(&path, owner);
                    let lock = lock(&path, &id)?;
                    return Ok(Self { id, path, owner, _lock: lock });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at("create", &path)(error)),
            }
        }
        unreachable!("no folder holds four thousand million runs")
    }

    /// The folder of an earlier run, `latest` for the newest one.
    pub(super) fn open(results: &Path, name: &str) -> Result<Self, BenchError> {
        let no_run = || BenchError::NoRun { name: name.to_owned(), results: results.to_owned() };
        let mut runs = Vec::new();
        for entry in fs::read_dir(results).map_err(|_| no_run())? {
            let entry = entry.map_err(at("read", results))?;
            let run = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !run.contains(PARSED) {
                runs.push(run);
            }
        }
        // Names begin with the time of the start.
        runs.sort();
        let id = match name {
            LATEST => runs.pop(),
            name => runs.into_iter().find(|run| run == name),
        };
        let id = id.ok_or_else(no_run)?;
        let path = results.join(&id);
        let lock = lock(&path, &id)?;
        Ok(Self { id, path, owner: foreign_owner(results), _lock: lock })
    }

    /// Renames what an earlier attempt left of a case to `NAME.1`, `NAME.2`, …: nothing is lost.
    pub(super) fn set_aside(&self, case: &str) -> Result<(), BenchError> {
        let folder = self.path.join(case);
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
        let names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        let is_aside = |name: &str| {
            let end = name.rsplit_once('.').map(|(_, end)| end);
            end.and_then(|end| end.parse::<u32>().ok())
        };
        let attempt = names.iter().filter_map(|name| is_aside(name)).max().unwrap_or(0) + 1;
        for name in names.iter().filter(|name| is_aside(name).is_none()) {
            let (from, to) = (folder.join(name), folder.join(format!("{name}.{attempt}")));
            fs::rename(&from, &to).map_err(at("rename", &from))?;
        }
        Ok(())
    }

    /// The folder of a case, made if it is not there.
    pub(super) fn case(&self, case: &str) -> Result<PathBuf, BenchError> {
        let folder = self.path.join(case);
        make_folders(&folder, self.owner)?;
        Ok(folder)
    }

    /// A new file that is written while the job runs.
    pub(super) fn create_file(&self, path: &Path) -> Result<File, BenchError> {
        let file = File::create_new(path).map_err(at("create", path))?;
        give(path, self.owner);
        Ok(file)
    }

    /// Gives `folder` and everything in it to the owner of the results.
    pub(super) fn give_all(&self, folder: &Path) {
        if self.owner.is_none() || !folder.is_dir() || folder.is_symlink() {
            return;
        }
        give(folder, self.owner);
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.give_all(&path);
            } else {
                give(&path, self.owner);
            }
        }
    }

    /// A new file that appears with all of its content.
    pub(super) fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), BenchError> {
        match write_unnamed(path, bytes) {
            Err(error) if has_no_unnamed_files(&error) => {
                let temporary = path.with_extension("partial");
                let write = || {
                    let mut file = create_own(&temporary)?;
                    file.write_all(bytes)?;
                    file.sync_all()?;
                    fs::rename(&temporary, path)
                };
                write().map_err(at("write", path))?;
            }
            written => written.map_err(at("write", path))?,
        }
        give(path, self.owner);
        Ok(())
    }
}

/// The time of day, for names of runs and for records.
#[expect(clippy::disallowed_methods, reason = "a record says when its run started")]
pub(super) fn now(format: &str) -> String {
    jiff::Timestamp::now().strftime(format).to_string()
}

/// The kernel lets go of the lock when the process ends, however it ends.
fn lock(path: &Path, run: &str) -> Result<File, BenchError> {
    let folder = File::open(path).map_err(at("open", path))?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BenchError::RunIsLive { run: run.to_owned() }),
        // A file system without locks has nothing to say.
        _ => Ok(folder),
    }
}

fn write_unnamed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mode = Mode::from_raw_mode(0o644);
    let unnamed =
        rustix::fs::open(folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode)?;
    let mut file = File::from(unnamed);
    file.write_all(bytes)?;
    file.sync_all()?;
    // linkat(2): the way to name such a file without CAP_DAC_READ_SEARCH.
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, &nameless, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// NFS and some overlays have no `O_TMPFILE`; old kernels take it for a folder.
fn has_no_unnamed_files(error: &io::Error) -> bool {
    let known = [rustix::io::Errno::OPNOTSUPP, rustix::io::Errno::ISDIR, rustix::io::Errno::INVAL];
    known.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Makes `folder` and what is missing above it.
fn make_folders(folder: &Path, owner: Option<(u32, u32)>) -> Result<(), BenchError> {
    // A relative path ends in an empty one, which is the current folder.
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folders(above, owner)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => give(folder, owner),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(error) => return Err(at("create", folder)(error)),
    }
    Ok(())
}

/// The owner of the nearest folder that exists, if this is root and the owner is not.
fn foreign_owner(folder: &Path) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let there = folder.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("."));
    let metadata = fs::metadata(there).ok()?;
    (metadata.uid() != 0).then_some((metadata.uid(), metadata.gid()))
}

/// A failure only matters to a later removal by the owner.
fn give(path: &Path, owner: Option<(u32, u32)>) {
    if let Some((user, group)) = owner {
        // Of a link the link itself: a job may have left one to any file.
        let _ = std::os::unix::fs::lchown(path, Some(user), Some(group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_second_get_different_folders() {
        let results = tempfile::tempdir().unwrap();
        let deep = results.path().join("a/results");
        assert_eq!(RunFolder::create(&deep, "run").unwrap().id, "run");
        assert_eq!(RunFolder::create(&deep, "run").unwrap().id, "run-2");
        assert_eq!(RunFolder::create(&deep, "run").unwrap().id, "run-3");
    }

    #[test]
    fn a_file_appears_complete_and_alone() {
        let results = tempfile::tempdir().unwrap();
        let run = RunFolder::create(results.path(), "run").unwrap();
        let folder = run.case("a/b").unwrap();
        run.write_file(&folder.join("record.json"), b"{}").unwrap();
        assert_eq!(fs::read(folder.join("record.json")).unwrap(), b"{}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let mode = fs::metadata(folder.join("record.json")).unwrap().mode();
        assert_eq!(mode & 0o600, 0o600);
    }

    #[test]
    fn results_that_cannot_be_written_are_an_error_with_the_path() {
        let results = tempfile::tempdir().unwrap();
        let file = results.path().join("file");
        fs::write(&file, "").unwrap();
        let message = RunFolder::create(&file.join("results"), "run").unwrap_err().to_string();
        assert_eq!(message, format!("cannot create `{}`", file.display()));
    }
}
