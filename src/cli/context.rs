//! What most commands need: settings, the store, recipes, locks, the engine, the wish to stop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Global;
use super::error::CliError;
use super::output;
use super::progress::Display;
use crate::build::Builder;
use crate::engine::docker::Docker;
use crate::engine::embedded::{self, Embedded};
use crate::engine::{Engine, Input, Stop};
use crate::fetch;
use crate::image::Image;
use crate::lock::Lock;
use crate::named_file;
use crate::recipe::Recipe;
use crate::registry;
use crate::settings::{DaemonAddress, EngineChoice, Settings};
use crate::store::{Store, write_inside, write_output, write_whole};

/// What a command works with; the store is opened only by commands that use it.
pub struct Context {
    pub settings: Settings,
    pub json: bool,
    pub talk: output::Talk,
    pub display: Display,
    pub stop: Stop,
}

impl Context {
    pub fn open(global: &Global) -> Result<Self, CliError> {
        let settings = Settings::load(global.options())?;
        let stop = Stop::new();
        // A second Ctrl-C ends the program at once; the next command clears up after it.
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, stop.flag())
                .and_then(|_| signal_hook::flag::register(signal, stop.flag()))
                .map_err(CliError::Signals)?;
        }
        // A lost terminal ends no run: what is printed goes nowhere, records are written all the same.
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Stop::new().flag())
            .map_err(CliError::Signals)?;
        // A file that may not grow is an error of the write, not the end of the program.
        signal_hook::flag::register(libc::SIGXFSZ, Stop::new().flag())
            .map_err(CliError::Signals)?;
        let (store, project) = (settings.store_folder().display(), settings.project().ok());
        tracing::info!(%store, ?project, offline = settings.offline(), "settings are read");
        let display = Display::new(settings.offline(), stop.clone());
        Ok(Self { settings, json: global.json, talk: global.talk, display, stop })
    }

    /// Opens the store and clears what killed runs left behind.
    pub fn store(&self) -> Result<Store, CliError> {
        let store = Store::open(self.settings.store_folder())?;
        embedded::sweep(&store);
        Ok(store)
    }

    /// Opens the store for a command that only reads: one that this user cannot write will do, and one whose
    /// index is damaged.
    pub fn store_to_read(&self) -> Result<Store, CliError> {
        let checked = self.store().and_then(|store| Ok(store.check_index().map(|()| store)?));
        match checked {
            Err(CliError::Store(damaged)) if damaged.is_damaged_index() => {
                output::note(&format!(
                    "{damaged}: it is damaged, and what it said of images is not known; `repro fsck --remove` puts it aside"
                ));
                Ok(Store::open_without_index(self.settings.store_folder())?)
            }
            Err(CliError::Store(refused)) => {
                Ok(Store::open_to_read(self.settings.store_folder(), refused)?)
            }
            opened => opened,
        }
    }

    /// The folder of recipes.
    pub fn images(&self) -> Result<PathBuf, CliError> {
        Ok(self.settings.project()?.join("images"))
    }

    /// The recipe of an image.
    pub fn recipe(&self, name: &str) -> Result<Recipe, CliError> {
        Ok(Recipe::load(&self.images()?, name)?)
    }

    /// Where the lock of an image is.
    pub fn lock_path(&self, name: &str) -> Result<PathBuf, CliError> {
        Ok(self.settings.project()?.join("lockfiles").join(format!("{name}.lock")))
    }

    /// The lock of an image, if there is one.
    pub fn find_lock(&self, name: &str) -> Result<Option<Lock>, CliError> {
        let path = self.lock_path(name)?;
        match named_file::read_text(&path) {
            Ok(text) => Ok(Some(Lock::parse(&text, &path)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CliError::Io { action: "read", path, source }),
        }
    }

    /// The lock of an image; none is an error that says how to make one.
    pub fn lock(&self, name: &str) -> Result<Lock, CliError> {
        self.find_lock(name)?.ok_or_else(|| CliError::NoLock { name: name.to_owned() })
    }

    /// Writes a lock in one step.
    pub fn write_lock(&self, lock: &Lock) -> Result<PathBuf, CliError> {
        let path = self.lock_path(&lock.name)?;
        let project = self.settings.project()?;
        let file = path.strip_prefix(project).unwrap_or(&path);
        write_inside(project, file, lock.to_text().as_bytes()).map_err(writing(&path))?;
        Ok(path)
    }

    /// The folder of data sets; one that somebody named must be there.
    pub fn data_folder(&self) -> Result<Option<&Path>, CliError> {
        match self.settings.data_folder() {
            Some(folder) if !folder.is_dir() => {
                Err(CliError::NoDataFolder { path: folder.to_owned() })
            }
            folder => Ok(folder),
        }
    }

    /// The folders of the runs that a command line names; the newest run of this project, else
    /// of the store, if it names none.
    pub fn find_runs(&self, store: &Store, words: &[String]) -> Result<Vec<PathBuf>, CliError> {
        let project = [self.settings.results_folder().to_owned()];
        if words.is_empty() {
            // Whoever names nothing means a run of this project, if it has one.
            if let Ok(found) = crate::results::find(&project, words) {
                return Ok(found);
            }
        }
        let folders = crate::results::folders(store, &project)?;
        Ok(crate::results::find(&folders, words)?)
    }

    /// The engine that jobs run in.
    pub fn engine(&self) -> Result<Box<dyn Engine>, CliError> {
        self.engine_with(None)
    }

    /// The same; its jobs read `input`.
    pub fn engine_with(&self, input: Option<Input>) -> Result<Box<dyn Engine>, CliError> {
        let program = std::env::current_exe().map_err(|source| CliError::Io {
            action: "find",
            path: "/proc/self/exe".into(),
            source,
        })?;
        let choice = self.settings.engine()?;
        tracing::info!(?choice, "an engine is looked for");
        match choice {
            EngineChoice::Embedded => Ok(Box::new(self.embedded(program).with_input(input))),
            EngineChoice::Docker => {
                let docker = Docker::find(program, &self.settings.daemons()?)?;
                Ok(Box::new(docker.with_input(input)))
            }
            EngineChoice::Auto => Ok(self.automatic(program, input)),
        }
    }

    /// Docker where a daemon of this machine answers. A daemon elsewhere sees none of our files and has
    /// to be asked for, and a setting that names none must not stop who never wanted one.
    fn automatic(&self, program: PathBuf, input: Option<Input>) -> Box<dyn Engine> {
        let mut places = self.settings.daemons().unwrap_or_default();
        places.retain(|place| matches!(place.address, DaemonAddress::Socket(_)));
        match Docker::find(program.clone(), &places) {
            Ok(docker) => Box::new(docker.with_input(input)),
            Err(error) => {
                tracing::debug!(%error, "the embedded engine is used");
                Box::new(self.embedded(program).with_input(input))
            }
        }
    }

    /// Where the Docker daemon that runs jobs keeps its images, if one does.
    pub fn docker_folder(&self) -> Option<PathBuf> {
        if self.engine().ok()?.name() != "docker" {
            return None;
        }
        let program = std::env::current_exe().ok()?;
        Docker::find(program, &self.settings.daemons().ok()?).ok()?.data_root()
    }

    fn embedded(&self, program: PathBuf) -> Embedded {
        let engine = Embedded::new(program).with_progress(Arc::new(self.display.clone()));
        match self.settings.cdi_folders() {
            Some(folders) => engine.with_cdi_folders(folders),
            None => engine,
        }
    }

    /// Brings the layers of the image's base that nobody needed before.
    pub fn fetch_layers(&self, store: &Store, image: &Image) -> Result<(), CliError> {
        if image.layers.iter().all(|layer| layer.is_present(store)) {
            return Ok(());
        }
        let lock = super::reference::lock_of(store, &image.seal)?;
        let (layers, stop) = (registry::layers(&lock), self.stop.flag());
        let mirrored = fetch::base_layers_of_mirrors(&lock);
        fetch::fetch_from_mirrors(&self.settings, store, &mirrored, &self.display, &stop)?;
        registry::fetch(&self.settings, store, &layers, &self.display, &stop)?;
        Ok(())
    }

    /// A builder over this context's parts.
    pub fn builder<'a>(
        &'a self,
        store: &'a Store,
        engine: &'a dyn Engine,
        folder: &Path,
        recipe: Option<&Recipe>,
    ) -> Builder<'a> {
        Builder {
            settings: &self.settings,
            store,
            engine,
            progress: &self.display,
            stop: &self.stop,
            folder: folder.to_owned(),
            recipe: recipe.map(|recipe| recipe.text.clone()),
        }
    }
}

/// Writes to a place that the user named: a file, a pipe, what a link points to.
pub fn write_named(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write_output(path, bytes).map_err(writing(path))
}

/// Writes a file of the project so that a crash leaves the old one or the new one.
pub fn write_in_one_step(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write_whole(path, bytes).map_err(writing(path))
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> CliError + '_ {
    move |source| CliError::Io { action: "write", path: path.to_owned(), source }
}
