//! Writes the state of the run that goes on in this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::{
    Announced, End, Ended, FILE, Process, RunState, RunningCase, VERSION, boot, host, state_clock,
};
use crate::bench::BenchError;
use crate::bench::record::{RunRecord, Status};
use crate::bench::run::Event;
use crate::store::Store;

/// No figure is needed more often, and no disk is troubled by it.
const INTERVAL: Duration = Duration::from_secs(1);

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
        if let Event::RunStarted { id, folder, cases, finished } = event {
            let mut state = self.begin(id, folder, *cases)?;
            let skipped = |record: &&RunRecord| matches!(record.status, Status::Skipped(_));
            state.ended.skipped = finished.values().filter(skipped).count();
            state.ended.before = finished.len() - state.ended.skipped;
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
            host: host(),
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
            case: case.label(),
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
