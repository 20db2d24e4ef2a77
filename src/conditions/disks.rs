//! Room and traffic on the disks that a run reads and writes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::column::{Column, Count, Seen, Source};

/// The kernel counts in sectors of this size whatever the device has (`Documentation/block/stat`).
const SECTOR: f64 = 512.0;

/// The folders that a run uses.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// Where results are written.
    pub results: PathBuf,
    /// The store, which holds the job's writable folders.
    pub store: PathBuf,
    /// Where data lie, which are only read.
    pub data: Vec<PathBuf>,
}

/// The file systems and devices of those folders.
pub(super) struct Disks {
    rooms: Vec<(Column, PathBuf)>,
    /// Files that count the traffic of a device each.
    counts: BTreeMap<PathBuf, (Count, Count)>,
}

impl Disks {
    /// Those of `folders` on the machine below `root`.
    pub fn under(root: &Path, folders: &Folders) -> Self {
        let mut rooms = vec![(Column::DiskFree, folders.results.clone())];
        let device = |folder: &Path| fs::metadata(folder).map(|metadata| metadata.dev()).ok();
        if device(&folders.store) != device(&folders.results) {
            rooms.push((Column::StoreFree, folders.store.clone()));
        }
        let all = [&folders.results, &folders.store].into_iter().chain(&folders.data);
        let files = all.filter_map(|folder| Some(counts(root, device(folder)?)));
        let counts = files.filter(|file| file.is_file()).map(|file| (file, Default::default()));
        Self { rooms, counts: counts.collect() }
    }

    /// Size of each file system that is written to, in bytes.
    pub fn sizes(&self) -> BTreeMap<Column, f64> {
        let size = |(column, folder): &(Column, PathBuf)| Some((*column, room(folder).ok()?.size));
        self.rooms.iter().filter_map(size).collect()
    }

    fn look_at_traffic(&mut self, seen: &mut Seen) {
        if self.counts.is_empty() {
            let reason = "the file systems are on no block device of their own";
            seen.note(Column::DiskRead, Err(reason));
            seen.note(Column::DiskWrite, Err(reason));
            return;
        }
        let (mut reading, mut writing) = (None, None);
        for (file, (read, written)) in &mut self.counts {
            let Some((now_read, now_written)) = sectors(file) else { continue };
            add(&mut reading, read.rate(now_read * SECTOR, seen.since));
            add(&mut writing, written.rate(now_written * SECTOR, seen.since));
        }
        for (column, rate) in [(Column::DiskRead, reading), (Column::DiskWrite, writing)] {
            if let Some(rate) = rate {
                seen.note(column, Ok::<_, String>(rate));
            }
        }
    }
}

impl Source for Disks {
    fn look(&mut self, seen: &mut Seen) {
        for (column, folder) in &self.rooms {
            seen.note(*column, room(folder).map(|room| room.free));
        }
        self.look_at_traffic(seen);
    }
}

fn add(sum: &mut Option<f64>, more: Option<f64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0.0) + more);
    }
}

/// Bytes of a file system.
struct Room {
    size: f64,
    /// What an ordinary user may still write.
    free: f64,
}

fn room(folder: &Path) -> Result<Room, rustix::io::Errno> {
    let told = rustix::fs::statvfs(folder)?;
    let block = told.f_frsize as f64;
    Ok(Room { size: told.f_blocks as f64 * block, free: told.f_bavail as f64 * block })
}

/// The file with a device's counts; there is none for a network's or a stacked file system.
fn counts(root: &Path, device: u64) -> PathBuf {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    root.join(format!("sys/dev/block/{major}:{minor}/stat"))
}

/// Sectors read and written (`Documentation/block/stat`).
fn sectors(file: &Path) -> Option<(f64, f64)> {
    let text = fs::read_to_string(file).ok()?;
    let mut fields = text.split_whitespace();
    let read = fields.nth(2)?.parse().ok()?;
    Some((read, fields.nth(3)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::tree::Tree;

    #[test]
    fn one_disk_of_several_folders_is_counted_once() {
        let tree = Tree::new(&[("results/x", ""), ("store/x", ""), ("data/x", "")]);
        let folder = |name: &str| tree.path().join(name);
        let folders = Folders {
            results: folder("results"),
            store: folder("store"),
            data: vec![folder("data")],
        };
        let device = fs::metadata(tree.path()).unwrap().dev();
        let file = counts(Path::new(""), device).to_string_lossy().into_owned();
        tree.write(&file, "    10 0 100 0 20 0 200 0 0 0 0\n");
        let mut disks = Disks::under(tree.path(), &folders);
        disks.look(&mut Seen::default());
        tree.write(&file, "    10 0 300 0 20 0 1200 0 0 0 0\n");
        let mut seen = Seen { since: Some(2.0), ..Seen::default() };
        disks.look(&mut seen);
        assert_eq!(seen.values[&Column::DiskRead], 51_200.0);
        assert_eq!(seen.values[&Column::DiskWrite], 256_000.0);
        assert!(seen.values[&Column::DiskFree] <= disks.sizes()[&Column::DiskFree]);
        assert!(!seen.values.contains_key(&Column::StoreFree), "it is on the same file system");
    }

    #[test]
    fn a_folder_that_is_gone_and_a_device_without_counts_are_not_measured() {
        let tree = Tree::new(&[("results/x", "")]);
        let folders = Folders {
            results: tree.path().join("results"),
            store: tree.path().join("gone"),
            data: Vec::new(),
        };
        let mut seen = Seen::default();
        Disks::under(tree.path(), &folders).look(&mut seen);
        assert!(seen.missing["store_free"].contains("No such file"), "{:?}", seen.missing);
        assert!(seen.missing["disk_read"].contains("no block device"));
    }
}
