//! What can go wrong between inputs and a layer.

use std::io;

use crate::digest::Digest;
use crate::git::GitError;
use crate::store::StoreError;

/// What can go wrong with layers.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An input could not be read.
    #[error("cannot read `{name}`")]
    Read {
        /// The input's file name.
        name: String,
        /// The system's or the decoder's reason.
        source: io::Error,
    },
    /// The layer's bytes could not be handed on.
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
    /// A wheel as a whole is unusable.
    #[error("`{file}` cannot be installed: {reason}")]
    Wheel {
        /// File name of the wheel.
        file: String,
        /// Why.
        reason: String,
    },
    /// One entry of a wheel is unusable.
    #[error("`{file}` cannot be installed: its entry `{entry}` {reason}")]
    WheelEntry {
        /// File name of the wheel.
        file: String,
        /// Name of the entry as the wheel has it.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry's content is not what its archive says.
    #[error(
        "`{entry}` of `{file}` is damaged: its {what} differs\n  expected  {expected}\n  found     {found}"
    )]
    Content {
        /// File name of the input.
        file: String,
        /// Path in the layer.
        entry: String,
        /// `CRC-32`, `size` or `end of the compressed stream`.
        what: &'static str,
        /// What the archive says.
        expected: String,
        /// What was read.
        found: String,
    },
    /// A Debian package is unusable.
    #[error("`{file}` cannot be unpacked: {reason}")]
    Package {
        /// File name of the package.
        file: String,
        /// Why.
        reason: String,
    },
    /// A git tree is unusable.
    #[error("the tree of `{name}` cannot be laid out")]
    SourceTree {
        /// What a reader calls it.
        name: String,
        /// Why.
        source: GitError,
    },
    /// Two inputs want different things at one path.
    #[error("two inputs of a layer differ at `{path}`\n  first   {first}\n  second  {second}")]
    Conflict {
        /// Path in the layer.
        path: String,
        /// What is there already, and from where.
        first: String,
        /// What should come there, and from where.
        second: String,
    },
    /// A path that no layer can have.
    #[error("`{path}` of {origin} cannot be a path in a layer: {reason}")]
    Path {
        /// The path as it was given.
        path: String,
        /// Which input or table it came from.
        origin: String,
        /// Why.
        reason: &'static str,
    },
    /// A kept plan is not one that this program wrote.
    #[error("a layer plan is damaged: {reason}")]
    Plan {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The layer came out other than it was sealed.
    #[error(
        "layer `{origin}` is not the one that was sealed\n  sealed  {expected} ({expected_size} bytes)\n  made    {found} ({found_size} bytes)"
    )]
    Differs {
        /// What the layer holds.
        origin: String,
        /// Digest of the seal.
        expected: Digest,
        /// Size of the seal, in bytes.
        expected_size: u64,
        /// Digest that came out.
        found: Digest,
        /// Size that came out, in bytes.
        found_size: u64,
    },
}

/// Says which input could not be read.
pub(super) fn reading(name: &str) -> impl FnOnce(io::Error) -> LayerError {
    let name = name.to_owned();
    move |source| LayerError::Read { name, source }
}
