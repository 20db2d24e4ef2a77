//! Ties fetch, build jobs, layers and image together: a lock becomes an image.
//!
//! An image is a function of its lock. Building does as little as can prove that:
//!
//! - nothing, where this image was built here before and its inputs are there;
//! - one pass over the compressed bytes of each layer, where the lock has its seal
//!   and the layer was never proven on this machine;
//! - inflating everything once, where the lock has no seal yet.
//!
//! That one pass may be an export or a push: whoever takes the bytes proves them
//! ([`Builder::build_streaming`]).
//!
//! Invariants: a build whose seal differs from the lock's fails with both and
//! leaves the store as it was but for fetched inputs; a lock with unpinned inputs
//! is refused. Which files the lock and the recipe are read from is left to `cli`.

mod assemble;
mod inputs;
mod jobs;
mod known;
mod layering;
mod outputs;
mod progress;
mod prove;
mod source;
mod unpack;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::digest::Digest;
use crate::engine::{Engine, EngineError, Stop};
use crate::fetch::{self, FetchError};
use crate::image::{Image, ImageError, MOST_LAYERS};
use crate::layer::{EPOCH, LayerError};
use crate::lock::{Lock, LockError, LockedLayer, LockedSeal};
use crate::registry;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

pub use assemble::whole;
pub use inputs::{import_local_files, import_profile_files, profile_files};
pub use known::{promises_its_seal, prove_pulled, refuse_different, refuse_other};
pub use progress::Progress;
pub use source::{
    Checkout, Source, checkouts, forget, forget_layers, keep_pulled, register_source, source_of,
    sources,
};
pub use verify::{Rebuilt, Verdict, rebuild, verify};

/// Why a lock could not become its image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Inputs could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A layer could not be made.
    #[error(transparent)]
    Layer(LayerError),
    /// The image could not be saved or loaded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A build job could not be started.
    #[error("cannot run the build job of `{name}`")]
    Engine {
        /// The distribution that is compiled.
        name: String,
        /// The engine's reason.
        source: EngineError,
    },
    /// The lock was written under an epoch this program does not know.
    #[error("lock `{name}` has format epoch {found}\n  this program knows  1 to {EPOCH}")]
    Epoch {
        /// The lock's name.
        name: String,
        /// Its epoch.
        found: u32,
    },
    /// The lock has inputs that nobody could pin.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A local file is not the one that was locked.
    #[error(
        "`{}` is not the file that was locked\n  locked  {expected}\n  found   {}",
        path.display(), found.map_or("no file".to_owned(), |digest| digest.to_string())
    )]
    LocalFile {
        /// The file.
        path: PathBuf,
        /// The locked digest.
        expected: Digest,
        /// The digest of what is there.
        found: Option<Digest>,
    },
    /// A stored input changed after it was fetched.
    #[error("stored input `{name}` is damaged\n  expected  {expected}\n  found     {found}")]
    DamagedInput {
        /// What a reader would call it.
        name: String,
        /// The digest it is stored under.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// A layer is not the one that was locked although its inputs are.
    #[error(
        "layer `{origin}` is not the one that was locked\n  locked  {expected}\n  built   {found}"
    )]
    LayerDiffers {
        /// What the layer holds.
        origin: String,
        /// The locked digest.
        expected: String,
        /// The digest that came out.
        found: String,
    },
    /// The image is not the one that was locked.
    #[error("`{name}` does not come out as it was sealed\n  sealed  {expected}\n  built   {found}")]
    SealDiffers {
        /// The image.
        name: String,
        /// The lock's seal.
        expected: Digest,
        /// The seal that came out.
        found: Digest,
    },
    /// A lock claims the seal of an image that was built or pulled with another one.
    #[error(
        "`{name}` is not the lock that its seal was made from\n  seal      {seal}{}{}",
        listed("expected", expected),
        listed("found   ", found)
    )]
    OtherLock {
        /// The lock's name.
        name: String,
        /// The seal that it claims.
        seal: Digest,
        /// Entries that only the lock of this seal has.
        expected: Vec<String>,
        /// Entries that only this lock has.
        found: Vec<String>,
    },
    /// Layers and configuration of a lock make another manifest than the one it is sealed to.
    #[error(
        "the lock of `{name}` is not the lock of this seal\n  seal          {sealed}\n  its contents  {}",
        found.map_or("no image".to_owned(), |found| found.to_string())
    )]
    NotItsSeal {
        /// The lock's name.
        name: String,
        /// The seal that it claims, or that the image has.
        sealed: Digest,
        /// The seal that follows from the lock, if its layers are those of its base.
        found: Option<Digest>,
    },
    /// No machine could stack the layers of the image.
    #[error("`{name}` has {found} layers\n  possible  {MOST_LAYERS}")]
    TooManyLayers {
        /// The image.
        name: String,
        /// How many it has.
        found: usize,
    },
    /// A build job failed.
    #[error("the build job of `{name}` failed: {reason}\n{output}")]
    JobFailed {
        /// The distribution that is compiled.
        name: String,
        /// How it ended.
        reason: String,
        /// The last lines of what it printed.
        output: String,
    },
    /// A build job gave another wheel or file than the one that is locked.
    #[error(
        "the build of `{name}` gives other bytes than the lock has\n  locked  {expected}\n  built   {found}"
    )]
    OutputDiffers {
        /// The distribution that is compiled.
        name: String,
        /// The locked digest.
        expected: Digest,
        /// The digest that came out.
        found: Digest,
    },
    /// What a command made that does not repeat itself is not in the store.
    #[error(
        "what the build of `{name}` gave is not in the store, and its command does not give the same bytes again\n  locked  {expected} (`{file}`)"
    )]
    OutputLost {
        /// What is compiled.
        name: String,
        /// The wheel or file.
        file: String,
        /// The locked digest.
        expected: Digest,
    },
    /// A source cannot be unpacked.
    #[error("cannot unpack `{file}`: {reason}")]
    Source {
        /// The source distribution, or the git source.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
}

fn listed(side: &str, entries: &[String]) -> String {
    entries.iter().map(|entry| format!("\n  {side}  {entry}")).collect()
}

impl From<LayerError> for BuildError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Stopped => Self::Stopped,
            other => Self::Layer(other),
        }
    }
}

/// Everything a build works with.
pub struct Builder<'a> {
    /// Where inputs come from.
    pub settings: &'a Settings,
    /// Where content is kept.
    pub store: &'a Store,
    /// Runs build jobs.
    pub engine: &'a dyn Engine,
    /// Told what is going on.
    pub progress: &'a dyn Progress,
    /// The user's wish to stop.
    pub stop: &'a Stop,
    /// The folder that local files are relative to (`images`).
    pub folder: PathBuf,
    /// The recipe's text, kept under the seal; absent in a second build.
    pub recipe: Option<String>,
}

/// An image that came out of a build.
#[derive(Debug)]
pub struct Built {
    /// The image.
    pub image: Image,
    /// The lock with what came out: wheels of build jobs, layers and seal.
    pub lock: Lock,
    /// Whether anything had to be done.
    pub fresh: bool,
}

impl Builder<'_> {
    /// Builds the image of `lock`; compares with the lock's seal if it has one.
    pub fn build(&self, lock: &Lock) -> Result<Built, BuildError> {
        self.accept(lock)?;
        if let Some(image) = self.built_before(lock)? {
            let mut lock = lock.clone();
            lock.seal.get_or_insert_with(|| locked_seal(&image));
            self.keep_checkout(&lock, &image.seal)?;
            return Ok(Built { image, lock, fresh: false });
        }
        self.fetch(lock)?;
        inputs::import_local_files(self.store, &self.folder, lock)?;
        let mut lock = lock.clone();
        let image = match self.make(&mut lock) {
            Ok(image) => image,
            Err(error) => return Err(self.blame(&lock, error)?),
        };
        lock.seal = Some(locked_seal(&image));
        self.register(&lock, &image)?;
        Ok(Built { image, lock, fresh: true })
    }

    /// Builds the image of `lock` while `stream` takes the bytes of its layers.
    ///
    /// A layer that was never proven here is proven by its first streaming: whoever takes the
    /// bytes (an export, a push) hashes them anyway. So `stream` must compare each layer with its
    /// digest and fail if one differs; the image is registered only after it.
    pub fn build_streaming<E: From<BuildError>>(
        &self,
        lock: &Lock,
        stream: impl FnOnce(&Image) -> Result<(), E>,
    ) -> Result<Built, E> {
        let Some((promised, lock)) = self.promised(lock)? else {
            let built = self.build(lock)?;
            stream(&built.image)?;
            return Ok(built);
        };
        stream(&promised)?;
        self.prover().remember(&promised.layers).map_err(E::from)?;
        promised.register(self.store).map_err(BuildError::from)?;
        layering::remember(self.store, &promised.layers)?;
        self.register(&lock, &promised)?;
        Ok(Built { image: promised, lock, fresh: true })
    }

    /// The image that a sealed lock promises and the lock with what was compiled, unless the image
    /// was built here or needs a first measuring.
    fn promised(&self, lock: &Lock) -> Result<Option<(Image, Lock)>, BuildError> {
        self.accept(lock)?;
        let Some(seal) = &lock.seal else { return Ok(None) };
        if self.built_before(lock)?.is_some() {
            return Ok(None);
        }
        self.fetch(lock)?;
        inputs::import_local_files(self.store, &self.folder, lock)?;
        let mut known = lock.clone();
        let image = self.run_jobs(&mut known).and_then(|()| self.promise(&known, seal));
        match image {
            Ok(image) => Ok(Some((image, known))),
            Err(error) => Err(self.blame(lock, error)?),
        }
    }

    fn accept(&self, lock: &Lock) -> Result<(), BuildError> {
        if !(1..=EPOCH).contains(&lock.epoch) {
            return Err(BuildError::Epoch { name: lock.name.clone(), found: lock.epoch });
        }
        lock.require_pinned()?;
        refuse_other(self.store, lock)
    }

    /// Makes the image out of inputs that are all in the store.
    fn make(&self, lock: &mut Lock) -> Result<Image, BuildError> {
        self.run_jobs(lock)?;
        let layers = self.assemble(lock)?;
        self.seal(lock, layers)
    }

    /// Downloads what the lock names and the store lacks.
    pub fn fetch(&self, lock: &Lock) -> Result<(), BuildError> {
        let stop: &AtomicBool = &self.stop.flag();
        let made_here = fetch::wanted_of_mirrors(lock);
        fetch::fetch_from_mirrors(self.settings, self.store, &made_here, self.progress, stop)?;
        let wanted = fetch::wanted(lock);
        fetch::fetch(self.settings, self.store, &wanted, self.progress, stop)?;
        let documents = registry::documents(lock);
        registry::fetch(self.settings, self.store, &documents, self.progress, stop)?;
        Ok(())
    }

    /// Downloads the layers of the lock's base: building does without, whoever runs, exports or
    /// pushes the image needs their bytes.
    pub fn fetch_layers(&self, lock: &Lock) -> Result<(), BuildError> {
        let layers = registry::layers(lock);
        let stop: &AtomicBool = &self.stop.flag();
        let mirrored = fetch::base_layers_of_mirrors(lock);
        fetch::fetch_from_mirrors(self.settings, self.store, &mirrored, self.progress, stop)?;
        registry::fetch(self.settings, self.store, &layers, self.progress, stop)?;
        Ok(())
    }
}

fn locked_seal(image: &Image) -> LockedSeal {
    let layers = image.layers.iter().map(|layer| LockedLayer {
        origin: layer.origin.clone(),
        diff_id: layer.diff_id,
        digest: layer.digest,
        size: layer.size,
    });
    LockedSeal { manifest: image.seal, layers: layers.collect() }
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> BuildError + 'a {
    move |source| BuildError::Io { action, path: path.to_owned(), source }
}
