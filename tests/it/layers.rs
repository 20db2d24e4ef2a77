//! A layer's bytes are a function of its inputs: golden digests, other surroundings, other readers.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow::{Break, Continue};

use repro::digest::{Digest, hash_reader};
use repro::layer::{
    self, Directories, EntryKind, FileInput, LayerError, LayerPlan, PackageInput, WheelInput,
};
use repro::lock::PythonTarget;
use repro::store::Store;
use tar::EntryType::{Block, Directory, Link, Regular, Symlink};

use super::archives::{ZipItem, control, package, tar as tar_of, wheel};

pub fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

pub fn python() -> PythonTarget {
    PythonTarget {
        version: "3.9".to_owned(),
        interpreter: "/usr/bin/python3.9".to_owned(),
        prefix: "/usr/local".to_owned(),
        site: "/usr/local/lib/python3.9/dist-packages".to_owned(),
        scripts: "/usr/local/bin".to_owned(),
        glibc: "2.31".to_owned(),
    }
}

pub fn wheel_input(store: &Store, name: &str, bytes: &[u8]) -> WheelInput {
    WheelInput {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        file: format!("{name}-1.0-py3-none-any.whl"),
        digest: store.put(bytes).unwrap(),
        requested: true,
    }
}

pub fn package_input(store: &Store, name: &str, bytes: &[u8]) -> PackageInput {
    PackageInput {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        file: format!("{name}_1.0_amd64.deb"),
        digest: store.put(bytes).unwrap(),
    }
}

fn sample(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * index / 977 % 251) as u8).collect()
}

/// A wheel with everything that an installer treats in its own way.
fn rich_wheel() -> Vec<u8> {
    let long = format!("pkg/{}.py", "long".repeat(30));
    let scripts = "[console_scripts]\ntool = pkg.main:run\n[gui_scripts]\nwindow = pkg:App.start\n";
    wheel(
        "rich",
        vec![
            ZipItem::new("pkg/__init__.py", b""),
            ZipItem::new("pkg/data.bin", &sample(700_000)),
            ZipItem::stored("pkg/stored.bin", &sample(70_000)),
            ZipItem::new(&long, b"x = 1\n"),
            ZipItem { flags: 0x800, ..ZipItem::new("pkg/é.txt", "é\n".as_bytes()) },
            ZipItem::new("pkg/lib.so", b"\x7fELF").executable(),
            ZipItem { descriptor: true, ..ZipItem::new("pkg/later.py", b"y = 2\n") },
            ZipItem { zip64: true, ..ZipItem::new("pkg/wide.py", b"z = 3\n") },
            ZipItem::new("rich-1.0.data/scripts/run.py", b"#!python -O\nprint()\n").executable(),
            ZipItem::new("rich-1.0.data/scripts/tool", b"#!python\nold\n"),
            ZipItem::new("rich-1.0.data/scripts/plain.sh", b"#!/bin/sh\n"),
            ZipItem::new("rich-1.0.data/headers/rich.h", b"#pragma once\n"),
            ZipItem::new("rich-1.0.data/data/share/rich.txt", b"text\n"),
            ZipItem::new("rich-1.0.data/purelib/pure.py", b"p = 4\n"),
            ZipItem::new("rich-1.0.dist-info/entry_points.txt", scripts.as_bytes()),
        ],
    )
}

fn plain_wheel() -> Vec<u8> {
    let shared = ZipItem::new("shared/__init__.py", b"same = True\n");
    wheel("plain", vec![ZipItem::new("plain.py", b"a = 1\n"), shared])
}

fn second_wheel() -> Vec<u8> {
    wheel("second", vec![ZipItem::stored("shared/__init__.py", b"same = True\n")])
}

fn wheel_plan(store: &Store) -> LayerPlan {
    let wheels = [
        wheel_input(store, "second", &second_wheel()),
        wheel_input(store, "rich", &rich_wheel()),
        wheel_input(store, "plain", &plain_wheel()),
    ];
    layer::wheels(store, &wheels, &python(), &base()).unwrap()
}

/// What is below the wheels.
fn base() -> Directories {
    let mut below = Directories::new();
    for path in ["usr", "usr/local", "usr/local/bin"] {
        below.insert_directory(path);
    }
    below
}

fn package_plan(store: &Store) -> LayerPlan {
    let base = tar_of(&[
        ("./", Directory, 0o755, ""),
        ("./tmp/", Directory, 0o1777, ""),
        ("./root/", Directory, 0o700, ""),
        ("./usr/bin/", Directory, 0o2755, ""),
        ("./usr/bin/perl", Regular, 0o4755, "perl"),
        ("./usr/bin/aperl", Link, 0o755, "./usr/bin/perl"),
        ("./usr/share/common", Regular, 0o600, "common"),
        ("./lib", Symlink, 0o777, "usr/lib"),
    ]);
    let mut second = Vec::new();
    let inner = tar_of(&[
        ("./lib/", Directory, 0o755, ""),
        ("./lib/second.so", Regular, 0o644, "second"),
        ("./usr/share/common", Regular, 0o644, "common"),
    ]);
    liblzma::read::XzEncoder::new(inner.as_slice(), 1).read_to_end(&mut second).unwrap();
    let packages = [
        package_input(store, "second", &package(&control("second"), "data.tar.xz", &second)),
        package_input(store, "base", &package(&control("base"), "data.tar", &base)),
    ];
    let table = |path: &str, text: &str| BTreeMap::from([(path.to_owned(), text.to_owned())]);
    let (links, files) =
        (table("/bin/sh", "dash"), table("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"));
    layer::packages(store, &packages, &links, &files, &Directories::new()).unwrap()
}

fn file_plan(store: &Store) -> LayerPlan {
    let file = |path: &str, content: &[u8], executable| {
        let digest = store.put(content).unwrap();
        FileInput { path: path.to_owned(), digest, executable }
    };
    let files =
        [file("/opt/run", b"#!/bin/sh\n", true), file("/opt/data", &sample(3_000_000), false)];
    layer::files(store, &files, &Directories::new()).unwrap()
}

fn blob(plan: &LayerPlan, store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    plan.write_blob(store, &mut bytes).unwrap();
    bytes
}

fn tar_stream(plan: &LayerPlan, store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    plan.write_tar(store, &mut bytes).unwrap();
    bytes
}

/// Path, type, mode and text or target of every entry, as another reader sees them.
#[expect(clippy::disallowed_methods, reason = "an archive of our own")]
fn listing(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (mode, kind) = (entry.header().mode().unwrap(), entry.header().entry_type());
        let target = entry.link_name().unwrap().map(|target| target.display().to_string());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let text = String::from_utf8(content).unwrap_or_default();
        let text = target.unwrap_or(text);
        let text = if text.len() > 40 { format!("({} bytes)", text.len()) } else { text };
        lines.push(format!("{path} {} {mode:o} {text:?}", char::from(kind.as_byte())));
    }
    lines
}

fn assert_golden(plan: &LayerPlan, store: &Store, diff_id: &str, digest: &str) {
    let measured = plan.measure(store, &|_| Continue(())).unwrap();
    let found = (measured.diff_id.to_string(), measured.digest.to_string());
    assert_eq!(found, (diff_id.to_owned(), digest.to_owned()));
}

#[test]
fn the_layer_of_these_wheels_has_the_digest_of_the_epoch() {
    let (_folder, store) = store();
    let diff_id = "sha256:575d634a3241d22e34e015e70562542bd709c58495f95e9f1f812d2cd3bfec6e";
    let digest = "sha256:d8f138224ca022de90bf5dde2ceecc58fa54d153814a4f2e0ed02fb5ae99a71b";
    assert_golden(&wheel_plan(&store), &store, diff_id, digest);
}

#[test]
fn the_layer_of_these_packages_has_the_digest_of_the_epoch() {
    let (_folder, store) = store();
    let diff_id = "sha256:dd0504ec82fd639443de0df807b9d0c62c5b3c881109635000c51e37505f674a";
    let digest = "sha256:d666ac23aa7cf11916b3b50f8bed9b403cc14c00a1db8278f73eaf9d4dcd05d5";
    assert_golden(&package_plan(&store), &store, diff_id, digest);
}

#[test]
fn the_layer_of_these_files_has_the_digest_of_the_epoch() {
    let (_folder, store) = store();
    let diff_id = "sha256:46fd1bbcf46f5c61bf9cc0ddb09dc8efc9f3a3087c7d74326b3d7364a53a74a8";
    let digest = "sha256:ad22e35a67e55508ef95db538abeb9f70821fa656c0b0bf9df48120dcd73047b";
    assert_golden(&file_plan(&store), &store, diff_id, digest);
}

#[test]
fn what_is_measured_written_and_proven_is_the_same() {
    let (_folder, store) = store();
    for plan in [wheel_plan(&store), package_plan(&store), file_plan(&store)] {
        let measured = plan.measure(&store, &|_| Continue(())).unwrap();
        let (blob, tar) = (blob(&plan, &store), tar_stream(&plan, &store));
        let mut inflated = Vec::new();
        flate2::read::MultiGzDecoder::new(blob.as_slice()).read_to_end(&mut inflated).unwrap();
        assert!(inflated == tar, "{}: the blob does not hold the tar stream", plan.origin());
        assert_eq!((measured.diff_id.0, measured.tar_size), hash_reader(tar.as_slice()).unwrap());
        assert_eq!((measured.digest, measured.size), hash_reader(blob.as_slice()).unwrap());
        let done = std::sync::atomic::AtomicU64::new(0);
        let progress = |count| {
            done.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            Continue(())
        };
        plan.prove(&store, &measured.digest, measured.size, &progress).unwrap();
        assert_eq!(done.into_inner(), measured.size);
        let asked = std::sync::atomic::AtomicU64::new(0);
        let stop = |_| {
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Break(())
        };
        let error = plan.prove(&store, &measured.digest, measured.size, &stop).unwrap_err();
        assert!(matches!(error, LayerError::Stopped), "{error}");
        let error = plan.measure(&store, &stop).unwrap_err();
        assert!(matches!(error, LayerError::Stopped), "{error}");
        assert_eq!(asked.into_inner(), 2, "more was made after it was stopped");
        let other = Digest::of(b"other");
        let error = plan.prove(&store, &other, measured.size, &|_| Continue(())).unwrap_err();
        let LayerError::Differs { expected, found, .. } = error else { panic!("{error}") };
        assert_eq!((expected, found), (other, measured.digest));
    }
}

#[test]
fn a_plan_that_was_kept_gives_the_same_layer_in_another_store() {
    let (_one, first) = store();
    let (_other, second) = store();
    for make in [wheel_plan, package_plan, file_plan] {
        let kept = make(&first).to_bytes();
        // The inputs, but not the plan, are made in the other store.
        make(&second);
        let plan = LayerPlan::from_bytes(&kept).unwrap();
        assert_eq!(plan.to_bytes(), kept);
        assert!(blob(&plan, &second) == blob(&make(&first), &first), "{}", plan.origin());
    }
}

#[test]
fn a_damaged_plan_is_refused() {
    let (_folder, store) = store();
    let kept = package_plan(&store).to_bytes();
    for end in 0..kept.len() {
        assert!(LayerPlan::from_bytes(&kept[..end]).is_err(), "{end} bytes were enough");
    }
    for place in 0..kept.len() {
        let mut bytes = kept.clone();
        bytes[place] ^= 0x10;
        // Some flips give another plan that is well-formed; the layer's digest finds those.
        let _ = LayerPlan::from_bytes(&bytes);
    }
}

#[test]
fn a_wheel_is_installed_with_launchers_data_and_a_sorted_record() {
    let (_folder, store) = store();
    let plan = wheel_plan(&store);
    let lines = listing(&tar_stream(&plan, &store));
    insta::assert_snapshot!(lines.join("\n"), @r##"
    usr/local/bin/plain.sh 0 644 "#!/bin/sh\n"
    usr/local/bin/run.py 0 755 "#!/usr/bin/python3.9\nprint()\n"
    usr/local/bin/tool 0 755 "(207 bytes)"
    usr/local/bin/window 0 755 "(208 bytes)"
    usr/local/include/ 5 755 ""
    usr/local/include/python3.9/ 5 755 ""
    usr/local/include/python3.9/rich/ 5 755 ""
    usr/local/include/python3.9/rich/rich.h 0 644 "#pragma once\n"
    usr/local/lib/ 5 755 ""
    usr/local/lib/python3.9/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/pkg/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/pkg/__init__.py 0 644 ""
    usr/local/lib/python3.9/dist-packages/pkg/data.bin 0 644 ""
    usr/local/lib/python3.9/dist-packages/pkg/later.py 0 644 "y = 2\n"
    usr/local/lib/python3.9/dist-packages/pkg/lib.so 0 755 "\u{7f}ELF"
    usr/local/lib/python3.9/dist-packages/pkg/longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong.py 0 644 "x = 1\n"
    usr/local/lib/python3.9/dist-packages/pkg/stored.bin 0 644 ""
    usr/local/lib/python3.9/dist-packages/pkg/wide.py 0 644 "z = 3\n"
    usr/local/lib/python3.9/dist-packages/pkg/é.txt 0 644 "é\n"
    usr/local/lib/python3.9/dist-packages/plain-1.0.dist-info/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/plain-1.0.dist-info/INSTALLER 0 644 "pip\n"
    usr/local/lib/python3.9/dist-packages/plain-1.0.dist-info/METADATA 0 644 "(47 bytes)"
    usr/local/lib/python3.9/dist-packages/plain-1.0.dist-info/RECORD 0 644 "(332 bytes)"
    usr/local/lib/python3.9/dist-packages/plain-1.0.dist-info/REQUESTED 0 644 ""
    usr/local/lib/python3.9/dist-packages/plain-1.0.dist-info/WHEEL 0 644 "(59 bytes)"
    usr/local/lib/python3.9/dist-packages/plain.py 0 644 "a = 1\n"
    usr/local/lib/python3.9/dist-packages/pure.py 0 644 "p = 4\n"
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/INSTALLER 0 644 "pip\n"
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/METADATA 0 644 "(46 bytes)"
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/RECORD 0 644 "(1055 bytes)"
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/REQUESTED 0 644 ""
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/WHEEL 0 644 "(59 bytes)"
    usr/local/lib/python3.9/dist-packages/rich-1.0.dist-info/entry_points.txt 0 644 "(75 bytes)"
    usr/local/lib/python3.9/dist-packages/second-1.0.dist-info/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/second-1.0.dist-info/INSTALLER 0 644 "pip\n"
    usr/local/lib/python3.9/dist-packages/second-1.0.dist-info/METADATA 0 644 "(48 bytes)"
    usr/local/lib/python3.9/dist-packages/second-1.0.dist-info/RECORD 0 644 "(316 bytes)"
    usr/local/lib/python3.9/dist-packages/second-1.0.dist-info/REQUESTED 0 644 ""
    usr/local/lib/python3.9/dist-packages/second-1.0.dist-info/WHEEL 0 644 "(59 bytes)"
    usr/local/lib/python3.9/dist-packages/shared/ 5 755 ""
    usr/local/lib/python3.9/dist-packages/shared/__init__.py 0 644 "same = True\n"
    usr/local/share/ 5 755 ""
    usr/local/share/rich.txt 0 644 "text\n"
    "##);
    let record =
        plan.entries().find(|entry| entry.path.ends_with("rich-1.0.dist-info/RECORD")).unwrap();
    assert_eq!((record.origin, record.kind), ("rich 1.0", EntryKind::File));
}

#[test]
fn packages_are_unpacked_with_links_status_and_plain_modes() {
    let (_folder, store) = store();
    let plan = package_plan(&store);
    let lines = listing(&tar_stream(&plan, &store));
    insta::assert_snapshot!(lines.join("\n"), @r##"
    bin/ 5 755 ""
    bin/sh 2 777 "dash"
    etc/ 5 755 ""
    etc/passwd 0 644 "root:x:0:0::/root:/bin/sh\n"
    lib 2 777 "usr/lib"
    root/ 5 700 ""
    tmp/ 5 1777 ""
    usr/ 5 755 ""
    usr/bin/ 5 755 ""
    usr/bin/aperl 0 755 "perl"
    usr/bin/perl 1 755 "usr/bin/aperl"
    usr/lib/ 5 755 ""
    usr/lib/second.so 0 644 "second"
    usr/share/ 5 755 ""
    usr/share/common 0 644 "common"
    var/ 5 755 ""
    var/lib/ 5 755 ""
    var/lib/dpkg/ 5 755 ""
    var/lib/dpkg/status.d/ 5 755 ""
    var/lib/dpkg/status.d/base 0 644 "(67 bytes)"
    var/lib/dpkg/status.d/second 0 644 "(69 bytes)"
    "##);
}

#[test]
fn the_next_layer_emits_no_directory_of_the_layers_below() {
    let (_folder, store) = store();
    let below = package_plan(&store).directories(&Directories::new());
    assert!(below.has_directory("usr/bin") && below.has_directory("usr/lib"));
    let digest = store.put(b"x").unwrap();
    let file = |path: &str| FileInput { path: path.to_owned(), digest, executable: false };
    let plan = layer::files(&store, &[file("/lib/new/x"), file("/usr/bin/y")], &below).unwrap();
    let paths: Vec<_> = plan.entries().map(|entry| entry.path.to_owned()).collect();
    assert_eq!(paths, ["usr/bin/y", "usr/lib/new", "usr/lib/new/x"]);
    let error = layer::files(&store, &[file("/usr/bin")], &below).unwrap_err();
    assert!(matches!(error, LayerError::Conflict { .. }), "{error}");
}

#[test]
fn two_wheels_that_differ_at_one_path_are_an_error_that_names_both() {
    let (_folder, store) = store();
    let other = wheel("second", vec![ZipItem::new("shared/__init__.py", b"same = None\n")]);
    let wheels =
        [wheel_input(&store, "plain", &plain_wheel()), wheel_input(&store, "second", &other)];
    let error = layer::wheels(&store, &wheels, &python(), &base()).unwrap_err().to_string();
    assert!(error.contains("shared/__init__.py"), "{error}");
    assert!(error.contains("plain 1.0") && error.contains("second 1.0"), "{error}");
}

#[test]
fn two_packages_that_differ_at_one_path_are_an_error_that_names_both() {
    let (_folder, store) = store();
    let of = |name: &str, text: &str| {
        let data = tar_of(&[("./etc/x", Regular, 0o644, text)]);
        package_input(&store, name, &package(&control(name), "data.tar", &data))
    };
    let packages = [of("a", "1"), of("b", "2")];
    let none = BTreeMap::new();
    let error = layer::packages(&store, &packages, &none, &none, &Directories::new()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`etc/x`") && text.contains("a 1.0") && text.contains("b 1.0"), "{text}");
    // The recipe's own file wins over both.
    let files = BTreeMap::from([("/etc/x".to_owned(), "3".to_owned())]);
    let plan = layer::packages(&store, &packages, &none, &files, &Directories::new()).unwrap();
    assert_eq!(plan.entries().find(|entry| entry.path == "etc/x").unwrap().origin, "recipe");
}

#[test]
fn a_device_in_a_package_is_refused() {
    let (_folder, store) = store();
    let data = tar_of(&[("./dev/sda", Block, 0o644, "")]);
    let package = package_input(&store, "a", &package(&control("a"), "data.tar", &data));
    let none = BTreeMap::new();
    let error = layer::packages(&store, &[package], &none, &none, &Directories::new()).unwrap_err();
    assert!(error.to_string().contains("`dev/sda` is a device"), "{error}");
}

#[test]
fn a_built_wheel_is_normalised_to_one_form() {
    let files = || {
        vec![ZipItem::new("b.py", &sample(5000)), ZipItem::stored("a.py", b"a = 1\n").executable()]
    };
    let one = layer::normalise_wheel(&wheel("x", files())).unwrap();
    let mut turned = super::archives::wheel_items("x", files());
    turned.reverse();
    turned.iter_mut().for_each(|item| item.descriptor = true);
    let other = layer::normalise_wheel(&super::archives::zip(&turned)).unwrap();
    assert!(one == other, "order or form of the entries shows");
    assert_eq!(layer::normalise_wheel(&one).unwrap(), one);
    let golden = "sha256:64f828c48f8736ce75663de2f1bdedb176858d2873338b23c64d7542857dba1c";
    assert_eq!(Digest::of(&one).to_string(), golden);
    let (_folder, store) = store();
    let input = wheel_input(&store, "x", &one);
    let plan = layer::wheels(&store, &[input], &python(), &base()).unwrap();
    plan.measure(&store, &|_| Continue(())).unwrap();
}

#[test]
fn what_would_hide_or_circle_is_refused() {
    let (_folder, store) = store();
    let of = |items: &[super::archives::TarItem<'_>],
              links: &[(&str, &str)],
              below: &Directories| {
        let package =
            package_input(&store, "a", &package(&control("a"), "data.tar", &tar_of(items)));
        let links = links.iter().map(|(path, to)| ((*path).to_owned(), (*to).to_owned())).collect();
        layer::packages(&store, &[package], &links, &BTreeMap::new(), below)
    };
    let file = ("./x/y", Regular, 0o644, "text");
    let mut below = Directories::new();
    below.insert_directory("x");
    let error = of(&[], &[("/x", "z")], &below).unwrap_err();
    assert!(matches!(error, LayerError::Conflict { .. }), "{error}");
    let error = of(&[("./x", Regular, 0o644, "")], &[], &below).unwrap_err();
    assert!(matches!(error, LayerError::Conflict { .. }), "{error}");
    let error = of(&[file], &[("/x", "z"), ("/z", "x")], &Directories::new()).unwrap_err();
    assert!(matches!(error, LayerError::Path { .. }), "{error}");
    let error = of(&[file, ("./x", Regular, 0o644, "")], &[], &Directories::new()).unwrap_err();
    assert!(matches!(error, LayerError::Conflict { .. }), "{error}");
    for path in ["/", "/x/../y", "x/", "/x\n"] {
        let error = of(&[], &[(path, "z")], &Directories::new()).unwrap_err();
        assert!(matches!(error, LayerError::Path { .. }), "{path}: {error}");
    }
}

#[test]
fn content_that_changed_in_the_store_is_found_and_named() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, store) = store();
    let input = wheel_input(&store, "rich", &rich_wheel());
    let plan = layer::wheels(&store, std::slice::from_ref(&input), &python(), &base()).unwrap();
    let measured = plan.measure(&store, &|_| Continue(())).unwrap();
    let path = store.blob_path(&input.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    // In the middle of `pkg/data.bin`, the largest entry of the wheel.
    bytes[20_000] ^= 1;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let error = plan.measure(&store, &|_| Continue(())).unwrap_err().to_string();
    assert!(error.contains("pkg/data.bin` of `rich-1.0-py3-none-any.whl` is damaged"), "{error}");
    let error = plan.prove(&store, &measured.digest, measured.size, &|_| Continue(())).unwrap_err();
    assert!(matches!(error, LayerError::Differs { .. }), "{error}");
}
