//! A recipe takes a part of a tree; the tree is still proven to be the commit's.

use std::fs;

use repro::digest::TreeId;
use repro::fetch::FetchError;
use repro::fetch::pin::PinError;
use repro::git::GitError;
use repro::lock::LockedGit;

use super::repositories::Repositories;
use super::{World, is_good};

const URL: &str = "https://hub.test/net.git";

fn world(repositories: &Repositories) -> World {
    let world = World::new();
    world.instead_of(&repositories.base(), "https://hub.test/");
    world
}

fn left_out(world: &World, git: &LockedGit) -> Vec<String> {
    world.archive(git).left_out().iter().map(|entry| entry.path.clone()).collect()
}

fn modules(git: &LockedGit) -> Vec<(&str, TreeId)> {
    git.submodules.iter().map(|module| (module.path.as_str(), module.tree)).collect()
}

#[test]
fn a_repository_without_what_is_left_out_gives_the_same_archive_as_a_whole_one() {
    let repositories = Repositories::new();
    let lines = "exclude = [\"data/*.txt\"]\n";
    let from_whole = world(&repositories);
    let git = from_whole.lock_part(&[URL], repositories.main, lines).unwrap();
    assert_eq!(left_out(&from_whole, &git), ["data/one.txt", "data/same.txt"]);
    from_whole.archive(&git).check("net", git.tree, &modules(&git)).unwrap();
    let partial = repositories.without("data/one.txt");
    let from_partial = world(&repositories);
    let base = format!("file://{}", partial.display());
    from_partial.instead_of_both(&[(&base, URL), (&repositories.base(), "https://hub.test/")]);
    assert_eq!(from_partial.lock_part(&[URL], repositories.main, lines).unwrap(), git);
    // What a whole tree is locked as does not change, nor does a pattern for everything.
    let whole = from_whole.lock(&[URL], repositories.main).unwrap();
    assert_eq!(whole.tree, git.tree);
    let all = from_whole.lock_part(&[URL], repositories.main, "include = [\"**\"]\n").unwrap();
    assert_eq!(all.archive, whole.archive);
}

#[test]
fn a_submodule_that_is_left_out_is_asked_of_nobody() {
    let repositories = Repositories::new();
    let world = world(&repositories);
    fs::remove_dir_all(repositories.path().join("ops.git")).unwrap();
    for lines in ["include = [\"train.sh\"]\n", "exclude = [\"ops\"]\n"] {
        let git = world.lock_part(&[URL], repositories.main, lines).unwrap();
        assert_eq!(git.submodules, []);
        assert!(left_out(&world, &git).contains(&"ops".to_owned()), "{lines}");
        world.archive(&git).check("net", git.tree, &[]).unwrap();
        assert_eq!(world.content(&git, "train.sh"), "#!/bin/sh\r\necho main\n");
    }
    let error = world.lock_part(&[URL], repositories.main, "exclude = [\"data/*.txt\"]\n");
    assert!(matches!(error, Err(PinError::Network(FetchError::Commit { .. }))));
}

#[test]
fn a_pattern_without_anything_to_match_is_named() {
    let repositories = Repositories::new();
    // The files of a submodule are not the tree's own.
    for pattern in ["data/*.gif", "dat", "ops/*", "*.txt"] {
        for key in ["include", "exclude"] {
            let lines = format!("{key} = [\"train.sh\", \"{pattern}\"]\n");
            let error = world(&repositories).lock_part(&[URL], repositories.main, &lines);
            let Err(PinError::Network(FetchError::Tree { source, .. })) = error else {
                panic!("{pattern}: {error:?}");
            };
            let named =
                matches!(&source, GitError::Pattern { pattern: named, .. } if named == pattern);
            assert!(named, "{source}");
        }
    }
}

#[test]
fn what_was_locked_in_part_is_fetched_in_part_and_any_other_part_is_refused() {
    let repositories = Repositories::new();
    let first = world(&repositories);
    let lines = "include = [\"data/**\", \"train.sh\"]\nexclude = [\"data/latest\"]\n";
    let git = first.lock_part(&[URL], repositories.main, lines).unwrap();
    let other = world(&repositories);
    assert_eq!(other.fetch(&git, false).unwrap(), 1);
    assert_eq!(left_out(&other, &git), [".gitmodules", "data/latest", "ops"]);
    let error = World::new().fetch(&LockedGit { exclude: Vec::new(), ..git.clone() }, false);
    assert!(error.is_err());
    let third = world(&repositories);
    let error = third.fetch(&LockedGit { exclude: Vec::new(), ..git.clone() }, false).unwrap_err();
    assert!(
        error.is_about_content() && error.to_string().contains(&git.archive.digest.to_string())
    );
}

#[test]
fn a_part_of_a_tree_that_was_changed_is_found() {
    let repositories = Repositories::new();
    let world = world(&repositories);
    let lines = "exclude = [\"data/*.txt\", \"ops\"]\n";
    let git = world.lock_part(&[URL], repositories.main, lines).unwrap();
    let bytes = world.store.read_blob(&git.archive.digest).unwrap();
    assert!(bytes.starts_with(b"repro-tree 2\n"));
    let place = world.folder.path().join("changed");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!is_good(&place, &changed, git.tree, &[]), "byte {at} may be changed");
    }
    // An archive of the first format has everything, and one of the second lacks something.
    let text = String::from_utf8(bytes.clone()).unwrap();
    let claimed = text.replacen("repro-tree 2", "repro-tree 1", 1);
    assert!(!is_good(&place, claimed.as_bytes(), git.tree, &[]));
    assert!(is_good(&place, &bytes, git.tree, &[]));
}
