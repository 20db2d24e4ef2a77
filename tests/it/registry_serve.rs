//! A loopback registry gives out the images it was given, any part of them, and nothing else.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use repro::digest::{DiffId, Digest};
use repro::image::{Configuration, Content, Image, ImageLayer};
use repro::layer::{self, Directories};
use repro::lock::Compression;
use repro::registry::serve::Server;
use repro::store::Store;
use tar::EntryType::{Directory, Regular};

use super::archives::{ZipItem, tar as tar_of, wheel};
use super::layers::{python, store, wheel_input};

/// Bytes that do not compress to nothing.
fn sample(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * index / 977 % 251) as u8).collect()
}

/// An image of two layers: a plain tar as a registry would have it, and a wheel.
pub fn image(store: &Store, name: &str) -> Image {
    let tar = tar_of(&[("etc/", Directory, 0o755, ""), ("etc/hostname", Regular, 0o644, "box\n")]);
    let digest = store.put(&tar).unwrap();
    let base = ImageLayer {
        origin: "base".to_owned(),
        diff_id: DiffId(digest),
        digest,
        size: tar.len() as u64,
        content: Content::Base(Compression::None),
    };
    let wheel = wheel("numbers", vec![ZipItem::new("numbers/data.bin", &sample(700_000))]);
    let input = wheel_input(store, "numbers", &wheel);
    let plan = layer::wheels(store, &[input], &python(), &Directories::new()).unwrap();
    let measured = plan.measure(store, &|_| std::ops::ControlFlow::Continue(())).unwrap();
    let layer = ImageLayer {
        origin: plan.origin().to_owned(),
        diff_id: measured.diff_id,
        digest: measured.digest,
        size: measured.size,
        content: Content::Plan(plan),
    };
    let configuration = Configuration {
        architecture: "amd64".to_owned(),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin".to_owned())]),
        workdir: "/".to_owned(),
        entrypoint: Vec::new(),
        labels: BTreeMap::new(),
        history: Vec::new(),
    };
    Image::save(store, name, Digest::of(b"lock"), &configuration, vec![base, layer]).unwrap()
}

/// One answer: status, headers by lower-case name, body.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Everything that the server says, as far as it goes.
fn exchange(server: &Server, method: &str, path: &str, range: Option<&str>) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let range = range.map_or(String::new(), |range| format!("range: {range}\r\n"));
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{range}\r\n")
        .unwrap();
    let mut bytes = Vec::new();
    // A stream that is broken off may end in a reset.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

fn ask(server: &Server, method: &str, path: &str, range: Option<&str>) -> Answer {
    let bytes = exchange(server, method, path, range);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    Answer { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
}

fn blob_of(store: &Store, layer: &ImageLayer) -> Vec<u8> {
    let mut blob = Vec::new();
    layer.write_blob(store, &mut blob).unwrap();
    blob
}

#[test]
fn a_manifest_is_found_by_its_digest_and_by_its_tag() {
    let (_folder, store) = store();
    let image = image(&store, "Tracker");
    let server = Server::start(&store, std::slice::from_ref(&image)).unwrap();
    assert_eq!(ask(&server, "GET", "/v2/", None).status, 200);
    for reference in [image.seal.to_string(), image.seal.short()] {
        let path = format!("/v2/repro/tracker/manifests/{reference}");
        let answer = ask(&server, "GET", &path, None);
        assert_eq!((answer.status, Digest::of(&answer.body)), (200, image.seal));
        assert_eq!(answer.headers["content-type"], repro::image::MANIFEST_TYPE);
        assert_eq!(answer.headers["docker-content-digest"], image.seal.to_string());
        let head = ask(&server, "HEAD", &path, None);
        assert_eq!(head.headers["content-length"], answer.body.len().to_string());
        assert!(head.body.is_empty());
    }
    let name = server.reference(&image);
    assert_eq!(name, format!("{}/repro/tracker@{}", server.address(), image.seal));
}

#[test]
fn every_blob_and_any_part_of_it_can_be_had_and_is_counted() {
    let (_folder, store) = store();
    let image = image(&store, "tracker");
    let server = Server::start(&store, std::slice::from_ref(&image)).unwrap();
    for layer in &image.layers {
        let blob = blob_of(&store, layer);
        let path = format!("/v2/repro/tracker/blobs/{}", layer.digest);
        let whole = ask(&server, "GET", &path, None);
        assert!(whole.status == 200 && whole.body == blob);
        assert_eq!(whole.headers["etag"], format!("\"{}\"", layer.digest));
        let (from, size) = (blob.len() / 3, blob.len());
        let part = ask(&server, "GET", &path, Some(&format!("bytes={from}-")));
        assert!(part.status == 206 && part.body == blob[from..]);
        assert_eq!(part.headers["content-range"], format!("bytes {from}-{}/{size}", size - 1));
        let few = ask(&server, "GET", &path, Some("bytes=10-19"));
        assert!(few.status == 206 && few.body == blob[10..20]);
        let beyond = ask(&server, "GET", &path, Some(&format!("bytes={size}-")));
        assert_eq!(
            (beyond.status, &beyond.headers["content-range"]),
            (416, &format!("bytes */{size}"))
        );
        let sent = size + (size - from) + 10;
        assert_eq!(server.served()[&layer.digest], sent as u64);
    }
}

#[test]
fn nothing_but_the_images_it_was_given_is_served() {
    let (_folder, store) = store();
    let (given, other) = (image(&store, "given"), store.put(b"something else").unwrap());
    let server = Server::start(&store, std::slice::from_ref(&given)).unwrap();
    let layer = given.layers[0].digest;
    for path in [
        format!("/v2/repro/given/blobs/{other}"),
        format!("/v2/repro/other/blobs/{layer}"),
        format!("/v2/repro/given/manifests/{layer}"),
        "/v2/repro/given/manifests/latest".to_owned(),
        "/v2/repro/given/blobs/../../../version".to_owned(),
        "/version".to_owned(),
    ] {
        assert_eq!(ask(&server, "GET", &path, None).status, 404, "{path}");
    }
    assert_eq!(ask(&server, "POST", "/v2/repro/given/blobs/uploads/", None).status, 405);
    assert!(server.served().is_empty());
}

#[test]
fn a_layer_that_is_another_one_by_now_is_broken_off() {
    let (_folder, store) = store();
    let mut image = image(&store, "tracker");
    // The layer announces a digest that its bytes do not have.
    let wrong = Digest::of(b"another layer");
    image.layers[1].digest = wrong;
    let server = Server::start(&store, std::slice::from_ref(&image)).unwrap();
    let bytes = exchange(&server, "GET", &format!("/v2/repro/tracker/blobs/{wrong}"), None);
    assert!((bytes.len() as u64) < image.layers[1].size, "{} bytes came", bytes.len());
}

#[test]
fn a_layer_of_a_base_that_nobody_fetched_is_not_there() {
    let (_folder, store) = store();
    let mut image = image(&store, "tracker");
    let absent = Digest::of(b"never fetched");
    image.layers[0].digest = absent;
    let server = Server::start(&store, std::slice::from_ref(&image)).unwrap();
    let path = format!("/v2/repro/tracker/blobs/{absent}");
    assert_eq!(ask(&server, "HEAD", &path, None).status, 404);
}

#[test]
#[ignore = "needs skopeo and a Docker daemon"]
fn skopeo_and_docker_take_an_image_from_it() {
    let (folder, store) = store();
    let image = image(&store, "served-for-a-test");
    let server = Server::start(&store, std::slice::from_ref(&image)).unwrap();
    let reference = server.reference(&image);
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (from, to) = (format!("docker://{reference}"), folder.path().join("copy"));
    let layout = format!("oci:{}", to.display());
    run("skopeo", &["copy", "--preserve-digests", "--src-tls-verify=false", &from, &layout]);
    assert!(to.join("blobs/sha256").join(image.seal.hex()).exists());
    run("docker", &["pull", &reference]);
    let digests = run("docker", &["inspect", "--format", "{{.RepoDigests}}", &reference]);
    run("docker", &["rmi", &reference]);
    assert!(digests.contains(&image.seal.to_string()), "{digests}");
}
