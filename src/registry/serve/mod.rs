//! A registry on the loopback that streams images out of the store.
//!
//! It lives as long as its [`Server`]. The other side checks every digest, and so
//! does the stream itself: an image that the store no longer has whole is never
//! taken for one that it has.

mod answer;
mod body;
mod held;
mod range;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use self::held::Held;
use super::RegistryError;
use crate::digest::Digest;
use crate::image::Image;
use crate::store::Store;

/// The threads that answer; layers are made on threads of their own.
const WORKERS: usize = 2;

/// How long a server that is dropped waits for streams that nobody reads any more.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    served: Arc<Served>,
    /// Taken only when the server is dropped.
    runtime: Option<Runtime>,
}

/// Bytes that were sent of each blob and manifest.
#[derive(Debug, Default)]
struct Served(Mutex<BTreeMap<Digest, u64>>);

impl Served {
    fn add(&self, digest: &Digest, bytes: u64) {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *served.entry(*digest).or_default() += bytes;
    }
}

impl Server {
    /// Starts to serve `images` on a free port of 127.0.0.1.
    pub fn start(store: &Store, images: &[Image]) -> Result<Self, RegistryError> {
        let held = Arc::new(Held::new(store, images)?);
        let served = Arc::new(Served::default());
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("repro-serve")
            .enable_io()
            .enable_time()
            .build()
            .map_err(RegistryError::Serve)?;
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .map_err(RegistryError::Serve)?;
        let address = listener.local_addr().map_err(RegistryError::Serve)?;
        runtime.spawn(accept(listener, held, Arc::clone(&served)));
        Ok(Self { address, served, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name under which others pull `image`: `127.0.0.1:PORT/repro/NAME@sha256:…`.
    pub fn reference(&self, image: &Image) -> String {
        format!("{}/{}@{}", self.address, held::repository(image), image.seal)
    }

    /// Bytes that were sent so far of each blob and manifest; what nobody asked for is absent.
    pub fn served(&self) -> BTreeMap<Digest, u64> {
        self.served.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(LAST_WAIT);
        }
    }
}

async fn accept(listener: TcpListener, held: Arc<Held>, served: Arc<Served>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        let (held, served) = (Arc::clone(&held), Arc::clone(&served));
        let service = service_fn(move |request| {
            let answer = answer::answer(&held, &served, &request);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // The other side may leave whenever it likes.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the loopback registry ended early");
            }
        });
    }
}

/// A process that is out of file descriptors gets some back in a moment.
async fn pause(error: &io::Error) {
    tracing::debug!(%error, "the loopback registry could not accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
