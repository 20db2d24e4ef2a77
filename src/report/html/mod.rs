//! One page with everything: tables, plots, provenance, and commands that get the numbers again.
//!
//! The page asks for nothing: no network, no font, no script that it needs; its policy forbids all
//! of that. Everything that comes from a record is escaped, and what others wrote into it goes
//! through `scrub` before. What would make the page too large is left out, and the page says so.

mod case;
mod commands;
mod history;
mod palette;
mod policy;
mod run;
mod table;
mod view;

use askama::Template;

use super::model::{Case, Report, Run};
use super::scrub::Clean;
use super::words::{self, count};
use crate::bench::Status;
use crate::results::scrub::Known;
use view::{Page, Tile};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Bytes that cases with their plots may take. Ten thousand rows of the table take twice as much:
/// the whole stays below what a mail may carry.
const DETAILS: usize = 3_000_000;

/// What differs from page to page.
struct Content {
    title: String,
    subtitle: String,
    tiles: Vec<Tile>,
    notes: Vec<String>,
    /// The table of all cases, if there is one.
    table: String,
    /// Everything below it.
    rest: String,
}

fn write(content: Content) -> String {
    let style = format!("{}{STYLE}", palette::css());
    let page = Page {
        policy: policy::policy(&style, SCRIPT),
        style,
        script: SCRIPT,
        title: content.title,
        subtitle: content.subtitle,
        tiles: content.tiles,
        notes: content.notes,
        table: content.table,
        rest: content.rest,
        version: env!("CARGO_PKG_VERSION"),
    };
    let html = page.render().expect("writing into memory cannot fail");
    without_controls(html)
}

/// A log may have anything in it; not even a reader of the source should meet it.
fn without_controls(html: String) -> String {
    let is_bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if html.contains(is_bad) { html.replace(is_bad, "\u{fffd}") } else { html }
}

impl Report<'_> {
    /// The page. Conditions are read from the files beside the records.
    ///
    /// What is `known` of a machine is taken out of texts that others wrote.
    pub fn html(&self, known: &Known) -> String {
        self.page(DETAILS, known)
    }

    /// The page with at most about `details` bytes of plots.
    fn page(&self, details: usize, known: &Known) -> String {
        let (runs, shown) = self.detailed(details, known);
        let table = table::table(self, |run, case| {
            shown.contains(&(run, case)).then(|| case::anchor(run, case))
        });
        write(Content {
            title: self.title(),
            subtitle: self.subtitle(),
            tiles: self.tiles(),
            notes: self.warnings().into_iter().chain(self.left_out(shown.len())).collect(),
            table,
            rest: runs,
        })
    }

    /// Runs with their cases as far as there is room, the newest first, and which cases those are.
    fn detailed(
        &self,
        room: usize,
        known: &Known,
    ) -> (String, std::collections::BTreeSet<(usize, usize)>) {
        let (mut html, mut shown) = (String::new(), std::collections::BTreeSet::new());
        for (number, run) in self.runs.iter().enumerate().rev() {
            let clean = Clean::new(known, run);
            let mut cases = Vec::new();
            let mut left = room.saturating_sub(html.len());
            for (position, one) in run.cases.iter().enumerate() {
                let case = case::render(one, &case::anchor(number, position), &clean);
                if case.len() > left {
                    break;
                }
                left -= case.len();
                shown.insert((number, position));
                cases.push(case);
            }
            if cases.is_empty() {
                break;
            }
            html.push_str(&run::render(run, number, cases, &clean));
        }
        (html, shown)
    }

    fn title(&self) -> String {
        let mut names: Vec<&str> =
            self.runs.iter().map(|run| run.first().image.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        match names.as_slice() {
            [] => "No runs".to_owned(),
            [one] => format!("{one}: {}", count(self.runs.len(), "run", "runs")),
            several => {
                format!("{} of {}", count(self.runs.len(), "run", "runs"), several.join(", "))
            }
        }
    }

    fn subtitle(&self) -> String {
        let starts = self.runs.iter().map(|run| words::moment(&run.first().start));
        let mut starts: Vec<String> = starts.collect();
        starts.sort();
        starts.dedup();
        match starts.as_slice() {
            [first, .., last] => format!("{first} to {last}"),
            _ => starts.concat(),
        }
    }

    fn tiles(&self) -> Vec<Tile> {
        let all: Vec<&Case> = self.cases().collect();
        let with = |status: fn(&Status) -> bool| {
            all.iter().filter(|case| status(&case.shown().status)).count()
        };
        let ok = with(|status| *status == Status::Ok);
        let failed = with(|status| matches!(status, Status::Failed(_)));
        let skipped = with(|status| matches!(status, Status::Skipped(_)));
        let not_ok = [(failed, "failed"), (skipped, "skipped")];
        let not_ok = not_ok.iter().filter(|(number, _)| *number > 0);
        let not_ok: Vec<String> = not_ok.map(|(number, word)| format!("{number} {word}")).collect();
        let verdict =
            |word: &str| all.iter().filter(|case| case.verdict().as_deref() == Some(word)).count();
        let judged = verdict("within") + verdict("above") + verdict("below");
        let flagged = all.iter().filter(|case| !case.flags().is_empty()).count();
        let outside = format!("{} above, {} below", verdict("above"), verdict("below"));
        let none = format!("{} without a comparable reference", all.len() - judged);
        vec![
            Tile::new("cases ok", format!("{ok} of {}", all.len()), not_ok.join(", ")),
            match judged {
                0 => Tile::new("within tolerance", "none judged", none),
                judged => Tile::new(
                    "within tolerance",
                    format!("{} of {judged}", verdict("within")),
                    outside,
                ),
            },
            match flagged {
                0 => Tile::new("disturbed or throttled", "none seen", self.watched(&all)),
                flagged => {
                    Tile::new("disturbed or throttled", format!("{flagged} of {}", all.len()), "")
                }
            },
        ]
    }

    /// Nothing seen is only good where somebody looked.
    fn watched(&self, all: &[&Case]) -> String {
        let watched =
            all.iter().filter(|case| case.records().any(|record| record.conditions.is_some()));
        match watched.count() {
            0 => "nobody watched the machine".to_owned(),
            watched if watched == all.len() => String::new(),
            watched => format!("{watched} of {} cases were watched", all.len()),
        }
    }

    /// What cannot be compared, for each run that has it.
    fn warnings(&self) -> Vec<String> {
        let of = |run: &Run| {
            let warning = run.warning()?;
            let name = if self.runs.len() > 1 {
                format!("run {}: ", run.first().run)
            } else {
                String::new()
            };
            Some(format!("\u{26a0} {name}{warning}"))
        };
        self.runs.iter().rev().filter_map(of).collect()
    }

    fn left_out(&self, shown: usize) -> Vec<String> {
        let all = self.cases().count();
        if shown == all {
            return Vec::new();
        }
        vec![format!(
            "Plots and provenance of {} of {} are on this page, of the newest runs; with all it would be too large. \
            `repro report RUN --html FILE` shows one run whole.",
            words::thousands(shown),
            count(all, "case", "cases")
        )]
    }
}
