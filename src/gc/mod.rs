//! Removes from the store what nothing needs any more.
//!
//! Roots are the locks that were built and still stand in the checkout they were built from, and
//! the images of run records. What a root needs stays: every file its lock pins (without them the
//! image could not be verified), documents and layer plans, unpacked layers, data sets. Everything
//! else can be fetched or made again, and goes.
//!
//! Invariants: nothing goes while another command uses the store; facts go before the content they
//! tell of, so that a kill at any moment leaves at worst content that nothing refers to; run
//! records never go. A record or a lock that cannot be read stops everything: what it needs
//! cannot be told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use crate::bench::{self, BenchError};
use crate::build::{self, BuildError, Checkout};
use crate::dataset::{self, DatasetError, Datasets};
use crate::digest::Digest;
use crate::image::{self, Image, ImageError};
use crate::lock::{Lock, LockError};
use crate::named_file;
use crate::store::{Alone, Kind, Store, StoreError, Stored};

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The store failed, or is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was built cannot be told.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A record cannot be read.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A lock cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data sets of a checkout cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A file of a checkout cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What counts as a root.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Run records do not keep their images.
    pub without_runs: bool,
    /// Images that are to go, whoever has their lock.
    pub forget: Vec<Digest>,
}

/// An image that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The image's name.
    pub name: String,
    /// Its seal.
    pub seal: Digest,
    /// Checkouts and runs that need it.
    pub needed_by: Vec<String>,
}

/// What would go, and what stays.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What stays, sorted by seal.
    pub roots: Vec<Root>,
    /// Images that are forgotten.
    pub images: Vec<Digest>,
    /// What goes.
    pub remove: Vec<Stored>,
    /// Plans of layers that stay, in hexadecimal.
    plans: BTreeSet<String>,
}

impl Plan {
    /// Number and bytes of what goes, of one kind.
    pub fn total(&self, kind: Kind) -> (usize, u64) {
        let of_kind = self.remove.iter().filter(|stored| stored.kind == kind);
        of_kind.fold((0, 0), |(count, bytes), stored| (count + 1, bytes + stored.bytes))
    }
}

/// Finds out what could go.
pub fn plan(store: &Store, options: &Options) -> Result<Plan, GcError> {
    let (roots, names) = (BTreeMap::new(), BTreeMap::new());
    let mut keep = Keep { store, options, roots, names, needs_git: false };
    keep.checkouts()?;
    keep.runs()?;
    keep.images()?;
    let mut remove = Vec::new();
    for kind in Kind::ALL {
        let stored = store.stored(kind)?.into_iter();
        // Repositories lie in packs together; the trees themselves are blobs.
        let needs_git = kind == Kind::Git && keep.needs_git;
        remove
            .extend(stored.filter(|stored| !needs_git && !keep.has(stored.kind, stored.digest())));
    }
    let built = image::list(store)?.into_iter().map(|(_, seal)| seal);
    let imported = build::sources(store)?.into_iter().map(|(seal, _)| seal);
    let images: BTreeSet<Digest> =
        built.chain(imported).filter(|seal| !keep.roots.contains_key(seal)).collect();
    let images = images.into_iter().collect();
    let plans = keep.names.remove(&Kind::Blob).unwrap_or_default();
    Ok(Plan { roots: keep.roots.into_values().collect(), images, remove, plans })
}

/// Removes what nothing needs; `progress` is told the bytes of each thing that went.
pub fn collect(
    alone: &Alone<'_>,
    store: &Store,
    options: &Options,
    progress: &dyn Fn(u64),
) -> Result<Plan, GcError> {
    let plan = plan(store, options)?;
    build::forget(store, &plan.images)?;
    image::forget(store, &plan.images)?;
    build::forget_layers(store, &|key| plan.plans.contains(key))?;
    for stored in &plan.remove {
        alone.remove(stored)?;
        progress(stored.bytes);
    }
    Ok(plan)
}

/// What must stay, as far as it is known.
struct Keep<'a> {
    store: &'a Store,
    options: &'a Options,
    roots: BTreeMap<Digest, Root>,
    names: BTreeMap<Kind, BTreeSet<String>>,
    /// Whether a lock has git sources.
    needs_git: bool,
}

impl Keep<'_> {
    fn has(&self, kind: Kind, name: &str) -> bool {
        self.names.get(&kind).is_some_and(|names| names.contains(name))
    }

    fn keep(&mut self, kind: Kind, digest: &Digest) {
        self.names.entry(kind).or_default().insert(digest.hex());
    }

    fn root(&mut self, name: &str, seal: Digest, needed_by: String) -> bool {
        if self.options.forget.contains(&seal) {
            return false;
        }
        let new = || Root { name: name.to_owned(), seal, needed_by: Vec::new() };
        let root = self.roots.entry(seal).or_insert_with(new);
        if !root.needed_by.contains(&needed_by) {
            root.needed_by.push(needed_by);
        }
        true
    }

    /// Checkouts that still have the lock that was built from them.
    fn checkouts(&mut self) -> Result<(), GcError> {
        let mut checkouts = build::checkouts(self.store)?;
        // What an earlier version of the program built is registered with one checkout only.
        for (seal, source) in build::sources(self.store)? {
            let Ok(text) = self.store.read_blob(&source.lock) else { continue };
            let path = self.store.blob_path(&source.lock);
            let lock = Lock::parse(&String::from_utf8_lossy(&text), &path)?;
            // Whoever pulled it wants it; no checkout tells when that ends, `forget` does.
            if source.folder == self.store.root() {
                self.root(&lock.name, seal, "pulled".to_owned());
                continue;
            }
            let (name, folder) = (lock.name.clone(), source.folder);
            checkouts.push(Checkout { name, lock: lock.digest(), seal, folder });
        }
        checkouts.iter().try_for_each(|checkout| self.checkout(checkout))
    }

    fn checkout(&mut self, checkout: &Checkout) -> Result<(), GcError> {
        let path = checkout.lock_path();
        let text = match named_file::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            Err(source) => return Err(GcError::Io { path, source }),
        };
        let lock = Lock::parse(&text, &path)?;
        let project = checkout.folder.parent().unwrap_or(&checkout.folder).to_owned();
        if lock.digest() != checkout.lock
            || !self.root(&checkout.name, checkout.seal, project.display().to_string())
        {
            return Ok(());
        }
        self.pinned(&lock);
        for set in Datasets::load(&project)?.sets.values() {
            set.binding().iter().for_each(|binding| self.keep(Kind::Data, binding));
            let (derived, lists) = dataset::needed(self.store, set)?;
            derived.iter().for_each(|manifest| self.keep(Kind::Data, manifest));
            derived.iter().chain(&lists).for_each(|blob| self.keep(Kind::Blob, blob));
        }
        // The checkout of an imported bundle lies in the store itself.
        let name = project.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.names.entry(Kind::Checkout).or_default().insert(name);
        Ok(())
    }

    fn runs(&mut self) -> Result<(), GcError> {
        if self.options.without_runs {
            return Ok(());
        }
        for record in bench::read_records(&self.store.runs())? {
            if !self.root(&record.image.name, record.image.seal, format!("run {}", record.run)) {
                continue;
            }
            self.keep(Kind::Blob, &record.image.recipe);
            record.profile.files.iter().for_each(|file| self.keep(Kind::Blob, &file.digest));
            record.data.iter().for_each(|data| self.keep(Kind::Data, &data.digest));
        }
        Ok(())
    }

    /// What the images of all roots are made of and were made of.
    fn images(&mut self) -> Result<(), GcError> {
        let seals: Vec<Digest> = self.roots.keys().copied().collect();
        for seal in seals {
            if let Ok(source) = build::source_of(self.store, &seal) {
                self.keep(Kind::Blob, &source.lock);
                source.recipe.iter().for_each(|recipe| self.keep(Kind::Blob, recipe));
                if let Ok(text) = self.store.read_blob(&source.lock) {
                    let path = self.store.blob_path(&source.lock);
                    self.pinned(&Lock::parse(&String::from_utf8_lossy(&text), &path)?);
                }
            }
            // One that is damaged or not built yet has nothing more to keep.
            let Ok(image) = Image::load(self.store, &seal) else { continue };
            let blobs = image::blobs(self.store, &seal)?;
            blobs.iter().for_each(|blob| self.keep(Kind::Blob, blob));
            image.layers.iter().for_each(|layer| self.keep(Kind::Rootfs, &layer.diff_id.0));
        }
        Ok(())
    }

    fn pinned(&mut self, lock: &Lock) {
        self.needs_git |= !lock.git.is_empty();
        lock.pinned().iter().for_each(|pinned| self.keep(Kind::Blob, &pinned.digest));
    }
}
