//! Packet lines, the frames of git's protocol (gitprotocol-common(5)).

use std::sync::atomic::AtomicBool;

use crate::fetch::client::Answer;
use crate::fetch::error::Trouble;
use crate::fetch::retry::Ending;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// A line or a piece of data.
    Data(Vec<u8>),
    /// `0000`
    Flush,
    /// `0001`
    Delimiter,
    /// Nothing more comes.
    End,
}

/// Reads packets from an answer.
pub(super) struct Packets<'a> {
    answer: Answer,
    stop: &'a AtomicBool,
    buffer: Vec<u8>,
    start: usize,
}

impl<'a> Packets<'a> {
    pub(super) fn new(answer: Answer, stop: &'a AtomicBool) -> Self {
        Self { answer, stop, buffer: Vec::new(), start: 0 }
    }

    /// The next packet. A line's last line feed is no part of it.
    pub(super) fn next(&mut self) -> Result<Packet, Ending> {
        let Some(head) = self.take(4, true)? else { return Ok(Packet::End) };
        let length =
            str::from_utf8(&head).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        match length {
            Some(0) => Ok(Packet::Flush),
            Some(1) => Ok(Packet::Delimiter),
            Some(2) => self.next(),
            Some(length @ 4..) => {
                let data = self.take(length - 4, false)?;
                Ok(Packet::Data(data.unwrap_or_default()))
            }
            _ => Err(no_git("a packet has no length")),
        }
    }

    /// The next packet as a line of text; `None` for anything but data.
    pub(super) fn line(&mut self) -> Result<Option<String>, Ending> {
        match self.next()? {
            Packet::Data(data) => text(&data).map(Some),
            _ => Ok(None),
        }
    }

    /// Takes so many bytes; `None` if the answer ended, where it may.
    fn take(&mut self, count: usize, may_end: bool) -> Result<Option<Vec<u8>>, Ending> {
        while self.buffer.len() - self.start < count {
            self.buffer.drain(..self.start);
            self.start = 0;
            match self.answer.next(self.stop)? {
                Some(piece) => self.buffer.extend(piece),
                None if may_end && self.buffer.is_empty() => return Ok(None),
                None => {
                    let source = std::io::ErrorKind::UnexpectedEof.into();
                    return Err(Trouble::Cut { received: 0, source }.into());
                }
            }
        }
        let end = self.start + count;
        let taken = self.buffer[self.start..end].to_vec();
        self.start = end;
        Ok(Some(taken))
    }
}

/// A line without its line feed; what a server writes there is text.
pub(super) fn text(data: &[u8]) -> Result<String, Ending> {
    let line = data.strip_suffix(b"\n").unwrap_or(data);
    String::from_utf8(line.to_vec()).map_err(|_| no_git("a line is no text"))
}

/// The answer is not git's.
pub(super) fn no_git(reason: &str) -> Ending {
    Ending::Trouble(Trouble::Git { reason: reason.to_owned() })
}

/// Adds a line to a request.
pub(super) fn put(request: &mut Vec<u8>, line: &str) {
    request.extend(format!("{:04x}{line}\n", line.len() + 5).bytes());
}
