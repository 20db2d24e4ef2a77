//! What a layer deletes of the layers below it, as the overlay file system marks it.
//!
//! A deletion never touches what the same layer brings, whatever comes first in its stream
//! (OCI image specification, "Whiteouts"): a folder that is deleted and brought is a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

use crate::store::is_root;

/// The marks of one layer.
#[derive(Debug, Default)]
pub(in crate::engine::embedded) struct Marks {
    deleted: BTreeSet<PathBuf>,
    opaque: BTreeSet<PathBuf>,
}

impl Marks {
    /// Hides what the layers below have at `path`.
    pub(in crate::engine::embedded) fn delete(&mut self, path: PathBuf) {
        self.deleted.insert(path);
    }

    /// Hides what the layers below have in the folder `path`.
    pub(in crate::engine::embedded) fn hide_below(&mut self, path: PathBuf) {
        self.opaque.insert(path);
    }

    /// Forgets the marks in a folder that was replaced.
    pub(super) fn forget_below(&mut self, path: &Path) {
        self.deleted.retain(|mark| !mark.starts_with(path) || mark == path);
        self.opaque.retain(|mark| !mark.starts_with(path));
    }

    /// The marks that have to be made in a layer with these entries: whether each is a folder.
    pub(in crate::engine::embedded) fn settle(
        mut self,
        is_folder: impl Fn(&Path) -> Option<bool>,
    ) -> BTreeMap<PathBuf, Mark> {
        let mut marks = BTreeMap::new();
        for path in self.deleted {
            match is_folder(&path) {
                Some(true) => drop(self.opaque.insert(path)),
                Some(false) => {}
                None => drop(marks.insert(path, Mark::Deleted)),
            }
        }
        // Where nothing shows through there is nothing to delete, and the overlay would list the mark.
        let hidden =
            |path: &Path| path.ancestors().skip(1).any(|above| self.opaque.contains(above));
        marks.retain(|path, _| !hidden(path));
        marks.extend(self.opaque.iter().map(|path| (path.clone(), Mark::Opaque)));
        marks
    }
}

/// One mark on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::embedded) enum Mark {
    /// In place of a file or folder.
    Deleted,
    /// On a folder.
    Opaque,
}

impl Mark {
    /// Makes it (kernel documentation, "Overlay Filesystem", "whiteouts and opaque directories").
    pub(super) fn make(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Deleted => {
                Ok(mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))?)
            }
            Self::Opaque => Ok(setxattr(path, opaque_attribute(), b"y", XattrFlags::empty())?),
        }
    }

    /// Whether it is there.
    pub(in crate::engine::embedded) fn is_at(self, path: &Path) -> bool {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        match self {
            Self::Deleted => path.symlink_metadata().is_ok_and(|metadata| {
                metadata.file_type().is_char_device() && metadata.rdev() == makedev(0, 0)
            }),
            Self::Opaque => {
                let mut value = [0; 1];
                let length = rustix::fs::lgetxattr(path, opaque_attribute(), &mut value[..]);
                length == Ok(1) && value == *b"y"
            }
        }
    }
}

/// Only root of the machine may use the attributes that an overlay has by default.
fn opaque_attribute() -> &'static str {
    if is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_leaves_what_the_layer_brings() {
        let mut marks = Marks::default();
        for path in ["gone", "file", "folder", "folder/gone", "other/gone"] {
            marks.delete(path.into());
        }
        marks.hide_below("other".into());
        let settled = marks.settle(|path| match path.to_str().unwrap() {
            "file" => Some(false),
            "folder" | "other" => Some(true),
            _ => None,
        });
        let expected = [
            ("folder".into(), Mark::Opaque),
            ("gone".into(), Mark::Deleted),
            ("other".into(), Mark::Opaque),
        ];
        assert_eq!(settled, BTreeMap::from(expected));
    }
}
