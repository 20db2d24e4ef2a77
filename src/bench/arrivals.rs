//! When each piece of a log arrived, kept beside the log.
//!
//! Some guides' programs print no time. Then the seconds between the arrivals of their lines are all
//! there is, and whoever has the log has to have these, too, to get the same figures. The file has a
//! line with its version, then one line a piece: microseconds since the start of the job, and bytes.

use std::fs::File;
use std::io::Write;

use crate::digest::{Digest, Hasher};

/// What is added to a log's name.
pub(super) const SUFFIX: &str = ".arrivals";

const HEAD: &str = "repro arrivals 1\n";

/// Writes the file while the log grows.
pub(super) struct ArrivalsWriter {
    file: File,
    hasher: Hasher,
}

impl ArrivalsWriter {
    /// Writes to `file`, which is new.
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let mut writer = Self { file, hasher: Hasher::new() };
        writer.write(HEAD)?;
        Ok(writer)
    }

    /// Notes that `bytes` more have come `microseconds` after the start.
    pub(super) fn push(&mut self, microseconds: u64, bytes: usize) -> std::io::Result<()> {
        self.write(&format!("{microseconds} {bytes}\n"))
    }

    /// Puts the file on disk for good.
    pub(super) fn end(self) -> std::io::Result<Digest> {
        self.file.sync_all()?;
        Ok(self.hasher.finish())
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        self.hasher.update(line.as_bytes());
        self.file.write_all(line.as_bytes())
    }
}

/// The pieces that `log` came in; what is wrong with `text` as a fragment.
pub(super) fn pieces<'l>(text: &str, log: &'l [u8]) -> Result<Vec<(u64, &'l [u8])>, String> {
    let lines = text.strip_prefix(HEAD).ok_or("it has another head or version")?;
    let (mut pieces, mut rest) = (Vec::new(), log);
    for line in lines.lines() {
        let numbers = line.split_once(' ').and_then(|(time, bytes)| {
            Some((time.parse::<u64>().ok()?, bytes.parse::<usize>().ok()?))
        });
        let (time, bytes) = numbers.ok_or_else(|| format!("`{line}` is no time and size"))?;
        let (piece, after) =
            rest.split_at_checked(bytes).ok_or("the log is shorter than it says")?;
        pieces.push((time, piece));
        rest = after;
    }
    if rest.is_empty() { Ok(pieces) } else { Err("the log is longer than it says".to_owned()) }
}

/// Seconds as a text with all the digits there are: `0.513000`.
pub(super) fn seconds(microseconds: u64) -> String {
    format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.log.arrivals");
        let mut writer = ArrivalsWriter::new(File::create_new(&path).unwrap()).unwrap();
        writer.push(0, 3).unwrap();
        writer.push(1_500_000, 2).unwrap();
        let digest = writer.end().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(digest, Digest::of(text.as_bytes()));
        let expected: Vec<(u64, &[u8])> = vec![(0, b"abc"), (1_500_000, b"de")];
        assert_eq!(pieces(&text, b"abcde").unwrap(), expected);
    }

    #[test]
    fn what_does_not_fit_the_log_is_refused() {
        let text = "repro arrivals 1\n5 3\n";
        assert!(pieces(text, b"ab").unwrap_err().contains("shorter"));
        assert!(pieces(text, b"abcd").unwrap_err().contains("longer"));
        assert!(pieces("repro arrivals 2\n", b"").unwrap_err().contains("version"));
        assert!(pieces("repro arrivals 1\nsoon\n", b"").unwrap_err().contains("`soon`"));
    }

    #[test]
    fn seconds_keep_every_microsecond() {
        assert_eq!(seconds(513_000), "0.513000");
        assert_eq!(seconds(61_000_001), "61.000001");
    }
}
