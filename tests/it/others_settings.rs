//! What users have set for pip and apt holds here, too: names and passwords, proxies, certificates.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use repro::digest::Digest;
use repro::fetch::{FetchError, Place, Quiet, Wanted, fetch};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::loopback::{Reply, Server};

/// A store, and a machine on which nothing is set but what a test sets.
struct Machine {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("home")).unwrap();
        let home = folder.path().join("home").display().to_string();
        let environment =
            Environment::new(folder.path(), &folder.path().join("root")).with("HOME", &home);
        Self { folder, environment }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    fn with_file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn settings(&self) -> Settings {
        Settings::load_in(Options::default(), self.environment.clone()).unwrap()
    }

    fn fetch(&self, wanted: &Wanted) -> Result<usize, FetchError> {
        let store = Store::open(&self.folder.path().join("store")).unwrap();
        let wanted = std::slice::from_ref(wanted);
        fetch(&self.settings(), &store, wanted, &Quiet, &AtomicBool::new(false))
    }
}

fn wheel() -> Wanted {
    Wanted {
        name: "torch-1.0-py3-none-any.whl".to_owned(),
        digest: Digest::of(b"content"),
        size: 7,
        place: Place::Python { project: "torch".to_owned() },
    }
}

fn package() -> Wanted {
    Wanted {
        name: "dash_1_all.deb".to_owned(),
        digest: Digest::of(b"package"),
        place: Place::Debian {
            path: "pool/dash_1_all.deb".to_owned(),
            suite: "bullseye".to_owned(),
        },
        ..wheel()
    }
}

/// Answers pages of an index and files, whatever host they are asked of.
fn everything() -> Server {
    Server::new(|request| match request.target.rsplit('/').next() {
        Some("") => Reply::ok("<a href=\"/files/torch-1.0-py3-none-any.whl\">x</a>")
            .with("content-type", "text/html"),
        Some("dash_1_all.deb") => Reply::ok("package"),
        _ => Reply::ok("content"),
    })
}

#[test]
fn an_index_and_its_files_get_name_and_password_from_netrc() {
    let server = everything();
    let netrc = "machine 127.0.0.1 login user password secret\n";
    let index = server.url("/simple");
    for machine in [
        Machine::new().with_file("home/.netrc", netrc),
        Machine::new().with_file("elsewhere", netrc).with("NETRC", "elsewhere"),
    ] {
        machine.with("PIP_INDEX_URL", &index).fetch(&wheel()).unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    for request in asked {
        assert_eq!(request.headers["authorization"], "Basic dXNlcjpzZWNyZXQ=");
    }
}

#[test]
fn an_archive_gets_name_and_password_as_apt_gives_them() {
    let server = everything();
    let host = server.address();
    let machine = Machine::new()
        .with_file(
            "root/etc/apt/auth.conf.d/a.conf",
            &format!("machine http://{host}/debian login user password secret\n"),
        )
        // Not for archives, as apt does not read it.
        .with_file("home/.netrc", "machine 127.0.0.1 login other password other\n")
        .with("REPRO_DEBIAN_MIRROR", &server.url("/debian"));
    machine.fetch(&package()).unwrap();
    assert_eq!(server.asked()[0].headers["authorization"], "Basic dXNlcjpzZWNyZXQ=");
    let machine = machine.with("REPRO_DEBIAN_MIRROR", &server.url("/other"));
    fs::remove_dir_all(machine.folder.path().join("store")).unwrap();
    machine.fetch(&package()).unwrap();
    assert!(!server.asked()[1].headers.contains_key("authorization"));
}

#[test]
fn pips_proxy_is_asked_for_pythons_packages_only() {
    let (proxy, mirror) = (everything(), everything());
    let host = proxy.address().to_string();
    for machine in [
        Machine::new().with("PIP_PROXY", &host),
        Machine::new()
            .with_file("root/etc/pip.conf", &format!("[global]\nproxy = http://{host}\n")),
    ] {
        let machine = machine
            .with("PIP_INDEX_URL", "http://index.test/simple")
            .with("REPRO_DEBIAN_MIRROR", &mirror.url("/debian"));
        let before = proxy.asked().len();
        machine.fetch(&wheel()).unwrap();
        machine.fetch(&package()).unwrap();
        assert_eq!(proxy.asked().len(), before + 2);
        let environment = machine.settings().python_environment().unwrap();
        assert_eq!(environment["https_proxy"], format!("http://{host}"));
        assert!(!machine.settings().debian_environment().contains_key("http_proxy"));
    }
    assert_eq!(mirror.count("/debian/pool/dash_1_all.deb"), 2);
}

#[test]
fn apts_proxy_is_asked_for_debians_packages_only() {
    let (proxy, index) = (everything(), everything());
    let text =
        format!("Acquire::http {{ Proxy \"{}\"; Proxy::near.test \"DIRECT\"; }};\n", proxy.url(""));
    let machine = Machine::new()
        .with_file("root/etc/apt/apt.conf.d/80proxy", &text)
        .with("PIP_INDEX_URL", &index.url("/simple"))
        .with("REPRO_DEBIAN_MIRROR", "http://archive.test/debian");
    machine.fetch(&wheel()).unwrap();
    machine.fetch(&package()).unwrap();
    assert_eq!(proxy.count("http://archive.test/debian/pool/dash_1_all.deb"), 1);
    assert_eq!((proxy.asked().len(), index.asked().len()), (1, 2));
    let proxies = machine.settings().debian_proxies();
    assert_eq!(proxies.https, Some(proxy.url("").into()), "what is set for http holds for https");
    assert_eq!(proxies.none_for.as_deref(), Some("near.test"));
}

#[test]
fn apt_may_be_told_to_go_without_the_proxy_of_the_environment() {
    let machine = Machine::new().with("http_proxy", "http://proxy.test:1");
    assert!(machine.settings().debian_proxies().http.is_some());
    let machine = machine.with_file("root/etc/apt/apt.conf", "Acquire::http::Proxy \"DIRECT\";");
    assert_eq!(machine.settings().debian_proxies().http, None);
    assert!(machine.settings().python_proxies().unwrap().http.is_some());
}

#[test]
fn pips_certificates_are_trusted_beside_the_systems() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/tls");
    let index = format!("{}/simple", tls_server(&fixtures));
    let machine = Machine::new().with("PIP_INDEX_URL", &index);
    let refusal = machine.fetch(&wheel()).unwrap_err().to_string();
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
    let authority = fs::read_to_string(fixtures.join("authority.pem")).unwrap();
    let machine = machine
        .with_file("home/authority.pem", &authority)
        .with_file("root/etc/pip.conf", "[global]\ncert = ~/authority.pem\n");
    machine.fetch(&wheel()).unwrap();
    let environment = machine.settings().python_environment().unwrap();
    assert!(environment["SSL_CERT_FILE"].ends_with("home/authority.pem"), "{environment:?}");
    let machine = machine.with_file("empty.pem", "").with("PIP_CERT", "empty.pem");
    fs::remove_dir_all(machine.folder.path().join("store")).unwrap();
    let refusal = machine.fetch(&wheel()).unwrap_err().to_string();
    assert!(refusal.starts_with("PIP_CERT is `empty.pem`\n  expected  a file of"), "{refusal}");
}

/// An index over TLS, with the certificate of an authority that only this test knows; ends with the process.
fn tls_server(fixtures: &Path) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_file(fixtures.join("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixtures.join("server.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().filter_map(Result::ok) {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            let mut request = vec![0; 4096];
            // A client that does not trust us hangs up.
            let Ok(count) = stream.read(&mut request) else { continue };
            let is_page = String::from_utf8_lossy(&request[..count]).contains(" /simple/");
            let (kind, body) = match is_page {
                true => ("text/html", "<a href=\"/files/torch-1.0-py3-none-any.whl\">x</a>"),
                false => ("application/octet-stream", "content"),
            };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let _ = stream.flush();
        }
    });
    format!("https://{address}")
}
