//! The first process of a container: `repro` itself, with a hidden argument.
//!
//! It is there for what a daemon cannot give. A daemon has a pipe for each stream, so
//! their order is lost; it tells a signal from a status only by a number that may be
//! either; its own list of system calls changes with its version. Here both streams of
//! the job are one, standard error carries reports, and standard input carries the order
//! and what comes after it. When `repro` dies the daemon closes standard input, and the
//! job ends with it.

use std::ffi::{CStr, c_int};
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};
use rustix::thread::set_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::engine::Failure;
use crate::engine::embedded::cgroup::{JobMemory, job_memory, usage};
use crate::engine::inside::program::{Program, become_job};
use crate::engine::inside::protocol::{Control, Reports, receive};
use crate::engine::inside::{NOT_RUN, filter};

/// First argument that makes `repro` the first process of a container.
pub(super) const ARGUMENT: &str = "__inside";

/// Where the job's input is mounted.
pub(super) const INPUT: &str = "/dev/repro-input";
const INPUT_PATH: &CStr = c"/dev/repro-input";

/// A job as that process needs it; the daemon does the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Permission bits of writable folders. A layer has no entry for a folder of the layers below
    /// it, and a daemon that unpacks a file into such a folder gives the folder bits of its own.
    pub modes: BTreeMap<String, u32>,
    /// Whether what the job reads at [`INPUT`] is a terminal; absent if it reads nothing.
    pub has_terminal: Option<bool>,
}

/// What that process answers, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The job could not be run.
    Failed(Failure),
    /// The job ended.
    Ended {
        /// Its wait status (wait(2)).
        status: i32,
        /// Time from its start to its end.
        nanoseconds: u64,
        /// Processor time of all processes in nanoseconds, if it is counted.
        cpu_time: Option<u64>,
        /// Largest memory of all processes together in bytes, page cache included, if it is counted.
        peak_memory: Option<u64>,
        /// Largest anonymous and shared memory that was seen, if it is counted.
        peak_job_memory: Option<u64>,
    },
}

/// Does the work if this process was started for it; to be called first in `main`,
/// before anything starts a thread.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    let Ok(reports) = Reports::take_stderr() else { return Some(ExitCode::FAILURE) };
    match run(&reports) {
        Ok(report) => {
            reports.send(&report);
            Some(ExitCode::SUCCESS)
        }
        Err(failure) => {
            reports.send(&Report::Failed(failure));
            Some(ExitCode::FAILURE)
        }
    }
}

fn run(reports: &Reports) -> Result<Report, Failure> {
    let requests = prepare().map_err(|error| Failure::step("prepare the job", error))?;
    let order: Order =
        receive(&mut &requests).map_err(|error| Failure::step("read the job", error))?;
    for (folder, mode) in &order.modes {
        fs::set_permissions(folder, Permissions::from_mode(*mode))
            .map_err(|error| Failure::step("give a writable folder its permissions", error))?;
    }
    let program = Program::new(&order.command, &order.env)
        .map_err(|error| Failure::step("read the job", error))?;
    let filters = filter::programs()?;
    let children = children().map_err(|error| Failure::step("listen for signals", error))?;
    let start = Instant::now();
    // SAFETY: this process has one thread.
    let job = match unsafe { libc::fork() } {
        -1 => return Err(Failure::step("start the job", io::Error::last_os_error())),
        0 => {
            let failure = match order.has_terminal.map(take_input) {
                Some(Err(error)) => Failure::step("take the input", error),
                _ => become_job(&program, &filters),
            };
            reports.send(&Report::Failed(failure));
            // SAFETY: ends this copy of the process without its destructors.
            unsafe { libc::_exit(NOT_RUN) }
        }
        job => job,
    };
    let mut memory = job_memory();
    let status = watch(job, &requests, &children, &mut memory)
        .map_err(|error| Failure::step("watch the job", error))?;
    let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let usage = usage();
    Ok(Report::Ended {
        status,
        nanoseconds,
        cpu_time: usage.cpu_time.and_then(|time| u64::try_from(time.as_nanos()).ok()),
        peak_memory: usage.peak_memory,
        peak_job_memory: memory.largest(),
    })
}

/// Makes both streams one, hides this process from the job, and takes standard input away from it.
fn prepare() -> io::Result<File> {
    rustix::stdio::dup2_stderr(io::stdout())?;
    let requests = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    set_name(c"repro")?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    // The job must not reach our program and our files through `/proc/1`.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(File::from(requests))
}

/// Puts the job's input in the place of its standard input, and a terminal in that of its output, too.
fn take_input(is_terminal: bool) -> io::Result<()> {
    let flags = if is_terminal { libc::O_RDWR } else { libc::O_RDONLY };
    // SAFETY: a string that ends with a zero, and numbers; a forked process should only call the kernel.
    unsafe {
        let file = libc::open(INPUT_PATH.as_ptr(), flags | libc::O_NOCTTY);
        let last = if is_terminal { 2 } else { 0 };
        if file < 0 || (0..=last).any(|stream| libc::dup2(file, stream) < 0) {
            return Err(io::Error::last_os_error());
        }
        libc::close(file);
    }
    Ok(())
}

/// A file that can be read when a process has ended.
fn children() -> io::Result<OwnedFd> {
    // SAFETY: plain data of the C library, initialised before it is used; the new file is ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        match libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            number => Ok(OwnedFd::from_raw_fd(number)),
        }
    }
}

/// Passes on requests, looks at the memory, and waits for everybody until the job itself has ended.
fn watch(
    job: libc::pid_t,
    requests: &File,
    children: &OwnedFd,
    memory: &mut JobMemory,
) -> io::Result<c_int> {
    let mut listening = true;
    loop {
        memory.look();
        if let Some(status) = ended(job) {
            return Ok(status);
        }
        let mut waited = vec![PollFd::new(children, PollFlags::IN)];
        if listening {
            waited.push(PollFd::new(requests, PollFlags::IN));
        }
        let left = Timespec::try_from(memory.until_next()).expect("less than a second fits");
        match poll(&mut waited, Some(&left)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map(drop)?,
        }
        let (has_ended, is_asked) = (
            !waited[0].revents().is_empty(),
            waited.get(1).is_some_and(|request| !request.revents().is_empty()),
        );
        if has_ended {
            let mut taken = [0; 128];
            // SAFETY: the kernel writes at most so many bytes to a place that lives. What it writes
            // says less than `waitpid` does.
            unsafe { libc::read(children.as_raw_fd(), taken.as_mut_ptr().cast(), taken.len()) };
        }
        if is_asked {
            listening = pass_on(requests);
        }
    }
}

/// Ends everybody as asked; whether there can be another request.
fn pass_on(mut requests: &File) -> bool {
    let mut byte = [0];
    let asked = requests.read(&mut byte);
    let end = matches!(asked, Ok(1)) && byte[0] == Control::End as u8;
    let signal = if end { libc::SIGTERM } else { libc::SIGKILL };
    // SAFETY: sends a signal. -1: everybody but the first process.
    unsafe { libc::kill(-1, signal) };
    end
}

/// Waits for every process that has ended; the status of the job if it is among them.
fn ended(job: libc::pid_t) -> Option<c_int> {
    let mut found = None;
    loop {
        let mut status = 0;
        // SAFETY: writes one number to a place that lives.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            0 | -1 => return found,
            process if process == job => found = Some(status),
            _ => {}
        }
    }
}
