//! What an engine tells while it prepares the layers of an image.

use std::fmt;
use std::path::PathBuf;

/// This many paths of a changed layer are named.
const NAMED: usize = 3;

/// Hears of layers that are unpacked before a job can start, which may take a minute.
pub trait Unpacking: fmt::Debug + Send + Sync {
    /// So many layers will be unpacked, to so many bytes; 0 if nobody knows.
    fn begin(&self, layers: usize, bytes: u64);

    /// The layer that comes next, in a reader's words.
    fn layer(&self, name: &str);

    /// So many more bytes of it are unpacked.
    fn advance(&self, bytes: u64);

    /// All are unpacked, or one could not be.
    fn end(&self);

    /// A layer that was unpacked before is not what it was, and is unpacked again.
    fn changed(&self, changed: &Changed);
}

/// Nobody.
impl Unpacking for () {
    fn begin(&self, _: usize, _: u64) {}
    fn layer(&self, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn changed(&self, _: &Changed) {}
}

/// An unpacked layer that somebody changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// What the layer holds, in a reader's words.
    pub name: String,
    /// Its folder.
    pub layer: PathBuf,
    /// Paths in it, each with what happened to it.
    pub paths: Vec<(PathBuf, &'static str)>,
    /// Where the changed one is now; `None` if it was a copy of another store's.
    pub kept: Option<PathBuf>,
}

impl fmt::Display for Changed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.layer.display();
        let Some(kept) = &self.kept else {
            return write!(
                out,
                "`{folder}` ({}) is a copy and may differ: it is unpacked again",
                self.name
            );
        };
        write!(out, "`{folder}` ({}) was changed: it is unpacked again", self.name)?;
        for (path, what) in self.paths.iter().take(NAMED) {
            write!(out, "\n  {what:<8} {}", path.display())?;
        }
        if self.paths.len() > NAMED {
            write!(out, "\n  and {} more", self.paths.len() - NAMED)?;
        }
        write!(out, "\n  the changed one is kept until `repro gc`: {}", kept.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_layer_is_told_with_a_few_of_its_paths() {
        let mut changed = Changed {
            name: "torch 1.9.1".to_owned(),
            layer: "/store/rootfs/ab".into(),
            paths: ["a", "b", "c", "d"].map(|name| (name.into(), "added")).to_vec(),
            kept: Some("/store/rootfs/ab.changed-1".into()),
        };
        let expected = "`/store/rootfs/ab` (torch 1.9.1) was changed: it is unpacked again\n  \
            added    a\n  added    b\n  added    c\n  and 1 more\n  \
            the changed one is kept until `repro gc`: /store/rootfs/ab.changed-1";
        assert_eq!(changed.to_string(), expected);
        changed.kept = None;
        let expected =
            "`/store/rootfs/ab` (torch 1.9.1) is a copy and may differ: it is unpacked again";
        assert_eq!(changed.to_string(), expected);
    }
}
