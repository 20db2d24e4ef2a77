//! Colour for words that tell a state; the words are there without it, too.

use anstyle::{AnsiColor, Style};

/// What a state means to a reader.
fn style(word: &str) -> Option<Style> {
    let color = match word {
        "ok" | "within" | "finished" | "GOOD" | "same" => AnsiColor::Green,
        "failed" | "died" | "BAD" | "FAIL" | "below" | "differs" | "missing" | "no" => {
            AnsiColor::Red
        }
        "skipped" | "stopped" | "unpinned" | "warning" | "not comparable" => AnsiColor::Yellow,
        "running" | "above" => AnsiColor::Cyan,
        _ => return None,
    };
    Some(Style::new().fg_color(Some(color.into())))
}

/// A state with its colour.
pub fn state(word: &str) -> String {
    style(word).map_or_else(|| word.to_owned(), |style| format!("{style}{word}{style:#}"))
}

/// A table of plain columns in which cells that tell a state have its colour.
pub fn states(table: &str) -> String {
    table.split_inclusive('\n').map(line).collect()
}

/// Cells are what two spaces separate.
fn line(text: &str) -> String {
    let parts = text.split("  ").map(|part| {
        let cell = part.trim();
        match style(cell) {
            Some(_) => part.replacen(cell, &state(cell), 1),
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("  ")
}

/// An error with its mark, its causes and its hint.
pub fn complaint(text: &str) -> String {
    let mark = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
    let marks = [
        ("error:", mark(AnsiColor::Red)),
        ("hint:", mark(AnsiColor::Green)),
        ("warning:", mark(AnsiColor::Yellow)),
    ];
    let painted = text.split_inclusive('\n').map(|line| {
        let found =
            marks.iter().find_map(|(word, style)| Some((word, style, line.strip_prefix(word)?)));
        found.map_or_else(
            || line.to_owned(),
            |(word, style, rest)| format!("{style}{word}{style:#}{rest}"),
        )
    });
    painted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_cell_with_a_state_is_coloured_and_nothing_else() {
        let table = "case  status  value\nok/a  ok      1\nb     failed  -\n";
        let painted = states(table);
        assert_eq!(plain(&painted), table);
        assert_eq!(painted.matches("\u{1b}[32m").count(), 1, "{painted:?}");
        assert_eq!(painted.matches("\u{1b}[31m").count(), 1, "{painted:?}");
    }

    #[test]
    fn marks_of_an_error_are_coloured_at_the_start_of_a_line_only() {
        let text = "error: `a` says error: b\n  because: c\nhint: d\n";
        let painted = complaint(text);
        assert_eq!(plain(&painted), text);
        assert_eq!(painted.matches("\u{1b}[1m").count(), 2, "{painted:?}");
    }
}
