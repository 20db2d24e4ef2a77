//! Inputs come from whatever the settings name, are what was locked or are not kept, and errors
//! say where was asked.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use repro::digest::Digest;
use repro::fetch::{FetchError, Place, Progress, Quiet, Wanted, fetch};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use crate::loopback::{Reply, Request, Server};

const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// A store, and surroundings in which nothing is set but what a test sets.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    environment: Environment,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let environment = Environment::new(folder.path(), &root).with("HOME", "/nowhere");
        Self { folder, store, environment }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    fn with_index(server: &Server) -> Self {
        Self::new().with("PIP_INDEX_URL", &server.url("/simple"))
    }

    fn settings(&self, offline: bool) -> Settings {
        let options = Options { offline, ..Options::default() };
        Settings::load_in(options, self.environment.clone()).unwrap()
    }

    fn fetch(&self, wanted: &[Wanted]) -> Result<usize, FetchError> {
        fetch(&self.settings(false), &self.store, wanted, &Quiet, &AtomicBool::new(false))
    }

    /// The text of the error that fetching must end with.
    fn refusal(&self, wanted: &[Wanted]) -> String {
        let error = self.fetch(wanted).unwrap_err();
        self.assert_nothing_is_left(wanted);
        error.to_string()
    }

    fn assert_brought(&self, wanted: &Wanted, bytes: &[u8]) {
        assert_eq!(self.store.read_blob(&wanted.digest).unwrap(), bytes);
    }

    fn assert_nothing_is_left(&self, wanted: &[Wanted]) {
        assert!(wanted.iter().all(|wanted| !self.store.has(&wanted.digest)));
        let left = files_below(&self.folder.path().join("store/tmp"));
        let left: Vec<_> = left.iter().filter(|path| !path.ends_with(".lock")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path.display().to_string());
        }
    }
    files
}

fn wheel(name: &str, bytes: &[u8]) -> Wanted {
    Wanted {
        name: format!("{name}-1.0-py3-none-any.whl"),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        place: Place::Python { project: name.to_owned() },
    }
}

fn package(path: &str, bytes: &[u8]) -> Wanted {
    Wanted {
        name: path.rsplit('/').next().unwrap().to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        place: Place::Debian { path: path.to_owned(), suite: "bullseye".to_owned() },
    }
}

/// A page that links to `/files/NAME`, without a digest.
fn page(wanted: &Wanted) -> Reply {
    let text = format!("<a href=\"/files/{}\">x</a>", wanted.name);
    Reply::ok(text).with("content-type", "text/html; charset=utf-8")
}

/// An index of one file; `file` says how the file is answered.
fn index_of(
    wanted: &Wanted,
    file: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Server, String) {
    let (wanted, target) = (wanted.clone(), format!("/files/{}", wanted.name));
    let asked = target.clone();
    let server = Server::new(move |request| match request.target.as_str() {
        path if path == asked => file(request),
        path if path.starts_with("/simple/") => page(&wanted),
        _ => Reply::status(404),
    });
    (server, target)
}

#[test]
fn a_wheel_comes_from_an_html_index() {
    let bytes = vec![7; 100_000];
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, _) = index_of(&torch, move |_| Reply::ok(body.clone()));
    let bench = Bench::with_index(&server);
    assert_eq!(bench.fetch(std::slice::from_ref(&torch)).unwrap(), 1);
    bench.assert_brought(&torch, &bytes);
}

#[test]
fn a_wheel_comes_from_a_json_index_that_compresses_its_pages() {
    let torch = wheel("torch", b"content");
    let (name, hex) = (torch.name.clone(), torch.digest.hex());
    let server = Server::new(move |request| match request.target.as_str() {
        "/simple/torch/" if request.headers["accept"].contains(JSON) => {
            let text = format!(
                r#"{{"files": [{{"filename": "{name}", "url": "../../f", "hashes": {{"sha256": "{hex}"}}}}]}}"#
            );
            let mut compressed = vec![0; 1000];
            let mut compressor = libdeflater::Compressor::new(Default::default());
            let size = compressor.gzip_compress(text.as_bytes(), &mut compressed).unwrap();
            compressed.truncate(size);
            Reply::ok(compressed).with("content-type", JSON).with("content-encoding", "gzip")
        }
        "/f" => Reply::ok("content"),
        _ => Reply::status(404),
    });
    let bench = Bench::with_index(&server);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, b"content");
}

#[test]
fn what_is_there_is_not_asked_for_again() {
    let torch = wheel("torch", b"content");
    let (server, _) = index_of(&torch, |_| Reply::ok("content"));
    let bench = Bench::with_index(&server);
    let twice = [torch.clone(), torch.clone()];
    assert_eq!(bench.fetch(&twice).unwrap(), 1);
    assert_eq!(bench.fetch(&twice).unwrap(), 0);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_404_names_the_settings_that_were_followed_and_is_final() {
    let torch = wheel("torch", b"content");
    let server = Server::new(|_| Reply::status(404));
    let bench = Bench::with_index(&server).with("REPRO_EXTRA_INDEX_URL", &server.url("/extra/"));
    let text = bench.refusal(&[torch]);
    assert!(
        text.contains(&format!("{} (from PIP_INDEX_URL)", server.url("/simple/torch/"))),
        "{text}"
    );
    assert!(
        text.contains(&format!("{} (from REPRO_EXTRA_INDEX_URL)", server.url("/extra/torch/")))
    );
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_page_without_the_file_counts_as_a_404() {
    let torch = wheel("torch", b"content");
    let other = wheel("other", b"content");
    let server = Server::new(move |_| page(&other));
    let text = Bench::with_index(&server).refusal(&[torch]);
    assert!(text.contains("missing"), "{text}");
}

#[test]
fn a_page_of_another_kind_is_refused_with_its_kind() {
    let torch = wheel("torch", b"content");
    let server = Server::new(|_| Reply::ok("%PDF").with("content-type", "application/pdf"));
    let text = Bench::with_index(&server).refusal(&[torch]);
    assert!(text.contains("its media type is `application/pdf`"), "{text}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |request| match request.earlier {
        0 => Reply::status(500),
        1 => Reply::status(429).with("retry-after", "0"),
        _ => Reply::ok("content"),
    });
    let bench = Bench::with_index(&server);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, b"content");
    assert_eq!(server.count(&target), 3);
}

#[test]
fn a_server_that_stays_in_trouble_is_given_up_with_its_status() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |_| Reply::status(503).with("retry-after", "0"));
    let text = Bench::with_index(&server).refusal(&[torch]);
    assert!(text.contains("the server answered 503 (5 attempts)"), "{text}");
    assert_eq!(server.count(&target), 5);
}

#[test]
fn a_refusal_is_final() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |_| Reply::status(403));
    let text = Bench::with_index(&server).refusal(&[torch]);
    assert!(text.contains("the server answered 403\n"), "{text}");
    assert_eq!(server.count(&target), 1);
}

#[test]
fn a_slow_server_is_waited_for_as_long_as_bytes_come() {
    let bytes = vec![3; 8_000];
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    // Eight pieces, 200 ms apart: longer than the limit all together, shorter each.
    let (server, target) = index_of(&torch, move |_| Reply {
        pause: Duration::from_millis(200),
        ..Reply::ok(body.clone())
    });
    let bench = Bench::with_index(&server).with("REPRO_TIMEOUT", "1");
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, &bytes);
    assert_eq!(server.count(&target), 1);
}

#[test]
fn a_silent_server_is_asked_again() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |request| Reply {
        is_silent: request.earlier == 0,
        ..Reply::ok("content")
    });
    let bench = Bench::with_index(&server).with("REPRO_TIMEOUT", "1");
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    assert_eq!(server.count(&target), 2);
}

/// Answers `bytes=N-` as servers do that can.
fn resumed(request: &Request, bytes: &[u8]) -> Reply {
    let range = request.headers.get("range").map(|range| &range["bytes=".len()..range.len() - 1]);
    let from: usize = range.map_or(0, |from| from.parse().unwrap());
    let reply = Reply::ok(&bytes[from..]);
    if from == 0 {
        return reply;
    }
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply { status: 206, ..reply }.with("content-range", range)
}

#[test]
fn a_cut_answer_is_taken_up_where_it_broke() {
    let bytes: Vec<u8> = (0..600_000u32).map(|number| number as u8).collect();
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, target) = index_of(&torch, move |request| {
        let cut_after = (request.earlier == 0).then_some(400_000);
        Reply { cut_after, ..resumed(request, &body) }
    });
    let bench = Bench::with_index(&server);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, &bytes);
    let asked = server.asked();
    let ranges = asked.iter().filter(|request| request.target == target);
    let ranges: Vec<_> = ranges.map(|request| request.headers.get("range").cloned()).collect();
    assert_eq!(ranges, [None, Some("bytes=400000-".to_owned())]);
}

#[test]
fn a_cut_answer_comes_whole_from_a_server_that_cannot_resume() {
    let bytes = vec![9; 600_000];
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, _) = index_of(&torch, move |request| Reply {
        cut_after: (request.earlier == 0).then_some(400_000),
        ..Reply::ok(body.clone())
    });
    let bench = Bench::with_index(&server);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, &bytes);
}

#[test]
fn a_short_answer_without_a_length_is_known_for_cut() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |request| Reply {
        hides_length: true,
        ..Reply::ok(if request.earlier == 0 { "con" } else { "content" })
    });
    let bench = Bench::with_index(&server);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    assert_eq!(server.count(&target), 2);
}

#[test]
fn other_bytes_are_refused_with_both_digests_and_not_asked_for_again() {
    for other in ["CONTENT", "more content", "con"] {
        let torch = wheel("torch", b"content");
        let (server, target) = index_of(&torch, move |_| Reply::ok(other));
        let bench = Bench::with_index(&server);
        let error = bench.fetch(std::slice::from_ref(&torch)).unwrap_err();
        assert!(error.is_about_content());
        let text = error.to_string();
        assert!(text.contains(&format!("locked    {} (7 bytes)", torch.digest)), "{text}");
        let received = Digest::of(other.as_bytes());
        assert!(text.contains(&format!("received  {received} ({} bytes)", other.len())), "{text}");
        bench.assert_nothing_is_left(&[torch]);
        assert_eq!(server.count(&target), 1);
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let torch = wheel("torch", b"content");
    let (server, _) =
        index_of(&torch, |_| Reply { hides_length: true, ..Reply::ok(vec![0; 4 << 20]) });
    let text = Bench::with_index(&server).refusal(&[torch]);
    assert!(text.contains("more than twice the locked size"), "{text}");
}

#[test]
fn an_announced_digest_that_differs_saves_the_download() {
    let torch = wheel("torch", b"content");
    let other = Digest::of(b"other");
    let text = format!("<a href=\"/files/{}#sha256={}\">x</a>", torch.name, other.hex());
    let server = Server::new(move |_| Reply::ok(text.clone()).with("content-type", "text/html"));
    let text = Bench::with_index(&server).refusal(std::slice::from_ref(&torch));
    assert!(text.contains(&format!("locked    {}", torch.digest)), "{text}");
    assert!(text.contains(&format!("announced {other}")), "{text}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_second_index_helps_where_the_first_has_other_content() {
    let torch = wheel("torch", b"content");
    let (first, _) = index_of(&torch, |_| Reply::ok("CONTENT"));
    let (second, _) = index_of(&torch, |_| Reply::ok("content"));
    let bench = Bench::with_index(&first).with("PIP_EXTRA_INDEX_URL", &second.url("/simple/"));
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, b"content");
}

#[test]
fn a_page_of_a_server_leads_to_no_file_of_this_machine_and_its_next_link_is_taken() {
    let bytes = b"a wheel";
    let wanted = wheel("tool", bytes);
    let name = wanted.name.clone();
    let folder = tempfile::tempdir().unwrap();
    let near = folder.path().join(&name);
    fs::write(&near, bytes).unwrap();
    for (more, works) in
        [(format!("<a href=\"/files/{name}\">b</a>"), true), (String::new(), false)]
    {
        let text = format!("<a href=\"file://{}\">a</a>{more}", near.display());
        let server = Server::new(move |request| match request.target.starts_with("/files/") {
            true => Reply::ok(*bytes),
            false => Reply::ok(text.clone()).with("content-type", "text/html"),
        });
        let bench = Bench::with_index(&server);
        if works {
            assert_eq!(bench.fetch(std::slice::from_ref(&wanted)).unwrap(), 1);
            assert_eq!(server.count(&format!("/files/{name}")), 1);
        } else {
            let refusal = bench.refusal(std::slice::from_ref(&wanted));
            assert!(refusal.contains("leads to no server"), "{refusal}");
        }
    }
}

#[test]
fn a_pipe_in_a_local_folder_is_no_file_and_nobody_waits_for_it() {
    let wanted = wheel("tool", b"a wheel");
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join(&wanted.name);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let links = folder.path().display().to_string();
    let bench = Bench::new().with("REPRO_FIND_LINKS", &links);
    let refusal = bench.refusal(&[wanted]);
    assert!(refusal.contains("is no regular file"), "{refusal}");
}

#[test]
fn a_server_that_asks_to_wait_for_years_is_given_up_at_once() {
    let server = Server::new(|_| Reply::status(503).with("retry-after", "99999999"));
    let wanted = wheel("tool", b"a wheel");
    let refusal = Bench::with_index(&server).refusal(&[wanted]);
    assert!(refusal.contains("answered 503 and asks to wait 99999999 s"), "{refusal}");
    assert_eq!(server.asked().len(), 1, "it is not asked again");
}

#[test]
fn an_answer_that_comes_too_slowly_is_broken_off_and_asked_for_again() {
    let bytes = vec![7; 20_000];
    let wanted = wheel("tool", &bytes);
    let content = bytes.clone();
    let (server, target) = index_of(&wanted, move |request| match request.earlier {
        // A kilobyte in one and a half second: never silent for three, and too slow over them.
        0 => Reply { pause: Duration::from_millis(1500), ..Reply::ok(content.clone()) },
        _ => Reply::ok(content.clone()),
    });
    let bench = Bench::with_index(&server).with("REPRO_TIMEOUT", "3");
    bench.fetch(std::slice::from_ref(&wanted)).unwrap();
    assert_eq!(server.count(&target), 2);
    bench.assert_brought(&wanted, &bytes);
}

#[test]
fn wrong_bytes_are_told_as_given_up_and_not_as_tried_again() {
    let wanted = wheel("tool", b"a wheel");
    let (server, target) = index_of(&wanted, |_| Reply::ok("a wheez"));
    let bench = Bench::with_index(&server);
    let told = Told::default();
    let stop = AtomicBool::new(false);
    fetch(&bench.settings(false), &bench.store, &[wanted], &told, &stop).unwrap_err();
    assert_eq!(server.count(&target), 1);
    assert_eq!(*told.0.lock().unwrap(), [format!("given up {}", server.url(&target))]);
}

/// Notes what is tried again and what is given up.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn begin(&self, _files: usize, _bytes: u64) {}
    fn started(&self, _name: &str, _size: u64) {}
    fn advanced(&self, _name: &str, _bytes: u64) {}
    fn retried(&self, _name: &str, _lost: u64, reason: &str) {
        self.0.lock().unwrap().push(format!("again {reason}"));
    }
    fn discarded(&self, _name: &str, _lost: u64, place: &str) {
        self.0.lock().unwrap().push(format!("given up {place}"));
    }
    fn finished(&self, _name: &str) {}
    fn end(&self) {}
}

#[test]
fn redirects_are_followed() {
    let torch = wheel("torch", b"content");
    let elsewhere = Server::new(|_| Reply::ok("content"));
    let url = elsewhere.url("/moved.whl");
    let (server, _) = index_of(&torch, move |_| Reply::status(302).with("location", url.clone()));
    let bench = Bench::with_index(&server);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    assert_eq!(elsewhere.count("/moved.whl"), 1);
}

#[test]
fn a_password_is_sent_to_its_server_and_shown_to_nobody() {
    let torch = wheel("torch", b"content");
    let (server, _) = index_of(&torch, |_| Reply::status(404));
    let url = format!("http://user:secret@{}/simple", server.address());
    let text = Bench::new().with("PIP_INDEX_URL", &url).refusal(&[torch]);
    assert!(text.contains("http://***@") && !text.contains("secret"), "{text}");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert_eq!(request.headers["authorization"], "Basic dXNlcjpzZWNyZXQ=");
    }
}

#[test]
fn a_proxy_is_asked_unless_the_host_is_excepted() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |_| Reply::ok("content"));
    let proxied = torch.clone();
    let proxy = Server::new(move |request| match request.target.as_str() {
        "http://index.test/simple/torch/" => page(&proxied),
        _ => Reply::ok("content"),
    });
    let bench = Bench::new()
        .with("PIP_INDEX_URL", "http://index.test/simple")
        .with("HTTP_PROXY", &proxy.url(""));
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    assert_eq!(proxy.count(&format!("http://index.test{target}")), 1);

    let bench =
        Bench::with_index(&server).with("HTTP_PROXY", &proxy.url("")).with("NO_PROXY", "127.0.0.1");
    bench.fetch(&[torch]).unwrap();
    assert_eq!((proxy.asked().len(), server.count(&target)), (2, 1));
}

#[test]
fn offline_every_missing_input_is_named_with_its_size() {
    let server = Server::new(|_| Reply::ok("content"));
    let bench = Bench::with_index(&server).with("REPRO_DEBIAN_MIRROR", &server.url("/debian"));
    let bytes = vec![1; 1_500_000];
    let all = [wheel("torch", &bytes), wheel("here", b"here"), package("pool/a.deb", b"content")];
    bench.store.put(b"here").unwrap();
    let stop = AtomicBool::new(false);
    let error = fetch(&bench.settings(true), &bench.store, &all, &Quiet, &stop).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("2 of 3 inputs could not be fetched\n"), "{text}");
    assert!(text.contains("`torch-1.0-py3-none-any.whl` (1.5 MB) is not in the store"), "{text}");
    assert!(text.contains("`a.deb` (7 bytes) is not in the store"), "{text}");
    assert!(server.asked().is_empty());
}

#[test]
fn offline_a_local_folder_still_helps() {
    let bench = Bench::new().with("PIP_FIND_LINKS", "wheels").with("PIP_NO_INDEX", "1");
    let torch = wheel("torch", b"content");
    fs::create_dir(bench.folder.path().join("wheels")).unwrap();
    fs::write(bench.folder.path().join("wheels").join(&torch.name), "content").unwrap();
    let stop = AtomicBool::new(false);
    fetch(&bench.settings(true), &bench.store, std::slice::from_ref(&torch), &Quiet, &stop)
        .unwrap();
    bench.assert_brought(&torch, b"content");
}

#[test]
fn a_local_index_is_read_as_a_server_would_give_it() {
    let torch = wheel("torch", b"content");
    let bench = Bench::new();
    let project = bench.folder.path().join("mirror/simple/torch");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("index.html"), "<a href='../../f.whl'>").unwrap();
    fs::write(bench.folder.path().join("mirror/f.whl"), "content").unwrap();
    let other = wheel("other", b"other content");
    let bench = bench.with("REPRO_INDEX_URL", "mirror/simple");
    let text = bench.refusal(&[other]);
    assert!(text.contains("missing"), "{text}");
    fs::write(
        project.join("index.html"),
        format!("<a href='../../f.whl#sha256={}'>", torch.digest.hex()),
    )
    .unwrap();
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, b"content");
}

#[test]
fn a_package_comes_from_whichever_archive_has_it() {
    let main = package("pool/main/g/glibc/libc6_2.31-13+deb11u11_amd64.deb", b"main");
    let security =
        package("pool/updates/main/o/openssl/libssl1.1_1.1.1w-0+deb11u3_amd64.deb", b"security");
    let server = Server::new(|request| match request.target.as_str() {
        "/second/pool/main/g/glibc/libc6_2.31-13+deb11u11_amd64.deb" => Reply::ok("main"),
        "/security/pool/updates/main/o/openssl/libssl1.1_1.1.1w-0+deb11u3_amd64.deb" => {
            Reply::ok("security")
        }
        _ => Reply::status(404),
    });
    let mirrors = format!("{} {}", server.url("/first"), server.url("/second"));
    let bench = Bench::new()
        .with("REPRO_DEBIAN_MIRROR", &mirrors)
        .with("REPRO_DEBIAN_SECURITY_MIRROR", &server.url("/security"));
    bench.fetch(&[main.clone(), security.clone()]).unwrap();
    bench.assert_brought(&main, b"main");
    bench.assert_brought(&security, b"security");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn several_failures_are_reported_together_and_the_rest_is_brought() {
    let (good, gone, wrong) = (
        package("pool/good.deb", b"good"),
        package("pool/gone.deb", b"gone"),
        package("pool/wrong.deb", b"wrong"),
    );
    let server = Server::new(|request| match request.target.as_str() {
        "/pool/good.deb" => Reply::ok("good"),
        "/pool/wrong.deb" => Reply::ok("WRONG"),
        _ => Reply::status(404),
    });
    let bench = Bench::new().with("REPRO_DEBIAN_MIRROR", &server.url("/"));
    let error = bench.fetch(&[wrong.clone(), good.clone(), gone.clone()]).unwrap_err();
    let FetchError::Inputs { total, failures } = error else { panic!("{error}") };
    let names: Vec<_> = failures.iter().map(|failure| failure.wanted.name.as_str()).collect();
    assert_eq!((total, names), (3, vec!["gone.deb", "wrong.deb"]));
    bench.assert_brought(&good, b"good");
    bench.assert_nothing_is_left(&[gone, wrong]);
}

#[test]
fn a_server_that_is_not_there_is_not_waited_for_by_each_input() {
    // Bound and closed again: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = Bench::new().with("REPRO_DEBIAN_MIRROR", &format!("http://{address}/debian"));
    let all: Vec<_> =
        (0..30).map(|number| package(&format!("pool/{number}.deb"), &[number])).collect();
    let text = bench.refusal(&all);
    assert!(text.contains("(5 attempts)"), "{text}");
    assert!(text.contains("its host could not be reached just before"), "{text}");
}

#[test]
fn somebody_who_stops_does_not_wait_for_a_silent_server() {
    let torch = wheel("torch", b"content");
    let (server, target) = index_of(&torch, |_| Reply { is_silent: true, ..Reply::ok("content") });
    let bench = Bench::with_index(&server);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while server.count(&target) == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            stop.store(true, Ordering::SeqCst);
        });
        let wanted = std::slice::from_ref(&torch);
        let error = fetch(&bench.settings(false), &bench.store, wanted, &Quiet, &stop).unwrap_err();
        assert!(matches!(error, FetchError::Stopped), "{error}");
    });
    bench.assert_nothing_is_left(&[torch]);
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_asked() {
    let server = Server::new(|_| Reply::ok("content"));
    let bench = Bench::with_index(&server);
    let torch = Wanted { size: 1 << 60, ..wheel("torch", b"content") };
    let error = bench.fetch(&[torch]).unwrap_err();
    assert!(matches!(error, FetchError::NoSpace { needed, .. } if needed == 1 << 60), "{error}");
    assert!(server.asked().is_empty());
}

/// Adds up what it is told.
#[derive(Default)]
struct Sum {
    announced: AtomicU64,
    advanced: AtomicU64,
    lost: AtomicU64,
    open: AtomicU64,
}

impl Progress for Sum {
    fn begin(&self, _files: usize, bytes: u64) {
        self.announced.fetch_add(bytes, Ordering::SeqCst);
    }
    fn started(&self, _name: &str, _size: u64) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }
    fn advanced(&self, _name: &str, bytes: u64) {
        self.advanced.fetch_add(bytes, Ordering::SeqCst);
    }
    fn retried(&self, _name: &str, lost: u64, _reason: &str) {
        self.lost.fetch_add(lost, Ordering::SeqCst);
    }
    fn finished(&self, _name: &str) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
    fn end(&self) {}
}

#[test]
fn progress_adds_up_over_retries_and_mirrors() {
    let bytes = vec![5; 600_000];
    let deb = package("pool/a.deb", &bytes);
    let body = bytes.clone();
    let server = Server::new(move |request| match (request.target.as_str(), request.earlier) {
        ("/wrong/pool/a.deb", _) => Reply::ok("other bytes"),
        (_, 0) => Reply { cut_after: Some(300_000), ..Reply::ok(body.clone()) },
        _ => Reply::ok(body.clone()),
    });
    let mirrors = format!("{} {}", server.url("/wrong"), server.url("/right"));
    let bench = Bench::new().with("REPRO_DEBIAN_MIRROR", &mirrors);
    let sum = Sum::default();
    fetch(&bench.settings(false), &bench.store, &[deb], &sum, &AtomicBool::new(false)).unwrap();
    assert_eq!(sum.announced.into_inner(), 600_000);
    assert_eq!(sum.advanced.into_inner() - sum.lost.into_inner(), 600_000);
    assert_eq!(sum.open.into_inner(), 0);
}

/// A part of `bytes` that a killed process left.
fn leave_part(bench: &Bench, wanted: &Wanted, part: &[u8]) {
    let folder = bench.folder.path().join("store/partial");
    fs::write(folder.join(wanted.digest.hex()), part).unwrap();
}

fn parts_left(bench: &Bench) -> usize {
    fs::read_dir(bench.folder.path().join("store/partial")).unwrap().count()
}

/// Answers as a server that resumes.
fn ranged(request: &Request, bytes: &[u8]) -> Reply {
    let Some(range) = request.headers.get("range") else { return Reply::ok(bytes) };
    let from: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    let content = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply { status: 206, ..Reply::ok(&bytes[from..]) }.with("content-range", content)
}

#[test]
fn what_a_killed_process_left_is_not_asked_for_again() {
    let bytes: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, target) = index_of(&torch, move |request| ranged(request, &body));
    let bench = Bench::with_index(&server);
    leave_part(&bench, &torch, &bytes[..150_000]);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, &bytes);
    let asked = server.asked();
    let asked: Vec<_> = asked.iter().filter(|request| request.target == target).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].headers["range"], "bytes=150000-");
    assert_eq!(parts_left(&bench), 0);
}

#[test]
fn a_download_that_breaks_off_for_good_leaves_its_part_and_its_version() {
    let bytes: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, target) = index_of(&torch, move |request| match request.earlier {
        0 => Reply { cut_after: Some(120_000), ..Reply::ok(body.clone()) }.with("etag", "\"one\""),
        1 => Reply::status(403),
        _ => ranged(request, &body),
    });
    let bench = Bench::with_index(&server);
    assert!(bench.fetch(std::slice::from_ref(&torch)).is_err());
    assert_eq!(parts_left(&bench), 2);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, &bytes);
    let asked = server.asked();
    let last = asked.iter().rfind(|request| request.target == target).unwrap();
    assert_eq!(last.headers["range"], "bytes=120000-");
    assert_eq!(last.headers["if-range"], "\"one\"");
    assert_eq!(parts_left(&bench), 0);
}

#[test]
fn a_part_of_another_file_ends_in_one_whole_download_and_never_in_wrong_bytes() {
    let bytes: Vec<u8> = (0..50_000u32).map(|number| number as u8).collect();
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, target) = index_of(&torch, move |request| ranged(request, &body));
    for part in [&vec![9; 20_000], &vec![9; 50_000], &vec![9; 70_000]] {
        let bench = Bench::with_index(&server);
        leave_part(&bench, &torch, part);
        let before = server.count(&target);
        bench.fetch(std::slice::from_ref(&torch)).unwrap();
        bench.assert_brought(&torch, &bytes);
        assert!(server.count(&target) - before <= 2);
        assert_eq!(parts_left(&bench), 0);
    }
}

#[test]
fn a_server_that_does_not_resume_sends_all_of_it_again() {
    let bytes: Vec<u8> = (0..50_000u32).map(|number| number as u8).collect();
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, target) = index_of(&torch, move |_| Reply::ok(body.clone()));
    let bench = Bench::with_index(&server);
    leave_part(&bench, &torch, &bytes[..30_000]);
    bench.fetch(std::slice::from_ref(&torch)).unwrap();
    bench.assert_brought(&torch, &bytes);
    assert_eq!(server.count(&target), 1);
}

#[test]
fn a_wrong_file_leaves_no_part() {
    let torch = wheel("torch", b"right");
    let (server, _) = index_of(&torch, |_| Reply::ok("wrong"));
    let bench = Bench::with_index(&server);
    bench.refusal(std::slice::from_ref(&torch));
    assert_eq!(parts_left(&bench), 0);
}

#[test]
fn progress_adds_up_where_a_part_was_there() {
    let bytes: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    let torch = wheel("torch", &bytes);
    let body = bytes.clone();
    let (server, _) = index_of(&torch, move |request| ranged(request, &body));
    let links = tempfile::tempdir().unwrap();
    let links = links.path().display().to_string();
    for part in [&bytes[..150_000], &[9; 20_000], &[9; 200_000]] {
        // The folder has no such file, and is asked first.
        let bench = Bench::with_index(&server).with("PIP_FIND_LINKS", &links);
        leave_part(&bench, &torch, part);
        let (sum, stop) = (Sum::default(), AtomicBool::new(false));
        let wanted = std::slice::from_ref(&torch);
        fetch(&bench.settings(false), &bench.store, wanted, &sum, &stop).unwrap();
        let (advanced, lost) = (sum.advanced.into_inner(), sum.lost.into_inner());
        assert_eq!(advanced - lost, 200_000, "{advanced} {lost}");
        if part[0] == bytes[0] {
            assert_eq!(lost, 0);
        }
    }
}
