//! The container's first process, and the last steps before the job.
//!
//! The job is not the first process of its namespace: the kernel shields that one from
//! signals it does not handle, and it would inherit processes that it never waits for. So
//! a small one of ours comes first, starts the job, waits for everybody, and reports the
//! job's end. Both run after the container was closed around them.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
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

use super::devices;
use crate::engine::Failure;
use crate::engine::embedded::order::{Order, Report};
use crate::engine::inside::program::{Program, become_job};
use crate::engine::inside::protocol::Reports;
use crate::engine::inside::{NOT_RUN, filter};

/// Capabilities for the last steps; the job has none.
pub(super) const NEEDED: [&str; 2] = ["CAP_SETPCAP", "CAP_SYS_ADMIN"];

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
        let program = Program::new(&self.order.command, &self.order.env)
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
    devices::make_nodes_read_only()?;
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
    let kept = reports.number().cast_unsigned();
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
