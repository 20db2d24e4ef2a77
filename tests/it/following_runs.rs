//! `status`, `attach` and `stop`: runs of other processes, as a person meets them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use repro::bench::{Announced, End, Event, StateKeeper};
use repro::store::Store;
use serde_json::Value;

use crate::commands::Project;
use crate::recipe_reading::TRACKER;

const RUN: &str = "20260102T030405Z-9d1710effc1d";

/// A project, and a run that this process claims to do.
struct Stage {
    project: Project,
    results: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let project = Project::new(TRACKER);
        let results = project.folder.path().join("results").join(RUN);
        fs::create_dir_all(&results).unwrap();
        Self { project, results }
    }

    fn store(&self) -> Store {
        Store::open(&self.project.folder.path().join("store")).unwrap()
    }

    /// The run has begun; it ends with `end`, or dies if there is none.
    fn run(&self, store: &Store, end: Option<End>) {
        let resume = ["repro", "run", "--image", "tracker-debian", "--case", "*/sp/*", "--resume"];
        let announced = Announced {
            image: "tracker-debian".to_owned(),
            profile: "full".to_owned(),
            resume: resume.map(str::to_owned).to_vec(),
            left_out: 0,
            detached: true,
        };
        let keeper = StateKeeper::new(store, announced);
        keeper
            .tell(&Event::RunStarted {
                id: RUN,
                folder: &self.results,
                cases: 4,
                finished: &BTreeMap::new(),
            })
            .unwrap();
        if let Some(end) = end {
            keeper.end(end).unwrap();
        }
    }

    /// The run as a machine of that name would have written it.
    fn moves_to(&self, host: &str) {
        let path = self.store().runs().join(RUN).join("state.json");
        let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        state["process"]["host"] = host.into();
        state["process"]["boot"] = "another-start".into();
        fs::write(&path, state.to_string()).unwrap();
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.project.run(arguments).stdout).unwrap()
    }

    /// `repro attach`, after its first line on standard error.
    fn attached(&self) -> (Child, BufReader<std::process::ChildStderr>, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_repro"))
            .args(["attach", RUN])
            .current_dir(self.project.folder.path())
            .env("REPRO_HOME", self.project.folder.path().join("store"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        (child, lines, first)
    }
}

fn ended(code: u8) -> Option<End> {
    Some(End { code, stopped: code == 130, not_run: vec!["a/b".to_owned()], error: None })
}

fn rest(mut lines: BufReader<std::process::ChildStderr>) -> String {
    let mut text = String::new();
    lines.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn only_its_owner_reads_what_a_run_is_doing() {
    let stage = Stage::new();
    let store = stage.store();
    let mode = || {
        let state = store.runs().join(RUN).join("state.json");
        fs::metadata(state).unwrap().permissions().mode() & 0o777
    };
    stage.run(&store, None);
    assert_eq!(mode(), 0o600);
    stage.run(&store, ended(0));
    assert_eq!(mode(), 0o600);
}

#[test]
fn a_run_that_goes_on_is_shown_and_found_by_the_beginning_of_its_name() {
    let stage = Stage::new();
    let store = stage.store();
    stage.run(&store, None);
    let status = stage.json(&["status", "--json", "20260102"]);
    assert_eq!(status[0]["run"], RUN);
    assert_eq!(status[0]["state"], "running");
    assert_eq!(status[0]["cases"]["of"], 4);
    assert_eq!(status[0]["remaining_seconds"], Value::Null);
    let table = String::from_utf8(stage.project.run(&["status"]).stdout).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with(&format!("{RUN}  running  tracker-debian")));
}

#[test]
fn a_run_that_died_is_told_with_the_command_that_goes_on() {
    let stage = Stage::new();
    stage.run(&stage.store(), None);
    let (text, code) = stage.project.error(&["attach", RUN]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @r"
    error: run `20260102T030405Z-9d1710effc1d` died: its process is gone and could not say how it ended
    hint: what had ended is kept; to go on with the rest run
      repro run --image tracker-debian --case '*/sp/*' --resume 20260102T030405Z-9d1710effc1d
    ");
    let (text, code) = stage.project.error(&["stop", "latest"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @"error: run `20260102T030405Z-9d1710effc1d` does not go on: it died");
    assert_eq!(stage.json(&["status", "--json"])[0]["state"], "died");
}

#[test]
fn a_run_of_another_machine_is_neither_dead_nor_alive_here() {
    let stage = Stage::new();
    stage.run(&stage.store(), None);
    stage.moves_to("gpu07");
    let status = &stage.json(&["status", "--json"])[0];
    assert_eq!(
        (&status["state"], &status["host"], &status["resume"]),
        (&"elsewhere".into(), &"gpu07".into(), &Value::Null)
    );
    let output = stage.project.run(&["status"]);
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(note.contains(&format!("{RUN} runs on gpu07, last heard of ")), "{note}");
    let (text, code) = stage.project.error(&["stop", RUN]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: run `20260102T030405Z-9d1710effc1d` is one of `gpu07`, and a process is stopped on its own machine
    hint: run `repro stop 20260102T030405Z-9d1710effc1d` on `gpu07`
    ");
    // It is followed by what it writes, to its end.
    let (mut child, lines, first) = stage.attached();
    assert!(first.starts_with("between two cases, on gpu07, last heard of "), "{first}");
    stage.run(&stage.store(), ended(5));
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert_eq!(rest(lines), "");
}

#[test]
fn a_machine_that_was_started_anew_has_no_run_of_before() {
    let stage = Stage::new();
    stage.run(&stage.store(), None);
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    stage.moves_to(&own);
    assert_eq!(stage.json(&["status", "--json"])[0]["state"], "died");
}

#[test]
fn attaching_to_a_run_that_has_ended_ends_as_the_run_did() {
    for code in [0, 5, 130] {
        let stage = Stage::new();
        stage.run(&stage.store(), ended(code));
        let output = stage.project.run(&["attach"]);
        assert_eq!(output.status.code(), Some(i32::from(code)));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("not run: a/b\nresults in "), "{text}");
        let status = stage.json(&["status", "--json"]);
        let expected = match code {
            0 => "finished",
            5 => "failed",
            _ => "stopped",
        };
        assert_eq!(status[0]["state"], expected);
        assert_eq!(status[0]["exit_code"], code);
    }
}

#[test]
fn an_error_that_ended_a_run_is_told_to_who_attaches() {
    let stage = Stage::new();
    let error = Some("cannot write `record.json`\n  because: no space left".to_owned());
    stage.run(&stage.store(), Some(End { code: 1, stopped: false, not_run: Vec::new(), error }));
    let (text, code) = stage.project.error(&["attach", RUN]);
    assert_eq!(code, 1);
    assert_eq!(text, "error: cannot write `record.json`\n  because: no space left\n");
}

#[test]
fn who_is_attached_sees_the_end_of_the_run() {
    let stage = Stage::new();
    let store = stage.store();
    stage.run(&store, None);
    let (mut child, lines, first) = stage.attached();
    assert_eq!(first, "between two cases\n");
    stage.run(&store, ended(5));
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert_eq!(rest(lines), "");
}

#[test]
fn ctrl_c_leaves_the_run_alone_and_says_so() {
    let stage = Stage::new();
    let store = stage.store();
    stage.run(&store, None);
    let (mut child, lines, _) = stage.attached();
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest(lines).starts_with("detached; the run goes on\n"));
    assert_eq!(stage.json(&["status", "--json"])[0]["state"], "running");
}

#[test]
fn a_run_that_is_not_there_is_answered_with_those_that_are() {
    let stage = Stage::new();
    stage.run(&stage.store(), ended(0));
    let (text, code) = stage.project.error(&["attach", "2025"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: no run of this store is named `2025`
      20260102T030405Z-9d1710effc1d
    hint: `repro status --all` lists the runs of this store; `REPRO_HOME` names another
    ");
}

#[test]
fn a_run_that_is_refused_does_not_leave_the_foreground() {
    let stage = Stage::new();
    let foreground = stage.project.error(&["run", "--image", "tracker-debian"]);
    let detached = stage.project.error(&["run", "--image", "tracker-debian", "--detach"]);
    assert_eq!(detached, foreground);
    assert!(foreground.0.starts_with("error: "), "{}", foreground.0);
}
