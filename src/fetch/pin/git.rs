//! Git sources: the trees of the commits that the recipe names.

use std::sync::atomic::AtomicBool;

use super::error::Problems;
use super::holes::Holes;
use super::{Context, PinError, Scope};
use crate::fetch::git::{Fetcher, NoTree, Wish};
use crate::fetch::{FetchError, Quiet};
use crate::git::Selection;
use crate::lock::{Lock, LockedGit, Unpinned};
use crate::recipe::GitRecipe;

/// Resolves what `scope` asks for and takes the rest from the previous lock.
pub(super) fn pin(
    context: &Context<'_>,
    scope: &Scope,
    holes: &mut Holes,
) -> Result<Vec<LockedGit>, PinError> {
    let asked = context.request.recipe.image.git.iter();
    match (scope, context.request.previous) {
        (Scope::Everything, _) | (_, None) => everything(context, holes),
        (Scope::Git(name), Some(lock)) => {
            let mut sources = lock.git.clone();
            let asked = asked.filter(|asked| asked.name == *name);
            for asked in asked {
                let new = resolve(context, asked)?;
                sources.iter_mut().filter(|old| old.name == *name).for_each(|old| {
                    old.clone_from(&new);
                });
            }
            Ok(sources)
        }
        (_, Some(lock)) => Ok(lock.git.clone()),
    }
}

/// Every source of the recipe; what is asked for in the same words is not asked for again, and what
/// nobody gives is a hole.
fn everything(context: &Context<'_>, holes: &mut Holes) -> Result<Vec<LockedGit>, PinError> {
    let mut problems = Problems::default();
    let mut sources = Vec::new();
    let image = &context.request.recipe.image;
    for asked in image.git.iter().filter(|asked| !image.is_gone(&asked.name)) {
        let kept = context.request.previous.and_then(|lock| kept(lock, asked));
        let source = match kept.map_or_else(|| resolve(context, asked), Ok) {
            Err(error) if may_stay_open(context, asked, &error) => {
                holes.add_single(&Unpinned::of_git(asked), &reason(asked, &error), error);
                continue;
            }
            source => source,
        };
        sources.extend(problems.note(source));
    }
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    problems.finish(sources)
}

/// Whether nobody gives a source of which the previous lock knows nothing either: what is pinned is
/// not given up because nobody answers, and whoever asks nobody learns nothing.
fn may_stay_open(context: &Context<'_>, asked: &GitRecipe, error: &PinError) -> bool {
    let PinError::Network(error @ FetchError::Commit { .. }) = error else { return false };
    let previous = context.request.previous.iter();
    let mut locked = previous.flat_map(|lock| &lock.git);
    let is_known = locked.any(|git| git.name == asked.name);
    !is_known && !context.settings.offline() && !error.is_about_content()
}

/// What nobody gives, in words that are the same on every machine.
fn reason(asked: &GitRecipe, error: &PinError) -> String {
    let what = match error {
        PinError::Network(FetchError::Commit { commit, .. }) if *commit != asked.commit => {
            format!("commit {commit} of a submodule")
        }
        _ => "it".to_owned(),
    };
    format!("no repository that was asked gives {what}")
}

fn kept(lock: &Lock, asked: &GitRecipe) -> Option<LockedGit> {
    let known = lock.git.iter().find(|known| known.name == asked.name)?;
    // Where the tree lies is no matter of the repository.
    let known = LockedGit { path: asked.path.clone(), ..known.clone() };
    (known.asked() == asked.ordered()).then_some(known)
}

fn resolve(context: &Context<'_>, asked: &GitRecipe) -> Result<LockedGit, PinError> {
    let GitRecipe { name, urls, commit, path, include, exclude } = &asked.ordered();
    (context.progress)(&format!("fetching {name} at {}", commit.short()));
    let never = AtomicBool::new(false);
    let fetcher = Fetcher::new(context.settings, context.store, &Quiet, &never)?;
    let unusable = |source| FetchError::Tree { name: name.clone(), source };
    let selection = Selection::new(include, exclude).map_err(unusable)?;
    let wish = Wish { name, urls, commit: *commit, selection: Some(&selection) };
    let found = fetcher.tree(wish);
    let found = found.map_err(|error| not_there(name, error))?;
    Ok(LockedGit {
        name: name.clone(),
        urls: urls.clone(),
        commit: *commit,
        tree: found.tree,
        path: path.clone(),
        include: include.clone(),
        exclude: exclude.clone(),
        submodules: found.submodules,
        archive: found.archive,
    })
}

fn not_there(name: &str, error: NoTree) -> PinError {
    PinError::Network(error.about(name))
}
