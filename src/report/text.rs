//! The tables that people read in a terminal or on a page of Markdown.

use std::collections::BTreeSet;

use unicode_width::UnicodeWidthStr;

use super::columns::{self, COLUMNS};
use super::model::{Report, Run};
use super::table::{self, Format, Table};
use super::words;
use crate::bench::{Host, Repeatable, RunRecord, Status, Verdict};

/// What a figure is that no program printed.
const ARRIVAL: &str =
    "arrival: from the times at which lines of the log arrived; the program itself prints none";

impl Report<'_> {
    /// One table for each run, with what a reader has to know below it.
    pub fn table(&self, format: Format) -> String {
        let runs = self.runs.iter().map(|run| of_run(run, format));
        runs.collect::<Vec<_>>().join("\n")
    }
}

fn of_run(run: &Run, format: Format) -> String {
    let mut table = Table::new(&COLUMNS);
    run.cases.iter().for_each(|case| table.row(columns::cells(case)));
    let (table, dropped) = table.render(format);
    let mut notes = notes(run);
    if !dropped.is_empty() {
        notes.push(format!("no room here for {}; `--markdown` shows all", dropped.join(", ")));
    }
    let notes: String = notes.iter().map(|note| table::note(note, format)).collect();
    let between = if notes.is_empty() { "" } else { "\n" };
    format!("{}{table}{between}{notes}", heading(run, format))
}

/// Run, what cannot be trusted, image with its seal, profile, engine, machine.
fn heading(run: &Run, format: Format) -> String {
    let record = run.first();
    let mark = if format == Format::Markdown { "## " } else { "" };
    let mut lines: Vec<String> = run.warning().into_iter().collect();
    lines.push(image(record, format));
    if record.parsed.is_none() {
        lines.extend(machine(&record.host));
    }
    let lines: String = lines.iter().map(|line| table::line(line, format)).collect();
    format!("{mark}run {}\n\n{lines}\n", record.run)
}

/// What ran and in what; the seal is cut where a terminal has no room for its digits.
fn image(record: &RunRecord, format: Format) -> String {
    let (name, profile) = (&record.image.name, &record.profile.name);
    if record.parsed.is_some() {
        // Nobody has seen where these logs come from, so no seal stands beside their figures.
        return format!("{name}, seal not verified, profile {profile}, logs made elsewhere");
    }
    let seal = &record.image.seal;
    let with = |seal: &str| format!("{name}@{seal}, profile {profile}, engine {}", record.engine);
    let whole = with(&seal.to_string());
    match format {
        Format::Text(Some(width)) if whole.width() > width => with(&seal.short()),
        _ => whole,
    }
}

/// The machine in a line; absent if nothing is known of it.
pub(super) fn machine(host: &Host) -> Option<String> {
    let mut parts: Vec<String> = host.cpu.iter().cloned().collect();
    parts.extend(
        host.usable_cores
            .or(host.cores)
            .map(|cores| words::count(cores as usize, "processor", "processors")),
    );
    parts.extend(host.memory.map(words::memory));
    let mut names: Vec<&String> = host.gpus.iter().collect();
    names.dedup();
    match (names.as_slice(), host.gpus.len()) {
        (_, 0) if parts.is_empty() => {}
        (_, 0) => parts.push("no GPU".to_owned()),
        ([name], count) if count > 1 => parts.push(format!("{count} × {name}")),
        _ => parts.extend(host.gpus.iter().cloned()),
    }
    (!parts.is_empty()).then(|| table::one_line(&parts.join(", ")))
}

/// Reasons, differences, disturbances, deviations and errata, each once.
fn notes(run: &Run) -> Vec<String> {
    let mut notes: Vec<String> = run.records().flat_map(notes_of).collect();
    notes.extend(shared_notes(run));
    let shown = run.records().flat_map(|record| [&record.final_result, &record.throughput]);
    if shown.flatten().any(|figure| figure.arrival) {
        notes.push(ARRIVAL.to_owned());
    }
    notes.extend(run.records().flat_map(|record| &record.deviations).map(words::deviation));
    notes.extend(errata(run));
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    notes
}

fn notes_of(record: &RunRecord) -> Vec<String> {
    let name = record.label();
    let mut notes = Vec::new();
    notes.extend(outcome(record, &name));
    notes.extend(exchange_notes(record));
    if matches!(record.repeatable, Repeatable::Differs { .. }) {
        notes.push(format!("{name} {}", record.repeatable));
    }
    notes
}

/// How a case ended, if it was not simply well.
fn outcome(record: &RunRecord, name: &str) -> Option<String> {
    match (&record.status, &record.expected_failure) {
        (Status::Ok, None) => None,
        (Status::Ok, Some(why)) => {
            Some(format!("{name} PASSED, ALTHOUGH IT IS EXPECTED TO FAIL: {why}"))
        }
        (Status::Failed(reason), None) => Some(format!("{name} failed: {reason}")),
        (Status::Failed(reason), Some(why)) => {
            Some(format!("{name} failed as expected: {why}\n{reason}"))
        }
        (Status::Skipped(reason), _) => Some(format!("{name} skipped: {reason}")),
    }
}

/// What many cases of a run have in common stands once, with their names: one screen is all there is.
fn shared_notes(run: &Run) -> Vec<String> {
    let mut shared: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for record in run.records() {
        let flags = record.conditions.iter().flat_map(|conditions| &conditions.flags);
        let flags = flags.map(|flag| format!("{}: {}", words::flag(flag.kind), flag.text));
        let of_log = repeated(record).into_iter().chain(words::absent(record));
        for note in flags.chain(incomparable(record)).chain(of_log) {
            match shared.iter_mut().find(|(known, _)| *known == note) {
                Some((_, cases)) => drop(cases.insert(&record.case)),
                None => shared.push((note, [record.case.as_str()].into())),
            }
        }
    }
    let of = |cases: &BTreeSet<&str>| match cases.len() {
        all if all == run.cases.len() && all > 1 => "all cases".to_owned(),
        0..=2 => cases.iter().copied().collect::<Vec<_>>().join(", "),
        several => format!("{several} cases"),
    };
    shared.into_iter().map(|(note, cases)| format!("{} {note}", of(&cases))).collect()
}

/// That the log tells steps more than once, if it does.
fn repeated(record: &RunRecord) -> Option<String> {
    let number = record.log.as_ref()?.repeated_lines;
    (number > 0).then(|| format!("the log repeats itself in {number} lines; each step counts once"))
}

/// Why a record's figure cannot be held against the published one, if so.
fn incomparable(record: &RunRecord) -> Option<String> {
    match super::model::comparison(record).map(|comparison| &comparison.verdict) {
        Some(Verdict::NotComparable(reasons)) if record.status == Status::Ok => {
            Some(format!("not comparable with what is published: {}", reasons.join("; ")))
        }
        _ => None,
    }
}

/// Errata in full where they are few, else their names: a table must not drown in them.
fn errata(run: &Run) -> Vec<String> {
    const FEW: usize = 3;
    let mut names: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for erratum in run.records().flat_map(|record| &record.errata) {
        if !names.contains(&erratum.id.as_str()) {
            names.push(&erratum.id);
            all.push(format!("erratum {erratum}"));
        }
    }
    match names.len() {
        0..=FEW => all,
        count => {
            let (names, image) = (names.join(", "), &run.first().image.name);
            vec![format!("{count} errata: {names}; `repro list {image}` tells them")]
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
