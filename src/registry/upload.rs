//! Sends one layer while it is made.
//!
//! The layer is made on one thread and sent on another; at most a few pieces wait between them. A
//! registry that takes nothing for too long is given up, however long the whole upload takes.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking::{Body, Response};
use reqwest::header::CONTENT_TYPE;

use super::client::{Action, Client};
use crate::digest::{Digest, Hasher};
use crate::fetch::{Ending, Progress, Trouble};
use crate::image::ImageLayer;
use crate::settings::RegistryPlace;
use crate::store::Store;

/// Pieces are handed on when they have this size.
const PIECE: usize = 256 << 10;
/// So many pieces may wait for the network.
const PIECES_WAITING: usize = 8;
/// The client's own limit is for the whole of a request; patience is counted here instead.
const NO_LIMIT: Duration = Duration::from_secs(7 * 86_400);
/// How often patience is counted.
const TICK: Duration = Duration::from_millis(50);

/// What is sent where.
pub(super) struct Upload<'a> {
    pub(super) store: &'a Store,
    pub(super) layer: &'a ImageLayer,
    pub(super) url: &'a Url,
    pub(super) name: &'a str,
    pub(super) progress: &'a dyn Progress,
}

/// What the threads of one upload share.
#[derive(Default)]
struct Shared {
    taken: AtomicU64,
    is_over: AtomicBool,
}

/// Sends the layer; the answer is whatever the registry says.
pub(super) fn send(
    client: &Client<'_>,
    place: &RegistryPlace,
    upload: &Upload<'_>,
) -> Result<Response, Ending> {
    let shared = Arc::new(Shared::default());
    let (sender, pieces) = sync_channel(PIECES_WAITING);
    let patience = client
        .settings
        .silence_limit()
        .map_err(|error| Trouble::Unusable { reason: error.to_string() })?;
    thread::scope(|scope| {
        let maker = scope.spawn(|| make(upload, sender));
        let watcher = scope.spawn(|| watch(upload, &shared, client.stop, patience));
        let pieces = Pieces { pieces, rest: Vec::new(), at: 0, shared: Arc::clone(&shared) };
        let response = put(client, place, upload, pieces);
        shared.is_over.store(true, Ordering::Relaxed);
        let shown = watcher.join().unwrap_or(0);
        if let Ok(Err(reason)) = maker.join() {
            let reason = format!("layer `{}` could not be made: {reason}", upload.layer.origin);
            return Err(Trouble::Unusable { reason }.into());
        }
        if response.as_ref().map_or(true, |response| !response.status().is_success()) {
            upload.progress.retried(upload.name, shown, "the registry did not take it");
        }
        response
    })
}

fn put(
    client: &Client<'_>,
    place: &RegistryPlace,
    upload: &Upload<'_>,
    pieces: Pieces,
) -> Result<Response, Ending> {
    let mut body = Some(pieces);
    client.exchange(place, Action::Push, upload.url, &mut |http, url| {
        let put = http.put(url).timeout(NO_LIMIT).header(CONTENT_TYPE, "application/octet-stream");
        match body.take() {
            Some(body) => put.body(Body::sized(body, upload.layer.size)),
            // A token ran out meanwhile; the next attempt has a new one and a new body.
            None => put.body(""),
        }
    })
}

/// Makes the layer's bytes; a layer that is another one is broken off before its end. It is no
/// fault of the layer if the other side goes away: that side says why itself.
fn make(upload: &Upload<'_>, sender: SyncSender<Vec<u8>>) -> Result<(), String> {
    let (hasher, waiting) = (Hasher::new(), Vec::with_capacity(PIECE));
    let mut sink = Sink { sender, hasher, waiting, is_unwanted: false };
    let made = upload.layer.write_blob(upload.store, &mut sink);
    match made.map_err(|error| error.to_string()).and_then(|()| sink.finish(&upload.layer.digest)) {
        Err(_) if sink.is_unwanted => Ok(()),
        result => result,
    }
}

/// Shows how far it is, and breaks off when nothing moves or somebody asks to stop; returns what
/// it has shown.
fn watch(upload: &Upload<'_>, shared: &Shared, stop: &AtomicBool, patience: Duration) -> u64 {
    let (mut shown, mut moved) = (0, Instant::now());
    loop {
        let is_over = shared.is_over.load(Ordering::Relaxed);
        let taken = shared.taken.load(Ordering::Relaxed);
        if taken > shown {
            upload.progress.advanced(upload.name, taken - shown);
            (shown, moved) = (taken, Instant::now());
        }
        if is_over {
            return shown;
        }
        if stop.load(Ordering::Relaxed) || moved.elapsed() > patience {
            shared.is_over.store(true, Ordering::Relaxed);
            return shown;
        }
        thread::sleep(TICK);
    }
}

/// Takes the layer's bytes as they are made.
struct Sink {
    sender: SyncSender<Vec<u8>>,
    hasher: Hasher,
    waiting: Vec<u8>,
    is_unwanted: bool,
}

impl Sink {
    fn pass_on(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        self.sender.send(piece).map_err(|_| {
            self.is_unwanted = true;
            io::ErrorKind::BrokenPipe.into()
        })
    }

    /// Passes on the last piece if the whole is what its digest says.
    fn finish(&mut self, digest: &Digest) -> Result<(), String> {
        let found = std::mem::take(&mut self.hasher).finish();
        if found != *digest {
            return Err(format!("expected {digest}, found {found}"));
        }
        self.pass_on().map_err(|error| error.to_string())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        for piece in bytes.chunks(PIECE) {
            if self.waiting.len() + piece.len() > PIECE {
                self.pass_on()?;
            }
            self.waiting.extend_from_slice(piece);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of the request.
struct Pieces {
    pieces: Receiver<Vec<u8>>,
    rest: Vec<u8>,
    at: usize,
    shared: Arc<Shared>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() {
            if self.shared.is_over.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.pieces.recv_timeout(TICK) {
                Ok(piece) => (self.rest, self.at) = (piece, 0),
                Err(RecvTimeoutError::Timeout) => {}
                // The layer ended, well or not; a short body breaks the request off.
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len() - self.at);
        buffer[..count].copy_from_slice(&self.rest[self.at..self.at + count]);
        self.at += count;
        self.shared.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
