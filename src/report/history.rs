//! One case over runs, oldest to newest, with the places where its level changed.
//!
//! Only runs that did comparable work stand in one series: the same case, profile and variables as
//! the newest. A changed seal, engine or machine does not end the series, since that is what a reader
//! looks for; it is named at the run where it begins, and so is what would spoil a run's number. What
//! is left out is counted with its reason.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::document::kebab;
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
    /// What would spoil the number, each once.
    pub flags: Vec<&'static str>,
    /// Whether anybody looked for that while it ran.
    pub is_watched: bool,
    /// By how much the level that begins here differs from the one before, if one begins.
    pub level: Option<f64>,
    /// Whether the image is another one than in the run before.
    pub other_seal: bool,
    /// Engine, recipe or lock where they differ from the run before, with both sides.
    pub other_setup: Vec<String>,
    /// What of the machine differs from the run before.
    pub other_host: Vec<String>,
}

impl<'a> History<'a> {
    /// The series of `case`; absent if no run gave its throughput.
    pub fn of(report: &Report<'a>, case: &str) -> Option<Self> {
        let of_case = report.cases().filter(|one| one.name() == case);
        let mut left_out = BTreeMap::new();
        let mut points: Vec<Point<'a>> = Vec::new();
        for one in of_case {
            match point(one) {
                Ok(point) => points.push(point),
                Err(reason) => *left_out.entry(reason).or_insert(0) += 1,
            }
        }
        points.sort_by(|a, b| when(a).cmp(&when(b)));
        let newest = points.last()?.record;
        points.retain(|point| match why_not_comparable(point.record, newest) {
            Some(reason) => {
                *left_out.entry(reason).or_insert(0) += 1;
                false
            }
            None => true,
        });
        compare(&mut points);
        Some(Self { newest, points, left_out })
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
        notes.extend(self.not_shown(&shown));
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

    /// How many runs have no line, and whether one of them is a reason to look at all.
    fn not_shown(&self, shown: &[&Point]) -> Option<String> {
        let rest = self.points.len() - shown.len();
        let flagged = |points: usize| self.flagged().count() - points;
        let flagged = flagged(shown.iter().filter(|point| !point.flags.is_empty()).count());
        let with_flags = match flagged {
            0 => String::new(),
            flagged => format!(", {flagged} of them with flags,"),
        };
        let rest = (rest > 0).then(|| count(rest, "run", "runs"))?;
        Some(format!(
            "{rest} without a change{with_flags} not shown here; `--markdown` and `--json` have all"
        ))
    }

    /// Runs whose number something would spoil.
    pub(super) fn flagged(&self) -> impl Iterator<Item = &Point<'a>> {
        self.points.iter().filter(|point| !point.flags.is_empty())
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
            point.flags().unwrap_or(NOTHING.to_owned()),
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
        json!({ "case": self.newest.case, "profile": self.newest.profile.name, "metric": name,
            "unit": unit, "points": self.points.iter().map(Point::json).collect::<Vec<_>>(),
            "left_out": self.left_out })
    }
}

/// So many of the newest runs have a line on a terminal, whether something changed or not.
const NEWEST: usize = 15;

const COLUMNS: [Column; 7] = [
    column("start", Align::Left, 0),
    column("run", Align::Left, 1),
    column("throughput", Align::Right, 0),
    column("spread", Align::Right, 2).only_if_used(),
    column("level", Align::Left, 0).only_if_used(),
    column("flags", Align::Left, 0).only_if_used(),
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
        changes.extend(self.other_setup.iter().chain(&self.other_host).cloned());
        (!changes.is_empty()).then(|| changes.join("; "))
    }

    /// What would spoil its number, in words.
    pub fn flags(&self) -> Option<String> {
        (!self.flags.is_empty()).then(|| self.flags.join(", "))
    }

    fn json(&self) -> Value {
        let (record, summary) = (self.record, &self.summary);
        let flags: Vec<String> = self.flags.iter().map(|flag| kebab(flag)).collect();
        json!({ "run": record.run, "start": record.start, "mean": summary.mean,
            "variation": summary.variation, "count": summary.count, "flags": flags,
            "image": record.image.name, "seal": record.image.seal, "lock": record.image.lock,
            "recipe": record.image.recipe, "engine": record.engine, "new_level": self.level,
            "other_seal": self.other_seal, "other_setup": self.other_setup,
            "other_host": self.other_host })
    }
}

/// A case as a run of the series, or why it has no place in it.
fn point<'a>(case: &Case<'a>) -> Result<Point<'a>, &'static str> {
    if case.first().parsed.is_some() {
        return Err("of logs made elsewhere");
    }
    let summary =
        case.summary(|record| record.throughput.as_ref()).ok_or("without a throughput")?;
    Ok(Point {
        record: case.shown(),
        summary,
        flags: case.flags(),
        is_watched: case.records().any(|record| record.conditions.is_some()),
        level: None,
        other_seal: false,
        other_setup: Vec::new(),
        other_host: Vec::new(),
    })
}

fn when<'a>(point: &Point<'a>) -> (&'a str, &'a str) {
    (&point.record.start, &point.record.run)
}

fn why_not_comparable(record: &RunRecord, newest: &RunRecord) -> Option<&'static str> {
    if record.profile.name != newest.profile.name {
        return Some("of another profile");
    }
    (record.variables != newest.variables).then_some("with other variables")
}

/// Says of each run what differs from the one before.
fn compare(points: &mut [Point]) {
    let values: Vec<f64> = points.iter().map(|point| point.summary.mean).collect();
    for (index, part) in levels(&values) {
        points[index].level = Some(part);
    }
    for index in 1..points.len() {
        let before = points[index - 1].record;
        let point = &mut points[index];
        point.other_seal = before.image.seal != point.record.image.seal;
        point.other_setup = other_setup(before, point.record);
        point.other_host = other_parts(&before.host, &point.record.host);
    }
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

/// Engine, recipe and lock that differ, with both sides.
fn other_setup(before: &RunRecord, now: &RunRecord) -> Vec<String> {
    let (old, new) = (&before.image, &now.image);
    let mut changed = Vec::new();
    if before.engine != now.engine {
        changed.push(differs("engine", &before.engine, &now.engine));
    }
    if old.recipe != new.recipe {
        changed.push(differs("recipe", &old.recipe.short(), &new.recipe.short()));
    }
    // Another image is of another lock anyway.
    if old.lock != new.lock && old.seal == new.seal {
        changed.push(differs("lock", &old.lock.short(), &new.lock.short()));
    }
    changed
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
    changed.map(|(name, before, now)| differs(name, &said(before), &said(now))).collect()
}

fn differs(name: &str, before: &str, now: &str) -> String {
    format!("{name} {before} \u{2192} {now}")
}
