//! Names that no file system takes, and headers that would fill the memory, are refused on reading.

use std::collections::BTreeMap;
use std::fs;

use repro::dataset::{Datasets, Silent, pin};
use repro::digest::{DiffId, Digest};
use repro::engine::embedded::rootfs::unpack;
use repro::layer::{self, Directories};
use repro::store::Store;

use super::archives::{ZipItem, ar, control, package, wheel};
use super::layers::{package_input, python, store, wheel_input};
use super::unpack::Stream;

/// A file whose name, or whatever else a header of this type gives, comes before it.
fn stream(kind: u8, text: &[u8]) -> Vec<u8> {
    Stream::new().entry(kind, "header", 0o644, "", text).file("short", b"x").end()
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..).find(|length| rest + length.to_string().len() == *length);
    format!("{} {key}={value}\n", length.unwrap()).into_bytes()
}

/// Archives that each reader refuses, and a part of the reason.
fn hostile() -> Vec<(Vec<u8>, &'static str)> {
    let deep = "a/".repeat(2100);
    vec![
        (stream(b'L', deep.as_bytes()), "a name of an entry has 4200 bytes"),
        (stream(b'L', "n".repeat(256).as_bytes()), "longer than 255 bytes"),
        (stream(b'K', deep.as_bytes()), "a name of an entry has 4200 bytes"),
        (stream(b'x', &pax("path", &deep)), "longer than the 4096 bytes"),
        (stream(b'x', &pax("path", &"n".repeat(300))), "longer than 255 bytes"),
        (stream(b'x', &pax("linkpath", &deep)), "longer than the 4096 bytes"),
        (stream(b'x', &vec![b' '; 17 << 20]), "a PAX header of an entry has 17825792 bytes"),
        (stream(b'x', &pax("GNU.sparse.major", "1")), "is a sparse file"),
        (Stream::new().entry(b'S', "old", 0o644, "", b"").end(), "`old` is a sparse file"),
    ]
}

fn refusal_of_package(bytes: &[u8]) -> String {
    let (_folder, store) = store();
    let input = package_input(&store, "x", bytes);
    let none = BTreeMap::new();
    layer::packages(&store, &[input], &none, &none, &Directories::new()).unwrap_err().to_string()
}

#[test]
fn long_names_and_headers_of_packages_are_refused_before_they_are_read() {
    for (tar, reason) in hostile() {
        let text = refusal_of_package(&package(&control("x"), "data.tar", &tar));
        assert!(text.contains(reason) && text.contains("x_1.0_amd64.deb"), "{reason}: {text}");
        let members: [(&str, &[u8]); 3] =
            [("debian-binary", b"2.0\n"), ("control.tar", &tar), ("data.tar", b"")];
        let text = refusal_of_package(&ar(&members));
        assert!(text.contains(reason) && text.contains("x_1.0_amd64.deb"), "{reason}: {text}");
    }
}

#[test]
fn a_package_of_too_many_members_is_refused() {
    let members: Vec<(&str, &[u8])> = vec![("debian-binary", b"2.0\n".as_slice()); 100];
    assert!(refusal_of_package(&ar(&members)).contains("more than 16 members"));
}

#[test]
fn long_names_and_headers_of_layers_are_refused_before_they_are_read() {
    for (tar, reason) in hostile() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let error = unpack(&store, DiffId(Digest::of(&tar)), tar.as_slice()).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn long_names_and_headers_of_data_archives_are_refused_before_they_are_read() {
    let is_sparse = |reason: &str| reason.contains("sparse");
    for (tar, reason) in hostile().into_iter().filter(|(_, reason)| !is_sparse(reason)) {
        let folder = tempfile::tempdir().unwrap();
        let (project, file) = (folder.path(), folder.path().join("x.tar"));
        fs::write(&file, tar).unwrap();
        let store = Store::open(&project.join("store")).unwrap();
        let datasets = Datasets::parse("", project).unwrap();
        let error = pin(&datasets, &file, false, &store, &Silent).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_wheel_with_paths_that_no_file_system_takes_is_refused_by_name() {
    for (name, reason) in [
        ("a/".repeat(2100) + "x.py", "longer than the 4096 bytes"),
        ("n".repeat(256), "longer than 255 bytes"),
        // Below the site folder it is too long.
        ("a/".repeat(2045) + "x.py", "longer than the 4096 bytes"),
    ] {
        let (_folder, store) = store();
        let input = wheel_input(&store, "x", &wheel("x", vec![ZipItem::new(&name, b"")]));
        let error = layer::wheels(&store, &[input], &python(), &Directories::new()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(reason) && (text.contains("x-1.0") || text.contains("x 1.0")),
            "{text}"
        );
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn paths_so_deep_that_their_folders_fill_the_memory_are_refused() {
    let deep = |number: u32| ZipItem::new(&format!("{number}/{}x", "a/".repeat(1900)), b"");
    let (_folder, store) = store();
    let input = wheel_input(&store, "x", &wheel("x", (0..50).map(deep).collect()));
    let error = layer::wheels(&store, &[input], &python(), &Directories::new()).unwrap_err();
    assert!(error.to_string().contains("more than 128 MiB"), "{error}");
}

#[test]
fn scripts_of_a_wheel_that_no_folder_can_have_are_refused() {
    for name in ["..", ".", "a\0b", "a\u{1b}[2J", &"n".repeat(256)] {
        let (_folder, store) = store();
        let text = format!("[console_scripts]\n{name} = m:f\n");
        let item = ZipItem::new("x-1.0.dist-info/entry_points.txt", text.as_bytes());
        let input = wheel_input(&store, "x", &wheel("x", vec![item]));
        let error = layer::wheels(&store, &[input], &python(), &Directories::new()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("its script `") && !text.contains(['\0', '\u{1b}']), "{text}");
    }
}
