//! `repro list --cases`: the matrices of the guides.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::CliError;
use super::output;
use crate::bench::{self, FULL_PROFILE, MatrixCase, Number};
use crate::recipe::{Published, Recipe};

/// A case of a guide, with every image that has it.
struct Entry<'a> {
    system: &'a str,
    case: MatrixCase,
    /// Image and command.
    commands: BTreeMap<&'a str, Vec<String>>,
    errata: usize,
}

/// Every case of the guides once, in the order of systems and matrices: variants share them.
fn entries(recipes: &[Recipe]) -> Result<Vec<Entry<'_>>, CliError> {
    let mut entries: Vec<Entry> = Vec::new();
    for recipe in recipes {
        for case in bench::matrix(recipe)? {
            let command = case.command.clone();
            let at = entries.iter().position(|entry| entry.case.name == case.name);
            let entry = match at {
                Some(at) => &mut entries[at],
                None => {
                    let (system, errata) = (&recipe.system, recipe.errata.len());
                    let commands = BTreeMap::new();
                    entries.push(Entry { system, case, commands, errata });
                    entries.last_mut().expect("one was just added")
                }
            };
            entry.commands.insert(&recipe.name, command);
            entry.errata = entry.errata.max(recipe.errata.len());
        }
    }
    entries.sort_by_key(|entry| (entry.system, entry.case.unavailable.is_some()));
    Ok(entries)
}

/// Prints them.
pub fn show(recipes: &[Recipe], json: bool) -> Result<(), CliError> {
    let entries = entries(recipes)?;
    if json {
        output::json(&entries.iter().map(describe).collect::<Vec<_>>());
        return Ok(());
    }
    for group in entries.chunk_by(|one, other| one.system == other.system) {
        let images: Vec<&str> = group[0].commands.keys().copied().collect();
        let cases = output::count(group.len(), "case", "cases");
        output::print(&format!("{} ({}): {cases}\n", group[0].system, images.join(", ")));
        if let Some(host) = &group[0].case.reference_host {
            output::print(&format!("  the guide's machine: {host}\n"));
        }
        let rows: Vec<Vec<String>> = group.iter().map(row).collect();
        output::print(&output::columns(&rows, &[]));
    }
    Ok(())
}

fn row(entry: &Entry) -> Vec<String> {
    let case = &entry.case;
    let published = case.published.iter().map(figure).collect::<Vec<_>>().join(", ");
    let expected =
        case.expected_failures.iter().map(|reason| format!("expected to fail: {reason}"));
    let state = match &case.unavailable {
        Some(reason) => vec![format!("unavailable: {reason}")],
        None if published.is_empty() => expected.collect(),
        None => expected.chain([format!("published {published}")]).collect(),
    };
    let state = state.join("; ");
    vec![format!("  {}", case.name), case.guide_command.clone(), state]
}

/// `throughput 15.49 images/s (± 3 %)`.
pub fn figure(published: &Published) -> String {
    let value = Number::Float(published.value).repr();
    let value = value.strip_suffix(".0").unwrap_or(&value);
    let tolerance = published.tolerance.map(|tolerance| format!("({tolerance})"));
    let words = [&published.metric, value, &published.unit, &tolerance.unwrap_or_default()];
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn describe(entry: &Entry) -> Value {
    let Entry { system, case, commands, errata } = entry;
    let images: Vec<&&str> = commands.keys().collect();
    let command: BTreeMap<_, _> = commands.iter().filter(|(_, words)| !words.is_empty()).collect();
    json!({
        "case": case.name, "system": system, "images": images, "profile": FULL_PROFILE,
        "guide_command": case.guide_command, "command": command, "published": case.published,
        "unavailable": case.unavailable, "errata": errata, "expected_failures": case.expected_failures,
        "reference_host": case.reference_host,
    })
}
