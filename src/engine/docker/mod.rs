//! Runs jobs through a Docker daemon, or podman's socket, which speaks the same.
//!
//! The image travels by digest ([`transfer`]), the container is closed as a sealed run is
//! ([`container`]), and its first process is `repro` itself ([`inside`]): so a signal is
//! told from a status, both streams are one in their order, the filter is the embedded
//! engine's, and memory and processor time are read where they are counted.
//!
//! Invariants: an image runs by its ID after its layers were compared; a container is
//! named after store and session, is removed when [`Engine::run`] returns, ends when
//! `repro` ends however that happens, and what is left of it then is removed by the next
//! run. The environment is not read here: `settings` says where a daemon may be.

mod collect;
mod container;
mod daemon;
mod follow;
mod inside;
mod parts;
mod transfer;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder,
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio::runtime::{Builder, Runtime};

use crate::engine::embedded::cgroup;
use crate::engine::sealed::{self, OPTIONAL};
use crate::engine::{Engine, EngineError, Exit, Failure, Input, Job, Meter, Mount, Outcome, Stop};
use crate::image::Image;
use crate::settings::{DaemonAddress, DaemonPlace};
use crate::store::Store;

use container::{Files, Plan};
use daemon::{Daemon, is_missing};
use follow::Streams;
use parts::Parts;

pub use transfer::{Sent, Transfer};

/// The engine that asks a daemon.
#[derive(Debug)]
pub struct Docker {
    exe: PathBuf,
    address: DaemonAddress,
    /// Asked for once, when the first job runs.
    parts: OnceLock<Parts>,
    input: Option<Input>,
}

/// Does what this process was started for, if that is the inside of a container; to be
/// called first in `main`, before anything starts a thread.
pub fn entry() -> Option<ExitCode> {
    parts::entry().or_else(inside::entry)
}

impl Docker {
    /// Uses the first of `places` where a daemon answers that can run jobs of this machine's kind.
    ///
    /// `exe` is a program whose `main` begins with [`entry`].
    ///
    /// # Errors
    ///
    /// [`EngineError::NoDaemon`] with each place and why it will not do.
    pub fn find(exe: PathBuf, places: &[DaemonPlace]) -> Result<Self, EngineError> {
        let runtime = runtime()?;
        let mut tried = Vec::new();
        for DaemonPlace { address, setting } in places {
            match runtime.block_on(Daemon::connect(address)) {
                Ok(_) => {
                    return Ok(Self {
                        exe,
                        address: address.clone(),
                        parts: OnceLock::new(),
                        input: None,
                    });
                }
                Err(EngineError::Daemon { reason, .. }) => {
                    tried.push(format!("{address} ({setting}): {reason}"));
                }
                Err(error) => return Err(error),
            }
        }
        if tried.is_empty() {
            tried.push("the usual sockets of Docker and podman".to_owned());
        }
        Err(EngineError::NoDaemon { places: tried })
    }

    /// The daemon that is used.
    pub fn address(&self) -> &DaemonAddress {
        &self.address
    }

    /// Brings an image to the daemon; nothing travels that is there.
    pub fn send(&self, store: &Store, image: &Image) -> Result<Transfer, EngineError> {
        runtime()?.block_on(async {
            let daemon = Daemon::connect(&self.address).await?;
            transfer::ensure(&daemon, store, image).await
        })
    }

    /// Lets jobs read this; without, they read nothing.
    pub fn with_input(self, input: Option<Input>) -> Self {
        Self { input, ..self }
    }

    /// The folder of the daemon's machine that it keeps images and containers in, if it tells.
    pub fn data_root(&self) -> Option<PathBuf> {
        let told = runtime().ok()?.block_on(async {
            let daemon = Daemon::connect(&self.address).await.ok()?;
            daemon.client.info().await.ok()?.docker_root_dir
        });
        told.map(PathBuf::from)
    }

    /// Names of the containers that jobs of this store have at the daemon, running or not.
    pub fn containers(&self, store: &Store) -> Result<Vec<String>, EngineError> {
        runtime()?.block_on(async {
            let daemon = Daemon::connect(&self.address).await?;
            containers(&daemon, store).await
        })
    }

    fn parts(&self) -> Result<&Parts, EngineError> {
        if let Some(parts) = self.parts.get() {
            return Ok(parts);
        }
        let parts = Parts::of(&self.exe)?;
        Ok(self.parts.get_or_init(|| parts))
    }
}

fn runtime() -> Result<Runtime, EngineError> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::step("talk to a Docker daemon", error).into())
}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn run_metered(
        &self,
        store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        meter: &Meter,
    ) -> Result<Outcome, EngineError> {
        sealed::check(job)?;
        let mounts = sealed::mounts(job)?;
        let (parts, input) = (self.parts()?, self.input.as_ref());
        let run = Run { parts, store, image, job, mounts: &mounts, input, stop, meter };
        runtime()?.block_on(async {
            let daemon = Daemon::connect(&self.address).await?;
            sweep(&daemon, store).await;
            run.on(&daemon, output).await
        })
    }
}

/// One job on its way.
struct Run<'a> {
    parts: &'a Parts,
    store: &'a Store,
    image: &'a Image,
    job: &'a Job,
    mounts: &'a [Mount],
    input: Option<&'a Input>,
    stop: &'a Stop,
    meter: &'a Meter,
}

impl Run<'_> {
    async fn on(
        &self,
        daemon: &Daemon,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<Outcome, EngineError> {
        self.refuse_submounts(daemon)?;
        let image = tokio::select! {
            transfer = transfer::ensure(daemon, self.store, self.image) => transfer?.id,
            () = asked(self.stop) => return Ok(never_started()),
        };
        if self.stop.is_requested() {
            return Ok(never_started());
        }
        let files = Files::create(self.store)?;
        let input = self.input.map(|input| files.with_input(input)).transpose()?;
        let name = cgroup::name(self.store, files.folder())?;
        let created = self.create(daemon, &image, &files, input.as_deref(), &name).await;
        let ended = match created {
            Ok(()) => self.run_in(daemon, &name, &files, output).await,
            Err(error) => Err(error),
        };
        // Whatever happened: the name finds the container even if the answer to its creation was lost.
        remove(daemon, &name).await;
        ended
    }

    /// Runs the job in its container, and keeps what is to be kept of it.
    async fn run_in(
        &self,
        daemon: &Daemon,
        name: &str,
        files: &Files,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<Outcome, EngineError> {
        let collection = collect::Collection::begin(daemon, name, files.folder(), self.job).await?;
        let mut outcome = self.start(daemon, name, output).await?;
        if outcome.exit != Exit::Stopped {
            outcome.kept = collection.end().await?;
        }
        Ok(outcome)
    }

    /// Older daemons make only the topmost file system of a read-only mount read-only.
    fn refuse_submounts(&self, daemon: &Daemon) -> Result<(), EngineError> {
        let read_only = self.mounts.iter().filter(|mount| !mount.writable);
        for mount in read_only.filter(|_| daemon.kind.leaks_submounts) {
            if let Some(inner) = container::mounted_below(&mount.source) {
                return Err(EngineError::Job {
                    reason: format!(
                        "`{}` is mounted below `{}`, and this Docker daemon would let the job write to it",
                        inner.display(),
                        mount.source.display()
                    ),
                });
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        daemon: &Daemon,
        image: &str,
        files: &Files,
        input: Option<&Path>,
        name: &str,
    ) -> Result<(), EngineError> {
        let mut plan = Plan {
            image,
            job: self.job,
            mounts: self.mounts,
            input,
            parts: self.parts,
            files,
            kind: &daemon.kind,
            with_optional: false,
        };
        self.create_one(daemon, &plan, name).await?;
        // Only a container can be asked what the image has.
        let optional = format!("/etc/{OPTIONAL}");
        let options = ContainerArchiveInfoOptionsBuilder::new().path(&optional).build();
        match daemon.client.get_container_archive_info(name, Some(options)).await {
            Err(error) if is_missing(&error) => {
                remove(daemon, name).await;
                plan.with_optional = true;
                self.create_one(daemon, &plan, name).await
            }
            _ => Ok(()),
        }
    }

    async fn create_one(
        &self,
        daemon: &Daemon,
        plan: &Plan<'_>,
        name: &str,
    ) -> Result<(), EngineError> {
        let body: ContainerCreateBody = serde_json::from_value(plan.body())
            .map_err(|error| Failure::step("describe the container", error))?;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let created = daemon.client.create_container(Some(options), body).await;
        let created = created.map_err(|error| self.not_created(daemon, error))?;
        let limited = |warning: &&String| warning.to_lowercase().contains("memory limit");
        match (self.job.memory, created.warnings.iter().find(limited)) {
            (Some(bytes), Some(warning)) => {
                Err(EngineError::Memory { bytes, reason: warning.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The first mount is a file that was just made: a daemon that does not find it sees none of ours.
    fn not_created(&self, daemon: &Daemon, error: bollard::errors::Error) -> EngineError {
        let error = daemon.failed("create the container")(error);
        let unseen = |reason: &str| {
            reason.contains("bind source path does not exist")
                || reason.contains("no such file or directory")
        };
        match &error {
            EngineError::Daemon { reason, .. } if unseen(reason) => EngineError::Unseen {
                what: match self.mounts.first() {
                    Some(mount) => format!("`{}`", mount.source.display()),
                    None => "`repro` itself".to_owned(),
                },
                address: daemon.address().to_string(),
            },
            _ => error,
        }
    }

    async fn start(
        &self,
        daemon: &Daemon,
        name: &str,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<Outcome, EngineError> {
        let mut streams = Streams::attach(daemon, name).await?;
        let started = daemon.client.start_container(name, None::<StartContainerOptions>).await;
        started.map_err(daemon.failed("start the container"))?;
        let modes = container::modes(self.image, self.job);
        let running = self.meter.begin(follow::counter(daemon, name).await);
        let ended = streams.follow(daemon, (self.job, self.input), &modes, output, self.stop).await;
        drop(running);
        match ended {
            Err(EngineError::Failed(Failure::Step { action, reason })) => {
                let reason = format!("{reason}\n  {}", follow::last_words(daemon, name).await);
                Err(Failure::Step { action, reason }.into())
            }
            ended => ended,
        }
    }
}

fn never_started() -> Outcome {
    Outcome {
        exit: Exit::Stopped,
        duration: Duration::ZERO,
        cpu_time: None,
        peak_memory: None,
        peak_job_memory: None,
        kept: Vec::new(),
    }
}

/// Returns when the user asks to stop.
async fn asked(stop: &Stop) {
    while !stop.is_requested() {
        tokio::time::sleep(follow::TICK).await;
    }
}

/// Removes a container and its volumes, running or not; one that is not there is fine.
async fn remove(daemon: &Daemon, name: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match daemon.client.remove_container(name, Some(options)).await {
        Err(error) if !is_missing(&error) => {
            // The next run finds it by its name.
            tracing::warn!(%error, container = name, "a container could not be removed");
        }
        _ => {}
    }
}

async fn containers(daemon: &Daemon, store: &Store) -> Result<Vec<String>, EngineError> {
    let prefix = cgroup::prefix(store.root());
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed = daemon.client.list_containers(Some(options)).await;
    let listed = listed.map_err(daemon.failed("list the containers"))?;
    let names = listed.into_iter().flat_map(|container| container.names.unwrap_or_default());
    let names = names.map(|name| name.trim_start_matches('/').to_owned());
    Ok(names.filter(|name| name.starts_with(&prefix)).collect())
}

/// Removes the containers that killed processes of this store left behind.
async fn sweep(daemon: &Daemon, store: &Store) {
    let prefix = cgroup::prefix(store.root());
    // Whether the daemon can be asked at all shows in a moment.
    for name in containers(daemon, store).await.unwrap_or_default() {
        let session = name[prefix.len()..].split('.').next().unwrap_or_default();
        if !store.session_is_live(session) {
            remove(daemon, &name).await;
        }
    }
}
