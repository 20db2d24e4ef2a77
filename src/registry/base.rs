//! Finds out what a registry's image is: what a lock says of its base.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::RegistryError;
use super::client::{Client, Manifest, manifest_url};
use super::document::{self, Document, ImageDocument};
use super::download::{blob, fetch_with};
use super::reference::Reference;
use super::table::{LayerPaths, Table};
use crate::digest::{DiffId, Digest, Hasher};
use crate::fetch::{Progress, Refusal, Tried};
use crate::image::{BaseConfiguration, Content, ImageLayer, MOST_LAYERS};
use crate::lock::{LockedBase, LockedBaseLayer};
use crate::recipe::RegistryRecipe;
use crate::settings::{RegistryPlace, Settings};
use crate::store::Store;

/// Layers that are read at the same time.
const READERS: usize = 3;

/// An image's manifest, found at some place.
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) document: ImageDocument,
}

/// Resolves a recipe's base: what its tag means now, its layers, and its table of directories.
///
/// Every layer is brought into the store and read once; each must be what the image's
/// configuration says.
///
/// # Errors
///
/// [`RegistryError::Gone`] where every place says that there is no such image,
/// [`RegistryError::Unreachable`] where one of them could not be asked.
pub fn resolve_base(
    settings: &Settings,
    store: &Store,
    recipe: &RegistryRecipe,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<LockedBase, RegistryError> {
    let reference: Reference = recipe.image.parse()?;
    if settings.offline() {
        return Err(RegistryError::Offline { reference: recipe.image.clone() });
    }
    let client = Client::new(settings, stop)?.telling(progress);
    let Found { manifest, document } = find(&client, &reference, &recipe.architecture)?;
    let image = &recipe.image;
    let name = format!("configuration of {image}");
    let config = blob(image, name, document.config.digest, document.config.size);
    fetch_with(&client, store, &[config], progress)?;
    let digest = store.put(&manifest.bytes)?;
    let configuration = configuration(store, image, &document, &recipe.architecture)?;
    let layers = locked_layers(image, &document, &configuration)?;
    let wanted = layers.iter().enumerate().map(|(number, layer)| {
        blob(image, format!("{image}, layer {}", number + 1), layer.digest, layer.size)
    });
    fetch_with(&client, store, &wanted.collect::<Vec<_>>(), progress)?;
    let table = read_layers(store, image, &layers, stop)?;
    Ok(LockedBase {
        image: image.clone(),
        manifest: digest,
        size: manifest.bytes.len() as u64,
        config: document.config,
        layers,
        env: configuration.env,
        directories: table.directories(),
    })
}

/// Asks every place, in order, for the image of a processor.
pub(super) fn find(
    client: &Client<'_>,
    reference: &Reference,
    architecture: &str,
) -> Result<Found, RegistryError> {
    let text = reference.to_string();
    let Some(version) = reference.version() else {
        let reason = "neither a tag nor a digest says which image".to_owned();
        return Err(RegistryError::Reference { text, reason });
    };
    let mut tried = Vec::new();
    for place in client.settings.registry_places(&reference.host, &reference.repository)? {
        match at(client, &place, &version, reference.digest, architecture)? {
            Ok(found) => return Ok(found),
            Err(refusal) => {
                let url = manifest_url(&place, &version).to_string();
                tried.push(Tried { url, setting: place.setting, refusal });
            }
        }
    }
    let is_gone = tried.iter().all(|tried| matches!(tried.refusal, Refusal::NotFound));
    Err(match is_gone {
        true => RegistryError::Gone { reference: text, tried },
        false => RegistryError::Unreachable { reference: text, tried },
    })
}

/// Asks one place; what it refuses, another may have.
fn at(
    client: &Client<'_>,
    place: &RegistryPlace,
    version: &str,
    digest: Option<Digest>,
    architecture: &str,
) -> Result<Result<Found, Refusal>, RegistryError> {
    let manifest = match manifest(client, place, version, digest)? {
        Ok(manifest) => manifest,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let unusable = |reason| RegistryError::Unusable {
        reference: format!("{}/{}:{version}", place.host(), place.repository),
        reason,
    };
    let entries = match document::read(&manifest).map_err(unusable)? {
        Document::Image(document) => return Ok(Ok(Found { manifest, document })),
        Document::Index(entries) => entries,
    };
    let entry = document::choose(&entries, architecture).map_err(unusable)?;
    let manifest =
        match self::manifest(client, place, &entry.digest.to_string(), Some(entry.digest))? {
            Ok(manifest) => manifest,
            Err(refusal) => return Ok(Err(refusal)),
        };
    match document::read(&manifest).map_err(unusable)? {
        Document::Image(document) => Ok(Ok(Found { manifest, document })),
        Document::Index(_) => Err(unusable("an index names another index".to_owned())),
    }
}

fn manifest(
    client: &Client<'_>,
    place: &RegistryPlace,
    version: &str,
    digest: Option<Digest>,
) -> Result<Result<Manifest, Refusal>, RegistryError> {
    match client.persist(|| client.manifest(place, version)) {
        Ok(Some(manifest)) => {
            let found = manifest.digest();
            if digest.is_none_or(|digest| digest == found) {
                return Ok(Ok(manifest));
            }
            let size = manifest.bytes.len() as u64;
            Ok(Err(Refusal::Differs { digest: found, size }))
        }
        Ok(None) => Ok(Err(Refusal::NotFound)),
        Err(not_done) => not_done.refusal().map(Err).map_err(|_| RegistryError::Stopped),
    }
}

/// The configuration, which must be of the platform that is asked for.
fn configuration(
    store: &Store,
    image: &str,
    document: &ImageDocument,
    architecture: &str,
) -> Result<BaseConfiguration, RegistryError> {
    let unusable = |reason| RegistryError::Unusable { reference: image.to_owned(), reason };
    let bytes = store.read_blob(&document.config.digest)?;
    let read = BaseConfiguration::read(&bytes)
        .map_err(|_| unusable("its configuration is not that of an image".to_owned()))?;
    if read.os != "linux" || read.architecture != architecture {
        let found = format!("{}/{}", read.os, read.architecture);
        return Err(unusable(format!("it is for {found}, and linux/{architecture} is asked for")));
    }
    Ok(read)
}

fn locked_layers(
    image: &str,
    document: &ImageDocument,
    configuration: &BaseConfiguration,
) -> Result<Vec<LockedBaseLayer>, RegistryError> {
    let (layers, diff_ids) = (&document.layers, &configuration.diff_ids);
    if layers.len() != diff_ids.len() || layers.is_empty() {
        return Err(RegistryError::Unusable {
            reference: image.to_owned(),
            reason: format!(
                "its manifest has {} layers and its configuration {}",
                layers.len(),
                diff_ids.len()
            ),
        });
    }
    if layers.len() >= MOST_LAYERS {
        let count = layers.len();
        return Err(RegistryError::Unusable {
            reference: image.to_owned(),
            reason: format!("it has {count} layers, and an image has {MOST_LAYERS} at most"),
        });
    }
    let locked = layers.iter().zip(diff_ids).map(|(layer, diff_id)| LockedBaseLayer {
        digest: layer.digest,
        diff_id: *diff_id,
        compression: layer.compression,
        size: layer.size,
    });
    Ok(locked.collect())
}

/// Reads every layer and stacks them.
fn read_layers(
    store: &Store,
    image: &str,
    layers: &[LockedBaseLayer],
    stop: &AtomicBool,
) -> Result<Table, RegistryError> {
    let next = AtomicUsize::new(0);
    let read: Mutex<Vec<_>> = Mutex::new(layers.iter().map(|_| None).collect());
    let worker = || {
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(layer) = layers.get(position) else { return };
            let paths = match stop.load(Ordering::Relaxed) {
                true => Err(RegistryError::Stopped),
                false => read_layer(store, image, layer, stop),
            };
            read.lock().unwrap_or_else(PoisonError::into_inner)[position] = Some(paths);
        }
    };
    thread::scope(|scope| {
        for _ in 0..READERS.min(layers.len()) {
            scope.spawn(worker);
        }
    });
    let mut table = Table::default();
    let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (paths, layer) in read.into_iter().flatten().zip(layers) {
        let added = table.add(paths?);
        added.map_err(|source| RegistryError::Layer {
            reference: image.to_owned(),
            layer: layer.digest,
            source,
        })?;
    }
    Ok(table)
}

/// The paths of one layer, whose tar stream must be what the configuration says.
fn read_layer(
    store: &Store,
    image: &str,
    layer: &LockedBaseLayer,
    stop: &AtomicBool,
) -> Result<LayerPaths, RegistryError> {
    let LockedBaseLayer { digest, diff_id, compression, size } = *layer;
    let (origin, content) = (image.to_owned(), Content::Base(compression));
    let layer = ImageLayer { origin, diff_id, digest, size, content };
    let unreadable =
        |source| RegistryError::Layer { reference: image.to_owned(), layer: digest, source };
    let (reader, writer) = io::pipe().map_err(unreadable)?;
    let mut hashed = Hashed { out: writer, hasher: Hasher::new(), stop };
    let (written, paths) = thread::scope(|scope| {
        let paths = scope.spawn(|| {
            let mut reader = io::BufReader::with_capacity(1 << 20, reader);
            let paths = LayerPaths::read(&mut reader);
            // What follows the end of the archive belongs to the layer all the same.
            io::copy(&mut reader.by_ref(), &mut io::sink()).and(paths)
        });
        let written = layer.write_tar(store, &mut hashed);
        let found = std::mem::take(&mut hashed.hasher).finish();
        drop(hashed);
        (written.map(|()| found), paths.join())
    });
    let found = match written {
        Ok(found) => found,
        Err(_) if stop.load(Ordering::Relaxed) => return Err(RegistryError::Stopped),
        Err(error) => return Err(error.into()),
    };
    if found != diff_id.0 {
        let (reference, DiffId(expected)) = (image.to_owned(), diff_id);
        return Err(RegistryError::DiffId { reference, layer: digest, expected, found });
    }
    let paths = paths.unwrap_or_else(|_| Err(io::Error::other("a reading thread ended early")));
    paths.map_err(unreadable)
}

/// Hashes what goes by, until somebody asks to stop.
struct Hashed<'a> {
    out: io::PipeWriter,
    hasher: Hasher,
    stop: &'a AtomicBool,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        // A reader that found the archive broken must not keep the digest from being known.
        match self.out.write_all(bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
