//! Writes small files so that a crash leaves the old content or the new one, and nothing beside it.
//!
//! A temporary name of its own for each attempt would stay behind when the process is
//! killed. Here it is one fixed name beside the file, which the next writer takes over;
//! writers of one file wait for each other by a file lock.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::session::is_same;

/// Replaces the file `path`; under sudo it goes to whoever owned it, or owns its folder.
///
/// What a link points to is replaced, not the link. What is no file (a pipe, a device) is written
/// into: to move a file to its place would destroy it.
///
/// # Errors
///
/// Whatever the system refuses; the old file is as it was then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let found = fs::metadata(path);
    if found.as_ref().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    let path = if found.is_ok() { fs::canonicalize(path)? } else { path.to_owned() };
    write(&path, bytes, File::sync_all)?;
    File::open(folder_of(&path))?.sync_all()
}

/// The same without waiting for the disk: a reader sees the old or the new content, but a power
/// cut may leave neither.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, |_| Ok(()))
}

fn write(path: &Path, bytes: &[u8], sync: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    let partial = partial_name(path);
    let mut file = take(&partial)?;
    let written = fill(&mut file, bytes).and_then(|()| sync(&file)).and_then(|()| {
        give(&file, path);
        fs::rename(&partial, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Opens the partial file and keeps everybody else from it.
fn take(partial: &Path) -> io::Result<File> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).open(partial)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        // Whoever had it before has finished by now, and moved it to its place.
        if is_same(&file, partial) {
            return Ok(file);
        }
    }
}

fn fill(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(0o644))
}

/// A failure only matters to whoever edits the file next, and root can repair it.
fn give(file: &File, path: &Path) {
    let owner = fs::metadata(path).or_else(|_| fs::metadata(folder_of(path)));
    if let (true, Ok(owner)) = (rustix::process::geteuid().is_root(), owner) {
        let _ = std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn partial_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.collect()
    }

    #[test]
    fn what_a_killed_writer_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        fs::write(partial_name(&path), "half of a much longer tex").unwrap();
        write_whole(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["a.lock"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    }

    #[test]
    fn writers_of_one_file_leave_one_of_their_texts_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        std::thread::scope(|scope| {
            for letter in b'a'..b'i' {
                let path = &path;
                scope.spawn(move || {
                    for length in 1..20 {
                        write_whole(path, &vec![letter; 1000 * length]).unwrap();
                    }
                });
            }
        });
        let text = fs::read(&path).unwrap();
        assert!(text.len().is_multiple_of(1000) && text.iter().all(|byte| *byte == text[0]));
        assert_eq!(names(folder.path()), ["a.lock"]);
    }

    #[test]
    fn a_link_stays_and_what_it_points_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn a_pipe_is_written_into_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let node = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, node, 0o600.into(), 0).unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        write_whole(&path, b"whole").unwrap();
        assert_eq!(reader.join().unwrap(), b"whole");
        assert!(!fs::metadata(&path).unwrap().is_file());
        assert_eq!(names(folder.path()), ["pipe"]);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write_whole(&path, b"whole").is_err());
        assert_eq!(names(folder.path()), ["a.lock"]);
    }
}
