//! Makes an ordinary user root of a user namespace, in which a job can be prepared.
//!
//! One user is mapped, the one who runs `repro`: that needs no other program, no table of
//! the machine's administrator, and is the same on every machine. A job has no
//! capabilities, so it could not become another user anyway.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{getegid, geteuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::engine::Failure;

/// What forbids user namespaces, with the value that forbids and what to do.
const SWITCHES: [(&str, &str, &str); 3] = [
    // Debian's and its neighbours'.
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "user namespaces for all users: `sysctl -w kernel.unprivileged_userns_clone=1` as root",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "user namespaces: `sysctl -w user.max_user_namespaces=16384` as root",
    ),
    // Ubuntu's since 23.10.
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile that allows this program `userns`, or \
         `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` as root",
    ),
];

/// Enters a new user namespace as its root.
pub(super) fn enter() -> Result<(), Failure> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let machine = |error: &dyn ToString| Failure::Machine {
        action: "make a user namespace".to_owned(),
        reason: error.to_string(),
        needed: needed(),
    };
    // SAFETY: this process has one thread, and no library of it keeps state of a namespace.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }.map_err(|error| machine(&error))?;
    // Without that a user could leave a group that is denied something (user_namespaces(7)).
    let mapped = fs::write("/proc/self/setgroups", "deny")
        .or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {user} 1")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {group} 1")));
    mapped.map_err(|error| machine(&error))
}

/// What to change where a user namespace cannot be made or gives no rights.
pub(super) fn needed() -> String {
    match forbidden(Path::new("/")) {
        Some(needed) => format!("{needed}; or the same command with `sudo`"),
        None => "a kernel with user namespaces, and, inside a container, one that lets its \
                 processes make them; or the same command with `sudo`"
            .to_owned(),
    }
}

/// What to change if a setting of the machine whose `/proc` lies under `root` forbids ordinary users
/// a user namespace.
pub fn forbidden(root: &Path) -> Option<&'static str> {
    let value = |switch: &str| fs::read_to_string(root.join("proc/sys").join(switch));
    let forbids = |(switch, forbidding, _): &&(&str, &str, &'static str)| {
        value(switch).is_ok_and(|text| text.trim() == *forbidding)
    };
    SWITCHES.iter().find(forbids).map(|(_, _, needed)| *needed)
}
