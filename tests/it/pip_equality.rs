//! The installed tree of real wheels equals what pip 24.0 installs, file by file.
//!
//! `tests/pip/prepare` makes the two folders that this test compares: the wheels of
//! `tests/pip/wheels.txt`, and for each the tree that pip makes of it, run by the
//! interpreter of a Debian 11 root.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use repro::layer::{self, Directories, WheelInput};
use repro::lock::PythonTarget;
use repro::store::Store;

use super::layers::{python, store};

#[test]
#[ignore = "needs a Debian 11 root and real wheels; `.ci/pip-equality` makes both"]
fn real_wheels_are_installed_as_pip_installs_them() {
    let (wheels, trees) = (folder("REPRO_PIP_WHEELS"), folder("REPRO_PIP_TREES"));
    let mut names: Vec<String> = fs::read_dir(&trees)
        .unwrap()
        .map(|tree| tree.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 30, "only {} trees", names.len());
    let (_folder, store) = store();
    let mut differences = Vec::new();
    for name in &names {
        let found = differences_of(&store, &wheels.join(name), &trees.join(name));
        println!("{name}: {} files differ", found.len());
        differences.extend(found.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

/// What differs between the layer of one wheel and the tree that pip made of it.
fn differences_of(store: &Store, wheel: &Path, tree: &Path) -> Vec<String> {
    let input = input(store, wheel);
    let python = PythonTarget { interpreter: "/usr/bin/python3".to_owned(), ..python() };
    let plan = layer::wheels(store, &[input], &python, &Directories::new()).unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    let mut expected = entries(tree, tree);
    let differences = std::thread::scope(|scope| {
        scope.spawn(|| plan.write_tar(store, &mut writer).map(|()| drop(writer)));
        compare(reader, tree, &mut expected)
    });
    let missing = expected.into_keys().map(|path| format!("{path}: only pip makes it"));
    differences.into_iter().chain(missing).collect()
}

#[expect(clippy::disallowed_methods, reason = "the folders of this test are made by a script")]
fn folder(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    PathBuf::from(value.unwrap_or_else(|| panic!("{variable} names no folder")))
}

/// The wheel, put into the store; its name and version stand in its file name.
fn input(store: &Store, wheel: &Path) -> WheelInput {
    let mut writer = store.writer().unwrap();
    io::copy(&mut fs::File::open(wheel).unwrap(), &mut writer).unwrap();
    let (digest, _) = writer.finish().unwrap();
    let file = wheel.file_name().unwrap().to_string_lossy().into_owned();
    let mut parts = file.split('-').map(str::to_owned);
    let (name, version) = (parts.next().unwrap(), parts.next().unwrap());
    WheelInput {
        name: name.to_lowercase().replace(['_', '.'], "-"),
        version,
        file,
        digest,
        requested: true,
    }
}

/// Every path below `folder` with its mode; symbolic links would be an error of their own.
fn entries(root: &Path, folder: &Path) -> BTreeMap<String, (bool, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(!metadata.is_symlink(), "{} is a link", path.display());
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        found.insert(name, (metadata.is_dir(), metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            found.extend(entries(root, &path));
        }
    }
    found
}

/// Takes what the layer has out of `expected`; says what differs.
#[expect(clippy::disallowed_methods, reason = "an archive of our own")]
fn compare(
    layer: impl Read,
    tree: &Path,
    expected: &mut BTreeMap<String, (bool, u32)>,
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut archive = tar::Archive::new(layer);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
        let found = (entry.header().entry_type().is_dir(), entry.header().mode().unwrap());
        match expected.remove(&path) {
            None => differences.push(format!("{path}: only the layer has it")),
            Some(there) if there != found => {
                differences.push(format!("{path}: pip makes {there:?}, the layer {found:?}"));
            }
            Some((true, _)) => {}
            Some((false, _)) => {
                let file = fs::File::open(tree.join(&path)).unwrap();
                if !same(&mut entry, file) {
                    differences.push(format!("{path}: other bytes"));
                }
            }
        }
    }
    // The writer ends with the padding of an archive, which the reader above leaves alone.
    io::copy(&mut archive.into_inner(), &mut io::sink()).unwrap();
    differences
}

fn same(mut one: impl Read, mut other: impl Read) -> bool {
    let (mut first, mut second) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = fill(&mut one, &mut first);
        if count != fill(&mut other, &mut second) || first[..count] != second[..count] {
            return false;
        }
        if count == 0 {
            return true;
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]).unwrap() {
            0 => break,
            count => filled += count,
        }
    }
    filled
}
