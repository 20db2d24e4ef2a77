//! The program: a job's child process or the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything starts a thread: libcontainer forks.
    let entries = [repro::engine::embedded::child::entry, repro::engine::docker::entry];
    if let Some(code) = entries.iter().find_map(|entry| entry()) {
        return code;
    }
    repro::cli::main()
}
