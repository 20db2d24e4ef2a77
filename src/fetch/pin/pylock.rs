//! Reads what uv resolved: `pylock.toml` (PEP 751), of which only names, versions and digests are kept.
//!
//! A marker that stands there is left alone. uv repeats those of the requirement (`importlib-metadata`
//! of Python before 3.10), but one Python on one platform was asked for, and a distribution whose marker
//! does not hold for it is not in the answer.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::PinError;
use super::names::file_name;
use super::tool::UV;
use crate::recipe::names::normalised;

/// One resolved distribution with the files that an index has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distribution {
    /// Normalised name.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) wheels: Vec<IndexFile>,
    pub(super) source: Option<IndexFile>,
}

/// A file as an index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexFile {
    pub(super) name: String,
    /// Where to ask for what the index left out; it never enters a lock.
    pub(super) url: String,
    /// Bytes, if the index says so.
    pub(super) size: Option<u64>,
    /// Hexadecimal digits, if the index says so.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pylock {
    lock_version: String,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    wheels: Vec<File>,
    sdist: Option<File>,
    vcs: Option<toml::Value>,
    directory: Option<toml::Value>,
    archive: Option<toml::Value>,
}

#[derive(Deserialize)]
struct File {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads `text`; distributions come sorted by name.
pub(super) fn parse(text: &str) -> Result<Vec<Distribution>, PinError> {
    let pylock: Pylock =
        toml::from_str(text).map_err(|error| UV.answer(error.message().to_owned()))?;
    if pylock.lock_version.split('.').next() != Some("1") {
        return Err(UV.answer(format!("`lock-version` is `{}`, not `1.0`", pylock.lock_version)));
    }
    let mut distributions =
        pylock.packages.into_iter().map(distribution).collect::<Result<Vec<_>, _>>()?;
    distributions.sort_by(|a, b| a.name.cmp(&b.name));
    match distributions.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(UV.answer(format!("`{}` stands in it twice", pair[0].name))),
        None => Ok(distributions),
    }
}

fn distribution(package: Package) -> Result<Distribution, PinError> {
    let name = normalised(&package.name);
    if package.vcs.or(package.directory).or(package.archive).is_some() {
        return Err(PinError::Requirement {
            requirement: name,
            reason: "it comes from a URL or a folder, not from an index",
        });
    }
    let version = package.version.ok_or_else(|| UV.answer(format!("`{name}` has no version")))?;
    let wheels = package.wheels.into_iter().map(file).collect::<Result<_, _>>()?;
    let source = package.sdist.map(file).transpose()?;
    Ok(Distribution { name, version, wheels, source })
}

fn file(file: File) -> Result<IndexFile, PinError> {
    let url = file.url.or(file.path).unwrap_or_default();
    let said = file.name.as_deref().unwrap_or(&url);
    let name = file_name(said).ok_or_else(|| UV.answer(format!("`{said}` names no file")))?;
    let sha256 = file.hashes.get("sha256").cloned();
    Ok(IndexFile { name, url, size: file.size, sha256 })
}

/// A file of uv's own format that names versions it should prefer over newer ones.
pub(super) fn preferring(versions: &[(String, String)]) -> String {
    let mut text = "lock-version = \"1.0\"\ncreated-by = \"repro\"\n".to_owned();
    for (name, version) in versions {
        let (name, version) =
            (toml::Value::from(name.as_str()), toml::Value::from(version.as_str()));
        text.push_str(&format!("\n[[packages]]\nname = {name}\nversion = {version}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "lock-version = \"1.0\"\ncreated-by = \"uv\"\nrequires-python = \">=3.9\"\n";

    fn package(lines: &str) -> String {
        format!("{HEAD}\n[[packages]]\n{lines}\n")
    }

    #[test]
    fn a_resolution_is_read_without_keeping_more_than_names_and_digests() {
        let text = package(
            r#"name = "Torch"
version = "1.9.1+cu102"
wheels = [{ url = "https://files.test/p/torch-1.9.1%2Bcu102-cp39-cp39-linux_x86_64.whl", upload-time = 2021-09-20T19:00:00Z, size = 12, hashes = { sha256 = "ab" } }]

[[packages]]
name = "mmcv"
version = "1.3.13"
sdist = { url = "https://files.test/p/mmcv-1.3.13.tar.gz", hashes = { md5 = "00" } }"#,
        );
        let found = parse(&text).unwrap();
        assert_eq!(found.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["mmcv", "torch"]);
        let wheel = &found[1].wheels[0];
        assert_eq!(wheel.name, "torch-1.9.1+cu102-cp39-cp39-linux_x86_64.whl");
        assert_eq!((wheel.size, wheel.sha256.as_deref()), (Some(12), Some("ab")));
        let source = found[0].source.as_ref().unwrap();
        assert_eq!((source.size, source.sha256.as_deref()), (None, None));
    }

    #[test]
    fn a_marker_was_decided_by_the_one_platform_that_was_asked_for() {
        let text = package(
            "name = \"zipp\"\nversion = \"3.23.1\"\nmarker = \"python_full_version < '3.10'\"",
        );
        assert_eq!(parse(&text).unwrap()[0].version, "3.23.1");
    }

    #[test]
    fn an_answer_that_cannot_be_pinned_is_refused_with_the_reason() {
        let cases = [
            ("lock-version = \"2.0\"".to_owned(), "`lock-version` is `2.0`"),
            ("lock-version = ".to_owned(), "cannot read what `uv` answered"),
            (package("name = \"a\""), "`a` has no version"),
            (package("name = \"a\"\nversion = \"1\"\nvcs = { url = \"x\" }"), "not from an index"),
            (package("name = \"a\"\nversion = \"1\"\nwheels = [{ size = 1 }]"), "names no file"),
            (
                package(
                    "name = \"a\"\nversion = \"1\"\n[[packages]]\nname = \"A\"\nversion = \"2\"",
                ),
                "stands in it twice",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn preferred_versions_are_written_as_the_file_that_is_read() {
        let text = preferring(&[("numpy".to_owned(), "1.21.6".to_owned())]);
        let read = parse(&text).unwrap();
        let read: Vec<_> = read.iter().map(|d| (d.name.as_str(), d.version.as_str())).collect();
        assert_eq!(read, [("numpy", "1.21.6")]);
    }
}
