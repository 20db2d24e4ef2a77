//! What layers of one kind have at one path must be one thing, as within a layer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::error::LayerError;
use super::plan::{Body, Entry, LayerPlan};
use crate::store::Store;

/// Checks that no two of `plans` have different files at one path: the higher layer would hide the
/// lower one's without a word.
///
/// # Errors
///
/// [`LayerError::Conflict`] with both.
pub fn check_agreement<'a>(
    store: &Store,
    plans: impl IntoIterator<Item = &'a LayerPlan>,
) -> Result<(), LayerError> {
    let mut seen: BTreeMap<&str, (&LayerPlan, &Entry)> = BTreeMap::new();
    for plan in plans {
        for entry in plan.entries.iter().filter(|entry| entry.body != Body::Directory) {
            match seen.entry(&entry.path) {
                Slot::Vacant(slot) => drop(slot.insert((plan, entry))),
                Slot::Occupied(slot) => compare(store, *slot.get(), (plan, entry))?,
            }
        }
    }
    Ok(())
}

fn compare(
    store: &Store,
    (one, first): (&LayerPlan, &Entry),
    (other, second): (&LayerPlan, &Entry),
) -> Result<(), LayerError> {
    let is_equal = match (&first.body, &second.body) {
        (Body::File { executable, source }, Body::File { executable: its, source: another })
            if executable == its && source.size() == another.size() =>
        {
            one.open(store)?.digest(&first.path, source)?
                == other.open(store)?.digest(&second.path, another)?
        }
        (one, other) => one == other && !matches!(one, Body::File { .. }),
    };
    if is_equal {
        return Ok(());
    }
    let describe = |plan: &LayerPlan, entry: &Entry| {
        let info = plan.describe(entry);
        format!("{} bytes, mode {:o}, of {}", info.size, info.mode, info.origin)
    };
    let (first_text, second_text) = (describe(one, first), describe(other, second));
    Err(LayerError::Conflict { path: first.path.clone(), first: first_text, second: second_text })
}
