//! The container's first process, and the last steps before the job.
//!
//! The job is not the first process of its namespace: the kernel shields that one from
//! signals it does not handle, and it would inherit processes that it never waits for. So
//! a small one of ours comes first, starts the job, waits for everybody, and reports the
//! job's end. Both run after the container was closed around them.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use rustix::mount::{MountFlags, mount_remount};
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_name,
};
use seccompiler::BpfProgram;

use super::filter;
use crate::engine::Failure;
use crate::engine::embedded::order::{Order, Report};

/// Capabilities for the last steps; the job has none.
pub(super) const NEEDED: [&str; 2] = ["CAP_SETPCAP", "CAP_SYS_ADMIN"];

/// Status of a job that could not be run, as shells have it; never seen outside.
const NOT_RUN: c_int = 127;

/// Where reports go. It closes when the job's program starts.
#[derive(Debug)]
pub(super) struct Reports(File);

impl Reports {
    /// Takes over standard error, which becomes the job's later.
    pub(super) fn take_stderr() -> io::Result<Arc<Self>> {
        let fd = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
        Ok(Arc::new(Self(File::from(fd))))
    }

    /// Sends one report; if nobody listens any more, nobody misses it.
    pub(super) fn send(&self, report: &Report) {
        let mut line = serde_json::to_string(report).unwrap_or_default();
        line.push('\n');
        let _ = (&self.0).write_all(line.as_bytes());
    }
}

impl Write for &Reports {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What runs inside the container.
#[derive(Clone)]
pub(super) struct Init {
    order: Arc<Order>,
    reports: Arc<Reports>,
    programs: Arc<Vec<BpfProgram>>,
    /// The process that owns the container holds the other end; it closes when that one dies.
    owner: Arc<(OwnedFd, OwnedFd)>,
}

impl Init {
    pub(super) fn new(order: Order, reports: Arc<Reports>) -> Result<Self, Failure> {
        let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| Failure::step("make a pipe", error))?;
        Ok(Self {
            order: Arc::new(order),
            reports,
            programs: Arc::new(filter::programs()?),
            owner: Arc::new(pipe),
        })
    }
}

impl Executor for Init {
    /// Runs in the closed container before the job may start; the last use of capabilities.
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        let sealed = seal(&self.owner);
        sealed.map_err(|error| {
            ExecutorValidationError::ArgValidationError(format!("cannot seal the job: {error}"))
        })
    }

    /// Nothing: the job's environment is handed over when its program starts.
    #[expect(clippy::disallowed_types, reason = "libcontainer's signature; it is not looked at")]
    fn setup_envs(
        &self,
        _: std::collections::HashMap<String, String>,
    ) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        let program = Program::new(&self.order)
            .map_err(|error| ExecutorError::Execution(Box::new(io::Error::other(error))))?;
        keep_only(&self.reports);
        let start = Instant::now();
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            -1 => Err(ExecutorError::Execution(Box::new(io::Error::last_os_error()))),
            0 => {
                let failure = become_job(&program, &self.programs);
                self.reports.send(&Report::Failed(failure));
                // SAFETY: ends this copy of the process without its destructors.
                unsafe { libc::_exit(NOT_RUN) }
            }
            job => {
                signals(libc::SIG_UNBLOCK);
                let status = wait_for(job);
                let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.reports.send(&Report::Ended { status, nanoseconds });
                // SAFETY: as above; with the first process the kernel ends all that are left.
                unsafe { libc::_exit(0) }
            }
        }
    }
}

/// Closes what libcontainer leaves open, and ties this process to its owner.
fn seal(owner: &(OwnedFd, OwnedFd)) -> io::Result<()> {
    set_name(c"repro")?;
    // Requests to end wait until the job is there.
    signals(libc::SIG_BLOCK);
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_remount("/dev", flags, c"")?;
    drop_capabilities()?;
    // The job must not reach our program and our files through `/proc/1`.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the signal was set.
    match has_died(owner)? {
        true => Err(io::Error::other("its owner is gone")),
        false => Ok(()),
    }
}

fn drop_capabilities() -> io::Result<()> {
    for capability in [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP] {
        remove_capability_from_bounding_set(capability)?;
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?)
}

/// Whether nobody else holds the writing end any more. Our own copy is closed for that.
fn has_died((reading, writing): &(OwnedFd, OwnedFd)) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // SAFETY: this copy of the process never returns to where the descriptor would be dropped.
    unsafe { libc::close(writing.as_raw_fd()) };
    let mut waited = [PollFd::new(reading, PollFlags::IN)];
    poll(&mut waited, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(waited[0].revents().contains(PollFlags::HUP))
}

extern "C" fn end_all(_: c_int) {
    // SAFETY: kill is safe in a signal handler. -1: everybody but the first process.
    unsafe { libc::kill(-1, libc::SIGTERM) };
}

/// Blocks requests to end, or lets them through to every process of the job.
fn signals(how: c_int) {
    // SAFETY: plain data of the C library, initialised before it is used; the handler calls
    // nothing but what may be called in one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = end_all as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut());
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigprocmask(how, &set, std::ptr::null_mut());
    }
}

/// Closes every file but the standard ones and the reports.
fn keep_only(reports: &Reports) {
    let kept = reports.0.as_raw_fd().cast_unsigned();
    // SAFETY: nothing uses those files any more; this process never drops their owners.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, kept - 1, 0);
        libc::syscall(libc::SYS_close_range, kept + 1, u32::MAX, 0);
    }
}

/// Waits for every process of the job as it ends, until the first one does.
fn wait_for(job: libc::pid_t) -> c_int {
    loop {
        let mut status = 0;
        // SAFETY: writes one number to a place that lives.
        let ended = unsafe { libc::waitpid(-1, &mut status, 0) };
        if ended == job {
            return status;
        }
    }
}

/// The job's program, ready for the kernel.
struct Program {
    name: String,
    /// Where it may be, in the order of the job's `PATH`.
    places: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn new(order: &Order) -> Result<Self, std::ffi::NulError> {
        let name = order.command.first().cloned().unwrap_or_default();
        let places = places(&name, &order.env);
        let environment = order.env.iter().map(|(key, value)| format!("{key}={value}"));
        Ok(Self {
            places: places
                .iter()
                .map(|path| CString::new(path.as_os_str().as_bytes()))
                .collect::<Result<_, _>>()?,
            arguments: order
                .command
                .iter()
                .map(|argument| CString::new(argument.as_str()))
                .collect::<Result<_, _>>()?,
            environment: environment.map(CString::new).collect::<Result<_, _>>()?,
            name,
        })
    }

    /// Replaces this process by the program; returns why it could not.
    fn start(&self) -> Failure {
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            let pointers = strings.iter().map(|string| string.as_ptr());
            pointers.chain([std::ptr::null()]).collect()
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        for place in &self.places {
            // SAFETY: strings that end with a zero, in lists that end with a null pointer.
            unsafe { libc::execve(place.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
            let error = io::Error::last_os_error();
            let place = place.to_string_lossy();
            match error.kind() {
                // A program is there but what runs it, named in its first line or header, is not.
                io::ErrorKind::NotFound if Path::new(&*place).exists() => {
                    return self.failure(format!("the interpreter of `{place}` is missing"));
                }
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
                _ => return self.failure(format!("`{place}`: {error}")),
            }
        }
        match self.places.as_slice() {
            [] => self.failure("the job has no `PATH` to look it up in".to_owned()),
            [..] => {
                let places = self.places.iter().map(|place| place.to_string_lossy());
                self.failure(format!("not found at {}", places.collect::<Vec<_>>().join(", ")))
            }
        }
    }

    fn failure(&self, reason: String) -> Failure {
        Failure::Command { command: self.name.clone(), reason }
    }
}

/// A name with a slash is a path; any other is looked up in the job's `PATH`.
fn places(name: &str, env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![PathBuf::from(name)];
    }
    let folders = env.get("PATH").map(String::as_str).unwrap_or_default();
    let folders = folders.split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(folder).join(name)).collect()
}

/// The last steps of the job's own process; returns only if one fails.
fn become_job(program: &Program, programs: &[BpfProgram]) -> Failure {
    match prepare_job(programs) {
        Ok(()) => program.start(),
        Err(error) => Failure::step("start the job", error),
    }
}

fn prepare_job(programs: &[BpfProgram]) -> Result<(), Box<dyn std::error::Error>> {
    rustix::process::setsid()?;
    // SAFETY: numbers and plain data only; signals without a number are refused harmlessly.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
    for program in programs {
        seccompiler::apply_filter(program)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_the_jobs_path_and_nowhere_else() {
        let env = |path: &str| BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
        let found = |name: &str, env: &BTreeMap<String, String>| -> Vec<String> {
            places(name, env).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(found("sh", &env("/bin::/usr/bin")), ["/bin/sh", "/usr/bin/sh"]);
        assert_eq!(found("./sh", &env("/bin")), ["./sh"]);
        assert!(found("sh", &BTreeMap::new()).is_empty());
    }
}
