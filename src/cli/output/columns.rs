//! Rows as columns that line up and fit into the terminal.
//!
//! A column that is wider than its share is folded, at spaces first, then after the signs that part
//! names and paths; nothing is left out. A number stays with its sign and its unit, and columns of figures
//! are folded last. Widths are those of a terminal: Chinese signs take two columns, colour none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: &str = "  ";
/// No column is made narrower: a terminal that is too small for it breaks the lines itself.
const NARROWEST: usize = 10;
/// So much narrower a column becomes before another one is folded, too.
const LITTLE: usize = 4;
/// The space inside of a figure, where no line ends; printed as an ordinary one.
pub const KEPT: char = '\u{a0}';

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
    let kept = |row: &Vec<String>| row.iter().map(|cell| kept(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(kept).collect();
    let columns = Column::all(&rows);
    let natural = || columns.iter().map(|column| column.natural).collect();
    let widths: Vec<usize> = width.map_or_else(natural, |width| shares(&columns, width));
    rows.iter().map(|row| lines(row, &widths, right).replace(KEPT, " ")).collect()
}

/// Whether each row has room in one line of `width`.
pub fn fits(rows: &[Vec<String>], width: Option<usize>) -> bool {
    let columns = Column::all(rows);
    let natural: usize = columns.iter().map(|column| column.natural).sum();
    width.is_none_or(|width| natural + gaps(columns.len()) <= width)
}

/// Running text in lines that fit into `width`, if there is one, each `indent` columns from the edge.
pub fn indented(text: &str, indent: usize, width: Option<usize>) -> String {
    let text = kept(text);
    let room = width.map(|width| width.saturating_sub(indent).max(NARROWEST));
    let lines = room.map_or_else(|| vec![text.clone()], |room| fold(&text, room));
    let lines = lines.iter().map(|line| format!("{:indent$}{line}\n", "").replace(KEPT, " "));
    lines.collect()
}

/// How wide a column would like to be, and has to be.
struct Column {
    natural: usize,
    /// Names are not folded, words not taken apart, as long as that leaves room for the others.
    least: usize,
    /// Whether there are figures below its first cell, and nothing else.
    has_figures: bool,
}

impl Column {
    /// The columns of a table.
    fn all(rows: &[Vec<String>]) -> Vec<Self> {
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
        (0..count).map(|column| Self::of(cells(column))).collect()
    }

    fn of<'a>(cells: impl Iterator<Item = &'a String> + Clone) -> Self {
        let widest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
        let natural = widest(&mut cells.clone().map(|cell| shown_width(cell)));
        let has_words = cells.clone().any(|cell| cell.trim().contains(' '));
        let parts = cells.clone().flat_map(|cell| parts(cell)).map(|part| part.trim_end().width());
        let least = if has_words { widest(&mut { parts }) } else { natural };
        let mut below = cells.skip(1).filter(|cell| !["", "-"].contains(&cell.as_str())).peekable();
        let has_figures = below.peek().is_some() && below.all(|cell| begins_with_figure(cell));
        Self { natural, least, has_figures }
    }
}

/// `text` whose figures no line parts: `3.925 ± 1.0 %`, `58.5 s`, `< 0.0001`.
fn kept(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut before = "";
    for (position, word) in text.split(' ').enumerate() {
        if position > 0 {
            whole.push(if begins_with_figure(before) { KEPT } else { ' ' });
        }
        whole.push_str(word);
        before = word;
    }
    whole
}

/// Whether the first word is a number, or a sign that one follows.
fn begins_with_figure(text: &str) -> bool {
    let word = text.split([' ', KEPT]).next().unwrap_or("").trim_start_matches('(');
    let number = word.trim_start_matches(['+', '-', '\u{2212}', '±', '<']);
    let is_number =
        number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok();
    is_number || (number.is_empty() && ["±", "<"].contains(&word))
}

/// What `columns` columns have between them.
fn gaps(columns: usize) -> usize {
    GAP.len() * columns.saturating_sub(1)
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
/// then as far as it has to be; figures each time after words.
fn shares(columns: &[Column], width: usize) -> Vec<usize> {
    let room = width.saturating_sub(gaps(columns.len()));
    let mut widths: Vec<usize> = columns.iter().map(|column| column.natural).collect();
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    // Whether names and words stay whole, and whether figures give way.
    for (whole, figures) in [(true, false), (true, true), (false, false), (false, true)] {
        let least = |column: &Column| if whole { column.least } else { NARROWEST };
        while excess > 0 {
            // One that gives way already goes on a little longer, instead of taking another along.
            let given = |column: usize| widths[column] < columns[column].natural;
            let weight = |column: &usize| widths[*column] + if given(*column) { LITTLE } else { 0 };
            let can_give = |column: &usize| {
                let own = &columns[*column];
                (figures || !own.has_figures) && widths[*column] > least(own)
            };
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
            false => parts(word).for_each(|part| match part.trim_end().width() <= width {
                true => put(&mut lines, part, width),
                false => part.split_inclusive(KEPT).for_each(|it| put(&mut lines, it, width)),
            }),
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
        if !letter.is_whitespace() && used + letter.width().unwrap_or(0) > width {
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
    fn a_number_stays_with_its_sign_and_unit_and_words_give_way_first() {
        let rows = rows(&[
            &["metric", "before", "change", "says"],
            &["throughput", "2.000 ± 38.4 % (5 steps)", "+17.9 %", "no change was seen in it"],
            &["time of each step", "-", "< 0.0001", "-"],
        ]);
        let text = columns_within(&rows, &[2], Some(52));
        assert!(text.lines().all(|line| line.width() <= 52), "{text}");
        for figure in ["2.000 ± 38.4 %", "(5 steps)", "+17.9 %", "< 0.0001"] {
            assert!(text.contains(figure), "{figure} is taken apart:\n{text}");
        }
    }

    #[test]
    fn figures_that_have_to_be_parted_are_parted_at_their_spaces() {
        let rows = rows(&[&["2.000 ± 38.4 %", "a-name-that-is-long"]]);
        let text = columns_within(&rows, &[], Some(10));
        assert!(text.starts_with("2.000 ±     a-name-"), "{text}");
        assert!(text.contains("\n38.4 %  "), "{text}");
    }

    #[test]
    fn running_text_is_folded_behind_its_indent() {
        let text = "slower, 99 % interval -6.4 % to -3.2 %";
        assert_eq!(
            indented(text, 4, Some(24)),
            "    slower, 99 %\n    interval -6.4 % to\n    -3.2 %\n"
        );
        assert_eq!(indented(text, 2, None), format!("  {text}\n"));
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
