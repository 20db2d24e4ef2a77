//! What can be wrong with settings.

use std::io;
use std::path::PathBuf;

/// Settings that cannot be read or do not say enough.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A folder that was named as the project is none.
    #[error(
        "`{}` is not a project of repro\n  expected  the folders `images` and `lockfiles` in it\n  missing   {}",
        path.display(), missing.join(", ")
    )]
    NotAProject {
        /// The folder.
        path: PathBuf,
        /// Which of the two folders are missing.
        missing: Vec<String>,
    },
    /// No project was named and the current folder is in none.
    #[error(
        "no project found in `{}` or above\n  expected  a folder that holds `images` and `lockfiles`",
        folder.display()
    )]
    NoProject {
        /// Where the search began.
        folder: PathBuf,
    },
    /// The system refused to read something.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not written as its format asks.
    #[error("`{}`, line {line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A settings file has a key that means nothing.
    #[error("`{}`, line {line}: unknown key `{key}`{}", path.display(), near(nearest.as_deref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The key as written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value is none of those allowed.
    #[error("{setting} is `{value}`\n  expected  {expected}")]
    Value {
        /// The setting's name.
        setting: String,
        /// What it is set to, without credentials.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// There is no such engine.
    #[error(
        "{setting} is `{value}`, which is no engine\n  expected  `auto`, `docker` or `embedded`"
    )]
    Engine {
        /// The setting's name.
        setting: String,
        /// What it is set to.
        value: String,
    },
    /// Under sudo, nothing says whose store it is.
    #[error(
        "cannot tell whose store to use: sudo was called by user {uid}, who has no home folder in the user database\n  expected  REPRO_HOME to name the store's folder"
    )]
    NoSudoHome {
        /// The invoking user.
        uid: String,
    },
    /// Nothing says where the store is.
    #[error(
        "cannot tell where the store is: neither HOME nor XDG_DATA_HOME is set\n  expected  REPRO_HOME to name the store's folder"
    )]
    NoHome,
    /// Nothing says where Python's packages come from.
    #[error(
        "no index for Python packages: none is set and no pip was found to ask for its default ({reason})\n  expected  one of --index-url, REPRO_INDEX_URL, `index-url` in `repro.toml`, UV_DEFAULT_INDEX, PIP_INDEX_URL, or `index-url` in pip's configuration"
    )]
    NoIndex {
        /// Why pip could not be asked.
        reason: String,
    },
    /// Nothing says where Debian's packages come from.
    #[error(
        "no archive for Debian packages of `{suite}`: none is set and apt has no Debian source\n  expected  one of --debian-mirror, REPRO_DEBIAN_MIRROR, or `debian-mirror` in `repro.toml`"
    )]
    NoArchive {
        /// The release asked for.
        suite: String,
    },
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |key| format!("\n  nearest   `{key}`"))
}
