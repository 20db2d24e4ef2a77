//! Builds a locked image again elsewhere and compares.
//!
//! The second build runs in a child process with its own empty store, another
//! umask, time zone and locale, inputs that arrived in the opposite order, and
//! one processor instead of all. It is handed the lock without its layers'
//! digests and without its seal, so it cannot copy the answer.

use std::fs::{self, File};
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::inputs::{find_damage, import_local_files, named_inputs};
use super::{BuildError, Builder, io};
use crate::digest::{DiffId, Digest};
use crate::image::Image;
use crate::lock::{Lock, LockedBuild};
use crate::store::Store;

mod compare;

pub use compare::Difference;

/// What a second build gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilt {
    /// The seal that came out.
    pub seal: Digest,
    /// Origin, diff ID and digest of each layer, lowest first.
    pub layers: Vec<(String, DiffId, Digest)>,
}

/// What verifying an image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The second build gave the sealed bytes.
    Good(Digest),
    /// It gave other bytes.
    Bad {
        /// The lock's seal.
        sealed: Digest,
        /// The seal that came out.
        rebuilt: Digest,
        /// The first difference that a reader can look at, with both values.
        difference: Difference,
    },
    /// It could not be built.
    Fail(String),
}

/// Builds `lock` in the store of `builder`, which should be empty, from the inputs of `from`.
///
/// Inputs are hashed, then linked or copied in the opposite of their usual order.
pub fn rebuild(builder: &Builder<'_>, from: &Store, lock: &Lock) -> Result<Rebuilt, BuildError> {
    let lock = Lock { seal: None, ..lock.clone() };
    let repeatable = lock.builds.iter().filter(|build| build.repeatable);
    let outputs: Vec<Digest> =
        repeatable.flat_map(LockedBuild::blobs).map(|(_, digest)| digest).collect();
    let inputs = named_inputs(&lock);
    if let Some(damage) = find_damage(from, &inputs)? {
        return Err(damage);
    }
    // What was compiled is not carried over: compiling it again is part of the proof. Only what a
    // command made that does not repeat itself is an input like any other.
    for (_, digest) in inputs.iter().rev().filter(|(_, digest)| !outputs.contains(digest)) {
        link(from, builder.store, digest)?;
    }
    // Build jobs run on the base; an image without any is built from the base's documents alone.
    let base = lock.base.iter().filter(|_| !lock.builds.is_empty());
    for layer in base.flat_map(|base| &base.layers).filter(|layer| from.has(&layer.digest)) {
        link(from, builder.store, &layer.digest)?;
    }
    import_local_files(builder.store, &builder.folder, &lock)?;
    let built = builder.build(&lock)?;
    let layers = built.image.layers.into_iter();
    Ok(Rebuilt {
        seal: built.image.seal,
        layers: layers.map(|layer| (layer.origin, layer.diff_id, layer.digest)).collect(),
    })
}

/// Copies content between stores, without moving bytes where the file system can.
fn link(from: &Store, to: &Store, digest: &Digest) -> Result<(), BuildError> {
    let (source, place) = (from.blob_path(digest), to.blob_path(digest));
    if place.exists() || !source.exists() || fs::hard_link(&source, &place).is_ok() {
        return Ok(());
    }
    let mut file = File::open(&source).map_err(io("open", &source))?;
    let mut writer = to.writer()?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(io("read", &source))?;
        if count == 0 {
            break;
        }
        writer.write(&buffer[..count])?;
    }
    writer.finish()?;
    Ok(())
}

/// Compares what a second build gave with the sealed image.
///
/// `second` is the second build's store; it is asked for the entries of the first
/// layer that differs.
pub fn verify(
    store: &Store,
    second: &Store,
    lock: &Lock,
    rebuilt: &Rebuilt,
) -> Result<Verdict, BuildError> {
    let Some(sealed) = lock.seal.as_ref().map(|seal| seal.manifest) else {
        return Ok(Verdict::Fail(format!("lock `{}` has no seal to compare with", lock.name)));
    };
    if sealed == rebuilt.seal {
        return Ok(Verdict::Good(sealed));
    }
    let ours = Image::load(store, &sealed).ok();
    let theirs = Image::load(second, &rebuilt.seal)?;
    let difference = compare::first_difference(store, ours.as_ref(), second, &theirs, lock)?;
    Ok(Verdict::Bad { sealed, rebuilt: rebuilt.seal, difference })
}
