//! Reads `images/<name>.toml`: what a person wrote about one system of one guide.
//!
//! A recipe has two halves that never touch each other. The *image part*
//! ([`ImageRecipe`]) decides bytes and is what a lock is resolved from; the
//! *benchmark part* ([`Benchmark`], [`Profile`]) decides how the image is run
//! and how its logs are read. Changing the second needs no new lock.
//!
//! `[variant.NAME]` tables override any of the image part (and of the profiles)
//! and give a further image, `<system>-NAME`. Merging is done here, so every
//! other module sees one [`Recipe`] per image and knows nothing of variants.
//!
//! Invariants: an unknown key or a wrong type is an error with file, line and
//! the nearest known key; every local path a recipe names lies inside the
//! `images` folder. Resolving anything (versions, hashes) is left to `fetch::pin`,
//! the meaning of formulas and templates to `bench`.

mod audit;
mod benchmark;
mod check;
mod decode;
mod doubts;
pub(crate) mod document;
mod exchange;
mod example;
mod layout;
mod mistake;
pub(crate) mod names;
mod published;
mod reading;
mod tolerance;
mod types;
mod units;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::named_file;

pub use audit::{Audit, AuditCheck, AuditScript, Covered, Finding, Lines, Statement};
pub use benchmark::*;
pub use document::{Problem, nearest};
pub use example::CHOICE;
pub use exchange::{InputRule, OutputRule};
pub use mistake::{Mistake, refuse};
pub use published::{ExpectedFailure, Published, ReferenceHost};
pub use reading::{CheckRule, ResultRule, SkipRule, TotalRule, Unavailable};
pub use tolerance::Tolerance;
pub use types::*;

/// What can go wrong with recipes.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Files hold something that is no recipe; all of it is listed.
    #[error("{}", listed(problems))]
    Invalid {
        /// What is wrong, sorted by file and line.
        problems: Vec<Problem>,
    },
    /// No recipe makes an image of this name.
    #[error("there is no image `{name}`{}", suggestion(known, nearest))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
        /// The one that was most likely meant.
        nearest: Option<String>,
    },
    /// Two recipes make an image of one name.
    #[error("two recipes make an image `{name}`\n  one    {}\n  other  {}", one.display(), other.display())]
    Twice {
        /// The name.
        name: String,
        /// A file that makes it.
        one: PathBuf,
        /// Another file that makes it.
        other: PathBuf,
    },
}

pub(crate) fn suggestion(known: &[String], nearest: &Option<String>) -> String {
    match (nearest, known) {
        (Some(nearest), _) => format!("\n  nearest  {nearest}"),
        (None, []) => String::new(),
        (None, known) => format!("\n  known  {}", known.join(", ")),
    }
}

/// A count and one problem a line.
pub(crate) fn listed(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let lines: String = problems
        .iter()
        .map(|problem| format!("\n  {}", problem.to_string().replace('\n', "\n  ")))
        .collect();
    format!("found {count} in what was written{lines}")
}

impl Recipe {
    /// Every image of every recipe in `folder`, sorted by name.
    ///
    /// # Errors
    ///
    /// [`RecipeError::Invalid`] with the problems of all files, so that one look is enough.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>, RecipeError> {
        let mut recipes = Vec::new();
        let mut problems = Vec::new();
        for path in recipe_files(folder)? {
            match Self::load_file(folder, &path) {
                Ok(images) => recipes.extend(images),
                Err(RecipeError::Invalid { problems: found }) => problems.extend(found),
                Err(error) => return Err(error),
            }
        }
        if !problems.is_empty() {
            return Err(RecipeError::Invalid { problems });
        }
        recipes.sort_by(|left, right| left.name.cmp(&right.name));
        let twice = recipes.windows(2).find(|pair| pair[0].name == pair[1].name);
        match twice {
            None => Ok(recipes),
            Some(pair) => Err(RecipeError::Twice {
                name: pair[0].name.clone(),
                one: pair[0].file(),
                other: pair[1].file(),
            }),
        }
    }

    /// The recipe of one image; mistakes in the files of other systems do not matter.
    pub fn load(folder: &Path, image_name: &str) -> Result<Self, RecipeError> {
        let mut known = Vec::new();
        for path in recipe_files(folder)? {
            let system = stem(&path);
            let text = read(&path)?;
            let own = image_name == system;
            let variant =
                image_name.strip_prefix(&system).is_some_and(|rest| rest.starts_with('-'));
            let names = layout::image_names(&system, &text);
            let broken = names.is_empty() && (own || variant);
            if broken || names.iter().any(|name| name == image_name) {
                let images = Self::parse(folder, &path, &text)?;
                files_are_there(&images, &path, &text)?;
                if let Some(found) = images.into_iter().find(|recipe| recipe.name == image_name) {
                    return Ok(found);
                }
            }
            known.extend(names);
        }
        known.sort();
        let words: Vec<_> = known.iter().map(String::as_str).collect();
        let nearest = nearest(image_name, &words).map(str::to_owned);
        Err(RecipeError::Unknown { name: image_name.to_owned(), known, nearest })
    }

    /// Every image of the recipe file `path` with the content `text`, which may come from a store.
    pub fn parse(folder: &Path, path: &Path, text: &str) -> Result<Vec<Self>, RecipeError> {
        let system = stem(path);
        let mut faults = Vec::new();
        if !names::plain_name(&system) {
            let message = format!("`{system}` is no name of a system: {}", names::PLAIN_NAME);
            faults.push(document::Fault { offset: 0, message });
        }
        let recipes = layout::images(folder, &system, text).unwrap_or_else(|found| {
            faults.extend(found);
            Vec::new()
        });
        if faults.is_empty() {
            return Ok(recipes);
        }
        Err(RecipeError::Invalid { problems: document::problems(path, text, faults) })
    }

    /// The recipe of an image in a text whose file's name is not kept; `None` if the text has no such image.
    ///
    /// Names of systems and of variants may both hold a hyphen, so `SYSTEM-VARIANT` is cut at each of them.
    ///
    /// # Errors
    ///
    /// [`RecipeError::Invalid`] if the text is broken, or wrong wherever the name is cut.
    pub fn of_image(
        folder: &Path,
        image_name: &str,
        text: &str,
    ) -> Result<Option<Self>, RecipeError> {
        let place = |system: &str| folder.join(format!("{system}.toml"));
        let cuts = image_name.match_indices('-').map(|(at, _)| &image_name[..at]);
        let mut refused = None;
        for system in cuts.chain([image_name]).filter(|cut| makes(cut, image_name, text)) {
            // A text may speak of its own system: under another name it is a wrong recipe.
            match Self::parse(folder, &place(system), text) {
                Ok(recipes) => {
                    let found = recipes.into_iter().find(|recipe| recipe.name == image_name);
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if layout::image_names(image_name, text).is_empty() {
            Self::parse(folder, &place(image_name), text)?;
        }
        refused.map_or(Ok(None), Err)
    }

    /// Tells whether the recipe file `path` with the content `text` makes this image, as far as the text can be read.
    pub fn makes(path: &Path, text: &str, image_name: &str) -> bool {
        makes(&stem(path), image_name, text)
    }

    /// The file this recipe was read from.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.system))
    }

    /// The digest of the file's text, for records.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    fn load_file(folder: &Path, path: &Path) -> Result<Vec<Self>, RecipeError> {
        let text = read(path)?;
        let images = Self::parse(folder, path, &text)?;
        files_are_there(&images, path, &text)?;
        Ok(images)
    }
}

/// Every local file that the recipes of one file name must be there.
///
/// Not so for a text out of a store: its files are there as content, its folder need not be.
fn files_are_there(images: &[Recipe], path: &Path, text: &str) -> Result<(), RecipeError> {
    let mut faults = Vec::new();
    for recipe in images {
        let of_image = recipe.image.local_files.iter().map(|file| &file.source);
        let of_profiles = recipe.profiles.values().flat_map(|profile| profile.files.values());
        let of_builds = recipe.image.builds.iter().flat_map(|build| build.local.values());
        for source in of_image.chain(of_profiles).chain(of_builds) {
            if !recipe.folder.join(source).is_file() {
                let quoted = text.find(&format!("\"{source}\""));
                let offset = quoted.or_else(|| text.find(source.as_str())).unwrap_or(0);
                let message = format!("there is no file `{source}` in the recipe's folder");
                faults.push(document::Fault { offset, message });
            }
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(RecipeError::Invalid { problems: document::problems(path, text, faults) })
}

fn makes(system: &str, image_name: &str, text: &str) -> bool {
    layout::image_names(system, text).iter().any(|name| name == image_name)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, RecipeError> {
    named_file::read_text(path).map_err(|source| RecipeError::Io { path: path.to_owned(), source })
}

/// The `*.toml` files of `folder`, sorted.
fn recipe_files(folder: &Path) -> Result<Vec<PathBuf>, RecipeError> {
    let at = |source| RecipeError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
