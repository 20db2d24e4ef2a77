//! Lays out a table by the width that characters have on a terminal.

use unicode_width::UnicodeWidthStr;

use super::words::NOTHING;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal: columns by spaces. What does not fit in so many columns is folded.
    Text(Option<usize>),
    /// For a page: columns by bars.
    Markdown,
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub name: &'static str,
    pub align: Align,
    /// What a narrow terminal does without goes in this order, the highest first; 0 stays.
    pub rank: u8,
    /// Whether it is left out where no row has anything in it.
    pub only_if_used: bool,
}

impl Column {
    pub(super) const fn only_if_used(self) -> Self {
        Self { only_if_used: true, ..self }
    }
}

/// Columns with names, and rows.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// What stands between columns of text.
const BETWEEN: &str = "  ";

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| one_line(cell)).collect());
    }

    /// The table, and the names of columns that it has no room for.
    pub(super) fn render(mut self, format: Format) -> (String, Vec<&'static str>) {
        let columns = self.columns.iter().enumerate();
        let unused = |(index, column): &(usize, &Column)| {
            column.only_if_used && self.rows.iter().all(|row| row[*index] == NOTHING)
        };
        let unused: Vec<usize> = columns.filter(unused).map(|(index, _)| index).collect();
        unused.into_iter().rev().for_each(|index| self.remove(index));
        match format {
            Format::Text(width) => {
                let folded = width.is_some_and(|width| self.is_too_wide(width));
                let dropped = width.map_or(Vec::new(), |width| self.narrow(width, folded));
                (self.text(folded), dropped)
            }
            Format::Markdown => (self.markdown(), Vec::new()),
        }
    }

    fn remove(&mut self, column: usize) {
        self.columns.remove(column);
        self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
    }

    /// Whether even the columns that stay do not fit in `width`.
    fn is_too_wide(&self, width: usize) -> bool {
        let stay = self.columns.iter().zip(self.widths()).filter(|(column, _)| column.rank == 0);
        let widths: Vec<usize> = stay.map(|(_, width)| width).collect();
        widths.iter().sum::<usize>() + BETWEEN.len() * widths.len().saturating_sub(1) > width
    }

    /// Keeps the columns that stay and those that fit beside them, the lowest rank first; the first
    /// column takes no room where it has a line of its own.
    fn narrow(&mut self, width: usize, folded: bool) -> Vec<&'static str> {
        let widths = self.widths();
        let mut order: Vec<usize> = (usize::from(folded)..self.columns.len()).collect();
        order.sort_by_key(|index| self.columns[*index].rank);
        let mut used = 0;
        let mut dropped = Vec::new();
        for index in order {
            // Each has a gap before it, or the indent of a folded line.
            let more = widths[index] + if used > 0 || folded { BETWEEN.len() } else { 0 };
            if self.columns[index].rank == 0 || used + more <= width {
                used += more;
            } else {
                dropped.push(index);
            }
        }
        dropped.sort_unstable();
        let names = dropped.iter().map(|index| self.columns[*index].name).collect();
        dropped.into_iter().rev().for_each(|index| self.remove(index));
        names
    }

    /// Where even the columns that stay are too wide, the first has a line of its own.
    fn text(&self, folded: bool) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| column.name.to_owned()).collect();
        let widths = self.widths();
        let line = |cells: &Vec<String>| match folded {
            true => format!("{}\n{BETWEEN}{}\n", cells[0], self.line(cells, &widths, 1)),
            false => format!("{}\n", self.line(cells, &widths, 0)),
        };
        let first = usize::from(folded);
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let indent = if folded { BETWEEN } else { "" };
        let mut text = format!("{}{indent}{}\n", line(&names), self.line(&dashes, &widths, first));
        self.rows.iter().for_each(|cells| text.push_str(&line(cells)));
        text
    }

    fn markdown(&self) -> String {
        let escape = |cells: &[String]| -> Vec<String> {
            cells.iter().map(|cell| cell.replace('|', "\\|")).collect()
        };
        let names: Vec<String> = self.columns.iter().map(|column| column.name.to_owned()).collect();
        let rule = |column: &Column| match column.align {
            Align::Left => "---".to_owned(),
            Align::Right => "---:".to_owned(),
        };
        let rules: Vec<String> = self.columns.iter().map(rule).collect();
        let lines = [&names, &rules].into_iter().chain(&self.rows);
        lines.map(|cells| format!("| {} |\n", escape(cells).join(" | "))).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].width());
            cells.chain([self.columns[index].name.width()]).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    /// One line of the columns from `first` on.
    fn line(&self, cells: &[String], widths: &[usize], first: usize) -> String {
        let columns = cells.iter().zip(&self.columns).zip(widths).skip(first);
        let padded = columns.map(|((cell, column), width)| {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            match column.align {
                Align::Left => format!("{cell}{space}"),
                Align::Right => format!("{space}{cell}"),
            }
        });
        padded.collect::<Vec<_>>().join(BETWEEN).trim_end().to_owned()
    }
}

/// One note below a table; further lines of it are indented, and so is what does not fit in a line.
pub(super) fn note(text: &str, format: Format) -> String {
    let lines = text.lines().map(|line| one_line(line.trim()));
    match format {
        Format::Markdown => format!("- {}\n", lines.collect::<Vec<_>>().join("\n  ")),
        Format::Text(None) => format!("{}\n", lines.collect::<Vec<_>>().join("\n  ")),
        Format::Text(Some(width)) => {
            let folded: Vec<String> = lines.flat_map(|line| fold(&line, width)).collect();
            format!("{}\n", folded.join("\n  "))
        }
    }
}

/// One line above a table; what does not fit is indented.
pub(super) fn line(text: &str, format: Format) -> String {
    match format {
        Format::Markdown => format!("{text}\n"),
        Format::Text(_) => note(text, format),
    }
}

/// `line` in pieces that fit in `width` with an indent of two; a longer word stays whole.
fn fold(line: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last_mut().expect("there is one from the start");
        if last.is_empty() {
            last.push_str(word);
        } else if last.width() + 1 + word.width() + 2 <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A log may have anything in it; a terminal must not obey it.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name, align, rank| Column { name, align, rank, only_if_used: false };
        let mut table = Table::new(&[
            column("case", Align::Left, 0),
            column("figure", Align::Right, 0),
            column("memory", Align::Right, 1),
            column("flags", Align::Left, 0).only_if_used(),
        ]);
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        table.row(row(["图像/分割", "1", "2 GiB", "-"]));
        table.row(row(["seg|x", "12.5 images/s", "-", "-"]));
        table
    }

    #[test]
    fn columns_line_up_by_the_width_of_characters() {
        let expected = "\
case              figure  memory
---------  -------------  ------
图像/分割              1   2 GiB
seg|x      12.5 images/s       -
";
        assert_eq!(table().render(Format::Text(None)), (expected.to_owned(), vec![]));
    }

    #[test]
    fn a_narrow_terminal_does_without_columns_and_is_told_which() {
        let (text, dropped) = table().render(Format::Text(Some(30)));
        assert_eq!(text.lines().next(), Some("case              figure"));
        assert_eq!(dropped, ["memory"]);
    }

    #[test]
    fn where_nothing_more_can_go_the_case_has_a_line_of_its_own() {
        let expected = "\
case
         figure
  -------------
图像/分割
              1
seg|x
  12.5 images/s
";
        assert_eq!(table().render(Format::Text(Some(20))).0, expected);
    }

    #[test]
    fn markdown_escapes_its_own_bars() {
        let expected = "\
| case | figure | memory |
| --- | ---: | ---: |
| 图像/分割 | 1 | 2 GiB |
| seg\\|x | 12.5 images/s | - |
";
        assert_eq!(table().render(Format::Markdown).0, expected);
    }

    #[test]
    fn control_characters_of_a_log_do_not_reach_the_terminal() {
        let text = "x failed: \u{1b}[31mred\n  last\u{7} line\r\n";
        assert_eq!(
            note(text, Format::Text(None)),
            "x failed: \u{fffd}[31mred\n  last\u{fffd} line\n"
        );
    }

    #[test]
    fn notes_are_folded_at_words() {
        let folded = note("one two three four", Format::Text(Some(11)));
        assert_eq!(folded, "one two\n  three\n  four\n");
    }
}
