//! `repro list`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::cases;
use super::context::Context;
use super::error::CliError;
use super::{output, recipes, reference, subject};
use crate::bench::{self, Case};
use crate::digest::Digest;
use crate::image;
use crate::recipe::Recipe;
use crate::store::Store;

/// List images, their profiles and cases; what is sealed, unsealed or unpinned
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro list                 every image with its state; outside a project, the images of the store\n  \
    repro list seg-debian      its profiles and cases\n  \
    repro list --cases         every case of the guides: what they type, what they publish\n  \
    repro list --cases --json  the same with what is run")]
pub struct Arguments {
    /// Show the profiles and cases of these images
    images: Vec<String>,
    /// Show the matrix of each guide, one case a line; variants share it
    #[arg(long)]
    cases: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if context.settings.project().is_err() {
        let store = context.store_to_read()?;
        let images = reference::known(&store)?;
        if !images.is_empty() && arguments.images.is_empty() && !arguments.cases {
            return of_store(context, &store, &images);
        }
    }
    let recipes = recipes::load(context, &arguments.images)?;
    if arguments.cases {
        cases::show(&recipes, context.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if context.json {
        let items: Result<Vec<Value>, CliError> =
            recipes.iter().map(|recipe| describe(context, recipe)).collect();
        output::json(&items?);
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.images.is_empty() {
        return table(context, &recipes);
    }
    for recipe in &recipes {
        details(context, recipe)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The images of the store, each with its seal: what was imported or pulled has no project.
fn of_store(
    context: &Context,
    store: &Store,
    images: &[(String, Digest)],
) -> Result<ExitCode, CliError> {
    let mut items = Vec::new();
    let mut rows = vec![["image", "seal", "cases", "title"].map(str::to_owned).to_vec()];
    for (name, seal) in images {
        // An image whose recipe nobody kept can still be looked at and exported.
        let recipe = subject::sealed(store, name.clone(), seal, None).ok().map(|it| it.recipe);
        let title = recipe.as_ref().map_or(String::new(), |recipe| recipe.title.clone());
        let profiles = recipe.as_ref().map_or(Ok(Vec::new()), profiles)?;
        let count = |(profile, cases): &(String, Vec<Case>)| format!("{profile} {}", cases.len());
        let cases: Vec<String> = profiles.iter().map(count).collect();
        items.push(json!({ "image": name, "seal": seal, "title": title }));
        rows.push(vec![name.clone(), seal.short(), cases.join(", "), title]);
    }
    if context.json {
        output::json(&items);
    } else {
        output::print(&output::columns(&rows, &[]));
        output::note("these are the images of the store; `NAME@SEAL` names one of several");
    }
    Ok(ExitCode::SUCCESS)
}

fn table(context: &Context, recipes: &[Recipe]) -> Result<ExitCode, CliError> {
    let mut rows = vec![["image", "state", "cases", "title"].map(str::to_owned).to_vec()];
    for recipe in recipes {
        let cases: Vec<String> = profiles(recipe)?
            .into_iter()
            .map(|(profile, cases)| format!("{profile} {}", cases.len()))
            .collect();
        let state = state(context, recipe)?;
        rows.push(vec![recipe.name.clone(), state, cases.join(", "), recipe.title.clone()]);
    }
    output::print(&output::columns(&rows, &[]));
    Ok(ExitCode::SUCCESS)
}

fn details(context: &Context, recipe: &Recipe) -> Result<(), CliError> {
    output::print(&format!("{}: {}\n", recipe.name, recipe.title));
    output::print(&format!("state: {}\n", state(context, recipe)?));
    let guide = &recipe.guide;
    output::print(&format!("guide: {} {} at {}\n", guide.repository, guide.path, guide.commit));
    for (profile, cases) in profiles(recipe)? {
        output::print(&format!("\nprofile {profile}: {}\n", recipe.profiles[&profile].about));
        cases.iter().for_each(|case| output::print(&format!("  {}\n", case.name)));
    }
    published(recipe);
    if !recipe.errata.is_empty() {
        output::print("\nerrata:\n");
    }
    for erratum in &recipe.errata {
        output::print(&format!("  {erratum}\n"));
    }
    Ok(())
}

/// What the guide measured, where, and what is known to fail.
fn published(recipe: &Recipe) {
    if let Some(host) = &recipe.reference_host {
        output::print(&format!("\nthe guide's machine: {host} ({})\n", host.source));
    }
    if !recipe.published.is_empty() {
        output::print("\npublished:\n");
    }
    for figure in &recipe.published {
        output::print(&format!("  {} {}\n", figure.case, cases::figure(figure)));
        let lines = [Some(&figure.conditions), figure.unlike.as_ref(), Some(&figure.basis)];
        for line in lines.into_iter().flatten().filter(|line| !line.is_empty()) {
            output::print(&format!("      {line}\n"));
        }
    }
    for failure in &recipe.expected_failures {
        output::print(&format!("expected to fail: {} {}\n", failure.case, failure.reason));
    }
}

fn profiles(recipe: &Recipe) -> Result<Vec<(String, Vec<Case>)>, CliError> {
    recipe
        .profiles
        .keys()
        .map(|profile| Ok((profile.clone(), bench::expand(recipe, profile, &[])?)))
        .collect()
}

fn state(context: &Context, recipe: &Recipe) -> Result<String, CliError> {
    let Some(lock) = context.find_lock(&recipe.name)? else { return Ok("not locked".to_owned()) };
    if !lock.unpinned.is_empty() {
        return Ok(format!("{} unpinned", lock.unpinned.len()));
    }
    if !lock.matches(recipe)?.is_empty() {
        return Ok("lock is old".to_owned());
    }
    let Some(seal) = &lock.seal else { return Ok("locked, not sealed".to_owned()) };
    let store = context.store_to_read()?;
    let built = image::list(&store)?.iter().any(|(_, built)| *built == seal.manifest);
    let state = if built { "built" } else { "sealed" };
    Ok(format!("{state} {}", seal.manifest.short()))
}

fn describe(context: &Context, recipe: &Recipe) -> Result<Value, CliError> {
    let profiles: serde_json::Map<String, Value> = profiles(recipe)?
        .into_iter()
        .map(|(profile, cases)| {
            let names: Vec<String> = cases.into_iter().map(|case| case.name).collect();
            (profile, json!(names))
        })
        .collect();
    let seal = context.find_lock(&recipe.name)?.and_then(|lock| lock.seal);
    Ok(json!({
        "image": recipe.name, "title": recipe.title, "state": state(context, recipe)?,
        "seal": seal.map(|seal| seal.manifest), "profiles": profiles, "errata": recipe.errata,
    }))
}
