//! An address that may hold a password, which nothing prints.
//!
//! Indexes, mirrors, proxies and data sets are often reached with a name and a password in
//! the address itself. [`Address`] keeps such a text whole for requests and shows it
//! without: `Display`, `Debug` and `Serialize` all write `***`. The whole text is had by
//! [`Address::whole`] only, so a search for that word finds every place that sees a password.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// A URL, or a path, as somebody wrote it; printed without its credentials.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The text with its credentials: for requests, never for printing.
    pub fn whole(&self) -> &str {
        &self.0
    }

    /// Whether it holds something that is not to be shown.
    pub fn is_secret(&self) -> bool {
        masked(&self.0) != self.0
    }
}

impl<T: Into<String>> From<T> for Address {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl FromStr for Address {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", masked(&self.0))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `text` with `***` in place of a name and password, and of a query's tokens.
pub fn masked(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let shown = match user_info(rest, scheme.is_some()) {
        Some(at) => format!("***{}", without_tokens(&rest[at..])),
        None => without_tokens(rest),
    };
    match scheme {
        Some(scheme) => format!("{scheme}://{shown}"),
        None => shown,
    }
}

/// Where the `@` after a name and password is.
fn user_info(rest: &str, is_url: bool) -> Option<usize> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let at = authority.rfind('@');
    if !is_url {
        // `git@host` and `image@sha256:…` are no passwords; `me:pw@host` is one.
        return at.filter(|at| authority[..*at].contains(':'));
    }
    // A password may hold a slash that somebody forgot to write as `%2F`.
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_cut = port.bytes().any(|byte| !byte.is_ascii_digit()) && !authority.ends_with(']');
    at.or_else(|| rest.rfind('@').filter(|_| is_cut))
}

/// The query of a signed address is as good as a password.
fn without_tokens(rest: &str) -> String {
    let Some((path, query)) = rest.split_once('?') else { return rest.to_owned() };
    let is_token = |name: &str| {
        let name = name.to_ascii_lowercase();
        let words = ["token", "passw", "secret", "signature", "credential", "apikey", "api_key"];
        name == "sig" || words.iter().any(|word| name.contains(word))
    };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_token(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_shows_the_password() {
        let address = Address::from("https://me:secret@mirror.test/simple");
        assert_eq!(address.whole(), "https://me:secret@mirror.test/simple");
        let shown = "https://***@mirror.test/simple";
        assert_eq!(address.to_string(), shown);
        assert_eq!(format!("{address:?}"), format!("{shown:?}"));
        assert_eq!(serde_json::to_value(&address).unwrap(), shown);
    }

    #[test]
    fn passwords_are_found_in_every_spelling() {
        for (text, shown) in [
            ("https://me:pw@mirror.test", "https://***@mirror.test"),
            ("https://me:p@w@mirror.test/a", "https://***@mirror.test/a"),
            ("https://me:p/w@mirror.test/a", "https://***@mirror.test/a"),
            ("http://token@mirror.test?a=b", "http://***@mirror.test?a=b"),
            ("me:pw@proxy.test:3128", "***@proxy.test:3128"),
            ("--mirror=http://me:pw@mirror.test", "--mirror=http://***@mirror.test"),
            (
                "https://a.test/x?a=1&X-Amz-Signature=5f&b=2",
                "https://a.test/x?a=1&X-Amz-Signature=***&b=2",
            ),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn what_is_no_password_is_shown() {
        for text in [
            "https://mirror.test/a@b",
            "https://mirror.test:8443/a@b?version=2",
            "http://[::1]/a@b",
            "git@host.test:team/net.git",
            "seg-debian@sha256:8f7c",
            "/srv/wheels",
            "",
        ] {
            assert_eq!(masked(text), text);
            assert!(!Address::from(text).is_secret());
        }
    }
}
