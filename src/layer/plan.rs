//! What a layer is made of, entry by entry.

use std::sync::{Arc, OnceLock};

use super::deb::Unpacked;
use super::{Directories, LayerError, tar};
use crate::digest::Digest;

/// How one layer's bytes are made; kept in the store in place of the layer.
///
/// Invariants: entries are sorted by the bytes of their path and each path is
/// there once; a hard link stands after its target; every source names an input
/// that the plan has. [`LayerPlan::from_bytes`] checks them.
#[derive(Debug, Clone)]
pub struct LayerPlan {
    pub(super) origin: String,
    pub(super) coding: Coding,
    pub(super) inputs: Vec<Input>,
    pub(super) entries: Vec<Entry>,
    pub(super) notes: Vec<String>,
    pub(super) here: Box<Here>,
}

/// What this process knows of a plan beside the plan itself; never kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Here {
    /// Packages that are unpacked already.
    pub(super) unpacked: Option<Arc<Unpacked>>,
    /// See [`LayerPlan::key`].
    pub(super) key: Option<Digest>,
    /// The form in which it is kept, once somebody asked for it.
    pub(super) bytes: OnceLock<Vec<u8>>,
}

/// How the tar stream becomes gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// DEFLATE streams of wheels are copied, everything else is stored.
    Copied,
    /// The tar stream is cut into members of one size, each compressed.
    Compressed,
}

/// A blob that a layer is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// What a reader calls it: `torch 1.9.1`.
    pub(super) origin: String,
    /// File name, for messages.
    pub(super) file: String,
    pub(super) digest: Digest,
    /// Whether sources point into its unpacked `data.tar`, not into the blob itself.
    pub(super) package: bool,
}

/// One entry of the tar stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Without a slash at either end.
    pub(super) path: String,
    /// Index of the input it belongs to; `None` for the recipe's own tables.
    pub(super) owner: Option<u32>,
    pub(super) body: Body,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Directory,
    File {
        executable: bool,
        source: Source,
    },
    Symlink(String),
    /// A second name of a file before it in the same layer.
    HardLink {
        target: String,
        executable: bool,
    },
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// From the plan itself.
    Literal(Vec<u8>),
    /// A range of an input as it is: a stored zip entry, a local file.
    Stored { input: u32, offset: u64, size: u64, crc: u32 },
    /// A raw DEFLATE stream of `length` bytes in an input.
    Deflated { input: u32, offset: u64, length: u64, size: u64, crc: u32 },
    /// A range of a package's uncompressed `data.tar`.
    Packaged { input: u32, offset: u64, size: u64 },
}

impl Source {
    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Stored { size, .. }
            | Self::Deflated { size, .. }
            | Self::Packaged { size, .. } => *size,
        }
    }

    /// The input it points into.
    pub(super) fn input(&self) -> Option<u32> {
        match self {
            Self::Literal(_) => None,
            Self::Stored { input, .. }
            | Self::Deflated { input, .. }
            | Self::Packaged { input, .. } => Some(*input),
        }
    }
}

/// What an entry of a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A second name of a file of the same layer.
    HardLink,
}

/// One entry of a layer as a reader wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryInfo<'a> {
    /// Path without a slash at either end.
    pub path: &'a str,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of content; 0 for anything but a file.
    pub size: u64,
    /// Target of a symbolic or hard link.
    pub target: Option<&'a str>,
    /// The wheel or package it came from: `torch 1.9.1`; `recipe` for its tables.
    pub origin: &'a str,
}

impl LayerPlan {
    /// What the layer holds: `Debian packages (99)`, `torch 1.9.1`, `wheels (31)`, `local files (2)`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The blobs that its bytes are made from.
    pub fn inputs(&self) -> Vec<Digest> {
        self.inputs.iter().map(|input| input.digest).collect()
    }

    /// A name for all that decides this plan, if it is worth remembering: who has the plan under it
    /// need not read the inputs again (see [`packages_key`](super::packages_key) and
    /// [`wheels_key`](super::wheels_key)).
    pub fn key(&self) -> Option<Digest> {
        self.here.key
    }

    /// Whether a plan that was made above `ground` would be made above `below` as well, which has
    /// other layers beside: no link of theirs leads its paths elsewhere, and it hides no folder.
    pub fn fits(&self, ground: &Directories, below: &Directories) -> bool {
        let is_led = |link: &str| {
            let is_below =
                |path: &str| path.strip_prefix(link).is_some_and(|rest| rest.starts_with('/'));
            self.entries.iter().any(|entry| match entry.body {
                Body::Directory => entry.path == link || is_below(&entry.path),
                _ => is_below(&entry.path),
            })
        };
        let mut files = self.entries.iter().filter(|entry| entry.body != Body::Directory);
        !below.links_beside(ground).any(is_led)
            && !files.any(|entry| below.has_directory(&entry.path))
    }

    /// What a reader of the layer should know: rows of a wheel's RECORD that do not match its files.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The entries in the order of the tar stream.
    pub fn entries(&self) -> impl Iterator<Item = EntryInfo<'_>> {
        self.entries.iter().map(|entry| self.describe(entry))
    }

    /// Bytes of the tar stream.
    pub fn tar_size(&self) -> u64 {
        let entry = |entry: &Entry| {
            let size = match &entry.body {
                Body::File { source, .. } => source.size(),
                Body::Directory | Body::Symlink(_) | Body::HardLink { .. } => 0,
            };
            let header = tar::header(&entry.path, &entry.body).len() as u64;
            header + size + tar::padding(size) as u64
        };
        self.entries.iter().map(entry).sum::<u64>() + tar::END.len() as u64
    }

    /// The table for the next layer: what is below this one, and what this one adds. The next one
    /// leaves out the directories of this one.
    pub fn directories(&self, below: &Directories) -> Directories {
        self.over(below, Directories::insert_directory)
    }

    /// As [`LayerPlan::directories`], but the next layer brings its directories itself: it is then
    /// the same whichever layers stand beside it.
    pub fn repeated_directories(&self, below: &Directories) -> Directories {
        self.over(below, Directories::insert_repeated_directory)
    }

    fn over(&self, below: &Directories, insert: impl Fn(&mut Directories, &str)) -> Directories {
        let mut table = below.clone();
        for entry in &self.entries {
            match &entry.body {
                Body::Directory => insert(&mut table, &entry.path),
                Body::Symlink(target) => table.insert_symlink(&entry.path, target),
                // A file in place of a symbolic link below.
                Body::File { .. } | Body::HardLink { .. } => table.remove(&entry.path),
            }
        }
        table
    }

    pub(super) fn describe<'a>(&'a self, entry: &'a Entry) -> EntryInfo<'a> {
        let (kind, size, target) = match &entry.body {
            Body::Directory => (EntryKind::Directory, 0, None),
            Body::File { source, .. } => (EntryKind::File, source.size(), None),
            Body::Symlink(target) => (EntryKind::Symlink, 0, Some(target.as_str())),
            Body::HardLink { target, .. } => (EntryKind::HardLink, 0, Some(target.as_str())),
        };
        let origin = entry.owner.map_or("recipe", |owner| &self.inputs[owner as usize].origin);
        let mode = tar::mode(&entry.path, &entry.body);
        EntryInfo { path: &entry.path, kind, mode, size, target, origin }
    }

    /// Checks what the type promises.
    pub(super) fn check(&self) -> Result<(), LayerError> {
        let damaged = |reason| Err(LayerError::Plan { reason });
        let count = self.inputs.len() as u32;
        if !self.entries.is_sorted_by(|one, next| one.path < next.path) {
            return damaged("its entries are not sorted");
        }
        for entry in &self.entries {
            if entry.path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return damaged("an entry has no usable path");
            }
            if entry.owner.is_some_and(|owner| owner >= count) {
                return damaged("an entry belongs to no input");
            }
            match &entry.body {
                Body::File { source, .. } if source.input().is_some_and(|input| input >= count) => {
                    return damaged("a file points into no input");
                }
                Body::HardLink { target, .. } if !self.is_file_before(target, &entry.path) => {
                    return damaged("a hard link stands before its target");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_file_before(&self, target: &str, path: &str) -> bool {
        let found = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(target));
        let body = found.ok().map(|index| &self.entries[index].body);
        target < path && matches!(body, Some(Body::File { .. }))
    }
}
