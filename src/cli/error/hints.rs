//! What to do next, by error.

use std::io;

use super::CliError;
use crate::audit::AuditError;
use crate::bench::BenchError;
use crate::build::BuildError;
use crate::carry::CarryError;
use crate::dataset::DatasetError;
use crate::diff::DiffError;
use crate::doctor::DoctorError;
use crate::engine::EngineError;
use crate::fetch::pin::PinError;
use crate::fetch::{FetchError, InputError, Trouble};
use crate::gc::GcError;
use crate::image::ImageError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::registry::RegistryError;
use crate::results::ResultsError;
use crate::settings::SettingsError;
use crate::store::StoreError;

impl CliError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(SettingsError::NoProject { .. }) => {
                Some("go to the project's folder, or name it with `--project DIR`; `repro init NAME` makes one in an empty folder".to_owned())
            }
            Self::Settings(SettingsError::Engine { value, .. }) if value == "podman" => Some(
                "podman's socket is reached by `--engine docker` with `DOCKER_HOST` naming it, such as `unix:///run/podman/podman.sock`"
                    .to_owned(),
            ),
            Self::NoLock { name } => Some(format!("`repro lock {name}` writes it")),
            Self::LockIsOld { name, .. } => Some(format!(
                "`repro lock {name}` resolves the recipe again; `--diff` shows what would change"
            )),
            Self::OtherRecipe { .. } => Some(
                "nothing was registered; ask who pushed the image, who can repeat `repro push` with its own lock and recipe"
                    .to_owned(),
            ),
            Self::Lock(error) | Self::Build(BuildError::Lock(error)) => lock_hint(error),
            Self::Pin(PinError::UnknownName { .. }) => Some(
                "a name is that of a distribution, a Debian package or a local file of the lock, or `debian` for all packages"
                    .to_owned(),
            ),
            Self::Fetch(error) | Self::Build(BuildError::Fetch(error)) => fetch_hint(error),
            Self::LockIsOpen { name, complete, .. } => Some(open_hint(name, complete)),
            Self::NoSuchSeal { name, others, .. } => Some(match others.as_slice() {
                [] => format!("`repro list {name}` shows its state"),
                others => {
                    let builds: Vec<_> =
                        others.iter().map(|other| format!("`repro build {other}`")).collect();
                    format!("{} builds an image of this system", builds.join(" or "))
                }
            }),
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
            Self::NoHistory { known, .. } if known.is_empty() => {
                Some("`repro run` measures a case; there is no run yet".to_owned())
            }
            Self::NoHistory { .. } => {
                Some("give one of the names above; `repro run` measures a case".to_owned())
            }
            Self::NoDataSetting => {
                Some("name the folder with `--data DIR` or `$REPRO_DATA`".to_owned())
            }
            Self::NoRun { .. } => Some(
                "`repro status --all` lists the runs of this store; `REPRO_HOME` names another"
                    .to_owned(),
            ),
            Self::Died { resume, .. } => {
                Some(format!("what had ended is kept; to go on with the rest run\n  {resume}"))
            }
            Self::Elsewhere { run, host } => {
                Some(format!("run `repro stop {run}` on `{host}`"))
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
            Self::Dataset(DatasetError::NoStandIn { name }) => Some(format!(
                "set `stand-in` in `[{name}]` of `datasets.toml` to a data set of the project with its layout"
            )),
            Self::Dataset(DatasetError::NoList { name, .. }) => {
                Some(format!("`repro fetch-data {name}` brings it"))
            }
            Self::Dataset(DatasetError::NoManifest { name }) => Some(format!(
                "nothing pins the files of `{name}`, so a run could not say what it used; `repro fetch-data {name}` brings what can be had, and `repro pin-data FILE` pins an archive or a folder that you have"
            )),
            Self::Dataset(DatasetError::Contradicted { .. }) => Some(
                "the publisher may have replaced it, or the download is damaged; `--replace` pins it all the same"
                    .to_owned(),
            ),
            Self::Dataset(DatasetError::Neighbour { name, .. }) => Some(format!(
                "move it away, and `repro fetch-data {name}` brings the pinned one again; or pin it first with `--replace`"
            )),
            Self::Dataset(DatasetError::Ambiguous { .. }) => {
                Some("put it into a folder that has the data set's name".to_owned())
            }
            Self::Image(error) => image_hint(error),
            Self::Carry(error) => carry_hint(error),
            Self::Gc(GcError::Store(error)) => store_hint(error),
            Self::Doctor(DoctorError::Store(error)) => store_hint(error),
            Self::Doctor(DoctorError::Host { .. }) => Some(
                "name a run record, or a file with its `host`, such as `{\"gpus\": [\"NVIDIA H200\"], \"driver\": \"550.54\"}`"
                    .to_owned(),
            ),
            Self::Bench(error) => bench_hint(error).map(str::to_owned),
            Self::Results(ResultsError::Store(error)) => store_hint(error),
            Self::Results(error) => results_hint(error).map(str::to_owned),
            Self::Diff(DiffError::OnlyOneRun { .. }) => {
                Some("name runs on both sides, or images, locks or layouts on both".to_owned())
            }
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
            Some("fetch once without `--offline` (`repro build NAME --fetch-only`), or name folders that have the files: `--mirror DIR` for all, `--find-links DIR` for Python, `--debian-mirror DIR` for Debian".to_owned())
        }
        _ => None,
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

fn store_hint(error: &StoreError) -> Option<String> {
    let text = match (error, error.io_kind()) {
        (StoreError::NoVersion { .. }, _) => {
            "if this folder is a store, write the number into the file; else choose another folder by `REPRO_HOME`"
        }
        (StoreError::Newer { .. }, _) => "use the newer program, or another folder by `REPRO_HOME`",
        (StoreError::Index { .. }, None) if error.is_damaged_index() => {
            "`repro fsck --remove` puts it aside; images are known again when they are built or imported again"
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
        BuildError::OtherLock { name, .. } => Some(format!(
            "restore `lockfiles/{name}.lock` (`git diff` shows what changed), or resolve it again with `repro lock {name}`"
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

fn bench_hint(error: &BenchError) -> Option<&'static str> {
    Some(match error {
        BenchError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            "make room and go on with `--resume`, or name another folder with `--out DIR`; what was measured is in the store (`repro results`)"
        }
        BenchError::OtherInputs { .. } => "leave `--resume` out to start a new run",
        BenchError::HowOften { .. } => "name it: `--repeat N`",
        BenchError::NoCaseOfLog { .. } => "`--case` names the case of a log that has another name",
        BenchError::NoLogInFolder { .. } => {
            "a log that has another name is read by its own path with `--case CASE`: `repro parse LOG --image IMAGE --case CASE`"
        }
        BenchError::TwoLogs { .. } => "parse them one after the other, or take one away",
        BenchError::Arrivals { .. } => {
            "take the `.arrivals` file away to read the log without the times of its lines"
        }
        _ => return None,
    })
}

fn results_hint(error: &ResultsError) -> Option<&'static str> {
    Some(match error {
        ResultsError::NoRun { .. } => "`repro results` lists the runs; a path works, too",
        ResultsError::NothingReadable { .. } => {
            "records of a newer program need that program; `repro results check RUN` names every damaged one"
        }
        ResultsError::Ambiguous { .. } => "give more of the name",
        ResultsError::Exists { .. } => "choose another folder, or remove what is there",
        ResultsError::Index(_) => "`repro results rebuild` makes it again",
        ResultsError::NoRuns { .. } => "`repro run` makes one; a path to a run's folder works, too",
        _ => return None,
    })
}

fn registry_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Store(error) => store_hint(error),
        RegistryError::Image(error) => image_hint(error),
        RegistryError::Gone { .. } | RegistryError::Unreachable { .. } => Some(
            "`registry-mirrors` in `repro.toml` or REPRO_REGISTRY_MIRRORS names another place that has it; a variant of the recipe may do without it (`repro list`)"
                .to_owned(),
        ),
        RegistryError::Push { target, last: Trouble::Request { .. }, .. } => Some(format!(
            "look whether a registry runs at `{}`; plain HTTP is spoken to this machine only, or to what `insecure-registries` in `repro.toml` or REPRO_INSECURE_REGISTRIES names",
            target.split('/').next().unwrap_or(target)
        )),
        RegistryError::DiffId { .. } | RegistryError::Layer { .. } => Some(
            "the image is damaged where it was published; nobody can build on it".to_owned(),
        ),
        _ => None,
    }
}
