//! Whose the store's files are, and how they are removed.
//!
//! Under sudo the store stays the invoking user's: what root makes is given to that user. A
//! process that is root only inside a user namespace is an ordinary user here.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{StoreError, at};

/// The number of users there are, as the machine's own user namespace maps them (user_namespaces(7)).
const ALL_USERS: &str = "4294967295";

/// Whether this process is root of the machine, and not only of a user namespace.
pub fn is_root() -> bool {
    let maps_all = |text: String| text.split_whitespace().eq(["0", "0", ALL_USERS]);
    rustix::process::geteuid().is_root()
        // A kernel without user namespaces has no such file.
        && fs::read_to_string("/proc/self/uid_map").map_or(true, maps_all)
}

/// Who owns the store's folder, or would if its user made it: under sudo the first run must
/// not make a user's store root's.
pub(super) fn future_owner(root: &Path) -> Result<(u32, u32), StoreError> {
    let existing = root.ancestors().find_map(|folder| fs::metadata(folder).ok());
    let metadata = match existing {
        Some(metadata) => metadata,
        None => fs::metadata(".").map_err(at("read", root))?,
    };
    Ok((metadata.uid(), metadata.gid()))
}

/// Makes a folder and those above it; each new one is given to `owner`.
pub(super) fn make_folder(folder: &Path, owner: (u32, u32)) -> Result<(), StoreError> {
    let new: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder).map_err(at("create", folder))?;
    new.into_iter().for_each(|folder| give(folder, owner));
    Ok(())
}

/// Closes one of the store's folders to other users, also one that an older program left open.
///
/// The user may keep the folder elsewhere and have a link here; whoever made the link must own what
/// it leads to, so that root closes no folder of the machine.
pub(super) fn close_folder(folder: &Path, mode: u32) -> Result<(), StoreError> {
    let close = || {
        let link = fs::symlink_metadata(folder)?;
        let handle = File::open(folder)?;
        let found = handle.metadata()?;
        let user = rustix::process::geteuid();
        let is_ours = found.uid() == link.uid() && (user.is_root() || found.uid() == user.as_raw());
        match is_ours && found.mode() & 0o7777 & !mode != 0 {
            true => handle.set_permissions(Permissions::from_mode(mode)),
            false => Ok(()),
        }
    };
    close().map_err(at("close to other users", folder))
}

/// Gives what root made to `owner`; a failure only matters to a later removal.
pub(super) fn give(path: &Path, (user, group): (u32, u32)) {
    if rustix::process::geteuid().is_root() && user != 0 {
        // Of a link the link itself: where it leads is nobody's business here.
        let _ = std::os::unix::fs::lchown(path, Some(user), Some(group));
    }
}

/// Removes a folder with everything in it, also folders that their owner may not enter or
/// change: layers and jobs of an ordinary user have such.
pub fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_folders(folder);
            fs::remove_dir_all(folder)
        }
        other => other,
    }
}

/// Lets the owner enter and change every folder of a tree; what cannot be opened shows when
/// the tree is removed.
fn open_folders(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_folders(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_with_closed_folders_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("closed/inner")).unwrap();
        fs::write(tree.join("closed/inner/file"), "").unwrap();
        for path in ["closed/inner", "closed", ""] {
            fs::set_permissions(tree.join(path), Permissions::from_mode(0o000)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
