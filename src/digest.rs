//! Names content by its SHA-256, and git objects by the names git gives them.
//!
//! Everything `repro` keeps, locks or seals is named by the digest of its
//! bytes. Two kinds of digest look alike and must never be mixed up, so they
//! are two types: a [`Digest`] names the bytes of a blob as it is stored or
//! sent, a [`DiffId`] names a layer's tar stream before compression (OCI image
//! specification, "Layer DiffID").
//!
//! A [`CommitId`] and a [`TreeId`] are git's own names, of 20 bytes; nothing is
//! trusted for them alone, what git gave is kept under its SHA-256. Nor is anything for [`Checks`]:
//! MD5, SHA-1 and prefixes can refute content, and never pin it.
//!
//! Invariant: a digest or diff ID is always 32 bytes; the text form is
//! `sha256:` and 64 lower-case hexadecimal digits. Other algorithms are refused
//! at the edge. Where content comes from and where it is kept is left to
//! `fetch` and `store`.

mod checks;
mod git;

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

pub use checks::{CheckDifference, CheckHasher, Checks, Contradiction};
pub use git::{CommitId, ParseObjectError, TreeId};

/// The SHA-256 of a blob's bytes, written `sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// The SHA-256 of a layer's uncompressed tar stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// What a text that should have been a digest was instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest: expected `sha256:` and 64 lower-case hexadecimal digits")]
pub struct ParseDigestError {
    /// The text as it was given.
    pub text: String,
}

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes the 32 bytes of a SHA-256 that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits without the algorithm.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
    }

    /// The first 12 hexadecimal digits, for a reader's eye only.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Reads 64 hexadecimal digits, as lock files and package indexes write a SHA-256.
    pub fn from_hex(text: &str) -> Result<Self, ParseDigestError> {
        let error = || ParseDigestError { text: text.to_owned() };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (nibble(pair[0]), nibble(pair[1]));
            *byte = high.zip(low).map(|(high, low)| high << 4 | low).ok_or_else(error)?;
        }
        Ok(Self(bytes))
    }
}

/// Upper case is refused: one digest has one text.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDigestError { text: text.to_owned() };
        let hex = text.strip_prefix("sha256:").ok_or_else(error)?;
        Self::from_hex(hex).map_err(|_| error())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 under a key that says so: 64 hexadecimal digits and no algorithm before them.
pub mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Digest;

    /// Writes the 64 digits; for `#[serde(with)]`.
    pub fn serialize<S: Serializer>(value: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.hex())
    }

    /// Reads 64 digits; for `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        Digest::from_hex(&text).map_err(|_| {
            de::Error::custom(format!("expected 64 lower-case hexadecimal digits, found `{text}`"))
        })
    }

    /// As [`deserialize`], for a key that may be absent.
    pub fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Digest>, D::Error> {
        deserialize(from).map(Some)
    }
}

/// Hashes bytes as they come.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    /// A hasher that has seen no byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// The number of bytes taken in so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of everything taken in.
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes everything that is left in `reader`; returns digest and number of bytes.
pub fn hash_reader(mut reader: impl Read) -> io::Result<(Digest, u64)> {
    // Large enough that the cost of a system call disappears, small enough for a level-2 cache.
    let mut buffer = vec![0; 256 << 10];
    let mut hasher = Hasher::new();
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let size = hasher.size();
    Ok((hasher.finish(), size))
}

/// Content is not what its name says; both sides in full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "content is not what was pinned\n  expected  {expected} ({expected_size} bytes)\n  found     {found} ({found_size} bytes)"
)]
pub struct Mismatch {
    /// The digest that was asked for.
    pub expected: Digest,
    /// The size that was asked for, in bytes.
    pub expected_size: u64,
    /// The digest of what was read.
    pub found: Digest,
    /// The number of bytes that were read.
    pub found_size: u64,
}

/// A reader that refuses content other than the one it was opened for.
///
/// The last `read` (the one that would return 0) fails with
/// [`io::ErrorKind::InvalidData`] and a [`Mismatch`] inside when digest or size
/// differ, so that no caller can take wrong bytes for right ones by reading to
/// the end.
pub struct CheckedReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    expected: Digest,
    expected_size: u64,
}

impl<R: Read> CheckedReader<R> {
    /// Reads `inner`, which must hold exactly `size` bytes with digest `expected`.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Self { inner, hasher: Some(Hasher::new()), expected, expected_size: size }
    }

    fn check(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found_size = hasher.size();
        let found = hasher.finish();
        if found == self.expected && found_size == self.expected_size {
            return Ok(());
        }
        let mismatch = Mismatch {
            expected: self.expected,
            expected_size: self.expected_size,
            found,
            found_size,
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, mismatch))
    }
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.check()?;
        } else if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn a_text_that_is_no_digest_is_refused_with_the_text() {
        for text in ["", "sha256:", "sha512:00", &EMPTY[7..], &EMPTY.to_uppercase(), "sha256:é"] {
            let error = text.parse::<Digest>().unwrap_err();
            assert_eq!(error.text, text);
        }
    }

    #[test]
    fn a_checked_reader_refuses_other_bytes_and_other_sizes() {
        let read = |bytes: &[u8], size| {
            let mut out = Vec::new();
            CheckedReader::new(bytes, Digest::of(b"abc"), size).read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(b"abc", 3).unwrap(), b"abc");
        assert!(read(b"abd", 3).unwrap_err().to_string().contains("not what was pinned"));
        assert!(read(b"ab", 3).is_err());
        assert!(read(b"abc", 4).is_err());
    }
}
