//! Says what of a machine a run lacks, before anything is downloaded, built or run.
//!
//! What stands in the project (locks, data sets) and which engine there is, `cli` finds out and
//! adds: so one list has everything that is missing, and nobody mends one thing after the other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::{PlannedCase, Setup};
use crate::engine::Gpus;

/// What a missing thing is, and so what helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// The driver of the GPUs.
    Driver,
    /// The driver is older than what the image's libraries need.
    OldDriver,
    /// GPUs.
    Gpus,
    /// Code for the GPUs in the image's libraries.
    Code,
    /// A file that a user has to give.
    Input {
        /// Its name.
        name: String,
        /// The mode that leaves it, too.
        mode: Option<String>,
    },
    /// Memory of the machine.
    Memory,
    /// Inputs of the image that are not here while no network may be asked.
    Offline,
    /// Room for what is to be downloaded.
    Disk,
    /// The lock of the image.
    Lock,
    /// The lock is not of the recipe as it is now.
    OldLock,
    /// An input of the image that has no digest.
    Unpinned,
    /// A data set that is not on this machine.
    Data {
        /// Its name.
        name: String,
    },
    /// A data set that nothing describes.
    UnknownData {
        /// Its name.
        name: String,
    },
    /// A data set whose files nothing pins.
    UnpinnedData {
        /// Its name.
        name: String,
    },
    /// The folder of data sets.
    DataFolder,
    /// What runs jobs.
    Engine,
}

/// Something that a run needs and that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// What is needed, as a noun.
    pub needed: String,
    /// What is there instead.
    pub there: String,
    /// The cases that need it, and but for a warning cannot run without it; empty if all do.
    pub cases: Vec<String>,
}

impl Lack {
    /// Something that every case needs.
    pub fn of_all(kind: Kind, needed: impl Into<String>, there: impl Into<String>) -> Self {
        Self { kind, needed: needed.into(), there: there.into(), cases: Vec::new() }
    }

    /// Whether cases run without it all the same: the size of `/dev/shm` is a limit, and a job may
    /// never fill what it may fill.
    pub fn is_warning(&self) -> bool {
        self.kind == Kind::Memory
    }
}

/// What the machine lacks for the cases of `planned`.
pub fn lacks_of_machine(setup: &Setup, planned: &[PlannedCase]) -> Vec<Lack> {
    let mut lacks = gpus(setup, planned);
    lacks.extend(inputs(planned));
    lacks.extend(memory(setup, planned));
    lacks
}

/// Memory for the batches that loaders keep in `/dev/shm`.
///
/// Its size is what the guide's cases on GPUs may fill. It takes nothing until it is written to, so a
/// profile of smaller cases without GPUs runs on a smaller machine.
fn memory(setup: &Setup, planned: &[PlannedCase]) -> Option<Lack> {
    let on_gpus = planned.iter().filter(|case| case.job.gpus != Gpus::None);
    let cases: Vec<String> = on_gpus.map(|case| case.case.name.clone()).collect();
    let shm_size = setup.recipe.image.shm_size;
    let memory = setup.host.memory.filter(|memory| *memory < shm_size && !cases.is_empty())?;
    let needed = format!("{} of memory for `/dev/shm`", size(shm_size));
    Some(Lack { kind: Kind::Memory, needed, there: format!("{} in all", size(memory)), cases })
}

/// The driver, and one line for each number of GPUs.
fn gpus(setup: &Setup, planned: &[PlannedCase]) -> Vec<Lack> {
    let mut by_number: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for case in planned.iter().filter(|case| case.job.gpus != Gpus::None) {
        by_number.entry(case.case.gpus).or_default().push(case.case.name.clone());
    }
    let mut lacks = Vec::new();
    if setup.host.driver.is_none() && !by_number.is_empty() {
        let cases = by_number.values().flatten().cloned().collect();
        let (needed, there) = ("an NVIDIA driver".to_owned(), "none is loaded".to_owned());
        lacks.push(Lack { kind: Kind::Driver, needed, there, cases });
    }
    for (number, cases) in by_number.into_iter().rev() {
        let Some(reason) = setup.pool.lacks(setup.host, number) else { continue };
        // `needs 8 GPUs, this machine has 2`.
        let (_, there) = reason.split_once(", ").unwrap_or(("", &reason));
        let noun = if number == 1 { "GPU" } else { "GPUs" };
        let needed = format!("{number} {noun}");
        lacks.push(Lack { kind: Kind::Gpus, needed, there: there.to_owned(), cases });
    }
    lacks
}

/// One line for each input that nobody gave and no chosen case leaves.
fn inputs(planned: &[PlannedCase]) -> Vec<Lack> {
    let mut lacks: BTreeMap<&String, Lack> = BTreeMap::new();
    for case in planned {
        for input in case.inputs.iter().filter(|input| input.source.is_none()) {
            let lack = lacks.entry(&input.name).or_insert_with(|| Lack {
                kind: Kind::Input { name: input.name.clone(), mode: input.from_mode.clone() },
                needed: format!("input `{}`{}", input.name, about(&input.about)),
                there: "not given".to_owned(),
                cases: Vec::new(),
            });
            lack.cases.push(case.case.name.clone());
        }
    }
    lacks.into_values().collect()
}

fn about(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}
