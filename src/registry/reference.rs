//! What people write to name an image of a registry.

use std::fmt;
use std::str::FromStr;

use super::RegistryError;
use crate::digest::Digest;

/// Registry, repository, and which image of it: `registry.test/team/image:1.0@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host of the registry, with its port if it has one.
    pub host: String,
    /// Name of the repository.
    pub repository: String,
    /// The tag, if one was written.
    pub tag: Option<String>,
    /// The digest, if one was written; it decides, whatever the tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// What a registry is asked for: the digest, or else the tag.
    pub(super) fn version(&self) -> Option<String> {
        self.digest.map(|digest| digest.to_string()).or_else(|| self.tag.clone())
    }

    /// The same repository's image with another digest.
    pub(super) fn at(&self, digest: &Digest) -> Self {
        Self { digest: Some(*digest), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let refuse = |reason: &str| RegistryError::Reference {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        // What the client's own parser adds (a host, `latest`) would be a guess here.
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|_| {
                    refuse("a digest is `sha256:` and 64 lower-case hexadecimal digits")
                })?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (host, rest) = name.split_once('/').unwrap_or(("", name));
        if !(host.contains(['.', ':']) || host == "localhost") {
            return Err(refuse("the registry's host is missing: `registry.test/team/image:1.0`"));
        }
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository.to_owned(), Some(tag.to_owned())),
            None => (rest.to_owned(), None),
        };
        oci_client::Reference::from_str(text).map_err(|error| refuse(&error.to_string()))?;
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written_as_it_stands() {
        let digest = Digest::of(b"");
        for text in [
            "registry.test/team/image:1.0".to_owned(),
            "127.0.0.1:5000/a/b/c".to_owned(),
            "localhost/a:1".to_owned(),
            format!("registry.test:443/image@{digest}"),
            format!("registry.test/image:1.0@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let reference: Reference = format!("registry.test/image:1@{digest}").parse().unwrap();
        assert_eq!(reference.version(), Some(digest.to_string()));
    }

    #[test]
    fn what_leaves_something_to_guess_is_refused_with_the_reason() {
        for text in
            ["", "ubuntu", "team/image:1", "registry.test/Image:1", "registry.test/a@sha256:1"]
        {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
