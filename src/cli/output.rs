//! How things are printed: sizes, times, JSON, tables of plain columns, colour.
//!
//! The only place that writes to a stream. Text may carry colour wherever it is made; the
//! streams take it out where nobody wants it (`terminal`). It is never the only sign. Whatever else a
//! terminal would obey is shown instead (`visible`), wherever the text goes.

mod columns;
mod paint;
mod terminal;
mod visible;

use std::io::{self, Write};

use anstream::AutoStream;
use serde::Serialize;

pub use columns::{KEPT, columns, columns_within, fits, indented, rows_within, shorten};
pub use paint::{complaint, state, states};
pub use terminal::{
    Color, Talk, color_of, is_drawn, is_quiet, note_width, set_color, set_talk, terminal_name,
    width,
};
pub use visible::visible;
use visible::visible_in_json;

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
    print(&format!("{}\n", visible_in_json(&text)));
}

/// Prints on standard output; a reader that went away is no error, a full disk is one.
pub fn print(text: &str) {
    let mut output = AutoStream::auto(io::stdout().lock());
    let Err(error) = output.write_all(visible(text).as_bytes()).and_then(|()| output.flush())
    else {
        return;
    };
    // A lost terminal answers EIO; what it would have shown is in the records.
    let is_lost =
        error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(libc::EIO);
    if !is_lost {
        self::error(&format!("error: cannot write the result\n  because: {error}"));
        std::process::exit(1);
    }
}

/// A line on standard error, unless only errors are wanted there.
pub fn note(text: &str) {
    if !is_quiet() {
        error(text);
    }
}

/// An error on standard error: what nobody can choose not to see.
pub fn error(text: &str) {
    let mut output = AutoStream::auto(io::stderr().lock());
    let _ = writeln!(output, "{}", visible(&complaint(text)));
}

/// Shows what the program does on standard error: `REPRO_LOG=debug`, or as often as `-v` is given.
pub fn start_logging(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let usual = ["off", "repro=info", "repro=debug"][usize::from(verbose.min(2))];
    let filter = match verbose {
        0 => EnvFilter::try_from_env("REPRO_LOG").unwrap_or_else(|_| EnvFilter::new(usual)),
        _ => EnvFilter::new(usual),
    };
    let is_coloured = AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Log);
    let lines = lines.with_ansi(is_coloured);
    match verbose {
        0 => lines.init(),
        _ => lines.without_time().with_target(false).init(),
    }
}

/// Standard error for lines of what is done.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = visible(&String::from_utf8_lossy(line));
        io::stderr().lock().write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
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
}
