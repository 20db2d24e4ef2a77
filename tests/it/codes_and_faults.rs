//! What ends a command has the right code, and what is damaged is told by name.

use std::fs;
use std::process::Command;

use repro::carry::import;
use repro::engine::Stop;
use repro::layer;
use repro::lock::Lock;
use repro::store::Store;

use super::archives::{ZipItem, wheel};
use super::building::{locked_package, locked_wheel};
use super::bundles::{empty_store, sample};
use super::commands::Project;
use super::layers::{python, store, wheel_input};
use super::recipe_reading::TRACKER;

/// A project with a built image, and its lock.
fn built() -> (Project, Lock) {
    let project = Project::new(TRACKER);
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    project.lock("tracker-debian", |lock| {
        lock.packages = vec![locked_package(&store)];
        lock.wheels = vec![locked_wheel(&store, "numbers")];
        lock.builds.clear();
    });
    drop(store);
    assert_eq!(project.error(&["build", "tracker-debian", "--offline"]).1, 0);
    let path = project.lock_file("tracker-debian");
    let lock = Lock::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
    (project, lock)
}

#[test]
fn damaged_content_ends_with_3_wherever_it_is_met() {
    let (project, lock) = built();
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    let path = store.blob_path(&lock.packages[0].sha256);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(7).position(|window| window == b"a shell").unwrap();
    bytes[place] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    drop(store);
    for command in [
        &["mirror", "tracker-debian", "stick"][..],
        &["bundle", "tracker-debian", "-o", "x.repro"],
        &["export", "tracker-debian", "--oci", "layout"],
        &["export", "tracker-debian", "--archive", "x.tar"],
    ] {
        let (text, code) = project.error(command);
        assert_eq!(code, 3, "{command:?}: {text}");
    }
}

#[test]
fn an_import_of_a_missing_file_is_wrong_input() {
    let (text, code) = Project::new(TRACKER).error(&["import", "nowhere.repro"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.starts_with("error: cannot open `nowhere.repro`"), "{text}");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_no_signal() {
    let project = Project::new(TRACKER);
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 0; exec \"$0\" fsck", env!("CARGO_BIN_EXE_repro")])
        .current_dir(project.folder.path())
        .env("REPRO_HOME", project.folder.path().join("store"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_damaged_index_is_named_and_stops_nothing_that_only_reads() {
    let (project, lock) = built();
    let index = project.folder.path().join("store/repro.db");
    let whole = fs::read(&index).unwrap();
    let mut pages = whole.clone();
    pages[4096..].fill(0xa5);
    for damaged in [vec![0xa5; 5000], whole[..whole.len() / 2].to_vec(), pages] {
        fs::write(&index, &damaged).unwrap();
        for command in [&["list"][..], &["results"], &["status"]] {
            let (text, code) = project.error(command);
            assert_eq!(code, 0, "{command:?}: {text}");
            assert!(text.contains("store/repro.db`: it is damaged"), "{text}");
        }
        let found = project.run(&["fsck"]);
        let text = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found.status.code(), Some(3), "{text}");
        assert!(text.contains("repro.db`") && text.contains("1 damaged"), "{text}");
        let (text, code) = project.error(&["build", "tracker-debian", "--offline"]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("hint: `repro fsck --remove` puts it aside"), "{text}");
        assert_eq!(project.error(&["fsck", "--remove"]).1, 0);
        assert_eq!(project.error(&["fsck"]).1, 0);
        // What was known of images is found out again.
        assert_eq!(project.error(&["build", "tracker-debian", "--offline"]).1, 0);
        let named = format!("tracker-debian@{}", lock.seal.as_ref().unwrap().manifest);
        assert_eq!(project.error(&["inspect", &named]).1, 0);
        fs::remove_file(project.folder.path().join("store/repro.db.damaged")).unwrap();
    }
}

#[test]
fn a_wheel_with_bytes_in_front_of_it_is_refused_although_its_offsets_are_right() {
    let bytes = wheel("x", vec![ZipItem::new("x.py", b"x = 1\n")]);
    let front = b"#!/bin/sh\n";
    let moved = with_bytes_in_front(&bytes, front);
    let (_folder, store) = store();
    let plan = |bytes: &[u8]| {
        let input = wheel_input(&store, "x", bytes);
        layer::wheels(&store, &[input], &python(), &layer::Directories::new()).map(drop)
    };
    plan(&bytes).unwrap();
    let error = plan(&moved).unwrap_err().to_string();
    assert!(error.contains("it has 10 bytes in front of its first entry"), "{error}");
}

/// The archive behind other bytes, with every offset moved by as much.
fn with_bytes_in_front(zip: &[u8], front: &[u8]) -> Vec<u8> {
    let mut bytes = [front, zip].concat();
    let add = |bytes: &mut [u8], at: usize| {
        let old = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let new = old + u32::try_from(front.len()).unwrap();
        bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
    };
    let starts = |bytes: &[u8], at: usize, mark: &[u8]| bytes[at..].starts_with(mark);
    for at in 0..bytes.len() - 22 {
        if starts(&bytes, at, b"PK\x01\x02") {
            add(&mut bytes, at + 42);
        }
    }
    let end = bytes.len() - 22;
    assert!(starts(&bytes, end, b"PK\x05\x06"));
    add(&mut bytes, end + 16);
    bytes
}

#[test]
fn an_import_tells_of_every_byte_that_it_read() {
    let (_world, _lock, bytes) = sample();
    let (_folder, store) = empty_store();
    let told = std::cell::Cell::new(0u64);
    let count = |more| told.set(told.get() + more);
    import(&store, &mut bytes.as_slice(), None, &Stop::new(), &count).unwrap();
    assert_eq!(told.get(), bytes.len() as u64);
}
