//! What the path of a tar entry means in a layer.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Begins the names that are marks and not files (OCI image specification, "Whiteouts").
const MARK: &[u8] = b".wh.";

/// Begins what an older file system kept for itself; one such name still has a meaning.
const RESERVED: &[u8] = b".wh..wh.";

/// The name that deletes everything of the layers below in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry's path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::embedded) enum Place {
    /// Something of this layer.
    Here(PathBuf),
    /// Something of the layers below that is deleted.
    Deleted(PathBuf),
    /// A folder that shows nothing of the layers below.
    Opaque(PathBuf),
    /// Nothing.
    Nothing,
}

/// Reads the path of an entry; one that would leave the layer is refused.
pub(in crate::engine::embedded) fn place(path: &Path) -> Result<Place, String> {
    let clean = relative(path)?;
    let Some(name) = clean.file_name().map(OsStr::as_bytes) else { return Ok(Place::Here(clean)) };
    let Some(deleted) = name.strip_prefix(MARK) else { return Ok(Place::Here(clean)) };
    let folder = clean.parent().unwrap_or(Path::new(""));
    match deleted {
        _ if name == OPAQUE && folder.as_os_str().is_empty() => {
            Err("a deletion of everything below the layer".to_owned())
        }
        _ if name == OPAQUE => Ok(Place::Opaque(folder.to_owned())),
        _ if name.starts_with(RESERVED) => Ok(Place::Nothing),
        b"" | b"." | b".." => Err("a deletion without a name".to_owned()),
        _ => Ok(Place::Deleted(folder.join(OsStr::from_bytes(deleted)))),
    }
}

/// A path without `./`, a leading and a trailing slash.
pub(in crate::engine::embedded) fn relative(path: &Path) -> Result<PathBuf, String> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            // Docker reads a name from the root as one from the layer's root.
            Component::CurDir | Component::RootDir => {}
            _ => return Err(format!("the path `{}` leaves the layer", path.display())),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_from_files() {
        let read = |path: &str| place(Path::new(path));
        assert_eq!(read("./a/b/"), Ok(Place::Here("a/b".into())));
        assert_eq!(read("/a"), Ok(Place::Here("a".into())));
        assert_eq!(read("./"), Ok(Place::Here("".into())));
        assert_eq!(read("a/.wh.b"), Ok(Place::Deleted("a/b".into())));
        assert_eq!(read("a/.wh..b"), Ok(Place::Deleted("a/.b".into())));
        assert_eq!(read("a/.wh..wh..opq"), Ok(Place::Opaque("a".into())));
        assert_eq!(read(".wh..wh.plnk"), Ok(Place::Nothing));
        for path in ["../a", "a/..", "/../a", ".wh.", ".wh...", "a/.wh..", ".wh..wh..opq"] {
            assert!(read(path).is_err(), "{path}");
        }
    }
}
