//! Keeps the nodes of devices as they are.
//!
//! In a user namespace a device is the machine's own, bound into the job; a GPU always is.
//! A node that is shown read-only works like any other, but nobody changes its times or mode.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// `struct mount_attr` (mount_setattr(2)), which the C library's crate does not have everywhere.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;

/// Shows every device that is bound into `/dev` read-only.
pub(super) fn make_nodes_read_only() -> io::Result<()> {
    make_read_only_below(Path::new("/dev"))
}

fn make_read_only_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // What the folder's own list says is the file below the bound device.
        let kind = entry.metadata()?.file_type();
        if kind.is_dir() && !is_own(&entry.path()) {
            make_read_only_below(&entry.path())?;
        } else if kind.is_char_device() || kind.is_block_device() {
            make_read_only(&entry.path())?;
        }
    }
    Ok(())
}

/// The folders of `/dev` that the job writes to.
fn is_own(folder: &Path) -> bool {
    ["/dev/pts", "/dev/shm"].iter().any(|own| folder == Path::new(own))
}

fn make_read_only(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes { set: READ_ONLY, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: a path that ends with a zero, and attributes of the size given; both live long enough.
    let result = unsafe {
        let size = std::mem::size_of::<Attributes>();
        libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), 0, &attributes, size)
    };
    let error = io::Error::last_os_error();
    match result {
        0 => Ok(()),
        // It is no mount: the node is `/dev`'s own, which is read-only already.
        _ if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        _ => Err(error),
    }
}
