//! Cases that a recipe expects to fail.

use repro::bench::{Options, RunSummary, Status, run};
use repro::engine::{Exit, Stop};
use repro::recipe::ExpectedFailure;

use super::runs::go_on;
use super::{Bench, Play, Player, good_log, report};

fn expected(case: &str) -> ExpectedFailure {
    ExpectedFailure {
        case: case.to_owned(),
        reason: "out of memory below 16 GB".to_owned(),
        evidence: "issue 7".to_owned(),
        image: None,
        profile: None,
        gpu: None,
    }
}

/// The smoke run, where the first of the three cases is expected to fail.
fn bench(change: impl FnOnce(&mut ExpectedFailure)) -> Bench {
    let mut bench = Bench::new();
    let mut failure = expected("*fastscnn*");
    change(&mut failure);
    bench.recipe.expected_failures = vec![failure];
    bench
}

fn failing() -> Play {
    Play::log("Killed\n").exit(Exit::Status(1))
}

fn good() -> Play {
    Play::log(good_log())
}

fn run_and_give_up(bench: &Bench, plays: &[Play]) -> RunSummary {
    let options = Options { keep_going: false, ..bench.options() };
    let player = Player::new(plays);
    run(&player, &bench.store, &bench.setup(), &options, &Stop::new(), &mut |_| {}).unwrap()
}

#[test]
fn a_failure_that_was_announced_is_told_and_fails_no_run() {
    let bench = bench(|_| {});
    let summary = run_and_give_up(&bench, &[failing(), good(), good()]);
    assert!(summary.all_ok() && summary.records.len() == 3, "the run goes on after it");
    let record = &summary.records[0];
    assert!(matches!(&record.status, Status::Failed(_)) && record.failed_as_expected());
    let why = "out of memory below 16 GB (issue 7)";
    assert_eq!(record.expected_failure.as_deref(), Some(why));
    assert_eq!(
        record.comparisons[0].verdict.reasons()[0],
        format!("the case failed, as expected: {why}")
    );
    let text = report(&summary.records);
    assert!(text.contains(&format!("bs2/fp32 failed as expected: {why}\n  the command")), "{text}");
}

#[test]
fn a_run_of_nothing_but_expected_failures_came_out_as_it_should() {
    let bench = bench(|_| {}).cases(&["*fastscnn*"]);
    assert!(bench.run(&[failing()]).all_ok());
}

#[test]
fn a_case_that_passes_although_it_should_fail_is_told_loudly() {
    let bench = bench(|_| {});
    let summary = bench.run(&[good(), good(), good()]);
    assert!(!summary.all_ok(), "what the recipe says is no longer true");
    assert!(summary.records[0].passed_unexpectedly());
    let text = report(&summary.records);
    assert!(text.contains("PASSED, ALTHOUGH IT IS EXPECTED TO FAIL: out of memory"), "{text}");
}

#[test]
fn a_condition_that_does_not_hold_leaves_a_failure_a_failure() {
    let conditions: [fn(&mut ExpectedFailure); 4] = [
        |failure| failure.case = "*segformer*".to_owned(),
        |failure| failure.image = Some("seg-debian".to_owned()),
        |failure| failure.profile = Some("full".to_owned()),
        |failure| failure.gpu = Some("V100-SXM2-16GB".to_owned()),
    ];
    for condition in conditions {
        let summary = run_and_give_up(&bench(condition), &[failing()]);
        assert!(!summary.all_ok() && summary.records[0].is_failure());
        assert_eq!(summary.not_run.len(), 2);
    }
}

#[test]
fn a_condition_that_holds_makes_it_expected() {
    let mut bench = bench(|failure| {
        failure.image = Some("seg".to_owned());
        failure.profile = Some("full".to_owned());
        failure.gpu = Some("V100-SXM2-16GB".to_owned());
    });
    bench.profile = "full";
    let bench = bench.cases(&["fastscnn/sp"]).with_gpus(&["Tesla V100-SXM2-16GB"]);
    assert!(bench.run(&[failing()]).records[0].failed_as_expected());
}

#[test]
fn a_run_that_goes_on_leaves_an_expected_failure_as_it_is() {
    let bench = bench(|_| {});
    let first = bench.run_with(&[failing(), failing()], false, &mut |_| {});
    assert_eq!((first.records.len(), first.not_run.len()), (2, 1));
    // Only the failure that nobody expected is run again, and what was not reached.
    let second = go_on(&bench, &[good(), good()]).unwrap();
    assert!(second.all_ok());
    assert_eq!(second.records[0], first.records[0]);
}
