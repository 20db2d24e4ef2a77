//! Reads the containers of a fat binary: what code they hold for which architecture.
//!
//! NVIDIA documents no format; this is what the bytes of real libraries show, and it was compared with
//! `cuobjdump` (`.ci/doctor`). A section is a row of containers. A container is a header of 16 bytes (magic,
//! version, size of the header, bytes that follow) and entries one after the other; an entry is a header
//! (kind, its own size, size of the payload, architecture, flags, size before compression, …) and the payload,
//! mostly compressed (LZ4, or zstd from CUDA 12.8 on). Only small payloads are looked into, for whether there is a
//! kernel at all: linking on the GPU's side leaves entries without any, and the one entry of some libraries whose
//! kernels lie elsewhere (cuFFT) is such a stub. It is no evidence of anything.
//!
//! Nothing in the bytes is trusted: every step goes forward, stays inside the section, and what is kept
//! is bounded whatever a file claims.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

use super::code::{Capability, Code, Reach};
use super::window::Window;

const MAGIC: u32 = 0xBA55_ED50;
const VERSION: u16 = 1;
const HEADER_SIZE: u64 = 16;

/// The part of an entry's header that all versions have.
const ENTRY_SIZE: u64 = 64;

const PTX: u16 = 1;
const CUBIN: u16 = 2;

/// The flags of an entry whose code is for one card alone, or for one family.
const ALONE: u64 = 1 << 20;
const FAMILY: u64 = 1 << 21;

/// The flags of a payload that is compressed, and how.
const LZ4: u64 = 1 << 13;
const ZSTD: u64 = 1 << 15;

/// Whatever is larger than this (bytes, before compression) has a kernel; the largest that had none had 3,032.
const LARGEST_STUB: u64 = 8192;

/// What the names of the sections begin with that hold machine code.
const KERNEL_SECTION: &[u8] = b".text.";

/// The directive that begins a kernel in PTX.
const KERNEL_DIRECTIVE: &[u8] = b".entry";

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

/// What a container holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    /// What its kernels are made for.
    pub(super) code: BTreeSet<Code>,
    /// What it has entries for that hold no kernel.
    pub(super) empty: BTreeSet<Code>,
}

/// How much holds exactly which code.
pub(super) type Sets = BTreeMap<Held, Amount>;

/// Reads the section of `file` at `offset`, `size` bytes long.
///
/// The error is a fragment that says what is wrong with the bytes, or what the system said.
pub(super) fn read(file: &File, offset: u64, size: u64) -> Result<Sets, String> {
    let end = offset.checked_add(size).ok_or("its fat binary ends nowhere")?;
    let mut reader = Reader { window: Window::new(file), end };
    let mut sets = Sets::new();
    let mut place = offset;
    while let Some(container) = reader.next_container(place)? {
        let (held, after) = reader.container(container)?;
        let amount = sets.entry(held).or_default();
        amount.containers += 1;
        amount.bytes = amount.bytes.saturating_add((after - container).saturating_sub(HEADER_SIZE));
        if sets.len() > MOST_SETS {
            return Err(format!("its fat binary has more than {MOST_SETS} different containers"));
        }
        place = after;
    }
    Ok(sets)
}

/// An entry of a container.
struct Entry {
    code: Code,
    has_kernel: bool,
    /// Bytes that it takes, with its header.
    size: u64,
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
    fn container(&mut self, place: u64) -> Result<(Held, u64), String> {
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
        let mut held = Held::default();
        while entry < end {
            let Entry { code, has_kernel, size } = self.entry(entry)?;
            if has_kernel {
                held.code.insert(code)
            } else {
                held.empty.insert(code)
            };
            if held.code.len() + held.empty.len() > MOST_CODES {
                return Err(format!(
                    "a container of its fat binary has more than {MOST_CODES} codes"
                ));
            }
            entry = match entry.checked_add(size) {
                Some(after) if after <= end => after,
                _ => return Err(format!("an entry of its fat binary at {entry:#x} is cut off")),
            };
        }
        held.empty.retain(|code| !held.code.contains(code));
        Ok((held, end))
    }

    /// What the entry at `place` holds.
    fn entry(&mut self, place: u64) -> Result<Entry, String> {
        let header: [u8; ENTRY_SIZE as usize] = self.bytes(place)?;
        let (header_size, payload) = (u64::from(u32_at(&header, 4)), u64_at(&header, 8));
        if header_size < ENTRY_SIZE {
            return Err(format!("an entry of its fat binary at {place:#x} has no whole header"));
        }
        let capability = Capability::of_number(u32_at(&header, 28));
        let flags = u64_at(&header, 40);
        let reach = match (flags & ALONE, flags & FAMILY) {
            (0, 0) => Reach::Onwards,
            (0, _) => Reach::Family,
            _ => Reach::Alone,
        };
        let (code, mark) = match u16_at(&header, 0) {
            PTX => (Code::Ptx(capability, reach), Some(KERNEL_DIRECTIVE)),
            CUBIN => (Code::Cubin(capability, reach), Some(KERNEL_SECTION)),
            other => (Code::Other(other, capability), None),
        };
        let has_kernel = match mark {
            Some(mark) => self.has(mark, place.saturating_add(header_size), &header)?,
            None => true,
        };
        Ok(Entry { code, has_kernel, size: header_size.saturating_add(payload) })
    }

    /// Whether the payload at `place`, of the entry with this header, has `mark` in it, or is too large to
    /// be without; what cannot be unpacked is taken to have it.
    fn has(
        &mut self,
        mark: &[u8],
        place: u64,
        header: &[u8; ENTRY_SIZE as usize],
    ) -> Result<bool, String> {
        let (payload, compressed) = (u64_at(header, 8), u64::from(u32_at(header, 16)));
        let (flags, unpacked) = (u64_at(header, 40), u64_at(header, 56));
        // What is not compressed has no size but that of the payload.
        let (stored, unpacked) = match flags & (LZ4 | ZSTD) {
            0 => (payload, payload),
            _ => (compressed, unpacked),
        };
        if unpacked > LARGEST_STUB || stored > payload.min(LARGEST_STUB) {
            return Ok(true);
        }
        let bytes = self.window.bytes(place, stored, self.end).map_err(cut_off)?;
        let unpacked = usize::try_from(unpacked).unwrap_or_default();
        let bytes = match (flags & LZ4, flags & ZSTD) {
            (0, 0) => Some(bytes),
            (0, _) => zstd::bulk::decompress(&bytes, unpacked).ok(),
            _ => lz4_flex::block::decompress(&bytes, unpacked).ok(),
        };
        Ok(bytes.is_none_or(|bytes| bytes.windows(mark.len()).any(|window| window == mark)))
    }

    fn bytes<const N: usize>(&mut self, place: u64) -> Result<[u8; N], String> {
        if place.checked_add(N as u64).is_none_or(|end| end > self.end) {
            return Err("its fat binary is cut off".to_owned());
        }
        self.window.at(place).map_err(cut_off)
    }
}

fn cut_off(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "its fat binary is cut off".to_owned(),
        _ => error.to_string(),
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
