//! What a build job makes for a profile: pinned and proven like the rest, and no part of the image.

use std::fs;

use repro::build::{BuildError, profile_files, rebuild};
use repro::digest::Digest;
use repro::engine::fake::{Answer, Fake};
use repro::lock::{BuildSource, Lock, LockedBuild, LockedFile};

use super::World;
use super::compiling::{Build, OBJECT, compile, lock, seen};
use super::repositories::Repositories;

const STUB: &str = "/repro/profile/libstub.so";
const SCRIPT: &str = "/repro/build/stubs.py";

/// The lock with a second build, of a local script alone, whose file is the profile's.
fn with_stub(world: &World, lock: &Lock) -> Lock {
    fs::write(world.folder.path().join("stubs.py"), "stubs\n").unwrap();
    let script = LockedFile {
        path: SCRIPT.to_owned(),
        source: "stubs.py".to_owned(),
        executable: false,
        size: 6,
        sha256: Digest::of(b"stubs\n"),
    };
    let build = LockedBuild {
        name: "stub".to_owned(),
        source: BuildSource::Local,
        local: vec![script],
        profile: Some("smoke".to_owned()),
        outputs: [(STUB.to_owned(), "libstub.so".to_owned())].into(),
        files: Vec::new(),
        ..lock.builds[0].clone()
    };
    Lock { builds: vec![lock.builds[0].clone(), build], ..lock.clone() }
}

/// Compiles the tree as [`compile`] does, and the stub from the script that it is shown.
fn both(salt: &'static str) -> Fake {
    Fake::with(move |job| {
        if !job.mounts.iter().any(|mount| mount.target == SCRIPT) {
            return compile(job, "");
        }
        let source = seen(job, "/src");
        assert_eq!(fs::read_dir(source).unwrap().count(), 0, "there is no source to unpack");
        let script = fs::read_to_string(seen(job, SCRIPT)).unwrap();
        fs::write(source.join("libstub.so"), format!("elf of {script}{salt}")).unwrap();
        Answer::text("")
    })
}

#[test]
fn what_a_profile_mounts_changes_neither_the_seal_nor_the_name_of_the_lock() {
    let (world, repositories) = (World::new(), Repositories::new());
    let bare = Build { world: &world, engine: both("") }.run(&lock(&world, &repositories)).unwrap();
    let lock = with_stub(&world, &bare.lock);
    assert_eq!(lock.digest(), bare.lock.digest());
    let first = Build { world: &world, engine: both("one") };
    let built = first.run(&lock).unwrap();
    assert_eq!(built.image.seal, bare.image.seal);
    assert_eq!(first.engine.calls().len(), 1, "the other build was made already");
    assert_eq!(built.lock.digest(), lock.digest());
    let made = built.lock.builds[1].files[0].clone();
    assert_eq!((made.path.as_str(), made.sha256), (STUB, Digest::of(b"elf of stubs\none")));
    let entries = built.image.layers.iter().filter_map(|layer| layer.plan());
    let mut paths = entries.flat_map(|plan| plan.entries()).map(|entry| entry.path.to_owned());
    assert!(!paths.any(|path| path.contains("libstub")));
    assert_eq!(first.run(&built.lock).unwrap().image.seal, bare.image.seal);
    assert_eq!(first.engine.calls().len(), 1, "nothing is made twice");
    let pinned = built.lock.pinned();
    for digest in [made.sha256, Digest::of(b"stubs\n")] {
        assert!(pinned.iter().any(|pinned| pinned.digest == digest), "{pinned:?}");
    }
}

#[test]
fn a_profile_is_shown_what_was_made_for_it_and_another_is_not() {
    let (world, repositories) = (World::new(), Repositories::new());
    let lock = with_stub(&world, &lock(&world, &repositories));
    let files = |lock: &Lock, profile: &str| {
        profile_files(&world.store, world.folder.path(), lock, profile)
    };
    assert_eq!(files(&lock, "smoke").unwrap(), [], "it is not made yet");
    let built = Build { world: &world, engine: both("") }.run(&lock).unwrap();
    let digest = Digest::of(b"elf of stubs\n");
    assert_eq!(files(&built.lock, "smoke").unwrap(), [(STUB.to_owned(), digest)]);
    assert_eq!(files(&built.lock, "full").unwrap(), []);
    fs::write(world.store.blob_path(&digest), "other").unwrap();
    let error = files(&built.lock, "smoke").unwrap_err();
    assert!(matches!(error, BuildError::DamagedInput { expected, .. } if expected == digest));
}

#[test]
fn the_proof_makes_what_a_profile_mounts_again() {
    let (world, repositories) = (World::new(), Repositories::new());
    let lock = with_stub(&world, &lock(&world, &repositories));
    let built = Build { world: &world, engine: both("") }.run(&lock).unwrap();
    for (salt, is_same) in [("", true), ("salt", false)] {
        let other = World::new();
        for file in ["one.txt", "stubs.py"] {
            let text = fs::read(world.folder.path().join(file)).unwrap();
            fs::write(other.folder.path().join(file), text).unwrap();
        }
        let second = Build { world: &other, engine: both(salt) };
        let rebuilt = second.with(|builder| rebuild(builder, &world.store, &built.lock));
        assert_eq!(second.engine.calls().len(), 2);
        match rebuilt {
            Ok(rebuilt) => assert!(is_same && rebuilt.seal == built.image.seal),
            Err(error) => {
                assert!(!is_same && error.to_string().contains(STUB), "{error}");
            }
        }
    }
    assert_eq!(built.lock.builds[0].files[0].path, OBJECT);
}
