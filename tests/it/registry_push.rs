//! A push sends what a registry lacks, once, and nothing that is another thing than its name says;
//! what was pushed can be pulled.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread;

use repro::build::{self, keep_pulled, prove_pulled};
use repro::digest::Digest;
use repro::fetch::Quiet;
use repro::image::Image;
use repro::lock::Lock;
use repro::registry::{self, Attached, Pushed, RegistryError};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use super::building::{World, locked_package};
use super::commands::Project;
use super::layers::store;
use super::loopback::{Reply, Server};
use super::other_locks::with_another_digit;
use super::recipe_reading::TRACKER;
use super::registry_serve::image;

/// What a registry holds, and how it misbehaves.
#[derive(Default)]
struct State {
    /// Contents by repository and the end of their path.
    held: BTreeMap<(String, String), Vec<u8>>,
    /// Uploads that are answered by closing the connection, and by 500, before they are taken.
    cuts: usize,
    errors: usize,
    /// Uploads that are refused because their token ran out; another one can be had.
    expired: usize,
    /// Uploads that are never answered.
    silent: usize,
    /// Whether manifests are called by another digest.
    renames: bool,
    /// Its own address.
    host: String,
    received: u64,
    mounts: usize,
}

/// A registry in memory that takes uploads.
struct Registry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Registry {
    fn new(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let held = [(("token".to_owned(), "new".to_owned()), br#"{"token": "new"}"#.to_vec())];
        let held = BTreeMap::from(held);
        let state = State { host: address.to_string(), held, ..state };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, state }
    }

    fn reference(&self, rest: &str) -> registry::Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    fn push(&self, store: &Store, image: &Image, rest: &str) -> Result<Pushed, RegistryError> {
        let stop = AtomicBool::new(false);
        registry::push(&settings(), store, image, &[], &self.reference(rest), &Quiet, &stop)
    }
}

fn settings() -> Settings {
    let folder = std::path::Path::new("/nowhere");
    let environment = Environment::new(folder, folder).with("HOME", "/nowhere");
    Settings::load_in(Options::default(), environment).unwrap()
}

/// Answers one request and closes the connection.
fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0u64);
    reader.read_line(&mut line)?;
    let request = line.clone();
    while line != "\r\n" && !line.is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut body)?;
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if method == "PUT" && std::mem::take(&mut state.lock().unwrap().silent) > 0 {
        // Until the other side gives up.
        return reader.into_inner().read(&mut [0]).map(drop);
    }
    let Some(answer) = answer(&mut state.lock().unwrap(), method, target, body, length) else {
        return Ok(());
    };
    let mut stream = stream;
    stream.write_all(answer.as_slice())
}

fn answer(
    state: &mut State,
    method: &str,
    target: &str,
    body: Vec<u8>,
    length: u64,
) -> Option<Vec<u8>> {
    let reply = |status: u16, headers: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Whatever\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        Some([head.as_bytes(), body].concat())
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":").replace("%2F", "/")))
        .collect();
    let kind = if path.contains("/manifests/") { "/manifests/" } else { "/blobs/" };
    let (repository, name) = path.trim_start_matches("/v2/").split_once(kind)?;
    let key = |name: &str| (repository.to_owned(), name.to_owned());
    match method {
        "GET" | "HEAD" => match state.held.get(&key(name)) {
            None => reply(404, "", b""),
            Some(_) if method == "HEAD" => reply(200, "", b""),
            Some(bytes) => reply(200, "", bytes),
        },
        "POST" => {
            let from = query.get("from").map(|from| (from.clone(), query["mount"].clone()));
            let mounted = from.and_then(|from| state.held.get(&from).cloned());
            if let Some(bytes) = mounted {
                state.mounts += 1;
                state.held.insert(key(&query["mount"]), bytes);
                return reply(201, "", b"");
            }
            reply(202, &format!("location: /v2/{repository}/blobs/uploads/1?state=x\r\n"), b"")
        }
        "PUT" if state.expired > 0 => {
            state.expired -= 1;
            let challenge =
                "www-authenticate: Bearer realm=\"http://{host}/v2/token/blobs/new\"\r\n";
            reply(401, &challenge.replace("{host}", &state.host), b"")
        }
        _ if state.cuts > 0 => {
            state.cuts -= 1;
            None
        }
        _ if state.errors > 0 => {
            state.errors -= 1;
            reply(500, "", b"")
        }
        // Half a body is what a broken upload leaves.
        _ if body.len() as u64 != length => None,
        _ => {
            state.received += length;
            let digest = Digest::of(&body);
            let told = if state.renames { Digest::of(b"other") } else { digest };
            let name = query.get("digest").map_or(name, String::as_str).to_owned();
            assert!(!name.contains(':') || name == digest.to_string(), "a wrong blob came whole");
            state.held.insert(key(&digest.to_string()), body.clone());
            state.held.insert(key(&name), body);
            reply(201, &format!("docker-content-digest: {told}\r\n"), b"")
        }
    }
}

fn bytes_of(image: &Image) -> u64 {
    image.layers.iter().map(|layer| layer.size).sum()
}

#[test]
fn what_was_pushed_is_pulled_with_the_same_seal_and_its_lock() {
    let (_folder, here) = store();
    let image = image(&here, "tracker");
    let registry = Registry::new(State::default());
    let pushed = registry.push(&here, &image, "team/tracker:1").unwrap();
    assert!(pushed.sent > bytes_of(&image) && pushed.present.is_empty());
    assert_eq!(pushed.reference.digest, Some(image.seal));
    let attached = Attached { lock: b"lock".to_vec(), recipe: Some(b"recipe".to_vec()) };
    let (stop, target) = (AtomicBool::new(false), registry.reference("team/tracker"));
    registry::attach(&settings(), &here, &target, &image.seal, &attached, &stop).unwrap();

    let (_folder, there) = store();
    let pulled = registry::pull(&settings(), &there, &pushed.reference, &Quiet, &stop).unwrap();
    assert_eq!(pulled.attached, Some(attached));
    let copy = pulled.image.claim(&there, "tracker", image.lock).unwrap();
    assert_eq!(copy.seal, image.seal);
    for (copied, original) in copy.layers.iter().zip(&image.layers) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        copied.write_tar(&there, &mut left).unwrap();
        original.write_tar(&here, &mut right).unwrap();
        assert!(left == right, "{}", original.origin);
    }
}

#[test]
fn a_pulled_image_is_there_without_what_it_was_made_of() {
    let (here, there) = (World::new(), World::new());
    let built = here.builder().build(&here.lock("net = 1\n")).unwrap();
    let registry = Registry::new(State::default());
    let pushed = registry.push(&here.store, &built.image, "team/tracker:1").unwrap();
    let stop = AtomicBool::new(false);
    let pulled = registry::pull(&settings(), &there.store, &pushed.reference, &Quiet, &stop);
    let lock = &built.lock;
    let copy = pulled.unwrap().image.claim(&there.store, &lock.name, lock.digest()).unwrap();
    keep_pulled(&there.store, lock, None, &copy).unwrap();
    // No network may be asked here, and no input is in the store.
    let again = there.builder().build(lock).unwrap();
    assert_eq!((again.image.seal, again.fresh), (built.image.seal, false));
    let blobs = again.image.layers.iter().map(|layer| there.store.blob_path(&layer.digest));
    std::fs::remove_file(blobs.last().unwrap()).unwrap();
    let error = there.builder().build(lock).unwrap_err().to_string();
    assert!(error.contains("is not in the store and no network may be asked"), "{error}");
}

/// A world that has an image from a registry, and nothing of what it was made of.
fn pulled_world(here: &World, lock: &Lock) -> World {
    let there = World::new();
    let built = here.builder().build(lock).unwrap();
    let registry = Registry::new(State::default());
    let pushed = registry.push(&here.store, &built.image, "team/tracker:1").unwrap();
    let stop = AtomicBool::new(false);
    let pulled = registry::pull(&settings(), &there.store, &pushed.reference, &Quiet, &stop);
    let image = pulled.unwrap().image;
    prove_pulled(&image, &built.lock).unwrap();
    let copy = image.claim(&there.store, &lock.name, built.lock.digest()).unwrap();
    keep_pulled(&there.store, &built.lock, None, &copy).unwrap();
    there
}

#[test]
fn no_digit_of_a_lock_can_change_while_its_pulled_image_is_in_the_store() {
    let here = World::new();
    let lock = here.builder().build(&here.lock("net = 1\n")).unwrap().lock;
    let there = pulled_world(&here, &lock);
    assert!(!there.builder().build(&lock).unwrap().fresh);
    for (line, changed) in with_another_digit(&lock) {
        assert!(build::whole(&there.store, &changed).is_none(), "{line}");
        assert!(there.builder().build(&changed).is_err(), "{line}");
    }
}

#[test]
fn a_lock_of_another_image_does_not_pass_for_that_of_a_pulled_one() {
    let here = World::new();
    let lock = here.builder().build(&here.lock("net = 1\n")).unwrap().lock;
    let other = here.builder().build(&here.lock("net = 2\n")).unwrap();
    let registry = Registry::new(State::default());
    let pushed = registry.push(&here.store, &other.image, "team/tracker:1").unwrap();
    let (_folder, there) = store();
    let stop = AtomicBool::new(false);
    let pulled = registry::pull(&settings(), &there, &pushed.reference, &Quiet, &stop).unwrap();
    assert!(prove_pulled(&pulled.image, &lock).is_err());
    // Not either where it claims the seal of this image, or all of its layers.
    let claim = |change: &dyn Fn(&mut Lock)| {
        let mut lock = other.lock.clone();
        change(&mut lock);
        prove_pulled(&pulled.image, &lock)
    };
    assert!(claim(&|_| ()).is_ok());
    let seal = lock.seal.clone().unwrap();
    assert!(claim(&|lock| lock.seal.as_mut().unwrap().layers = seal.layers.clone()).is_err());
    assert!(claim(&|lock| lock.config.workdir = "/elsewhere".to_owned()).is_err());
    assert!(claim(&|lock| drop(lock.config.env.insert("A".to_owned(), "b".to_owned()))).is_err());
    assert!(claim(&|lock| lock.config.entrypoint = vec!["/bin/sh".to_owned()]).is_err());
    assert!(claim(&|lock| lock.seal = None).is_err());
}

#[test]
fn lock_and_recipe_of_another_image_are_refused_and_nothing_is_registered() {
    let project = Project::new(TRACKER);
    let here = Store::open(&project.folder.path().join("store")).unwrap();
    project.lock("tracker-debian", |lock| {
        lock.packages = vec![locked_package(&here)];
        lock.wheels.clear();
        lock.builds.clear();
    });
    assert_eq!(project.error(&["build", "tracker-debian", "--offline"]).1, 0);
    let text = std::fs::read_to_string(project.lock_file("tracker-debian")).unwrap();
    let lock = Lock::parse(&text, std::path::Path::new("x.lock")).unwrap();
    let image = Image::load(&here, &lock.seal.as_ref().unwrap().manifest).unwrap();
    let mut other = lock.clone();
    other.config.workdir = "/elsewhere".to_owned();
    let mine = TRACKER.as_bytes().to_vec();
    let asks_more = TRACKER.replace("packages = [\"python3\"", "packages = [\"bash\", \"python3\"");
    let elsewhere = TRACKER.replace("variant.debian", "variant.other");
    for (name, lock, recipe, expected) in [
        ("a", &other, mine.clone(), "is not the lock of this seal"),
        ("b", &lock, asks_more.into_bytes(), "is not that of its lock"),
        ("c", &lock, elsewhere.into_bytes(), "it makes no image `tracker-debian`"),
        ("d", &lock, mine, ""),
    ] {
        let registry = Registry::new(State::default());
        let place = format!("team/{name}");
        let pushed = registry.push(&here, &image, &format!("{place}:1")).unwrap();
        let attached = Attached { lock: lock.to_text().into_bytes(), recipe: Some(recipe) };
        let (stop, target) = (AtomicBool::new(false), registry.reference(&place));
        registry::attach(&settings(), &here, &target, &image.seal, &attached, &stop).unwrap();
        let there = Project::new(TRACKER);
        let (text, code) = there.error(&["pull", &pushed.reference.to_string()]);
        let named = format!("tracker-debian@{}", image.seal);
        let (known, _) = there.error(&["inspect", &named]);
        if expected.is_empty() {
            assert_eq!(code, 0, "{text}");
            assert!(text.contains("not the commands of the recipe"), "{text}");
            assert_eq!(known, "");
        } else {
            assert_eq!(code, 3, "{text}");
            assert!(text.contains(expected), "{text}");
            assert!(known.contains("is no image"), "{known}");
        }
    }
}

#[test]
fn what_the_registry_has_is_not_sent_again_and_is_mounted_where_it_can_be() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let registry = Registry::new(State::default());
    registry.push(&store, &image, "team/one:1").unwrap();
    let again = registry.push(&store, &image, "team/one:1").unwrap();
    let manifest = store.size_of(&image.seal).unwrap();
    assert_eq!((again.sent, again.present.len()), (manifest, image.layers.len() + 1));
    let other = registry.push(&store, &image, "team/two:1").unwrap();
    assert_eq!((other.sent, other.mounted.len()), (manifest, image.layers.len() + 1));
    assert_eq!(registry.state.lock().unwrap().mounts, image.layers.len() + 1);
}

#[test]
fn layers_of_a_base_that_the_registry_has_are_not_fetched_for_a_push() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let registry = Registry::new(State::default());
    registry.push(&store, &image, "team/one:1").unwrap();
    std::fs::remove_file(store.blob_path(&image.layers[0].digest)).unwrap();
    let pushed = registry.push(&store, &image, "team/two:1").unwrap();
    assert_eq!(pushed.sent, store.size_of(&image.seal).unwrap());
    let elsewhere = Registry::new(State::default());
    assert!(elsewhere.push(&store, &image, "team/two:1").is_err());
}

#[test]
fn an_upload_that_breaks_off_or_fails_is_made_again() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let registry = Registry::new(State { cuts: 1, errors: 1, ..State::default() });
    let pushed = registry.push(&store, &image, "team/tracker:1").unwrap();
    assert_eq!(registry.state.lock().unwrap().received, pushed.sent);
}

#[test]
fn an_upload_whose_token_ran_out_is_made_again_with_a_new_one() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let registry = Registry::new(State { expired: 1, ..State::default() });
    let pushed = registry.push(&store, &image, "team/tracker:1").unwrap();
    let state = registry.state.lock().unwrap();
    assert_eq!((state.received, state.expired), (pushed.sent, 0));
}

#[test]
fn an_upload_that_is_never_answered_is_given_up_and_made_again() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let registry = Registry::new(State { silent: 1, ..State::default() });
    let folder = std::path::Path::new("/nowhere");
    let environment = Environment::new(folder, folder).with("HOME", "/nowhere");
    let environment = environment.with("REPRO_TIMEOUT", "1");
    let settings = Settings::load_in(Options::default(), environment).unwrap();
    let (target, stop) = (registry.reference("team/tracker:1"), AtomicBool::new(false));
    let pushed = registry::push(&settings, &store, &image, &[], &target, &Quiet, &stop).unwrap();
    assert_eq!(registry.state.lock().unwrap().received, pushed.sent);
}

#[test]
fn a_layer_that_is_another_one_by_now_never_arrives_whole() {
    let (_folder, store) = store();
    let mut image = image(&store, "tracker");
    let wrong = Digest::of(b"another layer");
    image.layers[1].digest = wrong;
    let registry = Registry::new(State::default());
    let text = registry.push(&store, &image, "team/tracker:1").unwrap_err().to_string();
    assert!(text.contains(&wrong.to_string()), "{text}");
    let held = &registry.state.lock().unwrap().held;
    assert!(!held.keys().any(|(_, name)| *name == wrong.to_string() || name == "1"));
}

#[test]
fn layers_that_were_not_sent_are_proven_all_the_same() {
    let (_folder, store) = store();
    let mut image = image(&store, "tracker");
    let registry = Registry::new(State::default());
    let mut pushed = registry.push(&store, &image, "team/tracker:1").unwrap();
    registry::prove_unsent(&store, &image, &pushed).unwrap();
    let wrong = Digest::of(b"another layer");
    image.layers[1].digest = wrong;
    pushed.present = BTreeSet::from([wrong]);
    assert!(registry::prove_unsent(&store, &image, &pushed).is_err());
}

#[test]
fn a_registry_that_renames_a_manifest_is_not_believed() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let registry = Registry::new(State { renames: true, ..State::default() });
    let error = registry.push(&store, &image, "team/tracker:1").unwrap_err();
    assert!(matches!(error, RegistryError::Renamed { expected, .. } if expected == image.seal));
}

#[test]
fn an_image_is_pulled_by_its_digest_only() {
    let (_folder, store) = store();
    let registry = Registry::new(State::default());
    let (stop, tag) = (AtomicBool::new(false), registry.reference("team/tracker:1"));
    let error = registry::pull(&settings(), &store, &tag, &Quiet, &stop).unwrap_err();
    assert!(matches!(error, RegistryError::Reference { .. }));
    let gone = registry.reference(&format!("team/tracker@{}", Digest::of(b"gone")));
    let error = registry::pull(&settings(), &store, &gone, &Quiet, &stop).unwrap_err();
    assert!(matches!(error, RegistryError::Gone { .. }));
}

/// Pushes an image whose inputs only `index` may have; error and exit code.
fn push_of_nothing_built(project: &Project, index: &Server, host: &str) -> (String, i32) {
    project.lock("tracker-debian", |_| ());
    let (target, place) = (format!("{host}/team/tracker:1"), index.url("/"));
    let places = ["--index-url", "--debian-mirror", "--debian-security-mirror"];
    let places = places.iter().flat_map(|option| [*option, &place]);
    let arguments: Vec<&str> = ["push", "tracker-debian", &target, "--engine", "embedded"]
        .into_iter()
        .chain(places)
        .collect();
    project.error(&arguments)
}

#[test]
fn a_registry_that_does_not_answer_is_found_out_before_anything_is_fetched() {
    let (project, index) = (Project::new(TRACKER), Server::new(|_| Reply::status(404)));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (text, code) = push_of_nothing_built(&project, &index, &nobody);
    assert_eq!(code, 4, "{text}");
    let said = format!("error: cannot push anything to `{nobody}/team/tracker`: ");
    assert!(text.starts_with(&said) && text.contains("refused"), "{text}");
    let hint = format!("hint: look whether a registry runs at `{nobody}`; plain HTTP");
    assert!(text.contains(&hint), "{text}");
    assert!(index.asked().is_empty(), "{:?}", index.asked());
}

#[test]
fn a_registry_that_refuses_the_credentials_is_found_out_before_anything_is_fetched() {
    let (project, index) = (Project::new(TRACKER), Server::new(|_| Reply::status(404)));
    let registry = Server::new(|request| {
        // `me:secret`.
        match request.headers.get("authorization").map(String::as_str) == Some("Basic bWU6c2VjcmV0")
        {
            true => Reply::ok("{}"),
            false => Reply::status(401).with("www-authenticate", "Basic realm=\"test\""),
        }
    });
    let host = registry.address().to_string();
    let log_in = |secret: &str| {
        let text = format!(r#"{{"auths": {{"{host}": {{"auth": "{secret}"}}}}}}"#);
        let folder = project.folder.path().join(".docker");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), text).unwrap();
    };
    log_in("bWU6d3Jvbmc=");
    let (text, code) = push_of_nothing_built(&project, &index, &host);
    assert!(code == 4 && text.contains("401") && text.contains("docker login"), "{text}");
    assert!(!text.contains("wrong") && index.asked().is_empty(), "{text}");
    log_in("bWU6c2VjcmV0");
    let (text, _) = push_of_nothing_built(&project, &index, &host);
    assert!(text.contains("inputs could not be fetched") && !index.asked().is_empty(), "{text}");
    assert!(registry.asked().iter().all(|request| request.target == "/v2/"), "one cheap request");
}

#[test]
fn a_registry_that_refuses_for_good_is_asked_once() {
    let registry = Server::new(|_| Reply::status(403));
    let target = format!("{}/team/tracker", registry.address()).parse().unwrap();
    let stop = AtomicBool::new(false);
    let error = registry::reach(&settings(), &target, &stop).unwrap_err();
    assert!(matches!(error, RegistryError::Push { .. }), "{error}");
    assert_eq!(registry.count("/v2/"), 1);
}
