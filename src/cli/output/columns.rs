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

/// Columns that fit into standard output; those of `right` are aligned to the right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    columns_within(rows, right, super::width())
}

/// Columns that fit into `width`, if there is one.
pub fn columns_within(rows: &[Vec<String>], right: &[usize], width: Option<usize>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let natural = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| shown_width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(natural).collect();
    let widths = width.map_or(widths.clone(), |width| shares(&widths, width));
    rows.iter().map(|row| lines(row, &widths, right)).collect()
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

/// The widest columns give way until all of them fit.
fn shares(natural: &[usize], width: usize) -> Vec<usize> {
    let gaps = GAP.len() * natural.len().saturating_sub(1);
    let room = width.saturating_sub(gaps);
    let taken = |cap: usize| natural.iter().map(|own| (*own).min(cap)).sum::<usize>();
    let widest = natural.iter().copied().max().unwrap_or(0);
    let cap = (NARROWEST..=widest).rev().find(|cap| taken(*cap) <= room).unwrap_or(NARROWEST);
    let mut widths: Vec<usize> = natural.iter().map(|own| (*own).min(cap)).collect();
    // What rounding left over goes to the first column that was cut.
    let spare = room.saturating_sub(widths.iter().sum());
    if let Some(cut) = (0..natural.len()).find(|column| widths[*column] < natural[*column]) {
        widths[cut] = (widths[cut] + spare).min(natural[cut]);
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
    let (mut lines, mut line) = (Vec::new(), String::new());
    for piece in pieces(&plain) {
        if line.width() + piece.trim_end().width() > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        for letter in piece.chars() {
            if line.width() + letter.width().unwrap_or(0) > width && letter != ' ' {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// What stays together: words with their space, parts of a path with their slash.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive([' ', '/', ',', ';', '@', '、', '，', '。'])
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
