//! Every error's exit code and hint; the only place that knows commands.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output;
use crate::bench::BenchError;
use crate::build::BuildError;
use crate::dataset::DatasetError;
use crate::digest::Digest;
use crate::engine::EngineError;
use crate::fetch::FetchError;
use crate::fetch::pin::PinError;
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::recipe::RecipeError;
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
    Engine(#[from] EngineError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Bench(#[from] BenchError),
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
        let mut causes = Vec::new();
        let mut cause = self.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let hint = self.hint();
        if json {
            output::json(&json!({ "error": self.to_string(), "causes": causes, "hint": hint,
                "exit_code": self.code() }));
        }
        let mut text = format!("error: {self}");
        for cause in causes {
            text.push_str(&format!("\n  because: {cause}"));
        }
        if let Some(hint) = hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        output::note(&text);
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Recipe(_) | Self::Lock(_) => INPUT,
            Self::Pin(error) => pin_code(error),
            Self::NoLock { .. }
            | Self::LockIsOld { .. }
            | Self::NotSealed { .. }
            | Self::NotBuilt { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::NoRecipe { .. } => INPUT,
            Self::Store(error) => store_code(error),
            Self::Image(error) => image_code(error),
            Self::Build(error) => build_code(error),
            Self::Layer(error) => layer_code(error),
            Self::Fetch(error) => fetch_code(error),
            Self::Engine(error) => engine_code(error),
            Self::Dataset(error) => dataset_code(error),
            Self::Bench(error) => bench_code(error),
            Self::Io { .. } | Self::Signals(_) | Self::Rebuilt(_) => INTERNAL,
            Self::Stopped => STOPPED,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(SettingsError::NoProject { .. }) => {
                Some("go to the project's folder, or name it with `--project DIR`".to_owned())
            }
            Self::NoLock { name } => Some(format!("`repro lock {name}` writes it")),
            Self::LockIsOld { name, .. } => Some(format!(
                "`repro lock {name}` resolves the recipe again; `--diff` shows what would change"
            )),
            Self::NotSealed { name } => Some(format!("`repro build {name}` builds and seals it")),
            Self::NotBuilt { reference, .. } => {
                Some(format!("`repro build {reference}` builds it"))
            }
            Self::Unknown { .. } => Some("`repro list` shows what there is".to_owned()),
            Self::Ambiguous { .. } => Some("give more of the name or of the digest".to_owned()),
            Self::Store(error) => store_hint(error),
            Self::Build(error) => build_hint(error),
            Self::Engine(error) => engine_hint(error),
            Self::Dataset(DatasetError::NotVerified(_)) => {
                Some("put the data set where `--data` or `$REPRO_DATA` says; `repro verify-data` shows each file; a copy of the store that differs can be removed, it is unpacked again".to_owned())
            }
            Self::Dataset(DatasetError::NoManifest { name }) => Some(format!(
                "nothing pins the files of `{name}`, so a run could not say what it used; `repro pin-data FILE` pins an archive that you have"
            )),
            Self::Image(error) => image_hint(error),
            _ => None,
        }
    }
}

fn store_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Newer { .. } => INPUT,
        StoreError::Missing { .. } | StoreError::Differs { .. } => CONTENT,
        StoreError::Io { .. } | StoreError::Index { .. } => INTERNAL,
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    let text = match (error, error.io_kind()) {
        (StoreError::Newer { .. }, _) => "use the newer program, or another folder by `REPRO_HOME`",
        (StoreError::Index { source, .. }, None)
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
        {
            "remove the file: everything in it can be found out again"
        }
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
        BuildError::Store(error)
        | BuildError::Fetch(FetchError::Store(error))
        | BuildError::Layer(LayerError::Store(error)) => store_hint(error),
        BuildError::Fetch(FetchError::NoSpace { .. }) => {
            Some("make room, or put the store elsewhere with `REPRO_HOME`".to_owned())
        }
        BuildError::Image(ImageError::Store(error)) => store_hint(error),
        BuildError::Engine { source, .. } => engine_hint(source),
        BuildError::DamagedInput { .. } => Some(
            "`repro fsck --remove` removes damaged content; the next build fetches it again"
                .to_owned(),
        ),
        BuildError::SealDiffers { name, .. } => Some(format!(
            "`repro verify {name}` names the first entry that differs; a newer format epoch or a changed tool is the usual cause"
        )),
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
        EngineError::NotRoot { .. } => Some(
            "run the same command as root, for example with `sudo`; the store stays yours"
                .to_owned(),
        ),
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
        DatasetError::Invalid { .. } | DatasetError::Unknown { .. } => INPUT,
        _ => CONTENT,
    }
}

fn bench_code(error: &BenchError) -> u8 {
    match error {
        BenchError::Store(error) => store_code(error),
        BenchError::Io { .. } => INTERNAL,
        BenchError::Strict { .. } => NOT_THERE,
        _ => INPUT,
    }
}

fn fetch_code(error: &FetchError) -> u8 {
    match error {
        FetchError::Stopped => STOPPED,
        FetchError::Store(error) => store_code(error),
        FetchError::NoSpace { .. } => INTERNAL,
        FetchError::Settings(_) => INPUT,
        error if error.is_about_content() => CONTENT,
        _ => NOT_THERE,
    }
}

fn layer_code(error: &LayerError) -> u8 {
    match error {
        LayerError::Store(error) => store_code(error),
        LayerError::Read { .. } | LayerError::Write(_) => INTERNAL,
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
        PinError::Offline { .. } | PinError::ToolMissing { .. } => NOT_THERE,
        _ => INPUT,
    }
}
