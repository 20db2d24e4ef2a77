//! Credentials for registries, out of the files and helpers of Docker and podman.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;

use super::{Environment, SettingsError};

/// Docker keeps what belongs to its own registry under this name.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// What a registry is told about who is asking. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistryCredentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that the registry's token server changes for a short-lived one.
    IdentityToken(String),
}

impl fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryCredentials(***)")
    }
}

/// The part of `config.json` and `auth.json` that is about credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(***)")
    }
}

/// What a helper answers (docker-credential-helpers, "Development").
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// The credentials for `host`, from the first file that has any.
pub(super) fn find(
    environment: &Environment,
    host: &str,
    repository: &str,
) -> Result<Option<RegistryCredentials>, SettingsError> {
    for path in environment.credential_files() {
        let file = match fs::read_to_string(&path) {
            Ok(text) => parse(&text, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(SettingsError::Read { path, source }),
        };
        if let Some(found) = of_file(environment, &file, host, repository, &path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn parse(text: &str, path: &Path) -> Result<File, SettingsError> {
    // The parser's own words may quote what stands there, so only the place is told.
    serde_json::from_str(text).map_err(|error| SettingsError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        reason: "expected JSON as `docker login` writes it".to_owned(),
    })
}

/// A helper of the host's own comes first, then the general one, then the file itself.
fn of_file(
    environment: &Environment,
    file: &File,
    host: &str,
    repository: &str,
    path: &Path,
) -> Result<Option<RegistryCredentials>, SettingsError> {
    let helper = file.cred_helpers.get(host).or(file.creds_store.as_ref());
    if let Some(found) = helper.and_then(|helper| ask(environment, helper, host)) {
        return Ok(Some(found));
    }
    let Some(entry) = entry(file, host, repository) else { return Ok(None) };
    if let Some(token) = entry.identitytoken.as_ref().filter(|token| !token.is_empty()) {
        return Ok(Some(RegistryCredentials::IdentityToken(token.clone())));
    }
    let Some(text) = entry.auth.as_ref().filter(|text| !text.is_empty()) else { return Ok(None) };
    let found = decode(text).and_then(|bytes| {
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        let password = password.trim_end_matches('\0');
        Some(RegistryCredentials::Password { user: user.to_owned(), password: password.to_owned() })
    });
    found.map(Some).ok_or_else(|| SettingsError::Value {
        setting: format!("the entry of `{host}` in `{}`", path.display()),
        value: "***".to_owned(),
        expected: "a name and a password as `docker login` writes them",
    })
}

/// The entry of the repository, of a part of its name (podman), or of the host in any spelling.
fn entry<'a>(file: &'a File, host: &str, repository: &str) -> Option<&'a Entry> {
    let mut name = format!("{host}/{repository}");
    while let Some((shorter, _)) = name.rsplit_once('/') {
        if let Some(entry) = file.auths.get(&name) {
            return Some(entry);
        }
        name = shorter.to_owned();
    }
    let host = if host == "docker.io" { "index.docker.io" } else { host };
    let is_host = |key: &&String| {
        let key = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
        // `https://host/v1/` is how Docker has written it since its first registry.
        let (name, rest) = key.split_once('/').unwrap_or((key, ""));
        name == host && matches!(rest.trim_end_matches('/'), "" | "v1" | "v2")
    };
    file.auths
        .keys()
        .find(is_host)
        .and_then(|key| file.auths.get(key))
        .or_else(|| file.auths.get(&name))
}

/// Asks `docker-credential-NAME`. One that is not there or knows nothing is no error: most images
/// are public, and Docker goes on without credentials as well.
fn ask(environment: &Environment, helper: &str, host: &str) -> Option<RegistryCredentials> {
    let host = if host == "docker.io" { HUB_KEY } else { host };
    let program = format!("docker-credential-{helper}");
    let answer = run(environment, &program, host).unwrap_or_else(|error| {
        tracing::warn!(%program, %error, "a credential helper could not be run");
        None
    })?;
    let answer: HelperAnswer = serde_json::from_slice(&answer).ok()?;
    Some(match answer.username.as_str() {
        "<token>" => RegistryCredentials::IdentityToken(answer.secret),
        _ => RegistryCredentials::Password { user: answer.username, password: answer.secret },
    })
}

fn run(environment: &Environment, program: &str, host: &str) -> io::Result<Option<Vec<u8>>> {
    let mut child = environment
        .command(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that knows nothing may end before it reads.
        let _ = input.write_all(host.as_bytes());
    }
    let output = child.wait_with_output()?;
    Ok(output.status.success().then_some(output.stdout))
}

/// Decodes Base64 (RFC 4648, section 4), with or without its padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for letter in text.trim().trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn world(config: &str) -> (tempfile::TempDir, Environment) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        let place = folder.path().display().to_string();
        let environment = Environment::new(folder.path(), folder.path())
            .with("DOCKER_CONFIG", &place)
            .with("PATH", &place);
        (folder, environment)
    }

    fn password(user: &str, password: &str) -> Option<RegistryCredentials> {
        let (user, password) = (user.to_owned(), password.to_owned());
        Some(RegistryCredentials::Password { user, password })
    }

    #[test]
    fn base64_is_read_as_the_standard_has_it() {
        for (text, plain) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(decode(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(decode("Zg!="), None);
    }

    #[test]
    fn an_entry_is_found_in_every_spelling_that_docker_and_podman_write() {
        let auths = r#"{"auths": {"registry.test": {"auth": "bWU6YTpi"},
            "https://old.test/v1/": {"auth": "bWU6b2xk"}, "host.test/team": {"auth": "bWU6dGVhbQ"},
            "https://index.docker.io/v1/": {"identitytoken": "long"}, "empty.test": {}}}"#;
        let (_folder, environment) = world(auths);
        let find = |host: &str, repository: &str| find(&environment, host, repository).unwrap();
        assert_eq!(find("registry.test", "a/b"), password("me", "a:b"));
        assert_eq!(find("old.test", "a"), password("me", "old"));
        assert_eq!(find("host.test", "team/image"), password("me", "team"));
        assert_eq!(find("host.test", "other/image"), None);
        let token = RegistryCredentials::IdentityToken("long".to_owned());
        assert_eq!(find("docker.io", "library/ubuntu"), Some(token));
        assert_eq!(find("empty.test", "a"), None);
        assert_eq!(find("registry.test.evil", "a"), None);
    }

    #[test]
    fn a_helper_is_asked_and_one_that_is_not_there_is_no_error() {
        let config = r#"{"credHelpers": {"registry.test": "box", "other.test": "gone"}}"#;
        let (folder, environment) = world(config);
        let helper = folder.path().join("docker-credential-box");
        let text = "#!/bin/sh\nread host\necho \"{\\\"Username\\\": \\\"$host\\\", \\\"Secret\\\": \\\"s\\\"}\"\n";
        fs::write(&helper, text).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let found = find(&environment, "registry.test", "a").unwrap();
        assert_eq!(found, password("registry.test", "s"));
        assert_eq!(find(&environment, "other.test", "a").unwrap(), None);
    }

    #[test]
    fn a_broken_file_is_named_without_what_stands_in_it() {
        let (_folder, environment) = world("{\"auths\": {\"a.test\": \"secret\"}}");
        let error = find(&environment, "a.test", "b").unwrap_err().to_string();
        assert!(error.contains("config.json") && !error.contains("secret"), "{error}");
        let (_folder, environment) = world("{\"auths\": {\"a.test\": {\"auth\": \"c2VjcmV0\"}}}");
        let error = find(&environment, "a.test", "b").unwrap_err().to_string();
        assert!(!error.contains("secret") && !error.contains("c2VjcmV0"), "{error}");
    }
}
