//! Keeps content under its digest in one folder, `$REPRO_HOME`.
//!
//! Every write below that folder goes through this module. Content enters
//! through a temporary file on the same file system, is hashed while it is
//! written, synced and renamed: a crash at any moment leaves a store that the
//! next command uses without repair. Several processes may use one store.
//!
//! ```text
//! version            format of this folder; a newer one is refused
//! blobs/sha256/HEX   downloads, built wheels, image configurations, manifests, layer plans
//! rootfs/HEX         layers unpacked for the embedded engine by root, by diff ID (see `layers`)
//! rootfs/HEX.user    the same by an ordinary user, who owns every file of them
//! stamps/HEX         what such a layer looked like when it was unpacked
//! data/HEX           data sets unpacked from the project's archives, by the digest of their manifest
//! runs/              run records
//! git/objects/pack/  objects of git repositories, as they were fetched; all can be fetched again
//! checkouts/HEX/     recipe, lock and data sets of an imported bundle, by the digest of its index
//! partial/HEX        downloads that broke off, by the digest they are to have (see `partial`)
//! in-use.lock        held by every command; alone by one that removes content (see `usage`)
//! tmp/ID, tmp/ID.lock   one folder a process, gone with it (see `session`)
//! repro.db           what is verified, which images exist (see `facts`)
//! results.db         an index of run records; made again whenever it is missing (see `results`)
//! ```
//!
//! Invariants: a file below `blobs` is complete and was hashed before it got its
//! name; files there are never changed, only removed. What the content means is
//! left to the modules that put it there.

mod blob;
mod database;
mod facts;
mod fsck;
mod layers;
mod ownership;
mod partial;
mod reading;
mod remove;
mod session;
mod usage;
mod whole;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::digest::Digest;

pub use blob::BlobWriter;
pub use database::{Derived, is_damage};
pub use facts::FileStamp;
pub use fsck::{Damage, FsckReport};
pub use layers::Seat;
pub use ownership::{is_root, remove_tree};
pub use remove::{Kind, Stored};
pub use usage::Alone;
pub use whole::{create_own, open_own, open_to_append, write_inside, write_output, write_whole};

use ownership::{close_folder, future_owner, give, make_folder};
use session::Session;
use usage::Usage;

/// Flag of open(2): a link in place of the file is an error.
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// The format of the folder that this program reads and writes.
const VERSION: u32 = 1;

/// What every store has.
const FOLDERS: [&str; 10] = [
    "blobs",
    "blobs/sha256",
    "rootfs",
    "stamps",
    "data",
    "runs",
    "git/objects/pack",
    "checkouts",
    "partial",
    "tmp",
];

/// The modes of folders that other users have no business in. What is in `tmp` is closed for
/// itself; whoever looks at another user's run asks there by name whether it goes on.
const CLOSED: [(&str, u32); 4] =
    [("rootfs", 0o700), ("stamps", 0o700), ("partial", 0o700), ("tmp", 0o711)];

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An operation on a file failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder was written by a later program.
    #[error("the store `{}` has format {found}\n  this program knows  {VERSION}", path.display())]
    Newer {
        /// The store's folder.
        path: PathBuf,
        /// The format it has.
        found: String,
    },
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
    /// The file that tells the folder's format says nothing.
    #[error("the store `{}` has a `version` file that says nothing\n  expected  {VERSION}", path.display())]
    NoVersion {
        /// The store's folder.
        path: PathBuf,
    },
    /// Content that should be there is not.
    #[error("the store has no content {digest}")]
    Missing {
        /// The digest asked for.
        digest: Digest,
    },
    /// Content differs from what was announced.
    #[error(
        "`{name}` is not the file that was locked\n  locked    {expected} ({expected_size} bytes)\n  received  {found} ({found_size} bytes)"
    )]
    Differs {
        /// What a reader would call it.
        name: String,
        /// The digest that was announced.
        expected: Digest,
        /// The size that was announced, in bytes.
        expected_size: u64,
        /// The digest of what came.
        found: Digest,
        /// The size of what came, in bytes.
        found_size: u64,
    },
    /// Content is to be removed while other commands may use it.
    #[error("the store `{}` is in use by another command", path.display())]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// The index of the store cannot be used.
    #[error("cannot use the store's index `{}`", path.display())]
    Index {
        /// The database file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// The system's error at the bottom, if that is what it is.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::Index { source, .. } => match source.sqlite_error_code()? {
                rusqlite::ErrorCode::DiskFull => Some(io::ErrorKind::StorageFull),
                rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen => {
                    Some(io::ErrorKind::ReadOnlyFilesystem)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// Adds action and path to a system error.
pub(crate) fn at<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// The user who owns the folder: what root adds under sudo is given to that user.
    owner: (u32, u32),
    index: Mutex<rusqlite::Connection>,
    session: Mutex<Option<Session>>,
    usage: Usage,
}

impl Store {
    /// Opens the store in `root`, makes it if there is none, and clears what killed processes left.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let owner = future_owner(root)?;
        make_folder(root, owner)?;
        check_version(root, owner)?;
        for folder in FOLDERS {
            make_folder(&root.join(folder), owner)?;
        }
        for (folder, mode) in CLOSED {
            close_folder(&root.join(folder), mode)?;
        }
        let usage = Usage::begin(root, owner)?;
        let index = facts::open(root)?;
        for file in ["repro.db", "repro.db-wal", "repro.db-shm"] {
            give(&root.join(file), owner);
        }
        let store = Self {
            root: root.to_owned(),
            owner,
            index: Mutex::new(index),
            session: Mutex::new(None),
            usage,
        };
        session::sweep(&root.join("tmp"))?;
        Ok(store)
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where content of this digest is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Size of the content in bytes, or `None` if it is not there.
    pub fn size_of(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.blob_path(digest)).ok().map(|metadata| metadata.len())
    }

    /// Whether the content is there.
    pub fn has(&self, digest: &Digest) -> bool {
        self.size_of(digest).is_some()
    }

    /// Opens the content for reading; it is not hashed again.
    pub fn open_blob(&self, digest: &Digest) -> Result<fs::File, StoreError> {
        let path = self.blob_path(digest);
        match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing { digest: *digest })
            }
            other => other.map_err(at("open", &path)),
        }
    }

    /// Reads small content whole and checks it.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { digest: *digest });
            }
            other => other.map_err(at("read", &path))?,
        };
        let found = Digest::of(&bytes);
        if found == *digest {
            return Ok(bytes);
        }
        let size = bytes.len() as u64;
        Err(StoreError::Differs {
            name: path.display().to_string(),
            expected: *digest,
            expected_size: size,
            found,
            found_size: size,
        })
    }

    /// Puts small content into the store and names it.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if !self.has(&digest) {
            let mut writer = self.writer()?;
            writer.write(bytes)?;
            writer.finish()?;
        }
        Ok(digest)
    }

    /// Starts to write content whose digest is not known yet.
    pub fn writer(&self) -> Result<BlobWriter<'_>, StoreError> {
        BlobWriter::new(self)
    }

    /// A new empty folder for this process alone; removed when the process ends, however it ends
    /// (by the next command, if it was killed).
    pub fn scratch(&self, purpose: &str) -> Result<PathBuf, StoreError> {
        let mut session = self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if session.is_none() {
            *session = Some(Session::start(&self.root.join("tmp"))?);
        }
        session.as_mut().expect("was just started").folder(purpose)
    }

    /// The name of this process's session; it is what cgroups and the like are named by.
    pub fn session(&self) -> Result<String, StoreError> {
        let mut session = self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if session.is_none() {
            *session = Some(Session::start(&self.root.join("tmp"))?);
        }
        Ok(session.as_ref().expect("was just started").id().to_owned())
    }

    /// Whether the process that has or had this session is still running.
    pub fn session_is_live(&self, id: &str) -> bool {
        session::is_live(&self.root.join("tmp"), id)
    }

    /// Moves a finished folder of [`Store::scratch`] to its place; an equal one that
    /// another process put there first wins.
    pub fn adopt(&self, folder: &Path, place: &Path) -> Result<(), StoreError> {
        match fs::rename(folder, place) {
            Ok(()) => sync_folder(place.parent().unwrap_or(&self.root)),
            Err(_) if place.is_dir() => remove_tree(folder).map_err(at("remove", folder)),
            Err(error) => Err(at("create", place)(error)),
        }
    }

    /// The folder of the data set with this tree manifest, whether it is there or not.
    pub fn data_path(&self, manifest: &Digest) -> PathBuf {
        self.root.join("data").join(manifest.hex())
    }

    /// Moves a finished data set from a folder of [`Store::scratch`] to [`Store::data_path`].
    pub fn adopt_data(&self, folder: &Path, manifest: &Digest) -> Result<PathBuf, StoreError> {
        let handle = fs::File::open(folder).map_err(at("open", folder))?;
        // One call for all files: a rename must not outlive the content after a power cut.
        rustix::fs::syncfs(&handle).map_err(|error| at("sync", folder)(error.into()))?;
        self.give_all_to_owner(folder)?;
        let place = self.data_path(manifest);
        self.adopt(folder, &place)?;
        Ok(place)
    }

    /// The object folder that all fetched git repositories share.
    pub fn git_objects(&self) -> PathBuf {
        self.root.join("git/objects")
    }

    /// Moves a finished pack of git from a folder of [`Store::scratch`] to [`Store::git_objects`].
    ///
    /// The index goes last: it is what makes a pack visible.
    pub fn adopt_pack(&self, folder: &Path) -> Result<(), StoreError> {
        let place = self.git_objects().join("pack");
        let entries = fs::read_dir(folder).map_err(at("read", folder))?;
        let rank = |path: &Path| match path.extension()?.to_str()? {
            "pack" => Some(0),
            "rev" => Some(1),
            "idx" => Some(2),
            _ => None,
        };
        // What an attempt left that broke off has no such name.
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<PathBuf> = files.filter(|path| rank(path).is_some()).collect();
        files.sort_by_key(|path| rank(path));
        for file in files {
            let handle = fs::File::open(&file).map_err(at("open", &file))?;
            handle.sync_all().map_err(at("sync", &file))?;
            self.give_to_owner(&file);
            let target = place.join(file.file_name().unwrap_or_default());
            fs::rename(&file, &target).map_err(at("create", &target))?;
        }
        sync_folder(&place)
    }

    /// Moves a finished project from a folder of [`Store::scratch`] to its place among the
    /// checkouts; one that is there already stays.
    pub fn adopt_checkout(&self, folder: &Path, name: &Digest) -> Result<PathBuf, StoreError> {
        self.give_all_to_owner(folder)?;
        let place = self.root.join("checkouts").join(name.hex());
        self.adopt(folder, &place)?;
        Ok(place)
    }

    /// The folder of run records.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Writes a small file below the store's folder (`runs/ID/record.json`) in one step.
    /// Only its owner can read it.
    pub fn write_file(&self, relative: &Path, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        let place = self.root.join(relative);
        let folder = place.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder).map_err(at("create", &folder))?;
        self.give_to_owner(&folder);
        let temporary = self.scratch("file")?.join("content");
        let file = fs::File::options().write(true).create_new(true).mode(0o600).open(&temporary);
        let written =
            file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        written.map_err(at("write", &temporary))?;
        self.give_to_owner(&temporary);
        fs::rename(&temporary, &place).map_err(at("create", &place))?;
        Ok(place)
    }

    /// Replaces a small file below the store's folder in one step, without waiting for the disk: a
    /// power cut may lose it. For what is written all the time and only counts while it is new.
    pub fn write_lightly(&self, relative: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let place = self.root.join(relative);
        whole::replace(&place, bytes).map_err(at("write", &place))?;
        self.give_to_owner(&place);
        Ok(())
    }

    fn give_all_to_owner(&self, folder: &Path) -> Result<(), StoreError> {
        self.give_to_owner(folder);
        for entry in fs::read_dir(folder).map_err(at("read", folder))? {
            let path = entry.map_err(at("read", folder))?.path();
            if path.is_dir() && !path.is_symlink() {
                self.give_all_to_owner(&path)?;
            } else {
                self.give_to_owner(&path);
            }
        }
        Ok(())
    }

    /// Gives what root made to the store's owner; a failure only matters to a later removal.
    fn give_to_owner(&self, path: &Path) {
        give(path, self.owner);
    }
}

/// Makes a rename last over a power cut.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let handle = fs::File::open(folder).map_err(at("open", folder))?;
    handle.sync_all().map_err(at("sync", folder))
}

fn write_version(path: &Path, owner: (u32, u32)) -> Result<(), StoreError> {
    write_whole(path, format!("{VERSION}\n").as_bytes()).map_err(at("create", path))?;
    give(path, owner);
    Ok(())
}

fn check_version(root: &Path, owner: (u32, u32)) -> Result<(), StoreError> {
    let path = root.join("version");
    let found = match fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return write_version(&path, owner);
        }
        Err(error) => return Err(at("read", &path)(error)),
    };
    if found.is_empty() {
        return Err(StoreError::NoVersion { path: root.to_owned() });
    }
    match found.parse::<u32>() {
        Ok(version) if version <= VERSION => Ok(()),
        _ => Err(StoreError::Newer { path: root.to_owned(), found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn content_comes_back_under_its_digest() {
        let (_folder, store) = store();
        let digest = store.put(b"abc").unwrap();
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(store.read_blob(&digest).unwrap(), b"abc");
        assert_eq!(store.size_of(&digest), Some(3));
    }

    #[test]
    fn content_changed_on_disk_is_refused() {
        let (_folder, store) = store();
        let digest = store.put(b"abc").unwrap();
        fs::write(store.blob_path(&digest), b"abd").unwrap();
        assert!(matches!(store.read_blob(&digest), Err(StoreError::Differs { .. })));
    }

    #[test]
    fn a_store_of_a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("version"), "99\n").unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found, .. } if found == "99"));
    }

    #[test]
    fn a_store_that_does_not_say_its_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("version"), "\n").unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::NoVersion { .. }), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_is_gone_at_the_next_start() {
        let (folder, store) = store();
        let live = store.scratch("test").unwrap();
        let dead = folder.path().join("tmp/dead");
        fs::create_dir_all(dead.join("upper")).unwrap();
        let other = Store::open(folder.path()).unwrap();
        assert!(!dead.exists());
        assert!(live.exists(), "a live session was swept");
        assert!(other.session_is_live(&store.session().unwrap()));
        drop(store);
        assert!(!live.exists());
    }
}
