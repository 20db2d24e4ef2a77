//! Prepares a job's folder and its order.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::cdi::Edits;
use super::order::{Bind, Order, names};
use crate::engine::{EngineError, Job, Mount, sealed};
use crate::store::{Store, StoreError, is_root, remove_tree};

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
        let _ = remove_tree(&self.folder);
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

/// Where a program's linker looks first (ld.so(8)).
const LINKER_PATH: &str = "LD_LIBRARY_PATH";

/// The order for `job`; `layers` are folders, lowest first.
pub(super) fn order(layers: &[PathBuf], job: &Job, gpus: Edits) -> Result<Order, EngineError> {
    let mut mounts: Vec<_> = sealed::mounts(job)?.into_iter().map(bind).collect();
    mounts.extend(gpus.binds);
    mounts.sort_by(|one, other| Path::new(&one.target).cmp(Path::new(&other.target)));
    let mut env = job.env.clone();
    env.extend(gpus.env);
    if !gpus.library_folders.is_empty() {
        let first = gpus.library_folders.into_iter();
        let folders: Vec<_> = first.chain(env.remove(LINKER_PATH)).collect();
        env.insert(LINKER_PATH.to_owned(), folders.join(":"));
    }
    let absolute =
        |path: &PathBuf| fs::canonicalize(path).map_err(|source| io_error("find", path, source));
    Ok(Order {
        parent: std::process::id(),
        layers: layers.iter().rev().map(absolute).collect::<Result<_, _>>()?,
        command: job.command.clone(),
        env,
        workdir: job.workdir.clone(),
        mounts,
        writable: job.writable.clone(),
        shm_size: job.shm_size,
        user_namespace: !is_root(),
        input: None,
        hooks: gpus.hooks,
    })
}

fn bind(mount: Mount) -> Bind {
    let Mount { source, target, writable } = mount;
    Bind { source, target, writable, device: false }
}
