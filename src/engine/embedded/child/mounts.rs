//! Leaves the machine's namespaces and stacks the layers into the job's root.
//!
//! One overlay serves the whole job: its root is shown read-only, and each writable
//! folder is shown again, writable, from the same overlay. So such a folder begins with
//! what the image has there, and what is written lands on disk in the job's folder.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::user;
use crate::engine::Failure;
use crate::engine::embedded::order::{Order, names};
use crate::engine::sealed::{GENERATED, OPTIONAL};

/// Symlinks followed for one path; the kernel's own limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where things of the job's folder go in the job.
pub(super) struct Points {
    /// Folders of the mounted overlay, and their paths in the job.
    pub(super) writable: Vec<(PathBuf, String)>,
    /// Generated files, and their paths in the job.
    pub(super) generated: Vec<(PathBuf, String)>,
}

/// Enters new mount and network namespaces, in which nothing is shared with the machine.
pub(super) fn leave_machine(user_namespace: bool) -> Result<(), Failure> {
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWNET;
    // SAFETY: this process has one thread, and no library of it keeps state of a namespace.
    unsafe { unshare_unsafe(flags) }.map_err(|error| Failure::Machine {
        action: "make namespaces".to_owned(),
        reason: error.to_string(),
        needed: match user_namespace {
            true => user::needed(),
            false => "root with CAP_SYS_ADMIN; inside a container only a privileged one has it"
                .to_owned(),
        },
    })?;
    check_kernel()?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| Failure::step("make the mounts private", error))?;
    hide_cgroups()
}

/// The newest call of the kernel that is needed, by libcontainer for every mount.
fn check_kernel() -> Result<(), Failure> {
    // SAFETY: with a size of 0 the kernel refuses before it looks at the null pointers.
    let result = unsafe {
        let null = std::ptr::null_mut::<libc::c_void>();
        libc::syscall(libc::SYS_mount_setattr, -1, null, 0, null, 0)
    };
    let error = io::Error::last_os_error();
    if result == -1 && error.raw_os_error() == Some(libc::ENOSYS) {
        return Err(Failure::Machine {
            action: "set attributes of mounts".to_owned(),
            reason: error.to_string(),
            needed: "Linux 5.12 or newer".to_owned(),
        });
    }
    Ok(())
}

/// libcontainer insists on cgroups and moves the job into one of its own. Ours exists
/// already, counts only what we need and works where no hierarchy can be written to, so
/// the library is shown a machine without any: an empty folder, which it takes for
/// version 1 without controllers.
fn hide_cgroups() -> Result<(), Failure> {
    let path = "/sys/fs/cgroup";
    let failed = |error: rustix::io::Errno| Failure::step(format!("cover `{path}`"), error);
    match unmount(path, UnmountFlags::DETACH) {
        // Nothing was mounted there, or it is the machine's and cannot be taken away in a user namespace.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(failed(error)),
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", path, "tmpfs", flags, None).map_err(failed)?;
    let listed = fs::read_to_string("/proc/self/mountinfo").and_then(|text| stand_in(&text));
    listed.map_err(|error| Failure::step(format!("cover `{path}`"), error))
}

/// Makes files for the library to write to in place of every controller of version 1 that
/// is covered but still listed.
fn stand_in(mounts: &str) -> io::Result<()> {
    for line in mounts.lines().filter(|line| line.contains(" - cgroup ")) {
        let folder = Path::new(line.split(' ').nth(4).unwrap_or_default());
        if folder.starts_with("/sys/fs/cgroup") {
            fs::create_dir_all(folder)?;
            fs::write(folder.join("cgroup.procs"), "")?;
        }
    }
    Ok(())
}

/// Mounts a file system in memory into the job's folder, for what nobody keeps: it costs
/// the disk nothing, and it is gone with the namespace.
pub(super) fn memory(folder: &Path) -> Result<PathBuf, Failure> {
    let run = folder.join(names::RUN);
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", &run, "tmpfs", flags, c"mode=700")
        .map_err(|error| Failure::step(format!("mount a tmpfs at `{}`", run.display()), error))?;
    Ok(run)
}

/// Mounts the overlay in `run` and makes what the job must find in it.
pub(super) fn prepare(run: &Path, order: &Order) -> Result<Points, Failure> {
    mount_overlay(run, order)?;
    let root = run.join(names::ROOT);
    let make = |path: &str| {
        inside(&root, path).map_err(|error| Failure::step(format!("make `{path}`"), error))
    };
    make(&order.workdir)?;
    let mut writable = Vec::with_capacity(order.writable.len());
    for path in &order.writable {
        writable.push((make(path)?, path.clone()));
    }
    tell_places(run, &root, &writable)?;
    let etc = make("/etc")?;
    let has_own = |name: &str| etc.join(name).symlink_metadata().is_ok();
    let mut generated = Vec::new();
    fs::create_dir(run.join(names::ETC)).map_err(|error| Failure::step("make files", error))?;
    for (name, text) in GENERATED {
        if *name != OPTIONAL || !has_own(name) {
            let file = run.join(names::ETC).join(name);
            fs::write(&file, text)
                .map_err(|error| Failure::step(format!("make `{name}`"), error))?;
            generated.push((file, format!("/etc/{name}")));
        }
    }
    Ok(Points { writable, generated })
}

/// Writes down where the job's writable folders really are: links of the image may lead there, and
/// the overlay is gone when somebody wants to know.
fn tell_places(run: &Path, root: &Path, writable: &[(PathBuf, String)]) -> Result<(), Failure> {
    let place = |(full, path): &(PathBuf, String)| {
        (path.clone(), full.strip_prefix(root).unwrap_or(full).to_owned())
    };
    let places: BTreeMap<String, PathBuf> = writable.iter().map(place).collect();
    let failed = |error: &dyn std::fmt::Display| {
        Failure::step("write down the writable folders", error.to_string())
    };
    let text = serde_json::to_vec(&places).map_err(|error| failed(&error))?;
    let file = run.parent().unwrap_or(run).join(names::PLACES);
    fs::write(file, text).map_err(|error| failed(&error))
}

/// Mounts the overlay with the layers, the topmost first.
///
/// Options of a mount have one page (mount(2)), so the layers are named by short links in
/// the working folder: a thousand of them fit where forty paths of a store would not.
/// `volatile`: what the job writes is thrown away, so the end of a job need not wait until
/// everything that this machine has in memory is on its disk.
fn mount_overlay(run: &Path, order: &Order) -> Result<(), Failure> {
    let layers = &order.layers;
    let folder = run.parent().unwrap_or(run);
    let machine = |error: io::Error| Failure::Machine {
        action: format!("mount an overlay of {} layers in `{}`", layers.len(), folder.display()),
        reason: error.to_string(),
        needed: format!(
            "the kernel's overlay file system (`modprobe overlay`), and a store on a local \
             file system such as ext4, xfs or btrfs, not on an overlay or a network; this one is \
             on `{}`, and `REPRO_HOME` puts it elsewhere",
            fs::read_to_string("/proc/self/mountinfo")
                .ok()
                .and_then(|mounts| file_system(&mounts, folder))
                .unwrap_or_else(|| "an unknown file system".to_owned())
        ),
    };
    let links = run.join(names::LAYERS);
    let root = run.join(names::ROOT);
    let prepared = link_all(&links, layers).and_then(|()| fs::create_dir(&root));
    prepared.map_err(|error| Failure::step("link the layers", error))?;
    let lower: Vec<_> = (0..layers.len().max(1)).map(|layer| layer.to_string()).collect();
    let (upper, work) = (names::UPPER, names::WORK);
    // Other attributes belong to root of the machine, see `rootfs`.
    let attributes = if order.user_namespace { "userxattr," } else { "" };
    let options = format!(
        "{attributes}volatile,lowerdir={},upperdir=../../{upper},workdir=../../{work}",
        lower.join(":")
    );
    let options = CString::new(options).map_err(|error| machine(error.into()))?;
    std::env::set_current_dir(&links).map_err(machine)?;
    let mounted = mount("overlay", &root, "overlay", MountFlags::empty(), Some(options.as_c_str()));
    std::env::set_current_dir(folder).map_err(machine)?;
    mounted.map_err(|error| machine(error.into()))
}

/// The type of the file system that `folder` lies on; `mounts` is `/proc/self/mountinfo` (proc(5)).
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let kind = |line: &str| {
        let (mount, system) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        let depth = point.components().count();
        folder.starts_with(point).then(|| Some((depth, system.split(' ').next()?.to_owned())))?
    };
    // Of two at one place the later one covers the other.
    mounts.lines().filter_map(kind).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// Names the layers `0`, `1` and so on; an image without any gets one empty layer.
fn link_all(links: &Path, layers: &[PathBuf]) -> io::Result<()> {
    fs::create_dir(links)?;
    if layers.is_empty() {
        fs::create_dir(links.join("0"))?;
    }
    for (position, layer) in layers.iter().enumerate() {
        symlink(layer, links.join(position.to_string()))?;
    }
    Ok(())
}

/// The folder that `path` names for a process whose root is `root`, made if it is missing.
///
/// Links of the image are followed as that process would follow them, so no image can
/// make us write elsewhere. Nothing else changes the tree meanwhile.
fn inside(root: &Path, path: &str) -> io::Result<PathBuf> {
    let mut open: VecDeque<OsString> = parts(Path::new(path)).collect();
    let mut reached = PathBuf::new();
    let mut links = 0;
    while let Some(name) = open.pop_front() {
        if name == ".." {
            reached.pop();
            continue;
        }
        let next = reached.join(&name);
        let full = root.join(&next);
        match full.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::from(rustix::io::Errno::LOOP));
                }
                let target = fs::read_link(&full)?;
                if target.is_absolute() {
                    reached.clear();
                }
                parts(&target).rev().for_each(|part| open.push_front(part));
            }
            Ok(metadata) if metadata.is_dir() => reached = next,
            Ok(_) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&full)?;
                reached = next;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(root.join(reached))
}

/// The names of a path and its `..`, without what means nothing.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_a_store_is_the_deepest_and_last_mounted_one() {
        let mounts = "25 1 253:0 / / rw shared:1 - ext4 /dev/vda rw\n\
            30 25 0:30 / /home rw - nfs4 server:/home rw\n\
            31 30 0:31 / /home/a/store rw - tmpfs tmpfs rw\n\
            32 30 0:32 / /home/a/store rw - overlay overlay rw\nnonsense";
        let kind = |folder: &str| file_system(mounts, Path::new(folder));
        assert_eq!(kind("/home/a/store/tmp/1/job-1").as_deref(), Some("overlay"));
        assert_eq!(kind("/home/a/storehouse").as_deref(), Some("nfs4"));
        assert_eq!(kind("/var/tmp").as_deref(), Some("ext4"));
        assert_eq!(file_system("", Path::new("/")), None);
    }

    #[test]
    fn a_missing_folder_is_made_inside_the_root() {
        let root = tempfile::tempdir().unwrap();
        let made = inside(root.path(), "/folder/space").unwrap();
        assert_eq!(made, root.path().join("folder/space"));
        assert!(made.is_dir());
    }

    #[test]
    fn links_of_the_image_lead_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        symlink("/run", root.path().join("absolute")).unwrap();
        symlink("../../../../run", root.path().join("relative")).unwrap();
        symlink("loop", root.path().join("loop")).unwrap();
        let expected = root.path().join("run");
        assert_eq!(inside(root.path(), "/absolute").unwrap(), expected);
        assert_eq!(inside(root.path(), "/relative").unwrap(), expected);
        assert!(inside(root.path(), "/loop").is_err());
    }

    #[test]
    fn a_file_is_not_taken_for_a_folder() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let error = inside(root.path(), "/file/inner").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
