//! Layers of real wheels and packages, read by the tools that everybody has.
//!
//! `REPRO_REAL_INPUTS` names a folder of wheels and Debian packages; each wheel over the
//! limit gets its layer, the small ones share one, and so do the packages.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow::Continue;
use std::path::{Path, PathBuf};
use std::process::Command;

use repro::digest::Digest;
use repro::layer::{self, Directories, LayerPlan, PackageInput, WheelInput};
use repro::store::Store;

use super::layers::{python, store};

#[test]
#[ignore = "needs real wheels and packages in REPRO_REAL_INPUTS; .ci/run runs it"]
fn real_layers_are_what_gzip_and_tar_expect() {
    let (folder, store) = store();
    let files = inputs();
    let packages: Vec<_> = files.iter().filter_map(|file| package(&store, file)).collect();
    let mut wheels: Vec<_> = files.iter().filter_map(|file| wheel(&store, file)).collect();
    let limit = layer::own_layer_size(layer::EPOCH);
    let large = |wheel: &WheelInput| store.size_of(&wheel.digest).unwrap() > limit;
    let own: Vec<_> = wheels.extract_if(.., |wheel| large(wheel)).collect();
    let none = BTreeMap::new();
    let base = layer::packages(&store, &packages, &none, &none, &Directories::new()).unwrap();
    let mut below = base.directories(&Directories::new());
    let mut plans = vec![base];
    for group in own.chunks(1).chain([wheels.as_slice()]) {
        let plan = layer::wheels(&store, group, &python(), &below).unwrap();
        below = plan.directories(&below);
        plans.push(plan);
    }
    let kept: usize = plans.iter().map(|plan| plan.to_bytes().len()).sum();
    assert!(kept <= 1 << 20, "{kept} bytes of plans");
    for plan in &plans {
        check(&store, plan, &folder.path().join("layer"));
    }
}

/// What is written is what was measured, and gzip and tar agree.
fn check(store: &Store, plan: &LayerPlan, path: &Path) {
    let measured = plan.measure(store, &|_| Continue(())).unwrap();
    plan.prove(store, &measured.digest, measured.size, &|_| Continue(())).unwrap();
    let again = LayerPlan::from_bytes(&plan.to_bytes()).unwrap();
    let mut file = fs::File::create(path).unwrap();
    again.write_blob(store, &mut file).unwrap();
    let layer = path.display();
    assert_eq!(shell(&format!("gzip -t < {layer} && echo good")), "good\n");
    let sum = shell(&format!("gzip -dc < {layer} | sha256sum"));
    assert_eq!(sum.split(' ').next().unwrap(), measured.diff_id.0.hex());
    let names = shell(&format!("tar -tzf {layer} | wc -l"));
    assert_eq!(names.trim(), plan.entries().count().to_string());
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the inputs are too large for a repository")]
fn inputs() -> Vec<PathBuf> {
    let folder = std::env::var_os("REPRO_REAL_INPUTS").expect("REPRO_REAL_INPUTS names no folder");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn put(store: &Store, path: &Path) -> Digest {
    let mut writer = store.writer().unwrap();
    std::io::copy(&mut fs::File::open(path).unwrap(), &mut writer).unwrap();
    writer.finish().unwrap().0
}

fn wheel(store: &Store, path: &Path) -> Option<WheelInput> {
    let file = path.file_name()?.to_str()?.to_owned();
    let mut parts = file.strip_suffix(".whl")?.split('-');
    let (name, version) =
        (parts.next()?.to_lowercase().replace('_', "-"), parts.next()?.to_owned());
    Some(WheelInput { name, version, digest: put(store, path), file, requested: false })
}

fn package(store: &Store, path: &Path) -> Option<PackageInput> {
    let file = path.file_name()?.to_str()?.to_owned();
    let mut parts = file.strip_suffix(".deb")?.split('_');
    let (name, version) = (parts.next()?.to_owned(), parts.next()?.replace("%3a", ":"));
    Some(PackageInput { name, version, digest: put(store, path), file })
}
