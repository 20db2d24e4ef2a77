//! A web server on the loopback interface that says what a test wants said, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Path, or a whole URL if the server is asked as a proxy.
    pub target: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Body, for requests that announce its length.
    pub body: Vec<u8>,
    /// How often the same was asked before.
    pub earlier: usize,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The connection breaks off after so many bytes of the body.
    pub cut_after: Option<usize>,
    /// The body comes in pieces of 1 kB with a pause before each.
    pub pause: Duration,
    /// The length is not announced.
    pub hides_length: bool,
    /// Nothing is said until the test is over.
    pub is_silent: bool,
}

impl Reply {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    pub fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (shared_asked, shared_over) = (asked.clone(), over.clone());
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                if shared_over.load(Ordering::SeqCst) {
                    return;
                }
                let (asked, over) = (shared_asked.clone(), shared_over.clone());
                let handler = handler.clone();
                thread::spawn(move || answer(stream, &asked, &over, handler.as_ref()));
            }
        });
        Self { address, asked, over }
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// How often a path was asked.
    pub fn count(&self, target: &str) -> usize {
        self.asked().iter().filter(|request| request.target == target).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(
    stream: TcpStream,
    asked: &Mutex<Vec<Request>>,
    over: &AtomicBool,
    handler: &(dyn Fn(&Request) -> Reply + Send + Sync),
) {
    let Some(mut request) = read_request(&stream) else { return };
    {
        let mut asked = asked.lock().unwrap();
        request.earlier = asked.iter().filter(|earlier| earlier.target == request.target).count();
        asked.push(request.clone());
    }
    let reply = handler(&request);
    while reply.is_silent && !over.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(20));
    }
    // The client may hang up whenever it likes.
    let _ = send(stream, &reply);
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    let headers: BTreeMap<String, String> = headers.collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    Some(Request { target, headers, body, earlier: 0 })
}

fn send(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Whatever\r\nconnection: close\r\n", reply.status);
    if !reply.hides_length {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    let body = &reply.body[..reply.cut_after.unwrap_or(reply.body.len())];
    if reply.pause.is_zero() {
        return stream.write_all(body);
    }
    for piece in body.chunks(1000) {
        thread::sleep(reply.pause);
        stream.write_all(piece)?;
    }
    Ok(())
}
