//! Finds out who uses a GPU, as far as the kernel tells without the driver's library.
//!
//! A program that computes on a GPU has its device file open, and `/proc` shows the open files
//! of every process that may be looked at: all of them to root, one's own to others. What could
//! not be looked at is said, because a GPU that seems free may not be.

use std::fs;
use std::path::{Path, PathBuf};

use super::host::minor;

/// Programs that keep device files open and compute nothing: services of the driver, and `repro`
/// itself, which watches the cards of its cases (those are locked). The kernel cuts names at 15 bytes.
const SERVICES: [&str; 4] = ["nvidia-persiste", "nv-hostengine", "dcgm-exporter", "repro"];

/// A process with a GPU's device file open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct User {
    /// The number of the device file.
    pub minor: u32,
    /// The process.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Who uses what, sorted.
    pub users: Vec<User>,
    /// Processes whose open files were looked at.
    pub seen: usize,
    /// Processes whose open files could not be read.
    pub hidden: usize,
}

impl Look {
    /// Looks at the processes below `root`, the machine's `/`.
    pub fn at(root: &Path) -> Self {
        let mut look = Self::default();
        for entry in fs::read_dir(root.join("proc")).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(pid) = name.parse() else { continue };
            look.process(pid, &entry.path());
        }
        look.users.sort();
        look.users.dedup();
        look
    }

    fn process(&mut self, pid: u32, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder.join("fd")) else {
            self.hidden += 1;
            return;
        };
        self.seen += 1;
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let minors: Vec<u32> = links.filter_map(|link| card(&link)).collect();
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default().trim().to_owned();
        if !SERVICES.contains(&name.as_str()) {
            let user = |minor| User { minor, pid, name: name.clone() };
            self.users.extend(minors.into_iter().map(user));
        }
    }

    /// Who uses the GPU behind `/dev/nvidia<minor>`, as a fragment.
    pub fn of(&self, minor: u32) -> Option<String> {
        let users = self.users.iter().filter(|user| user.minor == minor);
        let users: Vec<_> = users.map(|user| format!("{} ({})", user.pid, user.name)).collect();
        match users.len() {
            0 => None,
            1 => Some(format!("in use by process {}", users[0])),
            _ => Some(format!("in use by processes {}", users.join(", "))),
        }
    }

    /// What was looked at, as a sentence's end.
    pub fn extent(&self) -> String {
        let seen = format!("looked at the open files of {} processes", self.seen);
        match self.hidden {
            0 => seen,
            hidden => format!("{seen}; those of {hidden} others can only be seen by root"),
        }
    }
}

fn card(link: &PathBuf) -> Option<u32> {
    minor(Path::new(link).strip_prefix("/dev").ok()?.to_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine with processes: number, name and open files.
    fn machine(processes: &[(u32, &str, &[&str])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/driver")).unwrap();
        for (pid, name, files) in processes {
            let folder = root.path().join(format!("proc/{pid}"));
            fs::create_dir_all(folder.join("fd")).unwrap();
            fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
            for (number, file) in files.iter().enumerate() {
                symlink(file, folder.join(format!("fd/{number}"))).unwrap();
            }
        }
        root
    }

    #[test]
    fn who_has_a_device_file_open_uses_the_card() {
        let root = machine(&[
            (1, "init", &["/dev/null"]),
            (40, "python3", &["/dev/nvidiactl", "/dev/nvidia1", "/dev/nvidia1", "pipe:[7]"]),
            (41, "python3", &["/dev/nvidia1"]),
            (50, "nvidia-persiste", &["/dev/nvidia0", "/dev/nvidia1"]),
            (51, "repro", &["/dev/nvidia0", "/dev/nvidia1"]),
        ]);
        // A process of somebody else: its open files are not there to be read.
        fs::create_dir_all(root.path().join("proc/60")).unwrap();
        let look = Look::at(root.path());
        assert_eq!(look.of(0), None);
        assert_eq!(look.of(1).unwrap(), "in use by processes 40 (python3), 41 (python3)");
        assert_eq!(
            look.extent(),
            "looked at the open files of 5 processes; those of 1 others can only be seen by root"
        );
    }
}
