//! Resolves a recipe to a lock: names and wishes become files with sizes and SHA-256.
//!
//! Two programs do the resolving and are needed for nothing else: `apt-get` finds the
//! closure of Debian packages and checks Debian's signatures (in a private root, see
//! `apt`), `uv` finds the versions of Python distributions as of a date (see `uv`), from
//! which the wheel is picked here by compatibility tags. Building from a lock needs neither.
//!
//! Invariants: the lock says what, never where: no index and no archive enters it, and what the
//! recipe itself names (repositories, addresses of downloads) only as a name. Nothing
//! is invented: an input that cannot be resolved or reached is written as such and the
//! rest is pinned (see `holes`), a mistake or a missing program is an error, and all of
//! them are told at once. A lock that is there is never replaced because nobody answered;
//! `--update` leaves no hole. No code of a distribution runs (`setup.py` included). What the
//! recipe asks for in the same words as a previous lock of the same date is kept, so that
//! locking twice gives one text; a resolution of wheels that is made anew prefers nothing,
//! so that it depends on recipe and date alone. Outputs of build jobs stay while their
//! inputs do, and the seal while the image does.
//!
//! What comes out of build jobs and the seal itself are left to `build`, the text of a lock to `lock`.

mod apt;
mod assemble;
mod debian;
mod downloads;
mod error;
mod files;
mod git;
mod holes;
mod names;
mod partial;
mod pylock;
mod python;
mod scope;
mod size;
mod tags;
mod timeless;
mod tool;
mod uris;
mod uv;

pub use error::PinError;

use error::Problems;
use holes::Holes;
use scope::Scope;

use std::collections::BTreeSet;

use crate::lock::{Asked, Lock, LockedBase, Unpinned};
use crate::recipe::{BuildRecipe, Recipe};
use crate::settings::Settings;
use crate::store::Store;

/// What is to be locked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The recipe, variant merged.
    pub recipe: &'a Recipe,
    /// The format epoch that a new lock is written for.
    pub epoch: u32,
    /// What is known of the registry's image below everything.
    pub base: &'a Base,
    /// The lock there is already; what it says is preferred.
    pub previous: Option<&'a Lock>,
    /// `--update NAME`: resolve this one thing again and leave everything else as it is.
    ///
    /// `epoch` for nothing but the format epoch, `base`, a distribution, a Debian package, `debian` for all of them, a git source, a download
    /// by its path, or a local file; `debian:NAME`, `python:NAME` and `git:NAME` where a name is several.
    pub update: Option<&'a str>,
}

/// What is known of a registry's image that is to be a base; `registry` asks for it.
#[derive(Debug, Clone)]
pub enum Base {
    /// The recipe has none, or says that it is gone.
    None,
    /// What it is.
    Pinned(Box<LockedBase>),
    /// Nobody who was asked gives it.
    Missing {
        /// Why, in the fixed words of a lock.
        reason: &'static str,
        /// Why, for a person.
        error: String,
    },
}

impl Base {
    /// What is pinned of it.
    fn pinned(&self) -> Option<LockedBase> {
        match self {
            Self::Pinned(base) => Some(LockedBase::clone(base)),
            Self::None | Self::Missing { .. } => None,
        }
    }

    /// Notes a base that nobody gives.
    fn note(&self, holes: &mut Holes) {
        if let Self::Missing { reason, error } = self {
            holes.add_single(Unpinned::BASE, reason, PinError::NoBase { error: error.clone() });
        }
    }
}

/// What every part of the resolution needs.
struct Context<'a> {
    settings: &'a Settings,
    store: &'a Store,
    request: Request<'a>,
    /// What the recipe asks for by name.
    asked: Asked,
    /// Names of the git sources whose trees are known.
    trees: BTreeSet<String>,
    /// Told what is being done, for a person who waits.
    progress: &'a dyn Fn(&str),
}

impl<'a> Context<'a> {
    /// The builds whose source is there: one whose git source nobody gives is no part of the lock.
    fn builds(&self) -> impl Iterator<Item = &'a BuildRecipe> {
        let builds = self.request.recipe.image.possible_builds();
        builds.filter(|build| build.git.as_ref().is_none_or(|git| self.trees.contains(git)))
    }
}

/// A lock, and why parts of it are missing.
#[derive(Debug)]
pub struct Pinned {
    /// The lock; what could not be pinned stands in [`Lock::unpinned`].
    pub lock: Lock,
    /// Why, with everything that a person needs to know; empty for a complete lock and for inputs
    /// that the recipe says are gone.
    pub missing: Vec<PinError>,
}

/// Resolves `request` to a lock; `progress` is told what is being done.
///
/// Without `update`, and with a previous lock of the same date, everything is kept that the
/// recipe asks for in the same words, without asking anybody. `as-of` decides which Python
/// uploads exist; Debian's archives have no such date, so a first lock and `--update debian`
/// take what they have now (or had then, if the settings name a snapshot as the mirror).
///
/// # Errors
///
/// What no lock can be written with: mistakes, missing programs, changed content, and inputs that
/// nobody answered for while there is a lock already ([`PinError::Several`] if it is more than one
/// thing; what could not be pinned is told with it).
pub fn pin(
    settings: &Settings,
    store: &Store,
    request: Request<'_>,
    progress: &dyn Fn(&str),
) -> Result<Pinned, PinError> {
    let asked = Asked::of(&request.recipe.image);
    let trees = BTreeSet::new();
    let mut context = Context { settings, store, request, asked, trees, progress };
    let scope = scope::of(&request)?;
    if let (Scope::Epoch, Some(previous)) = (&scope, request.previous) {
        let lock = assemble::moved(previous, request.epoch);
        return Ok(Pinned { lock, missing: Vec::new() });
    }
    let mut problems = Problems::default();
    let mut holes = Holes::default();
    request.base.note(&mut holes);
    let git = problems.note(git::pin(&context, &scope, &mut holes));
    context.trees = git.iter().flatten().map(|git| git.name.clone()).collect();
    let downloads = problems.note(downloads::pin(&context, &scope, &mut holes));
    let files = problems.note(files::pin(&request, &scope));
    let debian = problems.note(debian::pin(&context, &scope, &mut holes));
    let python = problems.note(python::pin(&context, &scope, &mut holes));
    let nobody_answered = holes.are_unanswered() && request.previous.is_some();
    let is_refused = nobody_answered || (scope != Scope::Everything && !holes.is_empty());
    let (unpinned, missing) = holes.into_parts();
    let missing = missing.into_list();
    match (files, debian, git, downloads, python) {
        (Some(files), Some(debian), Some(git), Some(downloads), Some(python)) if !is_refused => {
            let parts = assemble::Parts { files, debian, git, downloads, python, unpinned };
            let lock = assemble::lock(&request, &context.asked, &scope, parts);
            if missing.is_empty() || has_something(&lock) {
                return Ok(Pinned { lock, missing });
            }
        }
        _ => {}
    }
    for error in missing {
        problems.note::<()>(Err(error));
    }
    Err(problems.into_error())
}

/// Whether anything was pinned that somebody else publishes.
fn has_something(lock: &Lock) -> bool {
    let has_files = !(lock.packages.is_empty() && lock.wheels.is_empty());
    let has_files = has_files || !lock.downloads.is_empty();
    has_files || lock.base.is_some() || !lock.git.is_empty() || !lock.builds.is_empty()
}

/// Looks for the helper programs; gives the first line that each says of its version.
///
/// # Errors
///
/// [`PinError::ToolMissing`] for each one that is not on this machine.
pub fn check_tools(settings: &Settings) -> Result<Vec<String>, PinError> {
    let environment = settings.helper_environment();
    let mut problems = Problems::default();
    let mut versions = Vec::new();
    for tool in [tool::APT, tool::UV] {
        let output = tool.run(&environment, "tell its version", |command| {
            command.arg("--version");
        });
        let first = problems.note(output).and_then(|text| text.lines().next().map(str::to_owned));
        versions.extend(first);
    }
    problems.finish(versions)
}
