//! What a run keeps of the machine's conditions, and that their loss fails no case.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use repro::bench::{RunSummary, Status, run};
use repro::conditions::{ConditionsRecord, Flag, FlagKind};
use repro::digest::Digest;
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Counter, Engine, EngineError, Job, Meter, Outcome, Stop};
use repro::image::Image;
use repro::store::Store;

use super::{Bench, good_log, report};

/// Takes long enough to be watched.
struct Watchable {
    /// A folder that is made meanwhile.
    obstacle: Option<PathBuf>,
}

impl Engine for Watchable {
    fn name(&self) -> &'static str {
        "watchable"
    }

    fn run_metered(
        &self,
        store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        meter: &Meter,
    ) -> Result<Outcome, EngineError> {
        let _running = meter.begin(Counter::Nothing("nobody counts it".to_owned()));
        std::thread::sleep(Duration::from_secs(1));
        let runs = |folder: &PathBuf| fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        if let Some(results) = &self.obstacle {
            fs::create_dir(runs(results).join("seg/fastscnn/sp/bs2/fp32/conditions.csv")).unwrap();
        }
        Fake::new(Answer::text(good_log())).run(store, image, job, output, stop)
    }
}

fn run_watched(bench: &Bench, obstacle: Option<PathBuf>) -> RunSummary {
    let (engine, stop) = (Watchable { obstacle }, Stop::new());
    run(&engine, &bench.store, &bench.setup(), &bench.options(), &stop, &mut |_| {}).unwrap()
}

#[test]
fn samples_lie_beside_the_record_that_names_them() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let summary = run_watched(&bench, None);
    let conditions = summary.records[0].conditions.as_ref().unwrap();
    assert_eq!(conditions.file.as_deref(), Some("conditions.csv"));
    let file = summary.folder.join("seg/fastscnn/sp/bs2/fp32/conditions.csv");
    let bytes = fs::read(file).unwrap();
    assert_eq!(conditions.digest, Some(Digest::of(&bytes)));
    let lines = String::from_utf8(bytes).unwrap().lines().count() as u64;
    assert!(conditions.samples > 0 && lines == conditions.samples + 1, "{conditions:?}");
    assert!(conditions.summary["memory_available"].min > 0.0);
    assert_eq!(conditions.not_measured["cpu_others"], "nobody counts it");
    assert!(!conditions.not_measured.contains_key("gpu"), "the case has none");
}

#[test]
fn samples_that_cannot_be_written_fail_no_case_and_are_told() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let summary = run_watched(&bench, Some(bench.results.clone()));
    let record = &summary.records[0];
    assert_eq!(record.status, Status::Ok);
    let conditions = record.conditions.as_ref().unwrap();
    assert_eq!((&conditions.file, &conditions.digest), (&None, &None));
    let reason = &conditions.not_measured["file"];
    assert!(reason.starts_with("conditions.csv was not kept: File exists"), "{reason}");
    assert!(conditions.summary.contains_key("memory_available"), "the summary is kept");
}

#[test]
fn a_disturbed_case_is_marked_below_the_table() {
    let bench = Bench::new().cases(&["*fastscnn*"]);
    let mut summary = bench.run(&[super::Play::log(good_log())]);
    assert_eq!(summary.records[0].conditions, None, "an engine that runs nothing is not watched");
    let flag = |kind, text: &str| Flag { kind, text: text.to_owned(), from: 0.0, to: 4.0 };
    summary.records[0].conditions = Some(ConditionsRecord {
        flags: vec![
            flag(FlagKind::Throttled, "GPU 0 throttled (power cap) for 12 s of 80 s"),
            flag(FlagKind::Disturbed, "others used 1.5 of 2 processors for 9.0 s of 80 s"),
        ],
        ..ConditionsRecord::default()
    });
    let text = report(&summary.records);
    let expected = "seg/fastscnn/sp/bs2/fp32 throttled: GPU 0 throttled (power cap) for 12 s of 80 s\n\
                    seg/fastscnn/sp/bs2/fp32 disturbed: others used 1.5 of 2 processors for 9.0 s of 80 s\n";
    assert!(text.contains(expected), "{text}");
}
