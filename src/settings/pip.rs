//! What pip is configured with, read from its own files, and its built-in default.
//!
//! The order is pip's ("Configuration", pip's documentation): a section of the
//! command wins over `[global]`, and a nearer file over one further away.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::python::Said;
use super::{Environment, SettingsError};
use crate::address::Address;

/// Prints the index that pip asks when nothing is configured.
const ASK_DEFAULT: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";

/// The files of pip's configuration that exist, nearest first.
pub(super) struct PipConfiguration {
    files: Vec<(PathBuf, Sections)>,
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

impl PipConfiguration {
    pub(super) fn read(environment: &Environment) -> Result<Self, SettingsError> {
        let mut files = Vec::new();
        for place in places(environment) {
            match fs::read_to_string(&place) {
                Ok(text) => {
                    let sections = parse(&text);
                    files.push((place, sections));
                }
                // pip passes over files it may not read, too.
                Err(error) if is_not_for_us(error.kind()) => {}
                Err(source) => return Err(SettingsError::Read { path: place, source }),
            }
        }
        Ok(Self { files })
    }

    /// The value of a key, and how an error names it.
    pub(super) fn value(&self, key: &str) -> Option<(&str, String)> {
        ["install", "global"].iter().find_map(|section| {
            self.files.iter().find_map(|(place, sections)| {
                let value = sections.get(*section)?.get(key).filter(|value| !value.is_empty())?;
                Some((value.as_str(), format!("`{key}` in `{}`", place.display())))
            })
        })
    }

    /// The file of certificates that pip is told to trust.
    pub(super) fn certificates(
        &self,
        environment: &Environment,
    ) -> Result<Option<PathBuf>, SettingsError> {
        let of_variable = environment.variable("PIP_CERT");
        let of_variable = of_variable.map(|value| (value, "PIP_CERT".to_owned()));
        let Some((value, setting)) = of_variable.or_else(|| self.value("cert")) else {
            return Ok(None);
        };
        let path = match (value.strip_prefix("~/"), environment.home()) {
            (Some(rest), Ok(home)) => home.join(rest),
            _ => environment.folder().join(value),
        };
        let text = fs::read(&path).unwrap_or_default();
        if String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") {
            return Ok(Some(path));
        }
        let (value, expected) = (value.to_owned(), "a file of certificates in PEM form");
        Err(SettingsError::Value { setting, value, expected })
    }

    /// The locations that a key lists.
    pub(super) fn locations(&self, key: &str) -> Option<Said> {
        let (value, setting) = self.value(key)?;
        let values = value.split_whitespace().map(Address::from).collect();
        Some(Said { values, setting, folder: PathBuf::from("/") })
    }
}

fn is_not_for_us(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(kind, NotFound | NotADirectory | IsADirectory | PermissionDenied)
}

/// Where pip looks for files, nearest first.
fn places(environment: &Environment) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(path) = environment.path("PIP_CONFIG_FILE") {
        // The null device is pip's way to say "no configuration files".
        if path == Path::new("/dev/null") {
            return places;
        }
        places.push(path);
    }
    places.extend(environment.path("VIRTUAL_ENV").map(|folder| folder.join("pip.conf")));
    let home = environment.home().ok();
    let of_user = environment
        .base_folder("XDG_CONFIG_HOME")
        .or_else(|| home.as_ref().map(|home| home.join(".config")));
    places.extend(of_user.map(|folder| folder.join("pip/pip.conf")));
    places.extend(home.map(|home| home.join(".pip/pip.conf")));
    places.push(environment.system("/etc/pip.conf"));
    let shared = environment.variable("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg");
    let shared = shared.split(':').filter(|folder| !folder.is_empty());
    places.extend(shared.map(|folder| environment.system(folder).join("pip/pip.conf")));
    places
}

/// Reads what Python's `configparser` reads, as far as pip's options need it.
fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut section = String::new();
    let mut key = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let is_continued = line.starts_with([' ', '\t']);
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            key = None;
        } else if let (true, Some(key)) = (is_continued, &key) {
            let values = sections.entry(section.clone()).or_default();
            let value: &mut String = values.entry(String::clone(key)).or_default();
            value.push('\n');
            value.push_str(trimmed);
        } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
            let name = name.trim().to_lowercase().replace('_', "-");
            let name = name.trim_start_matches("--").to_owned();
            let values = sections.entry(section.clone()).or_default();
            values.insert(name.clone(), value.trim().to_owned());
            key = Some(name);
        }
    }
    sections
}

/// Asks an installed pip for the index it uses when nothing is configured, so that its host need
/// not stand in this program.
pub(super) fn built_in_default(environment: &Environment) -> Result<Said, SettingsError> {
    let mut reasons = Vec::new();
    for program in ["python3", "python", "/usr/bin/python3"] {
        let output = environment.command(program).args(["-c", ASK_DEFAULT]).output();
        let reason = match output {
            Ok(output) if output.status.success() => {
                let url = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                let setting = format!("the built-in default of the pip of `{program}`");
                return Ok(Said { values: vec![url.into()], setting, folder: PathBuf::from("/") });
            }
            Ok(output) => last_line(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => error.to_string(),
        };
        reasons.push(format!("`{program}`: {reason}"));
    }
    Err(SettingsError::NoIndex { reason: reasons.join("; ") })
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_configparser_and_pip_read_them() {
        let text = "# comment\n[global]\nindex_url: https://a.test/simple\nextra-index-url =\n    https://b.test/simple\n    https://c.test/simple\n; comment\n[install]\n--no-index = true\n";
        let sections = parse(text);
        let global = &sections["global"];
        assert_eq!(global["index-url"], "https://a.test/simple");
        let extra: Vec<_> = global["extra-index-url"].split_whitespace().collect();
        assert_eq!(extra, ["https://b.test/simple", "https://c.test/simple"]);
        assert_eq!(sections["install"]["no-index"], "true");
    }

    #[test]
    fn a_text_that_is_no_configuration_says_nothing() {
        assert!(parse("\u{0}\u{1}garbage\n[[\n]\n   x").is_empty());
    }
}
