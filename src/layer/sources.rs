//! The opened inputs of a layer, and the content that a plan's sources point to.
//!
//! Inputs are immutable, so any range can be read at any time. Content is checked
//! while it is read: CRC-32 and size against the archive's directory, and that a
//! compressed stream ends exactly where the directory says, for a gzip member made
//! of it would be followed by garbage otherwise.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use super::error::{LayerError, reading};
use super::plan::Source;
use crate::digest::{Digest, Hasher};

/// Receives content piece by piece.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Bytes read from an input at a time.
const READ_SIZE: usize = 512 << 10;

/// Bytes inflated at a time.
const INFLATE_SIZE: usize = 512 << 10;

/// One opened input.
#[derive(Debug)]
pub(super) struct Opened {
    /// File name, for messages.
    pub(super) file: String,
    pub(super) handle: Arc<File>,
}

/// The opened inputs of a layer, in the order of its plan.
pub(super) struct Sources {
    inputs: Vec<Opened>,
    inflater: Decompress,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// A source's raw DEFLATE stream.
#[derive(Clone, Copy)]
struct Stream {
    input: u32,
    offset: u64,
    length: u64,
    size: u64,
    crc: u32,
}

impl Sources {
    pub(super) fn new(inputs: Vec<Opened>) -> Self {
        let inflater = Decompress::new(false);
        Self { inputs, inflater, input: vec![0; READ_SIZE], output: vec![0; INFLATE_SIZE] }
    }

    /// Hands the content of `source` to `content` and checks it; `entry` is its path, for messages.
    pub(super) fn content(
        &mut self,
        entry: &str,
        source: &Source,
        content: &mut Sink<'_>,
    ) -> Result<(), LayerError> {
        match *source {
            Source::Literal(ref bytes) => content(bytes).map_err(LayerError::Write),
            Source::Packaged { input, offset, size } => self.range(input, offset, size, content),
            Source::Stored { input, offset, size, crc } => {
                let mut found = crc32fast::Hasher::new();
                self.range(input, offset, size, &mut |bytes| {
                    found.update(bytes);
                    content(bytes)
                })?;
                self.check_crc(input, entry, crc, found.finalize())
            }
            Source::Deflated { .. } => self.copied(entry, source, &mut |_| Ok(()), content),
        }
    }

    /// Hands on both the compressed stream of a deflated source and its content, checked.
    pub(super) fn copied(
        &mut self,
        entry: &str,
        source: &Source,
        compressed: &mut Sink<'_>,
        content: &mut Sink<'_>,
    ) -> Result<(), LayerError> {
        let Source::Deflated { input, offset, length, size, crc } = *source else {
            return self.content(entry, source, content);
        };
        self.inflate(entry, Stream { input, offset, length, size, crc }, compressed, content)
    }

    /// Hands on a range of an input as it is.
    pub(super) fn range(
        &mut self,
        input: u32,
        mut offset: u64,
        mut left: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), LayerError> {
        let Opened { file, handle } = &self.inputs[input as usize];
        while left > 0 {
            let count = left.min(READ_SIZE as u64) as usize;
            handle.read_exact_at(&mut self.input[..count], offset).map_err(reading(file))?;
            sink(&self.input[..count]).map_err(LayerError::Write)?;
            offset += count as u64;
            left -= count as u64;
        }
        Ok(())
    }

    /// Small content as a whole, at most `limit` bytes of it.
    pub(super) fn read(
        &mut self,
        entry: &str,
        source: &Source,
        limit: u64,
    ) -> Result<Vec<u8>, LayerError> {
        if source.size() > limit {
            let file = source.input().map_or("", |input| self.file(input)).to_owned();
            let reason = format!("is larger than {limit} bytes");
            return Err(LayerError::WheelEntry { file, entry: entry.to_owned(), reason });
        }
        let mut content = Vec::new();
        self.content(entry, source, &mut |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(content)
    }

    /// The digest of the content.
    pub(super) fn digest(&mut self, entry: &str, source: &Source) -> Result<Digest, LayerError> {
        let mut hasher = Hasher::new();
        self.content(entry, source, &mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    fn file(&self, input: u32) -> &str {
        &self.inputs[input as usize].file
    }

    fn inflate(
        &mut self,
        entry: &str,
        stream: Stream,
        compressed: &mut Sink<'_>,
        content: &mut Sink<'_>,
    ) -> Result<(), LayerError> {
        self.inflater.reset(false);
        let mut crc = crc32fast::Hasher::new();
        let mut read = 0;
        let mut ended = false;
        while read < stream.length && !ended {
            let count = (stream.length - read).min(READ_SIZE as u64) as usize;
            let Opened { file, handle } = &self.inputs[stream.input as usize];
            let place = stream.offset + read;
            handle.read_exact_at(&mut self.input[..count], place).map_err(reading(file))?;
            compressed(&self.input[..count]).map_err(LayerError::Write)?;
            read += count as u64;
            ended = self.inflate_piece(entry, stream, count, &mut |bytes| {
                crc.update(bytes);
                content(bytes)
            })?;
        }
        let used = self.inflater.total_in();
        if !ended {
            return self.differs(
                stream.input,
                entry,
                END_OF_STREAM,
                stream.length,
                "a cut-off stream",
            );
        }
        if used != stream.length {
            return self.differs(stream.input, entry, END_OF_STREAM, stream.length, used);
        }
        if self.inflater.total_out() != stream.size {
            return self.differs(
                stream.input,
                entry,
                "size",
                stream.size,
                self.inflater.total_out(),
            );
        }
        self.check_crc(stream.input, entry, stream.crc, crc.finalize())
    }

    /// Inflates the first `count` bytes of the input buffer; tells whether the stream ended.
    fn inflate_piece(
        &mut self,
        entry: &str,
        stream: Stream,
        count: usize,
        content: &mut Sink<'_>,
    ) -> Result<bool, LayerError> {
        let mut used = 0;
        loop {
            let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
            let piece = &self.input[used..count];
            let status = self.inflater.decompress(piece, &mut self.output, FlushDecompress::None);
            let Ok(status) = status else {
                return self.differs(
                    stream.input,
                    entry,
                    "compressed stream",
                    "DEFLATE",
                    "other bytes",
                );
            };
            used += (self.inflater.total_in() - before_in) as usize;
            let made = (self.inflater.total_out() - before_out) as usize;
            if self.inflater.total_out() > stream.size {
                return self.differs(stream.input, entry, "size", stream.size, "more");
            }
            content(&self.output[..made]).map_err(LayerError::Write)?;
            if status == Status::StreamEnd {
                return Ok(true);
            }
            // A full buffer may leave more to come; anything else waits for more input.
            if made < self.output.len() && used == count {
                return Ok(false);
            }
        }
    }

    fn check_crc(
        &self,
        input: u32,
        entry: &str,
        expected: u32,
        found: u32,
    ) -> Result<(), LayerError> {
        if expected == found {
            return Ok(());
        }
        self.differs(input, entry, "CRC-32", format!("{expected:08x}"), format!("{found:08x}"))
    }

    fn differs<T>(
        &self,
        input: u32,
        entry: &str,
        what: &'static str,
        expected: impl ToString,
        found: impl ToString,
    ) -> Result<T, LayerError> {
        let (file, entry) = (self.file(input).to_owned(), entry.to_owned());
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(LayerError::Content { file, entry, what, expected, found })
    }
}

const END_OF_STREAM: &str = "end of the compressed stream";
