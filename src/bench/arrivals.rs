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

/// When each piece came, and its bytes; what is wrong with `text` as a fragment.
pub(super) fn pieces(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let lines = text.strip_prefix(HEAD).ok_or("it has another head or version")?;
    let piece = |line: &str| {
        let numbers = line.split_once(' ').and_then(|(time, bytes)| {
            Some((time.parse::<u64>().ok()?, bytes.parse::<u64>().ok()?))
        });
        numbers.ok_or_else(|| format!("`{line}` is no time and size"))
    };
    lines.lines().map(piece).collect()
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
        assert_eq!(pieces(&text).unwrap(), [(0, 3), (1_500_000, 2)]);
    }

    #[test]
    fn what_does_not_fit_the_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let rule = toml::from_str("skip = 0\nprogress = 't'\nstep = { t = 't=(.)' }").unwrap();
        let patterns = super::super::log::LogPatterns::compile(&rule).unwrap();
        let read = |bytes: &str, text: &str| {
            std::fs::write(&log, bytes).unwrap();
            let read = super::super::read_log::read(&log, &patterns, Some(text));
            read.map(|read| read.size).map_err(|error| error.to_string())
        };
        let text = "repro arrivals 1\n5 3\n";
        assert_eq!(read("abc", text), Ok(3));
        assert!(read("ab", text).unwrap_err().contains("shorter"));
        assert!(read("abcd", text).unwrap_err().contains("longer"));
        assert!(pieces("repro arrivals 2\n").unwrap_err().contains("version"));
        assert!(pieces("repro arrivals 1\nsoon\n").unwrap_err().contains("`soon`"));
    }

    #[test]
    fn seconds_keep_every_microsecond() {
        assert_eq!(seconds(513_000), "0.513000");
        assert_eq!(seconds(61_000_001), "61.000001");
    }
}
