//! What a running job has used so far, for whoever watches the machine beside it.
//!
//! An engine knows when the command starts and ends and which processes are its own; others
//! only see a machine. The engine says the one and the other here while [`Engine::run`] blocks.
//!
//! Invariant: a number counts every process of the job and nothing else, or there is none and
//! a reason. What the number means for a measurement is left to `conditions`.
//!
//! [`Engine::run`]: super::Engine::run

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::embedded::cgroup::Counted;

/// Tells of one job; clones tell of the same one.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Running(Instant, Counter),
    /// With the last reading, or why there is none.
    Ended(Result<Duration, String>),
}

/// Where the processor time of a job is counted.
#[derive(Debug, Clone)]
pub enum Counter {
    /// In its control group.
    Cgroup(Counted),
    /// In a process and all that descend from it, for a machine that gives no control group.
    Tree(u32),
    /// Nowhere, and why.
    Nothing(String),
}

/// A command that runs; dropped when it has ended.
#[derive(Debug)]
pub struct Running<'a>(&'a Meter);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Meter {
    /// A meter of a job that has not started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the command starts now.
    pub fn begin(&self, counter: Counter) -> Running<'_> {
        *self.state() = State::Running(Instant::now(), counter);
        self.0.changed.notify_all();
        Running(self)
    }

    /// Says that the command has ended, or that it never will start.
    pub fn end(&self) {
        let mut state = self.state();
        if !matches!(*state, State::Ended(_)) {
            // The last reading: the control group goes with the job.
            let used = match &*state {
                State::Running(_, counter) => counter.used(),
                _ => Err("the job never began".to_owned()),
            };
            *state = State::Ended(used);
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits for the command's start; `None` if there will be none.
    pub fn started(&self) -> Option<Instant> {
        let waiting = |state: &mut State| matches!(state, State::Waiting);
        let state = self.0.changed.wait_while(self.state(), waiting);
        match &*state.unwrap_or_else(|poisoned| poisoned.into_inner()) {
            State::Running(since, _) => Some(*since),
            _ => None,
        }
    }

    /// Waits until `time` or the command's end; whether it still runs.
    pub fn runs_at(&self, time: Instant) -> bool {
        let left = time.saturating_duration_since(Instant::now());
        let running = |state: &mut State| matches!(state, State::Running(..));
        let waited = self.0.changed.wait_timeout_while(self.state(), left, running);
        let (state, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        matches!(*state, State::Running(..))
    }

    /// Processor time of the job's processes so far; the reason if nobody counts it.
    pub fn used(&self) -> Result<Duration, String> {
        match &*self.state() {
            State::Running(_, counter) => counter.used(),
            State::Ended(used) => used.clone(),
            State::Waiting => Err("the job has not begun".to_owned()),
        }
    }

    /// The numbers of the job's processes; `None` if they cannot be told from others.
    pub fn processes(&self) -> Option<BTreeSet<u32>> {
        match &*self.state() {
            State::Running(_, counter) => counter.processes(),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Counter {
    fn used(&self) -> Result<Duration, String> {
        let uncounted = || "the kernel counts no processor time for the job".to_owned();
        match self {
            Self::Cgroup(counted) => counted.cpu_time().ok_or_else(uncounted),
            Self::Tree(first) => tree_time(Path::new("/proc"), *first).ok_or_else(uncounted),
            Self::Nothing(reason) => Err(reason.clone()),
        }
    }

    fn processes(&self) -> Option<BTreeSet<u32>> {
        match self {
            Self::Cgroup(counted) => counted.processes(),
            Self::Tree(first) => {
                Some(tree(&table(Path::new("/proc")), *first).into_iter().collect())
            }
            Self::Nothing(_) => None,
        }
    }
}

/// What `/proc/PID/stat` says of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Ticks of its own and of the children that it has waited for.
    ticks: u64,
}

/// Nothing is lost when a process ends: its time goes to whoever waits for it, and the first
/// process of a job waits for all that nobody else does.
fn tree_time(proc: &Path, first: u32) -> Option<Duration> {
    let table = table(proc);
    table.get(&first)?;
    let ticks: u64 = tree(&table, first).iter().map(|pid| table[pid].ticks).sum();
    let second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_secs_f64(ticks as f64 / second as f64))
}

/// A process and all that descend from it.
fn tree(table: &BTreeMap<u32, Process>, first: u32) -> Vec<u32> {
    let mut found: Vec<u32> = table.contains_key(&first).then_some(first).into_iter().collect();
    let mut looked_at = 0;
    while let Some(parent) = found.get(looked_at).copied() {
        looked_at += 1;
        let is_child =
            |(pid, process): &(&u32, &Process)| process.parent == parent && !found.contains(pid);
        let children: Vec<u32> = table.iter().filter(is_child).map(|(pid, _)| *pid).collect();
        found.extend(children);
    }
    found
}

fn table(proc: &Path) -> BTreeMap<u32, Process> {
    let entries = fs::read_dir(proc).into_iter().flatten().filter_map(Result::ok);
    let process = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, parse_stat(&stat)?))
    };
    entries.filter_map(process).collect()
}

/// Reads `/proc/PID/stat` (proc(5)); a name may have blanks and brackets of its own.
fn parse_stat(text: &str) -> Option<Process> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |position: usize| fields.get(position)?.parse::<u64>().ok();
    // Fields 14 to 17 of the manual page; the state is field 3 and the first here.
    let ticks = (11..15).map(number).sum::<Option<u64>>()?;
    Some(Process { parent: u32::try_from(number(1)?).ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn machine(processes: &[(u32, u32, u64)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (pid, parent, ticks) in processes {
            let folder = proc.path().join(pid.to_string());
            fs::create_dir(&folder).unwrap();
            let stat = format!("{pid} (a ) b) S {parent} 1 1 0 -1 4 0 0 0 0 {ticks} 2 3 4 20 0 9");
            fs::write(folder.join("stat"), stat).unwrap();
        }
        fs::write(proc.path().join("stat"), "cpu 1").unwrap();
        proc
    }

    #[test]
    fn the_time_of_a_tree_counts_descendants_and_nobody_else() {
        let proc = machine(&[(1, 0, 1000), (7, 1, 100), (9, 7, 10), (3, 9, 1), (8, 1, 5000)]);
        let second = rustix::param::clock_ticks_per_second() as f64;
        // Three processes, nine ticks of the other fields each.
        let expected = Duration::from_secs_f64((111.0 + 27.0) / second);
        assert_eq!(tree_time(proc.path(), 7), Some(expected));
        assert_eq!(tree(&table(proc.path()), 7), [7, 9, 3]);
        assert_eq!(tree_time(proc.path(), 77), None);
    }

    #[test]
    fn why_nobody_counted_is_known_after_the_end() {
        let meter = Meter::new();
        drop(meter.begin(Counter::Nothing("nobody counts it".to_owned())));
        assert_eq!(meter.used(), Err("nobody counts it".to_owned()));
        let never = Meter::new();
        never.end();
        assert_eq!(never.used(), Err("the job never began".to_owned()));
    }

    #[test]
    fn a_line_that_is_no_process_is_left_out() {
        for text in ["", "1 (x", "1 (x) S", "1 (x) S y 1 1 0 -1 4 0 0 0 0 1 2 3 4"] {
            assert_eq!(parse_stat(text), None, "{text}");
        }
    }

    #[test]
    fn a_watcher_hears_of_start_and_end() {
        let meter = Meter::new();
        assert_eq!(meter.used(), Err("the job has not begun".to_owned()));
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let since = meter.started()?;
                let far = since + Duration::from_secs(3600);
                Some((meter.runs_at(since), meter.runs_at(far)))
            });
            let running = meter.begin(Counter::Nothing("nobody counts".to_owned()));
            assert_eq!(meter.used(), Err("nobody counts".to_owned()));
            assert_eq!(meter.processes(), None);
            drop(running);
            // Whether it was quick enough to see the start or not, it does not wait for ever.
            let seen = watcher.join().unwrap();
            assert!(matches!(seen, Some((_, false)) | None), "{seen:?}");
        });
        assert_eq!(meter.started(), None);
    }

    #[test]
    fn a_command_that_never_starts_lets_its_watcher_go() {
        let meter = Meter::new();
        thread::scope(|scope| {
            let watcher = scope.spawn(|| meter.started());
            meter.end();
            assert_eq!(watcher.join().unwrap(), None);
        });
    }

    #[test]
    fn the_processor_time_of_this_process_is_counted_as_a_tree() {
        let counter = Counter::Tree(std::process::id());
        let before = counter.used().unwrap();
        let mut sum = 0u64;
        while counter.used().unwrap() == before {
            sum = (0..1_000_000u64).fold(sum, |sum, number| sum ^ number.wrapping_mul(sum | 1));
        }
        assert!(counter.processes().unwrap().contains(&std::process::id()), "{sum}");
    }
}
