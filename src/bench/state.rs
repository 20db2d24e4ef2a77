//! What a run is doing now, for whoever wants to know: kept in the store as `runs/RUN/state.json`.
//!
//! Small and rewritten as things happen, so that it says where a run is and never how a case ended:
//! that is in the records. Whether the run still goes on is not in the file either. It follows from the
//! file lock of the process's session in the store, which the kernel lets go of however the process ends.
//!
//! Invariants: a file is whole, an old one or a new one. Between two cases it is not synced to the
//! disk: a measurement must not wait for it, and after a power cut nobody asks how far it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::error::at;
use super::record::Status;
use super::run::Event;
use crate::store::Store;

/// The version of the file that this program writes.
const VERSION: u32 = 1;

/// Name of the file in a run's folder of the store.
const FILE: &str = "state.json";

/// No figure is needed more often, and no disk is troubled by it.
const INTERVAL: Duration = Duration::from_secs(1);

/// A run as it was when this was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Format of the file.
    version: u32,
    /// Name of the run.
    pub run: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Name of the image.
    pub image: String,
    /// The profile.
    pub profile: String,
    /// What goes on with it if it breaks off: the words of a command.
    pub resume: Vec<String>,
    /// Who runs it.
    pub process: Process,
    /// When this process began.
    pub started: Timestamp,
    /// When this was written.
    pub written: Timestamp,
    /// Cases of the run.
    pub cases: usize,
    /// Cases among them that are only skipped.
    pub left_out: usize,
    /// Cases that have ended, those of an earlier attempt not counted.
    pub ended: Ended,
    /// Cases that run now, in their order.
    pub running: Vec<RunningCase>,
    /// How it ended; absent as long as it goes on, or if nobody could write it any more.
    pub end: Option<End>,
}

/// The process of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub id: i32,
    /// Its session in the store, whose file lock it holds.
    pub session: String,
    /// The kernel's name of this start of the machine: numbers of processes mean nothing in another.
    pub boot: String,
    /// Whether it has left its terminal.
    pub detached: bool,
}

/// How many cases have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Measured.
    pub ok: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Seconds that those took which were measured.
    pub seconds: f64,
}

/// A case that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningCase {
    /// Position, from 1.
    pub index: usize,
    /// Name of the case.
    pub case: String,
    /// When it began.
    pub started: Timestamp,
    /// Records in its log so far.
    pub records: usize,
    /// The part of it that is done, 0 to 1, if its log counts.
    pub part: Option<f64>,
    /// The throughput of the newest record, with its unit.
    pub speed: Option<(f64, String)>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// What the program ended with.
    pub code: u8,
    /// Whether somebody stopped it.
    pub stopped: bool,
    /// Cases that were not reached.
    pub not_run: Vec<String>,
    /// The error that ended it, if one did.
    pub error: Option<String>,
}

/// What a run is, to somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It goes on.
    Running,
    /// It ended, and nothing failed.
    Finished,
    /// It ended with an error or a failed case.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// Its process is gone and could not say how it ended.
    Died,
}

impl Phase {
    /// `running`, `finished`, `failed`, `stopped`, `died`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Died => "died",
        }
    }
}

impl Ended {
    /// All of them.
    pub fn all(&self) -> usize {
        self.ok + self.failed + self.skipped
    }
}

/// What is to be known of a run before it starts.
#[derive(Debug, Clone)]
pub struct Announced {
    /// Name of the image.
    pub image: String,
    /// The profile.
    pub profile: String,
    /// What goes on with it if it breaks off, but for the run's name.
    pub resume: Vec<String>,
    /// Cases that are only skipped.
    pub left_out: usize,
    /// Whether the process has left its terminal.
    pub detached: bool,
}

impl RunState {
    /// Every run whose state the store keeps, the newest last. A file that cannot be read tells of none.
    pub fn all(store: &Store) -> Vec<Self> {
        let entries = fs::read_dir(store.runs()).into_iter().flatten().filter_map(Result::ok);
        let mut states: Vec<Self> =
            entries.filter_map(|entry| read(&entry.path().join(FILE)).ok()).collect();
        states.sort_by(|a, b| (a.started, &a.run).cmp(&(b.started, &b.run)));
        states
    }

    /// Reads the state of the run `name` again.
    pub fn read(store: &Store, name: &str) -> Result<Self, BenchError> {
        read(&store.runs().join(name).join(FILE))
    }

    /// Whether the run goes on, and if not, how it ended.
    pub fn phase(&self, store: &Store) -> Phase {
        match &self.end {
            Some(End { stopped: true, .. }) => Phase::Stopped,
            Some(End { code: 0, .. }) => Phase::Finished,
            Some(_) => Phase::Failed,
            None if self.is_live(store) => Phase::Running,
            None => Phase::Died,
        }
    }

    /// Whether its process lives, on this machine since it was started.
    fn is_live(&self, store: &Store) -> bool {
        self.process.boot == boot() && store.session_is_live(&self.process.session)
    }

    /// Asks the run to stop as Ctrl-C does; false if it has ended.
    pub fn stop(&self, store: &Store) -> Result<bool, BenchError> {
        use rustix::process::{Pid, PidfdFlags, Signal};
        let process = Pid::from_raw(self.process.id);
        let gone = |error| error == rustix::io::Errno::SRCH;
        let place = Path::new("/proc").join(self.process.id.to_string());
        let failed = |error: rustix::io::Errno| at("stop", &place)(error.into());
        let Some(process) = process else { return Ok(false) };
        // The handle is opened before the lock is looked at: it cannot become another process's.
        let handle = match rustix::process::pidfd_open(process, PidfdFlags::empty()) {
            Err(error) if gone(error) => return Ok(false),
            handle => handle.map_err(failed)?,
        };
        if self.end.is_some() || !self.is_live(store) {
            return Ok(false);
        }
        match rustix::process::pidfd_send_signal(&handle, Signal::TERM) {
            Err(error) if gone(error) => Ok(false),
            sent => sent.map(|()| true).map_err(failed),
        }
    }

    /// How long it has been going on, or was known to.
    pub fn elapsed(&self, phase: Phase, now: Timestamp) -> Duration {
        let until = if phase == Phase::Running { now } else { self.written };
        between(self.started, until)
    }

    /// About how long it will still take: by the mean of the cases that were measured, else by the
    /// part of the running ones that is done. Nothing if neither tells.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let rests: Vec<(f64, Option<f64>)> =
            self.running.iter().map(|case| case.rest(now)).collect();
        let counted: Vec<f64> =
            rests.iter().filter_map(|(taken, rest)| Some(taken + (*rest)?)).collect();
        let mean = match (self.ended.ok, counted.as_slice()) {
            (0, []) => return None,
            (0, counted) => counted.iter().sum::<f64>() / counted.len() as f64,
            (ok, _) => self.ended.seconds / ok as f64,
        };
        let now_running = rests.iter().map(|(taken, rest)| rest.unwrap_or((mean - taken).max(0.0)));
        let longest = now_running.fold(0.0, f64::max);
        let to_skip = self.left_out.saturating_sub(self.ended.skipped);
        let waiting = self.cases.saturating_sub(self.ended.all() + self.running.len() + to_skip);
        let lanes = self.running.len().max(1) as f64;
        Duration::try_from_secs_f64(longest + waiting as f64 * mean / lanes).ok()
    }
}

impl RunningCase {
    /// Seconds it has taken, and those that it still takes, if that can be told.
    fn rest(&self, now: Timestamp) -> (f64, Option<f64>) {
        let taken = between(self.started, now).as_secs_f64();
        // Before that the start-up of the program outweighs the steps.
        let part = self.part.filter(|part| *part >= 0.02);
        (taken, part.map(|part| taken * (1.0 - part).max(0.0) / part))
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).unsigned_abs()
}

fn read(path: &Path) -> Result<RunState, BenchError> {
    let bytes = fs::read(path).map_err(at("read", path))?;
    let wrong = |reason: String| BenchError::State { path: path.to_owned(), reason };
    let state: RunState =
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    match state.version {
        VERSION => Ok(state),
        found => Err(wrong(format!("version {found}, this program knows {VERSION}"))),
    }
}

/// The kernel's name of this start of the machine.
fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The clock that states and their readers go by.
#[expect(clippy::disallowed_methods, reason = "a state says since when a run goes on")]
pub fn state_clock() -> Timestamp {
    Timestamp::now()
}

/// Keeps the state of a run that goes on in this process.
pub struct StateKeeper<'a> {
    store: &'a Store,
    announced: Announced,
    kept: Mutex<Kept>,
    closed: Condvar,
}

#[derive(Default)]
struct Kept {
    /// Absent before the run has its folder.
    state: Option<RunState>,
    is_new: bool,
    is_closed: bool,
}

impl<'a> StateKeeper<'a> {
    /// Nothing is written before the run starts.
    pub fn new(store: &'a Store, announced: Announced) -> Self {
        Self { store, announced, kept: Mutex::new(Kept::default()), closed: Condvar::new() }
    }

    /// Notes what happens; only the start waits for the disk.
    pub fn tell(&self, event: &Event) -> Result<(), BenchError> {
        let mut kept = self.kept();
        if let Event::RunStarted { id, folder, cases } = event {
            let state = self.begin(id, folder, *cases)?;
            self.write_lastingly(&state)?;
            kept.state = Some(state);
        } else if let Some(state) = kept.state.as_mut() {
            note(state, event);
            kept.is_new = true;
        }
        Ok(())
    }

    /// Does `work`; what it tells meanwhile is written once a second, by a thread of its own.
    pub fn while_running<R>(&self, work: impl FnOnce() -> R) -> R {
        thread::scope(|scope| {
            scope.spawn(|| self.keep());
            // However the work ends, the thread ends, too.
            let _closing = Closing(self);
            work()
        })
    }

    fn keep(&self) {
        let mut kept = self.kept();
        while !kept.is_closed {
            let waited = self.closed.wait_timeout(kept, INTERVAL);
            kept = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
            if !kept.is_new {
                continue;
            }
            kept.is_new = false;
            let Some(mut state) = kept.state.clone() else { continue };
            // Whoever runs the case must not wait for a file.
            drop(kept);
            state.written = state_clock();
            if let Err(error) = self.store.write_lightly(&place(&state), &bytes(&state)) {
                tracing::warn!(%error, "the state of the run could not be written");
            }
            kept = self.kept();
        }
    }

    /// The run has ended so; nothing is written where it had not begun.
    pub fn end(&self, end: End) -> Result<(), BenchError> {
        let Some(mut state) = self.kept().state.take() else { return Ok(()) };
        (state.written, state.end) = (state_clock(), Some(end));
        state.running.clear();
        self.write_lastingly(&state)
    }

    fn begin(&self, id: &str, folder: &Path, cases: usize) -> Result<RunState, BenchError> {
        let Announced { image, profile, mut resume, left_out, detached } = self.announced.clone();
        resume.push(id.to_owned());
        let now = state_clock();
        let process = Process {
            id: rustix::process::getpid().as_raw_nonzero().get(),
            session: self.store.session()?,
            boot: boot(),
            detached,
        };
        Ok(RunState {
            version: VERSION,
            run: id.to_owned(),
            folder: fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()),
            image,
            profile,
            resume,
            process,
            started: now,
            written: now,
            cases,
            left_out,
            ended: Ended::default(),
            running: Vec::new(),
            end: None,
        })
    }

    fn write_lastingly(&self, state: &RunState) -> Result<(), BenchError> {
        self.store.write_file(&place(state), &bytes(state))?;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Ends the thread that writes.
struct Closing<'a, 'b>(&'a StateKeeper<'b>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.kept().is_closed = true;
        self.0.closed.notify_all();
    }
}

fn place(state: &RunState) -> PathBuf {
    Path::new("runs").join(&state.run).join(FILE)
}

fn bytes(state: &RunState) -> Vec<u8> {
    serde_json::to_vec_pretty(state).expect("a state always serialises")
}

fn note(state: &mut RunState, event: &Event) {
    match event {
        Event::CaseStarted { index, case } => state.running.push(RunningCase {
            index: *index,
            case: case.case.name.clone(),
            started: state_clock(),
            records: 0,
            part: None,
            speed: None,
        }),
        Event::Progress { index, step, throughput, part, .. } => {
            let running = state.running.iter_mut().find(|case| case.index == *index);
            let Some(case) = running else { return };
            case.records = *step;
            case.part = *part;
            case.speed = throughput.and_then(|figure| {
                let value = figure.value?.as_f64();
                value.is_finite().then(|| (value, figure.unit.clone()))
            });
        }
        Event::CaseEnded { record } => {
            state.running.retain(|case| case.index != record.index);
            match record.status {
                Status::Ok => {
                    state.ended.ok += 1;
                    state.ended.seconds += record.duration.unwrap_or(0.0);
                }
                Status::Failed(_) => state.ended.failed += 1,
                Status::Skipped(_) => state.ended.skipped += 1,
            }
        }
        Event::RunStarted { .. } | Event::Pause { .. } | Event::Output { .. } => {}
    }
}
