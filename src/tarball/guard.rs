//! Looks at the headers of a tar stream while they go by.

use std::io::{self, Read, Seek, SeekFrom};

use tar::{EntryType, Header, PaxExtensions};

use super::{PATH_LIMIT, check_path, shortened};

/// Tar counts in blocks of this many bytes.
const BLOCK: usize = 512;

/// A PAX header is no larger than this (bytes), as in other readers.
const PAX_LIMIT: u64 = 1 << 20;

/// Where sparse files are wanted, headers and maps may have this many bytes: 700,000 pieces.
const MAP_LIMIT: u64 = 16 << 20;

/// Passes a tar stream on; the read that completes a header beyond the limits fails.
#[derive(Debug)]
pub struct Guard<R> {
    inner: R,
    takes_sparse: bool,
    state: State,
    /// What was collected of what the state waits for.
    kept: Vec<u8>,
    /// The name that a header before the entry's own gives it.
    name: Option<Vec<u8>>,
    /// The size that a PAX header gives the next entry; it wins over the entry's own.
    size: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A header block comes.
    Header,
    /// The text of a header of this type comes, of so many bytes.
    Text(EntryType, usize),
    /// A block of an old sparse map comes; it is so far in, and the content has so many bytes.
    Map { read: u64, content: u64 },
    /// So many bytes belong to nothing of interest.
    Content(u64),
    /// The archive is over; what follows is nobody's.
    Over,
}

impl<R> Guard<R> {
    pub(super) fn new(inner: R, takes_sparse: bool) -> Self {
        let (state, kept) = (State::Header, Vec::new());
        Self { inner, takes_sparse, state, kept, name: None, size: None }
    }

    /// What it reads from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let wanted = match self.state {
                State::Over => return Ok(()),
                State::Content(left) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[taken as usize..];
                    self.skip(taken);
                    continue;
                }
                State::Header | State::Map { .. } => BLOCK,
                State::Text(_, size) => size,
            };
            let taken = (wanted - self.kept.len()).min(bytes.len());
            self.kept.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.kept.len() == wanted {
                let kept = std::mem::take(&mut self.kept);
                self.state = self.next(&kept)?;
            }
        }
        Ok(())
    }

    /// Passes over content; `taken` is not more than there is.
    fn skip(&mut self, taken: u64) {
        if let State::Content(left) = &mut self.state {
            *left -= taken;
            if *left == 0 {
                self.state = State::Header;
            }
        }
    }

    /// What comes after what was waited for.
    fn next(&mut self, kept: &[u8]) -> io::Result<State> {
        match self.state {
            State::Header => {
                // One block, which is what was waited for.
                self.header(Header::from_byte_slice(kept))
            }
            State::Text(kind, size) => {
                self.text(kind, kept)?;
                Ok(content(((BLOCK - size % BLOCK) % BLOCK) as u64))
            }
            State::Map { read, content } => self.map(kept[504] == 1, read + BLOCK as u64, content),
            State::Content(_) | State::Over => Ok(self.state),
        }
    }

    fn header(&mut self, header: &Header) -> io::Result<State> {
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(State::Over);
        }
        let (kind, size) = (header.entry_type(), header.entry_size()?);
        let is_known = header.as_gnu().is_some() || header.as_ustar().is_some();
        let limit = match kind {
            EntryType::GNULongName | EntryType::GNULongLink => Some(PATH_LIMIT as u64),
            EntryType::XHeader if self.takes_sparse => Some(MAP_LIMIT),
            EntryType::XHeader => Some(PAX_LIMIT),
            _ => None,
        };
        match limit.filter(|_| is_known) {
            Some(limit) if size > limit => {
                let what = if kind == EntryType::XHeader { "PAX header" } else { "name" };
                Err(refuse(format!("a {what} of an entry has {size} bytes; {limit} is the limit")))
            }
            Some(_) if size == 0 => Ok(State::Header),
            Some(_) => Ok(State::Text(kind, size as usize)),
            None => self.entry(header, kind, size),
        }
    }

    fn entry(&mut self, header: &Header, kind: EntryType, size: u64) -> io::Result<State> {
        // A header for all that follow is an entry to the reader and takes nothing from the next.
        if kind == EntryType::XGlobalHeader {
            return padded(size).map(content);
        }
        let name = self.name.take();
        let size = padded(self.size.take().unwrap_or(size))?;
        if kind != EntryType::GNUSparse {
            return Ok(content(size));
        }
        if !self.takes_sparse {
            return Err(sparse(&name.unwrap_or_else(|| header.path_bytes().into_owned())));
        }
        self.map(header.as_gnu().is_some_and(|header| header.is_extended()), 0, size)
    }

    /// Where an old sparse file's map goes on or ends.
    fn map(&mut self, goes_on: bool, read: u64, size: u64) -> io::Result<State> {
        match goes_on {
            true if read >= MAP_LIMIT => {
                Err(refuse(format!("the map of a sparse file has more than {MAP_LIMIT} bytes")))
            }
            true => Ok(State::Map { read, content: size }),
            false => Ok(content(size)),
        }
    }

    fn text(&mut self, kind: EntryType, text: &[u8]) -> io::Result<()> {
        if kind != EntryType::XHeader {
            let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            return self.told(kind == EntryType::GNULongName, &text[..end]);
        }
        let (mut is_sparse, mut is_broken) = (false, false);
        for record in PaxExtensions::new(text) {
            // The reader takes a name behind a broken record, and no size.
            let Ok(record) = record else {
                is_broken = true;
                continue;
            };
            match (record.key_bytes(), record.value_bytes()) {
                (b"path" | b"GNU.sparse.name", path) => self.told(true, path)?,
                (b"linkpath", path) => self.told(false, path)?,
                (b"size", digits) if self.size.is_none() && !is_broken => {
                    self.size = std::str::from_utf8(digits).ok().and_then(|it| it.parse().ok());
                }
                (key, _) => is_sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        if is_sparse && !self.takes_sparse {
            return Err(sparse(self.name.as_deref().unwrap_or_default()));
        }
        Ok(())
    }

    /// Checks a name, or a link's target, whose parts may be anything.
    fn told(&mut self, is_name: bool, path: &[u8]) -> io::Result<()> {
        let checked = if is_name || path.len() >= PATH_LIMIT { check_path(path) } else { Ok(()) };
        checked.map_err(|reason| refuse(format!("`{}`: {reason}", shortened(path))))?;
        if is_name {
            self.name = Some(path.to_owned());
        }
        Ok(())
    }
}

/// The state before so many bytes.
fn content(size: u64) -> State {
    if size == 0 { State::Header } else { State::Content(size) }
}

/// A size in whole blocks.
fn padded(size: u64) -> io::Result<u64> {
    let whole = size.checked_next_multiple_of(BLOCK as u64);
    whole.ok_or_else(|| refuse(format!("an entry has {size} bytes")))
}

fn sparse(name: &[u8]) -> io::Error {
    refuse(format!("`{}` is a sparse file", shortened(name)))
}

fn refuse(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.pass(&buffer[..count])?;
        Ok(count)
    }
}

impl<R: Seek> Seek for Guard<R> {
    /// Passes over content, which is all that a reader of archives does.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let refused = || io::Error::from(io::ErrorKind::Unsupported);
        let SeekFrom::Current(step) = to else { return Err(refused()) };
        let step = u64::try_from(step).map_err(|_| refused())?;
        match self.state {
            State::Content(left) if step <= left => self.skip(step),
            State::Over => {}
            _ if step == 0 => {}
            _ => return Err(refused()),
        }
        self.inner.seek(to)
    }
}
