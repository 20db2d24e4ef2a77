//! Statistics of step values and of runs: pure functions over numbers, without I/O.
//!
//! Two kinds of numbers come here, and they are kept apart. The *steps* of one run follow each
//! other, so neighbours are alike and a thousand of them say less than a thousand; how much less is
//! estimated ([`interval_of_mean`]). *Repeated runs* are independent, and only they tell how much
//! runs differ by themselves; [`compare`] therefore takes one value a run, and [`compare_series`],
//! which has only one run on each side, never calls a difference a change.
//!
//! Invariants: the same numbers give the same answer on every machine, but for a last digit where logarithms
//! are in it; what needs chance (permutations) has a fixed seed. No function panics, whatever the numbers: too few of them, or
//! one that is not finite, give an absent answer. A million values take well under a second.
//! What the numbers mean (seconds, or images a second) is left to the callers.

mod compare;
mod drift;
mod histogram;
mod interval;
mod levels;
mod multiple;
mod outliers;
mod random;
mod steps;
mod student;
mod summary;

pub use compare::{Change, Group, Judgement, Test, compare};
pub use drift::{Drift, DriftKind, drift};
pub use histogram::{Histogram, histogram};
pub use interval::{Interval, StandardError, interval_of_mean, standard_error_of_mean};
pub use levels::change_points;
pub use multiple::holm_levels;
pub use outliers::outliers;
pub use steps::compare_series;
pub use summary::{deviation, mean, median, quantile};
