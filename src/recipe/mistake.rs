//! What a recipe gets wrong and only a later module can see: formulas, data sets.
//!
//! Such a module says where in the recipe the mistake stands, as steps from its top; which line that
//! is, with the variant laid over, is known here.

use super::types::Recipe;
use super::{Problem, RecipeError, document, layout};

/// One mistake, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Keys and positions in lists: `benchmark`, `metric`, `0`, `formula`.
    pub path: Vec<String>,
    /// What is wrong, with the name in backticks.
    pub message: String,
}

impl Mistake {
    /// A mistake at `path`.
    pub fn at(path: &[&str], message: String) -> Self {
        Self { path: path.iter().map(|step| (*step).to_owned()).collect(), message }
    }
}

impl Recipe {
    /// `mistakes` with the lines that they stand in.
    pub fn problems(&self, mistakes: &[Mistake]) -> Vec<Problem> {
        let faults = layout::faults(self, mistakes);
        document::problems(&self.file(), &self.text, faults)
    }
}

/// All `problems` as one error, each once; several images share a file, and so its mistakes.
pub fn refuse(mut problems: Vec<Problem>) -> Result<(), RecipeError> {
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(RecipeError::Invalid { problems }) }
}
