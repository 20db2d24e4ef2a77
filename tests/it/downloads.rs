//! Files of the web in an image: pinned, measured, missing, fetched, laid out; and pages of wheels.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use repro::build::Builder;
use repro::digest::Digest;
use repro::engine::Stop;
use repro::engine::fake::Fake;
use repro::fetch::{self, FetchError, Quiet};
use repro::layer::EPOCH;
use repro::lock::{Asked, ImageConfig, Lock, LockedDownload, LockedFile, LockedWheel};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use crate::layers::python;
use crate::loopback::{Reply, Server};
use crate::unpinned::{World, open};

const WEIGHTS: &[u8] = b"weights of a net\n";
const PATH: &str = "/opt/weights.bin";

/// A server that has the weights while `is_there` says so.
fn server() -> (Server, Arc<AtomicBool>) {
    let is_there = Arc::new(AtomicBool::new(true));
    let shared = is_there.clone();
    let server = Server::new(move |request| match request.target.as_str() {
        "/weights.bin" if shared.load(Ordering::SeqCst) => Reply::ok(WEIGHTS),
        "/wrong.bin" => Reply::ok(*b"<html>please log in</html>"),
        _ => Reply::status(404),
    });
    (server, is_there)
}

fn table(urls: &[String], more: &str) -> String {
    let urls: Vec<_> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    format!(
        "[[variant.debian.download]]\npath = \"{PATH}\"\nurls = [{}]\n{more}\n\n",
        urls.join(", ")
    )
}

fn md5_of_weights() -> &'static str {
    "d600c126e901928e58abad5d87f19b60"
}

#[test]
fn a_download_whose_digest_and_size_are_known_is_pinned_without_asking() {
    let (world, (server, _)) = (World::new(), server());
    let digest = Digest::of(WEIGHTS).hex();
    let more = format!("size = {}\nsha256 = \"{digest}\"\nexecutable = true", WEIGHTS.len());
    world.recipe(&table(&[server.url("/weights.bin")], &more));
    let (lock, _) = world.lock(0);
    let expected = LockedDownload {
        path: PATH.to_owned(),
        urls: vec![server.url("/weights.bin")],
        size: WEIGHTS.len() as u64,
        sha256: Digest::of(WEIGHTS),
        executable: true,
    };
    assert_eq!(lock.downloads, [expected]);
    assert_eq!(server.asked().len(), 0);
    assert_eq!(world.run(&["lock", "--check"]).0, 0);
    // What the recipe knows of it is compared, and what it says where it is.
    world.recipe(&table(&[server.url("/weights.bin")], &more.replace("17", "18")));
    let (code, checked, _) = world.run(&["lock", "--check"]);
    assert_eq!(code, 2, "{checked}");
    assert!(checked.contains("~ download `/opt/weights.bin`"), "{checked}");
}

#[test]
fn a_download_of_unknown_digest_is_measured_once_and_its_checks_hold() {
    let (world, (server, is_there)) = (World::new(), server());
    let checks = format!(
        "checks = {{ md5 = \"{}\", sha256-prefix = \"{}\" }}",
        md5_of_weights(),
        &Digest::of(WEIGHTS).hex()[..8]
    );
    let urls = [server.url("/nothing.bin"), server.url("/wrong.bin"), server.url("/weights.bin")];
    world.recipe(&table(&urls, &checks));
    let (lock, _) = world.lock(0);
    let file = &lock.downloads[0];
    assert_eq!((file.sha256, file.size), (Digest::of(WEIGHTS), WEIGHTS.len() as u64));
    let asked = server.asked().len();
    is_there.store(false, Ordering::SeqCst);
    assert_eq!(world.lock(0).0, lock);
    assert_eq!(server.asked().len(), asked, "what is pinned is not asked for again");
    // Asked for again by name, and nobody gives it: the lock stays.
    let (code, _, told) = world.run(&["lock", "tracker-debian", "--update", PATH]);
    assert_eq!((code, world.lock_text()), (3, lock.to_text()), "{told}");
}

#[test]
fn a_download_that_contradicts_what_is_known_is_refused_with_both_sides() {
    let (world, (server, _)) = (World::new(), server());
    let wrong = "0".repeat(32);
    let more = format!("size = 99\nchecks = {{ md5 = \"{wrong}\" }}");
    world.recipe(&table(&[server.url("/weights.bin")], &more));
    let (code, _, told) = world.run(&["lock", "tracker-debian"]);
    assert_eq!(code, 3, "{told}");
    for part in ["known  99", "found  17", &wrong, md5_of_weights(), "/weights.bin"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!world.path("project/lockfiles/tracker-debian.lock").exists());
}

#[test]
fn a_download_that_nobody_gives_is_a_hole_and_filled_by_a_later_lock() {
    let (world, (server, is_there)) = (World::new(), server());
    world.recipe(&table(&[server.url("/weights.bin")], ""));
    is_there.store(false, Ordering::SeqCst);
    let (first, told) = world.lock(4);
    let hole = ("download `/opt/weights.bin`", "no address of the recipe gives it");
    assert_eq!(open(&first), [hole]);
    assert!(told.contains("/weights.bin") && first.wheels.len() == 2, "{told}");
    assert_eq!(world.run(&["lock", "--check"]).0, 0);
    is_there.store(true, Ordering::SeqCst);
    world.has_asked();
    let (second, _) = world.lock(0);
    assert!(!world.has_asked(), "no wheel was resolved again");
    let filled = Lock { downloads: second.downloads.clone(), unpinned: Vec::new(), ..first };
    assert_eq!((second.downloads.len(), &second), (1, &filled));
    let gone = format!(
        "[[variant.debian.gone]]\ninput = \"{PATH}\"\nevidence = \"deleted\"\ndate = \"2026-11-20\"\n"
    );
    world.recipe(&format!("{}{gone}", table(&[server.url("/weights.bin")], "")));
    let (third, _) = world.lock(0);
    assert_eq!((third.downloads.len(), open(&third)), (0, vec![(PATH, "deleted")]));
    assert_eq!(world.run(&["lock", "--check"]).0, 0);
}

#[test]
fn a_download_from_nowhere_or_to_nowhere_is_refused() {
    let world = World::new();
    let hex = "0".repeat(64);
    for (urls, more, words) in [
        ("file:///etc/passwd", "", "an address begins with"),
        ("https://me:secret@host.test/x", "", "an address begins with"),
        ("https://host.test/x", "size = -1", "0 or more"),
        ("https://host.test/x", "checks = { md5 = \"abc\" }", "32 lower-case hexadecimal digits"),
        (
            "https://host.test/x",
            &format!("sha256 = \"{hex}\"\nchecks = {{ sha256-prefix = \"ab\" }}"),
            "the `sha256` begins otherwise",
        ),
    ] {
        world.recipe(&table(&[urls.to_owned()], more));
        let (code, _, told) = world.run(&["lock", "tracker-debian"]);
        assert!(code == 2 && told.contains(words), "{words}: {told}");
    }
    let twice = table(&["https://host.test/x".to_owned()], "").replace(PATH, "/opt/tracker/net.py");
    world.recipe(&twice);
    let (_, _, told) = world.run(&["lock", "tracker-debian"]);
    assert!(told.contains("`/opt/tracker/net.py` stands twice"), "{told}");
}

/// A store, and settings that name an index and nothing else.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn settings(&self, options: Options) -> Settings {
        let environment = Environment::new(self.folder.path(), self.folder.path())
            .with("HOME", "/nowhere")
            .with("REPRO_INDEX_URL", self.folder.path().to_str().unwrap());
        Settings::load_in(options, environment).unwrap()
    }

    fn fetch(&self, lock: &Lock, options: Options) -> Result<usize, FetchError> {
        let never = AtomicBool::new(false);
        fetch::fetch(&self.settings(options), &self.store, &fetch::wanted(lock), &Quiet, &never)
    }
}

/// A lock of nothing but a download.
fn lock_of(urls: Vec<String>) -> Lock {
    let download = LockedDownload {
        path: PATH.to_owned(),
        urls,
        size: WEIGHTS.len() as u64,
        sha256: Digest::of(WEIGHTS),
        executable: true,
    };
    Lock {
        name: "tracker".to_owned(),
        epoch: EPOCH,
        asked: Asked::default(),
        as_of: "2026-11-20".to_owned(),
        base: None,
        suite: "bullseye".to_owned(),
        python: python(),
        config: ImageConfig {
            architecture: "amd64".to_owned(),
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            entrypoint: Vec::new(),
            writable: Vec::new(),
            shm_size: 1 << 20,
        },
        packages: Vec::new(),
        wheels: Vec::new(),
        find_links: Vec::new(),
        git: Vec::new(),
        downloads: vec![download],
        builds: Vec::new(),
        symlinks: BTreeMap::new(),
        files: [("/etc/motd".to_owned(), "hello\n".to_owned())].into(),
        local_files: Vec::new(),
        profile_files: Vec::new(),
        unpinned: Vec::new(),
        seal: None,
    }
}

#[test]
fn a_locked_download_comes_from_a_mirror_or_an_address_and_never_with_other_bytes() {
    let (server, _) = server();
    let bench = Bench::new();
    let lock = lock_of(vec![server.url("/wrong.bin"), server.url("/weights.bin")]);
    assert_eq!(bench.fetch(&lock, Options::default()).unwrap(), 1);
    let wrong = Bench::new().fetch(&lock_of(vec![server.url("/wrong.bin")]), Options::default());
    assert!(wrong.unwrap_err().is_about_content());
    // A mirror has it under its digest, and needs no network.
    let mirror = bench.folder.path().join("mirror/blobs/sha256");
    fs::create_dir_all(&mirror).unwrap();
    fs::write(mirror.join(Digest::of(WEIGHTS).hex()), WEIGHTS).unwrap();
    let mirror = bench.folder.path().join("mirror").display().to_string();
    let asked = server.asked().len();
    let options = Options { offline: true, mirror: vec![mirror.into()], ..Options::default() };
    assert_eq!(Bench::new().fetch(&lock, options).unwrap(), 1);
    let offline = Options { offline: true, ..Options::default() };
    let error = Bench::new().fetch(&lock, offline).unwrap_err().to_string();
    assert!(error.contains("no network may be asked"), "{error}");
    assert_eq!(server.asked().len(), asked);
    let pinned: Vec<_> = lock.pinned().into_iter().map(|pinned| pinned.name).collect();
    assert_eq!(pinned, [PATH], "what mirrors and bundles carry");
}

#[test]
fn a_download_lies_in_a_layer_of_its_own_below_local_files() {
    let (server, _) = server();
    let bench = Bench::new();
    fs::write(bench.folder.path().join("net.py"), "net = 1\n").unwrap();
    let mut lock = lock_of(vec![server.url("/weights.bin")]);
    lock.local_files = vec![LockedFile {
        path: "/opt/net.py".to_owned(),
        source: "net.py".to_owned(),
        executable: false,
        size: 8,
        sha256: Digest::of(b"net = 1\n"),
    }];
    let builder = Builder {
        settings: &bench.settings(Options::default()),
        store: &bench.store,
        engine: &Fake::with(|_| panic!("nothing is compiled")),
        progress: &Quiet,
        stop: &Stop::new(),
        folder: bench.folder.path().to_owned(),
        recipe: None,
    };
    let built = builder.build(&lock).unwrap();
    let origins: Vec<_> = built.image.layers.iter().map(|layer| layer.origin.as_str()).collect();
    assert_eq!(origins[1..], ["downloaded files (1)", "local files (1)"]);
    let entries: Vec<_> = built.image.layers[1]
        .plan()
        .unwrap()
        .entries()
        .map(|entry| (entry.path.to_owned(), entry.mode, entry.size))
        .collect();
    assert_eq!(entries[1], ("opt/weights.bin".to_owned(), 0o755, WEIGHTS.len() as u64));
}

#[test]
fn a_lock_keeps_downloads_and_pages_of_wheels_and_refuses_hostile_ones() {
    let mut lock = lock_of(vec!["https://host.test/weights.bin".to_owned()]);
    lock.find_links = vec!["https://wheels.test/stable.html".to_owned(), "wheels".to_owned()];
    let text = lock.to_text();
    let parse = |text: &str| Lock::parse(text, Path::new("x"));
    let read = parse(&text).unwrap();
    assert_eq!((&read, read.to_text()), (&lock, text.clone()));
    let bare = Lock { find_links: Vec::new(), downloads: Vec::new(), ..lock.clone() }.to_text();
    assert!(!bare.contains("find-links") && !bare.contains("[[download]]"), "{bare}");
    for (from, to) in [
        (PATH, "/opt/../etc/x"),
        ("https://host.test", "https://me:secret@host.test"),
        ("https://host.test/weights.bin", "file:///etc/passwd"),
        ("\"wheels\"", "\"../wheels\""),
        ("https://wheels.test/stable.html", "file:///srv"),
    ] {
        assert!(parse(&text.replace(from, to)).is_err(), "{to}");
    }
    let other = Lock { downloads: Vec::new(), ..lock.clone() };
    let found: Vec<_> = other.diff(&lock).iter().map(ToString::to_string).collect();
    assert!(found[0].starts_with("+ download `/opt/weights.bin` from https://host"), "{found:?}");
}

/// A recipe's requirements with one that no index has, and a page that may have it.
fn with_page(world: &World, page: &str) {
    let recipe = world.path("project/images/tracker.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    let asked = "requirements = [\"numpy==1.21.6\", ";
    let text =
        text.replace(asked, &format!("find-links = [\"{page}\"]\n{asked}\"torch==1.7.1+cu101\", "));
    fs::write(&recipe, text).unwrap();
}

#[test]
fn a_page_of_wheels_that_answers_is_handed_to_the_resolver_and_one_that_does_not_leaves_a_hole() {
    let (world, page) = (World::new(), Server::new(|_| Reply::ok(*b"<a href='x.whl'>x</a>")));
    with_page(&world, &page.url("/stable.html"));
    let (lock, _) = world.lock(0);
    assert_eq!(lock.find_links, [page.url("/stable.html")]);
    let environment = fs::read_to_string(world.path("image-environment")).unwrap();
    assert!(environment.contains(&format!("UV_FIND_LINKS={}", page.url("/stable.html"))));
    let world = World::new();
    let nothing = Server::new(|_| Reply::status(404));
    with_page(&world, &nothing.url("/stable.html"));
    world.write("uv-lacks", "torch==1.7.1+cu101\n");
    let (lock, told) = world.lock(4);
    assert_eq!(open(&lock)[0].0, "distribution `torch==1.7.1+cu101`");
    assert!(told.contains("do not answer") && told.contains("/stable.html"), "{told}");
    let environment = fs::read_to_string(world.path("image-environment")).unwrap();
    assert!(!environment.contains("stable.html"), "{environment}");
}

#[test]
fn a_wheel_comes_from_the_page_or_the_folder_that_the_lock_names() {
    let file = "torch-1.7.1+cu101-cp37-cp37m-linux_x86_64.whl";
    let server = Server::new(|request| match request.target.as_str() {
        "/stable.html" => {
            Reply::ok("<a href=\"cu101/torch-1.7.1%2Bcu101-cp37-cp37m-linux_x86_64.whl\">x</a>")
                .with("content-type", "text/html")
        }
        "/cu101/torch-1.7.1%2Bcu101-cp37-cp37m-linux_x86_64.whl" => Reply::ok(*b"wheel"),
        _ => Reply::status(404),
    });
    let wheel = LockedWheel {
        name: "torch".to_owned(),
        version: "1.7.1+cu101".to_owned(),
        file: file.to_owned(),
        size: 5,
        sha256: Digest::of(b"wheel"),
        requested: true,
    };
    let lock = Lock { downloads: Vec::new(), wheels: vec![wheel], ..lock_of(Vec::new()) };
    let paged = Lock { find_links: vec![server.url("/stable.html")], ..lock.clone() };
    assert_eq!(Bench::new().fetch(&paged, Options::default()).unwrap(), 1);
    let bench = Bench::new();
    for folder in ["images", "lockfiles", "wheels"] {
        fs::create_dir_all(bench.folder.path().join(folder)).unwrap();
    }
    fs::write(bench.folder.path().join("wheels").join(file), "wheel").unwrap();
    let local = Lock { find_links: vec!["wheels".to_owned()], ..lock };
    let project = Some(bench.folder.path().to_owned());
    assert_eq!(bench.fetch(&local, Options { project, ..Options::default() }).unwrap(), 1);
}
