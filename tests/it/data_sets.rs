//! Data sets: verified, unpacked and pinned, and what is told about wrong ones.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use repro::dataset::{
    DatasetError, Datasets, Manifest, Progress, SetReport, Silent, State, Verdict, ensure_unpacked,
    pin, verify,
};
use repro::digest::Digest;
use repro::store::Store;

const FILES: [(&str, &[u8]); 3] =
    [("gt/a.png", b"label a"), ("img/a.png", b"picture a"), ("img/b c ü.png", b"picture b")];

/// A project, a data folder and a store.
struct World {
    folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["project/images", "data"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn parse(&self, text: &str) -> Result<Datasets, DatasetError> {
        Datasets::parse(text, &self.project())
    }

    /// A data set `tiny` whose archive is in the project, pinned by the program itself.
    fn tiny(&self) -> Datasets {
        zip(&self.project().join("images/tiny.zip"), &FILES);
        self.pin_project_file("images/tiny.zip")
    }

    fn pin_project_file(&self, path: &str) -> Datasets {
        let datasets = Datasets::load(&self.project()).unwrap();
        let file = self.project().join(path);
        let pinned = pin(&datasets, &file, false, &self.store, &Silent).unwrap();
        pinned.write(&self.project()).unwrap();
        Datasets::load(&self.project()).unwrap()
    }

    fn verify(&self, datasets: &Datasets) -> SetReport {
        let mut reports =
            verify(datasets, &[], Some(&self.data()), false, &self.store, &Silent).unwrap();
        assert_eq!(reports.len(), 1);
        reports.remove(0)
    }

    fn unpack(&self, datasets: &Datasets) -> Result<PathBuf, DatasetError> {
        let data = self.data();
        let unpacked = ensure_unpacked(datasets, "tiny", Some(&data), &self.store, &Silent)?;
        assert_eq!(Some(unpacked.digest), datasets.get("tiny").unwrap().binding());
        assert_eq!(unpacked.folders.len(), 1);
        Ok(unpacked.folders[""].clone())
    }
}

pub fn zip(path: &Path, files: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options.compression_method(zip::CompressionMethod::Stored)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test archive, no layer")]
pub fn tar_of(path: &Path, build: impl FnOnce(&mut tar::Builder<File>)) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    build(&mut tar);
    tar.finish().unwrap();
}

/// A header with any name at all: the crate's own setters refuse the bad ones.
#[expect(clippy::disallowed_methods, reason = "a test archive, no layer")]
pub fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

fn unpacked(folder: &Path, files: &[(&str, &[u8])]) {
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

#[test]
fn the_project_s_data_sets_are_read() {
    let datasets = Datasets::load(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let cityscapes = datasets.get("cityscapes").unwrap();
    assert!(cityscapes.login_required && cityscapes.archives.len() == 2);
    assert!(cityscapes.archives.iter().all(|archive| archive.sha256.is_some()));
    let sample = &datasets.get("cityscapes-30imgs").unwrap().archives[0];
    assert!(sample.sha256.is_none() && sample.unpinned.is_some());
}

#[test]
fn every_mistake_in_the_list_is_reported_with_its_place() {
    let world = World::new();
    let hex = Digest::of(b"").hex();
    let cases = [
        ("[a]\ntitle = \"t\"\n", "`a` has no archive and no tree"),
        ("[a]\n[[a.archive]]\nfile = \"f\"\nunpinned = \"r\"\n", "`a`: missing key `title`"),
        (
            "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\n",
            "needs either `sha256` or `unpinned`",
        ),
        ("[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\nsha256 = \"{hex}\"\n", "and no `size`"),
        (
            "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\nsha256 = \"{hex}\"\nsize = 1\nunpinned = \"r\"\n",
            "needs either",
        ),
        (
            "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"../f\"\nunpinned = \"r\"\n",
            "a file name has no",
        ),
        (
            "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\nunpack = \"../x\"\nunpinned = \"r\"\n",
            "a local path",
        ),
        (
            "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\npath = \"/x\"\nunpinned = \"r\"\n",
            "a local path",
        ),
        (
            "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\nsh256 = \"\"\nunpinned = \"r\"\n",
            "the nearest known key is `sha256`",
        ),
        (
            "[a]\ntitle = \"t\"\ntree = { manifest = \"m\" }\n",
            "a tree has `manifest` and its `sha256`",
        ),
        (
            "[a]\ntitle = \"t\"\ntree = { manifest = \"../m\", sha256 = \"{hex}\" }\n",
            "a local path",
        ),
        (
            "[A]\ntitle = \"t\"\n[[A.archive]]\nfile = \"f\"\nunpinned = \"r\"\n",
            "a name is lower-case",
        ),
        ("a = 3\n", "`a`: expected a table, found a whole number"),
        ("[a\n", "unclosed table"),
    ];
    for (text, expected) in cases {
        let text = text.replace("{hex}", &hex);
        let error = world.parse(&text).unwrap_err();
        assert!(matches!(error, DatasetError::Invalid { .. }));
        let error = error.to_string();
        assert!(error.contains(expected) && error.contains("datasets.toml:"), "{text}: {error}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_known_one() {
    let world = World::new();
    let error = world.tiny().get("tinny").unwrap_err();
    assert_eq!(error.to_string(), "there is no data set `tinny`\n  nearest  tiny");
}

#[test]
fn a_project_without_a_list_has_no_data_sets() {
    let world = World::new();
    assert!(Datasets::load(&world.project()).unwrap().sets.is_empty());
}

#[test]
fn the_first_set_of_a_file_stands_below_the_comments_of_its_head() {
    let world = World::new();
    fs::write(world.project().join("datasets.toml"), "# Ours.\n").unwrap();
    world.tiny();
    let text = fs::read_to_string(world.project().join("datasets.toml")).unwrap();
    assert!(text.starts_with("# Ours.\n\n[tiny]\n"), "{text}");
}

#[test]
fn pinning_writes_digest_size_and_manifest_and_keeps_the_rest_of_the_file() {
    let world = World::new();
    zip(&world.project().join("images/tiny.zip"), &FILES);
    let before = "# Ours.\n[other] # odd   spacing\ntitle   =   \"o\"\n[other.tree]\ncounts = { \".\" = 3 }\n\n[tiny]\ntitle = \"Tiny\" # keep me\n[[tiny.archive]]\n# why\nfile = \"tiny.zip\"\npath = \"images/tiny.zip\"\nunpinned = \"not measured yet\"\n\n[zebra]\ntitle = \"z\"\ntree.counts = { x = 1 }\n";
    fs::write(world.project().join("datasets.toml"), before).unwrap();
    let datasets = world.pin_project_file("images/tiny.zip");
    let after = fs::read_to_string(world.project().join("datasets.toml")).unwrap();
    for line in before.lines().filter(|line| !line.starts_with("unpinned")) {
        assert!(after.lines().any(|kept| kept == line), "`{line}` is not in\n{after}");
    }
    let set = datasets.get("tiny").unwrap();
    let archive = fs::read(world.project().join("images/tiny.zip")).unwrap();
    assert_eq!(set.archives[0].sha256, Some(Digest::of(&archive)));
    assert_eq!(set.archives[0].size, Some(archive.len() as u64));
    assert_eq!(set.archives[0].unpinned, None);
    let manifest = fs::read_to_string(world.project().join("images/tiny.tree")).unwrap();
    let manifest = Manifest::parse(&manifest).unwrap();
    assert_eq!(set.binding(), Some(manifest.digest()));
    let paths: Vec<_> = manifest.files().map(|(path, ..)| path.to_owned()).collect();
    assert_eq!(paths, FILES.map(|(path, _)| path.to_owned()));
    assert_eq!(manifest.get("gt/a.png"), Some((Digest::of(b"label a"), 7)));
}

#[test]
fn pinning_again_changes_nothing_and_another_file_is_refused() {
    let world = World::new();
    let datasets = world.tiny();
    let again = world.pin_project_file("images/tiny.zip");
    assert_eq!(again.text, datasets.text);
    let file = world.project().join("images/tiny.zip");
    zip(&file, &FILES[..2]);
    let error = pin(&again, &file, false, &world.store, &Silent).unwrap_err();
    assert!(matches!(error, DatasetError::PinnedOtherwise { .. }), "{error}");
    let replaced = pin(&again, &file, true, &world.store, &Silent).unwrap();
    assert!(replaced.entry.contains(&Digest::of(&fs::read(&file).unwrap()).hex()));
}

#[test]
fn a_new_archive_gets_an_entry_of_its_own() {
    let world = World::new();
    let file = world.data().join("Night.tar.gz");
    let tar = world.data().join("night.tar");
    tar_of(&tar, |tar| {
        tar.append(&header("night/x.txt", tar::EntryType::Regular, 2), &b"xy"[..]).unwrap()
    });
    let mut gzip = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
    let bytes = fs::read(&tar).unwrap();
    let mut out = vec![0; gzip.gzip_compress_bound(bytes.len())];
    let size = gzip.gzip_compress(&bytes, &mut out).unwrap();
    fs::write(&file, &out[..size]).unwrap();
    let datasets = Datasets::load(&world.project()).unwrap();
    let pinned = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    assert_eq!(pinned.name, "night");
    assert!(
        pinned.entry.starts_with(
            "[night]\ntitle = \"night\"\n\n[[night.archive]]\nfile = \"Night.tar.gz\"\nsize = "
        ),
        "{}",
        pinned.entry
    );
    let (path, manifest) = pinned.manifest.clone().unwrap();
    assert_eq!(
        (path.as_str(), manifest),
        ("datasets/night.tree", format!("{} 2 night/x.txt\n", Digest::of(b"xy").hex()))
    );
    pinned.write(&world.project()).unwrap();
    assert!(Datasets::load(&world.project()).unwrap().get("night").unwrap().binding().is_some());
}

#[test]
fn the_files_of_a_data_set_in_two_archives_are_pinned_only_together() {
    let world = World::new();
    zip(&world.data().join("one.zip"), &[("1", b"one")]);
    let text = "[two]\ntitle = \"t\"\n[[two.archive]]\nfile = \"one.zip\"\nunpinned = \"r\"\nunpack = \"left\"\n[[two.archive]]\nfile = \"other.zip\"\nunpinned = \"r\"\n";
    let datasets = world.parse(text).unwrap();
    let file = world.data().join("one.zip");
    let alone = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    assert_eq!(alone.manifest, None);
    assert_eq!(alone.waits_for.as_deref(), Some("`other.zip` is not beside it"));
    zip(&world.data().join("other.zip"), &[("2", b"two")]);
    let still = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    assert_eq!(still.manifest, None, "nothing says that the other file is the right one");
    assert_eq!(still.waits_for.as_deref(), Some("`other.zip` is not pinned"));
    let datasets = world.parse(&still.datasets).unwrap();
    let other = world.data().join("other.zip");
    let both = pin(&datasets, &other, false, &world.store, &Silent).unwrap();
    let (_, manifest) = both.manifest.unwrap();
    assert!(manifest.contains(" 3 2\n") && manifest.ends_with(" 3 left/1\n"), "{manifest}");
    assert_eq!(both.waits_for, None);
}

#[test]
fn a_file_beside_the_pinned_one_is_held_against_its_pin_before_it_counts() {
    let world = World::new();
    for (name, content) in [("one.zip", b"one"), ("other.zip", b"two")] {
        zip(&world.data().join(name), &[("x", content)]);
    }
    let right = Digest::of(&fs::read(world.data().join("other.zip")).unwrap()).hex();
    let text = |archive: &str| {
        format!(
            "[two]\ntitle = \"t\"\n[[two.archive]]\nfile = \"one.zip\"\nunpinned = \"r\"\nunpack = \"left\"\n[[two.archive]]\nfile = \"other.zip\"\n{archive}"
        )
    };
    let pin_one = |archive: &str| {
        let datasets = world.parse(&text(archive)).unwrap();
        pin(&datasets, &world.data().join("one.zip"), false, &world.store, &Silent)
    };
    let pinned = pin_one(&format!("size = 1\nsha256 = \"{right}\"\n")).unwrap();
    assert!(pinned.manifest.is_some());
    let wrong = right.replace(|hex: char| hex.is_ascii_digit(), "0");
    let error = pin_one(&format!("size = 1\nsha256 = \"{wrong}\"\n")).unwrap_err();
    assert!(matches!(error, DatasetError::Neighbour { .. }), "{error}");
    // What is known of an unpinned file is compared when it is pinned itself, not before it counts.
    let prefix = "unpinned = \"r\"\nchecks = { sha256-prefix = \"00000000\" }\n";
    assert_eq!(pin_one(prefix).unwrap().manifest, None);
}

#[test]
fn an_archive_that_is_nowhere_is_missing_where_it_belongs() {
    let world = World::new();
    let text = format!(
        "[tiny]\ntitle = \"t\"\n[[tiny.archive]]\nfile = \"tiny.zip\"\nsize = 1\nsha256 = \"{}\"\n",
        Digest::of(b"").hex()
    );
    let report = world.verify(&world.parse(&text).unwrap());
    assert_eq!(report.verdict, Verdict::Missing);
    assert_eq!(report.archives[0].path, world.data().join("archives/tiny/tiny.zip"));
    // Whoever put it into the data folder itself is still understood.
    zip(&world.data().join("tiny.zip"), &FILES);
    let report = world.verify(&world.parse(&text).unwrap());
    assert_eq!(report.archives[0].path, world.data().join("tiny.zip"));
}

/// A data set of two files that are no archives, pinned by the program itself; they lie in `folder`.
fn weights(world: &World, folder: &Path) -> Datasets {
    let text = "[tiny]\ntitle = \"t\"\n[[tiny.archive]]\nfile = \"net.conv.74\"\nunpinned = \"r\"\n[[tiny.archive]]\nfile = \"net.pth\"\nunpinned = \"r\"\nunpack = \"models\"\n";
    fs::write(world.project().join("datasets.toml"), text).unwrap();
    fs::create_dir_all(folder).unwrap();
    let files = [folder.join("net.conv.74"), folder.join("net.pth")];
    for (file, content) in files.iter().zip(["one", "other"]) {
        fs::write(file, content).unwrap();
    }
    for file in &files {
        let datasets = Datasets::load(&world.project()).unwrap();
        let pinned = pin(&datasets, file, false, &world.store, &Silent).unwrap();
        pinned.write(&world.project()).unwrap();
    }
    Datasets::load(&world.project()).unwrap()
}

#[test]
fn single_files_are_pinned_verified_and_laid_out_as_the_content_of_an_archive_is() {
    let world = World::new();
    let archives = world.data().join("archives/tiny");
    let datasets = weights(&world, &archives);
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Ok, "{report}");
    let folder = world.unpack(&datasets).unwrap();
    assert_eq!(fs::read_to_string(folder.join("net.conv.74")).unwrap(), "one");
    assert_eq!(fs::read_to_string(folder.join("models/net.pth")).unwrap(), "other");
    fs::write(archives.join("net.pth"), "OTHER").unwrap();
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Differs, "{report}");
}

#[test]
fn single_files_that_a_person_put_into_the_folder_of_the_data_set_are_the_data_set() {
    let world = World::new();
    let datasets = weights(&world, &world.data().join("archives/tiny"));
    let folder = world.data().join("tiny");
    fs::create_dir_all(folder.join("models")).unwrap();
    fs::write(folder.join("net.conv.74"), "one").unwrap();
    fs::write(folder.join("models/net.pth"), "other").unwrap();
    assert_eq!(world.unpack(&datasets).unwrap(), folder);
    fs::write(folder.join("net.conv.74"), "ONE").unwrap();
    let error = world.unpack(&datasets).unwrap_err().to_string();
    assert!(error.contains("differs  net.conv.74"), "{error}");
}

#[test]
fn an_archive_of_the_project_is_verified_and_unpacked_into_the_store() {
    let world = World::new();
    let datasets = world.tiny();
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Ok, "{report}");
    assert!(matches!(report.archives[0].state, State::Ok { .. }));
    assert_eq!(report.tree.as_ref().unwrap().verdict, Verdict::Missing);
    assert!(!report.to_string().contains("missing"), "{report}");
    let folder = world.unpack(&datasets).unwrap();
    assert_eq!(folder, world.store.data_path(&report.binding.unwrap()));
    for (path, content) in FILES {
        assert_eq!(fs::read(folder.join(path)).unwrap(), content);
    }
    assert_eq!(world.unpack(&datasets).unwrap(), folder);
    let again = ensure_unpacked(&datasets, "tiny", None, &world.store, &Silent).unwrap();
    assert_eq!(again.folders[""], folder);
}

#[test]
fn a_folder_whose_archive_is_gone_is_verified_by_its_manifest() {
    let world = World::new();
    let datasets = world.tiny();
    fs::remove_file(world.project().join("images/tiny.zip")).unwrap();
    assert_eq!(world.verify(&datasets).verdict, Verdict::Missing);
    assert!(matches!(world.unpack(&datasets), Err(DatasetError::NotVerified(_))));
    unpacked(&world.data().join("tiny"), &FILES);
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Ok, "{report}");
    assert_eq!(report.archives[0].state, State::Missing);
    assert_eq!(world.unpack(&datasets).unwrap(), world.data().join("tiny"));
}

#[test]
fn every_file_that_differs_is_missing_or_extra_is_named() {
    let world = World::new();
    let datasets = world.tiny();
    let folder = world.data().join("tiny");
    unpacked(&folder, &FILES);
    fs::write(folder.join("img/a.png"), b"picture X").unwrap();
    fs::remove_file(folder.join("gt/a.png")).unwrap();
    fs::write(folder.join("gt/.DS_Store"), b"").unwrap();
    fs::remove_file(folder.join("img/b c ü.png")).unwrap();
    symlink("a.png", folder.join("img/b c ü.png")).unwrap();
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Differs);
    let tree = report.tree.as_ref().unwrap();
    assert_eq!(tree.missing, ["gt/a.png"]);
    assert_eq!(tree.extra, ["gt/.DS_Store"]);
    let differs: Vec<_> =
        tree.differs.iter().map(|file| (file.path.as_str(), file.found)).collect();
    assert_eq!(differs, [("img/a.png", Some(Digest::of(b"picture X"))), ("img/b c ü.png", None)]);
    let text = report.to_string();
    assert!(text.contains("of 3 files 2 differ, 1 is missing, 1 is extra"), "{text}");
    for part in [Digest::of(b"picture a").to_string(), Digest::of(b"picture X").to_string()] {
        assert!(text.contains(&part), "{text}");
    }
    let error = world.unpack(&datasets).unwrap_err();
    assert!(error.to_string().contains("missing  gt/a.png"), "{error}");
}

#[test]
fn an_archive_that_differs_is_shown_with_both_digests_and_never_unpacked() {
    let world = World::new();
    let datasets = world.tiny();
    let file = world.project().join("images/tiny.zip");
    let pinned = Digest::of(&fs::read(&file).unwrap());
    zip(&file, &FILES[..2]);
    let found = Digest::of(&fs::read(&file).unwrap());
    let error = world.unpack(&datasets).unwrap_err().to_string();
    assert!(error.contains(&format!("pinned  {pinned}")), "{error}");
    assert!(error.contains(&format!("found   {found}")), "{error}");
    assert!(!world.store.data_path(&datasets.get("tiny").unwrap().binding().unwrap()).exists());
}

#[test]
fn an_unpinned_archive_never_counts_as_verified() {
    let world = World::new();
    let text = "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"a.zip\"\nsize = 3\nunpinned = \"nobody published one\"\n";
    let datasets = world.parse(text).unwrap();
    assert_eq!(world.verify(&datasets).verdict, Verdict::Unpinned);
    fs::write(world.data().join("a.zip"), b"abc").unwrap();
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Unpinned);
    assert!(report.to_string().contains("unpinned  a.zip: nobody published one"), "{report}");
    fs::write(world.data().join("a.zip"), b"abcd").unwrap();
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Differs, "another size is another file");
    assert!(report.to_string().contains("pinned  3 bytes\n    found   4 bytes"), "{report}");
}

#[test]
fn counts_can_refuse_a_folder_but_not_vouch_for_it() {
    let world = World::new();
    let text = "[a]\ntitle = \"t\"\ntree = { counts = { \".\" = 3, img = 2 } }\n";
    let datasets = world.parse(text).unwrap();
    unpacked(&world.data().join("a"), &FILES);
    assert_eq!(world.verify(&datasets).verdict, Verdict::Unpinned);
    fs::remove_file(world.data().join("a/img/a.png")).unwrap();
    let report = world.verify(&datasets);
    assert_eq!(report.verdict, Verdict::Differs);
    assert_eq!(report.tree.unwrap().counts, [(".".to_owned(), 3, 2), ("img".to_owned(), 2, 1)]);
    let error = ensure_unpacked(&datasets, "a", Some(&world.data()), &world.store, &Silent);
    assert!(matches!(error, Err(DatasetError::NoManifest { .. })));
}

#[test]
fn a_manifest_that_is_not_the_pinned_one_is_refused() {
    let world = World::new();
    let datasets = world.tiny();
    fs::write(world.project().join("images/tiny.tree"), "").unwrap();
    let error = world.unpack(&datasets).unwrap_err();
    assert!(matches!(error, DatasetError::Manifest { .. }), "{error}");
    assert!(error.to_string().contains(&Digest::of(b"").to_string()), "{error}");
}

/// Counts the bytes that were really hashed.
#[derive(Default)]
struct Counter(AtomicU64);

impl Progress for Counter {
    fn begin(&self, _what: &str, _bytes: u64) {}
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
    fn finish(&self) {}
}

#[test]
fn what_is_unchanged_is_not_read_again_unless_all_is_asked_for() {
    let world = World::new();
    let datasets = world.tiny();
    unpacked(&world.data().join("tiny"), &FILES);
    let hashed = |full| {
        let counter = Counter::default();
        let reports =
            verify(&datasets, &[], Some(&world.data()), full, &world.store, &counter).unwrap();
        (reports[0].verdict, counter.0.into_inner())
    };
    let (_, first) = hashed(false);
    assert_eq!(first, FILES.iter().map(|(_, content)| content.len() as u64).sum::<u64>());
    assert_eq!(hashed(false), (Verdict::Ok, 0));
    let (verdict, full) = hashed(true);
    assert!(verdict == Verdict::Ok && full > first, "the archive is read as well");
    // Same size and same modification time: the change time still tells.
    let path = world.data().join("tiny/img/a.png");
    let times = File::open(&path).unwrap().metadata().unwrap().modified().unwrap();
    fs::write(&path, b"picture Y").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
    assert_eq!(hashed(false), (Verdict::Differs, 9));
}

#[test]
fn files_of_every_size_around_the_buffers_are_hashed_right() {
    let world = World::new();
    let sizes = [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, (8 << 20) + 3, 9 << 20];
    let mut text = String::from("[a]\ntitle = \"t\"\n");
    for (at, size) in sizes.iter().enumerate() {
        let content: Vec<u8> = (0..*size).map(|byte: u32| ((byte * 31) >> 3) as u8).collect();
        fs::write(world.data().join(format!("{at}.bin")), &content).unwrap();
        text += &format!(
            "[[a.archive]]\nfile = \"{at}.bin\"\nsize = {size}\nsha256 = \"{}\"\n",
            Digest::of(&content).hex()
        );
    }
    let report = world.verify(&world.parse(&text).unwrap());
    assert_eq!(report.verdict, Verdict::Ok, "{report}");
}

#[test]
fn an_unreadable_file_does_not_hide_the_others() {
    let world = World::new();
    let datasets = world.tiny();
    let folder = world.data().join("tiny");
    unpacked(&folder, &FILES);
    fs::remove_file(folder.join("img/a.png")).unwrap();
    fs::create_dir(folder.join("img/a.png")).unwrap();
    let report = world.verify(&datasets);
    let tree = report.tree.unwrap();
    assert_eq!((tree.missing.len(), tree.differs.len(), tree.extra.len()), (1, 0, 0));
}

#[test]
fn a_flipped_byte_in_the_store_s_own_copy_is_found_and_named() {
    let world = World::new();
    let datasets = world.tiny();
    let folder = world.unpack(&datasets).unwrap();
    fs::write(folder.join("gt/a.png"), b"lAbel a").unwrap();
    let error = world.unpack(&datasets).unwrap_err().to_string();
    assert!(error.contains("differs  gt/a.png"), "{error}");
}

/// Pins `archive` as data set `tiny` with the manifest `files`, whatever it holds.
fn forced(world: &World, archive: &str, files: &[(&str, &[u8])]) -> Datasets {
    let bytes = fs::read(world.project().join(archive)).unwrap();
    let lines = files
        .iter()
        .map(|(path, content)| format!("{} {} {path}\n", Digest::of(content).hex(), content.len()));
    let manifest: String = lines.collect();
    fs::write(world.project().join("tiny.tree"), &manifest).unwrap();
    let text = format!(
        "[tiny]\ntitle = \"t\"\n[tiny.tree]\nmanifest = \"tiny.tree\"\nsha256 = \"{}\"\n[[tiny.archive]]\nfile = \"{archive}\"\npath = \"{archive}\"\nsize = {}\nsha256 = \"{}\"\n",
        Digest::of(manifest.as_bytes()).hex(),
        bytes.len(),
        Digest::of(&bytes).hex()
    );
    world.parse(&text).unwrap()
}

fn refusal(build: impl FnOnce(&mut tar::Builder<File>), files: &[(&str, &[u8])]) -> String {
    let world = World::new();
    tar_of(&world.project().join("bad.tar"), build);
    let datasets = forced(&world, "bad.tar", files);
    let error = world.unpack(&datasets).unwrap_err().to_string();
    let outside = world.folder.path().join("evil");
    assert!(!outside.exists() && !Path::new("/evil").exists());
    let data = fs::read_dir(world.store.root().join("data")).unwrap();
    assert_eq!(data.count(), 0, "half a data set is left");
    error
}

#[test]
fn an_archive_cannot_leave_its_folder() {
    use tar::EntryType::{Char, Link, Regular, Symlink};
    for name in ["../evil", "/evil", "a/../../evil", "a//evil", "a\\evil"] {
        let entry = header(name, Regular, 1);
        let error = refusal(|tar| tar.append(&entry, &b"x"[..]).unwrap(), &[("a", b"x")]);
        assert!(error.contains("a local path is relative") && error.contains(name), "{error}");
    }
    for (kind, reason) in [
        (Symlink, "the manifest does not name it"),
        (Link, "a local path is relative"),
        (Char, "neither a file nor a link nor a folder"),
    ] {
        let entry = header("a", kind, 0);
        let error = refusal(|tar| tar.append(&entry, &b""[..]).unwrap(), &[("a", b"x")]);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn nothing_is_unpacked_that_the_manifest_does_not_name() {
    use tar::EntryType::Regular;
    let entry = |name, content: &'static [u8]| {
        move |tar: &mut tar::Builder<File>| {
            tar.append(&header(name, Regular, content.len() as u64), content).unwrap();
        }
    };
    let error = refusal(entry("b", b"x"), &[("a", b"x")]);
    assert!(error.contains("the manifest does not name it"), "{error}");
    let error = refusal(entry("a", b"xx"), &[("a", b"x")]);
    assert!(error.contains("more than the 1 bytes of the manifest"), "{error}");
    let error = refusal(entry("a", b"y"), &[("a", b"x")]);
    assert!(error.contains("it is another file"), "{error}");
    assert!(error.contains(&Digest::of(b"x").to_string()), "{error}");
    let error = refusal(entry("a", b"x"), &[("a", b"x"), ("b", b"x")]);
    assert!(error.contains("missing  b"), "{error}");
    let twice = |tar: &mut tar::Builder<File>| {
        entry("a", b"x")(tar);
        entry("a", b"x")(tar);
    };
    assert!(refusal(twice, &[("a", b"x")]).contains("cannot create"));
}

#[test]
fn a_damaged_or_odd_zip_is_an_error_that_names_it() {
    let world = World::new();
    let file = world.project().join("bad.zip");
    zip(&file, &[("a", b"content of a")]);
    let good = fs::read(&file).unwrap();
    let at = good.windows(7).position(|window| window == b"content").unwrap();
    let mut flipped = good.clone();
    flipped[at] = b'C';
    let cases =
        [(flipped, "entry   a"), (good[..good.len() / 2].to_vec(), "cannot read the archive")];
    for (bytes, expected) in cases {
        fs::write(&file, bytes).unwrap();
        let datasets = forced(&world, "bad.zip", &[("a", b"content of a")]);
        let error = world.unpack(&datasets).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("bad.zip"), "{error}");
    }
    fs::write(world.project().join("bad.rar"), b"Rar!").unwrap();
    let datasets = forced(&world, "bad.rar", &[("a", b"x")]);
    let error = world.unpack(&datasets).unwrap_err().to_string();
    assert!(error.contains("its name ends in none of"), "{error}");
}

#[test]
fn a_symbolic_link_in_a_zip_that_leads_out_of_it_is_refused() {
    let world = World::new();
    let file = world.project().join("link.zip");
    let mut zip = zip::ZipWriter::new(File::create(&file).unwrap());
    zip.add_symlink("a", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap();
    let datasets = forced(&world, "link.zip", &[("a", b"x")]);
    let error = world.unpack(&datasets).unwrap_err().to_string();
    assert!(error.contains("the manifest does not name it"), "{error}");
    let datasets = Datasets::load(&world.project()).unwrap();
    let error = pin(&datasets, &file, true, &world.store, &Silent).unwrap_err().to_string();
    assert!(error.contains("link to `/etc/passwd`, which leads out of the data set"), "{error}");
}

#[test]
fn a_cut_tar_is_an_error() {
    let world = World::new();
    let file = world.project().join("cut.tar");
    let content = [b'x'; 2000];
    let entry = header("a", tar::EntryType::Regular, 2000);
    tar_of(&file, |tar| tar.append(&entry, &content[..]).unwrap());
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..1500]).unwrap();
    let datasets = forced(&world, "cut.tar", &[("a", &content)]);
    let error = world.unpack(&datasets).unwrap_err().to_string();
    assert!(error.contains("entry   a"), "{error}");
}

#[test]
fn a_folder_of_the_archive_can_be_left_out_of_the_paths() {
    let world = World::new();
    zip(&world.project().join("tiny.zip"), &[("sample/a", b"x"), ("sample/b/c", b"y")]);
    let text = "[tiny]\ntitle = \"t\"\n[[tiny.archive]]\nfile = \"tiny.zip\"\npath = \"tiny.zip\"\nunpinned = \"r\"\nstrip = \"sample\"\n";
    fs::write(world.project().join("datasets.toml"), text).unwrap();
    let datasets = world.pin_project_file("tiny.zip");
    let folder = world.unpack(&datasets).unwrap();
    assert_eq!(fs::read(folder.join("b/c")).unwrap(), b"y");
    zip(&world.project().join("tiny.zip"), &[("other/a", b"x")]);
    let error = pin(&datasets, &world.project().join("tiny.zip"), true, &world.store, &Silent);
    assert!(error.unwrap_err().to_string().contains("it is not below `sample`"));
}

#[test]
fn a_report_is_complete_as_json() {
    let world = World::new();
    let report = world.verify(&world.tiny());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"], "ok");
    assert_eq!(json["archives"][0]["state"], "ok");
    assert_eq!(json["tree"]["verdict"], "missing");
    assert_eq!(json["binding"], report.binding.unwrap().to_string());
}
