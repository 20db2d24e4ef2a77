//! Exit codes: README lists them.
//!
//! Every variant of every error has its own line: a new one does not compile before somebody decided
//! what it is. So there is no wildcard here.

#![deny(clippy::wildcard_enum_match_arm)]

use std::error::Error;
use std::io::{self, ErrorKind};

use super::CliError;
use crate::audit::AuditError;
use crate::bench::BenchError;
use crate::build::BuildError;
use crate::carry::CarryError;
use crate::dataset::DatasetError;
use crate::diff::DiffError;
use crate::doctor::DoctorError;
use crate::engine::{EngineError, Failure};
use crate::fetch::FetchError;
use crate::fetch::pin::PinError;
use crate::gc::GcError;
use crate::git::GitError;
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::recipe::RecipeError;
use crate::registry::RegistryError;
use crate::results::ResultsError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// Exit codes, as `--help` lists them.
const INTERNAL: u8 = 1;
const INPUT: u8 = 2;
const CONTENT: u8 = 3;
const NOT_THERE: u8 = 4;
const FAILED: u8 = 5;
/// What a shell shows for a program that it does not find, and for one that it cannot run.
const NO_COMMAND: u8 = 127;
const NO_PROGRAM: u8 = 126;
/// What a shell shows for a program that Ctrl-C ended.
const STOPPED: u8 = 130;

impl CliError {
    pub fn code(&self) -> u8 {
        match self {
            Self::Settings(error) => settings_code(error),
            Self::Recipe(error) => recipe_code(error),
            Self::Lock(error) => lock_code(error),
            Self::Pin(error) => pin_code(error),
            Self::NoLock { .. }
            | Self::LockIsOld { .. }
            | Self::LockIsOpen { .. }
            | Self::NotSealed { .. }
            | Self::NoSuchSeal { .. }
            | Self::NotBuilt { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::NoRecipe { .. }
            | Self::NoDataSetting
            | Self::NoHistory { .. }
            | Self::NoDataFolder { .. }
            | Self::NoName { .. }
            | Self::Exists { .. }
            | Self::NotEmpty { .. }
            | Self::NoRun { .. }
            | Self::NotRunning { .. }
            | Self::Elsewhere { .. } => INPUT,
            Self::OtherRecipe { .. } => CONTENT,
            Self::Store(error) => store_code(error),
            Self::Image(error) => image_code(error),
            Self::Build(error) => build_code(error),
            Self::Layer(error) => layer_code(error),
            Self::Fetch(error) => fetch_code(error),
            Self::Registry(error) => registry_code(error),
            // `exec` ends with the command's own status, and with a shell's where there is none.
            Self::Engine(EngineError::Failed(Failure::Command { is_there, .. })) => {
                if *is_there {
                    NO_PROGRAM
                } else {
                    NO_COMMAND
                }
            }
            Self::Engine(error) => engine_code(error),
            Self::Dataset(error) => dataset_code(error),
            Self::Bench(error) => bench_code(error),
            Self::Results(error) => results_code(error),
            Self::Audit(error) => audit_code(error),
            Self::Carry(error) => carry_code(error),
            Self::Gc(error) => gc_code(error),
            Self::Diff(error) => diff_code(error),
            Self::Doctor(error) => doctor_code(error),
            Self::Io { source, .. } => given_code(source),
            Self::Signals(_) | Self::Rebuilt(_) | Self::Died { .. } => INTERNAL,
            Self::Stopped => STOPPED,
        }
    }
}

/// A file that somebody named and that is not there is wrong input; all else is the system's.
fn given_code(error: &io::Error) -> u8 {
    let is_not_there = matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    );
    if is_not_there { INPUT } else { INTERNAL }
}

/// Content that a decoder or a digest refuses is wrong; what the system refuses is not about content.
fn content_code(error: &io::Error) -> u8 {
    if is_of_system(error) { INTERNAL } else { CONTENT }
}

/// Whether the system gave this error, or one inside it.
fn is_of_system(error: &io::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        next = match error.downcast_ref::<io::Error>() {
            Some(error) if error.raw_os_error().is_some() => return true,
            // Its `source` would leave out the error that it wraps.
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

fn settings_code(error: &SettingsError) -> u8 {
    match error {
        SettingsError::Read { source, .. } => given_code(source),
        SettingsError::NotAProject { .. }
        | SettingsError::NoProject { .. }
        | SettingsError::Syntax { .. }
        | SettingsError::UnknownKey { .. }
        | SettingsError::Value { .. }
        | SettingsError::Engine { .. }
        | SettingsError::NoSudoHome { .. }
        | SettingsError::NoHome
        | SettingsError::NoIndex { .. }
        | SettingsError::NoArchive { .. } => INPUT,
    }
}

fn recipe_code(error: &RecipeError) -> u8 {
    match error {
        RecipeError::Io { source, .. } => given_code(source),
        RecipeError::Invalid { .. } | RecipeError::Unknown { .. } | RecipeError::Twice { .. } => {
            INPUT
        }
    }
}

fn lock_code(error: &LockError) -> u8 {
    match error {
        LockError::Io { source, .. } => given_code(source),
        LockError::Invalid { .. }
        | LockError::Newer { .. }
        | LockError::OtherRecipe { .. }
        | LockError::Unpinned { .. } => INPUT,
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
        AuditError::Git(error) => git_code(error),
        AuditError::Io { source, .. } => given_code(source),
        AuditError::Stopped => STOPPED,
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

fn git_code(error: &GitError) -> u8 {
    match error {
        GitError::Store(error) => store_code(error),
        GitError::Read(source) => content_code(source),
        GitError::Pattern { .. } => INPUT,
        GitError::Damaged { .. }
        | GitError::Object { .. }
        | GitError::Path { .. }
        | GitError::Differs { .. } => CONTENT,
    }
}

fn image_code(error: &ImageError) -> u8 {
    match error {
        ImageError::Store(error) => store_code(error),
        ImageError::Layer(error) => layer_code(error),
        ImageError::Unknown { .. } | ImageError::Exists { .. } => INPUT,
        ImageError::MissingLayer { .. } => NOT_THERE,
        ImageError::BaseLayer { source, .. } => content_code(source),
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
        BuildError::Lock(error) => lock_code(error),
        BuildError::Epoch { .. } | BuildError::TooManyLayers { .. } => INPUT,
        BuildError::LocalFile { .. }
        | BuildError::DamagedInput { .. }
        | BuildError::LayerDiffers { .. }
        | BuildError::SealDiffers { .. }
        | BuildError::OtherLock { .. }
        | BuildError::NotItsSeal { .. }
        | BuildError::OutputDiffers { .. }
        | BuildError::OutputLost { .. }
        | BuildError::Source { .. } => CONTENT,
        // Its inputs are those of the lock, and its command ran.
        BuildError::JobFailed { .. } => FAILED,
        BuildError::Io { source, .. } => content_code(source),
        BuildError::Stopped => STOPPED,
    }
}

fn dataset_code(error: &DatasetError) -> u8 {
    match error {
        DatasetError::Store(error) => store_code(error),
        DatasetError::Io { source, .. } => given_code(source),
        DatasetError::Stopped => STOPPED,
        DatasetError::Invalid { .. }
        | DatasetError::Unknown { .. }
        | DatasetError::NoStandIn { .. } => INPUT,
        DatasetError::NoList { .. } => NOT_THERE,
        DatasetError::Manifest { .. }
        | DatasetError::ManifestLine { .. }
        | DatasetError::Archive { .. }
        | DatasetError::Entry { .. }
        | DatasetError::NotVerified(_)
        | DatasetError::NoManifest { .. }
        | DatasetError::Contradicted { .. }
        | DatasetError::Ambiguous { .. }
        | DatasetError::Occupied { .. }
        | DatasetError::PinnedOtherwise { .. }
        | DatasetError::Neighbour { .. } => CONTENT,
    }
}

fn carry_code(error: &CarryError) -> u8 {
    match error {
        CarryError::Store(error) => store_code(error),
        CarryError::Build(error) => build_code(error),
        CarryError::Bench(error) => bench_code(error),
        CarryError::Lock(error) => lock_code(error),
        CarryError::NotAMirror { .. }
        | CarryError::NotABundle { .. }
        | CarryError::Newer { .. }
        | CarryError::Exists { .. } => INPUT,
        CarryError::Missing { .. }
        | CarryError::Cut { .. }
        | CarryError::OtherEntry { .. }
        | CarryError::Damaged { .. } => CONTENT,
        CarryError::Io { source, .. } | CarryError::Read(source) => content_code(source),
        CarryError::MirrorInUse { .. } | CarryError::Write(_) => INTERNAL,
        CarryError::Stopped => STOPPED,
    }
}

fn diff_code(error: &DiffError) -> u8 {
    match error {
        DiffError::Store(error) => store_code(error),
        DiffError::Image(error) => image_code(error),
        DiffError::Io { source, .. } => given_code(source),
        DiffError::NotALayout { .. }
        | DiffError::NothingInCommon { .. }
        | DiffError::OnlyOneRun { .. } => INPUT,
        DiffError::Layer { source, .. } => content_code(source),
        DiffError::Damaged { .. } => CONTENT,
    }
}

fn doctor_code(error: &DoctorError) -> u8 {
    match error {
        DoctorError::Store(error) => store_code(error),
        DoctorError::Layer(error) => layer_code(error),
        DoctorError::Host { .. } => INPUT,
        DoctorError::Io { source, .. } => given_code(source),
        DoctorError::Stopped => STOPPED,
    }
}

fn gc_code(error: &GcError) -> u8 {
    match error {
        GcError::Store(error) => store_code(error),
        GcError::Build(error) => build_code(error),
        GcError::Image(error) => image_code(error),
        GcError::Bench(error) => bench_code(error),
        GcError::Dataset(error) => dataset_code(error),
        GcError::Lock(error) => lock_code(error),
        GcError::Io { .. } => INTERNAL,
    }
}

fn bench_code(error: &BenchError) -> u8 {
    match error {
        BenchError::Store(error) => store_code(error),
        BenchError::Io { source, .. } => given_code(source),
        BenchError::Strict { .. } => NOT_THERE,
        BenchError::RunIsLive { .. } | BenchError::State { .. } => INTERNAL,
        BenchError::Recipe { .. }
        | BenchError::UnknownProfile { .. }
        | BenchError::UnknownCase { .. }
        | BenchError::Unavailable { .. }
        | BenchError::AmbiguousCase { .. }
        | BenchError::CaseGlob { .. }
        | BenchError::Setting { .. }
        | BenchError::UnknownSetting { .. }
        | BenchError::MissingInput { .. }
        | BenchError::UnknownGpu { .. }
        | BenchError::GpusTaken { .. }
        | BenchError::UnknownInput { .. }
        | BenchError::Input { .. }
        | BenchError::NoRun { .. }
        | BenchError::HowOften { .. }
        | BenchError::OtherInputs { .. }
        | BenchError::NoPath { .. }
        | BenchError::NoCaseOfLog { .. }
        | BenchError::NoLogInFolder { .. }
        | BenchError::TwoLogs { .. }
        | BenchError::Arrivals { .. }
        | BenchError::Record { .. }
        | BenchError::LaterRecord { .. } => INPUT,
    }
}

fn results_code(error: &ResultsError) -> u8 {
    match error {
        ResultsError::NoRun { .. }
        | ResultsError::Ambiguous { .. }
        | ResultsError::NoRuns { .. }
        | ResultsError::NoRecords { .. }
        | ResultsError::NothingReadable { .. }
        | ResultsError::Pattern { .. }
        | ResultsError::Time { .. }
        | ResultsError::SamePlace { .. }
        | ResultsError::Exists { .. } => INPUT,
        ResultsError::Index(_) | ResultsError::Io { .. } => INTERNAL,
        ResultsError::Store(error) => store_code(error),
    }
}

fn fetch_code(error: &FetchError) -> u8 {
    match error {
        FetchError::Stopped => STOPPED,
        FetchError::Store(error) => store_code(error),
        FetchError::NoSpace { .. } | FetchError::NoDataSpace { .. } => INTERNAL,
        FetchError::Dataset(error) => dataset_code(error),
        FetchError::Settings(error) => settings_code(error),
        FetchError::Tree { source, .. } => git_code(source),
        FetchError::Inputs { .. } | FetchError::Commit { .. } if error.is_about_content() => {
            CONTENT
        }
        FetchError::Inputs { .. } | FetchError::Commit { .. } | FetchError::Client { .. } => {
            NOT_THERE
        }
    }
}

fn registry_code(error: &RegistryError) -> u8 {
    match error {
        RegistryError::Image(error) => image_code(error),
        RegistryError::Store(error) => store_code(error),
        RegistryError::Fetch(error) => fetch_code(error),
        RegistryError::Settings(error) => settings_code(error),
        RegistryError::Reference { .. } | RegistryError::Unusable { .. } => INPUT,
        RegistryError::Layer { source, .. } => content_code(source),
        RegistryError::DiffId { .. } | RegistryError::Renamed { .. } => CONTENT,
        RegistryError::Serve(_) => INTERNAL,
        RegistryError::Stopped => STOPPED,
        RegistryError::Offline { .. }
        | RegistryError::Gone { .. }
        | RegistryError::Unreachable { .. }
        | RegistryError::Push { .. } => NOT_THERE,
    }
}

fn layer_code(error: &LayerError) -> u8 {
    match error {
        LayerError::Store(error) => store_code(error),
        LayerError::Read { source, .. } => content_code(source),
        LayerError::Write(_) => INTERNAL,
        LayerError::Stopped => STOPPED,
        LayerError::SourceTree { source, .. } => git_code(source),
        LayerError::Wheel { .. }
        | LayerError::WheelEntry { .. }
        | LayerError::Content { .. }
        | LayerError::Package { .. }
        | LayerError::Conflict { .. }
        | LayerError::Path { .. }
        | LayerError::Plan { .. }
        | LayerError::Differs { .. } => CONTENT,
    }
}

fn engine_code(error: &EngineError) -> u8 {
    match error {
        EngineError::Store(error) => store_code(error),
        EngineError::Job { .. } | EngineError::Mount { .. } => INPUT,
        EngineError::Stream { source, .. } => image_code(source),
        EngineError::Unpack { .. }
        | EngineError::Differs { .. }
        | EngineError::OtherLayers { .. } => CONTENT,
        EngineError::Image(error) => image_code(error),
        EngineError::Failed(failure) => failure_code(failure),
        EngineError::Helper { .. } => INTERNAL,
        EngineError::Memory { .. }
        | EngineError::NoDaemon { .. }
        | EngineError::Daemon { .. }
        | EngineError::Unseen { .. }
        | EngineError::NotTransferred { .. }
        | EngineError::Gpus(_) => NOT_THERE,
    }
}

fn failure_code(failure: &Failure) -> u8 {
    match failure {
        Failure::Command { .. } => FAILED,
        Failure::Machine { .. } | Failure::Step { .. } => NOT_THERE,
    }
}

fn pin_code(error: &PinError) -> u8 {
    match error {
        PinError::Network(error) => fetch_code(error),
        PinError::Store(error) => store_code(error),
        PinError::Lock(error) => lock_code(error),
        PinError::Settings(error) => settings_code(error),
        PinError::Offline { .. }
        | PinError::ToolMissing { .. }
        | PinError::NoKeyring { .. }
        | PinError::NoBase { .. }
        | PinError::NoLinks { .. }
        | PinError::NoDownload { .. } => NOT_THERE,
        PinError::Contradicted { .. } | PinError::Changed { .. } => CONTENT,
        PinError::ToolUnusable { .. } | PinError::Answer { .. } => INTERNAL,
        PinError::NoDebian
        | PinError::ToolFailed { .. }
        | PinError::Platform { .. }
        | PinError::Requirement { .. }
        | PinError::NoFile { .. }
        | PinError::Unknown { .. }
        | PinError::NothingToUpdate { .. }
        | PinError::UnknownName { .. }
        | PinError::Ambiguous { .. }
        | PinError::Incomplete { .. }
        | PinError::RecipeChanged { .. }
        | PinError::NotAlone { .. } => INPUT,
        // Changed content outweighs the rest; else the first is as good as any.
        PinError::Several(errors) => {
            let codes: Vec<u8> = errors.iter().map(pin_code).collect();
            match codes.contains(&CONTENT) {
                true => CONTENT,
                false => codes.first().copied().unwrap_or(INPUT),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{CheckedReader, Digest};
    use std::io::Read;

    #[test]
    fn what_a_decoder_or_a_digest_refuses_is_content_and_what_the_system_refuses_is_not() {
        let mut bytes = Vec::new();
        let mut reader = CheckedReader::new(&b"other"[..], Digest::of(b"bytes"), 5);
        assert_eq!(content_code(&reader.read_to_end(&mut bytes).unwrap_err()), CONTENT);
        let cut = flate2::read::GzDecoder::new(&b"\x1f\x8b\x08"[..]).read(&mut [0]).unwrap_err();
        assert_eq!(content_code(&cut), CONTENT);
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(content_code(&full), INTERNAL);
        assert_eq!(content_code(&io::Error::other(full)), INTERNAL);
    }

    #[test]
    fn a_job_that_ran_and_failed_has_the_code_of_a_benchmark_that_did() {
        let (name, reason, output) = ("x".to_owned(), String::new(), String::new());
        assert_eq!(build_code(&BuildError::JobFailed { name, reason, output }), FAILED);
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_input() {
        let io = |kind: ErrorKind| CliError::Io {
            action: "open",
            path: "x.repro".into(),
            source: kind.into(),
        };
        assert_eq!(io(ErrorKind::NotFound).code(), INPUT);
        assert_eq!(io(ErrorKind::StorageFull).code(), INTERNAL);
    }
}
