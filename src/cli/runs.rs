//! Runs as `status`, `attach` and `stop` name and describe them.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::CliError;
use crate::bench::{Phase, RunState, RunningCase};
use crate::store::Store;

/// What stands for the newest run.
const LATEST: &str = "latest";

/// The run of a word: its name, an unambiguous beginning of it, its folder, or `latest`.
pub fn find(store: &Store, word: &str) -> Result<RunState, CliError> {
    let mut states = RunState::all(store);
    let known =
        |states: &[RunState]| states.iter().rev().take(5).map(|it| it.run.clone()).collect();
    if word == LATEST {
        let none = CliError::NoRun { word: word.to_owned(), known: Vec::new() };
        return states.pop().ok_or(none);
    }
    let name = match Path::new(word).is_dir() {
        true => Path::new(word).file_name().map_or(word.into(), |name| name.to_string_lossy()),
        false => word.into(),
    };
    if let Some(exact) = states.iter().find(|state| state.run == name) {
        return Ok(exact.clone());
    }
    let begins = |state: &&RunState| !name.is_empty() && state.run.starts_with(&*name);
    let fitting: Vec<&RunState> = states.iter().filter(begins).collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(CliError::NoRun { word: word.to_owned(), known: known(&states) }),
        several => {
            let candidates = several.iter().map(|state| state.run.clone()).collect();
            Err(CliError::Ambiguous { reference: word.to_owned(), candidates })
        }
    }
}

/// The run that goes on, if no other does; else the newest.
pub fn current(store: &Store) -> Result<RunState, CliError> {
    let states = RunState::all(store);
    let going_on = |state: &&RunState| state.phase(store) == Phase::Running;
    let newest = states.iter().rev().find(going_on).or(states.last());
    newest.cloned().ok_or(CliError::NoRun { word: LATEST.to_owned(), known: Vec::new() })
}

/// `2 of 6`, with what failed, was skipped or came from an earlier attempt.
pub fn cases(state: &RunState) -> String {
    let ended = &state.ended;
    let part = |count: usize, what: &str| match count {
        0 => String::new(),
        count => format!(", {count} {what}"),
    };
    let (failed, skipped) = (part(ended.failed, "failed"), part(ended.skipped, "skipped"));
    let before = part(ended.before, "measured before");
    format!("{} of {}{failed}{skipped}{before}", ended.all(), state.cases)
}

/// `record 40 (31 %), 7.51 images/s`; nothing before the first record.
pub fn progress(records: usize, part: Option<f64>, speed: Option<(f64, &str)>) -> String {
    if records == 0 {
        return String::new();
    }
    let part = part.map_or(String::new(), |part| format!(" ({:.0} %)", part * 100.0));
    let speed = speed.map_or(String::new(), |(value, unit)| format!(", {value:.2} {unit}"));
    format!("record {records}{part}{speed}")
}

/// `[2/6] seg/fastscnn/sp/bs2/fp32: record 4, 7.51 images/s`
pub fn line(case: &RunningCase, cases: usize) -> String {
    let speed = case.speed.as_ref().map(|(value, unit)| (*value, unit.as_str()));
    let progress = progress(case.records, case.part, speed);
    let between = if progress.is_empty() { "" } else { ": " };
    format!("[{}/{cases}] {}{between}{progress}", case.index, case.case)
}

/// `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes:02} min"),
        (days, hours, _) => format!("{days} d {hours:02} h"),
    }
}

/// The command that goes on with a run, to be copied into a shell.
pub fn resume(state: &RunState) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_=./,:@%+".contains(letter);
    let quoted =
        state.resume.iter().map(|word| match word.chars().all(is_plain) && !word.is_empty() {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        });
    quoted.collect::<Vec<_>>().join(" ")
}

/// `on gpu07, last heard of 40 s ago`: all that can be told of a run on another machine.
pub fn elsewhere(state: &RunState, now: Timestamp) -> String {
    format!("on {}, last heard of {} ago", state.process.host, duration(state.silent(now)))
}

/// A run for machines.
pub fn describe(state: &RunState, phase: Phase, now: Timestamp) -> Value {
    let goes_on = phase == Phase::Running;
    let remaining = state.remaining(now).filter(|_| goes_on);
    json!({
        "run": state.run, "state": phase, "folder": state.folder, "image": state.image,
        "profile": state.profile, "host": state.process.host, "detached": state.process.detached,
        "cases": { "of": state.cases, "ended": state.ended.all(), "ok": state.ended.ok,
            "failed": state.ended.failed, "skipped": state.ended.skipped,
            "before": state.ended.before },
        "running": state.running.iter().map(describe_case).collect::<Vec<_>>(),
        "started": state.started, "written": state.written,
        "elapsed_seconds": state.elapsed(phase, now).as_secs_f64(),
        "remaining_seconds": remaining.map(|time| time.as_secs_f64()),
        "exit_code": state.end.as_ref().map(|end| end.code),
        "error": state.end.as_ref().and_then(|end| end.error.clone()),
        "not_run": state.end.as_ref().map(|end| end.not_run.clone()),
        "resume": matches!(phase, Phase::Died | Phase::Stopped | Phase::Failed).then(|| resume(state)),
    })
}

fn describe_case(case: &RunningCase) -> Value {
    let speed = case.speed.as_ref();
    json!({
        "index": case.index, "case": case.case, "started": case.started,
        "records": case.records, "part": case.part,
        "throughput": speed.map(|(value, _)| value), "unit": speed.map(|(_, unit)| unit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_parts_at_most() {
        let told = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(told(42), "42 s");
        assert_eq!(told(200), "3 min 20 s");
        assert_eq!(told(7500), "2 h 05 min");
        assert_eq!(told(3 * 86_400 + 4 * 3600 + 59), "3 d 04 h");
    }

    #[test]
    fn progress_tells_what_is_known() {
        assert_eq!(progress(0, Some(0.5), None), "");
        assert_eq!(progress(4, None, Some((7.514, "images/s"))), "record 4, 7.51 images/s");
        assert_eq!(progress(4, Some(0.312), None), "record 4 (31 %)");
    }
}
