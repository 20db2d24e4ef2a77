//! Reads the directory of a zip file and says where each entry's stream lies.
//!
//! A general reader hands out content; a layer needs the ranges of the streams
//! themselves, so this is one of our own. The central directory is the truth:
//! sizes and CRC come from it, so data descriptors and zip64 are fine, and a local
//! header is read only to find where the stream begins and must agree in name.
//!
//! Refused: everything that two readers could understand in two ways (names twice,
//! `..`, absolute names, ranges that overlap, bytes in front of the archive), what
//! pip would not install (encryption, other methods), symbolic links, and sizes that
//! no DEFLATE stream of that length can have.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::error::{LayerError, reading};
use super::plan::Source;
use crate::tarball::{check_path, shortened};

/// A zip file whose directory was read and checked.
pub(super) struct Archive {
    /// The file name, for messages.
    pub(super) file: String,
    /// In the order of the directory.
    pub(super) entries: Vec<ZipEntry>,
}

/// One entry of the directory; entries of folders are left out.
#[derive(Debug, Clone)]
pub(super) struct ZipEntry {
    /// As the archive has it.
    pub(super) name: String,
    /// Whether Unix permissions are given and anybody may execute it.
    pub(super) executable: bool,
    method: u16,
    crc: u32,
    length: u64,
    size: u64,
    /// Of the local header, then of the stream.
    offset: u64,
}

const END_SIZE: u64 = 22;
const END_SIGNATURE: u32 = 0x0605_4b50;
const END64_SIZE: u64 = 56;
const END64_SIGNATURE: u32 = 0x0606_4b50;
const LOCATOR_SIZE: u64 = 20;
const LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const CENTRAL_SIZE: usize = 46;
const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
const LOCAL_SIZE: u64 = 30;
const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// DEFLATE cannot make more than this out of one byte (258 bytes for two bits and rounding).
const DEFLATE_RATIO: u64 = 1032;

/// A whole wheel that unpacks to more than this many times its size is a bomb; real ones stay below 20.
const WHEEL_RATIO: u64 = 200;

/// Below this size (bytes) a wheel may unpack to what it likes.
const HARMLESS: u64 = 256 << 20;

/// Directories larger than this (bytes) are refused rather than read into memory.
const DIRECTORY_LIMIT: u64 = 64 << 20;

impl Archive {
    /// Reads the directory of `handle`.
    pub(super) fn read(file: &str, handle: &File) -> Result<Self, LayerError> {
        let mut reader = Reader { file, handle };
        let total = handle.metadata().map_err(reading(file))?.len();
        let (start, size, count) = reader.find_directory(total)?;
        let mut entries = reader.read_directory(start, size, count)?;
        reader.find_streams(&mut entries, start)?;
        refuse_bombs(file, &entries, total)?;
        entries.retain(|entry| !entry.name.ends_with('/'));
        Ok(Self { file: file.to_owned(), entries })
    }

    /// The entry of this name.
    pub(super) fn find(&self, name: &str) -> Option<&ZipEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

impl ZipEntry {
    /// Bytes of its content.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where a layer finds its content, the archive being input number `input`.
    pub(super) fn source(&self, input: u32) -> Source {
        let Self { offset, length, size, crc, .. } = *self;
        match self.method {
            STORED => Source::Stored { input, offset, size, crc },
            _ => Source::Deflated { input, offset, length, size, crc },
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    handle: &'a File,
}

impl Reader<'_> {
    fn broken<T>(&self, reason: &str) -> Result<T, LayerError> {
        Err(LayerError::Wheel { file: self.file.to_owned(), reason: reason.to_owned() })
    }

    fn bad_entry<T>(&self, entry: &str, reason: &str) -> Result<T, LayerError> {
        let (file, entry, reason) = (self.file.to_owned(), entry.to_owned(), reason.to_owned());
        Err(LayerError::WheelEntry { file, entry, reason })
    }

    fn read(&self, offset: u64, size: u64) -> Result<Vec<u8>, LayerError> {
        let mut bytes = vec![0; size as usize];
        self.handle.read_exact_at(&mut bytes, offset).map_err(reading(self.file))?;
        Ok(bytes)
    }

    /// Offset, size and number of entries of the central directory.
    fn find_directory(&mut self, total: u64) -> Result<(u64, u64, u64), LayerError> {
        let tail_size = total.min(END_SIZE + u64::from(u16::MAX));
        let tail = self.read(total - tail_size, tail_size)?;
        let Some(place) = find_end(&tail) else {
            return self.broken("it is not a zip file, or it is cut off");
        };
        let end = &tail[place..];
        if u16_at(end, 4) != 0 || u16_at(end, 6) != 0 {
            return self.broken("it is one part of a divided zip file");
        }
        let end_offset = total - tail_size + place as u64;
        let plain =
            (u64::from(u32_at(end, 16)), u64::from(u32_at(end, 12)), u64::from(u16_at(end, 10)));
        let (start, size, count, limit) = match self.read_end64(end_offset)? {
            Some((start, size, count, limit)) => (start, size, count, limit),
            None => (plain.0, plain.1, plain.2, end_offset),
        };
        if start.checked_add(size) != Some(limit) {
            return self.broken("its directory does not end where its last record begins");
        }
        if size > DIRECTORY_LIMIT {
            return self.broken("its directory is larger than 64 MiB");
        }
        Ok((start, size, count))
    }

    /// The same from a zip64 record, if there is one, and where that record begins.
    fn read_end64(&self, end: u64) -> Result<Option<(u64, u64, u64, u64)>, LayerError> {
        let Some(place) = end.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
        let locator = self.read(place, LOCATOR_SIZE)?;
        if u32_at(&locator, 0) != LOCATOR_SIGNATURE {
            return Ok(None);
        }
        let offset = u64_at(&locator, 8);
        // The record may be longer than it was in 2001, so its place is not a fixed one.
        if offset.checked_add(END64_SIZE).is_none_or(|after| after > place) {
            return self.broken("its zip64 record is not in the file");
        }
        let record = self.read(offset, END64_SIZE)?;
        if u32_at(&record, 0) != END64_SIGNATURE {
            return self.broken("its zip64 record is not where it should be");
        }
        Ok(Some((u64_at(&record, 48), u64_at(&record, 40), u64_at(&record, 32), offset)))
    }

    fn read_directory(
        &self,
        start: u64,
        size: u64,
        count: u64,
    ) -> Result<Vec<ZipEntry>, LayerError> {
        let bytes = self.read(start, size)?;
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        let mut names = BTreeSet::new();
        while !rest.is_empty() {
            let (entry, after) = self.read_entry(rest)?;
            rest = after;
            let place = normal(&entry.name);
            if !names.insert(place) {
                return self.bad_entry(&entry.name, "is there twice");
            }
            entries.push(entry);
        }
        if entries.len() as u64 != count {
            return self.broken("its directory has another number of entries than it says");
        }
        Ok(entries)
    }

    fn read_entry<'b>(&self, bytes: &'b [u8]) -> Result<(ZipEntry, &'b [u8]), LayerError> {
        if bytes.len() < CENTRAL_SIZE || u32_at(bytes, 0) != CENTRAL_SIGNATURE {
            return self.broken("its directory is damaged");
        }
        let (name, extra) = (u16_at(bytes, 28) as usize, u16_at(bytes, 30) as usize);
        let end = CENTRAL_SIZE + name + extra + u16_at(bytes, 32) as usize;
        if end > bytes.len() {
            return self.broken("its directory is damaged");
        }
        let name_end = CENTRAL_SIZE + name;
        let name = self.check_name(&bytes[CENTRAL_SIZE..name_end], u16_at(bytes, 8))?;
        let mode = u32_at(bytes, 38) >> 16;
        let mut entry = ZipEntry {
            executable: mode & 0o170_000 == 0o100_000 && mode & 0o111 != 0,
            method: u16_at(bytes, 10),
            crc: u32_at(bytes, 16),
            length: u64::from(u32_at(bytes, 20)),
            size: u64::from(u32_at(bytes, 24)),
            offset: u64::from(u32_at(bytes, 42)),
            name,
        };
        self.widen(&mut entry, &bytes[name_end..name_end + extra])?;
        self.check_entry(&entry, u16_at(bytes, 8), mode)?;
        Ok((entry, &bytes[end..]))
    }

    fn check_name(&self, bytes: &[u8], flags: u16) -> Result<String, LayerError> {
        if let Err(reason) = check_path(bytes) {
            let reason = format!("cannot be a file: {reason}");
            return self.bad_entry(&shortened(bytes), &reason);
        }
        let lossy = String::from_utf8_lossy(bytes).into_owned();
        let Ok(name) = std::str::from_utf8(bytes) else {
            return self.bad_entry(&lossy, "has a name that is not UTF-8");
        };
        if !name.is_ascii() && flags & 0x800 == 0 {
            return self.bad_entry(name, "has a name of an unknown encoding");
        }
        if name.starts_with('/') {
            return self.bad_entry(name, "has an absolute name");
        }
        if name.split('/').any(|part| part == "..") {
            return self.bad_entry(name, "leads out of the wheel");
        }
        if normal(name).is_empty() || name.chars().any(|c| c.is_control()) {
            return self.bad_entry(&name.escape_default().to_string(), "has an unusable name");
        }
        Ok(name.to_owned())
    }

    /// Takes 64-bit values from the zip64 field (APPNOTE 4.5.3) where the record has no room.
    fn widen(&self, entry: &mut ZipEntry, mut extra: &[u8]) -> Result<(), LayerError> {
        let narrow = u64::from(u32::MAX);
        while extra.len() >= 4 {
            let (kind, size) = (u16_at(extra, 0), u16_at(extra, 2) as usize);
            let Some(mut field) = extra.get(4..4 + size) else { break };
            extra = &extra[4 + size..];
            if kind != 1 {
                continue;
            }
            for value in [&mut entry.size, &mut entry.length, &mut entry.offset] {
                if *value != narrow {
                    continue;
                }
                let Some((wide, rest)) = field.split_first_chunk::<8>() else {
                    return self.bad_entry(&entry.name, "has a damaged zip64 field");
                };
                *value = u64::from_le_bytes(*wide);
                field = rest;
            }
        }
        Ok(())
    }

    fn check_entry(&self, entry: &ZipEntry, flags: u16, mode: u32) -> Result<(), LayerError> {
        let refuse = |reason| self.bad_entry(&entry.name, reason);
        // Encryption, compressed patches, strong encryption, masked headers (APPNOTE 4.4.4).
        if flags & (1 | 1 << 5 | 1 << 6 | 1 << 13) != 0 {
            return refuse("is encrypted");
        }
        match mode & 0o170_000 {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => return refuse("is a symbolic link"),
            _ => return refuse("is neither a file nor a folder"),
        }
        let plausible = match entry.method {
            STORED => entry.size == entry.length,
            DEFLATED => entry.size <= entry.length.saturating_mul(DEFLATE_RATIO),
            _ => return refuse("is compressed by a method other than DEFLATE"),
        };
        if !plausible {
            return refuse("has a size that its compressed data cannot have");
        }
        if entry.name.ends_with('/') && entry.size != 0 {
            return refuse("is a folder with content");
        }
        Ok(())
    }

    /// Replaces the offsets of local headers by those of the streams behind them.
    fn find_streams(&self, entries: &mut [ZipEntry], limit: u64) -> Result<(), LayerError> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|index| entries[*index].offset);
        let mut free = 0;
        let first = order.first().map_or(0, |index| entries[*index].offset);
        for index in order {
            let entry = &mut entries[index];
            if entry.offset < free {
                return self.bad_entry(&entry.name, "shares bytes with another entry");
            }
            let stream = self.stream_start(entry, limit)?;
            let end = stream.checked_add(entry.length).filter(|end| *end <= limit);
            let Some(end) = end else {
                return self.bad_entry(&entry.name, "reaches into the directory");
            };
            entry.offset = stream;
            free = end;
        }
        if first > 0 {
            return self.broken(&format!("it has {first} bytes in front of its first entry"));
        }
        Ok(())
    }

    fn stream_start(&self, entry: &ZipEntry, limit: u64) -> Result<u64, LayerError> {
        let name_start = entry.offset.saturating_add(LOCAL_SIZE);
        let name_end = name_start.saturating_add(entry.name.len() as u64);
        if name_end > limit {
            return self.bad_entry(&entry.name, "lies outside of the wheel");
        }
        let header = self.read(entry.offset, name_end - entry.offset)?;
        if u32_at(&header, 0) != LOCAL_SIGNATURE {
            return self.bad_entry(&entry.name, "has no header where the directory says");
        }
        if u16_at(&header, 26) as usize != entry.name.len()
            || &header[LOCAL_SIZE as usize..] != entry.name.as_bytes()
        {
            return self.bad_entry(&entry.name, "has another name in its own header");
        }
        Ok(name_end + u64::from(u16_at(&header, 28)))
    }
}

/// The path that an installer makes of a name.
pub(super) fn normal(name: &str) -> String {
    let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

/// The last place where an end record fits with its comment.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_SIZE as usize)?;
    (0..=last).rev().find(|place| {
        let record = &tail[*place..];
        u32_at(record, 0) == END_SIGNATURE
            && place + END_SIZE as usize + u16_at(record, 20) as usize == tail.len()
    })
}

fn refuse_bombs(file: &str, entries: &[ZipEntry], total: u64) -> Result<(), LayerError> {
    let size = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.size));
    if size <= HARMLESS || size <= total.saturating_mul(WHEEL_RATIO) {
        return Ok(());
    }
    let reason = format!("its {total} bytes would become {size} bytes");
    Err(LayerError::Wheel { file: file.to_owned(), reason })
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([bytes[place], bytes[place + 1]])
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from(u16_at(bytes, place)) | u32::from(u16_at(bytes, place + 2)) << 16
}

fn u64_at(bytes: &[u8], place: usize) -> u64 {
    u64::from(u32_at(bytes, place)) | u64::from(u32_at(bytes, place + 4)) << 32
}
