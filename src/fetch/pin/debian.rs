//! Debian packages: the base, and what each build image has beside it.
//!
//! Debian's archives know no date (unless the settings name a snapshot of them as the
//! mirror), so the recipe's `as-of` does not reach here; what makes a lock stable is that a
//! previous lock's packages stay as they are until the recipe asks for other packages or
//! another date, or somebody asks for `--update debian`.

use std::collections::{BTreeMap, BTreeSet};

use super::apt::Root;
use super::error::Problems;
use super::holes::{Holes, Part};
use super::{Context, PinError, Scope};
use crate::lock::{Lock, LockedPackage};
use crate::recipe::ImageRecipe;
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
pub(super) fn pin(
    context: &Context<'_>,
    scope: &Scope,
    holes: &mut Holes,
) -> Result<DebianPart, PinError> {
    if context.request.recipe.image.base.debian().is_none() {
        return Ok(DebianPart { base: Vec::new(), builds: BTreeMap::new() });
    }
    names_are_plain(context)?;
    match (scope, context.request.previous) {
        (
            Scope::Epoch
            | Scope::Base
            | Scope::Distribution(_)
            | Scope::Git(_)
            | Scope::Download(_)
            | Scope::File(_),
            Some(lock),
        ) => Ok(of_lock(lock)),
        (Scope::Package(name), Some(lock)) => one_again(context, lock, name, holes),
        (Scope::Everything, Some(lock)) if is_usable(context, lock) => {
            // Where something else is asked for, what stays keeps its version if it can.
            everything(context, kept(context, lock), &locked(lock).collect::<Vec<_>>(), holes)
        }
        _ => everything(context, Kept::default(), &[], holes),
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
    if lock.asked.packages != context.asked.packages || Part::Base.is_open(lock) {
        return Kept::default();
    }
    let same = |name: &String| {
        let (before, now) = (lock.asked.builds.get(name), context.asked.builds.get(name));
        let is_open = Part::BuildPackages(name).is_open(lock);
        !is_open && before.zip(now).is_some_and(|(before, now)| before.packages == now.packages)
    };
    let part = of_lock(lock);
    let builds = part.builds.into_iter().filter(|(name, _)| same(name)).collect();
    Kept { base: Some(part.base), builds }
}

fn everything(
    context: &Context<'_>,
    kept: Kept,
    preferred: &[&LockedPackage],
    holes: &mut Holes,
) -> Result<DebianPart, PinError> {
    let mut names = context.builds().map(|build| normalised(&build.name));
    if let Some(base) = &kept.base
        && names.all(|name| kept.builds.contains_key(&name))
    {
        return Ok(DebianPart { base: base.clone(), builds: kept.builds });
    }
    let root = match Root::open(context, preferred) {
        Err(error) if error.is_about_inputs() => {
            return Ok(unanswered(context, kept, holes, error));
        }
        root => root?,
    };
    let base = match kept.base {
        Some(base) => base,
        None => base(context, &root, holes)?,
    };
    let builds = builds(context, &root, &base, kept.builds, holes)?;
    Ok(DebianPart { base, builds })
}

/// No archive could be read: what is not known yet stays so.
fn unanswered(context: &Context<'_>, kept: Kept, holes: &mut Holes, error: PinError) -> DebianPart {
    let recipe = &context.request.recipe.image;
    let mut open = Vec::new();
    if kept.base.is_none() {
        open.extend(recipe.base.debian().map(|debian| (Part::Base, &debian.packages)));
    }
    for build in context.builds() {
        if !kept.builds.contains_key(&normalised(&build.name)) {
            open.push((Part::BuildPackages(&build.name), &build.packages));
        }
    }
    for (part, packages) in open {
        holes.add_unanswered(part, &obtainable(recipe, packages), "the archives could not be read");
    }
    holes.blame(error);
    DebianPart { base: kept.base.unwrap_or_default(), builds: kept.builds }
}

/// Every package of a lock, once.
fn locked(lock: &Lock) -> impl Iterator<Item = &LockedPackage> {
    let of_builds = lock.builds.iter().flat_map(|build| &build.packages);
    let all: BTreeMap<_, _> =
        of_builds.chain(&lock.packages).map(|package| (&package.name, package)).collect();
    all.into_values()
}

fn base(
    context: &Context<'_>,
    root: &Root,
    holes: &mut Holes,
) -> Result<Vec<LockedPackage>, PinError> {
    let recipe = context.request.recipe;
    let asked = recipe.image.base.debian().map_or(&[][..], |debian| &debian.packages);
    let names = obtainable(&recipe.image, asked);
    let question = Question {
        purpose: format!("the base of `{}`", recipe.name),
        part: Part::Base,
        pinned: Vec::new(),
        names,
    };
    let (packages, names) = question.answer(root, holes)?;
    are_there(&packages, &[], &names)?;
    Ok(packages)
}

fn obtainable(image: &ImageRecipe, names: &[String]) -> Vec<String> {
    names.iter().filter(|name| !image.is_gone(name)).cloned().collect()
}

/// Packages that are resolved together.
struct Question<'a> {
    /// Ends the sentence "… the Debian packages for …".
    purpose: String,
    part: Part<'a>,
    /// Names with versions that stay as they are.
    pinned: Vec<String>,
    names: Vec<String>,
}

impl Question<'_> {
    /// The closure, and the names that it is of: what no archive has even by itself becomes a hole.
    fn answer(
        mut self,
        root: &Root,
        holes: &mut Holes,
    ) -> Result<(Vec<LockedPackage>, Vec<String>), PinError> {
        let error = match self.closure(root, &self.purpose, &self.names) {
            Err(error) if error.is_about_inputs() => error,
            packages => return Ok((packages?, self.names)),
        };
        let mut fine = Vec::new();
        let before = holes.len();
        for name in std::mem::take(&mut self.names) {
            match self.closure(root, &format!("`{name}`"), std::slice::from_ref(&name)) {
                Err(error) if error.is_about_inputs() => {
                    holes.add(self.part, &name, "no archive that was asked has it", error);
                }
                packages => {
                    packages?;
                    fine.push(name);
                }
            }
        }
        // Each is there by itself: they contradict each other, and only the recipe can change that.
        if holes.len() == before {
            return Err(error);
        }
        let packages = match fine.is_empty() {
            true => Vec::new(),
            false => self.closure(root, &self.purpose, &fine)?,
        };
        Ok((packages, fine))
    }

    fn closure(
        &self,
        root: &Root,
        purpose: &str,
        names: &[String],
    ) -> Result<Vec<LockedPackage>, PinError> {
        let all: Vec<_> = self.pinned.iter().chain(names).cloned().collect();
        root.closure(purpose, &all)
    }
}

/// What each build needs beside `base`, except where `kept` has it already.
fn builds(
    context: &Context<'_>,
    root: &Root,
    base: &[LockedPackage],
    mut kept: BTreeMap<String, Vec<LockedPackage>>,
    holes: &mut Holes,
) -> Result<BTreeMap<String, Vec<LockedPackage>>, PinError> {
    let mut problems = Problems::default();
    let image = &context.request.recipe.image;
    for recipe in context.builds() {
        let name = normalised(&recipe.name);
        if !kept.contains_key(&name) {
            let names = obtainable(image, &recipe.packages);
            let packages = problems.note(beside(root, base, &recipe.name, names, holes));
            kept.extend(packages.map(|packages| (name, packages)));
        }
    }
    problems.finish(kept)
}

/// The base keeps its exact versions, so that a build runs against what the image has.
fn beside(
    root: &Root,
    base: &[LockedPackage],
    build: &str,
    names: Vec<String>,
    holes: &mut Holes,
) -> Result<Vec<LockedPackage>, PinError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let pinned = base.iter().map(|package| format!("{}={}", package.name, package.version));
    let question = Question {
        purpose: format!("building `{build}`"),
        part: Part::BuildPackages(build),
        pinned: pinned.collect(),
        names,
    };
    let (mut packages, names) = question.answer(root, holes)?;
    packages.retain(|package| base.iter().all(|other| other.name != package.name));
    are_there(base, &packages, &names)?;
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

fn one_again(
    context: &Context<'_>,
    lock: &Lock,
    name: &str,
    holes: &mut Holes,
) -> Result<DebianPart, PinError> {
    let others: Vec<_> = locked(lock).filter(|package| package.name != name).collect();
    let root = Root::open(context, &others)?;
    let base = base(context, &root, holes)?;
    let builds = builds(context, &root, &base, BTreeMap::new(), holes)?;
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
