//! The program: a job's child process or the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything starts a thread: libcontainer forks.
    repro::engine::embedded::child::entry().unwrap_or(ExitCode::SUCCESS)
}
