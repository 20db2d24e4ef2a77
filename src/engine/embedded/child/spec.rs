//! Writes the job as a runtime specification, which is what libcontainer reads.

use std::fs;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use serde_json::{Value, json};

use super::mounts::Points;
use crate::engine::embedded::order::{Bind, Order, names};
use crate::engine::sealed::{LOCKED_MEMORY, MASKED, OOM_SCORE, OPEN_FILES, READ_ONLY, STACK};
use crate::engine::{Failure, HOST_NAME};

/// No limit (getrlimit(2), `RLIM_INFINITY`).
const UNLIMITED: u64 = u64::MAX;

/// Writes `config.json` into `run`, the bundle of the container.
pub(super) fn write(run: &Path, order: &Order, points: &Points) -> Result<(), Failure> {
    let text = specification(order, points).to_string();
    fs::write(run.join("config.json"), text)
        .map_err(|error| Failure::step("write the specification", error))
}

/// The network namespace is missing here: this process is in it already.
fn specification(order: &Order, points: &Points) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "hostname": HOST_NAME,
        "root": { "path": names::ROOT, "readonly": true },
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0, "umask": 0o022 },
            // Command and environment reach the job through `Init`, which knows them exactly.
            "args": ["job"],
            "env": [],
            "cwd": order.workdir,
            "capabilities": {
                "bounding": super::init::NEEDED, "effective": super::init::NEEDED,
                "permitted": super::init::NEEDED, "inheritable": [], "ambient": [],
            },
            "rlimits": limits(order.user_namespace),
            "noNewPrivileges": true,
            "oomScoreAdj": OOM_SCORE,
        },
        "mounts": mounts(order, points),
        "hooks": (!order.hooks.is_empty()).then_some(&order.hooks),
        "linux": {
            "cgroupsPath": "/",
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
                { "type": "mount" }, { "type": "cgroup" },
            ],
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    })
}

/// The same everywhere, but where this machine gives even root less and does not let it
/// take more: then what it gives.
fn limits(user_namespace: bool) -> Value {
    // The capability of a user namespace does not count for limits (setrlimit(2)).
    let can_raise = !user_namespace
        && capabilities(None)
            .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    let limit = |name: &str, kind: Resource, soft: u64, hard: u64| {
        let given = getrlimit(kind).maximum.filter(|_| !can_raise).unwrap_or(UNLIMITED);
        json!({ "type": name, "soft": soft.min(given), "hard": hard.min(given) })
    };
    json!([
        limit("RLIMIT_AS", Resource::As, UNLIMITED, UNLIMITED),
        limit("RLIMIT_CORE", Resource::Core, 0, 0),
        limit("RLIMIT_CPU", Resource::Cpu, UNLIMITED, UNLIMITED),
        limit("RLIMIT_DATA", Resource::Data, UNLIMITED, UNLIMITED),
        limit("RLIMIT_FSIZE", Resource::Fsize, UNLIMITED, UNLIMITED),
        limit("RLIMIT_MEMLOCK", Resource::Memlock, LOCKED_MEMORY, LOCKED_MEMORY),
        limit("RLIMIT_NOFILE", Resource::Nofile, OPEN_FILES, OPEN_FILES),
        limit("RLIMIT_STACK", Resource::Stack, STACK, UNLIMITED),
    ])
}

fn mounts(order: &Order, points: &Points) -> Vec<Value> {
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        // Made read-only by `Init`, after libcontainer has filled it.
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "noexec", "mode=755", "size=64k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", &format!("size={}", order.shm_size)],
        ),
    ];
    for (source, target) in &points.writable {
        mounts.push(mount(target, "bind", source, &["rbind", "rw", "nosuid", "nodev"]));
    }
    for (source, target) in &points.generated {
        mounts.push(mount(target, "bind", source, &["bind", "ro", "nosuid", "nodev"]));
    }
    for bind in &order.mounts {
        mounts.push(mount(&bind.target, "bind", &bind.source, &options(bind, order)));
    }
    mounts
}

/// Options of a file or folder of this machine.
fn options(bind: &Bind, order: &Order) -> Vec<&'static str> {
    if bind.device {
        // `Init` makes it read-only: the device works, its node stays as it is.
        return vec!["bind", "rw", "nosuid", "noexec"];
    }
    // `rro`: what is mounted below the source is read-only as well.
    let mut options = vec!["rbind", if bind.writable { "rw" } else { "rro" }, "nosuid", "nodev"];
    // A user namespace must keep what the machine forbids there (mount_namespaces(7)).
    let forbids_programs = |path: &Path| {
        rustix::fs::statvfs(path).is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::NOEXEC))
    };
    if order.user_namespace && forbids_programs(&bind.source) {
        options.push("noexec");
    }
    options
}

fn mount(target: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Value {
    json!({
        "destination": target,
        "type": kind,
        "source": source.as_ref(),
        "options": options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::Spec;
    use std::collections::BTreeMap;

    fn order() -> Order {
        Order {
            parent: 1,
            layers: vec!["/store/rootfs/ab".into()],
            command: vec!["true".to_owned()],
            env: BTreeMap::from([("SECRET".to_owned(), "x".to_owned())]),
            workdir: "/work".to_owned(),
            mounts: vec![Bind {
                source: "/srv/data".into(),
                target: "/data".to_owned(),
                writable: false,
                device: false,
            }],
            writable: vec!["/tmp".to_owned()],
            shm_size: 1 << 30,
            user_namespace: false,
            input: None,
            hooks: BTreeMap::new(),
        }
    }

    #[test]
    fn the_text_is_a_runtime_specification_with_a_read_only_root() {
        let points = Points {
            writable: vec![("/store/root/tmp".into(), "/tmp".to_owned())],
            generated: vec![("/store/etc/hosts".into(), "/etc/hosts".to_owned())],
        };
        let spec: Spec = serde_json::from_value(specification(&order(), &points)).unwrap();
        assert_eq!(spec.root().as_ref().unwrap().readonly(), Some(true));
        let process = spec.process().as_ref().unwrap();
        assert_eq!(process.no_new_privileges(), Some(true));
        assert_eq!(process.user().umask(), Some(0o022));
        assert_eq!(process.env().as_ref().unwrap().len(), 0);
        let options_of = |target: &str| {
            let mounts = spec.mounts().as_ref().unwrap();
            let mount = mounts.iter().find(|it| it.destination() == Path::new(target)).unwrap();
            mount.options().clone().unwrap()
        };
        assert!(options_of("/data").contains(&"rro".to_owned()));
        assert!(options_of("/etc/hosts").contains(&"ro".to_owned()));
        assert!(options_of("/tmp").contains(&"rw".to_owned()));
        assert!(options_of("/dev/shm").contains(&"size=1073741824".to_owned()));
    }
}
