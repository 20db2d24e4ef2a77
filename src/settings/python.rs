//! Where Python's packages come from.
//!
//! Each option is decided on its own, as pip does: an `index-url` of the command
//! line does not hide an extra index that the environment names.

use std::path::{Path, PathBuf};

use super::environment::{Environment, truth};
use super::pip::PipConfiguration;
use super::{Location, Settings, SettingsError};
use crate::address::Address;

/// Indexes and folders of links that Python's packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonSources {
    /// Package indexes (PEP 503), the main one first; empty if the user forbids indexes.
    pub indexes: Vec<Location>,
    /// Folders, or pages of links, that hold packages of any name.
    pub find_links: Vec<Location>,
}

/// One option that names locations.
struct Key {
    name: &'static str,
    argument: &'static str,
    own_variable: &'static str,
    /// Variables of other tools, nearest first.
    variables: &'static [&'static str],
}

const INDEX_URL: Key = Key {
    name: "index-url",
    argument: "--index-url",
    own_variable: "REPRO_INDEX_URL",
    variables: &["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"],
};
const EXTRA_INDEX_URL: Key = Key {
    name: "extra-index-url",
    argument: "--extra-index-url",
    own_variable: "REPRO_EXTRA_INDEX_URL",
    variables: &["UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"],
};
const FIND_LINKS: Key = Key {
    name: "find-links",
    argument: "--find-links",
    own_variable: "REPRO_FIND_LINKS",
    variables: &["UV_FIND_LINKS", "PIP_FIND_LINKS"],
};

/// What one source says about an option.
pub(super) struct Said {
    pub(super) values: Vec<Address>,
    pub(super) setting: String,
    /// What a relative path is relative to.
    pub(super) folder: PathBuf,
}

impl Said {
    /// What a variable says; its values stand apart by spaces, or by commas where uv has it so.
    pub(super) fn by_variable(environment: &Environment, name: &str) -> Option<Self> {
        let apart = |c: char| c.is_whitespace() || (name == "UV_FIND_LINKS" && c == ',');
        let values = environment.variable(name)?.split(apart).filter(|value| !value.is_empty());
        let values: Vec<_> = values.map(|value| without_name(value).into()).collect();
        let folder = environment.folder().to_owned();
        (!values.is_empty()).then(|| Self { values, setting: name.to_owned(), folder })
    }

    /// What the command line says, if it says anything.
    pub(super) fn by_argument(values: &[Address], name: &str, folder: &Path) -> Option<Self> {
        let (values, folder) = (values.to_vec(), folder.to_owned());
        (!values.is_empty()).then(|| Self { values, setting: name.to_owned(), folder })
    }

    pub(super) fn locations(&self) -> Result<Vec<Location>, SettingsError> {
        let parse = |value: &Address| Location::parse(value, &self.setting, &self.folder);
        self.values.iter().map(parse).collect()
    }
}

/// Takes the name off `name=url`, as uv lets an index be named.
fn without_name(value: &str) -> &str {
    let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    match value.split_once('=') {
        Some((name, url)) if is_name(name) && url.contains("://") => url,
        _ => value,
    }
}

pub(super) fn resolve(settings: &Settings) -> Result<PythonSources, SettingsError> {
    let pip = PipConfiguration::read(&settings.environment)?;
    let mut indexes = match main_index(settings, &pip)? {
        Some(said) => said.locations()?,
        None => {
            return Ok(PythonSources { indexes: Vec::new(), find_links: links(settings, &pip)? });
        }
    };
    let options = &settings.options;
    let extra = own(settings, &EXTRA_INDEX_URL, &options.extra_index_url)
        .or_else(|| of_other_tools(settings, &EXTRA_INDEX_URL, &pip));
    if let Some(said) = extra {
        indexes.extend(said.locations()?);
    }
    Ok(PythonSources { indexes: known(settings, indexes), find_links: links(settings, &pip)? })
}

/// The locations with the user's names and passwords for their hosts.
fn known(settings: &Settings, locations: Vec<Location>) -> Vec<Location> {
    let credentials = settings.credentials();
    let known = |location: Location| location.with_credentials(|url| credentials.add_to(url));
    locations.into_iter().map(known).collect()
}

fn links(settings: &Settings, pip: &PipConfiguration) -> Result<Vec<Location>, SettingsError> {
    let said = own(settings, &FIND_LINKS, &settings.options.find_links)
        .or_else(|| of_other_tools(settings, &FIND_LINKS, pip));
    let links = said.map_or(Ok(Vec::new()), |said| said.locations())?;
    Ok(known(settings, links))
}

/// The main index; `None` if another tool's settings forbid indexes and ours name none.
fn main_index(settings: &Settings, pip: &PipConfiguration) -> Result<Option<Said>, SettingsError> {
    let argument: Vec<Address> = settings.options.index_url.iter().cloned().collect();
    if let Some(said) = own(settings, &INDEX_URL, &argument) {
        return Ok(Some(said));
    }
    if forbids_indexes(&settings.environment, pip)? {
        return Ok(None);
    }
    match of_other_tools(settings, &INDEX_URL, pip) {
        Some(said) => Ok(Some(said)),
        None => super::pip::built_in_default(&settings.environment).map(Some),
    }
}

/// What is set for `repro` itself: command line, variable, settings files.
fn own(settings: &Settings, key: &Key, argument: &[Address]) -> Option<Said> {
    let environment = &settings.environment;
    Said::by_argument(argument, key.argument, environment.folder())
        .or_else(|| Said::by_variable(environment, key.own_variable))
        .or_else(|| settings.files.iter().find_map(|file| file.locations(key.name)))
}

fn of_other_tools(settings: &Settings, key: &Key, pip: &PipConfiguration) -> Option<Said> {
    let by_variable = |name: &&str| Said::by_variable(&settings.environment, name);
    key.variables.iter().find_map(by_variable).or_else(|| pip.locations(key.name))
}

fn forbids_indexes(
    environment: &Environment,
    pip: &PipConfiguration,
) -> Result<bool, SettingsError> {
    for name in ["UV_NO_INDEX", "PIP_NO_INDEX"] {
        if let Some(text) = environment.variable(name) {
            return truth(name, text);
        }
    }
    match pip.value("no-index") {
        Some((text, setting)) => truth(&setting, text),
        None => Ok(false),
    }
}
