//! Reads the containers of a fat binary: what code they hold for which architecture.
//!
//! NVIDIA documents no format; this is what the bytes of real libraries show, and it was compared with
//! `cuobjdump` (`.ci/doctor`). A section is a row of containers. A container is a header of 16 bytes (magic,
//! version, size of the header, bytes that follow) and entries one after the other; an entry is a header
//! (kind, its own size, size of the payload, architecture, …) and the payload, mostly compressed. Payloads
//! are never looked at.
//!
//! Nothing in the bytes is trusted: every step goes forward, stays inside the section, and what is kept
//! is bounded whatever a file claims.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

use super::code::{Capability, Code};
use super::window::Window;

const MAGIC: u32 = 0xBA55_ED50;
const VERSION: u16 = 1;
const HEADER_SIZE: u64 = 16;

/// The part of an entry's header that all versions have.
const ENTRY_SIZE: u64 = 64;

const PTX: u16 = 1;
const CUBIN: u16 = 2;

/// Containers start at multiples of this; what is between them is zero.
const ALIGNMENT: u64 = 8;

/// Different sets of code in one section; real libraries have a dozen.
const MOST_SETS: usize = 4096;

/// Different architectures in one container; there have been two dozen in all.
const MOST_CODES: usize = 256;

/// How much of a section holds exactly the same kinds of code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    /// Containers.
    pub(super) containers: u64,
    /// Bytes of them, without their headers.
    pub(super) bytes: u64,
}

/// How much holds exactly which code.
pub(super) type Sets = BTreeMap<BTreeSet<Code>, Amount>;

/// Reads the section of `file` at `offset`, `size` bytes long.
///
/// The error is a fragment that says what is wrong with the bytes, or what the system said.
pub(super) fn read(file: &File, offset: u64, size: u64) -> Result<Sets, String> {
    let end = offset.checked_add(size).ok_or("its fat binary ends nowhere")?;
    let mut reader = Reader { window: Window::new(file), end };
    let mut sets = Sets::new();
    let mut place = offset;
    while let Some(container) = reader.next_container(place)? {
        let (codes, after) = reader.container(container)?;
        let amount = sets.entry(codes).or_default();
        amount.containers += 1;
        amount.bytes = amount.bytes.saturating_add((after - container).saturating_sub(HEADER_SIZE));
        if sets.len() > MOST_SETS {
            return Err(format!("its fat binary has more than {MOST_SETS} different containers"));
        }
        place = after;
    }
    Ok(sets)
}

struct Reader<'a> {
    window: Window<'a>,
    /// Of the section.
    end: u64,
}

impl Reader<'_> {
    /// Where the next container begins: at `place`, or behind padding.
    fn next_container(&mut self, mut place: u64) -> Result<Option<u64>, String> {
        while place.checked_add(ALIGNMENT).is_some_and(|after| after <= self.end) {
            let bytes: [u8; ALIGNMENT as usize] = self.bytes(place)?;
            if bytes != [0; ALIGNMENT as usize] {
                return Ok(Some(place));
            }
            place += ALIGNMENT;
        }
        Ok(None)
    }

    /// The code in the container at `place`, and where it ends.
    fn container(&mut self, place: u64) -> Result<(BTreeSet<Code>, u64), String> {
        let header: [u8; HEADER_SIZE as usize] = self.bytes(place)?;
        let header_size = u64::from(u16_at(&header, 6));
        if u32_at(&header, 0) != MAGIC || u16_at(&header, 4) != VERSION || header_size < HEADER_SIZE
        {
            return Err(format!("its fat binary has an unknown header at {place:#x}"));
        }
        let mut entry = place + header_size;
        let end = entry.checked_add(u64_at(&header, 8)).filter(|end| *end <= self.end);
        let Some(end) = end else {
            return Err(format!("a container of its fat binary at {place:#x} is cut off"));
        };
        let mut codes = BTreeSet::new();
        while entry < end {
            let (code, size) = self.entry(entry)?;
            codes.insert(code);
            if codes.len() > MOST_CODES {
                return Err(format!(
                    "a container of its fat binary has more than {MOST_CODES} codes"
                ));
            }
            entry = match entry.checked_add(size) {
                Some(after) if after <= end => after,
                _ => return Err(format!("an entry of its fat binary at {entry:#x} is cut off")),
            };
        }
        Ok((codes, end))
    }

    /// What the entry at `place` holds, and how many bytes it takes.
    fn entry(&mut self, place: u64) -> Result<(Code, u64), String> {
        let header: [u8; ENTRY_SIZE as usize] = self.bytes(place)?;
        let (header_size, payload) = (u64::from(u32_at(&header, 4)), u64_at(&header, 8));
        if header_size < ENTRY_SIZE {
            return Err(format!("an entry of its fat binary at {place:#x} has no whole header"));
        }
        let capability = Capability::of_number(u32_at(&header, 28));
        let code = match u16_at(&header, 0) {
            PTX => Code::Ptx(capability),
            CUBIN => Code::Cubin(capability),
            other => Code::Other(other, capability),
        };
        Ok((code, header_size.saturating_add(payload)))
    }

    fn bytes<const N: usize>(&mut self, place: u64) -> Result<[u8; N], String> {
        if place.checked_add(N as u64).is_none_or(|end| end > self.end) {
            return Err("its fat binary is cut off".to_owned());
        }
        self.window.at(place).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "its fat binary is cut off".to_owned(),
            _ => error.to_string(),
        })
    }
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
