//! Which engine runs jobs, and where a Docker daemon can be reached.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::file::SettingsFile;
use super::{Settings, SettingsError};
use crate::address::{Address, masked};
use crate::digest::Digest;

/// The engine that a user chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// Docker where a daemon of this machine answers, else the embedded one.
    #[default]
    Auto,
    /// A Docker daemon, or podman's socket.
    Docker,
    /// The one that needs nothing but the kernel.
    Embedded,
}

/// Where a daemon may be listening, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonPlace {
    /// How to reach it.
    pub address: DaemonAddress,
    /// The setting it came from, for an error to name.
    pub setting: String,
}

/// How a daemon is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum DaemonAddress {
    /// A socket of this machine.
    Socket(PathBuf),
    /// `HOST:PORT`, plain HTTP.
    Tcp(Address),
}

impl std::fmt::Display for DaemonAddress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(out, "unix://{}", path.display()),
            Self::Tcp(place) => out.write_str(&masked(&format!("tcp://{}", place.whole()))),
        }
    }
}

impl std::fmt::Debug for DaemonAddress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{self}")
    }
}

/// Docker's own file, as far as it says where the daemon is.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DockerFile {
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

/// The engine that was chosen, by the nearest who said anything.
pub(super) fn choice(settings: &Settings) -> Result<EngineChoice, SettingsError> {
    let environment = settings.environment.variable("REPRO_ENGINE");
    let option = settings.options.engine.as_deref().map(|value| ("--engine".to_owned(), value));
    let variable = environment.map(|value| ("REPRO_ENGINE".to_owned(), value));
    let in_file = || {
        let said = |file: &SettingsFile| format!("`engine` in `{}`", file.place().display());
        let mut files = settings.files.iter();
        files.find_map(|file| file.content.engine.as_deref().map(|value| (said(file), value)))
    };
    match option.or(variable).or_else(in_file) {
        None | Some((_, "auto")) => Ok(EngineChoice::Auto),
        Some((_, "docker")) => Ok(EngineChoice::Docker),
        Some((_, "embedded")) => Ok(EngineChoice::Embedded),
        Some((setting, value)) => Err(SettingsError::Engine { setting, value: value.to_owned() }),
    }
}

/// Where to look for a daemon, nearest first: one place that somebody named, or every usual socket
/// that is there.
pub(super) fn daemons(settings: &Settings) -> Result<Vec<DaemonPlace>, SettingsError> {
    let environment = &settings.environment;
    if let Some(value) = environment.variable("DOCKER_HOST") {
        return Ok(vec![place("DOCKER_HOST", value)?]);
    }
    let folder = environment
        .path("DOCKER_CONFIG")
        .or_else(|| environment.home().ok().map(|home| home.join(".docker")));
    if let Some(folder) = folder {
        let named = environment.variable("DOCKER_CONTEXT").map(str::to_owned);
        let current = named.or_else(|| current_context(&folder)).unwrap_or_default();
        if !current.is_empty() && current != "default" {
            return Ok(vec![of_context(&folder, &current)?]);
        }
    }
    let runtime = environment.base_folder("XDG_RUNTIME_DIR");
    let of_user = ["docker.sock", "podman/podman.sock"];
    let of_user = of_user.iter().filter_map(|name| Some(runtime.as_ref()?.join(name)));
    let of_machine = ["/var/run/docker.sock", "/run/podman/podman.sock"];
    let of_machine = of_machine.iter().map(|path| environment.system(path));
    let usual = of_machine.clone().take(1).chain(of_user).chain(of_machine.skip(1));
    let place = |path: PathBuf| DaemonPlace {
        setting: "the usual place".to_owned(),
        address: DaemonAddress::Socket(path),
    };
    Ok(usual.filter(|path| path.exists()).map(place).collect())
}

fn current_context(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("config.json")).ok()?;
    serde_json::from_str(&text).ok().map(|file: DockerFile| file.current_context)
}

/// Docker keeps a context in a folder that is named by the digest of its name.
fn of_context(folder: &Path, name: &str) -> Result<DaemonPlace, SettingsError> {
    let path =
        folder.join("contexts/meta").join(Digest::of(name.as_bytes()).hex()).join("meta.json");
    let text = fs::read_to_string(&path)
        .map_err(|source| SettingsError::Read { path: path.clone(), source })?;
    let context: Context = serde_json::from_str(&text).map_err(|error| SettingsError::Syntax {
        path,
        line: error.line(),
        reason: error.to_string(),
    })?;
    place(&format!("the Docker context `{name}`"), &context.endpoints.docker.host)
}

fn place(setting: &str, value: &str) -> Result<DaemonPlace, SettingsError> {
    let address = match value.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => DaemonAddress::Socket(path.into()),
        Some(("tcp" | "http", rest)) if !rest.trim_end_matches('/').is_empty() => {
            DaemonAddress::Tcp(rest.trim_end_matches('/').into())
        }
        _ => {
            return Err(SettingsError::Value {
                setting: setting.to_owned(),
                value: masked(value),
                expected: "unix:///PATH or tcp://HOST:PORT; for a daemon behind ssh or TLS, forward its socket and name that",
            });
        }
    };
    Ok(DaemonPlace { address, setting: setting.to_owned() })
}
