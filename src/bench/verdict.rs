//! Says why a case has failed.

use super::figures::{Figure, Rules};
use super::kept_log::Ended;
use crate::engine::{Exit, Job};

/// Why the case has failed, if it has, as a fragment.
///
/// How the command ended comes first: a job that crashed after its last step has failed,
/// whatever its log says.
pub(super) fn failure(
    rules: &Rules,
    job: &Job,
    ended: &Ended,
    figures: &[Figure],
) -> Option<String> {
    match &ended.outcome {
        Err(error) => Some(format!("the job could not be run: {}", chain(error))),
        Ok(outcome) => bad_exit(outcome.exit, job, ended)
            .or_else(|| bad_log(ended))
            .or_else(|| missing(rules, figures)),
    }
}

fn bad_exit(exit: Exit, job: &Job, ended: &Ended) -> Option<String> {
    let what = match exit {
        Exit::Status(0) => return None,
        Exit::Stopped => return Some("stopped by the user".to_owned()),
        Exit::Status(status) => format!("the command returned {status}"),
        Exit::Signal(signal) => format!("the command was ended by {}", signal_name(signal)),
        Exit::TimedOut => format!("the command took longer than {} s", job.timeout.as_secs()),
    };
    Some(match ended.last_line.as_str() {
        "" => format!("{what} without having written anything"),
        line => format!("{what}\n  last line  {line}"),
    })
}

fn bad_log(ended: &Ended) -> Option<String> {
    if let Some(error) = &ended.log_error {
        return Some(format!("the log could not be kept: {}", chain(error)));
    }
    let count = ended.findings.dropped_values;
    (count > 0).then(|| format!("the log has {count} values too many or too long to keep"))
}

/// The first figure that is not there although it has to be.
fn missing(rules: &Rules, figures: &[Figure]) -> Option<String> {
    let needed =
        figures.iter().zip(&rules.benchmark.metrics).filter(|(_, metric)| !metric.optional);
    let mut reasons = needed.filter_map(|(figure, _)| {
        Some(format!("no `{}`: {}", figure.name, figure.reason.as_ref()?))
    });
    reasons.next()
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
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
