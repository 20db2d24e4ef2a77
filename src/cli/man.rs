//! `repro man`

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man;

use super::context::write_in_one_step;
use super::error::CliError;
use super::output;

/// Write the manual: one page for each command
#[derive(Debug, Args)]
#[command(after_help = "Without a folder the page of `repro` itself is printed.\n\n\
    Examples:\n  \
    repro man | man -l -\n  \
    repro man ~/.local/share/man/man1      then `man repro-run` shows a page")]
pub struct Arguments {
    /// The folder that the pages are written to; made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What `roff` begins every text with.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

pub fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    // `help` is clap's own, and the pages are what it shows.
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &arguments.folder else {
        output::print(&page(&command));
        return Ok(ExitCode::SUCCESS);
    };
    let failed = |source| CliError::Io { action: "create", path: folder.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let count = write(folder, &command)?;
    output::note(&format!("{} in {}", output::count(count, "page", "pages"), folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of all commands below it; returns how many.
fn write(folder: &Path, command: &Command) -> Result<usize, CliError> {
    let name = Man::new(command.clone()).get_filename();
    write_in_one_step(&folder.join(name), page(command).as_bytes())?;
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below.map(|command| write(folder, command)).try_fold(1, |sum, count| Ok(sum + count?))
}

/// One page; without a date, so that it is the same wherever it is written.
fn page(command: &Command) -> String {
    let source = concat!("repro ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("repro").source(source).date("");
    let mut text = section(|bytes| man.render_title(bytes));
    text += &section(|bytes| man.render_name_section(bytes));
    text += &section(|bytes| man.render_synopsis_section(bytes));
    text += &section(|bytes| man.render_description_section(bytes));
    text += &section(|bytes| man.render_options_section(bytes));
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        text += &section(|bytes| man.render_subcommands_section(bytes));
    }
    // Each section came with what defines the apostrophe; one is enough.
    let text = format!("{APOSTROPHE}{}", text.replace(APOSTROPHE, ""));
    text + &below(&command.get_after_help().map(ToString::to_string).unwrap_or_default())
}

fn section(render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    render(&mut bytes).expect("memory can be written to");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What stands below the options of the help: examples line by line, and notes as running text.
fn below(help: &str) -> String {
    let (mut examples, mut notes) = (String::new(), String::new());
    let mut is_example = false;
    for line in help.lines() {
        match line {
            "Examples:" => is_example = true,
            "" => is_example = false,
            line if is_example => examples += &format!("{}\n", escaped(line.trim_start())),
            line => notes += &format!("{}\n", escaped(line)),
        }
    }
    let notes = if notes.is_empty() { notes } else { format!(".SH NOTES\n{notes}") };
    match examples.is_empty() {
        true => notes,
        false => format!("{notes}.SH EXAMPLES\n.nf\n{examples}.fi\n"),
    }
}

/// A line that groff takes as it is.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', r"\e").replace('-', r"\-");
    if text.starts_with(['.', '\'']) { format!(r"\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_groff_obeys_none_of_them() {
        let help = "It may wait.\n\nExamples:\n  repro a --b\n  'x' \\ y\n\nCodes: 0";
        let expected = ".SH NOTES\nIt may wait.\nCodes: 0\n.SH EXAMPLES\n.nf\nrepro a \\-\\-b\n\\&'x' \\e y\n.fi\n";
        assert_eq!(below(help), expected);
    }
}
