//! One cgroup a job: what it used, what it may use, and how to find it again.
//!
//! Both versions of the kernel's interface are read directly, because what is needed
//! is four files. A job's cgroup lies below the cgroup of this process (version 1) or
//! beside it (version 2, where a cgroup with processes cannot pass on controllers), so
//! limits that hold for `repro` hold for its jobs.
//!
//! Invariants: a cgroup is named after the store and the session that made it, so that
//! [`sweep`] of the same store finds what a killed process left; what a machine does
//! not count is `None`.

mod job_memory;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::digest::Digest;
use crate::store::{Store, StoreError};

pub(in crate::engine) use job_memory::JobMemory;

/// How often and how long a cgroup is tried until its last process is gone.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// The cgroup of one job.
#[derive(Debug)]
pub(super) struct Cgroup {
    /// Version 1: one folder a controller. Version 2: one folder.
    folders: Vec<Folder>,
}

#[derive(Debug, Clone)]
struct Folder {
    path: PathBuf,
    controller: Controller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    /// Version 1, memory.
    Memory,
    /// Version 1, processor time.
    CpuAccounting,
    /// Version 2, both.
    Unified,
}

impl Cgroup {
    /// Makes the cgroup `name`; one that counts nothing if this machine offers none.
    pub(super) fn create(name: &str) -> Self {
        let mut folders = Vec::new();
        for (controller, parent) in parents() {
            let path = parent.join(name);
            if fs::create_dir(&path).is_ok() {
                folders.push(Folder { path, controller });
            }
        }
        Self { folders }
    }

    /// Limits the memory of all processes together.
    pub(super) fn limit_memory(&self, bytes: u64) -> Result<(), String> {
        let file = |folder: &Folder| match folder.controller {
            Controller::Memory => Some(folder.path.join("memory.limit_in_bytes")),
            Controller::Unified => Some(folder.path.join("memory.max")),
            Controller::CpuAccounting => None,
        };
        let file = self.folders.iter().filter_map(file).find(|file| file.exists());
        let file = file.ok_or("no cgroup of this machine can count memory")?;
        fs::write(&file, bytes.to_string()).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Moves a process into it; what that process starts stays in it.
    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        for folder in &self.folders {
            fs::write(folder.path.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// What its processes used so far.
    pub(super) fn usage(&self) -> Usage {
        measure(&self.folders)
    }

    /// What looks at its memory while it runs.
    pub(super) fn job_memory(&self) -> JobMemory {
        JobMemory::among(self.folders.clone())
    }

    /// What counts processor time here, for whoever watches; `None` if nothing does.
    pub(super) fn counted(&self) -> Option<Counted> {
        Counted::among(self.folders.clone())
    }
}

/// A cgroup that counts processor time, as long as it is there.
#[derive(Debug, Clone)]
pub struct Counted(Vec<Folder>);

impl Counted {
    fn among(folders: Vec<Folder>) -> Option<Self> {
        let counted = Self(folders);
        counted.cpu_time().map(|_| counted)
    }

    /// The cgroup that process `pid` is in, if its path has `name`: the numbers of a machine
    /// elsewhere may be those of other processes here.
    pub(in crate::engine) fn of_process(pid: u32, name: &str) -> Option<Self> {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let hierarchies = parse_hierarchies(&mounts, &own).into_iter();
        let named = hierarchies.filter(|it| it.own.to_string_lossy().contains(name));
        Self::among(named.flat_map(Hierarchy::into_folders).collect())
    }

    /// Processor time of all its processes.
    pub(in crate::engine) fn cpu_time(&self) -> Option<Duration> {
        self.0.iter().find_map(cpu_time)
    }

    /// The numbers of its processes.
    pub(in crate::engine) fn processes(&self) -> Option<BTreeSet<u32>> {
        let folder = self.0.iter().find(|folder| cpu_time(folder).is_some())?;
        let text = fs::read_to_string(folder.path.join("cgroup.procs")).ok()?;
        Some(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.folders.iter().for_each(|folder| remove(&folder.path));
    }
}

/// What the processes of one cgroup used, as far as this machine counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Usage {
    /// Processor time of all processes.
    pub cpu_time: Option<Duration>,
    /// Largest memory of all processes together in bytes, page cache of the files they read
    /// included, as the kernel counts it.
    pub peak_memory: Option<u64>,
}

/// What the cgroup that this process is in has used; a container has one of its own.
pub(in crate::engine) fn usage() -> Usage {
    measure(&own_folders())
}

/// What looks at the memory of the cgroup that this process is in.
pub(in crate::engine) fn job_memory() -> JobMemory {
    JobMemory::among(own_folders())
}

fn own_folders() -> Vec<Folder> {
    hierarchies().into_iter().flat_map(Hierarchy::into_folders).collect()
}

fn measure(folders: &[Folder]) -> Usage {
    Usage {
        cpu_time: folders.iter().find_map(cpu_time),
        peak_memory: folders.iter().find_map(peak_memory),
    }
}

fn peak_memory(folder: &Folder) -> Option<u64> {
    match folder.controller {
        Controller::Memory => number(&folder.path.join("memory.max_usage_in_bytes")),
        Controller::Unified => number(&folder.path.join("memory.peak")),
        Controller::CpuAccounting => None,
    }
}

fn cpu_time(folder: &Folder) -> Option<Duration> {
    match folder.controller {
        Controller::CpuAccounting => {
            number(&folder.path.join("cpuacct.usage")).map(Duration::from_nanos)
        }
        Controller::Unified => {
            let text = fs::read_to_string(folder.path.join("cpu.stat")).ok()?;
            let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
            used.trim().parse().ok().map(Duration::from_micros)
        }
        Controller::Memory => None,
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Kills what runs in a cgroup and removes it; what resists is left to the next sweep.
fn remove(folder: &Path) {
    for _ in 0..TRIES {
        // A finished process is counted until it is waited for, so the first try may be early.
        match fs::remove_dir(folder) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {}
        }
        kill(folder);
        thread::sleep(PAUSE);
    }
}

fn kill(folder: &Path) {
    let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)) {
        // It may have ended by itself since the file was read.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Name of a job's cgroup; `job` is unique in the session.
pub(in crate::engine) fn name(store: &Store, job: &Path) -> Result<String, StoreError> {
    let job = job.file_name().unwrap_or_default().to_string_lossy();
    let session = store.session()?;
    Ok(match outer(store) {
        Some((root, outer)) => format!("{}{outer}.{session}.{job}", prefix(&root)),
        None => format!("{}{session}.{job}", prefix(store.root())),
    })
}

/// The store and the session whose scratch folder holds this store, if one does.
///
/// A second build has its store there. Its cgroups are named by the outer session, because
/// nobody opens the inner store again who could clear them away.
fn outer(store: &Store) -> Option<(PathBuf, String)> {
    let root = fs::canonicalize(store.root()).ok()?;
    root.ancestors().skip(1).find_map(|folder| {
        let tmp = folder.parent()?;
        let outer = tmp.parent()?;
        let is_session = tmp.file_name()? == "tmp" && outer.join("version").is_file();
        let session = folder.file_name()?.to_string_lossy().into_owned();
        is_session.then(|| (outer.to_owned(), session))
    })
}

/// Tells the cgroups of one store from those of another, whose sessions nobody here knows.
pub(in crate::engine) fn prefix(root: &Path) -> String {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    format!("repro-{}.", Digest::of(root.as_os_str().as_encoded_bytes()).short())
}

/// Kills and removes what killed processes left in cgroups of this store.
pub fn sweep(store: &Store) {
    let prefix = prefix(store.root());
    for hierarchy in hierarchies() {
        for folder in named(&hierarchy.mount_point, &prefix) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let session = name[prefix.len()..].split('.').next().unwrap_or_default();
            if !store.session_is_live(session) {
                remove(&folder);
            }
        }
    }
}

/// Folders below `folder` whose name starts with `prefix`.
fn named(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match entry.file_name().to_string_lossy().starts_with(prefix) {
                true => found.push(entry.path()),
                false => open.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

/// Where a job's cgroup can be made.
fn parents() -> Vec<(Controller, PathBuf)> {
    let mut found: Vec<(Controller, PathBuf)> = Vec::new();
    for hierarchy in hierarchies() {
        for controller in &hierarchy.controllers {
            if found.iter().all(|(known, _)| known != controller) {
                let parent = match controller {
                    Controller::Unified => unified_parent(&hierarchy),
                    _ => hierarchy.own.clone(),
                };
                found.push((*controller, parent));
            }
        }
    }
    // Where version 1 counts memory, version 2 cannot: a controller is in one of them.
    if found.iter().any(|(controller, _)| *controller == Controller::Memory) {
        found.retain(|(controller, _)| *controller != Controller::Unified);
    }
    found
}

/// The nearest cgroup at or above ours that passes the memory controller on.
fn unified_parent(hierarchy: &Hierarchy) -> PathBuf {
    let passes_memory = |folder: &Path| {
        let passed = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
        passed.split_whitespace().any(|controller| controller == "memory")
    };
    let inside = |folder: &&Path| folder.starts_with(&hierarchy.mount_point);
    let mut above = hierarchy.own.ancestors().take_while(inside);
    if let Some(folder) = above.find(|folder| passes_memory(folder)) {
        return folder.to_owned();
    }
    // No service manager has set anything up; other runtimes enable it here as well.
    let _ = fs::write(hierarchy.mount_point.join("cgroup.subtree_control"), "+memory");
    hierarchy.mount_point.clone()
}

/// One mounted hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    mount_point: PathBuf,
    controllers: Vec<Controller>,
    /// The folder of the cgroup that this process is in.
    own: PathBuf,
}

impl Hierarchy {
    /// The cgroup as each controller sees it.
    fn into_folders(self) -> impl Iterator<Item = Folder> {
        let folder = move |controller| Folder { path: self.own.clone(), controller };
        self.controllers.into_iter().map(folder)
    }
}

fn hierarchies() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    parse_hierarchies(&mounts, &own)
}

/// Reads `/proc/self/mountinfo` (proc(5)) and `/proc/self/cgroup` (cgroups(7)).
fn parse_hierarchies(mounts: &str, own: &str) -> Vec<Hierarchy> {
    mounts.lines().filter_map(|line| parse_mount(line, own)).collect()
}

fn parse_mount(line: &str, own: &str) -> Option<Hierarchy> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, mount_point) = (fields.next()?, PathBuf::from(fields.next()?));
    let mut fields = file_system.split(' ');
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    let (controllers, key) = match kind {
        "cgroup2" => (vec![Controller::Unified], ""),
        "cgroup" => {
            let has = |name: &str| options.split(',').any(|option| option == name);
            match (has("memory"), has("cpuacct")) {
                (true, true) => (vec![Controller::Memory, Controller::CpuAccounting], "memory"),
                (true, false) => (vec![Controller::Memory], "memory"),
                (false, true) => (vec![Controller::CpuAccounting], "cpuacct"),
                (false, false) => return None,
            }
        }
        _ => return None,
    };
    let path = own_path(own, key)?;
    // In a container the mount shows a part of the hierarchy only.
    let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    Some(Hierarchy { own: mount_point.join(inside), mount_point, controllers })
}

/// The path of our cgroup in the hierarchy of controller `key`; empty for version 2.
fn own_path<'a>(own: &'a str, key: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|controller| controller == key).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(mount_point: &str, controllers: Vec<Controller>, own: &str) -> Hierarchy {
        Hierarchy { mount_point: mount_point.into(), controllers, own: own.into() }
    }

    #[test]
    fn separate_and_joint_hierarchies_of_version_1_are_found() {
        let mounts = "33 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             34 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             35 25 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             36 25 0:31 / / rw - ext4 /dev/vda rw";
        let own = "9:name=systemd:/\n4:memory:/user/a\n2:cpu,cpuacct:/\n0::/unified";
        let expected = [
            hierarchy(
                "/sys/fs/cgroup/memory",
                vec![Controller::Memory],
                "/sys/fs/cgroup/memory/user/a",
            ),
            hierarchy(
                "/sys/fs/cgroup/cpu,cpuacct",
                vec![Controller::CpuAccounting],
                "/sys/fs/cgroup/cpu,cpuacct/",
            ),
        ];
        assert_eq!(parse_hierarchies(mounts, own), expected);
    }

    #[test]
    fn version_2_is_found_also_where_a_container_shows_a_part_of_it() {
        let mounts = "30 23 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate";
        let found = parse_hierarchies(mounts, "0::/docker/x/app");
        let unified = vec![Controller::Unified];
        assert_eq!(found, [hierarchy("/sys/fs/cgroup", unified, "/sys/fs/cgroup/app")]);
    }

    #[test]
    fn a_file_without_meaning_gives_no_hierarchy() {
        assert!(parse_hierarchies("", "").is_empty());
        assert!(parse_hierarchies("nonsense\n- - -\n1 2 3 - cgroup2 x", "0::/").is_empty());
    }

    #[test]
    fn two_stores_give_their_cgroups_different_names() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let stores = folders.each_ref().map(|folder| Store::open(folder.path()).unwrap());
        let names = stores.each_ref().map(|store| name(store, Path::new("/x/job-1")).unwrap());
        assert_ne!(names[0].split('.').next(), names[1].split('.').next());
        assert!(names[0].ends_with(".job-1"));
    }
}
