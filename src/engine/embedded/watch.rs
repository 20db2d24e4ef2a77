//! Starts the process that prepares a job, streams what the job writes, and ends it in time.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cgroup::JobMemory;
use super::order::{ARGUMENT, Control, Order, Report};
use crate::engine::inside::protocol;
use crate::engine::{EngineError, Exit, Failure, Stop};

/// Time between asking a job to end and ending it.
const GRACE: Duration = Duration::from_secs(5);

/// Time after which a process that was killed is given up.
const LAST: Duration = Duration::from_secs(10);

/// Longest time until a stop is noticed; the flag has nothing that could wake a sleeper.
const TICK: Duration = Duration::from_millis(50);

/// Bytes of output taken at once.
const BUFFER: usize = 64 << 10;

/// Bytes of messages kept: a process that fails endlessly must not fill our memory.
const MESSAGES: usize = 1 << 20;

/// The process that prepares and owns a job. Dropped, it ends, and the job with it.
pub(super) struct Helper {
    process: Child,
    control: ChildStdin,
    /// What the job writes, until all its processes are gone.
    output: Option<ChildStdout>,
    /// What the process itself writes: reports and, where something went wrong, messages.
    reports: Option<ChildStderr>,
    messages: Vec<u8>,
}

/// How a job ended.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) duration: Duration,
}

/// What was asked of the job so far.
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// Asked to end, for this reason, and killed at this time.
    Ending(Exit, Instant),
    /// Killed, and given up at this time.
    Killed(Exit, Instant),
}

impl Helper {
    /// Starts `exe` in the job's folder. It ends with the calling thread at the latest.
    pub(super) fn start(exe: &Path, folder: &Path) -> Result<Self, EngineError> {
        use std::os::unix::process::CommandExt;
        let failed = |source| EngineError::Helper { action: "start", source };
        let mut process = Command::new(exe)
            // The job can read `/proc/1/cmdline`: no path of this machine stands there.
            .arg0("repro")
            .arg(ARGUMENT)
            .env_clear()
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Signals of the terminal are for `repro`, which then asks the job to end.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let missing = || failed(io::Error::other("a pipe is missing"));
        Ok(Self {
            control: process.stdin.take().ok_or_else(missing)?,
            output: Some(process.stdout.take().ok_or_else(missing)?),
            reports: Some(process.stderr.take().ok_or_else(missing)?),
            process,
            messages: Vec::new(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Lets the job begin.
    pub(super) fn give(&mut self, order: &Order) {
        // As with `ask`: the process's end says more than this error.
        let _ = order.send(&mut self.control);
    }

    /// Gives the job's output to `output` until its last process is gone, and looks at its memory.
    pub(super) fn watch(
        &mut self,
        timeout: Duration,
        stop: &Stop,
        output: &mut dyn FnMut(&[u8]),
        memory: &mut JobMemory,
    ) -> Result<Ended, EngineError> {
        let start = Instant::now();
        // A timeout beyond the clock's range is none.
        let deadline = start.checked_add(timeout);
        let mut phase = Phase::Running;
        let mut buffer = vec![0; BUFFER];
        while self.output.is_some() || self.reports.is_some() {
            self.wait_for_bytes(&phase, deadline)?;
            memory.look();
            self.read(&mut buffer, output)?;
            phase = self.next_phase(phase, deadline, stop);
            if matches!(phase, Phase::Killed(_, at) if Instant::now() >= at) {
                let _ = self.process.kill();
                break;
            }
        }
        let status = self.process.wait();
        let status = status.map_err(|source| EngineError::Helper { action: "wait for", source })?;
        self.outcome(phase, status, start.elapsed())
    }

    /// A process that is gone cannot be asked; its end is noticed by the ends of its pipes.
    fn ask(&mut self, control: Control) {
        let _ = self.control.write_all(&[control as u8]);
    }

    fn wait_for_bytes(&self, phase: &Phase, deadline: Option<Instant>) -> Result<(), EngineError> {
        let until = match phase {
            Phase::Running => deadline,
            Phase::Ending(_, at) | Phase::Killed(_, at) => Some(*at),
        };
        let left = until.map_or(TICK, |at| at.saturating_duration_since(Instant::now()));
        let left = Timespec::try_from(left.min(TICK)).expect("a tick fits");
        let output = self.output.iter().map(AsFd::as_fd);
        let reports = self.reports.iter().map(AsFd::as_fd);
        let mut waited: Vec<_> =
            output.chain(reports).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut waited, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(EngineError::Helper { action: "listen to", source: error.into() }),
        }
    }

    /// Takes what is there from both pipes without waiting.
    fn read(
        &mut self,
        buffer: &mut [u8],
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<(), EngineError> {
        let failed = |source| EngineError::Helper { action: "listen to", source };
        if let Some(pipe) = &mut self.output {
            match read_ready(pipe, buffer).map_err(failed)? {
                Some(0) => self.output = None,
                Some(count) => output(&buffer[..count]),
                None => {}
            }
        }
        if let Some(pipe) = &mut self.reports {
            match read_ready(pipe, buffer).map_err(failed)? {
                Some(0) => self.reports = None,
                Some(count) => {
                    let room = MESSAGES.saturating_sub(self.messages.len());
                    self.messages.extend_from_slice(&buffer[..count.min(room)]);
                }
                None => {}
            }
        }
        Ok(())
    }

    fn next_phase(&mut self, phase: Phase, deadline: Option<Instant>, stop: &Stop) -> Phase {
        let now = Instant::now();
        match phase {
            Phase::Running => {
                let late = deadline.is_some_and(|deadline| now >= deadline);
                let why = match (stop.is_requested(), late) {
                    (true, _) => Exit::Stopped,
                    (false, true) => Exit::TimedOut,
                    (false, false) => return phase,
                };
                self.ask(Control::End);
                Phase::Ending(why, now + GRACE)
            }
            Phase::Ending(why, at) if now >= at => {
                self.ask(Control::Kill);
                Phase::Killed(why, now + LAST)
            }
            _ => phase,
        }
    }

    fn outcome(
        &self,
        phase: Phase,
        status: ExitStatus,
        measured: Duration,
    ) -> Result<Ended, EngineError> {
        let (reports, rest) = parse(&self.messages);
        let mut ended = None;
        for report in reports {
            match report {
                Report::Failed(failure) => return Err(explain(failure, &rest).into()),
                Report::Ended { status, nanoseconds } => {
                    ended.get_or_insert((status, Duration::from_nanos(nanoseconds)));
                }
            }
        }
        match (phase, ended) {
            (Phase::Ending(exit, _) | Phase::Killed(exit, _), ended) => {
                let duration = ended.map_or(measured, |(_, duration)| duration);
                Ok(Ended { exit, duration })
            }
            (Phase::Running, Some((status, duration))) => {
                Ok(Ended { exit: protocol::exit(status), duration })
            }
            (Phase::Running, None) => {
                let reason = if rest.is_empty() { status.to_string() } else { rest };
                Err(Failure::step("prepare the job", reason).into())
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The job's first process gets a signal when the helper ends (see `child`).
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads once if that does not block; `None` if it would.
fn read_ready(pipe: &mut (impl Read + AsFd), buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ready = {
        let mut waited = [PollFd::new(pipe, PollFlags::IN)];
        poll(&mut waited, Some(&now))
    };
    match ready {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(None),
        Ok(_) => pipe.read(buffer).map(Some),
        Err(error) => Err(error.into()),
    }
}

/// Reports, and what else was written: messages of the container library, a panic.
fn parse(messages: &[u8]) -> (Vec<Report>, String) {
    let mut reports = Vec::new();
    let mut rest = Vec::new();
    for line in String::from_utf8_lossy(messages).lines() {
        match serde_json::from_str(line) {
            Ok(report) => reports.push(report),
            Err(_) => rest.push(line.trim().to_owned()),
        }
    }
    (reports, rest.join("\n  "))
}

/// Adds the container library's own words, which its errors leave out.
fn explain(failure: Failure, rest: &str) -> Failure {
    match failure {
        Failure::Step { action, reason } if !rest.is_empty() => {
            Failure::Step { action, reason: format!("{reason}\n  {rest}") }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::job_memory;
    use super::*;

    #[test]
    fn messages_between_reports_are_kept_apart() {
        let report = Report::Ended { status: 0, nanoseconds: 5 };
        let text = format!("ERROR no mount\n{}\n", serde_json::to_string(&report).unwrap());
        let (reports, rest) = parse(text.as_bytes());
        assert_eq!(reports, [report]);
        assert_eq!(rest, "ERROR no mount");
    }

    #[test]
    fn a_program_that_is_not_repro_is_an_error_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut helper = Helper::start(Path::new("/bin/ls"), folder.path()).unwrap();
        let mut memory = job_memory();
        let timeout = Duration::from_secs(60);
        let ended = helper.watch(timeout, &Stop::new(), &mut |_| {}, &mut memory);
        let Err(error) = ended else { panic!("ls prepared a job") };
        assert!(error.to_string().contains("__job"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_cannot_be_started() {
        let folder = tempfile::tempdir().unwrap();
        let Err(error) = Helper::start(Path::new("/nowhere/repro"), folder.path()) else {
            panic!("nothing was started")
        };
        assert!(matches!(error, EngineError::Helper { action: "start", .. }));
    }
}
