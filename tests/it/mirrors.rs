//! A mirror holds what a lock pins, and a build from it alone gives the same seal.

use std::fs;
use std::path::Path;

use repro::build::Builder;
use repro::carry::{CarryError, mirror, plan_mirror};
use repro::engine::Stop;
use repro::engine::fake::{Answer, Fake};
use repro::fetch::Quiet;
use repro::lock::Lock;
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use super::building::World;

fn fill(world: &World, lock: &Lock, folder: &Path) -> repro::carry::Mirrored {
    mirror(&world.store, lock, Some(("tracker", "a recipe\n")), folder, &Stop::new(), &|_| {})
        .unwrap()
}

/// Builds `lock` in an empty store from nothing but the mirror; the local file is not there either.
fn build_from(mirror: &Path, lock: &Lock) -> Result<repro::digest::Digest, String> {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::new(folder.path(), folder.path()).with("HOME", "/nowhere");
    let mirror = vec![mirror.display().to_string().into()];
    let options = Options { offline: true, mirror, ..Options::default() };
    let settings = Settings::load_in(options, environment).unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let engine = Fake::new(Answer::text(""));
    let builder = Builder {
        settings: &settings,
        store: &store,
        engine: &engine,
        progress: &Quiet,
        stop: &Stop::new(),
        folder: folder.path().to_owned(),
        recipe: None,
    };
    let built = builder.build(lock).map_err(|error| error.to_string())?;
    Ok(built.image.seal)
}

#[test]
fn an_empty_store_builds_from_a_mirror_without_network() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let folder = world.folder.path().join("mirror");
    let done = fill(&world, &built.lock, &folder);
    assert_eq!((done.copied, done.present, done.browsable), (3, 0, true));
    assert_eq!(build_from(&folder, &built.lock).unwrap(), built.image.seal);
    let again = fill(&world, &built.lock, &folder);
    assert_eq!((again.copied, again.bytes, again.present), (0, 0, 3));
}

#[test]
fn a_mirror_is_an_index_and_a_pool_for_others() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let folder = world.folder.path().join("mirror");
    fill(&world, &built.lock, &folder);
    let wheel = &built.lock.wheels[0];
    let page = fs::read_to_string(folder.join("simple/numbers/index.html")).unwrap();
    assert!(page.contains(&format!("{}#sha256={}", wheel.file, wheel.sha256.hex())), "{page}");
    let bytes = fs::read(folder.join("simple/numbers").join(&wheel.file)).unwrap();
    assert_eq!(repro::digest::Digest::of(&bytes), wheel.sha256);
    let package = &built.lock.packages[0];
    assert_eq!(fs::metadata(folder.join(&package.path)).unwrap().len(), package.size);
}

#[test]
fn two_images_share_one_mirror() {
    let world = World::new();
    let folder = world.folder.path().join("mirror");
    let one = world.build(&world.lock("net = 1\n")).unwrap();
    fill(&world, &one.lock, &folder);
    let two = world.build(&world.lock("net = 2\n")).unwrap();
    let done = fill(&world, &two.lock, &folder);
    assert_eq!((done.copied, done.present), (1, 2));
    assert_eq!(build_from(&folder, &one.lock).unwrap(), one.image.seal);
    assert_eq!(build_from(&folder, &two.lock).unwrap(), two.image.seal);
}

#[test]
fn wrong_bytes_in_a_mirror_are_refused_and_named() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    for (position, name) in [(0, "net.py"), (1, "numbers-1.0")] {
        let folder = world.folder.path().join(format!("mirror-{position}"));
        fill(&world, &built.lock, &folder);
        let digest = match position {
            0 => built.lock.local_files[0].sha256,
            _ => built.lock.wheels[0].sha256,
        };
        fs::write(folder.join("blobs/sha256").join(digest.hex()), "something else").unwrap();
        let error = build_from(&folder, &built.lock).unwrap_err();
        assert!(error.contains(name) && error.contains(&digest.to_string()), "{error}");
        assert!(error.contains("from --mirror"), "{error}");
    }
}

#[test]
fn an_input_that_the_store_lacks_is_named_before_anything_is_written() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let wheel = built.lock.wheels[0].sha256;
    fs::remove_file(world.store.blob_path(&wheel)).unwrap();
    let folder = world.folder.path().join("mirror");
    let error = mirror(&world.store, &built.lock, None, &folder, &Stop::new(), &|_| {});
    assert!(matches!(&error, Err(CarryError::Missing { missing, .. }) if missing.len() == 1));
    assert!(!folder.exists());
}

#[test]
fn a_folder_of_other_files_is_no_mirror() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let folder = world.folder.path().join("photos");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("one.jpg"), "x").unwrap();
    let error = mirror(&world.store, &built.lock, None, &folder, &Stop::new(), &|_| {});
    assert!(matches!(error, Err(CarryError::NotAMirror { .. })));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_killed_copy_leaves_nothing_that_counts() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let folder = world.folder.path().join("mirror");
    fill(&world, &built.lock, &folder);
    let blob = folder.join("blobs/sha256").join(built.lock.wheels[0].sha256.hex());
    fs::rename(&blob, blob.with_extension("partial")).unwrap();
    assert_eq!(plan_mirror(&built.lock, &folder).iter().filter(|(_, there)| !there).count(), 1);
    let done = fill(&world, &built.lock, &folder);
    assert_eq!(done.copied, 1);
    assert!(blob.is_file() && !blob.with_extension("partial").exists());
}
