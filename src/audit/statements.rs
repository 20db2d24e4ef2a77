//! What a guide's text says, where it says so, and what covers it.

use serde::Serialize;

use super::{AuditError, Guide};
use crate::recipe::{Covered, Lines, Statement};

/// A statement, found again or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementReport {
    /// The file's path in the repository.
    pub file: String,
    /// The words, or the first of the lines.
    pub text: String,
    /// Where it stands; absent if it does not.
    pub lines: Option<Lines>,
    /// Whether the file has it.
    pub is_there: bool,
    /// What became of it.
    pub covered_by: Covered,
    /// Why.
    pub reason: String,
}

/// A line of the guide's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// The line, without space at its ends.
    pub text: String,
}

/// Finds every statement of the recipe again.
pub fn statements(guide: &Guide) -> Result<Vec<StatementReport>, AuditError> {
    guide.audit().statements.iter().map(|statement| find(guide, statement)).collect()
}

/// The lines of the guide's text that say something and that no statement covers.
pub fn uncovered(guide: &Guide) -> Result<Vec<Line>, AuditError> {
    let path = guide.path(None);
    let found = statements(guide)?;
    let covered: Vec<Lines> =
        found.iter().filter(|found| found.file == path).filter_map(|found| found.lines).collect();
    let is_covered =
        |line: &Line| covered.iter().any(|lines| (lines.first..=lines.last).contains(&line.number));
    let mut lines = said(&guide.text(&path)?);
    lines.retain(|line| !is_covered(line));
    Ok(lines)
}

fn find(guide: &Guide, statement: &Statement) -> Result<StatementReport, AuditError> {
    let file = guide.path(statement.file.as_deref());
    let content = guide.text(&file)?;
    let lines = match (&statement.quote, statement.lines) {
        (Some(quote), _) => place(&content, quote),
        (None, lines) => lines.filter(|lines| lines.last <= content.lines().count()),
    };
    let first = |lines: Lines| content.lines().nth(lines.first - 1).unwrap_or_default();
    let text = match &statement.quote {
        Some(quote) => words(quote).join(" "),
        None => lines.map_or_else(String::new, |lines| first(lines).trim().to_owned()),
    };
    let (covered_by, reason) = (statement.covered_by.clone(), statement.reason.clone());
    Ok(StatementReport { file, text, lines, is_there: lines.is_some(), covered_by, reason })
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The lines on which `quote` stands, however both are spaced. The first and the last word may be
/// a part of a word of the text: commas and quotation marks belong to no statement.
fn place(text: &str, quote: &str) -> Option<Lines> {
    let numbered: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .flat_map(|(at, line)| line.split_whitespace().map(move |word| (at + 1, word)))
        .collect();
    let quote = words(quote);
    let (last, count) = (quote.len().checked_sub(1)?, quote.len());
    let fits = |window: &&[(usize, &str)]| {
        window.iter().zip(&quote).enumerate().all(|(at, ((_, word), wanted))| match (at, last) {
            (0, 0) => word.contains(wanted),
            (0, _) => word.ends_with(wanted),
            (at, last) if at == last => word.starts_with(wanted),
            _ => word == wanted,
        })
    };
    let found = numbered.windows(count).find(fits)?;
    Some(Lines { first: found[0].0, last: found[last].0 })
}

/// The lines of a Markdown text that say something: all code, and text that is more than its outline.
fn said(text: &str) -> Vec<Line> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("```") {
            inside = !inside;
        } else if !line.is_empty() && (inside || !is_outline(line)) {
            lines.push(Line { number: at + 1, text: line.to_owned() });
        }
    }
    lines
}

/// Whether a line is a heading, a link to one, a comment, or the rule of a table.
fn is_outline(line: &str) -> bool {
    let item = line.trim_start_matches(['-', '*', ' ']);
    let is_link = item.starts_with('[') && item.contains("](#") && item.ends_with(')');
    let is_rule = line.chars().all(|sign| "|-: ".contains(sign));
    line.starts_with('#') || line.starts_with("<!--") || is_link || is_rule
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Guide\n\n- **image**: `host/paddle:2.1.2`\n\n```bash\nbash run.sh sp 22;\n\n   sleep 60;\n```\nend\n";

    #[test]
    fn a_quote_is_found_however_it_is_spaced() {
        assert_eq!(place(TEXT, "bash  run.sh\nsp 22"), Some(Lines { first: 6, last: 6 }));
        assert_eq!(place(TEXT, "22; sleep 60"), Some(Lines { first: 6, last: 8 }));
        assert_eq!(place(TEXT, "host/paddle:2.1.2"), Some(Lines { first: 3, last: 3 }));
    }

    #[test]
    fn a_quote_that_changed_in_the_middle_is_not_found() {
        assert_eq!(place(TEXT, "bash run sp 22"), None);
        assert_eq!(place(TEXT, "run.sh sp 222"), None);
        assert_eq!(place(TEXT, ""), None);
    }

    #[test]
    fn the_whole_text_says_something_but_for_its_outline() {
        let outline = "<!-- comment -->\n- [Guide](#guide)\n|---|:-:|\n";
        let numbers: Vec<_> =
            said(&format!("{TEXT}{outline}")).iter().map(|line| line.number).collect();
        assert_eq!(numbers, [3, 6, 8, 10]);
        let comment = said("```bash\n# in code\n```\n");
        assert_eq!(comment.len(), 1, "a comment in code is no heading");
    }
}
