//! Anonymous and shared memory of a job, which is what it needs to run.
//!
//! The kernel's own peak counts page cache, so that a job that reads its image for the first
//! time seems to need twice as much as the same job later. It keeps no peak of the rest, so the
//! largest of several looks stands for it.
//!
//! Invariant: a peak between two looks is missed, so the number is never too large.

use std::fs;
use std::time::{Duration, Instant};

use super::{Controller, Folder};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Fewer looks say nothing: the first may come before the command starts.
const FEWEST: u32 = 2;

/// The largest memory of a cgroup that was seen so far.
#[derive(Debug)]
pub(in crate::engine) struct JobMemory {
    folders: Vec<Folder>,
    due: Instant,
    looks: u32,
    largest: u64,
}

impl JobMemory {
    /// Prepares to look; the first look is due at once.
    pub(super) fn among(folders: Vec<Folder>) -> Self {
        Self { folders, due: Instant::now(), looks: 0, largest: 0 }
    }

    /// Looks if it is time to.
    pub(in crate::engine) fn look(&mut self) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + INTERVAL;
        if let Some(bytes) = self.folders.iter().find_map(in_use) {
            self.looks += 1;
            self.largest = self.largest.max(bytes);
        }
    }

    /// Time until the next look is due.
    pub(in crate::engine) fn until_next(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// The largest that was seen, in bytes; `None` if the job ended too soon or nobody counts.
    pub(in crate::engine) fn largest(&self) -> Option<u64> {
        (self.looks >= FEWEST).then_some(self.largest)
    }
}

fn in_use(folder: &Folder) -> Option<u64> {
    if folder.controller == Controller::CpuAccounting {
        return None;
    }
    let text = fs::read_to_string(folder.path.join("memory.stat")).ok()?;
    parse_stat(&text, folder.controller)
}

/// Reads `memory.stat` (cgroups(7)): anonymous and shared memory, cgroups below included.
fn parse_stat(text: &str, controller: Controller) -> Option<u64> {
    let (anonymous, shared) = match controller {
        Controller::Memory => ("total_rss", "total_shmem"),
        Controller::Unified => ("anon", "shmem"),
        Controller::CpuAccounting => return None,
    };
    let value = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    };
    value(anonymous)?.checked_add(value(shared)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_1: &str = "cache 900\nrss 10\nrss_huge 0\nshmem 1\nhierarchical_memory_limit 5\n\
        total_cache 4000\ntotal_rss 300\ntotal_rss_huge 7\ntotal_shmem 20\n";
    const VERSION_2: &str = "anon 300\nfile 4000\nkernel 9\nshmem 20\nanon_thp 7\n";

    #[test]
    fn page_cache_is_no_memory_of_the_job_in_either_version() {
        assert_eq!(parse_stat(VERSION_1, Controller::Memory), Some(320));
        assert_eq!(parse_stat(VERSION_2, Controller::Unified), Some(320));
    }

    #[test]
    fn what_a_kernel_does_not_count_is_not_guessed() {
        for text in ["", "total_rss 3", "total_rss x\ntotal_shmem 1", VERSION_2] {
            assert_eq!(parse_stat(text, Controller::Memory), None, "{text}");
        }
        assert_eq!(parse_stat("anon 300\nshmem_thp 4\n", Controller::Unified), None);
        assert_eq!(parse_stat(VERSION_1, Controller::CpuAccounting), None);
    }

    #[test]
    fn the_largest_of_several_looks_is_kept_and_one_look_is_not_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut memory = JobMemory::among(vec![Folder { path, controller: Controller::Unified }]);
        let mut look = |bytes: u64| {
            let text = format!("anon {bytes}\nshmem 0\n");
            fs::write(folder.path().join("memory.stat"), text).unwrap();
            memory.due = Instant::now();
            memory.look();
            memory.largest()
        };
        assert_eq!([look(5), look(9), look(2)], [None, Some(9), Some(9)]);
    }
}
