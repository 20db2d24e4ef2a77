//! A matrix that runs several times.

use std::fs;

use repro::bench::{
    BenchError, Event, Options, Repeat, Repeatable, RunRecord, RunSummary, Status, read_records,
    repeats, run,
};
use repro::engine::{Exit, Stop};

use super::{Bench, Play, Player, good_log, report, seg_log};

const CASE: &str = "seg/fastscnn/sp/bs2/fp32";

/// Two cases.
fn bench() -> Bench {
    Bench::new().cases(&["*fastscnn*", "*ocrnet*"])
}

fn good() -> Play {
    Play::log(good_log())
}

/// A log whose true throughput is `2 / seconds`.
fn log_of(seconds: &str) -> Play {
    Play::log(seg_log(&["9", "1", "1", "1", seconds, seconds], &["1"; 6]))
}

fn go(bench: &Bench, options: &Options, plays: &[Play]) -> Result<RunSummary, BenchError> {
    let player = Player::new(plays);
    run(&player, &bench.store, &bench.setup(), options, &Stop::new(), &mut |_| {})
}

fn times(bench: &Bench, repeat: usize) -> Options {
    Options { repeat: Some(repeat), ..bench.options() }
}

fn resumed(bench: &Bench, repeat: Option<usize>) -> Options {
    Options { repeat, resume: Some("latest".to_owned()), ..bench.options() }
}

fn labels(records: &[RunRecord]) -> Vec<String> {
    records.iter().map(|record| record.label().replace("/sp/bs2/fp32", "")).collect()
}

#[test]
fn the_whole_matrix_runs_once_and_then_once_more() {
    let bench = bench();
    let summary = go(&bench, &times(&bench, 2), &[good(), good(), good(), good()]).unwrap();
    assert!(summary.all_ok());
    let expected = [
        "seg/fastscnn (1 of 2)",
        "seg/ocrnet_hrnetw48 (1 of 2)",
        "seg/fastscnn (2 of 2)",
        "seg/ocrnet_hrnetw48 (2 of 2)",
    ];
    assert_eq!(labels(&summary.records), expected);
    let indexes: Vec<_> = summary.records.iter().map(|record| record.index).collect();
    assert_eq!(indexes, [1, 2, 3, 4]);
    assert_eq!(summary.records[2].repeat, Some(Repeat { number: 2, of: 2 }));
}

#[test]
fn each_repetition_has_a_folder_of_its_own_with_all_that_a_case_leaves() {
    let bench = bench();
    let summary = go(&bench, &times(&bench, 2), &[good(), good(), good(), good()]).unwrap();
    for number in [1, 2] {
        let place = format!("{CASE}/repeat-{number}");
        for file in ["record.json", "fastscnn_sp_bs2_fp32_1", "fastscnn_sp_bs2_fp32_1_speed"] {
            assert!(summary.folder.join(&place).join(file).is_file(), "{place}/{file}");
        }
        let kept = bench.store.runs().join(&summary.id).join(&place).join("record.json");
        assert!(kept.is_file(), "{}", kept.display());
    }
    assert!(!summary.folder.join(CASE).join("record.json").exists());
    assert_eq!(read_records(&summary.folder).unwrap(), summary.records);
}

#[test]
fn one_repetition_is_no_repetition() {
    let bench = bench();
    let summary = go(&bench, &times(&bench, 1), &[good(), good()]).unwrap();
    assert!(summary.records.iter().all(|record| record.repeat.is_none()));
    assert!(summary.folder.join(CASE).join("record.json").is_file());
}

#[test]
fn the_spread_between_repetitions_is_told_beside_the_spread_of_steps() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let plays = [log_of("0.5"), log_of("0.4"), Play::log("").exit(Exit::Status(1))];
    let summary = go(&bench, &times(&bench, 3), &plays).unwrap();
    let groups = repeats(&summary.records);
    assert_eq!((groups.len(), groups[0].of, groups[0].measured), (1, 3, 2));
    let throughput = groups[0].throughput().unwrap();
    assert_eq!(throughput.values, [4.0, 5.0]);
    assert_eq!((throughput.mean, throughput.unit), (4.5, "images/s"));
    let variation = throughput.variation.unwrap();
    assert!((variation - 0.5f64.sqrt() / 4.5).abs() < 1e-12, "{variation}");
    let text = report(&summary.records);
    let row = format!("\n{CASE}  1 of 3 failed  2.250 images/s  4.500 images/s  ");
    assert!(text.contains(&row) && text.contains("  ± 15.7 % over 2  "), "{text}");
    assert!(text.contains("bs2/fp32 (3 of 3) failed: the command returned 1"), "{text}");
}

#[test]
fn records_without_repetitions_make_no_group() {
    let bench = bench();
    let summary = bench.run(&[good(), good()]);
    assert!(repeats(&summary.records).is_empty());
    assert!(!report(&summary.records).contains("repetition"));
}

#[test]
fn a_repetition_is_compared_with_the_one_before_it_and_the_first_with_the_last_run() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let first = go(&bench, &times(&bench, 2), &[good(), good()]).unwrap();
    assert_eq!(first.records[0].repeatable, Repeatable::NothingToCompare);
    let same = |run: &str, number| Repeatable::SameAs { run: run.to_owned(), repeat: Some(number) };
    assert_eq!(first.records[1].repeatable, same(&first.id, 1));
    let second = go(&bench, &times(&bench, 2), &[good(), log_of("0.5")]).unwrap();
    assert_eq!(second.records[0].repeatable, same(&first.id, 2));
    let differs = second.records[1].repeatable.to_string();
    let expected = format!("differs from run {} (repetition 1): loss at step 1", second.id);
    assert!(differs.starts_with(&expected), "{differs}");
}

#[test]
fn a_repeated_run_goes_on_where_it_was_killed() {
    let bench = bench();
    let first = go(&bench, &times(&bench, 3), &vec![good(); 6]).unwrap();
    // As a kill leaves it: the fourth case has a log and no record, the last two have nothing.
    fs::remove_file(first.folder.join(first.records[3].place()).join("record.json")).unwrap();
    for record in &first.records[4..] {
        fs::remove_dir_all(first.folder.join(record.place())).unwrap();
    }
    let second = go(&bench, &resumed(&bench, None), &vec![good(); 3]).unwrap();
    assert_eq!(second.id, first.id);
    assert!(second.all_ok());
    assert_eq!(labels(&second.records), labels(&first.records));
    assert_eq!(second.records[..3], first.records[..3]);
    let folder = second.folder.join(second.records[3].place());
    assert!(folder.join("ocrnet_hrnetw48_sp_bs2_fp32_1.1").is_file(), "the old log is kept");
    assert_eq!(read_records(&second.folder).unwrap(), second.records);
    assert!(go(&bench, &resumed(&bench, Some(3)), &[]).unwrap().all_ok(), "nothing is left");
}

#[test]
fn a_run_that_was_started_with_another_number_is_not_gone_on_with() {
    let bench = bench();
    go(&bench, &times(&bench, 2), &vec![good(); 4]).unwrap();
    let error = go(&bench, &resumed(&bench, Some(3)), &[]).unwrap_err().to_string();
    assert!(error.contains("repetitions\n      before  2\n      now     3"), "{error}");
    bench.run(&[good(), good()]);
    let error = go(&bench, &resumed(&bench, Some(2)), &[]).unwrap_err().to_string();
    assert!(error.contains("repetitions\n      before  1\n      now     2"), "{error}");
}

#[test]
fn a_run_that_was_killed_before_its_first_record_needs_to_be_told_how_often() {
    let bench = bench();
    let first = go(&bench, &times(&bench, 2), &vec![good(); 4]).unwrap();
    for record in &first.records {
        fs::remove_file(first.folder.join(record.place()).join("record.json")).unwrap();
    }
    let error = go(&bench, &resumed(&bench, None), &[]).unwrap_err();
    assert!(matches!(&error, BenchError::HowOften { .. }), "{error}");
    let second = go(&bench, &resumed(&bench, Some(2)), &vec![good(); 4]).unwrap();
    assert_eq!(second.records.len(), 4);
}

#[test]
fn a_failure_ends_a_repeated_run_unless_it_is_to_keep_going() {
    let bench = bench();
    let options = Options { keep_going: false, ..times(&bench, 2) };
    let plays = [good(), Play::log("").exit(Exit::Status(1))];
    let summary = go(&bench, &options, &plays).unwrap();
    let not_run = ["seg/fastscnn/sp/bs2/fp32 (2 of 2)", "seg/ocrnet_hrnetw48/sp/bs2/fp32 (2 of 2)"];
    assert_eq!(summary.not_run, not_run);
}

#[test]
fn there_is_a_pause_between_repetitions_as_between_cases() {
    let mut bench = Bench::new().cases(&["*fastscnn*"]);
    bench.recipe.profiles.get_mut("smoke").unwrap().pause = Some(0);
    let mut pauses = 0;
    let mut events = |event: Event| pauses += usize::from(matches!(event, Event::Pause { .. }));
    let (player, options) = (Player::new(&vec![good(); 3]), times(&bench, 3));
    run(&player, &bench.store, &bench.setup(), &options, &Stop::new(), &mut events).unwrap();
    assert_eq!(pauses, 2);
}

#[test]
fn repetitions_run_side_by_side_where_somebody_asks_for_it_and_say_so() {
    let bench = bench();
    let options = Options { jobs: 2, ..times(&bench, 2) };
    let plays = vec![good().slowly(); 4];
    let summary = go(&bench, &options, &plays).unwrap();
    assert!(summary.all_ok() && summary.records.len() == 4);
    assert!(summary.records.iter().any(|record| record.shared_host == Some(2)));
}

#[test]
fn a_skipped_case_is_skipped_in_every_repetition() {
    let bench = Bench::of(super::recipe("seg"), "full").cases(&["fastscnn/sp"]);
    let summary = go(&bench, &times(&bench, 2), &[]).unwrap();
    assert!(summary.records.iter().all(|record| matches!(record.status, Status::Skipped(_))));
    assert_eq!(summary.records.len(), 2);
}
