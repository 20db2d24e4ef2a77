//! How far a build has come, for whoever shows it.

use crate::fetch;

/// Told of the steps of a build, downloads included.
pub trait Progress: fetch::Progress {
    /// A step begins; 0 bytes if nobody knows how much there is to do.
    fn step(&self, what: &str, bytes: u64);

    /// So many more bytes of the step are done.
    fn done(&self, bytes: u64);

    /// The step is over.
    fn step_ends(&self);
}

impl Progress for fetch::Quiet {
    fn step(&self, _what: &str, _bytes: u64) {}
    fn done(&self, _bytes: u64) {}
    fn step_ends(&self) {}
}
