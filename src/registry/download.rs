//! Brings manifests and blobs into the store, side by side, each from the first place that has it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::client::{Asker, Client, blob_url, manifest_url};
use super::reference::Reference;
use crate::digest::Digest;
use crate::fetch::{
    Downloader, FetchError, InputError, InputFailure, NotBrought, Place, Progress, Tried, Wanted,
    check_space, missing,
};
use crate::lock::{Lock, LockedBase};
use crate::settings::Settings;
use crate::store::Store;

/// Registries count connections; layers are large enough to fill a line with few.
const WORKERS: usize = 4;

/// Manifest and configuration of a lock's base: all that building needs.
pub fn documents(lock: &Lock) -> Vec<Wanted> {
    let of_base = |base: &LockedBase| {
        let manifest = Wanted {
            name: format!("manifest of {}", base.image),
            digest: base.manifest,
            size: base.size,
            place: Place::Registry { image: base.image.clone(), is_manifest: true },
        };
        let name = format!("configuration of {}", base.image);
        vec![manifest, blob(&base.image, name, base.config.digest, base.config.size)]
    };
    lock.base.as_ref().map(of_base).unwrap_or_default()
}

/// The layers of a lock's base: what running, exporting and pushing need.
pub fn layers(lock: &Lock) -> Vec<Wanted> {
    let of_base = |base: &LockedBase| {
        let layers = base.layers.iter().enumerate().map(|(number, layer)| {
            let name = format!("{}, layer {}", base.image, number + 1);
            blob(&base.image, name, layer.digest, layer.size)
        });
        layers.collect()
    };
    lock.base.as_ref().map(of_base).unwrap_or_default()
}

/// A blob of an image's repository.
pub(super) fn blob(image: &str, name: String, digest: Digest, size: u64) -> Wanted {
    let place = Place::Registry { image: image.to_owned(), is_manifest: false };
    Wanted { name, digest, size, place }
}

/// Brings everything that the store does not have; returns how many that was.
///
/// # Errors
///
/// [`FetchError::Inputs`] with everything that failed, after all else was brought.
pub fn fetch(
    settings: &Settings,
    store: &Store,
    wanted: &[Wanted],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<usize, FetchError> {
    if missing(store, wanted).is_empty() {
        return Ok(0);
    }
    fetch_with(&Client::new(settings, stop)?.telling(progress), store, wanted, progress)
}

/// As [`fetch`], by a client that may be known to registries already.
pub(super) fn fetch_with(
    client: &Client<'_>,
    store: &Store,
    wanted: &[Wanted],
    progress: &dyn Progress,
) -> Result<usize, FetchError> {
    let missing = missing(store, wanted);
    if missing.is_empty() {
        return Ok(0);
    }
    check_space(store, &missing)?;
    progress.begin(missing.len(), missing.iter().map(|wanted| wanted.size).sum());
    let result = side_by_side(&Crew { client, store, progress }, &missing);
    progress.end();
    let mut failures = result?;
    if failures.is_empty() {
        return Ok(missing.len());
    }
    failures.sort_by(|one, other| one.wanted.name.cmp(&other.wanted.name));
    Err(FetchError::Inputs { total: wanted.len(), failures })
}

struct Crew<'a> {
    client: &'a Client<'a>,
    store: &'a Store,
    progress: &'a dyn Progress,
}

fn side_by_side(crew: &Crew<'_>, missing: &[Wanted]) -> Result<Vec<InputFailure>, FetchError> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), None));
    let worker = || {
        while let Some(wanted) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            crew.progress.started(&wanted.name, wanted.size);
            let result = crew.bring(wanted);
            crew.progress.finished(&wanted.name);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(failure) => results.0.extend(failure),
                Err(error) => drop(results.1.get_or_insert(error)),
            }
            if results.1.is_some() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(missing.len()) {
            scope.spawn(worker);
        }
    });
    let (failures, halt) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    halt.map_or(Ok(failures), Err)
}

impl Crew<'_> {
    /// Brings one thing from the first place that has it; an error ends everything.
    fn bring(&self, wanted: &Wanted) -> Result<Option<InputFailure>, FetchError> {
        let failed = |reason| Ok(Some(InputFailure { wanted: wanted.clone(), reason }));
        if self.client.settings.offline() {
            return failed(InputError::Offline);
        }
        let Place::Registry { image, is_manifest } = &wanted.place else {
            return failed(InputError::NoPlace);
        };
        let Ok(reference) = image.parse::<Reference>() else { return failed(InputError::NoPlace) };
        let mut tried = Vec::new();
        let places =
            self.client.settings.registry_places(&reference.host, &reference.repository)?;
        for place in &places {
            let url = match is_manifest {
                true => manifest_url(place, &wanted.digest.to_string()),
                false => blob_url(place, &wanted.digest),
            };
            let asker = Asker { client: self.client, place };
            let Self { client, store, progress } = *self;
            let stop = client.stop;
            match (Downloader { client: &asker, store, progress, stop }).bring(&url, wanted) {
                Ok(()) => return Ok(None),
                Err(NotBrought::Stopped) => return Err(FetchError::Stopped),
                Err(NotBrought::Store(error)) => return Err(FetchError::Store(error)),
                Err(NotBrought::Refused(refusal)) => {
                    let (url, setting) = (url.to_string(), place.setting.clone());
                    tried.push(Tried { url, setting, refusal });
                }
            }
        }
        failed(InputError::Refused(tried))
    }
}
