//! What a guide publishes, on which machine it measured, and what is known to fail.
//!
//! ```toml
//! [[published]]
//! case = "seg/fastscnn/sp/*"
//! metric = "throughput"
//! value = 15.49
//! unit = "images/s"
//! tolerance = 0.03                # relative; see `tolerance`
//! basis = "two runs of the guide lie 1.4 % apart"
//! conditions = "one V100, 2021-09"
//! gpu = "V100-SXM2-32GB"          # where it is not that of [reference-host]
//! gpus = 1
//! batch = 2                       # where it is not the case's
//! portable = false                # true for what no machine changes: an accuracy
//! software = { torch = "1.9.1" }  # held against the lock
//! unlike = "measured with other code"   # what nothing here can be like
//!
//! [reference-host]
//! gpu = "V100-SXM2-32GB"
//! gpus = 8
//! source = "README.md of the guide"
//!
//! [[expected-failure]]
//! case = "seg/ocrnet*"
//! reason = "out of memory below 16 GB"
//! evidence = "…"
//! ```
//!
//! These tables decide no bytes. They are copied into run records, which later programs read: there
//! a key that this program does not know is passed over, while the reader of recipes complains of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::tolerance::Tolerance;
use super::units::optional_byte_size;

/// A figure the guide publishes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Case name or glob it belongs to.
    pub case: String,
    /// Metric name.
    pub metric: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// How far a measured figure may be from it; absent if nobody knows, and then nothing is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// Who gave the tolerance, why it was chosen so, or why none is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub basis: String,
    /// On which machine and software it was measured, in words.
    pub conditions: String,
    /// Model of the GPUs, if it is not that of the reference host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// How many GPUs it was measured with, where the guide says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// Batch size, if it is not the case's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// What of its conditions nothing here can be like, so that no run is ever judged by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlike: Option<String>,
    /// Whether no machine changes it: an accuracy, not a speed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub portable: bool,
    /// Versions of the distributions that decide it, by normalised name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub software: BTreeMap<String, String>,
}

/// The machine that a guide measured on, as far as it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceHost {
    /// Model of its GPUs, `V100-SXM2-32GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// How many of them it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// Name of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Logical processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<u32>,
    /// Bytes of memory; `"629 GB"` in the file.
    #[serde(
        default,
        deserialize_with = "optional_byte_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory: Option<u64>,
    /// Version of the NVIDIA driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Release of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Name of the distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Where the guide says so.
    pub source: String,
}

impl fmt::Display for ReferenceHost {
    /// What is known of it in one line, without where the guide says so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gpu = self.gpu.as_ref().map(|gpu| match self.gpus {
            Some(count) => format!("{count} × {gpu}"),
            None => gpu.clone(),
        });
        let parts = [
            gpu,
            self.cpu.clone(),
            self.processors.map(|count| format!("{count} logical processors")),
            self.memory.map(|bytes| format!("{:.0} GB", bytes as f64 / 1e9)),
            self.driver.as_ref().map(|driver| format!("driver {driver}")),
            self.kernel.as_ref().map(|kernel| format!("kernel {kernel}")),
            self.os.clone(),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// Cases that are known to fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExpectedFailure {
    /// A case name or glob.
    pub case: String,
    /// Why it fails.
    pub reason: String,
    /// Where that can be seen.
    pub evidence: String,
    /// Only in this image.
    pub image: Option<String>,
    /// Only under this profile.
    pub profile: Option<String>,
    /// Only on GPUs of this model.
    pub gpu: Option<String>,
}
