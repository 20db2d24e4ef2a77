//! Inputs that cannot be pinned: each becomes an entry of the lock, and the rest is pinned.
//!
//! What the lock says of them are fixed words. What a program wrote to standard error
//! names hosts and differs from machine to machine; it is told to the person who waits
//! and stays out of the lock.

use super::PinError;
use super::error::Problems;
use crate::lock::{Lock, Unpinned};

/// The part of a lock that an input belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// Debian packages of the base.
    Base,
    /// Debian packages of one build image.
    BuildPackages(&'a str),
    /// Distributions of the image, those that are built included.
    Wheels,
    /// Distributions of one build image.
    BuildWheels(&'a str),
}

impl Part<'_> {
    /// What the lock and messages call an input of this part.
    pub(super) fn input(&self, what: &str) -> String {
        format!("{} `{what}`{}", self.kind(), self.ending())
    }

    /// Whether a lock could not pin everything of this part.
    pub(super) fn is_open(&self, lock: &Lock) -> bool {
        let ending = self.ending();
        let of_part = |item: &Unpinned| {
            let same_kind = item.gone.is_none() && item.input.starts_with(self.kind());
            let same_build = match ending.is_empty() {
                true => !item.input.contains(TO_BUILD),
                false => item.input.ends_with(&ending),
            };
            same_kind && same_build
        };
        lock.unpinned.iter().any(of_part)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Base | Self::BuildPackages(_) => "Debian package",
            Self::Wheels | Self::BuildWheels(_) => "distribution",
        }
    }

    fn ending(&self) -> String {
        match self {
            Self::Base | Self::Wheels => String::new(),
            Self::BuildPackages(build) | Self::BuildWheels(build) => format!("{TO_BUILD}{build}`"),
        }
    }
}

const TO_BUILD: &str = " to build `";

/// Whether a lock has an input that may be pinned another time.
pub(super) fn is_open(lock: &Lock) -> bool {
    lock.unpinned.iter().any(|item| item.gone.is_none())
}

/// What could not be pinned so far.
#[derive(Debug, Default)]
pub(super) struct Holes {
    entries: Vec<Unpinned>,
    errors: Problems,
    /// Whether somewhere nobody answered at all.
    unanswered: bool,
}

impl Holes {
    /// Notes an input of `part` that cannot be pinned.
    pub(super) fn add(&mut self, part: Part<'_>, what: &str, reason: &str, error: PinError) {
        self.entry(part, what, reason);
        self.errors.note::<()>(Err(error));
    }

    /// Notes that nobody answered for these inputs, so that nothing is known of any.
    pub(super) fn add_unanswered(&mut self, part: Part<'_>, all: &[String], reason: &str) {
        all.iter().for_each(|what| self.entry(part, what, reason));
        self.unanswered = true;
    }

    /// The error behind inputs that were added without one.
    pub(super) fn blame(&mut self, error: PinError) {
        self.errors.note::<()>(Err(error));
    }

    /// Notes an input that is no part of a list: the base, a git source.
    pub(super) fn add_single(&mut self, input: &str, reason: &str, error: PinError) {
        self.entries.push(Unpinned::new(input, reason));
        self.errors.note::<()>(Err(error));
    }

    fn entry(&mut self, part: Part<'_>, what: &str, reason: &str) {
        let entry = Unpinned::new(&part.input(what), reason);
        // A requirement may also be what is built.
        if self.entries.iter().all(|known| known.input != entry.input) {
            self.entries.push(entry);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody answered for a whole part of the recipe.
    pub(super) fn are_unanswered(&self) -> bool {
        self.unanswered
    }

    /// The lock's entries, and for each of them, or for several, the error behind it.
    pub(super) fn into_parts(self) -> (Vec<Unpinned>, Problems) {
        (self.entries, self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_called_after_its_part() {
        assert_eq!(Part::Base.input("dash"), "Debian package `dash`");
        let input = Part::BuildWheels("mmcv").input("wheel==0.37");
        assert_eq!(input, "distribution `wheel==0.37` to build `mmcv`");
    }
}
