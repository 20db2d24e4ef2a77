//! Finds in a shared library where its GPU code lies and which CUDA runtime it wants.
//!
//! Only tables are read, and none larger than a real library has: a library may be larger than memory,
//! and a hostile one may claim anything.

use std::fs::File;
use std::ops::Range;

use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64, SHT_NOBITS};
use object::read::elf::{Dyn, FileHeader, SectionHeader};
use object::read::{ReadCache, ReadRef, StringTable};

/// Tables larger than this (bytes) are refused.
const LARGEST_TABLE: u64 = 1 << 20;

/// More sections or entries of the dynamic table than this are refused.
const MOST_ENTRIES: usize = 4096;

/// Code that is linked into a program as it is.
const EXECUTABLE: &[u8] = b".nv_fatbin";

/// Code that was linked once more, on the GPU's side, before it became part of the former.
const RELOCATABLE: &[u8] = b"__nv_relfatbin";

type Header = FileHeader64<Endianness>;

/// A range of the file: offset and size in bytes.
pub(super) type Place = (u64, u64);

/// What is of interest in a library.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Sections with code that programs load.
    pub(super) executable: Vec<Place>,
    /// Sections with code that was linked once more.
    pub(super) relocatable: Vec<Place>,
    /// Names of the libraries it is linked to.
    pub(super) needed: Vec<String>,
}

/// Reads the tables of `file`; nothing for what is no 64-bit ELF file.
///
/// The error is a fragment that says what is wrong with the file.
pub(super) fn layout(file: &File) -> Result<Option<Layout>, String> {
    let cache = ReadCache::new(file);
    let data = Limited(&cache);
    match data.read_bytes_at(0, 5) {
        // The magic of ELF, and its class of 64 bits.
        Ok(b"\x7fELF\x02") => {}
        _ => return Ok(None),
    }
    tables(data).map(Some).map_err(|error| format!("its ELF tables are damaged ({error})"))
}

fn tables<'d, R: ReadRef<'d>>(data: R) -> Result<Layout, String> {
    let text = |error: object::Error| error.to_string();
    let header = Header::parse(data).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    if header.shnum(endian, data).map_err(text)? as usize > MOST_ENTRIES {
        return Err("more sections than a library has".to_owned());
    }
    let sections = header.sections(endian, data).map_err(text)?;
    let mut layout = Layout::default();
    for section in sections.iter().filter(|section| section.sh_type(endian) != SHT_NOBITS) {
        let place = (section.sh_offset(endian), section.sh_size(endian));
        match sections.section_name(endian, section).map_err(text)? {
            EXECUTABLE => layout.executable.push(place),
            RELOCATABLE => layout.relocatable.push(place),
            _ => {}
        }
    }
    let Some((entries, strings)) = sections.dynamic(endian, data).map_err(text)? else {
        return Ok(layout);
    };
    let strings: StringTable<'_, R> = sections.strings(endian, data, strings).map_err(text)?;
    for entry in entries.iter().take(MOST_ENTRIES).filter(|it| it.d_tag(endian) == DT_NEEDED) {
        let name = u32::try_from(entry.d_val(endian)).ok().and_then(|at| strings.get(at).ok());
        layout.needed.extend(name.map(|name| String::from_utf8_lossy(name).into_owned()));
    }
    Ok(layout)
}

/// Reads through a cache that keeps what it has read, but nothing large.
#[derive(Clone, Copy)]
struct Limited<'a, 'f>(&'a ReadCache<&'f File>);

impl<'a> ReadRef<'a> for Limited<'a, '_> {
    fn len(self) -> Result<u64, ()> {
        self.0.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if size > LARGEST_TABLE { Err(()) } else { self.0.read_bytes_at(offset, size) }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.0.read_bytes_at_until(range, delimiter)
    }
}
