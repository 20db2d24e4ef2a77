//! A record that says what its log does not say is found.

use std::fs;
use std::path::PathBuf;

use repro::bench::RunSummary;
use repro::engine::Exit;
use repro::results::check::{Checked, check};
use serde_json::{Value, json};

use super::{Bench, Play, good_log, recipe};

const CASE: &str = "seg/fastscnn/sp/bs2/fp32";

/// A run of one case, in a store that has the recipe's text.
fn ran(bench: &Bench, play: Play) -> RunSummary {
    bench.store.put(bench.recipe.text.as_bytes()).unwrap();
    bench.run(&[play])
}

fn fastscnn() -> Bench {
    Bench::new().cases(&["*fastscnn*"])
}

fn checked(bench: &Bench, folder: PathBuf) -> Checked {
    let mut report = check(&bench.store, &[], &[folder]);
    assert_eq!(report.unreadable.len(), 0);
    assert_eq!(report.records.len(), 1);
    report.records.remove(0)
}

/// What is found wrong after `change`, in the results and in the store's copy alike.
fn found(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    let own = summary.folder.join(CASE).join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&own).unwrap()).unwrap();
    change(&mut record);
    let bytes = serde_json::to_vec(&record).unwrap();
    fs::write(&own, &bytes).unwrap();
    // Whoever changes one may change both.
    let copy = bench.store.runs().join(&summary.id);
    fs::write(copy.join(CASE).join("record.json"), &bytes).unwrap();
    let wrong = checked(&bench, summary.folder).wrong;
    wrong.into_iter().map(|wrong| wrong.what).collect()
}

#[test]
fn records_are_right_however_their_cases_ended() {
    let cut = good_log().replace("[60/60]", "[60/70]");
    let plays = [
        Play::log(good_log()),
        Play::log(cut),
        Play::log("no step\n"),
        Play::log(""),
        Play::log(good_log()).exit(Exit::Status(3)),
        Play::log(good_log()).exit(Exit::Signal(9)),
        Play::log(good_log()).exit(Exit::TimedOut),
        Play::log(good_log()).exit(Exit::Stopped),
    ];
    for (number, play) in plays.into_iter().enumerate() {
        let bench = fastscnn().set(&["iterations=7"]);
        let summary = ran(&bench, play);
        let own = checked(&bench, summary.folder);
        assert_eq!(own.wrong, [], "{number}");
        // The image of this test was never built.
        assert_eq!(own.not_checkable.len(), 1, "{number}: {:?}", own.not_checkable);
        let copy = checked(&bench, bench.store.runs().join(&summary.id));
        assert_eq!(copy.wrong, [], "{number}");
        assert!(copy.not_checkable.iter().any(|reason| reason.contains("log:")), "{number}");
    }
}

#[test]
fn a_copy_that_is_all_there_is_must_be_what_the_store_wrote() {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    fs::remove_dir_all(&summary.folder).unwrap();
    let folder = bench.store.runs().join(&summary.id);
    assert_eq!(checked(&bench, folder.clone()).wrong, []);
    let path = folder.join(CASE).join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // No log gives this figure: nothing but the copy's own digest can tell.
    record["duration"] = json!(1.5);
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    let wrong = checked(&bench, folder).wrong;
    assert_eq!(wrong[0].what, "the store's copy", "{wrong:?}");
}

#[test]
fn skipped_cases_are_right_and_may_claim_no_figure() {
    let bench = Bench::of(recipe("seg"), "full").cases(&["*fastscnn/sp*"]);
    bench.store.put(bench.recipe.text.as_bytes()).unwrap();
    let summary = bench.run(&[]);
    assert_eq!(checked(&bench, summary.folder.clone()).wrong, []);
    let path = summary.folder.join(&summary.records[0].case).join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["throughput"] = json!({ "name": "throughput", "value": 9.0, "unit": "", "formula": "" });
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    let wrong = checked(&bench, summary.folder).wrong;
    assert_eq!((wrong[0].what.as_str(), wrong[0].expected.as_str()), ("throughput", "nothing"));
}

#[test]
fn figures_from_the_arrival_of_lines_are_computed_from_the_kept_times() {
    let (bench, record) = super::parsing::trained();
    bench.store.put(bench.recipe.text.as_bytes()).unwrap();
    let folder = bench.results.join(&record.run);
    assert_eq!(checked(&bench, folder.clone()).wrong, []);
    let place = folder.join(&record.case).join("train.log.arrivals");
    let text = fs::read_to_string(&place).unwrap();
    fs::write(&place, text.replacen('\n', "\n1", 2)).unwrap();
    let wrong = checked(&bench, folder).wrong;
    assert_eq!(wrong[0].what, "log.arrivals.digest", "{wrong:?}");
}

#[test]
fn a_value_that_the_steps_do_not_give_is_named() {
    let of = |pointer: &str, value: Value| {
        found(|record| *record.pointer_mut(pointer).expect(pointer) = value)
    };
    assert_eq!(of("/final_result/value", json!(3.0)), ["final_result.value"]);
    assert_eq!(of("/throughput/value", json!(4.000_001)), ["throughput.value"]);
    assert_eq!(of("/metrics/0/value", json!(0.1)).len(), 1);
    assert_eq!(of("/series/time/values/5", json!("0.7")), ["series.time.values.5"]);
    assert_eq!(of("/series/time/mean", json!(0.4)), ["series.time.mean"]);
    assert_eq!(of("/series/time/skipped", json!(3)), ["series.time.skipped"]);
    assert_eq!(of("/status", json!({ "state": "failed", "reason": "bad luck" })).len(), 2);
    assert_eq!(of("/variables/batch_size", json!(8)), ["variables.batch_size"]);
    assert_eq!(of("/errata", json!([])), ["errata.0"]);
    assert_eq!(of("/log/digest", json!(digest(b"other"))), ["log.digest"]);
    assert_eq!(of("/log/size", json!(1)), ["log.size"]);
}

fn digest(bytes: &[u8]) -> String {
    repro::digest::Digest::of(bytes).to_string()
}

#[test]
fn a_case_that_started_before_its_run_is_found() {
    let before = |record: &mut Value| record["start"] = json!("2020-02-29T12:00:00Z");
    assert_eq!(found(before), ["start"]);
    assert_eq!(found(|record| record["start"] = json!("yesterday")), ["start"]);
}

#[test]
fn a_case_that_started_days_after_its_run_may_be_of_one_that_was_resumed() {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    let path = summary.folder.join(CASE).join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let start: jiff::Timestamp = record["start"].as_str().unwrap().parse().unwrap();
    record["start"] = json!((start + jiff::SignedDuration::from_hours(75)).to_string());
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    let checked = checked(&bench, summary.folder);
    assert!(checked.not_checkable.iter().any(|why| why.starts_with("start: 3 days after")));
}

#[test]
fn conditions_that_are_not_those_of_the_record_are_found() {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    let folder = summary.folder.join(CASE);
    let path = folder.join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["conditions"] = json!({ "file": "conditions.csv", "digest": digest(b"seconds\n0\n"),
        "interval": 1.0, "samples": 1, "summary": {} });
    let bytes = serde_json::to_vec(&record).unwrap();
    for place in [path, bench.store.runs().join(&summary.id).join(CASE).join("record.json")] {
        fs::write(place, &bytes).unwrap();
    }
    fs::write(folder.join("conditions.csv"), "seconds\n0\n").unwrap();
    assert_eq!(checked(&bench, summary.folder.clone()).wrong, []);
    fs::write(folder.join("conditions.csv"), "seconds\n1\n").unwrap();
    assert_eq!(checked(&bench, summary.folder).wrong[0].what, "conditions.digest");
}

#[test]
fn a_verdict_that_does_not_follow_is_named() {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    assert_eq!(checked(&bench, summary.folder.clone()).wrong, []);
    let path = summary.folder.join(CASE).join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(record["comparisons"][0]["verdict"]["state"], "not-comparable");
    record["comparisons"][0]["verdict"] = json!({ "state": "within" });
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    let wrong = checked(&bench, summary.folder).wrong;
    assert!(wrong[0].what.starts_with("comparisons.0.verdict"), "{wrong:?}");
}

#[test]
fn a_record_that_names_another_seal_than_its_run_is_found() {
    let wrong = found(|record| record["image"]["seal"] = json!(digest(b"another")));
    assert_eq!(wrong, ["image.seal"]);
}

#[test]
fn a_record_that_differs_from_the_copy_of_the_store_is_found() {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    let path = summary.folder.join(CASE).join("record.json");
    let text = fs::read_to_string(&path).unwrap();
    // No log says what the machine was.
    fs::write(&path, text.replace("a test", "a better machine")).unwrap();
    let wrong = checked(&bench, summary.folder).wrong;
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!((wrong[0].what.as_str(), wrong[0].expected.as_str()), ("host.cpu", "a test"));
    assert_eq!(wrong[0].found, "a better machine");
}

#[test]
fn a_changed_log_and_a_changed_record_of_the_guide_are_found() {
    let bench = fastscnn();
    let summary = ran(&bench, Play::log(good_log()));
    let folder = summary.folder.join(CASE);
    let record = &summary.records[0];
    let log = folder.join(&record.log.as_ref().unwrap().file);
    fs::write(&log, good_log().replace("0.75", "0.55")).unwrap();
    let guide = folder.join(record.guide_record.as_ref().unwrap());
    fs::write(&guide, "{}").unwrap();
    let wrong = checked(&bench, summary.folder.clone()).wrong;
    let names: Vec<&str> = wrong.iter().map(|wrong| wrong.what.as_str()).collect();
    assert_eq!(names, ["log.digest", "`fastscnn_sp_bs2_fp32_1_speed`"]);
}

#[test]
fn without_the_text_of_its_recipe_a_record_is_not_checkable_and_not_wrong() {
    let bench = fastscnn();
    let summary = bench.run(&[Play::log(good_log())]);
    let checked = checked(&bench, summary.folder);
    assert_eq!(checked.wrong, []);
    let digest = bench.recipe.digest().to_string();
    assert!(checked.not_checkable.iter().any(|reason| reason.contains(&digest)));
}
