//! What the streams of this process are: terminals or not, how wide, with colour or without.
//!
//! Asked for once, at the start: `--color`, `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR` and `TERM` decide
//! about colour (the streams of `anstream` read the variables), `COLUMNS` or the terminal itself about
//! the width. A pipe has no width: whoever reads it gets everything.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU8, Ordering};

use clap::{Args, ValueEnum};
use rustix::fd::AsFd;

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub struct Talk {
    /// Say nothing but errors on standard error: no progress, no notes
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Say on standard error what is done; twice for every detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where a terminal shows it, and `NO_COLOR` does not forbid it
    #[default]
    Auto,
    /// Always, in a pipe too
    Always,
    /// Never
    Never,
}

/// Whether standard error has errors only, lines of what is done, or as a rule.
static LEVEL: AtomicU8 = AtomicU8::new(USUAL);
const QUIET: u8 = 0;
const USUAL: u8 = 1;
const VERBOSE: u8 = 2;

/// Lets everything that is printed from now on have this colour.
pub fn set_color(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// What `--color` says among `arguments`, before they are parsed: help and its errors are coloured, too.
pub fn color_of(arguments: &[OsString]) -> Color {
    let texts: Vec<_> =
        arguments.iter().map_while(|it| it.to_str().filter(|it| *it != "--")).collect();
    let value =
        texts.iter().enumerate().find_map(|(position, text)| match text.strip_prefix("--color") {
            Some("") => texts.get(position + 1).copied(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        });
    value.and_then(|value| Color::from_str(value, false).ok()).unwrap_or_default()
}

/// Lets standard error be as talkative as asked for.
pub fn set_talk(talk: Talk) {
    let level = match talk {
        Talk { quiet: true, .. } => QUIET,
        Talk { verbose: 0, .. } => USUAL,
        Talk { .. } => VERBOSE,
    };
    LEVEL.store(level, Ordering::Relaxed);
}

/// Whether only errors are said.
pub fn is_quiet() -> bool {
    LEVEL.load(Ordering::Relaxed) == QUIET
}

/// Whether progress can be drawn over itself. Lines of what is done would tear it apart, and a dumb
/// terminal cannot go back in a line.
pub fn is_drawn() -> bool {
    let usual = LEVEL.load(Ordering::Relaxed) == USUAL;
    usual && io::stderr().is_terminal() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Columns of standard output; nothing where it is no terminal, which gets everything.
pub fn width() -> Option<usize> {
    width_of(&io::stdout())
}

/// The same of standard error.
pub fn note_width() -> Option<usize> {
    width_of(&io::stderr())
}

/// What the terminal is, as programs ask for it.
pub fn terminal_name() -> Option<String> {
    variable("TERM")
}

fn width_of(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let said = variable("COLUMNS").and_then(|text| text.parse().ok());
    let own = || rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    said.or_else(own).filter(|width| *width > 0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the terminal's own variables; they decide about looks only"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(arguments: &[&str]) -> Color {
        color_of(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn colour_is_found_before_arguments_are_parsed() {
        assert_eq!(color(&["repro", "list", "--color", "always"]), Color::Always);
        assert_eq!(color(&["repro", "--color=never", "list"]), Color::Never);
        assert_eq!(color(&["repro", "list"]), Color::Auto);
        assert_eq!(color(&["repro", "list", "--color"]), Color::Auto);
        assert_eq!(color(&["repro", "exec", "a", "--", "--color=never"]), Color::Auto);
    }
}
