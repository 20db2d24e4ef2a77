//! Makes up what a description of devices would say, from the driver that is there.
//!
//! The driver's libraries are shown in one folder that no image has, under their names for
//! the linker, and the job's linker looks there first: an image's root is read-only, and
//! its own table of libraries knows nothing of the machine's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::CdiError;
use super::edits::Edits;
use crate::engine::embedded::order::Bind;

/// Where the libraries are in the job.
const LIBRARIES: &str = "/usr/local/nvidia/lib64";

/// The driver's libraries for computing, by the beginnings of their names.
const NAMES: [&str; 15] = [
    "libcuda.so",
    "libcudadebugger.so",
    "libnvcuvid.so",
    "libnvidia-cfg.so",
    // Driver 440 and older: `libnvidia-opencl` needs the first, `libcuda` itself the other.
    "libnvidia-compiler.so",
    "libnvidia-encode.so",
    "libnvidia-fatbinaryloader.so",
    "libnvidia-gpucomp.so",
    "libnvidia-ml.so",
    "libnvidia-nvvm.so",
    "libnvidia-nvvm70.so",
    "libnvidia-opencl.so",
    "libnvidia-opticalflow.so",
    "libnvidia-pkcs11",
    "libnvidia-ptxjitcompiler.so",
];

/// What shows the driver's state, and what shares a GPU between processes.
const PROGRAMS: [&str; 1] = ["/usr/bin/nvidia-smi"];

/// Where the linker's tool is, which knows every library of this machine.
const LINKER_TOOLS: [&str; 3] =
    ["/sbin/ldconfig", "/usr/sbin/ldconfig", "/run/current-system/sw/bin/ldconfig"];

/// All GPUs whose nodes are in `devices`, the machine's `/dev`.
pub(super) fn edits(devices: &Path) -> Result<Edits, CdiError> {
    let none = |reason: &str| CdiError::NoDriver { reason: reason.to_owned() };
    let nodes = nodes(devices);
    if !nodes.iter().any(|bind| is_card(&bind.target)) {
        return Err(none("there is no `/dev/nvidia0`, and no file in the folders of devices"));
    }
    let table = LINKER_TOOLS.iter().find_map(|tool| {
        let output = Command::new(tool).arg("-p").env_clear().output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    let table = table.ok_or_else(|| none("`ldconfig -p` does not list the machine's libraries"))?;
    let libraries = libraries(&table, |path| fs::canonicalize(path).ok());
    if !libraries.contains_key("libcuda.so.1") {
        return Err(none("`ldconfig -p` lists no `libcuda.so.1`"));
    }
    let mut edits = Edits { binds: nodes, ..Edits::default() };
    let file =
        |source: PathBuf, target: String| Bind { source, target, writable: false, device: false };
    for (name, source) in libraries {
        edits.binds.push(file(source, format!("{LIBRARIES}/{name}")));
    }
    for program in PROGRAMS {
        if let Ok(source) = fs::canonicalize(program) {
            edits.binds.push(file(source, program.to_owned()));
        }
    }
    edits.library_folders.push(LIBRARIES.to_owned());
    Ok(edits)
}

/// The number of a GPU's node; none of a node that steers them all.
pub(super) fn minor(target: &str) -> Option<u32> {
    let number = target.strip_prefix("/dev/nvidia")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// Whether it is a GPU, not one of the nodes that steer them all.
fn is_card(target: &str) -> bool {
    minor(target).is_some()
}

/// Every device of the driver.
fn nodes(devices: &Path) -> Vec<Bind> {
    let mut binds = Vec::new();
    for folder in ["", "nvidia-caps", "nvidia-caps-imex-channels"] {
        let entries = fs::read_dir(devices.join(folder)).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let source = entry.path();
            let is_device = fs::metadata(&source).is_ok_and(|it| it.file_type().is_char_device());
            let name = Path::new(folder).join(entry.file_name()).display().to_string();
            if is_device && name.starts_with("nvidia") {
                let target = format!("/dev/{name}");
                binds.push(Bind { source, target, writable: false, device: true });
            }
        }
    }
    binds.sort_by(|one, other| one.target.cmp(&other.target));
    binds
}

/// The driver's libraries in what `ldconfig -p` prints: each under the linker's name, the
/// file's own name and the name without a version.
fn libraries(table: &str, find: impl Fn(&Path) -> Option<PathBuf>) -> BTreeMap<String, PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "AArch64",
        _ => "x86-64",
    };
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for line in table.lines() {
        let Some((entry, path)) = line.split_once(" => ") else { continue };
        let Some((name, kind)) = entry.trim().split_once(' ') else { continue };
        if !kind.contains(architecture) || !NAMES.iter().any(|known| name.starts_with(known)) {
            continue;
        }
        let Some(path) = find(Path::new(path)) else { continue };
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = name.split_once(".so").map(|(name, _)| format!("{name}.so"));
        for name in [Some(name.to_owned()), Some(own), plain].into_iter().flatten() {
            // The first one listed is the one that the machine's linker takes.
            found.entry(name).or_insert_with(|| path.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_libraries_are_taken_from_the_linkers_table() {
        let kind = if std::env::consts::ARCH == "aarch64" { "AArch64" } else { "x86-64" };
        let table = format!(
            "3 libs found in cache `/etc/ld.so.cache'\n\
             \tlibcuda.so.1 (libc6,{kind}) => /usr/lib/l64/libcuda.so.1\n\
             \tlibcuda.so.1 (libc6) => /usr/lib/l32/libcuda.so.1\n\
             \tlibz.so.1 (libc6,{kind}) => /usr/lib/l64/libz.so.1\n"
        );
        let find = |path: &Path| {
            Some(PathBuf::from(format!("{}.550.1", path.display()).replace(".1.550", ".550")))
        };
        let found = libraries(&table, find);
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["libcuda.so", "libcuda.so.1", "libcuda.so.550.1"]);
        assert!(found.values().all(|path| path == Path::new("/usr/lib/l64/libcuda.so.550.1")));
    }

    #[test]
    fn what_libcuda_of_the_440_series_is_linked_to_comes_along() {
        let kind = if std::env::consts::ARCH == "aarch64" { "AArch64" } else { "x86-64" };
        let names = [
            "libcuda.so.1",
            "libnvidia-fatbinaryloader.so.440.33.01",
            "libnvidia-ptxjitcompiler.so.1",
            "libnvidia-glcore.so.440.33.01",
        ];
        let line = |name: &&str| format!("\t{name} (libc6,{kind}) => /usr/lib/{name}\n");
        let table: String = names.iter().map(line).collect();
        let found = libraries(&table, |path| Some(path.to_owned()));
        assert!(names[..3].iter().all(|name| found.contains_key(*name)), "{found:?}");
        assert!(!found.contains_key(names[3]), "what draws is not for computing: {found:?}");
    }

    #[test]
    fn a_machine_without_a_card_says_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = edits(folder.path()).unwrap_err().to_string();
        assert!(error.contains("/dev/nvidia0"), "{error}");
        assert!(is_card("/dev/nvidia12") && !is_card("/dev/nvidiactl") && !is_card("/dev/nvidia"));
    }
}
