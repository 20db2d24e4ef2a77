//! Talks to the process inside a container until the job has ended.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::errors::Error;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::daemon::{Daemon, words};
use super::inside::{Order, Report};
use crate::engine::embedded::cgroup::Counted;
use crate::engine::inside::protocol::{self, Control};
use crate::engine::{Counter, EngineError, Exit, Failure, Input, Job, Outcome, Stop};

/// Time between asking a job to end and ending it.
const GRACE: Duration = Duration::from_secs(5);

/// Time after which a container that was killed is given up.
const LAST: Duration = Duration::from_secs(10);

/// Longest time until a stop is noticed; the flag has nothing that could wake a sleeper.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Bytes of messages kept: a process that fails endlessly must not fill our memory.
const MESSAGES: usize = 1 << 20;

/// What was asked of the job so far.
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// Asked to end, for this reason, and killed at this time.
    Ending(Exit, Instant),
    /// Killed, and given up at this time.
    Killed(Exit, Instant),
}

/// Both directions of a container's standard streams.
pub(super) struct Streams {
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Streams {
    /// Attaches to a container that has not started yet, so that nothing is missed.
    pub(super) async fn attach(daemon: &Daemon, id: &str) -> Result<Self, EngineError> {
        let options = bollard::query_parameters::AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = daemon.client.attach_container(id, Some(options)).await;
        let attached = attached.map_err(daemon.failed("attach to the container"))?;
        Ok(Self { output: attached.output, input: attached.input })
    }

    /// Gives the order, passes output on, and ends the job in time.
    pub(super) async fn follow(
        &mut self,
        daemon: &Daemon,
        (job, input): (&Job, Option<&Input>),
        modes: &BTreeMap<String, u32>,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
    ) -> Result<Outcome, EngineError> {
        let start = Instant::now();
        // A timeout beyond the clock's range is none.
        let deadline = start.checked_add(job.timeout);
        self.give(job, input, modes).await;
        let mut phase = Phase::Running;
        let mut messages = Vec::new();
        loop {
            match tokio::time::timeout(TICK, self.output.next()).await {
                Ok(Some(Ok(LogOutput::StdErr { message }))) => {
                    let room = MESSAGES.saturating_sub(messages.len());
                    messages.extend_from_slice(&message[..message.len().min(room)]);
                }
                Ok(Some(Ok(piece))) => output(&piece.into_bytes()),
                Ok(Some(Err(error))) => {
                    return Err(daemon.failed("listen to the job")(error));
                }
                Ok(None) => break,
                Err(_) => {}
            }
            phase = self.next_phase(phase, deadline, stop).await;
            if matches!(phase, Phase::Killed(_, at) if Instant::now() >= at) {
                break;
            }
        }
        outcome(phase, &messages, start.elapsed())
    }

    async fn give(&mut self, job: &Job, input: Option<&Input>, modes: &BTreeMap<String, u32>) {
        let (command, env) = (job.command.clone(), job.env.clone());
        let has_terminal = input.map(Input::is_terminal);
        let order = Order { command, env, modes: modes.clone(), has_terminal };
        let mut bytes = Vec::new();
        let _ = protocol::send(&order, &mut bytes);
        // The process's end says more than this error.
        let _ = self.input.write_all(&bytes).await;
        let _ = self.input.flush().await;
    }

    /// A process that is gone cannot be asked; its end is noticed by the end of its streams.
    async fn ask(&mut self, control: Control) {
        let _ = self.input.write_all(&[control as u8]).await;
        let _ = self.input.flush().await;
    }

    async fn next_phase(&mut self, phase: Phase, deadline: Option<Instant>, stop: &Stop) -> Phase {
        let now = Instant::now();
        match phase {
            Phase::Running => {
                let late = deadline.is_some_and(|deadline| now >= deadline);
                let why = match (stop.is_requested(), late) {
                    (true, _) => Exit::Stopped,
                    (false, true) => Exit::TimedOut,
                    (false, false) => return phase,
                };
                self.ask(Control::End).await;
                Phase::Ending(why, now + GRACE)
            }
            Phase::Ending(why, at) if now >= at => {
                self.ask(Control::Kill).await;
                Phase::Killed(why, now + LAST)
            }
            _ => phase,
        }
    }
}

fn outcome(phase: Phase, messages: &[u8], measured: Duration) -> Result<Outcome, EngineError> {
    let mut rest = Vec::new();
    let mut ended = None;
    for line in String::from_utf8_lossy(messages).lines() {
        match serde_json::from_str(line) {
            Ok(Report::Failed(failure)) => return Err(failure.into()),
            Ok(report @ Report::Ended { .. }) => ended = Some(report),
            Err(_) => rest.push(line.trim().to_owned()),
        }
    }
    let forced = match phase {
        Phase::Running => None,
        Phase::Ending(exit, _) | Phase::Killed(exit, _) => Some(exit),
    };
    match (forced, ended) {
        (
            forced,
            Some(Report::Ended { status, nanoseconds, cpu_time, peak_memory, peak_job_memory }),
        ) => Ok(Outcome {
            exit: forced.unwrap_or_else(|| protocol::exit(status)),
            duration: Duration::from_nanos(nanoseconds),
            cpu_time: cpu_time.map(Duration::from_nanos),
            peak_memory,
            peak_job_memory,
            kept: Vec::new(),
        }),
        (Some(exit), _) => Ok(Outcome {
            exit,
            duration: measured,
            cpu_time: None,
            peak_memory: None,
            peak_job_memory: None,
            kept: Vec::new(),
        }),
        (None, _) => {
            let reason =
                if rest.is_empty() { "it said nothing".to_owned() } else { rest.join("\n  ") };
            Err(Failure::step("run `repro` inside the container", reason).into())
        }
    }
}

/// Where the processor time of a container is counted, if its processes are this machine's.
pub(super) async fn counter(daemon: &Daemon, name: &str) -> Counter {
    let inspected = daemon
        .client
        .inspect_container(name, None::<bollard::query_parameters::InspectContainerOptions>);
    let found = match inspected.await {
        Ok(found) => found,
        Err(error) => return Counter::Nothing(words(&error)),
    };
    let id = found.id.unwrap_or_default();
    let pid = found.state.and_then(|state| u32::try_from(state.pid?).ok()).unwrap_or(0);
    let counted = (pid > 0 && !id.is_empty()).then(|| Counted::of_process(pid, &id)).flatten();
    let unseen = || "the container's processes cannot be seen from here".to_owned();
    counted.map_or_else(|| Counter::Nothing(unseen()), Counter::Cgroup)
}

/// Why a container ended in which our process said nothing.
pub(super) async fn last_words(daemon: &Daemon, id: &str) -> String {
    let inspected = daemon
        .client
        .inspect_container(id, None::<bollard::query_parameters::InspectContainerOptions>);
    let state = match inspected.await {
        Ok(found) => found.state.unwrap_or_default(),
        Err(error) => return words(&error),
    };
    match (state.oom_killed, state.error) {
        (Some(true), _) => "the container ran out of memory".to_owned(),
        (_, Some(error)) if !error.is_empty() => error,
        _ => format!("the container ended with status {}", state.exit_code.unwrap_or(-1)),
    }
}
