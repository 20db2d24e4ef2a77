//! Resolves the requirements that can be resolved where some cannot.
//!
//! uv resolves everything at once and says no to all of it if one thing is missing. So each
//! requirement is then asked for by itself: those that are refused even so become holes,
//! the others are resolved together. This needs no understanding of uv's words.

use std::collections::BTreeSet;

use super::PinError;
use super::holes::{Holes, Part};
use super::names::requirement_name;
use super::pylock::Distribution;
use super::uv::{Question, Uv};

const NO_VERSION: &str = "no index that was asked has a version for this Python, platform and date";
const ONLY_SOURCE: &str = "there is no wheel for this Python, platform and date, only a source distribution: a `[[build]]` in the recipe compiles it";
const NO_ANSWER: &str = "the index could not be asked";

/// Requirements that can be resolved, and those that cannot, with the reasons.
type Halves = (Vec<String>, Vec<(String, PinError)>);

impl Uv<'_> {
    /// What uv answers; a requirement that cannot even be resolved by itself becomes a hole, and
    /// the others are resolved without it.
    pub(super) fn resolve_possible(
        &self,
        mut question: Question<'_>,
        part: Part<'_>,
        holes: &mut Holes,
    ) -> Result<Vec<Distribution>, PinError> {
        let error = match self.resolve(&question) {
            Err(error) if error.is_about_inputs() => error,
            found => return found,
        };
        let (fine, failed) = self.one_by_one(&question)?;
        // Each can be had by itself: they contradict each other, and only the recipe can change that.
        if failed.is_empty() {
            return Err(error);
        }
        if failed.iter().all(|(_, error)| !error.is_no_solution()) && fine.is_empty() {
            holes.add_unanswered(part, &question.requirements, NO_ANSWER);
            holes.blame(error);
            return Ok(Vec::new());
        }
        let names: Vec<_> =
            failed.iter().filter_map(|(text, _)| requirement_name(text).ok()).collect();
        for (requirement, error) in failed {
            let reason = match error.is_no_solution() {
                true if self.has_source(&requirement) => ONLY_SOURCE,
                true => NO_VERSION,
                false => NO_ANSWER,
            };
            holes.add(part, &requirement, reason, error);
        }
        if fine.is_empty() {
            return Ok(Vec::new());
        }
        question.requirements = fine;
        let mut found = self.resolve(&question)?;
        // Another version that somebody else needs is not the one that was asked for.
        found.retain(|distribution| !names.contains(&distribution.name));
        Ok(found)
    }

    /// Whether a requirement without a wheel could be had as a source distribution. What that requires is
    /// not asked, so that uv has no reason to run anything of it.
    fn has_source(&self, requirement: &str) -> bool {
        let Ok(name) = requirement_name(requirement) else { return false };
        let question = Question {
            purpose: format!("a source distribution of `{requirement}`"),
            requirements: vec![requirement.to_owned()],
            builds: &[],
            sources: vec![name],
            preferred: Vec::new(),
        };
        self.ask(&question).is_ok()
    }

    /// The requirements that can be resolved each by itself, and the others with their errors.
    fn one_by_one(&self, question: &Question<'_>) -> Result<Halves, PinError> {
        let (mut fine, mut failed) = (Vec::new(), Vec::new());
        // What is built may be a requirement, too.
        let distinct: BTreeSet<_> = question.requirements.iter().collect();
        for requirement in distinct {
            let alone = Question {
                purpose: format!("`{requirement}`"),
                requirements: vec![requirement.clone()],
                builds: question.builds,
                sources: Vec::new(),
                preferred: Vec::new(),
            };
            // Only whether there is an answer matters; what it says would not be used.
            match self.ask(&alone) {
                Err(error) if error.is_about_inputs() => failed.push((requirement.clone(), error)),
                answer => {
                    answer?;
                    fine.push(requirement.clone());
                }
            }
        }
        Ok((fine, failed))
    }
}
