//! Reads `datasets.toml` and tells whether a folder is that data set.
//!
//! A data set is bound by a manifest of its files, whose digest records name, so
//! a folder whose archive is long gone is verified as well. Archives are pinned
//! by size and SHA-256. What has no digest is `unpinned`, with the reason, and
//! never counts as verified; a digest is never invented.
//!
//! Data set `NAME` lies unpacked in `DATA/NAME`; its archives lie in `DATA/archives/NAME`, there,
//! in `DATA`, or in the project. Archives of the project are unpacked into the store. A union
//! is made of others, each in a folder of it; nothing of it lies anywhere by itself.
//!
//! Invariants: nothing is unpacked that the manifest does not name, so no archive
//! can leave its folder or grow without end; a file counts as unchanged only by
//! device, inode, size and both times. Downloading is left to `fetch`.

mod archive;
mod audit;
mod carried;
mod derived;
mod hash;
mod known;
mod list;
mod manifest;
mod order;
mod pin;
mod presence;
mod read;
mod report;
mod stand_in;
mod types;
mod unpack;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::recipe::Problem;
use crate::store::StoreError;

pub use audit::audit;
pub use carried::archives;
pub use derived::needed;
pub use hash::{measure_file, note_measured};
pub use known::check_known;
pub use manifest::Manifest;
pub use order::listing_order;
pub use pin::{Pinned, pin};
pub use presence::{Presence, presence};
pub use read::FILE;
pub use report::{
    ArchiveReport, FileDifference, ListReport, PartReport, SetReport, State, TreeReport, Verdict,
};
pub use stand_in::stand_in;
pub use types::*;
pub use unpack::{Unpacked, ensure_unpacked, expected, unpack_in_data};
pub use verify::verify;

/// Is told how far the hashing of files has come.
pub trait Progress: Sync {
    /// Something of `bytes` bytes starts.
    fn begin(&self, what: &str, bytes: u64);
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
    /// It is over.
    fn finish(&self);
    /// Whether somebody asked to stop; asked between pieces of work.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}

/// What can go wrong with data sets.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// An operation on a file failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `datasets.toml` is wrong; all of it is listed.
    #[error("{}", crate::recipe::listed(problems))]
    Invalid {
        /// What is wrong, sorted by line.
        problems: Vec<Problem>,
    },
    /// There is no data set of this name.
    #[error("there is no data set `{name}`{}", crate::recipe::suggestion(known, nearest))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
        /// The one that was most likely meant.
        nearest: Option<String>,
    },
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A manifest is not the one that was pinned.
    #[error("the manifest `{}` is not the one that was pinned\n  pinned  {pinned}\n  found   {found}", path.display())]
    Manifest {
        /// Its file.
        path: PathBuf,
        /// The digest in `datasets.toml`.
        pinned: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// A line of a manifest makes no sense.
    #[error("`{}`:{line}: {reason}", path.display())]
    ManifestLine {
        /// Its file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file is no archive that can be read.
    #[error("cannot read the archive `{}`: {reason}", path.display())]
    Archive {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry of an archive is refused.
    #[error("the archive `{}` has an entry that is refused\n  entry   {entry}\n  reason  {reason}", path.display())]
    Entry {
        /// The archive.
        path: PathBuf,
        /// The entry's name.
        entry: String,
        /// Why.
        reason: String,
    },
    /// A data set is not what it must be, or is not there.
    #[error("{0}")]
    NotVerified(Box<SetReport>),
    /// A data set's files are not pinned, so no folder can be told to be it.
    #[error("the files of data set `{name}` are not pinned: `{FILE}` has no manifest for it")]
    NoManifest {
        /// Its name.
        name: String,
    },
    /// Nothing says how a data set is laid out, so none can be made up for a rehearsal.
    #[error(
        "data set `{name}` has no stand-in: `{FILE}` does not say which data set of the project has its layout"
    )]
    NoStandIn {
        /// Its name.
        name: String,
    },
    /// A list that tells the layout of a data set has to be brought first.
    #[error("the list `{list}` of data set `{name}` is not here")]
    NoList {
        /// The data set's name.
        name: String,
        /// The list's name.
        list: String,
    },
    /// A file is not what is known of it, so it is not pinned.
    #[error("`{}` is not the known file{}{}", path.display(), indented(reasons), source_of(evidence))]
    Contradicted {
        /// The file.
        path: PathBuf,
        /// What does not hold, both sides.
        reasons: Vec<String>,
        /// Where the known facts were seen.
        evidence: String,
    },
    /// Another file of the data set that lies beside the one to pin is not the one that is pinned.
    #[error("`{}` belongs to data set `{name}`, too, and is not the file that is pinned\n  pinned  {pinned}\n  found   {found}", path.display())]
    Neighbour {
        /// The data set.
        name: String,
        /// The other file.
        path: PathBuf,
        /// The digest in `datasets.toml`.
        pinned: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// Several data sets have an archive of this name.
    #[error("`{file}` is an archive of several data sets{}", sets.iter().map(|set| format!("\n  {set}")).collect::<String>())]
    Ambiguous {
        /// The archive's name.
        file: String,
        /// The data sets.
        sets: Vec<String>,
    },
    /// A folder is in the way that is not the data set.
    #[error("{report}\n  nothing was unpacked over `{}`", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What it is.
        report: Box<SetReport>,
    },
    /// A file is pinned already, and is another one.
    #[error("`{file}` is pinned already as another file\n  pinned  {pinned}\n  found   {found}")]
    PinnedOtherwise {
        /// Its name.
        file: String,
        /// The digest in `datasets.toml`.
        pinned: Digest,
        /// The digest of the file.
        found: Digest,
    },
}

/// Adds action and path to a system error.
fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> DatasetError + 'a {
    move |source| DatasetError::Io { action, path: path.to_owned(), source }
}

/// Reasons of several lines below a heading.
fn indented(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {}", reason.replace('\n', "\n  "))).collect()
}

fn source_of(evidence: &str) -> String {
    if evidence.is_empty() { String::new() } else { format!("\n  source {evidence}") }
}
