//! What can stop an audit.

use std::io;
use std::path::PathBuf;

use crate::bench::TemplateError;
use crate::digest::{CommitId, TreeId};
use crate::engine::EngineError;
use crate::fetch::FetchError;
use crate::git::GitError;
use crate::store::StoreError;

/// Why an audit cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The recipe does not say what to check.
    #[error("the recipe of `{system}` has no `[audit]`")]
    NoAudit {
        /// The system.
        system: String,
    },
    /// The guide's repository cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The guide's files cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sealed job could not be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The commit has another tree than the recipe says.
    #[error(
        "commit {commit} of the guide has another tree\n  recipe  {expected}\n  found   {found}"
    )]
    OtherTree {
        /// The commit.
        commit: CommitId,
        /// The recipe's tree.
        expected: TreeId,
        /// The commit's tree.
        found: TreeId,
    },
    /// The recipe leaves the file out of what is taken of the repository.
    #[error("`audit.include` does not take `{path}`")]
    NotTaken {
        /// The path in its repository.
        path: String,
    },
    /// The guide has no such file.
    #[error("the guide has no file `{path}` at {commit}")]
    NoFile {
        /// The path in its repository.
        path: String,
        /// The commit.
        commit: CommitId,
    },
    /// The command of the guide's script cannot be filled in.
    #[error("`audit.script.command`: {0}")]
    Command(TemplateError),
    /// A file of this machine cannot be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
}
