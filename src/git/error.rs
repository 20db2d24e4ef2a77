//! What can be wrong with a git tree.

use std::io;

use crate::digest::TreeId;
use crate::store::StoreError;

/// What can be wrong with a tree or its archive.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An archive could not be read.
    #[error("cannot read a tree archive")]
    Read(#[source] io::Error),
    /// An archive is not one that this program wrote.
    #[error("a tree archive is damaged: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A repository lacks an object, or has other content under its name.
    #[error("a repository is damaged or incomplete: {reason}")]
    Object {
        /// What libgit2 says.
        reason: String,
    },
    /// A tree has an entry that no folder of an image can have.
    #[error("`{path}` cannot be laid out: {reason}")]
    Path {
        /// The path, below the tree.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// A pattern of paths is none, or matches nothing.
    #[error("pattern `{pattern}`: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An archive holds another tree than was locked.
    #[error(
        "the tree of `{place}` is not the one that was locked\n  locked  {expected}\n  found   {found}"
    )]
    Differs {
        /// The source's name, or the submodule's path.
        place: String,
        /// The locked tree.
        expected: TreeId,
        /// The tree whose name was computed from the content.
        found: TreeId,
    },
}
