//! Asks one URL and hands on what comes, so that a silent server cannot hold up whoever waits.
//!
//! A thread of its own reads the answer and passes it on in pieces; the receiving side looks after
//! the stop flag in between, and hashing and writing overlap with the network.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client as HttpClient, Response};
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE,
    RETRY_AFTER,
};
use reqwest::{NoProxy, Proxy, Url};

use super::error::{FetchError, Trouble};
use super::retry::{Ending, Stopped};
use crate::settings::Settings;

/// A connection that is not there by then will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pieces are handed on when they have this size.
const PIECE: usize = 256 << 10;
/// So many pieces may wait for the disk: 1 MiB for each download.
const PIECES_WAITING: usize = 4;
/// Nothing is held back for longer, so that progress shows on a slow line.
const PATIENCE: Duration = Duration::from_millis(200);

/// Asks servers, and the local file system for `file` URLs.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: HttpClient,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    /// The first byte wanted.
    pub(super) from: u64,
    /// The version that the bytes before `from` are of, if the server named it.
    pub(super) of_version: Option<String>,
}

/// The beginning of an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// Where it came from in the end.
    pub(super) url: Url,
    /// Bytes that are to come, if the server says.
    pub(super) length: Option<u64>,
    /// The first byte that comes; 0 if the server does not resume.
    pub(super) from: u64,
    /// Media type without parameters, in lower case.
    pub(super) media_type: String,
    /// Whether the body is compressed by gzip.
    pub(super) is_gzip: bool,
    /// The server's name of this version, if it is one that a later request may rely on.
    pub(super) entity_tag: Option<String>,
}

/// The beginning of an answer, and what its body is read from.
type Opened = (Head, Box<dyn Read>);

/// An answer on its way.
pub(super) struct Answer {
    pub(super) head: Head,
    pieces: Receiver<Result<Vec<u8>, io::Error>>,
    received: u64,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, FetchError> {
        // Whoever was first chose a provider; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = HttpClient::builder()
            .user_agent(concat!("repro/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.silence_limit()?)
            .no_proxy();
        let proxies = settings.proxies();
        let none_for = proxies.none_for.as_deref().and_then(NoProxy::from_string);
        let client = |what| move |source| FetchError::Client { what, source };
        if let Some(url) = &proxies.http {
            let proxy = Proxy::http(url).map_err(client("the proxy of HTTP_PROXY"))?;
            builder = builder.proxy(proxy.no_proxy(none_for.clone()));
        }
        if let Some(url) = &proxies.https {
            let proxy = Proxy::https(url).map_err(client("the proxy of HTTPS_PROXY"))?;
            builder = builder.proxy(proxy.no_proxy(none_for));
        }
        Ok(Self {
            http: builder
                .build()
                .map_err(client("certificates (SSL_CERT_FILE, SSL_CERT_DIR, or the system's)"))?,
        })
    }

    /// Sends a request and waits for the beginning of its answer.
    ///
    /// `Ok(None)` says that there is nothing at that place.
    pub(super) fn ask(
        &self,
        request: &Request,
        stop: &AtomicBool,
    ) -> Result<Option<Answer>, Ending> {
        let (head_sender, head) = sync_channel(1);
        let (sender, pieces) = sync_channel(PIECES_WAITING);
        let (client, request) = (self.clone(), request.clone());
        // Not joined: it ends when its receivers are gone, at the latest when the server was silent
        // for too long.
        thread::spawn(move || match client.send(&request) {
            Ok(Some((head, body))) => {
                if head_sender.send(Ok(Some(head))).is_ok() {
                    pass_on(body, &sender);
                }
            }
            Ok(None) => drop(head_sender.send(Ok(None))),
            Err(trouble) => drop(head_sender.send(Err(trouble))),
        });
        let head = receive(&head, stop)?.unwrap_or_else(|| Err(broken_client()))?;
        Ok(head.map(|head| Answer { head, pieces, received: 0 }))
    }

    fn send(&self, request: &Request) -> Result<Option<Opened>, Trouble> {
        if request.url.scheme() == "file" {
            return open_file(request);
        }
        let mut sending = self.http.get(request.url.clone());
        if let Some(accept) = request.accept {
            // Only pages are compressed in transit; packages are compressed already.
            sending = sending.header(ACCEPT, accept).header("accept-encoding", "gzip");
        }
        if request.from > 0 {
            sending = sending.header(RANGE, format!("bytes={}-", request.from));
            if let Some(tag) = &request.of_version {
                sending = sending.header(IF_RANGE, tag);
            }
        }
        let response =
            sending.send().map_err(|error| Trouble::Request { source: error.without_url() })?;
        match response.status().as_u16() {
            // Nothing lies behind what is here already: the next attempt asks for all of it.
            416 if request.from > 0 => self.send(&Request { from: 0, ..request.clone() }),
            200 | 206 => Ok(Some((head_of(&response), Box::new(response)))),
            404 | 410 => Ok(None),
            code => {
                let retry_after = retry_after(response.headers());
                Err(Trouble::Status { code, retry_after })
            }
        }
    }
}

fn open_file(request: &Request) -> Result<Option<Opened>, Trouble> {
    let cut = |source| Trouble::Cut { received: 0, source };
    let Ok(path) = request.url.to_file_path() else { return Ok(None) };
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(cut(source)),
    };
    let length = file.metadata().map_err(cut)?.len();
    let url = request.url.clone();
    let media_type = "text/html".to_owned();
    let from = request.from.min(length);
    file.seek(SeekFrom::Start(from)).map_err(cut)?;
    let length = Some(length - from);
    let head = Head { url, length, from, media_type, is_gzip: false, entity_tag: None };
    Ok(Some((head, Box::new(file))))
}

fn head_of(response: &Response) -> Head {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let media_type = text(CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("");
    // `bytes 500-999/1000` (RFC 9110, section 14.4).
    let from = text(CONTENT_RANGE)
        .filter(|_| response.status().as_u16() == 206)
        .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    Head {
        url: response.url().clone(),
        length: response.content_length(),
        from: from.unwrap_or(0),
        media_type: media_type.trim().to_lowercase(),
        is_gzip: text(CONTENT_ENCODING) == Some("gzip"),
        // A weak tag does not promise the same bytes (RFC 9110, section 13.1.5).
        entity_tag: text(ETAG).filter(|tag| tag.starts_with('"')).map(str::to_owned),
    }
}

/// A number of seconds; a date would need a wall clock, and the waits of `retry` do as well.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Reads `body` to its end; what is read goes on in pieces of some size, or sooner if it comes slowly.
fn pass_on(mut body: Box<dyn Read>, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        let begin = Instant::now();
        let ended = loop {
            match body.read(&mut piece[filled..]) {
                Ok(0) => break Some(Ok(())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(Err(error)),
            }
            if filled >= PIECE / 2 || begin.elapsed() >= PATIENCE {
                break None;
            }
        };
        piece.truncate(filled);
        let sent = filled == 0 || sender.send(Ok(piece)).is_ok();
        match ended {
            Some(Err(error)) => return drop(sender.send(Err(error))),
            Some(Ok(())) => return,
            None if !sent => return,
            None => {}
        }
    }
}

impl Answer {
    /// The next piece of the body; `Ok(None)` at its end.
    pub(super) fn next(&mut self, stop: &AtomicBool) -> Result<Option<Vec<u8>>, Ending> {
        let Some(piece) = receive(&self.pieces, stop)? else { return Ok(None) };
        let piece = piece.map_err(|source| Trouble::Cut { received: self.received, source })?;
        self.received += piece.len() as u64;
        Ok(Some(piece))
    }
}

/// The thread that should have answered ended without a word.
fn broken_client() -> Trouble {
    Trouble::Cut { received: 0, source: io::Error::other("the network client ended unexpectedly") }
}

/// Receives one thing, or `None` when no more comes; looks after the stop flag meanwhile.
fn receive<T>(receiver: &Receiver<T>, stop: &AtomicBool) -> Result<Option<T>, Stopped> {
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(value) => return Ok(Some(value)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
