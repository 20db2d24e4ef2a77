//! The body of an answer: bytes at hand, or a layer that is made while it is sent.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc::{self, Sender};

use super::Served;
use super::held::Held;
use crate::digest::{Digest, Hasher};
use crate::image::ImageLayer;

/// The body of every answer.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// Pieces are handed on when they have this size.
const PIECE: usize = 256 << 10;

/// So many pieces may wait for the other side: 1 MiB for each stream.
const PIECES_WAITING: usize = 4;

/// A body that is there as a whole.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// Streams `part` of a layer; a layer that turns out to be another one ends in an error, which
/// breaks the connection off before the announced length is there.
pub(super) fn stream(
    held: Arc<Held>,
    served: Arc<Served>,
    layer: ImageLayer,
    part: Range<u64>,
) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let mut sink = Sink::new(sender, &layer.digest, &served, part);
        let made = layer.write_blob(&held.store, &mut sink);
        if let Err(error) = made.map_err(io::Error::other).and_then(|()| sink.finish()) {
            sink.fail(error);
        }
    });
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece: io::Result<Bytes>| (piece, receiver))
    });
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
}

/// Passes on the wanted part of a layer and hashes all of it.
struct Sink<'a> {
    sender: Sender<io::Result<Bytes>>,
    digest: Digest,
    served: &'a Served,
    part: Range<u64>,
    hasher: Hasher,
    /// What was not sent yet. The last piece waits here until the digest is known.
    waiting: Vec<u8>,
    /// Whether everything wanted was sent, or nobody wants it any more.
    is_over: bool,
}

impl<'a> Sink<'a> {
    fn new(
        sender: Sender<io::Result<Bytes>>,
        digest: &Digest,
        served: &'a Served,
        part: Range<u64>,
    ) -> Self {
        let (digest, hasher, waiting) = (*digest, Hasher::new(), Vec::with_capacity(PIECE));
        Self { sender, digest, served, part, hasher, waiting, is_over: false }
    }

    /// Sends what is waiting.
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        self.served.add(&self.digest, piece.len() as u64);
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| {
            self.is_over = true;
            io::Error::from(io::ErrorKind::BrokenPipe)
        })
    }

    /// Sends the last piece if the whole layer was what its digest says.
    fn finish(&mut self) -> io::Result<()> {
        let found = std::mem::take(&mut self.hasher).finish();
        if found != self.digest {
            let text = format!("layer {} came out as {found}", self.digest);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.send()
    }

    fn fail(&mut self, error: io::Error) {
        if !self.is_over {
            tracing::warn!(layer = %self.digest, %error, "a layer could not be served");
            let _ = self.sender.blocking_send(Err(error));
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begin = self.hasher.size();
        self.hasher.update(bytes);
        // The wanted part of these bytes.
        let from = self.part.start.saturating_sub(begin).min(bytes.len() as u64) as usize;
        let to = self.part.end.saturating_sub(begin).min(bytes.len() as u64) as usize;
        for piece in bytes[from..to.max(from)].chunks(PIECE) {
            if self.waiting.len() + piece.len() > PIECE {
                self.send()?;
            }
            self.waiting.extend_from_slice(piece);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
