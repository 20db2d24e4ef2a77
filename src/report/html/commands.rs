//! Commands that get a run's numbers again.

use super::view::Command;
use crate::bench::{FULL_PROFILE, RunRecord, value_text};
use crate::report::model::{Case, Run};
use crate::report::scrub::Clean;

/// How to get every case of a run again: here, from a checkout, on a machine without a network.
pub(super) fn of_run(run: &Run, clean: &Clean) -> Vec<Command> {
    let record = run.first();
    if record.parsed.is_some() {
        return Vec::new();
    }
    let (name, id) = (&record.image.name, &record.run);
    vec![
        Command::new(
            "The same image again, named by its seal, wherever this store or an imported bundle is:",
            clean.text(&run_command(record, run.cases.iter().map(Case::name))),
        ),
        Command::new(
            "From a checkout of the project: build the image again elsewhere on this machine and compare every byte with its seal:",
            format!("repro verify {name}"),
        ),
        Command::new(
            "Everything in one file, for a machine without a network:",
            format!(
                "repro bundle {} -o {} --with-data",
                quoted(id),
                quoted(&format!("{id}.repro"))
            ),
        ),
        Command::new("There:", format!("repro import {}", quoted(&format!("{id}.repro")))),
        Command::new(
            "To compute every figure again from the logs that were kept:",
            format!("repro results check {}", quoted(id)),
        ),
    ]
}

/// The command for one case, with what was set otherwise.
pub(super) fn of_case(record: &RunRecord, clean: &Clean) -> Option<Command> {
    let text = record
        .parsed
        .is_none()
        .then(|| clean.text(&run_command(record, [record.case.as_str()])))?;
    Some(Command::new("This case alone:", text))
}

/// Names every case: a run of some of them is not one of all.
fn run_command<'a>(record: &RunRecord, cases: impl IntoIterator<Item = &'a str>) -> String {
    let image = format!("{}@{}", record.image.name, record.image.seal);
    let mut words = vec!["repro run --image".to_owned(), quoted(&image)];
    if record.profile.name != FULL_PROFILE {
        words.push(format!("--profile {}", quoted(&record.profile.name)));
    }
    words.extend(cases.into_iter().map(|case| format!("--case {}", quoted(case))));
    if let Some(repeat) = record.repeat {
        words.push(format!("--repeat {}", repeat.of));
    }
    for deviation in &record.deviations {
        let setting = format!("{}={}", deviation.name, value_text(&deviation.used));
        words.push(format!("--set {}", quoted(&setting)));
    }
    words.join(" ")
}

/// A word that a shell takes as it is.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_every_word_as_it_is() {
        assert_eq!(quoted("seg-debian@sha256:9d17"), "seg-debian@sha256:9d17");
        assert_eq!(quoted("a b;$(rm)"), "'a b;$(rm)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
