//! Unpacks a layer once, into a folder that is kept under its diff ID.
//!
//! A layer is unpacked alone, whatever images it is part of. What it deletes of layers
//! below becomes marks that the overlay file system understands ([`marks`]); whether
//! layers fit on each other is asked when they are stacked ([`fit`]).
//!
//! Invariants: a folder under `rootfs` holds what the tar stream whose SHA-256 is its
//! name says, with the stream's types, modes, times, link targets and hard links; it is
//! complete before it gets that name. The owners are the stream's if root unpacks, else
//! the user is the owner of everything, and is user 0 in the job. Left out are devices
//! (a sealed run has its own, and no others work in it) and extended attributes (a
//! job can gain no privilege, so capabilities of files would mean nothing). The folder itself
//! is closed to other users: below it lie setuid programs. Before each use everything in it is
//! compared with a stamp ([`stamp`]), and what was changed is unpacked again. Nothing is
//! ever written outside the folder: every entry's parent must be a directory that this
//! unpacking made itself. A directory that has no entry of its own gets the metadata
//! that the layer rules give every directory.

mod entry;
mod fit;
mod marks;
mod stamp;
mod tree;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::syncfs;

use crate::digest::{DiffId, Hasher};
use crate::engine::{Changed, EngineError, Stop, Unpacking};
use crate::image::ImageError;
use crate::store::{Seat, Store, StoreError, remove_tree};
use crate::tarball;

pub(super) use entry::{Place, place, relative};
pub(super) use fit::check as check_fit;
pub(super) use marks::{Mark, Marks};
use tree::Tree;

/// How long to wait before asking again whether another command has unpacked the layer.
const PAUSE: Duration = Duration::from_millis(50);

/// The layer's folder; `write` streams its tar if it has to be unpacked first.
pub fn ensure(
    store: &Store,
    diff_id: DiffId,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ImageError> + Send,
) -> Result<PathBuf, EngineError> {
    ensure_watched(store, diff_id, &Watch { name: "", progress: &(), stop: &Stop::new() }, write)
}

/// Whoever waits for a layer.
pub(super) struct Watch<'a> {
    /// What the layer holds, in a reader's words.
    pub(super) name: &'a str,
    pub(super) progress: &'a dyn Unpacking,
    pub(super) stop: &'a Stop,
}

/// Whether the layer is there as it was unpacked.
pub(super) fn is_whole(store: &Store, diff_id: DiffId) -> Result<bool, EngineError> {
    let seat = store.seat(&diff_id)?;
    Ok(seat.share()? && matches!(state(&seat)?, State::Whole))
}

/// As [`ensure`]; tells of a layer that was changed, and unpacks that one again.
pub(super) fn ensure_watched(
    store: &Store,
    diff_id: DiffId,
    watch: &Watch<'_>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ImageError> + Send,
) -> Result<PathBuf, EngineError> {
    let seat = store.seat(&diff_id)?;
    if seat.share()? && matches!(state(&seat)?, State::Whole) {
        return Ok(seat.place().to_owned());
    }
    while !seat.take()? {
        if watch.stop.is_requested() {
            return Err(StoreError::Stopped.into());
        }
        thread::sleep(PAUSE);
    }
    match state(&seat)? {
        // Another command unpacked it meanwhile.
        State::Whole => return Ok(seat.place().to_owned()),
        State::Missing => {}
        // Nobody can say what is in it, and no job of this program runs on it.
        State::Unknown => seat.clear()?,
        State::Differs(found) => {
            let kept = if found.is_elsewhere { None } else { Some(seat.set_aside()?) };
            if kept.is_none() {
                seat.clear()?;
            }
            let layer = seat.place().to_owned();
            let name = watch.name.to_owned();
            watch.progress.changed(&Changed { name, layer, paths: found.paths, kept });
        }
    }
    stream(&seat, store, diff_id, watch, write)
}

/// What lies in a layer's place.
enum State {
    /// What was unpacked.
    Whole,
    /// Nothing.
    Missing,
    /// Something that has no stamp: an older program unpacked it.
    Unknown,
    /// Something that differs from its stamp.
    Differs(stamp::Difference),
}

fn state(seat: &Seat<'_>) -> Result<State, EngineError> {
    if !seat.is_taken() {
        return Ok(State::Missing);
    }
    let kept = seat.stamp()?;
    if kept.is_empty() {
        return Ok(State::Unknown);
    }
    let now = stamp::take(seat.place());
    let now = now.map_err(|source| io_error("look through", seat.place(), source))?;
    Ok(stamp::compare(&kept, &now).map_or(State::Whole, State::Differs))
}

fn stream(
    seat: &Seat<'_>,
    store: &Store,
    diff_id: DiffId,
    watch: &Watch<'_>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ImageError> + Send,
) -> Result<PathBuf, EngineError> {
    let (reader, inner) =
        io::pipe().map_err(|source| EngineError::Helper { action: "open a pipe to", source })?;
    let mut writer = PipeWriter { inner, broken: false };
    thread::scope(|scope| {
        let streaming = scope.spawn(move || {
            let written = write(&mut writer);
            (written, writer.broken)
        });
        let unpacked = unpack_at(seat, store, diff_id, Watched { inner: reader, watch });
        let streamed = streaming.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match streamed {
            _ if watch.stop.is_requested() && unpacked.is_err() => Err(StoreError::Stopped.into()),
            (Err(source), false) => Err(EngineError::Stream { diff_id, source: Box::new(source) }),
            _ => unpacked,
        }
    })
}

/// Tells how far the stream is, and ends when somebody asks to stop.
struct Watched<'a, R> {
    inner: R,
    watch: &'a Watch<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.stop.is_requested() {
            return Err(io::Error::other("somebody asked to stop"));
        }
        let count = self.inner.read(buffer)?;
        self.watch.progress.advance(count as u64);
        Ok(count)
    }
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
    let seat = store.seat(&diff_id)?;
    while !seat.take()? {
        thread::sleep(PAUSE);
    }
    unpack_at(&seat, store, diff_id, tar)
}

/// Unpacks it to its place, whose lock is held alone.
fn unpack_at(
    seat: &Seat<'_>,
    store: &Store,
    diff_id: DiffId,
    tar: impl Read,
) -> Result<PathBuf, EngineError> {
    let root = store.scratch("layer")?;
    let unpacked = unpack_into(&root, diff_id, tar);
    let kept = unpacked.and_then(|implicit| {
        sync(&root)?;
        // Before the folder has its name: no layer is ever stacked unasked, nor without a stamp.
        fit::remember(store, diff_id, &implicit)?;
        let stamp = stamp::take(&root).map_err(|source| io_error("look through", &root, source))?;
        Ok(seat.fill(&root, &stamp)?)
    });
    if kept.is_err() {
        // What stays here is removed with the session.
        let _ = remove_tree(&root);
    }
    kept.map(|()| seat.place().to_owned())
}

/// One flush of the file system costs less than one for each of thousands of files.
fn sync(root: &Path) -> Result<(), StoreError> {
    let flushed = File::open(root).and_then(|folder| Ok(syncfs(folder)?));
    flushed.map_err(|source| io_error("sync", root, source))
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

/// Unpacks the stream; gives the directories that have no entry of their own.
fn unpack_into(root: &Path, diff_id: DiffId, tar: impl Read) -> Result<Vec<PathBuf>, EngineError> {
    let mut archive = tarball::open(HashingReader { inner: tar, hasher: Hasher::new() });
    let mut tree = Tree::new(root, diff_id);
    let entries = archive.entries().map_err(|error| tree.refuse("", error))?;
    for entry in entries {
        let entry = entry.map_err(|error| tree.refuse("", error))?;
        tree.add(entry)?;
    }
    let implicit = tree.finish()?;
    // The digest is over every byte, also over what follows the end of the archive.
    let mut rest = archive.into_inner().into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| tree.refuse("", error))?;
    let found = DiffId(rest.hasher.finish());
    if found == diff_id {
        Ok(implicit)
    } else {
        Err(EngineError::Differs { expected: diff_id, found })
    }
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
