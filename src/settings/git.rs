//! What git was told: other places of repositories, proxies, credentials.
//!
//! The files are git's own, in git's order: the system's, the user's two, and what the
//! variables `GIT_CONFIG_COUNT` and so on add. No repository's own configuration is read.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Stdio;

use reqwest::Url;

use super::{Environment, Proxies, Settings, SettingsError};
use crate::address::{Address, masked};

/// The values of git's configuration that concern other machines.
#[derive(Clone, Default)]
pub struct GitSettings {
    /// Name and value, weakest first.
    values: Vec<(String, String)>,
}

/// A place of a repository, and the setting that named it.
#[derive(Clone, PartialEq, Eq)]
pub struct GitPlace {
    /// A URL or a path.
    pub url: Address,
    /// The setting, if another place was asked for than this.
    pub setting: Option<String>,
}

impl Settings {
    /// Reads git's configuration.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that git itself would not read.
    pub fn git(&self) -> Result<GitSettings, SettingsError> {
        let mut values = Vec::new();
        for path in files(&self.environment)? {
            if path.is_file() {
                values.extend(read(&path).map_err(|source| SettingsError::Read { path, source })?);
            }
        }
        values.extend(of_variables(&self.environment)?);
        Ok(GitSettings { values })
    }

    /// User name and password for a server that asked for them: from `.netrc`, else from git's
    /// credential helpers. Nobody is asked at the terminal.
    pub fn git_credentials(&self, url: &Url) -> Option<(String, String)> {
        self.of_netrc(url.host_str()?).or_else(|| self.of_helpers(url))
    }

    fn of_netrc(&self, host: &str) -> Option<(String, String)> {
        let home = self.environment.home().ok()?;
        let path = self.environment.path("NETRC").unwrap_or_else(|| home.join(".netrc"));
        in_netrc(&fs::read_to_string(path).ok()?, host)
    }

    fn of_helpers(&self, url: &Url) -> Option<(String, String)> {
        let mut command = self.environment.command("git");
        if let Ok(home) = self.environment.home() {
            command.env("HOME", home);
        }
        // An empty program for passwords keeps git from looking for one that opens a window.
        command.args(["credential", "fill"]).env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut question = url.clone();
        let _ = question.set_password(None);
        let written = writeln!(child.stdin.take()?, "url={question}\n");
        let output = child.wait_with_output().ok()?;
        written.ok().filter(|()| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        Some((value("username=")?.to_owned(), value("password=")?.to_owned()))
    }
}

impl GitSettings {
    /// Where `url` is to be asked: the longest `url.BASE.insteadOf` that it begins with counts.
    pub fn place(&self, url: &str) -> GitPlace {
        let bases = self.values.iter().filter_map(|(name, prefix)| {
            let base = between(name, "url.", ".insteadof")?;
            let rest = url.strip_prefix(prefix.as_str()).filter(|_| !prefix.is_empty())?;
            Some((prefix.len(), base, rest))
        });
        // Of equals the last, as git has it.
        match bases.max_by_key(|(length, ..)| *length) {
            None => GitPlace { url: url.into(), setting: None },
            Some((_, base, rest)) => GitPlace {
                url: format!("{base}{rest}").into(),
                setting: Some(format!("`url.{}.insteadOf` of git's configuration", masked(base))),
            },
        }
    }

    /// The proxies for `url`: `http.proxy` of git's configuration, for all or for a server, before `proxies`.
    pub fn proxies(&self, url: &Url, proxies: Proxies) -> Proxies {
        let for_server = |(name, value): &(String, String)| {
            let pattern = between(name, "http.", ".proxy")?;
            url.as_str().starts_with(pattern).then_some((pattern.len(), value.clone()))
        };
        let of_server = self.values.iter().filter_map(for_server);
        let of_server = of_server.max_by_key(|(length, _)| *length).map(|(_, value)| value);
        let for_all = self.values.iter().rev().find(|(name, _)| name == "http.proxy");
        match of_server.or_else(|| for_all.map(|(_, value)| value.clone())) {
            None => proxies,
            // Set to nothing means none, whatever the environment says.
            Some(proxy) => {
                let proxy = Some(proxy).filter(|proxy| !proxy.is_empty()).map(Address::from);
                Proxies { http: proxy.clone(), https: proxy, ..proxies }
            }
        }
    }
}

impl std::fmt::Debug for GitSettings {
    /// Values hold passwords; none is printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitSettings").field("values", &self.values.len()).finish()
    }
}

fn between<'a>(name: &'a str, start: &str, end: &str) -> Option<&'a str> {
    name.strip_prefix(start)?.strip_suffix(end)
}

/// Git's configuration files, weakest first (git-config(1), "FILES" and "ENVIRONMENT").
fn files(environment: &Environment) -> Result<Vec<PathBuf>, SettingsError> {
    let mut files = Vec::new();
    let no_system = match environment.variable("GIT_CONFIG_NOSYSTEM") {
        Some(text) => super::environment::truth("GIT_CONFIG_NOSYSTEM", text)?,
        None => false,
    };
    if !no_system {
        let system = environment.path("GIT_CONFIG_SYSTEM");
        files.push(system.unwrap_or_else(|| environment.system("/etc/gitconfig")));
    }
    if let Some(global) = environment.path("GIT_CONFIG_GLOBAL") {
        files.push(global);
        return Ok(files);
    }
    let Ok(home) = environment.home() else { return Ok(files) };
    let folder = environment.base_folder("XDG_CONFIG_HOME");
    files.push(folder.unwrap_or_else(|| home.join(".config")).join("git/config"));
    files.push(home.join(".gitconfig"));
    Ok(files)
}

fn read(path: &std::path::Path) -> io::Result<Vec<(String, String)>> {
    let failed = |error: git2::Error| io::Error::other(error.message().to_owned());
    let config = git2::Config::open(path).map_err(failed)?;
    let mut values = Vec::new();
    let entries = config.entries(None).map_err(failed)?;
    let gathered = entries.for_each(|entry| {
        if let (Ok(name), true) = (entry.name(), entry.has_value()) {
            values.extend(entry.value().ok().map(|value| (name.to_owned(), value.to_owned())));
        }
    });
    gathered.map_err(failed)?;
    Ok(values)
}

/// What `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_0` and `GIT_CONFIG_VALUE_0` say.
fn of_variables(environment: &Environment) -> Result<Vec<(String, String)>, SettingsError> {
    let setting = "GIT_CONFIG_COUNT";
    let Some(text) = environment.variable(setting) else { return Ok(Vec::new()) };
    let expected = "a number below 10000";
    let refuse =
        || SettingsError::Value { setting: setting.to_owned(), value: text.to_owned(), expected };
    let count: u32 = text.parse().ok().filter(|count| *count < 10_000).ok_or_else(refuse)?;
    let pair = |at| {
        let name = environment.variable(&format!("GIT_CONFIG_KEY_{at}"))?;
        let value = environment.variable(&format!("GIT_CONFIG_VALUE_{at}")).unwrap_or("");
        Some((canonical(name), value.to_owned()))
    };
    Ok((0..count).filter_map(pair).collect())
}

/// Section and key in lower case; what stands between the first and the last dot keeps its case.
fn canonical(name: &str) -> String {
    let (section, rest) = name.split_once('.').unwrap_or((name, ""));
    match rest.rsplit_once('.') {
        Some((middle, key)) => {
            format!("{}.{middle}.{}", section.to_lowercase(), key.to_lowercase())
        }
        None => format!("{}.{}", section.to_lowercase(), rest.to_lowercase()),
    }
}

/// The entry of a `.netrc` for `host`, or its `default`.
fn in_netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = text.split_whitespace();
    let (mut here, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" if here && password.is_some() => break,
            "machine" => (here, login, password) = (words.next() == Some(host), None, None),
            "default" => (here, login, password) = (true, None, None),
            "login" if here => login = words.next().map(str::to_owned),
            "password" if here => password = words.next().map(str::to_owned),
            _ => {}
        }
    }
    here.then_some(())?;
    Some((login.unwrap_or_default(), password?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Options;

    fn git(environment: Environment) -> GitSettings {
        Settings::load_in(Options::default(), environment).unwrap().git().unwrap()
    }

    #[test]
    fn the_longest_instead_of_decides_and_names_itself() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[url \"https://mirror.test/\"]\n\tinsteadOf = https://hub.test/\n\
                    [url \"file:///srv/git/\"]\n\tinsteadOf = https://hub.test/one/\n";
        fs::write(folder.path().join(".gitconfig"), text).unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let git = git(Environment::new(folder.path(), folder.path()).with("HOME", &home));
        let place = git.place("https://hub.test/one/net.git");
        assert_eq!(place.url.whole(), "file:///srv/git/net.git");
        let setting = "`url.file:///srv/git/.insteadOf` of git's configuration";
        assert_eq!(place.setting.as_deref(), Some(setting));
        assert_eq!(git.place("https://hub.test/two").url.whole(), "https://mirror.test/two");
        assert_eq!(git.place("https://other.test/two").setting, None);
    }

    #[test]
    fn variables_add_to_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new(folder.path(), folder.path())
            .with("HOME", "/nowhere")
            .with("GIT_CONFIG_COUNT", "2")
            .with("GIT_CONFIG_KEY_0", "URL.file:///srv/.insteadOf")
            .with("GIT_CONFIG_VALUE_0", "https://hub.test/")
            .with("GIT_CONFIG_KEY_1", "http.proxy")
            .with("GIT_CONFIG_VALUE_1", "http://proxy.test:3128");
        let git = git(environment);
        assert_eq!(git.place("https://hub.test/net").url.whole(), "file:///srv/net");
        let url = Url::parse("https://other.test/").unwrap();
        let proxies = git.proxies(&url, Proxies::default());
        assert_eq!(proxies.https, Some("http://proxy.test:3128".into()));
    }

    #[test]
    fn a_netrc_gives_the_login_of_its_machine() {
        let text = "machine a.test login one password x\nmachine b.test\n login two password y\n";
        assert_eq!(in_netrc(text, "b.test"), Some(("two".to_owned(), "y".to_owned())));
        assert_eq!(in_netrc(text, "a.test"), Some(("one".to_owned(), "x".to_owned())));
        assert_eq!(in_netrc(text, "c.test"), None);
    }
}
