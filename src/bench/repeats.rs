//! Cases that run several times, and how far their figures lie apart.
//!
//! The whole matrix runs once, then once more, and so on. Repetitions of one case right after each
//! other would share what the machine happens to be like at that time (its temperature, what it keeps
//! in memory, who else is at work) and lie closer together than two runs ever do; interleaved they are
//! as far apart in time as the run is long, and what slowly changes meets all cases alike.
//!
//! Each repetition has a folder of its own below the case's, `repeat-1` and so on, and takes what the
//! repetition of the same number left.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::BenchError;
use super::figures::Figure;
use super::plan::PlannedCase;
use super::record::{Repeat, RunRecord, Status};
use crate::stats;

/// Begins the name of a repetition's folder.
const FOLDER: &str = "repeat-";

/// The folder of a case or of one repetition of it, relative to the run's.
pub(super) fn place(case: &str, repeat: Option<Repeat>) -> String {
    match repeat {
        Some(Repeat { number, .. }) => format!("{case}/{FOLDER}{number}"),
        None => case.to_owned(),
    }
}

/// The number of the repetition that a folder is named after.
pub(super) fn number_of(folder: &Path) -> Option<usize> {
    folder.file_name()?.to_str()?.strip_prefix(FOLDER)?.parse().ok()
}

fn label(case: &str, repeat: Option<Repeat>) -> String {
    match repeat {
        Some(Repeat { number, of }) => format!("{case} ({number} of {of})"),
        None => case.to_owned(),
    }
}

impl RunRecord {
    /// Its folder relative to the run's: the case's name, and which repetition it is, if it is one.
    pub fn place(&self) -> String {
        place(&self.case, self.repeat)
    }

    /// The case for a reader, with which repetition it is.
    pub fn label(&self) -> String {
        label(&self.case, self.repeat)
    }
}

impl PlannedCase {
    /// Its folder relative to the run's.
    pub fn place(&self) -> String {
        place(&self.case.name, self.repeat)
    }

    /// The case for a reader, with which repetition it is.
    pub fn label(&self) -> String {
        label(&self.case.name, self.repeat)
    }

    /// The folder of the case that it needs: of the repetition of its own number.
    pub(super) fn needed_place(&self) -> Option<String> {
        self.needs.as_ref().map(|needed| place(needed, self.repeat))
    }
}

/// The plan so many times over, in the order in which it is run.
pub(super) fn repeated(planned: &[PlannedCase], times: usize) -> Vec<PlannedCase> {
    if times <= 1 {
        return planned.to_vec();
    }
    let round = |number| {
        let repeat = Some(Repeat { number, of: times });
        planned.iter().map(move |case| PlannedCase { repeat, ..case.clone() })
    };
    (1..=times).flat_map(round).collect()
}

/// How often each case is to run: what the user says, or what a run that goes on was started with.
pub(super) fn times(
    asked: Option<usize>,
    records: &[RunRecord],
    folder: &Path,
    planned: &[PlannedCase],
) -> Result<usize, BenchError> {
    if let Some(asked) = asked {
        return Ok(asked.max(1));
    }
    if let Some(record) = records.first() {
        return Ok(record.repeat.map_or(1, |repeat| repeat.of));
    }
    // A run that was killed in its first case has a folder and no record.
    let begun = |case: &PlannedCase| {
        let first = Some(Repeat { number: 1, of: 1 });
        folder.join(place(&case.case.name, first)).is_dir()
    };
    match planned.iter().any(begun) {
        true => Err(BenchError::HowOften { folder: folder.to_owned() }),
        false => Ok(1),
    }
}

/// One case of one run with all that was measured of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repeats<'a> {
    /// The run.
    pub run: &'a str,
    /// The case.
    pub case: &'a str,
    /// How many repetitions were asked for.
    pub of: usize,
    /// The records, in the order of their numbers.
    #[serde(skip)]
    pub records: Vec<&'a RunRecord>,
    /// How many of them measured something.
    pub measured: usize,
    /// Each figure that all of these have, by the order of the recipe.
    pub figures: Vec<RepeatedFigure<'a>>,
}

/// One figure of several repetitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RepeatedFigure<'a> {
    /// Name of the metric.
    pub name: &'a str,
    /// Its unit.
    pub unit: &'a str,
    /// The value of each repetition that has one, in the order of their numbers.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (of a sample); absent for less than two.
    pub deviation: Option<f64>,
    /// The deviation as a part of the mean (coefficient of variation); absent where the mean is 0.
    pub variation: Option<f64>,
}

impl Repeats<'_> {
    /// The figure of a name.
    pub fn figure(&self, name: &str) -> Option<&RepeatedFigure<'_>> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// The true throughput of all repetitions.
    pub fn throughput(&self) -> Option<&RepeatedFigure<'_>> {
        let named = self.records.iter().find_map(|record| record.throughput.as_ref());
        named.and_then(|figure| self.figure(&figure.name))
    }
}

/// The records that are repetitions, those of one case of one run together, in the order of the
/// first of each.
pub fn repeats(records: &[RunRecord]) -> Vec<Repeats<'_>> {
    let mut groups: BTreeMap<(&str, &str), (usize, Vec<&RunRecord>)> = BTreeMap::new();
    for (at, record) in records.iter().enumerate().filter(|(_, record)| record.repeat.is_some()) {
        let group = groups.entry((&record.run, &record.case)).or_insert((at, Vec::new()));
        group.1.push(record);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (first, _))| *first);
    groups.into_iter().map(|((run, case), (_, group))| of_case(run, case, group)).collect()
}

fn of_case<'a>(run: &'a str, case: &'a str, mut records: Vec<&'a RunRecord>) -> Repeats<'a> {
    let number = |record: &RunRecord| record.repeat.map_or(1, |repeat| repeat.number);
    records.sort_by_key(|record| number(record));
    let of = records.iter().filter_map(|record| record.repeat).map(|repeat| repeat.of).max();
    let measured: Vec<_> =
        records.iter().copied().filter(|record| record.status == Status::Ok).collect();
    let names = measured.first().map_or(&[][..], |record| &record.metrics);
    let figures = names.iter().filter_map(|figure| repeated_figure(figure, &measured)).collect();
    Repeats { run, case, of: of.unwrap_or(1), measured: measured.len(), figures, records }
}

fn repeated_figure<'a>(
    figure: &'a Figure,
    measured: &[&'a RunRecord],
) -> Option<RepeatedFigure<'a>> {
    let value = |record: &&RunRecord| {
        let figure = record.metrics.iter().find(|other| other.name == figure.name)?;
        figure.value.map(super::Number::as_f64)
    };
    let values: Vec<f64> = measured.iter().filter_map(value).collect();
    let mean = stats::mean(&values)?;
    let deviation = stats::deviation(&values);
    let variation = deviation.filter(|_| mean != 0.0).map(|deviation| (deviation / mean).abs());
    let (name, unit) = (figure.name.as_str(), figure.unit.as_str());
    Some(RepeatedFigure { name, unit, values, mean, deviation, variation })
}
