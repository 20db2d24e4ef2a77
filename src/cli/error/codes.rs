//! Exit codes: README lists them.

use super::CliError;
use crate::audit::AuditError;
use crate::bench::BenchError;
use crate::build::BuildError;
use crate::carry::CarryError;
use crate::dataset::DatasetError;
use crate::diff::DiffError;
use crate::doctor::DoctorError;
use crate::engine::EngineError;
use crate::fetch::FetchError;
use crate::fetch::pin::PinError;
use crate::gc::GcError;
use crate::git::GitError;
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::registry::RegistryError;
use crate::results::ResultsError;
use crate::store::StoreError;

/// Exit codes, as `--help` lists them.
const INTERNAL: u8 = 1;
const INPUT: u8 = 2;
const CONTENT: u8 = 3;
const NOT_THERE: u8 = 4;
/// What a shell shows for a program that Ctrl-C ended.
const STOPPED: u8 = 130;

impl CliError {
    pub fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Recipe(_) | Self::Lock(_) => INPUT,
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
            Self::Engine(error) => engine_code(error),
            Self::Dataset(error) => dataset_code(error),
            Self::Bench(error) => bench_code(error),
            Self::Results(error) => results_code(error),
            Self::Audit(error) => audit_code(error),
            Self::Carry(error) => carry_code(error),
            Self::Gc(error) => gc_code(error),
            Self::Diff(error) => diff_code(error),
            Self::Doctor(error) => doctor_code(error),
            Self::Io { .. } | Self::Signals(_) | Self::Rebuilt(_) | Self::Died { .. } => INTERNAL,
            Self::Stopped => STOPPED,
        }
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

fn store_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Newer { .. } | StoreError::NoVersion { .. } => INPUT,
        StoreError::Missing { .. } | StoreError::Differs { .. } => CONTENT,
        StoreError::Io { .. } | StoreError::Index { .. } | StoreError::InUse { .. } => INTERNAL,
        StoreError::Stopped => STOPPED,
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
        DiffError::NotALayout { .. }
        | DiffError::NothingInCommon { .. }
        | DiffError::OnlyOneRun { .. } => INPUT,
        DiffError::Damaged { .. } | DiffError::Layer { .. } => CONTENT,
    }
}

fn doctor_code(error: &DoctorError) -> u8 {
    match error {
        DoctorError::Store(error) => store_code(error),
        DoctorError::Layer(error) => layer_code(error),
        DoctorError::Host { .. } => INPUT,
        DoctorError::Io { .. } => INTERNAL,
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
        GcError::Lock(_) => INPUT,
        GcError::Io { .. } => INTERNAL,
    }
}

fn bench_code(error: &BenchError) -> u8 {
    match error {
        BenchError::Store(error) => store_code(error),
        BenchError::Io { .. } => INTERNAL,
        BenchError::Strict { .. } => NOT_THERE,
        BenchError::RunIsLive { .. } | BenchError::State { .. } => INTERNAL,
        _ => INPUT,
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
