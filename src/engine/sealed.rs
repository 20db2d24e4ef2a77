//! What every sealed run is, whatever closes it: limits, generated files, what is hidden.

use std::fs;
use std::path::{Component, Path};

use crate::engine::{EngineError, Job, Mount, outputs};

/// Open files of one process: enough for many data loaders, few enough for old programs
/// that walk all possible ones.
pub(super) const OPEN_FILES: u64 = 16_384;

/// Stack of a process in bytes, as most systems have it.
pub(super) const STACK: u64 = 8 << 20;

/// Memory that a process may lock in bytes, as most systems have it.
pub(super) const LOCKED_MEMORY: u64 = 8 << 20;

/// Where memory is short, the job should go before `repro`: then its failure is recorded.
pub(super) const OOM_SCORE: i32 = 500;

/// What of `/proc` and `/sys` tells about the machine or steers it.
pub(super) const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What of `/proc` is for administrators.
pub(super) const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Made only where the image has none: the C library would ask a name server before the files.
pub(super) const OPTIONAL: &str = "nsswitch.conf";

/// Files of `/etc` in every sealed run.
///
/// Names resolve without a network, to the loopback. There is no line for IPv6: not every
/// kernel has it, and a job should see the same on every machine.
pub(super) const GENERATED: &[(&str, &str)] = &[
    ("hosts", "127.0.0.1\tlocalhost\n127.0.0.1\trepro\n"),
    ("hostname", "repro\n"),
    ("resolv.conf", ""),
    (OPTIONAL, "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"),
];

/// Paths that a sealed run fills itself.
const RESERVED: [&str; 4] = ["/dev", "/etc/hosts", "/proc", "/sys"];

/// Refuses what no sealed run can do.
pub(super) fn check(job: &Job) -> Result<(), EngineError> {
    let refuse = |reason: String| Err(EngineError::Job { reason });
    let strings = job.command.iter().chain(job.env.keys()).chain(job.env.values());
    let paths = job.writable.iter().chain(job.mounts.iter().map(|mount| &mount.target));
    match job.command.first() {
        None => return refuse("its command is empty".to_owned()),
        Some(program) if program.is_empty() => {
            return refuse("the name of its program is empty".to_owned());
        }
        Some(_) => {}
    }
    if let Some(text) = strings.chain(paths.clone()).find(|text| text.contains('\0')) {
        return refuse(format!("`{}` has a zero byte", text.escape_default()));
    }
    if let Some(key) = job.env.keys().find(|key| key.is_empty() || key.contains('=')) {
        return refuse(format!("`{key}` cannot be the name of an environment variable"));
    }
    for path in paths.chain([&job.workdir]) {
        if !is_plain(path) {
            return refuse(format!("`{path}` is not an absolute path without `..`"));
        }
    }
    let reserved = |path: &&String| {
        Path::new(path) == Path::new("/")
            || RESERVED.iter().any(|it| Path::new(path).starts_with(it))
    };
    let targets = job.mounts.iter().map(|mount| &mount.target);
    if let Some(path) = job.writable.iter().chain(targets).find(reserved) {
        return refuse(format!("`{path}` belongs to the sealed run itself"));
    }
    for keep in &job.keep {
        if !is_plain(&keep.pattern) || keep.pattern.contains('\0') {
            return refuse(format!("`{}` is not an absolute path without `..`", keep.pattern));
        }
        outputs::place(job, keep)?;
    }
    if job.shm_size == 0 {
        return refuse("its `/dev/shm` has no size".to_owned());
    }
    Ok(())
}

fn is_plain(path: &str) -> bool {
    let mut components = Path::new(path).components();
    components.next() == Some(Component::RootDir)
        && components.all(|component| matches!(component, Component::Normal(_)))
}

/// The job's mounts with their real sources, outer targets first.
pub(super) fn mounts(job: &Job) -> Result<Vec<Mount>, EngineError> {
    let mut mounts = Vec::with_capacity(job.mounts.len());
    for mount in &job.mounts {
        let source = fs::canonicalize(&mount.source).map_err(|source| EngineError::Mount {
            path: mount.source.clone(),
            target: mount.target.clone(),
            source,
        })?;
        mounts.push(Mount { source, ..mount.clone() });
    }
    mounts.sort_by(|one, other| Path::new(&one.target).cmp(Path::new(&other.target)));
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::HOST_NAME;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn job() -> Job {
        Job {
            command: vec!["true".to_owned()],
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            mounts: Vec::new(),
            writable: Vec::new(),
            shm_size: 1 << 20,
            timeout: Duration::from_secs(1),
            memory: None,
            gpus: crate::engine::Gpus::None,
            keep: Vec::new(),
        }
    }

    fn mount(target: &str) -> Mount {
        Mount { source: "/".into(), target: target.to_owned(), writable: false }
    }

    #[test]
    fn the_generated_files_name_the_host() {
        let text = |name| GENERATED.iter().find(|(file, _)| *file == name).unwrap().1;
        assert_eq!(text("hostname"), format!("{HOST_NAME}\n"));
        assert!(text("hosts").ends_with(&format!("\t{HOST_NAME}\n")));
    }

    #[test]
    fn a_plain_job_is_accepted() {
        check(&job()).unwrap();
        check(&Job { mounts: vec![mount("/data/cityscapes")], ..job() }).unwrap();
    }

    #[test]
    fn what_no_run_can_do_is_refused_with_the_value() {
        let reason = |job: Job| check(&job).unwrap_err().to_string();
        let env = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(reason(Job { command: Vec::new(), ..job() }).contains("empty"));
        assert!(reason(Job { command: vec!["a\0b".to_owned()], ..job() }).contains("a\\u{0}b"));
        assert!(reason(Job { env: env("A=B", ""), ..job() }).contains("`A=B`"));
        assert!(reason(Job { env: env("A", "\0"), ..job() }).contains("zero byte"));
        assert!(reason(Job { workdir: "work".to_owned(), ..job() }).contains("`work`"));
        assert!(reason(Job { shm_size: 0, ..job() }).contains("/dev/shm"));
        for target in ["/proc/x", "/dev", "/", "/data/../etc", "data", "/etc/hosts"] {
            assert!(reason(Job { mounts: vec![mount(target)], ..job() }).contains(target));
            assert!(reason(Job { writable: vec![target.to_owned()], ..job() }).contains(target));
        }
    }

    #[test]
    fn a_source_that_is_missing_is_named_with_its_target() {
        let missing = Mount { source: "/nowhere/at/all".into(), ..mount("/data") };
        let error = super::mounts(&Job { mounts: vec![missing], ..job() }).unwrap_err();
        assert_eq!(error.to_string(), "cannot mount `/nowhere/at/all` at `/data`");
    }

    #[test]
    fn an_outer_target_is_mounted_before_an_inner_one() {
        let mounts = vec![mount("/data/inner"), mount("/data"), mount("/data-2")];
        let targets: Vec<_> = super::mounts(&Job { mounts, ..job() }).unwrap();
        let targets: Vec<_> = targets.iter().map(|mount| mount.target.as_str()).collect();
        assert_eq!(targets, ["/data", "/data/inner", "/data-2"]);
    }
}
