//! What the cases of a mode take in and leave behind.

use serde::{Deserialize, Serialize};

/// A file that a case takes in: a user gives it, or it is what another case left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InputRule {
    /// Absolute path in the job, where it is mounted read-only.
    pub path: String,
    /// What it is, in one sentence.
    #[serde(default)]
    pub about: String,
    /// `MODE:OUTPUT`: an output of the case that this one `needs`; without it a user has to give the file.
    pub from: Option<String>,
}

impl InputRule {
    /// Mode and output of `from`.
    pub fn source(&self) -> Option<(&str, &str)> {
        self.from.as_deref()?.split_once(':')
    }
}

/// Files that a case leaves behind, and that are worth keeping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutputRule {
    /// Absolute path below a writable folder: a template, then a glob whose `*` and `?` match no slash.
    /// What it names may be files, or folders with all that is in them.
    pub path: String,
    /// What it is, in one sentence.
    #[serde(default)]
    pub about: String,
}
