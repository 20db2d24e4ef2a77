//! The surroundings of a process: variables, current folder, and the root of the file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SettingsError;

/// What a process finds around itself, as a value, so that a test can make one up.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    folder: PathBuf,
    root: PathBuf,
}

impl Environment {
    /// The surroundings of this process.
    #[expect(clippy::disallowed_methods, reason = "`settings` is the place that reads them, once")]
    pub fn of_this_process() -> Result<Self, SettingsError> {
        let folder = std::env::current_dir()
            .map_err(|source| SettingsError::Read { path: PathBuf::from("."), source })?;
        // A variable that is not Unicode is none that anybody here reads.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()))
            .collect();
        Ok(Self { variables, folder, root: PathBuf::from("/") })
    }

    /// Surroundings with nothing set: `folder` is the current folder, `root` stands for `/`
    /// wherever the machine's own configuration is read.
    pub fn new(folder: &Path, root: &Path) -> Self {
        Self { variables: BTreeMap::new(), folder: folder.to_owned(), root: root.to_owned() }
    }

    /// The same with a variable set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The current folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A variable; one that is set to nothing counts as not set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that names a folder, relative to the current one.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(|value| self.folder.join(value))
    }

    /// A variable of the desktop's base folders; one that is not absolute is to be ignored
    /// (XDG Base Directory Specification, "Environment variables").
    pub(super) fn base_folder(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variable(name)?);
        (path.is_absolute() && !self.is_roots_under_sudo(&path)).then_some(path)
    }

    /// A file of the machine's own configuration, named by its absolute path.
    pub(super) fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The home folder of the user whom all this is done for: under sudo the invoking one's.
    pub(super) fn home(&self) -> Result<PathBuf, SettingsError> {
        match self.variable("SUDO_UID") {
            Some(uid) => {
                self.home_of(uid).ok_or_else(|| SettingsError::NoSudoHome { uid: uid.to_owned() })
            }
            None => self.path("HOME").ok_or(SettingsError::NoHome),
        }
    }

    fn is_roots_under_sudo(&self, path: &Path) -> bool {
        self.variable("SUDO_UID").is_some_and(|uid| uid != "0")
            && self.home_of("0").is_some_and(|home| path.starts_with(home))
    }

    fn home_of(&self, uid: &str) -> Option<PathBuf> {
        let text = fs::read_to_string(self.system("/etc/passwd")).unwrap_or_default();
        home_in(&text, uid).or_else(|| {
            // Users of a directory service stand in no file; `getent` asks the service.
            let output = Command::new("getent").args(["passwd", uid]).output().ok()?;
            home_in(&String::from_utf8_lossy(&output.stdout), uid)
        })
    }

    /// A program to run with these variables, away from the current folder: what lies there must
    /// not get between an interpreter and its modules.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(&self.root);
        command
    }
}

impl std::fmt::Debug for Environment {
    /// Variables hold passwords; none is printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("folder", &self.folder)
            .field("root", &self.root)
            .finish()
    }
}

/// The home folder in a text of passwd(5).
fn home_in(passwd: &str, uid: &str) -> Option<PathBuf> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut homes = fields.filter(|fields| fields.len() >= 7 && fields[2] == uid);
    homes.next().map(|fields| PathBuf::from(fields[5])).filter(|home| home.is_absolute())
}

/// Reads a variable that is on or off.
pub(super) fn truth(setting: &str, text: &str) -> Result<bool, SettingsError> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "y" | "t" => Ok(true),
        "0" | "false" | "no" | "off" | "n" | "f" => Ok(false),
        _ => Err(SettingsError::Value {
            setting: setting.to_owned(),
            value: text.to_owned(),
            expected: "`1` or `0`",
        }),
    }
}
