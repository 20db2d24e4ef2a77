//! Runs jobs through libcontainer: no daemon, nothing to install.
//!
//! libcontainer forks, so it needs a process of one thread: `repro` starts itself again
//! with a hidden argument ([`child`]), hands over the job and gets output and outcome back
//! through pipes. All layers are unpacked once ([`rootfs`]) and stacked by
//! an overlay whose writes land in the session's scratch folder.
//!
//! Invariants: every namespace and mount of a job is made after the child left ours, so
//! the kernel takes them back when the job's processes end. The job's processes end when
//! the child ends, the child when `repro` ends, however that happens. What is left then
//! is one folder (removed with the session) and one cgroup (removed by [`sweep`]).
//!
//! An ordinary user's job runs in a user namespace, where that user is root: the same
//! steps, and the same run. What only root of the machine can do is missing: a cgroup
//! where none was delegated, so that nothing is measured, and other owners than the user.

mod audit;
mod bundle;
mod cdi;
pub(super) mod cgroup;
pub mod child;
mod collect;
mod order;
pub mod rootfs;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::outputs::Collector;
use crate::engine::sealed;
use crate::engine::{
    Counter, Engine, EngineError, Exit, Failure, Input, Job, Meter, Outcome, Stop, Unpacking,
};
use crate::image::{Image, ImageLayer};
use crate::store::Store;

use bundle::Bundle;
use cdi::Edits;
use cgroup::Cgroup;
use order::Given;
use watch::Helper;

pub use audit::audit;
pub use cdi::CdiError;
pub use cgroup::sweep;

/// The engine that needs nothing but the kernel.
#[derive(Debug, Clone)]
pub struct Embedded {
    exe: PathBuf,
    cdi_folders: Vec<PathBuf>,
    progress: Arc<dyn Unpacking>,
    input: Option<Input>,
}

impl Embedded {
    /// Prepares jobs in a process of `exe`, a program whose `main` begins with [`child::entry`].
    pub fn new(exe: PathBuf) -> Self {
        let cdi_folders = cdi::usual_folders();
        Self { exe, cdi_folders, progress: Arc::new(()), input: None }
    }

    /// Tells `progress` what happens before a job starts.
    pub fn with_progress(self, progress: Arc<dyn Unpacking>) -> Self {
        Self { progress, ..self }
    }

    /// Looks for descriptions of GPUs in `folders`; what a later one says wins.
    pub fn with_cdi_folders(self, folders: Vec<PathBuf>) -> Self {
        Self { cdi_folders: folders, ..self }
    }

    /// Lets jobs read this; without, they read nothing.
    pub fn with_input(self, input: Option<Input>) -> Self {
        Self { input, ..self }
    }
}

impl Engine for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn run_metered(
        &self,
        store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        meter: &Meter,
    ) -> Result<Outcome, EngineError> {
        sealed::check(job)?;
        let layers = unpacked_layers(store, image, &*self.progress, stop)?;
        if stop.is_requested() {
            return Ok(never_started());
        }
        let gpus = match job.gpus.is_any() {
            true => cdi::gpus(&self.cdi_folders, &job.gpus)?,
            false => Edits::default(),
        };
        let mut order = bundle::order(&layers, job, gpus)?;
        if let Some(input) = &self.input {
            let number =
                input.hand_on().map_err(|error| Failure::step("hand on the input", error))?;
            order.input = Some(Given { number, is_terminal: input.is_terminal() });
        }
        let collector = Collector::new(job)?;
        let bundle = Bundle::create(store)?;
        let cgroup = Cgroup::create(&cgroup::name(store, bundle.folder())?);
        if let Some(bytes) = job.memory {
            let limited = cgroup.limit_memory(bytes);
            limited.map_err(|reason| EngineError::Memory { bytes, reason })?;
        }
        let mut helper = Helper::start(&self.exe, bundle.folder())?;
        // Nothing of the job is there before the order, so nothing is missed in counting.
        let counted = cgroup.add(helper.pid()).is_ok();
        if !counted && let Some(bytes) = job.memory {
            let reason = "the job cannot be moved into its cgroup".to_owned();
            return Err(EngineError::Memory { bytes, reason });
        }
        let counter = match cgroup.counted().filter(|_| counted) {
            Some(counted) => Counter::Cgroup(counted),
            None => Counter::Tree(helper.pid()),
        };
        let running = meter.begin(counter);
        helper.give(&order);
        let mut memory = cgroup.job_memory();
        let ended = helper.watch(job.timeout, stop, output, &mut memory)?;
        drop(running);
        let usage = cgroup.usage();
        let kept = match ended.exit {
            Exit::Stopped => Vec::new(),
            _ => collect::collect(bundle.folder(), job, collector)?,
        };
        Ok(Outcome {
            exit: ended.exit,
            duration: ended.duration,
            cpu_time: usage.cpu_time.filter(|_| counted),
            peak_memory: usage.peak_memory.filter(|_| counted),
            peak_job_memory: memory.largest().filter(|_| counted),
            kept,
        })
    }
}

fn never_started() -> Outcome {
    Outcome {
        exit: Exit::Stopped,
        duration: Duration::ZERO,
        cpu_time: None,
        peak_memory: None,
        peak_job_memory: None,
        kept: Vec::new(),
    }
}

/// The folders of the image's layers, lowest first, unpacking what is not there as it should be.
fn unpacked_layers(
    store: &Store,
    image: &Image,
    progress: &dyn Unpacking,
    stop: &Stop,
) -> Result<Vec<PathBuf>, EngineError> {
    let mut missing = Vec::new();
    for layer in &image.layers {
        if !rootfs::is_whole(store, layer.diff_id)? {
            missing.push(layer);
        }
    }
    let ensure = |layer: &ImageLayer| {
        let write = |out: &mut (dyn Write + Send)| layer.write_tar(store, out);
        let watch = rootfs::Watch { name: &layer.origin, progress, stop };
        rootfs::ensure_watched(store, layer.diff_id, &watch, write)
    };
    if !missing.is_empty() {
        // Nobody knows how much a registry's layer unpacks to.
        let sizes: Option<Vec<u64>> =
            missing.iter().map(|layer| Some(layer.plan()?.tar_size())).collect();
        progress.begin(missing.len(), sizes.map_or(0, |sizes| sizes.iter().sum()));
        let unpacked = missing.iter().try_for_each(|layer| {
            progress.layer(&layer.origin);
            ensure(layer).map(drop)
        });
        progress.end();
        unpacked?;
    }
    let place = |layer: &ImageLayer| store.rootfs_path(&layer.diff_id);
    let folders: Vec<_> = image.layers.iter().map(place).collect();
    rootfs::check_fit(store, &image.layers, &folders)?;
    Ok(without_repeats(folders))
}

/// Each folder once, where it is highest: whatever a layer puts there, it puts there again. The kernel
/// stacks no folder twice, and many images have the same empty layer several times.
fn without_repeats(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_last =
        |(position, folder): &(usize, &PathBuf)| !folders[position + 1..].contains(folder);
    folders.iter().enumerate().filter(is_last).map(|(_, folder)| folder.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_there_twice_is_stacked_where_it_is_highest() {
        let folders = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(without_repeats(folders(&["a", "b", "a", "c", "b"])), folders(&["a", "c", "b"]));
        assert_eq!(without_repeats(folders(&[])), folders(&[]));
    }
}
