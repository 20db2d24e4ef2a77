//! Every error's exit code and hint; the only place that knows commands.

mod codes;
mod hints;

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
use crate::doctor::DoctorError;
use crate::engine::EngineError;
use crate::fetch::FetchError;
use crate::fetch::pin::PinError;
use crate::gc::GcError;
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::recipe::RecipeError;
use crate::registry::RegistryError;
use crate::results::ResultsError;
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
    Results(#[from] ResultsError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error(transparent)]
    Gc(#[from] GcError),
    #[error(transparent)]
    Diff(#[from] DiffError),
    #[error(transparent)]
    Doctor(#[from] DoctorError),
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
    #[error(
        "the recipe that is kept beside `{reference}` is not that of its lock{}",
        lines(differences)
    )]
    OtherRecipe { reference: String, differences: Vec<String> },
    #[error("{open}")]
    LockIsOpen { name: String, complete: Vec<String>, open: LockError },
    #[error("`{reference}` is no image: {why}")]
    NoSuchSeal { reference: String, name: String, why: String, others: Vec<String> },
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
    #[error("no run of `{case}` has a throughput{}", lines(known))]
    NoHistory { case: String, known: Vec<String> },
    #[error("nobody said where data sets lie")]
    NoDataSetting,
    #[error("no run of this store is named `{word}`{}", lines(known))]
    NoRun { word: String, known: Vec<String> },
    #[error("run `{run}` does not go on: it {phase}")]
    NotRunning { run: String, phase: &'static str },
    #[error("run `{run}` is one of `{host}`, and a process is stopped on its own machine")]
    Elsewhere { run: String, host: String },
    #[error("run `{run}` died: its process is gone and could not say how it ended")]
    Died { run: String, resume: String },
    #[error("stopped")]
    Stopped,
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

impl CliError {
    /// Prints the error with its causes and its hint; returns the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            output::json(&json!({ "error": self.to_string(), "causes": self.causes(),
                "hint": self.hint(), "exit_code": self.code() }));
        }
        output::error(&format!("error: {}", self.text()));
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
}
