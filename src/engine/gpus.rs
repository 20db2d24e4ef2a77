//! The GPUs of a machine, as jobs are given them.

use serde::{Deserialize, Serialize};

/// One GPU of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Card {
    /// Its position on the bus, from 0: the number that `nvidia-smi` shows.
    pub index: u32,
    /// The number of its device file, 0 for `/dev/nvidia0`.
    pub minor: u32,
    /// What names it on any machine, `GPU-8932f937-…`; absent if the driver does not tell.
    pub uuid: Option<String>,
    /// Its model, `Tesla V100-SXM2-16GB`.
    pub name: String,
}

/// The GPUs that a job sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gpus {
    /// None.
    #[default]
    None,
    /// All of the machine; `CUDA_VISIBLE_DEVICES` in the job's environment chooses among them.
    All,
    /// These and no others; in the job they are counted from 0.
    Cards(Vec<Card>),
}

impl Gpus {
    /// Whether there are any.
    pub fn is_any(&self) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Cards(cards) => !cards.is_empty(),
        }
    }

    /// Whether the GPU behind `/dev/nvidia<minor>` is among them.
    pub(super) fn has(&self, minor: u32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Cards(cards) => cards.iter().any(|card| card.minor == minor),
        }
    }
}
