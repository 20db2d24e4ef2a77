//! Lays out a table by the width that characters have on a terminal.

use unicode_width::UnicodeWidthStr;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal: columns by spaces.
    Text,
    /// For a page: columns by bars.
    Markdown,
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Columns with names, and rows.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; it has a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| one_line(cell)).collect());
    }

    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
        }
    }

    fn text(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let widths = self.widths();
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let lines = [&names, &dashes].into_iter().chain(&self.rows);
        lines.map(|cells| format!("{}\n", self.line(cells, &widths, "  ").trim_end())).collect()
    }

    fn markdown(&self) -> String {
        let escape = |cells: &[String]| -> Vec<String> {
            cells.iter().map(|cell| cell.replace('|', "\\|")).collect()
        };
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let rule = |(_, align): &(String, Align)| match align {
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
            cells.chain([self.columns[index].0.width()]).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize], between: &str) -> String {
        let padded = cells.iter().zip(&self.columns).zip(widths).map(|((cell, column), width)| {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            match column.1 {
                Align::Left => format!("{cell}{space}"),
                Align::Right => format!("{space}{cell}"),
            }
        });
        padded.collect::<Vec<_>>().join(between)
    }
}

/// One note below a table; further lines of it are indented.
pub(super) fn note(text: &str, format: Format) -> String {
    let mark = if format == Format::Markdown { "- " } else { "" };
    let lines: Vec<String> = text.lines().map(|line| one_line(line.trim())).collect();
    format!("{mark}{}\n", lines.join("\n  "))
}

/// A log may have anything in it; a terminal must not obey it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
