//! A TOML text that a person wrote, with the position of everything in it.
//!
//! Reading stops at nothing: every problem of a file is collected with its line
//! and column, so that a person corrects a file once and not once per mistake.
//! Recipes, `datasets.toml` and locks are all read through here.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::decode::Node;

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, with the key in backticks.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message } = self;
        write!(f, "{}:{line}:{column}: {message}", file.display())
    }
}

/// A message and the byte it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub offset: usize,
    pub message: String,
}

/// A parsed text; tables may be merged without losing positions.
#[derive(Debug, Clone)]
pub(crate) struct Document<'t> {
    pub root: DeTable<'t>,
}

impl<'t> Document<'t> {
    /// Parses `text`; every syntax error is a fault.
    pub fn parse(text: &'t str) -> Result<Self, Vec<Fault>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { root: root.into_inner() });
        }
        let fault = |error: &toml::de::Error| Fault {
            offset: error.span().map_or(0, |span| span.start),
            message: error.message().trim_end().replace('\n', ", "),
        };
        Err(errors.iter().map(fault).collect())
    }

    /// Reads the whole document as a `T`.
    pub fn decode<T: DeserializeOwned>(self, faults: &mut Vec<Fault>) -> Option<T> {
        let root = Spanned::new(0..0, DeValue::Table(self.root));
        decode_at(&root, 0..0, String::new(), faults)
    }

    /// Reads the value under `key`, if there is one.
    pub fn section<T: DeserializeOwned>(&self, key: &str, faults: &mut Vec<Fault>) -> Option<T> {
        let (name, value) = self.root.get_key_value(key)?;
        decode_at(value, name.span(), key.to_owned(), faults)
    }

    /// As [`Document::section`]; a key that is not there is a fault.
    pub fn required<T: DeserializeOwned>(&self, key: &str, faults: &mut Vec<Fault>) -> Option<T> {
        if !self.root.contains_key(key) {
            faults.push(Fault { offset: 0, message: format!("missing key `{key}`") });
        }
        self.section(key, faults)
    }

    /// Complains about every top-level key that is not among `known`.
    pub fn only(&self, known: &[&str], faults: &mut Vec<Fault>) {
        unknown_keys(&self.root, known, "", faults);
    }

    /// The first byte of the value at `path`, or of the nearest table above it that is there.
    pub fn locate(&self, path: &[&str]) -> usize {
        let mut offset = 0;
        let mut table = Some(&self.root);
        let mut items = None;
        for step in path {
            let found = match (table, items) {
                (Some(table), _) => {
                    DeTable::get_key_value(table, *step).map(|(key, value)| (key.span(), value))
                }
                (None, Some(array)) => {
                    let array: &toml::de::DeArray<'_> = array;
                    let item = step.parse().ok().and_then(|at: usize| array.get(at));
                    item.map(|value| (value.span(), value))
                }
                (None, None) => None,
            };
            let Some((span, value)) = found else { break };
            offset = span.start;
            table = value.get_ref().as_table();
            items = value.get_ref().as_array();
        }
        offset
    }
}

fn decode_at<T: DeserializeOwned>(
    value: &Spanned<DeValue<'_>>,
    key: Range<usize>,
    path: String,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let sink = std::cell::RefCell::new(Vec::new());
    let read = T::deserialize(Node { value, key, path, sink: &sink });
    faults.extend(sink.into_inner());
    read.map_err(|error| faults.push(error.into_fault())).ok()
}

/// Reports every key of `table` that is not among `known`, with the nearest known one.
pub(crate) fn unknown_keys(
    table: &DeTable<'_>,
    known: &[&str],
    path: &str,
    faults: &mut Vec<Fault>,
) {
    for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
        let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
        let hint = match nearest(key.get_ref(), known) {
            Some(near) => format!("; the nearest known key is `{near}`"),
            None => format!("; known keys are `{}`", known.join("`, `")),
        };
        let message = format!("unknown key `{}`{place}{hint}", key.get_ref());
        faults.push(Fault { offset: key.span().start, message });
    }
}

/// The known word that a person most likely meant.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Gives faults of `text` their file, line and column; each is named once, in order.
pub(crate) fn problems(file: &Path, text: &str, mut faults: Vec<Fault>) -> Vec<Problem> {
    // Several variants share the top level, and so its mistakes.
    faults.sort();
    faults.dedup();
    let problem = |fault: Fault| {
        let before = &text[..text.floor_char_boundary(fault.offset)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            message: fault.message,
        }
    };
    faults.into_iter().map(problem).collect()
}

/// Lays `over` over `base`: tables merge, everything else replaces.
pub(crate) fn merge<'t>(base: &mut DeTable<'t>, over: &DeTable<'t>) {
    for (key, value) in over {
        let name = key.get_ref().as_ref();
        let merged = match (base.get_mut(name).map(Spanned::get_mut), value.get_ref()) {
            (Some(DeValue::Table(base)), DeValue::Table(over)) => {
                merge(base, over);
                true
            }
            _ => false,
        };
        if !merged {
            // The old key is taken out, so that messages point to the key that won.
            base.remove(name);
            base.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_replaces_lists_and_keeps_other_keys_and_positions() {
        let text = "[a]\nx = [1, 2]\ny = 1\n[b.a]\nx = [3]\n";
        let document = Document::parse(text).unwrap();
        let mut base = document.root.clone();
        let over = base.remove("b").unwrap();
        merge(&mut base, over.get_ref().as_table().unwrap());
        let merged = Document { root: base };
        let a = merged.root["a"].get_ref().as_table().unwrap();
        assert_eq!(a["x"].get_ref().as_array().unwrap().len(), 1);
        assert!(a.contains_key("y"));
        assert_eq!(merged.locate(&["a", "x"]), text.rfind("x =").unwrap());
    }

    #[test]
    fn positions_count_characters_not_bytes() {
        let text = "a = 1\n\"ü\" = 2\n";
        let offset = text.find('2').unwrap();
        let found = problems(Path::new("f"), text, vec![Fault { offset, message: "m".into() }]);
        assert_eq!(found[0].to_string(), "f:2:7: m");
    }

    #[test]
    fn every_syntax_error_is_reported() {
        let faults = Document::parse("a = \nb = [\n").unwrap_err();
        assert!(faults.len() >= 2, "{faults:?}");
    }
}
