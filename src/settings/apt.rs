//! apt's own sources: files in the one-line and in the deb822 style (sources.list(5)).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::apt_conf::AptConfiguration;
use super::{Environment, Location, SettingsError};

/// One archive with one suite, as apt is told to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AptSource {
    pub(super) uri: String,
    pub(super) suite: String,
    pub(super) components: Vec<String>,
    /// Whether it is signed by a key that is not Debian's own.
    pub(super) has_other_key: bool,
    /// The file that says so.
    pub(super) place: PathBuf,
}

impl AptSource {
    pub(super) fn location(&self) -> Result<Location, SettingsError> {
        let setting = format!("apt's source `{}`", self.place.display());
        Location::parse(&self.uri.as_str().into(), &setting, Path::new("/"))
    }
}

/// Everything that apt is told to use, in apt's order.
pub(super) fn sources(environment: &Environment) -> Result<Vec<AptSource>, SettingsError> {
    let mut sources = Vec::new();
    for place in places(environment)? {
        let text = match fs::read_to_string(&place) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(SettingsError::Read { path: place, source }),
        };
        let is_deb822 = place.extension().is_some_and(|extension| extension == "sources");
        let said = if is_deb822 { deb822(&text, &place) } else { one_line(&text, &place) };
        for source in said {
            sources.extend(with_plain_uri(source, environment));
        }
    }
    Ok(sources)
}

/// `sources.list`, then the files of `sources.list.d` by name.
fn places(environment: &Environment) -> Result<Vec<PathBuf>, SettingsError> {
    let configuration = AptConfiguration::read(environment);
    let place = |key: &str, default: &str| match configuration.value(key).unwrap_or(default) {
        path if path.starts_with('/') => environment.system(path),
        path => environment.system(&format!("/etc/apt/{path}")),
    };
    let folder = place("dir::etc::sourceparts", "sources.list.d");
    let mut parts = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => parts.extend(entries.filter_map(Result::ok).map(|entry| entry.path())),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(source) => return Err(SettingsError::Read { path: folder, source }),
    }
    parts.retain(|path| {
        path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    });
    parts.sort();
    parts.insert(0, place("dir::etc::sourcelist", "sources.list"));
    Ok(parts)
}

/// `deb [option=value …] uri suite component …`
fn one_line(text: &str, place: &Path) -> Vec<AptSource> {
    let parse = |line: &str| {
        let line = line.split('#').next()?.trim();
        let mut rest = line.strip_prefix("deb")?.trim_start();
        if !line[3..].starts_with(char::is_whitespace) {
            return None;
        }
        let mut options = "";
        if let Some(inside) = rest.strip_prefix('[') {
            (options, rest) = inside.split_once(']')?;
        }
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
        let keys = options.split_whitespace().filter_map(|word| word.strip_prefix("signed-by="));
        Some(AptSource {
            uri,
            suite,
            components: words.map(str::to_owned).collect(),
            has_other_key: keys.into_iter().any(is_other_key),
            place: place.to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// Stanzas with `Types`, `URIs`, `Suites`, `Components`.
fn deb822(text: &str, place: &Path) -> Vec<AptSource> {
    let mut sources = Vec::new();
    for stanza in stanzas(text) {
        let words = |key: &str| {
            let value = stanza.get(key).map_or("", String::as_str);
            value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let is_off =
            words("enabled").iter().any(|word| matches!(word.as_str(), "no" | "false" | "0"));
        if is_off || !words("types").iter().any(|kind| kind == "deb") {
            continue;
        }
        for uri in words("uris") {
            for suite in words("suites") {
                sources.push(AptSource {
                    uri: uri.clone(),
                    suite,
                    components: words("components"),
                    has_other_key: stanza.get("signed-by").is_some_and(|key| is_other_key(key)),
                    place: place.to_owned(),
                });
            }
        }
    }
    sources
}

/// Fields by lower-case name; continued lines are joined, comments dropped.
fn stanzas(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut stanzas = vec![BTreeMap::new()];
    let mut field = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let last = stanzas.last_mut().expect("there is always one");
        if line.trim().is_empty() {
            stanzas.push(BTreeMap::new());
        } else if line.starts_with([' ', '\t']) {
            let value: &mut String = last.entry(field.clone()).or_default();
            value.push('\n');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            field = name.trim().to_lowercase();
            last.insert(field.clone(), value.trim().to_owned());
        }
    }
    stanzas
}

/// A key other than Debian's own: somebody else's archive may use Debian's names for its suites.
fn is_other_key(key: &str) -> bool {
    !key.contains("debian-archive")
}

/// Turns apt's methods into URLs that anybody can ask; `mirror+file:` names a file with one a line.
fn with_plain_uri(source: AptSource, environment: &Environment) -> Vec<AptSource> {
    let with = |uri: &str| AptSource { uri: uri.to_owned(), ..source.clone() };
    if let Some(list) = source.uri.strip_prefix("mirror+file:") {
        let place = environment.system(&format!("/{}", list.trim_start_matches('/')));
        let text = fs::read_to_string(place).unwrap_or_default();
        let uris = text.lines().filter_map(|line| line.split_whitespace().next());
        return uris.filter(|uri| is_plain(uri)).map(with).collect();
    }
    for method in ["file:", "copy:"] {
        if let Some(path) = source.uri.strip_prefix(method) {
            return vec![with(&format!("file:///{}", path.trim_start_matches('/')))];
        }
    }
    if is_plain(&source.uri) { vec![source] } else { Vec::new() }
}

fn is_plain(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}
