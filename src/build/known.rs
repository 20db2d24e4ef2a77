//! Holds a lock against what the store knows of its seal.
//!
//! A seal names layers, not what they were made of: an image that is in the store says nothing about
//! a lock that claims its seal. So the store remembers which lock an image was built or pulled with,
//! and another lock that claims the same image is refused, or built again where only its names differ.
//!
//! What can be computed without any input is computed: layers and configuration of a lock make the
//! manifest, whose digest is the seal. Whether the inputs of a lock make its layers, only a build tells.

use std::collections::{BTreeMap, BTreeSet};

use super::assemble::{BUILT, base_layers};
use super::{BuildError, source_of};
use crate::digest::{CommitId, Digest};
use crate::image::{
    self, BaseConfiguration, Configuration, Documents, ImageLayer, LayerDescriptor, Unclaimed,
};
use crate::lock::{Asked, BuildSource, Compression, Lock, LockedBlob, LockedBuild};
use crate::store::Store;

/// Tells whether the store built or pulled the image `seal` with this lock.
pub(super) fn is_known(store: &Store, lock: &Lock, seal: &Digest) -> bool {
    let digest = lock.digest();
    let built = store.recall(BUILT, &digest.hex()).ok().flatten();
    built.is_some_and(|built| built == seal.to_string())
        || image::lock_of(store, seal).is_ok_and(|known| known == Some(digest))
}

/// Refuses a lock that contradicts what the store knows of the seal that it claims.
///
/// # Errors
///
/// [`BuildError::OtherLock`] with the entries that differ.
pub fn refuse_other(store: &Store, lock: &Lock) -> Result<(), BuildError> {
    let seal = lock.seal.as_ref().map(|seal| seal.manifest);
    match seal.and_then(|seal| known_lock(store, &seal, lock)) {
        Some(known) => refuse_different(&known, lock),
        None => Ok(()),
    }
}

/// Refuses a lock that cannot give the image of another one, whose seal it claims.
///
/// # Errors
///
/// [`BuildError::OtherLock`] with the entries that differ.
pub fn refuse_different(known: &Lock, lock: &Lock) -> Result<(), BuildError> {
    let Some(seal) = lock.seal.as_ref().map(|seal| seal.manifest) else { return Ok(()) };
    if image_part(known) == image_part(lock) && compiled_alike(known, lock) {
        return Ok(());
    }
    let (expected, found) = lines_of_each(&known.to_text(), &lock.to_text());
    Err(BuildError::OtherLock { name: lock.name.clone(), seal, expected, found })
}

/// Refuses a lock whose own layers and configuration make another manifest than it is sealed to.
///
/// A base's labels and history stand in its configuration: where no store has it, nothing is said.
///
/// # Errors
///
/// [`BuildError::NotItsSeal`] with both digests.
pub fn promises_its_seal(store: Option<&Store>, lock: &Lock) -> Result<(), BuildError> {
    let Some(seal) = &lock.seal else { return Ok(()) };
    let base = match &lock.base {
        None => BaseConfiguration::default(),
        Some(base) => {
            let config = store.and_then(|store| store.read_blob(&base.config.digest).ok());
            match config.map(|config| BaseConfiguration::read(&config)) {
                Some(Ok(base)) => base,
                Some(Err(_)) | None => return Ok(()),
            }
        }
    };
    let found = promised(lock, configuration(lock, base), &[]).map(|documents| documents.seal());
    match found {
        Some(found) if found == seal.manifest => Ok(()),
        found => {
            let (name, sealed) = (lock.name.clone(), seal.manifest);
            Err(BuildError::NotItsSeal { name, sealed, found })
        }
    }
}

/// Refuses a lock that came with an image and is that of another one: the manifest that its layers
/// and its configuration make must be the image's.
///
/// # Errors
///
/// [`BuildError::NotItsSeal`] with both digests.
pub fn prove_pulled(image: &Unclaimed, lock: &Lock) -> Result<(), BuildError> {
    // Labels and history come from a base, whose configuration nobody needs; the image has them, too.
    let Configuration { labels, history, .. } = image.configuration().clone();
    let made = configuration(lock, BaseConfiguration { labels, history, ..Default::default() });
    let found = promised(lock, made, &image.layers).map(|documents| documents.seal());
    let claimed = lock.seal.as_ref().map(|seal| seal.manifest);
    if claimed == Some(image.seal) && found == claimed {
        return Ok(());
    }
    let found = claimed.filter(|claimed| *claimed != image.seal).or(found);
    Err(BuildError::NotItsSeal { name: lock.name.clone(), sealed: image.seal, found })
}

/// The configuration of the image that a lock makes on a base with these labels and this history.
pub(super) fn configuration(lock: &Lock, base: BaseConfiguration) -> Configuration {
    Configuration {
        architecture: lock.config.architecture.clone(),
        env: lock.env(),
        workdir: lock.config.workdir.clone(),
        entrypoint: lock.config.entrypoint.clone(),
        labels: base.labels,
        history: base.history,
    }
}

/// The documents of the image that a sealed lock promises; `None` if its layers are not those of its base.
///
/// `read` are the layers of an image whose history was read: of a base that this program made, the history
/// looks like the image's own, so the words for its layers come from there.
fn promised(lock: &Lock, configuration: Configuration, read: &[ImageLayer]) -> Option<Documents> {
    let layers = &lock.seal.as_ref()?.layers;
    let base = base_layers(lock);
    let (below, _) = layers.split_at_checked(base.len())?;
    let is_base = base.iter().zip(below).all(|(base, locked)| {
        (base.diff_id, base.digest, base.size) == (locked.diff_id, locked.digest, locked.size)
    });
    let compression =
        |position: usize| base.get(position).map_or(Compression::Gzip, |layer| layer.compression());
    let descriptor = |(position, layer): (usize, &crate::lock::LockedLayer)| LayerDescriptor {
        origin: match read.get(position).filter(|_| position < base.len()) {
            Some(read) => read.origin.clone(),
            None => layer.origin.clone(),
        },
        diff_id: layer.diff_id,
        digest: layer.digest,
        size: layer.size,
        compression: compression(position),
    };
    let layers: Vec<_> = layers.iter().enumerate().map(descriptor).collect();
    is_base.then(|| Documents::new(&configuration, &layers))
}

/// The lock that the store built or pulled this image with, unless it is `lock` to the letter.
fn known_lock(store: &Store, seal: &Digest, lock: &Lock) -> Option<Lock> {
    let source = source_of(store, seal).ok()?;
    if source.lock == Digest::of(lock.to_text().as_bytes()) {
        return None;
    }
    let text = String::from_utf8(store.read_blob(&source.lock).ok()?).ok()?;
    let known = Lock::parse(&text, &store.blob_path(&source.lock)).ok()?;
    // What only came with a bundle was not proven yet, and proves nothing.
    is_known(store, &known, seal).then_some(known)
}

/// What decides an image, in what no two locks of one image can differ. Two recipes may ask for it in other
/// words and under another name, find the same content at other addresses, and compile the same bytes
/// from something else ([`doubtful`]).
fn image_part(lock: &Lock) -> Lock {
    let mut part = lock.without_profiles();
    part.name.clear();
    part.as_of.clear();
    part.asked = Asked::default();
    part.find_links.clear();
    part.unpinned.clear();
    part.git.retain(|git| git.path.is_some());
    for git in &mut part.git {
        git.urls.clear();
        git.commit = CommitId::from_bytes([0; 20]);
    }
    part.downloads.iter_mut().for_each(|download| download.urls.clear());
    part.base.iter_mut().for_each(|base| base.image.clear());
    part.builds = part.builds.into_iter().map(outcome).collect();
    let base = base_layers(lock);
    let layers = part.seal.iter_mut().flat_map(|seal| &mut seal.layers);
    for (layer, base) in layers.zip(&base) {
        // An image that is loaded calls the layers of its base by other words.
        if layer.origin == base.origin || layer.origin.starts_with("base: ") {
            layer.origin.clear();
        }
    }
    part
}

/// A build as what came out of it, and nothing of what went in.
fn outcome(build: LockedBuild) -> LockedBuild {
    LockedBuild {
        source: BuildSource::Local,
        packages: Vec::new(),
        wheels: Vec::new(),
        env: BTreeMap::new(),
        command: Vec::new(),
        repeatable: true,
        local: Vec::new(),
        ..build
    }
}

/// The names of builds whose outcome this lock cannot have from the store: another lock of the same image
/// had it from other inputs. What they give has to be made again and compared.
pub(super) fn doubtful(store: &Store, lock: &Lock) -> BTreeSet<String> {
    let seal = lock.seal.as_ref().map(|seal| seal.manifest);
    let known = seal.and_then(|seal| known_lock(store, &seal, lock));
    let Some(known) = known else { return BTreeSet::new() };
    let is_doubtful = |build: &&LockedBuild| {
        let mut same_name = known.builds.iter().filter(|known| known.name == build.name);
        same_name.next().is_some_and(|before| {
            blobs(before) == blobs(build) && going_in(&known, before) != going_in(lock, build)
        })
    };
    let is_lasting = |build: &&LockedBuild| build.is_known() && build.repeatable;
    let builds = lock.builds.iter().filter(is_lasting).filter(is_doubtful);
    builds.map(|build| build.name.clone()).collect()
}

/// Whether what both locks compiled for profiles goes together: the same inputs give the same outcome,
/// and what cannot be made again was not made from other ones.
fn compiled_alike(known: &Lock, lock: &Lock) -> bool {
    lock.builds.iter().filter(|build| build.is_known()).all(|build| {
        let mut before = known.builds.iter().filter(|known| known.name == build.name);
        let Some(before) = before.next().filter(|before| before.is_known()) else { return true };
        let same_inputs = going_in(known, before) == going_in(lock, build);
        let same_outcome = blobs(before) == blobs(build);
        same_inputs == same_outcome || (!same_inputs && build.repeatable)
    })
}

fn blobs(build: &LockedBuild) -> Vec<(&str, Digest)> {
    build.blobs().collect()
}

/// What a build job sees of its own, and the archive that it unpacks.
fn going_in<'a>(lock: &'a Lock, build: &LockedBuild) -> (LockedBuild, Option<&'a LockedBlob>) {
    let archive = match &build.source {
        BuildSource::Git(name) => lock.git.iter().find(|git| git.name == *name),
        BuildSource::Distribution(_) | BuildSource::Local => None,
    };
    let bare = LockedBuild { output: None, files: Vec::new(), ..build.clone() };
    (bare, archive.map(|git| &git.archive))
}

/// How many entries of each side an error shows.
const SHOWN: usize = 8;

/// The lines that only one of two texts has.
fn lines_of_each(left: &str, right: &str) -> (Vec<String>, Vec<String>) {
    let only = |text: &str, other: &str| -> Vec<String> {
        let others: BTreeSet<&str> = other.lines().collect();
        let all = text.lines().filter(|line| !others.contains(line));
        let mut lines: Vec<String> =
            all.map(|line| line.trim().trim_end_matches(',').to_owned()).collect();
        if lines.len() > SHOWN {
            let more = lines.len() - SHOWN;
            lines.truncate(SHOWN);
            lines.push(format!("and {more} more"));
        }
        lines
    };
    (only(left, right), only(right, left))
}
