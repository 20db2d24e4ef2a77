//! Says why a case has failed.

use super::checks::Check;
use super::figures::{Figure, Rules};
use super::kept_log::Ended;
use super::log::{Findings, no_line};
use super::record::{ExitRecord, RunRecord, Status};
use crate::engine::{Exit, Job};

/// Why the job has failed, if it has, as a fragment.
///
/// How the command ended comes before anything else: a job that crashed after its last step has
/// failed, whatever its log says.
pub(super) fn of_job(job: &Job, ended: &Ended) -> Option<String> {
    match &ended.outcome {
        Err(error) => Some(format!("the job could not be run: {}", chain(error))),
        Ok(outcome) => {
            let exit = bad_exit(outcome.exit, job.timeout.as_secs(), &ended.last_line);
            exit.or_else(|| bad_file(ended))
        }
    }
}

/// The same of a job that has its record already; `last_line` of its log, if that is at hand.
///
/// What only the run could see (an engine that failed, a log that could not be written) is believed.
pub(super) fn of_record(record: &RunRecord, last_line: Option<&str>) -> Option<String> {
    let told = match &record.status {
        Status::Failed(reason) => Some(reason),
        _ => None,
    };
    let exit = match &record.exit {
        None if record.parsed.is_some() => return None,
        None => return Some(told.cloned().unwrap_or("the command never ended".to_owned())),
        Some(ExitRecord::Status(0)) => {
            return told.filter(|reason| reason.starts_with(NOT_KEPT)).cloned();
        }
        Some(ExitRecord::Status(status)) => Exit::Status(*status),
        Some(ExitRecord::Signal(signal)) => Exit::Signal(*signal),
        Some(ExitRecord::Timeout) => Exit::TimedOut,
        Some(ExitRecord::Stop) => Exit::Stopped,
    };
    match (last_line, told) {
        (None, Some(told)) => Some(told.clone()),
        (line, _) => bad_exit(exit, record.job.timeout, line.unwrap_or_default()),
    }
}

/// How a log that could not be written begins to be told.
const NOT_KEPT: &str = "the log could not be kept";

/// How a log whose steps cannot be told apart begins to be told.
const MISCOUNTED: &str = "no step of this log is sure";

/// That the steps of a record's log cannot be told apart, by the record: its values do not show it.
pub(super) fn miscounted_of(record: &RunRecord) -> Option<String> {
    let Status::Failed(reason) = &record.status else { return None };
    reason.strip_prefix(MISCOUNTED)?.strip_prefix(": ").map(str::to_owned)
}

/// Why a log is that of a job that has failed, if it is, as a fragment.
pub(super) fn of_log(
    rules: &Rules,
    findings: &Findings,
    figures: &[Figure],
    checks: &[Check],
) -> Option<String> {
    dropped(findings)
        .or_else(|| miscounted(findings))
        .or_else(|| cut(findings))
        .or_else(|| missing(rules, findings, figures))
        .or_else(|| too_few(rules, findings))
        .or_else(|| never_counted(rules, findings))
        .or_else(|| unchecked(findings, checks))
}

fn bad_exit(exit: Exit, timeout: u64, last_line: &str) -> Option<String> {
    let what = match exit {
        Exit::Status(0) => return None,
        Exit::Stopped => return Some("stopped by the user".to_owned()),
        Exit::Status(status) => format!("the command returned {status}"),
        Exit::Signal(signal) => format!("the command was ended by {}", signal_name(signal)),
        Exit::TimedOut => format!("the command took longer than {timeout} s"),
    };
    Some(match last_line {
        "" => format!("{what} without having written anything"),
        line => format!("{what}\n  last line  {line}"),
    })
}

fn bad_file(ended: &Ended) -> Option<String> {
    let error = ended.log_error.as_ref()?;
    Some(format!("{NOT_KEPT}: {}", chain(error)))
}

fn dropped(findings: &Findings) -> Option<String> {
    let count = findings.dropped_values;
    (count > 0).then(|| format!("the log has {count} values too many or too long to keep"))
}

fn miscounted(findings: &Findings) -> Option<String> {
    Some(format!("{MISCOUNTED}: {}", findings.miscounted.as_ref()?))
}

/// The first count that stopped before its total.
fn cut(findings: &Findings) -> Option<String> {
    let counts = findings.progress.iter();
    let mut cut = counts.filter_map(|(name, count)| {
        let count = count.filter(|count| !count.is_complete())?;
        Some(format!("the log ends early: `{name}` is {} of {}", count.step, count.total))
    });
    cut.next()
}

/// The first figure that is not there although it has to be.
fn missing(rules: &Rules, findings: &Findings, figures: &[Figure]) -> Option<String> {
    let needed =
        figures.iter().zip(&rules.benchmark.metrics).filter(|(_, metric)| !metric.optional);
    // A log without times is not a failed one.
    let needed = needed.filter(|(figure, _)| !figure.is_not_measured(findings));
    let mut reasons = needed.filter_map(|(figure, _)| {
        Some(format!("no `{}`: {}", figure.name, figure.reason.as_ref()?))
    });
    reasons.next()
}

/// A run of which nothing is left after the skip, whatever the formulas make of that.
fn too_few(rules: &Rules, findings: &Findings) -> Option<String> {
    let name = &rules.benchmark.log.progress;
    let (found, skipped) = (findings.series.get(name)?.len(), rules.skip(name));
    let words =
        format!("no more records than are skipped: `{name}`: {found} found, {skipped} skipped");
    (found <= skipped).then_some(words)
}

fn never_counted(rules: &Rules, findings: &Findings) -> Option<String> {
    let (name, _) = findings.progress.iter().find(|(_, count)| count.is_none())?;
    let looked_for = no_line(&rules.benchmark.log.total.get(name)?.pattern);
    Some(format!("the log never says how far it has come: there is no `{name}` ({looked_for})"))
}

/// Every check that did not hold.
fn unchecked(findings: &Findings, checks: &[Check]) -> Option<String> {
    let failed = checks.iter().filter(|check| match check.holds {
        Some(holds) => !holds,
        None => findings.not_measured.is_empty(),
    });
    let lines: Vec<String> = failed
        .map(|check| {
            let reason = check.reason.as_deref().unwrap_or_default();
            format!("check `{}`: {reason}", check.name)
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

/// An error and its causes as one text: a record has no other place for them.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
