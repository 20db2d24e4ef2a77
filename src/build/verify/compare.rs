//! Finds the first entry in which two images differ.

use std::fmt;
use std::io::{self, PipeReader, Read};
use std::thread;

use crate::build::BuildError;
use crate::digest::{Digest, hash_reader};
use crate::image::{Image, ImageLayer};
use crate::lock::Lock;
use crate::store::Store;
use crate::tarball;

/// One difference between a sealed image and its second build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs: a layer, or an entry of one.
    pub place: String,
    /// The sealed side.
    pub sealed: String,
    /// The other side.
    pub rebuilt: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, sealed, rebuilt } = self;
        write!(f, "{place}\n  sealed   {sealed}\n  rebuilt  {rebuilt}")
    }
}

/// The first difference between the image that was sealed and `theirs`.
///
/// Where the sealed image is not in the store, only its layers' digests can be compared.
pub(super) fn first_difference(
    store: &Store,
    ours: Option<&Image>,
    second: &Store,
    theirs: &Image,
    lock: &Lock,
) -> Result<Difference, BuildError> {
    if let Some(ours) = ours {
        for (left, right) in ours.layers.iter().zip(&theirs.layers) {
            if left.diff_id != right.diff_id {
                return entry_difference(store, left, second, right);
            }
        }
    }
    let locked = lock.seal.iter().flat_map(|seal| &seal.layers);
    for (left, right) in locked.zip(&theirs.layers) {
        if left.digest != right.digest {
            return Ok(Difference {
                place: format!("layer `{}`", right.origin),
                sealed: left.digest.to_string(),
                rebuilt: right.digest.to_string(),
            });
        }
    }
    Ok(surplus_layer(lock, theirs).unwrap_or_else(|| {
        let unknown = || "not in the store".to_owned();
        Difference {
            place: "image configuration".to_owned(),
            sealed: ours.map_or_else(unknown, configuration),
            rebuilt: configuration(theirs),
        }
    }))
}

/// The first layer that only one side has.
fn surplus_layer(lock: &Lock, theirs: &Image) -> Option<Difference> {
    let locked: &[_] = lock.seal.as_ref().map_or(&[], |seal| &seal.layers);
    let (sealed, rebuilt) = (locked.get(theirs.layers.len()), theirs.layers.get(locked.len()));
    let origin = sealed.map(|layer| &layer.origin).or(rebuilt.map(|layer| &layer.origin))?;
    let text =
        |digest: Option<Digest>| digest.map_or("absent".to_owned(), |digest| digest.to_string());
    Some(Difference {
        place: format!("layer `{origin}`"),
        sealed: text(sealed.map(|layer| layer.digest)),
        rebuilt: text(rebuilt.map(|layer| layer.digest)),
    })
}

/// What a configuration says beside its layers, on one line.
fn configuration(image: &Image) -> String {
    format!("workdir {}, environment {:?}", image.workdir, image.env)
}

/// Streams both layers again and walks them side by side.
fn entry_difference(
    store: &Store,
    left: &ImageLayer,
    second: &Store,
    right: &ImageLayer,
) -> Result<Difference, BuildError> {
    let place = format!("layer `{}`", right.origin);
    let found = thread::scope(|scope| -> io::Result<Option<Difference>> {
        let (left, right) = (pipe(scope, store, left)?, pipe(scope, second, right)?);
        compare_streams(&place, left, right)
    })
    .map_err(|source| BuildError::Io {
        action: "compare",
        path: place.clone().into(),
        source,
    })?;
    Ok(found.unwrap_or_else(|| Difference {
        place,
        sealed: left.diff_id.to_string(),
        rebuilt: right.diff_id.to_string(),
    }))
}

fn pipe<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    store: &'env Store,
    layer: &'env ImageLayer,
) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    // A reader that stops early breaks the pipe, which ends the writer: no error of ours.
    scope.spawn(move || layer.write_tar(store, &mut writer).ok());
    Ok(reader)
}

fn compare_streams(
    layer: &str,
    left: impl Read,
    right: impl Read,
) -> io::Result<Option<Difference>> {
    let (mut left, mut right) = (tarball::open(left), tarball::open(right));
    let (mut left, mut right) = (left.entries()?, right.entries()?);
    loop {
        let (left, right) = (describe(left.next())?, describe(right.next())?);
        if left == right {
            match left {
                Some(_) => continue,
                None => return Ok(None),
            }
        }
        let path = left.as_ref().or(right.as_ref()).map_or("", |(path, _)| path.as_str());
        let text = |side: &Option<(String, String)>| match side {
            Some((other, about)) if other != path => format!("{other}: {about}"),
            Some((_, about)) => about.clone(),
            None => "absent".to_owned(),
        };
        return Ok(Some(Difference {
            place: format!("`{path}` in {layer}"),
            sealed: text(&left),
            rebuilt: text(&right),
        }));
    }
}

/// Path, and everything else of an entry as one line.
fn describe<R: Read>(
    entry: Option<io::Result<tar::Entry<'_, R>>>,
) -> io::Result<Option<(String, String)>> {
    let Some(mut entry) = entry.transpose()? else { return Ok(None) };
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let header = entry.header();
    let link = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
    let about = format!(
        "{:?}, mode {:04o}, owner {}:{}, time {}, size {}{}",
        header.entry_type(),
        header.mode()?,
        header.uid()?,
        header.gid()?,
        header.mtime()?,
        entry.size(),
        link.map_or(String::new(), |link| format!(", to `{link}`")),
    );
    let (digest, _): (Digest, u64) = hash_reader(&mut entry)?;
    Ok(Some((path, format!("{about}, {digest}"))))
}
