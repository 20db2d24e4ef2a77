//! What is known of content whose SHA-256 nobody has told: other hashes, or a part of it.
//!
//! Such a fact can refute content and never pin it: MD5 and SHA-1 are broken, a prefix is short,
//! and an entity tag is a server's own affair, so that it is only shown.

use std::fmt;

use md5::Md5;
use serde::{Deserialize, Deserializer, Serialize};
use sha1::Sha1;
use sha2::Digest as _;

use super::Digest;

/// Partial knowledge of a file: all of it must hold when the file is first pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checks {
    /// MD5, 32 hexadecimal digits.
    #[serde(
        default,
        deserialize_with = "digits::<32, _>",
        skip_serializing_if = "Option::is_none"
    )]
    pub md5: Option<String>,
    /// SHA-1, 40 hexadecimal digits.
    #[serde(
        default,
        deserialize_with = "digits::<40, _>",
        skip_serializing_if = "Option::is_none"
    )]
    pub sha1: Option<String>,
    /// The first hexadecimal digits of the SHA-256, as some publishers put them into file names.
    #[serde(default, deserialize_with = "digits::<0, _>", skip_serializing_if = "Option::is_none")]
    pub sha256_prefix: Option<String>,
    /// What a server once called its version of the file; shown, and compared with nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Something that was known of a file is not so; all of it, both sides in full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(differences))]
pub struct Contradiction {
    /// What is otherwise, in the order of [`Checks`].
    pub differences: Vec<CheckDifference>,
}

/// One known fact that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckDifference {
    /// Which one: `md5`, `sha1` or `sha256-prefix`.
    pub check: &'static str,
    /// What was known.
    pub expected: String,
    /// What was measured.
    pub found: String,
}

/// Measures what [`Checks`] compare, beside a SHA-256 that is measured anyway.
#[derive(Debug, Clone, Default)]
pub struct CheckHasher {
    md5: Option<Md5>,
    sha1: Option<Sha1>,
}

impl Checks {
    /// Whether nothing is known that could be compared.
    pub fn is_empty(&self) -> bool {
        self.md5.is_none() && self.sha1.is_none() && self.sha256_prefix.is_none()
    }

    /// A hasher that measures what these checks need and nothing else.
    pub fn hasher(&self) -> CheckHasher {
        CheckHasher {
            md5: self.md5.as_ref().map(|_| Md5::default()),
            sha1: self.sha1.as_ref().map(|_| Sha1::default()),
        }
    }

    /// Compares with what `measured` took in, the whole file, whose SHA-256 is `sha256`.
    ///
    /// # Errors
    ///
    /// [`Contradiction`] with everything that differs.
    pub fn compare(&self, measured: CheckHasher, sha256: &Digest) -> Result<(), Contradiction> {
        let mut differences = Vec::new();
        let mut compare = |check, expected: &Option<String>, found: Option<String>| {
            if let (Some(expected), Some(found)) = (expected, found)
                && *expected != found
            {
                differences.push(CheckDifference { check, expected: expected.clone(), found });
            }
        };
        compare("md5", &self.md5, measured.md5.map(|state| hex(&state.finalize())));
        compare("sha1", &self.sha1, measured.sha1.map(|state| hex(&state.finalize())));
        let prefix = self.sha256_prefix.as_ref();
        let prefix = prefix.map(|prefix| sha256.hex().chars().take(prefix.len()).collect());
        compare("sha256-prefix", &self.sha256_prefix, prefix);
        if differences.is_empty() { Ok(()) } else { Err(Contradiction { differences }) }
    }
}

impl CheckHasher {
    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(state) = &mut self.md5 {
            state.update(bytes);
        }
        if let Some(state) = &mut self.sha1 {
            state.update(bytes);
        }
    }
}

impl fmt::Display for Checks {
    /// `md5 …, etag …`: for a reader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("md5", &self.md5),
            ("sha1", &self.sha1),
            ("sha256-prefix", &self.sha256_prefix),
            ("etag", &self.etag),
        ];
        let known =
            all.iter().filter_map(|(name, value)| Some(format!("{name} {}", (*value).as_ref()?)));
        f.write_str(&known.collect::<Vec<_>>().join(", "))
    }
}

fn lines(differences: &[CheckDifference]) -> String {
    let line = |CheckDifference { check, expected, found }: &CheckDifference| {
        format!("its {check} is not the known one\n  known  {expected}\n  found  {found}")
    };
    differences.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower-case hexadecimal digits, so many of them; 0 means 1 to 63.
fn digits<'de, const COUNT: usize, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = match COUNT {
        0 => (1..64).contains(&text.len()),
        count => text.len() == count,
    };
    if fits && text.bytes().all(is_digit) {
        return Ok(Some(text));
    }
    let count = if COUNT == 0 { "1 to 63".to_owned() } else { COUNT.to_string() };
    let expected = format!("expected {count} lower-case hexadecimal digits, found `{text}`");
    Err(serde::de::Error::custom(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(text: &str) -> Result<Checks, toml::de::Error> {
        toml::from_str(text)
    }

    fn compare(checks: &Checks, content: &[u8]) -> Result<(), Contradiction> {
        let mut hasher = checks.hasher();
        content.chunks(2).for_each(|piece| hasher.update(piece));
        checks.compare(hasher, &Digest::of(content))
    }

    #[test]
    fn the_published_hashes_of_abc_hold_for_abc_and_for_nothing_else() {
        let known = checks(
            "md5 = '900150983cd24fb0d6963f7d28e17f72'\n\
             sha1 = 'a9993e364706816aba3e25717850c26c9cd0d89d'\n\
             sha256-prefix = 'ba7816bf'\netag = '\"1\"'",
        )
        .unwrap();
        assert_eq!(compare(&known, b"abc"), Ok(()));
        let names: Vec<_> =
            compare(&known, b"abd").unwrap_err().differences.iter().map(|one| one.check).collect();
        assert_eq!(names, ["md5", "sha1", "sha256-prefix"]);
    }

    #[test]
    fn a_contradiction_shows_both_sides() {
        let known = checks("sha256-prefix = '00000000'").unwrap();
        let text = compare(&known, b"abc").unwrap_err().to_string();
        assert_eq!(
            text,
            "its sha256-prefix is not the known one\n  known  00000000\n  found  ba7816bf"
        );
    }

    #[test]
    fn an_entity_tag_refutes_nothing() {
        let known = checks("etag = 'x'").unwrap();
        assert!(known.is_empty());
        assert_eq!(compare(&known, b"abc"), Ok(()));
        assert_eq!(known.to_string(), "etag x");
    }

    #[test]
    fn what_is_no_hash_is_refused_when_it_is_read() {
        for text in ["md5 = 'abc'", "sha1 = ''", "sha256-prefix = 'xyz'", "sha512 = 'a'"] {
            assert!(checks(text).is_err(), "{text}");
        }
    }
}
