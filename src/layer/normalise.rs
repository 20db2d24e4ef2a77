//! Rewrites a wheel that a build job made, so that only its content decides its bytes.
//!
//! Order, times, modes, flags and compression of the entries become fixed; names
//! and contents stay. Two builds that made equal files then give one wheel.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use libdeflater::Compressor;
use rustix::fs::MemfdFlags;

use super::error::{LayerError, reading};
use super::gzip;
use super::sources::{Opened, Sources};
use super::zip::Archive;

/// What messages call the wheel: it has no name before it has a digest.
const FILE: &str = "the built wheel";

/// 1980-01-01, the first day that zip knows, in its own form.
const DATE: u16 = 1 << 5 | 1;

/// Made by version 2.0 of the format on Unix.
const MADE_BY: u16 = 3 << 8 | 20;

/// A wheel is made once and kept: here size counts for more than speed.
const LEVEL: i32 = 9;

/// Sizes and offsets that need more than 32 bits would need zip64.
const LIMIT: u64 = u32::MAX as u64;

/// Normalises a wheel that a build job produced; returns the new wheel.
pub fn normalise_wheel(bytes: &[u8]) -> Result<Vec<u8>, LayerError> {
    let handle = file_of(bytes)?;
    let mut archive = Archive::read(FILE, &handle)?;
    archive.entries.sort_by(|one, other| one.name.cmp(&other.name));
    let mut sources =
        Sources::new(vec![Opened { file: FILE.to_owned(), handle: Arc::new(handle) }]);
    let mut writer = ZipWriter::new();
    for entry in &archive.entries {
        let content = sources.read(&entry.name, &entry.source(0), LIMIT - 1)?;
        writer.add(&entry.name, entry.executable, &content);
    }
    let size = writer.out.len() as u64 + writer.directory.len() as u64;
    if size >= LIMIT || archive.entries.len() >= usize::from(u16::MAX) {
        let reason = "it is too large for a plain zip file".to_owned();
        return Err(LayerError::Wheel { file: FILE.to_owned(), reason });
    }
    Ok(writer.finish())
}

/// The readers want a file, because they are made for large ones.
fn file_of(bytes: &[u8]) -> Result<File, LayerError> {
    let handle = rustix::fs::memfd_create("wheel", MemfdFlags::CLOEXEC);
    let handle = handle.map_err(|error| reading(FILE)(error.into()))?;
    let mut handle = File::from(handle);
    handle.write_all(bytes).map_err(reading(FILE))?;
    Ok(handle)
}

/// Writes zip files without zip64.
struct ZipWriter {
    compressor: Compressor,
    out: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl ZipWriter {
    fn new() -> Self {
        let compressor = gzip::compressor(LEVEL);
        Self { compressor, out: Vec::new(), directory: Vec::new(), count: 0 }
    }

    fn add(&mut self, name: &str, executable: bool, content: &[u8]) {
        let deflated = gzip::deflate(&mut self.compressor, content);
        let is_smaller = deflated.len() < content.len();
        let stream = if is_smaller { deflated.as_slice() } else { content };
        let mut fields = Vec::new();
        // Version needed, flags (names are UTF-8 where they are not ASCII), method, time, date.
        for field in
            [20, u16::from(!name.is_ascii()) << 11, if is_smaller { 8 } else { 0 }, 0, DATE]
        {
            fields.extend(field.to_le_bytes());
        }
        for field in [crc32fast::hash(content), stream.len() as u32, content.len() as u32] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend((name.len() as u16).to_le_bytes());
        // No extra field.
        fields.extend([0; 2]);
        let offset = self.out.len() as u32;
        let mode: u32 = if executable { 0o100_755 } else { 0o100_644 };
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(MADE_BY.to_le_bytes());
        self.directory.extend(&fields);
        // No comment, the first disk, no internal attributes.
        self.directory.extend([0; 6]);
        self.directory.extend((mode << 16).to_le_bytes());
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.out.extend(b"PK\x03\x04");
        self.out.extend(&fields);
        self.out.extend(name.as_bytes());
        self.out.extend(stream);
        self.count = self.count.wrapping_add(1);
    }

    fn finish(mut self) -> Vec<u8> {
        let offset = self.out.len() as u32;
        self.out.extend(&self.directory);
        self.out.extend(b"PK\x05\x06\0\0\0\0");
        self.out.extend(self.count.to_le_bytes());
        self.out.extend(self.count.to_le_bytes());
        self.out.extend((self.directory.len() as u32).to_le_bytes());
        self.out.extend(offset.to_le_bytes());
        self.out.extend([0; 2]);
        self.out
    }
}
