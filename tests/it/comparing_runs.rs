//! `repro diff` of two runs: what went in, the machine, and whether the speed differs by more than the noise.

use std::fs;
use std::path::Path;

use repro::bench::{Number, RunRecord, SeriesRecord};
use repro::diff::{Metric, RunsReport, diff_runs};
use repro::stats::{Judgement, Test};
use serde_json::{Value, json};

use super::commands::Project;
use super::recipe_reading::TRACKER;

const CASE: &str = "seg/net/sp/bs2/fp32";

fn digest(digit: char) -> String {
    format!("sha256:{}", String::from(digit).repeat(64))
}

fn figure(name: &str, unit: &str, formula: &str) -> Value {
    json!({ "name": name, "value": null, "unit": unit, "formula": formula })
}

/// A record of a case of two images a step, whose steps took `seconds`.
pub fn record(run: &str, number: usize, seconds: &[f64]) -> RunRecord {
    let figures = [
        figure("avg_time", "s", "mean(time)"),
        figure("throughput", "images/s", "batch_size / avg_time"),
    ];
    let mut record: RunRecord = serde_json::from_value(json!({
        "version": 1, "run": run, "index": 1, "case": CASE, "status": { "state": "ok" },
        "repeat": { "number": number, "of": 5 },
        "final_result": null, "throughput": figures[1], "metrics": figures,
        "repeatable": { "verdict": "nothing-to-compare" }, "start": "2026-11-22T12:00:00Z",
        "duration": 60.0, "exit": { "by": "status", "number": 0 }, "cpu_time": null, "peak_memory": null,
        "image": { "name": "seg-debian", "seal": digest('a'), "lock": digest('b'), "recipe": digest('c'),
            "guide": { "repository": "https://example.org/guide", "commit": "0".repeat(40), "path": "README.md" } },
        "profile": { "name": "smoke", "about": "", "files": [{ "path": "/shim.py", "digest": digest('d') }] },
        "data": [{ "path": "/data", "name": "tiny", "digest": digest('e') }],
        "deviations": [], "variables": { "batch_size": 2, "iterations": 10 },
        "job": { "command": ["python3", "train.py", "--iterations=10"], "env": { "OMP_NUM_THREADS": "1" },
            "workdir": "/", "mounts": [], "writable": [], "shm_size": 1024, "timeout": 900 },
        "engine": "embedded",
        "host": { "cpu": "AMD EPYC", "cores": 2, "usable_cores": 2, "memory": 8_000_000_000_u64,
            "kernel": "6.1.0", "os": "Debian GNU/Linux 12 (bookworm)", "gpus": [], "driver": null },
        "log": null, "once": {}, "series": {}, "progress": "time", "guide_record": null,
        "published": [], "errata": [],
    }))
    .unwrap();
    with_steps(&mut record, seconds);
    record
}

/// Gives a record other steps, and the throughput that follows from them.
pub fn with_steps(record: &mut RunRecord, seconds: &[f64]) {
    record.series.insert("time".to_owned(), series(seconds));
    let mean = repro::stats::mean(seconds).unwrap();
    let values = [mean, 2.0 / mean].map(Number::Float);
    record.metrics[0].value = Some(values[0]);
    record.throughput.as_mut().unwrap().value = Some(values[1]);
}

fn series(seconds: &[f64]) -> SeriesRecord {
    let values: Vec<String> = seconds.iter().map(f64::to_string).collect();
    SeriesRecord {
        values,
        arrival: false,
        running_mean: false,
        repeatable: false,
        skipped: 0,
        used: seconds.len(),
        mean: None,
        median: None,
        deviation: None,
        min: None,
        max: None,
        interval: None,
        outliers: Vec::new(),
        drift: None,
    }
}

/// A series that a run of the same work repeats.
fn losses(values: Vec<String>) -> SeriesRecord {
    SeriesRecord { values, repeatable: true, ..series(&[]) }
}

/// Five repetitions whose steps take `seconds`, one part in a hundred apart.
fn five(run: &str, seconds: f64) -> Vec<RunRecord> {
    let parts = [1.0, 0.99, 1.01, 0.995, 1.004];
    let steps = |part: f64| [0.9, 1.1, 1.0, 1.0].map(|step| step * part * seconds);
    (1..).zip(parts).map(|(number, part)| record(run, number, &steps(part))).collect()
}

fn throughput(report: &RunsReport) -> &repro::stats::Change {
    let found = report.speed.iter().find(|metric| metric.metric == Metric::Throughput);
    &found.unwrap().change
}

fn lines(facts: &[repro::diff::FactReport]) -> Vec<String> {
    facts.iter().map(|fact| fact.difference.to_string()).collect()
}

#[test]
fn a_slower_run_is_found_among_repetitions_with_size_and_interval() {
    let report = diff_runs(&five("a", 1.0), &five("b", 1.05), 0.01);
    let change = throughput(&report);
    assert_eq!((change.judgement, change.test), (Judgement::Changed, Some(Test::Student)));
    assert!((change.difference.unwrap() + 0.0476).abs() < 1e-3, "{change:?}");
    let interval = change.interval.unwrap();
    assert!(interval.high < 0.0 && interval.level == 0.99 && change.hedges_g.unwrap() < -3.0);
    assert!(!report.is_same());
    let series = &report.speed[1];
    assert_eq!((series.name.as_str(), series.metric), ("time", Metric::Series));
    assert_eq!(series.change.before.count, 5);
}

#[test]
fn noise_is_no_difference_and_says_what_would_have_been_seen() {
    let report = diff_runs(&five("a", 1.0), &five("b", 1.002), 0.01);
    assert!(report.is_same(), "{report:?}");
    let change = throughput(&report);
    assert_eq!(change.judgement, Judgement::NotSeen);
    assert!((0.01..0.04).contains(&change.detectable.unwrap()), "{change:?}");
}

#[test]
fn one_run_on_each_side_is_compared_by_its_steps_and_never_called_a_change() {
    let steps = |level: f64| -> Vec<f64> {
        (0..100).map(|step| level + 0.01 * f64::from(step * step * step % 11)).collect()
    };
    let report = diff_runs(&[record("a", 1, &steps(1.0))], &[record("b", 1, &steps(1.5))], 0.01);
    assert_eq!(throughput(&report).judgement, Judgement::Undecided);
    assert_eq!(report.speed[1].change.judgement, Judgement::StepsDiffer);
    assert!(report.is_same());
}

#[test]
fn another_order_of_the_files_is_a_difference_where_losses_differ() {
    let with = |run: &str, order: char, loss: &str| {
        let mut record = record(run, 1, &[1.0, 1.0]);
        record.data[0].order = Some(digest(order).parse().unwrap());
        let values = vec!["0.5".to_owned(), loss.to_owned()];
        record.series.insert("loss".to_owned(), losses(values));
        record
    };
    let compare = |after: RunRecord| diff_runs(&[with("a", '1', "0.4")], &[after], 0.01);
    let alike = compare(with("b", '2', "0.4"));
    assert!(alike.is_same() && alike.losses.is_empty(), "the order changed nothing");
    let unknown = compare(with("b", '1', "0.3"));
    assert!(unknown.is_same(), "losses that differ without a known cause are noise");
    assert_eq!(
        unknown.losses[CASE].to_string(),
        "differs from run a (repetition 1): loss at step 2: 0.3 vs 0.4"
    );
    let caused = compare(with("b", '2', "0.3"));
    assert!(!caused.is_same());
    let text = caused.losses[CASE].to_string();
    assert!(
        text.ends_with("the file system lists /data in another order, which a training may follow")
    );
    let mut other = with("b", '2', "0.3");
    other.variables.insert("iterations".to_owned(), repro::recipe::Value::Integer(20));
    assert!(compare(other).losses.is_empty(), "other work has other losses");
}

#[test]
fn several_cases_share_the_level() {
    let (mut before, mut after) = (five("a", 1.0), five("b", 1.02));
    let alone = throughput(&diff_runs(&before, &after, 0.01)).p.unwrap();
    for name in ["b", "c", "d"] {
        let other = |record: &RunRecord| RunRecord { case: name.to_owned(), ..record.clone() };
        let (more, further): (Vec<_>, Vec<_>) = (
            five("a", 1.0).iter().map(other).collect(),
            five("b", 1.0).iter().map(other).collect(),
        );
        before.extend(more);
        after.extend(further);
    }
    let report = diff_runs(&before, &after, alone * 2.0);
    let change = &report.speed.iter().find(|metric| metric.case == CASE).unwrap().change;
    assert_eq!((change.judgement, change.alpha), (Judgement::NotSeen, alone / 2.0));
    assert!(!diff_runs(&before, &after, alone * 5.0).is_same());
}

#[test]
fn what_went_in_and_where_it_ran_is_named_with_both_values() {
    let (before, mut after) = (five("a", 1.0), five("b", 1.0));
    for record in &mut after {
        record.image.lock = digest('1').parse().unwrap();
        record.profile.files[0].digest = digest('2').parse().unwrap();
        record.data.clear();
        record.job.command[2] = "--iterations=20".to_owned();
        record.job.env.insert("SEED".to_owned(), "0".to_owned());
        record.software.insert("torch".to_owned(), "1.9.1".to_owned());
        record.host.kernel = Some("6.2.0".to_owned());
        record.host.gpus = vec!["Tesla V100".to_owned(); 2];
    }
    let report = diff_runs(&before, &after, 0.01);
    let expected = [
        "~ command: python3 train.py --iterations=10 -> python3 train.py --iterations=20"
            .to_owned(),
        format!("- data `/data` tiny {}", digest('e')),
        "+ environment `SEED` 0".to_owned(),
        format!("~ lock: {} -> {}", digest('b'), digest('1')),
        format!("~ profile file `/shim.py`: {} -> {}", digest('d'), digest('2')),
        "+ software `torch` 1.9.1".to_owned(),
    ];
    assert_eq!(lines(&report.inputs), expected);
    let host = ["+ GPUs of the machine 2 × Tesla V100", "~ kernel: 6.1.0 -> 6.2.0"];
    assert_eq!(lines(&report.host), host);
    assert!(!report.is_same());
}

#[test]
fn cases_that_failed_or_are_missing_are_named() {
    let (mut before, mut after) = (five("a", 1.0), five("b", 1.0));
    before[0].case = "seg/only/sp/bs2/fp32".to_owned();
    after[4].status = repro::bench::Status::Failed("exit status 1".to_owned());
    let report = diff_runs(&before, &after, 0.01);
    assert_eq!(report.only_before.first().unwrap(), "seg/only/sp/bs2/fp32");
    assert_eq!(lines(&report.status), ["~ status: ok -> failed: exit status 1 or ok"]);
    assert_eq!(report.unfinished.len(), 1);
    assert_eq!((throughput(&report).before.count, throughput(&report).after.count), (4, 4));
}

#[test]
fn runs_without_a_common_case_are_compared_as_wholes() {
    let (before, mut after) = (five("a", 1.0), five("b", 1.0));
    for record in &mut after {
        record.case = "jde/jde/sp/bs4/fp32".to_owned();
        record.image.name = "jde".to_owned();
        record.job.command = vec!["another".to_owned()];
        record.host.kernel = Some("6.2.0".to_owned());
    }
    let report = diff_runs(&before, &after, 0.01);
    assert!(!report.has_common_case && !report.is_same());
    let image = format!("~ image: {} -> jde", before[0].image.name);
    assert_eq!(lines(&report.inputs), [image], "commands are those of cases");
    assert_eq!(lines(&report.host), ["~ kernel: 6.1.0 -> 6.2.0"]);
    assert!(report.inputs[0].cases.is_empty());
}

/// Writes records as `run --repeat` does.
fn write(results: &Path, records: &[RunRecord]) {
    for record in records {
        let number = record.repeat.unwrap().number;
        let folder = results.join(&record.run).join(&record.case).join(format!("repeat-{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("record.json"), serde_json::to_vec(record).unwrap()).unwrap();
    }
}

const OLD: &str = "20261121T100000Z-aaaaaaaaaaaa";
const NEW: &str = "20261122T100000Z-aaaaaaaaaaaa";

fn project() -> Project {
    let project = Project::new(TRACKER);
    let results = project.folder.path().join("results");
    write(&results, &five(OLD, 1.0));
    write(&results, &five(NEW, 1.05));
    project
}

#[test]
fn the_program_tells_a_slower_run_and_ends_with_3() {
    let project = project();
    let output = project.run(&["diff", "20261121", "latest"]);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    before  20261121T100000Z-aaaaaaaaaaaa
    after   20261122T100000Z-aaaaaaaaaaaa
    inputs: nothing differs
    machine: nothing differs
    how cases ended: nothing differs
    speed, at alpha 0.01:
    case                 metric                 before                   after                   change  99 % interval            p     g  says
    seg/net/sp/bs2/fp32  throughput (images/s)  2.000 ± 0.8 % (5 runs)   1.905 ± 0.8 % (5 runs)  -4.8 %  -6.4 % to -3.2 %  < 0.0001  -5.7  slower
    seg/net/sp/bs2/fp32  time                   0.9998 ± 0.8 % (5 runs)  1.050 ± 0.8 % (5 runs)  +5.0 %  +3.3 % to +6.7 %  < 0.0001  +5.7  changed
    ");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Student's t-test, one value for each repetition"), "{text}");
}

#[test]
fn runs_of_which_nothing_can_be_read_are_no_equal_ones() {
    let project = project();
    for file in repro::bench::record_files(&project.folder.path().join("results").join(NEW)) {
        fs::write(file, r#"{"version": 99}"#).unwrap();
    }
    for arguments in [&["diff", OLD, NEW] as &[&str], &["report", NEW], &["report", NEW, "--json"]]
    {
        let (text, code) = project.error(arguments);
        assert_eq!(code, 2, "{arguments:?}");
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("error: none of the records can be read (5 files): `"), "{text}");
        assert!(text.contains("was written by a newer program\n"), "{text}");
    }
}

#[test]
fn a_page_can_be_written_to_standard_output() {
    let project = project();
    let page = project.run(&["report", OLD, "--html", "-"]);
    assert!(String::from_utf8(page.stdout.clone()).unwrap().starts_with("<!doctype html>"));
    // Through a link to the pipe that the test reads.
    let named = project.run(&["report", OLD, "--html", "/dev/stdout"]);
    assert!(named.stdout.starts_with(&page.stdout[..100]));
    assert!(!project.folder.path().join("-").exists());
}

#[test]
fn the_program_prints_the_smallest_change_that_it_could_have_seen() {
    let project = project();
    let elsewhere = project.folder.path().join("elsewhere");
    write(&elsewhere, &five("20261123T100000Z-aaaaaaaaaaaa", 1.004));
    let output = project.run(&["diff", OLD, "elsewhere/20261123T100000Z-aaaaaaaaaaaa"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("no change; 2.1 % would have been seen"), "{text}");
}

#[test]
fn several_runs_of_a_side_are_taken_together() {
    let project = project();
    let both = format!("{OLD},{NEW}");
    let output = project.run(&["diff", &both, NEW, "--json", "--alpha", "0.05"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["before"], json!([OLD, NEW]));
    let change = &report["speed"][0]["change"];
    assert_eq!((&change["before"]["count"], &change["test"]), (&json!(10), &json!("welch")));
    assert_eq!(report["alpha"], 0.05);
}

#[test]
fn without_a_run_the_newest_one_is_no_image_either() {
    let (text, code) = Project::new(TRACKER).error(&["diff", "latest", "latest"]);
    assert!(code == 2 && text.starts_with("error: there is no run yet\n"), "{text}");
    assert!(text.contains("hint: `repro run` makes one"), "{text}");
}

#[test]
fn what_is_no_run_or_only_one_side_says_so() {
    let project = project();
    let (text, code) = project.error(&["diff", "2026", NEW]);
    assert!(code == 2 && text.contains("`2026` can be any of 2 runs"), "{text}");
    fs::create_dir(project.folder.path().join("layout")).unwrap();
    fs::write(project.folder.path().join("layout/index.json"), "{}").unwrap();
    let (text, code) = project.error(&["diff", "layout", "latest"]);
    assert!(code == 2 && text.contains("`latest` is a run, and `layout` is none"), "{text}");
    let (text, code) = project.error(&["diff", "20269", NEW]);
    assert!(code == 2 && text.contains("there is no run `20269`"), "{text}");
    let (text, code) = project.error(&["diff", NEW, OLD, "--alpha", "1"]);
    assert!(code == 2 && text.contains("not between 0 and 1"), "{text}");
}
