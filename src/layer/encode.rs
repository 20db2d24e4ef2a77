//! The form in which a plan is kept: short, and checked when it is read.
//!
//! Numbers have as many bytes as they need (LEB128); a path begins with the number of
//! bytes that it shares with the path before it; texts and literals come last, so that the
//! whole compresses well. A plan of torch's 3,449 files takes about 200 KB, most of it
//! the hashes of RECORD.

use std::sync::OnceLock;

use libdeflater::Decompressor;

use super::error::LayerError;
use super::gzip;
use super::plan::{Body, Coding, Entry, Here, Input, LayerPlan, Source};
use crate::digest::Digest;

/// Format of the text below; another one is refused and the plan made anew.
const MAGIC: &[u8; 12] = b"repro-plan1\n";

/// The level costs time once; a plan decides no layer's bytes by its own.
const LEVEL: i32 = 9;

/// No plan is larger than this (bytes); guards against a damaged length.
const SIZE_LIMIT: u64 = 256 << 20;

impl LayerPlan {
    /// The plan as it is kept in the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.here.bytes.get_or_init(|| self.encode()).clone()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.plan(self);
        let Writer { numbers, literals } = writer;
        let mut content = Vec::new();
        put_number(&mut content, numbers.len() as u64);
        content.extend(numbers);
        content.extend(literals);
        let mut compressor = gzip::compressor(LEVEL);
        let mut bytes = MAGIC.to_vec();
        put_number(&mut bytes, content.len() as u64);
        bytes.extend(gzip::deflate(&mut compressor, &content));
        bytes
    }

    /// Reads a plan of the store, which has it under the digest of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`LayerPlan::from_bytes`].
    pub fn recalled(bytes: Vec<u8>) -> Result<Self, LayerError> {
        let plan = Self::from_bytes(&bytes)?;
        let here = Box::new(Here { bytes: OnceLock::from(bytes), ..Here::default() });
        Ok(Self { here, ..plan })
    }

    /// Reads a plan that was kept.
    ///
    /// # Errors
    ///
    /// [`LayerError::Plan`] for anything that [`LayerPlan::to_bytes`] did not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LayerError> {
        let damaged = |reason| LayerError::Plan { reason };
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(damaged("it has another format"))?;
        let size = take_number(&mut rest).filter(|size| *size <= SIZE_LIMIT);
        let size = size.ok_or(damaged("its size is damaged"))? as usize;
        let mut content = vec![0; size];
        let found = Decompressor::new().deflate_decompress(rest, &mut content);
        if found != Ok(size) {
            return Err(damaged("it cannot be decompressed"));
        }
        let plan = Reader::begin(&content).and_then(|mut reader| reader.plan());
        let plan = plan.ok_or(damaged("it is cut off or has surplus bytes"))?;
        plan.check()?;
        Ok(plan)
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[derive(Default)]
struct Writer {
    numbers: Vec<u8>,
    literals: Vec<u8>,
}

impl Writer {
    fn plan(&mut self, plan: &LayerPlan) {
        self.text(&plan.origin);
        self.number(u64::from(plan.coding == Coding::Copied));
        self.number(plan.inputs.len() as u64);
        for input in &plan.inputs {
            self.text(&input.origin);
            self.text(&input.file);
            self.number(u64::from(input.package));
            self.literals.extend(input.digest.as_bytes());
        }
        self.number(plan.entries.len() as u64);
        let mut last = "";
        for entry in &plan.entries {
            let shared = shared_prefix(last, &entry.path);
            self.number(shared as u64);
            self.text(&entry.path[shared..]);
            self.number(entry.owner.map_or(0, |owner| u64::from(owner) + 1));
            self.body(&entry.body);
            last = &entry.path;
        }
        self.number(plan.notes.len() as u64);
        plan.notes.iter().for_each(|note| self.text(note));
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Directory => self.number(0),
            Body::Symlink(target) => {
                self.number(1);
                self.text(target);
            }
            Body::HardLink { target, executable } => {
                self.number(2 + u64::from(*executable));
                self.text(target);
            }
            Body::File { executable, source } => {
                let kind = match source {
                    Source::Literal(_) => 4,
                    Source::Stored { .. } => 6,
                    Source::Deflated { .. } => 8,
                    Source::Packaged { .. } => 10,
                };
                self.number(kind + u64::from(*executable));
                self.source(source);
            }
        }
    }

    fn source(&mut self, source: &Source) {
        match *source {
            Source::Literal(ref bytes) => {
                self.number(bytes.len() as u64);
                self.literals.extend(bytes);
            }
            Source::Stored { input, offset, size, crc } => {
                self.numbers([u64::from(input), offset, size]);
                self.crc(crc);
            }
            Source::Deflated { input, offset, length, size, crc } => {
                self.numbers([u64::from(input), offset, length, size]);
                self.crc(crc);
            }
            Source::Packaged { input, offset, size } => {
                self.numbers([u64::from(input), offset, size])
            }
        }
    }

    fn number(&mut self, number: u64) {
        put_number(&mut self.numbers, number);
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.into_iter().for_each(|number| self.number(number));
    }

    fn crc(&mut self, crc: u32) {
        self.numbers.extend(crc.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.literals.extend(text.as_bytes());
    }
}

/// Bytes that two paths begin with in common, cut at a letter.
fn shared_prefix(one: &str, other: &str) -> usize {
    let bytes = one.bytes().zip(other.bytes());
    let mut count = bytes.take_while(|(one, other)| one == other).count();
    while !other.is_char_boundary(count) {
        count -= 1;
    }
    count
}

/// Reads what [`Writer`] wrote; `None` for anything else.
struct Reader<'a> {
    numbers: &'a [u8],
    literals: &'a [u8],
}

impl<'a> Reader<'a> {
    fn begin(mut content: &'a [u8]) -> Option<Self> {
        let size = usize::try_from(take_number(&mut content)?).ok()?;
        let (numbers, literals) = content.split_at_checked(size)?;
        Some(Self { numbers, literals })
    }

    fn plan(&mut self) -> Option<LayerPlan> {
        let origin = self.text()?;
        let coding = if self.flag()? { Coding::Copied } else { Coding::Compressed };
        let inputs = (0..self.count()?).map(|_| self.input()).collect::<Option<Vec<_>>>()?;
        let mut entries = Vec::new();
        let mut last = String::new();
        for _ in 0..self.count()? {
            let entry = self.entry(&last)?;
            last.clone_from(&entry.path);
            entries.push(entry);
        }
        let notes = (0..self.count()?).map(|_| self.text()).collect::<Option<Vec<_>>>()?;
        let is_whole = self.numbers.is_empty() && self.literals.is_empty();
        is_whole.then_some(LayerPlan {
            origin,
            coding,
            inputs,
            entries,
            notes,
            here: Box::default(),
        })
    }

    fn input(&mut self) -> Option<Input> {
        let (origin, file, package) = (self.text()?, self.text()?, self.flag()?);
        let digest = Digest::from_bytes(self.literal(32)?.try_into().ok()?);
        Some(Input { origin, file, digest, package })
    }

    fn entry(&mut self, last: &str) -> Option<Entry> {
        let shared = usize::try_from(self.number()?).ok()?;
        let path = format!("{}{}", last.get(..shared)?, self.text()?);
        let owner = match self.number()? {
            0 => None,
            owner => Some(u32::try_from(owner - 1).ok()?),
        };
        Some(Entry { path, owner, body: self.body()? })
    }

    fn body(&mut self) -> Option<Body> {
        let kind = self.number()?;
        let executable = kind % 2 == 1;
        let source = match kind {
            0 => return Some(Body::Directory),
            1 => return Some(Body::Symlink(self.text()?)),
            2 | 3 => return Some(Body::HardLink { target: self.text()?, executable }),
            4 | 5 => {
                let size = usize::try_from(self.number()?).ok()?;
                Source::Literal(self.literal(size)?.to_vec())
            }
            6 | 7 => {
                let (input, offset, size) = (self.index()?, self.number()?, self.number()?);
                Source::Stored { input, offset, size, crc: self.crc()? }
            }
            8 | 9 => {
                let (input, offset) = (self.index()?, self.number()?);
                let (length, size) = (self.number()?, self.number()?);
                Source::Deflated { input, offset, length, size, crc: self.crc()? }
            }
            10 | 11 => {
                let (input, offset, size) = (self.index()?, self.number()?, self.number()?);
                Source::Packaged { input, offset, size }
            }
            _ => return None,
        };
        Some(Body::File { executable, source })
    }

    fn number(&mut self) -> Option<u64> {
        take_number(&mut self.numbers)
    }

    fn index(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A number of things that follow; each has at least one byte.
    fn count(&mut self) -> Option<u64> {
        self.number().filter(|count| *count <= self.numbers.len() as u64)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn crc(&mut self) -> Option<u32> {
        let (crc, rest) = self.numbers.split_first_chunk::<4>()?;
        self.numbers = rest;
        Some(u32::from_le_bytes(*crc))
    }

    fn literal(&mut self, size: usize) -> Option<&'a [u8]> {
        let (literal, rest) = self.literals.split_at_checked(size)?;
        self.literals = rest;
        Some(literal)
    }

    fn text(&mut self) -> Option<String> {
        let size = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.literal(size)?.to_vec()).ok()
    }
}
