//! Every error's exit code and hint; the only place that knows commands.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output;
use crate::audit::AuditError;
use crate::bench::BenchError;
use crate::build::BuildError;
use crate::carry::CarryError;
use crate::dataset::DatasetError;
use crate::diff::DiffError;
use crate::digest::Digest;
use crate::engine::EngineError;
use crate::fetch::pin::PinError;
use crate::fetch::{FetchError, InputError};
use crate::gc::GcError;
use crate::git::GitError;
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::recipe::RecipeError;
use crate::registry::RegistryError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// Whatever ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error(transparent)]
    Gc(#[from] GcError),
    #[error(transparent)]
    Diff(#[from] DiffError),
    #[error("cannot {action} `{}`", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error("the second build's answer cannot be read")]
    Rebuilt(#[source] serde_json::Error),
    #[error("image `{name}` has no lock")]
    NoLock { name: String },
    #[error("the lock of `{name}` is not of the recipe as it is now{}", lines(differences))]
    LockIsOld { name: String, differences: Vec<String> },
    #[error("{open}")]
    LockIsOpen { name: String, complete: Vec<String>, open: LockError },
    #[error("image `{name}` has no seal yet")]
    NotSealed { name: String },
    #[error("image `{reference}` was never built here\n  seal  {seal}")]
    NotBuilt { reference: String, seal: Digest },
    #[error("`{reference}` is no image{}{}", nearest.as_ref().map_or(String::new(), |name| format!("; the nearest is `{name}`")), lines(known))]
    Unknown { reference: String, nearest: Option<String>, known: Vec<String> },
    #[error("`{reference}` can be any of {}{}", candidates.len(), lines(candidates))]
    Ambiguous { reference: String, candidates: Vec<String> },
    #[error("the store has no recipe of `{name}`")]
    NoRecipe { name: String },
    #[error("the data folder `{}` is not there", path.display())]
    NoDataFolder { path: PathBuf },
    #[error("`{name}` is no name of a system: {rule}")]
    NoName { name: String, rule: String },
    #[error("`{}` is there already", path.display())]
    Exists { path: PathBuf },
    #[error("`{}` is in no project and not empty\n  found  {}", folder.display(), entry.display())]
    NotEmpty { folder: PathBuf, entry: PathBuf },
    #[error("nobody said where data sets lie")]
    NoDataSetting,
    #[error("stopped")]
    Stopped,
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

/// Exit codes, as `--help` lists them.
const INTERNAL: u8 = 1;
const INPUT: u8 = 2;
const CONTENT: u8 = 3;
const NOT_THERE: u8 = 4;
/// What a shell shows for a program that Ctrl-C ended.
const STOPPED: u8 = 130;

impl CliError {
    /// Prints the error with its causes and its hint; returns the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            output::json(&json!({ "error": self.to_string(), "causes": self.causes(),
                "hint": self.hint(), "exit_code": self.code() }));
        }
        output::note(&format!("error: {}", self.text()));
        self.exit_code()
    }

    /// The error with its causes and its hint.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str(&format!("\n  because: {cause}"));
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }

    /// What the program ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut cause = self.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        causes
    }

    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Recipe(_) | Self::Lock(_) => INPUT,
            Self::Pin(error) => pin_code(error),
            Self::NoLock { .. }
            | Self::LockIsOld { .. }
            | Self::LockIsOpen { .. }
            | Self::NotSealed { .. }
            | Self::NotBuilt { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::NoRecipe { .. }
            | Self::NoDataSetting
            | Self::NoDataFolder { .. }
            | Self::NoName { .. }
            | Self::Exists { .. }
            | Self::NotEmpty { .. } => INPUT,
            Self::Store(error) => store_code(error),
            Self::Image(error) => image_code(error),
            Self::Build(error) => build_code(error),
            Self::Layer(error) => layer_code(error),
            Self::Fetch(error) => fetch_code(error),
            Self::Registry(error) => registry_code(error),
            Self::Engine(error) => engine_code(error),
            Self::Dataset(error) => dataset_code(error),
            Self::Bench(error) => bench_code(error),
            Self::Audit(error) => audit_code(error),
            Self::Carry(error) => carry_code(error),
            Self::Gc(error) => gc_code(error),
            Self::Diff(error) => diff_code(error),
            Self::Io { .. } | Self::Signals(_) | Self::Rebuilt(_) => INTERNAL,
            Self::Stopped => STOPPED,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(SettingsError::NoProject { .. }) => {
                Some("go to the project's folder, or name it with `--project DIR`; `repro init NAME` makes one in an empty folder".to_owned())
            }
            Self::NoLock { name } => Some(format!("`repro lock {name}` writes it")),
            Self::LockIsOld { name, .. } => Some(format!(
                "`repro lock {name}` resolves the recipe again; `--diff` shows what would change"
            )),
            Self::Lock(error) | Self::Build(BuildError::Lock(error)) => lock_hint(error),
            Self::Pin(PinError::UnknownName { .. }) => Some(
                "a name is that of a distribution, a Debian package or a local file of the lock, or `debian` for all packages"
                    .to_owned(),
            ),
            Self::Fetch(error) | Self::Build(BuildError::Fetch(error)) => fetch_hint(error),
            Self::LockIsOpen { name, complete, .. } => Some(open_hint(name, complete)),
            Self::NotSealed { name } => Some(format!("`repro build {name}` builds and seals it")),
            Self::NotBuilt { reference, .. } => {
                Some(format!("`repro build {reference}` builds it"))
            }
            Self::NoDataFolder { .. } => {
                Some("make it, or name another with `--data DIR` or `$REPRO_DATA`".to_owned())
            }
            Self::Audit(AuditError::Fetch(error)) => fetch_hint(error),
            Self::Audit(AuditError::Store(error)) => store_hint(error),
            Self::Audit(AuditError::Engine(error)) => engine_hint(error),
            Self::Exists { .. } => {
                Some("choose another name, or remove the file".to_owned())
            }
            Self::NotEmpty { .. } => Some(
                "go to a project, or make an empty folder for a new one".to_owned(),
            ),
            Self::NoDataSetting => {
                Some("name the folder with `--data DIR` or `$REPRO_DATA`".to_owned())
            }
            Self::Unknown { .. } => Some("`repro list` shows what there is".to_owned()),
            Self::Ambiguous { .. } => Some("give more of the name or of the digest".to_owned()),
            Self::Store(error) => store_hint(error),
            Self::Build(error) => build_hint(error),
            Self::Registry(error) => registry_hint(error),
            Self::Engine(error) => engine_hint(error),
            Self::Dataset(DatasetError::NotVerified(report)) => Some(format!(
                "`repro fetch-data {}` brings it to where `--data` or `$REPRO_DATA` says; `repro verify-data` shows each file; a copy of the store that differs can be removed, it is unpacked again",
                report.name
            )),
            Self::Dataset(DatasetError::Occupied { .. }) => {
                Some("move it away if it is not needed; the data set is then unpacked there".to_owned())
            }
            Self::Dataset(DatasetError::NoManifest { name }) => Some(format!(
                "nothing pins the files of `{name}`, so a run could not say what it used; `repro fetch-data {name}` brings what can be had, and `repro pin-data FILE` pins an archive that you have"
            )),
            Self::Dataset(DatasetError::Contradicted { .. }) => Some(
                "the publisher may have replaced it, or the download is damaged; `--replace` pins it all the same"
                    .to_owned(),
            ),
            Self::Dataset(DatasetError::Ambiguous { .. }) => {
                Some("put it into a folder that has the data set's name".to_owned())
            }
            Self::Image(error) => image_hint(error),
            Self::Carry(error) => carry_hint(error),
            Self::Gc(GcError::Store(error)) => store_hint(error),
            Self::Bench(error) => bench_hint(error).map(str::to_owned),
            _ => None,
        }
    }
}

fn lock_hint(error: &LockError) -> Option<String> {
    match error {
        LockError::Newer { .. } => {
            Some("use the newer program, or write the lock again with `repro lock`".to_owned())
        }
        LockError::OtherRecipe { recipe, .. } => Some(format!(
            "`repro lock {recipe}` writes the lock of this recipe; the file may have been copied or renamed"
        )),
        LockError::Unpinned { name, .. } => Some(open_hint(name, &[])),
        _ => None,
    }
}

fn fetch_hint(error: &FetchError) -> Option<String> {
    match error {
        FetchError::Store(error) => store_hint(error),
        FetchError::NoSpace { .. } => {
            Some("make room, or put the store elsewhere with `REPRO_HOME`".to_owned())
        }
        FetchError::NoDataSpace { .. } => Some(
            "make room, name another folder with `--data DIR`, or fetch fewer data sets; `--dry-run` shows each item"
                .to_owned(),
        ),
        FetchError::Inputs { failures, .. }
            if failures.iter().any(|failure| matches!(failure.reason, InputError::Offline)) =>
        {
            Some("fetch once without `--offline` (`repro build NAME --fetch-only`), or name folders that have the files: `--find-links DIR` for Python, `--debian-mirror DIR` for Debian".to_owned())
        }
        _ => None,
    }
}

fn audit_code(error: &AuditError) -> u8 {
    match error {
        AuditError::NoAudit { .. }
        | AuditError::NoFile { .. }
        | AuditError::NotTaken { .. }
        | AuditError::Command(_) => INPUT,
        AuditError::OtherTree { .. } => CONTENT,
        AuditError::Fetch(error) => fetch_code(error),
        AuditError::Store(error) => store_code(error),
        AuditError::Engine(error) => engine_code(error),
        AuditError::Git(_) | AuditError::Io { .. } => INTERNAL,
        AuditError::Stopped => STOPPED,
    }
}

fn open_hint(name: &str, complete: &[String]) -> String {
    let again = format!("`repro lock {name}` asks again for what may still be there");
    match complete {
        [] => again,
        names => {
            let commands: Vec<_> =
                names.iter().map(|name| format!("`repro build {name}`")).collect();
            format!("{} can be built, its lock is complete; {again}", commands.join(" or "))
        }
    }
}

fn store_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Newer { .. } | StoreError::NoVersion { .. } => INPUT,
        StoreError::Missing { .. } | StoreError::Differs { .. } => CONTENT,
        StoreError::Io { .. } | StoreError::Index { .. } | StoreError::InUse { .. } => INTERNAL,
        StoreError::Stopped => STOPPED,
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    let text = match (error, error.io_kind()) {
        (StoreError::NoVersion { .. }, _) => {
            "if this folder is a store, write the number into the file; else choose another folder by `REPRO_HOME`"
        }
        (StoreError::Newer { .. }, _) => "use the newer program, or another folder by `REPRO_HOME`",
        (StoreError::Index { source, .. }, None)
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
        {
            "remove the file: everything in it can be found out again"
        }
        (StoreError::InUse { .. }, _) => "try again when it has ended; `--dry-run` works meanwhile",
        (StoreError::Missing { .. }, _) => "`repro build` fetches what is missing",
        (StoreError::Differs { .. }, _) => {
            "`repro fsck --remove` removes damaged content; the next build fetches it again"
        }
        (_, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) => {
            "make room, or put the store elsewhere with `REPRO_HOME`; nothing half-written was kept"
        }
        (_, Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)) => {
            "the store cannot be written; choose another folder with `REPRO_HOME`"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn image_hint(error: &ImageError) -> Option<String> {
    match error {
        ImageError::Exists { .. } => {
            Some("choose another place, or remove what is there".to_owned())
        }
        ImageError::Store(error) | ImageError::Layer(LayerError::Store(error)) => store_hint(error),
        ImageError::Layer(_) => Some("`repro fsck` names what is damaged in the store".to_owned()),
        _ => None,
    }
}

fn image_code(error: &ImageError) -> u8 {
    match error {
        ImageError::Store(error) => store_code(error),
        ImageError::Layer(error) => layer_code(error),
        ImageError::Unknown { .. } | ImageError::Exists { .. } => INPUT,
        ImageError::MissingLayer { .. } => NOT_THERE,
        ImageError::BaseLayer { .. } => CONTENT,
        ImageError::Document(_) | ImageError::Write { .. } | ImageError::Pass(_) => INTERNAL,
        ImageError::Stopped => STOPPED,
    }
}

fn build_code(error: &BuildError) -> u8 {
    match error {
        BuildError::Store(error) => store_code(error),
        BuildError::Image(error) => image_code(error),
        BuildError::Fetch(error) => fetch_code(error),
        BuildError::Layer(error) => layer_code(error),
        BuildError::Engine { source, .. } => engine_code(source),
        BuildError::Epoch { .. } | BuildError::Lock(_) => INPUT,
        BuildError::Io { .. } => INTERNAL,
        BuildError::Stopped => STOPPED,
        _ => CONTENT,
    }
}

fn build_hint(error: &BuildError) -> Option<String> {
    match error {
        BuildError::Store(error) | BuildError::Layer(LayerError::Store(error)) => store_hint(error),
        BuildError::Image(ImageError::Store(error)) => store_hint(error),
        BuildError::Engine { source, .. } => engine_hint(source),
        BuildError::DamagedInput { .. } => Some(
            "`repro fsck --remove` removes damaged content; the next build fetches it again"
                .to_owned(),
        ),
        BuildError::SealDiffers { name, .. } => Some(format!(
            "`repro verify {name}` names the first entry that differs; a newer format epoch or a changed tool is the usual cause"
        )),
        BuildError::OutputLost { name, .. } => Some(format!(
            "get it from who has it (a bundle, a mirror or a registry with the image), or let `repro lock --update {name}` forget it and compile anew: the image gets another seal"
        )),
        BuildError::OutputDiffers { .. } => Some(
            "say `repeatable = false` in the recipe if its compiler cannot repeat itself; else look for times, paths or an order of files in what it makes"
                .to_owned(),
        ),
        BuildError::LocalFile { .. } => {
            Some("restore the file, or accept the new one with `repro lock`".to_owned())
        }
        BuildError::Epoch { .. } => {
            Some("use the version of `repro` that wrote the lock".to_owned())
        }
        _ => None,
    }
}

fn engine_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Store(error) => store_hint(error),
        EngineError::NoDaemon { .. } => Some(
            "start one, name it by `DOCKER_HOST`, or use `--engine embedded`, which needs none"
                .to_owned(),
        ),
        EngineError::Unseen { .. } => Some(
            "run `repro` on the daemon's machine, or use `--engine embedded`".to_owned(),
        ),
        EngineError::Daemon { reason, .. } if reason.contains("capabilities: [[gpu") => Some(
            "the daemon needs NVIDIA's container toolkit to hand out GPUs; `--engine embedded` needs only the driver"
                .to_owned(),
        ),
        EngineError::Daemon { .. } | EngineError::NotTransferred { .. } => {
            Some("`--engine embedded` runs the same image without a daemon".to_owned())
        }
        _ => None,
    }
}

fn dataset_code(error: &DatasetError) -> u8 {
    match error {
        DatasetError::Store(error) => store_code(error),
        DatasetError::Io { .. } => INTERNAL,
        DatasetError::Stopped => STOPPED,
        DatasetError::Invalid { .. } | DatasetError::Unknown { .. } => INPUT,
        _ => CONTENT,
    }
}

fn carry_code(error: &CarryError) -> u8 {
    match error {
        CarryError::Store(error) => store_code(error),
        CarryError::Build(error) => build_code(error),
        CarryError::Bench(error) => bench_code(error),
        CarryError::Lock(_)
        | CarryError::NotAMirror { .. }
        | CarryError::NotABundle { .. }
        | CarryError::Newer { .. }
        | CarryError::Exists { .. } => INPUT,
        CarryError::Missing { .. }
        | CarryError::Cut { .. }
        | CarryError::OtherEntry { .. }
        | CarryError::Damaged { .. } => CONTENT,
        CarryError::Io { .. }
        | CarryError::MirrorInUse { .. }
        | CarryError::Read(_)
        | CarryError::Write(_) => INTERNAL,
        CarryError::Stopped => STOPPED,
    }
}

fn diff_code(error: &DiffError) -> u8 {
    match error {
        DiffError::Store(error) => store_code(error),
        DiffError::Image(error) => image_code(error),
        DiffError::Io { .. } => INTERNAL,
        DiffError::NotALayout { .. } | DiffError::NothingInCommon { .. } => INPUT,
        DiffError::Damaged { .. } | DiffError::Layer { .. } => CONTENT,
    }
}

fn gc_code(error: &GcError) -> u8 {
    match error {
        GcError::Store(error) => store_code(error),
        GcError::Build(error) => build_code(error),
        GcError::Image(error) => image_code(error),
        GcError::Bench(error) => bench_code(error),
        GcError::Dataset(error) => dataset_code(error),
        GcError::Lock(_) => INPUT,
        GcError::Io { .. } => INTERNAL,
    }
}

fn carry_hint(error: &CarryError) -> Option<String> {
    let text = match error {
        CarryError::Store(error) => return store_hint(error),
        CarryError::Build(error) => return build_hint(error),
        CarryError::Missing { .. } => "`repro build` brings what is missing",
        CarryError::NotAMirror { .. } => "choose a new or empty folder",
        CarryError::Exists { .. } => "choose another folder, or remove what is there",
        CarryError::Newer { .. } => "use the version of `repro` that wrote it",
        CarryError::Cut { .. } | CarryError::OtherEntry { .. } | CarryError::Damaged { .. } => {
            "copy or download the bundle again; nothing of it was registered"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn bench_code(error: &BenchError) -> u8 {
    match error {
        BenchError::Store(error) => store_code(error),
        BenchError::Io { .. } => INTERNAL,
        BenchError::Strict { .. } => NOT_THERE,
        BenchError::RunIsLive { .. } => INTERNAL,
        _ => INPUT,
    }
}

fn bench_hint(error: &BenchError) -> Option<&'static str> {
    Some(match error {
        BenchError::OtherInputs { .. } => "leave `--resume` out to start a new run",
        BenchError::NoCaseOfLog { .. } => "`--case` names the case of a log that has another name",
        BenchError::TwoLogs { .. } => "parse them one after the other, or take one away",
        BenchError::Arrivals { .. } => {
            "take the `.arrivals` file away to read the log without the times of its lines"
        }
        _ => return None,
    })
}

fn fetch_code(error: &FetchError) -> u8 {
    match error {
        FetchError::Stopped => STOPPED,
        FetchError::Store(error) => store_code(error),
        FetchError::NoSpace { .. } | FetchError::NoDataSpace { .. } => INTERNAL,
        FetchError::Dataset(error) => dataset_code(error),
        FetchError::Settings(_) => INPUT,
        FetchError::Tree { source: GitError::Pattern { .. }, .. } => INPUT,
        error if error.is_about_content() => CONTENT,
        _ => NOT_THERE,
    }
}

fn registry_code(error: &RegistryError) -> u8 {
    match error {
        RegistryError::Image(error) => image_code(error),
        RegistryError::Store(error) => store_code(error),
        RegistryError::Fetch(error) => fetch_code(error),
        RegistryError::Settings(_) | RegistryError::Reference { .. } => INPUT,
        RegistryError::Unusable { .. } => INPUT,
        RegistryError::DiffId { .. }
        | RegistryError::Layer { .. }
        | RegistryError::Renamed { .. } => CONTENT,
        RegistryError::Serve(_) => INTERNAL,
        RegistryError::Stopped => STOPPED,
        RegistryError::Offline { .. }
        | RegistryError::Gone { .. }
        | RegistryError::Unreachable { .. }
        | RegistryError::Push { .. } => NOT_THERE,
    }
}

fn registry_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Store(error) => store_hint(error),
        RegistryError::Image(error) => image_hint(error),
        RegistryError::Gone { .. } | RegistryError::Unreachable { .. } => Some(
            "`registry-mirrors` in `repro.toml` or REPRO_REGISTRY_MIRRORS names another place that has it; a variant of the recipe may do without it (`repro list`)"
                .to_owned(),
        ),
        RegistryError::DiffId { .. } | RegistryError::Layer { .. } => Some(
            "the image is damaged where it was published; nobody can build on it".to_owned(),
        ),
        _ => None,
    }
}

fn layer_code(error: &LayerError) -> u8 {
    match error {
        LayerError::Store(error) => store_code(error),
        LayerError::Read { .. } | LayerError::Write(_) => INTERNAL,
        LayerError::Stopped => STOPPED,
        _ => CONTENT,
    }
}

fn engine_code(error: &EngineError) -> u8 {
    match error {
        EngineError::Store(error) => store_code(error),
        EngineError::Job { .. } | EngineError::Mount { .. } => INPUT,
        EngineError::Stream { .. }
        | EngineError::Unpack { .. }
        | EngineError::Differs { .. }
        | EngineError::OtherLayers { .. } => CONTENT,
        EngineError::Image(error) => image_code(error),
        _ => NOT_THERE,
    }
}

fn pin_code(error: &PinError) -> u8 {
    match error {
        PinError::Network(error) => fetch_code(error),
        PinError::Store(error) => store_code(error),
        PinError::Offline { .. }
        | PinError::ToolMissing { .. }
        | PinError::NoBase { .. }
        | PinError::NoLinks { .. }
        | PinError::NoDownload { .. } => NOT_THERE,
        PinError::Contradicted { .. } => CONTENT,
        _ => INPUT,
    }
}
