//! A repository, or whoever shares a folder, can plant links under the names that files are written to:
//! nothing is written, cleared or given away where they lead.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use repro::dataset::{Datasets, Silent, pin, unpack_in_data};

use crate::data_sets::zip;
use crate::fetching_data::World as Data;
use crate::unpinned::World;

const LOCK: &str = "project/lockfiles/tracker-debian.lock";

#[test]
fn lock_writes_through_no_link_that_a_repository_brings() {
    let world = World::new();
    world.lock(0);
    let lock = world.lock_text();
    fs::remove_file(world.path(LOCK)).unwrap();

    // In place of the lock: what it leads to need not be there.
    symlink("../../.profile", world.path(LOCK)).unwrap();
    let (code, _, told) = world.run(&["lock", "tracker-debian"]);
    assert_ne!(code, 0, "{told}");
    assert!(told.contains("it is a symbolic link"), "{told}");
    assert!(!world.path(".profile").exists());
    fs::remove_file(world.path(LOCK)).unwrap();

    // In place of the file that is written beside it.
    world.write("secret", "mine");
    let partial = world.path("project/lockfiles/.tracker-debian.lock.partial");
    symlink("../../secret", &partial).unwrap();
    world.lock(0);
    assert_eq!(fs::read_to_string(world.path("secret")).unwrap(), "mine");
    assert_eq!(world.lock_text(), lock);

    // In place of the folder.
    fs::remove_dir_all(world.path("project/lockfiles")).unwrap();
    fs::create_dir(world.path("elsewhere")).unwrap();
    symlink("../elsewhere", world.path("project/lockfiles")).unwrap();
    let (code, _, told) = world.run(&["lock", "tracker-debian"]);
    assert_ne!(code, 0, "{told}");
    assert!(told.contains("a symbolic link leads out of"), "{told}");
    assert_eq!(fs::read_dir(world.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_manifest_of_data_is_written_through_no_link() {
    let world = Data::new();
    zip(&world.path("project/images/tiny.zip"), &[("tiny/a.txt", b"one")]);
    world.write("secret", b"mine");
    symlink("../../secret", world.path("project/images/tiny.tree")).unwrap();
    let file = world.path("project/images/tiny.zip");
    let pinned = pin(&world.datasets(""), &file, false, &world.store, &Silent).unwrap();
    let error = pinned.write(&world.path("project")).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("symbolic link"));
    assert_eq!(world.read("secret"), b"mine");
}

#[test]
fn a_folder_that_a_link_leads_to_is_not_cleared() {
    let world = Data::new();
    zip(&world.path("project/images/tiny.zip"), &[("tiny/a.txt", b"one")]);
    let file = world.path("project/images/tiny.zip");
    let pinned = pin(&world.datasets(""), &file, false, &world.store, &Silent).unwrap();
    pinned.write(&world.path("project")).unwrap();
    let datasets = Datasets::load(&world.path("project")).unwrap();
    world.write("home/thesis.txt", b"mine");
    symlink("../home", world.data().join(".tiny.partial")).unwrap();
    let place = unpack_in_data(&datasets, "tiny", &world.data(), &world.store, &Silent).unwrap();
    assert_eq!(world.read("home/thesis.txt"), b"mine");
    assert!(fs::symlink_metadata(&place).unwrap().is_dir());
    assert!(!Path::new(&world.data().join(".tiny.partial")).exists());
}
