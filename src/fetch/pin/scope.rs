//! What `--update NAME` means: the one thing that is resolved again.

use super::names::requirement_name;
use super::{PinError, Request};
use crate::lock::{Lock, LockedFile, Unpinned};
use crate::recipe::names::normalised;
use crate::recipe::nearest;

/// How much is resolved again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole recipe; what the previous lock says is preferred.
    Everything,
    /// Nothing: the lock moves to the format epoch of the request as it is.
    Epoch,
    /// The registry's image, to what its tag means now.
    Base,
    /// All Debian packages, to what the archives have now.
    Debian,
    /// One Debian package.
    Package(String),
    /// One Python distribution, by its normalised name.
    Distribution(String),
    /// One git source, by the recipe's name for it.
    Git(String),
    /// One file of the web, by its path in the image.
    Download(String),
    /// One local file, by its path relative to the `images` folder.
    File(String),
}

/// Finds what the request wants updated.
pub(super) fn of(request: &Request<'_>) -> Result<Scope, PinError> {
    let Some(name) = request.update else { return Ok(Scope::Everything) };
    let lock =
        request.previous.ok_or_else(|| PinError::NothingToUpdate { name: name.to_owned() })?;
    let scope = named(request, lock, name)?;
    if !matches!(scope, Scope::Epoch | Scope::File(_) | Scope::Git(_) | Scope::Download(_)) {
        is_complete(lock, name, &scope)?;
        same_builds(request, lock, name)?;
    }
    Ok(scope)
}

fn named(request: &Request<'_>, lock: &Lock, name: &str) -> Result<Scope, PinError> {
    if name == "epoch" {
        return Ok(Scope::Epoch);
    }
    if name == "debian" {
        return Ok(Scope::Debian);
    }
    if name == "base" && request.recipe.image.base.registry().is_some() {
        return Ok(Scope::Base);
    }
    if let Some(package) = name.strip_prefix("debian:") {
        return one(lock, package, package_named(lock, package));
    }
    if let Some(distribution) = name.strip_prefix("python:") {
        return one(lock, distribution, distribution_named(request, lock, distribution));
    }
    if let Some(source) = name.strip_prefix("git:") {
        return one(lock, source, git_named(lock, source));
    }
    let package = package_named(lock, name);
    let distribution = distribution_named(request, lock, name);
    let git = git_named(lock, name);
    if [&package, &distribution, &git].into_iter().flatten().count() > 1 {
        let kinds = [(&package, "debian"), (&distribution, "python"), (&git, "git")];
        let kinds = kinds.into_iter().filter(|(found, _)| found.is_some());
        let names = kinds.map(|(_, kind)| format!("`{kind}:{name}`")).collect();
        return Err(PinError::Ambiguous { name: name.to_owned(), names });
    }
    let file = || download_named(lock, name).or_else(|| file_named(lock, name));
    one(lock, name, package.or(distribution).or(git).or_else(file))
}

/// Where something is missing, what is there was not resolved as a whole.
fn is_complete(lock: &Lock, name: &str, scope: &Scope) -> Result<(), PinError> {
    let is_meant = |item: &Unpinned| *scope == Scope::Base && item.input == Unpinned::BASE;
    let open = lock.unpinned.iter().filter(|item| item.gone.is_none() && !is_meant(item));
    let inputs: Vec<_> = open.map(|item| item.input.clone()).collect();
    if inputs.is_empty() {
        return Ok(());
    }
    Err(PinError::Incomplete { name: name.to_owned(), inputs })
}

/// What is built from source has a version in the recipe; another one needs a whole new lock.
fn same_builds(request: &Request<'_>, lock: &Lock, name: &str) -> Result<(), PinError> {
    let listed = |mut builds: Vec<String>| {
        builds.sort();
        builds.join(", ")
    };
    let text = |name: &str, version: &str| format!("{} {version}", normalised(name));
    let builds = request.recipe.image.possible_builds();
    let locked = lock.builds.iter().map(|build| text(&build.name, &build.version));
    let asked = builds.map(|build| text(&build.name, &build.version));
    let (locked, recipe) = (listed(locked.collect()), listed(asked.collect()));
    if locked == recipe {
        return Ok(());
    }
    let what = "what is built from source";
    Err(PinError::RecipeChanged { name: name.to_owned(), what, locked, recipe })
}

fn one(lock: &Lock, name: &str, found: Option<Scope>) -> Result<Scope, PinError> {
    found.ok_or_else(|| PinError::UnknownName {
        name: name.to_owned(),
        nearest: nearest(name, &known(lock)).map(str::to_owned),
    })
}

fn package_named(lock: &Lock, name: &str) -> Option<Scope> {
    let known = package_names(lock).any(|known| known == name);
    known.then(|| Scope::Package(name.to_owned()))
}

fn distribution_named(request: &Request<'_>, lock: &Lock, name: &str) -> Option<Scope> {
    let name = normalised(name);
    let image = &request.recipe.image;
    let asked = image.python.requirements.iter();
    let asked = asked.chain(image.builds.iter().flat_map(|build| &build.wheels));
    let is_asked = asked.filter_map(|text| requirement_name(text).ok()).any(|known| known == name);
    let known = is_asked || distribution_names(lock).any(|known| known == name);
    known.then_some(Scope::Distribution(name))
}

fn git_named(lock: &Lock, name: &str) -> Option<Scope> {
    let known = lock.git.iter().any(|git| git.name == name);
    known.then(|| Scope::Git(name.to_owned()))
}

fn download_named(lock: &Lock, name: &str) -> Option<Scope> {
    let known = lock.downloads.iter().any(|file| file.path == name);
    known.then(|| Scope::Download(name.to_owned()))
}

fn file_named(lock: &Lock, name: &str) -> Option<Scope> {
    let of_image = local_files(lock).map(|file| (&file.path, &file.source));
    let of_profiles = lock.profile_files.iter().map(|file| (&file.path, &file.source));
    let mut files = of_image.chain(of_profiles);
    let found = files.find(|(path, source)| *path == name || *source == name);
    found.map(|(_, source)| Scope::File(source.clone()))
}

/// Files of the image and of build jobs.
fn local_files(lock: &Lock) -> impl Iterator<Item = &LockedFile> {
    lock.local_files.iter().chain(lock.builds.iter().flat_map(|build| &build.local))
}

fn package_names(lock: &Lock) -> impl Iterator<Item = &str> {
    let of_builds = lock.builds.iter().flat_map(|build| &build.packages);
    lock.packages.iter().chain(of_builds).map(|package| package.name.as_str())
}

fn distribution_names(lock: &Lock) -> impl Iterator<Item = &str> {
    let of_builds = lock.builds.iter().flat_map(|build| &build.wheels);
    let wheels = lock.wheels.iter().chain(of_builds).map(|wheel| wheel.name.as_str());
    wheels.chain(lock.builds.iter().map(|build| build.name.as_str()))
}

/// Every name that an update may have.
fn known(lock: &Lock) -> Vec<&str> {
    let files = local_files(lock).map(|file| file.source.as_str());
    let profile_files = lock.profile_files.iter().map(|file| file.source.as_str());
    let all = package_names(lock).chain(distribution_names(lock)).chain(files).chain(profile_files);
    let sources = lock.git.iter().map(|git| git.name.as_str());
    let downloads = lock.downloads.iter().map(|file| file.path.as_str());
    all.chain(sources).chain(downloads).chain(["debian", "epoch"]).collect()
}
