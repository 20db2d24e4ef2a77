//! Describes a sealed run in Docker's words.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::daemon::Kind;
use super::inside::INPUT;
use super::parts::Parts;
use crate::engine::sealed::{
    GENERATED, LOCKED_MEMORY, MASKED, OOM_SCORE, OPEN_FILES, OPTIONAL, READ_ONLY, STACK,
};
use crate::engine::{Card, EngineError, Failure, Gpus, HOST_NAME, Input, Job, Mount};
use crate::image::{Image, ImageLayer};
use crate::layer::{EntryKind, LayerPlan};
use crate::store::{Store, StoreError};

/// Label of every container of ours; for people, since ours are found by their names.
const LABEL: &str = "io.repro.job";

/// No limit, as Docker writes it.
const UNLIMITED: i64 = -1;

/// What a container needs of this machine while it runs.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Writes the generated files of `/etc` where the daemon can read them.
    pub(super) fn create(store: &Store) -> Result<Self, EngineError> {
        let files = Self { folder: store.scratch("job")? };
        for (name, text) in GENERATED {
            let path = files.folder.join(name);
            // Whoever runs `repro`, the job's user may be another one.
            fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o644)))
                .map_err(|source| StoreError::Io { action: "create", path, source })?;
        }
        Ok(files)
    }

    /// Where the daemon finds what the job is to read: the terminal itself, or a named pipe.
    pub(super) fn with_input(&self, input: &Input) -> Result<PathBuf, EngineError> {
        let failed = |source: io::Error| Failure::step("hand on the input", source);
        if input.is_terminal() {
            return Ok(input.terminal_path().map_err(failed)?);
        }
        let path = self.folder.join("input");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
        let made = rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0);
        made.map_err(|error| failed(error.into()))?;
        input.pass_into(path.clone());
        Ok(path)
    }

    /// The job's folder, unique in its session.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the session.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Everything that decides a container.
pub(super) struct Plan<'a> {
    pub(super) image: &'a str,
    pub(super) job: &'a Job,
    /// The job's mounts with their real sources.
    pub(super) mounts: &'a [Mount],
    /// What the job reads, if it reads anything.
    pub(super) input: Option<&'a Path>,
    pub(super) parts: &'a Parts,
    pub(super) files: &'a Files,
    pub(super) kind: &'a Kind,
    /// Whether the image lacks the file that is made only then.
    pub(super) with_optional: bool,
}

impl Plan<'_> {
    /// The body of the request that creates the container.
    ///
    /// The image's own command, environment, user and volumes count for nothing: every field that an
    /// image could fill is set.
    pub(super) fn body(&self) -> Value {
        json!({
            "Image": self.image,
            "Hostname": HOST_NAME,
            "User": "0:0",
            "Entrypoint": self.parts.command(),
            "Cmd": [],
            "Env": [],
            "WorkingDir": self.job.workdir,
            "Tty": false,
            // The daemon closes it when `repro` is gone, and the job ends.
            "OpenStdin": true, "StdinOnce": true,
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
            "Healthcheck": { "Test": ["NONE"] },
            "Labels": { LABEL: HOST_NAME },
            "HostConfig": self.host(),
        })
    }

    fn host(&self) -> Value {
        let mut host = json!({
            "NetworkMode": "none",
            "ReadonlyRootfs": true,
            "CapDrop": ["ALL"],
            // The filter is ours, and set by our process: the daemon's own differs from version to
            // version. A label of SELinux would hide what is mounted.
            "SecurityOpt": ["no-new-privileges", "seccomp=unconfined", "label=disable"],
            "IpcMode": "private",
            "ShmSize": self.job.shm_size,
            "OomScoreAdj": OOM_SCORE,
            "Ulimits": limits(),
            "MaskedPaths": MASKED,
            "ReadonlyPaths": READ_ONLY.iter().chain(&["/dev"]).collect::<Vec<_>>(),
            "LogConfig": { "Type": "none" },
            "RestartPolicy": { "Name": "no" },
            "Mounts": self.all_mounts(),
        });
        if let Some(bytes) = self.job.memory {
            host["Memory"] = json!(bytes);
            host["MemorySwap"] = json!(bytes);
        }
        if let Some(request) = devices(&self.job.gpus) {
            host["DeviceRequests"] = json!([request]);
        }
        host
    }

    fn all_mounts(&self) -> Vec<Value> {
        // A volume without a name begins with what the image has there, and goes with the container.
        let writable =
            self.job.writable.iter().map(|path| json!({ "Type": "volume", "Target": path }));
        let generated = GENERATED
            .iter()
            .filter(|(name, _)| self.with_optional || *name != OPTIONAL)
            .map(|(name, _)| {
                self.bind(&self.files.folder.join(name), &format!("/etc/{name}"), false)
            });
        let parts = self.parts.files().map(|(path, target)| self.bind(path, &target, false));
        let mounts = self.mounts.iter().map(|it| self.bind(&it.source, &it.target, it.writable));
        let input = self.input.map(|source| self.bind(source, INPUT, true));
        writable.chain(generated).chain(parts).chain(mounts).chain(input).collect()
    }

    fn bind(&self, source: &Path, target: &str, writable: bool) -> Value {
        let mut bind =
            json!({ "Type": "bind", "Source": source, "Target": target, "ReadOnly": !writable });
        if !writable && !self.kind.leaks_submounts {
            bind["BindOptions"] =
                json!({ "ReadOnlyForceRecursive": true, "Propagation": "rprivate" });
        }
        bind
    }
}

/// What asks the daemon for these GPUs: by what names them on any machine, else by their number.
fn devices(gpus: &Gpus) -> Option<Value> {
    let capabilities = json!([["gpu", "compute", "utility"]]);
    match gpus {
        Gpus::Cards(cards) if !cards.is_empty() => {
            let name = |card: &Card| card.uuid.clone().unwrap_or_else(|| card.index.to_string());
            let names: Vec<_> = cards.iter().map(name).collect();
            Some(json!({ "DeviceIDs": names, "Capabilities": capabilities }))
        }
        Gpus::All => Some(json!({ "Count": -1, "Capabilities": capabilities })),
        Gpus::None | Gpus::Cards(_) => None,
    }
}

fn limits() -> Value {
    let limit =
        |name: &str, soft: i64, hard: i64| json!({ "Name": name, "Soft": soft, "Hard": hard });
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    json!([
        limit("core", 0, 0),
        limit("memlock", number(LOCKED_MEMORY), number(LOCKED_MEMORY)),
        limit("nofile", number(OPEN_FILES), number(OPEN_FILES)),
        limit("stack", number(STACK), UNLIMITED),
    ])
}

/// A file system that is mounted below `source`: an older daemon would let the job write to it.
pub(super) fn mounted_below(source: &Path) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    below(&mounts, source)
}

/// Reads `/proc/self/mountinfo` (proc(5)): the fifth field is where something is mounted.
fn below(mounts: &str, source: &Path) -> Option<PathBuf> {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    let mut places = places.filter(|place| place != source && place.starts_with(source));
    places.next()
}

/// Four characters of a path are written as octal numbers.
fn unescaped(text: &str) -> PathBuf {
    let plain = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    plain.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain)).into()
}

/// Permission bits of the writable folders that layers of ours have, topmost layer first.
pub(super) fn modes(image: &Image, job: &Job) -> BTreeMap<String, u32> {
    let mode = |folder: &String| {
        let path = folder.trim_start_matches('/');
        let plans = image.layers.iter().rev().filter_map(ImageLayer::plan);
        let found = plans.flat_map(LayerPlan::entries).find(|entry| entry.path == path);
        let found = found.filter(|entry| entry.kind == EntryKind::Directory);
        found.map(|entry| (folder.clone(), entry.mode))
    };
    job.writable.iter().filter_map(mode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_asked_for_by_uuid_or_number() {
        let card = |index, uuid: Option<&str>| Card {
            index,
            minor: 7,
            uuid: uuid.map(str::to_owned),
            name: "a card".to_owned(),
        };
        assert_eq!(devices(&Gpus::None), None);
        assert_eq!(devices(&Gpus::All).unwrap()["Count"], -1);
        let cards = Gpus::Cards(vec![card(2, Some("GPU-8932")), card(3, None)]);
        assert_eq!(devices(&cards).unwrap()["DeviceIDs"], json!(["GPU-8932", "3"]));
    }

    #[test]
    fn a_mount_below_a_folder_is_found_and_one_beside_it_is_not() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /data\\040set/inner rw - ext4 /dev/b rw\n\
             3 1 8:3 / /data-2 rw - ext4 /dev/c rw";
        let found = |path: &str| below(mounts, Path::new(path));
        assert_eq!(found("/data set"), Some("/data set/inner".into()));
        assert_eq!(found("/data"), None);
        assert_eq!(found("/data-2"), None);
        assert_eq!(found("/data set/inner"), None);
    }
}
