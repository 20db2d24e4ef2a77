//! Statistics of step values and of runs: pure functions over numbers, without I/O.
//!
//! Invariant: the same numbers give the same answer on every machine; what needs chance
//! (resampling) has a fixed seed. What the numbers mean is left to the callers.

use serde::{Deserialize, Serialize};

/// A confidence interval of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Confidence as a part of one, `0.95`.
    pub level: f64,
}

/// A change of level inside one series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// What kind of change.
    pub kind: DriftKind,
    /// By how much the level changes from begin to end, as a part of the median; negative if it falls.
    pub part: f64,
    /// Position in the used values, from 0, at which the level settles or begins to change.
    pub at: usize,
}

/// How a level changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// The beginning differs from a steady rest: the warm-up was longer than what is skipped.
    WarmUp,
    /// It rises to the end.
    Rising,
    /// It falls to the end.
    Falling,
}
