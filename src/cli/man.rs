//! `repro man`

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

pub fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let mut command = super::command();
    command.build();
    let Some(folder) = &arguments.folder else {
        output::print(&page(&command));
        return Ok(ExitCode::SUCCESS);
    };
    let failed = |source| CliError::Io { action: "create", path: folder.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut count = 1;
    write(folder, &command)?;
    // `help` is clap's own, and the pages are what it shows.
    let has_page = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for command in command.get_subcommands().filter(has_page) {
        write(folder, command)?;
        count += 1;
    }
    output::note(&format!("{} in {}", output::count(count, "page", "pages"), folder.display()));
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, command: &Command) -> Result<(), CliError> {
    let name = Man::new(command.clone()).get_filename();
    write_in_one_step(&folder.join(name), page(command).as_bytes())
}

/// One page; without a date, so that it is the same wherever it is written.
fn page(command: &Command) -> String {
    let man = Man::new(command.clone()).manual("repro").date("");
    let mut bytes = Vec::new();
    man.render(&mut bytes).expect("memory can be written to");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // What stands below a command's options are its examples.
    text.replace(".SH EXTRA\n", ".SH EXAMPLES\n")
}
