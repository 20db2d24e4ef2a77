//! Says what differs between two images, locks or OCI layouts, or between two runs, in a reader's terms.
//!
//! Two locks are compared by what they pin. Two images are compared by their configuration, and
//! layer by layer: layers with one diff ID are the same and never read; of the others every entry
//! is looked at, and named with the cause: content, mode, owner, time, bytecode, the order of the
//! entries, how the tar is written, or only the compressor.
//!
//! Invariants: layers are streamed, so memory grows with the number of entries of one pair of
//! layers and never with their size. What differs is found whoever wrote the images; nothing is
//! changed or fetched.

mod layer;
mod picture;
mod place;
mod runs;

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use crate::digest::Digest;
use crate::image::ImageError;
use crate::lock::{self, Lock};
use crate::store::{Store, StoreError};

pub use layer::{Cause, Change, LayerReport};
pub use picture::Picture;
pub use place::Place;
pub use runs::{FactReport, Metric, MetricReport, RunsReport, Unfinished, diff_runs};

/// Why two things cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer's bytes cannot be made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file cannot be read.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Neither folder nor archive is an OCI layout.
    #[error("`{}` is no OCI layout: {reason}", path.display())]
    NotALayout {
        /// What was given.
        path: PathBuf,
        /// Why it is none.
        reason: String,
    },
    /// A document has other bytes than its digest says.
    #[error("content is not what its name says\n  expected  {expected}\n  found     {found}")]
    Damaged {
        /// The digest it is named by.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// A layer cannot be read.
    #[error("layer {digest} cannot be read")]
    Layer {
        /// Its digest.
        digest: Digest,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A lock and an OCI layout have nothing in common that could be compared.
    #[error("`{lock}` was never built here, and `{other}` has no lock")]
    NothingInCommon {
        /// The side that is a lock.
        lock: String,
        /// The side that is only bytes.
        other: String,
    },
    /// One side is a run, the other is not.
    #[error("`{run}` is a run, and `{other}` is none")]
    OnlyOneRun {
        /// The side that is a run.
        run: String,
        /// The other one.
        other: String,
    },
}

/// One of the two things to compare.
#[derive(Debug)]
pub struct Side<'a> {
    /// What the user calls it.
    pub name: String,
    /// Its lock, if it has one.
    pub lock: Option<Lock>,
    /// Where its layers are, if they are anywhere.
    pub place: Option<Place<'a>>,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What the locks pin otherwise.
    pub lock: Vec<lock::Difference>,
    /// What the configurations say otherwise; absent if a side has none.
    pub config: Vec<lock::Difference>,
    /// Layers that are not the same on both sides.
    pub layers: Vec<LayerReport>,
    /// Whether the files were compared at all.
    pub compared_files: bool,
}

impl Report {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.lock.is_empty() && self.config.is_empty() && self.layers.is_empty()
    }
}

/// Compares two things; `progress` is told the bytes of the tar streams that are read.
pub fn diff(
    before: &Side<'_>,
    after: &Side<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, DiffError> {
    let lock = match (&before.lock, &after.lock) {
        (Some(before), Some(after)) => Some(before.diff(after)),
        _ => None,
    };
    let (Some(old), Some(new)) = (&before.place, &after.place) else {
        let lock = lock.ok_or_else(|| {
            let (lock, other) = match before.place {
                None => (&before.name, &after.name),
                Some(_) => (&after.name, &before.name),
            };
            DiffError::NothingInCommon { lock: lock.clone(), other: other.clone() }
        })?;
        let (config, layers) = (Vec::new(), Vec::new());
        return Ok(Report { lock, config, layers, compared_files: false });
    };
    let (old_picture, new_picture) = (Picture::of(old)?, Picture::of(new)?);
    let config = old_picture.config_differences(&new_picture);
    let layers = layer::compare_all((old, &old_picture), (new, &new_picture), progress)?;
    Ok(Report { lock: lock.unwrap_or_default(), config, layers, compared_files: true })
}

/// The side of an image in the store.
pub fn stored<'a>(store: &'a Store, name: &str, lock: Lock, seal: Digest) -> Side<'a> {
    let image = crate::image::Image::load(store, &seal).ok();
    let place = image.map(|image| Place::Store { store, image: Box::new(image) });
    Side { name: name.to_owned(), lock: Some(lock), place }
}
