//! The folder of one layer while it is being filled, entry by entry.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};
use tar::{Entry, EntryType};

use super::entry::{Place, place, relative};
use super::io_error;
use super::marks::Marks;
use crate::digest::DiffId;
use crate::engine::EngineError;
use crate::layer::{MTIME, directory_mode};
use crate::store::{is_root, remove_tree};
use crate::tarball::PathBytes;

/// Bytes copied at once.
const BUFFER: usize = 256 << 10;

/// The mode of the layer's own folder.
const CLOSED: u32 = 0o700;

/// Metadata of a directory; set last, because whatever is made inside changes its time.
#[derive(Clone, Copy)]
struct Directory {
    mode: u32,
    owner: (u32, u32),
    time: i64,
    /// Whether the stream has an entry for it.
    has_entry: bool,
}

impl Directory {
    /// A directory without an entry. A layer has no entry for a directory of the layers
    /// below it, but stacked over them this one's metadata is the one that shows.
    fn implicit(path: &Path) -> Self {
        let mode = directory_mode(&path.to_string_lossy());
        Self { mode, owner: (0, 0), time: MTIME.cast_signed(), has_entry: false }
    }
}

/// The folder while it is being filled.
pub(super) struct Tree<'a> {
    root: &'a Path,
    diff_id: DiffId,
    /// Every directory below `root`, by its path in the layer; the empty path is `root`.
    directories: BTreeMap<PathBuf, Directory>,
    marks: Marks,
    /// Whether files can be given to others than this process's user.
    gives: bool,
    buffer: Vec<u8>,
    bytes: PathBytes,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: &'a Path, diff_id: DiffId) -> Self {
        let directories = BTreeMap::from([(PathBuf::new(), Directory::implicit(Path::new("")))]);
        let (marks, gives, buffer) = (Marks::default(), is_root(), vec![0; BUFFER]);
        Self { root, diff_id, directories, marks, gives, buffer, bytes: PathBytes::default() }
    }

    pub(super) fn refuse(&self, entry: impl ToString, reason: impl ToString) -> EngineError {
        EngineError::Unpack {
            diff_id: self.diff_id,
            entry: entry.to_string(),
            reason: reason.to_string(),
        }
    }

    /// Adds one entry; of two with one path the last wins, as in Docker.
    pub(super) fn add(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), EngineError> {
        // A comment on the whole stream, as `git archive` writes one.
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            return Ok(());
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = entry.path().map_err(|error| self.refuse(&name, error))?.into_owned();
        let added = match place(&path).map_err(|reason| self.refuse(&name, reason))? {
            Place::Nothing => Ok(()),
            Place::Here(path) => self.add_at(&path, &mut entry),
            Place::Deleted(path) => {
                let made = self.make_directories(path.parent().unwrap_or(Path::new("")));
                self.marks.delete(path);
                made
            }
            Place::Opaque(path) => {
                let made = self.make_directories(&path);
                self.marks.hide_below(path);
                made
            }
        };
        added.map_err(|error| self.explain(&name, error))
    }

    fn add_at(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        self.make_directories(path.parent().unwrap_or(Path::new("")))?;
        let kind = kind(entry);
        if path.as_os_str().is_empty() && kind != EntryType::Directory {
            return Err(invalid("only a directory can be the root"));
        }
        match kind {
            EntryType::Directory => self.add_directory(path, entry),
            EntryType::Regular | EntryType::Continuous => self.add_file(path, entry),
            EntryType::Symlink => self.add_symlink(path, entry),
            EntryType::Link => self.add_hard_link(path, entry),
            EntryType::Fifo => self.add_fifo(path, entry),
            // A sealed run has its own devices, and no others work in it.
            EntryType::Char | EntryType::Block => self.clear(path),
            other => Err(invalid(format!("an entry of type {other:?}"))),
        }
    }

    /// A full disk is the store's trouble, everything else the layer's.
    fn explain(&self, name: &str, error: io::Error) -> EngineError {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(&error);
        let of_store = [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::FBIG,
            Errno::IO,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
        ];
        match errno.is_some_and(|errno| of_store.contains(&errno)) {
            true => io_error("write", &self.root.join(name), error).into(),
            false => self.refuse(name, error),
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
        self.bytes.add(path.as_os_str().as_bytes()).map_err(invalid)?;
        fs::create_dir(self.root.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => invalid("its folder is not a directory in this layer"),
            _ => error,
        })?;
        self.directories.insert(path.to_owned(), Directory::implicit(path));
        Ok(())
    }

    /// Makes something new at `path`, in place of what an earlier entry put there.
    fn make<T>(&mut self, path: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
        let full = self.root.join(path);
        match make(&full) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.clear(path)?;
                make(&full)
            }
            other => other,
        }
    }

    /// Removes what an earlier entry put there.
    fn clear(&mut self, path: &Path) -> io::Result<()> {
        let full = self.root.join(path);
        match full.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(metadata) if metadata.is_dir() => {
                self.directories.retain(|directory, _| !directory.starts_with(path));
                self.marks.forget_below(path);
                remove_tree(&full)
            }
            Ok(_) => fs::remove_file(&full),
        }
    }

    fn add_directory(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        if !self.directories.contains_key(path) {
            self.bytes.add(path.as_os_str().as_bytes()).map_err(invalid)?;
            self.make(path, |full| fs::create_dir(full))?;
        }
        let header = entry.header();
        let mode = header.mode()? & 0o7777;
        let (owner, time) = (owner(entry)?, seconds(header.mtime()?)?);
        self.directories.insert(path.to_owned(), Directory { mode, owner, time, has_entry: true });
        Ok(())
    }

    fn add_file(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        let mut file = self.make(path, |full| File::create_new(full))?;
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
        self.finish_file(path, entry)
    }

    fn add_fifo(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        self.make(path, |full| Ok(mknodat(CWD, full, FileType::Fifo, Mode::empty(), 0)?))?;
        self.finish_file(path, entry)
    }

    /// Gives a new file its owner, its mode and its time.
    fn finish_file(&self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let full = self.root.join(path);
        self.give(&full, owner(entry)?)?;
        // After the owner: a change of owner clears setuid and setgid (chown(2)).
        fs::set_permissions(&full, Permissions::from_mode(entry.header().mode()? & 0o7777))?;
        set_time(&full, seconds(entry.header().mtime()?)?)
    }

    fn add_symlink(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let target = entry.link_name()?.ok_or_else(|| invalid("a symlink without a target"))?;
        self.make(path, |full| symlink(&target, full))?;
        let full = self.root.join(path);
        self.give(&full, owner(entry)?)?;
        set_time(&full, seconds(entry.header().mtime()?)?)
    }

    fn add_hard_link(&mut self, path: &Path, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let target = entry.link_name()?.ok_or_else(|| invalid("a hard link without a target"))?;
        let target = relative(&target).map_err(invalid)?;
        let source = self.root.join(&target);
        let folder = target.parent().unwrap_or(Path::new(""));
        let is_file = |path: &Path| path.symlink_metadata().is_ok_and(|it| !it.is_dir());
        if !self.directories.contains_key(folder) || !is_file(&source) || path.starts_with(&target)
        {
            let reason =
                format!("its target `{}` is no earlier file of this layer", target.display());
            return Err(invalid(reason));
        }
        self.make(path, |full| fs::hard_link(&source, full))
    }

    fn give(&self, full: &Path, (user, group): (u32, u32)) -> io::Result<()> {
        if self.gives { lchown(full, Some(user), Some(group)) } else { Ok(()) }
    }

    /// Makes the marks and gives every directory its metadata; gives the directories that
    /// have no entry of their own.
    pub(super) fn finish(&mut self) -> Result<Vec<PathBuf>, EngineError> {
        let is_folder = |path: &Path| {
            let metadata = self.root.join(path).symlink_metadata();
            metadata.ok().map(|metadata| metadata.is_dir())
        };
        for (path, mark) in std::mem::take(&mut self.marks).settle(is_folder) {
            let made = mark.make(&self.root.join(&path));
            made.map_err(|error| self.explain(&path.to_string_lossy(), error))?;
        }
        // Deepest first: making one entry touches only its parent.
        for (path, directory) in self.directories.iter().rev() {
            let set = self.finish_directory(path, directory);
            set.map_err(|error| self.explain(&path.to_string_lossy(), error))?;
        }
        let implicit = self.directories.iter().filter(|(_, directory)| !directory.has_entry);
        Ok(implicit.map(|(path, _)| path.clone()).collect())
    }

    fn finish_directory(&self, path: &Path, directory: &Directory) -> io::Result<()> {
        let full = self.root.join(path);
        let mut mode = directory.mode;
        if path.as_os_str().is_empty() {
            // A job's root is the overlay's upper folder. This one keeps other users from what is in
            // it, and can be moved to its place only if its owner may change it (rename(2)).
            mode = CLOSED;
        } else {
            self.give(&full, directory.owner)?;
        }
        fs::set_permissions(&full, Permissions::from_mode(mode))?;
        set_time(&full, directory.time)
    }
}

/// The type of an entry. Before POSIX a directory was told by its name alone.
fn kind(entry: &Entry<'_, impl Read>) -> EntryType {
    match entry.header().entry_type() {
        EntryType::Regular if entry.path_bytes().ends_with(b"/") => EntryType::Directory,
        other => other,
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
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
