//! Hashes many files on all cores, and remembers what it has hashed.
//!
//! A worker reads with large reads into one buffer that it keeps, so that the
//! cost is SHA-256 and not page faults. When there are fewer files left than
//! workers, the last files are read ahead by a second thread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::{DatasetError, Progress, at};
use crate::digest::{Digest, Hasher};
use crate::store::{FileStamp, Store};

/// Fits a level-2 cache; larger reads were not faster.
const BUFFER: usize = 256 << 10;

/// A file at least this large is worth a thread that reads it ahead.
const READ_AHEAD_FROM: u64 = 8 << 20;

/// Results are kept in the store after this many bytes, so that an interrupted run is not lost.
const KEEP_AFTER: u64 = 1 << 30;

/// The bucket of the store's facts.
const BUCKET: &str = "verified-file";

/// Digest and size of a file, or why it could not be read.
pub(super) type Hashed = Result<(Digest, u64), String>;

/// Hashes `paths`; those that are unchanged since they were hashed last are not read again
/// unless `full` says so.
pub(super) fn hash_all(
    store: &Store,
    paths: &[PathBuf],
    full: bool,
    progress: &dyn Progress,
) -> Result<BTreeMap<PathBuf, Hashed>, DatasetError> {
    let mut done = BTreeMap::new();
    let mut jobs = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Err(error) => drop(done.insert(path.clone(), Err(error.to_string()))),
            Ok(metadata) => {
                let known = if full { None } else { recall(store, path, &metadata)? };
                match known {
                    Some(digest) => {
                        drop(done.insert(path.clone(), Ok((digest, metadata.len()))));
                    }
                    None => jobs.push((metadata.len(), path.as_path())),
                }
            }
        }
    }
    if !jobs.is_empty() {
        // The largest first: the cores are then done at about the same time.
        jobs.sort_by(|left, right| right.cmp(left));
        hash_jobs(store, &jobs, progress, &mut done)?;
    }
    Ok(done)
}

/// Digest and size of one file; one that is unchanged since it was hashed last is not read again.
///
/// # Errors
///
/// What cannot be read, and [`DatasetError::Stopped`] if somebody asked to stop.
pub fn measure_file(
    store: &Store,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(Digest, u64), DatasetError> {
    let mut hashed = hash_all(store, &[path.to_owned()], false, progress)?;
    let result = hashed.remove(path).unwrap_or_else(|| Err("it was not hashed".to_owned()));
    result.map_err(|reason| at("read", path)(io::Error::other(reason)))
}

/// Remembers the digest of a file that was hashed while it was written.
///
/// # Errors
///
/// The store's; a file that is gone again is none.
pub fn note_measured(store: &Store, path: &Path, digest: &Digest) -> Result<(), DatasetError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let stamp = FileStamp::of(&metadata);
    Ok(store.remember(BUCKET, &key(path), &format!("{} {digest}", stamp.as_str()))?)
}

struct Finished<'a> {
    path: &'a Path,
    result: io::Result<(Digest, u64, FileStamp)>,
}

fn hash_jobs(
    store: &Store,
    jobs: &[(u64, &Path)],
    progress: &dyn Progress,
    done: &mut BTreeMap<PathBuf, Hashed>,
) -> Result<(), DatasetError> {
    progress.begin("verify data", jobs.iter().map(|(size, _)| size).sum());
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(jobs.len());
    let (send, receive) = mpsc::channel();
    let result = thread::scope(|scope| {
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || work(jobs, next, progress, &send));
        }
        drop(send);
        collect(store, &receive, done)
    });
    progress.finish();
    // A file that was left is not one that cannot be read.
    if progress.is_stopped() { Err(DatasetError::Stopped) } else { result }
}

fn work<'a>(
    jobs: &[(u64, &'a Path)],
    next: &AtomicUsize,
    progress: &dyn Progress,
    send: &mpsc::Sender<Finished<'a>>,
) {
    let mut buffer = vec![0; BUFFER];
    while let Some((size, path)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
        let last = next.load(Ordering::Relaxed) >= jobs.len();
        let ahead = last && *size >= READ_AHEAD_FROM;
        let result = hash_file(path, ahead, &mut buffer, progress);
        // The receiver is gone only if keeping results failed; nothing is left to do then.
        if send.send(Finished { path, result }).is_err() {
            return;
        }
    }
}

fn collect(
    store: &Store,
    receive: &mpsc::Receiver<Finished<'_>>,
    done: &mut BTreeMap<PathBuf, Hashed>,
) -> Result<(), DatasetError> {
    let mut facts = Vec::new();
    let mut bytes = 0;
    for Finished { path, result } in receive {
        let hashed = result.map(|(digest, size, stamp)| {
            facts.push((key(path), format!("{} {digest}", stamp.as_str())));
            bytes += size;
            (digest, size)
        });
        done.insert(path.to_owned(), hashed.map_err(|error| error.to_string()));
        if bytes >= KEEP_AFTER {
            store.remember_all(BUCKET, &std::mem::take(&mut facts))?;
            bytes = 0;
        }
    }
    store.remember_all(BUCKET, &facts)?;
    Ok(())
}

fn hash_file(
    path: &Path,
    ahead: bool,
    buffer: &mut [u8],
    progress: &dyn Progress,
) -> io::Result<(Digest, u64, FileStamp)> {
    let mut file = File::open(path)?;
    let before = FileStamp::of(&file.metadata()?);
    // A hint that may be refused (a pipe, an odd file system); the result is the same.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
    let mut hasher = Hasher::new();
    if ahead {
        read_ahead(&mut file, |bytes| take_in(&mut hasher, bytes, progress))?;
    } else {
        while let count @ 1.. = read(&mut file, buffer)? {
            take_in(&mut hasher, &buffer[..count], progress)?;
        }
    }
    let after = FileStamp::of(&file.metadata()?);
    if before != after {
        return Err(io::Error::other("it was changed while it was read"));
    }
    let size = hasher.size();
    Ok((hasher.finish(), size, after))
}

fn take_in(hasher: &mut Hasher, bytes: &[u8], progress: &dyn Progress) -> io::Result<()> {
    if progress.is_stopped() {
        return Err(io::Error::other("somebody asked to stop"));
    }
    hasher.update(bytes);
    progress.advance(bytes.len() as u64);
    Ok(())
}

fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads in a second thread while this one takes the bytes in; the buffers go round.
fn read_ahead(file: &mut File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    const BUFFERS: usize = 4;
    thread::scope(|scope| {
        let (full, filled) = mpsc::sync_channel::<io::Result<(Vec<u8>, usize)>>(BUFFERS);
        let (empty, free) = mpsc::sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            empty.send(vec![0; BUFFER]).expect("the receiver is still here");
        }
        scope.spawn(move || {
            for mut buffer in free {
                let result = read(file, &mut buffer);
                let end = !matches!(result, Ok(1..));
                if full.send(result.map(|count| (buffer, count))).is_err() || end {
                    return;
                }
            }
        });
        for read in filled {
            let (buffer, count) = read?;
            take(&buffer[..count])?;
            // The reader is gone after the last buffer.
            let _ = empty.send(buffer);
        }
        Ok(())
    })
}

/// Links are followed, so that a data set reached by two ways is hashed once.
fn key(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn recall(
    store: &Store,
    path: &Path,
    metadata: &fs::Metadata,
) -> Result<Option<Digest>, DatasetError> {
    let Some(value) = store.recall(BUCKET, &key(path))? else { return Ok(None) };
    let Some((stamp, digest)) = value.split_once(' ') else { return Ok(None) };
    let same = stamp == FileStamp::of(metadata).as_str();
    Ok(digest.parse().ok().filter(|_| same))
}
