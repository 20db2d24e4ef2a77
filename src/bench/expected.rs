//! Cases that a recipe expects to fail.
//!
//! A failure that was announced is told and fails no run. A case that passes although it was expected
//! to fail does: what the recipe says is no longer true, and nobody would notice otherwise.

use super::case;
use super::record::{RunRecord, Status};
use super::reference::is_same_gpu;
use crate::recipe::{ExpectedFailure, Recipe};

/// Why the recipe expects the case of `record` to fail where it ran, if it does.
pub(super) fn reason(recipe: &Recipe, record: &RunRecord) -> Option<String> {
    let expected = recipe.expected_failures.iter().find(|expected| applies(expected, record))?;
    Some(format!("{} ({})", expected.reason, expected.evidence))
}

fn applies(expected: &ExpectedFailure, record: &RunRecord) -> bool {
    let ExpectedFailure { image, profile, gpu, .. } = expected;
    case::fits(&expected.case, &record.case)
        && image.as_ref().is_none_or(|image| *image == record.image.name)
        && profile.as_ref().is_none_or(|profile| *profile == record.profile.name)
        && gpu
            .as_ref()
            .is_none_or(|gpu| record.gpus.iter().any(|card| is_same_gpu(&card.name, gpu)))
}

impl RunRecord {
    /// Whether it failed and the recipe did not announce that.
    pub fn is_failure(&self) -> bool {
        matches!(self.status, Status::Failed(_)) && self.expected_failure.is_none()
    }

    /// Whether it failed as the recipe announced.
    pub fn failed_as_expected(&self) -> bool {
        matches!(self.status, Status::Failed(_)) && self.expected_failure.is_some()
    }

    /// Whether it passed although the recipe expects it to fail.
    pub fn passed_unexpectedly(&self) -> bool {
        self.status == Status::Ok && self.expected_failure.is_some()
    }
}
