//! One run at a time has a GPU: a file lock for each, which every user and every store sees.
//!
//! The kernel lets go of a lock when its process ends, however it ends. The files are empty,
//! named after the GPU, and stay: removing one would let two processes lock two files of one name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::BenchError;
use super::error::at;
use crate::engine::Card;

/// Folders that every user may write to on most systems; on some not to the first.
const FOLDERS: [&str; 2] = ["/run/lock", "/tmp"];

/// The folder of locks. All users must come to the same one, so what decides is whether everybody
/// may write there.
pub(super) fn folder() -> PathBuf {
    let is_for_all = |folder: &&&str| {
        fs::metadata(folder).is_ok_and(|found| found.is_dir() && found.mode() & 0o002 != 0)
    };
    FOLDERS.iter().find(is_for_all).unwrap_or(&FOLDERS[1]).into()
}

/// A GPU that this process has for itself.
#[derive(Debug)]
pub(super) struct CardLock {
    _file: File,
}

/// Locks `card` by a file in `folder`; `Err` of the inner result says who has it.
pub(super) fn lock(folder: &Path, card: &Card) -> Result<Result<CardLock, String>, BenchError> {
    let path = path(folder, card);
    let file = open(&path).map_err(at("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let holder = holder(&file).map_or(String::new(), |pid| format!(", process {pid}"));
            Ok(Err(format!("locked by another run{holder}")))
        }
        Err(error) => Err(at("lock", &path)(error.into())),
        Ok(()) => Ok(Ok(CardLock { _file: file })),
    }
}

fn path(folder: &Path, card: &Card) -> PathBuf {
    let name = match &card.uuid {
        Some(uuid) => uuid.replace('/', "-"),
        None => format!("nvidia{}", card.minor),
    };
    folder.join(format!("repro-{name}.lock"))
}

/// Opens the file, made by whoever was first. In a folder that everybody may write to the kernel
/// refuses to open another's file with `O_CREAT` (proc(5), `protected_regular`).
fn open(path: &Path) -> io::Result<File> {
    loop {
        match File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match File::options().write(true).create_new(true).mode(0o644).open(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
}

/// The process that holds a lock on `file`, from the kernel's own list (proc(5), `/proc/locks`).
fn holder(file: &File) -> Option<u32> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let fields = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut held = fields.filter(|it| it.get(1) == Some(&"FLOCK") && it.len() > 5);
    held.find(|fields| fields[5].ends_with(&inode))?[4].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(minor: u32, uuid: Option<&str>) -> Card {
        Card { index: 0, minor, uuid: uuid.map(str::to_owned), name: "V100".to_owned() }
    }

    #[test]
    fn a_card_is_locked_once_and_free_again_when_its_run_ends() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(3, Some("GPU-a"));
        let first = lock(folder.path(), &card).unwrap().unwrap();
        let reason = lock(folder.path(), &card).unwrap().unwrap_err();
        assert_eq!(reason, format!("locked by another run, process {}", std::process::id()));
        let other = self::card(3, None);
        assert!(lock(folder.path(), &other).unwrap().is_ok(), "another card, another lock");
        drop(first);
        assert!(lock(folder.path(), &card).unwrap().is_ok());
    }

    #[test]
    fn a_link_in_place_of_the_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, path(folder.path(), &card(1, None))).unwrap();
        assert!(lock(folder.path(), &card(1, None)).is_err());
        assert!(!target.exists());
    }
}
