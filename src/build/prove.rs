//! Gives layer plans their digests, on all processors.
//!
//! A plan's digests are remembered once they were computed here. Else they are
//! proven against the lock by one pass over the compressed bytes, or measured by
//! inflating everything.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::{BuildError, Progress};
use crate::digest::{DiffId, Digest};
use crate::engine::Stop;
use crate::image::{Content, ImageLayer};
use crate::layer::LayerPlan;
use crate::lock::LockedLayer;
use crate::store::Store;

/// The store's bucket of layers that were streamed and hashed here: plan digest to descriptor.
pub(super) const PROVEN: &str = "proven-layer";

type Descriptor = (DiffId, Digest, u64);

/// Computes digests of layers.
pub(super) struct Prover<'a> {
    pub store: &'a Store,
    pub progress: &'a dyn Progress,
    pub stop: &'a Stop,
}

impl Prover<'_> {
    /// The layers of `plans`, each equal to the one of `locked` at its place, if there is a lock.
    pub(super) fn prove(
        &self,
        plans: Vec<LayerPlan>,
        locked: Option<&[LockedLayer]>,
    ) -> Result<Vec<ImageLayer>, BuildError> {
        if let Some(locked) = locked {
            same_count(plans.len(), locked.len())?;
        }
        let inputs = plans.iter().flat_map(LayerPlan::inputs);
        let total = inputs.filter_map(|digest| self.store.size_of(&digest)).sum();
        self.progress.step("checking layers", total);
        let descriptors = in_parallel(&plans, |position, plan| {
            self.describe(plan, locked.map(|layers| &layers[position]))
        });
        self.progress.step_ends();
        plans
            .into_iter()
            .zip(descriptors)
            .map(|(plan, descriptor)| {
                let (diff_id, digest, size) = descriptor?;
                let origin = plan.origin().to_owned();
                let content = Content::Plan(plan);
                Ok(ImageLayer { origin, diff_id, digest, size, content })
            })
            .collect()
    }

    /// Remembers layers that somebody else streamed and compared.
    pub(super) fn remember(&self, layers: &[ImageLayer]) -> Result<(), BuildError> {
        for layer in layers {
            let Some(plan) = layer.plan() else { continue };
            let key = Digest::of(&plan.to_bytes()).hex();
            let descriptor: Descriptor = (layer.diff_id, layer.digest, layer.size);
            self.store.remember(PROVEN, &key, &json!(descriptor).to_string())?;
        }
        Ok(())
    }

    fn describe(
        &self,
        plan: &LayerPlan,
        locked: Option<&LockedLayer>,
    ) -> Result<Descriptor, BuildError> {
        if self.stop.is_requested() {
            return Err(BuildError::Stopped);
        }
        let key = Digest::of(&plan.to_bytes()).hex();
        let known = self.store.recall(PROVEN, &key)?;
        let known: Option<Descriptor> = known.and_then(|text| serde_json::from_str(&text).ok());
        // A lock may be wrong about a diff ID that was only taken over: then it is measured.
        let agrees = |known: &Descriptor| {
            locked.is_none_or(|locked| *known == (locked.diff_id, locked.digest, locked.size))
        };
        let suspicious = known.is_some_and(|known| !agrees(&known));
        let descriptor = match (known, locked) {
            (Some(known), _) if !suspicious => known,
            _ if suspicious => self.measure(plan)?,
            (_, Some(locked)) => {
                plan.prove(self.store, &locked.digest, locked.size, &|bytes| self.tell(bytes))?;
                (locked.diff_id, locked.digest, locked.size)
            }
            (_, None) => self.measure(plan)?,
        };
        self.store.remember(PROVEN, &key, &json!(descriptor).to_string())?;
        match locked {
            Some(locked) if !agrees(&descriptor) => Err(BuildError::LayerDiffers {
                origin: plan.origin().to_owned(),
                expected: format!("{}, diff ID {}", locked.digest, locked.diff_id),
                found: format!("{}, diff ID {}", descriptor.1, descriptor.0),
            }),
            _ => Ok(descriptor),
        }
    }

    /// Inflates everything once.
    fn measure(&self, plan: &LayerPlan) -> Result<Descriptor, BuildError> {
        let measured = plan.measure(self.store, &|bytes| self.tell(bytes))?;
        Ok((measured.diff_id, measured.digest, measured.size))
    }

    fn tell(&self, bytes: u64) -> ControlFlow<()> {
        self.progress.done(bytes);
        self.stop.flow()
    }
}

/// As many layers as the lock has.
pub(super) fn same_count(found: usize, expected: usize) -> Result<(), BuildError> {
    if found == expected {
        return Ok(());
    }
    Err(BuildError::LayerDiffers {
        origin: "all".to_owned(),
        expected: format!("{expected} layers"),
        found: format!("{found} layers"),
    })
}

/// Applies `work` to every item on all processors; results are in the items' order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(position) else { break };
                    let result = work(position, item);
                    let mut results =
                        results.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    results.push((position, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(position, _)| *position);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_whatever_the_order_of_the_work() {
        let items: Vec<u64> = (0..100).collect();
        let squares = in_parallel(&items, |position, item| (position as u64, item * item));
        assert_eq!(squares, items.iter().map(|item| (*item, item * item)).collect::<Vec<_>>());
    }
}
