//! Reads the tar archives of others within the limits that a kernel has.
//!
//! Long names and PAX headers may have any length, and a compressed archive of kilobytes may hold names of
//! gigabytes. So every archive that this program did not write goes through [`open`], which looks at
//! each header before the reader does: a name is refused before it is read, a path that no file
//! system takes before it is sealed. Sparse files are refused by name, except where
//! [`open_with_sparse`] is asked for and the caller unpacks them.

mod guard;
mod sparse;

use std::io::Read;

pub use self::guard::Guard;
pub use self::sparse::{Sparse, SparseReader};

/// NAME_MAX of Linux (bytes).
const NAME_LIMIT: usize = 255;

/// PATH_MAX of Linux (bytes): with the NUL at the end of a path.
const PATH_LIMIT: usize = 4096;

/// The paths of one layer take no more than this (bytes). Real ones take a tenth; deep paths multiply, as
/// each folder on the way is a path of its own.
const PATHS_LIMIT: usize = 128 << 20;

/// Reads an archive; a sparse file in it is an error.
pub fn open<R: Read>(archive: R) -> tar::Archive<Guard<R>> {
    new(Guard::new(archive, false))
}

/// Reads an archive that may have sparse files; who calls it asks [`Sparse::of`] about each.
pub fn open_with_sparse<R: Read>(archive: R) -> tar::Archive<Guard<R>> {
    new(Guard::new(archive, true))
}

#[expect(clippy::disallowed_methods, reason = "the place that others are sent to")]
fn new<R: Read>(guard: Guard<R>) -> tar::Archive<Guard<R>> {
    tar::Archive::new(guard)
}

/// Checks that a file system can have this path.
///
/// # Errors
///
/// The reason, to be said of a path: "it is longer than …".
pub fn check_path(path: &[u8]) -> Result<(), &'static str> {
    if path.len() >= PATH_LIMIT {
        return Err("it is longer than the 4096 bytes of a path");
    }
    if path.split(|byte| *byte == b'/').any(|part| part.len() > NAME_LIMIT) {
        return Err("a part of it is longer than 255 bytes");
    }
    Ok(())
}

/// A path as a message can show it.
pub fn shortened(path: &[u8]) -> String {
    const SHOWN: usize = 80;
    let text: String = String::from_utf8_lossy(path).chars().take(SHOWN).collect();
    if path.len() > text.len() { format!("{text}…") } else { text }
}

/// Counts the bytes of a layer's paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathBytes(usize);

impl PathBytes {
    /// Counts one more path.
    ///
    /// # Errors
    ///
    /// The reason if they are too many.
    pub fn add(&mut self, path: &[u8]) -> Result<(), &'static str> {
        self.0 = self.0.saturating_add(path.len());
        if self.0 > PATHS_LIMIT {
            return Err("with it, the paths of its layer take more than 128 MiB");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_as_long_as_the_kernel_takes_it() {
        let part = "n".repeat(255);
        assert!(check_path(part.as_bytes()).is_ok());
        assert!(check_path(format!("{part}n").as_bytes()).unwrap_err().contains("255"));
        let deep = "a/".repeat(2047);
        assert!(check_path(format!("{deep}a").as_bytes()).is_ok());
        assert!(check_path(format!("{deep}aa").as_bytes()).unwrap_err().contains("4096"));
    }

    #[test]
    fn deep_paths_are_counted_until_they_are_too_many() {
        let (path, mut bytes) = ("a/".repeat(2047), PathBytes::default());
        let counted = (0..100_000).take_while(|_| bytes.add(path.as_bytes()).is_ok()).count();
        assert_eq!(counted, PATHS_LIMIT / path.len());
        assert_eq!(shortened(path.as_bytes()).chars().count(), 81);
    }
}
