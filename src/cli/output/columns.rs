//! Rows as columns that line up and fit into the terminal.
//!
//! A column that is wider than its share is folded, at spaces first, then after the signs that part
//! names and paths; nothing is left out. Widths are those of a terminal: Chinese signs take two columns,
//! colour none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: &str = "  ";
/// No column is made narrower: a terminal that is too small for it breaks the lines itself.
const NARROWEST: usize = 10;
/// So much narrower a column becomes before another one is folded, too.
const LITTLE: usize = 4;

/// Columns that fit into standard output; those of `right` are aligned to the right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    columns_within(rows, right, super::width())
}

/// Columns that fit into `width`, if there is one.
pub fn columns_within(rows: &[Vec<String>], right: &[usize], width: Option<usize>) -> String {
    rows_within(rows, right, width).concat()
}

/// The same, the lines of each row apart.
pub fn rows_within(rows: &[Vec<String>], right: &[usize], width: Option<usize>) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let columns: Vec<Column> = (0..count).map(|column| Column::of(cells(column))).collect();
    let natural = || columns.iter().map(|column| column.natural).collect();
    let widths: Vec<usize> = width.map_or_else(natural, |width| shares(&columns, width));
    rows.iter().map(|row| lines(row, &widths, right)).collect()
}

/// How wide a column would like to be, and has to be.
struct Column {
    natural: usize,
    /// Names are not folded, words not taken apart, as long as that leaves room for the others.
    least: usize,
}

impl Column {
    fn of<'a>(cells: impl Iterator<Item = &'a String> + Clone) -> Self {
        let widest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
        let natural = widest(&mut cells.clone().map(|cell| shown_width(cell)));
        let has_words = cells.clone().any(|cell| cell.trim().contains(' '));
        let parts = cells.flat_map(|cell| parts(cell)).map(|part| part.trim_end().width());
        let least = if has_words { widest(&mut { parts }) } else { natural };
        Self { natural, least }
    }
}

/// The columns that `text` takes on a terminal.
fn shown_width(text: &str) -> usize {
    match text.contains('\u{1b}') {
        true => anstream::adapter::strip_str(text).to_string().width(),
        false => text.width(),
    }
}

/// `text` in at most `width` columns; what is cut off is told by `…`.
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > width {
            break;
        }
        short.push(letter);
    }
    short + "…"
}

/// The widest columns give way until all of them fit: first as far as names and words stay whole,
/// then as far as it has to be.
fn shares(columns: &[Column], width: usize) -> Vec<usize> {
    let room = width.saturating_sub(GAP.len() * columns.len().saturating_sub(1));
    let mut widths: Vec<usize> = columns.iter().map(|column| column.natural).collect();
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    let kinds: [fn(&Column) -> usize; 2] = [|column| column.least, |_| NARROWEST];
    for least in kinds {
        while excess > 0 {
            // One that gives way already goes on a little longer, instead of taking another along.
            let given = |column: usize| widths[column] < columns[column].natural;
            let weight = |column: &usize| widths[*column] + if given(*column) { LITTLE } else { 0 };
            let can_give = |column: &usize| widths[*column] > least(&columns[*column]);
            let giving = (0..widths.len()).filter(can_give).max_by_key(weight);
            let Some(column) = giving else { break };
            widths[column] -= 1;
            excess -= 1;
        }
    }
    widths
}

/// One row, over as many lines as its longest cell needs.
fn lines(row: &[String], widths: &[usize], right: &[usize]) -> String {
    let cells: Vec<Vec<String>> =
        row.iter().zip(widths).map(|(cell, width)| fold(cell, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let mut text = String::new();
    for line in 0..height {
        let mut whole = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let part = cell.get(line).map_or("", String::as_str);
            let space = " ".repeat(widths[column].saturating_sub(shown_width(part)));
            let parts = if right.contains(&column) { [&space, part] } else { [part, &space] };
            parts.into_iter().for_each(|part| whole.push_str(part));
            whole.push_str(GAP);
        }
        text.push_str(whole.trim_end());
        text.push('\n');
    }
    text
}

/// The lines of `text` in a column.
fn fold(text: &str, width: usize) -> Vec<String> {
    if shown_width(text) <= width || width == 0 {
        return vec![text.to_owned()];
    }
    // Colour is given up where a cell is taken apart.
    let plain = anstream::adapter::strip_str(text).to_string();
    let mut lines = vec![String::new()];
    for word in plain.split_inclusive(' ') {
        match word.trim_end().width() <= width {
            true => put(&mut lines, word, width),
            false => parts(word).for_each(|part| put(&mut lines, part, width)),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Puts `piece` into the last line or the next; one that is too long for any is broken.
fn put(lines: &mut Vec<String>, piece: &str, width: usize) {
    let used = lines.last().map_or(0, |line| line.width());
    if used > 0 && used + piece.trim_end().width() > width {
        lines.push(String::new());
    }
    for letter in piece.chars() {
        let used = lines.last().map_or(0, |line| line.width());
        if letter != ' ' && used + letter.width().unwrap_or(0) > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(letter);
        }
    }
}

/// What of a text stays together where words do not fit: parts of a path with their slash.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive([' ', '/', '-', ',', ';', '@', '=', '、', '，', '。'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_line_up_by_what_a_terminal_shows() {
        let rows = rows(&[&["a", "1"], &["図像", "22"]]);
        assert_eq!(columns_within(&rows, &[1], None), "a      1\n図像  22\n");
    }

    #[test]
    fn colour_takes_no_column() {
        let rows = vec![
            vec!["\u{1b}[32mok\u{1b}[0m".to_owned(), "x".to_owned()],
            rows(&[&["failed", "y"]]).remove(0),
        ];
        let text = anstream::adapter::strip_str(&columns_within(&rows, &[], Some(40))).to_string();
        assert_eq!(text, "ok      x\nfailed  y\n");
    }

    #[test]
    fn the_widest_column_is_folded_where_the_terminal_is_narrow() {
        let rows =
            rows(&[&["image", "title"], &["seg-debian", "semantic segmentation of streets"]]);
        let text = columns_within(&rows, &[], Some(30));
        assert_eq!(
            text,
            "image       title\nseg-debian  semantic\n            segmentation of\n            streets\n"
        );
        assert!(text.lines().all(|line| line.width() <= 30));
        assert!(!columns_within(&rows, &[], None).contains("semantic\n"), "a pipe gets everything");
    }

    #[test]
    fn names_stay_whole_as_long_as_other_columns_can_give_way() {
        let rows = rows(&[&[
            "fairmot-mindspore-debian",
            "sealed c030c93d49a3",
            "tracking on Debian 11: FairMOT",
        ]]);
        let text = columns_within(&rows, &[], Some(62));
        let first = "fairmot-mindspore-debian  sealed c030c93d49a3  tracking on";
        assert_eq!(text.lines().next(), Some(first), "{text}");
        assert!(columns_within(&rows, &[], Some(30)).lines().all(|line| line.width() <= 34));
    }

    #[test]
    fn what_has_no_space_is_parted_after_its_signs_or_anywhere() {
        assert_eq!(fold("seg/fastscnn/sp/bs2/fp32", 14), ["seg/fastscnn/", "sp/bs2/fp32"]);
        assert_eq!(fold("sha256:0123456789", 8), ["sha256:0", "12345678", "9"]);
        assert_eq!(fold("图像分割的基准测试", 8), ["图像分割", "的基准测", "试"]);
    }

    #[test]
    fn a_shortened_text_says_so_and_keeps_to_its_width() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("图像分割", 6), "图像…");
    }
}
