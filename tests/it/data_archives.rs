//! Archives of data sets are unpacked as the usual tools unpack them, or refused by name.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use repro::dataset::{Datasets, Manifest, Silent, Verdict, ensure_unpacked, pin, verify};
use repro::digest::Digest;
use repro::store::Store;

use super::archives::{ZipItem, zip};

struct World {
    folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn datasets(&self) -> Datasets {
        Datasets::load(self.folder.path()).unwrap()
    }

    /// Pins data set `x`, which is this file and has these further lines.
    fn pin(&self, file: &str, lines: &str) -> Result<Manifest, String> {
        let text = format!(
            "[x]\ntitle = \"x\"\n[[x.archive]]\nfile = \"{file}\"\npath = \"{file}\"\nunpinned = \"r\"\n{lines}\n"
        );
        fs::write(self.path("datasets.toml"), text).unwrap();
        let pinned = pin(&self.datasets(), &self.path(file), false, &self.store, &Silent);
        let pinned = pinned.map_err(|error| error.to_string())?;
        pinned.write(self.folder.path()).unwrap();
        Ok(Manifest::parse(&pinned.manifest.unwrap().1).unwrap())
    }

    /// The folder that data set `x` is unpacked into.
    fn unpack(&self) -> PathBuf {
        let unpacked = ensure_unpacked(&self.datasets(), "x", None, &self.store, &Silent).unwrap();
        assert_eq!(Some(unpacked.digest), self.datasets().get("x").unwrap().binding());
        unpacked.folders[""].clone()
    }

    fn tar(&self, arguments: &[&str]) {
        let mut command = Command::new("tar");
        command.current_dir(self.folder.path()).args(arguments);
        assert!(command.status().unwrap().success(), "{arguments:?}");
    }
}

fn paths(manifest: &Manifest) -> Vec<&str> {
    manifest.files().map(|(path, ..)| path).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
    let mut out = vec![0; gzip.gzip_compress_bound(bytes.len())];
    let size = gzip.gzip_compress(bytes, &mut out).unwrap();
    out.truncate(size);
    out
}

fn packed(end: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match end {
        "gz" => out = gzip(bytes),
        "bz2" => {
            let mut coder = bzip2::read::BzEncoder::new(bytes, bzip2::Compression::fast());
            coder.read_to_end(&mut out).unwrap();
        }
        "xz" => {
            let mut coder = liblzma::read::XzEncoder::new(bytes, 1);
            coder.read_to_end(&mut out).unwrap();
        }
        _ => out = zstd::encode_all(bytes, 1).unwrap(),
    }
    out
}

#[test]
fn every_kind_of_compression_is_read_and_a_lone_file_is_unpacked() {
    for end in ["gz", "bz2", "xz", "zst"] {
        let world = World::new();
        fs::create_dir(world.path("d")).unwrap();
        fs::write(world.path("d/a"), b"one").unwrap();
        world.tar(&["cf", "d.tar", "d"]);
        let tar = fs::read(world.path("d.tar")).unwrap();
        // Two streams are one content, as to the tools.
        let (first, rest) = tar.split_at(700);
        let file = format!("D.TAR.{}", end.to_uppercase());
        fs::write(world.path(&file), [packed(end, first), packed(end, rest)].concat()).unwrap();
        assert_eq!(paths(&world.pin(&file, "").unwrap()), ["d/a"], "{end}");
        assert_eq!(fs::read(world.unpack().join("d/a")).unwrap(), b"one");
        let file = format!("train-images.{end}");
        fs::write(world.path(&file), packed(end, b"pictures")).unwrap();
        assert_eq!(paths(&world.pin(&file, "").unwrap()), ["train-images"], "{end}");
        assert_eq!(fs::read(world.unpack().join("train-images")).unwrap(), b"pictures");
    }
}

#[test]
fn sparse_files_hard_links_and_long_names_come_out_as_gnu_tar_makes_them() {
    for format in [
        &["--format=gnu"][..],
        &["--format=posix"],
        &["--sparse-version=0.0"],
        &["--sparse-version=0.1"],
    ] {
        let world = World::new();
        let long = format!("d/{}/{}", "l".repeat(200), "n".repeat(200));
        fs::create_dir_all(world.path(&long).parent().unwrap()).unwrap();
        fs::write(world.path(&long), b"long").unwrap();
        let mut holes = File::create(world.path("d/holes")).unwrap();
        holes.set_len(3 << 20).unwrap();
        holes.write_all(b"begin").unwrap();
        std::os::unix::fs::FileExt::write_all_at(&holes, b"middle", 1 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&holes, b"end", (3 << 20) - 3).unwrap();
        drop(holes);
        fs::hard_link(world.path("d/holes"), world.path("d/second")).unwrap();
        let versioned = if format[0].contains("version") { &["--format=posix"][..] } else { &[] };
        world
            .tar(&[&["-S"][..], versioned, format, &["--sort=name", "-cf", "x.tar", "d"]].concat());
        let manifest = world.pin("x.tar", "").unwrap();
        assert_eq!(paths(&manifest), ["d/holes", &long, "d/second"], "{format:?}");
        let folder = world.unpack();
        let original = fs::read(world.path("d/holes")).unwrap();
        assert!(fs::read(folder.join("d/holes")).unwrap() == original, "{format:?}");
        assert_eq!(manifest.get("d/second"), Some((Digest::of(&original), 3 << 20)));
        assert_eq!(folder.join("d/holes").metadata().unwrap().nlink(), 2);
        assert_eq!(fs::read(folder.join(&long)).unwrap(), b"long");
    }
}

/// What a hub's cache looks like.
fn cache(folder: &Path) {
    for (path, content) in [("blobs/1f", "weights"), ("refs/main", "9a")] {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), content).unwrap();
    }
    fs::create_dir_all(folder.join("snapshots/9a")).unwrap();
    symlink("../../blobs/1f", folder.join("snapshots/9a/model.bin")).unwrap();
    symlink("9a", folder.join("snapshots/latest")).unwrap();
}

#[test]
fn links_that_stay_inside_are_data_in_an_archive_and_in_a_folder() {
    let world = World::new();
    cache(&world.path("data/x"));
    world.tar(&["-C", "data/x", "-cf", "x.tar", "."]);
    let manifest = world.pin("x.tar", "").unwrap();
    let links: Vec<_> = manifest.links().collect();
    assert_eq!(links, [("snapshots/9a/model.bin", "../../blobs/1f"), ("snapshots/latest", "9a")]);
    let folder = world.unpack();
    assert_eq!(fs::read(folder.join("snapshots/latest/model.bin")).unwrap(), b"weights");
    // The folder is the same data set, whether pinned by its archive or as it lies.
    let check = || {
        let data = world.path("data");
        verify(&world.datasets(), &[], Some(&data), false, &world.store, &Silent).unwrap().remove(0)
    };
    assert_eq!(check().verdict, Verdict::Ok);
    let pinned = pin(&world.datasets(), &world.path("data/x"), false, &world.store, &Silent);
    assert_eq!(pinned.unwrap().manifest.unwrap().1, manifest.to_text());
    let link = world.path("data/x/snapshots/latest");
    fs::remove_file(&link).unwrap();
    symlink("/etc", &link).unwrap();
    let report = check();
    assert_eq!(report.verdict, Verdict::Differs);
    let text = report.to_string();
    assert!(text.contains("link to `/etc`; pinned is one to `9a`"), "{text}");
    let error = pin(&world.datasets(), &world.path("data/x"), true, &world.store, &Silent);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("snapshots/latest") && error.contains("out of the data set"), "{error}");
    // What the store unpacked is told from what somebody changed there.
    assert_eq!(repro::dataset::audit(&world.store, &Silent).unwrap(), []);
    fs::remove_file(folder.join("snapshots/latest")).unwrap();
    symlink("../blobs", folder.join("snapshots/latest")).unwrap();
    assert_eq!(repro::dataset::audit(&world.store, &Silent).unwrap().len(), 1);
}

#[test]
fn a_folder_that_no_archive_of_is_known_is_pinned_as_it_lies() {
    let world = World::new();
    cache(&world.path("data/hub"));
    let pinned = pin(&world.datasets(), &world.path("data/hub"), false, &world.store, &Silent);
    let pinned = pinned.unwrap();
    assert!(pinned.entry.starts_with("[hub]\ntitle = \"hub\"\n"), "{}", pinned.entry);
    pinned.write(world.folder.path()).unwrap();
    let data = world.path("data");
    let unpacked =
        ensure_unpacked(&world.datasets(), "hub", Some(&data), &world.store, &Silent).unwrap();
    assert_eq!((unpacked.digest, &unpacked.folders[""]), (pinned.sha256, &data.join("hub")));
    fs::write(data.join("hub/refs/main"), "8b").unwrap();
    let again = pin(&world.datasets(), &data.join("hub"), false, &world.store, &Silent);
    assert!(again.unwrap_err().to_string().contains("pinned already as another file"));
}

#[test]
fn links_that_leave_an_archive_are_refused_by_name() {
    for target in ["/etc/passwd", "../../x", "in/../../../x"] {
        let world = World::new();
        fs::create_dir(world.path("d")).unwrap();
        symlink(target, world.path("d/link")).unwrap();
        world.tar(&["-cf", "x.tar", "d"]);
        let error = world.pin("x.tar", "").unwrap_err();
        assert!(error.contains("d/link") && error.contains("out of the data set"), "{error}");
    }
}

#[test]
fn archives_inside_an_archive_are_unpacked_where_they_are_named() {
    let world = World::new();
    for name in ["n01", "n02"] {
        fs::create_dir_all(world.path("d").join(name)).unwrap();
        fs::write(world.path("d").join(name).join("1.jpg"), name).unwrap();
        world.tar(&["-C", &format!("d/{name}"), "-cf", &format!("{name}.tar"), "1.jpg"]);
    }
    fs::write(world.path("n03.gz"), gzip(b"alone")).unwrap();
    world.tar(&["-cf", "x.tar", "n01.tar", "n02.tar", "n03.gz"]);
    assert_eq!(paths(&world.pin("x.tar", "").unwrap()), ["n01.tar", "n02.tar", "n03.gz"]);
    let manifest = world.pin("x.tar", "nested = \"*.tar\"").unwrap();
    assert_eq!(paths(&manifest), ["n01/1.jpg", "n02/1.jpg", "n03.gz"]);
    assert_eq!(fs::read(world.unpack().join("n02/1.jpg")).unwrap(), b"n02");
    let manifest = world.pin("x.tar", "nested = \"n0*\"").unwrap();
    assert_eq!(paths(&manifest), ["n01/1.jpg", "n02/1.jpg", "n03"]);
    fs::write(world.path("inner.zip"), b"PK").unwrap();
    world.tar(&["-cf", "y.tar", "inner.zip"]);
    let error = world.pin("y.tar", "nested = \"*.zip\"").unwrap_err();
    assert!(error.contains("inner.zip") && error.contains("no tar archive"), "{error}");
}

/// A zip file with one entry whose name is these bytes, made by a program of this system.
fn zip_with(name: &[u8], system: u8) -> Vec<u8> {
    let stand_in = "n".repeat(name.len());
    let mut bytes = zip(&[ZipItem::stored(&stand_in, b"x")]);
    let central = bytes.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    bytes[central + 5] = system;
    for start in [30, central + 46] {
        bytes[start..start + name.len()].copy_from_slice(name);
    }
    bytes
}

#[test]
fn names_that_are_no_utf8_are_told_and_read_in_their_encoding() {
    let world = World::new();
    for (name, encoding, expected) in [
        (&b"\xd1\xb5\xc1\xb7/a.txt"[..], "gbk", "训练/a.txt"),
        (b"\x95\x5c/a.txt", "Shift-JIS", "表/a.txt"),
        (b"M\x81nchen", "cp437", "München"),
    ] {
        fs::write(world.path("x.zip"), zip_with(name, 0)).unwrap();
        let error = world.pin("x.zip", "").unwrap_err();
        assert!(error.contains("not UTF-8") && error.contains("`encoding`"), "{error}");
        let manifest = world.pin("x.zip", &format!("encoding = \"{encoding}\"")).unwrap();
        assert_eq!(paths(&manifest), [expected]);
        assert_eq!(fs::read(world.unpack().join(expected)).unwrap(), b"x");
    }
    // Without the flag, but UTF-8 all the same: what `zip` of Linux writes.
    fs::write(world.path("x.zip"), zip_with("ü.txt".as_bytes(), 3)).unwrap();
    assert_eq!(paths(&world.pin("x.zip", "").unwrap()), ["ü.txt"]);
    let text = "[x]\ntitle = \"t\"\n[[x.archive]]\nfile = \"f\"\nunpinned = \"r\"\nencoding = \"klingon\"\n";
    let error = Datasets::parse(text, world.folder.path()).unwrap_err().to_string();
    assert!(error.contains("`klingon` is no encoding"), "{error}");
}

#[test]
fn the_separator_of_windows_is_one_where_its_programs_wrote_it() {
    let world = World::new();
    fs::write(world.path("x.zip"), zip_with(b"train\\a.txt", 0)).unwrap();
    assert_eq!(paths(&world.pin("x.zip", "").unwrap()), ["train/a.txt"]);
    fs::write(world.path("x.zip"), zip_with(b"train\\a.txt", 3)).unwrap();
    let error = world.pin("x.zip", "").unwrap_err();
    assert!(error.contains("backslash"), "{error}");
}
