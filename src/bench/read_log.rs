//! Reads a log that is on disk piece by piece: memory does not grow with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::BenchError;
use super::arrivals;
use super::error::at;
use super::log::{Findings, LogPatterns};
use crate::digest::{Digest, Hasher};
use crate::named_file;

/// What a log says, and which log it is.
pub(super) struct ReadLog {
    pub findings: Findings,
    pub last_line: String,
    pub digest: Digest,
    pub size: u64,
}

/// Reads the log at `path`, with the text of the file that says when its pieces arrived.
pub(super) fn read(
    path: &Path,
    patterns: &LogPatterns,
    arrivals: Option<&str>,
) -> Result<ReadLog, BenchError> {
    let wrong = |reason| BenchError::Arrivals { log: path.to_owned(), reason };
    let mut file = named_file::open(path).map_err(at("read", path))?;
    let mut hasher = Hasher::new();
    let mut reader = match arrivals {
        None => patterns.reader(),
        Some(_) => patterns.timed_reader(),
    };
    match arrivals {
        None => {
            let take = |bytes: &[u8]| {
                hasher.update(bytes);
                reader.push(bytes);
            };
            each_piece(&mut file, u64::MAX, take).map_err(at("read", path))?;
        }
        Some(text) => {
            for piece in arrivals::pieces(text).map_err(wrong)? {
                let (time, bytes) = piece;
                let take = |bytes: &[u8]| {
                    hasher.update(bytes);
                    reader.push_at(time, bytes);
                };
                let found = each_piece(&mut file, bytes, take).map_err(at("read", path))?;
                if found < bytes {
                    return Err(wrong("the log is shorter than it says".to_owned()));
                }
            }
            if each_piece(&mut file, 1, |_| {}).map_err(at("read", path))? > 0 {
                return Err(wrong("the log is longer than it says".to_owned()));
            }
        }
    }
    let last_line = reader.last_line();
    let size = hasher.size();
    Ok(ReadLog { findings: reader.finish(), last_line, digest: hasher.finish(), size })
}

/// Hands over at most so many bytes; returns how many there were.
pub(super) fn each_piece(
    file: &mut File,
    most: u64,
    mut take: impl FnMut(&[u8]),
) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut limited = file.take(most);
    let mut all = 0;
    loop {
        match limited.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(count) => {
                all += count as u64;
                take(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
