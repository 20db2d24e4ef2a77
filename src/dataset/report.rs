//! What verifying a data set found, for a reader and for machines.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::digest::Digest;

/// A text names this many files of a kind; the rest are counted. `--json` has them all.
const NAMED: usize = 50;

/// What one data set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that is there is what was pinned, and it is enough to use the data set.
    Ok,
    /// Nothing pins what is there.
    Unpinned,
    /// It is not there.
    Missing,
    /// Something is not what was pinned.
    Differs,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Unpinned => "unpinned",
            Self::Missing => "missing",
            Self::Differs => "differs",
        })
    }
}

/// What one archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Its digest is the pinned one.
    Ok {
        /// That digest.
        sha256: Digest,
    },
    /// It is another file.
    Differs {
        /// The pinned digest; `None` if only the size is known.
        expected: Option<Digest>,
        /// The pinned size in bytes.
        expected_size: u64,
        /// The digest of what is there; `None` if the size was enough to tell.
        found: Option<Digest>,
        /// The size of what is there.
        found_size: u64,
    },
    /// It is not there.
    Missing,
    /// It is there or not, and has no digest.
    Unpinned {
        /// Why.
        reason: String,
    },
    /// It is there and cannot be read.
    Unreadable {
        /// The system's reason.
        reason: String,
    },
}

/// One archive of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveReport {
    /// Its file name.
    pub file: String,
    /// Where it was looked for.
    pub path: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub state: State,
}

/// A file of an unpacked data set that is not the one in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Its path below the data set's folder.
    pub path: String,
    /// The digest in the manifest; `None` for a link.
    pub expected: Option<Digest>,
    /// The digest of what is there; `None` if it could not be read.
    pub found: Option<Digest>,
    /// Why it could not be read, or what it is in place of a file or link.
    pub reason: Option<String>,
}

/// The unpacked folder of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeReport {
    /// The folder.
    pub folder: PathBuf,
    /// What it is.
    pub verdict: Verdict,
    /// Number of files that it must have; 0 if that is not known.
    pub files: u64,
    /// Files that are other ones.
    pub differs: Vec<FileDifference>,
    /// Files that are not there.
    pub missing: Vec<String>,
    /// Files that the manifest does not name, and everything that is no file.
    pub extra: Vec<String>,
    /// Folders with another number of files: the folder, the number known, the number found.
    pub counts: Vec<(String, u64, u64)>,
    /// Lists of files that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListReport>,
}

/// A published list of files beside a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// What a reader calls it.
    pub name: String,
    /// Number of files that it names.
    pub entries: u64,
    /// Whether the list itself is here; without it nothing is compared.
    pub is_here: bool,
    /// The files that it names and that are not there.
    pub missing: Vec<String>,
}

/// A data set that a union is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// The folder that it takes in the union.
    pub folder: String,
    /// Its name; its own report says more.
    pub name: String,
    /// What it is.
    pub verdict: Verdict,
    /// The digest that records name it by, if its files are pinned.
    pub binding: Option<Digest>,
}

/// One data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetReport {
    /// Its name.
    pub name: String,
    /// What it is.
    pub verdict: Verdict,
    /// The digest that records name it by, if its files are pinned.
    pub binding: Option<Digest>,
    /// Its archives.
    pub archives: Vec<ArchiveReport>,
    /// Its unpacked folder; `None` if nothing says what must lie there.
    pub tree: Option<TreeReport>,
    /// What it is made of, if it is a union.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartReport>,
}

/// The digest of a data set that is made of others: of one `sha256 folder` a line.
pub(super) fn union_digest<'f>(parts: impl IntoIterator<Item = (&'f str, Digest)>) -> Digest {
    let line = |(folder, digest): (&str, Digest)| format!("{} {folder}\n", digest.hex());
    Digest::of(parts.into_iter().map(line).collect::<String>().as_bytes())
}

impl SetReport {
    /// The report of a union: it is what the worst of its parts is.
    pub(super) fn of_union(name: &str, parts: Vec<PartReport>) -> Self {
        let bound = parts.iter().map(|part| Some((part.folder.as_str(), part.binding?)));
        let binding = bound.collect::<Option<Vec<_>>>().map(union_digest);
        let verdict = parts.iter().map(|part| part.verdict).max().unwrap_or(Verdict::Missing);
        let (name, archives) = (name.to_owned(), Vec::new());
        Self { name, verdict, binding, archives, tree: None, parts }
    }

    /// The verdict that follows from archives and tree.
    ///
    /// A tree that was verified is enough, whatever became of its archives; so are all
    /// archives, for then the tree can be made.
    pub(super) fn judge(archives: &[ArchiveReport], tree: Option<&TreeReport>) -> Verdict {
        let broken =
            |state: &State| matches!(state, State::Differs { .. } | State::Unreadable { .. });
        let tree = tree.map(|tree| tree.verdict);
        if tree == Some(Verdict::Differs) || archives.iter().any(|a| broken(&a.state)) {
            return Verdict::Differs;
        }
        let fine = |archive: &ArchiveReport| matches!(archive.state, State::Ok { .. });
        let complete = !archives.is_empty() && archives.iter().all(fine);
        if tree == Some(Verdict::Ok) || complete {
            return Verdict::Ok;
        }
        let unpinned = |archive: &ArchiveReport| matches!(archive.state, State::Unpinned { .. });
        match tree {
            Some(Verdict::Unpinned) => Verdict::Unpinned,
            _ if archives.iter().any(unpinned) => Verdict::Unpinned,
            _ => Verdict::Missing,
        }
    }
}

impl fmt::Display for SetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Ok => write!(f, "data set `{}` is what was pinned", self.name)?,
            Verdict::Unpinned => write!(f, "data set `{}` is not pinned", self.name)?,
            Verdict::Missing => write!(f, "data set `{}` is not there", self.name)?,
            Verdict::Differs => write!(f, "data set `{}` is not what was pinned", self.name)?,
        }
        self.archives.iter().try_for_each(|archive| write!(f, "{archive}"))?;
        self.parts.iter().try_for_each(|PartReport { folder, name, verdict, .. }| {
            write!(f, "\n  {:<8}  {folder}: `{name}`", verdict.to_string())
        })?;
        // A tree that can be made from good archives is not worth a line.
        let absent =
            |tree: &&TreeReport| self.verdict == Verdict::Ok && tree.verdict == Verdict::Missing;
        match self.tree.as_ref().filter(|tree| !absent(tree)) {
            Some(tree) => write!(f, "{tree}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ArchiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.state {
            State::Ok { .. } => write!(f, "\n  ok        {path}"),
            State::Missing => write!(f, "\n  missing   {path}"),
            State::Unpinned { reason } => write!(f, "\n  unpinned  {}: {reason}", self.file),
            State::Unreadable { reason } => write!(f, "\n  differs   {path}: {reason}"),
            State::Differs { expected, expected_size, found, found_size } => {
                let side = |digest: &Option<Digest>, size: &u64| match digest {
                    Some(digest) => format!("{digest} ({size} bytes)"),
                    None => format!("{size} bytes"),
                };
                write!(f, "\n  differs   {path}")?;
                write!(f, "\n    pinned  {}", side(expected, expected_size))?;
                write!(f, "\n    found   {}", side(found, found_size))
            }
        }
    }
}

impl fmt::Display for TreeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        match self.verdict {
            Verdict::Differs => write!(f, "\n  differs   {folder}: {}", self.summary())?,
            verdict => write!(f, "\n  {:<8}  {folder}", verdict.to_string())?,
        }
        for (count, known, found) in &self.counts {
            write!(f, "\n    files in `{count}`\n      known  {known}\n      found  {found}")?;
        }
        for list in &self.lists {
            match list.is_here {
                true => write!(
                    f,
                    "\n    {} of {} files of the list `{}` are there",
                    list.entries.saturating_sub(list.missing.len() as u64),
                    list.entries,
                    list.name
                )?,
                false => write!(
                    f,
                    "\n    the list `{}` is not here, so nothing was compared with it",
                    list.name
                )?,
            }
            named(f, &list.missing, |path| format!("\n    missing  {path}"))?;
        }
        named(f, &self.differs, |file| match (&file.found, &file.reason) {
            (Some(found), _) => {
                let path = &file.path;
                let expected = file.expected.map_or_else(String::new, |digest| digest.to_string());
                format!("\n    differs  {path}\n      pinned  {expected}\n      found   {found}")
            }
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or("it is no file");
                format!("\n    differs  {}: {reason}", file.path)
            }
        })?;
        named(f, &self.missing, |path| format!("\n    missing  {path}"))?;
        named(f, &self.extra, |path| format!("\n    extra    {path}"))
    }
}

fn named<T>(f: &mut fmt::Formatter<'_>, items: &[T], line: impl Fn(&T) -> String) -> fmt::Result {
    items.iter().take(NAMED).try_for_each(|item| f.write_str(&line(item)))?;
    match items.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => write!(f, "\n    and {more} more"),
    }
}

impl TreeReport {
    fn summary(&self) -> String {
        let parts = [
            (self.differs.len(), "differs", "differ"),
            (self.missing.len(), "is missing", "are missing"),
            (self.extra.len(), "is extra", "are extra"),
            (self.counts.len(), "folder has another count", "folders have another count"),
            (
                self.lists.iter().filter(|list| !list.missing.is_empty()).count(),
                "list names files that are not there",
                "lists name files that are not there",
            ),
        ];
        let text = |(count, one, many): &(usize, &str, &str)| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts: Vec<_> = parts.iter().filter_map(text).collect();
        match self.files {
            0 => parts.join(", "),
            files => format!("of {files} files {}", parts.join(", ")),
        }
    }
}
