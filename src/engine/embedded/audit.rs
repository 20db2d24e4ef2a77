//! Compares an unpacked layer with the stream it came from.
//!
//! Unpacked layers are what jobs really see, and nothing reads them again after they
//! were unpacked: a byte that changes there would run under the image's seal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Bound;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use tar::{Entry, EntryType};

use super::rootfs::{Mark, Marks, Place, place, relative};
use crate::digest::{Digest, hash_reader};
use crate::engine::{EngineError, Stop};
use crate::image::ImageError;
use crate::image::ImageLayer;
use crate::store::{Damage, Store};
use crate::tarball;

/// What of the unpacked layer is not the layer's, sorted by path; nothing if the layer is not
/// unpacked, or if somebody asked to stop. What was added is expected by nobody.
pub fn audit(store: &Store, layer: &ImageLayer, stop: &Stop) -> Result<Vec<Damage>, EngineError> {
    let root = store.rootfs_path(&layer.diff_id);
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let compared = thread::scope(|scope| {
        let (reader, mut writer) = io::pipe()?;
        // A reader that stops at the first difference breaks the pipe: no error of ours.
        scope.spawn(move || layer.write_tar(store, &mut writer).ok());
        compare(&root, Stoppable { reader, stop })
    });
    if stop.is_requested() {
        return Ok(Vec::new());
    }
    compared.map_err(|error| EngineError::Stream {
        diff_id: layer.diff_id,
        source: Box::new(ImageError::Pass(error)),
    })
}

/// Ends early when somebody asks to stop.
struct Stoppable<'a, R> {
    reader: R,
    stop: &'a Stop,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_requested() { Ok(0) } else { self.reader.read(buffer) }
    }
}

/// What an unpacked layer must show at one path.
enum Expected {
    Content(Digest),
    Mark(Mark),
}

/// Something else is at the path now, so what was below it is gone.
fn forget_below<T>(contents: &mut BTreeMap<PathBuf, T>, path: &Path) {
    let after = (Bound::Excluded(path.to_owned()), Bound::Unbounded);
    let below = contents.range(after).map(|(known, _)| known.clone());
    let below: Vec<_> = below.take_while(|known| known.starts_with(path)).collect();
    below.iter().for_each(|known| drop(contents.remove(known)));
}

fn compare(root: &Path, tar: impl Read) -> io::Result<Vec<Damage>> {
    let contents = expected(tar)?;
    let mut damage = Vec::new();
    for (path, expected) in &contents {
        let path = root.join(path);
        let (expected, found) = match expected {
            Expected::Content(digest) => (*digest, found_digest(&path).ok()),
            Expected::Mark(mark) => {
                let digest = Digest::of(format!("{mark:?}").as_bytes());
                (digest, mark.is_at(&path).then_some(digest))
            }
        };
        if found != Some(expected) {
            damage.push(Damage { path, expected: Some(expected), found });
        }
    }
    // A folder need not have an entry of its own.
    let above = contents.keys().flat_map(|path| path.ancestors());
    let known: BTreeSet<&Path> = above.collect();
    add_unknown(root, Path::new(""), &known, &mut damage)?;
    damage.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(damage)
}

/// Adds what is below `path` and nobody knows; of an unknown folder only the folder itself.
fn add_unknown(
    root: &Path,
    path: &Path,
    known: &BTreeSet<&Path>,
    damage: &mut Vec<Damage>,
) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(path)) {
        // An ordinary user's layers have folders that not even their owner may look into.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let below = path.join(entry.file_name());
        if !known.contains(below.as_path()) {
            let path = entry.path();
            let found = found_digest(&path).ok();
            damage.push(Damage { path, expected: None, found });
        } else if entry.file_type()?.is_dir() {
            add_unknown(root, &below, known, damage)?;
        }
    }
    Ok(())
}

/// What the stream says of each path; of two entries with one path the last counts.
fn expected(tar: impl Read) -> io::Result<BTreeMap<PathBuf, Expected>> {
    let mut contents = BTreeMap::new();
    let mut marks = Marks::default();
    for entry in tarball::open(tar).entries()? {
        let mut entry = entry?;
        let path = match place(&entry.path()?).map_err(io::Error::other)? {
            Place::Here(path) => path,
            Place::Deleted(path) => {
                marks.delete(path);
                continue;
            }
            Place::Opaque(path) => {
                marks.hide_below(path);
                continue;
            }
            Place::Nothing => continue,
        };
        let kind = entry.header().entry_type();
        if !kind.is_dir() {
            forget_below(&mut contents, &path);
        }
        let target = match kind {
            EntryType::Link => entry.link_name()?.and_then(|target| relative(&target).ok()),
            _ => None,
        };
        // A hard link is what its first name is at that moment.
        let linked = target.and_then(|target| contents.get(&target)).map(|(digest, _)| *digest);
        match linked.map_or_else(|| entry_digest(&mut entry), |digest| Ok(Some(digest)))? {
            Some(digest) => drop(contents.insert(path, (digest, kind.is_dir()))),
            None => drop(contents.remove(&path)),
        }
    }
    let marks = marks.settle(|path| {
        let below = || contents.keys().any(|known| known.starts_with(path));
        contents.get(path).map(|(_, is_folder)| *is_folder).or_else(|| below().then_some(true))
    });
    let contents =
        contents.into_iter().map(|(path, (digest, _))| (path, Expected::Content(digest)));
    let marks = marks.into_iter().map(|(path, mark)| (path, Expected::Mark(mark)));
    // A folder that hides what is below is compared as such.
    Ok(contents.chain(marks).collect())
}

/// The digest of a file's content and mode, or of what stands in place of content; `None`
/// for what is not unpacked.
fn entry_digest(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<Digest>> {
    let mode = entry.header().mode()? & 0o7777;
    Ok(match entry.header().entry_type() {
        EntryType::Directory => Some(Digest::of(b"directory")),
        EntryType::Regular if entry.path_bytes().ends_with(b"/") => Some(Digest::of(b"directory")),
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            Some(Digest::of(&[b"link ", target.as_ref()].concat()))
        }
        EntryType::Fifo => Some(Digest::of(b"pipe")),
        EntryType::Regular | EntryType::Continuous => Some(with_mode(hash_reader(entry)?.0, mode)),
        _ => None,
    })
}

fn found_digest(path: &Path) -> io::Result<Digest> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        return Ok(Digest::of(b"directory"));
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        return Ok(Digest::of(&[b"link ", target.as_os_str().as_encoded_bytes()].concat()));
    }
    if metadata.file_type().is_fifo() {
        return Ok(Digest::of(b"pipe"));
    }
    if !metadata.is_file() {
        return Ok(Digest::of(b"device"));
    }
    let digest = hash_reader(File::open(path)?)?.0;
    Ok(with_mode(digest, metadata.permissions().mode() & 0o7777))
}

fn with_mode(content: Digest, mode: u32) -> Digest {
    Digest::of(format!("{content} {mode:o}").as_bytes())
}
