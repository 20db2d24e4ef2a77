//! A store with a small image of two layers, and an engine to run it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow::Continue;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use repro::digest::Digest;
use repro::engine::docker::Docker;
use repro::engine::embedded::Embedded;
use repro::engine::{Engine, EngineError, Exit, Gpus, Job, Outcome, Stop};
use repro::image::{Configuration, Content, Image, ImageLayer};
use repro::layer::{self, Directories, FileInput, LayerPlan};
use repro::settings::{Options, Settings};
use repro::store::Store;

pub const SHM_SIZE: u64 = 48 << 20;

/// Debian's `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";

/// A store with one image and an engine to run it.
pub struct World {
    pub folder: PathBuf,
    pub store: Store,
    pub image: Image,
    pub engine: Box<dyn Engine + Sync>,
    _temporary: Option<tempfile::TempDir>,
}

pub struct Run {
    pub outcome: Outcome,
    pub output: Vec<u8>,
}

impl Run {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The output of a script that succeeded.
    pub fn good(self) -> String {
        assert_eq!(self.outcome.exit, Exit::Status(0), "{}", self.text());
        self.text()
    }
}

pub fn embedded() -> Box<dyn Engine + Sync> {
    Box::new(Embedded::new(env!("CARGO_BIN_EXE_repro").into()))
}

/// The daemon that answers where Docker's own settings say.
pub fn docker() -> Box<dyn Engine + Sync> {
    Box::new(find_docker())
}

pub fn find_docker() -> Docker {
    let settings = Settings::load(Options::default()).unwrap();
    let places = settings.daemons().unwrap();
    let found = Docker::find(env!("CARGO_BIN_EXE_repro").into(), &places);
    found.unwrap_or_else(|error| panic!("{error}"))
}

impl World {
    pub fn new(engine: Box<dyn Engine + Sync>) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().to_owned();
        Self { _temporary: Some(temporary), ..Self::at(&folder, engine) }
    }

    pub fn at(folder: &Path, engine: Box<dyn Engine + Sync>) -> Self {
        let store = Store::open(&folder.join("store")).unwrap();
        let image = image(&store);
        Self { folder: folder.to_owned(), store, image, engine, _temporary: None }
    }

    pub fn job(&self, script: &str) -> Job {
        let env = [("PATH", "/bin"), ("HOME", "/root"), ("GREETING", "two words")];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Job {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: BTreeMap::from(env),
            workdir: "/space".to_owned(),
            mounts: Vec::new(),
            writable: vec!["/tmp".to_owned(), "/space".to_owned()],
            shm_size: SHM_SIZE,
            timeout: Duration::from_secs(60),
            memory: None,
            gpus: Gpus::None,
            keep: Vec::new(),
        }
    }

    pub fn try_run(&self, job: &Job, stop: &Stop) -> Result<Run, EngineError> {
        let mut output = Vec::new();
        let mut take = |bytes: &[u8]| output.extend_from_slice(bytes);
        let outcome = self.engine.run(&self.store, &self.image, job, &mut take, stop)?;
        Ok(Run { outcome, output })
    }

    pub fn run_job(&self, job: &Job) -> Run {
        self.try_run(job, &Stop::new()).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn run(&self, script: &str) -> Run {
        self.run_job(&self.job(script))
    }
}

/// Two layers, so that the stack has something to stack.
fn image(store: &Store) -> Image {
    let (links, texts) = (applets(), texts());
    let lower = layer::packages(store, &[], &links, &texts, &Directories::new()).unwrap();
    let below = lower.directories(&Directories::new());
    let upper = layer::files(store, &files(store), &below).unwrap();
    // What an image says of a process counts for nothing: the job decides.
    let configuration = Configuration {
        architecture: "amd64".to_owned(),
        env: BTreeMap::from([("FROM_IMAGE".to_owned(), "wrong".to_owned())]),
        workdir: "/lower".to_owned(),
        entrypoint: vec!["/bin/false".to_owned()],
        labels: BTreeMap::new(),
        history: Vec::new(),
    };
    let layers = [lower, upper].map(|plan| measured(store, plan)).into();
    Image::save(store, "probe", Digest::of(b"lock"), &configuration, layers).unwrap()
}

/// The same layers with one more on top, which no daemon has seen yet.
pub fn second_image(store: &Store, first: &Image, folder: &Path) -> Image {
    let text = folder.display().to_string();
    let file = FileInput {
        path: "/third/file".to_owned(),
        digest: store.put(text.as_bytes()).unwrap(),
        executable: false,
    };
    let plan = layer::files(store, &[file], &Directories::new()).unwrap();
    let mut layers = first.layers.clone();
    layers.push(measured(store, plan));
    let configuration = Configuration {
        architecture: "amd64".to_owned(),
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        entrypoint: Vec::new(),
        labels: BTreeMap::new(),
        history: Vec::new(),
    };
    Image::save(store, "second", Digest::of(b"second"), &configuration, layers).unwrap()
}

fn measured(store: &Store, plan: LayerPlan) -> ImageLayer {
    let measured = plan.measure(store, &|_| Continue(())).unwrap();
    ImageLayer {
        diff_id: measured.diff_id,
        digest: measured.digest,
        size: measured.size,
        origin: plan.origin().to_owned(),
        content: Content::Plan(plan),
    }
}

/// Links of busybox's commands to the program, which the upper layer brings.
fn applets() -> BTreeMap<String, String> {
    let list = Command::new(BUSYBOX).arg("--list").output();
    let list = list.expect("a static busybox is installed (Debian: busybox-static)").stdout;
    let list = String::from_utf8(list).unwrap();
    let applets = list.lines().filter(|applet| *applet != "busybox");
    applets.map(|applet| (format!("/bin/{applet}"), "busybox".to_owned())).collect()
}

fn texts() -> BTreeMap<String, String> {
    let texts = [
        ("/etc/hosts", "203.0.113.1 wrong\n"),
        ("/lower/kept", "lower\n"),
        ("/lower/replaced", "lower\n"),
        ("/root/kept", ""),
        ("/tmp/kept", ""),
    ];
    texts.map(|(path, text)| (path.to_owned(), text.to_owned())).into()
}

fn files(store: &Store) -> Vec<FileInput> {
    let folder = store.scratch("probe").unwrap();
    let probe = folder.join("probe");
    compile_probe(&probe);
    let file = |path: &str, bytes: &[u8], executable| FileInput {
        path: path.to_owned(),
        digest: store.put(bytes).unwrap(),
        executable,
    };
    let files = vec![
        file("/bin/busybox", &fs::read(BUSYBOX).unwrap(), true),
        file("/bin/probe", &fs::read(&probe).unwrap(), true),
        file("/lower/replaced", b"upper\n", false),
        file("/tmp/upper", b"", false),
        file("/space/prefilled", b"from the image\n", false),
    ];
    fs::remove_dir_all(folder).unwrap();
    files
}

fn compile_probe(to: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe.c");
    let status = Command::new("cc").args(["-static", "-o"]).arg(to).arg(source).status().unwrap();
    assert!(status.success(), "the C compiler links statically");
}
