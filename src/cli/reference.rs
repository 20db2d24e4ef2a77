//! Names of images, as git has names of commits.
//!
//! `seg-debian` is what the project's lock says now; `seg-debian@sha256:3f2a…`, any
//! unambiguous prefix of it, or the prefix alone is an image that is in the store.

use super::build;
use super::context::Context;
use super::error::CliError;
use crate::digest::Digest;
use crate::image::{self, Image};
use crate::lock::Lock;
use crate::recipe::Recipe;
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
            match &lock.seal {
                Some(seal) => seal.manifest,
                None => return Err(unsealed(context, name, &lock)?),
            }
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

/// Why an image of the project has no seal: its lock has holes, or nobody built it yet.
fn unsealed(context: &Context, name: String, lock: &Lock) -> Result<CliError, CliError> {
    Ok(match lock.require_pinned() {
        Ok(()) => CliError::NotSealed { name },
        Err(open) => {
            let complete = build::complete_variants(context, &context.recipe(&name)?)?;
            CliError::LockIsOpen { name, complete, open }
        }
    })
}

/// An image of the project's recipes; outside a project, and for what it has no recipe of, one of the
/// store: what was imported or pulled needs no checkout.
fn recipe(context: &Context, store: &Store, text: &str) -> Result<Reference, CliError> {
    let names: Vec<String> = match context.images() {
        Ok(images) => Recipe::load_all(&images)?.into_iter().map(|recipe| recipe.name).collect(),
        Err(no_project) => match known(store)? {
            images if images.is_empty() => return Err(no_project),
            images => return of_store(context, store, text, &images),
        },
    };
    if names.iter().any(|name| name == text) {
        return Ok(Reference::Recipe(text.to_owned()));
    }
    let matching: Vec<&String> = names.iter().filter(|name| name.starts_with(text)).collect();
    match matching.as_slice() {
        [one] => Ok(Reference::Recipe((*one).clone())),
        [] if is_prefix(text) => sealed(context, store, text, None, text),
        [] if known(store)?.iter().any(|(name, _)| name == text) => {
            of_store(context, store, text, &known(store)?)
        }
        [] => Err(unknown(text, &names)),
        many => Err(CliError::Ambiguous {
            reference: text.to_owned(),
            candidates: many.iter().map(|name| (*name).clone()).collect(),
        }),
    }
}

/// The one image of the store that has this name, or a name that begins so.
fn of_store(
    context: &Context,
    store: &Store,
    text: &str,
    images: &[(String, Digest)],
) -> Result<Reference, CliError> {
    let exact: Vec<_> = images.iter().filter(|(name, _)| name == text).collect();
    let matching: Vec<_> = match exact.is_empty() {
        true => images.iter().filter(|(name, _)| name.starts_with(text)).collect(),
        false => exact,
    };
    match matching.as_slice() {
        [(name, seal)] => Ok(Reference::Sealed { name: name.clone(), seal: *seal }),
        [] if is_prefix(text) => sealed(context, store, text, None, text),
        [] => Err(unknown(text, &with_seals(images))),
        many => Err(CliError::Ambiguous {
            reference: text.to_owned(),
            candidates: many.iter().map(|(name, seal)| format!("{name}@{seal}")).collect(),
        }),
    }
}

fn with_seals(images: &[(String, Digest)]) -> Vec<String> {
    images.iter().map(|(name, seal)| format!("{name}@{seal}")).collect()
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
            None => match name.and_then(|name| no_such_seal(context, text, name)) {
                Some(error) => Err(error),
                None => Err(unknown(text, &with_seals(&images))),
            },
        },
        many => Err(CliError::Ambiguous {
            reference: text.to_owned(),
            candidates: many.iter().map(|(name, seal)| format!("{name}@{seal}")).collect(),
        }),
    }
}

/// What is wrong with `NAME@DIGITS` where the project has the recipe: the seal that it has, or why it has none.
fn no_such_seal(context: &Context, text: &str, name: &str) -> Option<CliError> {
    let recipe = context.recipe(name).ok()?;
    let lock = context.find_lock(name).ok()?;
    let mut others = build::complete_variants(context, &recipe).ok()?;
    let why = match lock {
        None => format!("`{name}` has no lock, and so no seal"),
        Some(Lock { seal: Some(seal), .. }) => {
            others = vec![name.to_owned()];
            format!("no seal of `{name}` begins so\n  sealed  {}", seal.manifest)
        }
        Some(lock) => match lock.require_pinned() {
            Ok(()) => format!("`{name}` is locked, but was never built and has no seal"),
            Err(open) => format!("`{name}` has no seal\n  because: {open}"),
        },
    };
    let others = others.into_iter().map(|other| with_seal(context, other)).collect();
    Some(CliError::NoSuchSeal { reference: text.to_owned(), name: name.to_owned(), why, others })
}

/// `NAME@DIGITS` for an image whose lock has a seal, else its name.
fn with_seal(context: &Context, name: String) -> String {
    let seal = context.find_lock(&name).ok().flatten().and_then(|lock| lock.seal);
    seal.map_or(name.clone(), |seal| format!("{name}@{}", seal.manifest.short()))
}

/// The images that can be built or run here, as somebody would name them.
pub fn usable(context: &Context, store: &Store) -> Result<Vec<String>, CliError> {
    let Ok(images) = context.images() else { return Ok(with_seals(&known(store)?)) };
    let mut usable = Vec::new();
    for recipe in Recipe::load_all(&images)? {
        let lock = context.find_lock(&recipe.name)?;
        if lock.is_some_and(|lock| lock.unpinned.is_empty()) {
            usable.push(with_seal(context, recipe.name));
        }
    }
    Ok(usable)
}

/// Name and seal of every image that was built or imported here.
pub fn known(store: &Store) -> Result<Vec<(String, Digest)>, CliError> {
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
