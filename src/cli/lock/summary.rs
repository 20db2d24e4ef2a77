//! What changes from one lock to the next, in a few lines.

use std::collections::BTreeMap;

use crate::lock::Difference;

/// So many lines are read; more of them are counted.
const LINES: usize = 5;
/// So many names stand in a line of one kind.
const NAMES: usize = 3;

/// The differences, one line each if there are few, else one line for each kind.
pub fn summary(changes: &[Difference]) -> Vec<String> {
    if changes.len() <= LINES {
        return changes.iter().map(ToString::to_string).collect();
    }
    let mut kinds: Vec<&str> = Vec::new();
    let mut by_kind: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for change in changes {
        let kind = kind(&change.what);
        if !by_kind.contains_key(kind) {
            kinds.push(kind);
        }
        by_kind.entry(kind).or_default().push(change);
    }
    let mut lines: Vec<String> = kinds.iter().map(|kind| line(kind, &by_kind[kind])).collect();
    if lines.len() > LINES {
        let rest = lines.split_off(LINES - 1);
        let counted: usize = kinds[LINES - 1..].iter().map(|kind| by_kind[kind].len()).sum();
        lines.push(format!("and {counted} more of {} kinds", rest.len()));
    }
    lines
}

/// What a difference is about without its name: `wheel` of ``wheel `torch` ``.
fn kind(what: &str) -> &str {
    let (kind, _) = what.split_once(" `").unwrap_or((what, ""));
    match kind.split_once(" of compiled") {
        Some(_) => "compiled",
        None if kind.starts_with("unpinned ") => "unpinned",
        None => kind,
    }
}

/// ``~ wheel: 2 changed, 1 new (`numpy`, `six`, `torch`)``; one alone is told as it is.
fn line(kind: &str, changes: &[&Difference]) -> String {
    if let [one] = changes {
        return one.to_string();
    }
    let count = |is: fn(&Difference) -> bool| changes.iter().filter(|change| is(change)).count();
    let counts = [
        (count(|it| it.before.is_some() && it.after.is_some()), "changed"),
        (count(|it| it.before.is_none()), "new"),
        (count(|it| it.before.is_some() && it.after.is_none()), "gone"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    let mut names: Vec<&str> =
        changes.iter().filter_map(|change| change.what.split('`').nth(1)).collect();
    names.dedup();
    let more = if names.len() > NAMES { ", …" } else { "" };
    names.truncate(NAMES);
    let names =
        if names.is_empty() { String::new() } else { format!(" ({}{more})", names.join(", ")) };
    format!("~ {kind}: {}{names}", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(what: &str, before: Option<&str>, after: Option<&str>) -> Difference {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Difference { what: what.to_owned(), before: text(before), after: text(after) }
    }

    #[test]
    fn a_few_changes_are_each_told() {
        let changes = [change("wheel `torch`", Some("1.9.0"), Some("1.9.1"))];
        assert_eq!(summary(&changes), ["~ wheel `torch`: 1.9.0 -> 1.9.1"]);
    }

    #[test]
    fn many_changes_take_one_line_for_each_kind() {
        let mut changes =
            vec![change("date of resolution", Some("2026-01-01"), Some("2026-02-01"))];
        for name in ["a", "b", "c", "d"] {
            changes.push(change(&format!("Debian package `{name}`"), Some("1"), Some("2")));
        }
        changes.push(change("wheel `six`", None, Some("1.16")));
        changes.push(change("version of compiled `mmcv`", Some("1"), Some("2")));
        changes.push(change("command of compiled `mmcv`", Some("x"), Some("y")));
        changes.extend((0..60).map(|at| change(&format!("seal `layer {at}`"), Some("x"), None)));
        assert_eq!(
            summary(&changes),
            [
                "~ date of resolution: 2026-01-01 -> 2026-02-01",
                "~ Debian package: 4 changed (a, b, c, …)",
                "+ wheel `six` 1.16",
                "~ compiled: 2 changed (mmcv)",
                "~ seal: 60 gone (layer 0, layer 1, layer 2, …)",
            ]
        );
        changes.push(change("glibc", Some("2.31"), Some("2.36")));
        assert_eq!(summary(&changes).len(), 5);
        assert_eq!(summary(&changes)[4], "and 61 more of 2 kinds");
    }
}
