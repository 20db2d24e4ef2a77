//! Unpacking a layer: what comes out, and what is refused.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use repro::digest::{DiffId, Digest};
use repro::engine::EngineError;
use repro::engine::embedded::rootfs::{ensure, unpack};
use repro::image::ImageError;
use repro::layer::LayerError;
use repro::store::Store;

/// A tar stream written entry by entry.
pub struct Stream(Vec<u8>);

impl Stream {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// One ustar entry, owned by whoever runs the test.
    pub fn entry(mut self, kind: u8, path: &str, mode: u32, link: &str, content: &[u8]) -> Self {
        let mut header = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.as_bytes());
        put(100, format!("{mode:07o}\0").as_bytes());
        put(108, format!("{:07o}\0", rustix::process::geteuid().as_raw()).as_bytes());
        put(116, format!("{:07o}\0", rustix::process::getegid().as_raw()).as_bytes());
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, format!("{:011o}\0", 1_000_000_000).as_bytes());
        put(148, b"        ");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(b'0', path, 0o644, "", content)
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, 0o777, target, b"")
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn diff_id(tar: &[u8]) -> DiffId {
    DiffId(Digest::of(tar))
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// Why a stream is refused; nothing of it may be left.
fn refusal(stream: Stream) -> String {
    let (folder, store) = store();
    let tar = stream.end();
    let error = unpack(&store, diff_id(&tar), tar.as_slice()).unwrap_err();
    assert!(matches!(error, EngineError::Unpack { .. }), "{error}");
    assert_eq!(fs::read_dir(store.root().join("rootfs")).unwrap().count(), 0);
    let outside = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(outside, 1, "something was written outside the store");
    error.to_string()
}

#[test]
fn an_entry_that_leaves_the_layer_is_refused() {
    for path in ["../escaped", "a/../../escaped", "/../escaped", "a/.."] {
        let text = refusal(Stream::new().file(path, b"x"));
        assert!(text.contains(path) && text.contains("leaves the layer"), "{text}");
    }
}

#[test]
fn an_entry_below_a_link_is_refused() {
    let text = refusal(Stream::new().symlink("etc", "/tmp").file("etc/escaped", b"x"));
    assert!(text.contains("etc/escaped") && text.contains("not a directory"), "{text}");
    let text = refusal(Stream::new().file("etc", b"x").file("etc/inner", b"x"));
    assert!(text.contains("etc/inner"), "{text}");
    let stream = Stream::new().symlink("etc", "/etc").entry(b'1', "copy", 0o644, "etc/passwd", b"");
    assert!(refusal(stream).contains("no earlier file"));
}

/// A layer with these entries, unpacked.
fn unpacked(stream: Stream) -> (tempfile::TempDir, PathBuf) {
    let (folder, store) = store();
    let tar = stream.end();
    let place = unpack(&store, diff_id(&tar), tar.as_slice()).unwrap();
    (folder, place)
}

#[test]
fn the_last_entry_of_one_path_wins() {
    let stream = Stream::new()
        .file("file", b"first")
        .file("./file", b"second")
        .entry(b'1', "other", 0o644, "file", b"")
        .file("file", b"third")
        .file("folder/inner", b"")
        .file("folder", b"now a file")
        .file("name", b"")
        .entry(b'5', "name/", 0o750, "", b"")
        .file("name/inner", b"")
        .symlink("link", "nowhere")
        .file("link", b"a file");
    let (_folder, place) = unpacked(stream);
    let read = |path: &str| fs::read_to_string(place.join(path)).unwrap();
    assert_eq!((read("file"), read("other")), ("third".to_owned(), "second".to_owned()));
    assert_eq!((read("folder"), read("link")), ("now a file".to_owned(), "a file".to_owned()));
    assert_eq!(fs::metadata(place.join("name")).unwrap().mode() & 0o7777, 0o750);
    assert!(place.join("name/inner").is_file());
}

#[test]
fn devices_are_left_out_and_pipes_kept() {
    let stream = Stream::new()
        .entry(b'3', "dev/null", 0o666, "", b"")
        .entry(b'4', "dev/vda", 0o660, "", b"")
        .entry(b'6', "run/pipe", 0o600, "", b"")
        .entry(b'g', "pax_global_header", 0o644, "", b"11 comment=x\n");
    let (_folder, place) = unpacked(stream);
    assert_eq!(fs::read_dir(place.join("dev")).unwrap().count(), 0);
    assert!(fs::metadata(place.join("run/pipe")).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
}

#[test]
fn deletions_become_marks_of_the_overlay() {
    let stream = Stream::new()
        .file("etc/.wh.gone", b"")
        .file("etc/.wh.kept", b"")
        .file("etc/kept", b"brought")
        .file(".wh.renewed", b"")
        .file("renewed/file", b"")
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/.wh.hidden", b"")
        .file("etc/.wh..wh.plnk", b"");
    let (_folder, place) = unpacked(stream);
    let gone = fs::symlink_metadata(place.join("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(fs::read(place.join("etc/kept")).unwrap(), b"brought");
    for folder in ["renewed", "opaque"] {
        let name = if repro::store::is_root() { "trusted" } else { "user" };
        let mut value = [0; 8];
        let attribute = format!("{name}.overlay.opaque");
        let length = rustix::fs::getxattr(place.join(folder), &*attribute, &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"y", "{folder}");
    }
    assert_eq!(fs::read_dir(place.join("opaque")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(place.join("etc")).unwrap().count(), 2);
}

#[test]
fn deletions_without_a_meaning_are_refused() {
    for path in [".wh.", "a/.wh..", ".wh...", ".wh..wh..opq"] {
        let text = refusal(Stream::new().file(path, b""));
        assert!(text.contains(path) && text.contains("deletion"), "{text}");
    }
}

#[test]
fn links_and_types_that_mean_nothing_are_refused() {
    let link = |target: &str| {
        let stream = Stream::new().entry(b'5', "folder", 0o755, "", b"").file("file", b"");
        refusal(stream.entry(b'1', "copy", 0o644, target, b""))
    };
    assert!(link("of/a/layer/below").contains("`of/a/layer/below` is no earlier file"));
    assert!(link("folder").contains("no earlier file") && link("copy").contains("no earlier file"));
    assert!(link("../file").contains("leaves the layer"));
    assert!(refusal(Stream::new().entry(b'V', "label", 0o644, "", b"")).contains("type"));
    let sparse = b"22 GNU.sparse.major=1\n";
    let stream = Stream::new().entry(b'x', "pax", 0o644, "", sparse).file("disk", b"");
    assert!(refusal(stream).contains("sparse"));
}

#[test]
fn old_headers_and_names_from_the_root_are_read() {
    let stream = Stream::new()
        .entry(0, "folder/", 0o755, "", b"")
        .entry(0, "folder/file", 0o644, "", b"old")
        .file("/etc/rooted", b"")
        .entry(b'1', "etc/linked", 0o644, "/folder/file", b"");
    let (_folder, place) = unpacked(stream);
    assert!(place.join("folder").is_dir() && place.join("etc/rooted").is_file());
    assert_eq!(fs::read(place.join("etc/linked")).unwrap(), b"old");
}

#[test]
fn a_stream_that_ends_early_is_refused() {
    let (_folder, store) = store();
    let whole = Stream::new().file("a", &[7; 5000]).end();
    for length in [100, 700, 3000] {
        let cut = &whole[..length];
        assert!(unpack(&store, diff_id(cut), cut).is_err(), "{length}");
    }
    assert_eq!(fs::read_dir(store.root().join("rootfs")).unwrap().count(), 0);
}

#[test]
fn the_writers_reason_is_told_when_it_fails() {
    let (_folder, store) = store();
    let write = |out: &mut (dyn Write + Send)| {
        out.write_all(&Stream::new().file("a", b"x").0).map_err(ImageError::Pass)?;
        let (name, source) = ("torch.whl".to_owned(), io::Error::other("it is damaged"));
        Err(LayerError::Read { name, source }.into())
    };
    let error = ensure(&store, diff_id(b"x"), write).unwrap_err();
    let EngineError::Stream { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "cannot read `torch.whl`");
}

#[test]
fn the_readers_reason_is_told_when_it_stops_first() {
    let (_folder, store) = store();
    let tar = Stream::new().file("../a", b"x").file("b", &[0; 1 << 20]).end();
    let write = |out: &mut (dyn Write + Send)| out.write_all(&tar).map_err(ImageError::Pass);
    let error = ensure(&store, diff_id(&tar), write).unwrap_err();
    assert!(error.to_string().contains("leaves the layer"), "{error}");
}

#[test]
#[ignore = "needs root, which owns every file of a layer; .ci/run runs it"]
fn bytes_that_are_not_the_named_ones_are_refused_with_both_digests() {
    let (_folder, store) = store();
    let tar = Stream::new().file("a", b"x").end();
    let (expected, found) = (diff_id(b"other"), diff_id(&tar));
    let error = unpack(&store, expected, tar.as_slice()).unwrap_err().to_string();
    assert!(error.contains(&expected.to_string()) && error.contains(&found.to_string()), "{error}");
    assert!(!store.rootfs_path(&expected).exists());
}

#[test]
#[ignore = "needs root, which owns every file of a layer; .ci/run runs it"]
fn what_comes_out_is_what_the_stream_says() {
    let (_folder, store) = store();
    let stream = Stream::new()
        .entry(b'5', "tmp/", 0o1777, "", b"")
        .entry(b'5', "private", 0o700, "", b"")
        .file("private/file", &[9; 300_000])
        .entry(b'0', "tool", 0o4755, "", b"#!/bin/sh\n")
        .entry(b'1', "private/again", 0o755, "tool", b"")
        .symlink("dangling", "../../outside")
        .file("implicit/folder/file", b"");
    let tar = stream.end();
    let place = unpack(&store, diff_id(&tar), tar.as_slice()).unwrap();
    let metadata = |path: &str| fs::symlink_metadata(place.join(path)).unwrap();
    let mode = |path: &str| metadata(path).mode() & 0o7777;
    assert_eq!((mode("tmp"), mode("private"), mode("tool")), (0o1777, 0o700, 0o4755));
    // Nobody else gets at the setuid program: a job's root is the overlay's upper folder.
    assert_eq!((mode(""), mode("implicit"), mode("implicit/folder")), (0o700, 0o755, 0o755));
    for path in ["tmp", "private", "private/file", "tool", "dangling", "implicit/folder/file"] {
        assert_eq!(metadata(path).mtime(), 1_000_000_000, "{path}");
    }
    // What has no entry has the metadata that layers give everything: it hides what is below.
    let other = Stream::new().file("root/file", b"").file("var/tmp/file", b"").end();
    let upper = unpack(&store, diff_id(&other), other.as_slice()).unwrap();
    let mode = |path: &str| fs::metadata(upper.join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("root"), mode("var"), mode("var/tmp")), (0o700, 0o755, 0o1777));
    assert_eq!(metadata("implicit").mtime(), 315_532_800);
    assert_eq!(metadata("").mtime(), 315_532_800);
    assert_eq!(fs::read(place.join("private/file")).unwrap(), [9; 300_000]);
    assert_eq!(metadata("tool").ino(), metadata("private/again").ino());
    assert_eq!(fs::read_link(place.join("dangling")).unwrap(), Path::new("../../outside"));
    // The second time nothing is streamed.
    let never = |_: &mut (dyn Write + Send)| -> Result<(), ImageError> { panic!("streamed again") };
    assert_eq!(ensure(&store, diff_id(&tar), never).unwrap(), place);
}
