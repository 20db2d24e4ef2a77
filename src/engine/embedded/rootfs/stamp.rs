//! Tells in milliseconds whether an unpacked layer is still what was unpacked.
//!
//! A stamp has one line for each file and folder: number, type and mode, owner, size, times and path. Nobody
//! changes a file without its time of change: that one cannot be set. What a stamp cannot see (a disk that
//! decays, somebody who writes to the device) `fsck` finds, which reads every byte.
//!
//! The layer's own folder has no times in its stamp, since it gets its name after the stamp was made; what is
//! added to it or taken from it shows as a line. A user who is root in a namespace of users sees other numbers
//! of owners than outside, so this process's user and group have a word instead.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Ends a line: no path has it.
const END: u8 = 0;

/// What differs between a layer and its stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// Each path with what happened to it, sorted by path.
    pub(super) paths: Vec<(PathBuf, &'static str)>,
    /// Whether the folder is another one than was stamped: the store was copied.
    pub(super) is_elsewhere: bool,
}

/// The stamp of the layer in `root` as it is now.
pub(super) fn take(root: &Path) -> io::Result<Vec<u8>> {
    let mut stamp = Vec::new();
    let found = fs::symlink_metadata(root)?;
    let mut line = Line::new(&found);
    (line.modified, line.changed) = (0, 0);
    line.write(&mut stamp, Path::new(""))?;
    if found.is_dir() {
        walk(root, Path::new(""), &mut stamp)?;
    }
    Ok(stamp)
}

fn walk(root: &Path, path: &Path, stamp: &mut Vec<u8>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(path)) {
        // Not even its owner may look into it; who opens it changes its time.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        entries => entries?.collect::<io::Result<Vec<_>>>(),
    };
    let mut entries = entries?;
    entries.sort_by_cached_key(fs::DirEntry::file_name);
    for entry in entries {
        let found = entry.metadata()?;
        let path = path.join(entry.file_name());
        Line::new(&found).write(stamp, &path)?;
        if found.is_dir() {
            walk(root, &path, stamp)?;
        }
    }
    Ok(())
}

/// What a stamp has of one file or folder.
struct Line<'a> {
    found: &'a Metadata,
    /// Nanoseconds.
    modified: i128,
    /// Nanoseconds.
    changed: i128,
}

impl<'a> Line<'a> {
    fn new(found: &'a Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let modified = nanoseconds(found.mtime(), found.mtime_nsec());
        let changed = nanoseconds(found.ctime(), found.ctime_nsec());
        Self { found, modified, changed }
    }

    fn write(&self, stamp: &mut Vec<u8>, path: &Path) -> io::Result<()> {
        let found = self.found;
        // File systems count a folder's bytes each in its own way.
        let size = if found.is_dir() { 0 } else { found.size() };
        write!(stamp, "{} {:o} ", found.ino(), found.mode())?;
        owner(stamp, found.uid(), rustix::process::geteuid().as_raw())?;
        owner(stamp, found.gid(), rustix::process::getegid().as_raw())?;
        write!(stamp, "{size} {} {} ", self.modified, self.changed)?;
        stamp.extend_from_slice(path.as_os_str().as_bytes());
        stamp.push(END);
        Ok(())
    }
}

fn owner(stamp: &mut Vec<u8>, found: u32, own: u32) -> io::Result<()> {
    if found == own { stamp.write_all(b"own ") } else { write!(stamp, "{found} ") }
}

/// Compares two stamps of one layer; `None` if they are alike.
pub(super) fn compare(kept: &[u8], now: &[u8]) -> Option<Difference> {
    if kept == now {
        return None;
    }
    let (kept, now) = (lines(kept), lines(now));
    let mut paths = Vec::new();
    for (path, about) in &kept {
        match now.get(path) {
            Some(other) if other == about => {}
            Some(_) => paths.push((*path, "changed")),
            None => paths.push((*path, "removed")),
        }
    }
    paths.extend(now.keys().filter(|path| !kept.contains_key(*path)).map(|path| (*path, "added")));
    paths.sort_unstable();
    let number = |lines: &BTreeMap<&[u8], &[u8]>| {
        lines
            .get(&b""[..])
            .and_then(|about| Some(about.split(|byte| *byte == b' ').next()?.to_vec()))
    };
    let is_elsewhere = number(&kept) != number(&now);
    // A folder whose list differs changes its own time, too, which says nothing of its own.
    let owned = |(path, what): (&[u8], _)| {
        (PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())), what)
    };
    Some(Difference { paths: paths.into_iter().map(owned).collect(), is_elsewhere })
}

/// What a stamp says of each path.
fn lines(stamp: &[u8]) -> BTreeMap<&[u8], &[u8]> {
    let lines = stamp.split(|byte| *byte == END).filter(|line| !line.is_empty());
    let split = |line: &'_ [u8]| {
        line.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(6).map(|(at, _)| at)
    };
    lines.filter_map(|line| split(line).map(|at| (&line[at + 1..], &line[..at]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn layer() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("folder")).unwrap();
        for name in ["a", "b c", "folder/inner"] {
            fs::write(root.path().join(name), name).unwrap();
        }
        symlink("a", root.path().join("link")).unwrap();
        root
    }

    /// What `change` does to a layer, as its stamp tells it.
    fn told(change: impl Fn(&Path)) -> Vec<(String, &'static str)> {
        let root = layer();
        let kept = take(root.path()).unwrap();
        assert_eq!(compare(&kept, &take(root.path()).unwrap()), None);
        // Longer than the clock that a file system writes times by takes for a step.
        std::thread::sleep(std::time::Duration::from_millis(20));
        change(root.path());
        let found = compare(&kept, &take(root.path()).unwrap()).unwrap();
        assert!(!found.is_elsewhere);
        found.paths.into_iter().map(|(path, what)| (path.display().to_string(), what)).collect()
    }

    fn is(path: &str, what: &'static str) -> (String, &'static str) {
        (path.to_owned(), what)
    }

    #[test]
    fn a_byte_is_noticed_though_size_and_time_are_set_back() {
        let found = told(|root| {
            let path = root.join("b c");
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "b d").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        });
        assert_eq!(found, [is("b c", "changed")]);
    }

    #[test]
    fn what_is_added_removed_or_renamed_is_noticed() {
        assert_eq!(told(|root| fs::write(root.join("new"), "").unwrap()), [is("new", "added")]);
        assert_eq!(told(|root| fs::remove_file(root.join("a")).unwrap()), [is("a", "removed")]);
        let found = told(|root| fs::rename(root.join("a"), root.join("folder/z")).unwrap());
        assert_eq!(found, [is("a", "removed"), is("folder", "changed"), is("folder/z", "added")]);
    }

    #[test]
    fn modes_and_links_are_noticed() {
        let found = told(|root| {
            fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::remove_file(root.join("link")).unwrap();
            symlink("b", root.join("link")).unwrap();
        });
        assert_eq!(found, [is("a", "changed"), is("link", "changed")]);
    }

    #[test]
    fn a_layer_that_gets_its_name_has_the_stamp_it_had() {
        let root = layer();
        let other = tempfile::tempdir().unwrap();
        let kept = take(root.path()).unwrap();
        fs::rename(root.path(), other.path().join("layer")).unwrap();
        assert_eq!(take(&other.path().join("layer")).unwrap(), kept);
    }

    #[test]
    fn a_copy_is_told_from_a_change() {
        let (root, copy) = (layer(), layer());
        let kept = take(root.path()).unwrap();
        let found = compare(&kept, &take(copy.path()).unwrap()).unwrap();
        assert!(found.is_elsewhere);
        assert!(compare(b"", &kept).unwrap().is_elsewhere);
    }
}
