//! Sends one layer while it is made.
//!
//! The layer is made on one thread and sent on another; at most a few pieces wait between them. A
//! registry that takes nothing for too long is given up, however long the whole upload takes.

use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, select};
use hyper::body::{Body, Frame, SizeHint};
use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::client::{Action, Client, Sending};
use crate::digest::{Digest, Hasher};
use crate::fetch::{Ending, Progress, Stopped, Trouble};
use crate::image::ImageLayer;
use crate::settings::RegistryPlace;
use crate::store::Store;

/// Pieces are handed on when they have this size.
const PIECE: usize = 256 << 10;
/// So many pieces may wait for the network.
const PIECES_WAITING: usize = 8;
/// How often patience is counted.
const TICK: Duration = Duration::from_millis(50);
/// What a registry answers is some lines; it is read so that the connection can be used again.
const LARGEST_ANSWER: usize = 64 << 10;

/// What is sent where.
pub(super) struct Upload<'a> {
    pub(super) store: &'a Store,
    pub(super) layer: &'a ImageLayer,
    pub(super) url: &'a Url,
    pub(super) name: &'a str,
    pub(super) progress: &'a dyn Progress,
}

/// Sends the layer; the answer is whatever the registry says.
pub(super) fn send(
    client: &Client<'_>,
    place: &RegistryPlace,
    upload: &Upload<'_>,
) -> Result<Response, Ending> {
    let patience = client
        .settings
        .silence_limit()
        .map_err(|error| Trouble::Unusable { reason: error.to_string() })?;
    let (sender, pieces) = channel(PIECES_WAITING);
    let taken = Arc::new(AtomicU64::new(0));
    let body = Pieces { pieces, left: upload.layer.size, taken: Arc::clone(&taken) };
    let watch = Watch { upload, taken: &taken, stop: client.stop, patience };
    let shown = AtomicU64::new(0);
    thread::scope(|scope| {
        let maker = scope.spawn(|| make(upload, sender));
        let response = client.exchange_once(place, Action::Push, upload.url, |sending, pass| {
            put(sending, pass, upload.url, body, watch.until_given_up(&shown))
        });
        if let Ok(Err(reason)) = maker.join() {
            let reason = format!("layer `{}` could not be made: {reason}", upload.layer.origin);
            return Err(Trouble::Unusable { reason }.into());
        }
        watch.show(&shown);
        if response.as_ref().map_or(true, |response| !response.status().is_success()) {
            let shown = shown.load(Ordering::Relaxed);
            upload.progress.retried(upload.name, shown, "the registry did not take it");
        }
        response
    })
}

fn put(
    sending: &Sending,
    pass: Option<HeaderValue>,
    url: &Url,
    body: Pieces,
    given_up: impl Future<Output = Ending>,
) -> Result<Response, Ending> {
    let put = sending.http.put(url.clone()).header(CONTENT_TYPE, "application/octet-stream");
    let put = match pass {
        Some(pass) => put.header(AUTHORIZATION, pass),
        None => put,
    };
    let put = put.body(reqwest::Body::wrap(body));
    let exchange = async { whole(put.send().await?).await };
    sending.runtime.block_on(async {
        match select(pin!(exchange), pin!(given_up)).await {
            Either::Left((response, _)) => {
                Ok(response.map_err(|error| Trouble::Request { source: error.without_url() })?)
            }
            Either::Right((ending, _)) => Err(ending),
        }
    })
}

/// The answer with its body, as other exchanges give it.
async fn whole(mut response: reqwest::Response) -> Result<Response, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > LARGEST_ANSWER {
            break;
        }
        body.extend_from_slice(&piece);
    }
    let mut whole = hyper::Response::new(body);
    (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
    Ok(Response::from(whole))
}

/// Looks after an upload.
struct Watch<'a> {
    upload: &'a Upload<'a>,
    taken: &'a AtomicU64,
    stop: &'a AtomicBool,
    patience: Duration,
}

impl Watch<'_> {
    /// Shows how far it is, and ends when nothing moves or somebody asks to stop.
    async fn until_given_up(&self, shown: &AtomicU64) -> Ending {
        let mut moved = Instant::now();
        loop {
            if self.show(shown) {
                moved = Instant::now();
            }
            if self.stop.load(Ordering::Relaxed) {
                return Stopped.into();
            }
            if moved.elapsed() > self.patience {
                let source = io::Error::from(io::ErrorKind::TimedOut);
                let received = shown.load(Ordering::Relaxed);
                return Trouble::Cut { received, source }.into();
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Shows what was taken since the last time; whether there was something.
    fn show(&self, shown: &AtomicU64) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        let new = taken - shown.swap(taken, Ordering::Relaxed);
        if new > 0 {
            self.upload.progress.advanced(self.upload.name, new);
        }
        new > 0
    }
}

/// Makes the layer's bytes; a layer that is another one is broken off before its end. It is no
/// fault of the layer if the other side goes away: that side says why itself.
fn make(upload: &Upload<'_>, sender: Sender<Bytes>) -> Result<(), String> {
    let (hasher, waiting) = (Hasher::new(), Vec::with_capacity(PIECE));
    let mut sink = Sink { sender, hasher, waiting, is_unwanted: false };
    let made = upload.layer.write_blob(upload.store, &mut sink);
    match made.map_err(|error| error.to_string()).and_then(|()| sink.finish(&upload.layer.digest)) {
        Err(_) if sink.is_unwanted => Ok(()),
        result => result,
    }
}

/// Takes the layer's bytes as they are made.
struct Sink {
    sender: Sender<Bytes>,
    hasher: Hasher,
    waiting: Vec<u8>,
    is_unwanted: bool,
}

impl Sink {
    fn pass_on(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        self.sender.blocking_send(piece.into()).map_err(|_| {
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
    pieces: Receiver<Bytes>,
    left: u64,
    taken: Arc<AtomicU64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // The layer may end early; a short body breaks the request off.
        self.pieces.poll_recv(context).map(|piece| {
            let piece = piece?;
            self.left = self.left.saturating_sub(piece.len() as u64);
            self.taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Some(Ok(Frame::data(piece)))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
