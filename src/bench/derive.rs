//! Computes again what a record claims, from its log and the recipe that it names.
//!
//! Everything that follows from the recipe's text, the variables that a user set, the log and the way
//! the command ended is put in anew; what only the run could know (times, machine, data) stays. So a
//! record is right if it says what comes out here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::BenchError;
use super::blank;
use super::comparison;
use super::expected;
use super::figures::Rules;
use super::judge;
use super::log::Findings;
use super::plan::{PlannedCase, plan, rules, without_image};
use super::read_log;
use super::record::{RunRecord, Status};
use super::variables::Setting;
use super::verdict;
use crate::recipe::Recipe;

/// What a record is computed from.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// Its log, and when the pieces of it arrived, if somebody noted that.
    Log {
        /// Where the log lies.
        path: &'a Path,
        /// The text of the file that says when they arrived.
        arrivals: Option<&'a str>,
    },
    /// The step values that it has itself: the log is not at hand.
    Steps,
}

/// What a record should say.
#[derive(Debug)]
pub struct Derived {
    /// The record.
    pub record: RunRecord,
    /// The record that the guide asks for, if it asks for one: its name and its bytes.
    pub guide_record: Option<(String, String)>,
}

/// Computes `record` again by the rules of `recipe`, which must be the one that it names.
///
/// # Errors
///
/// The recipe has no such profile, variable or case, or the arrivals do not fit the log.
pub fn derive(
    record: &RunRecord,
    recipe: &Recipe,
    evidence: &Evidence,
) -> Result<Derived, BenchError> {
    let used = |deviation: &super::Deviation| Setting {
        name: deviation.name.clone(),
        value: deviation.used.clone(),
    };
    let settings: Vec<Setting> = record.deviations.iter().map(used).collect();
    let sealed = (record.image.seal, record.image.lock);
    let cases = [record.case.clone()];
    without_image(recipe, &record.profile.name, sealed, (&cases, &settings), |setup| {
        let planned = plan(setup)?;
        let case = planned.first().expect("a chosen case is planned or an error");
        let rules = &rules(recipe)?[&case.case.mode];
        let blank = blank::record(setup, case, "", &record.run, record.index, String::new());
        let mut fresh = from_recipe(record, blank);
        let guide_record = match &record.status {
            Status::Skipped(_) => None,
            _ => Some(from_log(&mut fresh, record, rules, case, evidence)?).flatten(),
        };
        // What was expected of a log that somebody else made nobody asked.
        if record.parsed.is_none() {
            fresh.expected_failure = expected::reason(recipe, &fresh);
        }
        fresh.comparisons = comparison::compare(&fresh);
        Ok(Derived { record: fresh, guide_record })
    })
}

/// The record with what the recipe decides, and without what the log decides.
fn from_recipe(record: &RunRecord, blank: RunRecord) -> RunRecord {
    let mut fresh = record.clone();
    fresh.variables = blank.variables;
    fresh.deviations = blank.deviations;
    fresh.guide_command = blank.guide_command;
    fresh.not_taken_over = blank.not_taken_over;
    fresh.progress = blank.progress;
    fresh.errata = blank.errata;
    fresh.published = blank.published;
    fresh.reference_host = blank.reference_host;
    if record.parsed.is_none() {
        fresh.job.command = blank.job.command;
        fresh.job.workdir = blank.job.workdir;
    }
    (fresh.final_result, fresh.throughput) = (None, None);
    (fresh.metrics, fresh.checks) = (Vec::new(), Vec::new());
    (fresh.once, fresh.series) = (BTreeMap::new(), BTreeMap::new());
    (fresh.not_measured, fresh.totals) = (BTreeSet::new(), BTreeMap::new());
    fresh.guide_record = None;
    fresh
}

/// Puts in what the log decides; returns the guide's record.
fn from_log(
    fresh: &mut RunRecord,
    record: &RunRecord,
    rules: &Rules,
    case: &PlannedCase,
    evidence: &Evidence,
) -> Result<Option<(String, String)>, BenchError> {
    let (findings, last_line) = match evidence {
        Evidence::Log { path, arrivals } => {
            let log = read_log::read(path, &rules.patterns, *arrivals)?;
            (log.findings, Some(log.last_line))
        }
        Evidence::Steps => (findings_of(record), None),
    };
    if let Some(log) = &mut fresh.log {
        log.file.clone_from(&case.log_file);
        log.cut_lines = findings.cut_lines;
        log.repeated_lines = findings.repeated_lines;
    }
    let failure = verdict::of_record(record, last_line.as_deref());
    let variables = &case.case.variables;
    judge::judge(fresh, rules, variables, findings, failure);
    fresh.guide_record.clone_from(&case.record_file);
    Ok(case.record_file.clone().map(|file| {
        let json = judge::guide_record(fresh, rules, variables, &case.log_file);
        (file, json)
    }))
}

/// What the record says that its log says.
fn findings_of(record: &RunRecord) -> Findings {
    let values = record.series.iter().map(|(name, series)| (name.clone(), series.values.clone()));
    Findings {
        once: record.once.clone(),
        series: values.collect(),
        not_measured: record.not_measured.clone(),
        progress: record.totals.clone(),
        cut_lines: record.log.as_ref().map_or(0, |log| log.cut_lines),
        dropped_values: 0,
        repeated_lines: record.log.as_ref().map_or(0, |log| log.repeated_lines),
        miscounted: verdict::miscounted_of(record),
    }
}
