//! Streams large blobs out of object folders.
//!
//! libgit2 hands out an object as a whole and nothing else, so a blob of 700 MB would take as much memory.
//! What lies alone in a file or as a whole in a pack is therefore read here, in pieces; what is kept as a
//! difference from another object is left to libgit2 (git keeps no large file so, see
//! `core.bigFileThreshold`). Formats: gitformat-pack(5), version 2 of indexes.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::bufread::ZlibDecoder;
use sha1::{Digest as _, Sha1};

use crate::git::{GitError, Sink};

/// Blobs larger than this (bytes) are streamed.
pub(super) const LARGE: u64 = 8 << 20;

const INDEX_MAGIC: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
/// How many objects have names that begin with a byte or a lower one.
const FANOUT: u64 = 8;
const NAMES: u64 = FANOUT + 256 * 4;
/// Bytes of an object's name.
const NAME: u64 = 20;
/// What a pack calls a blob that is there as a whole.
const BLOB: u8 = 3;

/// Hands on the content of a blob of `size` bytes; `false` where it lies in no folder as a whole.
///
/// # Errors
///
/// What cannot be read, and content that is not what the object's name says.
pub(super) fn stream(
    folders: &[PathBuf],
    object: &[u8; 20],
    size: u64,
    sink: &mut Sink<'_>,
) -> Result<bool, GitError> {
    for folder in folders {
        let Some(mut content) = open(folder, object, size).map_err(GitError::Read)? else {
            continue;
        };
        pass(&mut content, object, size, sink)?;
        return Ok(true);
    }
    Ok(false)
}

/// The blob's content, where it is in the folder as a whole.
fn open(folder: &Path, object: &[u8; 20], size: u64) -> io::Result<Option<Box<dyn Read>>> {
    let hex: String = object.iter().map(|byte| format!("{byte:02x}")).collect();
    match File::open(folder.join(&hex[..2]).join(&hex[2..])) {
        Ok(file) => return loose(file, size),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let Ok(entries) = fs::read_dir(folder.join("pack")) else { return Ok(None) };
    for entry in entries {
        let index = entry?.path();
        if index.extension().is_none_or(|extension| extension != "idx") {
            continue;
        }
        if let Some(offset) = find(&File::open(&index)?, object)? {
            return packed(File::open(index.with_extension("pack"))?, offset, size);
        }
    }
    Ok(None)
}

/// A file of one object: `blob SIZE NUL` before the content, all of it compressed.
fn loose(file: File, size: u64) -> io::Result<Option<Box<dyn Read>>> {
    let mut content = ZlibDecoder::new(BufReader::new(file));
    let mut head = vec![0; format!("blob {size}\0").len()];
    content.read_exact(&mut head)?;
    let is_right = head == format!("blob {size}\0").as_bytes();
    Ok(is_right.then(|| Box::new(content) as Box<dyn Read>))
}

/// The offset of an object in the pack of an index.
fn find(index: &File, object: &[u8; 20]) -> io::Result<Option<u64>> {
    let mut magic = [0; 8];
    index.read_exact_at(&mut magic, 0)?;
    if magic != INDEX_MAGIC {
        return Ok(None);
    }
    let number = |place: u64| -> io::Result<u64> {
        let mut bytes = [0; 4];
        index.read_exact_at(&mut bytes, place)?;
        Ok(u64::from(u32::from_be_bytes(bytes)))
    };
    let up_to = |byte: u64| number(FANOUT + byte * 4);
    let first = u64::from(object[0]);
    let (mut low, mut high) = (if first == 0 { 0 } else { up_to(first - 1)? }, up_to(first)?);
    let count = up_to(255)?;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut name = [0; NAME as usize];
        index.read_exact_at(&mut name, NAMES + middle * NAME)?;
        match name.cmp(object) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                // Behind the names come as many checksums, and then the offsets.
                let offsets = NAMES + count * (NAME + 4);
                let offset = number(offsets + middle * 4)?;
                let Some(place) = offset.checked_sub(1 << 31) else { return Ok(Some(offset)) };
                let mut bytes = [0; 8];
                index.read_exact_at(&mut bytes, offsets + count * 4 + place * 8)?;
                return Ok(Some(u64::from_be_bytes(bytes)));
            }
        }
    }
    Ok(None)
}

/// The content of a pack's entry: kind and size in seven bits a byte, then compressed bytes.
fn packed(mut pack: File, offset: u64, size: u64) -> io::Result<Option<Box<dyn Read>>> {
    pack.seek(SeekFrom::Start(offset))?;
    let mut pack = BufReader::with_capacity(1 << 16, pack);
    let mut byte = || {
        let mut byte = [0];
        pack.read_exact(&mut byte).map(|()| byte[0])
    };
    let first = byte()?;
    let (kind, mut found, mut shift) = (first >> 4 & 7, u64::from(first & 15), 4);
    let mut last = first;
    while last & 0x80 != 0 && shift < 60 {
        last = byte()?;
        found |= u64::from(last & 0x7f) << shift;
        shift += 7;
    }
    let is_whole = kind == BLOB && found == size;
    Ok(is_whole.then(|| Box::new(ZlibDecoder::new(pack)) as Box<dyn Read>))
}

/// Hands content on, and compares it with the name of its object.
fn pass(
    content: &mut dyn Read,
    object: &[u8; 20],
    size: u64,
    sink: &mut Sink<'_>,
) -> Result<(), GitError> {
    let mut name = Sha1::new();
    name.update(format!("blob {size}\0"));
    let mut buffer = vec![0; 1 << 16];
    let mut content = content.take(size);
    while let count @ 1.. = content.read(&mut buffer).map_err(GitError::Read)? {
        name.update(&buffer[..count]);
        sink(&buffer[..count])?;
    }
    if name.finalize().as_slice() == object {
        return Ok(());
    }
    Err(GitError::Object { reason: "an object is not what its name says".to_owned() })
}
