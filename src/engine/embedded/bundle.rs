//! Prepares a job's folder and its order.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
        mounts: sealed::mounts(job)?.into_iter().map(bind).collect(),
        writable: job.writable.clone(),
        shm_size: job.shm_size,
        user_namespace: !is_root(),
        hooks: BTreeMap::new(),
    })
}

fn bind(mount: Mount) -> Bind {
    let Mount { source, target, writable } = mount;
    Bind { source, target, writable, device: false }
}
