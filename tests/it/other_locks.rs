//! A lock that claims the seal of an image is that image's lock, or it does not pass.

use std::fs;
use std::path::Path;

use repro::build::{self, BuildError, promises_its_seal};
use repro::lock::{BuiltFile, Lock, LockedBuild};
use repro::store::Store;

use super::building::{World, compiler, locked_package, locked_wheel, with_job};
use super::commands::Project;
use super::recipe_reading::TRACKER;

/// As many digits of one line are changed: a digest's digits are all alike.
const DIGITS_OF_A_LINE: usize = 4;

/// Locks that another digit makes of this one, each with the line it stands in.
pub fn with_another_digit(lock: &Lock) -> Vec<(String, Lock)> {
    let text = lock.to_text();
    let lines: Vec<&str> = text.lines().collect();
    let mut locks = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let digits = line.char_indices().filter(|(_, letter)| letter.is_ascii_digit());
        let step = (digits.clone().count() / DIGITS_OF_A_LINE).max(1);
        for (at, digit) in digits.step_by(step) {
            let other = if digit == '1' { "2" } else { "1" };
            let changed = format!("{}{other}{}", &line[..at], &line[at + 1..]);
            let mut lines = lines.clone();
            lines[number] = &changed;
            if let Ok(lock) = Lock::parse(&(lines.join("\n") + "\n"), Path::new("x.lock")) {
                locks.push((changed, lock));
            }
        }
    }
    locks
}

/// Words that no image depends on: two recipes may have other ones.
fn is_only_a_name(line: &str) -> bool {
    line.starts_with("as-of = ") || line.starts_with("  \"")
}

#[test]
fn no_digit_of_a_lock_can_change_while_its_image_is_in_the_store() {
    let world = World::with_engine(compiler("x = 1\n"));
    let built = world.build(&with_job(&world)).unwrap();
    let all = with_another_digit(&built.lock);
    assert!(all.len() > 60, "{}", all.len());
    for (line, changed) in all {
        assert!(build::whole(&world.store, &changed).is_none(), "{line}");
        match world.build(&changed) {
            // What a job was given is no secret of its seal: it was compiled again and compared.
            Ok(again) => {
                let inputs = ["WITH", "command", "source", "  { name = \"setuptools\""];
                let is_input = inputs.iter().any(|input| line.starts_with(input));
                assert!(again.fresh && (is_only_a_name(&line) || is_input), "{line}");
            }
            Err(error) => {
                let text = error.to_string();
                let is_named = matches!(error, BuildError::OtherLock { .. })
                    && text.contains(line.trim().trim_end_matches(','));
                let is_found = matches!(
                    error,
                    BuildError::SealDiffers { .. }
                        | BuildError::Epoch { .. }
                        | BuildError::Fetch(_)
                );
                assert!(is_named || is_found, "{line}: {text}");
            }
        }
    }
}

#[test]
fn a_file_name_that_was_changed_is_named_with_what_the_seal_was_made_from() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let mut changed = built.lock.clone();
    changed.wheels[0].file = "numbers-2.0-py3-none-any.whl".to_owned();
    let error = world.build(&changed).unwrap_err().to_string();
    assert!(error.contains("is not the lock that its seal was made from"), "{error}");
    assert!(
        error.contains("expected  { name = \"numbers\", version = \"1.0\", file = \"numbers-1.0"),
        "{error}"
    );
    assert!(
        error.contains("found     { name = \"numbers\", version = \"1.0\", file = \"numbers-2.0"),
        "{error}"
    );
    // The lock itself passes as before.
    assert!(!world.build(&built.lock).unwrap().fresh);
}

#[test]
fn another_recipe_may_ask_for_the_same_image() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let mut other = built.lock.clone();
    other.name = "tracker-copy".to_owned();
    other.asked.requirements = vec!["numbers".to_owned()];
    let again = world.build(&other).unwrap();
    assert_eq!((again.fresh, again.image.seal), (true, built.image.seal));
    // Both are known now.
    assert!(!world.build(&other).unwrap().fresh);
    assert!(!world.build(&built.lock).unwrap().fresh);
}

#[test]
fn what_a_profile_mounts_is_compiled_again_where_another_command_is_said_to_have_made_it() {
    let world = World::with_engine(compiler("x = 1\n"));
    let made = world.store.put(b"a library").unwrap();
    let mut lock = with_job(&world);
    let job = lock.builds[0].clone();
    lock.builds.push(LockedBuild {
        name: "zlap".to_owned(),
        profile: Some("smoke".to_owned()),
        outputs: [("/opt/lap.so".to_owned(), "lap.so".to_owned())].into(),
        files: vec![BuiltFile {
            path: "/opt/lap.so".to_owned(),
            executable: false,
            size: 9,
            sha256: made,
        }],
        ..job
    });
    let built = world.build(&lock).unwrap();
    let calls = world.engine.calls().len();
    let mut changed = built.lock.clone();
    changed.builds[1].command.push("--fast".to_owned());
    // The fake leaves a wheel and no file: it was asked to compile.
    let error = world.build(&changed).unwrap_err();
    assert!(matches!(error, BuildError::JobFailed { .. }), "{error}");
    assert_eq!(world.engine.calls().len(), calls + 1);
    changed.builds[1].repeatable = false;
    let error = world.build(&changed).unwrap_err();
    assert!(matches!(error, BuildError::OtherLock { .. }), "{error}");
    assert!(!world.build(&built.lock).unwrap().fresh);
}

#[test]
fn the_seal_of_a_lock_follows_from_its_layers_and_its_configuration() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    promises_its_seal(None, &built.lock).unwrap();
    let sealed = built.lock.to_text().split("[seal]").next().unwrap().lines().count();
    for (line, changed) in with_another_digit(&built.lock) {
        let at = changed.to_text().lines().position(|other| other == line);
        if at.is_some_and(|at| at > sealed) && !line.contains("version") {
            assert!(promises_its_seal(None, &changed).is_err(), "{line}");
        }
    }
    let mut changed = built.lock.clone();
    changed.config.env.insert("PATH".to_owned(), "/opt/bin".to_owned());
    let error = promises_its_seal(None, &changed).unwrap_err().to_string();
    assert!(error.contains("is not the lock of this seal"), "{error}");
}

#[test]
fn every_lock_of_the_repository_makes_its_own_seal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lockfiles");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let lock = Lock::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
        promises_its_seal(None, &lock).unwrap();
        count += usize::from(lock.base.is_none() && lock.seal.is_some());
    }
    assert!(count > 4, "{count}");
}

#[test]
fn every_command_refuses_a_lock_that_is_not_the_one_of_its_seal() {
    let project = Project::new(TRACKER);
    let check = ["lock", "--check", "tracker-debian"];
    project.lock("tracker-debian", |lock| lock.builds.clear());
    assert_eq!(project.run(&check).status.code(), Some(0));
    assert!(!project.folder.path().join("store").exists(), "a check makes no store");
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    project.lock("tracker-debian", |lock| {
        lock.packages = vec![locked_package(&store)];
        lock.wheels = vec![locked_wheel(&store, "numbers")];
        lock.builds.clear();
    });
    drop(store);
    assert_eq!(project.error(&["build", "tracker-debian", "--offline"]).1, 0);
    assert_eq!(project.run(&check).status.code(), Some(0));
    let path = project.lock_file("tracker-debian");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("numbers-1.0-py3", "numbers-1.1-py3")).unwrap();
    for command in [
        &["build", "tracker-debian"][..],
        &["build", "tracker-debian", "--offline"],
        &["export", "tracker-debian", "--oci", "layout"],
        &["exec", "tracker-debian", "--", "true"],
        &["run", "--image", "tracker-debian", "--dry-run"],
        &["mirror", "tracker-debian", "stick"],
        &["bundle", "tracker-debian", "-o", "x.repro"],
        &["inspect", "tracker-debian"],
        &check,
    ] {
        let output = project.run(command);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(3), "{command:?}: {text}");
        assert!(text.contains("is not the lock that its seal was made from"), "{text}");
        assert!(text.contains("file = \"numbers-1.1-py3"), "{text}");
    }
}
