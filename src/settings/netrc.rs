//! Credentials that other tools keep for hosts: `~/.netrc`, and apt's `auth.conf`.
//!
//! Both have one grammar (netrc(5)): `machine HOST login NAME password SECRET`. What
//! follows `machine` means more to apt: a protocol and a path may belong to it.

use std::fs;
use std::path::PathBuf;

use reqwest::Url;

use super::Environment;

/// Names and passwords by host; nothing of it is ever printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(Vec<Entry>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Entry {
    /// `None` for the default of every host.
    machine: Option<String>,
    login: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials of {} hosts", self.0.len())
    }
}

impl Credentials {
    /// Those of `NETRC` or `~/.netrc`, as pip and uv read them; a file that cannot be read has none.
    pub(super) fn of_user(environment: &Environment) -> Self {
        let home = || environment.home().ok().map(|home| home.join(".netrc"));
        let place = environment.path("NETRC").or_else(home);
        Self(
            place
                .and_then(|place| fs::read_to_string(place).ok())
                .map_or(Vec::new(), |text| parse(&text)),
        )
    }

    /// Those that apt has for archives (apt_auth.conf(5)).
    pub(super) fn of_apt(environment: &Environment) -> Self {
        let mut places = vec![environment.system("/etc/apt/auth.conf")];
        let parts = fs::read_dir(environment.system("/etc/apt/auth.conf.d"));
        let parts = parts.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        let mut parts: Vec<PathBuf> =
            parts.filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
        parts.sort();
        places.extend(parts);
        let texts = places.iter().filter_map(|place| fs::read_to_string(place).ok());
        Self(texts.flat_map(|text| parse(&text)).collect())
    }

    /// The URL with name and password, if it has none itself and its host is among these.
    pub fn add_to(&self, url: &mut Url) {
        self.add_where(url, |machine, url| {
            machine.is_none_or(|machine| url.host_str() == Some(machine))
        });
    }

    /// As [`Credentials::add_to`] by apt's rules, which look at protocol, port and path, too.
    pub(super) fn add_to_archive(&self, url: &mut Url) {
        self.add_where(url, |machine, url| machine.is_some_and(|machine| is_archive(machine, url)));
    }

    fn add_where(&self, url: &mut Url, fits: impl Fn(Option<&str>, &Url) -> bool) {
        let is_open = url.username().is_empty() && url.password().is_none();
        if !is_open || !matches!(url.scheme(), "http" | "https") {
            return;
        }
        if let Some(entry) = self.0.iter().find(|entry| fits(entry.machine.as_deref(), url)) {
            // Both fail only on URLs that have no host.
            let _ = url.set_username(&entry.login);
            let _ = url.set_password(Some(&entry.password));
        }
    }
}

/// Without a protocol apt gives a password away over `https` only.
fn is_archive(machine: &str, url: &Url) -> bool {
    let (scheme, rest) = machine.split_once("://").unwrap_or(("https", machine));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = url.host_str().unwrap_or_default();
    let with_port = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    scheme == url.scheme()
        && (authority == host || authority == with_port)
        && url.path()[1..].starts_with(path)
}

fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut tokens = tokens(text).into_iter();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "machine" => entries.push(Entry { machine: tokens.next(), ..Entry::default() }),
            "default" => entries.push(Entry::default()),
            key @ ("login" | "password" | "account") => {
                let value = tokens.next().unwrap_or_default();
                match (key, entries.last_mut()) {
                    ("login", Some(entry)) => entry.login = value,
                    ("password", Some(entry)) => entry.password = value,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // The default is for hosts that nothing else names, wherever it stands.
    entries.sort_by_key(|entry| entry.machine.is_none());
    entries
}

/// Words of every line but comments and macros, which end at an empty line.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        in_macro &= !line.trim().is_empty();
        let words: Vec<_> = line.split_whitespace().collect();
        let begins_macro = words.first() == Some(&"macdef");
        if !in_macro && !begins_macro && !line.trim_start().starts_with('#') {
            let plain = |word: &str| word.trim_matches('"').to_owned();
            tokens.extend(words.into_iter().map(plain));
        }
        in_macro |= begins_macro;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(credentials: &str, url: &str, archive: bool) -> String {
        let (credentials, mut url) = (Credentials(parse(credentials)), Url::parse(url).unwrap());
        if archive {
            credentials.add_to_archive(&mut url);
        } else {
            credentials.add_to(&mut url);
        }
        url.to_string()
    }

    #[test]
    fn a_host_gets_its_own_name_and_password_else_the_default() {
        let text = "# ours\ndefault login any password other\nmachine index.test\n  login \"me\"\n  password p@ss\nmacdef init\nmachine evil.test login x password y\n\n";
        assert_eq!(
            with(text, "https://index.test/simple/", false),
            "https://me:p%40ss@index.test/simple/"
        );
        assert_eq!(with(text, "https://evil.test/", false), "https://any:other@evil.test/");
        assert_eq!(with(text, "https://own:pw@index.test/", false), "https://own:pw@index.test/");
        assert_eq!(with(text, "file:///srv/", false), "file:///srv/");
        for garbage in ["", "machine", "login x", "machine a login", "\u{0}"] {
            assert_eq!(with(garbage, "https://b.test/", false), "https://b.test/", "{garbage}");
        }
    }

    #[test]
    fn an_archive_gets_a_password_only_as_apt_would_give_it() {
        let text = "machine deb.test/debian login me password one\nmachine http://plain.test:81 login me password two\n";
        assert_eq!(with(text, "https://deb.test/debian/", true), "https://me:one@deb.test/debian/");
        for url in ["http://deb.test/debian/", "https://deb.test/other/", "http://plain.test/"] {
            assert_eq!(with(text, url, true), url);
        }
        assert_eq!(with(text, "http://plain.test:81/x/", true), "http://me:two@plain.test:81/x/");
    }

    #[test]
    fn nothing_is_printed() {
        let credentials = Credentials(parse("machine a login b password secret"));
        assert_eq!(format!("{credentials:?}"), "Credentials of 1 hosts");
    }
}
