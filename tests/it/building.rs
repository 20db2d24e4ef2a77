//! An image is a function of its lock; whatever disturbs that is refused and named.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow::{Break, Continue};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use repro::build::{BuildError, Builder, Built, Rebuilt, Verdict, rebuild, verify};
use repro::digest::{DiffId, Digest};
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Exit, Stop};
use repro::fetch::Quiet;
use repro::image::{self, Image, ImageError, export_archive};
use repro::layer::EPOCH;
use repro::lock::{
    Asked, BuildSource, ImageConfig, Lock, LockedBuild, LockedFile, LockedPackage, LockedSource,
    LockedWheel, Unpinned,
};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;
use tar::EntryType::{Directory, Regular};

use super::archives::{ZipItem, control, package, tar as tar_of, wheel};
use super::layers::python;

/// A store with the inputs of a small lock, and everything a build needs.
pub struct World {
    pub folder: tempfile::TempDir,
    pub store: Store,
    pub engine: Fake,
    settings: Settings,
    stop: Stop,
}

impl World {
    pub fn new() -> Self {
        Self::with_engine(Fake::new(Answer::text("")))
    }

    pub fn with_engine(engine: Fake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let environment = Environment::new(folder.path(), folder.path()).with("HOME", "/nowhere");
        let options = Options { offline: true, ..Options::default() };
        let settings = Settings::load_in(options, environment).unwrap();
        Self { folder, store, engine, settings, stop: Stop::new() }
    }

    pub fn builder(&self) -> Builder<'_> {
        Builder {
            settings: &self.settings,
            store: &self.store,
            engine: &self.engine,
            progress: &Quiet,
            stop: &self.stop,
            folder: self.folder.path().to_owned(),
            recipe: None,
        }
    }

    /// A lock of one package, one wheel and one local file, whose inputs are in the store.
    pub fn lock(&self, local: &str) -> Lock {
        fs::write(self.folder.path().join("net.py"), local).unwrap();
        Lock {
            name: "tracker-debian".to_owned(),
            epoch: EPOCH,
            asked: Asked::default(),
            as_of: "2026-11-20".to_owned(),
            base: None,
            suite: "bullseye".to_owned(),
            python: python(),
            config: ImageConfig {
                architecture: "amd64".to_owned(),
                env: BTreeMap::from([("PATH".to_owned(), "/usr/bin".to_owned())]),
                workdir: "/".to_owned(),
                entrypoint: Vec::new(),
                writable: vec!["/tmp".to_owned()],
                shm_size: 1 << 20,
            },
            packages: vec![locked_package(&self.store)],
            wheels: vec![locked_wheel(&self.store, "numbers")],
            git: Vec::new(),
            downloads: Vec::new(),
            find_links: Vec::new(),
            builds: Vec::new(),
            symlinks: BTreeMap::from([("/bin/sh".to_owned(), "dash".to_owned())]),
            files: BTreeMap::from([(
                "/etc/passwd".to_owned(),
                "root:x:0:0::/:/bin/sh\n".to_owned(),
            )]),
            local_files: vec![LockedFile {
                path: "/opt/net.py".to_owned(),
                source: "net.py".to_owned(),
                executable: false,
                size: local.len() as u64,
                sha256: Digest::of(local.as_bytes()),
            }],
            profile_files: Vec::new(),
            unpinned: Vec::new(),
            seal: None,
        }
    }

    pub fn build(&self, lock: &Lock) -> Result<Built, BuildError> {
        self.builder().build(lock)
    }
}

pub fn locked_package(store: &Store) -> LockedPackage {
    let data = tar_of(&[
        ("./bin/", Directory, 0o755, ""),
        ("./bin/dash", Regular, 0o755, "a shell"),
        ("./tmp/", Directory, 0o1777, ""),
    ]);
    let bytes = package(&control("dash"), "data.tar", &data);
    LockedPackage {
        name: "dash".to_owned(),
        version: "1.0".to_owned(),
        architecture: "amd64".to_owned(),
        path: "pool/main/d/dash/dash_1.0_amd64.deb".to_owned(),
        size: bytes.len() as u64,
        sha256: store.put(&bytes).unwrap(),
    }
}

pub fn locked_wheel(store: &Store, name: &str) -> LockedWheel {
    let content: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
    let bytes = wheel(name, vec![ZipItem::new(&format!("{name}/data.bin"), &content)]);
    LockedWheel {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        file: format!("{name}-1.0-py3-none-any.whl"),
        size: bytes.len() as u64,
        sha256: store.put(&bytes).unwrap(),
        requested: true,
    }
}

/// Changes one byte of a blob, as a failing disk would.
fn flip_a_byte(store: &Store, digest: &Digest) {
    let path = store.blob_path(digest);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_lock_of_the_first_epoch_gives_the_image_that_it_always_gave() {
    let world = World::new();
    let lock = Lock { epoch: 1, ..world.lock("net = 1\n") };
    let built = world.build(&lock).unwrap();
    assert!(built.fresh);
    assert_eq!(
        built.image.seal.to_string(),
        "sha256:4bb9f72869b6c5efb10e994d9749b48b3f51fc22f658b7b12eae33c3bc9f92dd",
        "a changed installer, tar rule or document is a new format epoch"
    );
    let origins: Vec<_> = built.image.layers.iter().map(|layer| layer.origin.as_str()).collect();
    assert_eq!(origins, ["Debian packages (1)", "numbers 1.0", "local files (1)"]);
}

#[test]
fn a_second_build_does_nothing_and_another_store_gives_the_same_seal() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let again = world.build(&built.lock).unwrap();
    assert!(!again.fresh && again.image.seal == built.image.seal);
    // A lock that lost its seal gets it again, although nothing had to be built.
    let bare = Lock { seal: None, ..built.lock.clone() };
    assert_eq!(world.build(&bare).unwrap().lock, built.lock);
    let other = World::new();
    let elsewhere = other.build(&other.lock("net = 1\n")).unwrap();
    assert_eq!(elsewhere.lock, built.lock);
    // With its seal the lock is proven, not measured; the result is the same.
    let third = World::new();
    third.lock("net = 1\n");
    assert_eq!(third.build(&built.lock).unwrap().image.seal, built.image.seal);
}

#[test]
fn a_seal_that_does_not_come_out_is_an_error_with_both() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let other = World::new();
    other.lock("net = 1\n");
    let mut lock = built.lock.clone();
    let wrong = Digest::of(b"another manifest");
    lock.seal.as_mut().unwrap().manifest = wrong;
    let error = other.build(&lock).unwrap_err().to_string();
    assert!(error.contains(&wrong.to_string()), "{error}");
    assert!(error.contains(&built.image.seal.to_string()), "{error}");
    lock.seal.as_mut().unwrap().layers[1].digest = wrong;
    let error = other.build(&lock).unwrap_err().to_string();
    assert!(error.contains(&wrong.to_string()), "{error}");
    // A diff ID that only the lock has wrong is found where the layer is known.
    let mut lock = built.lock.clone();
    lock.seal.as_mut().unwrap().layers[1].diff_id = DiffId(wrong);
    let error = world.build(&lock).unwrap_err().to_string();
    assert!(error.contains(&wrong.to_string()), "{error}");
    assert_eq!(world.build(&built.lock).unwrap().image.seal, built.image.seal);
}

#[test]
fn a_flipped_byte_in_a_stored_input_is_found_and_named() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let other = World::new();
    let lock = other.lock("net = 1\n");
    flip_a_byte(&other.store, &lock.wheels[0].sha256);
    for lock in [&lock, &built.lock] {
        let error = other.build(lock).unwrap_err();
        assert!(
            matches!(&error, BuildError::DamagedInput { name, .. } if name.starts_with("numbers-1.0")),
            "{error}"
        );
    }
    let report = other.store.fsck(|_| Continue(())).unwrap();
    assert_eq!(report.damage[0].expected, Some(lock.wheels[0].sha256));
}

#[test]
fn a_lock_that_cannot_be_built_is_refused_with_the_reason() {
    let world = World::new();
    let mut lock = world.lock("net = 1\n");
    lock.unpinned = vec![Unpinned::new("the base", "gone")];
    assert!(world.build(&lock).unwrap_err().to_string().contains("the base: gone"));
    let later = Lock { epoch: EPOCH + 1, ..world.lock("net = 1\n") };
    assert!(matches!(world.build(&later), Err(BuildError::Epoch { .. })));
    let lock = world.lock("net = 1\n");
    fs::write(world.folder.path().join("net.py"), "net = 2\n").unwrap();
    let error = world.build(&lock).unwrap_err();
    assert!(
        matches!(&error, BuildError::LocalFile { found: Some(found), .. } if *found == Digest::of(b"net = 2\n"))
    );
    fs::remove_file(world.folder.path().join("net.py")).unwrap();
    assert!(world.build(&lock).unwrap_err().to_string().contains("no file"));
}

#[test]
fn a_second_build_in_an_empty_store_is_good_and_never_sees_the_seal() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let other = World::new();
    other.lock("net = 1\n");
    let rebuilt = rebuild(&other.builder(), &world.store, &built.lock).unwrap();
    let verdict = verify(&world.store, &other.store, &built.lock, &rebuilt).unwrap();
    assert_eq!(verdict, Verdict::Good(built.image.seal));
}

#[test]
fn the_first_entry_that_differs_is_named_with_both_values() {
    let world = World::new();
    let sealed = world.build(&world.lock("net = 1\n")).unwrap();
    let other = World::new();
    let changed = other.build(&other.lock("net = 22\n")).unwrap();
    let rebuilt = Rebuilt { seal: changed.image.seal, layers: Vec::new() };
    let verdict = verify(&world.store, &other.store, &sealed.lock, &rebuilt).unwrap();
    let Verdict::Bad { difference, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(difference.place, "`opt/net.py` in layer `local files (1)`");
    assert!(difference.sealed.contains("size 8"), "{difference}");
    assert!(difference.rebuilt.contains("size 9"), "{difference}");
}

/// A compiler that leaves a wheel in `/out`; `salt` makes two of them differ.
pub fn compiler(salt: &'static str) -> Fake {
    Fake::with(move |job| {
        let out = job.mounts.iter().find(|mount| mount.target == "/out").unwrap();
        let bytes = wheel("lap", vec![ZipItem::new("lap.py", salt.as_bytes())]);
        fs::write(out.source.join("lap-1.0-py3-none-any.whl"), bytes).unwrap();
        Answer::text("compiled\n")
    })
}

pub fn with_job(world: &World) -> Lock {
    let source = source_archive(world.folder.path());
    let build = LockedBuild {
        name: "lap".to_owned(),
        version: "1.0".to_owned(),
        source: BuildSource::Distribution(LockedSource {
            file: "lap-1.0.tar.gz".to_owned(),
            size: source.len() as u64,
            sha256: world.store.put(&source).unwrap(),
        }),
        packages: Vec::new(),
        wheels: vec![locked_wheel(&world.store, "setuptools")],
        env: BTreeMap::from([("WITH".to_owned(), "0".to_owned())]),
        command: vec!["python3".to_owned(), "setup.py".to_owned()],
        repeatable: true,
        local: Vec::new(),
        profile: None,
        outputs: BTreeMap::new(),
        output: None,
        files: Vec::new(),
    };
    Lock { builds: vec![build], ..world.lock("net = 1\n") }
}

/// Our reader takes any gzip, so the source is made by the system's own program.
fn source_archive(folder: &Path) -> Vec<u8> {
    let tar = tar_of(&[("lap-1.0/setup.py", Regular, 0o644, "setup()\n")]);
    let path = folder.join("source.tar");
    fs::write(&path, tar).unwrap();
    let output = std::process::Command::new("gzip").arg("-nc").arg(&path).output().unwrap();
    output.stdout
}

#[test]
fn a_job_compiles_a_source_whose_wheel_becomes_part_of_lock_and_image() {
    let world = World::with_engine(compiler("x = 1\n"));
    let built = world.build(&with_job(&world)).unwrap();
    let output = built.lock.builds[0].output.as_ref().unwrap();
    assert!(world.store.has(&output.sha256));
    let call = &world.engine.calls()[0];
    assert_eq!(call.job.env["SOURCE_DATE_EPOCH"], "315532800");
    assert_eq!(call.job.env["WITH"], "0");
    assert!(
        built.image.layers[2].plan().unwrap().entries().any(|entry| entry.path.ends_with("lap.py"))
    );
    // What is pinned and there is not compiled again.
    world.build(&built.lock).unwrap();
    assert_eq!(world.engine.calls().len(), 1);
}

#[test]
fn a_job_that_gives_other_bytes_or_fails_is_an_error() {
    let world = World::with_engine(compiler("x = 1\n"));
    let built = world.build(&with_job(&world)).unwrap();
    let other = World::with_engine(compiler("x = 2\n"));
    with_job(&other);
    let error = other.build(&built.lock).unwrap_err();
    assert!(matches!(error, BuildError::OutputDiffers { .. }), "{error}");
    let failing =
        World::with_engine(Fake::new(Answer::text("error: no compiler\n").exit(Exit::Status(1))));
    let error = failing.build(&with_job(&failing)).unwrap_err().to_string();
    assert!(error.contains("status 1") && error.contains("error: no compiler"), "{error}");
    let idle = World::new();
    let error = idle.build(&with_job(&idle)).unwrap_err().to_string();
    assert!(error.contains("0 wheels"), "{error}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an archive of our own")]
fn an_export_holds_the_manifest_and_layers_it_names_and_replaces_nothing() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let layout = world.folder.path().join("layout");
    image::export_layout(&world.store, &built.image, &layout, &|_| Continue(())).unwrap();
    for layer in &built.image.layers {
        let bytes = fs::read(layout.join("blobs/sha256").join(layer.digest.hex())).unwrap();
        assert_eq!(Digest::of(&bytes), layer.digest);
    }
    assert!(image::export_layout(&world.store, &built.image, &layout, &|_| Continue(())).is_err());
    let archive = world.folder.path().join("image.tar");
    image::export_archive(&world.store, &built.image, &archive, &|_| Continue(())).unwrap();
    let mut reader = tar::Archive::new(fs::File::open(&archive).unwrap());
    let names: Vec<String> = reader
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.contains(&"manifest.json".to_owned()), "{names:?}");
    assert!(names.contains(&format!("blobs/sha256/{}", built.image.seal.hex())), "{names:?}");
    assert_eq!(names.len(), 5 + built.image.layers.len());
}

/// A sealed lock in a store that has its inputs and nothing else.
fn sealed_elsewhere() -> (World, Lock) {
    let (first, second) = (World::new(), World::new());
    let built = first.build(&first.lock("net = 1\n")).unwrap();
    second.lock("net = 1\n");
    (second, built.lock)
}

#[test]
fn an_image_that_is_streamed_for_the_first_time_is_proven_by_it() {
    let (world, lock) = sealed_elsewhere();
    let archive = world.folder.path().join("image.tar");
    let export = |image: &Image| {
        Ok::<_, BuildError>(export_archive(&world.store, image, &archive, &|_| Continue(()))?)
    };
    let built = world.builder().build_streaming(&lock, export).unwrap();
    assert!(built.fresh && built.lock == lock);
    assert!(archive.exists());
    let again = world.build(&lock).unwrap();
    assert!(!again.fresh, "nothing is left to be proven");
    let image = Image::load(&world.store, &built.image.seal).unwrap();
    assert_eq!(image.layers.len(), lock.seal.unwrap().layers.len());
}

#[test]
fn an_image_whose_streaming_fails_is_no_image() {
    let (world, lock) = sealed_elsewhere();
    let stop = |_: &Image| Err(BuildError::Stopped);
    let error = world.builder().build_streaming(&lock, stop).unwrap_err();
    assert!(matches!(error, BuildError::Stopped));
    let seal = lock.seal.as_ref().unwrap().manifest;
    assert!(matches!(Image::load(&world.store, &seal), Err(ImageError::Unknown { .. })));
}

#[test]
fn a_lock_that_promises_other_bytes_is_found_by_the_first_streaming() {
    let (world, mut lock) = sealed_elsewhere();
    let seal = lock.seal.as_mut().unwrap();
    seal.layers[1].digest = Digest::of(b"other bytes");
    let error = world.builder().build_streaming(&lock, |_| Ok::<_, BuildError>(())).unwrap_err();
    assert!(matches!(error, BuildError::SealDiffers { .. }), "{error}");
}

#[test]
fn an_export_that_is_stopped_leaves_nothing() {
    let world = World::new();
    let built = world.build(&world.lock("net = 1\n")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let error = image::export_layout(&world.store, &built.image, &layout, &|_| Break(()));
    assert!(matches!(error, Err(image::ImageError::Stopped)), "{error:?}");
    let archive = folder.path().join("image.tar");
    let error = image::export_archive(&world.store, &built.image, &archive, &|_| Break(()));
    assert!(matches!(error, Err(image::ImageError::Stopped)), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_build_stops_inside_a_layer_and_the_next_one_goes_on() {
    let world = World::new();
    let lock = world.lock("net = 1\n");
    let stopping = Stopping { stop: Stop::new(), told: Mutex::new(0) };
    let builder = Builder { progress: &stopping, stop: &stopping.stop, ..world.builder() };
    let error = builder.build(&lock).unwrap_err();
    assert!(matches!(error, BuildError::Stopped), "{error}");
    assert!(*stopping.told.lock().unwrap() > 0, "it was stopped before the layers");
    assert!(world.build(&lock).unwrap().fresh);
}

/// Asks to stop as soon as the first bytes of a layer are done.
struct Stopping {
    stop: Stop,
    told: Mutex<u64>,
}

impl repro::fetch::Progress for Stopping {
    fn begin(&self, _files: usize, _bytes: u64) {}
    fn started(&self, _name: &str, _size: u64) {}
    fn advanced(&self, _name: &str, _bytes: u64) {}
    fn retried(&self, _name: &str, _lost: u64, _reason: &str) {}
    fn finished(&self, _name: &str) {}
    fn end(&self) {}
}

impl repro::build::Progress for Stopping {
    fn step(&self, _what: &str, _bytes: u64) {}
    fn done(&self, bytes: u64) {
        *self.told.lock().unwrap() += bytes;
        self.stop.request();
    }
    fn step_ends(&self) {}
}
