//! What can go wrong on the way.

use std::io;
use std::path::{Path, PathBuf};

use crate::bench::BenchError;
use crate::build::BuildError;
use crate::digest::Digest;
use crate::lock::LockError;
use crate::store::StoreError;

/// Why something could not be carried.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock in a bundle is none.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What was carried cannot be registered.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A record in a bundle is none.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// An operation on a file failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Inputs are not in the store.
    #[error("the store lacks {} of what `{name}` is made of{}", missing.len(), lines(missing))]
    Missing {
        /// The image.
        name: String,
        /// Names and digests.
        missing: Vec<String>,
    },
    /// A folder is no mirror, or one of a later program.
    #[error("`{}` is no mirror that this program can write: {reason}", path.display())]
    NotAMirror {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Another process is writing the mirror.
    #[error("another command is writing the mirror `{}`", path.display())]
    MirrorInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The bundle could not be read on.
    #[error("cannot read the bundle")]
    Read(#[source] io::Error),
    /// The bundle could not be written.
    #[error("cannot write the bundle")]
    Write(#[source] io::Error),
    /// The file is no bundle.
    #[error("this is no bundle: {reason}")]
    NotABundle {
        /// Why not.
        reason: String,
    },
    /// A later program wrote it.
    #[error("the bundle has version {found}\n  this program knows  {known}")]
    Newer {
        /// The version it has.
        found: u64,
        /// The latest version that can be read.
        known: u64,
    },
    /// The bundle ends early.
    #[error("the bundle ends in the middle of `{path}`")]
    Cut {
        /// The entry.
        path: String,
    },
    /// An entry is not the one that the index names at its place.
    #[error("the bundle is not what its index says\n  expected  {expected}\n  found     {found}")]
    OtherEntry {
        /// The entry of the index.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// An entry has other bytes than the index says.
    #[error("`{path}` in the bundle is damaged\n  expected  {expected}\n  found     {found}")]
    Damaged {
        /// The entry.
        path: String,
        /// The digest in the index.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// The place for the project is taken.
    #[error("`{}` exists and is not empty", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

/// Adds action and path to a system error.
pub(super) fn at<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CarryError + 'a {
    move |source| CarryError::Io { action, path: path.to_owned(), source }
}
