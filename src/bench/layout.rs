//! Where a guide keeps its records and logs, where it says so.

use std::path::{Component, Path, PathBuf};

use super::plan::Filler;
use super::variables::Variables;
use crate::recipe::Recipe;

/// The folders of one case in a guide's own layout, relative to whatever holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Of the guide's record; empty if the guide names none.
    pub records: PathBuf,
    /// Of its log; empty if the guide names none.
    pub logs: PathBuf,
}

/// The folders of a case of `mode` with these variables.
///
/// # Errors
///
/// Every template that cannot be filled in or leads elsewhere, as a fragment.
pub fn layout(recipe: &Recipe, mode: &str, variables: &Variables) -> Result<Layout, Vec<String>> {
    let benchmark = recipe.benchmark.of_mode(mode);
    let Some(record) = &benchmark.record else { return Ok(Layout::default()) };
    let mut filler = Filler::new(variables);
    let records = filler.text("`folder`", &record.folder);
    let logs = filler.text("`log-folder`", &record.log_folder);
    let mut problems = filler.problems;
    for (place, folder) in [("`folder`", &records), ("`log-folder`", &logs)] {
        if !Path::new(folder).components().all(|part| matches!(part, Component::Normal(_))) {
            problems.push(format!("{place}: `{folder}` leads out of the guide's folder"));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Layout { records: records.into(), logs: logs.into() })
}
