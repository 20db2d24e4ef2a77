//! Runs the planned cases one after the other and writes a record of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::arrivals::{self, ArrivalsWriter};
use super::blank;
use super::error::{BenchError, at};
use super::figures::{Figure, Rules};
use super::files::{RunFolder, now};
use super::judge;
use super::kept_log::{Ended, KeptLog};
use super::plan::{PlannedCase, Setup, plan, rules};
use super::previous;
use super::record::{ExitRecord, FILE, RunRecord, Status};
use super::resume;
use super::verdict;
use crate::engine::{Engine, Exit, Stop};
use crate::store::Store;

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
        /// The bytes, in any pieces.
        bytes: &'a [u8],
    },
    /// The progress series has a new value.
    Progress {
        /// How many values it has.
        step: usize,
        /// The newest, as the log writes it.
        value: &'a str,
        /// The true throughput of this step alone, if it can be computed.
        throughput: Option<&'a Figure>,
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
    /// Whether something was measured and nothing failed, was left out or was stopped.
    /// A skipped case is no failure, but no measurement either.
    pub fn all_ok(&self) -> bool {
        let failed = |record: &RunRecord| matches!(record.status, Status::Failed(_));
        let measured = self.records.iter().any(|record| record.status == Status::Ok);
        measured && self.not_run.is_empty() && !self.stopped && !self.records.iter().any(failed)
    }
}

/// Where and with what cases run.
struct Run<'a, 's> {
    engine: &'a dyn Engine,
    store: &'a Store,
    setup: &'a Setup<'s>,
    /// By mode.
    rules: BTreeMap<String, Rules>,
    folder: RunFolder,
    results: &'a Path,
    stop: &'a Stop,
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
    events: &mut dyn FnMut(Event),
) -> Result<RunSummary, BenchError> {
    let planned = plan(setup)?;
    refuse_if_strict(&planned, options)?;
    let rules = rules(setup.recipe)?;
    let folder = run_folder(setup, options)?;
    let mut earlier = match options.resume {
        Some(_) => resume::earlier(&folder, setup, &planned)?,
        None => resume::Earlier::default(),
    };
    events(Event::RunStarted { id: &folder.id, folder: &folder.path, cases: planned.len() });
    let run = Run { engine, store, setup, rules, folder, results: &options.results, stop };
    let mut records: Vec<RunRecord> = Vec::new();
    for (index, case) in planned.iter().enumerate() {
        let failed = |record: &RunRecord| matches!(record.status, Status::Failed(_));
        let give_up = !options.keep_going && records.last().is_some_and(failed);
        if give_up || stop.is_requested() {
            break;
        }
        if let Some(record) = earlier.finished.remove(&case.case.name) {
            records.push(record);
            continue;
        }
        events(Event::CaseStarted { index: index + 1, case });
        let record = run.case(index + 1, case, events)?;
        events(Event::CaseEnded { record: &record });
        records.push(record);
    }
    let not_run = planned[records.len()..].iter().map(|case| case.case.name.clone()).collect();
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

impl Run<'_, '_> {
    /// Runs or skips one case; its record is on disk when this returns.
    fn case(
        &self,
        index: usize,
        case: &PlannedCase,
        events: &mut dyn FnMut(Event),
    ) -> Result<RunRecord, BenchError> {
        self.folder.set_aside(&case.case.name)?;
        let folder = self.folder.case(&case.case.name)?;
        let start = now("%Y-%m-%dT%H:%M:%SZ");
        let engine = self.engine.name();
        let mut record = blank::record(self.setup, case, engine, &self.folder.id, index, start);
        match case.skipped() {
            Some(reason) => record.status = Status::Skipped(reason.to_owned()),
            None => {
                let ended = self.execute(case, &folder, events)?;
                self.fill_in(&mut record, case, ended);
                self.write_guide_record(&mut record, case, &folder)?;
            }
        }
        let runs = self.store.runs();
        let repeatable = &self.rules[&case.case.mode].benchmark.log.repeatable;
        record.repeatable = previous::compare(&record, repeatable, &[self.results, &runs]);
        let bytes = record.to_bytes();
        self.folder.write_file(&folder.join(FILE), &bytes)?;
        let kept = Path::new("runs").join(&self.folder.id).join(&case.case.name).join(FILE);
        self.store.write_file(&kept, &bytes)?;
        Ok(record)
    }

    fn execute(
        &self,
        case: &PlannedCase,
        folder: &Path,
        events: &mut dyn FnMut(Event),
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
            events(Event::Output { bytes });
            let findings = log.findings();
            let Some(value) = findings.series[series].last() else { return };
            let step = findings.series[series].len();
            if step > seen {
                seen = step;
                let throughput = rules.current(&case.case.variables, findings);
                events(Event::Progress { step, value, throughput: throughput.as_ref() });
            }
        };
        let outcome =
            self.engine.run(self.store, self.setup.image, &case.job, &mut output, self.stop);
        Ok(log.end(outcome, &path, &case.log_file))
    }

    /// Puts what a job did into its record.
    fn fill_in(&self, record: &mut RunRecord, case: &PlannedCase, ended: Ended) {
        if let Ok(outcome) = &ended.outcome {
            record.exit = Some(exit_record(outcome.exit));
            record.duration = Some(outcome.duration.as_secs_f64());
            record.cpu_time = outcome.cpu_time.map(|time| time.as_secs_f64());
            record.peak_memory = outcome.peak_memory;
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
        self.folder.write_file(&folder.join(file), json.as_bytes())?;
        record.guide_record = Some(file.clone());
        Ok(())
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

fn exit_record(exit: Exit) -> ExitRecord {
    match exit {
        Exit::Status(status) => ExitRecord::Status(status),
        Exit::Signal(signal) => ExitRecord::Signal(signal),
        Exit::TimedOut => ExitRecord::Timeout,
        Exit::Stopped => ExitRecord::Stop,
    }
}
