//! Runs the planned cases, one after the other or side by side, and writes a record of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::arrivals::{self, ArrivalsWriter};
use super::blank;
use super::comparison;
use super::copies;
use super::error::{BenchError, at};
use super::exchange;
use super::expected;
use super::figures::{Figure, Rules};
use super::files::{RunFolder, now};
use super::judge;
use super::kept_log::{Ended, KeptLog};
use super::plan::{PlannedCase, Setup, plan, rules};
use super::previous;
use super::record::{ExitRecord, FILE, RunRecord, Status, read_records};
use super::repeats;
use super::resume;
use super::schedule::{self, Schedule, Turn};
use super::verdict;
use super::watching;
use crate::dataset::listing_order;
use crate::engine::{Engine, EngineError, Exit, Gpus, Meter, Mount, Stop};
use crate::store::Store;

/// Is told what happens, one event at a time, from whatever thread it happens in.
pub type Events<'a> = dyn FnMut(Event) + Send + 'a;

/// How soon a stop is seen during a pause.
const PAUSE_TICK: Duration = Duration::from_millis(50);

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that the run's own folder is made in, `./results`.
    pub results: PathBuf,
    /// Go on with the next case when one fails.
    pub keep_going: bool,
    /// Refuse to run anything when a case would be skipped.
    pub strict: bool,
    /// Go on with this run, `latest` for the newest one, instead of starting one.
    pub resume: Option<String>,
    /// Cases of one GPU, or of none, that run side by side; 1 for one after the other.
    pub jobs: usize,
    /// Keep every declared output, not only what another case takes.
    pub keep: bool,
    /// How often each case runs; absent for once, or for what the run that goes on was started with.
    pub repeat: Option<usize>,
}

/// What happens while cases run.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run has its folder.
    RunStarted {
        /// Name of the run.
        id: &'a str,
        /// Its folder.
        folder: &'a Path,
        /// Number of cases.
        cases: usize,
        /// Records of an earlier attempt, of cases that are not run again.
        finished: &'a BTreeMap<String, RunRecord>,
    },
    /// The machine rests for so many seconds before the next case, as the guide lets it.
    Pause {
        /// How long, if nobody stops it.
        seconds: u64,
    },
    /// A case starts.
    CaseStarted {
        /// Position, from 1.
        index: usize,
        /// The case.
        case: &'a PlannedCase,
    },
    /// The job has written something.
    Output {
        /// Position of its case, from 1.
        index: usize,
        /// The bytes, in any pieces.
        bytes: &'a [u8],
    },
    /// The progress series has a new value.
    Progress {
        /// Position of its case, from 1.
        index: usize,
        /// How many values it has.
        step: usize,
        /// The newest, as the log writes it.
        value: &'a str,
        /// The true throughput of this step alone, if it can be computed.
        throughput: Option<&'a Figure>,
        /// The part of the case that is done, 0 to 1, if one count of the log tells it.
        part: Option<f64>,
    },
    /// A case has ended and its record is written.
    CaseEnded {
        /// The record.
        record: &'a RunRecord,
    },
}

/// What came out of a run.
#[derive(Debug)]
pub struct RunSummary {
    /// Name of the run.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// A record of each case that was started or skipped.
    pub records: Vec<RunRecord>,
    /// Cases that were not reached, because one failed or the user stopped.
    pub not_run: Vec<String>,
    /// Whether the user stopped it.
    pub stopped: bool,
}

impl RunSummary {
    /// Whether something came out as it should and nothing failed, was left out or was stopped.
    /// A skipped case is no failure, but no outcome either; an expected failure is one, and a
    /// success that the recipe rules out is not as it should be.
    pub fn all_ok(&self) -> bool {
        let is_wrong = |record: &RunRecord| record.is_failure() || record.passed_unexpectedly();
        let is_outcome = |record: &RunRecord| !matches!(record.status, Status::Skipped(_));
        let complete = self.not_run.is_empty() && !self.stopped;
        complete && self.records.iter().any(is_outcome) && !self.records.iter().any(is_wrong)
    }
}

/// Where and with what cases run.
struct Run<'a, 's, 'e> {
    engine: &'a dyn Engine,
    store: &'a Store,
    setup: &'a Setup<'s>,
    /// By mode.
    rules: BTreeMap<String, Rules>,
    folder: RunFolder,
    options: &'a Options,
    stop: &'a Stop,
    events: Mutex<&'a mut Events<'e>>,
}

/// Runs every case of `setup` with `engine` and tells `events` about it.
///
/// A case that fails is a record, not an error; an error means that nothing was run, or
/// that a record could not be written.
pub fn run(
    engine: &dyn Engine,
    store: &Store,
    setup: &Setup,
    options: &Options,
    stop: &Stop,
    events: &mut Events<'_>,
) -> Result<RunSummary, BenchError> {
    let planned = plan(setup)?;
    refuse_if_strict(&planned, options)?;
    let rules = rules(setup.recipe)?;
    let folder = run_folder(setup, options)?;
    let records = match options.resume {
        Some(_) => read_records(&folder.path)?,
        None => Vec::new(),
    };
    let times = repeats::times(options.repeat, &records, &folder.path, &planned)?;
    let planned = repeats::repeated(&planned, times);
    let mut earlier = resume::earlier(&folder, records, setup, &planned)?;
    events(Event::RunStarted {
        id: &folder.id,
        folder: &folder.path,
        cases: planned.len(),
        finished: &earlier.finished,
    });
    let give_up = !options.keep_going;
    let how = schedule::Rules { jobs: options.jobs.max(1), give_up, stop };
    let finished = std::mem::take(&mut earlier.finished);
    let schedule = Schedule::new(&planned, &setup.pool.cards, finished, how);
    let events = Mutex::new(events);
    let run = Run { engine, store, setup, rules, folder, options, stop, events };
    thread::scope(|scope| {
        for _ in 1..how.jobs {
            scope.spawn(|| run.work(&planned, &schedule));
        }
        run.work(&planned, &schedule);
    });
    let done = schedule.finish()?;
    let is_open = |case: &&PlannedCase| !done.contains_key(&case.place());
    let not_run = planned.iter().filter(is_open).map(PlannedCase::label).collect();
    let mut records: Vec<RunRecord> = done.into_values().collect();
    records.append(&mut earlier.others);
    records.sort_by_key(|record| record.index);
    let (id, folder) = (run.folder.id, run.folder.path);
    Ok(RunSummary { id, folder, records, not_run, stopped: stop.is_requested() })
}

/// The folder of a new run, or of the one to go on with.
fn run_folder(setup: &Setup, options: &Options) -> Result<RunFolder, BenchError> {
    match &options.resume {
        Some(name) => RunFolder::open(&options.results, name),
        None => {
            let name = format!("{}-{}", now("%Y%m%dT%H%M%SZ"), setup.image.seal.short());
            RunFolder::create(&options.results, &name)
        }
    }
}

fn refuse_if_strict(planned: &[PlannedCase], options: &Options) -> Result<(), BenchError> {
    let lacking: Vec<String> = planned
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.case.name, case.lacks.as_ref()?)))
        .collect();
    if options.strict && !lacking.is_empty() {
        return Err(BenchError::Strict { lacking });
    }
    Ok(())
}

impl Run<'_, '_, '_> {
    /// Runs one case after the other until none is left to start.
    fn work(&self, planned: &[PlannedCase], schedule: &Schedule) {
        let mut has_worked = false;
        loop {
            if has_worked && schedule.has_work() {
                self.pause();
            }
            let Some(turn) = schedule.next() else { return };
            let (position, case) = (turn.position, &planned[turn.position]);
            has_worked = case.skipped().is_none();
            self.tell(Event::CaseStarted { index: position + 1, case });
            let record = self.case(case, turn, schedule);
            if let Ok(record) = &record {
                self.tell(Event::CaseEnded { record });
            }
            schedule.end(position, record);
        }
    }

    /// Waits as long as the profile says; whoever stops the run stops this, too.
    fn pause(&self) {
        let Some(seconds) = self.setup.recipe.profiles[self.setup.profile].pause else { return };
        self.tell(Event::Pause { seconds });
        let begun = Instant::now();
        while begun.elapsed().as_secs() < seconds && !self.stop.is_requested() {
            thread::sleep(PAUSE_TICK);
        }
    }

    /// One event at a time, whatever runs side by side.
    fn tell(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        events(event);
    }

    /// Runs or skips one case; its record is on disk when this returns.
    fn case(
        &self,
        case: &PlannedCase,
        turn: Turn,
        schedule: &Schedule,
    ) -> Result<RunRecord, BenchError> {
        let place = case.place();
        self.folder.set_aside(&place)?;
        let folder = self.folder.case(&place)?;
        let start = now("%Y-%m-%dT%H:%M:%SZ");
        let engine = self.engine.name();
        let index = turn.position + 1;
        let case = &self.on_cards(case, &turn, &folder);
        let mut record = blank::record(self.setup, case, engine, &self.folder.id, index, start);
        let mut written = Ok(());
        let ready = match case.skipped() {
            Some(reason) => Err(reason.to_owned()),
            None => exchange::take_in(case, &self.folder.path, turn.needed.as_ref()),
        };
        match ready {
            Err(reason) => record.status = Status::Skipped(reason),
            Ok((mounts, inputs)) => {
                let case = &with_mounts(case, mounts);
                record.job = blank::job(&case.job);
                self.note_orders(&mut record);
                (record.inputs, record.gpus) = (inputs, turn.cards);
                let meter = Meter::new();
                let sampler =
                    watching::start(case, &record.gpus, &self.folder.path, self.store, &meter);
                let ended = not_of_the_store(self.execute(index, case, &folder, &meter)?)?;
                record.conditions = watching::keep(sampler, &self.folder, &folder);
                self.fill_in(&mut record, case, ended);
                let most = schedule.most_at_once(turn.position);
                record.shared_host = (most > 1).then_some(most);
                written = self.write_guide_record(&mut record, case, &folder);
                self.folder.give_all(&folder.join(exchange::FOLDER));
            }
        }
        let runs = self.store.runs();
        record.expected_failure = expected::reason(self.setup.recipe, &record);
        record.comparisons = comparison::compare(&record);
        let repeatable = &self.rules[&case.case.mode].benchmark.log.repeatable;
        record.repeatable = previous::compare(&record, repeatable, &[&self.options.results, &runs]);
        let bytes = record.to_bytes();
        let written = written.and(self.folder.write_file(&folder.join(FILE), &bytes));
        let kept = Path::new("runs").join(&self.folder.id).join(place).join(FILE);
        // What was measured outlives results on a full disk: the store may lie on another one.
        let copied = copies::keep(self.store, &kept, &bytes);
        written?;
        copied?;
        Ok(record)
    }

    /// Notes in which order the data sets are listed, now that the job is to see it.
    fn note_orders(&self, record: &mut RunRecord) {
        for set in &mut record.data {
            let unpacked = self.setup.data.get(&set.name);
            // What cannot be listed the job cannot list either, and says so itself.
            set.order = unpacked.and_then(|unpacked| listing_order(unpacked).ok());
        }
    }

    /// The case with the GPUs of its turn, and with what is to be kept of it.
    fn on_cards(&self, case: &PlannedCase, turn: &Turn, folder: &Path) -> PlannedCase {
        let mut case = case.clone();
        if case.job.gpus != Gpus::None {
            case.job.gpus = Gpus::Cards(turn.cards.clone());
        }
        case.job.keep = exchange::keep(&case, folder, self.options.keep);
        case
    }

    fn execute(
        &self,
        index: usize,
        case: &PlannedCase,
        folder: &Path,
        meter: &Meter,
    ) -> Result<Ended, BenchError> {
        let path = folder.join(&case.log_file);
        let rules = &self.rules[&case.case.mode];
        let file = self.folder.create_file(&path)?;
        let arrivals = self.arrivals(rules, &path)?;
        let mut log = KeptLog::new(file, rules.patterns.timed_reader(), arrivals);
        let series = &rules.benchmark.log.progress;
        let mut seen = 0;
        let mut output = |bytes: &[u8]| {
            log.push(bytes);
            self.tell(Event::Output { index, bytes });
            let findings = log.findings();
            let Some(value) = findings.series[series].last() else { return };
            let step = findings.series[series].len();
            if step > seen {
                seen = step;
                let throughput = rules.current(&case.case.variables, findings);
                let (throughput, part) = (throughput.as_ref(), findings.part());
                self.tell(Event::Progress { index, step, value, throughput, part });
            }
        };
        let (image, job) = (self.setup.image, &case.job);
        let outcome =
            self.engine.run_metered(self.store, image, job, &mut output, self.stop, meter);
        Ok(log.end(outcome, &path, &case.log_file))
    }

    /// Puts what a job did into its record.
    fn fill_in(&self, record: &mut RunRecord, case: &PlannedCase, mut ended: Ended) {
        if let Ok(outcome) = &mut ended.outcome {
            let kept = std::mem::take(&mut outcome.kept);
            record.outputs = exchange::outputs(case, kept, self.options.keep);
        }
        if let Ok(outcome) = &ended.outcome {
            record.exit = Some(exit_record(outcome.exit));
            record.duration = Some(outcome.duration.as_secs_f64());
            record.cpu_time = outcome.cpu_time.map(|time| time.as_secs_f64());
            record.peak_memory = outcome.peak_memory;
            record.peak_job_memory = outcome.peak_job_memory;
        }
        let failure = verdict::of_job(&case.job, &ended);
        let rules = &self.rules[&case.case.mode];
        judge::judge(record, rules, &case.case.variables, ended.findings, failure);
        record.log = Some(ended.log);
    }

    /// Writes the record that the guide asks for, if it asks for one.
    fn write_guide_record(
        &self,
        record: &mut RunRecord,
        case: &PlannedCase,
        folder: &Path,
    ) -> Result<(), BenchError> {
        let Some(file) = &case.record_file else { return Ok(()) };
        let rules = &self.rules[&case.case.mode];
        let json = judge::guide_record(record, rules, &case.case.variables, &case.log_file);
        record.guide_record = Some(file.clone());
        self.folder.write_file(&folder.join(file), json.as_bytes())
    }

    /// The file beside the log that keeps when its pieces arrived, if a figure needs it.
    fn arrivals(&self, rules: &Rules, log: &Path) -> Result<Option<ArrivalsWriter>, BenchError> {
        if !rules.patterns.needs_arrivals() {
            return Ok(None);
        }
        let mut path = log.as_os_str().to_owned();
        path.push(arrivals::SUFFIX);
        let file = self.folder.create_file(Path::new(&path))?;
        ArrivalsWriter::new(file).map(Some).map_err(at("write", Path::new(&path)))
    }
}

/// A store that cannot be read or written is no failure of a benchmark: the run breaks off, and goes on
/// when the reason is gone.
fn not_of_the_store(ended: Ended) -> Result<Ended, BenchError> {
    match ended.outcome {
        Err(EngineError::Store(error)) => Err(error.into()),
        outcome => Ok(Ended { outcome, ..ended }),
    }
}

fn with_mounts(case: &PlannedCase, mounts: Vec<Mount>) -> PlannedCase {
    let mut case = case.clone();
    case.job.mounts.extend(mounts);
    case
}

fn exit_record(exit: Exit) -> ExitRecord {
    match exit {
        Exit::Status(status) => ExitRecord::Status(status),
        Exit::Signal(signal) => ExitRecord::Signal(signal),
        Exit::TimedOut => ExitRecord::Timeout,
        Exit::Stopped => ExitRecord::Stop,
    }
}
