//! Compares an unpacked layer with the stream it came from.
//!
//! Unpacked layers are what jobs really see, and nothing reads them again after they
//! were unpacked: a byte that changes there would run under the image's seal.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use tar::{Archive, Entry, EntryType};

use crate::digest::{Digest, hash_reader};
use crate::engine::{EngineError, Stop};
use crate::image::ImageError;
use crate::image::ImageLayer;
use crate::store::{Damage, Store};

/// The first file of the unpacked layer that is not the layer's; `None` if there is none, if
/// the layer is not unpacked, or if somebody asked to stop.
pub fn audit(
    store: &Store,
    layer: &ImageLayer,
    stop: &Stop,
) -> Result<Option<Damage>, EngineError> {
    let root = store.rootfs_path(&layer.diff_id);
    if !root.is_dir() {
        return Ok(None);
    }
    let compared = thread::scope(|scope| {
        let (reader, mut writer) = io::pipe()?;
        // A reader that stops at the first difference breaks the pipe: no error of ours.
        scope.spawn(move || layer.write_tar(store, &mut writer).ok());
        compare(&root, Stoppable { reader, stop })
    });
    if stop.is_requested() {
        return Ok(None);
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

fn compare(root: &Path, tar: impl Read) -> io::Result<Option<Damage>> {
    for entry in Archive::new(tar).entries()? {
        let mut entry = entry?;
        // The content of a hard link was compared under its first name.
        if entry.header().entry_type() == EntryType::Link {
            continue;
        }
        let path = root.join(entry.path()?);
        let expected = entry_digest(&mut entry)?;
        let found = found_digest(&path).ok();
        if found != Some(expected) {
            return Ok(Some(Damage { path, expected: Some(expected), found }));
        }
    }
    Ok(None)
}

/// The digest of a file's content and mode, or of what stands in place of content.
fn entry_digest(entry: &mut Entry<'_, impl Read>) -> io::Result<Digest> {
    let mode = entry.header().mode()?;
    match entry.header().entry_type() {
        EntryType::Directory => Ok(Digest::of(b"directory")),
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            Ok(Digest::of(&[b"link ", target.as_ref()].concat()))
        }
        _ => Ok(with_mode(hash_reader(entry)?.0, mode)),
    }
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
    let digest = hash_reader(File::open(path)?)?.0;
    Ok(with_mode(digest, metadata.permissions().mode() & 0o7777))
}

fn with_mode(content: Digest, mode: u32) -> Digest {
    Digest::of(format!("{content} {mode:o}").as_bytes())
}
