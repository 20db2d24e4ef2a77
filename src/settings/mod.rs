//! Where things come from and where they go: folders, package indexes, Debian
//! archives, registries, proxies.
//!
//! A lock says *what* (hashes), never *where*: the places are the user's own.
//! This is the one module that reads the environment, the two settings files
//! (`repro/settings.toml` in the user's configuration folder and `repro.toml` in
//! the project), and what the machine already knows: pip's and apt's own
//! configuration, and git's. What is nearer wins: command line, `REPRO_*` variables, the
//! project's file, the user's file, then other tools' settings.
//!
//! Invariants: every location remembers the name of the setting it came from,
//! so that an error can say what to change; credentials in a location are never
//! printed (see [`Location`] and [`Address`]); under sudo the store is the invoking user's unless
//! somebody says otherwise. Asking the locations for anything is left to `fetch`.

mod apt;
mod apt_conf;
mod credentials;
mod debian;
mod engine;
mod environment;
mod error;
mod file;
mod folders;
mod git;
mod helpers;
mod location;
mod netrc;
mod pip;
mod proxies;
mod python;
mod registries;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

pub use credentials::RegistryCredentials;
pub use debian::Archive;
pub use engine::{DaemonAddress, DaemonPlace, EngineChoice};
pub use environment::Environment;
pub use error::SettingsError;
pub use git::{GitPlace, GitSettings};
pub use location::Location;
pub use netrc::Credentials;
pub use proxies::Proxies;
pub use python::PythonSources;
pub use registries::RegistryPlace;

use crate::address::Address;
use apt_conf::AptConfiguration;
use file::SettingsFile;
use pip::PipConfiguration;

/// Slow mirrors think for a while before they send a large file they do not have yet.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// What the command line says; absent means that the next source decides.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--project DIR`.
    pub project: Option<PathBuf>,
    /// `--data DIR`.
    pub data: Option<PathBuf>,
    /// `--results DIR`: the folder that run folders are made in.
    pub results: Option<PathBuf>,
    /// `--index-url URL`.
    pub index_url: Option<Address>,
    /// `--extra-index-url URL`, in the order given.
    pub extra_index_url: Vec<Address>,
    /// `--find-links URL-OR-FOLDER`, in the order given.
    pub find_links: Vec<Address>,
    /// `--debian-mirror URL`, in the order given.
    pub debian_mirror: Vec<Address>,
    /// `--debian-security-mirror URL`, in the order given.
    pub debian_security_mirror: Vec<Address>,
    /// `--mirror DIR-OR-URL`, in the order given.
    pub mirror: Vec<Address>,
    /// `--offline`.
    pub offline: bool,
    /// `--engine ENGINE`.
    pub engine: Option<String>,
}

/// Everything that was set, by whomever.
#[derive(Debug)]
pub struct Settings {
    options: Options,
    environment: Environment,
    /// The settings files, nearest first.
    files: Vec<SettingsFile>,
    project: Option<PathBuf>,
    store: PathBuf,
    data: Option<PathBuf>,
    results: PathBuf,
    offline: bool,
    python: OnceLock<PythonSources>,
}

impl Settings {
    /// Reads the settings of this process.
    pub fn load(options: Options) -> Result<Self, SettingsError> {
        Self::load_in(options, Environment::of_this_process()?)
    }

    /// Reads the settings in surroundings that the caller made up: tests, and `verify`'s perturbed rebuild.
    pub fn load_in(options: Options, environment: Environment) -> Result<Self, SettingsError> {
        let project = folders::project(&options, &environment)?;
        let files = file::read_all(project.as_deref(), &environment)?;
        let store = folders::store(&files, &environment)?;
        let data = folders::data(&options, &files, &environment);
        let results = folders::results(&options, &files, project.as_deref(), &environment);
        let offline = offline(&options, &files, &environment)?;
        let python = OnceLock::new();
        Ok(Self { options, environment, files, project, store, data, results, offline, python })
    }

    /// The project's root: the folder that holds `images` and `lockfiles`.
    ///
    /// # Errors
    ///
    /// [`SettingsError::NoProject`] if neither the current folder nor one above it is a project.
    pub fn project(&self) -> Result<&Path, SettingsError> {
        self.project.as_deref().ok_or_else(|| SettingsError::NoProject {
            folder: self.environment.folder().to_owned(),
        })
    }

    /// The store's folder; it may not exist yet.
    pub fn store_folder(&self) -> &Path {
        &self.store
    }

    /// The folder that datasets lie in, if anybody said where that is.
    pub fn data_folder(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// The folders that describe the machine's GPUs (Container Device Interface), if anybody said
    /// where they are; what a later one says wins.
    pub fn cdi_folders(&self) -> Option<Vec<PathBuf>> {
        folders::cdi(&self.files, &self.environment)
    }

    /// The folder that run folders are made in: `results` in the project (or in the current folder without one).
    pub fn results_folder(&self) -> &Path {
        &self.results
    }

    /// Whether nothing may be asked from a network.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// Where Python's packages come from.
    ///
    /// # Errors
    ///
    /// A location that is no URL, a pip configuration that cannot be read, or nothing set and no
    /// pip to ask for its built-in default ([`SettingsError::NoIndex`]).
    pub fn python_sources(&self) -> Result<&PythonSources, SettingsError> {
        if let Some(sources) = self.python.get() {
            return Ok(sources);
        }
        let sources = python::resolve(self)?;
        Ok(self.python.get_or_init(|| sources))
    }

    /// The Debian archives to try for a release such as `bullseye`, nearest first; main archives
    /// before security archives.
    ///
    /// # Errors
    ///
    /// [`SettingsError::NoArchive`] if nothing is set and apt has no Debian source either.
    pub fn debian_archives(&self, suite: &str) -> Result<Vec<Archive>, SettingsError> {
        debian::resolve(self, suite)
    }

    /// What `repro mirror` wrote, nearest first: every pinned input is looked for there before
    /// anywhere else.
    ///
    /// # Errors
    ///
    /// A setting that is neither URL nor path.
    pub fn mirrors(&self) -> Result<Vec<Location>, SettingsError> {
        let said = debian::own(self, "mirror", &self.options.mirror);
        said.map_or(Ok(Vec::new()), |said| said.locations())
    }

    /// How long a server may be silent before it is given up.
    ///
    /// # Errors
    ///
    /// A setting that is no number of seconds.
    pub fn silence_limit(&self) -> Result<Duration, SettingsError> {
        let names = ["REPRO_TIMEOUT", "UV_HTTP_TIMEOUT", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"];
        let set = names.iter().find_map(|name| Some((name, self.environment.variable(name)?)));
        let Some((name, text)) = set else { return Ok(SILENCE_LIMIT) };
        match text.parse() {
            Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
            _ => Err(SettingsError::Value {
                setting: (*name).to_owned(),
                value: text.to_owned(),
                expected: "a number of seconds above 0",
            }),
        }
    }

    /// The engine that jobs are to run in.
    ///
    /// # Errors
    ///
    /// A setting that names no engine.
    pub fn engine(&self) -> Result<EngineChoice, SettingsError> {
        engine::choice(self)
    }

    /// Where to look for a Docker daemon, nearest first: the one place of `DOCKER_HOST` or of
    /// Docker's current context, else every usual socket that is there, podman's among them.
    ///
    /// # Errors
    ///
    /// An address that is neither a socket nor plain TCP, or a context that cannot be read.
    pub fn daemons(&self) -> Result<Vec<DaemonPlace>, SettingsError> {
        engine::daemons(self)
    }

    /// The proxies to go through, as the environment names them.
    pub fn proxies(&self) -> Proxies {
        Proxies::of(&self.environment)
    }

    /// The proxies to Python's packages: the environment's, else pip's own.
    ///
    /// # Errors
    ///
    /// A pip configuration that cannot be read.
    pub fn python_proxies(&self) -> Result<Proxies, SettingsError> {
        Ok(self.proxies().or_pips(&self.environment, &PipConfiguration::read(&self.environment)?))
    }

    /// The proxies to Debian's archives: apt's own, else the environment's.
    pub fn debian_proxies(&self) -> Proxies {
        self.proxies().under_apts(&AptConfiguration::read(&self.environment))
    }

    /// A file of certificates to trust beside the system's when Python's packages are asked for:
    /// `PIP_CERT`, else `cert` in pip's configuration.
    ///
    /// # Errors
    ///
    /// A pip configuration that cannot be read, or a file that holds no certificate.
    pub fn python_certificates(&self) -> Result<Option<PathBuf>, SettingsError> {
        PipConfiguration::read(&self.environment)?.certificates(&self.environment)
    }

    /// Names and passwords for hosts of Python's packages that a location names none for.
    pub fn credentials(&self) -> Credentials {
        Credentials::of_user(&self.environment)
    }
}

fn offline(
    options: &Options,
    files: &[SettingsFile],
    environment: &Environment,
) -> Result<bool, SettingsError> {
    if options.offline {
        return Ok(true);
    }
    match environment.variable("REPRO_OFFLINE") {
        Some(text) => environment::truth("REPRO_OFFLINE", text),
        None => Ok(files.iter().find_map(|file| file.content.offline).unwrap_or(false)),
    }
}
