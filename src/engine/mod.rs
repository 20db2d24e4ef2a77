//! Runs one command in a sealed image and streams its output.
//!
//! A sealed run is the same in every engine: no network but a loopback that is
//! up, a fixed host name, generated `/etc/hosts`, `/dev/shm` of the image's size,
//! a read-only root except the image's writable folders, no capabilities, no new
//! privileges, a seccomp filter, data mounts read-only. `tests/it/conformance.rs`
//! holds every engine to it.
//!
//! Invariants: an engine takes an image only by its [`Image`] (its seal), never by a
//! tag; what could not be measured is `None`, never a guess; nothing of a job
//! outlives [`Engine::run`], and nothing of a killed `repro` outlives the next command.
//! What a job means (cases, metrics, built wheels) is left to `build` and `bench`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::image::Image;
use crate::store::Store;

pub mod docker;
pub mod embedded;
mod error;
pub mod fake;
mod gpus;
mod input;
mod inside;
mod meter;
mod outputs;
mod sealed;
mod unpacking;

pub use error::{EngineError, Failure};
pub use gpus::{Card, Gpus};
pub use input::Input;
pub use meter::{Counter, Meter, Running};
pub use outputs::{Keep, Kept, KeptFile};
pub use unpacking::{Changed, Unpacking};

/// The host name inside every sealed run.
pub const HOST_NAME: &str = "repro";

/// One command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The command and its arguments; looked up in the job's `PATH`.
    pub command: Vec<String>,
    /// The whole environment of the command; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Folder the command starts in.
    pub workdir: String,
    /// What the job sees beside the image.
    pub mounts: Vec<Mount>,
    /// Folders the job may write to, absolute paths in the image.
    pub writable: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// How long it may take.
    pub timeout: Duration,
    /// Largest memory in bytes, if limited.
    pub memory: Option<u64>,
    /// The GPUs that it sees.
    pub gpus: Gpus,
    /// Files to be kept when it has ended.
    pub keep: Vec<Keep>,
}

/// A file or folder of this machine inside the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The file or folder on this machine.
    pub source: PathBuf,
    /// Absolute path in the job.
    pub target: String,
    /// Whether the job may write to it (a build job's `/out`; never data).
    pub writable: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
    /// It took longer than the job allows and was ended.
    TimedOut,
    /// The user asked to stop, and it was ended.
    Stopped,
}

/// What a finished job used.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How the command ended.
    pub exit: Exit,
    /// Wall time from start to end of the command.
    pub duration: Duration,
    /// Processor time of all its processes, if it could be measured.
    pub cpu_time: Option<Duration>,
    /// Largest memory of all its processes together in bytes, page cache of the files that they
    /// read included, if it could be measured.
    pub peak_memory: Option<u64>,
    /// Largest anonymous and shared memory of all its processes together in bytes, as seen about
    /// every 200 ms, if it could be measured.
    pub peak_job_memory: Option<u64>,
    /// What became of each [`Job::keep`]; empty if the job never started or was stopped.
    pub kept: Vec<Kept>,
}

/// Asks running jobs to stop; clones ask the same jobs.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A request that nobody has made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request; safe in a signal handler.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the request was made.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether a loop should go on.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The flag itself, for `signal_hook::flag::register`.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Runs commands in sealed images; several at once, if it is asked to.
pub trait Engine: Send + Sync {
    /// Its name in records: `embedded`, `docker`, `fake`.
    fn name(&self) -> &'static str;

    /// Runs `job` in `image` until it ends, times out or is asked to stop.
    ///
    /// Standard output and standard error come to `output` as one stream, in the order
    /// they were written. A job that fails is an [`Outcome`], not an error. `meter` is told when
    /// the command starts and ends, and what it uses meanwhile; an engine that runs nothing on
    /// this machine tells it nothing.
    fn run_metered(
        &self,
        store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        meter: &Meter,
    ) -> Result<Outcome, EngineError>;

    /// The same for whoever measures nothing meanwhile.
    fn run(
        &self,
        store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
    ) -> Result<Outcome, EngineError> {
        self.run_metered(store, image, job, output, stop, &Meter::new())
    }
}
