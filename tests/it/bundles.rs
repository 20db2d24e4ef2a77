//! A bundle carries an image; what is wrong with it is found before anything is registered.

use std::fs;

use repro::build::{self, Builder};
use repro::carry::{CarryError, Contents, Imported, import, write};
use repro::digest::Digest;
use repro::engine::Stop;
use repro::engine::fake::{Answer, Fake};
use repro::fetch::Quiet;
use repro::lock::Lock;
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use super::building::World;

fn bundle_of(world: &World, lock: &Lock) -> Vec<u8> {
    let mut contents = Contents::default();
    contents.add_image(&world.store, lock, "tracker", "a recipe\n").unwrap();
    let run = world.folder.path().join("run");
    fs::create_dir_all(run.join("a/b")).unwrap();
    fs::write(run.join("a/b/log"), "a log\n").unwrap();
    for number in [1, 2] {
        let repetition = run.join(format!("s/model/sp/bs2/fp32/repeat-{number}"));
        fs::create_dir_all(&repetition).unwrap();
        fs::write(repetition.join("log"), format!("repetition {number}\n")).unwrap();
    }
    contents.add_run("20261122T000000Z-1", &run).unwrap();
    let mut bytes = Vec::new();
    write(&contents, &mut bytes, &Stop::new(), &|_| {}).unwrap();
    bytes
}

pub fn sample() -> (World, Lock, Vec<u8>) {
    let world = World::new();
    let lock = world.build(&world.lock("net = 1\n")).unwrap().lock;
    let bytes = bundle_of(&world, &lock);
    (world, lock, bytes)
}

fn import_into(store: &Store, bytes: &[u8]) -> Result<Imported, CarryError> {
    import(store, &mut &*bytes, None, &Stop::new(), &|_| {})
}

pub fn empty_store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// Whether nothing of an image is registered and nothing lies where it would be looked for.
fn is_untouched(store: &Store) -> bool {
    let folder = |name: &str| fs::read_dir(store.root().join(name)).unwrap().count();
    build::sources(store).unwrap().is_empty() && folder("checkouts") == 0 && folder("runs") == 0
}

#[test]
fn every_repetition_of_a_run_is_carried() {
    let (_world, _, bytes) = sample();
    let (_folder, store) = empty_store();
    let imported = import_into(&store, &bytes).unwrap();
    for number in [1, 2] {
        let log = imported.runs[0].1.join(format!("s/model/sp/bs2/fp32/repeat-{number}/log"));
        assert_eq!(fs::read_to_string(log).unwrap(), format!("repetition {number}\n"));
    }
}

#[test]
fn an_imported_image_builds_by_its_seal_without_checkout_and_network() {
    let (_world, lock, bytes) = sample();
    let (folder, store) = empty_store();
    let imported = import_into(&store, &bytes).unwrap();
    let seal = lock.seal.as_ref().unwrap().manifest;
    assert_eq!(imported.images, [("tracker-debian".to_owned(), seal)]);
    assert_eq!(imported.runs[0].0, "20261122T000000Z-1");
    assert_eq!(fs::read_to_string(imported.runs[0].1.join("a/b/log")).unwrap(), "a log\n");
    let source = build::source_of(&store, &seal).unwrap();
    let environment = Environment::new(folder.path(), folder.path()).with("HOME", "/nowhere");
    let options = Options { offline: true, ..Options::default() };
    let settings = Settings::load_in(options, environment).unwrap();
    let engine = Fake::new(Answer::text(""));
    let builder = Builder {
        settings: &settings,
        store: &store,
        engine: &engine,
        progress: &Quiet,
        stop: &Stop::new(),
        folder: source.folder,
        recipe: None,
    };
    let text = store.read_blob(&source.lock).unwrap();
    let kept = Lock::parse(&String::from_utf8(text).unwrap(), "x.lock".as_ref()).unwrap();
    assert_eq!(kept, lock);
    assert_eq!(builder.build(&kept).unwrap().image.seal, seal);
    // Once more brings nothing new and breaks nothing.
    assert_eq!(import_into(&store, &bytes).unwrap(), imported);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an archive of our own")]
fn the_same_contents_give_the_same_bytes_and_another_tar_reads_them() {
    let (world, lock, bytes) = sample();
    assert_eq!(Digest::of(&bundle_of(&world, &lock)), Digest::of(&bytes));
    let mut archive = tar::Archive::new(bytes.as_slice());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names[0].starts_with("repro-bundle/"), "{names:?}");
    assert!(names.contains(&"project/images/net.py".to_owned()), "{names:?}");
    assert!(names.contains(&"project/lockfiles/tracker-debian.lock".to_owned()), "{names:?}");
}

#[test]
fn a_bundle_that_was_cut_anywhere_is_refused_and_registers_nothing() {
    let (_world, _lock, bytes) = sample();
    let (_folder, store) = empty_store();
    for cut in [0, 100, 600, bytes.len() / 2, bytes.len() - 1024, bytes.len() - 1] {
        let error = import_into(&store, &bytes[..cut]).unwrap_err();
        assert!(
            matches!(error, CarryError::Cut { .. } | CarryError::NotABundle { .. }),
            "{cut}: {error}"
        );
        assert!(is_untouched(&store), "{cut}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(import_into(&store, &longer), Err(CarryError::OtherEntry { .. })));
    assert!(is_untouched(&store));
}

#[test]
fn a_flipped_byte_anywhere_is_found() {
    let (_world, _lock, bytes) = sample();
    let (_folder, store) = empty_store();
    let step = bytes.len() / 97;
    for position in (0..bytes.len()).step_by(step) {
        let mut wrong = bytes.clone();
        wrong[position] ^= 1;
        assert!(import_into(&store, &wrong).is_err(), "byte {position}");
        assert!(is_untouched(&store), "byte {position}");
    }
    assert!(import_into(&store, &bytes).is_ok());
}

#[test]
fn an_entry_that_the_index_does_not_name_is_refused_by_its_name() {
    let (_world, _lock, bytes) = sample();
    let (_folder, store) = empty_store();
    let index_size = tar::Header::from_byte_slice(bytes[..512].try_into().unwrap()).entry_size();
    let first = 512 + (index_size.unwrap() as usize).next_multiple_of(512);
    let mut header = repro::layer::archive_header("../../etc/passwd", 0);
    header.extend_from_slice(&bytes[first..]);
    let wrong = [&bytes[..first], &header].concat();
    let error = import_into(&store, &wrong).unwrap_err().to_string();
    assert!(error.contains("found     `../../etc/passwd`"), "{error}");
    assert!(is_untouched(&store));
    let other = tar_of_a_file();
    let error = import_into(&store, &other).unwrap_err().to_string();
    assert!(error.contains("this is no bundle"), "{error}");
}

fn tar_of_a_file() -> Vec<u8> {
    let mut bytes = repro::layer::archive_header("notes.txt", 512);
    bytes.extend([b'x'; 512 + 1024]);
    bytes
}

#[test]
fn a_project_goes_where_it_is_asked_to_and_replaces_nothing() {
    let (_world, lock, bytes) = sample();
    let (folder, store) = empty_store();
    let place = folder.path().join("deep/project");
    let get = || import(&store, &mut bytes.as_slice(), Some(&place), &Stop::new(), &|_| {});
    get().unwrap();
    let text = fs::read_to_string(place.join("lockfiles/tracker-debian.lock")).unwrap();
    assert_eq!(text, lock.to_text());
    assert_eq!(fs::read_to_string(place.join("images/tracker.toml")).unwrap(), "a recipe\n");
    assert!(matches!(get(), Err(CarryError::Exists { .. })));
}

#[test]
fn a_bundle_is_not_written_from_a_damaged_store() {
    let (world, lock, _) = sample();
    let mut contents = Contents::default();
    contents.add_image(&world.store, &lock, "tracker", "a recipe\n").unwrap();
    let path = world.store.blob_path(&lock.wheels[0].sha256);
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    assert!(write(&contents, &mut Vec::new(), &Stop::new(), &|_| {}).is_err());
    fs::remove_file(&path).unwrap();
    let missing = Contents::default().add_image(&world.store, &lock, "tracker", "");
    assert!(matches!(missing, Err(CarryError::Missing { .. })));
}
