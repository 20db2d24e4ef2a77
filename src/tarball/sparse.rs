//! Sparse files as GNU tar writes them in the POSIX format (GNU tar manual, "Storing Sparse Files").
//!
//! Versions 0.0 and 0.1 have the map in the PAX header, version 1.0 before the content. The older
//! format, a type of entry of its own, is read by the `tar` crate itself.

use std::collections::VecDeque;
use std::io::{self, Read};

use tar::Entry;

/// No map has more pieces.
const PIECE_LIMIT: u64 = 700_000;

/// What a PAX header says of a sparse file.
#[derive(Debug)]
pub struct Sparse {
    /// Its name; that of the entry is made up.
    pub name: Option<Vec<u8>>,
    size: u64,
    /// Offset and length of each piece; `None` if the map comes before the content.
    map: Option<Vec<(u64, u64)>>,
}

impl Sparse {
    /// What the PAX header of an entry says, if it is a sparse file.
    ///
    /// # Errors
    ///
    /// A header that contradicts itself.
    pub fn of(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<Self>> {
        let Some(records) = entry.pax_extensions()? else { return Ok(None) };
        let (mut name, mut size, mut version) = (None, None, None);
        let (mut numbers, mut is_sparse) = (Vec::new(), false);
        for record in records {
            let record = record?;
            let Some(key) = record.key_bytes().strip_prefix(b"GNU.sparse.") else { continue };
            is_sparse = true;
            let value = record.value_bytes();
            match key {
                b"name" => name = Some(value.to_owned()),
                b"size" | b"realsize" => size = Some(number(value)?),
                b"major" => version = Some(number(value)?),
                b"offset" | b"numbytes" => numbers.push(number(value)?),
                b"map" => {
                    let parts = value.split(|byte| *byte == b',');
                    numbers = parts.map(number).collect::<Result<_, _>>()?;
                }
                _ => {}
            }
        }
        if !is_sparse {
            return Ok(None);
        }
        let size = size.ok_or_else(|| damaged("it has no size"))?;
        let map = match version {
            Some(1) => None,
            Some(0) | None => Some(pieces(&numbers, size)?),
            Some(_) => return Err(damaged("its version is not known")),
        };
        Ok(Some(Self { name, size, map }))
    }

    /// The file itself, out of the content of its entry.
    ///
    /// # Errors
    ///
    /// A map that makes no sense, and what cannot be read.
    pub fn reader<R: Read>(self, mut content: R) -> io::Result<SparseReader<R>> {
        let map = match self.map {
            Some(map) => map,
            None => pieces(&map_before(&mut content)?, self.size)?,
        };
        Ok(SparseReader { content, size: self.size, at: 0, pieces: map.into() })
    }
}

/// Reads a sparse file; holes are zeros.
#[derive(Debug)]
pub struct SparseReader<R> {
    content: R,
    size: u64,
    at: u64,
    /// What is left of the pieces.
    pieces: VecDeque<(u64, u64)>,
}

impl<R: Read> Read for SparseReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pieces.front().is_some_and(|(_, length)| *length == 0) {
            self.pieces.pop_front();
        }
        let next = self.pieces.front().map_or(self.size, |(offset, _)| *offset);
        if self.at < next {
            let count = (next - self.at).min(buffer.len() as u64);
            buffer[..count as usize].fill(0);
            self.at += count;
            return Ok(count as usize);
        }
        let Some((offset, length)) = self.pieces.front_mut() else { return Ok(0) };
        let most = (*length).min(buffer.len() as u64) as usize;
        let count = self.content.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *offset += count as u64;
        *length -= count as u64;
        self.at += count as u64;
        Ok(count)
    }
}

/// The numbers of a map that stands before the content: how many pieces, then offset and length
/// of each, one a line, filled up to a whole block.
fn map_before(content: &mut impl Read) -> io::Result<Vec<u64>> {
    let mut read = 0;
    let mut line = || {
        let mut digits = Vec::new();
        loop {
            let mut byte = [0];
            content.read_exact(&mut byte)?;
            read += 1;
            match byte[0] {
                b'\n' => return number(&digits),
                _ if digits.len() > 20 => return Err(damaged("its map has no numbers")),
                digit => digits.push(digit),
            }
        }
    };
    let count = line()?;
    if count > PIECE_LIMIT {
        return Err(damaged("its map has more than 700,000 pieces"));
    }
    let numbers = (0..2 * count).map(|_| line()).collect::<io::Result<Vec<_>>>()?;
    let rest = (512 - read % 512) % 512;
    io::copy(&mut content.take(rest), &mut io::sink())?;
    Ok(numbers)
}

/// Pairs the numbers of a map; pieces follow each other and end within the file.
fn pieces(numbers: &[u64], size: u64) -> io::Result<Vec<(u64, u64)>> {
    let (pairs, []) = numbers.as_chunks::<2>() else { return Err(damaged("its map is cut off")) };
    let mut end = 0;
    for [offset, length] in pairs {
        let next = offset.checked_add(*length).filter(|next| *offset >= end && *next <= size);
        end = next.ok_or_else(|| damaged("the pieces of its map do not fit"))?;
    }
    Ok(pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

fn number(digits: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| damaged("a number of it is none"))
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a sparse file is damaged: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(sparse: Sparse, content: &[u8]) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        sparse.reader(content)?.read_to_end(&mut whole).map(|_| whole)
    }

    #[test]
    fn pieces_stand_at_their_places_and_holes_are_zeros() {
        let map = Some(vec![(2, 3), (5, 0), (7, 1), (9, 0)]);
        let whole = expanded(Sparse { name: None, size: 9, map }, b"abcdrest").unwrap();
        assert_eq!(whole, b"\0\0abc\0\0d\0");
        let mut content = b"2\n1\n2\n4\n1\n".to_vec();
        content.resize(512, 0);
        content.extend(b"xyz");
        let whole = expanded(Sparse { name: None, size: 6, map: None }, &content).unwrap();
        assert_eq!(whole, b"\0xy\0z\0");
    }

    #[test]
    fn a_map_that_does_not_fit_is_refused() {
        assert!(pieces(&[0, 4, 3, 1], 9).is_err());
        assert!(pieces(&[0, 10], 9).is_err());
        assert!(pieces(&[u64::MAX, 2], 9).is_err());
        assert!(pieces(&[1], 9).is_err());
        for content in ["x\n", "99999999\n", "1\n0\n"] {
            let sparse = Sparse { name: None, size: 9, map: None };
            assert!(expanded(sparse, content.as_bytes()).is_err(), "{content}");
        }
        let sparse = Sparse { name: None, size: 4, map: Some(vec![(0, 4)]) };
        assert!(expanded(sparse, b"abc").is_err());
    }
}
