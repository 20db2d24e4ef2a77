//! The last steps before a job, and what is said about it: the same in every engine.
//!
//! Whatever closes a container around a job (libcontainer, a Docker daemon), its first
//! process is ours. It starts the job, waits for everybody and reports the job's end, so
//! a signal stays a signal, both streams are one, and the filter is the same program.

pub(super) mod filter;
pub(super) mod program;
pub(super) mod protocol;

use std::ffi::c_int;

/// Status of a job that could not be run, as shells have it; never seen outside.
pub(super) const NOT_RUN: c_int = 127;
