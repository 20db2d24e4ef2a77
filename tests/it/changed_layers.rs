//! Unpacked layers on the disk: who can reach them, and what happens when somebody changed one.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use repro::digest::{DiffId, Digest};
use repro::engine::embedded::rootfs::ensure;
use repro::engine::embedded::{Embedded, audit};
use repro::engine::{Changed, Stop, Unpacking};
use repro::image::{Content, ImageLayer};
use repro::lock::Compression;
use repro::store::Store;

use super::conformance::world::{World, embedded};
use super::unpack::Stream;

fn layer(store: &Store, stream: Stream) -> ImageLayer {
    let tar = stream.end();
    let (digest, diff_id) = (store.put(&tar).unwrap(), DiffId(Digest::of(&tar)));
    let (origin, size) = ("a base".to_owned(), tar.len() as u64);
    ImageLayer { origin, diff_id, digest, size, content: Content::Base(Compression::None) }
}

fn place(store: &Store, layer: &ImageLayer) -> PathBuf {
    ensure(store, layer.diff_id, |out: &mut (dyn Write + Send)| layer.write_tar(store, out))
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn stream() -> Stream {
    Stream::new()
        .entry(b'5', "tmp", 0o1777, "", b"")
        .entry(b'0', "tool", 0o4755, "", b"#!/bin/sh\n")
        .entry(b'1', "again", 0o4755, "tool", b"")
        .entry(b'6', "pipe", 0o600, "", b"")
        .file("folder/file", b"right")
}

#[test]
fn nobody_else_can_reach_a_setuid_program_of_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let scratch = store.scratch("test").unwrap();
    let place = place(&store, &layer(&store, stream()));
    // What a job sees is what its image says.
    assert_eq!((mode(&place.join("tool")), mode(&place.join("tmp"))), (0o4755, 0o1777));
    for closed in [&place, &folder.path().join("rootfs"), scratch.parent().unwrap()] {
        assert_eq!(mode(closed), 0o700, "{}", closed.display());
    }
    assert_eq!(mode(&folder.path().join("tmp")), 0o711);
}

#[test]
fn a_store_that_an_older_program_left_open_is_closed_and_its_layers_are_unpacked_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let layer = layer(&store, stream());
    let place = place(&store, &layer);
    fs::remove_file(folder.path().join("stamps").join(place.file_name().unwrap())).unwrap();
    for open in ["rootfs", "tmp", "partial"] {
        fs::set_permissions(folder.path().join(open), Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(place.join("tmp/planted"), "").unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let modes = ["rootfs", "tmp", "partial"].map(|name| mode(&folder.path().join(name)));
    assert_eq!(modes, [0o700, 0o711, 0o700]);
    assert_eq!(self::place(&store, &layer), place);
    assert!(!place.join("tmp/planted").exists());
    assert_eq!(fs::read_dir(folder.path().join("rootfs")).unwrap().count(), 1);
}

#[test]
fn a_link_in_the_store_closes_no_folder_of_somebody_else() {
    let [store, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    fs::set_permissions(other.path(), Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(other.path(), Some(1), Some(1)).unwrap();
    }
    std::os::unix::fs::symlink(other.path(), store.path().join("rootfs")).unwrap();
    drop(Store::open(store.path()).unwrap());
    let is_ours = !rustix::process::geteuid().is_root();
    assert_eq!(mode(other.path()), if is_ours { 0o700 } else { 0o755 });
}

#[test]
fn a_changed_layer_is_unpacked_again_and_the_changed_one_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let layer = layer(&store, stream());
    let place = place(&store, &layer);
    fs::write(place.join("folder/file"), "wrong").unwrap();
    fs::write(place.join("folder/usercustomize.py"), "").unwrap();
    assert_eq!(self::place(&store, &layer), place);
    assert_eq!(fs::read(place.join("folder/file")).unwrap(), b"right");
    assert!(!place.join("folder/usercustomize.py").exists());
    // A job of another command may still run on it.
    let aside = format!("{}.changed-1", place.display());
    assert_eq!(fs::read(Path::new(&aside).join("folder/file")).unwrap(), b"wrong");
}

#[test]
fn a_layer_of_a_copied_store_is_unpacked_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let layer = layer(&store, stream());
    let place = place(&store, &layer);
    let copy = place.with_extension("copy");
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .arg(&place)
            .arg(&copy)
            .status()
            .unwrap()
            .success()
    );
    repro::store::remove_tree(&place).unwrap();
    fs::rename(&copy, &place).unwrap();
    fs::write(place.join("folder/planted"), "").unwrap();
    assert_eq!(self::place(&store, &layer), place);
    // Not its number: a file system gives that of a removed folder to the next one.
    assert!(!place.join("folder/planted").exists());
    assert_eq!(fs::read_dir(folder.path().join("rootfs")).unwrap().count(), 1);
}

#[test]
fn checking_the_store_tells_what_is_too_much_in_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let layer = layer(&store, stream());
    let place = place(&store, &layer);
    assert_eq!(audit(&store, &layer, &Stop::new()).unwrap(), []);
    fs::write(place.join("folder/usercustomize.py"), "").unwrap();
    fs::create_dir(place.join("new")).unwrap();
    fs::write(place.join("new/inner"), "").unwrap();
    fs::write(place.join("again"), "#!/bin/no\n").unwrap();
    let found = audit(&store, &layer, &Stop::new()).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|damage| {
            let path = damage.path.strip_prefix(&place).unwrap().to_str().unwrap();
            (path, damage.expected.is_some())
        })
        .collect();
    let too_much = |path| (path, false);
    let expected =
        [("again", true), too_much("folder/usercustomize.py"), too_much("new"), ("tool", true)];
    assert_eq!(told, expected);
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Unpacking for Told {
    fn begin(&self, layers: usize, _: u64) {
        self.0.lock().unwrap().push(format!("{layers} layers"));
    }
    fn layer(&self, name: &str) {
        self.0.lock().unwrap().push(name.to_owned());
    }
    fn advance(&self, _: u64) {}
    fn end(&self) {
        self.0.lock().unwrap().push("end".to_owned());
    }
    fn changed(&self, changed: &Changed) {
        self.0.lock().unwrap().push(changed.to_string());
    }
}

#[test]
#[ignore = "needs namespaces, a static busybox and a C compiler; .ci/run runs it"]
fn a_job_never_sees_a_changed_layer_and_is_told_of_it() {
    let mut world = World::new(embedded());
    let told = Arc::new(Told::default());
    let engine = Embedded::new(env!("CARGO_BIN_EXE_repro").into());
    world.engine = Box::new(engine.with_progress(told.clone()));
    let layer = layer(&world.store, stream());
    world.image.layers.push(layer.clone());
    let script = "cat /folder/*; ls -l /tool | cut -c 1-10; ls -ld /tmp | cut -c 1-10";
    let expected = "right-rwsr-xr-x\ndrwxrwxrwt\n";
    assert_eq!(world.run(script).good(), expected);
    assert_eq!(told.0.lock().unwrap().last().unwrap(), "end");
    told.0.lock().unwrap().clear();
    assert_eq!(world.run(script).good(), expected);
    assert_eq!(*told.0.lock().unwrap(), Vec::<String>::new(), "nothing had to be unpacked");
    let place = world.store.rootfs_path(&layer.diff_id);
    fs::write(place.join("folder/file"), "wrong").unwrap();
    fs::write(place.join("folder/planted"), "planted").unwrap();
    assert_eq!(world.run(script).good(), expected);
    let told = told.0.lock().unwrap().join("\n");
    assert!(told.starts_with("1 layers\na base\n") && told.ends_with("\nend"), "{told}");
    assert!(told.contains("changed  folder/file\n  added    folder/planted\n"), "{told}");
}
