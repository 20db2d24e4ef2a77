//! What a run is doing now, for whoever wants to know: kept in the store as `runs/RUN/state.json`.
//!
//! Small and rewritten as things happen, so that it says where a run is and never how a case ended:
//! that is in the records. Whether the run still goes on is not in the file either. It follows from the
//! file lock of the process's session in the store, which the kernel lets go of however the process ends.
//! Machines that share a store may not see each other's locks: of a run on another one only the file speaks.
//!
//! Invariants: a file is whole, an old one or a new one. Between two cases it is not synced to the
//! disk: a measurement must not wait for it, and after a power cut nobody asks how far it was.

mod keeper;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::error::at;
use crate::store::Store;

pub use keeper::StateKeeper;

/// The version of the file that this program writes.
const VERSION: u32 = 1;

/// Name of the file in a run's folder of the store.
const FILE: &str = "state.json";

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
    /// Cases that have ended.
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
    /// The machine's name; empty in a file of a program that did not write it.
    #[serde(default)]
    pub host: String,
    /// Whether it has left its terminal.
    pub detached: bool,
}

/// How many cases have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// Measured.
    pub ok: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Measured by an earlier attempt, and not run again.
    pub before: usize,
    /// Seconds that those took which were measured now.
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
    /// It went on when another machine, which shares this store, last wrote; here nobody can tell more.
    Elsewhere,
}

impl Phase {
    /// `running`, `finished`, `failed`, `stopped`, `died`, `elsewhere`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Died => "died",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl Process {
    /// Whether another machine started it. One that was started anew since has the same name.
    fn is_elsewhere(&self) -> bool {
        self.boot != boot() && !self.host.is_empty() && self.host != host()
    }
}

impl Ended {
    /// All of them.
    pub fn all(&self) -> usize {
        self.ok + self.failed + self.skipped + self.before
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
            None if self.process.is_elsewhere() => Phase::Elsewhere,
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

    /// How long nothing was heard of it.
    pub fn silent(&self, now: Timestamp) -> Duration {
        between(self.written, now)
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

/// The machine's name.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The clock that states and their readers go by.
#[expect(clippy::disallowed_methods, reason = "a state says since when a run goes on")]
pub fn state_clock() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A run of ten cases that began at 0 s.
    fn state(ended: &serde_json::Value, running: &serde_json::Value) -> RunState {
        let text = json!({
            "version": 1, "run": "r", "folder": "/r", "image": "seg", "profile": "smoke",
            "resume": [], "process": { "id": 1, "session": "s", "boot": "b", "detached": false },
            "started": "1970-01-01T00:00:00Z", "written": "1970-01-01T00:01:40Z", "cases": 10,
            "left_out": 2, "ended": ended, "running": running, "end": null,
        });
        serde_json::from_value(text).unwrap()
    }

    fn case(started: &str, part: Option<f64>) -> serde_json::Value {
        let started = format!("1970-01-01T00:{started}Z");
        json!({ "index": 1, "case": "c", "started": started, "records": 3, "part": part, "speed": null })
    }

    fn remaining(state: &RunState, seconds: i64) -> Option<u64> {
        Some(state.remaining(Timestamp::from_second(seconds).unwrap())?.as_secs())
    }

    #[test]
    fn the_rest_is_not_told_before_anything_tells_it() {
        let ended = json!({ "ok": 0, "failed": 0, "skipped": 0, "before": 0, "seconds": 0.0 });
        assert_eq!(remaining(&state(&ended, &json!([case("00:00", None)])), 50), None);
        let early = state(&ended, &json!([case("00:00", Some(0.001))]));
        assert_eq!(remaining(&early, 50), None, "the start-up says nothing of the steps");
    }

    #[test]
    fn the_first_case_tells_by_its_own_count() {
        let ended = json!({ "ok": 0, "failed": 0, "skipped": 0, "before": 0, "seconds": 0.0 });
        // 25 s of 100 s, and seven more of 100 s each: two of the ten are only skipped.
        let state = state(&ended, &json!([case("00:00", Some(0.25))]));
        assert_eq!(remaining(&state, 25), Some(75 + 700));
    }

    #[test]
    fn later_cases_are_taken_to_be_as_long_as_those_before() {
        let ended = json!({ "ok": 2, "failed": 0, "skipped": 2, "before": 0, "seconds": 100.0 });
        let state = state(&ended, &json!([case("00:50", None)]));
        assert_eq!(remaining(&state, 60), Some(40 + 5 * 50));
    }

    #[test]
    fn what_an_earlier_attempt_measured_is_not_waited_for() {
        let ended = json!({ "ok": 1, "failed": 0, "skipped": 2, "before": 4, "seconds": 50.0 });
        let state = state(&ended, &json!([case("00:50", None)]));
        assert_eq!(remaining(&state, 60), Some(40 + 2 * 50));
    }

    #[test]
    fn cases_side_by_side_share_what_waits() {
        let ended = json!({ "ok": 2, "failed": 0, "skipped": 2, "before": 0, "seconds": 100.0 });
        let state = state(&ended, &json!([case("00:50", None), case("00:50", None)]));
        assert_eq!(remaining(&state, 60), Some(40 + 4 * 50 / 2));
    }

    #[test]
    fn a_run_that_died_was_known_to_go_on_until_it_last_wrote() {
        let ended = json!({ "ok": 0, "failed": 0, "skipped": 0, "before": 0, "seconds": 0.0 });
        let (state, now) = (state(&ended, &json!([])), Timestamp::from_second(5000).unwrap());
        assert_eq!(state.elapsed(Phase::Died, now).as_secs(), 100);
        assert_eq!(state.elapsed(Phase::Running, now).as_secs(), 5000);
    }
}
