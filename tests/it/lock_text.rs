//! Locks: one canonical text, refused when damaged, compared in a reader's terms.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use repro::digest::{CommitId, DiffId, Digest, TreeId};
use repro::lock::*;
use repro::recipe::Recipe;

use crate::recipe_reading::{TRACKER, folder};

fn package(name: &str) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: "1.0-1+deb11u1".to_owned(),
        architecture: "amd64".to_owned(),
        path: format!("pool/main/x/{name}/{name}_1.0-1_amd64.deb"),
        size: 1234,
        sha256: Digest::of(name.as_bytes()),
    }
}

fn wheel(name: &str, version: &str) -> LockedWheel {
    LockedWheel {
        name: name.to_owned(),
        version: version.to_owned(),
        file: format!("{name}-{version}-py3-none-any.whl"),
        size: 99,
        sha256: Digest::of(version.as_bytes()),
        requested: name == "numpy",
    }
}

/// A lock that fits the fixture recipe, with something in every place.
pub fn lock_of(recipe: &Recipe) -> Lock {
    let build = &recipe.image.builds[0];
    Lock {
        name: recipe.name.clone(),
        epoch: 1,
        asked: Asked::of(&recipe.image),
        as_of: recipe.image.python.as_of.clone(),
        base: None,
        suite: recipe.image.base.debian().unwrap().suite.clone(),
        python: PythonTarget::of(&recipe.image),
        config: ImageConfig::of(&recipe.image),
        packages: vec![package("python3"), package("libc6")],
        wheels: vec![wheel("numpy", "1.21.6"), wheel("addict", "2.4.0")],
        git: Vec::new(),
        downloads: Vec::new(),
        find_links: Vec::new(),
        builds: vec![LockedBuild {
            name: build.name.clone(),
            version: build.version.clone(),
            source: BuildSource::Distribution(LockedSource {
                file: "mmcv-1.3.13.tar.gz".to_owned(),
                size: 77,
                sha256: Digest::of(b"sdist"),
            }),
            packages: vec![package("python3-distutils")],
            wheels: vec![wheel("setuptools", "59.5.0")],
            env: build.env.clone(),
            command: build.command.clone(),
            repeatable: true,
            local: Vec::new(),
            profile: None,
            outputs: BTreeMap::new(),
            output: Some(wheel("mmcv", "1.3.13")),
            files: Vec::new(),
        }],
        symlinks: recipe.image.symlinks.clone(),
        files: recipe.image.files.clone(),
        local_files: local_files(recipe).unwrap(),
        profile_files: profile_files(recipe).unwrap(),
        unpinned: Vec::new(),
        seal: None,
    }
}

fn fixture() -> (tempfile::TempDir, Recipe, Lock) {
    let folder = folder(TRACKER);
    let recipe = Recipe::load(folder.path(), "tracker-debian").unwrap();
    let lock = lock_of(&recipe);
    (folder, recipe, lock)
}

pub fn seal() -> LockedSeal {
    LockedSeal {
        manifest: Digest::of(b"manifest"),
        layers: vec![LockedLayer {
            origin: "Debian packages (2)".to_owned(),
            diff_id: DiffId(Digest::of(b"tar")),
            digest: Digest::of(b"gzip"),
            size: 5,
        }],
    }
}

fn parse(text: &str) -> Result<Lock, LockError> {
    Lock::parse(text, Path::new("lockfiles/tracker-debian.lock"))
}

fn lines(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

#[test]
fn the_text_of_a_lock_is_what_was_agreed_on() {
    let (_folder, _, mut lock) = fixture();
    lock.seal = Some(seal());
    lock.unpinned = vec![Unpinned::new("base", "not seen")];
    insta::assert_snapshot!(lock.to_text());
}

#[test]
fn a_parsed_text_is_written_as_it_was_and_a_written_lock_is_read_as_it_was() {
    let (_folder, _, mut lock) = fixture();
    for sealed in [None, Some(seal())] {
        lock.seal = sealed;
        let text = lock.to_text();
        let parsed = parse(&text).unwrap();
        assert_eq!(parsed.to_text(), text);
        assert_eq!(parse(&parsed.to_text()).unwrap(), parsed);
        assert_eq!(parsed.seal, lock.seal);
        assert_eq!(parsed.packages[0].name, "libc6", "lists are sorted");
    }
}

#[test]
fn any_text_survives_the_round_trip() {
    let (_folder, _, mut lock) = fixture();
    let odd = "a \"b\" \\ 'c' \u{7f}\u{1}\t\r\n ü 雪 \u{1F600} ${x} # no comment";
    lock.files = BTreeMap::from([("/etc/odd file \"ü\"".to_owned(), odd.to_owned())]);
    lock.config.env = BTreeMap::from([("ODD ü".to_owned(), odd.to_owned())]);
    let text = lock.to_text();
    let parsed = parse(&text).unwrap();
    assert_eq!(parsed.files, lock.files);
    assert_eq!(parsed.config.env, lock.config.env);
    assert_eq!(parsed.to_text(), text);
    assert!(text.is_ascii() || !text.contains('\u{7f}'));
}

#[test]
fn the_order_of_a_list_in_memory_does_not_change_the_text() {
    let (_folder, _, lock) = fixture();
    let mut other = lock.clone();
    other.packages.reverse();
    other.wheels.reverse();
    other.asked.packages.reverse();
    assert_eq!(other.to_text(), lock.to_text());
}

#[test]
fn sealing_does_not_change_the_lock_s_name_and_another_input_does() {
    let (_folder, _, lock) = fixture();
    let mut sealed = lock.clone();
    sealed.seal = Some(seal());
    sealed.profile_files.clear();
    assert_eq!(sealed.digest(), lock.digest());
    let mut other = lock.clone();
    other.wheels[0].size += 1;
    assert_ne!(other.digest(), lock.digest());
}

#[test]
fn a_lock_of_a_later_version_is_refused_before_its_keys_are_looked_at() {
    let error = parse("version = 2\nquantum = true\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`lockfiles/tracker-debian.lock` has version 2\n  this program knows  1"
    );
}

#[test]
fn a_damaged_lock_is_refused_with_file_line_and_reason() {
    let (_folder, _, lock) = fixture();
    let text = lock.to_text();
    let hash = Digest::of(b"libc6").hex();
    let cases = [
        (
            "suite = ",
            "siute = ",
            "unknown key `siute` in `debian`; the nearest known key is `suite`",
        ),
        ("epoch = 1", "epoch = \"1\"", "`epoch`: expected a whole number"),
        ("version = 1\n", "", "missing key `version`"),
        (&hash, &hash.to_uppercase(), "expected 64 lower-case hexadecimal digits"),
        (&hash, "abc", "expected 64 lower-case hexadecimal digits"),
        ("name = \"libc6\"", "name = \"python3\"", "it stands there twice"),
        ("pool/main/x/libc6/", "../../", "a local path is relative"),
        ("file = \"numpy-", "file = \"../numpy-", "a file name has no"),
        ("file = \"mmcv-1.3.13.tar.gz\"", "file = \"a/b\"", "a file name has no"),
        ("\"/bin/sh\" = ", "\"bin/sh\" = ", "a path in the image"),
        ("source = \"tracker/net.py\"", "source = \"/etc/passwd\"", "a local path is relative"),
        ("name = \"tracker-debian\"", "name = \"../x\"", "a name is lower-case"),
        ("size = 1234", "size = -1", "expected a whole number, 0 or more"),
        ("size = 1234", "size = 99999999999999999999", "the number is too large"),
        ("[symlinks]", "[symlinks", "unclosed"),
    ];
    for (from, to, expected) in cases {
        assert!(text.contains(from), "no `{from}` in\n{text}");
        let error = parse(&text.replacen(from, to, 1)).unwrap_err();
        assert!(matches!(error, LockError::Invalid { .. }));
        let error = error.to_string();
        assert!(error.contains(expected), "{to}: {error}");
        assert!(error.contains("lockfiles/tracker-debian.lock:"), "{error}");
    }
}

#[test]
fn a_cut_lock_is_never_taken() {
    let (_folder, _, mut lock) = fixture();
    lock.seal = Some(seal());
    let text = lock.to_text();
    let whole = parse(&text).unwrap();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        // A text that only lost its last sections may parse, but never as the same lock.
        if let Ok(cut) = parse(&text[..end]) {
            assert!(cut != whole || text[end..].trim().is_empty(), "cut at {end}");
        }
    }
}

#[test]
fn an_incomplete_lock_names_each_input_and_the_reason() {
    let (_folder, _, mut lock) = fixture();
    assert!(lock.require_pinned().is_ok());
    lock.unpinned = vec![
        Unpinned::new("wheel `torch`", "the index gives no hash"),
        Unpinned::new("base", "deleted"),
    ];
    assert_eq!(
        lock.require_pinned().unwrap_err().to_string(),
        "the lock of `tracker-debian` is not complete\n  unpinned  wheel `torch`: the index gives no hash\n  unpinned  base: deleted"
    );
}

#[test]
fn a_lock_fits_the_recipe_it_was_made_from() {
    let (_folder, recipe, lock) = fixture();
    assert_eq!(lines(&lock.matches(&recipe).unwrap()), [""; 0]);
}

#[test]
fn what_does_not_decide_bytes_needs_no_new_lock() {
    let (_folder, _, lock) = fixture();
    let text = TRACKER
        .replace("skip = 4", "skip = 2 # fewer")
        .replace("batch-size = [2]", "batch-size = [4]");
    let text = text.replace("reason = \"the index has no wheel\"", "reason = \"other\"");
    let folder = folder(&text);
    let recipe = Recipe::load(folder.path(), "tracker-debian").unwrap();
    assert_eq!(lines(&lock.matches(&recipe).unwrap()), [""; 0]);
}

#[test]
fn a_changed_recipe_is_told_in_a_reader_s_terms() {
    let (_folder, _, lock) = fixture();
    let cases = [
        ("\"libc6\"]", "\"libc6\", \"git\"]", "+ asked Debian package `git`"),
        ("\"numpy==1.21.6\", ", "", "- requirement `numpy==1.21.6`"),
        (
            "as-of = \"2026-11-20\"",
            "as-of = \"2026-11-21\"",
            "~ date of resolution: 2026-11-20 -> 2026-11-21",
        ),
        (
            "OMP_NUM_THREADS = \"1\"",
            "OMP_NUM_THREADS = \"2\"",
            "~ variable `OMP_NUM_THREADS`: 1 -> 2",
        ),
        (
            "\"/bin/sh\" = \"dash\"",
            "\"/bin/sh\" = \"bash\"",
            "~ symbolic link `/bin/sh`: dash -> bash",
        ),
        (
            "version = \"1.3.13\"",
            "version = \"1.3.14\"",
            "~ version of compiled `mmcv`: 1.3.13 -> 1.3.14",
        ),
        (
            "\"setuptools==59.5.0\"",
            "\"setuptools==60\"",
            "+ build wheel of compiled `mmcv` `setuptools==60`",
        ),
        (
            "MMCV_WITH_OPS = \"0\"",
            "MMCV_WITH_OPS = \"1\"",
            "~ variable of compiled `mmcv` `MMCV_WITH_OPS`: 0 -> 1",
        ),
        ("name = \"mmcv\"", "name = \"lap\"", "+ compiled distribution `lap`"),
        (
            "shm-size = \"1 GiB\"",
            "shm-size = \"2 GiB\"",
            "~ bytes of /dev/shm: 1073741824 -> 2147483648",
        ),
        ("glibc = \"2.31\"", "glibc = \"2.28\"", "~ glibc: 2.31 -> 2.28"),
        (
            "writable = [\"/workspace\", \"/tmp\"]",
            "writable = [\"/tmp\"]",
            "~ writable folders: /workspace /tmp -> /tmp",
        ),
    ];
    for (from, to, expected) in cases {
        let folder = folder(&TRACKER.replacen(from, to, 1));
        let recipe = Recipe::load(folder.path(), "tracker-debian").unwrap();
        let found = lines(&lock.matches(&recipe).unwrap());
        assert!(found.iter().any(|line| line == expected), "{to}: {found:?}");
    }
}

#[test]
fn a_changed_local_file_is_found_by_its_hash() {
    let (folder, recipe, lock) = fixture();
    fs::write(folder.path().join("tracker/net.py"), "net = 2\n").unwrap();
    fs::write(folder.path().join("tracker/smoke/sitecustomize.py"), "shim = 2\n").unwrap();
    let found = lines(&lock.matches(&recipe).unwrap());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("~ local file `/opt/tracker/net.py`: from `tracker/net.py` (sha256:")
    );
    assert!(found[1].starts_with("~ profile file `smoke: /opt/smoke/sitecustomize.py`"));
    fs::remove_file(folder.path().join("tracker/net.py")).unwrap();
    assert!(matches!(lock.matches(&recipe), Err(LockError::Io { .. })));
}

#[test]
fn the_lock_of_another_recipe_is_refused() {
    let (_folder, recipe, mut lock) = fixture();
    lock.name = "fairmot".to_owned();
    let error = lock.matches(&recipe).unwrap_err().to_string();
    assert_eq!(
        error,
        "this is the lock of another recipe\n  lock    fairmot\n  recipe  tracker-debian"
    );
}

#[test]
fn two_locks_are_compared_in_a_reader_s_terms() {
    let (_folder, _, lock) = fixture();
    assert_eq!(lock.diff(&lock), []);
    let mut newer = lock.clone();
    newer.packages[0].version = "2.0-1".to_owned();
    newer.packages.remove(1);
    newer.wheels.push(wheel("torch", "1.9.1"));
    newer.wheels[0].sha256 = Digest::of(b"rebuilt");
    newer.files.insert("/etc/group".to_owned(), "root:x:0:\n".to_owned());
    newer.builds[0].output = None;
    newer.seal = Some(seal());
    let found = lines(&lock.diff(&newer));
    let size = "99 bytes";
    let (old, new) = (Digest::of(b"1.21.6"), Digest::of(b"rebuilt"));
    for expected in [
        "~ Debian package `python3`: 1.0-1+deb11u1 -> 2.0-1".to_owned(),
        "- Debian package `libc6` 1.0-1+deb11u1".to_owned(),
        format!("~ wheel `numpy`: 1.21.6 ({old}, {size}) -> 1.21.6 ({new}, {size})"),
        "+ wheel `torch` 1.9.1".to_owned(),
        "- output of compiled `mmcv` `mmcv` 1.3.13".to_owned(),
        format!("+ seal `manifest` {}", Digest::of(b"manifest")),
    ] {
        assert!(found.contains(&expected), "{expected} is not in {found:#?}");
    }
    assert_eq!(found.len(), 8, "{found:#?}");
}

/// The same lock above a registry's image, with a git tree and a build that makes a file.
fn on_a_base(lock: &Lock) -> Lock {
    let mut lock = lock.clone();
    let mut build = lock.builds[0].clone();
    build.name = "pse".to_owned();
    build.source = BuildSource::Git("tracker".to_owned());
    build.repeatable = false;
    build.outputs = BTreeMap::from([("/opt/tracker/pse.so".to_owned(), "pse.so".to_owned())]);
    build.output = None;
    build.files = vec![BuiltFile {
        path: "/opt/tracker/pse.so".to_owned(),
        executable: true,
        size: 3,
        sha256: Digest::of(b"elf"),
    }];
    lock.builds.push(build);
    lock.asked.base = "registry.test/team/base:1.0".to_owned();
    lock.asked.packages.clear();
    (lock.suite, lock.packages) = (String::new(), Vec::new());
    lock.base = Some(LockedBase {
        image: "registry.test/team/base:1.0".to_owned(),
        manifest: Digest::of(b"base manifest"),
        size: 700,
        config: LockedBlob { digest: Digest::of(b"base config"), size: 900 },
        layers: vec![LockedBaseLayer {
            digest: Digest::of(b"layer"),
            diff_id: DiffId(Digest::of(b"layer's tar")),
            compression: Compression::Zstd,
            size: 5,
        }],
        env: BTreeMap::from(
            ["PATH", "CUDA_VERSION"].map(|name| (name.to_owned(), "10.2".to_owned())),
        ),
        directories: BTreeMap::from([
            (String::new(), vec!["lib -> usr/lib".to_owned(), "usr".to_owned()]),
            ("usr".to_owned(), vec!["lib".to_owned()]),
        ]),
    });
    lock.git = vec![LockedGit {
        name: "tracker".to_owned(),
        urls: vec!["https://git.test/team/tracker".to_owned()],
        commit: CommitId::from_bytes([7; 20]),
        tree: TreeId::from_bytes([9; 20]),
        path: Some("/opt/tracker".to_owned()),
        include: Vec::new(),
        exclude: Vec::new(),
        submodules: vec![LockedSubmodule {
            path: "third/party".to_owned(),
            url: "https://git.test/third/party".to_owned(),
            commit: CommitId::from_bytes([1; 20]),
            tree: TreeId::from_bytes([2; 20]),
        }],
        archive: LockedBlob { digest: Digest::of(b"tree"), size: 4 },
    }];
    lock
}

#[test]
fn a_build_for_a_profile_is_read_as_it_was_written_and_is_not_in_the_digest() {
    let (_folder, _, lock) = fixture();
    let mut with_stub = lock.clone();
    with_stub.asked.builds.insert("stub".to_owned(), Default::default());
    with_stub.builds.push(LockedBuild {
        name: "stub".to_owned(),
        source: BuildSource::Local,
        local: vec![LockedFile {
            path: "/repro/build/stubs.py".to_owned(),
            source: "tracker/stubs.py".to_owned(),
            executable: false,
            size: 6,
            sha256: Digest::of(b"stubs\n"),
        }],
        profile: Some("smoke".to_owned()),
        outputs: BTreeMap::from([("/opt/smoke/stub.so".to_owned(), "stub.so".to_owned())]),
        output: None,
        ..lock.builds[0].clone()
    });
    let text = with_stub.to_text();
    let read = parse(&text).unwrap();
    assert_eq!((&read.builds[1], read.to_text()), (&with_stub.builds[1], text.clone()));
    assert_eq!(with_stub.digest(), lock.digest());
    let mut of_image = with_stub.clone();
    of_image.builds[1].profile = None;
    assert_ne!(of_image.digest(), lock.digest());
    let found: Vec<_> = with_stub.diff(&of_image).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["~ profile of compiled `stub`: smoke -> "]);
    with_stub.builds[1].local.clear();
    let error = parse(&with_stub.to_text()).unwrap_err().to_string();
    assert!(error.contains("a build has one source"), "{error}");
}

#[test]
fn a_lock_above_a_registry_image_is_read_as_it_was_written() {
    let (_folder, _, lock) = fixture();
    let lock = on_a_base(&lock);
    let text = lock.to_text();
    let read = parse(&text).unwrap();
    assert_eq!((&read.base, &read.git), (&lock.base, &lock.git), "{text}");
    assert_eq!((&read.builds[1], read.to_text()), (&lock.builds[1], text.clone()));
    assert!(!text.contains("[debian]"), "{text}");
    let env = lock.env();
    assert_eq!(env["CUDA_VERSION"], "10.2", "the base's variables are the job's");
    assert_ne!(env["PATH"], "10.2", "the recipe's come on top");
}

#[test]
fn a_lock_has_one_base_and_builds_only_what_it_names() {
    let (_folder, _, lock) = fixture();
    let text = on_a_base(&lock).to_text();
    let both =
        text.replace("\n[python]", "\n[debian]\nsuite = \"bullseye\"\npackages = []\n\n[python]");
    let error = parse(&both).unwrap_err().to_string();
    assert!(error.contains("either `[base]` or `[debian]`"), "{error}");
    let error = parse(&text.replace("git = \"tracker\"", "git = \"other\"")).unwrap_err();
    assert!(error.to_string().contains("there is no such `[[git]]`"), "{error}");
    let error = parse(&text.replace("path = \"/opt/tracker/pse.so\"", "path = \"/etc/passwd\""));
    assert!(error.unwrap_err().to_string().contains("it is no declared output"));
}

#[test]
fn a_new_base_and_a_new_commit_are_named() {
    let (_folder, _, lock) = fixture();
    let old = on_a_base(&lock);
    let mut new = old.clone();
    new.base.as_mut().unwrap().manifest = Digest::of(b"newer");
    new.git[0].commit = CommitId::from_bytes([8; 20]);
    let found: Vec<_> = old.diff(&new).iter().map(ToString::to_string).collect();
    assert!(found[0].starts_with("~ base image `manifest`: sha256:"), "{found:?}");
    assert!(found[1].contains("~ git source `tracker`: 0707070707"), "{found:?}");
}

#[test]
fn patterns_of_a_git_source_stand_in_a_lock_in_order_and_only_where_there_are_some() {
    let (_folder, _, lock) = fixture();
    let mut lock = on_a_base(&lock);
    let whole = lock.to_text();
    assert!(!whole.contains("include") && !whole.contains("exclude"), "{whole}");
    lock.git[0].include = vec!["src/**".to_owned(), "README.md".to_owned()];
    lock.git[0].exclude = vec!["src/*.gif".to_owned()];
    let text = lock.to_text();
    let read = parse(&text).unwrap();
    assert_eq!((&read.git[0].include[0][..], read.to_text()), ("README.md", text.clone()));
    assert_ne!(read.digest(), parse(&whole).unwrap().digest());
    let found = lines(&parse(&whole).unwrap().diff(&read));
    assert!(found[0].contains("only `README.md`, `src/**`, without `src/*.gif`"), "{found:?}");
    let error = parse(&text.replace("src/*.gif", "../*")).unwrap_err().to_string();
    assert!(error.contains("pattern `../*`: a pattern is relative"), "{error}");
}

#[test]
fn a_lock_may_lack_its_base_where_it_says_so() {
    let (_folder, _, lock) = fixture();
    let mut lock = on_a_base(&lock);
    lock.base = None;
    lock.unpinned = vec![Unpinned::new("base", "no registry that was asked has the image")];
    let text = lock.to_text();
    assert!(!text.contains("[base]") && !text.contains("[debian]"), "{text}");
    let read = parse(&text).unwrap();
    assert_eq!((read.base.as_ref(), read.to_text()), (None, text.clone()));
    let error = parse(&text.replace("input = \"base\"", "input = \"bass\"")).unwrap_err();
    assert!(error.to_string().contains("either `[base]` or `[debian]`"), "{error}");
}
