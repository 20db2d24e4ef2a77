//! The index of a bundle, its first entry: what follows, in order, with size and digest.
//!
//! A bundle is a plain tar archive, made by `layer` alone, so its every byte follows from the
//! index: a reader knows each header before it comes and compares. The index is canonical JSON,
//! and its own digest is its name in the archive.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::CarryError;
use crate::digest::Digest;
use crate::image::canonical;
use crate::layer;
use crate::recipe::names;

/// The version of bundles that this program writes.
pub(super) const VERSION: u64 = 1;
/// Folder of the index in the archive.
const FOLDER: &str = "repro-bundle/";
/// Folder of inputs.
pub(super) const BLOBS: &str = "blobs/sha256/";
/// Folder of what lies in a project.
pub(super) const PROJECT: &str = "project/";
/// Folder of runs.
pub(super) const RUNS: &str = "runs/";
/// The program itself.
pub(super) const PROGRAM: &str = "repro";
/// The largest index that is read; a data set of a million files has one of half that.
pub(super) const LARGEST: u64 = 512 << 20;

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Path in the archive.
    pub path: String,
    /// What a reader calls it.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[expect(dead_code, reason = "looked at before")]
    version: u64,
    entries: Vec<Entry>,
}

/// The text of an index, and its path in the archive.
pub(super) fn render(entries: &[Entry]) -> (String, Vec<u8>) {
    let text = canonical(&json!({ "version": VERSION, "entries": entries }));
    (format!("{FOLDER}{}.json", Digest::of(&text).hex()), text)
}

/// The digest that the path of an index promises.
pub(super) fn promised(path: &str) -> Option<Digest> {
    Digest::from_hex(path.strip_prefix(FOLDER)?.strip_suffix(".json")?).ok()
}

/// Reads an index and checks what every entry promises.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Entry>, CarryError> {
    let wrong = |error: serde_json::Error| CarryError::NotABundle { reason: error.to_string() };
    let Versioned { version } = serde_json::from_slice(text).map_err(wrong)?;
    if version > VERSION {
        return Err(CarryError::Newer { found: version, known: VERSION });
    }
    let Document { entries, .. } = serde_json::from_slice(text).map_err(wrong)?;
    if !entries.is_sorted_by(|one, next| one.path < next.path) {
        let reason = "its index is not sorted, or names a file twice".to_owned();
        return Err(CarryError::NotABundle { reason });
    }
    match entries.iter().find(|entry| !entry.is_sound()) {
        None => Ok(entries),
        Some(entry) => {
            let reason = format!("its index names `{}`, which has no place in one", entry.path);
            Err(CarryError::NotABundle { reason })
        }
    }
}

impl Entry {
    /// The header that stands before it in the archive.
    pub(super) fn header(&self) -> Vec<u8> {
        match self.path.as_str() {
            PROGRAM => layer::archive_program_header(&self.path, self.size),
            path => layer::archive_header(path, self.size),
        }
    }

    /// Whether its path is one of those a bundle has, and leads nowhere else.
    pub(super) fn is_sound(&self) -> bool {
        let path = self.path.as_str();
        if let Some(hex) = path.strip_prefix(BLOBS) {
            return hex == self.digest.hex();
        }
        let inside = path.strip_prefix(PROJECT).or_else(|| path.strip_prefix(RUNS));
        path == PROGRAM || inside.is_some_and(names::relative_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        let digest = Digest::of(b"x");
        Entry { path: path.to_owned(), name: "x".to_owned(), digest, size: 1 }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["project/../x", "runs//x", "/etc/passwd", "project/", "blobs/sha256/00", "x"] {
            let (_, text) = render(&[entry(path)]);
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains("no place"), "{path}: {error}");
        }
        let (_, text) = render(&[entry("project/images/seg.toml"), entry("runs/1/a/record.json")]);
        assert_eq!(parse(&text).unwrap().len(), 2);
    }

    #[test]
    fn an_index_of_a_later_version_is_refused_with_both_versions() {
        let text = br#"{"version": 7, "entries": "of another kind"}"#;
        let error = parse(text).unwrap_err().to_string();
        assert_eq!(error, "the bundle has version 7\n  this program knows  1");
    }

    #[test]
    fn an_entry_of_8_gib_has_a_header_that_says_so() {
        let large = Entry { size: 9 << 30, ..entry("project/data/torch.tar") };
        assert_eq!(large.header().len(), 3 * 512);
    }
}
