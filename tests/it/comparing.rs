//! Each cause of a difference is named as what it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use repro::diff::{Cause, DiffError, Place, Report, Side, diff, stored};
use repro::digest::Digest;
use repro::image;
use repro::layer::archive_header;
use serde_json::json;

use super::building::World;

/// One entry of a layer that a test writes: path, content, mode, user, time.
type Item<'a> = (&'a str, &'a str, u32, u64, u64);

const PLAIN: [Item<'_>; 3] =
    [("a", "one", 0o644, 0, 5), ("b", "two", 0o644, 0, 5), ("c.pyc", "code", 0o644, 0, 5)];

fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, content, mode, user, time) in items {
        let mut header = archive_header(path, content.len() as u64);
        header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        header[108..116].copy_from_slice(format!("{user:07o}\0").as_bytes());
        header[136..148].copy_from_slice(format!("{time:011o}\0").as_bytes());
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        bytes.extend(header);
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

fn gzip(bytes: &[u8], level: i32) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(level).unwrap();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let size = compressor.gzip_compress(bytes, &mut out).unwrap();
    out.truncate(size);
    out
}

/// An OCI layout of one layer.
fn layout(folder: &Path, name: &str, tar: &[u8], blob: &[u8], env: &str) -> PathBuf {
    let root = folder.join(name);
    let blobs = root.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({ "digest": digest, "size": bytes.len() })
    };
    let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Env": [env] },
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(tar)] },
        "history": [{ "created_by": "files" }] });
    let mut layer = put(blob);
    layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
    let config = put(config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let mut manifest = put(manifest.to_string().as_bytes());
    manifest["mediaType"] = json!(image::MANIFEST_TYPE);
    fs::write(root.join("index.json"), json!({ "manifests": [manifest] }).to_string()).unwrap();
    root
}

fn side(path: &Path) -> Side<'static> {
    let place = Some(Place::layout(path).unwrap());
    Side { name: path.display().to_string(), lock: None, place }
}

fn compare(before: &[u8], after: &[u8]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let one = layout(folder.path(), "one", before, &gzip(before, 6), "A=1");
    let two = layout(folder.path(), "two", after, &gzip(after, 6), "A=1");
    diff(&side(&one), &side(&two), &|_| {}).unwrap()
}

/// The causes of the only layer that differs.
fn causes(after: &[Item<'_>]) -> BTreeMap<Cause, usize> {
    let report = compare(&tar_of(&PLAIN), &tar_of(after));
    assert_eq!(report.layers.len(), 1);
    report.layers[0].causes.clone()
}

fn changed(position: usize, change: impl Fn(&mut Item<'_>)) -> Vec<Item<'static>> {
    let mut items = PLAIN.to_vec();
    change(&mut items[position]);
    items
}

#[test]
fn each_cause_is_named_alone() {
    let of = |cause, count| BTreeMap::from([(cause, count)]);
    assert_eq!(causes(&changed(0, |item| item.1 = "1")), of(Cause::Content, 1));
    assert_eq!(causes(&PLAIN[1..]), of(Cause::Content, 1));
    assert_eq!(causes(&changed(2, |item| item.1 = "other")), of(Cause::Bytecode, 1));
    assert_eq!(causes(&PLAIN[..2]), of(Cause::Bytecode, 1));
    assert_eq!(causes(&changed(1, |item| item.2 = 0o755)), of(Cause::Mode, 1));
    assert_eq!(causes(&changed(1, |item| item.3 = 1000)), of(Cause::Owner, 1));
    assert_eq!(causes(&changed(1, |item| item.4 = 6)), of(Cause::Time, 1));
    assert_eq!(causes(&[PLAIN[1], PLAIN[0], PLAIN[2]]), of(Cause::Order, 1));
    let later: Vec<_> = PLAIN.iter().map(|item| (item.0, item.1, 0o600, item.3, 9)).collect();
    assert_eq!(causes(&later), BTreeMap::from([(Cause::Mode, 3), (Cause::Time, 3)]));
}

#[test]
fn padding_alone_is_a_matter_of_encoding() {
    let tar = tar_of(&PLAIN);
    let padded = [tar.as_slice(), &[0; 4096]].concat();
    let report = compare(&tar, &padded);
    assert_eq!(report.layers[0].causes, BTreeMap::from([(Cause::Encoding, 1)]));
}

#[test]
fn the_same_tar_compressed_otherwise_is_a_matter_of_the_compressor() {
    let folder = tempfile::tempdir().unwrap();
    let tar = tar_of(&PLAIN);
    let one = layout(folder.path(), "one", &tar, &gzip(&tar, 1), "A=1");
    let two = layout(folder.path(), "two", &tar, &gzip(&tar, 9), "A=2");
    let report = diff(&side(&one), &side(&two), &|_| {}).unwrap();
    assert_eq!(report.layers[0].causes, BTreeMap::from([(Cause::Compressor, 1)]));
    assert_eq!(report.config[0].to_string(), "~ environment `A`: 1 -> 2");
    assert!(diff(&side(&one), &side(&one), &|_| {}).unwrap().is_same());
}

#[test]
fn a_changed_file_is_shown_with_both_sizes_and_digests() {
    let report = compare(&tar_of(&PLAIN), &tar_of(&changed(0, |item| item.1 = "three")));
    let change = &report.layers[0].changes[0];
    assert_eq!(change.path, "a");
    assert!(change.before.as_deref().unwrap().contains("0644 0:0 3 bytes"), "{change:?}");
    assert!(change.after.as_deref().unwrap().contains("0644 0:0 5 bytes"), "{change:?}");
}

#[test]
fn two_images_of_the_store_differ_by_lock_and_by_file() {
    let world = World::new();
    let one = world.build(&world.lock("net = 1\n")).unwrap();
    let two = world.build(&world.lock("net = 22\n")).unwrap();
    let before = stored(&world.store, "one", one.lock, one.image.seal);
    let after = stored(&world.store, "two", two.lock, two.image.seal);
    let report = diff(&before, &after, &|_| {}).unwrap();
    let lock: Vec<String> = report.lock.iter().map(ToString::to_string).collect();
    assert!(lock.iter().any(|line| line.contains("local file `/opt/net.py`")), "{lock:?}");
    assert_eq!(report.layers.len(), 1);
    assert_eq!(report.layers[0].changes[0].path, "opt/net.py");
    assert!(diff(&before, &before, &|_| {}).unwrap().is_same());
}

#[test]
fn an_exported_image_is_the_image_as_folder_and_as_archive() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let (folder, archive) =
        (world.folder.path().join("layout"), world.folder.path().join("image.tar"));
    image::export_layout(&world.store, &built.image, &folder, &|_| {
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    image::export_archive(&world.store, &built.image, &archive, &|_| {
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let ours = stored(&world.store, "ours", built.lock, built.image.seal);
    for path in [folder, archive] {
        let report = diff(&ours, &side(&path), &|_| {}).unwrap();
        assert!(report.is_same() && report.compared_files, "{report:?}");
    }
}

#[test]
fn what_cannot_be_compared_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    fs::write(&file, "x".repeat(2000)).unwrap();
    assert!(matches!(Place::layout(&file), Err(DiffError::NotALayout { .. })));
    let world = World::new();
    let lock = world.lock("net = 1\n");
    let only_lock = Side { name: "lock".to_owned(), lock: Some(lock), place: None };
    let tar = tar_of(&PLAIN);
    let bytes = layout(folder.path(), "one", &tar, &gzip(&tar, 6), "A=1");
    let error = diff(&only_lock, &side(&bytes), &|_| {}).unwrap_err();
    assert!(error.to_string().starts_with("`lock` was never built here"), "{error}");
    let blob = bytes.join("blobs/sha256").join(Digest::of(&gzip(&tar, 6)).hex());
    fs::write(&blob, "garbage").unwrap();
    let other = layout(folder.path(), "two", &tar_of(&PLAIN[1..]), &gzip(&tar, 1), "A=1");
    assert!(matches!(diff(&side(&bytes), &side(&other), &|_| {}), Err(DiffError::Layer { .. })));
}
