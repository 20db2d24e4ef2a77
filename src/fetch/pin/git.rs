//! Git sources: the trees of the commits that the recipe names.

use std::sync::atomic::AtomicBool;

use super::error::Problems;
use super::{Context, PinError, Scope};
use crate::fetch::git::{Fetcher, NoTree, Wish};
use crate::fetch::{FetchError, Quiet};
use crate::git::Selection;
use crate::lock::{Lock, LockedGit};
use crate::recipe::GitRecipe;

/// Resolves what `scope` asks for and takes the rest from the previous lock.
pub(super) fn pin(context: &Context<'_>, scope: &Scope) -> Result<Vec<LockedGit>, PinError> {
    let asked = context.request.recipe.image.git.iter();
    match (scope, context.request.previous) {
        (Scope::Everything, _) | (_, None) => everything(context),
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

/// Every source of the recipe; what is asked for in the same words is not asked for again.
fn everything(context: &Context<'_>) -> Result<Vec<LockedGit>, PinError> {
    let mut problems = Problems::default();
    let mut sources = Vec::new();
    for asked in &context.request.recipe.image.git {
        let kept = context.request.previous.and_then(|lock| kept(lock, asked));
        let source = kept.map_or_else(|| resolve(context, asked), Ok);
        sources.extend(problems.note(source));
    }
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    problems.finish(sources)
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
    let name = name.to_owned();
    PinError::Network(match error {
        NoTree::Stopped => FetchError::Stopped,
        NoTree::Store(error) => FetchError::Store(error),
        NoTree::Refused(commit, tried) => FetchError::Commit { name, commit, tried },
        NoTree::Unusable(source) => FetchError::Tree { name, source },
        NoTree::Client(error) => error,
    })
}
