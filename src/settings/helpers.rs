//! What a helper process (uv, apt) may know of our surroundings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Proxies, Settings, SettingsError};
use crate::address::Address;

/// Variables that helpers are given as they are: where programs are, whose credentials
/// (`~/.netrc`) to use, which certificates to trust.
const KEPT: [&str; 5] = ["PATH", "HOME", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Debian's public keys, where the package `debian-archive-keyring` installs them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Settings {
    /// The file of public keys that Debian archives are checked with: `REPRO_DEBIAN_KEYRING`, else
    /// `debian-keyring` in the settings files, else where Debian installs it. It may not exist.
    pub fn debian_keyring(&self) -> PathBuf {
        let of_files =
            || self.files.iter().find_map(|file| file.path(file.content.debian_keyring.as_deref()));
        let named = self.environment.path("REPRO_DEBIAN_KEYRING").or_else(of_files);
        named.unwrap_or_else(|| self.environment.system(KEYRING))
    }

    /// The whole environment of a helper process: the kept variables, the proxies, and a fixed locale.
    ///
    /// Everything else stays away, so that a variable of the user's shell cannot change what is
    /// resolved except through a setting.
    pub fn helper_environment(&self) -> BTreeMap<String, String> {
        self.environment_with(self.proxies())
    }

    /// As [`Settings::helper_environment`], for a program that asks for Python's packages.
    ///
    /// # Errors
    ///
    /// A pip configuration that cannot be read.
    pub fn python_environment(&self) -> Result<BTreeMap<String, String>, SettingsError> {
        let mut variables = self.environment_with(self.python_proxies()?);
        if let Some(path) = self.python_certificates()? {
            let path = path.to_string_lossy().into_owned();
            variables.entry("SSL_CERT_FILE".to_owned()).or_insert(path);
        }
        Ok(variables)
    }

    /// As [`Settings::helper_environment`], for a program that asks for Debian's packages.
    pub fn debian_environment(&self) -> BTreeMap<String, String> {
        self.environment_with(self.debian_proxies())
    }

    fn environment_with(&self, proxies: Proxies) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned())]);
        for name in KEPT {
            let value = self.environment.variable(name).map(str::to_owned);
            variables.extend(value.map(|value| (name.to_owned(), value)));
        }
        let whole = |proxy: Option<Address>| proxy.map(|proxy| proxy.whole().to_owned());
        let named = [
            ("http_proxy", whole(proxies.http)),
            ("https_proxy", whole(proxies.https)),
            ("no_proxy", proxies.none_for),
        ];
        for (name, value) in named {
            let Some(value) = value else { continue };
            // Programs differ in the case they look at (apt reads the lower one only).
            variables.insert(name.to_ascii_uppercase(), value.clone());
            variables.insert(name.to_owned(), value);
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Environment, Options, Settings};

    #[test]
    fn the_keyring_is_debians_own_unless_something_else_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new(folder.path(), folder.path()).with("HOME", "/home/user");
        let keyring = |environment: Environment| {
            Settings::load_in(Options::default(), environment).unwrap().debian_keyring()
        };
        let installed = "usr/share/keyrings/debian-archive-keyring.gpg";
        assert_eq!(keyring(environment.clone()), folder.path().join(installed));
        let set = environment.with("REPRO_DEBIAN_KEYRING", "/srv/keys.gpg");
        assert_eq!(keyring(set).to_str(), Some("/srv/keys.gpg"));
    }

    #[test]
    fn helpers_get_proxies_and_certificates_and_nothing_that_changes_a_result() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new(folder.path(), folder.path())
            .with("HOME", "/home/user")
            .with("PATH", "/usr/bin")
            .with("HTTPS_PROXY", "http://proxy.test:3128")
            .with("SSL_CERT_FILE", "/etc/ca.pem")
            .with("UV_INDEX_STRATEGY", "unsafe-best-match")
            .with("APT_CONFIG", "/etc/other");
        let settings = Settings::load_in(Options::default(), environment).unwrap();
        let names: Vec<_> = settings.helper_environment().into_keys().collect();
        let expected = ["HOME", "HTTPS_PROXY", "LC_ALL", "PATH", "SSL_CERT_FILE", "https_proxy"];
        assert_eq!(names, expected);
    }
}
