//! Why a job could not be run at all.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};
use crate::engine::embedded::CdiError;
use crate::image::ImageError;
use crate::store::StoreError;

/// Why a job could not be run at all; a job that ran and failed is an outcome instead.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job asks for something no engine can give it.
    #[error("the job cannot be run: {reason}")]
    Job {
        /// What is wrong with it, with the value in question.
        reason: String,
    },
    /// What a job should see is not on this machine.
    #[error("cannot mount `{}` at `{target}`", path.display())]
    Mount {
        /// The file or folder on this machine.
        path: PathBuf,
        /// Where the job expects it.
        target: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The job has a memory limit, and this machine has no way to keep it.
    #[error("the job's memory cannot be limited to {bytes} bytes: {reason}")]
    Memory {
        /// The limit of the job.
        bytes: u64,
        /// What the machine lacks.
        reason: String,
    },
    /// A layer could not be streamed for unpacking.
    #[error("cannot stream layer {diff_id}")]
    Stream {
        /// The layer.
        diff_id: DiffId,
        /// Why its bytes could not be made.
        source: Box<ImageError>,
    },
    /// A layer's entry could not be unpacked.
    #[error("cannot unpack `{entry}` of layer {diff_id}: {reason}")]
    Unpack {
        /// The layer.
        diff_id: DiffId,
        /// Path of the entry in the layer.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer's bytes are not those its diff ID names.
    #[error(
        "the bytes of a layer are not what its image names\n  expected  {expected}\n  found     {found}"
    )]
    Differs {
        /// The diff ID of the image.
        expected: DiffId,
        /// The digest of what was unpacked.
        found: DiffId,
    },
    /// No Docker daemon was found where one could be.
    #[error("no Docker daemon was found\n  looked for  {}", places.join("\n              "))]
    NoDaemon {
        /// Where one could be.
        places: Vec<String>,
    },
    /// A Docker daemon refused or failed.
    #[error("cannot {action}: {reason}\n  daemon  {address}")]
    Daemon {
        /// What was tried, as a verb.
        action: String,
        /// The daemon.
        address: String,
        /// Its own words, or why it could not be asked.
        reason: String,
    },
    /// The daemon is on another machine or behind a wall: what lies here cannot be mounted there.
    #[error(
        "the Docker daemon does not see the files of this machine, so {what} cannot be mounted\n  daemon  {address}"
    )]
    Unseen {
        /// What was to be mounted.
        what: String,
        /// The daemon.
        address: String,
    },
    /// The daemon got the image neither from our registry nor as an archive.
    #[error(
        "the Docker daemon cannot get `{image}`\n  seal  {seal}\n  pull  {pull}\n  load  {load}"
    )]
    NotTransferred {
        /// The image.
        image: String,
        /// Its seal.
        seal: Digest,
        /// Why it could not be pulled.
        pull: String,
        /// Why it could not be loaded.
        load: String,
    },
    /// The daemon has other layers under the image's ID.
    #[error("the Docker daemon has other layers than the image {seal}\n  expected  {}\n  found     {}", expected.join(" "), found.join(" "))]
    OtherLayers {
        /// The image.
        seal: Digest,
        /// Its diff IDs.
        expected: Vec<String>,
        /// Those of the daemon.
        found: Vec<String>,
    },
    /// The image's documents could not be read.
    #[error(transparent)]
    Image(Box<ImageError>),
    /// The process that prepares the job could not be started or talked to.
    #[error("cannot {action} the process that prepares the job")]
    Helper {
        /// What was tried, as a verb.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The job cannot have the machine's GPUs.
    #[error(transparent)]
    Gpus(#[from] CdiError),
    /// The process that prepares the job gave up.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why the process that prepares a job gave up; it travels from there to `repro` as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Failure {
    /// The machine lacks something that a sealed run needs.
    #[error("this machine cannot {action}: {reason}\n  needed  {needed}")]
    Machine {
        /// What was tried, as a verb.
        action: String,
        /// The system's reason.
        reason: String,
        /// What to change.
        needed: String,
    },
    /// The image has no such program, or it cannot be run.
    #[error("cannot run `{command}` in the image: {reason}")]
    Command {
        /// The first word of the job's command.
        command: String,
        /// Whether there is such a file: then it cannot be run.
        is_there: bool,
        /// The system's reason, and where it was looked for.
        reason: String,
    },
    /// A step of the preparation failed.
    #[error("cannot {action}: {reason}")]
    Step {
        /// What was tried, as a verb.
        action: String,
        /// The reason, as the system or the container library gives it.
        reason: String,
    },
}

impl Failure {
    /// A step that failed for `reason`.
    pub(super) fn step(action: impl Into<String>, reason: impl ToString) -> Self {
        Self::Step { action: action.into(), reason: reason.to_string() }
    }
}
