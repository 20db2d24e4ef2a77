//! Registries: mirrors, hosts that are reached without TLS, and whose credentials to use.
//!
//! Credentials stand where Docker and podman keep them; `repro` has no place of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;

use super::credentials::{self, RegistryCredentials};
use super::{Settings, SettingsError};
use crate::address::{Address, masked};

/// Docker's own registry goes by three names.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// One place that has an image's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPlace {
    /// Scheme, host and port.
    pub url: Url,
    /// Name of the repository there.
    pub repository: String,
    /// The setting that named it.
    pub setting: String,
}

impl RegistryPlace {
    /// Host and port, as credentials are kept under them.
    pub fn host(&self) -> String {
        host_of(&self.url)
    }
}

/// What a setting says: its name, and by registry or repository the places to ask first.
type MirrorTable = (String, BTreeMap<String, Vec<Address>>);

impl Settings {
    /// The places to ask for a repository of a registry, mirrors first, the registry itself last.
    ///
    /// # Errors
    ///
    /// A mirror that is no `http` or `https` URL.
    pub fn registry_places(
        &self,
        host: &str,
        repository: &str,
    ) -> Result<Vec<RegistryPlace>, SettingsError> {
        let mut places = self.registry_mirrors(host, repository)?;
        places.push(self.registry(host, repository)?);
        Ok(places)
    }

    /// The registry itself, where something is to be written to.
    ///
    /// # Errors
    ///
    /// A host that cannot stand in a URL.
    pub fn registry(&self, host: &str, repository: &str) -> Result<RegistryPlace, SettingsError> {
        let scheme = if self.is_plain_registry(host) { "http" } else { "https" };
        let (host, repository) = match HUB.contains(&host) {
            true if repository.contains('/') => (HUB[2], repository.to_owned()),
            true => (HUB[2], format!("library/{repository}")),
            false => (host, repository.to_owned()),
        };
        let setting = "the image's reference".to_owned();
        let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| SettingsError::Value {
            setting: setting.clone(),
            value: host.to_owned(),
            expected: "a registry's host, `registry.test` or `registry.test:5000`",
        })?;
        Ok(RegistryPlace { url, repository, setting })
    }

    /// Whether a registry is spoken to without TLS: on this machine, or where the user says so.
    pub fn is_plain_registry(&self, host: &str) -> bool {
        let of_environment = self.environment.variable("REPRO_INSECURE_REGISTRIES").unwrap_or("");
        let of_files = self.files.iter().flat_map(|file| &file.content.insecure_registries);
        let mut named = of_environment.split_whitespace().chain(of_files.map(String::as_str));
        is_loopback(host) || named.any(|named| named == host)
    }

    /// What Docker's or podman's own files say for a registry; `None` if nothing.
    ///
    /// # Errors
    ///
    /// A file that is there but cannot be read.
    pub fn registry_credentials(
        &self,
        place: &RegistryPlace,
    ) -> Result<Option<RegistryCredentials>, SettingsError> {
        let host = place.host();
        let host = if HUB.contains(&host.as_str()) { HUB[0].to_owned() } else { host };
        credentials::find(&self.environment, &host, &place.repository)
    }

    fn registry_mirrors(
        &self,
        host: &str,
        repository: &str,
    ) -> Result<Vec<RegistryPlace>, SettingsError> {
        let wanted = format!("{host}/{repository}");
        for (setting, mirrors) in self.mirror_tables()? {
            // The longest name that the repository begins with is meant.
            let named = mirrors
                .iter()
                .filter_map(|(name, urls)| Some((name, rest_after(&wanted, name)?, urls)));
            let Some((_, rest, urls)) = named.max_by_key(|(name, _, _)| name.len()) else {
                continue;
            };
            return urls.iter().map(|url| mirror(url, rest, &setting)).collect();
        }
        Ok(Vec::new())
    }

    /// What the environment and the files say, nearest first.
    fn mirror_tables(&self) -> Result<Vec<MirrorTable>, SettingsError> {
        let mut tables = Vec::new();
        const VARIABLE: &str = "REPRO_REGISTRY_MIRRORS";
        if let Some(text) = self.environment.variable(VARIABLE) {
            let mut table: BTreeMap<String, Vec<Address>> = BTreeMap::new();
            for pair in text.split_whitespace() {
                let (name, url) = pair.split_once('=').ok_or_else(|| SettingsError::Value {
                    setting: VARIABLE.to_owned(),
                    value: masked(pair),
                    expected: "pairs of registry and mirror, `registry.test/team=https://mirror.test/team`",
                })?;
                table.entry(name.to_owned()).or_default().push(url.into());
            }
            tables.push((VARIABLE.to_owned(), table));
        }
        for file in &self.files {
            let setting = format!("`registry-mirrors` in `{}`", file.place().display());
            tables.push((setting, file.content.registry_mirrors.clone()));
        }
        Ok(tables)
    }
}

/// What follows `name` in `wanted`, if `name` is a whole part of it.
fn rest_after<'a>(wanted: &'a str, name: &str) -> Option<&'a str> {
    wanted.strip_prefix(name.trim_end_matches('/'))?.strip_prefix('/')
}

fn mirror(address: &Address, rest: &str, setting: &str) -> Result<RegistryPlace, SettingsError> {
    let error = || SettingsError::Value {
        setting: setting.to_owned(),
        value: address.to_string(),
        expected: "a mirror's URL without credentials, `https://mirror.test/team`",
    };
    let mut url = Url::parse(address.whole()).map_err(|_| error())?;
    let is_bare = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_bare {
        return Err(error());
    }
    let repository = match url.path().trim_matches('/') {
        "" => rest.to_owned(),
        folder => format!("{folder}/{rest}"),
    };
    url.set_path("/");
    Ok(RegistryPlace { url, repository, setting: setting.to_owned() })
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl super::Environment {
    /// The files that Docker and podman keep credentials in, whether they are there or not.
    pub(super) fn credential_files(&self) -> Vec<PathBuf> {
        let home = self.home().ok();
        let docker = self
            .path("DOCKER_CONFIG")
            .or_else(|| home.as_ref().map(|home| home.join(".docker")))
            .map(|folder| folder.join("config.json"));
        let podman = self.base_folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers"));
        let of_home = home.map(|home| home.join(".config/containers"));
        let podman = podman.into_iter().chain(of_home).map(|folder| folder.join("auth.json"));
        self.path("REGISTRY_AUTH_FILE").into_iter().chain(docker).chain(podman).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Options};

    fn settings(variables: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new(folder.path(), folder.path()).with("HOME", "/nowhere");
        let environment = variables
            .iter()
            .fold(environment, |environment, (name, value)| environment.with(name, value));
        let settings = Settings::load_in(Options::default(), environment).unwrap();
        (folder, settings)
    }

    fn places(settings: &Settings, host: &str, repository: &str) -> Vec<String> {
        let places = settings.registry_places(host, repository).unwrap();
        places.iter().map(|place| format!("{}{}", place.url, place.repository)).collect()
    }

    #[test]
    fn the_longest_name_decides_which_mirrors_are_asked_before_the_registry() {
        let mirrors = "registry.test=https://far.test registry.test/team=http://near.test:5000/copy \
            registry.test/team=https://other.test";
        let (_folder, settings) = settings(&[("REPRO_REGISTRY_MIRRORS", mirrors)]);
        let expected = [
            "http://near.test:5000/copy/image",
            "https://other.test/image",
            "https://registry.test/team/image",
        ];
        assert_eq!(places(&settings, "registry.test", "team/image"), expected);
        let expected = ["https://far.test/teams/image", "https://registry.test/teams/image"];
        assert_eq!(places(&settings, "registry.test", "teams/image"), expected);
    }

    #[test]
    fn only_this_machine_and_named_hosts_are_spoken_to_without_tls() {
        let (_folder, settings) =
            settings(&[("REPRO_INSECURE_REGISTRIES", "old.test:5000 older.test")]);
        for host in ["127.0.0.1:5000", "localhost", "[::1]:5000", "old.test:5000", "older.test"] {
            assert!(settings.is_plain_registry(host), "{host}");
        }
        for host in ["old.test", "registry.test:5000", "127.0.0.1.test", "localhost.test"] {
            assert!(!settings.is_plain_registry(host), "{host}");
        }
    }

    #[test]
    fn dockers_own_registry_is_known_by_its_short_name() {
        let (_folder, settings) = settings(&[]);
        let expected = ["https://registry-1.docker.io/library/ubuntu"];
        assert_eq!(places(&settings, "docker.io", "ubuntu"), expected);
    }

    #[test]
    fn a_mirror_that_is_no_url_is_refused_without_its_credentials() {
        let mirrors = "registry.test=https://me:secret@mirror.test";
        let (_folder, settings) = settings(&[("REPRO_REGISTRY_MIRRORS", mirrors)]);
        let error = settings.registry_places("registry.test", "a").unwrap_err().to_string();
        assert!(error.contains("REPRO_REGISTRY_MIRRORS") && !error.contains("secret"), "{error}");
    }
}
