//! The table of all cases. It is written by hand, since it may have ten thousand rows.

use std::fmt::Write;

use super::view::Badge;
use crate::bench::{RunRecord, Status};
use crate::report::model::{self, Case, Report, Run};
use crate::report::plot::frame::text;
use crate::report::words::{self, NOTHING};
use crate::report::{columns, numbers, spark};

/// The cells' names stand in the style sheet, too: a phone shows them in each row.
const HEAD: &str = "<thead><tr><th scope=\"col\">case</th><th scope=\"col\">status</th>\
    <th scope=\"col\">throughput</th><th scope=\"col\">FINAL_RESULT</th><th scope=\"col\">beside published</th>\
    <th scope=\"col\">over steps</th><th scope=\"col\">to heed</th><th scope=\"col\">time</th></tr></thead>";

/// So many points has the curve of a row.
const POINTS: usize = 24;

/// A table for each run, the newest first; cases that `anchor` knows are links to their plots.
///
/// A browser lays out only those tables that are seen.
pub(super) fn table(report: &Report, anchor: impl Fn(usize, usize) -> Option<String>) -> String {
    let mut html = String::new();
    for (number, run) in report.runs.iter().enumerate().rev() {
        heading(&mut html, run);
        for (position, case) in run.cases.iter().enumerate() {
            row(&mut html, case, anchor(number, position).as_deref());
        }
        html.push_str("</tbody></table>");
    }
    html
}

fn heading(html: &mut String, run: &Run) {
    let record = run.first();
    let (name, profile) = (text(&record.image.name), text(&record.profile.name));
    let (start, run) = (text(&words::moment(&record.start)), text(&record.run));
    let _ = write!(
        html,
        "<table><caption><b>{name}, profile {profile}</b> {start} · {run}</caption>{HEAD}<tbody>"
    );
}

fn row(html: &mut String, case: &Case, anchor: Option<&str>) {
    // Where a name may be broken on a narrow page.
    let name = text(case.name()).replace('/', "/<wbr>");
    let name = anchor.map_or(name.clone(), |anchor| format!(r##"<a href="#{anchor}">{name}</a>"##));
    let _ = write!(html, r#"<tr><th scope="row">{name}</th>"#);
    cell(html, &badge(&Badge::of(&case.status())));
    let spread = spread(case).map_or(String::new(), |spread| format!("<small>{spread}</small>"));
    let throughput = columns::figure(case, |record| record.throughput.as_ref(), words::readable);
    cell(html, &format!("{}{spread}", text(&throughput)));
    let printed = columns::figure(case, |record| record.final_result.as_ref(), words::as_printed);
    cell(html, &text(&printed));
    cell(html, &verdict(case));
    cell(html, &sparkline(case.shown()));
    let flags: Vec<String> =
        case.flags().into_iter().map(|flag| badge(&Badge::flag(flag))).collect();
    cell(html, if flags.is_empty() { NOTHING.to_owned() } else { flags.join(" ") }.as_str());
    let time = case.mean(|record| record.duration).map_or(NOTHING.to_owned(), words::duration);
    cell(html, &time);
    html.push_str("</tr>");
}

fn cell(html: &mut String, content: &str) {
    let _ = write!(html, "<td>{content}</td>");
}

fn badge(badge: &Badge) -> String {
    format!(r#"<span class="badge {}">{}</span>"#, badge.class, text(&badge.text))
}

fn spread(case: &Case) -> Option<String> {
    let series = model::progress(case.shown()).filter(|_| case.shown().status == Status::Ok)?;
    Some(columns::spread(case, series)).filter(|spread| spread != NOTHING)
}

fn verdict(case: &Case) -> String {
    let published = columns::published(case.shown());
    let published = match published.as_str() {
        NOTHING => String::new(),
        published => format!("<small>{}</small>", text(published)),
    };
    let word = case.verdict().filter(|_| case.shown().status == Status::Ok);
    word.map_or(NOTHING.to_owned(), |word| format!("{}{published}", badge(&Badge::of(&word))))
}

/// The used steps as a curve; its figures stand in the cells beside it.
fn sparkline(record: &RunRecord) -> String {
    let series = model::progress(record).filter(|series| !series.running_mean);
    let used = series.and_then(|series| numbers::of(series.values.get(series.skipped..)?));
    let Some(used) = used.filter(|used| used.len() > 1 && record.status == Status::Ok) else {
        return NOTHING.to_owned();
    };
    let means = spark::means(&used, POINTS);
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let height = |mean: f64| if high > low { (high - mean) / (high - low) * 24.0 } else { 12.0 };
    let step = 100.0 / (means.len() - 1) as f64;
    let points = means.iter().enumerate();
    let points =
        points.map(|(index, mean)| format!("{:.0} {:.0}", index as f64 * step, height(*mean)));
    let path = points.collect::<Vec<_>>().join("L");
    format!(
        r#"<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true"><path d="M{path}"/></svg>"#
    )
}
