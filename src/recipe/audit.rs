//! `[audit]`: how a guide is held against itself and against the recipe.
//!
//! ```toml
//! [audit]
//! tree = "…"                              # the tree of the guide's commit: what is read and run
//! folder = "OtherFrame/seg/PyTorch"       # files below are relative to it
//! include = ["OtherFrame/seg/PyTorch/*"]  # what is taken of the repository
//! [audit.script]                          # the guide's own analysis of a log
//! [[audit.check]]                         # what it says in two places
//! [[audit.statement]]                     # what it says, and what the recipe makes of it
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::de::DeValue;

use super::document::{Document, Fault};
use super::names::{self, RELATIVE_PATH};
use super::types::Recipe;
use crate::digest::TreeId;
use crate::git::check_pattern;

/// What is checked of a guide that is kept in git, at the commit of `[guide]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Audit {
    /// Repositories that hold the commit, tried in order; the guide's own if none is named.
    #[serde(default)]
    pub urls: Vec<String>,
    /// The tree of the commit: a script runs only if it is of this tree.
    pub tree: TreeId,
    /// The folder that files are relative to; empty for the whole repository.
    #[serde(default)]
    pub folder: String,
    /// Globs of what is taken of the repository.
    pub include: Vec<String>,
    /// The guide's own analysis of a log, if it has one.
    pub script: Option<AuditScript>,
    /// Pairs of places that say the same, or should.
    #[serde(default, rename = "check")]
    pub checks: Vec<AuditCheck>,
    /// Statements of the guide's text, and what became of them.
    #[serde(default, rename = "statement")]
    pub statements: Vec<Statement>,
}

/// The script that makes the guide's record of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuditScript {
    /// The script.
    pub file: String,
    /// The command, a template per argument: the case's variables, `{script}`, `{log}` and, if the
    /// script writes its record to a file, `{out}`; else the last line it prints that is a JSON object counts.
    pub command: Vec<String>,
    /// Further environment, as the guide's own launcher sets it.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Keys of the record that may differ: key to the reason.
    #[serde(default)]
    pub except: BTreeMap<String, String>,
}

/// Two places of the guide that speak of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuditCheck {
    /// Short name.
    pub name: String,
    /// One place.
    pub one: Finding,
    /// The other.
    pub other: Finding,
    /// The erratum that tells of it where the two differ; without one they must agree.
    pub differs: Option<String>,
}

/// Where something is said: every match of a pattern in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Finding {
    /// The file.
    pub file: String,
    /// A regular expression with one group; `^` and `$` match at lines.
    pub pattern: String,
}

/// Something the guide says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Statement {
    /// The file; the guide's text if none is named.
    pub file: Option<String>,
    /// Words of it; how they are spaced does not matter.
    pub quote: Option<String>,
    /// Or its lines, counted from 1.
    pub lines: Option<Lines>,
    /// What became of it.
    pub covered_by: Covered,
    /// Why; a statement that is left out needs it.
    #[serde(default)]
    pub reason: String,
}

/// A range of lines, `12` or `12-20`, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// The first line, counted from 1.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

/// What became of a statement of the guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covered {
    /// This erratum tells what is true.
    Erratum(String),
    /// This key of the recipe says the same: `benchmark.timeout`, `git.0.commit`.
    Recipe(String),
    /// The recipe does without it on purpose.
    LeftOut,
}

/// The rule of [`Covered`] in words.
const COVERED: &str = "expected `erratum:ID`, `recipe:KEY` or `left-out`";

impl FromStr for Covered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("erratum", id)) if !id.is_empty() => Ok(Self::Erratum(id.to_owned())),
            Some(("recipe", key)) if !key.is_empty() => Ok(Self::Recipe(key.to_owned())),
            None if text == "left-out" => Ok(Self::LeftOut),
            _ => Err(format!("{COVERED}, found `{text}`")),
        }
    }
}

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erratum(id) => write!(f, "erratum:{id}"),
            Self::Recipe(key) => write!(f, "recipe:{key}"),
            Self::LeftOut => f.write_str("left-out"),
        }
    }
}

impl FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok(Self { first, last }),
            _ => Err(format!("expected lines such as `12` or `12-20`, found `{text}`")),
        }
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

as_text!(Covered);
as_text!(Lines);

/// Reports everything in the recipe's `[audit]` that cannot be held against anything.
pub(super) fn check(recipe: &Recipe, document: &Document<'_>, faults: &mut Vec<Fault>) {
    let Some(audit) = &recipe.audit else { return };
    let mut check = Check { recipe, document, faults };
    check.files(audit);
    for (at, rule) in audit.checks.iter().enumerate() {
        for (key, finding) in [("one", &rule.one), ("other", &rule.other)] {
            check.finding(&["audit", "check", &at.to_string(), key], finding);
        }
        let path = ["audit", "check", &at.to_string(), "differs"];
        rule.differs.iter().for_each(|id| check.erratum(&path, id));
    }
    for (at, statement) in audit.statements.iter().enumerate() {
        check.statement(&["audit", "statement", &at.to_string()], statement);
    }
}

struct Check<'a, 't> {
    recipe: &'a Recipe,
    document: &'a Document<'t>,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_, '_> {
    fn fault(&mut self, path: &[&str], message: String) {
        self.faults.push(Fault { offset: self.document.locate(path), message });
    }

    fn files(&mut self, audit: &Audit) {
        for error in audit.include.iter().filter_map(|pattern| check_pattern(pattern).err()) {
            self.fault(&["audit", "include"], format!("`audit.include`: {error}"));
        }
        if audit.include.is_empty() {
            let message = "`audit.include` is empty: it names what is taken of the repository";
            self.fault(&["audit", "include"], message.to_owned());
        }
        if !audit.folder.is_empty() {
            self.file(&["audit", "folder"], &audit.folder);
        }
        if let Some(script) = &audit.script {
            self.file(&["audit", "script", "file"], &script.file);
            if !script.command.iter().any(|argument| argument.contains("{script}")) {
                let message = "`audit.script.command` does not run `{script}`".to_owned();
                self.fault(&["audit", "script", "command"], message);
            }
        }
    }

    fn file(&mut self, path: &[&str], file: &str) {
        if !names::relative_path(file) {
            self.fault(path, format!("`{file}`: {RELATIVE_PATH}"));
        }
    }

    fn finding(&mut self, path: &[&str], finding: &Finding) {
        self.file(path, &finding.file);
        let groups = Regex::new(&finding.pattern).map(|regex| regex.captures_len() - 1);
        if groups != Ok(1) {
            let message = format!("`{}` is no pattern with one group", finding.pattern);
            self.fault(path, message);
        }
    }

    fn erratum(&mut self, path: &[&str], id: &str) {
        if !self.recipe.errata.iter().any(|erratum| erratum.id == id) {
            self.fault(path, format!("there is no erratum `{id}`"));
        }
    }

    fn statement(&mut self, path: &[&str], statement: &Statement) {
        statement.file.iter().for_each(|file| self.file(path, file));
        if statement.quote.is_some() == statement.lines.is_some() {
            self.fault(path, "a statement has either a `quote` or `lines`".to_owned());
        }
        if statement.quote.as_ref().is_some_and(|quote| quote.trim().is_empty()) {
            self.fault(path, "a quote has words".to_owned());
        }
        match &statement.covered_by {
            Covered::Erratum(id) => self.erratum(path, id),
            Covered::Recipe(key) if !has_key(&self.recipe.text, key) => {
                self.fault(path, format!("the recipe has no key `{key}`"));
            }
            Covered::LeftOut if statement.reason.trim().is_empty() => {
                self.fault(path, "what is left out needs a `reason`".to_owned());
            }
            _ => {}
        }
    }
}

/// Whether a dotted path leads to something in the recipe's text; items of lists are counted from 0.
fn has_key(text: &str, key: &str) -> bool {
    let Ok(document) = Document::parse(text) else { return true };
    let mut value = &DeValue::Table(document.root);
    for step in key.split('.') {
        let next = match value {
            DeValue::Table(table) => table.get(step),
            DeValue::Array(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
            _ => None,
        };
        match next {
            Some(next) => value = next.get_ref(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_a_statement_is_read_and_written_alike() {
        for text in ["erratum:batch", "recipe:benchmark.timeout", "left-out"] {
            assert_eq!(text.parse::<Covered>().unwrap().to_string(), text);
        }
        for text in ["", "erratum:", "recipe", "covered"] {
            assert!(text.parse::<Covered>().unwrap_err().contains("expected"), "{text}");
        }
    }

    #[test]
    fn lines_are_counted_from_one_and_do_not_run_backwards() {
        assert_eq!("12-20".parse::<Lines>().unwrap(), Lines { first: 12, last: 20 });
        assert_eq!("7".parse::<Lines>().unwrap().to_string(), "7");
        for text in ["0", "3-2", "a", "1-", ""] {
            text.parse::<Lines>().unwrap_err();
        }
    }

    #[test]
    fn keys_are_found_through_tables_and_lists() {
        let text = "[a.b]\nc = [{ d = 1 }]\n";
        assert!(has_key(text, "a.b.c.0.d") && has_key(text, "a.b"));
        assert!(
            !has_key(text, "a.b.c.1") && !has_key(text, "a.x") && !has_key(text, "a.b.c.0.d.e")
        );
    }
}
