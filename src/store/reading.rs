//! A store that its reader cannot write: another user's, or one on a disk that is mounted read-only.
//!
//! What is there is there for everybody, so records and images can be looked at. Nothing is made, cleared
//! or noted; whatever tries to write fails with the system's reason.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags};

use super::facts;
use super::ownership::future_owner;
use super::usage::Usage;
use super::{Store, StoreError, at, check_version, is_damage};

/// The index of facts.
const INDEX: &str = "repro.db";

impl Store {
    /// Opens the store for a command that only reads, after [`Store::open`] was `refused`.
    ///
    /// # Errors
    ///
    /// What it was refused for, unless that is only that the store cannot be written.
    pub fn open_to_read(root: &Path, refused: StoreError) -> Result<Self, StoreError> {
        match refused.is_not_writable() && root.join("version").is_file() {
            true => Self::open_as_it_is(root),
            false => Err(refused),
        }
    }

    /// Opens the store for a command that only reads, although its index is damaged: nothing of what the
    /// index said is known then.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder is no store.
    pub fn open_without_index(root: &Path) -> Result<Self, StoreError> {
        let owner = future_owner(root)?;
        check_version(root, owner)?;
        let usage = Usage::begin_reading(root)?;
        let index = facts::nothing()
            .map_err(|source| StoreError::Index { path: root.join(INDEX), source })?;
        let session = Mutex::new(None);
        Ok(Self { root: root.to_owned(), owner, index: Mutex::new(index), session, usage })
    }

    /// Looks through the whole index.
    ///
    /// # Errors
    ///
    /// [`StoreError::Index`] if it is damaged.
    pub fn check_index(&self) -> Result<(), StoreError> {
        let path = self.root.join(INDEX);
        let index = self.index.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let answer = index.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match answer {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(_) => Err(StoreError::damaged_index(path)),
            Err(source) => Err(StoreError::Index { path, source }),
        }
    }

    /// Puts a damaged index aside, so that the next command begins a new one; returns where it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if it cannot be renamed.
    pub fn put_index_aside(root: &Path) -> Result<PathBuf, StoreError> {
        let aside = root.join(format!("{INDEX}.damaged"));
        // A log without its file goes first: it must not meet the new one.
        for end in ["-wal", "-shm", ""] {
            let (from, to) =
                (root.join(format!("{INDEX}{end}")), format!("{}{end}", aside.display()));
            match fs::rename(&from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at("rename", &from)(error));
                }
                _ => {}
            }
        }
        Ok(aside)
    }

    fn open_as_it_is(root: &Path) -> Result<Self, StoreError> {
        let owner = future_owner(root)?;
        check_version(root, owner)?;
        let usage = Usage::begin_reading(root)?;
        let path = root.join(INDEX);
        let index = index(&path).map_err(|source| StoreError::Index { path, source })?;
        let session = Mutex::new(None);
        Ok(Self { root: root.to_owned(), owner, index: Mutex::new(index), session, usage })
    }
}

impl StoreError {
    fn damaged_index(path: PathBuf) -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Self::Index { path, source: rusqlite::Error::SqliteFailure(code, None) }
    }

    /// Whether the index is damaged, or no database at all.
    pub fn is_damaged_index(&self) -> bool {
        matches!(self, Self::Index { source, .. } if is_damage(source))
    }

    /// Whether the store, or the disk that it is on, cannot be written by this user.
    pub fn is_not_writable(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self.io_kind(), Some(PermissionDenied | ReadOnlyFilesystem))
    }
}

/// The index without a change to it. SQLite reads a write-ahead log only with the file beside it, which
/// its writers keep as long as there is one; without a log the file alone is whole and is said
/// to be `immutable`, because nothing can be made beside it.
fn index(path: &Path) -> rusqlite::Result<Connection> {
    if !path.is_file() {
        return facts::nothing();
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if path.with_extension("db-wal").exists() {
        return Connection::open_with_flags(path, flags);
    }
    let address = format!("file:{}?immutable=1", escaped(&path.to_string_lossy()));
    Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)
}

/// A path in an address of SQLite.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of a folder, with its size.
    fn files(folder: &Path) -> Vec<(String, u64)> {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = entries
            .map(|it| (it.file_name().into_string().unwrap(), it.metadata().unwrap().len()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_store_is_read_without_a_change_to_it_and_refuses_to_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("it is 100 % mine? #1");
        let store = Store::open(&root).unwrap();
        let digest = store.put(b"content").unwrap();
        store.remember("bucket", "key", "value").unwrap();
        drop(store);
        let before = files(&root);
        let store = Store::open_as_it_is(&root).unwrap();
        assert_eq!(store.recall("bucket", "key").unwrap().as_deref(), Some("value"));
        assert_eq!(store.read_blob(&digest).unwrap(), b"content");
        let error = store.remember("bucket", "key", "other").unwrap_err();
        assert!(error.is_not_writable(), "{error}");
        drop(store);
        assert_eq!(files(&root), before);
    }

    #[test]
    fn what_another_process_has_just_written_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Store::open(folder.path()).unwrap();
        writer.remember("bucket", "key", "value").unwrap();
        let reader = Store::open_as_it_is(folder.path()).unwrap();
        assert_eq!(reader.recall("bucket", "key").unwrap().as_deref(), Some("value"));
    }

    #[test]
    fn a_store_without_an_index_knows_nothing_and_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        std::fs::remove_file(folder.path().join(INDEX)).unwrap();
        let store = Store::open_as_it_is(folder.path()).unwrap();
        assert_eq!(store.recall_all("bucket").unwrap(), []);
        assert!(!folder.path().join(INDEX).exists());
    }

    #[test]
    fn what_is_no_store_is_not_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |kind: io::ErrorKind| {
            let path = folder.path().to_owned();
            StoreError::Io { action: "open", path, source: kind.into() }
        };
        let open = |kind| Store::open_to_read(folder.path(), refused(kind));
        assert!(open(io::ErrorKind::PermissionDenied).is_err());
        drop(Store::open(folder.path()).unwrap());
        assert!(open(io::ErrorKind::PermissionDenied).is_ok());
        assert!(open(io::ErrorKind::StorageFull).is_err());
    }
}
