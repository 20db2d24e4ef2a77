//! One case over runs, oldest to newest, with the places where its level changed.
//!
//! Only runs that did comparable work stand in one series: the same case, profile and variables as
//! the newest. A changed seal or machine does not end the series, since that is what a reader looks
//! for; it is named at the run where it begins. What is left out is counted with its reason.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::{Case, Report, Summary};
use super::spark;
use super::table::{self, Align, Column, Format, Table};
use super::words::{self, NOTHING, count, significant, with_unit};
use crate::bench::{Host, RunRecord};
use crate::stats;

/// A case over runs.
#[derive(Debug)]
pub struct History<'a> {
    /// The newest of the comparable runs; it says what the others must be.
    pub(super) newest: &'a RunRecord,
    /// Oldest first; never empty.
    pub(super) points: Vec<Point<'a>>,
    /// Why runs of the case are not in the series, with their number.
    pub(super) left_out: BTreeMap<&'static str, usize>,
}

/// One run of the case.
#[derive(Debug)]
pub(super) struct Point<'a> {
    pub record: &'a RunRecord,
    pub summary: Summary,
    /// By how much the level that begins here differs from the one before, if one begins.
    pub level: Option<f64>,
    /// Whether the image is another one than in the run before.
    pub other_seal: bool,
    /// What of the machine differs from the run before.
    pub other_host: Vec<String>,
}

impl<'a> History<'a> {
    /// The series of `case`; absent if no run gave its throughput.
    pub fn of(report: &Report<'a>, case: &str) -> Option<Self> {
        let of_case = report.cases().filter(|one| one.name() == case);
        let mut left_out = BTreeMap::new();
        let mut usable: Vec<(&'a RunRecord, Summary)> = Vec::new();
        for one in of_case {
            match usable_point(one) {
                Ok(point) => usable.push(point),
                Err(reason) => *left_out.entry(reason).or_insert(0) += 1,
            }
        }
        usable.sort_by(|a, b| (&a.0.start, &a.0.run).cmp(&(&b.0.start, &b.0.run)));
        let newest = usable.last()?.0;
        usable.retain(|(record, _)| match why_not_comparable(record, newest) {
            Some(reason) => {
                *left_out.entry(reason).or_insert(0) += 1;
                false
            }
            None => true,
        });
        Some(Self { newest, points: points(&usable), left_out })
    }

    pub(super) fn values(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.summary.mean).collect()
    }

    /// Name and unit of what is shown.
    pub(super) fn figure(&self) -> (&'a str, &'a str) {
        let figure = self.newest.throughput.as_ref();
        figure.map_or(("throughput", ""), |figure| (&figure.name, &figure.unit))
    }

    pub(super) fn title(&self) -> String {
        let runs = count(self.points.len(), "run", "runs");
        format!("{}, profile {}: {runs}", self.newest.case, self.newest.profile.name)
    }

    /// A line for each run, a sparkline above them.
    pub fn table(&self, format: Format) -> String {
        let mut table = Table::new(&COLUMNS);
        let shown = self.shown(format);
        shown.iter().for_each(|point| table.row(self.cells(point)));
        let (table, _) = table.render(format);
        let mark = if format == Format::Markdown { "## " } else { "" };
        let curve = spark::blocks(&self.values(), 60);
        let mut notes = self.notes();
        if shown.len() < self.points.len() {
            let rest = count(self.points.len() - shown.len(), "run", "runs");
            notes.push(format!(
                "{rest} without a change not shown here; `--markdown` and `--json` have all"
            ));
        }
        let notes: String = notes.iter().map(|note| table::note(note, format)).collect();
        let between = if notes.is_empty() { "" } else { "\n" };
        format!("{mark}{}\n\n{curve}\n\n{table}{between}{notes}", self.title())
    }

    /// On a terminal the first run, those where something changed, and the newest.
    fn shown(&self, format: Format) -> Vec<&Point<'a>> {
        let newest = self.points.len().saturating_sub(NEWEST);
        let is_shown = |(index, point): &(usize, &Point)| {
            *index == 0 || *index >= newest || point.level.is_some() || point.changes().is_some()
        };
        let all = self.points.iter().enumerate();
        let shown = all.filter(|one| format == Format::Markdown || is_shown(one));
        shown.map(|(_, point)| point).collect()
    }

    fn cells(&self, point: &Point) -> Vec<String> {
        let (_, unit) = self.figure();
        let spread = point.summary.variation.map(|variation| {
            format!("{} over {}", words::plus_minus(variation), point.summary.count)
        });
        vec![
            words::moment(&point.record.start),
            point.record.run.clone(),
            with_unit(&significant(point.summary.mean), unit),
            spread.unwrap_or(NOTHING.to_owned()),
            point
                .level
                .map_or(NOTHING.to_owned(), |part| format!("new level, {}", words::change(part))),
            point.changes().unwrap_or(NOTHING.to_owned()),
        ]
    }

    /// What a reader must know of what is not shown.
    pub(super) fn notes(&self) -> Vec<String> {
        let left_out = self.left_out.iter();
        let mut notes: Vec<String> = left_out
            .map(|(reason, number)| {
                format!("left out: {}, {reason}", count(*number, "run", "runs"))
            })
            .collect();
        if self.points.len() < 6 {
            notes.push("change points are looked for from six runs on".to_owned());
        }
        notes
    }

    /// The series with every digit.
    pub fn json(&self) -> Value {
        let (name, unit) = self.figure();
        let point = |point: &Point| {
            json!({ "run": point.record.run, "start": point.record.start, "mean": point.summary.mean,
                "variation": point.summary.variation, "count": point.summary.count,
                "image": point.record.image.name, "seal": point.record.image.seal,
                "new_level": point.level, "other_seal": point.other_seal,
                "other_host": point.other_host })
        };
        json!({ "case": self.newest.case, "profile": self.newest.profile.name, "metric": name,
            "unit": unit, "points": self.points.iter().map(point).collect::<Vec<_>>(),
            "left_out": self.left_out })
    }
}

/// So many of the newest runs have a line on a terminal, whether something changed or not.
const NEWEST: usize = 15;

const COLUMNS: [Column; 6] = [
    column("start", Align::Left, 0),
    column("run", Align::Left, 1),
    column("throughput", Align::Right, 0),
    column("spread", Align::Right, 2).only_if_used(),
    column("level", Align::Left, 0).only_if_used(),
    column("changed", Align::Left, 0).only_if_used(),
];

const fn column(name: &'static str, align: Align, rank: u8) -> Column {
    Column { name, align, rank, only_if_used: false }
}

impl Point<'_> {
    /// What changed before this run, in words.
    pub fn changes(&self) -> Option<String> {
        let image = &self.record.image;
        let mut changes = Vec::new();
        if self.other_seal {
            changes.push(format!("image {}@{}", image.name, image.seal.short()));
        }
        changes.extend(self.other_host.iter().cloned());
        (!changes.is_empty()).then(|| changes.join("; "))
    }
}

/// Record and throughput of a case, or why it has no place in the series.
fn usable_point<'a>(case: &Case<'a>) -> Result<(&'a RunRecord, Summary), &'static str> {
    if case.first().parsed.is_some() {
        return Err("of logs made elsewhere");
    }
    let summary = case.summary(|record| record.throughput.as_ref());
    summary.map(|summary| (case.shown(), summary)).ok_or("without a throughput")
}

fn why_not_comparable(record: &RunRecord, newest: &RunRecord) -> Option<&'static str> {
    if record.profile.name != newest.profile.name {
        return Some("of another profile");
    }
    (record.variables != newest.variables).then_some("with other variables")
}

fn points<'a>(usable: &[(&'a RunRecord, Summary)]) -> Vec<Point<'a>> {
    let values: Vec<f64> = usable.iter().map(|(_, summary)| summary.mean).collect();
    let levels = levels(&values);
    let before = |index: usize| index.checked_sub(1).map(|before| usable[before].0);
    let point = |(index, (record, summary)): (usize, &(&'a RunRecord, Summary))| Point {
        record,
        summary: *summary,
        level: levels.get(&index).copied(),
        other_seal: before(index).is_some_and(|before| before.image.seal != record.image.seal),
        other_host: before(index)
            .map_or(Vec::new(), |before| other_parts(&before.host, &record.host)),
    };
    usable.iter().enumerate().map(point).collect()
}

/// Where a level begins, and by how much it differs from the one before.
fn levels(values: &[f64]) -> BTreeMap<usize, f64> {
    let starts = stats::change_points(values);
    let ends = [0].into_iter().chain(starts.iter().copied());
    let ends: Vec<usize> = ends.chain([values.len()]).collect();
    let medians: Vec<Option<f64>> =
        ends.windows(2).map(|pair| stats::median(&values[pair[0]..pair[1]])).collect();
    let change = |(index, start): (usize, &usize)| {
        let (before, after) = (medians[index]?, medians[index + 1]?);
        Some((*start, after / before - 1.0)).filter(|(_, part)| part.is_finite())
    };
    starts.iter().enumerate().filter_map(change).collect()
}

/// Parts of a machine that differ, with both sides.
fn other_parts(before: &Host, now: &Host) -> Vec<String> {
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let parts = [
        ("GPUs", Some(before.gpus.join(", ")), Some(now.gpus.join(", "))),
        ("driver", before.driver.clone(), now.driver.clone()),
        ("processor", before.cpu.clone(), now.cpu.clone()),
        ("processors", number(before.usable_cores), number(now.usable_cores)),
        ("memory", before.memory.map(words::memory), now.memory.map(words::memory)),
        ("kernel", before.kernel.clone(), now.kernel.clone()),
        ("system", before.os.clone(), now.os.clone()),
    ];
    let said =
        |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or("none".to_owned());
    let changed = parts.into_iter().filter(|(_, before, now)| before != now);
    changed
        .map(|(name, before, now)| format!("{name} {} \u{2192} {}", said(before), said(now)))
        .collect()
}
