//! The two settings files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::DeTable;

use super::python::Said;
use super::{Environment, SettingsError};
use crate::address::Address;
use crate::named_file;

/// A settings file that was found and read.
#[derive(Debug)]
pub(super) struct SettingsFile {
    place: PathBuf,
    pub(super) content: Content,
}

/// What a settings file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Content {
    pub(super) debian_keyring: Option<String>,
    pub(super) store: Option<String>,
    pub(super) data: Option<String>,
    pub(super) results: Option<String>,
    pub(super) index_url: Option<Address>,
    pub(super) extra_index_url: Vec<Address>,
    pub(super) find_links: Vec<Address>,
    pub(super) debian_mirror: Vec<Address>,
    pub(super) debian_security_mirror: Vec<Address>,
    pub(super) mirror: Vec<Address>,
    pub(super) offline: Option<bool>,
    pub(super) registry_mirrors: BTreeMap<String, Vec<Address>>,
    pub(super) insecure_registries: Vec<String>,
    pub(super) engine: Option<String>,
    pub(super) cdi_folders: Option<Vec<String>>,
}

/// The keys of [`Content`].
const KEYS: [&str; 15] = [
    "debian-keyring",
    "store",
    "data",
    "results",
    "index-url",
    "extra-index-url",
    "find-links",
    "debian-mirror",
    "debian-security-mirror",
    "mirror",
    "offline",
    "registry-mirrors",
    "insecure-registries",
    "engine",
    "cdi-folders",
];

impl SettingsFile {
    /// A path that the file says, relative to the file.
    pub(super) fn path(&self, text: Option<&str>) -> Option<PathBuf> {
        text.map(|text| self.folder().join(text))
    }

    /// Where the file is.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The folder that the file is in.
    pub(super) fn folder(&self) -> &Path {
        self.place.parent().unwrap_or(Path::new("/"))
    }

    /// The locations that a key of this file lists.
    pub(super) fn locations(&self, key: &str) -> Option<Said> {
        let content = &self.content;
        let values = match key {
            "index-url" => content.index_url.iter().cloned().collect(),
            "extra-index-url" => content.extra_index_url.clone(),
            "find-links" => content.find_links.clone(),
            "mirror" => content.mirror.clone(),
            "debian-mirror" => content.debian_mirror.clone(),
            "debian-security-mirror" => content.debian_security_mirror.clone(),
            _ => Vec::new(),
        };
        let setting = format!("`{key}` in `{}`", self.place.display());
        Said::by_argument(&values, &setting, self.folder())
    }
}

/// The settings files there are, the project's before the user's.
pub(super) fn read_all(
    project: Option<&Path>,
    environment: &Environment,
) -> Result<Vec<SettingsFile>, SettingsError> {
    let of_project = project.map(|folder| folder.join("repro.toml"));
    let configuration = environment
        .base_folder("XDG_CONFIG_HOME")
        .or_else(|| environment.home().ok().map(|home| home.join(".config")));
    let of_user = configuration.map(|folder| folder.join("repro/settings.toml"));
    let mut files = Vec::new();
    for place in of_project.into_iter().chain(of_user) {
        match named_file::read_text(&place) {
            Ok(text) => files.push(SettingsFile { content: parse(&text, &place)?, place }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SettingsError::Read { path: place, source }),
        }
    }
    Ok(files)
}

fn parse(text: &str, place: &Path) -> Result<Content, SettingsError> {
    let syntax = |error: toml::de::Error| SettingsError::Syntax {
        path: place.to_owned(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        reason: without_value(error.message()),
    };
    let table = DeTable::parse(text).map_err(syntax)?;
    for key in table.get_ref().keys() {
        let name: &str = key.get_ref();
        if !KEYS.contains(&name) {
            return Err(SettingsError::UnknownKey {
                path: place.to_owned(),
                line: line_of(text, key.span().start),
                key: name.to_owned(),
                nearest: nearest(name),
            });
        }
    }
    toml::from_str(text).map_err(syntax)
}

/// The reason without the value that is wrong: it may be an address with a password.
fn without_value(reason: &str) -> String {
    let Some((wrong, expected)) = reason.rsplit_once(", expected ") else {
        return reason.to_owned();
    };
    let Some((what, found)) = wrong.split_once(": ") else { return reason.to_owned() };
    let kind: String = found.chars().take_while(|letter| !"\"'`".contains(*letter)).collect();
    format!("{what}: {}, expected {expected}", kind.trim_end())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The known key that `name` was probably meant to be.
fn nearest(name: &str) -> Option<String> {
    let distance = |key: &&str| strsim::damerau_levenshtein(key, name);
    let key = KEYS.into_iter().min_by_key(distance)?;
    // Beyond a third of its letters a key is another word, not a slip.
    (distance(&key) * 3 <= key.len().max(name.len())).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_wrong_type_is_told_by_its_type_alone() {
        for text in [
            "mirror = \"http://me:secret, expected@index.test/\"",
            "offline = \"secret\"",
            "index-url = [\"secret\"]",
            "index-url = 5511",
            "[registry-mirrors]\n\"a.test\" = \"secret\"",
        ] {
            let error = parse(text, Path::new("repro.toml")).unwrap_err().to_string();
            assert!(!error.contains("secret") && !error.contains("5511"), "{error}");
            assert!(error.contains("expected"), "{error}");
        }
    }
}
