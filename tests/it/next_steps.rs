//! What the program says when something is missing or mistaken: where it looked and what to do next.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use repro::layer::EPOCH;
use repro::lock::{Lock, Unpinned};
use repro::recipe::Recipe;

use crate::commands::Project;
use crate::lock_text::{lock_of, seal};
use crate::recipe_reading::{DATA_SETS, TRACKER};

/// A recipe with two variants that differ in nothing but their name.
pub fn two_variants() -> String {
    let variant = &TRACKER[TRACKER.find("[variant.debian]").unwrap()..];
    format!("{TRACKER}\n{}", variant.replace("variant.debian", "variant.other"))
}

impl Project {
    pub fn lock_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("lockfiles/{name}.lock"))
    }

    /// Writes a lock that fits the recipe, but for what `change` does to it.
    pub fn lock(&self, name: &str, change: impl FnOnce(&mut Lock)) {
        let recipe = Recipe::load(&self.folder.path().join("images"), name).unwrap();
        let mut lock = lock_of(&recipe);
        change(&mut lock);
        fs::write(self.lock_file(name), lock.to_text()).unwrap();
    }

    /// The digits of the seal that the lock of an image has.
    pub fn sealed(&self, name: &str) -> String {
        let path = self.lock_file(name);
        let lock = Lock::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
        lock.seal.unwrap().manifest.hex()
    }
}

#[test]
fn a_lock_with_holes_is_refused_with_each_input_and_the_variant_that_builds() {
    let project = Project::new(&two_variants());
    project.lock("tracker-other", |_| ());
    project.lock("tracker-debian", |lock| {
        lock.unpinned = vec![Unpinned::new("distribution `six`", "the index could not be asked")];
    });
    let (text, code) = project.error(&["build", "tracker-debian"]);
    assert_eq!((&text, code), (&project.error(&["verify", "tracker-debian"]).0, 2));
    insta::assert_snapshot!(text, @r"
    error: the lock of `tracker-debian` is not complete
      unpinned  distribution `six`: the index could not be asked
    hint: `repro build tracker-other` can be built, its lock is complete; `repro lock tracker-debian` asks again for what may still be there
    ");
}

#[test]
fn a_history_without_any_run_names_nothing_above() {
    let (text, code) = Project::new(TRACKER).error(&["report", "--history", "a/b"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: no run of `a/b` has a throughput
    hint: `repro run` measures a case; there is no run yet
    ");
}

#[test]
fn checking_a_lock_names_its_holes_and_fails_only_for_another_recipe() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |lock| {
        lock.unpinned = vec![Unpinned::new("distribution `six`", "the index could not be asked")];
    });
    let output = project.run(&["lock", "--check"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    tracker-debian: the lock matches its recipe
      format epoch 1, the newest is 2: `repro lock tracker-debian --update epoch` moves it
    tracker-debian: 1 input is not pinned
      unpinned  distribution `six`: the index could not be asked
    ");
}

#[test]
fn locking_what_is_locked_writes_nothing_and_gives_one_document_for_all() {
    let project = Project::new(&two_variants());
    for name in ["tracker-debian", "tracker-other"] {
        project.lock(name, |lock| lock.epoch = EPOCH);
    }
    let stamp = || fs::metadata(project.lock_file("tracker-debian")).unwrap().ino();
    let before = stamp();
    let output = project.run(&["lock", "--json"]);
    let items: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(items[1]["image"], "tracker-other");
    assert_eq!(items[1]["changes"], serde_json::json!([]));
    let (text, code) = project.error(&["lock", "tracker-debian"]);
    assert_eq!((text.as_str(), code, stamp()), ("", 0, before));
}

#[test]
fn a_lock_that_cannot_be_used_says_how_to_get_one_that_can() {
    let project = Project::new(&two_variants());
    project.lock("tracker-other", |_| ());
    fs::copy(project.lock_file("tracker-other"), project.lock_file("tracker-debian")).unwrap();
    let (text, code) = project.error(&["build", "tracker-debian"]);
    assert!(code == 2 && text.contains("hint: `repro lock tracker-debian` writes"), "{text}");
    fs::write(project.lock_file("tracker-debian"), "version = 9\n").unwrap();
    let (text, code) = project.error(&["build", "tracker-debian"]);
    assert!(code == 2 && text.contains("hint: use the newer program"), "{text}");
}

#[test]
fn a_missing_input_offline_is_the_verdict_fail_and_says_where_to_get_it() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |_| ());
    let arguments = ["verify", "tracker-debian", "--offline", "--json"];
    let output = project.run(&arguments);
    assert_eq!(output.status.code(), Some(4));
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["verdict"], "FAIL");
    let reason = verdict["reason"].as_str().unwrap();
    assert!(reason.contains("`numpy-1.21.6-py3-none-any.whl` (99 bytes) is not in"), "{reason}");
    assert!(reason.contains("without `--offline`") && reason.contains("--find-links"), "{reason}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("looking on this machine for") && !told.contains("downloading"),
        "{told}"
    );
}

#[test]
fn names_that_are_not_there_are_answered_with_near_or_possible_ones() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |_| ());
    let (text, code) = project.error(&["lock", "tracker-debian", "--update", "nope"]);
    assert!(code == 2 && text.contains("hint: a name is that of a distribution"), "{text}");
    let arguments = ["run", "--image", "tracker-debian", "--profile", "smok"];
    let (text, code) = project.error(&arguments);
    assert!(code == 2 && text.contains("no profile `smok`, did you mean `smoke`?"), "{text}");
}

#[test]
fn a_timeout_of_nothing_is_refused() {
    let project = Project::new(TRACKER);
    for command in [&["run", "--image", "x"][..], &["exec", "x"]] {
        let arguments = [
            command,
            &["--timeout", "0"],
            if command[0] == "exec" { &["--", "true"] } else { &[] },
        ]
        .concat();
        let (text, code) = project.error(&arguments);
        assert!(code == 2 && text.contains("0 is not in 1.."), "{text}");
    }
}

#[test]
fn data_that_is_missing_comes_with_where_it_was_looked_for_and_where_to_get_it() {
    let project = Project::new(TRACKER);
    let text = "[tiny]\ntitle = \"Tiny\"\n[[tiny.archive]]\nfile = \"tiny.zip\"\nsize = 3\nsha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\nurls = [\"https://data.test/tiny.zip\"]\n";
    fs::write(project.folder.path().join("datasets.toml"), text).unwrap();
    let (text, code) = project.error(&["verify-data", "tiny"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text, @r"
    hint: bring `tiny.zip` from https://data.test/tiny.zip into `archives/tiny` of the data folder
    hint: `repro fetch-data tiny` brings what can be had
    hint: looked only in the project `[project]`; `--data DIR` or `$REPRO_DATA` names the folder that data sets lie in
    ");
    let (text, code) = project.error(&["verify-data", "tiny", "--data", "no-such-folder"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: the data folder `[project]/no-such-folder` is not there
    hint: make it, or name another with `--data DIR` or `$REPRO_DATA`
    ");
}

#[test]
fn data_that_nothing_pins_comes_with_its_address_before_the_command_that_pins_it() {
    let project = Project::new(TRACKER);
    let text = "[tiny]\ntitle = \"Tiny\"\n[[tiny.archive]]\nfile = \"tiny.zip\"\nunpinned = \"nobody told\"\nurls = [\"https://data.test/tiny.zip\"]\n";
    fs::write(project.folder.path().join("datasets.toml"), text).unwrap();
    let data = project.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let (text, code) = project.error(&["verify-data", "tiny", "--data", "data"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text, @r"
    hint: bring `tiny.zip` from https://data.test/tiny.zip into `[project]/data/archives/tiny`
    hint: `repro fetch-data tiny` brings what can be had
    ");
    let (text, _) = project.error(&["run", "--image", "tracker-debian", "--profile", "smoke"]);
    assert!(text.contains("`repro fetch-data tiny` brings it"), "{text}");
    fs::create_dir_all(data.join("archives/tiny")).unwrap();
    fs::write(data.join("archives/tiny/tiny.zip"), "any").unwrap();
    let (text, _) = project.error(&["verify-data", "tiny", "--data", "data"]);
    insta::assert_snapshot!(text, @"hint: if you trust it, `repro pin-data [project]/data/archives/tiny/tiny.zip` pins it");
}

#[test]
fn an_engine_that_does_not_exist_is_refused_before_anything_else() {
    let project = Project::new(TRACKER);
    let commands = [
        &["run", "--image", "tracker-debian"][..],
        &["run", "--image", "tracker-debian", "--dry-run"],
        &["build", "tracker-debian"],
        &["verify", "tracker-debian"],
        &["export", "tracker-debian", "--archive", "image.tar"],
        &["push", "tracker-debian", "127.0.0.1:1/tracker"],
        &["doctor"],
        &["audit", "tracker"],
        &["exec", "tracker-debian", "--engine", "podman", "--", "true"],
    ];
    for command in commands {
        let engine = if command[0] == "exec" { &[][..] } else { &["--engine", "podman"] };
        let (text, code) = project.error(&[command, engine].concat());
        assert_eq!(code, 2, "{command:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @r"
            error: --engine is `podman`, which is no engine
              expected  `auto`, `docker` or `embedded`
            hint: podman's socket is reached by `--engine docker` with `DOCKER_HOST` naming it, such as `unix:///run/podman/podman.sock`
            ");
        }
    }
    assert!(!project.folder.path().join("store").exists(), "nothing was looked at");
    let list = project.run(&["list", "--engine", "podman"]);
    assert_eq!(list.status.code(), Some(0), "what starts no job needs no engine");
}

#[test]
fn a_seal_of_an_image_that_has_none_is_answered_with_what_lacks_and_what_builds() {
    let project = Project::new(&two_variants());
    project.lock("tracker-other", |_| ());
    project.lock("tracker-debian", |lock| {
        lock.seal = None;
        lock.unpinned = vec![Unpinned::new("distribution `six`", "the index could not be asked")];
    });
    for text in ["tracker-debian@sha", "tracker-debian@8f7c", "tracker-debian@sha256:8f7c"] {
        let (text, code) = project.error(&["run", text]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("`tracker-debian` has no seal"), "{text}");
        assert!(text.contains("unpinned  distribution `six`: the index"), "{text}");
        assert!(text.contains("hint: `repro build tracker-other"), "{text}");
    }
    let (text, code) = project.error(&["inspect", "tracker-debian"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("hint: `repro build tracker-other` can be built"), "{text}");
}

#[test]
fn a_seal_that_an_image_does_not_have_is_answered_with_the_one_that_it_has() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |lock| lock.seal = Some(seal()));
    let seal = project.sealed("tracker-debian");
    let (text, code) = project.error(&["run", "--image", "tracker-debian@0123"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("no seal of `tracker-debian` begins so"), "{text}");
    assert!(
        text.contains(&format!("hint: `repro build tracker-debian@{}`", &seal[..12])),
        "{text}"
    );
}

#[test]
fn a_command_that_lacks_its_image_says_which_there_are() {
    let project = Project::new(&two_variants());
    project.lock("tracker-other", |_| ());
    for command in ["build", "run", "verify", "inspect"] {
        let (text, code) = project.error(&[command]);
        assert_eq!(code, 2, "{text}");
        let list = "images that can be built and run\n  tracker-other";
        assert!(text.contains("Usage: repro") && text.contains(list), "{text}");
        assert!(!text.contains("\n  tracker-debian"), "{text}");
    }
}

#[test]
fn a_run_takes_its_image_as_every_command_does() {
    let project = Project::new(TRACKER);
    let named = project.error(&["run", "--image", "tracker-debian", "--profile", "smoke"]);
    assert_eq!(project.error(&["run", "tracker-debian", "--profile", "smoke"]), named);
    assert!(named.0.contains("the lock of `tracker-debian`"), "{named:?}");
    let (text, code) = project.error(&["run", "tracker-debian", "--image", "tracker-debian"]);
    assert!(code == 2 && text.contains("cannot be used with"), "{text}");
}

#[test]
fn data_sets_are_counted_and_all_of_them_can_be_asked_for() {
    let sets = format!("{DATA_SETS}\n{}", DATA_SETS.replace("tiny", "other"));
    let project = Project::new(TRACKER);
    fs::write(project.folder.path().join("datasets.toml"), sets).unwrap();
    let output = project.run(&["verify-data"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("0 of 2 data sets are verified: 2 "), "{text}");
    assert_eq!(project.run(&["verify-data", "--strict"]).status.code(), Some(3));
}
