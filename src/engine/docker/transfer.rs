//! Brings a sealed image to a daemon, and no byte that the daemon has already.
//!
//! The daemon pulls by digest from a registry that lives as long as the pull, so it checks
//! the seal itself. One that cannot reach our loopback gets the same image as an archive;
//! an archive has no digest of its own there, so what arrived is compared: configuration
//! and diff IDs. Either way the image runs by its ID, never by a name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::thread;

use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::daemon::{Daemon, is_missing, words};
use crate::digest::Digest;
use crate::engine::EngineError;
use crate::image::{self, Image};
use crate::registry::serve::Server;
use crate::store::Store;

/// Pieces of an archive that may wait for a slow daemon.
const WAITING: usize = 16;

/// Bytes of an archive sent at once.
const PIECE: usize = 1 << 20;

/// How an image came to a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The ID that the daemon runs it by.
    pub id: String,
    /// What was sent for it.
    pub sent: Sent,
}

/// What a daemon was sent of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: it had the image.
    Nothing,
    /// It pulled from our loopback: bytes of each blob and manifest.
    Pulled(BTreeMap<Digest, u64>),
    /// The whole image as an archive, because it could not pull.
    Archive,
}

/// Makes sure that the daemon has `image`.
pub(super) async fn ensure(
    daemon: &Daemon,
    store: &Store,
    image: &Image,
) -> Result<Transfer, EngineError> {
    let sealed = Sealed::of(store, image)?;
    if let Some(id) = sealed.find(daemon).await? {
        return Ok(Transfer { id, sent: Sent::Nothing });
    }
    let not_pulled = match sealed.pull(daemon, store, image).await {
        Ok(served) => match sealed.find(daemon).await? {
            Some(id) => return Ok(Transfer { id, sent: Sent::Pulled(served) }),
            None => "what it pulled is not there".to_owned(),
        },
        Err(reason) => reason,
    };
    tracing::debug!(%not_pulled, "the daemon gets an archive instead");
    let loaded = sealed.load(daemon, store, image).await;
    let found = sealed.find(daemon).await?;
    let found = found.map(|id| Transfer { id, sent: Sent::Archive });
    found.ok_or_else(|| EngineError::NotTransferred {
        image: image.name.clone(),
        seal: image.seal,
        pull: not_pulled,
        load: loaded.err().unwrap_or_else(|| "what it loaded is not there".to_owned()),
    })
}

/// What tells an image apart from every other one.
struct Sealed {
    config: Digest,
    seal: Digest,
    diff_ids: Vec<String>,
    /// The name people see in `docker images`; nothing is ever run by it.
    repository: String,
    tag: String,
}

impl Sealed {
    fn of(store: &Store, image: &Image) -> Result<Self, EngineError> {
        let documents = image::documents(store, &image.seal)
            .map_err(|error| EngineError::Image(Box::new(error)))?;
        Ok(Self {
            config: Digest::of(&documents.config),
            seal: image.seal,
            diff_ids: image.layers.iter().map(|layer| layer.diff_id.to_string()).collect(),
            repository: format!("repro/{}", image.name.to_lowercase()),
            tag: image.seal.short(),
        })
    }

    /// The image under its configuration's digest, or under its manifest's: daemons differ in what
    /// they call the ID.
    async fn find(&self, daemon: &Daemon) -> Result<Option<String>, EngineError> {
        for id in [self.config, self.seal] {
            match daemon.client.inspect_image(&id.to_string()).await {
                Ok(found) => {
                    self.compare(&found)?;
                    return Ok(Some(id.to_string()));
                }
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(daemon.failed("look for the image")(error)),
            }
        }
        Ok(None)
    }

    /// The ID is a digest, but of whatever the daemon takes it to be: the layers are compared too.
    fn compare(&self, found: &ImageInspect) -> Result<(), EngineError> {
        let layers = found.root_fs.as_ref().and_then(|root| root.layers.clone());
        let layers = layers.unwrap_or_default();
        if layers == self.diff_ids {
            return Ok(());
        }
        Err(EngineError::OtherLayers {
            seal: self.seal,
            expected: self.diff_ids.clone(),
            found: layers,
        })
    }

    async fn pull(
        &self,
        daemon: &Daemon,
        store: &Store,
        image: &Image,
    ) -> Result<BTreeMap<Digest, u64>, String> {
        let server = Apart::start(store, image)?;
        let reference = server.0.as_ref().map_or(String::new(), |server| server.reference(image));
        let options = CreateImageOptionsBuilder::new().from_image(&reference).build();
        let mut progress = daemon.client.create_image(Some(options), None, None);
        while let Some(step) = progress.next().await {
            step.map_err(|error| words(&error))?;
        }
        // The port is free again in a moment: a name that no prune removes takes its place.
        self.name(daemon, &reference).await.map_err(|error| words(&error))?;
        let keep = RemoveImageOptionsBuilder::new().noprune(true).build();
        if let Err(error) = daemon.client.remove_image(&reference, Some(keep), None).await {
            tracing::debug!(%error, "the loopback's name stays at the daemon");
        }
        Ok(server.0.as_ref().map_or(BTreeMap::new(), Server::served))
    }

    async fn name(&self, daemon: &Daemon, reference: &str) -> Result<(), Error> {
        let name = TagImageOptionsBuilder::new().repo(&self.repository).tag(&self.tag).build();
        daemon.client.tag_image(reference, Some(name)).await
    }

    async fn load(&self, daemon: &Daemon, store: &Store, image: &Image) -> Result<(), String> {
        // A handle of the thread's own: it may outlive this call if the daemon goes away.
        let store = Store::open(store.root()).map_err(|error| error.to_string())?;
        let image = image.clone();
        let (pieces, waiting) = mpsc::channel(WAITING);
        let writer = thread::spawn(move || {
            let mut out = Pieces { pieces, buffer: Vec::with_capacity(PIECE) };
            let written =
                image::write_archive(&store, &image, &mut out, &|_| ControlFlow::Continue(()));
            match written.map_err(|error| chain(&error)) {
                Ok(()) => out.send().map_err(|error| error.to_string()),
                Err(reason) => {
                    // Without its end the daemon would take a part for the whole.
                    let broken = Err(io::Error::other(reason.clone()));
                    let _ = out.pieces.blocking_send(broken);
                    Err(reason)
                }
            }
        });
        let body = stream::unfold(waiting, |mut waiting| async {
            waiting.recv().await.map(|piece: io::Result<Bytes>| (piece, waiting))
        });
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let mut progress = daemon.client.import_image_stream(options, body, None);
        let mut loaded = Ok(());
        while let Some(step) = progress.next().await {
            loaded = loaded.and(step.map(drop).map_err(|error| words(&error)));
        }
        drop(progress);
        let written = writer.join().unwrap_or_else(|_| Err("the archive broke off".to_owned()));
        loaded.and(written)
    }
}

/// A server that is started and ended on threads of their own: it has a runtime, and none may
/// begin or end inside another one.
struct Apart(Option<Server>);

impl Apart {
    fn start(store: &Store, image: &Image) -> Result<Self, String> {
        let start = || Server::start(store, std::slice::from_ref(image));
        let started = thread::scope(|scope| scope.spawn(start).join());
        let started = started.map_err(|_| "the loopback registry broke off".to_owned())?;
        started.map(|server| Self(Some(server))).map_err(|error| chain(&error))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let server = self.0.take();
        thread::scope(|scope| drop(scope.spawn(move || drop(server))));
    }
}

/// Sends what is written in large pieces.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the daemon has stopped to read");
        self.pieces.blocking_send(Ok(piece)).map_err(gone)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
