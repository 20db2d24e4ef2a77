//! A commit's tree comes whole and the same from wherever it is; anything else is refused and told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use repro::digest::{CommitId, Digest, TreeId};
use repro::fetch::pin::{Base, PinError, Request, pin};
use repro::fetch::{self, FetchError, Quiet};
use repro::git::{ArchiveEntry, EntryKind, GitError, TreeArchive};
use repro::layer::EPOCH;
use repro::lock::{Asked, ImageConfig, Lock, LockedBlob, LockedGit};
use repro::recipe::Recipe;
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

mod compiling;
mod for_profiles;
mod large;
pub mod repositories;
mod selecting;

use crate::layers::python;
use crate::recipe_reading::{TRACKER, folder};
use repositories::{Repositories, Speech, backend};

/// A store, and settings that know of no git configuration but the test's.
struct World {
    folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    /// `url.BASE.insteadOf = PREFIX` in the user's configuration.
    fn instead_of(&self, base: &str, prefix: &str) {
        self.instead_of_both(&[(base, prefix)]);
    }

    /// As [`World::instead_of`] for several; git takes the longest prefix.
    fn instead_of_both(&self, pairs: &[(&str, &str)]) {
        let entry =
            |(base, prefix): &(&str, &str)| format!("[url \"{base}\"]\n\tinsteadOf = {prefix}\n");
        let text: String = pairs.iter().map(entry).collect();
        fs::write(self.folder.path().join(".gitconfig"), text).unwrap();
    }

    fn settings(&self, offline: bool) -> Settings {
        let home = self.folder.path();
        let environment = Environment::new(home, home)
            .with("HOME", home.to_str().unwrap())
            // No program is found: no credential helper is asked.
            .with("PATH", home.to_str().unwrap());
        Settings::load_in(Options { offline, ..Options::default() }, environment).unwrap()
    }

    /// What `repro lock --update git:net` makes of these urls and this commit.
    fn lock(&self, urls: &[&str], commit: CommitId) -> Result<LockedGit, PinError> {
        self.lock_part(urls, commit, "")
    }

    /// As [`World::lock`], with further lines of the recipe's table.
    fn lock_part(
        &self,
        urls: &[&str],
        commit: CommitId,
        lines: &str,
    ) -> Result<LockedGit, PinError> {
        let quoted: Vec<_> = urls.iter().map(|url| format!("\"{url}\"")).collect();
        let source = format!(
            "[[git]]\nname = \"net\"\nurls = [{}]\ncommit = \"{commit}\"\npath = \"/net\"\n{lines}\n[benchmark]\n",
            quoted.join(", ")
        );
        let images = folder(&TRACKER.replacen("[benchmark]\n", &source, 1));
        let recipe = Recipe::load(images.path(), "tracker-debian").unwrap();
        let previous = lock_of(Vec::from([unknown(commit)]));
        let request = Request {
            recipe: &recipe,
            epoch: EPOCH,
            base: &Base::None,
            previous: Some(&previous),
            update: Some("git:net"),
        };
        let lock = pin(&self.settings(false), &self.store, request, &|_| {})?.lock;
        Ok(lock.git[0].clone())
    }

    fn fetch(&self, git: &LockedGit, offline: bool) -> Result<usize, FetchError> {
        let lock = lock_of(vec![git.clone()]);
        let never = AtomicBool::new(false);
        let wanted = fetch::wanted(&lock);
        fetch::fetch(&self.settings(offline), &self.store, &wanted, &Quiet, &never)
    }

    fn archive(&self, git: &LockedGit) -> TreeArchive {
        TreeArchive::open(self.store.open_blob(&git.archive.digest).unwrap()).unwrap()
    }

    fn content(&self, git: &LockedGit, path: &str) -> String {
        let archive = self.archive(git);
        let entry = archive.entries().iter().find(|entry| entry.path == path).unwrap();
        let mut content = Vec::new();
        let mut keep = |bytes: &[u8]| {
            content.extend_from_slice(bytes);
            Ok(())
        };
        archive.content(entry, &mut keep).unwrap();
        String::from_utf8(content).unwrap()
    }
}

/// A git source of which nothing is known yet.
fn unknown(commit: CommitId) -> LockedGit {
    LockedGit {
        name: "net".to_owned(),
        urls: vec!["https://nowhere.test/net".to_owned()],
        commit,
        tree: TreeId::from_bytes([0; 20]),
        path: None,
        include: Vec::new(),
        exclude: Vec::new(),
        submodules: Vec::new(),
        archive: LockedBlob { digest: Digest::of(b""), size: 0 },
    }
}

/// A lock of nothing but git sources.
fn lock_of(git: Vec<LockedGit>) -> Lock {
    Lock {
        name: "tracker".to_owned(),
        epoch: EPOCH,
        asked: Asked::default(),
        as_of: "2026-11-20".to_owned(),
        base: None,
        suite: "bullseye".to_owned(),
        python: python(),
        config: ImageConfig {
            architecture: "amd64".to_owned(),
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            entrypoint: Vec::new(),
            writable: Vec::new(),
            shm_size: 1 << 20,
        },
        packages: Vec::new(),
        wheels: Vec::new(),
        git,
        downloads: Vec::new(),
        find_links: Vec::new(),
        builds: Vec::new(),
        symlinks: BTreeMap::new(),
        files: BTreeMap::new(),
        local_files: Vec::new(),
        profile_files: Vec::new(),
        unpinned: Vec::new(),
        seal: None,
    }
}

fn kinds<'a>(archive: &'a TreeArchive) -> Vec<(&'a str, EntryKind)> {
    let pair = |entry: &'a ArchiveEntry| (entry.path.as_str(), entry.kind());
    archive.entries().iter().map(pair).collect()
}

#[test]
fn a_commit_on_no_branch_comes_with_links_modes_and_submodules() {
    let (world, repositories) = (World::new(), Repositories::new());
    world.instead_of(&repositories.base(), "https://hub.test/team/");
    let git = world.lock(&["https://hub.test/team/net.git"], repositories.loose).unwrap();
    let ops = EntryKind::Submodule(repositories.ops);
    let expected = [
        (".gitmodules", EntryKind::File { executable: false }),
        ("data/latest", EntryKind::Symlink),
        ("data/one.txt", EntryKind::File { executable: false }),
        ("data/same.txt", EntryKind::File { executable: false }),
        ("ops", ops),
        ("ops/op.c", EntryKind::File { executable: false }),
        ("train.sh", EntryKind::File { executable: true }),
    ];
    assert_eq!(kinds(&world.archive(&git)), expected);
    assert_eq!(world.content(&git, "data/latest"), "one.txt");
    // As it is stored: no filter for line ends.
    assert_eq!(world.content(&git, "train.sh"), "#!/bin/sh\r\necho loose\n");
    assert_eq!(git.submodules.len(), 1);
    assert_eq!(git.submodules[0].url, "https://hub.test/team/ops.git");
    assert_eq!(git.submodules[0].commit, repositories.ops);
    let modules = [("ops", git.submodules[0].tree)];
    world.archive(&git).check("net", git.tree, &modules).unwrap();
}

#[test]
fn a_folder_a_server_and_an_old_server_give_the_same_archive() {
    let repositories = Repositories::new();
    let local = World::new();
    local.instead_of(&repositories.base(), "https://hub.test/");
    let expected = local.lock(&["https://hub.test/net.git"], repositories.main).unwrap();
    for speech in [Speech::Second, Speech::First] {
        let (world, server) = (World::new(), backend(&repositories, speech));
        world.instead_of(&server.url("/"), "https://hub.test/");
        let git = world.lock(&["https://hub.test/net.git"], repositories.main).unwrap();
        assert_eq!(git, expected);
    }
}

#[test]
fn a_server_that_hides_a_commit_is_asked_for_pull_requests_too() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::First);
    world.instead_of(&server.url("/"), "https://hub.test/");
    // Behind a pull request, but not its head: the old protocol does not give it away by its name.
    let git = world.lock(&["https://hub.test/net.git"], repositories.behind_pull).unwrap();
    assert_eq!(world.content(&git, "train.sh"), "#!/bin/sh\r\necho behind\n");
    let error = world.lock(&["https://hub.test/net.git"], repositories.loose).unwrap_err();
    assert!(error.to_string().contains("nor behind any of"), "{error}");
    // The new protocol gives it by its name.
    let server = backend(&repositories, Speech::Second);
    world.instead_of(&server.url("/"), "https://hub.test/");
    world.lock(&["https://hub.test/net.git"], repositories.loose).unwrap();
}

#[test]
fn a_commit_that_is_nowhere_is_refused_with_every_place_that_was_asked() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::Second);
    let nowhere = repositories.path().join("nothing");
    let (url, nowhere) = (server.url("/net.git"), format!("file://{}", nowhere.display()));
    let missing: CommitId = "1234567890123456789012345678901234567890".parse().unwrap();
    let urls = [url.as_str(), nowhere.as_str(), "ssh://git@hub.test/net.git"];
    let images = world.lock(&urls, missing);
    let error = images.unwrap_err().to_string();
    assert!(error.contains(&missing.to_string()), "{error}");
    assert!(urls[..2].iter().all(|url| error.contains(url)), "{error}");
    assert!(error.contains("ssh://***@hub.test/net.git"), "{error}");
    assert!(error.contains("there is no git repository"), "{error}");
    assert!(error.contains("insteadOf"), "{error}");
}

#[test]
fn a_password_comes_from_netrc_and_no_error_shows_it() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::WithPassword);
    let url = server.url("/net.git");
    let error = world.lock(&[&url], repositories.main).unwrap_err().to_string();
    assert!(error.contains("asks for a password"), "{error}");
    let netrc = world.folder.path().join(".netrc");
    fs::write(&netrc, "machine 127.0.0.1 login user password wrong-secret\n").unwrap();
    let error = world.lock(&[&url], repositories.main).unwrap_err().to_string();
    assert!(error.contains("does not accept") && !error.contains("wrong-secret"), "{error}");
    fs::write(&netrc, "machine 127.0.0.1 login user password secret\n").unwrap();
    world.lock(&[&url], repositories.main).unwrap();
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::CutOnce);
    let git = world.lock(&[&server.url("/net.git")], repositories.main).unwrap();
    assert_eq!(server.count("/net.git/git-upload-pack"), 2);
    assert_eq!(world.fetch(&git, true).unwrap(), 0);
}

#[test]
fn what_was_fetched_once_is_laid_out_again_without_a_network() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::Second);
    let git = world.lock(&[&server.url("/net.git")], repositories.main).unwrap();
    drop(server);
    fs::remove_file(world.store.blob_path(&git.archive.digest)).unwrap();
    assert_eq!(world.fetch(&git, true).unwrap(), 1);
    // An empty store has neither the archive nor the objects.
    let error = World::new().fetch(&git, true).unwrap_err();
    assert!(error.to_string().contains("no network may be asked"), "{error}");
}

#[test]
fn a_commit_is_near_where_the_store_or_a_repository_of_this_machine_has_it() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::Second);
    let git = world.lock(&[&server.url("/net.git")], repositories.main).unwrap();
    let is_near = |world: &World| {
        let wanted = fetch::wanted(&lock_of(vec![git.clone()]));
        fetch::out_of_reach(&world.settings(true), &world.store, &wanted).unwrap().is_empty()
    };
    fs::remove_file(world.store.blob_path(&git.archive.digest)).unwrap();
    assert!(is_near(&world), "the store has its objects");
    let other = World::new();
    assert!(!is_near(&other), "only a server has it");
    other.instead_of(&repositories.base(), &server.url("/"));
    assert!(is_near(&other), "a folder has it");
}

#[test]
fn a_tree_or_an_archive_other_than_the_locked_one_is_refused_with_both() {
    let (world, repositories) = (World::new(), Repositories::new());
    world.instead_of(&repositories.base(), "https://hub.test/");
    let git = world.lock(&["https://hub.test/net.git"], repositories.main).unwrap();
    let other = World::new();
    other.instead_of(&repositories.base(), "https://hub.test/");
    let wrong = LockedGit { tree: TreeId::from_bytes([7; 20]), ..git.clone() };
    let error = other.fetch(&wrong, false).unwrap_err();
    assert!(error.is_about_content(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&git.tree.to_string()) && text.contains(&wrong.tree.to_string()),
        "{text}"
    );
    let digest = Digest::of(b"another archive");
    let archive = LockedBlob { digest, size: git.archive.size };
    let error = other.fetch(&LockedGit { archive, ..git.clone() }, false).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&digest.to_string()), "{text}");
    assert!(text.contains(&git.archive.digest.to_string()), "{text}");
    other.fetch(&git, false).unwrap();
}

#[test]
fn a_repository_without_some_of_its_objects_is_passed_over_and_told() {
    let (world, repositories) = (World::new(), Repositories::new());
    let partial = repositories.without("data/one.txt");
    let url = format!("file://{}", partial.display());
    let error = world.lock(&[&url], repositories.main).unwrap_err().to_string();
    assert!(error.contains("it has the commit without its `data/one.txt`"), "{error}");
    world.instead_of(&repositories.base(), "https://hub.test/");
    world.lock(&[&url, "https://hub.test/net.git"], repositories.main).unwrap();
}

#[test]
fn a_name_that_no_folder_can_have_is_refused() {
    for name in ["..", ".", ".git", ".GIT", ".wh.passwd", ".wh..wh..opq", "a/b", ""] {
        let (world, repositories) = (World::new(), Repositories::new());
        let commit = repositories.with_name(name);
        let url = format!("file://{}", repositories.path().join("net.git").display());
        let error = world.lock(&[&url], commit).unwrap_err();
        // libgit2 itself reads no tree with an empty name.
        let refused = match &error {
            PinError::Network(FetchError::Tree { source, .. }) => {
                matches!(source, GitError::Path { .. })
            }
            PinError::Network(FetchError::Commit { .. }) => name.is_empty(),
            _ => false,
        };
        assert!(refused, "`{name}`: {error}");
    }
}

#[test]
fn an_archive_that_was_changed_is_found() {
    let (world, repositories) = (World::new(), Repositories::new());
    world.instead_of(&repositories.base(), "https://hub.test/");
    let git = world.lock(&["https://hub.test/net.git"], repositories.main).unwrap();
    let modules = [("ops", git.submodules[0].tree)];
    let bytes = world.store.read_blob(&git.archive.digest).unwrap();
    let place = world.folder.path().join("changed");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!is_good(&place, &changed, git.tree, &modules), "byte {at} may be changed");
    }
    for length in 0..bytes.len() {
        assert!(!is_good(&place, &bytes[..length], git.tree, &modules), "cut at {length}");
    }
    assert!(is_good(&place, &bytes, git.tree, &modules));
}

fn is_good(place: &Path, bytes: &[u8], tree: TreeId, modules: &[(&str, TreeId)]) -> bool {
    fs::write(place, bytes).unwrap();
    let archive = TreeArchive::open(fs::File::open(place).unwrap());
    archive.is_ok_and(|archive| archive.check("net", tree, modules).is_ok())
}

#[test]
fn objects_that_the_store_has_are_not_fetched_again() {
    let (world, repositories) = (World::new(), Repositories::new());
    let server = backend(&repositories, Speech::Second);
    let url = server.url("/net.git");
    let git = world.lock(&[&url], repositories.main).unwrap();
    let asked = server.asked().len();
    // The store has the objects already: nobody is asked, and the same comes out.
    assert_eq!(world.lock(&[&url], repositories.main).unwrap(), git);
    assert_eq!(server.asked().len(), asked);
}
