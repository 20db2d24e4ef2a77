//! Wheels and packages that no layer is made of: each is refused by name, with the reason.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;

use repro::layer::{self, Directories};
use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};

use super::archives::{ZipItem, ar, control, package, tar as tar_of, wheel, wheel_items, zip};
use super::layers::{package_input, python, store, wheel_input};

/// What planning or measuring says about a wheel; panics if it finds nothing wrong.
fn refusal(bytes: &[u8]) -> String {
    let (_folder, store) = store();
    let input = wheel_input(&store, "x", bytes);
    let plan = match layer::wheels(&store, &[input], &python(), &Directories::new()) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    let error =
        plan.measure(&store, &|_| Continue(())).expect_err("nothing is wrong with this wheel");
    assert!(plan.write_tar(&store, &mut std::io::sink()).is_err(), "the tar stream hides: {error}");
    error.to_string()
}

fn assert_refused(item: ZipItem, reason: &str) {
    let name = item.name.clone();
    let text = refusal(&wheel("x", vec![item]));
    assert!(text.contains(reason), "`{name}`: {text}");
    assert!(text.contains("x-1.0-py3-none-any.whl"), "{text}");
}

fn item() -> ZipItem {
    ZipItem::new("x.py", b"some text some text some text\n")
}

#[test]
fn a_right_wheel_is_taken() {
    let (_folder, store) = store();
    let input = wheel_input(&store, "x", &wheel("x", vec![item()]));
    layer::wheels(&store, &[input], &python(), &Directories::new()).unwrap();
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, reason) in [
        ("../x.py", "leads out of the wheel"),
        ("a/../../x.py", "leads out of the wheel"),
        ("/etc/passwd", "absolute name"),
        ("x\0y", "unusable name"),
        ("./", "unusable name"),
    ] {
        assert_refused(
            ZipItem { local_name: name.to_owned(), name: name.to_owned(), ..item() },
            reason,
        );
    }
}

#[test]
fn an_entry_that_is_there_twice_is_refused() {
    let text = refusal(&wheel("x", vec![item(), item()]));
    assert!(text.contains("`x.py` is there twice"), "{text}");
    let text = refusal(&wheel("x", vec![item(), ZipItem::new(".//x.py", b"other")]));
    assert!(text.contains("is there twice"), "{text}");
}

#[test]
fn encrypted_linked_and_oddly_compressed_entries_are_refused() {
    assert_refused(ZipItem { flags: 1, ..item() }, "is encrypted");
    assert_refused(ZipItem { mode: 0o120_777, ..item() }, "is a symbolic link");
    assert_refused(ZipItem { mode: 0o010_644, ..item() }, "neither a file nor a folder");
    assert_refused(ZipItem { method: 12, ..item() }, "method other than DEFLATE");
}

#[test]
fn content_that_is_not_what_the_directory_says_is_refused() {
    let good = item();
    assert_refused(ZipItem { crc: good.crc ^ 1, ..item() }, "its CRC-32 differs");
    assert_refused(ZipItem { size: good.size + 1, ..item() }, "its size differs");
    assert_refused(ZipItem { size: good.size - 1, ..item() }, "its size differs");
    let mut long = good.stream.clone();
    long.extend(b"surplus");
    assert_refused(ZipItem { stream: long, ..item() }, "its end of the compressed stream differs");
    let cut = good.stream[..good.stream.len() - 1].to_vec();
    assert_refused(ZipItem { stream: cut, ..item() }, "its end of the compressed stream differs");
    let noise = vec![0xff; good.stream.len()];
    assert_refused(ZipItem { stream: noise, ..item() }, "its compressed stream differs");
    let stored = ZipItem::stored("s", b"text");
    assert_refused(ZipItem { crc: 1, ..stored.clone() }, "its CRC-32 differs");
    assert_refused(ZipItem { size: 5, ..stored }, "cannot have");
}

#[test]
fn a_local_header_that_disagrees_is_refused() {
    assert_refused(
        ZipItem { local_name: "y.py".to_owned(), ..item() },
        "another name in its own header",
    );
    assert_refused(ZipItem { offset: Some(7), ..item() }, "no header");
    assert_refused(ZipItem { offset: Some(1 << 30), ..item() }, "outside of the wheel");
}

#[test]
fn bombs_are_refused() {
    // One stream that two entries share.
    let twin = ZipItem { offset: Some(0), ..item() };
    let text = refusal(&wheel("x", vec![item(), ZipItem { name: "y.py".to_owned(), ..twin }]));
    assert!(text.contains("shares bytes"), "{text}");
    // More than DEFLATE can make of it.
    assert_refused(ZipItem { size: 1 << 20, ..item() }, "cannot have");
    // As much as DEFLATE can make of it.
    let zeros = vec![0; 300 << 20];
    let text = refusal(&wheel("x", vec![ZipItem::new("zeros", &zeros)]));
    assert!(text.contains("would become"), "{text}");
}

#[test]
fn files_that_are_no_whole_zip_are_refused() {
    let whole = wheel("x", vec![item()]);
    for end in [0, 10, whole.len() / 2, whole.len() - 1] {
        let text = refusal(&whole[..end]);
        assert!(text.contains("not a zip file"), "{end}: {text}");
    }
    let mut prefixed = b"#!/bin/sh\n".to_vec();
    prefixed.extend(&whole);
    assert!(refusal(&prefixed).contains("its directory does not end"));
}

#[test]
fn every_flipped_byte_of_a_wheel_is_refused_or_harmless() {
    let whole = wheel("x", vec![item()]);
    let (_folder, store) = store();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x41;
        let input = wheel_input(&store, "x", &bytes);
        // Times and the like decide nothing; what matters is that nothing panics or hangs.
        if let Ok(plan) = layer::wheels(&store, &[input], &python(), &Directories::new()) {
            let _ = plan.measure(&store, &|_| Continue(()));
        }
    }
}

#[test]
fn a_wheel_without_usable_metadata_is_refused() {
    let without = |name: &str| {
        let mut items = wheel_items("x", vec![item()]);
        items.retain(|item| !item.name.ends_with(name));
        refusal(&zip(&items))
    };
    for name in ["RECORD", "WHEEL", "METADATA"] {
        let text = without(name);
        assert!(text.contains(&format!("has no `x-1.0.dist-info/{name}`")), "{text}");
    }
    let with = |name: &str, content: &[u8]| {
        let mut items = wheel_items("x", vec![item()]);
        items.retain(|item| !item.name.ends_with(name));
        items.push(ZipItem::new(&format!("x-1.0.dist-info/{name}"), content));
        refusal(&zip(&items))
    };
    assert!(with("RECORD", b"\xff\xfe").contains("is not UTF-8"));
    assert!(with("RECORD", b"\"open,,\n").contains("open quote"));
    assert!(with("RECORD", b"a,,\n\nb,,\n").contains("line 2 of its RECORD is empty"));
    assert!(with("WHEEL", b"Wheel-Version: 2.0\n").contains("version 2.0"));
    assert!(with("entry_points.txt", b"[console_scripts]\nx\n").contains("line 2"));
    assert!(with("entry_points.txt", b"[console_scripts]\nx = nothing\n").contains("no function"));
    assert!(refusal(&zip(&[item()])).contains("no .dist-info folder"));
    assert!(refusal(&wheel("y", vec![item()])).contains("not one of `x`"));
    let second = ZipItem::new("y-1.0.dist-info/METADATA", b"");
    assert!(refusal(&wheel("x", vec![second])).contains("two .dist-info folders"));
    assert_refused(ZipItem::new("x-1.0.data/x.py", b""), "no scheme");
    assert_refused(ZipItem::new("x-1.0.data/other/x.py", b""), "unknown scheme");
}

fn package_refusal(bytes: &[u8]) -> String {
    let (_folder, store) = store();
    let input = package_input(&store, "x", bytes);
    let none = BTreeMap::new();
    let plan = layer::packages(&store, &[input], &none, &none, &Directories::new());
    let error = plan.expect_err("nothing is wrong with this package");
    let text = error.to_string();
    assert!(text.contains("x_1.0_amd64.deb") || text.contains("x 1.0"), "{text}");
    text
}

fn package_of(data: &[u8]) -> Vec<u8> {
    package(&control("x"), "data.tar", data)
}

#[test]
fn a_damaged_package_is_refused() {
    let whole = package_of(&tar_of(&[("./x", Regular, 0o644, "x")]));
    assert!(package_refusal(&whole[..4]).contains("not a Debian package"));
    assert!(package_refusal(&whole[..whole.len() - 600]).contains("cut off"));
    assert!(package_refusal(&whole[..100]).contains("no control.tar member"));
    assert!(package_refusal(&ar(&[("debian-binary", b"3.0\n")])).contains("format is not 2"));
    for compressor in [".bz2", ".lzma", ".lz4", "gz", ".xz.gz"] {
        let other = package(&control("x"), &format!("data.tar{compressor}"), b"");
        let text = package_refusal(&other);
        assert!(text.contains(&format!("as `{compressor}`")), "{text}");
    }
    for name in ["data.tar.zst", "data.tar.gz"] {
        let garbage = package(&control("x"), name, b"nothing that was ever compressed");
        assert!(package_refusal(&garbage).contains("cannot read"));
    }
    let data = tar_of(&[]);
    let text = control("x");
    let metadata = tar_of(&[("./control", Regular, 0o644, &text)]);
    let twice = [("debian-binary", &b"2.0\n"[..]), ("control.tar", &metadata), ("data.tar", &data)];
    let twice = ar(&[&twice[..], &twice[2..]].concat());
    assert!(package_refusal(&twice).contains("two data.tar members"));
    let second = [("control.tar", &metadata[..]), ("debian-binary", b"2.0\n"), ("data.tar", &data)];
    assert!(package_refusal(&ar(&second)).contains("first member"));
    let empty = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &data), ("data.tar", &data)]);
    assert!(package_refusal(&empty).contains("no control file"));
    let garbage = package(&control("x"), "data.tar.xz", b"no xz stream at all");
    assert!(package_refusal(&garbage).contains("cannot read"));
}

#[test]
fn a_package_that_is_not_the_locked_one_is_refused() {
    let data = tar_of(&[]);
    let text = package_refusal(&package(&control("y"), "data.tar", &data));
    assert!(text.contains("locked  x") && text.contains("found   y"), "{text}");
    let text = package_refusal(&package("Package: x\nVersion: 2.0\n", "data.tar", &data));
    assert!(text.contains("locked  1.0") && text.contains("found   2.0"), "{text}");
}

#[test]
fn entries_that_no_package_should_have_are_refused() {
    let of = |item| package_refusal(&package_of(&tar_of(&[item])));
    for kind in [Char, Block, Fifo] {
        assert!(of(("./dev/tty", kind, 0o644, "")).contains("device"));
    }
    for path in ["./etc/.wh.passwd", "./.wh..wh..opq", "./.wh.lib/x"] {
        assert!(of((path, Regular, 0o644, "")).contains("deletion"), "{path}");
    }
    assert!(of(("./.wh.folder", Directory, 0o755, "")).contains("deletion"));
    assert!(of(("./.wh.link", Symlink, 0o777, "x")).contains("deletion"));
    assert!(of(("./x", Link, 0o644, "./../../etc/passwd")).contains("leads out"));
    assert!(of(("./x", Link, 0o644, "/etc/passwd")).contains("no file before it"));
    assert!(of(("./../x", Regular, 0o644, "")).contains("leads out"));
    assert!(of(("./x", Link, 0o644, "./y")).contains("no file before it"));
}

#[test]
fn what_leads_out_of_the_root_stays_inside() {
    let data = tar_of(&[
        ("./out", Symlink, 0o777, "../../../outside"),
        ("./out/file", Regular, 0o644, "x"),
        ("/etc/rooted", Regular, 0o644, "x"),
    ]);
    let (_folder, store) = store();
    let input = package_input(&store, "x", &package_of(&data));
    let none = BTreeMap::new();
    let plan = layer::packages(&store, &[input], &none, &none, &Directories::new()).unwrap();
    let paths: Vec<_> = plan.entries().map(|entry| entry.path.to_owned()).collect();
    assert!(paths.contains(&"outside/file".to_owned()), "{paths:?}");
    assert!(paths.contains(&"etc/rooted".to_owned()), "{paths:?}");
    assert!(paths.iter().all(|path| !path.contains("..")), "{paths:?}");
}

#[test]
fn a_package_as_ubuntu_compresses_it_is_read() {
    let (_folder, store) = store();
    let compress = |bytes: &[u8]| zstd::stream::encode_all(bytes, 3).unwrap();
    let text = control("x");
    let control = compress(&tar_of(&[("./control", Regular, 0o644, &text)]));
    let data = compress(&tar_of(&[("./usr/x", Regular, 0o644, "content")]));
    let package =
        ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &control), ("data.tar.zst", &data)]);
    let input = package_input(&store, "x", &package);
    let none = BTreeMap::new();
    let plan = layer::packages(&store, &[input], &none, &none, &Directories::new()).unwrap();
    assert!(plan.entries().any(|entry| entry.path == "usr/x"));
}
