//! What a job needs beside its image to use the machine's GPUs.
//!
//! The driver's libraries belong to the machine, not to an image. What of them a job must
//! see stands in files of the Container Device Interface (its specification, version 1),
//! as `nvidia-ctk cdi generate` writes them; where there is none, the same is made up from
//! the devices and libraries that are there ([`driver`]).
//!
//! Invariants: everything that is mounted is read-only, devices apart; nothing is taken
//! from a file that is not understood whole, apart from what a later version of the specification added. A device
//! that is not there stops only the jobs that need it. A file may name programs of this machine
//! that prepare the job's root: it is the administrator's, like the driver itself.

mod document;
mod driver;
mod edits;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::Gpus;
use document::Document;
pub(super) use edits::Edits;

/// The kind of device that a job with GPUs gets, and its name for all of them.
const KIND: &str = "nvidia.com/gpu";
const ALL: &str = "all";

/// Nodes beside those of the cards without which no program computes.
const NEEDED: [&str; 2] = ["/dev/nvidiactl", "/dev/nvidia-uvm"];

/// Where files are looked for; what a later folder says wins.
const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Why a job cannot have the machine's GPUs.
#[derive(Debug, thiserror::Error)]
pub enum CdiError {
    /// A file or folder of device descriptions cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not say what its specification asks for.
    #[error("`{key}` of `{}` cannot be used: {reason}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Where in it, `devices[0].containerEdits`.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// Two files of one folder describe the same device.
    #[error(
        "two files describe `{KIND}={ALL}`\n  one    {}\n  other  {}",
        one.display(), other.display()
    )]
    Ambiguous {
        /// The first file by name.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
    },
    /// Files describe GPUs, but not all of them as one device.
    #[error("`{}` describes `{KIND}`, but no device `{ALL}`", path.display())]
    NoDevice {
        /// The file.
        path: PathBuf,
    },
    /// No file describes a GPU, and the driver is not there either.
    #[error("this machine has no NVIDIA GPU that a job could use: {reason}")]
    NoDriver {
        /// What was looked for.
        reason: String,
    },
}

/// The usual folders.
pub(super) fn usual_folders() -> Vec<PathBuf> {
    FOLDERS.map(PathBuf::from).to_vec()
}

/// What gives a job these GPUs of this machine.
///
/// It is what gives it all of them, without the nodes of the others: a driver shows a program only
/// the GPUs whose nodes it can open. Names of devices are not asked for, because files number them
/// by index or by UUID as they like.
pub(super) fn gpus(folders: &[PathBuf], chosen: &Gpus) -> Result<Edits, CdiError> {
    let mut edits = all(folders)?;
    let is_needed = |target: &str| match driver::minor(target) {
        Some(minor) => chosen.has(minor) && *chosen != Gpus::All,
        None => NEEDED.contains(&target),
    };
    for missing in std::mem::take(&mut edits.missing) {
        if is_needed(&missing.target) {
            return Err(missing.into());
        }
        tracing::warn!("`{}` is not there, and the job runs without it", missing.target);
    }
    edits.binds.retain(|bind| driver::minor(&bind.target).is_none_or(|minor| chosen.has(minor)));
    Ok(edits)
}

fn all(folders: &[PathBuf]) -> Result<Edits, CdiError> {
    let mut described = None;
    for folder in folders.iter().rev() {
        let documents = documents(folder)?;
        let with_all: Vec<_> = documents.iter().filter(|it| it.has_device(ALL)).collect();
        match with_all.as_slice() {
            [] => described = described.or(documents.first().map(|it| it.path.clone())),
            [document] => return document.edits(ALL),
            [one, other, ..] => {
                let (one, other) = (one.path.clone(), other.path.clone());
                return Err(CdiError::Ambiguous { one, other });
            }
        }
    }
    match described {
        Some(path) => Err(CdiError::NoDevice { path }),
        None => driver::edits(Path::new("/dev")),
    }
}

/// The files of a folder that describe GPUs, sorted by name; a folder that is missing has none.
fn documents(folder: &Path) -> Result<Vec<Document>, CdiError> {
    let failed = |source| CdiError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        // Others are no descriptions, by the specification.
        if matches!(ending, Some("json" | "yaml")) {
            paths.push(path);
        }
    }
    paths.sort();
    let documents = paths.into_iter().map(Document::read).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.into_iter().filter(|document| document.kind == KIND).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARMLESS: &str = r#"---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args: [true, create-symlinks]
    hookName: createContainer
    path: /bin/true
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/zero
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/harmless0
      hostPath: /dev/null
      permissions: rw
    mounts:
    - hostPath: /etc/passwd
      containerPath: /usr/lib/libharmless.so.1
      options: [ro, nosuid, nodev, bind]
"#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn of(files: &[(&str, &str)]) -> Result<Edits, CdiError> {
        all(&[folder(files).path().to_owned()])
    }

    #[test]
    fn devices_mounts_programs_and_variables_are_read() {
        let edits = of(&[("nvidia.yaml", HARMLESS), ("readme.txt", "nothing")]).unwrap();
        assert_eq!(edits.env["NVIDIA_VISIBLE_DEVICES"], "void");
        let binds: Vec<_> =
            edits.binds.iter().map(|bind| (bind.target.as_str(), bind.device)).collect();
        assert_eq!(binds, [("/dev/harmless0", true), ("/usr/lib/libharmless.so.1", false)]);
        assert!(edits.binds.iter().all(|bind| !bind.writable));
        let hook = &edits.hooks["createContainer"][0];
        assert_eq!((hook.path.as_path(), hook.args.len()), (Path::new("/bin/true"), 2));
    }

    #[test]
    fn the_later_folder_wins_and_other_kinds_are_none_of_ours() {
        let other = HARMLESS.replace("nvidia.com/gpu", "example.com/card");
        let usual = folder(&[("a.yaml", HARMLESS), ("b.yaml", &other)]);
        let later = folder(&[("a.yaml", &HARMLESS.replace("harmless0", "harmless9"))]);
        let both = [usual.path().to_owned(), later.path().to_owned(), "/nowhere".into()];
        assert_eq!(all(&both).unwrap().binds[0].target, "/dev/harmless9");
        assert_eq!(all(&both[..1]).unwrap().binds[0].target, "/dev/harmless0");
    }

    #[test]
    fn cards_that_were_not_chosen_have_no_node_in_the_job() {
        let second = "    deviceNodes:\n    - path: /dev/nvidia1\n      hostPath: /dev/null\n    - path: /dev/nvidiactl\n      hostPath: /dev/null\n";
        let text = HARMLESS.replace("harmless0", "nvidia0");
        let text = text.replacen("    mounts:", &format!("{}    mounts:", &second[17..]), 1);
        let folder = folder(&[("nvidia.yaml", &text)]);
        let targets = |chosen: &Gpus| -> Vec<String> {
            let edits = gpus(&[folder.path().to_owned()], chosen).unwrap();
            let devices = edits.binds.into_iter().filter(|bind| bind.device);
            devices.map(|bind| bind.target).collect()
        };
        let card =
            |minor| crate::engine::Card { index: 5, minor, uuid: None, name: "a card".to_owned() };
        assert_eq!(targets(&Gpus::All), ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl"]);
        assert_eq!(targets(&Gpus::Cards(vec![card(1)])), ["/dev/nvidia1", "/dev/nvidiactl"]);
    }

    #[test]
    fn a_device_that_is_not_there_stops_only_the_jobs_that_need_it() {
        let text = HARMLESS.replace("harmless0", "nvidia0").replacen(
            "    mounts:",
            "    - path: /dev/nvidia7\n      hostPath: /dev/nowhere7\n    mounts:",
            1,
        );
        let folders = [folder(&[("nvidia.yaml", &text)])];
        let folders = folders.each_ref().map(|folder| folder.path().to_owned());
        let targets = |chosen: &Gpus| {
            let edits = gpus(&folders, chosen)?;
            let devices = edits.binds.into_iter().filter(|bind| bind.device);
            Ok::<_, CdiError>(devices.map(|bind| bind.target).collect::<Vec<_>>())
        };
        let card =
            |minor| crate::engine::Card { index: 0, minor, uuid: None, name: "a card".to_owned() };
        assert_eq!(targets(&Gpus::All).unwrap(), ["/dev/nvidia0"]);
        assert_eq!(targets(&Gpus::Cards(vec![card(0)])).unwrap(), ["/dev/nvidia0"]);
        let error = targets(&Gpus::Cards(vec![card(7)])).unwrap_err().to_string();
        assert!(error.contains("deviceNodes[1]") && error.contains("/dev/nowhere7"), "{error}");
        let steering = text.replace("/dev/nvidia7", "/dev/nvidia-uvm");
        let folder = folder(&[("nvidia.yaml", &steering)]);
        let error = gpus(&[folder.path().to_owned()], &Gpus::All).unwrap_err().to_string();
        assert!(error.contains("deviceNodes[1]"), "{error}");
    }

    #[test]
    fn keys_of_a_later_version_are_passed_over_and_those_of_a_known_one_are_mistakes() {
        let later = |version: &str| {
            let text = HARMLESS
                .replace("cdiVersion: 0.5.0", &format!("cdiVersion: {version}"))
                .replace("    mounts:", "    netDevices: []\n    mounts:")
                .replace("permissions: rw", "permissions: rw\n      colour: blue");
            of(&[("nvidia.yaml", &text)])
        };
        assert_eq!(later("1.1.0").unwrap().binds.len(), 2);
        for version in ["0.8.0", "1.0.0"] {
            let error = later(version).unwrap_err().to_string();
            assert!(error.contains("netDevices") || error.contains("colour"), "{error}");
        }
        let cache = HARMLESS.replace("    mounts:", "    intelRdt: {}\n    mounts:");
        assert_eq!(of(&[("nvidia.yaml", &cache)]).unwrap().binds.len(), 2);
    }

    #[test]
    fn json_is_read_as_well() {
        let text = r#"{"cdiVersion": "1.0.0", "kind": "nvidia.com/gpu", "devices":
            [{"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}}]}"#;
        assert_eq!(of(&[("nvidia.json", text)]).unwrap().binds[0].target, "/dev/null");
    }

    #[test]
    fn what_cannot_be_used_is_named_with_file_and_key() {
        let error = |from: &str, to: &str| {
            let text = HARMLESS.replace(from, to);
            assert_ne!(text, HARMLESS);
            let text = of(&[("nvidia.yaml", &text)]).unwrap_err().to_string();
            assert!(text.contains("nvidia.yaml"), "{text}");
            text
        };
        let second = "`devices[1].containerEdits";
        assert!(error("hostPath: /dev/null", "hostPath: /dev/nowhere").contains("deviceNodes[0]"));
        assert!(error("hostPath: /dev/null", "hostPath: /etc").contains("is not a device"));
        assert!(error("/dev/harmless0", "/etc/harmless0").contains("not a path below `/dev`"));
        assert!(error("/usr/lib/libharmless", "/usr/../x").contains(second));
        assert!(error("hostPath: /etc/passwd", "hostPath: /nowhere/x").contains("mounts[0]"));
        assert!(error("    mounts:", "    netDevices:").contains("netDevices"));
        assert!(error("permissions: rw", "permission: rw").contains("permission"));
        assert!(error("createContainer", "poststop").contains("`containerEdits.hooks[0]`"));
        assert!(error("path: /bin/true", "path: /nowhere/hook").contains("/nowhere/hook"));
        assert!(error("=void", "").contains("`containerEdits.env[0]`"));
        assert!(error("0.5.0", "2.0.0").contains("`cdiVersion`"));
        assert!(error("cdiVersion: 0.5.0", "cdiVersion: [").contains("line"));
        assert!(error("name: all", "name: most").contains("no device `all`"));
        let two = of(&[("a.yaml", HARMLESS), ("b.yaml", HARMLESS)]).unwrap_err();
        assert!(matches!(two, CdiError::Ambiguous { .. }), "{two}");
    }
}
