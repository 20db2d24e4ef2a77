//! `repro audit`: a guide is held against itself, against its recipe, and its script against ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Repository, Signature, Time};
use repro::audit::{AuditError, Bench, Guide, LogReport, Report, ScriptEnd};
use repro::bench::{self, ParseRequest, ParsedLog};
use repro::digest::Digest;
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Exit, Job, Stop};
use repro::fetch::Quiet;
use repro::image::Image;
use repro::recipe::{Recipe, RecipeError};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use crate::recipe_reading::{TRACKER, folder};

const README: &str = "# Tracker\n\nBatch size 22.\n\n```bash\nbash run.sh sp 22\nsleep 60\n```\n";
const SCRIPT: &str = "print('analysis')\n";

/// What a recipe says of the guide above; it is right.
const AUDIT: &str = r#"
[audit]
tree = "TREE"
folder = "tracker"
include = ["tracker/*"]

[audit.script]
file = "analyse.py"
command = ["python3", "{script}", "{model}", "{log}", "{out}"]

[[audit.check]]
name = "batch"
one = { file = "README.md", pattern = 'run.sh sp (\d+)$' }
other = { file = "run.sh", pattern = '^bs=(\d+)' }
differs = "formula"

[[audit.statement]]
quote = "bash run.sh  sp 22"
covered-by = "recipe:benchmark.mode.sp.command"
"#;

/// A repository with the guide, a store, and settings that know where the repository is.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    commit: String,
    tree: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let guides = Repository::init_bare(folder.path().join("guides")).unwrap();
        let empty = guides.find_tree(guides.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let mut tree = TreeUpdateBuilder::new();
        let files = [
            ("tracker/README.md", README),
            ("tracker/analyse.py", SCRIPT),
            ("tracker/run.sh", "bs=18\n"),
            ("other/large.gif", "GIF"),
        ];
        for (path, content) in files {
            tree.upsert(path, guides.blob(content.as_bytes()).unwrap(), FileMode::Blob);
        }
        let tree = guides.find_tree(tree.create_updated(&guides, &empty).unwrap()).unwrap();
        let author = Signature::new("A", "a@test", &Time::new(1, 0)).unwrap();
        let commit = guides.commit(None, &author, &author, "guide", &tree, &[]).unwrap();
        let place = folder.path().join("guides").display().to_string();
        let config = format!("[url \"{place}\"]\n\tinsteadOf = https://example.org/guides.git\n");
        fs::write(folder.path().join(".gitconfig"), config).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let (commit, tree) = (commit.to_string(), tree.id().to_string());
        Self { folder, store, commit, tree }
    }

    /// The recipe's text with the guide's commit and this `[audit]`.
    fn text(&self, audit: &str) -> String {
        let text = TRACKER.replacen("444b1c086e9ab88882c9a4bd90716c6864a23802", &self.commit, 1);
        let audit = audit.replacen("TREE", &self.tree, 1);
        text.replacen("[[erratum]]", &format!("{audit}\n[[erratum]]"), 1)
    }

    fn load(&self, audit: &str) -> Result<Recipe, RecipeError> {
        Recipe::load(folder(&self.text(audit)).path(), "tracker-debian")
    }

    fn guide(&self, recipe: &Recipe) -> Result<Guide, AuditError> {
        let home = self.folder.path();
        let environment = Environment::new(home, home)
            .with("HOME", home.to_str().unwrap())
            .with("PATH", home.to_str().unwrap());
        let settings = Settings::load_in(Options::default(), environment).unwrap();
        Guide::fetch(&settings, &self.store, recipe, &Quiet, &AtomicBool::new(false))
    }

    fn report(&self, audit: &str) -> Report {
        let recipe = self.load(audit).unwrap();
        Report::of_text(&recipe, &self.guide(&recipe).unwrap()).unwrap()
    }

    fn log(&self, recipe: &Recipe, text: &str) -> ParsedLog {
        let path = self.folder.path().join("train.log");
        fs::write(&path, text).unwrap();
        let nothing = Digest::from_bytes([0; 32]);
        let request = ParseRequest {
            recipe,
            sealed: (nothing, nothing),
            profile: "full",
            cases: &["tracker/fast/sp/bs2/fp32".to_owned()],
            settings: &[],
            paths: &[path],
        };
        bench::parse(&request).unwrap().logs.remove(0)
    }

    /// The guide's script on a log, played by `answer`.
    fn compare(
        &self,
        audit: &str,
        log: &str,
        answer: impl Fn(&Job) -> Answer + Send + Sync + 'static,
    ) -> (LogReport, Job) {
        let recipe = self.load(audit).unwrap();
        let guide = self.guide(&recipe).unwrap();
        let (engine, stop, image) = (Fake::with(answer), Stop::new(), image());
        let bench = Bench {
            recipe: &recipe,
            engine: &engine,
            store: &self.store,
            image: &image,
            stop: &stop,
        };
        let report = bench.compare(&guide, &self.log(&recipe, log)).unwrap().unwrap();
        (report, engine.calls().remove(0).job)
    }
}

fn image() -> Image {
    Image {
        name: "tracker-debian".to_owned(),
        seal: Digest::of(b"seal"),
        lock: Digest::of(b"lock"),
        layers: Vec::new(),
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
    }
}

/// Six steps of half a second.
fn steps() -> String {
    "time: 0.5, data_time: 0\n".repeat(6)
}

/// Writes the record where the script was told to.
fn write(job: &Job, record: &str) -> Answer {
    let out = job.mounts.iter().find(|mount| mount.writable).unwrap();
    fs::write(out.source.join("record"), record).unwrap();
    Answer::text("")
}

#[test]
fn the_guides_own_script_runs_on_the_log_and_makes_the_record_that_we_make() {
    let world = World::new();
    let (report, job) = world.compare(AUDIT, &steps(), |job| {
        write(job, r#"{"model_name": "fast", "index": 1, "FINAL_RESULT": 2.0}"#)
    });
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.fields.len(), 3);
    assert!(report.fields.iter().all(|field| field.same));
    assert_eq!(report.script_digest, Digest::of(SCRIPT.as_bytes()));
    let places = ["/repro/audit/analyse.py", "/repro/audit/log/train.log"];
    assert_eq!(job.command[..4], ["python3", places[0], "fast", places[1]]);
    let read_only: Vec<_> =
        job.mounts.iter().filter(|mount| !mount.writable).map(|m| m.target.as_str()).collect();
    assert_eq!(read_only, places);
    let script = job.mounts.iter().find(|mount| mount.target == places[0]).unwrap();
    assert_eq!(fs::read_to_string(&script.source).unwrap(), SCRIPT);
}

#[test]
fn another_figure_is_shown_with_both_sides() {
    let world = World::new();
    let (report, _) = world.compare(AUDIT, &steps(), |job| {
        write(job, r#"{"model_name": "fast", "index": 1, "FINAL_RESULT": 2.5, "UNIT": "s"}"#)
    });
    assert!(!report.is_good());
    let differing: Vec<_> = report.fields.iter().filter(|field| !field.same).collect();
    assert_eq!(differing.len(), 2);
    assert_eq!(differing[0].guide, Some(2.5.into()));
    assert_eq!(differing[0].ours, Some(2.0.into()));
    assert_eq!((differing[1].key.as_str(), &differing[1].ours), ("UNIT", &None));
}

#[test]
fn a_key_that_may_differ_says_why() {
    let audit = format!("{AUDIT}\n[audit.script.except]\nUNIT = \"added later\"\n");
    let world = World::new();
    let (report, _) = world.compare(&audit, &steps(), |job| {
        write(job, r#"{"model_name": "fast", "index": 1, "FINAL_RESULT": 2.0, "UNIT": "s"}"#)
    });
    assert!(report.is_good());
    let unit = report.fields.iter().find(|field| field.key == "UNIT").unwrap();
    assert_eq!(unit.reason.as_deref(), Some("added later"));
}

#[test]
fn a_record_on_standard_output_counts_if_the_script_writes_no_file() {
    let audit = AUDIT.replace(r#", "{out}""#, "");
    let world = World::new();
    let (report, _) = world.compare(&audit, &steps(), |_| {
        Answer::text("6 records\n{\"model_name\": \"fast\", \"index\": 1, \"FINAL_RESULT\": 2.0}\n")
    });
    assert!(report.is_good() && report.fields.len() == 3, "{report:?}");
}

#[test]
fn a_script_that_breaks_agrees_with_a_failed_run_only() {
    let breaks = |_: &Job| Answer::text("ZeroDivisionError\n").exit(Exit::Status(1));
    let world = World::new();
    let (short, _) = world.compare(AUDIT, "time: 0.5, data_time: 0\n", breaks);
    assert!(short.is_good(), "{short:?}");
    let reason = "it returned 1; its last line: ZeroDivisionError".to_owned();
    assert_eq!(short.end, ScriptEnd::None(reason));
    assert!(short.failure.unwrap().contains("`final_result`"));
    let (whole, _) = world.compare(AUDIT, &steps(), breaks);
    assert!(!whole.is_good());
}

#[test]
fn a_log_that_is_cut_off_may_be_whole_to_the_script_and_the_report_says_why_it_is_not() {
    let world = World::new();
    let (report, _) = world.compare(AUDIT, "time: 0.5, data_time: 0\n", |job| {
        write(job, r#"{"model_name": "fast", "index": 1, "FINAL_RESULT": 2.0}"#)
    });
    let result = report.fields.iter().find(|field| field.key == "FINAL_RESULT").unwrap();
    assert!(!result.same && report.is_good());
    assert!(result.reason.as_ref().unwrap().starts_with("ours is a failed run: "), "{result:?}");
}

#[test]
fn nothing_is_read_of_a_commit_with_another_tree() {
    let world = World::new();
    let other = "0123456789012345678901234567890123456789";
    let recipe = world.load(&AUDIT.replace("TREE", other)).unwrap();
    let error = world.guide(&recipe).unwrap_err();
    assert!(matches!(error, AuditError::OtherTree { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(other) && text.contains(&world.tree), "{text}");
}

#[test]
fn places_that_contradict_each_other_need_their_erratum() {
    let world = World::new();
    let report = world.report(AUDIT);
    assert!(report.is_good());
    assert_eq!(report.places[0].one.values, ["22"]);
    assert_eq!(report.places[0].other.values, ["18"]);
    let silent = world.report(&AUDIT.replace("differs = \"formula\"\n", ""));
    assert!(!silent.is_good());
}

#[test]
fn a_file_that_is_not_there_says_nothing_and_one_that_is_not_taken_cannot_be_asked() {
    let world = World::new();
    let report = world.report(&AUDIT.replace("file = \"run.sh\"", "file = \"gone.sh\""));
    assert!(report.is_good() && !report.places[0].other.is_there);
    let narrow = AUDIT.replace("tracker/*\"", "tracker/README.md\", \"tracker/*.py\"");
    let recipe = world.load(&narrow).unwrap();
    let error = Report::of_text(&recipe, &world.guide(&recipe).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "`audit.include` does not take `tracker/run.sh`");
}

#[test]
fn a_statement_that_the_guide_does_not_make_is_a_fault_and_what_nothing_covers_is_listed() {
    let world = World::new();
    let report = world.report(AUDIT);
    assert_eq!(report.statements[0].lines.unwrap().to_string(), "6");
    let left: Vec<_> =
        report.uncovered.iter().map(|line| (line.number, line.text.as_str())).collect();
    assert_eq!(left, [(3, "Batch size 22."), (7, "sleep 60")]);
    let moved = world.report(&AUDIT.replace("bash run.sh  sp 22", "bash run.sh sp 18"));
    assert!(!moved.statements[0].is_there && !moved.is_good());
}

#[test]
fn a_recipe_that_points_to_nothing_is_told_so() {
    let world = World::new();
    let problems = |from: &str, to: &str| match world.load(&AUDIT.replace(from, to)) {
        Err(RecipeError::Invalid { problems }) => problems[0].message.clone(),
        other => panic!("`{to}` was taken: {other:?}"),
    };
    let covered = "covered-by = \"recipe:benchmark.mode.sp.command\"";
    for (from, to, message) in [
        ("differs = \"formula\"", "differs = \"none\"", "there is no erratum `none`"),
        ("mode.sp.command", "mode.xp.command", "the recipe has no key `benchmark.mode.xp.command`"),
        (covered, "covered-by = \"left-out\"", "what is left out needs a `reason`"),
        (r"(\d+)$", r"\d+$", "is no pattern with one group"),
        ("quote = ", "lines = \"1\"\nquote = ", "either a `quote` or `lines`"),
        ("include = [\"tracker/*\"]", "include = []", "`audit.include` is empty"),
    ] {
        let found = problems(from, to);
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn the_command_shows_what_it_found_and_ends_with_3_where_something_is_wrong() {
    let world = World::new();
    let project = world.folder.path().join("project");
    fs::create_dir_all(project.join("lockfiles")).unwrap();
    let run = |audit: &str, arguments: &[&str]| {
        let images = folder(&world.text(audit));
        let place = project.join("images");
        let _ = fs::remove_dir_all(&place);
        copy(images.path().to_owned(), &place);
        let output = Command::new(env!("CARGO_BIN_EXE_repro"))
            .args(arguments)
            .current_dir(&project)
            .env_clear()
            .env("HOME", world.folder.path())
            .env("REPRO_HOME", world.folder.path().join("home"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).replace(&world.commit, "[commit]");
        (text, String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
    };
    let (text, _, code) = run(AUDIT, &["audit", "tracker"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @r"
    https://example.org/guides.git tracker/README.md at [commit]

    what the guide says in two places
      batch: differ, erratum:formula
        tracker/README.md: 22
        tracker/run.sh: 18

    what the guide says, and what covers it
      line 6  recipe:benchmark.mode.sp.command  bash run.sh sp 22

    nothing covers 2 lines of the guide's text
      line 3: Batch size 22.
      line 7: sleep 60
    ");
    let wrong = AUDIT.replace("sp 22\"\n", "sp 18\"\n");
    let (text, _, code) = run(&wrong, &["audit", "tracker", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["statements"][0]["is_there"]), (3, &false.into()));
    let (_, error, code) = run("", &["audit", "tracker"]);
    assert_eq!((code, error.as_str()), (2, "error: the recipe of `tracker` has no `[audit]`\n"));
    let (_, error, code) = run(AUDIT, &["audit", "tracker", "--logs", "../.gitconfig"]);
    assert_eq!(code, 2);
    assert!(error.contains("`../.gitconfig`") && error.contains("`--case` names"), "{error}");
}

fn copy(from: PathBuf, to: &PathBuf) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(path, &place);
        } else {
            fs::copy(path, place).unwrap();
        }
    }
}
