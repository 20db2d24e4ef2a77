//! A measured figure beside a published one.

use serde::{Deserialize, Serialize};

use super::number::Number;
use crate::recipe::Published;

/// One published figure, what was measured, and what that means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The published figure with its conditions and tolerance.
    pub published: Published,
    /// What was measured; absent if the case has no such figure.
    pub measured: Option<Number>,
    /// Measured divided by published; absent without one of them, or where published is 0.
    pub ratio: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

/// What a measured figure is beside a published one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "reasons", rename_all = "kebab-case")]
pub enum Verdict {
    /// It lies within the tolerance.
    Within,
    /// It is larger than the tolerance allows.
    Above,
    /// It is smaller than the tolerance allows.
    Below,
    /// Conditions differ, each named as a fragment.
    NotComparable(Vec<String>),
}
