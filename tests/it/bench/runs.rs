//! What a run leaves behind, however its cases end.

use std::fs;

use repro::bench::{BenchError, Event, Options, Status, read_records};
use repro::engine::{Exit, Stop};

use super::{Bench, Play, Player, good_log, recipe, seg_log};

/// The status and the guide's record of one case that was played.
fn ended(play: Play) -> (Status, String) {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let summary = bench.run(&[play]);
    let folder = summary.folder.join("seg/fastscnn/sp/bs2/fp32");
    let guide = fs::read_to_string(folder.join("fastscnn_sp_bs2_fp32_1_speed")).unwrap();
    assert_eq!(summary.records[0].status == Status::Ok, summary.all_ok());
    (summary.records[0].status.clone(), guide)
}

fn reason(play: Play) -> String {
    let (status, guide) = ended(play);
    assert!(
        guide.contains(r#""run_mode": "", "index": 1, "gpu_num": 0, "FINAL_RESULT": 0, "#),
        "{guide}"
    );
    assert!(guide.contains(r#""JOB_FAIL_FLAG": 1"#), "{guide}");
    match status {
        Status::Failed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_case_has_both_records_and_its_whole_log() {
    let (status, guide) = ended(Play::log(good_log()));
    assert_eq!(status, Status::Ok);
    let expected = concat!(
        r#"{"log_file": "fastscnn_sp_bs2_fp32_1", "model_name": "fastscnn", "#,
        r#""mission_name": "\u56fe\u50cf\u5206\u5272", "direction_id": 0, "run_mode": "sp", "#,
        r#""index": 1, "gpu_num": 1, "FINAL_RESULT": 2.0, "JOB_FAIL_FLAG": 0, "UNIT": "images/s"}"#,
    );
    assert_eq!(guide, expected);
}

#[test]
fn a_record_is_written_when_the_job_fails() {
    let failed = Play::log("Traceback\nRuntimeError: \u{1b}[31mno\n\n").exit(Exit::Status(1));
    assert_eq!(reason(failed), "the command returned 1\n  last line  RuntimeError: no");
    let silent = Play::log("").exit(Exit::Status(127));
    assert_eq!(reason(silent), "the command returned 127 without having written anything");
    let complete = Play::log(good_log()).exit(Exit::Status(139));
    assert!(reason(complete).starts_with("the command returned 139"));
}

#[test]
fn a_record_is_written_when_the_job_is_killed_or_too_slow() {
    let killed = Play::log("x").exit(Exit::Signal(9));
    assert_eq!(reason(killed), "the command was ended by signal 9 (SIGKILL)\n  last line  x");
    let slow = Play::log(good_log()).exit(Exit::TimedOut);
    assert!(reason(slow).starts_with("the command took longer than 600 s\n  last line  2021"));
}

#[test]
fn a_record_is_written_when_the_log_has_no_figure() {
    let nothing =
        r"no `gpus`: the log has no `gpu_end` (no line matches `gpu_ids = range.{4}(\d)`)";
    assert_eq!(reason(Play::log("done\n")), nothing);
    assert_eq!(reason(Play::log(b"\0\xff\xfe\r\r\0".repeat(5000))), nothing);
    assert_eq!(reason(Play::log("")), nothing);
    let short = seg_log(&["1", "1", "1", "1"], &["1", "1", "1", "1"]);
    assert_eq!(
        reason(Play::log(short)),
        "no `final_result`: `mean` of a series without values (`time`: 4 found, and 4 are skipped)"
    );
    let garbage = seg_log(&["1", "1", "1", "1", "1", "x"], &["1"; 6]);
    assert_eq!(
        reason(Play::log(garbage)),
        "no `final_result`: record 6 of `time` is `x`, not a number"
    );
    let zero = seg_log(&["0"; 6], &["1"; 6]);
    assert_eq!(reason(Play::log(zero)), "no `final_result`: division by zero");
    let nan = seg_log(&["nan"; 6], &["1"; 6]);
    assert_eq!(reason(Play::log(nan)), "no `final_result`: the result is nan, not a finite number");
}

#[test]
fn a_failed_case_ends_the_run_unless_it_is_to_keep_going() {
    let plays = [Play::log("").exit(Exit::Status(1)), Play::log(good_log()), Play::log(good_log())];
    let bench = Bench::new();
    let summary = bench.run_with(&plays, false, &mut |_| {});
    assert_eq!(summary.records.len(), 1);
    assert_eq!(summary.not_run.len(), 2);
    assert!(!summary.all_ok() && !summary.stopped);
    let summary = bench.run_with(&plays, true, &mut |_| {});
    assert_eq!((summary.records.len(), summary.not_run.len()), (3, 0));
    assert!(!summary.all_ok());
}

#[test]
fn a_stop_ends_the_run_after_the_case_was_recorded() {
    let stopped = Play::log(good_log()).exit(Exit::Stopped);
    let bench = Bench::new();
    let summary = bench.run(&[Play::log(good_log()), stopped]);
    assert!(summary.stopped && !summary.all_ok());
    assert_eq!(summary.not_run, ["seg/ocrnet_hrnetw48/sp/bs2/fp32"]);
    let records = read_records(&summary.folder).unwrap();
    assert_eq!(records[1].status, Status::Failed("stopped by the user".to_owned()));
    assert_eq!(records, summary.records);
}

#[test]
fn a_stop_before_the_first_case_runs_nothing() {
    let bench = Bench::new();
    let stop = Stop::new();
    stop.request();
    let options = bench.options();
    let run = repro::bench::run(
        &Player::new(&[]),
        &bench.store,
        &bench.setup(),
        &options,
        &stop,
        &mut |_| {},
    );
    let summary = run.unwrap();
    assert_eq!((summary.records.len(), summary.not_run.len()), (0, 3));
    assert!(summary.stopped && !summary.all_ok());
}

#[test]
fn a_case_without_its_gpus_is_skipped_and_never_counted_as_measured() {
    let bench = Bench::of(recipe("seg"), "full").cases(&["*fastscnn*"]);
    let summary = bench.run(&[]);
    let reasons: Vec<_> = summary.records.iter().map(|record| record.status.clone()).collect();
    let needs = |count| {
        Status::Skipped(format!("needs {count}, this machine has 0 (no NVIDIA driver is loaded)"))
    };
    assert_eq!(reasons, [needs("1 GPU"), needs("8 GPUs")]);
    assert!(!summary.all_ok());
    let folder = summary.folder.join("seg/fastscnn/sp/bs2/fp32");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["record.json"], "a case that was not run has no log and no result");
}

#[test]
fn a_machine_with_one_gpu_runs_what_needs_one() {
    let bench = Bench::of(recipe("seg"), "full").cases(&["*fastscnn*"]).with_gpus(&["V100"]);
    let summary = bench.run(&[Play::log(good_log())]);
    assert_eq!(summary.records[0].status, Status::Ok);
    assert!(
        matches!(&summary.records[1].status, Status::Skipped(reason) if reason.contains("has 1"))
    );
    assert!(summary.all_ok(), "a skipped case is no failure");
}

#[test]
fn a_strict_run_refuses_before_anything_runs() {
    let bench = Bench::of(recipe("seg"), "full");
    let options = Options { strict: true, ..bench.options() };
    let player = Player::new(&[]);
    let run = repro::bench::run(
        &player,
        &bench.store,
        &bench.setup(),
        &options,
        &Stop::new(),
        &mut |_| {},
    );
    let error = run.unwrap_err();
    assert!(matches!(&error, BenchError::Strict { lacking } if lacking.len() == 6), "{error}");
    assert!(!bench.results.exists(), "a refused run left a folder");
}

#[test]
fn each_record_is_there_before_the_next_case_starts() {
    let bench = Bench::new();
    let plays = [Play::log(good_log()), Play::log(""), Play::log(good_log())];
    let mut counts = Vec::new();
    let results = bench.results.clone();
    bench.run_with(&plays, true, &mut |event| {
        if let Event::CaseStarted { .. } = event {
            counts.push(read_records(&results).unwrap().len());
        }
    });
    assert_eq!(counts, [0, 1, 2]);
}

#[test]
fn progress_shows_the_throughput_of_the_newest_step() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let mut seen = Vec::new();
    bench.run_with(&[Play::log(good_log())], true, &mut |event| {
        if let Event::Progress { step, value, throughput, .. } = event {
            let throughput = throughput.and_then(|figure| figure.value).unwrap().repr();
            seen.push(format!("{step}: {value} s, {throughput}"));
        }
    });
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0], "1: 9.0 s, 0.2222222222222222");
    assert_eq!(seen[4], "5: 0.25 s, 8.0");
}

#[test]
fn the_log_is_kept_to_the_last_byte_while_the_job_still_writes() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let log = [good_log().as_bytes(), b"\0\xffno newline"].concat();
    let results = bench.results.clone();
    let mut on_disk = Vec::new();
    let summary = bench.run_with(&[Play::log(log.clone())], true, &mut |event| {
        if let Event::Output { .. } = event {
            let run = fs::read_dir(&results).unwrap().next().unwrap().unwrap().path();
            let file = run.join("seg/fastscnn/sp/bs2/fp32/fastscnn_sp_bs2_fp32_1");
            on_disk.push(fs::metadata(file).unwrap().len());
        }
    });
    assert_eq!(on_disk[0], 100);
    let kept = summary.records[0].log.as_ref().unwrap();
    assert_eq!((kept.size, kept.digest), (log.len() as u64, repro::digest::Digest::of(&log)));
}

/// What `bench` says to going on with its newest run.
pub(super) fn go_on(bench: &Bench, plays: &[Play]) -> Result<repro::bench::RunSummary, BenchError> {
    let resume = Some("latest".to_owned());
    let options = Options { resume, ..bench.options() };
    let player = Player::new(plays);
    repro::bench::run(&player, &bench.store, &bench.setup(), &options, &Stop::new(), &mut |_| {})
}

#[test]
fn a_run_goes_on_with_what_is_not_finished() {
    let bench = Bench::new();
    let plays = [Play::log(good_log()), Play::log("").exit(Exit::Status(1))];
    let first = bench.run_with(&plays, false, &mut |_| {});
    assert_eq!((first.records.len(), first.not_run.len()), (2, 1));
    // The failed case and the one that was not reached; the finished one is not played.
    let second = go_on(&bench, &[Play::log(good_log()), Play::log(good_log())]).unwrap();
    assert_eq!((second.id.clone(), second.folder.clone()), (first.id, first.folder));
    assert!(second.all_ok() && second.records.len() == 3);
    assert_eq!(second.records[0], first.records[0]);
    assert_eq!(read_records(&second.folder).unwrap(), second.records);
    // What the failed attempt left is still there under another name.
    let failed = &second.records[1];
    let folder = second.folder.join(&failed.case);
    assert!(folder.join("record.json.1").is_file());
    assert!(go_on(&bench, &[]).unwrap().all_ok(), "a finished run has nothing to do");
}

#[test]
fn a_case_that_was_killed_has_a_log_but_no_record_and_runs_again() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let first = bench.run(&[Play::log(good_log())]);
    let folder = first.folder.join("seg/fastscnn/sp/bs2/fp32");
    fs::remove_file(folder.join("record.json")).unwrap();
    let second = go_on(&bench, &[Play::log(good_log())]).unwrap();
    assert!(second.all_ok());
    assert!(folder.join("fastscnn_sp_bs2_fp32_1.1").is_file());
}

#[test]
fn a_run_of_other_inputs_is_not_gone_on_with() {
    let bench = Bench::new();
    bench.run(&[Play::log(good_log()), Play::log(good_log()), Play::log(good_log())]);
    let other = bench.set(&["iterations=30"]);
    let error = go_on(&other, &[]).unwrap_err().to_string();
    assert!(error.contains("was run with other inputs"), "{error}");
    assert!(error.contains("deviations") && error.contains("iterations"), "{error}");
    let mut other = other.set(&[]);
    let digest = repro::digest::Digest::of(b"x");
    let unpacked = repro::dataset::Unpacked { digest, ..repro::dataset::Unpacked::nowhere() };
    other.data.insert("cityscapes-tiny".to_owned(), unpacked);
    let error = go_on(&other, &[]).unwrap_err().to_string();
    assert!(error.contains("data\n") && !error.contains("image\n"), "{error}");
}

#[test]
fn without_a_run_there_is_nothing_to_go_on_with() {
    let bench = Bench::new();
    assert!(matches!(go_on(&bench, &[]), Err(BenchError::NoRun { name, .. }) if name == "latest"));
}

/// The names of what happened, without output and progress.
fn happened(event: &Event) -> Option<String> {
    match event {
        Event::Pause { seconds } => Some(format!("pause of {seconds} s")),
        Event::CaseStarted { case, .. } => Some(case.case.model.clone()),
        _ => None,
    }
}

#[test]
fn a_guide_that_sleeps_between_its_cases_has_a_pause_between_them() {
    let mut bench = Bench::new();
    bench.recipe.profiles.get_mut("smoke").unwrap().pause = Some(0);
    let mut seen = Vec::new();
    let plays = [Play::log(good_log()), Play::log(good_log()), Play::log(good_log())];
    bench.run_with(&plays, true, &mut |event| seen.extend(happened(&event)));
    let expected = ["fastscnn", "pause of 0 s", "segformer_b0", "pause of 0 s", "ocrnet_hrnetw48"];
    assert_eq!(seen, expected);
}

#[test]
fn a_run_that_is_stopped_in_a_pause_starts_no_other_case() {
    let mut bench = Bench::new();
    bench.recipe.profiles.get_mut("smoke").unwrap().pause = Some(3600);
    let stop = Stop::new();
    let mut events = |event: Event| {
        if matches!(event, Event::Pause { .. }) {
            stop.request();
        }
    };
    let player = Player::new(&[Play::log(good_log())]);
    let options = bench.options();
    let summary =
        repro::bench::run(&player, &bench.store, &bench.setup(), &options, &stop, &mut events);
    let summary = summary.unwrap();
    assert_eq!((summary.records.len(), summary.not_run.len(), summary.stopped), (1, 2, true));
}
