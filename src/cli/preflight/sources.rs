//! What lock, data folder and store lack for a run.

use std::collections::BTreeMap;

use super::Draft;
use crate::bench::{Kind, Lack};
use crate::build;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::dataset::{self, DatasetError, Datasets, Presence};
use crate::fetch::{self, Wanted};
use crate::lock::{Lock, Unpinned};
use crate::recipe::Recipe;
use crate::registry;
use crate::store::Store;

/// What is wrong with the lock.
pub(super) fn of_lock(lock: &Lock, recipe: &Recipe) -> Result<Vec<Lack>, CliError> {
    let old = lock.matches(recipe)?.into_iter().map(|difference| {
        Lack::of_all(Kind::OldLock, "a lock of the recipe as it is now", difference.to_string())
    });
    let open = |input: &Unpinned| {
        let there = match &input.gone {
            Some(date) => format!("gone since {date}: {}", input.reason),
            None => format!("unpinned: {}", input.reason),
        };
        Lack::of_all(Kind::Unpinned, input.input.clone(), there)
    };
    Ok(old.chain(lock.unpinned.iter().map(open)).collect())
}

/// The profile's data sets that cannot be mounted.
pub(super) fn of_data(
    context: &Context,
    store: &Store,
    draft: &Draft,
    profile: &str,
) -> Result<Vec<Lack>, CliError> {
    let mut lacks = Vec::new();
    let data = match context.data_folder() {
        Ok(data) => data,
        Err(CliError::NoDataFolder { path }) => {
            let needed = format!("the data folder `{}`", path.display());
            lacks.push(Lack::of_all(Kind::DataFolder, needed, "not there"));
            None
        }
        Err(error) => return Err(error),
    };
    let datasets = Datasets::load(&draft.project(context)?)?;
    let rule = draft.recipe.profiles.get(profile);
    for name in rule.iter().flat_map(|profile| profile.data.values()) {
        let needed = format!("data set `{name}`");
        let kind = Kind::Data { name: name.clone() };
        match dataset::presence(&datasets, name, data, store) {
            Ok(Presence::There) => {}
            Ok(Presence::NotPinned) => {
                let kind = Kind::UnpinnedData { name: name.clone() };
                lacks.push(Lack::of_all(kind, needed, "nothing pins its files"));
            }
            Ok(Presence::Missing { archives }) => {
                let there = match archives.as_slice() {
                    [] => "not there".to_owned(),
                    archives => format!("not there, nor {}", archives.join(", ")),
                };
                lacks.push(Lack::of_all(kind, needed, there));
            }
            Err(DatasetError::Unknown { .. }) => {
                let there = format!("`{}` does not name it", dataset::FILE);
                let kind = Kind::UnknownData { name: name.clone() };
                lacks.push(Lack::of_all(kind, needed, there));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(lacks)
}

/// A data set that has no place on this machine before it is brought.
pub struct Unplaced {
    pub name: String,
    /// Whether its archives are pinned; its files follow from them once they are here.
    pub is_pinned: bool,
}

/// The profile's data sets that have no place yet, by where they would be mounted.
pub(super) fn unplaced(
    context: &Context,
    store: &Store,
    draft: &Draft,
    profile: &str,
) -> Result<BTreeMap<String, Unplaced>, CliError> {
    let datasets = Datasets::load(&draft.project(context)?)?;
    let data = context.settings.data_folder();
    let mut unplaced = BTreeMap::new();
    let rule = draft.recipe.profiles.get(profile);
    for (target, name) in rule.iter().flat_map(|profile| &profile.data) {
        let Ok(expected) = dataset::expected(&datasets, name, data, store) else {
            let (name, is_pinned) = (name.clone(), false);
            unplaced.insert(target.clone(), Unplaced { name, is_pinned });
            continue;
        };
        let parts = &datasets.get(name)?.of;
        for ((target, folder), place) in expected.below(target).zip(expected.folders.keys()) {
            let set = datasets.get(parts.get(place).unwrap_or(name))?;
            if folder.as_os_str().is_empty() {
                let (name, is_pinned) = (set.name.clone(), set.is_pinned());
                unplaced.insert(target, Unplaced { name, is_pinned });
            }
        }
    }
    Ok(unplaced)
}

/// Inputs that nobody can bring, or for which there is no room.
pub(super) fn of_store(
    context: &Context,
    store: &Store,
    lock: &Lock,
) -> Result<Option<Lack>, CliError> {
    if context.settings.offline() && build::whole(store, lock).is_none() {
        let lacking = fetch::out_of_reach(&context.settings, store, &inputs(lock))?;
        if !lacking.is_empty() {
            let size = output::size(lacking.iter().map(|wanted| wanted.size).sum());
            let needed = format!("{} ({size})", output::count(lacking.len(), "input", "inputs"));
            let there = "not in the store, and no network may be asked";
            return Ok(Some(Lack::of_all(Kind::Offline, needed, there)));
        }
    }
    Ok(of_disk(store, lock))
}

/// What is still to be downloaded has to fit into the store.
fn of_disk(store: &Store, lock: &Lock) -> Option<Lack> {
    let missing = to_download(store, lock);
    let free = fetch::free_space(store.root()).filter(|free| *free < missing)?;
    let needed = format!("{} for downloads in the store", output::size(missing));
    Some(Lack::of_all(Kind::Disk, needed, format!("{} are free", output::size(free))))
}

/// Bytes of the lock's inputs that the store does not have; an image that is there needs none.
pub fn to_download(store: &Store, lock: &Lock) -> u64 {
    if build::whole(store, lock).is_some() {
        return 0;
    }
    let planned = fetch::plan(store, &inputs(lock));
    planned.iter().filter(|item| !item.present).map(|item| item.wanted.size).sum()
}

/// All that building and running need from elsewhere.
fn inputs(lock: &Lock) -> Vec<Wanted> {
    let mut wanted = fetch::wanted(lock);
    wanted.extend(registry::documents(lock));
    wanted.extend(registry::layers(lock));
    wanted
}
