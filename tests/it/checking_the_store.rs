//! `fsck`: what is damaged in the store is found, named, and removed on request.

use std::fs;
use std::ops::ControlFlow::Break;
use std::path::PathBuf;

use repro::dataset::{Progress, Silent, audit};
use repro::digest::Digest;
use repro::store::{Store, StoreError};

use crate::commands::Project;
use crate::recipe_reading::TRACKER;

/// A store with one unpacked data set of two files, and its folder.
fn unpacked(project: &Project, with_manifest: bool) -> PathBuf {
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    let line = |path: &str, text: &str| {
        format!("{} {} {path}\n", Digest::of(text.as_bytes()).hex(), text.len())
    };
    let manifest = line("a.txt", "one") + &line("b/c.txt", "two");
    if with_manifest {
        store.put(manifest.as_bytes()).unwrap();
    }
    let folder = store.data_path(&Digest::of(manifest.as_bytes()));
    fs::create_dir_all(folder.join("b")).unwrap();
    fs::write(folder.join("a.txt"), "one").unwrap();
    fs::write(folder.join("b/c.txt"), "two").unwrap();
    folder
}

fn fsck(project: &Project, arguments: &[&str]) -> (String, i32) {
    let output = project.run(&[&["fsck"], arguments].concat());
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

#[test]
fn a_changed_file_of_an_unpacked_data_set_is_named_and_the_copy_removed() {
    let project = Project::new(TRACKER);
    let folder = unpacked(&project, true);
    assert_eq!(fsck(&project, &[]).1, 0);
    fs::write(folder.join("b/c.txt"), "tw0").unwrap();
    let (text, code) = fsck(&project, &[]);
    assert_eq!(code, 3);
    assert!(text.contains("b/c.txt`") && text.contains(&Digest::of(b"tw0").hex()), "{text}");
    assert!(text.contains("1 damaged"), "{text}");
    assert_eq!(fsck(&project, &["--remove"]).1, 0);
    assert!(!folder.exists());
    let (text, code) = fsck(&project, &[]);
    assert!(code == 0 && text.starts_with("1 blob hashed"), "the manifest was kept: {text}");
}

#[test]
fn a_data_set_without_its_manifest_is_told_by_its_name_alone() {
    let project = Project::new(TRACKER);
    let folder = unpacked(&project, false);
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    assert_eq!(audit(&store, &Silent).unwrap(), []);
    for change in ["extra", "missing"] {
        if change == "extra" {
            fs::write(folder.join("extra"), "").unwrap();
        } else {
            fs::remove_file(folder.join("extra")).unwrap();
            fs::remove_file(folder.join("a.txt")).unwrap();
        }
        let found = audit(&store, &Silent).unwrap();
        assert_eq!(found[0].1.path, folder, "{change}");
        assert_ne!(found[0].1.found, found[0].1.expected);
    }
}

/// Somebody pressed Ctrl-C.
struct Stopped;

impl Progress for Stopped {
    fn begin(&self, _what: &str, _bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
    fn is_stopped(&self) -> bool {
        true
    }
}

#[test]
fn checking_stops_inside_a_file_and_never_calls_it_damaged() {
    let project = Project::new(TRACKER);
    unpacked(&project, true);
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    let mut asked = 0;
    let error = store.fsck(|_| {
        asked += 1;
        Break(())
    });
    assert!(matches!(error, Err(StoreError::Stopped)) && asked == 1, "{error:?}, {asked}");
    let error = audit(&store, &Stopped).unwrap_err().to_string();
    assert_eq!(error, "stopped");
}
