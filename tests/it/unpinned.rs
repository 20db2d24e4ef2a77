//! What nobody gives stands in a lock by name, the rest is pinned, and a later lock fills the hole.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use repro::digest::Digest;
use repro::lock::Lock;

use crate::git_sources::repositories::Repositories;
use crate::loopback::{Reply, Server};
use crate::recipe_reading::{DATA_SETS, TRACKER, folder};
use crate::registry_client::registry_with;

/// A project whose image lies on a registry's and compiles a git source, and both upstreams.
pub struct World {
    pub folder: tempfile::TempDir,
    repositories: Repositories,
    registry: Server,
    /// What the registry answers to everything; 0 for what it has.
    fault: Arc<AtomicU16>,
}

impl World {
    pub fn new() -> Self {
        let fault = Arc::new(AtomicU16::new(0));
        let shared = fault.clone();
        let (_, registry) = registry_with(move |_, _| match shared.load(Ordering::SeqCst) {
            0 => None,
            status => Some(Reply::status(status)),
        });
        let repositories = Repositories::new();
        let world = Self { folder: tempfile::tempdir().unwrap(), repositories, registry, fault };
        fs::create_dir_all(world.path("bin")).unwrap();
        fs::create_dir_all(world.path("project/lockfiles")).unwrap();
        let double = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/doubles/uv");
        symlink(double, world.path("bin/uv")).unwrap();
        world.write("project/datasets.toml", DATA_SETS);
        world.write("image.toml", &wheels(&["addict", "numpy"]));
        world.write("build.toml", &wheels(&["setuptools"]));
        world.has_repositories(true);
        world.recipe("");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn has_registry(&self, status: u16) {
        self.fault.store(status, Ordering::SeqCst);
    }

    fn has_repositories(&self, is_there: bool) {
        let base = if is_there { self.repositories.base() } else { "file:///nowhere/".to_owned() };
        self.write(".gitconfig", &format!("[url \"{base}\"]\n\tinsteadOf = https://hub.test/\n"));
    }

    /// The recipe, with `more` in its image part.
    pub fn recipe(&self, more: &str) {
        let start = TRACKER.find("[variant.debian.debian]").unwrap();
        let end = start + TRACKER[start..].find("[variant.debian.python]").unwrap();
        let tables = format!(
            "[variant.debian.base]\nimage = \"{}/team/image:1\"\n\n[[variant.debian.git]]\nname = \"net\"\n\
             urls = [\"https://hub.test/net\"]\ncommit = \"{}\"\npath = \"/net\"\n\n{more}",
            self.registry.address(),
            self.repositories.main,
        );
        let text = format!("{}{tables}{}", &TRACKER[..start], &TRACKER[end..]);
        let text = text.replace("packages = [\"python3-distutils\"]", "git = \"net\"");
        let images = folder(&text);
        let place = self.path("project/images");
        let _ = fs::remove_dir_all(&place);
        let copied = Command::new("cp").arg("-r").args([images.path(), &place]).status().unwrap();
        assert!(copied.success());
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let root = self.folder.path();
        let output: Output = Command::new(env!("CARGO_BIN_EXE_repro"))
            .args(arguments)
            .current_dir(self.path("project"))
            .env_clear()
            .env("HOME", root)
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("REPRO_HOME", self.path("store"))
            .env("REPRO_INDEX_URL", "http://index.test/simple")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub fn lock_text(&self) -> String {
        fs::read_to_string(self.path("project/lockfiles/tracker-debian.lock")).unwrap()
    }

    /// What `repro lock` writes when it ends with `code`, and what it says.
    pub fn lock(&self, code: i32) -> (Lock, String) {
        let (found, _, errors) = self.run(&["lock", "tracker-debian"]);
        assert_eq!(found, code, "{errors}");
        let text = self.lock_text();
        let lock = Lock::parse(&text, Path::new("x")).unwrap();
        assert_eq!(lock.to_text(), text);
        (lock, errors)
    }

    pub fn has_asked(&self) -> bool {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.path("asked"));
        !asked.is_empty()
    }
}

/// What the test double of uv answers with.
fn wheels(names: &[&str]) -> String {
    let wheel = |name: &&str| {
        let digest = Digest::of(name.as_bytes()).hex();
        let version = match *name {
            "addict" => "2.4.0",
            "numpy" => "1.21.6",
            _ => "59.5.0",
        };
        format!(
            "\n[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\nwheels = [{{ url = \
             \"https://files.test/{name}-{version}-py3-none-any.whl\", size = 5, hashes = {{ sha256 = \"{digest}\" }} }}]\n"
        )
    };
    let packages: String = names.iter().map(wheel).collect();
    format!("lock-version = \"1.0\"\ncreated-by = \"double\"\n{packages}")
}

pub fn open(lock: &Lock) -> Vec<(&str, &str)> {
    lock.unpinned.iter().map(|item| (item.input.as_str(), item.reason.as_str())).collect()
}

#[test]
fn a_base_and_a_source_that_nobody_gives_are_holes_and_later_locks_fill_them_one_by_one() {
    let world = World::new();
    let (complete, _) = world.lock(0);
    fs::remove_file(world.path("project/lockfiles/tracker-debian.lock")).unwrap();
    world.has_registry(404);
    world.has_repositories(false);
    let store = world.path("store");
    fs::remove_dir_all(&store).unwrap();
    let (first, told) = world.lock(4);
    let net = format!("git source `net` at {}", world.repositories.main);
    let base = ("base", "no registry that was asked has the image");
    assert_eq!(open(&first), [base, (net.as_str(), "no repository that was asked gives it")]);
    assert_eq!((&first.wheels, first.builds.len()), (&complete.wheels, 0));
    assert!(told.contains("/nowhere/net") && told.contains("team/image/manifests/1"), "{told}");
    let text = world.lock_text();
    assert!(!text.contains("[debian]") && !text.contains("[base]\n"), "{text}");
    assert!(!text.contains("nowhere"), "{text}");
    assert_eq!(world.run(&["lock", "--check"]).0, 0);
    // The source comes, and with it what is compiled from it; then the base.
    world.has_repositories(true);
    let (second, _) = world.lock(4);
    assert_eq!(open(&second), [base]);
    assert_eq!((&second.git, &second.builds), (&complete.git, &complete.builds));
    world.has_asked();
    world.has_registry(0);
    assert_eq!(world.lock(0).0, complete);
    assert!(!world.has_asked(), "no wheel was resolved again");
}

#[test]
fn a_lock_without_its_base_is_listed_checked_and_not_built() {
    let world = World::new();
    world.has_registry(403);
    let (lock, _) = world.lock(4);
    assert_eq!(open(&lock), [("base", "no registry that was asked gives the image")]);
    let (code, checked, _) = world.run(&["lock", "--check"]);
    assert_eq!(code, 0, "{checked}");
    assert!(checked.contains("unpinned  base: no registry that was asked"), "{checked}");
    let (_, listed, _) = world.run(&["list"]);
    assert!(listed.contains("1 unpinned"), "{listed}");
    let (code, _, refused) = world.run(&["build", "tracker-debian"]);
    assert_eq!(code, 2, "{refused}");
    assert!(refused.contains("unpinned  base: no registry that was asked"), "{refused}");
    assert!(refused.contains("`repro lock tracker-debian` asks again"), "{refused}");
}

#[test]
fn a_submodule_that_nobody_gives_is_told_with_its_commit_unless_it_is_left_out() {
    let world = World::new();
    fs::remove_dir_all(world.repositories.path().join("ops.git")).unwrap();
    let (lock, _) = world.lock(4);
    let ops = world.repositories.ops;
    let reason = format!("no repository that was asked gives commit {ops} of a submodule");
    assert_eq!(open(&lock)[0].1, reason);
    assert!(open(&lock)[0].0.starts_with("git source `net` at "), "{:?}", open(&lock));
    let recipe = world.path("project/images/tracker.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    let part = text.replace("path = \"/net\"", "path = \"/net\"\nexclude = [\"ops\"]");
    fs::write(&recipe, part).unwrap();
    let (lock, _) = world.lock(0);
    assert_eq!((lock.git.len(), lock.builds.len()), (1, 1));
}

#[test]
fn nothing_that_is_pinned_is_given_up_because_nobody_answers() {
    let world = World::new();
    world.lock(0);
    let before = world.lock_text();
    world.has_registry(404);
    let (code, _, told) = world.run(&["lock", "tracker-debian", "--update", "base"]);
    assert_eq!(code, 4, "{told}");
    assert_eq!(world.lock_text(), before);
    // Another commit of a source that was pinned, and nobody has it.
    world.has_repositories(false);
    let recipe = world.path("project/images/tracker.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    let other = text.replace(&world.repositories.main.to_string(), &"7".repeat(40));
    fs::write(&recipe, other).unwrap();
    let (code, _, told) = world.run(&["lock", "tracker-debian"]);
    assert_eq!((code, world.lock_text()), (4, before), "{told}");
    assert!(told.contains(&"7".repeat(40)), "{told}");
}

#[test]
fn an_update_fills_the_hole_of_a_base() {
    let world = World::new();
    let (complete, _) = world.lock(0);
    fs::remove_file(world.path("project/lockfiles/tracker-debian.lock")).unwrap();
    world.has_registry(403);
    world.lock(4);
    world.has_registry(0);
    let (code, _, told) = world.run(&["lock", "tracker-debian", "--update", "base"]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(world.lock_text(), complete.to_text());
}

#[test]
fn what_is_gone_is_asked_of_nobody() {
    let world = World::new();
    let gone = |input: &str| {
        format!(
            "[[variant.debian.gone]]\ninput = \"{input}\"\nevidence = \"deleted\"\ndate = \"2026-11-20\"\n\n"
        )
    };
    world.recipe(&format!("{}{}", gone("base"), gone("net")));
    world.has_repositories(false);
    let (lock, _) = world.lock(0);
    assert_eq!(open(&lock), [("base", "deleted"), ("net", "deleted")]);
    assert!(lock.unpinned.iter().all(|item| item.gone.is_some()));
    assert_eq!((lock.builds.len(), lock.git.len(), lock.wheels.len()), (0, 0, 2));
    assert_eq!(world.registry.asked().len(), 0);
    let (code, checked, _) = world.run(&["lock", "--check"]);
    assert_eq!(code, 0, "{checked}");
    let (code, _, refused) = world.run(&["build", "tracker-debian"]);
    assert_eq!(code, 2, "{refused}");
    assert!(refused.contains("gone      base since 2026-11-20: deleted"), "{refused}");
}
