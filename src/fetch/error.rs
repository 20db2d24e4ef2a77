//! Why something could not be fetched: all of it, input by input and place by place.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::wanted::{Place, Wanted};
use crate::dataset::DatasetError;
use crate::digest::{CommitId, Digest};
use crate::git::GitError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// Inputs are not in the store, and why.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The settings do not say where things come from.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network client cannot be set up.
    #[error("cannot set up network access: {what}")]
    Client {
        /// What it was being given.
        what: &'static str,
        /// The reason.
        source: reqwest::Error,
    },
    /// The disk is too small for what is missing.
    #[error(
        "not enough space for {files} inputs in the store `{}`\n  needed  {} ({needed} bytes)\n  free    {} ({free} bytes)",
        store.display(), size_text(*needed), size_text(*free)
    )]
    NoSpace {
        /// The store's folder.
        store: PathBuf,
        /// How many files are missing.
        files: usize,
        /// Their bytes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The data folder's disk is too small for what is to come.
    #[error(
        "not enough space for data sets in `{}`\n  needed  {} ({needed} bytes){}\n  free    {} ({free} bytes)",
        folder.display(), size_text(*needed), unknown_text(*unknown), size_text(*free)
    )]
    NoDataSpace {
        /// The data folder.
        folder: PathBuf,
        /// Bytes to download and to unpack, as far as they are known.
        needed: u64,
        /// Archives whose size nobody knows.
        unknown: usize,
        /// Bytes that are free.
        free: u64,
    },
    /// A data set is not what it must be, or its list is wrong.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Somebody asked to stop.
    #[error("stopped while fetching")]
    Stopped,
    /// A commit could not be fetched from any of its repositories.
    #[error("commit {commit} of `{name}` could not be fetched{}", tried.iter().map(|tried| format!("\n{tried}")).collect::<String>())]
    Commit {
        /// What the recipe calls its source.
        name: String,
        /// The commit.
        commit: CommitId,
        /// Every repository that was asked, in order.
        tried: Vec<Tried>,
    },
    /// A commit's tree cannot be part of an image.
    #[error("the tree of `{name}` cannot be used")]
    Tree {
        /// What the recipe calls its source.
        name: String,
        /// Why not.
        source: GitError,
    },
    /// Some inputs could not be fetched; the others are in the store.
    #[error("{}", listed(failures, *total))]
    Inputs {
        /// How many were asked for.
        total: usize,
        /// Those that failed, by name.
        failures: Vec<InputFailure>,
    },
}

/// One input that could not be fetched.
#[derive(Debug)]
pub struct InputFailure {
    /// The input as it was locked.
    pub wanted: Wanted,
    /// Why not.
    pub reason: InputError,
}

/// Why an input could not be fetched.
#[derive(Debug)]
pub enum InputError {
    /// It is missing, and no network may be asked.
    Offline,
    /// The settings name no place to ask.
    NoPlace,
    /// Every place was asked, in this order.
    Refused(Vec<Tried>),
}

/// One place that was asked for an input.
#[derive(Debug)]
pub struct Tried {
    /// What was asked, without credentials.
    pub url: String,
    /// The setting that named the place.
    pub setting: String,
    /// What came of it.
    pub refusal: Refusal,
}

/// What came of asking one place.
#[derive(Debug)]
pub enum Refusal {
    /// It has no such file.
    NotFound,
    /// It announces a file of this name with another digest; nothing was downloaded.
    Announced(Digest),
    /// What it sent is not what was locked.
    Differs {
        /// The digest of what came.
        digest: Digest,
        /// The bytes that came.
        size: u64,
    },
    /// It sent more than twice what was locked and was cut off.
    Endless,
    /// It is a git repository that cannot give the commit.
    Git {
        /// Why not.
        reason: String,
    },
    /// The commit does not have the tree that was locked.
    GitDiffers {
        /// Both sides.
        reason: String,
    },
    /// It could not be talked to, after so many attempts.
    Trouble {
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        last: Trouble,
    },
}

/// What went wrong in one attempt.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No answer: no connection, no trust, or silence for too long.
    #[error("{}", chain(source))]
    Request {
        /// The client's reason, without the URL.
        source: reqwest::Error,
    },
    /// The answer broke off.
    #[error("the answer broke off after {received} bytes: {}", chain(source))]
    Cut {
        /// Bytes that came before.
        received: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The answer ended early.
    #[error("the answer ended after {received} of {expected} bytes")]
    Short {
        /// Bytes that came.
        received: u64,
        /// Bytes that should have come.
        expected: u64,
    },
    /// The answer came so slowly that it may as well not come.
    #[error(
        "the answer came with {received} bytes in {seconds} s, less than {least} bytes a second"
    )]
    Slow {
        /// Bytes that came in that time.
        received: u64,
        /// How long that was.
        seconds: u64,
        /// The least speed.
        least: u64,
    },
    /// An answer that is none of those expected.
    #[error("the server answered {code}{}", asked_wait(retry_after.as_ref()))]
    Status {
        /// The status of HTTP.
        code: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// A page that is no page of an index.
    #[error("the answer is no page of a package index: {reason}")]
    Page {
        /// What is wrong with it.
        reason: String,
    },
    /// An answer that asking again will not change.
    #[error("{reason}")]
    Unusable {
        /// What is wrong with it, and what would help.
        reason: String,
    },
    /// An answer that is not git's.
    #[error("{reason}")]
    Git {
        /// What is wrong with it.
        reason: String,
    },
    /// Its host did not answer others before.
    #[error("its host could not be reached just before")]
    HostIsDown,
}

/// What a server that is busy asks for.
fn asked_wait(asked: Option<&Duration>) -> String {
    let asked = asked.filter(|asked| !asked.is_zero());
    asked.map_or(String::new(), |asked| format!(" and asks to wait {} s", asked.as_secs()))
}

impl Refusal {
    /// A refusal for a reason that is git's.
    pub(super) fn git(reason: &str) -> Self {
        Self::Git { reason: reason.to_owned() }
    }

    /// Whether content other than what was locked was sent or announced.
    pub(super) fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::Announced(_) | Self::Differs { .. } | Self::GitDiffers { .. } | Self::Endless
        )
    }
}

impl InputFailure {
    /// Whether somebody sent or announced content other than what was locked.
    pub fn is_about_content(&self) -> bool {
        let InputError::Refused(tried) = &self.reason else { return false };
        tried.iter().any(|tried| tried.refusal.is_about_content())
    }
}

impl FetchError {
    /// Whether content is not what was pinned, as opposed to not there.
    pub fn is_about_content(&self) -> bool {
        match self {
            Self::Inputs { failures, .. } => failures.iter().any(InputFailure::is_about_content),
            Self::Commit { tried, .. } => {
                tried.iter().any(|tried| tried.refusal.is_about_content())
            }
            Self::Tree { .. } => true,
            _ => false,
        }
    }
}

impl fmt::Display for InputFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { name, digest, size: bytes, place } = &self.wanted;
        let size = size_text(*bytes);
        match &self.reason {
            InputError::Offline => {
                write!(f, "`{name}` ({size}) is not in the store and no network may be asked")?;
                write!(f, "\n  locked    {digest}")
            }
            InputError::NoPlace => {
                write!(f, "`{name}` ({size}): no setting names a place that has it")?;
                write!(f, "\n  settable  {}", settable(place))
            }
            InputError::Refused(tried) if self.is_about_content() => {
                write!(f, "`{name}` is not the file that was locked")?;
                write!(f, "\n  locked    {digest} ({bytes} bytes)")?;
                tried.iter().try_for_each(|tried| write!(f, "\n{tried}"))
            }
            InputError::Refused(tried) => {
                write!(f, "`{name}` ({size}) could not be fetched")?;
                tried.iter().try_for_each(|tried| write!(f, "\n{tried}"))?;
                write!(f, "\n  settable  {}", settable(place))
            }
        }
    }
}

/// What to set to ask elsewhere.
fn settable(place: &Place) -> &'static str {
    match place {
        Place::Python { .. } | Place::Linked { .. } => {
            "--index-url, REPRO_INDEX_URL, or `index-url` in `repro.toml`"
        }
        Place::Mirror | Place::Web { .. } => "--mirror, REPRO_MIRROR, or `mirror` in `repro.toml`",
        Place::Debian { .. } => {
            "--debian-mirror, REPRO_DEBIAN_MIRROR, or `debian-mirror` in `repro.toml`"
        }
        Place::Registry { .. } => "REPRO_REGISTRY_MIRRORS, or `registry-mirrors` in `repro.toml`",
        Place::Git(_) => "`url.<base>.insteadOf` in git's configuration",
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, what) = match &self.refusal {
            Refusal::NotFound => ("missing   ", "not there".to_owned()),
            Refusal::Announced(digest) => ("announced ", digest.to_string()),
            Refusal::Differs { digest, size } => ("received  ", format!("{digest} ({size} bytes)")),
            Refusal::Git { reason } => ("failed    ", reason.clone()),
            Refusal::GitDiffers { reason } => ("received  ", reason.clone()),
            Refusal::Endless => ("received  ", "more than twice the locked size".to_owned()),
            Refusal::Trouble { attempts: 1, last } => ("failed    ", last.to_string()),
            Refusal::Trouble { attempts, last } => {
                ("failed    ", format!("{last} ({attempts} attempts)"))
            }
        };
        write!(f, "  {label}{what}\n            {} (from {})", self.url, self.setting)
    }
}

/// So many inputs are named of which nothing can be said but that they are not here.
const NAMED: usize = 5;

/// One failure as it is, several under a heading; of many that nobody was asked for only the first.
fn listed(failures: &[InputFailure], total: usize) -> String {
    if let [one] = failures {
        return one.to_string();
    }
    let is_offline = |failure: &&InputFailure| matches!(failure.reason, InputError::Offline);
    let (offline, others): (Vec<_>, Vec<_>) = failures.iter().partition(is_offline);
    let (named, counted) = offline.split_at(offline.len().min(NAMED));
    let items = others.iter().chain(named).map(|failure| format!("\n{failure}"));
    let more = match counted {
        [] => String::new(),
        counted => {
            let bytes = counted.iter().map(|failure| failure.wanted.size).sum();
            format!("\nand {} more ({}) that are not in the store", counted.len(), size_text(bytes))
        }
    };
    let items: String = items.collect();
    format!("{} of {total} inputs could not be fetched{items}{more}", failures.len())
}

/// An error with its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Wrappers of the client repeat what they wrap.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// What is not in a sum.
fn unknown_text(archives: usize) -> String {
    match archives {
        0 => String::new(),
        1 => ", and 1 archive of unknown size".to_owned(),
        more => format!(", and {more} archives of unknown size"),
    }
}

/// A size for a reader: `831.4 MB`, in powers of ten as indexes and disks count, rounded.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    // From half a tenth below a unit, the smaller one would show four digits: `1000.0 kB`.
    let reaches = |unit: u64| bytes >= 1000 && bytes.saturating_add(unit / 20_000) >= unit;
    match UNITS.iter().find(|(_, unit)| reaches(*unit)) {
        Some((name, unit)) => {
            let tenths = bytes.saturating_add(unit / 20) / (unit / 10);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_powers_of_ten() {
        assert_eq!(size_text(0), "0 bytes");
        assert_eq!(size_text(999), "999 bytes");
        assert_eq!(size_text(1_000), "1.0 kB");
        assert_eq!(size_text(831_421_044), "831.4 MB");
        assert_eq!(size_text(115_358), "115.4 kB", "as progress and tables round it");
        assert_eq!(size_text(999_949), "999.9 kB");
        assert_eq!(size_text(999_950), "1.0 MB");
        assert_eq!(size_text(u64::MAX), "18446744073.7 GB");
    }
}
