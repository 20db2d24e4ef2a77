//! Benchmarks against an engine that answers with prepared logs.

mod cases;
mod checking;
mod conditions;
mod exchange;
mod expected_failures;
mod guides;
mod parsing;
mod published;
mod records;
mod repeating;
mod runs;
mod side_by_side;
mod states;
mod verdicts;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use repro::bench::{
    Events, GivenInput, Host, Options, Pool, ProfileFile, RunRecord, RunSummary, Setting, Setup,
};
use repro::dataset::Unpacked;
use repro::digest::Digest;
use repro::engine::{Engine, EngineError, Exit, Job, Meter, Outcome, Stop};
use repro::image::Image;
use repro::recipe::Recipe;
use repro::report::{Format, Report};
use repro::store::Store;

/// The recipe of `fixtures/guides/NAME.toml`.
fn recipe(name: &str) -> Recipe {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/guides");
    let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
    recipe_of(name, &text)
}

/// A recipe whose benchmark part is `text`.
fn recipe_of(name: &str, text: &str) -> Recipe {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/guides");
    let head = std::fs::read_to_string(folder.join("head.toml")).unwrap();
    let path = PathBuf::from(format!("{name}.toml"));
    match Recipe::parse(&folder, &path, &format!("{head}\n{text}")) {
        Ok(mut recipes) => recipes.remove(0),
        Err(error) => panic!("{error}"),
    }
}

/// A case that the test engine plays: what it writes and how it ends.
#[derive(Clone)]
struct Play {
    output: Vec<u8>,
    chunk: usize,
    pause: Duration,
    exit: Exit,
}

impl Play {
    fn log(output: impl Into<Vec<u8>>) -> Self {
        Self { output: output.into(), chunk: 100, pause: Duration::ZERO, exit: Exit::Status(0) }
    }

    fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Waits after each piece, so that pieces have times of their own.
    fn slowly(self) -> Self {
        Self { pause: Duration::from_millis(2), ..self }
    }
}

/// Plays one prepared case after the other and remembers the jobs.
struct Player {
    plays: Mutex<Vec<Play>>,
    jobs: Mutex<Vec<Job>>,
}

impl Player {
    fn new(plays: &[Play]) -> Self {
        let plays = plays.iter().rev().cloned().collect();
        Self { plays: Mutex::new(plays), jobs: Mutex::new(Vec::new()) }
    }
}

impl Engine for Player {
    fn name(&self) -> &'static str {
        "player"
    }

    fn run_metered(
        &self,
        _store: &Store,
        _image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        _meter: &Meter,
    ) -> Result<Outcome, EngineError> {
        let play = self.plays.lock().unwrap().pop().expect("another case is run than was planned");
        self.jobs.lock().unwrap().push(job.clone());
        for piece in play.output.chunks(play.chunk) {
            output(piece);
            std::thread::sleep(play.pause);
        }
        if play.exit == Exit::Stopped {
            stop.request();
        }
        Ok(Outcome {
            exit: play.exit,
            duration: Duration::from_millis(12_500),
            cpu_time: None,
            peak_memory: Some(512 << 20),
            peak_job_memory: Some(200 << 20),
            kept: Vec::new(),
        })
    }
}

/// A store, a folder for results and everything else a run needs.
pub struct Bench {
    pub recipe: Recipe,
    pub image: Image,
    software: BTreeMap<String, String>,
    pub store: Store,
    pub results: PathBuf,
    files: Vec<ProfileFile>,
    pub data: BTreeMap<String, Unpacked>,
    host: Host,
    /// All of the host's GPUs.
    pool: OnceCell<Pool>,
    inputs: BTreeMap<String, GivenInput>,
    settings: Vec<Setting>,
    cases: Vec<String>,
    profile: &'static str,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// The smoke profile of the segmentation guide.
    pub fn new() -> Self {
        Self::of(recipe("seg"), "smoke")
    }

    fn of(recipe: Recipe, profile: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = Image {
            name: recipe.name.clone(),
            seal: Digest::of(b"seal"),
            lock: Digest::of(b"lock"),
            layers: Vec::new(),
            env: BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned())]),
            workdir: "/home".to_owned(),
        };
        let file = ProfileFile {
            target: "/opt/smoke/sitecustomize.py".to_owned(),
            source: PathBuf::from("/images/seg/sitecustomize.py"),
            digest: Digest::of(b"shim"),
        };
        let folders = [(String::new(), PathBuf::from("/data/tiny"))].into();
        let data = Unpacked { folders, digest: Digest::of(b"tiny") };
        Self {
            recipe,
            image,
            software: BTreeMap::new(),
            store: Store::open(&folder.path().join("store")).unwrap(),
            results: folder.path().join("results"),
            files: vec![file],
            data: BTreeMap::from([("cityscapes-tiny".to_owned(), data)]),
            host: Host { cpu: Some("a test".to_owned()), ..Host::default() },
            pool: OnceCell::new(),
            inputs: BTreeMap::new(),
            settings: Vec::new(),
            cases: Vec::new(),
            profile,
            _folder: folder,
        }
    }

    pub fn cases(mut self, cases: &[&str]) -> Self {
        self.cases = cases.iter().map(|case| (*case).to_owned()).collect();
        self
    }

    fn set(mut self, settings: &[&str]) -> Self {
        self.settings = settings.iter().map(|text| Setting::parse(text).unwrap()).collect();
        self
    }

    pub fn setup(&self) -> Setup<'_> {
        Setup {
            recipe: &self.recipe,
            lock: Digest::of(b"lock"),
            image: &self.image,
            software: &self.software,
            profile: self.profile,
            cases: &self.cases,
            settings: &self.settings,
            files: &self.files,
            data: &self.data,
            timeout: None,
            host: &self.host,
            pool: self.pool.get_or_init(|| Pool::whole(&self.host)),
            inputs: &self.inputs,
        }
    }

    /// A machine with these GPUs.
    fn with_gpus(mut self, names: &[&str]) -> Self {
        self.host.gpus = names.iter().map(|name| (*name).to_owned()).collect();
        self.host.driver = Some("470.57.02".to_owned());
        self
    }

    fn options(&self) -> Options {
        Options {
            results: self.results.clone(),
            keep_going: true,
            strict: false,
            resume: None,
            jobs: 1,
            keep: false,
            repeat: None,
        }
    }

    fn run(&self, plays: &[Play]) -> RunSummary {
        self.run_with(plays, true, &mut |_| {})
    }

    fn run_with(&self, plays: &[Play], keep_going: bool, events: &mut Events<'_>) -> RunSummary {
        let options = Options { keep_going, ..self.options() };
        let player = Player::new(plays);
        let stop = Stop::new();
        let summary =
            repro::bench::run(&player, &self.store, &self.setup(), &options, &stop, events);
        summary.unwrap()
    }
}

/// A log as the segmentation guide's trainer writes it.
fn seg_log(times: &[&str], losses: &[&str]) -> String {
    let mut log = String::from("    samples_per_gpu=2,\ngpu_ids = range(0, 1)\n");
    for (step, (time, loss)) in times.iter().zip(losses).enumerate() {
        let iteration = (step + 1) * 10;
        log.push_str(&format!(
            "2021-11-02 10:00:00,000 - mmseg - INFO - Iter [{iteration}/60]\tlr: 1.037e-01, \
             eta: 0:00:33, time: {time}, data_time: 0.030, decode.loss_ce: 0.4820, loss: {loss}\n"
        ));
    }
    log
}

/// Six steps of which the last two count: 1 / 0.5 = 2 iterations a second.
fn good_log() -> String {
    let losses = ["1.0299", "0.6584", "0.5594", "0.51", "0.5", "0.49"];
    seg_log(&["9.0", "1.0", "1.0", "1.0", "0.25", "0.75"], &losses)
}

/// The table that a pipe gets.
pub fn report(records: &[RunRecord]) -> String {
    Report::of_records(records).table(Format::Text(None))
}
