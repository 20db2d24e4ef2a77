//! What an audit found, for a person.

use serde_json::Value;

use crate::audit::{LogReport, Places, Report, Said, ScriptEnd};
use crate::cli::output;
use crate::recipe::Covered;

/// Everything, in the order of its weight.
pub(super) fn show(report: &Report) {
    output::print(&format!("{} {} at {}\n", report.repository, report.guide, report.commit));
    for log in &report.logs {
        show_log(log);
    }
    show_places(&report.places);
    show_statements(report);
}

fn show_places(all: &[Places]) {
    if !all.is_empty() {
        output::print("\nwhat the guide says in two places\n");
    }
    for places in all {
        let verdict = match (places.agrees, &places.erratum) {
            (true, None) => format!("both {}", words(&places.one)),
            (false, Some(id)) => format!("differ, erratum:{id}"),
            (true, Some(id)) => format!("NO DIFFERENCE, although there is erratum:{id}"),
            (false, None) => "DIFFER, and no erratum says so".to_owned(),
        };
        output::print(&format!("  {}: {verdict}\n", places.name));
        for said in [&places.one, &places.other].into_iter().filter(|_| !places.agrees) {
            output::print(&format!("    {}: {}\n", said.file, words(said)));
        }
    }
}

/// What a place says; what it repeats at once stands there once.
fn words(said: &Said) -> String {
    let mut values = said.values.clone();
    values.dedup();
    match (said.is_there, values.as_slice()) {
        (false, _) => "there is no such file".to_owned(),
        (true, []) => "nothing".to_owned(),
        (true, values) => values.join(", "),
    }
}

fn show_log(log: &LogReport) {
    output::print(&format!("\n{} as {}\n", log.log.display(), log.case));
    output::print(&format!("  the guide's {} beside ours\n", log.script));
    if let ScriptEnd::None(reason) = &log.end {
        let ours = log.failure.as_deref().unwrap_or("A RESULT");
        return output::print(&format!("  the guide's: {reason}\n  ours: {ours}\n"));
    }
    let text = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
    let rows = log.fields.iter().map(|field| {
        let (verdict, values) = match (field.same, &field.reason) {
            (true, _) => ("same", text(&field.ours)),
            (false, Some(reason)) => (
                "may differ",
                format!("{} and {}: {reason}", text(&field.guide), text(&field.ours)),
            ),
            (false, None) => {
                ("DIFFERS", format!("{} and {}", text(&field.guide), text(&field.ours)))
            }
        };
        vec![format!("  {}", field.key), verdict.to_owned(), values]
    });
    output::print(&output::columns(&rows.collect::<Vec<_>>(), &[]));
}

fn show_statements(report: &Report) {
    if !report.statements.is_empty() {
        output::print("\nwhat the guide says, and what covers it\n");
    }
    let mut statements: Vec<_> = report.statements.iter().collect();
    statements.sort_by_key(|statement| (&statement.file, statement.lines.map(|lines| lines.first)));
    let rows = statements.into_iter().map(|statement| {
        let place = statement.lines.map_or("MISSING".to_owned(), |lines| format!("line {lines}"));
        let reason = if statement.reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", statement.reason)
        };
        let covered = match &statement.covered_by {
            Covered::LeftOut => "left out".to_owned(),
            covered => covered.to_string(),
        };
        vec![format!("  {place}"), format!("{covered}{reason}"), statement.text.clone()]
    });
    output::print(&output::columns(&rows.collect::<Vec<_>>(), &[]));
    if !report.uncovered.is_empty() {
        let count = output::count(report.uncovered.len(), "line", "lines");
        output::print(&format!("\nnothing covers {count} of the guide's text\n"));
    }
    for line in &report.uncovered {
        output::print(&format!("  line {}: {}\n", line.number, line.text));
    }
}
