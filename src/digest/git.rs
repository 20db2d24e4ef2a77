//! Names of git objects, as git writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::nibble;

/// What a text that should have been the name of a git object was instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a full object name: expected 40 lower-case hexadecimal digits")]
pub struct ParseObjectError {
    /// The text as it was given.
    pub text: String,
}

/// The name of a commit: the SHA-1 that git gives it. A branch or a tag is no commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId([u8; 20]);

/// The name of a tree: it stands for paths, modes and contents, whatever the history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId([u8; 20]);

fn parse(text: &str) -> Result<[u8; 20], ParseObjectError> {
    let error = || ParseObjectError { text: text.to_owned() };
    let digits = text.as_bytes();
    if digits.len() != 40 {
        return Err(error());
    }
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (nibble(pair[0]), nibble(pair[1]));
        *byte = high.zip(low).map(|(high, low)| high << 4 | low).ok_or_else(error)?;
    }
    Ok(bytes)
}

macro_rules! object_name {
    ($name:ident) => {
        impl $name {
            /// Takes the 20 bytes of a name that git computed.
            pub fn from_bytes(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            /// The 20 bytes.
            pub fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }

            /// The first 12 hexadecimal digits, for a reader's eye only.
            pub fn short(&self) -> String {
                self.to_string()[..12].to_owned()
            }
        }

        impl FromStr for $name {
            type Err = ParseObjectError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

object_name!(CommitId);
object_name!(TreeId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_is_read_and_written_as_git_does() {
        let text = "8aad29fa0123456789abcdef0123456789abcdef";
        assert_eq!(text.parse::<CommitId>().unwrap().to_string(), text);
        assert_eq!(text.parse::<TreeId>().unwrap().short(), "8aad29fa0123");
    }

    #[test]
    fn a_branch_a_short_name_and_upper_case_are_no_commit() {
        let long = "8AAD29FA0123456789ABCDEF0123456789ABCDEF";
        for text in ["main", "8aad29fa", "", long] {
            assert!(text.parse::<CommitId>().is_err(), "{text}");
        }
    }
}
