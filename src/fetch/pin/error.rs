//! What can keep a recipe from becoming a lock.

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::fetch::{FetchError, Tried};
use crate::lock::LockError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// Why no lock could be written; with several reasons, all of them are told.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A helper program is not on this machine.
    #[error(
        "`{tool}` is not on this machine; it is needed to write a lock, never to build from one\n  needed  {remedy}"
    )]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
    /// Packages were asked for of a recipe whose base is a registry's image.
    #[error("the recipe has no `[debian]` that packages could come from")]
    NoDebian,
    /// A helper program could not be started for another reason.
    #[error("cannot run `{tool}`")]
    ToolUnusable {
        /// The program.
        tool: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A helper program said no.
    #[error("`{tool}` could not {task}{}{}", listed(places), indented(stderr))]
    ToolFailed {
        /// The program.
        tool: &'static str,
        /// What it was asked to do: `resolve the wheels of …`.
        task: String,
        /// Where it was told to look, and by which settings.
        places: Vec<String>,
        /// What it wrote to standard error, without credentials.
        stderr: String,
    },
    /// A helper program answered something that cannot be read.
    #[error("cannot read what `{tool}` answered: {reason}")]
    Answer {
        /// The program.
        tool: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with Debian's public keys cannot be read.
    #[error(
        "cannot read `{}`; Debian's signatures cannot be checked without it\n  needed  the package `debian-archive-keyring`, or REPRO_DEBIAN_KEYRING to name such a file",
        path.display()
    )]
    NoKeyring {
        /// Where it should be.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The settings forbid the network, and something has to be asked for.
    #[error("{what} has to be resolved, and the settings say `offline`")]
    Offline {
        /// What has to be resolved.
        what: &'static str,
    },
    /// A key of the recipe has a value that nothing can be resolved for.
    #[error("`{key}` is `{value}`\n  expected  {expected}")]
    Platform {
        /// The key.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
    /// A requirement is not one that can be pinned by name, version and digest.
    #[error("`{requirement}` cannot be pinned: {reason}")]
    Requirement {
        /// The requirement as written.
        requirement: String,
        /// Why not.
        reason: &'static str,
    },
    /// A distribution has no file of the kind that is needed.
    #[error("`{name}` {version} has no {kind}{}", offered(files))]
    NoFile {
        /// Normalised distribution name.
        name: String,
        /// Version.
        version: String,
        /// `wheel for …` or `source distribution`.
        kind: String,
        /// What there is instead.
        files: Vec<String>,
    },
    /// The index says too little about a file.
    #[error("the index gives no {what} for `{file}`")]
    Unknown {
        /// `SHA-256` or `size`.
        what: &'static str,
        /// The file.
        file: String,
    },
    /// A file that was locked is another one now.
    #[error("`{file}` is not the file that was locked\n  locked   {locked}\n  offered  {offered}")]
    Changed {
        /// The file.
        file: String,
        /// Its digest in the lock.
        locked: Digest,
        /// Its digest in the index.
        offered: Digest,
    },
    /// There is no lock in which one thing could be updated.
    #[error("there is no lock in which `{name}` could be updated")]
    NothingToUpdate {
        /// What should be updated.
        name: String,
    },
    /// The lock has nothing of this name.
    #[error("the lock holds no `{name}`{}", near(nearest.as_deref()))]
    UnknownName {
        /// What should be updated.
        name: String,
        /// The nearest name that the lock has.
        nearest: Option<String>,
    },
    /// Several things in the lock have this name.
    #[error("`{name}` is {} things in the lock\n  either  {}", names.len(), names.join("\n  or      "))]
    Ambiguous {
        /// What should be updated.
        name: String,
        /// Names that say which.
        names: Vec<String>,
    },
    /// The lock has holes: what is asked for in it is not known as a whole.
    #[error("`{name}` cannot be updated alone: the lock is not complete{}", listed(inputs))]
    Incomplete {
        /// What should be updated.
        name: String,
        /// What is not pinned.
        inputs: Vec<String>,
    },
    /// The recipe changed in a way that makes updating one thing meaningless.
    #[error(
        "`{name}` cannot be updated alone: {what} changed\n  locked  {locked}\n  recipe  {recipe}"
    )]
    RecipeChanged {
        /// What should be updated.
        name: String,
        /// What changed.
        what: &'static str,
        /// What the lock says.
        locked: String,
        /// What the recipe says.
        recipe: String,
    },
    /// Another package would have to change as well.
    #[error("`{name}` cannot be updated alone: other packages would change too{}", listed(others))]
    NotAlone {
        /// What should be updated.
        name: String,
        /// The others, each with both versions.
        others: Vec<String>,
    },
    /// A file of the recipe's folder cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The network cannot be used.
    #[error(transparent)]
    Network(#[from] FetchError),
    /// Nobody who was asked gives the registry's image.
    #[error("{error}")]
    NoBase {
        /// Who was asked, and what came of it.
        error: String,
    },
    /// Places of wheels that the recipe names do not answer.
    #[error("places of wheels that the recipe names do not answer{}", tried_lines(tried))]
    NoLinks {
        /// Every place, and what came of asking it.
        tried: Vec<Tried>,
    },
    /// Nobody gives a file of the web.
    #[error("`{file}` could not be downloaded{}", tried_lines(tried))]
    NoDownload {
        /// The file.
        file: String,
        /// Every address that was asked.
        tried: Vec<Tried>,
    },
    /// A file of the web is not what the recipe knows of it.
    #[error("`{file}` is not the file that the recipe describes\n{}", .contradictions.join("\n"))]
    Contradicted {
        /// The file.
        file: String,
        /// What each address sent, with both sides.
        contradictions: Vec<String>,
    },
    /// The settings do not say enough.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Several of these.
    #[error("{} things could not be pinned{}", .0.len(), told(.0))]
    Several(Vec<PinError>),
}

impl PinError {
    /// Whether some inputs cannot be pinned here and now, as opposed to a mistake, a missing
    /// program or changed content: the rest can be pinned all the same.
    pub(super) fn is_about_inputs(&self) -> bool {
        match self {
            Self::ToolFailed { .. } | Self::NoFile { .. } | Self::Unknown { .. } => true,
            Self::Several(errors) => errors.iter().all(Self::is_about_inputs),
            _ => false,
        }
    }

    /// Whether an index was read and has nothing that fits, as opposed to one that did not answer.
    pub(super) fn is_no_solution(&self) -> bool {
        matches!(self, Self::ToolFailed { stderr, .. } if stderr.contains("No solution found"))
    }

    /// Every error by itself.
    pub(super) fn into_list(self) -> Vec<Self> {
        match self {
            Self::Several(errors) => errors,
            one => vec![one],
        }
    }
}

/// What went wrong so far; work that does not depend on it goes on.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<PinError>);

impl Problems {
    /// Takes the value, or keeps the error.
    pub(super) fn note<T>(&mut self, result: Result<T, PinError>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(error) => error.into_list().into_iter().for_each(|error| self.add(error)),
        }
        None
    }

    /// A missing program is met at every step that needs it, and told once.
    fn add(&mut self, error: PinError) {
        let text = error.to_string();
        if self.0.iter().all(|known| known.to_string() != text) {
            self.0.push(error);
        }
    }

    /// Gives `value` if nothing went wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, PinError> {
        if self.0.is_empty() { Ok(value) } else { Err(self.into_error()) }
    }

    /// The errors by themselves.
    pub(super) fn into_list(self) -> Vec<PinError> {
        self.0
    }

    /// Everything that went wrong as one error.
    pub(super) fn into_error(mut self) -> PinError {
        match self.0.len() {
            1 => self.0.remove(0),
            _ => PinError::Several(self.0),
        }
    }
}

fn tried_lines(tried: &[Tried]) -> String {
    tried.iter().map(|tried| format!("\n{tried}")).collect()
}

/// Each line on one of its own, under the message.
fn indented(text: &str) -> String {
    text.trim().lines().fold(String::new(), |all, line| all + "\n  " + line)
}

fn listed(items: &[String]) -> String {
    items.iter().fold(String::new(), |all, item| all + "\n  " + item)
}

fn offered(files: &[String]) -> String {
    let few: Vec<_> = files.iter().take(8).map(|file| format!("offered  `{file}`")).collect();
    let more = files.len().saturating_sub(few.len());
    listed(&few) + &if more > 0 { format!("\n  and {more} more") } else { String::new() }
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!("\n  nearest  `{name}`"))
}

/// Every error with its causes, which a list has no other place for.
fn told(errors: &[PinError]) -> String {
    let mut text = String::new();
    for error in errors {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            write!(message, ": {error}").expect("writing to a string cannot fail");
            cause = error.source();
        }
        text.push_str(&indented(&message));
    }
    text
}
