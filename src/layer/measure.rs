//! Finds out and proves what a layer's bytes are.
//!
//! Measuring inflates everything once, on the way to a first seal: it checks each
//! stream and gives the diff ID. Proving is what every later build does: one SHA-256
//! pass over the compressed bytes, nothing inflated.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::error::LayerError;
use super::plan::LayerPlan;
use super::stream::{self, Outputs};
use super::threads;
use crate::digest::{DiffId, Digest, Hasher};
use crate::store::Store;

/// What a layer turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Compressed bytes.
    pub size: u64,
    /// Bytes of the tar stream.
    pub tar_size: u64,
}

/// Is told the compressed bytes done since its last call, and says whether to go on.
pub type Tell<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + Sync);

/// Small writes are gathered into pieces of this many bytes.
const PIECE_SIZE: usize = 256 << 10;

impl LayerPlan {
    /// Writes the uncompressed tar stream; the content of each file is checked.
    pub fn write_tar(&self, store: &Store, out: &mut (dyn Write + Send)) -> Result<(), LayerError> {
        let mut out = BufWriter::with_capacity(PIECE_SIZE, out);
        self.run(store, Outputs { tar: Some(&mut out), blob: None })?;
        out.flush().map_err(LayerError::Write)
    }

    /// Writes the compressed bytes. Copied streams are not inflated: whoever must be sure
    /// compares the digest of what was written.
    pub fn write_blob(
        &self,
        store: &Store,
        out: &mut (dyn Write + Send),
    ) -> Result<(), LayerError> {
        let mut out = BufWriter::with_capacity(PIECE_SIZE, out);
        self.run(store, Outputs { tar: None, blob: Some(&mut out) })?;
        out.flush().map_err(LayerError::Write)
    }

    /// Inflates everything once, checks it, and says what the layer is.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the inputs, and [`LayerError::Stopped`] if `progress` says so.
    pub fn measure(&self, store: &Store, progress: Tell<'_>) -> Result<Measured, LayerError> {
        let stopped = AtomicBool::new(false);
        let mut tar = HashThread::start();
        let mut blob = HashThread::start();
        let mut counted = Counted { out: &mut blob, progress, stopped: &stopped };
        let done = self.run(store, Outputs { tar: Some(&mut tar), blob: Some(&mut counted) });
        let (tar, blob) = (tar.finish()?, blob.finish()?);
        unless_stopped(done, &stopped)?;
        let (tar_size, size) = (tar.size(), blob.size());
        Ok(Measured { diff_id: DiffId(tar.finish()), digest: blob.finish(), size, tar_size })
    }

    /// Makes the compressed bytes and compares their digest with the seal's.
    ///
    /// # Errors
    ///
    /// [`LayerError::Differs`] with both digests and sizes, [`LayerError::Stopped`] if `progress`
    /// says so.
    pub fn prove(
        &self,
        store: &Store,
        digest: &Digest,
        size: u64,
        progress: Tell<'_>,
    ) -> Result<(), LayerError> {
        let stopped = AtomicBool::new(false);
        let mut hasher = Hasher::new();
        let mut counted = Counted { out: &mut hasher, progress, stopped: &stopped };
        let done = self.run(store, Outputs { tar: None, blob: Some(&mut counted) });
        unless_stopped(done, &stopped)?;
        let found_size = hasher.size();
        let found = hasher.finish();
        if found == *digest && found_size == size {
            return Ok(());
        }
        let origin = self.origin.clone();
        Err(LayerError::Differs {
            origin,
            expected: *digest,
            expected_size: size,
            found,
            found_size,
        })
    }

    fn run(&self, store: &Store, outputs: Outputs<'_>) -> Result<(), LayerError> {
        let mut sources = self.open(store)?;
        stream::run(self, &mut sources, threads(), outputs)
    }
}

/// The threads between may have replaced the reason by their own.
fn unless_stopped(done: Result<(), LayerError>, stopped: &AtomicBool) -> Result<(), LayerError> {
    if stopped.load(Ordering::Relaxed) { Err(LayerError::Stopped) } else { done }
}

/// Tells how many bytes went by, and lets no more by once it is told to stop.
struct Counted<'a, W> {
    out: W,
    progress: Tell<'a>,
    stopped: &'a AtomicBool,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        if (self.progress)(count as u64).is_break() {
            self.stopped.store(true, Ordering::Relaxed);
            return Err(io::Error::other("somebody asked to stop"));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Hashes on a thread of its own; its buffers go round, so memory is bounded.
struct HashThread {
    piece: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
}

/// Buffers of one thread.
const PIECES: usize = 6;

impl HashThread {
    fn start() -> Self {
        let (full, incoming) = sync_channel::<Vec<u8>>(PIECES);
        let (done, empty) = channel();
        for _ in 1..PIECES {
            done.send(Vec::with_capacity(PIECE_SIZE)).expect("the receiver is alive");
        }
        let thread = thread::spawn(move || hash_all(&incoming, &done));
        Self { piece: Vec::with_capacity(PIECE_SIZE), full, empty, thread }
    }

    fn finish(self) -> Result<Hasher, LayerError> {
        let Self { piece, full, thread, .. } = self;
        // If the thread is gone, joining it says so.
        let _ = full.send(piece);
        drop(full);
        thread.join().map_err(|_| LayerError::Write(stopped()))
    }
}

impl Write for HashThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_SIZE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE_SIZE {
            let next = self.empty.recv().map_err(|_| stopped())?;
            let full = std::mem::replace(&mut self.piece, next);
            self.full.send(full).map_err(|_| stopped())?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash_all(incoming: &Receiver<Vec<u8>>, done: &Sender<Vec<u8>>) -> Hasher {
    let mut hasher = Hasher::new();
    while let Ok(mut piece) = incoming.recv() {
        hasher.update(&piece);
        piece.clear();
        // The writer may have stopped already.
        let _ = done.send(piece);
    }
    hasher
}

fn stopped() -> io::Error {
    io::Error::other("a hashing thread stopped")
}
