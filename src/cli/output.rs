//! How things are printed: sizes, times, JSON, tables of plain columns.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

/// `831.4 MB`: decimal units, as package indexes and disks are sold.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 wheel`, `3 wheels`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Prints one JSON document on standard output.
pub fn json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).expect("results always serialise");
    print(&format!("{text}\n"));
}

/// Prints on standard output; a reader that went away is no error, a full disk is one.
pub fn print(text: &str) {
    let mut output = io::stdout().lock();
    let Err(error) = output.write_all(text.as_bytes()).and_then(|()| output.flush()) else {
        return;
    };
    // A lost terminal answers EIO; what it would have shown is in the records.
    let is_lost =
        error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(libc::EIO);
    if !is_lost {
        note(&format!("error: cannot write the result\n  because: {error}"));
        std::process::exit(1);
    }
}

/// A line on standard error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether progress can be drawn.
pub fn is_drawn() -> bool {
    io::stderr().is_terminal()
}

/// Rows as columns that line up; numbers in the columns of `right` are aligned to the right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let space = " ".repeat(widths[column] - cell.width());
            let parts = if right.contains(&column) { [&space, cell] } else { [cell, &space] };
            parts.into_iter().for_each(|part| line.push_str(part));
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `REPRO_LOG=debug` shows what the program does, on standard error.
pub fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("REPRO_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_after_the_point() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(831_404_446), "831.4 MB");
        assert_eq!(size(999_960), "1.0 MB");
    }

    #[test]
    fn columns_line_up_by_what_a_terminal_shows() {
        let rows = [["a".into(), "1".into()].to_vec(), ["図像".into(), "22".into()].to_vec()];
        assert_eq!(columns(&rows, &[1]), "a      1\n図像  22\n");
    }
}
