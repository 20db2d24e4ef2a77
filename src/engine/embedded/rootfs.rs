//! Unpacks a layer once, into a folder that is kept under its diff ID.
//!
//! Invariants: a folder under `rootfs` holds exactly the entries of the tar stream
//! whose SHA-256 is its name, with the stream's types, modes, owners, times, link
//! targets and hard links; it is complete before it gets that name. Nothing is ever
//! written outside the folder: every entry's parent must be a directory that this
//! unpacking made itself. A directory that has no entry of its own gets the metadata
//! that the layer rules give every directory.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Component, Path, PathBuf};
use std::thread;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, syncfs, utimensat};
use tar::{Entry, EntryType};

use crate::digest::{DiffId, Hasher};
use crate::engine::EngineError;
use crate::image::ImageError;
use crate::layer::{MTIME, directory_mode};
use crate::store::{Store, StoreError};

/// Bytes copied at once.
const BUFFER: usize = 256 << 10;

/// The layer's folder; `write` streams its tar if it has to be unpacked first.
pub fn ensure(
    store: &Store,
    diff_id: DiffId,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ImageError> + Send,
) -> Result<PathBuf, EngineError> {
    let place = store.rootfs_path(&diff_id);
    if place.is_dir() {
        return Ok(place);
    }
    let (reader, inner) =
        io::pipe().map_err(|source| EngineError::Helper { action: "open a pipe to", source })?;
    let mut writer = PipeWriter { inner, broken: false };
    thread::scope(|scope| {
        let streaming = scope.spawn(move || {
            let written = write(&mut writer);
            (written, writer.broken)
        });
        let unpacked = unpack(store, diff_id, reader);
        match streaming.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            (Err(source), false) => Err(EngineError::Stream { diff_id, source: Box::new(source) }),
            _ => unpacked,
        }
    })
}

/// Remembers that the reader went away, so that the reader's reason is told and not the writer's.
struct PipeWriter {
    inner: io::PipeWriter,
    broken: bool,
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.broken |= matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Unpacks a layer's tar stream into the store; fails if its digest is not `diff_id`.
pub fn unpack(store: &Store, diff_id: DiffId, tar: impl Read) -> Result<PathBuf, EngineError> {
    let root = store.scratch("layer")?;
    let unpacked = unpack_into(&root, diff_id, tar);
    let place = store.rootfs_path(&diff_id);
    let kept = unpacked.and_then(|()| {
        sync(&root)?;
        Ok(store.adopt(&root, &place)?)
    });
    if kept.is_err() {
        // What stays here is removed with the session.
        let _ = fs::remove_dir_all(&root);
    }
    kept.map(|()| place)
}

/// One flush of the file system costs less than one for each of thousands of files.
fn sync(root: &Path) -> Result<(), StoreError> {
    let flushed = File::open(root).and_then(|folder| Ok(syncfs(folder)?));
    flushed.map_err(|source| io_error("sync", root, source))
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

fn unpack_into(root: &Path, diff_id: DiffId, tar: impl Read) -> Result<(), EngineError> {
    let mut archive = tar::Archive::new(HashingReader { inner: tar, hasher: Hasher::new() });
    let mut tree = Tree::new(root, diff_id);
    let entries = archive.entries().map_err(|error| tree.refuse("", error))?;
    for entry in entries {
        let entry = entry.map_err(|error| tree.refuse("", error))?;
        tree.add(entry)?;
    }
    tree.finish()?;
    // The digest is over every byte, also over what follows the end of the archive.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| tree.refuse("", error))?;
    let found = DiffId(rest.hasher.finish());
    if found == diff_id { Ok(()) } else { Err(EngineError::Differs { expected: diff_id, found }) }
}

struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Metadata of a directory; set last, because whatever is made inside changes its time.
#[derive(Clone, Copy)]
struct Directory {
    mode: u32,
    owner: (u32, u32),
    time: i64,
}

impl Directory {
    /// A directory without an entry. A layer has no entry for a directory of the layers
    /// below it, but stacked over them this one's metadata is the one that shows.
    fn implicit(path: &Path) -> Self {
        let mode = directory_mode(&path.to_string_lossy());
        Self { mode, owner: (0, 0), time: MTIME.cast_signed() }
    }
}

/// The folder while it is being filled.
struct Tree<'a> {
    root: &'a Path,
    diff_id: DiffId,
    /// Every directory below `root`, by its path in the layer; the empty path is `root`.
    directories: BTreeMap<PathBuf, Directory>,
    buffer: Vec<u8>,
}

impl<'a> Tree<'a> {
    fn new(root: &'a Path, diff_id: DiffId) -> Self {
        let directories = BTreeMap::from([(PathBuf::new(), Directory::implicit(Path::new("")))]);
        Self { root, diff_id, directories, buffer: vec![0; BUFFER] }
    }

    fn refuse(&self, entry: impl ToString, reason: impl ToString) -> EngineError {
        EngineError::Unpack {
            diff_id: self.diff_id,
            entry: entry.to_string(),
            reason: reason.to_string(),
        }
    }

    fn add(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), EngineError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = entry.path().map_err(|error| self.refuse(&name, error))?.into_owned();
        let path = relative(&path).map_err(|reason| self.refuse(&name, reason))?;
        let kind = entry.header().entry_type();
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        self.make_directories(&parent).map_err(|error| self.refuse(&name, error))?;
        let made = match kind {
            EntryType::Directory => self.add_directory(&path, &entry),
            _ if path.as_os_str().is_empty() => Err(invalid("only a directory can be the root")),
            _ if is_whiteout(&path) => Err(invalid("a deletion of a file of a layer below")),
            EntryType::Regular | EntryType::Continuous => self.add_file(&path, &mut entry),
            EntryType::Symlink => self.add_symlink(&path, &entry),
            EntryType::Link => self.add_hard_link(&path, &entry),
            other => Err(invalid(format!("an entry of type {other:?}"))),
        };
        made.map_err(|error| self.explain(&name, error))
    }

    /// A full disk is the store's trouble, everything else the layer's.
    fn explain(&self, name: &str, error: io::Error) -> EngineError {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem => {
                io_error("write", &self.root.join(name), error).into()
            }
            io::ErrorKind::AlreadyExists => {
                self.refuse(name, "there is another entry of this path")
            }
            _ => self.refuse(name, error),
        }
    }

    /// Makes what is missing of `path`; fails where something else than a directory of ours is.
    fn make_directories(&mut self, path: &Path) -> io::Result<()> {
        if self.directories.contains_key(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directories(parent)?;
        }
        fs::create_dir(self.root.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => invalid("its folder is not a directory in this layer"),
            _ => error,
        })?;
        self.directories.insert(path.to_owned(), Directory::implicit(path));
        Ok(())
    }

    fn add_directory(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        if !self.directories.contains_key(path) {
            fs::create_dir(self.root.join(path))?;
        }
        let header = entry.header();
        let mode = header.mode()? & 0o7777;
        let time = seconds(header.mtime()?)?;
        self.directories.insert(path.to_owned(), Directory { mode, owner: owner(entry)?, time });
        Ok(())
    }

    fn add_file(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        let (mode, time) = (entry.header().mode()? & 0o7777, seconds(entry.header().mtime()?)?);
        let (user, group) = owner(entry)?;
        let full = self.root.join(path);
        let mut file = File::create_new(&full)?;
        let mut left = entry.size();
        while left > 0 {
            match entry.read(&mut self.buffer)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                count => {
                    file.write_all(&self.buffer[..count])?;
                    left -= count as u64;
                }
            }
        }
        std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
        // After the owner: a change of owner clears setuid and setgid (chown(2)).
        file.set_permissions(Permissions::from_mode(mode))?;
        set_time(&full, time)
    }

    fn add_symlink(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let target = entry.link_name()?.ok_or_else(|| invalid("a symlink without a target"))?;
        let full = self.root.join(path);
        symlink(&target, &full)?;
        let (user, group) = owner(entry)?;
        lchown(&full, Some(user), Some(group))?;
        set_time(&full, seconds(entry.header().mtime()?)?)
    }

    fn add_hard_link(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let target = entry.link_name()?.ok_or_else(|| invalid("a hard link without a target"))?;
        let target = relative(&target).map_err(invalid)?;
        let folder = target.parent().unwrap_or(Path::new(""));
        if !self.directories.contains_key(folder) {
            return Err(invalid("its target is not an earlier entry of this layer"));
        }
        fs::hard_link(self.root.join(&target), self.root.join(path))
    }

    /// Gives every directory its metadata, deepest first: making one entry touches only its parent.
    fn finish(&self) -> Result<(), EngineError> {
        for (path, directory) in self.directories.iter().rev() {
            let full = self.root.join(path);
            let (user, group) = directory.owner;
            let set = lchown(&full, Some(user), Some(group))
                .and_then(|()| fs::set_permissions(&full, Permissions::from_mode(directory.mode)))
                .and_then(|()| set_time(&full, directory.time));
            set.map_err(|error| self.explain(&path.to_string_lossy(), error))?;
        }
        Ok(())
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// The path of an entry without `./` and a trailing slash; one that would leave the layer is refused.
fn relative(path: &Path) -> Result<PathBuf, String> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return Err(format!("the path `{}` leaves the layer", path.display())),
        }
    }
    Ok(clean)
}

/// Deletions (OCI image specification, "Whiteouts") occur only in layers of a foreign base.
fn is_whiteout(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".wh."))
}

fn owner(entry: &Entry<'_, impl Read>) -> io::Result<(u32, u32)> {
    let narrow = |id: u64| u32::try_from(id).map_err(|_| invalid(format!("an owner {id}")));
    Ok((narrow(entry.header().uid()?)?, narrow(entry.header().gid()?)?))
}

fn seconds(time: u64) -> io::Result<i64> {
    i64::try_from(time).map_err(|_| invalid(format!("a time {time}")))
}

fn set_time(path: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
