//! `repro lock`

mod summary;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::{init, output, recipes};
use crate::build;
use crate::fetch::pin::{self, Base, Pinned, Request};
use crate::layer::EPOCH;
use crate::lock::{Difference, Lock, LockedBase, Unpinned};
use crate::recipe::Recipe;
use crate::registry;
use crate::store::Store;

/// Resolve a recipe once and write its lock
#[derive(Debug, Args)]
#[command(
    after_help = "Needs apt (for Debian packages) and uv (for Python packages); building from a \
    lock needs neither.\n\nExamples:\n  \
    repro lock seg-debian                  resolve everything\n  \
    repro lock seg-debian --update numpy   resolve one thing again\n  \
    repro lock seg-debian --diff           what would change, without writing\n  \
    repro lock fairmot --update base       what the base's tag means now\n  \
    repro lock seg-debian --update epoch   move to this program's format epoch, with the same inputs\n  \
    repro lock --check                     do all locks belong to their recipes and seals? (offline)"
)]
pub struct Arguments {
    /// The images; all of them if none is named
    images: Vec<String>,
    /// Only say whether the locks belong to their recipes and their seals; asks nothing from a network
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
    let recipes = recipes::load(context, &arguments.images)?;
    if arguments.check {
        return check(context, &recipes);
    }
    let mut is_open = false;
    let mut documents = Vec::new();
    for recipe in &recipes {
        let previous = context.find_lock(&recipe.name)?;
        let store = context.store()?;
        let base = base(context, &store, recipe, previous.as_ref(), arguments)?;
        let request = Request {
            recipe,
            epoch: EPOCH,
            base: &base,
            previous: previous.as_ref(),
            update: arguments.update.as_deref(),
        };
        let pinned = pin::pin(&context.settings, &store, request, &|what| {
            context.display.finish();
            context.display.begin(what, 0);
        });
        context.display.finish();
        let Pinned { lock, missing } = pinned?;
        missing.iter().for_each(|error| output::note(&format!("not pinned: {error}")));
        is_open |= lock.unpinned.iter().any(|item| item.gone.is_none());
        let changes = changes(previous.as_ref(), &lock);
        if context.json {
            documents.push(document(&lock, &changes));
        } else {
            show(context, &lock, &changes, arguments.diff || previous.is_none());
        }
        let is_new = previous.is_none_or(|previous| previous.to_text() != lock.to_text());
        if !arguments.diff && is_new {
            let path = context.write_lock(&lock)?;
            output::note(&format!("wrote `{}`", path.display()));
        }
    }
    if context.json {
        output::json(&documents);
    }
    // What is gone for good is known to the recipe; what could not be reached is news.
    Ok(if is_open { ExitCode::from(4) } else { ExitCode::SUCCESS })
}

/// What the registry's image is; what the lock says of the same reference is kept, and what is gone
/// is asked of nobody. An image that nobody gives is a hole, unless the lock would lose one.
fn base(
    context: &Context,
    store: &Store,
    recipe: &Recipe,
    previous: Option<&Lock>,
    arguments: &Arguments,
) -> Result<Base, CliError> {
    let locked = previous.and_then(|lock| lock.base.as_ref());
    let asked = recipe.image.base.registry();
    let Some(asked) = asked.filter(|_| !recipe.image.is_gone(Unpinned::BASE)) else {
        return Ok(Base::None);
    };
    let update = arguments.update.as_deref();
    let known = previous.and_then(|lock| {
        let is_same = lock.config.architecture == asked.architecture;
        lock.base.as_ref().filter(|base| is_same && base.image == asked.image)
    });
    match known {
        // One other thing is resolved again: the base stays even where the recipe has changed.
        _ if update.is_some_and(|name| name != "base") => return Ok(pinned(locked)),
        Some(known) if update.is_none() => return Ok(pinned(Some(known))),
        _ => {}
    }
    let (settings, stop) = (&context.settings, context.stop.flag());
    let found = registry::resolve_base(settings, store, asked, &context.display, &stop);
    let may_miss = update.is_none() && locked.is_none();
    match found {
        Ok(base) => Ok(Base::Pinned(Box::new(base))),
        Err(error) => match error.why_missing().filter(|_| may_miss) {
            Some(reason) => Ok(Base::Missing { reason, error: error.to_string() }),
            None => Err(error.into()),
        },
    }
}

fn pinned(base: Option<&LockedBase>) -> Base {
    base.map_or(Base::None, |base| Base::Pinned(Box::new(base.clone())))
}

/// What `--check` says of one lock.
struct Checked {
    name: String,
    /// How it differs from its recipe.
    differences: Vec<String>,
    /// How it contradicts its own seal, or what the store knows of it.
    contradiction: Option<String>,
    epoch: Option<u32>,
    unpinned: Vec<Unpinned>,
    /// What of the recipe can hardly be true.
    doubts: Vec<String>,
}

fn check(context: &Context, recipes: &[Recipe]) -> Result<ExitCode, CliError> {
    let store = known_store(context);
    let today = init::today();
    let mut report = Vec::new();
    for recipe in recipes {
        let lock = context.find_lock(&recipe.name)?;
        let differences: Vec<String> = match &lock {
            Some(lock) => lock.matches(recipe)?.iter().map(ToString::to_string).collect(),
            None => vec!["there is no lock".to_owned()],
        };
        let contradiction = lock.as_ref().and_then(|lock| contradiction(store.as_ref(), lock));
        let epoch = lock.as_ref().map(|lock| lock.epoch);
        let unpinned = lock.map_or(Vec::new(), |lock| lock.unpinned);
        let name = recipe.name.clone();
        let doubts = recipe.doubts(&today);
        report.push(Checked { name, differences, contradiction, epoch, unpinned, doubts });
    }
    if context.json {
        let items = report.iter().map(|checked| {
            json!({ "image": checked.name, "matches": checked.differences.is_empty(),
                "differences": checked.differences, "contradiction": checked.contradiction,
                "epoch": checked.epoch, "newest_epoch": EPOCH, "unpinned": checked.unpinned,
                "doubts": checked.doubts })
        });
        output::json(&items.collect::<Vec<_>>());
    } else {
        report.iter().for_each(show_checked);
    }
    let is_contradicted = report.iter().any(|checked| checked.contradiction.is_some());
    let differs = report.iter().any(|checked| !checked.differences.is_empty());
    Ok(match (is_contradicted, differs) {
        (true, _) => ExitCode::from(3),
        (false, true) => ExitCode::from(2),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The store, if there is one: a check makes none.
fn known_store(context: &Context) -> Option<Store> {
    if !context.settings.store_folder().is_dir() {
        return None;
    }
    let opened = context.store_to_read();
    opened.inspect_err(|error| output::note(&format!("the store is not asked: {error}"))).ok()
}

fn contradiction(store: Option<&Store>, lock: &Lock) -> Option<String> {
    let known = store.map_or(Ok(()), |store| build::refuse_other(store, lock));
    known.and_then(|()| build::promises_its_seal(store, lock)).err().map(|error| error.to_string())
}

fn show_checked(checked: &Checked) {
    let Checked { name, differences, contradiction, epoch, unpinned, doubts } = checked;
    let state =
        if differences.is_empty() { "matches its recipe" } else { "does not match its recipe" };
    output::print(&format!("{name}: the lock {state}\n"));
    differences.iter().for_each(|line| output::print(&format!("  {line}\n")));
    if let Some(error) = contradiction {
        output::print(&format!("  {}\n", error.replace('\n', "\n  ")));
    }
    doubts.iter().for_each(|doubt| output::print(&format!("  doubtful: {doubt}\n")));
    show_epoch(name, *epoch);
    show_unpinned(name, unpinned);
}

fn changes(previous: Option<&Lock>, lock: &Lock) -> Vec<Difference> {
    let inputs = || {
        format!(
            "{} Debian packages, {} wheels, {} compiled",
            lock.packages.len(),
            lock.wheels.len(),
            lock.builds.len()
        )
    };
    let new = || Difference { what: "lock:".to_owned(), before: None, after: Some(inputs()) };
    previous.map_or_else(|| vec![new()], |previous| previous.diff(lock))
}

fn document(lock: &Lock, changes: &[Difference]) -> Value {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    json!({ "image": lock.name, "lock": lock.digest(), "changes": changes,
        "unpinned": lock.unpinned })
}

/// What changes: all of it if somebody asks, else in a few lines.
fn show(context: &Context, lock: &Lock, changes: &[Difference], asked: bool) {
    let all = || changes.iter().map(ToString::to_string).collect();
    let is_whole = asked || context.talk.verbose > 0;
    let lines: Vec<String> = if is_whole { all() } else { summary::summary(changes) };
    let (name, count) = (&lock.name, output::count(changes.len(), "change", "changes"));
    match lines.len() {
        0 => output::print(&format!("{name}: nothing changes\n")),
        shown if shown == changes.len() => output::print(&format!("{name}:\n")),
        _ => output::print(&format!("{name}: {count}; `-v` and `--diff` show each\n")),
    }
    lines.iter().for_each(|line| output::print(&format!("  {line}\n")));
    show_unpinned(&lock.name, &lock.unpinned);
}

/// An older epoch is no fault: its image is built as it always was.
fn show_epoch(name: &str, epoch: Option<u32>) {
    if let Some(epoch) = epoch.filter(|epoch| *epoch < EPOCH) {
        output::print(&format!(
            "  format epoch {epoch}, the newest is {EPOCH}: `repro lock {name} --update epoch` moves it\n"
        ));
    }
}

fn show_unpinned(name: &str, unpinned: &[Unpinned]) {
    if unpinned.is_empty() {
        return;
    }
    let count = output::count(unpinned.len(), "input is", "inputs are");
    output::print(&format!("{name}: {count} not pinned\n"));
    for item in unpinned {
        let state = if item.gone.is_some() { "gone    " } else { "unpinned" };
        output::print(&format!("  {state}  {}: {}\n", item.input, item.reason));
    }
}
