//! A base image is what its digests say, whatever stands between this program and a registry.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use repro::digest::{DiffId, Digest};
use repro::fetch::{FetchError, Quiet};
use repro::lock::{Compression, LockedBase};
use repro::recipe::RegistryRecipe;
use repro::registry::{self, RegistryError};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;
use serde_json::{Value, json};
use tar::EntryType::{Directory, Regular, Symlink};

use super::archives::tar as tar_of;
use super::loopback::{Reply, Request, Server};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// What a registry has: contents by the end of their path.
#[derive(Clone, Default)]
pub struct Held(BTreeMap<String, (String, Vec<u8>)>);

impl Held {
    /// An image of three layers, each compressed in another way, in an index under the tag `1`.
    fn image() -> Self {
        let lower = tar_of(&[
            ("usr/", Directory, 0o755, ""),
            ("usr/lib/", Directory, 0o755, ""),
            ("usr/old/", Directory, 0o755, ""),
            ("lib", Symlink, 0o777, "usr/lib"),
        ]);
        let middle = tar_of(&[("usr/.wh.old", Regular, 0o644, ""), ("opt/", Directory, 0o755, "")]);
        let upper = tar_of(&[("usr/data", Regular, 0o644, &"numbers\n".repeat(40_000))]);
        let layers = [
            (format!("{LAYER}.gzip"), gzip(&lower), Digest::of(&lower)),
            (format!("{LAYER}.zstd"), zstd::encode_all(&*middle, 3).unwrap(), Digest::of(&middle)),
            (LAYER.to_owned(), upper.clone(), Digest::of(&upper)),
        ];
        let mut held = Self::default();
        held.add_image("1", &layers);
        held
    }

    fn add_image(&mut self, tag: &str, layers: &[(String, Vec<u8>, Digest)]) {
        let diff_ids: Vec<_> = layers.iter().map(|(_, _, diff_id)| diff_id.to_string()).collect();
        let config = json!({ "architecture": "amd64", "os": "linux",
            "config": { "Env": ["PATH=/usr/bin", "NVIDIA_VISIBLE_DEVICES=all"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = self.add_blob(config.to_string().into_bytes());
        let layers: Vec<Value> = layers
            .iter()
            .map(|(kind, bytes, _)| {
                let digest = self.add_blob(bytes.clone());
                json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
            })
            .collect();
        let config_size = self.0[&format!("/blobs/{config}")].1.len();
        let manifest = json!({ "schemaVersion": 2, "mediaType": DOCKER, "layers": layers,
            "config": { "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": config, "size": config_size } });
        let manifest = self.add_manifest(DOCKER, &manifest, None);
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
            { "mediaType": DOCKER, "digest": Digest::of(b"other"), "size": 5,
                "platform": { "os": "linux", "architecture": "arm64" } },
            { "mediaType": DOCKER, "digest": manifest, "size": 5,
                "platform": { "os": "linux", "architecture": "amd64" } } ] });
        self.add_manifest(INDEX, &index, Some(tag));
    }

    fn add_blob(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.0.insert(format!("/blobs/{digest}"), (String::new(), bytes));
        digest
    }

    fn add_manifest(&mut self, kind: &str, value: &Value, tag: Option<&str>) -> Digest {
        let bytes = value.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        let mut insert = |version: &str| {
            self.0.insert(format!("/manifests/{version}"), (kind.to_owned(), bytes.clone()));
        };
        insert(&digest.to_string());
        tag.into_iter().for_each(&mut insert);
        digest
    }

    /// The digest of the largest blob, a layer.
    fn largest(&self) -> Digest {
        let (path, _) = self.0.iter().max_by_key(|(_, (_, bytes))| bytes.len()).unwrap();
        path.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// What a registry without faults answers.
    fn answer(&self, request: &Request) -> Reply {
        let rest = request.target.split("team/image").nth(1).unwrap_or("");
        let Some((kind, bytes)) = self.0.get(rest) else { return Reply::status(404) };
        let from = request.headers.get("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        match from {
            None => Reply::ok(bytes.clone()).with("content-type", kind.clone()),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Reply { status: 206, ..Reply::ok(&bytes[from..]) }.with("content-range", range)
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what a registry has was compressed by others")]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    std::io::copy(&mut encoder, &mut out).unwrap();
    out
}

/// A registry with the image of [`Held::image`], and a fault.
pub fn registry_with(
    fault: impl Fn(&Held, &Request) -> Option<Reply> + Send + Sync + 'static,
) -> (Held, Server) {
    let held = Held::image();
    let known = held.clone();
    let server =
        Server::new(move |request| fault(&known, request).unwrap_or_else(|| known.answer(request)));
    (held, server)
}

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

    /// Surroundings in which `docker login` was called for a host.
    fn logged_in(self, host: &str) -> Self {
        // `me:secret`.
        let config = json!({ "auths": { host: { "auth": "bWU6c2VjcmV0" } } });
        fs::write(self.folder.path().join("config.json"), config.to_string()).unwrap();
        let folder = self.folder.path().display().to_string();
        self.with("DOCKER_CONFIG", &folder)
    }

    fn settings(&self) -> Settings {
        Settings::load_in(Options::default(), self.environment.clone()).unwrap()
    }

    fn resolve(&self, image: &str) -> Result<LockedBase, RegistryError> {
        let recipe = RegistryRecipe { image: image.to_owned(), architecture: "amd64".to_owned() };
        let stop = AtomicBool::new(false);
        registry::resolve_base(&self.settings(), &self.store, &recipe, &Quiet, &stop)
    }

    fn resolve_at(&self, server: &Server) -> Result<LockedBase, RegistryError> {
        self.resolve(&format!("{}/team/image:1", server.address()))
    }

    fn refusal(&self, server: &Server) -> String {
        let error = self.resolve_at(server).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("secret") && !text.contains("bWU6c2VjcmV0"), "{text}");
        error.to_string()
    }
}

#[test]
fn a_base_is_resolved_to_its_digests_and_its_directories() {
    let (held, server) = registry_with(|_, _| None);
    let bench = Bench::new();
    let base = bench.resolve_at(&server).unwrap();
    let compressions: Vec<_> = base.layers.iter().map(|layer| layer.compression).collect();
    assert_eq!(compressions, [Compression::Gzip, Compression::Zstd, Compression::None]);
    assert_eq!(base.layers[2].digest, base.layers[2].diff_id.0);
    assert_eq!(base.env["NVIDIA_VISIBLE_DEVICES"], "all");
    let names = |parent: &str| base.directories[parent].join(" ");
    assert_eq!((names(""), names("usr")), ("lib -> usr/lib opt usr".to_owned(), "lib".to_owned()));
    assert_eq!(bench.store.read_blob(&base.manifest).unwrap().len() as u64, base.size);
    assert!(held.0.contains_key(&format!("/manifests/{}", base.manifest)));
}

#[test]
fn a_registry_that_wants_a_token_gets_one_from_its_token_server() {
    let (_, server) = registry_with(|_, request| {
        let host = request.headers["host"].clone();
        if request.target.starts_with("/token") {
            let allowed = request.headers.get("authorization").map(String::as_str)
                == Some("Basic bWU6c2VjcmV0");
            let asked = request.target.contains("scope=repository%3Ateam%2Fimage%3Apull");
            return Some(match allowed && asked {
                true => Reply::ok("{\"token\": \"short-lived\"}"),
                false => Reply::status(401),
            });
        }
        let has_token =
            request.headers.get("authorization").map(String::as_str) == Some("Bearer short-lived");
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"test\"");
        (!has_token).then(|| Reply::status(401).with("www-authenticate", challenge))
    });
    let bench = Bench::new().logged_in(&server.address().to_string());
    bench.resolve_at(&server).unwrap();
    let tokens = server.asked().iter().filter(|it| it.target.starts_with("/token")).count();
    assert_eq!(tokens, 1, "one does for the manifest, the configuration and every layer");
}

#[test]
fn credentials_do_not_follow_to_another_host() {
    let (held, elsewhere) = registry_with(|_, _| None);
    let place = elsewhere.url("");
    let largest = held.largest();
    let (_, server) = registry_with(move |_, request| {
        if !request.headers.contains_key("authorization") {
            return Some(Reply::status(401).with("www-authenticate", "Basic realm=\"test\""));
        }
        let is_layer = request.target.ends_with(&largest.to_string());
        let to = format!("{place}{}", request.target);
        is_layer.then(|| Reply::status(307).with("location", to))
    });
    let bench = Bench::new().logged_in(&server.address().to_string());
    bench.resolve_at(&server).unwrap();
    let followed = elsewhere.asked();
    assert!(!followed.is_empty(), "nobody followed the redirect");
    assert!(followed.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn a_registry_that_lets_nobody_in_is_named_and_the_password_is_not() {
    let (_, server) = registry_with(|_, _| {
        Some(Reply::status(401).with("www-authenticate", "Basic realm=\"test\""))
    });
    let text = Bench::new().logged_in(&server.address().to_string()).refusal(&server);
    assert!(text.contains("401") && text.contains("docker login"), "{text}");
    // Nobody's credentials are for another port.
    let text = Bench::new().logged_in("127.0.0.1").refusal(&server);
    assert!(text.contains("401"), "{text}");
    let told = |request: &Request| request.headers.contains_key("authorization");
    assert_eq!(server.asked().iter().filter(|request| told(request)).count(), 1);
}

#[test]
fn a_token_server_without_tls_is_told_nothing_by_a_safer_registry() {
    let (_, server) = registry_with(|_, _| {
        let challenge = "Bearer realm=\"http://auth.test/token\"";
        Some(Reply::status(401).with("www-authenticate", challenge))
    });
    let text = Bench::new().refusal(&server);
    assert!(text.contains("without TLS"), "{text}");
}

#[test]
fn a_busy_or_stumbling_registry_is_asked_again() {
    let (_, server) = registry_with(|_, request| match request.earlier {
        0 if request.target.contains("/manifests/1") => {
            Some(Reply::status(429).with("retry-after", "1"))
        }
        0 if request.target.contains("/blobs/") => Some(Reply::status(500)),
        _ => None,
    });
    Bench::new().resolve_at(&server).unwrap();
    assert_eq!(server.count("/v2/team/image/manifests/1"), 2);
}

#[test]
fn a_layer_that_breaks_off_is_resumed_where_it_broke() {
    let largest = Held::image().largest();
    let (_, server) = registry_with(move |held, request| {
        let is_layer = request.target.ends_with(&largest.to_string());
        let mut reply = held.answer(request);
        reply.cut_after = Some(100_000.min(reply.body.len()));
        (is_layer && request.earlier < 2).then_some(reply)
    });
    Bench::new().resolve_at(&server).unwrap();
    let asked = server.asked();
    let ranges: Vec<_> = asked.iter().filter_map(|request| request.headers.get("range")).collect();
    assert_eq!(ranges, ["bytes=100000-", "bytes=200000-"]);
}

#[test]
fn a_manifest_that_comes_byte_by_byte_is_given_up_after_a_while() {
    let (_, server) = registry_with(|_, request| {
        // A kilobyte every half second, without an end in the next minute.
        let slow = Reply { pause: Duration::from_millis(500), ..Reply::ok(vec![b' '; 120_000]) };
        request.target.contains("/manifests/").then_some(slow)
    });
    let refusal = Bench::new().with("REPRO_TIMEOUT", "1").refusal(&server);
    assert!(refusal.contains("the manifest did not come whole within 4 s"), "{refusal}");
    let asked = server.asked().into_iter().filter(|it| it.target.contains("/manifests/"));
    assert_eq!(asked.count(), 1);
}

#[test]
fn a_slow_layer_is_waited_for() {
    let largest = Held::image().largest();
    let (_, server) = registry_with(move |held, request| {
        let is_layer = request.target.ends_with(&largest.to_string());
        is_layer.then(|| Reply { pause: Duration::from_millis(2), ..held.answer(request) })
    });
    Bench::new().resolve_at(&server).unwrap();
}

/// A registry whose largest layer has one wrong byte, at the right length.
fn lying() -> Server {
    let largest = Held::image().largest();
    let (_, server) = registry_with(move |held, request| {
        let mut reply = held.answer(request);
        let middle = reply.body.len() / 2;
        let is_layer = request.target.ends_with(&largest.to_string());
        is_layer.then(|| {
            reply.body[middle] ^= 1;
            reply
        })
    });
    server
}

#[test]
fn wrong_bytes_under_a_right_length_never_enter_the_store() {
    let server = lying();
    let largest = Held::image().largest();
    let bench = Bench::new();
    let error = bench.resolve_at(&server).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&largest.to_string()) && text.contains("received"), "{text}");
    assert!(matches!(error, RegistryError::Fetch(FetchError::Inputs { .. })));
    assert!(!bench.store.has(&largest));
}

#[test]
fn the_digest_decides_and_not_the_place() {
    let (liar, (_, honest)) = (lying(), registry_with(|_, _| None));
    let empty = Server::new(|_| Reply::status(404));
    let mirrors = format!(
        "registry.test/team={} registry.test/team={} registry.test/team={}",
        empty.url("/team"),
        liar.url("/team"),
        honest.url("/team")
    );
    let bench = Bench::new().with("REPRO_REGISTRY_MIRRORS", &mirrors);
    let base = bench.resolve("registry.test/team/image:1").unwrap();
    assert_eq!(base.image, "registry.test/team/image:1");
    assert!(bench.store.has(&Held::image().largest()));
    assert!(!honest.asked().is_empty() && !liar.asked().is_empty() && !empty.asked().is_empty());
}

#[test]
fn a_manifest_that_is_another_one_is_refused_with_both_digests() {
    let pinned = Digest::of(b"pinned");
    let server = Server::new(|_| Reply::ok("{\"schemaVersion\": 2}"));
    let image = format!("{}/team/image@{pinned}", server.address());
    let text = Bench::new().resolve(&image).unwrap_err().to_string();
    let found = Digest::of(b"{\"schemaVersion\": 2}");
    assert!(text.contains(&pinned.to_string()) && text.contains(&found.to_string()), "{text}");
}

#[test]
fn a_tag_that_is_gone_is_told_from_a_registry_that_is_not_there() {
    let server = Server::new(|_| Reply::status(404));
    let error = Bench::new().resolve_at(&server).unwrap_err();
    assert!(matches!(error, RegistryError::Gone { .. }), "{error}");
    let address = server.address();
    drop(server);
    let error = Bench::new().resolve(&format!("{address}/team/image:1")).unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    let error = Bench::new()
        .with("REPRO_OFFLINE", "1")
        .resolve(&format!("{address}/team/image:1"))
        .unwrap_err();
    assert!(matches!(error, RegistryError::Offline { .. }), "{error}");
}

#[test]
fn a_layer_that_its_configuration_denies_is_refused() {
    let tar = tar_of(&[("usr/", Directory, 0o755, "")]);
    let wrong = Digest::of(b"something else");
    let mut held = Held::default();
    held.add_image("1", &[(LAYER.to_owned(), tar.clone(), wrong)]);
    let server = Server::new(move |request| held.answer(request));
    let error = Bench::new().resolve_at(&server).unwrap_err();
    let RegistryError::DiffId { expected, found, .. } = error else { panic!("{error}") };
    assert_eq!((DiffId(expected), found), (DiffId(wrong), Digest::of(&tar)));
}

#[test]
fn a_layer_that_is_no_archive_is_refused() {
    let noise: Vec<u8> = (0..100_000u32).map(|at| (at.wrapping_mul(at) / 7) as u8).collect();
    for kind in [LAYER.to_owned(), format!("{LAYER}.gzip"), format!("{LAYER}.zstd")] {
        let mut held = Held::default();
        held.add_image("1", &[(kind.clone(), noise.clone(), Digest::of(&noise))]);
        let server = Server::new(move |request| held.answer(request));
        assert!(Bench::new().resolve_at(&server).is_err(), "{kind}");
    }
}

#[test]
fn a_proxy_that_wants_a_password_gets_it_and_nobody_else_does() {
    let (_, proxy) = registry_with(|_, request| {
        let known = request.headers.get("proxy-authorization").map(String::as_str)
            == Some("Basic bWU6c2VjcmV0");
        (!known).then(|| Reply::status(407))
    });
    let mirror = "registry.test=http://registry.test";
    let bench = |user: &str| {
        let url = format!("http://{user}@{}", proxy.address());
        Bench::new().with("HTTP_PROXY", &url).with("REPRO_REGISTRY_MIRRORS", mirror)
    };
    bench("me:secret").resolve("registry.test/team/image:1").unwrap();
    assert!(proxy.asked().iter().all(|it| it.target.starts_with("http://registry.test/v2/")));
    let error = bench("me:secreT").resolve("registry.test/team/image:1").unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("407") && !text.to_lowercase().contains("secret"), "{text}");
}
