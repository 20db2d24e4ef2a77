//! What stands in a run record, and what a table makes of it.

use std::fs;

use repro::bench::{Repeatable, RunRecord, read_record};
use repro::engine::Exit;
use repro::recipe::Erratum;
use repro::report::{Format, Report};

use super::{Bench, Play, good_log, recipe, seg_log};

fn fastscnn() -> Bench {
    Bench::new().cases(&["*fastscnn*"])
}

fn run(bench: &Bench, log: &str) -> RunRecord {
    bench.run(&[Play::log(log)]).records.remove(0)
}

#[test]
fn a_record_names_everything_that_decided_the_figure() {
    let bench = fastscnn().set(&["iterations=7"]);
    let summary = bench.run(&[Play::log(good_log())]);
    let path = summary.folder.join("seg/fastscnn/sp/bs2/fp32/record.json");
    let text = fs::read_to_string(&path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let digest = |text: &[u8]| repro::digest::Digest::of(text).to_string();
    assert_eq!(json["version"], 1);
    assert_eq!(json["run"], summary.id);
    assert_eq!(json["status"]["state"], "ok");
    assert_eq!(json["image"]["seal"], digest(b"seal"));
    assert_eq!(json["image"]["lock"], digest(b"lock"));
    assert_eq!(json["image"]["recipe"], bench.recipe.digest().to_string());
    assert_eq!(json["profile"]["name"], "smoke");
    assert_eq!(json["profile"]["files"][0]["digest"], digest(b"shim"));
    assert_eq!(json["data"][0]["digest"], digest(b"tiny"));
    assert_eq!(json["deviations"][0]["name"], "iterations");
    assert_eq!(json["deviations"][0]["used"], 7);
    assert_eq!(json["job"]["env"]["OMP_NUM_THREADS"], "1");
    assert_eq!(json["job"]["mounts"][0]["source"], "/data/tiny");
    assert_eq!(json["engine"], "player");
    assert_eq!(json["exit"]["by"], "status");
    assert_eq!(json["cpu_time"], serde_json::Value::Null, "not measured is null");
    assert_eq!(json["peak_memory"], 512 << 20);
    assert_eq!(json["peak_job_memory"], 200 << 20);
    assert_eq!(json["once"]["gpu_end"], "1");
    assert_eq!(json["series"]["loss"]["values"][0], "1.0299");
    assert_eq!(json["series"]["time"]["used"], 2);
    assert_eq!(json["series"]["time"]["mean"], 0.5);
    assert_eq!(json["final_result"]["value"], 2.0);
    assert_eq!(json["final_result"]["formula"], "round(1 / mean(time), 3)");
    assert_eq!(json["throughput"]["value"], 4.0);
    assert_eq!(json["errata"][0]["id"], "final-result");
    assert_eq!(json["published"][0]["value"], 7.5);
    let verdict = &json["comparisons"][0]["verdict"]["state"];
    assert_eq!(*verdict, "not-comparable", "a smoke run is never judged");
    let start = json["start"].as_str().unwrap();
    assert!(start.ends_with('Z') && start.len() == 20, "{start}");
    assert_eq!(read_record(&path).unwrap(), summary.records[0]);
}

#[test]
fn the_store_keeps_the_same_record() {
    let bench = fastscnn();
    let summary = bench.run(&[Play::log(good_log())]);
    let place = "seg/fastscnn/sp/bs2/fp32/record.json";
    let kept = fs::read(bench.store.runs().join(&summary.id).join(place)).unwrap();
    assert_eq!(kept, fs::read(summary.folder.join(place)).unwrap());
}

#[test]
fn the_same_losses_make_a_run_the_same_as_the_last_one() {
    let bench = fastscnn();
    let first = run(&bench, &good_log());
    assert_eq!(first.repeatable, Repeatable::NothingToCompare);
    let second = run(&bench, &good_log());
    assert_eq!(second.repeatable, Repeatable::SameAs { run: first.run, repeat: None });
    let third = run(&bench, &good_log());
    assert_eq!(third.repeatable, Repeatable::SameAs { run: second.run, repeat: None });
}

#[test]
fn the_first_loss_that_differs_is_named() {
    let bench = fastscnn();
    let first = run(&bench, &good_log());
    let times = ["9.0", "1.0", "1.0", "1.0", "0.25", "0.75"];
    let other = seg_log(&times, &["1.0299", "0.6584", "0.5595", "0.51", "0.5", "0.50"]);
    let second = run(&bench, &other);
    let expected = format!("differs from run {}: loss at step 3: 0.5595 vs 0.5594", first.run);
    assert_eq!(second.repeatable.to_string(), expected);
    let fewer = seg_log(&times[..5], &["1.0299", "0.6584", "0.5595", "0.51", "0.5"]);
    let third = run(&bench, &fewer);
    assert!(third.repeatable.to_string().ends_with("loss at step 6: nothing vs 0.50"));
}

#[test]
fn another_order_of_the_files_is_recorded_and_named_where_losses_differ() {
    let mut bench = fastscnn();
    let folder = tempfile::tempdir().unwrap();
    let folders = |name: &str| {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        // No file system can be made to list the same names otherwise: other names stand for it.
        fs::write(place.join(name), "").unwrap();
        std::collections::BTreeMap::from([(String::new(), place)])
    };
    let tiny = |bench: &mut Bench, name: &str| {
        bench.data.get_mut("cityscapes-tiny").unwrap().folders = folders(name);
    };
    tiny(&mut bench, "a");
    let first = run(&bench, &good_log());
    assert!(first.data[0].order.is_some());
    tiny(&mut bench, "b");
    let same = run(&bench, &good_log());
    assert_ne!(same.data[0].order, first.data[0].order);
    assert_eq!(same.repeatable, Repeatable::SameAs { run: first.run, repeat: None });
    tiny(&mut bench, "c");
    let other = run(&bench, &good_log().replace("1.0299", "1.03"));
    let expected = format!(
        "differs from run {}: loss at step 1: 1.03 vs 1.0299; \
         the file system lists /home/data/cityscapes in another order, which a training may follow",
        same.run
    );
    assert_eq!(other.repeatable.to_string(), expected);
}

#[test]
fn runs_of_other_work_are_not_compared() {
    let bench = fastscnn();
    run(&bench, &good_log());
    let mut other = bench.set(&["workers=1"]);
    assert_eq!(run(&other, &good_log()).repeatable, Repeatable::NothingToCompare);
    other.settings.clear();
    other.data.get_mut("cityscapes-tiny").unwrap().digest =
        repro::digest::Digest::of(b"other data");
    assert_eq!(run(&other, &good_log()).repeatable, Repeatable::NothingToCompare);
    other.image.seal = repro::digest::Digest::of(b"other seal");
    assert_eq!(run(&other, &good_log()).repeatable, Repeatable::NothingToCompare);
}

#[test]
fn a_failed_or_damaged_record_is_nothing_to_compare_with() {
    let bench = fastscnn();
    let failed = bench.run(&[Play::log(good_log()).exit(Exit::Status(1))]).records.remove(0);
    assert_eq!(failed.repeatable, Repeatable::NothingToCompare);
    assert_eq!(failed.series["loss"].values.len(), 6, "a failed run keeps what it measured");
    let good = bench.run(&[Play::log(good_log())]);
    assert_eq!(good.records[0].repeatable, Repeatable::NothingToCompare);
    for folder in [&good.folder, &bench.store.runs().join(&good.id)] {
        fs::write(folder.join("seg/fastscnn/sp/bs2/fp32/record.json"), "{\"version\"").unwrap();
    }
    assert_eq!(run(&bench, &good_log()).repeatable, Repeatable::NothingToCompare);
}

#[test]
fn what_the_guide_does_to_its_container_and_we_do_not_is_listed() {
    let record = run(&fastscnn(), &good_log());
    assert_eq!(record.not_taken_over, ["--net=host", "--privileged", "-it"]);
    assert!(record.deviations.is_empty());
}

/// The report without what differs from run to run.
fn table(bench: &Bench, plays: &[Play], format: Format) -> String {
    let summary = bench.run(plays);
    let seal = repro::digest::Digest::of(b"seal").to_string();
    let text = Report::of_records(&summary.records).table(format);
    text.replace(&summary.id, "RUN").replace(&seal, "SEAL")
}

#[test]
fn a_table_shows_both_figures_with_their_units_and_says_why_a_case_failed() {
    let plays = [
        Play::log(good_log()),
        Play::log("CUDA error\n").exit(Exit::Status(1)),
        Play::log(good_log()),
    ];
    let expected = "\
run RUN

seg@SEAL, profile smoke, engine player
a test, no GPU

case                             status  FINAL_RESULT      throughput       published  verdict         steps    spread  over steps    time   memory  repeated
-------------------------------  ------  ------------  --------------  --------------  --------------  -----  --------  ----------  ------  -------  --------
seg/fastscnn/sp/bs2/fp32         ok      2.0 images/s  4.000 images/s  7.500 images/s  not comparable      2  ± 70.7 %  ▁█          12.5 s  200 MiB  -
seg/segformer_b0/sp/bs2/fp32     failed             -               -               -  -                   -         -  -           12.5 s  200 MiB  -
seg/ocrnet_hrnetw48/sp/bs2/fp32  ok      2.0 images/s  4.000 images/s               -  no reference        2  ± 70.7 %  ▁█          12.5 s  200 MiB  -

seg/segformer_b0/sp/bs2/fp32 failed: the command returned 1
  last line  CUDA error
seg/fastscnn/sp/bs2/fp32 not comparable with what is published: profile `smoke` is not the guide's own, `full`; the guide does not say on which machine it was measured; no tolerance of the published figure is known
erratum final-result: the guide prints iterations a second and calls them images
";
    assert_eq!(table(&Bench::new(), &plays, Format::Text(None)), expected);
}

#[test]
fn many_errata_are_named_below_a_table_and_told_elsewhere() {
    let mut bench = fastscnn();
    let one = bench.recipe.errata[0].clone();
    for id in ["first", "second", "third"] {
        bench.recipe.errata.push(Erratum { id: id.to_owned(), ..one.clone() });
    }
    let text = table(&bench, &[Play::log(good_log())], Format::Text(None));
    let expected = "4 errata: final-result, first, second, third; `repro list seg` tells them\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_page_has_the_same_table_in_markdown() {
    let text = table(&fastscnn().set(&["workers=1"]), &[Play::log(good_log())], Format::Markdown);
    assert!(text.starts_with("## run RUN\n\nseg@SEAL, profile smoke"), "{text}");
    assert!(text.contains("| seg/fastscnn/sp/bs2/fp32 | ok | 2.0 images/s | 4.000 images/s | 7.500 images/s | not comparable | 2 |"));
    assert!(
        text.contains("\n- workers set to 1, the recipe says 5\n- erratum final-result: "),
        "{text}"
    );
}

#[test]
fn skipped_cases_stand_in_the_table_without_figures() {
    let text =
        table(&Bench::of(recipe("seg"), "full").cases(&["fastscnn/mp"]), &[], Format::Text(None));
    assert!(text.contains("seg/fastscnn/mp/bs2/fp32  skipped             -"), "{text}");
    assert!(text.contains("skipped: needs 8 GPUs, this machine has 0"), "{text}");
}
