//! Keeps a git tree as one blob, by which it can be named, checked and laid out without git.
//!
//! A *tree archive* holds the raw content of a commit's tree: blobs as stored, modes as
//! recorded, and in place of each submodule the tree of the commit that is recorded for it. Its bytes
//! depend on those trees alone, so the same commit gives the same archive from any
//! mirror, and its SHA-256 names it in a lock. The names that git gives to trees can be computed
//! again from it ([`TreeArchive::check`]): nobody has to believe whoever wrote it.
//!
//! ```text
//! repro-tree 1 LF
//! MODE SP OBJECT SP SIZE SP PATH NUL LF    for each entry, sorted by the bytes of the path
//! LF
//! contents, one after the other: each object once, in the order of its first entry
//! ```
//!
//! MODE is octal as in git's trees. `160000` is a submodule, OBJECT its commit, and its
//! tree's entries follow below PATH (none, where `.gitmodules` does not know it); `40000` is
//! an empty folder. Both have size 0 and no content.
//!
//! Where a recipe leaves out a part of the tree ([`Selection`]), the first line is `repro-tree 2`, and what is left
//! out stands in the list with `-` for SIZE and without content: it is not laid out, but the tree's
//! name can be computed all the same. Of a submodule that is left out nothing else is known.
//!
//! Invariants: paths are sorted, unique, Unicode and relative; no part of one is `..`, `.git`
//! or the name of a whiteout (`.wh.…`); no file lies below a file. Where repositories are is left to `fetch`.

mod archive;
mod check;
mod error;
mod select;
mod write;

pub use archive::{ArchiveEntry, EntryKind, TreeArchive};
pub use error::GitError;
pub use select::{Selection, check_pattern};
pub use write::{Planned, Sink, write_archive};
