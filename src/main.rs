//! The program: a job's child process or the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything starts a thread: libcontainer forks.
    if let Some(code) = repro::engine::embedded::child::entry() {
        return code;
    }
    repro::cli::main()
}
