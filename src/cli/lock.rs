//! `repro lock`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::fetch::pin::{self, Request};
use crate::layer::EPOCH;
use crate::lock::Lock;
use crate::recipe::Recipe;

/// Resolve a recipe once and write its lock
#[derive(Debug, Args)]
#[command(
    after_help = "Needs apt (for Debian packages) and uv (for Python packages); building from a \
    lock needs neither.\n\nExamples:\n  \
    repro lock seg-debian                  resolve everything\n  \
    repro lock seg-debian --update numpy   resolve one thing again\n  \
    repro lock seg-debian --diff           what would change, without writing\n  \
    repro lock --check                     do all locks belong to their recipes? (offline)"
)]
pub struct Arguments {
    /// The images; all of them if none is named
    images: Vec<String>,
    /// Only say whether the locks belong to their recipes; asks nothing from a network
    #[arg(long, conflicts_with_all = ["update", "diff"])]
    check: bool,
    /// Resolve only this package, wheel or file again
    #[arg(long, value_name = "NAME")]
    update: Option<String>,
    /// Show what would change, and write nothing
    #[arg(long)]
    diff: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let recipes = recipes(context, &arguments.images)?;
    if arguments.check {
        return check(context, &recipes);
    }
    for recipe in &recipes {
        let previous = context.find_lock(&recipe.name)?;
        let store = context.store()?;
        let request = Request {
            recipe,
            epoch: EPOCH,
            base: None,
            previous: previous.as_ref(),
            update: arguments.update.as_deref(),
        };
        let lock = pin::pin(&context.settings, &store, request, &|what| {
            context.display.finish();
            context.display.begin(what, 0);
        });
        context.display.finish();
        let lock = lock?;
        show_changes(context, previous.as_ref(), &lock);
        if !arguments.diff {
            let path = context.write_lock(&lock)?;
            output::note(&format!("wrote `{}`", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn recipes(context: &Context, names: &[String]) -> Result<Vec<Recipe>, CliError> {
    if names.is_empty() {
        return Ok(Recipe::load_all(&context.images()?)?);
    }
    names.iter().map(|name| context.recipe(name)).collect()
}

fn check(context: &Context, recipes: &[Recipe]) -> Result<ExitCode, CliError> {
    let mut good = true;
    let mut report = Vec::new();
    for recipe in recipes {
        let differences: Vec<String> = match context.find_lock(&recipe.name)? {
            Some(lock) => lock.matches(recipe)?.iter().map(ToString::to_string).collect(),
            None => vec!["there is no lock".to_owned()],
        };
        good &= differences.is_empty();
        report.push((recipe.name.clone(), differences));
    }
    if context.json {
        let items = report.iter().map(|(name, differences)| {
            json!({ "image": name, "matches": differences.is_empty(), "differences": differences })
        });
        output::json(&items.collect::<Vec<_>>());
    } else {
        for (name, differences) in &report {
            let state = if differences.is_empty() {
                "matches its recipe"
            } else {
                "does not match its recipe"
            };
            output::print(&format!("{name}: the lock {state}\n"));
            differences.iter().for_each(|line| output::print(&format!("  {line}\n")));
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn show_changes(context: &Context, previous: Option<&Lock>, lock: &Lock) {
    let changes: Vec<String> = match previous {
        Some(previous) => previous.diff(lock).iter().map(ToString::to_string).collect(),
        None => vec![format!(
            "new lock: {} Debian packages, {} wheels, {} compiled",
            lock.packages.len(),
            lock.wheels.len(),
            lock.builds.len()
        )],
    };
    if context.json {
        return output::json(
            &json!({ "image": lock.name, "lock": lock.digest(), "changes": changes }),
        );
    }
    if changes.is_empty() {
        return output::print(&format!("{}: nothing changes\n", lock.name));
    }
    output::print(&format!("{}:\n", lock.name));
    changes.iter().for_each(|change| output::print(&format!("  {change}\n")));
}
