//! Names of images, as git has names of commits.
//!
//! `seg-debian` is what the project's lock says now; `seg-debian@sha256:3f2a…`, any
//! unambiguous prefix of it, or the prefix alone is an image that is in the store.

use super::context::Context;
use super::error::CliError;
use crate::digest::Digest;
use crate::image::{self, Image};
use crate::lock::Lock;
use crate::store::Store;

/// What a reference means.
pub enum Reference {
    /// The image of a recipe, as its lock stands now.
    Recipe(String),
    /// A sealed image in the store.
    Sealed { name: String, seal: Digest },
}

/// Resolves `text` against the project's recipes and the store's images.
pub fn resolve(context: &Context, store: &Store, text: &str) -> Result<Reference, CliError> {
    let (name, digits) = match text.split_once('@') {
        Some((name, digits)) => (Some(name), digits),
        None => match text.strip_prefix("sha256:") {
            Some(digits) => (None, digits),
            None => return recipe(context, store, text),
        },
    };
    sealed(context, store, text, name, digits.trim_start_matches("sha256:"))
}

/// The image that `text` means, which must have been built here.
pub fn image(context: &Context, store: &Store, text: &str) -> Result<Image, CliError> {
    let seal = match resolve(context, store, text)? {
        Reference::Sealed { seal, .. } => seal,
        Reference::Recipe(name) => {
            let lock = context.lock(&name)?;
            crate::build::refuse_other(store, &lock)?;
            let seal = lock.seal.as_ref().map(|seal| seal.manifest);
            seal.ok_or_else(|| CliError::NotSealed { name: name.clone() })?
        }
    };
    Image::load(store, &seal).map_err(|error| match error {
        image::ImageError::Unknown { seal } => {
            CliError::NotBuilt { reference: text.to_owned(), seal }
        }
        other => other.into(),
    })
}

/// The lock that a sealed image was built from, out of the store.
pub fn lock_of(store: &Store, seal: &Digest) -> Result<Lock, CliError> {
    let source = crate::build::source_of(store, seal)?;
    let text = store.read_blob(&source.lock)?;
    Ok(Lock::parse(&String::from_utf8_lossy(&text), &store.blob_path(&source.lock))?)
}

fn recipe(context: &Context, store: &Store, text: &str) -> Result<Reference, CliError> {
    let names: Vec<String> = crate::recipe::Recipe::load_all(&context.images()?)?
        .into_iter()
        .map(|recipe| recipe.name)
        .collect();
    if names.iter().any(|name| name == text) {
        return Ok(Reference::Recipe(text.to_owned()));
    }
    let matching: Vec<&String> = names.iter().filter(|name| name.starts_with(text)).collect();
    match matching.as_slice() {
        [one] => Ok(Reference::Recipe((*one).clone())),
        [] if is_prefix(text) => sealed(context, store, text, None, text),
        [] => Err(unknown(text, &names)),
        many => Err(CliError::Ambiguous {
            reference: text.to_owned(),
            candidates: many.iter().map(|name| (*name).clone()).collect(),
        }),
    }
}

/// Four digits are the fewest that git takes too.
fn is_prefix(text: &str) -> bool {
    text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn sealed(
    context: &Context,
    store: &Store,
    text: &str,
    name: Option<&str>,
    digits: &str,
) -> Result<Reference, CliError> {
    let images = known(store)?;
    let matching: Vec<_> = images
        .iter()
        .filter(|(own, seal)| name.is_none_or(|name| own == name) && seal.hex().starts_with(digits))
        .collect();
    match matching.as_slice() {
        [(name, seal)] => Ok(Reference::Sealed { name: name.clone(), seal: *seal }),
        [] => match name.and_then(|name| locked_seal(context, name, digits)) {
            Some(name) => Ok(Reference::Recipe(name)),
            None => {
                let known = images.iter().map(|(name, seal)| format!("{name}@{seal}"));
                Err(unknown(text, &known.collect::<Vec<_>>()))
            }
        },
        many => Err(CliError::Ambiguous {
            reference: text.to_owned(),
            candidates: many.iter().map(|(name, seal)| format!("{name}@{seal}")).collect(),
        }),
    }
}

/// Name and seal of every image that was built or imported here.
fn known(store: &Store) -> Result<Vec<(String, Digest)>, CliError> {
    let mut images = image::list(store)?;
    let imported =
        crate::build::sources(store)?.into_iter().map(|(seal, source)| (source.name, seal));
    images.extend(imported.filter(|(name, _)| !name.is_empty()));
    images.sort();
    images.dedup();
    Ok(images)
}

/// The recipe's name, if its lock has a seal with these first digits: it can be built.
fn locked_seal(context: &Context, name: &str, digits: &str) -> Option<String> {
    let seal = context.find_lock(name).ok()??.seal?;
    seal.manifest.hex().starts_with(digits).then(|| name.to_owned())
}

fn unknown(text: &str, known: &[String]) -> CliError {
    let nearest = known.iter().max_by(|left, right| {
        strsim::jaro_winkler(left, text).total_cmp(&strsim::jaro_winkler(right, text))
    });
    CliError::Unknown {
        reference: text.to_owned(),
        nearest: nearest.filter(|name| strsim::jaro_winkler(name, text) > 0.7).cloned(),
        known: known.to_vec(),
    }
}
