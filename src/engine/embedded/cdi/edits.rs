//! What a description of devices changes in a job.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CdiError;
use crate::engine::embedded::order::{Bind, Hook};

/// When programs may run: before the job's root is closed.
const TIMES: [&str; 4] = ["prestart", "createRuntime", "createContainer", "startContainer"];

/// Places that a sealed run fills itself; devices go to the last one.
const RESERVED: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What is added to a job.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::engine::embedded) struct Edits {
    /// Variables, which win over the image's.
    pub(in crate::engine::embedded) env: BTreeMap<String, String>,
    /// Folders that the job's linker shall look into first.
    pub(in crate::engine::embedded) library_folders: Vec<String>,
    /// Devices and files of this machine.
    pub(in crate::engine::embedded) binds: Vec<Bind>,
    /// Programs that prepare the job's root, by their time.
    pub(in crate::engine::embedded) hooks: BTreeMap<String, Vec<Hook>>,
    /// Devices that a description names and this machine does not have: a card that fell off the bus, the node of
    /// a module that is not loaded. What needs none of them is not kept from running.
    pub(super) missing: Vec<Missing>,
}

/// A device that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Its path in the job.
    pub(super) target: String,
    path: PathBuf,
    key: String,
    reason: String,
}

impl From<Missing> for CdiError {
    fn from(Missing { path, key, reason, .. }: Missing) -> Self {
        Self::Document { path, key, reason }
    }
}

/// Where something stands, for errors.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) key: String,
    /// Whether the file follows a version of the specification that came after the one known here: keys that it may
    /// have added are passed over.
    pub(super) is_later: bool,
}

impl Place<'_> {
    fn refuse(&self, reason: impl Into<String>) -> CdiError {
        let (path, key) = (self.path.to_owned(), self.key.clone());
        CdiError::Document { path, key, reason: reason.into() }
    }

    fn below(&self, key: &str, position: usize) -> Self {
        let key = format!("{}.{key}[{position}]", self.key);
        Self { path: self.path, key, is_later: self.is_later }
    }

    /// Passes over keys of a later version; in a file of a known one they are mistakes.
    fn check(&self, others: &Others) -> Result<(), CdiError> {
        match others.keys().next() {
            Some(key) if !self.is_later => Err(self.refuse(format!("unknown field `{key}`"))),
            Some(key) => {
                let (path, place) = (self.path.display(), &self.key);
                tracing::warn!(
                    "`{place}.{key}` of `{path}` is of a later version, and passed over"
                );
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Keys that are not known.
type Others = BTreeMap<String, Value>;

/// The keys of `containerEdits`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Keys {
    env: Vec<Value>,
    device_nodes: Vec<Value>,
    mounts: Vec<Value>,
    hooks: Vec<Value>,
    /// Groups that may open a device: root, as which every job runs, needs none.
    #[serde(rename = "additionalGids")]
    _groups: Vec<Value>,
    /// Shares of a processor's cache, which are nothing to a GPU.
    #[serde(rename = "intelRdt")]
    _cache: Option<Value>,
    #[serde(flatten)]
    others: Others,
}

/// A device. Numbers, owner and mode are those of this machine's node.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: String,
    host_path: Option<PathBuf>,
    #[serde(rename = "type")]
    _kind: Option<String>,
    #[serde(rename = "major")]
    _major: Option<i64>,
    #[serde(rename = "minor")]
    _minor: Option<i64>,
    #[serde(rename = "fileMode")]
    _mode: Option<u32>,
    #[serde(rename = "permissions")]
    _permissions: Option<String>,
    #[serde(rename = "uid")]
    _user: Option<u32>,
    #[serde(rename = "gid")]
    _group: Option<u32>,
    #[serde(flatten)]
    others: Others,
}

/// A file or folder. It is shown read-only, whatever the options say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    host_path: PathBuf,
    container_path: String,
    #[serde(rename = "options", default)]
    _options: Vec<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Program {
    hook_name: String,
    path: PathBuf,
    #[serde(default)]
    args: Vec<Value>,
    #[serde(default)]
    env: Vec<String>,
    timeout: Option<i64>,
    #[serde(flatten)]
    others: Others,
}

impl Edits {
    /// Adds what one `containerEdits` asks for.
    pub(super) fn add(&mut self, part: &Value, place: &Place<'_>) -> Result<(), CdiError> {
        let keys: Keys = read(part, place)?;
        place.check(&keys.others)?;
        for (position, item) in keys.env.iter().enumerate() {
            self.add_variable(item, &place.below("env", position))?;
        }
        for (position, item) in keys.device_nodes.iter().enumerate() {
            self.add_device(item, &place.below("deviceNodes", position))?;
        }
        for (position, item) in keys.mounts.iter().enumerate() {
            self.add_mount(item, &place.below("mounts", position))?;
        }
        for (position, item) in keys.hooks.iter().enumerate() {
            self.add_hook(item, &place.below("hooks", position))?;
        }
        Ok(())
    }

    fn add_variable(&mut self, item: &Value, place: &Place<'_>) -> Result<(), CdiError> {
        let pair = item.as_str().and_then(|text| text.split_once('='));
        let (key, value) = pair
            .filter(|(key, _)| !key.is_empty())
            .filter(|(key, value)| !key.contains('\0') && !value.contains('\0'))
            .ok_or_else(|| place.refuse("it is not `NAME=VALUE`"))?;
        self.env.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn add_device(&mut self, item: &Value, place: &Place<'_>) -> Result<(), CdiError> {
        let node: Node = read(item, place)?;
        place.check(&node.others)?;
        let target = Path::new(&node.path);
        if !is_plain(&node.path) || !target.starts_with("/dev") || target == Path::new("/dev") {
            return Err(place.refuse(format!("`{}` is not a path below `/dev`", node.path)));
        }
        let source = node.host_path.unwrap_or_else(|| target.to_owned());
        if source.is_absolute() && source.symlink_metadata().is_err_and(|it| is_not_there(&it)) {
            let reason = format!("`{}` is not there", source.display());
            let (path, key) = (place.path.to_owned(), place.key.clone());
            self.missing.push(Missing { target: node.path, path, key, reason });
            return Ok(());
        }
        let source = find(&source, place)?;
        let kind = fs::metadata(&source).map(|metadata| metadata.file_type());
        if !kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device()) {
            return Err(place.refuse(format!("`{}` is not a device", source.display())));
        }
        self.binds.push(Bind { source, target: node.path, writable: false, device: true });
        Ok(())
    }

    fn add_mount(&mut self, item: &Value, place: &Place<'_>) -> Result<(), CdiError> {
        let mount: Mount = read(item, place)?;
        place.check(&mount.others)?;
        let target = mount.container_path;
        let reserved = RESERVED.iter().any(|reserved| Path::new(&target).starts_with(reserved));
        if !is_plain(&target) || reserved || target == "/" {
            return Err(place.refuse(format!("`{target}` is not a path that can be mounted on")));
        }
        if mount.kind.is_some_and(|kind| kind != "bind" && kind != "none") {
            return Err(place.refuse("only files and folders of this machine can be mounted"));
        }
        let source = find(&mount.host_path, place)?;
        self.binds.push(Bind { source, target, writable: false, device: false });
        Ok(())
    }

    fn add_hook(&mut self, item: &Value, place: &Place<'_>) -> Result<(), CdiError> {
        let program: Program = read(item, place)?;
        place.check(&program.others)?;
        if !TIMES.contains(&program.hook_name.as_str()) {
            let reason = format!("a program at the time `{}` is never run", program.hook_name);
            return Err(place.refuse(reason));
        }
        let args = program.args.iter().map(|argument| match argument {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(argument.to_string()),
            _ => Err(place.refuse("an argument is not a text")),
        });
        let args = args.collect::<Result<_, _>>()?;
        // The last one is run in the job's own root.
        if program.hook_name != TIMES[3] {
            find(&program.path, place)?;
        }
        let Program { hook_name, path, env, timeout, .. } = program;
        self.hooks.entry(hook_name).or_default().push(Hook { path, args, env, timeout });
        Ok(())
    }
}

fn read<T: DeserializeOwned>(value: &Value, place: &Place<'_>) -> Result<T, CdiError> {
    T::deserialize(value).map_err(|error| place.refuse(error.to_string()))
}

/// The real path of something on this machine.
fn find(path: &Path, place: &Place<'_>) -> Result<PathBuf, CdiError> {
    let missing = |error| place.refuse(format!("`{}`: {error}", path.display()));
    if !path.is_absolute() {
        return Err(place.refuse(format!("`{}` is not absolute", path.display())));
    }
    fs::canonicalize(path).map_err(missing)
}

fn is_not_there(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn is_plain(path: &str) -> bool {
    let mut components = Path::new(path).components();
    components.next() == Some(Component::RootDir)
        && !path.contains('\0')
        && components.all(|component| matches!(component, Component::Normal(_)))
}
