//! What can go wrong with results.

use std::path::PathBuf;

use crate::store::StoreError;

/// What can go wrong with results.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// No run has the name, and none begins with it.
    #[error("there is no run `{word}`{}{}", looked(folders), near(nearest))]
    NoRun {
        /// What was asked for.
        word: String,
        /// Where it was looked for.
        folders: Vec<PathBuf>,
        /// The runs whose names are most like it.
        nearest: Vec<String>,
    },
    /// Several runs begin so.
    #[error("`{word}` can be any of {} runs{}", candidates.len(), lines(candidates))]
    Ambiguous {
        /// What was asked for.
        word: String,
        /// The runs.
        candidates: Vec<String>,
    },
    /// There is no run at all.
    #[error("there is no run yet{}", looked(folders))]
    NoRuns {
        /// Where one was looked for.
        folders: Vec<PathBuf>,
    },
    /// A path that was given has no record.
    #[error("there is no run record in `{}`", path.display())]
    NoRecords {
        /// The path.
        path: PathBuf,
    },
    /// Runs have records, and none of them can be read.
    #[error("none of the records can be read ({count} {}): {first}", if *count == 1 { "file" } else { "files" })]
    NothingReadable {
        /// How many there are.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// A glob cannot be read.
    #[error("`{text}` is no pattern: {reason}")]
    Pattern {
        /// As the user wrote it.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A date cannot be read.
    #[error(
        "`{text}` is no date or time\n  expected  2026-11-22, 2026-11-22T10:00 or 2026-11-22T10:00:00Z"
    )]
    Time {
        /// As the user wrote it.
        text: String,
    },
    /// Two records would be written to one place.
    #[error("two records have one place in the guide's folders, `{}`\n  one    {one}\n  other  {other}", file.display())]
    SamePlace {
        /// The place.
        file: PathBuf,
        /// Run and case of one.
        one: String,
        /// Run and case of the other.
        other: String,
    },
    /// Files that would be written are there already.
    #[error("{} of the files are there already{}", paths.len(), paths.iter().map(|path| format!("\n  {}", path.display())).collect::<String>())]
    Exists {
        /// Which.
        paths: Vec<PathBuf>,
    },
    /// A file cannot be written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The index failed.
    #[error("cannot use the index of results")]
    Index(#[from] rusqlite::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

fn looked(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| format!("\n  looked in  {}", folder.display())).collect()
}

fn near(names: &[String]) -> String {
    names.iter().map(|name| format!("\n  there is   {name}")).collect()
}
