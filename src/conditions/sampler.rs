//! A thread that looks at the machine while a command runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::cards::{CardReader, Cards};
use super::column::{Sample, Seen, Source};
use super::disks::{Disks, Folders};
use super::flags::{Machine, Watchman};
use super::memory::{self, Memory};
use super::nvml::Library;
use super::processors::{self, Processors};
use super::record::ConditionsRecord;
use super::table::Table;
use crate::engine::{Card, Meter};

/// How long a sampler that was told to stop may take: a file system or a driver that hangs must
/// not hold up the run.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shortest time that gives a sample at the end, in seconds: the kernel counts in hundredths.
const SHORTEST: f64 = 0.1;

/// What is to be looked at.
#[derive(Debug, Clone)]
pub struct View {
    /// What `/proc` and `/sys` lie in; another place than the machine's own in tests.
    pub root: PathBuf,
    /// The folders that the case uses.
    pub folders: Folders,
    /// The GPUs of the case.
    pub cards: Vec<Card>,
}

/// What a sampler has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// All of it but the samples; it names no file yet.
    pub record: ConditionsRecord,
    /// The samples.
    pub csv: Vec<u8>,
}

/// Looks at the machine from a command's start to its end.
#[derive(Debug)]
pub struct Sampler {
    meter: Meter,
    result: Receiver<Option<Watched>>,
    patience: Duration,
}

impl Sampler {
    /// Starts one that waits for the command whose start and end `meter` is told.
    pub fn start(view: View, meter: &Meter) -> Self {
        Self::with(view, meter, |_| Ok(Box::new(Library::load()?)))
    }

    /// The same, with another way to look at GPUs; it is called only if there are any.
    pub(super) fn with<R>(view: View, meter: &Meter, reader: R) -> Self
    where
        R: FnOnce(&View) -> Result<Box<dyn CardReader>, String> + Send + 'static,
    {
        let (sender, result) = mpsc::channel();
        let told = meter.clone();
        let watch = move || {
            // Before the start: the driver's library may take a second.
            let reader = (!view.cards.is_empty()).then(|| reader(&view));
            // Nobody listens any more if this took too long.
            let _ = sender.send(watch(&view, reader, &told));
        };
        // A machine that has no room for a thread runs its case unwatched.
        let _ = thread::Builder::new().name("conditions".to_owned()).spawn(watch);
        Self { meter: meter.clone(), result, patience: PATIENCE }
    }

    /// Waits so long and no longer.
    #[cfg(test)]
    pub(super) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What was seen; `None` if no command ran that could have been watched.
    pub fn finish(self) -> Option<Watched> {
        self.meter.end();
        match self.result.recv_timeout(self.patience) {
            Ok(watched) => watched,
            Err(_) => Some(Watched { record: silent(), csv: Vec::new() }),
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.meter.end();
    }
}

/// What stands in the record of a sampler that did not answer.
fn silent() -> ConditionsRecord {
    let reason = "the sampler did not answer when the case had ended".to_owned();
    let not_measured = BTreeMap::from([("everything".to_owned(), reason)]);
    ConditionsRecord { not_measured, ..ConditionsRecord::default() }
}

type Reader = Result<Box<dyn CardReader>, String>;

fn watch(view: &View, reader: Option<Reader>, meter: &Meter) -> Option<Watched> {
    let start = meter.started()?;
    let mut sources = Sources::of(view, reader, meter);
    let mut last = Instant::now();
    let mut missing = sources.look(None).missing;
    let mut next = start;
    loop {
        next += Duration::from_secs_f64(sources.table.interval());
        // A machine that stood still gets no samples afterwards for that time.
        next = next.max(last + Duration::from_secs_f64(SHORTEST));
        let runs = meter.runs_at(next);
        let now = Instant::now();
        let period = (now - last).as_secs_f64();
        if !runs && period < SHORTEST {
            break;
        }
        let seen = sources.look(Some(period));
        missing.extend(seen.missing);
        let seconds = (now - start).as_secs_f64();
        sources.take(Sample { seconds, period, values: seen.values });
        last = now;
        if !runs {
            break;
        }
    }
    Some(sources.end(missing))
}

/// Everything that is looked at, and what came of it.
struct Sources {
    all: Vec<Box<dyn Source>>,
    table: Table,
    watchman: Watchman,
}

impl Sources {
    fn of(view: &View, reader: Option<Reader>, meter: &Meter) -> Self {
        let root: &Path = &view.root;
        let job = meter.clone();
        let own = move || Ok(job.used()? + time_of(ClockId::ProcessCPUTime));
        let disks = Disks::under(root, &view.folders);
        let machine = Machine {
            processors: processors::count(root) as f64,
            memory: memory::total(root),
            disks: disks.sizes(),
        };
        let mut all: Vec<Box<dyn Source>> = vec![
            Box::new(Processors::under(root, Box::new(own))),
            Box::new(Memory::under(root)),
            Box::new(disks),
        ];
        if let Some(reader) = reader {
            let job = meter.clone();
            let own = Box::new(move || job.processes());
            all.push(Box::new(Cards::new(view.cards.clone(), reader, own)));
        }
        Self { all, table: Table::new(), watchman: Watchman::new(machine) }
    }

    fn look(&mut self, since: Option<f64>) -> Seen {
        let mut seen = Seen { since, ..Seen::default() };
        self.all.iter_mut().for_each(|source| source.look(&mut seen));
        seen
    }

    fn take(&mut self, sample: Sample) {
        self.watchman.see(&sample);
        self.table.push(sample);
    }

    fn end(self, mut missing: BTreeMap<String, String>) -> Watched {
        let csv = self.table.csv();
        // What could be read once counts; the end of the job takes some of it away.
        let measured = self.table.measured();
        missing.retain(|name, _| !measured.contains(name));
        let record = ConditionsRecord {
            interval: self.table.interval(),
            samples: self.table.kept() as u64,
            taken: self.table.taken(),
            cpu_time: Some(time_of(ClockId::ThreadCPUTime).as_secs_f64()),
            summary: self.table.summary(),
            flags: self.watchman.flags(),
            not_measured: missing,
            ..ConditionsRecord::default()
        };
        Watched { record, csv }
    }
}

/// Processor time of this process or this thread.
fn time_of(clock: ClockId) -> Duration {
    // These clocks never run backwards below zero.
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}
