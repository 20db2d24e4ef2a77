//! A place that content comes from, and the setting that named it.

use std::fmt;
use std::path::Path;

use reqwest::Url;

use super::SettingsError;
use crate::address::{Address, masked};

/// A URL with the name of the setting it came from. Printed without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    url: Url,
    setting: String,
}

impl Location {
    /// Parses what `setting` says. What is no URL but a folder's path is taken relative to `folder`.
    pub(super) fn parse(
        address: &Address,
        setting: &str,
        folder: &Path,
    ) -> Result<Self, SettingsError> {
        let text = address.whole();
        let error = || SettingsError::Value {
            setting: setting.to_owned(),
            value: address.to_string(),
            expected: "a URL (http, https or file) or a folder's path",
        };
        let url = if text.contains("://") {
            Url::parse(text).map_err(|_| error())?
        } else {
            Url::from_file_path(folder.join(text)).map_err(|()| error())?
        };
        if !matches!(url.scheme(), "http" | "https" | "file") {
            return Err(error());
        }
        Ok(Self { url: as_folder(url), setting: setting.to_owned() })
    }

    /// A place that a recipe names; what is no URL is a folder below `folder`. `None` for what is neither.
    pub(crate) fn of_recipe(text: &str, folder: &Path) -> Option<Self> {
        Self::parse(&text.into(), "the recipe", folder).ok()
    }

    /// The same with name and password, where `add` knows some.
    pub(super) fn with_credentials(mut self, add: impl FnOnce(&mut Url)) -> Self {
        add(&mut self.url);
        self
    }

    /// The URL, ending in a slash unless it is a page, with credentials if it has any: for requests, never for printing.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The setting that named it, as a reader would write it: `PIP_INDEX_URL`, ``` `index-url` in `…/pip.conf` ```.
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

/// A URL below which other names are joined needs its last slash; a page of links does not.
fn as_folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') && !url.path().ends_with(".html") {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(self.url.as_str()))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, SettingsError> {
        Location::parse(&text.into(), "TEST_URL", Path::new("/home/user"))
    }

    #[test]
    fn credentials_are_kept_for_requests_and_masked_in_print() {
        let location = parse("https://user:secret@mirror.test/simple").unwrap();
        assert_eq!(location.url().as_str(), "https://user:secret@mirror.test/simple/");
        assert_eq!(location.to_string(), "https://***@mirror.test/simple/");
        assert_eq!(format!("{location:?}"), "https://***@mirror.test/simple/ (TEST_URL)");
    }

    #[test]
    fn a_location_that_is_no_url_is_refused_without_its_credentials() {
        for text in ["https://user:secret@", "ftp://user:secret@mirror.test/"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("TEST_URL is `"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_path_is_taken_relative_to_the_folder_it_was_said_in() {
        assert_eq!(parse("wheels").unwrap().to_string(), "file:///home/user/wheels/");
        assert_eq!(parse("/srv/wheels").unwrap().to_string(), "file:///srv/wheels/");
    }
}
