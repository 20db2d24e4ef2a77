//! The page of one case over runs.

use askama::Template;

use super::Content;
use super::view::Tile;
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
        let levels = self.points.iter().filter(|point| point.level.is_some()).count();
        let images = self.points.iter().filter(|point| point.other_seal).count();
        let machines = self.points.iter().filter(|point| !point.other_host.is_empty()).count();
        vec![
            Tile::new(&format!("newest {name}"), newest.unwrap_or(NOTHING.to_owned()), ""),
            Tile::new("changes of level", levels.to_string(), ""),
            Tile::new("changes of image", images.to_string(), ""),
            Tile::new("changes of machine", machines.to_string(), ""),
        ]
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
        changes: point.changes().unwrap_or(NOTHING.to_owned()),
    }
}
