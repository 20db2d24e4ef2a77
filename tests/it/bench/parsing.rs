//! Logs that somebody else made, and times at which lines arrive.

use std::fs;
use std::path::{Path, PathBuf};

use repro::bench::{BenchError, ParseRequest, Parsed, RunRecord, Status, keep, parse, read_record};
use repro::digest::Digest;
use repro::recipe::Recipe;

use super::runs::go_on;
use super::{Bench, Play, good_log, recipe, report};

fn request<'a>(recipe: &'a Recipe, cases: &'a [String], paths: &'a [PathBuf]) -> ParseRequest<'a> {
    let sealed = (Digest::of(b"seal"), Digest::of(b"lock"));
    ParseRequest { recipe, sealed, profile: "full", cases, settings: &[], paths }
}

fn parse_all(recipe: &Recipe, paths: &[&Path]) -> Result<Parsed, BenchError> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
    parse(&request(recipe, &[], &paths))
}

#[test]
fn a_foreign_log_gives_the_record_of_a_run_without_what_only_a_run_knows() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mine.log");
    fs::write(&log, good_log()).unwrap();
    let recipe = recipe("seg");
    let parsed =
        parse(&request(&recipe, &["fastscnn/sp".to_owned()], std::slice::from_ref(&log))).unwrap();
    let record = &parsed.logs[0].record;
    let mut bench = Bench::of(recipe, "full").cases(&["fastscnn/sp"]);
    bench = bench.with_gpus(&["V100"]);
    let run = bench.run(&[Play::log(good_log())]).records.remove(0);
    assert_eq!((&record.status, &record.metrics), (&run.status, &run.metrics));
    assert_eq!((&record.series, &record.once), (&run.series, &run.once));
    assert_eq!(record.log, run.log);
    assert_eq!(record.guide_record, run.guide_record);
    assert_eq!(record.parsed.as_ref().unwrap().path, log);
    assert_eq!(record.host, repro::bench::Host::default());
    assert!(record.exit.is_none() && record.job.command.is_empty() && record.data.is_empty());
    let judged = &record.comparisons[0].verdict;
    assert_eq!(judged.to_string(), "not comparable", "nobody knows what made this log");
    let text = report(std::slice::from_ref(record));
    assert!(text.contains("seg, seal not verified, profile full, logs made elsewhere"), "{text}");
    assert!(!text.contains("sha256:"), "{text}");
}

/// What mmsegmentation's `train.py` of the guide's commit writes on two processes: it names each of them.
#[test]
fn a_log_of_the_guides_own_data_parallel_training_is_a_log_of_its_case() {
    let folder = tempfile::tempdir().unwrap();
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let seg = Recipe::load(&images, "seg").unwrap();
    let parsed = |processes: u32| {
        let log = folder.path().join(format!("fastscnn_mp_bs2_fp32_{processes}"));
        let text = format!("range(0, {processes})");
        fs::write(&log, good_log().replace("range(0, 1)", &text)).unwrap();
        let paths = [log];
        let profile = if processes == 8 { "full" } else { "smoke" };
        let cases = ["seg/fastscnn/mp/bs2/fp32".to_owned()];
        let request = ParseRequest { profile, ..request(&seg, &cases, &paths) };
        parse(&request).unwrap().logs.remove(0).record
    };
    for processes in [2, 8] {
        let record = parsed(processes);
        assert_eq!(record.status, Status::Ok);
        let name = format!("fastscnn_mp_bs2_fp32_{processes}_speed");
        assert_eq!(record.guide_record, Some(name));
        let seconds = 2.0 * f64::from(processes) / 0.5;
        let throughput = record.throughput.unwrap().value.unwrap().as_f64();
        assert!((throughput - seconds).abs() < 1e-9, "{throughput}");
    }
    let Status::Failed(reason) = parsed(1).status else {
        panic!("a log of one process is no mp log")
    };
    assert!(reason.contains("gpu_ids are not the GPUs of the case"), "{reason}");
}

#[test]
fn a_folder_is_searched_for_logs_by_the_names_that_the_recipe_gives() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("logs/of/somebody");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("segformer_b0_mp_bs2_fp32_8"), good_log()).unwrap();
    fs::write(folder.path().join("fastscnn_sp_bs2_fp32_1"), good_log()).unwrap();
    fs::write(folder.path().join("fastscnn_sp_bs2_fp32_1_speed"), "{}").unwrap();
    fs::write(folder.path().join("notes.txt"), "").unwrap();
    let parsed = parse_all(&recipe("seg"), &[folder.path()]).unwrap();
    let cases: Vec<_> = parsed.logs.iter().map(|log| log.record.case.as_str()).collect();
    assert_eq!(cases, ["seg/fastscnn/sp/bs2/fp32", "seg/segformer_b0/mp/bs2/fp32"]);
    assert_eq!(parsed.others, [folder.path().join("notes.txt")]);
}

#[test]
fn logs_of_one_name_are_told_apart_by_the_folder_of_their_case() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe("detectron2");
    for mode in ["sp", "mp"] {
        let case = folder.path().join(format!("detectron2/mask_rcnn_R_50_FPN_1x/{mode}/bs2/fp32"));
        fs::create_dir_all(&case).unwrap();
        fs::write(case.join("train.log"), "").unwrap();
    }
    fs::write(folder.path().join("train.log"), "").unwrap();
    let parsed = parse_all(&recipe, &[folder.path()]).unwrap();
    assert_eq!(parsed.logs.len(), 2);
    assert_eq!(parsed.others, [folder.path().join("train.log")], "it could be of either");
}

#[test]
fn logs_of_a_repeated_run_are_told_apart_by_the_folders_of_its_repetitions() {
    let folder = tempfile::tempdir().unwrap();
    for number in [1, 2] {
        let place = folder.path().join(format!("seg/fastscnn/sp/bs2/fp32/repeat-{number}"));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("fastscnn_sp_bs2_fp32_1"), good_log()).unwrap();
    }
    let recipe = recipe("seg");
    let mut parsed = parse_all(&recipe, &[folder.path()]).unwrap();
    let labels: Vec<_> = parsed.logs.iter().map(|log| log.record.label()).collect();
    let case = "seg/fastscnn/sp/bs2/fp32";
    assert_eq!(labels, [format!("{case} (1 of 2)"), format!("{case} (2 of 2)")]);
    let kept = keep(&folder.path().join("results"), &mut parsed).unwrap();
    assert!(kept.join(case).join("repeat-2/record.json").is_file());
}

#[test]
fn a_log_without_a_case_and_a_case_with_two_logs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let seg = recipe("seg");
    let empty = parse_all(&seg, &[folder.path()]).unwrap_err().to_string();
    let found = "has the name of a case's log\n  found     no file that could be one\n  \
                 expected  fastscnn_mp_bs2_fp32_8\n            fastscnn_sp_bs2_fp32_1\n";
    assert!(empty.contains(found), "{empty}");
    let other = folder.path().join("my.log");
    fs::write(&other, good_log()).unwrap();
    assert!(matches!(parse_all(&seg, &[&other]), Err(BenchError::NoCaseOfLog { .. })));
    let named = folder.path().join("fastscnn_sp_bs2_fp32_1");
    fs::write(&named, good_log()).unwrap();
    let twice = parse_all(&seg, &[&named, folder.path()]).unwrap_err().to_string();
    assert!(twice.starts_with("there are two logs of `seg/fastscnn/sp/bs2/fp32`\n  one    "));
    let missing = parse_all(&seg, &[&folder.path().join("none/fastscnn_sp_bs2_fp32_1")]);
    assert!(matches!(missing, Err(BenchError::NoPath { .. })));
}

#[test]
fn a_folder_without_a_log_is_answered_with_what_lies_in_it_and_what_would_be_one() {
    let folder = tempfile::tempdir().unwrap();
    for number in 10..22 {
        fs::write(folder.path().join(format!("{number}.txt")), good_log()).unwrap();
    }
    let recipe = recipe("detectron2");
    let text = parse_all(&recipe, &[folder.path()]).unwrap_err().to_string();
    let root = folder.path().display().to_string();
    insta::assert_snapshot!(text.replace(&root, "logs"), @r"
    no file in `logs` has the name of a case's log
      found     logs/10.txt
                logs/11.txt
                logs/12.txt
                logs/13.txt
                logs/14.txt
                logs/15.txt
                logs/16.txt
                logs/17.txt
                logs/18.txt
                logs/19.txt
                and 2 more
      expected  detectron2/mask_rcnn_R_50_FPN_1x/mp/bs2/fp32/train.log
                detectron2/mask_rcnn_R_50_FPN_1x/sp/bs2/fp32/train.log
    ");
}

#[test]
fn a_case_that_nobody_can_run_is_answered_with_the_reason() {
    let recipe = recipe("mindspore");
    let case = &recipe.unavailable[0];
    for name in [case.case.clone(), case.case.replace("/fp32", "/*")] {
        let error = parse(&request(&recipe, std::slice::from_ref(&name), &[])).unwrap_err();
        let expected = format!("`{name}` cannot be run: {}", case.reason);
        assert_eq!(error.to_string(), expected);
    }
    let unknown = ["mindspore/none/sp/bs1/fp32".to_owned()];
    let error = parse(&request(&recipe, &unknown, &[])).unwrap_err();
    assert!(matches!(error, BenchError::UnknownCase { .. }), "{error}");
}

#[test]
fn what_was_parsed_can_be_kept_and_is_never_taken_for_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("fastscnn_sp_bs2_fp32_1");
    fs::write(&log, good_log()).unwrap();
    let mut bench = Bench::of(recipe("seg"), "full").cases(&["fastscnn/sp"]);
    bench = bench.with_gpus(&["V100"]);
    let mut parsed = parse_all(&bench.recipe, &[&log]).unwrap();
    let kept = keep(&bench.results, &mut parsed).unwrap();
    let case = kept.join("seg/fastscnn/sp/bs2/fp32");
    assert_eq!(read_record(&case.join("record.json")).unwrap(), parsed.logs[0].record);
    assert_eq!(fs::read_to_string(case.join("fastscnn_sp_bs2_fp32_1")).unwrap(), good_log());
    assert!(case.join("fastscnn_sp_bs2_fp32_1_speed").is_file());
    let resumed = go_on(&bench, &[]);
    assert!(matches!(resumed, Err(BenchError::NoRun { .. })), "{resumed:?}");
    let run = bench.run(&[Play::log(good_log())]).records.remove(0);
    assert_eq!(run.repeatable, repro::bench::Repeatable::NothingToCompare);
}

/// A log of MindSpore without times, and with the epoch times that `TimeMonitor` adds.
fn mindspore_log() -> String {
    let step = |step: usize| format!("epoch: 1 step: {step}, loss is {}.5\n", 30 - step);
    let steps: String = (1..=6).map(step).collect();
    format!(
        "[Start training `fairmot_dla34`]\n{steps}epoch time: 16.9 ms, per step time: 8.449 ms\n"
    )
}

pub(super) fn trained() -> (Bench, RunRecord) {
    let mut bench = Bench::of(recipe("mindspore"), "full").cases(&["*/sp/*"]);
    bench = bench.with_gpus(&["V100"]);
    let mut play = Play::log(mindspore_log()).slowly();
    play.chunk = 10;
    let record = bench.run(&[play]).records.remove(0);
    (bench, record)
}

#[test]
fn where_a_program_prints_no_time_the_arrival_of_its_lines_is_measured_and_named() {
    let (bench, record) = trained();
    assert_eq!(record.status, Status::Ok);
    let series = &record.series["step_time"];
    assert_eq!((series.values.len(), series.used, series.arrival), (5, 4, true));
    assert!(series.values.iter().all(|value| value.parse::<f64>().unwrap() > 0.0));
    let figure = record.metrics.iter().find(|figure| figure.name == "by_arrival").unwrap();
    assert!(figure.arrival && figure.value.is_some());
    assert!(record.metrics.iter().filter(|figure| figure.arrival).count() == 1);
    assert!(record.guide_record.is_none(), "this guide has no record");
    let folder = bench.results.join(&record.run).join(&record.case);
    let arrivals = record.log.unwrap().arrivals.unwrap();
    let text = fs::read(folder.join(&arrivals.file)).unwrap();
    assert_eq!(
        (arrivals.file.as_str(), arrivals.digest),
        ("train.log.arrivals", Digest::of(&text))
    );
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["record.json", "train.log", "train.log.arrivals"]);
}

#[test]
fn the_kept_arrivals_give_the_same_figures_again() {
    let (bench, record) = trained();
    let folder = bench.results.join(&record.run);
    let parsed = parse_all(&bench.recipe, &[&folder]).unwrap();
    assert_eq!(parsed.logs[0].record.series, record.series);
    assert_eq!(parsed.logs[0].record.metrics, record.metrics);
    assert!(parsed.others.is_empty(), "{:?}", parsed.others);
    let log = folder.join(&record.case).join("train.log");
    fs::write(&log, "epoch: 1 step: 1, loss is 2\n").unwrap();
    let error = parse_all(&bench.recipe, &[&folder]).unwrap_err().to_string();
    assert!(
        error.contains("are not those of this log: the log is shorter than it says"),
        "{error}"
    );
}

#[test]
fn a_log_alone_has_no_arrival_times_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("train.log");
    fs::write(&log, mindspore_log()).unwrap();
    let recipe = recipe("mindspore");
    let parsed = parse(&request(&recipe, &["*/sp/*".to_owned()], &[log])).unwrap();
    let record = &parsed.logs[0].record;
    assert_eq!(record.status, Status::Ok, "what nobody noted is no failure");
    assert!(record.not_measured.contains("step_time") && !record.series.contains_key("step_time"));
    let figure = record.metrics.iter().find(|figure| figure.name == "by_arrival").unwrap();
    assert_eq!(figure.value, None);
    let expected = "`step_time` was not measured: nobody noted when the lines arrived";
    assert_eq!(figure.reason.as_deref(), Some(expected));
}

#[test]
fn a_table_names_figures_by_arrival_and_running_means() {
    let mut changed = recipe("mindspore");
    changed.benchmark.result.as_mut().unwrap().throughput = "by_arrival".to_owned();
    changed.benchmark.log.running_mean = vec!["loss".to_owned()];
    let mut bench = Bench::of(changed, "full").cases(&["*/sp/*"]);
    bench = bench.with_gpus(&["V100"]);
    let mut play = Play::log(mindspore_log()).slowly();
    play.chunk = 10;
    let text = report(&bench.run(&[play]).records);
    assert!(text.contains(" images/s (arrival)") && text.contains("running mean"), "{text}");
    assert!(text.contains("\narrival: from the times at which lines of the log arrived"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("train.log");
    fs::write(&log, mindspore_log()).unwrap();
    let parsed = parse(&request(&bench.recipe, &["*/sp/*".to_owned()], &[log])).unwrap();
    let text = report(&[parsed.logs[0].record.clone()]);
    assert!(text.contains("8.449 ms/step  not measured"), "{text}");
}

#[test]
fn a_case_that_the_profile_leaves_out_is_skipped_with_its_reason() {
    let mut recipe = recipe("seg");
    let smoke = recipe.profiles.get_mut("smoke").unwrap();
    smoke.skips = vec![repro::recipe::SkipRule {
        case: "*/ocrnet*/*".to_owned(),
        reason: "takes an hour without a GPU".to_owned(),
    }];
    let bench = Bench::of(recipe, "smoke");
    let plays = [Play::log(good_log()), Play::log(good_log())];
    let summary = bench.run(&plays);
    let skipped = Status::Skipped("takes an hour without a GPU".to_owned());
    assert_eq!(summary.records[2].status, skipped);
    assert!(summary.all_ok());
}
