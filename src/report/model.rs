//! Records by run and case: repetitions of a case belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::words;
use crate::bench::{Comparison, Figure, NO_REFERENCE, RunRecord, SeriesRecord, Status};
use crate::results::Stored;
use crate::stats;

/// Records as they are reported, run by run.
#[derive(Debug)]
pub struct Report<'a> {
    /// In the order of their names, which begin with the time of their start.
    pub(super) runs: Vec<Run<'a>>,
}

/// One run.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// In the order in which they ran; never empty.
    pub cases: Vec<Case<'a>>,
}

/// One case of a run, with all of its repetitions.
#[derive(Debug)]
pub(super) struct Case<'a> {
    /// In their order; never empty.
    pub repeats: Vec<Entry<'a>>,
}

/// One record, and where it lies if that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub record: &'a RunRecord,
    pub folder: Option<&'a Path>,
}

/// A figure over the repetitions that gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    pub mean: f64,
    /// Standard deviation as a part of the mean; absent for one value.
    pub variation: Option<f64>,
    pub count: usize,
}

/// The largest memory of a case in bytes, by what it counts; one says nothing about the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Anonymous and shared memory.
    Job(u64),
    /// Page cache included, where nothing else is known: a record of an earlier program.
    WithCache(u64),
}

impl<'a> Report<'a> {
    /// Groups records; those that no file is known of have no conditions to plot.
    pub fn of_records(records: impl IntoIterator<Item = &'a RunRecord>) -> Self {
        Self::new(records.into_iter().map(|record| Entry { record, folder: None }))
    }

    /// Groups records that lie in folders.
    pub fn of_stored(stored: impl IntoIterator<Item = &'a Stored>) -> Self {
        let entry = |one: &'a Stored| Entry { record: &one.record, folder: Some(&one.folder) };
        Self::new(stored.into_iter().map(entry))
    }

    fn new(entries: impl Iterator<Item = Entry<'a>>) -> Self {
        let mut runs: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            runs.entry(&entry.record.run).or_default().push(entry);
        }
        Self { runs: runs.into_values().map(Run::new).collect() }
    }

    /// The names of all cases, each once.
    pub fn case_names(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.cases().map(Case::name).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = &Case<'a>> {
        self.runs.iter().flat_map(|run| &run.cases)
    }
}

impl<'a> Run<'a> {
    fn new(mut entries: Vec<Entry<'a>>) -> Self {
        let number = |entry: &Entry| entry.record.repeat.map_or(0, |repeat| repeat.number);
        entries.sort_by_key(|entry| (entry.record.index, number(entry)));
        let mut cases: Vec<Case> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in entries {
            let place = *places.entry(&entry.record.case).or_insert(cases.len());
            match cases.get_mut(place) {
                Some(case) => case.repeats.push(entry),
                None => cases.push(Case { repeats: vec![entry] }),
            }
        }
        Self { cases }
    }

    /// The first record: what is said of a whole run stands in each of them.
    pub fn first(&self) -> &'a RunRecord {
        self.cases[0].first()
    }

    /// Which figures cannot be compared, since the machine was disturbed: what a reader has to know first.
    pub fn warning(&self) -> Option<String> {
        let measured = self.cases.iter().filter(|case| case.shown().status == Status::Ok);
        let (flagged, good): (Vec<&Case>, Vec<&Case>) =
            measured.partition(|case| !case.flags().is_empty());
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for flag in flagged.iter().flat_map(|case| case.flags()) {
            match kinds.iter_mut().find(|(known, _)| *known == flag) {
                Some((_, count)) => *count += 1,
                None => kinds.push((flag, 1)),
            }
        }
        let kinds = kinds.iter().map(|(kind, count)| match flagged.len() {
            1 => (*kind).to_owned(),
            _ => format!("{kind}: {count}"),
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        match (flagged.len(), good.len()) {
            (0, _) => None,
            (1, 0) => Some(format!("do not compare this figure: its case is flagged ({kinds})")),
            (all, 0) => {
                Some(format!("do not compare these figures: all {all} cases are flagged ({kinds})"))
            }
            (bad, good) => Some(format!(
                "compare {good} of {} cases only: {bad} {} flagged ({kinds})",
                good + bad,
                if bad == 1 { "is" } else { "are" }
            )),
        }
    }

    pub fn records(&self) -> impl Iterator<Item = &'a RunRecord> {
        self.cases.iter().flat_map(|case| case.repeats.iter().map(|entry| entry.record))
    }
}

impl<'a> Case<'a> {
    /// The first repetition.
    pub fn first(&self) -> &'a RunRecord {
        self.repeats[0].record
    }

    /// The repetition that figures are shown of where there is room for one: the first that has any.
    pub fn shown(&self) -> &'a RunRecord {
        self.ok().next().unwrap_or(self.first())
    }

    pub fn name(&self) -> &'a str {
        &self.first().case
    }

    pub fn records(&self) -> impl Iterator<Item = &'a RunRecord> {
        self.repeats.iter().map(|entry| entry.record)
    }

    /// What the repetitions that gave figures come to in the mean.
    pub fn mean(&self, of: impl Fn(&RunRecord) -> Option<f64>) -> Option<f64> {
        stats::mean(&self.ok().filter_map(&of).collect::<Vec<_>>()).or(of(self.shown()))
    }

    /// The largest memory that a repetition took.
    pub fn memory(&self) -> Option<Memory> {
        let largest = |of: fn(&RunRecord) -> Option<u64>| self.records().filter_map(of).max();
        let job = largest(|record| record.peak_job_memory).map(Memory::Job);
        job.or_else(|| largest(|record| record.peak_memory).map(Memory::WithCache))
    }

    pub fn ok(&self) -> impl Iterator<Item = &'a RunRecord> {
        self.records().filter(|record| record.status == Status::Ok)
    }

    /// `ok`, or how many of its repetitions failed.
    pub fn status(&self) -> String {
        let ok = self.ok().count();
        if self.repeats.len() == 1 || ok == self.repeats.len() || ok == 0 {
            let worst = self.records().find(|record| record.status != Status::Ok);
            return words::status(worst.unwrap_or(self.first())).to_owned();
        }
        format!("{} of {} failed", self.repeats.len() - ok, self.repeats.len())
    }

    /// What a figure of the repetitions comes to.
    pub fn summary(&self, figure: fn(&RunRecord) -> Option<&Figure>) -> Option<Summary> {
        let value = |record: &'a RunRecord| Some(figure(record)?.value?.as_f64());
        let values: Vec<f64> = self.ok().filter_map(value).collect();
        Summary::of(&values)
    }

    /// The verdict over all repetitions; absent if an old record does not say.
    pub fn verdict(&self) -> Option<String> {
        let mut words: Vec<(&str, usize)> = Vec::new();
        for word in self.ok().filter_map(comparison).map(|one| words::verdict(&one.verdict)) {
            match words.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => words.push((word, 1)),
            }
        }
        match words.as_slice() {
            [] if self.records().any(|record| !record.published.is_empty()) => None,
            [] => Some(NO_REFERENCE.to_owned()),
            [(word, _)] => Some((*word).to_owned()),
            several => {
                let parts = several.iter().map(|(word, count)| format!("{count} {word}"));
                Some(parts.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// What would spoil the numbers, each once.
    pub fn flags(&self) -> Vec<&'static str> {
        let conditions = self.records().filter_map(|record| record.conditions.as_ref());
        let mut kinds: Vec<_> =
            conditions.flat_map(|conditions| &conditions.flags).map(|flag| flag.kind).collect();
        kinds.sort();
        kinds.dedup();
        let mut flags: Vec<&str> = kinds.into_iter().map(words::flag).collect();
        if self.records().any(|record| record.shared_host.is_some()) {
            flags.push("shared machine");
        }
        flags
    }
}

impl Summary {
    pub fn of(values: &[f64]) -> Option<Self> {
        let mean = stats::mean(values)?;
        let variation = stats::deviation(values).filter(|_| mean != 0.0);
        let variation = variation.map(|deviation| deviation / mean.abs());
        Some(Self { mean, variation, count: values.len() })
    }
}

/// The comparison that stands for a record.
pub(super) fn comparison(record: &RunRecord) -> Option<&Comparison> {
    let shown = [record.throughput.as_ref(), record.final_result.as_ref()];
    let of = |name: &str| record.comparisons.iter().find(|one| one.published.metric == name);
    let named = shown.into_iter().flatten().find_map(|figure| of(&figure.name));
    named.or(record.comparisons.first())
}

/// The series that counts steps.
pub(super) fn progress(record: &RunRecord) -> Option<&SeriesRecord> {
    record.series.get(&record.progress)
}

/// Functions whose result has the unit of the series that they are given.
const SAME_UNIT: [&str; 7] = ["mean", "median", "last", "first", "min", "max", "sum"];

/// The unit of a series: a log writes none, but a figure that is its plain mean, its last value or a
/// thousand times that has one. Absent where nothing tells.
pub(super) fn unit<'a>(record: &'a RunRecord, series: &str) -> Option<&'a str> {
    if record.series.get(series).is_some_and(|series| series.arrival) {
        return Some("s");
    }
    let of_figure = |function: &str| {
        let plain = format!("{function}({series})");
        let thousand = [format!("1000 * {plain}"), format!("{plain} * 1000")];
        record.metrics.iter().find_map(|figure| match figure.unit.as_str() {
            unit if figure.formula == plain => Some(unit),
            "ms" if thousand.contains(&figure.formula) => Some("s"),
            _ => None,
        })
    };
    SAME_UNIT.iter().find_map(|function| of_figure(function))
}
