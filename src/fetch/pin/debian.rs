//! Debian packages: the base, and what each build image has beside it.
//!
//! Debian's archives know no date (unless the settings name a snapshot of them as the
//! mirror), so the recipe's `as-of` does not reach here; what makes a lock stable is that a
//! previous lock's packages stay as they are until the recipe asks for other packages or
//! another date, or somebody asks for `--update debian`.

use std::collections::{BTreeMap, BTreeSet};

use super::apt::Root;
use super::error::Problems;
use super::{Context, PinError, Scope};
use crate::lock::{Lock, LockedPackage};
use crate::recipe::BuildRecipe;
use crate::recipe::names::{normalised, plain_name};

/// The packages of the base and of each build image, each list sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DebianPart {
    pub(super) base: Vec<LockedPackage>,
    /// By the build's name; without the packages of the base.
    pub(super) builds: BTreeMap<String, Vec<LockedPackage>>,
}

/// What of a previous lock is still asked for.
#[derive(Default)]
struct Kept {
    base: Option<Vec<LockedPackage>>,
    builds: BTreeMap<String, Vec<LockedPackage>>,
}

/// Resolves what `scope` asks for and takes the rest from the previous lock.
pub(super) fn pin(context: &Context<'_>, scope: &Scope) -> Result<DebianPart, PinError> {
    if context.request.recipe.image.base.debian().is_none() {
        return Ok(DebianPart { base: Vec::new(), builds: BTreeMap::new() });
    }
    names_are_plain(context)?;
    match (scope, context.request.previous) {
        (Scope::Distribution(_) | Scope::Git(_) | Scope::File(_), Some(lock)) => Ok(of_lock(lock)),
        (Scope::Package(name), Some(lock)) => one_again(context, lock, name),
        (Scope::Everything, Some(lock)) if is_usable(context, lock) => {
            // Where something else is asked for, what stays keeps its version if it can.
            everything(context, kept(context, lock), &locked(lock).collect::<Vec<_>>())
        }
        _ => everything(context, Kept::default(), &[]),
    }
}

fn of_lock(lock: &Lock) -> DebianPart {
    let builds = lock.builds.iter().map(|build| (build.name.clone(), build.packages.clone()));
    DebianPart { base: lock.packages.clone(), builds: builds.collect() }
}

/// A lock of another date, release or processor says nothing about this one.
fn is_usable(context: &Context<'_>, lock: &Lock) -> bool {
    let recipe = &context.request.recipe.image;
    lock.as_of == recipe.python.as_of
        && recipe.base.debian().is_some_and(|debian| lock.suite == debian.suite)
        && lock.config.architecture == recipe.base.architecture()
}

fn kept(context: &Context<'_>, lock: &Lock) -> Kept {
    if lock.asked.packages != context.asked.packages {
        return Kept::default();
    }
    let same = |name: &String| {
        let (before, now) = (lock.asked.builds.get(name), context.asked.builds.get(name));
        before.zip(now).is_some_and(|(before, now)| before.packages == now.packages)
    };
    let part = of_lock(lock);
    let builds = part.builds.into_iter().filter(|(name, _)| same(name)).collect();
    Kept { base: Some(part.base), builds }
}

fn everything(
    context: &Context<'_>,
    kept: Kept,
    preferred: &[&LockedPackage],
) -> Result<DebianPart, PinError> {
    if let Some(base) = &kept.base
        && context.asked.builds.keys().all(|name| kept.builds.contains_key(name))
    {
        return Ok(DebianPart { base: base.clone(), builds: kept.builds });
    }
    let root = Root::open(context, preferred)?;
    let base = match kept.base {
        Some(base) => base,
        None => base(context, &root)?,
    };
    let builds = builds(context, &root, &base, kept.builds)?;
    Ok(DebianPart { base, builds })
}

/// Every package of a lock, once.
fn locked(lock: &Lock) -> impl Iterator<Item = &LockedPackage> {
    let of_builds = lock.builds.iter().flat_map(|build| &build.packages);
    let all: BTreeMap<_, _> =
        of_builds.chain(&lock.packages).map(|package| (&package.name, package)).collect();
    all.into_values()
}

fn base(context: &Context<'_>, root: &Root) -> Result<Vec<LockedPackage>, PinError> {
    let recipe = context.request.recipe;
    let names = recipe.image.base.debian().map_or(&[][..], |debian| &debian.packages);
    let packages = root.closure(&format!("the base of `{}`", recipe.name), names)?;
    are_there(&packages, &[], names)?;
    Ok(packages)
}

/// What each build needs beside `base`, except where `kept` has it already.
fn builds(
    context: &Context<'_>,
    root: &Root,
    base: &[LockedPackage],
    mut kept: BTreeMap<String, Vec<LockedPackage>>,
) -> Result<BTreeMap<String, Vec<LockedPackage>>, PinError> {
    let mut problems = Problems::default();
    for recipe in &context.request.recipe.image.builds {
        let name = normalised(&recipe.name);
        if !kept.contains_key(&name) {
            let packages = problems.note(beside(root, base, recipe));
            kept.extend(packages.map(|packages| (name, packages)));
        }
    }
    problems.finish(kept)
}

/// The base keeps its exact versions, so that a build runs against what the image has.
fn beside(
    root: &Root,
    base: &[LockedPackage],
    recipe: &BuildRecipe,
) -> Result<Vec<LockedPackage>, PinError> {
    if recipe.packages.is_empty() {
        return Ok(Vec::new());
    }
    let pinned = base.iter().map(|package| format!("{}={}", package.name, package.version));
    let names: Vec<_> = pinned.chain(recipe.packages.iter().cloned()).collect();
    let mut packages = root.closure(&format!("building `{}`", recipe.name), &names)?;
    packages.retain(|package| base.iter().all(|other| other.name != package.name));
    are_there(base, &packages, &recipe.packages)?;
    Ok(packages)
}

/// A virtual package gives another one, and a reader of the lock would look for it in vain.
fn are_there(
    base: &[LockedPackage],
    beside: &[LockedPackage],
    names: &[String],
) -> Result<(), PinError> {
    let has = |name: &String| base.iter().chain(beside).any(|package| package.name == *name);
    let mut problems = Problems::default();
    for name in names.iter().filter(|name| !has(name)) {
        problems.note::<()>(Err(PinError::Requirement {
            requirement: name.clone(),
            reason: "it is a virtual package; name the package that provides it",
        }));
    }
    problems.finish(())
}

fn one_again(context: &Context<'_>, lock: &Lock, name: &str) -> Result<DebianPart, PinError> {
    let others: Vec<_> = locked(lock).filter(|package| package.name != name).collect();
    let root = Root::open(context, &others)?;
    let base = base(context, &root)?;
    let builds = builds(context, &root, &base, BTreeMap::new())?;
    let fresh = DebianPart { base, builds };
    let others = differences(&of_lock(lock), &fresh, name);
    if !others.is_empty() {
        return Err(PinError::NotAlone { name: name.to_owned(), others });
    }
    Ok(fresh)
}

/// Packages other than `name` that are not the same in both, each with both versions.
fn differences(before: &DebianPart, after: &DebianPart, name: &str) -> Vec<String> {
    let versions = |part: &DebianPart| -> BTreeMap<String, String> {
        let all = part.base.iter().chain(part.builds.values().flatten());
        let others = all.filter(|package| package.name != name);
        others.map(|package| (package.name.clone(), package.version.clone())).collect()
    };
    let (before, after) = (versions(before), versions(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let shown = |version: Option<&String>| version.map_or("absent", String::as_str).to_owned();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}  {} -> {}", shown(before.get(name)), shown(after.get(name))))
        .collect()
}

/// At the end of a name `-` tells apt to remove the package.
fn names_are_plain(context: &Context<'_>) -> Result<(), PinError> {
    let of_builds = context.asked.builds.values().flat_map(|build| &build.packages);
    let mut problems = Problems::default();
    for name in context.asked.packages.iter().chain(of_builds) {
        if !plain_name(name) || name.ends_with('-') {
            problems.note::<()>(Err(PinError::Requirement {
                requirement: name.clone(),
                reason: "it is not the name of a Debian package",
            }));
        }
    }
    problems.finish(())
}
