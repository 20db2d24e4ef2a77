//! Writes small files so that a crash leaves the old content or the new one, and nothing beside it.
//!
//! A temporary name of its own for each attempt would stay behind when the process is
//! killed. Here it is one fixed name beside the file, which the next writer takes over;
//! writers of one file wait for each other by a file lock.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

use super::NO_LINK;
use super::session::is_same;

/// Replaces the file `path` of a project; under sudo it goes to whoever owned it, or owns its folder.
///
/// Nothing is written through a symbolic link: a repository can bring one, and it would lead the
/// writer to any file that the user may change.
///
/// # Errors
///
/// Whatever the system refuses, and `path` being a symbolic link; the old file is as it was then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(refused(
            "it is a symbolic link; remove it to have a file written in its place",
        ));
    }
    write(path, bytes, 0o644, File::sync_all)?;
    File::open(folder_of(path))?.sync_all()
}

/// Replaces the file `relative` below `root`, as [`write_whole`] does, and makes the folders above it.
///
/// # Errors
///
/// Also if a link among those folders leads out of `root`.
pub fn write_inside(root: &Path, relative: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = root.join(relative);
    let folder = folder_of(&path);
    let there = folder.ancestors().find(|above| above.exists()).unwrap_or(root);
    if !fs::canonicalize(there)?.starts_with(fs::canonicalize(root)?) {
        return Err(refused(&format!("a symbolic link leads out of `{}`", root.display())));
    }
    fs::create_dir_all(folder)?;
    write_whole(&path, bytes)
}

/// Writes to a place that the user named on the command line, as the shell's `>` would.
///
/// A file is replaced in one step; a pipe, a device or what a link points to is written into.
///
/// # Errors
///
/// Whatever the system refuses.
pub fn write_output(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            let options = File::options().write(true).create(true).truncate(true).open(path);
            options?.write_all(bytes)
        }
        _ => write_whole(path, bytes),
    }
}

/// Opens the file `path` for reading and appending; it is new, or this user's own from an earlier
/// attempt.
///
/// Whatever else has the name is removed first: a link, a second name of a file, what another user
/// prepared. So nothing is ever written into a file that somebody else chose.
///
/// # Errors
///
/// Whatever the system refuses; a folder of this name cannot be removed.
pub fn open_own(path: &Path) -> io::Result<File> {
    // A pipe would have the opener wait for its reader.
    let flags = NO_LINK | OFlags::NONBLOCK.bits() as i32;
    let mut options = File::options();
    options.read(true).append(true).custom_flags(flags);
    loop {
        match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
        match options.open(path) {
            Ok(file) if is_own(&file)? => return Ok(file),
            // Another writer has moved it to its place; what has the name next may be a third one's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            _ => {}
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// Opens the file of [`open_own`], empty.
///
/// # Errors
///
/// As there.
pub fn create_own(path: &Path) -> io::Result<File> {
    let file = open_own(path)?;
    file.set_len(0)?;
    Ok(file)
}

/// Opens a file for adding to it, whoever owns it, and makes it if there is none.
///
/// # Errors
///
/// Whatever the system refuses, a link, and a file that has a second name.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).custom_flags(NO_LINK).open(path)?;
    match file.metadata()? {
        found if found.is_file() && found.nlink() <= 1 => Ok(file),
        _ => Err(refused("it is no file of its own")),
    }
}

/// Returns whether a file is plain, has one name, and belongs to this process's user.
fn is_own(file: &File) -> io::Result<bool> {
    let found = file.metadata()?;
    Ok(found.is_file() && found.nlink() <= 1 && found.uid() == rustix::process::geteuid().as_raw())
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned())
}

/// The same without waiting for the disk: a reader sees the old or the new content, but a power
/// cut may leave neither. Only its owner can read it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, 0o600, |_| Ok(()))
}

fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    sync: impl Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let partial = partial_name(path);
    let mut file = take(&partial)?;
    let owner = owner(path);
    let written = fill(&mut file, bytes, mode)
        .and_then(|()| sync(&file))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    // Not before it has its name: the next writer would take another user's file for a planted one.
    if let Some((user, group)) = owner {
        let _ = std::os::unix::fs::fchown(&file, Some(user), Some(group));
    }
    written
}

/// Opens the partial file and keeps everybody else from it.
fn take(partial: &Path) -> io::Result<File> {
    loop {
        let file = open_own(partial)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        // Whoever had it before has finished by now, and moved it to its place.
        if is_same(&file, partial) {
            return Ok(file);
        }
    }
}

fn fill(file: &mut File, bytes: &[u8], mode: u32) -> io::Result<()> {
    file.set_len(0)?;
    // Nobody may read it before it is known who may.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)
}

/// Returns whom root gives the file to; a failure only matters to whoever edits the file next.
fn owner(path: &Path) -> Option<(u32, u32)> {
    let found = fs::symlink_metadata(path).or_else(|_| fs::metadata(folder_of(path))).ok()?;
    rustix::process::geteuid().is_root().then_some((found.uid(), found.gid()))
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
    use std::os::unix::fs::symlink;

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
    fn no_link_is_written_through_whoever_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "a.lock"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        symlink("file", &link).unwrap();
        let error = write_whole(&link, b"new").unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        fs::remove_file(&link).unwrap();
        // The name that the writer itself uses for a moment.
        let partial = partial_name(&link);
        let is_planted = [symlink("file", &partial), fs::hard_link(&file, folder.path().join("b"))];
        is_planted.into_iter().collect::<io::Result<()>>().unwrap();
        for planted in [&partial, &folder.path().join("b")] {
            fs::rename(planted, &partial).unwrap();
            write_whole(&link, b"new").unwrap();
            assert_eq!(fs::read(&link).unwrap(), b"new");
            assert!(fs::symlink_metadata(&link).unwrap().is_file());
        }
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_folder_that_leads_out_of_the_project_is_not_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let [project, outside] = ["project", "outside"].map(|name| folder.path().join(name));
        fs::create_dir_all(project.join("inner")).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink("../outside", project.join("out")).unwrap();
        symlink("inner", project.join("in")).unwrap();
        for path in ["out/a.lock", "out/deep/a.lock"] {
            let error = write_inside(&project, Path::new(path), b"new").unwrap_err();
            assert!(error.to_string().contains("leads out of"), "{error}");
        }
        assert!(names(&outside).is_empty());
        write_inside(&project, Path::new("in/deep/a.lock"), b"new").unwrap();
        assert_eq!(fs::read(project.join("inner/deep/a.lock")).unwrap(), b"new");
    }

    #[test]
    fn an_output_that_the_user_named_goes_where_a_shell_would_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "old and longer").unwrap();
        symlink("file", &link).unwrap();
        write_output(&link, b"new").unwrap();
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
        write_output(&path, b"whole").unwrap();
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
