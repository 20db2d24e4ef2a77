//! What a measured figure is beside a published one, and what keeps it from being judged.

use repro::bench::{Host, ParseRequest, RunRecord, Status, Verdict, compare, parse, read_record};
use repro::conditions::{ConditionsRecord, Flag, FlagKind};
use repro::digest::Digest;
use repro::engine::Exit;
use repro::recipe::{Published, ReferenceHost, Tolerance};

use super::{Bench, Play, good_log, recipe, report};

const CARD: &str = "Tesla V100-SXM2-32GB";

/// The guide's own case on the guide's own machine; its throughput is 4 images/s.
fn bench() -> Bench {
    let mut bench = Bench::of(recipe("seg"), "full").cases(&["fastscnn/sp"]).with_gpus(&[CARD]);
    bench.recipe.published = vec![published()];
    bench.recipe.reference_host = Some(reference());
    bench.software.insert("torch".to_owned(), "1.9.1+cu102".to_owned());
    bench
}

fn published() -> Published {
    Published {
        case: "seg/fastscnn/sp/*".to_owned(),
        metric: "throughput".to_owned(),
        value: 4.0,
        unit: "images/s".to_owned(),
        tolerance: Tolerance::new(Some(-0.1), Some(0.2)),
        basis: "invented".to_owned(),
        gpus: Some(1),
        software: [("torch".to_owned(), "1.9.1".to_owned())].into(),
        ..Published::default()
    }
}

fn reference() -> ReferenceHost {
    ReferenceHost {
        gpu: Some("V100-SXM2-32GB".to_owned()),
        gpus: Some(8),
        driver: Some("460.27.04".to_owned()),
        source: "a guide".to_owned(),
        ..ReferenceHost::default()
    }
}

fn run(bench: &Bench) -> RunRecord {
    let summary = bench.run(&[Play::log(good_log())]);
    let record = summary.records.into_iter().next().unwrap();
    assert_eq!(record.status, Status::Ok);
    record
}

fn verdict(bench: &Bench) -> Verdict {
    run(bench).comparisons.remove(0).verdict
}

fn reasons(record: &RunRecord) -> Vec<String> {
    compare(record)[0].verdict.reasons().to_vec()
}

#[test]
fn a_figure_is_within_above_or_below_what_the_guide_publishes() {
    for (value, expected) in [
        (4.0, Verdict::Within),
        (4.4, Verdict::Within),
        (4.5, Verdict::Below),
        (3.4, Verdict::Within),
        (3.3, Verdict::Above),
    ] {
        let mut bench = bench();
        bench.recipe.published[0].value = value;
        assert_eq!(verdict(&bench), expected, "{value}");
    }
}

#[test]
fn a_record_has_the_published_figure_with_its_conditions_the_ratio_and_the_machine() {
    let mut bench = bench();
    bench.recipe.published[0].value = 3.2;
    let record = run(&bench);
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["published"][0]["value"], 3.2);
    let comparison = &json["comparisons"][0];
    assert_eq!(comparison["ratio"], 1.25);
    assert_eq!(comparison["measured"], 4.0);
    assert_eq!(comparison["verdict"]["state"], "above");
    assert_eq!(comparison["published"]["tolerance"], serde_json::json!([-0.1, 0.2]));
    assert_eq!(comparison["published"]["software"]["torch"], "1.9.1");
    assert_eq!(json["reference_host"]["gpus"], 8);
    assert_eq!(json["software"]["torch"], "1.9.1+cu102");
    let differences: Vec<String> =
        record.host_differences().iter().map(ToString::to_string).collect();
    let expected = [
        "GPU 1 × Tesla V100-SXM2-32GB, the guide's machine has 8 × V100-SXM2-32GB",
        "driver 470.57.02, the guide's machine has 460.27.04",
    ];
    assert_eq!(differences, expected, "they are shown and do not decide");
    assert_eq!(serde_json::from_value::<RunRecord>(json).unwrap(), record);
}

#[test]
fn a_guide_that_publishes_nothing_gives_no_comparison() {
    let mut bench = bench();
    bench.recipe.published.clear();
    let record = run(&bench);
    assert_eq!((record.published.len(), record.comparisons.len()), (0, 0));
}

/// The only reason, if something about the guide's own run is changed.
fn only(change: impl FnOnce(&mut Bench)) -> String {
    let mut bench = bench();
    change(&mut bench);
    match verdict(&bench) {
        Verdict::NotComparable(reasons) => reasons.join("; "),
        verdict => panic!("{verdict}"),
    }
}

#[test]
fn each_condition_that_differs_is_named() {
    let variant = |bench: &mut Bench| bench.image.name = "seg-debian".to_owned();
    assert_eq!(only(variant), "image `seg-debian` is a variant of the guide's own, `seg`");
    let batch = |bench: &mut Bench| bench.recipe.published[0].batch = Some(16);
    assert_eq!(only(batch), "the batch size is 2, the figure is of 16");
    let version = |bench: &mut Bench| {
        let software = &mut bench.recipe.published[0].software;
        software.insert("torch".to_owned(), "1.9.1+cu111".to_owned());
    };
    assert_eq!(only(version), "`torch` is 1.9.1+cu102, the figure is of 1.9.1+cu111");
    let absent = "`torch` is not among the image's distributions, the figure is of 1.9.1";
    assert_eq!(only(|bench| bench.software.clear()), absent);
    let model = |bench: &mut Bench| bench.recipe.published[0].gpu = Some("RTX 3090".to_owned());
    assert_eq!(only(model), "the GPU is Tesla V100-SXM2-32GB, the figure is of RTX 3090");
    let number = |bench: &mut Bench| bench.recipe.published[0].gpus = Some(8);
    assert_eq!(only(number), "it ran on 1 GPU, the figure is of 8");
    let nowhere = |bench: &mut Bench| bench.recipe.reference_host = None;
    assert_eq!(only(nowhere), "the guide does not say on which machine it was measured");
    let tolerance = |bench: &mut Bench| bench.recipe.published[0].tolerance = None;
    assert_eq!(only(tolerance), "no tolerance of the published figure is known: invented");
    let code = |bench: &mut Bench| bench.recipe.published[0].unlike = Some("other code".to_owned());
    assert_eq!(only(code), "other code");
    let metric = |bench: &mut Bench| bench.recipe.published[0].metric = "mota".to_owned();
    assert_eq!(only(metric), "the case does not measure `mota`");
}

#[test]
fn what_a_user_set_and_another_profile_are_named() {
    let bench = bench().set(&["workers=1"]);
    assert_eq!(verdict(&bench).reasons(), ["`workers` was set to 1"]);
    let mut smoke = Bench::new().cases(&["*fastscnn*"]);
    smoke.recipe.published = vec![Published { portable: true, ..published() }];
    smoke.recipe.published[0].software.clear();
    let expected = ["profile `smoke` is not the guide's own, `full`"];
    assert_eq!(verdict(&smoke).reasons(), expected);
    smoke.recipe.published[0].portable = false;
    smoke.recipe.reference_host = Some(reference());
    assert_eq!(
        verdict(&smoke).reasons(),
        [expected[0], "it ran without a GPU, the figure is of V100-SXM2-32GB"]
    );
}

#[test]
fn company_and_disturbance_keep_a_speed_from_being_judged() {
    let mut record = run(&bench());
    record.shared_host = Some(3);
    let flag = Flag {
        kind: FlagKind::Throttled,
        text: "GPU 0 throttled (power cap) for 12 s of 80 s".to_owned(),
        from: 1.0,
        to: 13.0,
    };
    record.conditions = Some(ConditionsRecord { flags: vec![flag], ..ConditionsRecord::default() });
    let expected = [
        "the machine was shared: 3 cases ran at once",
        "GPU 0 throttled (power cap) for 12 s of 80 s",
    ];
    assert_eq!(reasons(&record), expected);
    // What no machine changes is not changed by a slow one either.
    record.published[0].portable = true;
    record.gpus[0].name = "NVIDIA H200".to_owned();
    assert_eq!(compare(&record)[0].verdict, Verdict::Within);
}

#[test]
fn everything_that_stands_in_the_way_is_named_at_once() {
    let mut record = run(&bench().set(&["workers=1"]));
    record.image.name = "seg-debian".to_owned();
    record.profile.name = "smoke".to_owned();
    record.gpus.clear();
    record.published[0].tolerance = None;
    record.status = Status::Failed("no".to_owned());
    assert_eq!(reasons(&record).len(), 6, "{:?}", reasons(&record));
}

#[test]
fn a_figure_of_a_processor_is_judged_on_that_processor_only() {
    let mut record = run(&bench());
    record.gpus.clear();
    let cpu = "Intel(R) Xeon(R) Gold 6271C CPU @ 2.60GHz".to_owned();
    record.reference_host = Some(ReferenceHost { cpu: Some(cpu.clone()), ..Default::default() });
    let expected = format!("the processor is a test, the figure is of {cpu}");
    assert_eq!(reasons(&record), [expected]);
    record.host = Host { cpu: Some(cpu), ..Host::default() };
    record.published[0].gpus = None;
    assert_eq!(compare(&record)[0].verdict, Verdict::Within);
}

#[test]
fn a_case_that_failed_or_was_skipped_says_so_in_place_of_a_figure() {
    let summary = bench().run(&[Play::log("").exit(Exit::Status(1))]);
    let failed = &summary.records[0].comparisons[0];
    assert_eq!((failed.measured, failed.ratio), (None, None));
    assert_eq!(failed.verdict.reasons(), ["the case failed"]);
    let mut without = bench();
    without.host = Host::default();
    let skipped = &without.run(&[]).records[0].comparisons[0];
    assert_eq!(skipped.verdict.reasons(), ["the case was skipped"]);
}

#[test]
fn a_log_that_was_made_elsewhere_is_not_judged_and_blames_no_machine() {
    let bench = bench();
    let file = bench.results.with_extension("log");
    std::fs::write(&file, good_log()).unwrap();
    let parsed = parse(&ParseRequest {
        recipe: &bench.recipe,
        sealed: (Digest::of(b"seal"), Digest::of(b"lock")),
        profile: "full",
        cases: &["seg/fastscnn/sp/bs2/fp32".to_owned()],
        settings: &[],
        paths: &[file],
    });
    let record = &parsed.unwrap().logs[0].record;
    let comparison = &record.comparisons[0];
    assert_eq!(comparison.ratio, Some(1.0));
    let expected = "the log was made elsewhere: nobody knows its machine and image";
    assert_eq!(comparison.verdict.reasons(), [expected]);
    assert!(record.host_differences().is_empty() && record.software.is_empty());
}

#[test]
fn a_record_of_an_earlier_program_is_read_and_not_judged() {
    let bench = bench();
    let summary = bench.run(&[Play::log(good_log())]);
    let path = summary.folder.join("seg/fastscnn/sp/bs2/fp32/record.json");
    let mut json = serde_json::to_value(&summary.records[0]).unwrap();
    let keys = ["comparisons", "reference_host", "software"];
    keys.iter().for_each(|key| drop(json.as_object_mut().unwrap().remove(*key)));
    json["published"] = serde_json::json!([{ "case": "seg/*", "metric": "throughput",
        "value": 4.0, "unit": "images/s", "conditions": "one V100" }]);
    std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    let record = read_record(&path).unwrap();
    assert!(record.comparisons.is_empty());
    let expected = [
        "the guide does not say on which machine it was measured",
        "no tolerance of the published figure is known",
    ];
    assert_eq!(reasons(&record), expected);
}

#[test]
fn a_table_says_the_verdict_or_every_reason_for_none() {
    let bench = bench();
    let text = report(&[run(&bench)]);
    assert!(text.contains("  4.000 images/s  4.000 images/s  within  "), "{text}");
    let text = report(&[run(&bench.set(&["workers=1"]))]);
    let expected = "\nseg/fastscnn/sp/bs2/fp32 not comparable with what is published: \
                    `workers` was set to 1\n";
    assert!(text.contains(expected), "{text}");
}
