//! A file read by ranges through one buffer, so that many small reads cost few system calls.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SIZE: u64 = 64 << 10;

/// The part of a file that was read last.
pub(super) struct Window<'a> {
    file: &'a File,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, start: 0, buffer: Vec::new() }
    }

    /// The `N` bytes at `offset`; an error where the file ends before.
    pub(super) fn at<const N: usize>(&mut self, offset: u64) -> io::Result<[u8; N]> {
        if let Some(bytes) = self.held(offset) {
            return Ok(bytes);
        }
        self.fill(offset)?;
        self.held(offset).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The `size` bytes at `offset`, a few thousand at most; an error where the file or what ends at `end` ends before.
    pub(super) fn bytes(&mut self, offset: u64, size: u64, end: u64) -> io::Result<Vec<u8>> {
        let is_inside = offset.checked_add(size).is_some_and(|last| last <= end) && size <= SIZE;
        if !is_inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let held = |window: &Self| {
            let place = usize::try_from(offset.checked_sub(window.start)?).ok()?;
            let size = usize::try_from(size).ok()?;
            window.buffer.get(place..)?.get(..size).map(<[u8]>::to_vec)
        };
        if let Some(bytes) = held(self) {
            return Ok(bytes);
        }
        self.fill(offset)?;
        held(self).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn held<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let place = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer.get(place..)?.first_chunk().copied()
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        self.buffer.resize(SIZE as usize, 0);
        let mut read = 0;
        while read < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(read);
        self.start = offset;
        Ok(())
    }
}
