//! Tells in which order folders list their entries.
//!
//! A file system lists a folder in an order of its own, and a training that numbers its images in that order gives
//! other losses on another one. A data set is mounted as it lies on this machine, so a job sees the order that is
//! read here. Contents are the manifest's.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::Unpacked;
use crate::digest::{Digest, Hasher};

/// Returns the digest of the order in which the folders of `data` list their entries.
///
/// Folders are taken by name, so only the order inside each of them counts. Links are not followed.
pub fn listing_order(data: &Unpacked) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut open: Vec<_> = data.below("").collect();
    open.reverse();
    while let Some((place, folder)) = open.pop() {
        let mut inner = Vec::new();
        // No name has a NUL, so no two listings give the same bytes.
        hasher.update(place.as_bytes());
        hasher.update(b"\0");
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            hasher.update(name.as_bytes());
            hasher.update(b"\0");
            if entry.file_type()?.is_dir() {
                inner.push((format!("{place}/{}", name.to_string_lossy()), entry.path()));
            }
        }
        hasher.update(b"\0");
        inner.sort_by(|one, other| other.1.cmp(&one.1));
        open.extend(inner);
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;

    fn data(folders: &[(&str, &Path)]) -> Unpacked {
        let folders = folders.iter().map(|(at, path)| ((*at).to_owned(), PathBuf::from(path)));
        Unpacked { folders: folders.collect::<BTreeMap<_, _>>(), digest: Digest::of(b"") }
    }

    #[test]
    fn the_order_of_a_folder_is_told_from_its_names_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/1"), "x").unwrap();
        let whole = [("", folder.path())];
        let before = listing_order(&data(&whole)).unwrap();
        fs::write(folder.path().join("a/1"), "other").unwrap();
        assert_eq!(listing_order(&data(&whole)).unwrap(), before);
        fs::write(folder.path().join("a/2"), "x").unwrap();
        assert_ne!(listing_order(&data(&whole)).unwrap(), before);
        assert_ne!(listing_order(&data(&[("b", folder.path())])).unwrap(), before);
        assert!(listing_order(&data(&[("", &folder.path().join("none"))])).is_err());
    }
}
