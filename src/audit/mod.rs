//! Holds a guide against itself and against its recipe.
//!
//! A recipe says what it found in a guide; whoever reads it has to believe that. An audit shows it: the guide's
//! files are read at the recipe's commit, the guide's own analysis runs on stored logs in a sealed job and is
//! compared with ours key by key, places of the guide that contradict each other are shown side by side, and
//! each statement of its text is found again, with what became of it.
//!
//! - `guide`: the guide's files, out of git;
//! - `script`, `fields`: its own analysis of a log, beside ours;
//! - `places`: what it says in two places;
//! - `statements`: what it says, and what covers it.
//!
//! Invariants: nothing of the guide is read or run unless its commit has the tree that the recipe names;
//! the script sees no network, and the log and itself read-only; whatever differs is in the report, explained or
//! not, and nothing that was not compared counts as equal. Which logs there are and how a report looks is left to `cli`.

mod error;
mod fields;
mod guide;
mod places;
mod script;
mod statements;

use serde::Serialize;

pub use error::AuditError;
pub use fields::Field;
pub use guide::Guide;
pub use places::{Places, Said, compare_places};
pub use script::{Bench, LogReport, ScriptEnd};
pub use statements::{Line, StatementReport, statements, uncovered};

use crate::digest::{CommitId, TreeId};
use crate::recipe::Recipe;

/// Everything that an audit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The system.
    pub system: String,
    /// Where the guide is kept.
    pub repository: String,
    /// The guide's commit.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: TreeId,
    /// The guide's text.
    pub guide: String,
    /// The guide's own analysis beside ours, a log each.
    pub logs: Vec<LogReport>,
    /// What it says in two places.
    pub places: Vec<Places>,
    /// What it says, and what covers it.
    pub statements: Vec<StatementReport>,
    /// Lines of its text that no statement covers.
    pub uncovered: Vec<Line>,
}

impl Report {
    /// What can be said without any log.
    pub fn of_text(recipe: &Recipe, guide: &Guide) -> Result<Self, AuditError> {
        let audit = guide.audit();
        let places = audit.checks.iter().map(|check| compare_places(guide, check));
        Ok(Self {
            system: recipe.system.clone(),
            repository: recipe.guide.repository.clone(),
            commit: guide.commit(),
            tree: audit.tree,
            guide: recipe.guide.path.clone(),
            logs: Vec::new(),
            places: places.collect::<Result<_, _>>()?,
            statements: statements(guide)?,
            uncovered: uncovered(guide)?,
        })
    }

    /// Whether everything is as the recipe says; lines that nothing covers are no fault.
    pub fn is_good(&self) -> bool {
        self.logs.iter().all(LogReport::is_good)
            && self.places.iter().all(Places::is_good)
            && self.statements.iter().all(|statement| statement.is_there)
    }
}
