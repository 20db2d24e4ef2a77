//! Why a machine or an image could not be looked at.

use std::io;
use std::path::PathBuf;

use crate::layer::LayerError;
use crate::store::StoreError;

/// Why a machine or an image could not be looked at; what is wrong with them is no error.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A wheel could not be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file describes no machine.
    #[error("`{}` describes no machine: {reason}", path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
}
