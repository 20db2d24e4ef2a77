//! Asks one URL and hands on what comes, so that a silent server cannot hold up whoever waits.
//!
//! A thread of its own reads the answer and passes it on in pieces; the receiving side looks after
//! the stop flag in between, and hashing and writing overlap with the network.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client as HttpClient, ClientBuilder, RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE,
    RETRY_AFTER,
};
use reqwest::{Certificate, NoProxy, Proxy, Url};

use super::error::{FetchError, Trouble};
use super::pace::Pace;
use super::retry::{Ending, Stopped};
use super::wanted::Place;
use crate::settings::{Proxies, Settings, SettingsError};

/// A connection that is not there by then will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pieces are handed on when they have this size.
const PIECE: usize = 256 << 10;
/// So many pieces may wait for the disk: 1 MiB for each download.
const PIECES_WAITING: usize = 4;
/// Nothing is held back for longer, so that progress shows on a slow line.
const PATIENCE: Duration = Duration::from_millis(200);

/// Asks for one thing: a plain server ([`Client`]), or a registry that wants to know who asks.
pub(crate) trait Ask: Sync {
    /// Sends a request and waits for the beginning of its answer; `Ok(None)` says that there is
    /// nothing at that place.
    fn ask(&self, request: &Request, stop: &AtomicBool) -> Result<Option<Answer>, Ending>;
}

/// Asks servers, and the local file system for `file` URLs.
///
/// pip and apt know proxies and certificates of their own, so each kind of publisher has its client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    python: HttpClient,
    debian: HttpClient,
    web: HttpClient,
    /// How long a server may be silent.
    silence: Duration,
}

/// Whose settings hold for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publisher {
    Python,
    Debian,
    /// Asked by the client of `registry`, never by [`Client`].
    Registry,
    /// Asked by `git`, never by [`Client`].
    Git,
    /// Only a mirror has it.
    Mirror,
    /// A site of the web: a data set's publisher.
    Web,
}

impl Publisher {
    /// The publisher of what lies at a place.
    pub(crate) fn of(place: &Place) -> Self {
        match place {
            Place::Debian { .. } => Self::Debian,
            Place::Python { .. } | Place::Linked { .. } => Self::Python,
            Place::Web { .. } => Self::Web,
            Place::Registry { .. } => Self::Registry,
            Place::Git(_) => Self::Git,
            Place::Mirror => Self::Mirror,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) publisher: Publisher,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    /// The first byte wanted.
    pub(crate) from: u64,
    /// The version that the bytes before `from` are of, if the server named it.
    pub(crate) of_version: Option<String>,
}

/// The beginning of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    /// Where it came from in the end.
    pub(crate) url: Url,
    /// Bytes that are to come, if the server says.
    pub(crate) length: Option<u64>,
    /// The first byte that comes; 0 if the server does not resume.
    pub(crate) from: u64,
    /// Media type without parameters, in lower case.
    pub(crate) media_type: String,
    /// Whether the body is compressed by gzip.
    pub(crate) is_gzip: bool,
    /// The server's name of this version, if it is one that a later request may rely on.
    pub(crate) entity_tag: Option<String>,
}

/// The beginning of an answer, and what its body is read from.
type Opened = (Head, Box<dyn Read>);

/// An answer on its way.
pub(crate) struct Answer {
    pub(crate) head: Head,
    pieces: Receiver<Result<Vec<u8>, io::Error>>,
    received: u64,
    /// When it began, and how slowly it may come; git's servers think for as long as they like.
    pace: Option<(Instant, Pace)>,
}

/// A client for bodies that are made while they are sent; it has no limit of its own for a whole
/// request, else it is that of [`http_client`].
pub(crate) fn sending_client(settings: &Settings) -> Result<reqwest::Client, FetchError> {
    async_builder(settings.proxies())?.build().map_err(client(CERTIFICATES))
}

/// A client with the proxies and the patience of the settings, and the system's trust.
pub(crate) fn http_client(settings: &Settings) -> Result<HttpClient, FetchError> {
    http_client_through(settings, settings.proxies())
}

/// The same through these proxies instead of those of the environment.
pub(crate) fn http_client_through(
    settings: &Settings,
    proxies: Proxies,
) -> Result<HttpClient, FetchError> {
    let builder = builder(settings.silence_limit()?, proxies)?;
    builder.build().map_err(client(CERTIFICATES))
}

const CERTIFICATES: &str = "certificates (SSL_CERT_FILE, SSL_CERT_DIR, or the system's)";

impl Ask for Client {
    fn ask(&self, request: &Request, stop: &AtomicBool) -> Result<Option<Answer>, Ending> {
        let (client, request) = (self.clone(), request.clone());
        answer(move || client.send(&request), Some(self.silence), stop)
    }
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, FetchError> {
        let limit = settings.silence_limit()?;
        let mut python = builder(limit, settings.python_proxies()?)?;
        if let Some(path) = settings.python_certificates()? {
            python = python.tls_certs_merge(certificates(&path)?);
        }
        let debian = builder(limit, settings.debian_proxies())?;
        let web = builder(limit, settings.proxies())?;
        Ok(Self {
            python: python.build().map_err(client(CERTIFICATES))?,
            debian: debian.build().map_err(client(CERTIFICATES))?,
            web: web.build().map_err(client(CERTIFICATES))?,
            silence: limit,
        })
    }

    fn send(&self, request: &Request) -> Result<Option<Opened>, Trouble> {
        if request.url.scheme() == "file" {
            return open_file(request);
        }
        let http = match request.publisher {
            Publisher::Python | Publisher::Mirror => &self.python,
            Publisher::Debian | Publisher::Registry | Publisher::Git => &self.debian,
            Publisher::Web => &self.web,
        };
        let mut sending = http.get(request.url.clone());
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
        match sent(sending) {
            // Nothing lies behind what is here already: the next attempt asks for all of it.
            Err(Trouble::Status { code: 416, .. }) if request.from > 0 => {
                self.send(&Request { from: 0, ..request.clone() })
            }
            other => other,
        }
    }
}

/// Sends a request on a thread of its own and waits for the beginning of its answer.
fn answer(
    send: impl FnOnce() -> Result<Option<Opened>, Trouble> + Send + 'static,
    silence: Option<Duration>,
    stop: &AtomicBool,
) -> Result<Option<Answer>, Ending> {
    let (head_sender, head) = sync_channel(1);
    let (sender, pieces) = sync_channel(PIECES_WAITING);
    // Not joined: it ends when its receivers are gone, at the latest when the server was silent
    // for too long.
    thread::spawn(move || match send() {
        Ok(Some((head, body))) => {
            if head_sender.send(Ok(Some(head))).is_ok() {
                pass_on(body, &sender);
            }
        }
        Ok(None) => drop(head_sender.send(Ok(None))),
        Err(trouble) => drop(head_sender.send(Err(trouble))),
    });
    let head = receive(&head, stop)?.unwrap_or_else(|| Err(broken_client()))?;
    let pace = silence.map(|silence| (Instant::now(), Pace::new(silence)));
    Ok(head.map(|head| Answer { head, pieces, received: 0, pace }))
}

/// Sends any request and waits for the beginning of its answer, as [`Ask::ask`] does; the answer may come as slowly
/// as it likes.
pub(crate) fn ask_for(
    request: RequestBuilder,
    stop: &AtomicBool,
) -> Result<Option<Answer>, Ending> {
    answer(move || sent(request), None, stop)
}

fn sent(request: RequestBuilder) -> Result<Option<Opened>, Trouble> {
    let response =
        request.send().map_err(|error| Trouble::Request { source: error.without_url() })?;
    match response.status().as_u16() {
        200 | 206 => Ok(Some((head_of(&response), Box::new(response)))),
        404 | 410 => Ok(None),
        code => {
            let retry_after = retry_after(response.headers());
            Err(Trouble::Status { code, retry_after })
        }
    }
}

fn builder(limit: Duration, proxies: Proxies) -> Result<ClientBuilder, FetchError> {
    Ok(ClientBuilder::from(async_builder(proxies)?).timeout(limit))
}

fn async_builder(proxies: Proxies) -> Result<reqwest::ClientBuilder, FetchError> {
    // Whoever was first chose a provider; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("repro/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .no_proxy();
    let none_for = proxies.none_for.as_deref().and_then(NoProxy::from_string);
    if let Some(url) = &proxies.http {
        let proxy = Proxy::http(url.whole())
            .map_err(client("the proxy for http (HTTP_PROXY, pip, apt)"))?;
        builder = builder.proxy(proxy.no_proxy(none_for.clone()));
    }
    if let Some(url) = &proxies.https {
        let what = "the proxy for https (HTTPS_PROXY, pip, apt)";
        let proxy = Proxy::https(url.whole()).map_err(client(what))?;
        builder = builder.proxy(proxy.no_proxy(none_for));
    }
    Ok(builder)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, FetchError> {
    let read = |source| SettingsError::Read { path: path.to_owned(), source };
    let text = fs::read(path).map_err(read)?;
    Certificate::from_pem_bundle(&text)
        .map_err(client("the certificates of PIP_CERT or of `cert` in pip's configuration"))
}

fn client(what: &'static str) -> impl FnOnce(reqwest::Error) -> FetchError {
    move |source| FetchError::Client { what, source }
}

fn open_file(request: &Request) -> Result<Option<Opened>, Trouble> {
    let cut = |source| Trouble::Cut { received: 0, source };
    let Ok(path) = request.url.to_file_path() else { return Ok(None) };
    // Opening a pipe waits for whoever writes to it.
    if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
        let reason = format!("`{}` is no regular file", path.display());
        return Err(Trouble::Unusable { reason });
    }
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

pub(crate) fn head_of(response: &Response) -> Head {
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
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
    /// The body of a response, read by a thread of its own; its server may be silent for so long.
    pub(crate) fn of(response: Response, silence: Duration) -> Self {
        let head = head_of(&response);
        let (sender, pieces) = sync_channel(PIECES_WAITING);
        thread::spawn(move || pass_on(Box::new(response), &sender));
        Self { head, pieces, received: 0, pace: Some((Instant::now(), Pace::new(silence))) }
    }

    /// The next piece of the body; `Ok(None)` at its end.
    pub(crate) fn next(&mut self, stop: &AtomicBool) -> Result<Option<Vec<u8>>, Ending> {
        let Some(piece) = receive(&self.pieces, stop)? else { return Ok(None) };
        let piece = piece.map_err(|source| Trouble::Cut { received: self.received, source })?;
        self.received += piece.len() as u64;
        if let Some((begin, pace)) = &mut self.pace {
            pace.count(begin.elapsed(), piece.len() as u64)?;
        }
        Ok(Some(piece))
    }

    /// The whole body of a small document, `what`; one that is larger than `largest` bytes or does not come in time
    /// is none, and is not asked for again.
    pub(crate) fn document(
        &mut self,
        what: &str,
        largest: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<u8>, Ending> {
        let refuse = |reason| Ending::Trouble(Trouble::Unusable { reason });
        // A small document may come slowly, up to a limit of its own.
        let limit = self.pace.take().map(|(begin, pace)| (begin, pace.document()));
        let mut bytes = Vec::new();
        loop {
            let Some(piece) = self.next(stop)? else { return Ok(bytes) };
            bytes.extend_from_slice(&piece);
            if bytes.len() > largest {
                return Err(refuse(format!("{what} has more than {largest} bytes")));
            }
            if let Some((_, limit)) = limit.filter(|(begin, limit)| begin.elapsed() > *limit) {
                let seconds = limit.as_secs();
                return Err(refuse(format!("{what} did not come whole within {seconds} s")));
            }
        }
    }
}

/// Sends a request on a thread of its own, so that whoever waits can stop.
pub(crate) fn send(request: RequestBuilder, stop: &AtomicBool) -> Result<Response, Ending> {
    let (sender, response) = sync_channel(1);
    thread::spawn(move || drop(sender.send(request.send())));
    let response = receive(&response, stop)?.ok_or_else(broken_client)?;
    Ok(response.map_err(|error| Trouble::Request { source: error.without_url() })?)
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
