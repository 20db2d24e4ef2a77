//! A lock says by which rules its image is cut into layers; what is in the image is the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use repro::build::BuildError;
use repro::digest::Digest;
use repro::image::Image;
use repro::layer::{EPOCH, LayerError};
use repro::lock::{Lock, LockedPackage, LockedWheel};
use repro::store::Store;
use tar::EntryType::{Directory, Regular};

use super::archives::{ZipItem, control, package, tar as tar_of, wheel};
use super::building::World;

const NET: &str = "net = 1\n";

/// A wheel that is larger than the limit of its own layer only in the second epoch.
fn large_wheel(store: &Store, name: &str) -> LockedWheel {
    // Stored, so that the wheel is as large as its content.
    let content = vec![7; 9 << 20];
    let bytes = wheel(name, vec![ZipItem::stored(&format!("{name}/data.bin"), &content)]);
    locked_wheel(store, name, &bytes)
}

fn locked_wheel(store: &Store, name: &str, bytes: &[u8]) -> LockedWheel {
    LockedWheel {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        file: format!("{name}-1.0-py3-none-any.whl"),
        size: bytes.len() as u64,
        sha256: store.put(bytes).unwrap(),
        requested: true,
    }
}

fn locked_package(store: &Store, name: &str, text: &str) -> LockedPackage {
    let data = tar_of(&[("./etc/", Directory, 0o755, ""), ("./etc/shared", Regular, 0o644, text)]);
    let bytes = package(&control(name), "data.tar", &data);
    LockedPackage {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        architecture: "amd64".to_owned(),
        path: format!("pool/main/{name}_1.0_amd64.deb"),
        size: bytes.len() as u64,
        sha256: store.put(&bytes).unwrap(),
    }
}

/// Type, mode, content and target of every path of an image, its layers put on top of each other.
#[expect(clippy::disallowed_methods, reason = "an archive of our own")]
fn root(world: &World, image: &Image) -> BTreeMap<String, String> {
    let mut root = BTreeMap::new();
    for layer in &image.layers {
        let mut bytes = Vec::new();
        layer.write_tar(&world.store, &mut bytes).unwrap();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let (mode, kind) = (entry.header().mode().unwrap(), entry.header().entry_type());
            let target = entry.link_name().unwrap().map(|target| target.display().to_string());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let text = format!("{kind:?} {mode:o} {target:?} {}", Digest::of(&content));
            root.insert(path, text);
        }
    }
    root
}

fn origins(image: &Image) -> Vec<&str> {
    image.layers.iter().map(|layer| layer.origin.as_str()).collect()
}

fn digests(image: &Image) -> BTreeMap<&str, Digest> {
    image.layers.iter().map(|layer| (layer.origin.as_str(), layer.digest)).collect()
}

#[test]
fn a_lock_of_the_second_epoch_gives_the_image_that_it_always_gives() {
    let world = World::new();
    let lock = Lock { epoch: 2, ..world.lock(NET) };
    let built = world.build(&lock).unwrap();
    assert_eq!(
        built.image.seal.to_string(),
        "sha256:7245dbcf8f12219e2c03a4ae917a0163317a45cfd50d9682c7768442c532ec0f",
        "a changed installer, tar rule or document is a new format epoch"
    );
    assert_eq!(
        origins(&built.image),
        ["Debian packages (1)", "links and files", "numbers 1.0", "local files (1)"]
    );
}

#[test]
fn every_epoch_puts_the_same_files_into_an_image() {
    let world = World::new();
    let plain = world.lock(NET);
    let mut lock = plain.clone();
    lock.wheels.push(large_wheel(&world.store, "large"));
    // A link of the recipe that leads a part of a wheel elsewhere.
    let site = "/usr/local/lib/python3.9/dist-packages";
    lock.symlinks.insert(format!("{site}/numbers"), "/opt/numbers".to_owned());
    // A link that leads packages elsewhere, one in a folder of theirs, and files that hide theirs.
    lock.symlinks.insert("/bin".to_owned(), "usr/bin".to_owned());
    lock.files.insert("/bin/dash".to_owned(), "the recipe's shell".to_owned());
    lock.files.insert(format!("{site}/x.pth"), "x".to_owned());
    let roots: Vec<_> = (1..=EPOCH)
        .map(|epoch| {
            // What is remembered of an image without those links must not show.
            world.build(&Lock { epoch, ..plain.clone() }).unwrap();
            let built = world.build(&Lock { epoch, ..lock.clone() }).unwrap();
            root(&world, &built.image)
        })
        .collect();
    assert!(roots[0].contains_key("usr/bin/dash") && !roots[0].contains_key("bin/dash"));
    assert!(roots[0].contains_key("opt/numbers/data.bin"));
    roots.windows(2).for_each(|two| assert_eq!(two[0], two[1]));
}

#[test]
fn images_with_the_same_packages_and_wheels_share_their_layers() {
    let world = World::new();
    let mut one = world.lock(NET);
    one.wheels.push(large_wheel(&world.store, "shared"));
    let shared = one.wheels[1].clone();
    let one = world.build(&one).unwrap().image;
    let mut other = world.lock("net = 2\n");
    other.name = "another-debian".to_owned();
    other.symlinks = BTreeMap::from([("/opt/models".to_owned(), "/data".to_owned())]);
    other.files = BTreeMap::from([("/etc/group".to_owned(), "root:x:0:\n".to_owned())]);
    // It comes before the shared one in the order of names.
    other.wheels = vec![large_wheel(&world.store, "before"), shared];
    let other = world.build(&other).unwrap().image;
    let (one, other) = (digests(&one), digests(&other));
    for shared in ["Debian packages (1)", "shared 1.0"] {
        assert_eq!(one[shared], other[shared], "{shared}");
    }
    assert_ne!(one["links and files"], other["links and files"]);
}

#[test]
fn packages_that_an_image_was_built_from_are_not_unpacked_for_the_next_one() {
    let world = World::new();
    world.build(&world.lock(NET)).unwrap();
    let mut next = world.lock(NET);
    next.name = "another-debian".to_owned();
    next.files.insert("/etc/group".to_owned(), "root:x:0:\n".to_owned());
    // Whoever reads the package now finds nothing that could be unpacked.
    let package = world.store.blob_path(&next.packages[0].sha256);
    fs::set_permissions(&package, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&package, vec![0; next.packages[0].size as usize]).unwrap();
    let image = world.build(&next).unwrap().image;
    let plan = Digest::of(&image.layers[0].plan().unwrap().to_bytes());
    // Without the plan it has to be read.
    fs::remove_file(world.store.blob_path(&plan)).unwrap();
    next.files.insert("/etc/hosts".to_owned(), String::new());
    let error = world.build(&next).unwrap_err();
    assert!(matches!(error, BuildError::DamagedInput { .. }), "{error}");
}

#[test]
fn packages_may_differ_only_where_the_recipe_has_something_of_its_own() {
    let world = World::new();
    let mut lock = world.lock(NET);
    lock.packages.push(locked_package(&world.store, "a", "1"));
    lock.packages.push(locked_package(&world.store, "b", "2"));
    let refused = |error: BuildError| {
        let is_conflict = matches!(&error, BuildError::Layer(LayerError::Conflict { path, .. }) if path == "etc/shared");
        assert!(is_conflict, "{error}");
    };
    refused(world.build(&lock).unwrap_err());
    let mut settled = lock.clone();
    settled.files.insert("/etc/shared".to_owned(), "3".to_owned());
    let image = world.build(&settled).unwrap().image;
    let note = &image.layers[0].plan().unwrap().notes()[0];
    assert!(note.contains("etc/shared") && note.contains("a 1.0"), "{note}");
    let there = &root(&world, &image)["etc/shared"];
    assert!(there.contains(&Digest::of(b"3").to_string()), "{there}");
    // What one recipe settles is settled for no other.
    refused(world.build(&lock).unwrap_err());
}

#[test]
fn wheels_in_layers_of_their_own_must_agree_as_those_of_one_layer() {
    let world = World::new();
    let mut lock = world.lock(NET);
    let large = vec![7; 9 << 20];
    let with = |name: &str, text: &[u8]| {
        let items =
            vec![ZipItem::stored(&format!("{name}.bin"), &large), ZipItem::new("both.py", text)];
        locked_wheel(&world.store, name, &wheel(name, items))
    };
    lock.wheels = vec![with("first", b"x = 1\n"), with("second", b"x = 1\n")];
    assert_eq!(world.build(&lock).unwrap().image.layers.len(), 5);
    lock.wheels[1] = with("second", b"x = 2\n");
    let error = world.build(&lock).unwrap_err().to_string();
    assert!(error.contains("both.py"), "{error}");
    assert!(error.contains("first 1.0") && error.contains("second 1.0"), "{error}");
    // In one layer they are refused all the same.
    world.build(&Lock { epoch: 1, ..lock }).unwrap_err();
}
