//! The page of one case over runs.

use askama::Template;

use super::Content;
use super::view::{Badge, Tile};
use crate::report::history::{History, Point};
use crate::report::plot;
use crate::report::words::{self, NOTHING, count, significant, with_unit};

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryView {
    plot: String,
    rows: Vec<Row>,
}

struct Row {
    start: String,
    run: String,
    throughput: String,
    spread: String,
    level: String,
    flags: Vec<Badge>,
    changes: String,
}

impl History<'_> {
    /// The page with the plot and a line for each run.
    pub fn html(&self) -> String {
        let (_, unit) = self.figure();
        let rows = self.points.iter().rev().map(|point| row(point, unit)).collect();
        let view = HistoryView { plot: plot::history::plot(self).unwrap_or_default(), rows };
        super::write(Content {
            title: self.newest.case.clone(),
            subtitle: format!(
                "over {}, profile {}",
                count(self.points.len(), "run", "runs"),
                self.newest.profile.name
            ),
            tiles: self.tiles(),
            notes: self.notes(),
            table: String::new(),
            rest: view.render().expect("writing into memory cannot fail"),
        })
    }

    fn tiles(&self) -> Vec<Tile> {
        let (name, unit) = self.figure();
        let newest =
            self.points.last().map(|point| with_unit(&significant(point.summary.mean), unit));
        let number = |is: fn(&Point) -> bool| {
            self.points.iter().filter(|point| is(point)).count().to_string()
        };
        vec![
            Tile::new(&format!("newest {name}"), newest.unwrap_or(NOTHING.to_owned()), ""),
            Tile::new("changes of level", number(|point| point.level.is_some()), ""),
            Tile::new("changes of image", number(|point| point.other_seal), ""),
            Tile::new(
                "changes of engine, recipe or lock",
                number(|point| !point.other_setup.is_empty()),
                "",
            ),
            Tile::new("changes of machine", number(|point| !point.other_host.is_empty()), ""),
            self.spoilt(),
        ]
    }

    /// How many runs have flags; none seen is only good where somebody looked.
    fn spoilt(&self) -> Tile {
        let (all, flagged) = (self.points.len(), self.flagged().count());
        let watched = self.points.iter().filter(|point| point.is_watched).count();
        let value = match flagged {
            0 => "none seen".to_owned(),
            flagged => format!("{flagged} of {all}"),
        };
        let note = match watched {
            watched if watched == all => String::new(),
            0 => "nobody watched the machine".to_owned(),
            watched => format!("{watched} of {all} runs were watched"),
        };
        Tile::new("disturbed or throttled", value, note)
    }
}

fn row(point: &Point, unit: &str) -> Row {
    let spread = point.summary.variation;
    Row {
        start: words::moment(&point.record.start),
        run: point.record.run.clone(),
        throughput: with_unit(&significant(point.summary.mean), unit),
        spread: spread.map_or(NOTHING.to_owned(), words::plus_minus),
        level: point.level.map_or(NOTHING.to_owned(), |part| {
            format!("\u{2691} new level, {}", words::change(part))
        }),
        flags: point.flags.iter().map(|flag| Badge::flag(flag)).collect(),
        changes: point.changes().unwrap_or(NOTHING.to_owned()),
    }
}
