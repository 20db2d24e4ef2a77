//! The process that prepares a job and owns it: `repro` started again with a hidden argument.
//!
//! It has one thread from beginning to end, because libcontainer forks without exec. In
//! order: leave the mount and network namespaces of the machine, stack the layers, write
//! the specification, let libcontainer make the container, pass on requests to end it,
//! and report how it ended.
//!
//! Nothing outlives it: its own death is tied to that of `repro`, and the death of the
//! container's first process, with which the kernel ends all others, to its own.

mod devices;
mod init;
mod loopback;
mod mounts;
mod spec;
mod user;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getppid, kill_process, pidfd_open,
    set_parent_process_death_signal, umask, waitpid,
};

use super::order::{ARGUMENT, Control, Given, Order, Report, names};
use crate::engine::Failure;
use crate::engine::inside::protocol::Reports;
use init::Init;

pub use user::forbidden as namespaces_forbidden;

/// Does the work if this process was started for it; to be called first in `main`,
/// before anything starts a thread.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    let Ok(reports) = Reports::take_stderr() else { return Some(ExitCode::FAILURE) };
    tell_library_errors(&reports);
    match run(&reports) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(failure) => {
            reports.send(&Report::Failed(failure));
            Some(ExitCode::FAILURE)
        }
    }
}

/// The container library logs the reasons that its errors leave out.
fn tell_library_errors(reports: &Arc<Reports>) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .without_time()
        .with_ansi(false)
        .with_target(false)
        .with_writer(Arc::clone(reports))
        .finish();
    // Without it the reasons are missing, nothing else.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn run(reports: &Arc<Reports>) -> Result<(), Failure> {
    let follow = || {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| Failure::step("follow the parent process", error))
    };
    follow()?;
    let mut requests = Requests { input: io::stdin() };
    let order =
        Order::receive(&mut requests).map_err(|error| Failure::step("read the job", error))?;
    let folder = fs::canonicalize(".").map_err(|error| Failure::step("find the job", error))?;
    if order.user_namespace {
        user::enter()?;
        // With new rights the signal may be forgotten (prctl(2)).
        follow()?;
    }
    // The parent may have died before the signal was set; then nobody is left to send it.
    if getppid().map(Pid::as_raw_pid) != i32::try_from(order.parent).ok() {
        return Ok(());
    }
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    mounts::leave_machine(order.user_namespace)?;
    loopback::bring_up()?;
    let run = mounts::memory(&folder)?;
    let input = order
        .input
        .map(take)
        .transpose()
        .map_err(|error| Failure::step("take the input", error))?;
    let points = mounts::prepare(&run, &order)?;
    spec::write(&run, &order, &points)?;
    let init = Init::new(order, Arc::clone(reports))?;
    own(&mut start(&run, init, input)?, reports, &requests)
}

/// Takes over the open file that the job is to read.
fn take(given: Given) -> io::Result<(OwnedFd, bool)> {
    // SAFETY: `repro` left exactly this file open for this process, and nothing else here owns it.
    let file = unsafe { OwnedFd::from_raw_fd(given.number) };
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::CLOEXEC)?;
    Ok((file, given.is_terminal))
}

/// Lets libcontainer make the container and start its first process.
fn start(run: &Path, init: Init, input: Option<(OwnedFd, bool)>) -> Result<Container, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::step("make the container", chain(error));
    let (input, is_terminal) = match input {
        Some(given) => given,
        None => (File::open("/dev/null").map_err(|error| failed(&error))?.into(), false),
    };
    let output = || match is_terminal {
        true => input.try_clone(),
        false => io::stdout().as_fd().try_clone_to_owned(),
    };
    let (stdout, stderr): (OwnedFd, OwnedFd) =
        output().and_then(|one| Ok((one, output()?))).map_err(|error| failed(&error))?;
    let build = || {
        let mut container = ContainerBuilder::new("job".to_owned(), SyscallType::Linux)
            .with_root_path(run.join(names::STATE))?
            .with_executor(init)
            .with_stdin(input)
            .with_stdout(stdout)
            .with_stderr(stderr)
            .as_init(run)
            .with_systemd(false)
            .with_detach(true)
            .build()?;
        container.start()?;
        Ok(container)
    };
    build().map_err(|error: libcontainer::error::LibcontainerError| failed(&error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Passes on requests until the container's first process ends, then reports its end.
fn own(container: &mut Container, reports: &Reports, requests: &Requests) -> Result<(), Failure> {
    let start = Instant::now();
    let lost = |error: io::Error| Failure::step("watch the job", error);
    let pid = container.pid().and_then(|pid| Pid::from_raw(pid.as_raw()));
    let pid = pid.ok_or_else(|| lost(io::Error::other("it has no process")))?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| lost(error.into()))?;
    while requests.comes_before(&ended).map_err(lost)? {
        let signal = match requests.next() {
            Control::End => Signal::TERM,
            Control::Kill => Signal::KILL,
        };
        let _ = kill_process(pid, signal);
    }
    let waited = waitpid(Some(pid), WaitOptions::empty()).map_err(|error| lost(error.into()))?;
    let status = waited.map_or(0, |(_, status)| status.as_raw());
    // Counts only if the first process could not report the job's own end, being killed.
    let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    reports.send(&Report::Ended { status, nanoseconds });
    Ok(())
}

/// What `repro` asks for. Unbuffered: a request that was read ahead would not be waited for.
struct Requests {
    input: io::Stdin,
}

impl Read for Requests {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.input, &mut *buffer))?)
    }
}

impl Requests {
    /// The next request; without `repro` there is only one.
    fn next(&self) -> Control {
        let mut byte = [0];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.input, &mut byte)) {
            Ok(1) if byte[0] == Control::End as u8 => Control::End,
            _ => Control::Kill,
        }
    }

    /// Waits until there is a request or the process behind `ended` ends; whether it is a request.
    fn comes_before(&self, ended: &OwnedFd) -> io::Result<bool> {
        let mut waited =
            [PollFd::new(ended, PollFlags::IN), PollFd::new(&self.input, PollFlags::IN)];
        loop {
            match poll(&mut waited, None) {
                Ok(_) => return Ok(waited[0].revents().is_empty()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
