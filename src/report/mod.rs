//! Tables from run records, for a terminal or as Markdown.
//!
//! Reads nothing but records: errata and published figures were copied into them
//! when the case ended. Says everything in words, so that no colour is needed.
//!
//! Invariants: `FINAL_RESULT` stands as the guide's script would print it, the true
//! throughput beside it, each with its unit; what was not measured is called so; a case
//! that failed or was skipped has no figures and gives its reason below the table. Text
//! of a log never reaches a terminal with control characters in it.

mod columns;
mod table;
mod verdicts;

use crate::bench::{Repeatable, RunRecord, Status};

pub use table::Format;
use table::{Align, Table};

/// One table for each run among `records`, with what a reader has to know below it.
pub fn report(records: &[RunRecord], format: Format) -> String {
    let mut text = String::new();
    for run in records.chunk_by(|a, b| a.run == b.run) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&heading(&run[0], format));
        text.push_str(&table_of(run).render(format));
        text.push_str(&notes(run, format));
    }
    text
}

/// What a figure is that no program printed.
const ARRIVAL: &str =
    "arrival: from the times at which lines of the log arrived; the program itself prints none";

/// Run, image with its seal, profile, engine.
fn heading(record: &RunRecord, format: Format) -> String {
    let mark = if format == Format::Markdown { "## " } else { "" };
    let (image, profile) = (&record.image, &record.profile.name);
    if record.parsed.is_some() {
        // Nobody has seen where these logs come from, so no seal stands beside their figures.
        let name = &image.name;
        return format!(
            "{mark}run {}\n\n{name}, seal not verified, profile {profile}, logs made elsewhere\n\n",
            record.run
        );
    }
    format!(
        "{mark}run {}\n\n{}@{}, profile {profile}, engine {}\n\n",
        record.run, image.name, image.seal, record.engine
    )
}

fn table_of(run: &[RunRecord]) -> Table {
    let mut table = Table::new(&[
        ("case", Align::Left),
        ("status", Align::Left),
        ("FINAL_RESULT", Align::Right),
        ("throughput", Align::Right),
        ("steps", Align::Right),
        ("spread", Align::Right),
        ("time", Align::Right),
        ("memory", Align::Right),
        ("repeated", Align::Left),
    ]);
    for record in run {
        table.row(columns::cells(record));
    }
    table
}

/// Reasons, differences, deviations and errata, each once.
fn notes(run: &[RunRecord], format: Format) -> String {
    let mut notes: Vec<String> = Vec::new();
    for record in run {
        notes.extend(outcome(record));
        notes.extend(exchange_notes(record));
        if matches!(record.repeatable, Repeatable::Differs { .. }) {
            notes.push(format!("{} {}", record.label(), record.repeatable));
        }
        notes.extend(verdicts::verdicts(record));
    }
    notes.extend(verdicts::spreads(run));
    let shown = run.iter().flat_map(|record| [&record.final_result, &record.throughput]);
    if shown.flatten().any(|figure| figure.arrival) {
        notes.push(ARRIVAL.to_owned());
    }
    let deviations = run.iter().flat_map(|record| &record.deviations);
    notes.extend(deviations.map(columns::deviation));
    notes.extend(errata(run));
    let mut seen = std::collections::BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    let lines = notes.iter().map(|note| table::note(note, format));
    let text: String = lines.collect();
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// How a case ended, if it was not simply well.
fn outcome(record: &RunRecord) -> Option<String> {
    let case = record.label();
    match (&record.status, &record.expected_failure) {
        (Status::Ok, None) => None,
        (Status::Ok, Some(why)) => {
            Some(format!("{case} PASSED, ALTHOUGH IT IS EXPECTED TO FAIL: {why}"))
        }
        (Status::Failed(reason), None) => Some(format!("{case} failed: {reason}")),
        (Status::Failed(reason), Some(why)) => {
            Some(format!("{case} failed as expected: {why}\n{reason}"))
        }
        (Status::Skipped(reason), _) => Some(format!("{case} skipped: {reason}")),
    }
}

/// Errata in full where they are few, else their names: a table must not drown in them.
fn errata(run: &[RunRecord]) -> Vec<String> {
    const FEW: usize = 3;
    let mut names: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for erratum in run.iter().flat_map(|record| &record.errata) {
        if !names.contains(&erratum.id.as_str()) {
            names.push(&erratum.id);
            all.push(format!("erratum {erratum}"));
        }
    }
    let image = run.first().map_or("", |record| record.image.name.as_str());
    match names.len() {
        0..=FEW => all,
        count => {
            vec![format!("{count} errata: {}; `repro list {image}` tells them", names.join(", "))]
        }
    }
}

/// What a reader has to know of the company a case ran in, and of what it left.
fn exchange_notes(record: &RunRecord) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(count) = record.shared_host {
        notes.push(format!("{} shared the machine: {count} cases ran at once", record.case));
    }
    for (name, output) in record.outputs.iter().filter(|_| record.exit.is_some()) {
        if output.files.is_empty() {
            notes.push(format!("{} left no output `{name}` ({})", record.case, output.path));
        }
        let problems = output.problems.iter();
        notes.extend(problems.map(|why| format!("{} output `{name}` {why}", record.case)));
    }
    notes
}

#[cfg(test)]
mod tests;
