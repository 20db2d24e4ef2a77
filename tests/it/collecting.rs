//! Collecting removes what nothing needs, and nothing else, whoever runs beside it.

use std::fs;
use std::path::{Path, PathBuf};

use repro::build::{Builder, Built};
use repro::gc::{GcError, Options, collect, plan};
use repro::lock::Lock;
use repro::store::{Kind, Store, StoreError};

use super::building::World;

/// A checkout whose lock is `lock`.
fn checkout(world: &World, name: &str, lock: &Lock) -> PathBuf {
    let project = world.folder.path().join(name);
    for folder in ["images", "lockfiles"] {
        fs::create_dir_all(project.join(folder)).unwrap();
    }
    fs::copy(world.folder.path().join("net.py"), project.join("images/net.py")).unwrap();
    fs::write(project.join("lockfiles/tracker-debian.lock"), lock.to_text()).unwrap();
    project
}

/// Builds as a command in that checkout does.
fn build_in(world: &World, project: &Path, lock: &Lock) -> Built {
    let recipe = Some("a recipe\n".to_owned());
    let builder = Builder { folder: project.join("images"), recipe, ..world.builder() };
    builder.build(lock).unwrap()
}

fn gc(store: &Store) -> Result<usize, GcError> {
    let alone = store.alone()?;
    Ok(collect(&alone, store, &Options::default(), &|_| {})?.remove.len())
}

#[test]
fn an_image_stays_while_its_checkout_has_its_lock_and_goes_after_it() {
    let world = World::new();
    let lock = world.lock("net = 1\n");
    let project = checkout(&world, "one", &lock);
    let built = build_in(&world, &project, &lock);
    let garbage = world.store.put(b"nobody needs this").unwrap();
    let root = &plan(&world.store, &Options::default()).unwrap().roots[0];
    assert_eq!(root.needed_by.len(), 1);
    gc(&world.store).unwrap();
    assert!(!world.store.has(&garbage));
    assert!(!build_in(&world, &project, &built.lock).fresh, "something the image needs went");
    assert!(world.store.fsck(|_| std::ops::ControlFlow::Continue(())).unwrap().damage.is_empty());
    fs::remove_dir_all(&project).unwrap();
    assert!(gc(&world.store).unwrap() > 5);
    assert_eq!(world.store.stored(Kind::Blob).unwrap(), []);
    assert!(repro::image::list(&world.store).unwrap().is_empty());
    // The store is usable as ever.
    let lock = world.lock("net = 1\n");
    super::building::locked_wheel(&world.store, "numbers");
    assert!(world.build(&lock).is_ok());
}

#[test]
fn a_lock_that_changed_keeps_its_new_image_only() {
    let world = World::new();
    let one = world.lock("net = 1\n");
    let project = checkout(&world, "one", &one);
    let first = build_in(&world, &project, &one);
    let two = world.lock("net = 2\n");
    checkout(&world, "one", &two);
    let second = build_in(&world, &project, &two);
    gc(&world.store).unwrap();
    let seals: Vec<_> = repro::image::list(&world.store).unwrap();
    assert_eq!(seals, [("tracker-debian".to_owned(), second.image.seal)]);
    assert!(!world.store.has(&first.lock.local_files[0].sha256));
    assert!(world.store.has(&second.lock.wheels[0].sha256), "a shared input went");
}

#[test]
fn two_checkouts_of_one_lock_keep_it_as_long_as_one_of_them_is_there() {
    let world = World::new();
    let lock = world.lock("net = 1\n");
    let (one, two) = (checkout(&world, "one", &lock), checkout(&world, "two", &lock));
    let built = build_in(&world, &one, &lock);
    assert!(!build_in(&world, &two, &built.lock).fresh);
    fs::remove_dir_all(&one).unwrap();
    gc(&world.store).unwrap();
    assert!(!build_in(&world, &two, &built.lock).fresh);
}

#[test]
fn an_image_can_be_forgotten_whoever_has_its_lock() {
    let world = World::new();
    let lock = world.lock("net = 1\n");
    let project = checkout(&world, "one", &lock);
    let built = build_in(&world, &project, &lock);
    let options = Options { forget: vec![built.image.seal], ..Options::default() };
    collect(&world.store.alone().unwrap(), &world.store, &options, &|_| {}).unwrap();
    assert_eq!(world.store.stored(Kind::Blob).unwrap(), []);
}

#[test]
fn nothing_goes_while_another_command_uses_the_store() {
    let world = World::new();
    let garbage = world.store.put(b"nobody needs this yet").unwrap();
    let other = Store::open(world.store.root()).unwrap();
    assert!(matches!(gc(&world.store), Err(GcError::Store(StoreError::InUse { .. }))));
    assert!(world.store.has(&garbage));
    assert_eq!(plan(&world.store, &Options::default()).unwrap().remove.len(), 1);
    // Whoever was refused still uses the store: the other one may not remove either.
    assert!(other.alone().is_err());
    drop(other);
    assert_eq!(gc(&world.store).unwrap(), 1);
}

#[test]
fn a_command_that_starts_while_content_goes_waits_for_the_end() {
    let world = World::new();
    let root = world.store.root().to_owned();
    let alone = world.store.alone().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let store = Store::open(&root).unwrap();
        sender.send(()).unwrap();
        store.has(&repro::digest::Digest::of(b"nobody needs this"))
    });
    world.store.put(b"nobody needs this").unwrap();
    collect(&alone, &world.store, &Options::default(), &|_| {}).unwrap();
    assert!(receiver.try_recv().is_err(), "it did not wait");
    drop(alone);
    assert!(!thread.join().unwrap());
}

#[test]
fn what_broke_off_and_what_was_unpacked_for_nobody_goes() {
    let world = World::new();
    let store = &world.store;
    drop({
        let mut writer = store.resume(&repro::digest::Digest::of(b"abc")).unwrap();
        writer.write(b"a").unwrap();
        writer
    });
    fs::create_dir_all(store.root().join("rootfs/00/usr/bin")).unwrap();
    fs::create_dir_all(store.root().join("data/00/images")).unwrap();
    let plan = plan(store, &Options::default()).unwrap();
    let count = |kind| plan.total(kind).0;
    assert_eq!((count(Kind::Partial), count(Kind::Rootfs), count(Kind::Data)), (1, 1, 1));
    gc(store).unwrap();
    assert!(!store.root().join("rootfs/00").exists());
    assert_eq!(fs::read_dir(store.root().join("partial")).unwrap().count(), 0);
}

#[test]
fn a_record_that_cannot_be_read_stops_everything() {
    let world = World::new();
    let garbage = world.store.put(b"perhaps the record needs this").unwrap();
    let place = Path::new("runs/1/seg/a/sp/bs2/fp32/record.json");
    world.store.write_file(place, b"{\"version\": 99}").unwrap();
    assert!(matches!(gc(&world.store), Err(GcError::Bench(_))));
    assert!(world.store.has(&garbage));
}
