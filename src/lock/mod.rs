//! Reads and writes a lock as one canonical text, and compares it with a recipe.
//!
//! A lock holds everything an image is made of, so an image is a function of
//! one file. It says *what* (names, sizes, SHA-256), never *where*: a package has no
//! URL in it, and the names that a base image, a git repository and a file of the web have are
//! kept only as names. Digests and object names decide, so a lock works behind any mirror.
//!
//! Invariants: lists are sorted, one item stands on one line, writing a parsed
//! lock gives the same text, and [`Lock::digest`] is over the text without its
//! seal and without what profiles mount, so that sealing a lock does not change its name.
//! What a recipe asked for stands beside what it became, so a changed recipe is
//! found without a network ([`Lock::matches`]). Resolving is left to `fetch::pin`.

mod asked;
mod compare;
mod pinned;
mod profiles;
mod read;
mod types;
mod words;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::recipe::Problem;

pub use asked::{build_files, gone, local_files, profile_files};
pub use compare::Difference;
pub use pinned::{Pinned, PinnedKind};
pub use types::*;

/// The version of the text that this program reads and writes.
const VERSION: i64 = 1;

/// What can go wrong with a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The text is no lock; everything that is wrong is listed.
    #[error("{}", crate::recipe::listed(problems))]
    Invalid {
        /// What is wrong, sorted by line.
        problems: Vec<Problem>,
    },
    /// A later program wrote it.
    #[error("`{}` has version {found}\n  this program knows  {VERSION}", file.display())]
    Newer {
        /// The lock's file.
        file: PathBuf,
        /// The version it has.
        found: String,
    },
    /// It belongs to another image.
    #[error("this is the lock of another recipe\n  lock    {lock}\n  recipe  {recipe}")]
    OtherRecipe {
        /// The name in the lock.
        lock: String,
        /// The name of the recipe's image.
        recipe: String,
    },
    /// Some of its inputs have no digest, so nothing can be built from it.
    #[error("the lock of `{name}` is not complete{}", unpinned_lines(inputs))]
    Unpinned {
        /// The image's name.
        name: String,
        /// What has no digest, and why.
        inputs: Vec<Unpinned>,
    },
    /// A file of the recipe cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn unpinned_lines(inputs: &[Unpinned]) -> String {
    let line = |item: &Unpinned| match &item.gone {
        Some(date) => format!("\n  gone      {} since {date}: {}", item.input, item.reason),
        None => format!("\n  unpinned  {}: {}", item.input, item.reason),
    };
    inputs.iter().map(line).collect()
}

impl Lock {
    /// The lock's name: the digest of its text without seal and without what profiles mount.
    pub fn digest(&self) -> Digest {
        Digest::of(Self { seal: None, ..self.without_profiles() }.to_text().as_bytes())
    }

    /// The environment of every process: the base's, and the recipe's on top.
    pub fn env(&self) -> BTreeMap<String, String> {
        let mut env = self.base.as_ref().map(|base| base.env.clone()).unwrap_or_default();
        env.extend(self.config.env.clone());
        env
    }

    /// The distributions that are installed in the image and their versions, by normalised name. What
    /// a registry's base brings itself is not among them: nobody has looked.
    pub fn software(&self) -> BTreeMap<String, String> {
        let built = self.builds.iter().filter(|build| build.outputs.is_empty());
        let built = built.map(|build| (&build.name, &build.version));
        let wheels = self.wheels.iter().map(|wheel| (&wheel.name, &wheel.version));
        let all = wheels.chain(built);
        all.map(|(name, version)| (name.clone(), version.clone())).collect()
    }

    /// Passes only if every input has a digest.
    ///
    /// # Errors
    ///
    /// [`LockError::Unpinned`] with every input that has none.
    pub fn require_pinned(&self) -> Result<(), LockError> {
        if self.unpinned.is_empty() {
            return Ok(());
        }
        Err(LockError::Unpinned { name: self.name.clone(), inputs: self.unpinned.clone() })
    }

    /// Whether the registry's image below everything is not known: unpinned, or gone.
    pub fn lacks_base(&self) -> bool {
        let is_open = self.unpinned.iter().any(|item| item.input == Unpinned::BASE);
        is_open && self.base.is_none() && self.suite.is_empty()
    }

    /// Brings every list into its order.
    fn sort(&mut self) {
        self.asked.sort();
        self.packages.sort();
        self.wheels.sort();
        if let Some(base) = &mut self.base {
            base.directories.values_mut().for_each(|names| names.sort());
        }
        self.git.sort_by(|left, right| left.name.cmp(&right.name));
        for git in &mut self.git {
            git.submodules.sort();
            git.include.sort();
            git.exclude.sort();
        }
        self.downloads.sort();
        self.builds.sort_by(|left, right| left.name.cmp(&right.name));
        for build in &mut self.builds {
            build.packages.sort();
            build.wheels.sort();
            build.files.sort();
            build.local.sort();
        }
        self.local_files.sort();
        self.profile_files.sort();
        self.unpinned.sort();
    }
}
