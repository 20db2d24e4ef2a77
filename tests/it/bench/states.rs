//! Where a run is, as another process sees it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use repro::bench::{Announced, End, Event, Options, Phase, RunState, RunSummary, StateKeeper};
use repro::engine::Stop;
use repro::store::Store;

use super::{Bench, Play, Player, good_log};

fn announced(left_out: usize) -> Announced {
    Announced {
        image: "seg".to_owned(),
        profile: "smoke".to_owned(),
        resume: ["repro", "run", "--image", "seg", "--resume"].map(str::to_owned).to_vec(),
        left_out,
        detached: true,
    }
}

fn end(code: u8) -> End {
    End { code, stopped: code == 130, not_run: Vec::new(), error: None }
}

/// Runs with a keeper; `look` sees what another process would after each event.
fn run(bench: &Bench, plays: &[Play], look: &mut (dyn FnMut(&Event) + Send)) -> RunSummary {
    let keeper = StateKeeper::new(&bench.store, announced(0));
    let player = Player::new(plays);
    let mut events = |event: Event| {
        keeper.tell(&event).unwrap();
        look(&event);
    };
    let (setup, options) = (bench.setup(), bench.options());
    let summary = keeper.while_running(|| {
        repro::bench::run(&player, &bench.store, &setup, &options, &Stop::new(), &mut events)
    });
    let summary = summary.unwrap();
    keeper.end(end(if summary.all_ok() { 0 } else { 5 })).unwrap();
    summary
}

#[test]
fn a_run_is_there_for_others_from_its_first_event_on() {
    let bench = Bench::new();
    let seen = Mutex::new(Vec::new());
    let root = bench.store.root().to_owned();
    run(&bench, &[Play::log(good_log()), Play::log(""), Play::log(good_log())], &mut |event| {
        if let Event::RunStarted { id, .. } = event {
            let other = Store::open(&root).unwrap();
            let state = RunState::read(&other, id).unwrap();
            seen.lock().unwrap().push((state.phase(&other), state.cases, state.resume.join(" ")));
        }
    });
    let run = RunState::all(&bench.store).remove(0);
    let resume = format!("repro run --image seg --resume {}", run.run);
    assert_eq!(seen.into_inner().unwrap(), [(Phase::Running, 3, resume)]);
}

#[test]
fn a_run_that_has_ended_says_how_and_what_became_of_its_cases() {
    let bench = Bench::new();
    let summary =
        run(&bench, &[Play::log(good_log()), Play::log(""), Play::log(good_log())], &mut |_| {});
    let state = RunState::read(&bench.store, &summary.id).unwrap();
    assert_eq!(state.phase(&bench.store), Phase::Failed);
    assert_eq!((state.ended.ok, state.ended.failed, state.ended.skipped), (2, 1, 0));
    assert_eq!(state.ended.seconds, 25.0, "the player takes 12.5 s a case");
    assert!(state.running.is_empty());
    assert_eq!(state.folder, summary.folder.canonicalize().unwrap());
    assert!(!state.stop(&bench.store).unwrap(), "what has ended cannot be stopped");
}

#[test]
fn what_an_earlier_attempt_measured_counts_as_ended() {
    let bench = Bench::new();
    let first =
        run(&bench, &[Play::log(good_log()), Play::log(""), Play::log(good_log())], &mut |_| {});
    let keeper = StateKeeper::new(&bench.store, announced(0));
    let (setup, stop) = (bench.setup(), Stop::new());
    let options = Options { resume: Some("latest".to_owned()), ..bench.options() };
    let player = Player::new(&[Play::log(good_log())]);
    let mut events = |event: Event| keeper.tell(&event).unwrap();
    repro::bench::run(&player, &bench.store, &setup, &options, &stop, &mut events).unwrap();
    keeper.end(end(0)).unwrap();
    let ended = RunState::read(&bench.store, &first.id).unwrap().ended;
    assert_eq!((ended.before, ended.ok, ended.failed, ended.all()), (2, 1, 0, 3));
}

#[test]
fn a_run_whose_process_is_gone_has_died() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let root = bench.store.root().to_owned();
    let (results, gone) = (bench.results.clone(), Store::open(&root).unwrap());
    let keeper = StateKeeper::new(&gone, announced(0));
    keeper
        .tell(&Event::RunStarted {
            id: "a-run",
            folder: &results,
            cases: 1,
            finished: &BTreeMap::new(),
        })
        .unwrap();
    let state = RunState::read(&bench.store, "a-run").unwrap();
    assert_eq!(state.phase(&bench.store), Phase::Running);
    drop(keeper);
    drop(gone);
    assert_eq!(state.phase(&bench.store), Phase::Died);
    assert!(!state.stop(&bench.store).unwrap());
}

#[test]
fn a_stopped_run_is_neither_finished_nor_failed() {
    let bench = Bench::new();
    let keeper = StateKeeper::new(&bench.store, announced(0));
    keeper
        .tell(&Event::RunStarted {
            id: "b",
            folder: &bench.results,
            cases: 1,
            finished: &BTreeMap::new(),
        })
        .unwrap();
    keeper.end(end(130)).unwrap();
    let state = RunState::read(&bench.store, "b").unwrap();
    assert_eq!(state.phase(&bench.store), Phase::Stopped);
}

#[test]
fn a_state_of_a_later_version_is_refused_and_told_of_no_run() {
    let bench = Bench::new();
    let keeper = StateKeeper::new(&bench.store, announced(0));
    keeper
        .tell(&Event::RunStarted {
            id: "c",
            folder: &bench.results,
            cases: 1,
            finished: &BTreeMap::new(),
        })
        .unwrap();
    let path = bench.store.runs().join("c/state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
    let error = RunState::read(&bench.store, "c").unwrap_err().to_string();
    assert!(error.ends_with("version 9, this program knows 1"), "{error}");
    assert_eq!(RunState::all(&bench.store), []);
}
