//! Checks a job and prepares its folder and its order.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::order::{Bind, Order, names};
use crate::engine::{EngineError, Job};
use crate::store::{Store, StoreError};

/// Paths that a sealed run fills itself.
const RESERVED: [&str; 4] = ["/dev", "/etc/hosts", "/proc", "/sys"];

/// A job's folder; removed with everything the job wrote when it is dropped.
#[derive(Debug)]
pub(super) struct Bundle {
    folder: PathBuf,
}

impl Bundle {
    pub(super) fn create(store: &Store) -> Result<Self, EngineError> {
        let bundle = Self { folder: store.scratch("job")? };
        for name in [names::UPPER, names::WORK, names::RUN] {
            let path = bundle.folder.join(name);
            // The upper folder's mode is the mode of the job's root, whatever our umask is.
            fs::create_dir(&path)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
                .map_err(|source| io_error("create", &path, source))?;
        }
        Ok(bundle)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the session.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

/// The order for `job`; `layers` are folders, lowest first.
pub(super) fn order(layers: &[PathBuf], job: &Job) -> Result<Order, EngineError> {
    let absolute =
        |path: &PathBuf| fs::canonicalize(path).map_err(|source| io_error("find", path, source));
    Ok(Order {
        parent: std::process::id(),
        layers: layers.iter().rev().map(absolute).collect::<Result<_, _>>()?,
        command: job.command.clone(),
        env: job.env.clone(),
        workdir: job.workdir.clone(),
        mounts: binds(job)?,
        writable: job.writable.clone(),
        shm_size: job.shm_size,
    })
}

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
fn binds(job: &Job) -> Result<Vec<Bind>, EngineError> {
    let mut binds = Vec::with_capacity(job.mounts.len());
    for mount in &job.mounts {
        let source = fs::canonicalize(&mount.source).map_err(|source| EngineError::Mount {
            path: mount.source.clone(),
            target: mount.target.clone(),
            source,
        })?;
        binds.push(Bind { source, target: mount.target.clone(), writable: mount.writable });
    }
    binds.sort_by(|one, other| Path::new(&one.target).cmp(Path::new(&other.target)));
    Ok(binds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Mount;
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
            gpus: false,
        }
    }

    fn mount(target: &str) -> Mount {
        Mount { source: "/".into(), target: target.to_owned(), writable: false }
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
        let error = binds(&Job { mounts: vec![missing], ..job() }).unwrap_err();
        assert_eq!(error.to_string(), "cannot mount `/nowhere/at/all` at `/data`");
    }

    #[test]
    fn an_outer_target_is_mounted_before_an_inner_one() {
        let mounts = vec![mount("/data/inner"), mount("/data"), mount("/data-2")];
        let targets: Vec<_> = binds(&Job { mounts, ..job() }).unwrap();
        let targets: Vec<_> = targets.iter().map(|bind| bind.target.as_str()).collect();
        assert_eq!(targets, ["/data", "/data/inner", "/data-2"]);
    }
}
