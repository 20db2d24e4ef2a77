//! Files that cases take in and leave behind.

use std::fs;
use std::path::Path;

use repro::bench::{BenchError, GivenInput, Options, RunSummary, Status, run};
use repro::digest::Digest;
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Exit, Job, Stop};

use super::{Bench, good_log, recipe_of, report};

/// The segmentation guide with an evaluation that needs a checkpoint of the training.
fn bench() -> Bench {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/guides");
    let text = fs::read_to_string(folder.join("seg.toml")).unwrap();
    let text = text.replace("mode = [\"sp\"]", "mode = [\"eval\", \"sp\"]");
    let text = text.replace("[benchmark.log]", &format!("{MODES}\n[benchmark.log]"));
    let mut bench = Bench::of(recipe_of("seg", &text), "smoke");
    bench.cases = vec!["*fastscnn*".to_owned()];
    bench
}

const MODES: &str = r#"
[benchmark.mode.eval]
gpus = 1
command = ["python3", "test.py"]
needs = "sp"

[benchmark.mode.eval.inputs.checkpoint]
path = "/repro/input/last.ckpt"
about = "trained weights"
from = "sp:checkpoint"

[benchmark.mode.eval.inputs.names]
path = "/repro/input/names"

[benchmark.mode.sp.outputs.checkpoint]
path = "/tmp/{model}/*.ckpt"

[benchmark.mode.sp.outputs.trace]
path = "/tmp/trace"
"#;

const TRAINING: &str = "seg/fastscnn/sp/bs2/fp32";
const EVALUATION: &str = "seg/fastscnn/eval/bs2/fp32";

/// Trains and evaluates; the training leaves `files`.
fn engine(files: &[&str]) -> Fake {
    let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
    Fake::with(move |job: &Job| {
        let answer = Answer::text(good_log());
        let is_training = job.command.iter().any(|word| word.contains("train"));
        let left = files.iter().filter(|_| is_training);
        left.fold(answer, |answer, file| answer.leaving(file, file.as_bytes()))
    })
}

fn given(bench: &mut Bench, name: &str, text: &str) -> Digest {
    let file = bench.results.parent().unwrap().join(format!("{name}.given"));
    fs::write(&file, text).unwrap();
    let (name, given) = GivenInput::parse(&format!("{name}={}", file.display())).unwrap();
    bench.inputs.insert(name, given);
    Digest::of(text.as_bytes())
}

fn go(bench: &Bench, engine: &Fake, options: Options) -> RunSummary {
    run(engine, &bench.store, &bench.setup(), &options, &Stop::new(), &mut |_| {}).unwrap()
}

fn reason<'s>(summary: &'s RunSummary, case: &str) -> &'s str {
    let record = summary.records.iter().find(|record| record.case == case).unwrap();
    match &record.status {
        Status::Skipped(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_evaluation_runs_after_its_training_and_takes_what_that_left() {
    let mut bench = bench();
    let names = given(&mut bench, "names", "car\n");
    let fake = engine(&["/tmp/fastscnn/last.ckpt", "/tmp/trace", "/tmp/other"]);
    let summary = go(&bench, &fake, bench.options());
    assert!(summary.all_ok(), "{:?}", summary.records);
    let record = |case: &str| summary.records.iter().find(|record| record.case == case).unwrap();
    let (training, evaluation) = (record(TRAINING), record(EVALUATION));
    assert!(evaluation.index < training.index, "the matrix has it first");
    let left = &training.outputs["checkpoint"].files[0];
    assert_eq!(left.path, "/tmp/fastscnn/last.ckpt");
    let kept = summary.folder.join(TRAINING).join(&left.file);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "/tmp/fastscnn/last.ckpt");
    assert_eq!(left.digest, Digest::of(b"/tmp/fastscnn/last.ckpt"));
    assert!(!training.outputs.contains_key("trace"), "nobody takes it and nobody asked for it");
    let taken = &evaluation.inputs["checkpoint"];
    assert_eq!((taken.from.as_deref(), taken.digest), (Some(TRAINING), left.digest));
    assert_eq!((&taken.file, taken.path.as_str()), (&kept, "/repro/input/last.ckpt"));
    assert_eq!(evaluation.inputs["names"].digest, names);
    let job = &fake.calls()[1].job;
    let mounts = job.mounts.iter().filter(|mount| mount.target.starts_with("/repro/input"));
    assert!(mounts.clone().count() == 2 && mounts.clone().all(|mount| !mount.writable));
}

#[test]
fn each_repetition_of_an_evaluation_takes_what_the_training_of_its_number_left() {
    let bench = bench();
    let options = Options { repeat: Some(2), ..bench.options() };
    let mut bench = bench;
    given(&mut bench, "names", "car\n");
    let summary = go(&bench, &engine(&["/tmp/fastscnn/last.ckpt"]), options);
    assert!(summary.all_ok() && summary.records.len() == 4, "{:?}", summary.records);
    for record in summary.records.iter().filter(|record| record.case == EVALUATION) {
        let number = record.repeat.unwrap().number;
        let left = summary.folder.join(format!("{TRAINING}/repeat-{number}"));
        let taken = &record.inputs["checkpoint"];
        assert!(taken.file.starts_with(&left) && taken.file.is_file(), "{taken:?}");
        assert_eq!(taken.from.as_deref(), Some(TRAINING));
    }
}

#[test]
fn everything_declared_is_kept_where_somebody_asks_for_it_and_what_is_missing_is_said() {
    let bench = bench();
    let options = Options { keep: true, ..bench.options() };
    let summary = go(&bench, &engine(&["/tmp/fastscnn/last.ckpt"]), options);
    let training = summary.records.iter().find(|record| record.case == TRAINING).unwrap();
    assert_eq!(training.outputs["checkpoint"].files.len(), 1);
    assert_eq!(training.outputs["trace"].files.len(), 0);
    let table = report(&summary.records);
    let missing = format!("{TRAINING} left no output `trace` (/tmp/trace)");
    assert!(table.contains(&missing), "{table}");
}

#[test]
fn a_given_file_is_taken_instead_of_the_trainings() {
    let mut bench = bench();
    bench.cases = vec![EVALUATION.to_owned()];
    given(&mut bench, "names", "car\n");
    let digest = given(&mut bench, "checkpoint", "weights");
    let summary = go(&bench, &engine(&[]), bench.options());
    assert!(summary.all_ok());
    let input = &summary.records[0].inputs["checkpoint"];
    assert_eq!((input.digest, input.from.as_ref()), (digest, None));
}

#[test]
fn a_case_without_its_input_is_skipped_by_name() {
    let mut bench = bench();
    let summary = go(&bench, &engine(&["/tmp/fastscnn/last.ckpt"]), bench.options());
    assert_eq!(reason(&summary, EVALUATION), "needs input `names`, which was not given");
    assert!(summary.all_ok(), "the training was measured");
    given(&mut bench, "names", "car\n");
    bench.cases = vec![EVALUATION.to_owned()];
    let summary = go(&bench, &engine(&[]), bench.options());
    let expected = "needs input `checkpoint`, which was not given, and no case of mode `sp`";
    assert!(reason(&summary, EVALUATION).starts_with(expected));
}

#[test]
fn an_evaluation_of_a_training_that_failed_or_left_nothing_is_skipped() {
    let mut bench = bench();
    given(&mut bench, "names", "car\n");
    let failing = Fake::new(Answer::text(good_log()).exit(Exit::Status(1)));
    let summary = go(&bench, &failing, bench.options());
    assert_eq!(reason(&summary, EVALUATION), format!("needs `{TRAINING}`, which failed"));
    assert!(!summary.all_ok());
    let summary = go(&bench, &engine(&[]), bench.options());
    let none = format!("needs `checkpoint` of `{TRAINING}`, which left none");
    assert_eq!(reason(&summary, EVALUATION), none);
    let two = engine(&["/tmp/fastscnn/1.ckpt", "/tmp/fastscnn/2.ckpt"]);
    let summary = go(&bench, &two, bench.options());
    assert!(reason(&summary, EVALUATION).contains("which left 2 files as it; one is needed"));
}

#[test]
fn names_that_no_case_takes_are_answered_with_those_there_are() {
    let mut bench = bench();
    given(&mut bench, "chekpoint", "weights");
    let error = repro::bench::plan(&bench.setup()).unwrap_err();
    assert!(matches!(&error, BenchError::UnknownInput { known, .. } if known.len() == 2));
    assert!(error.to_string().contains("known  checkpoint, names"), "{error}");
    for text in ["checkpoint", "=x", "checkpoint=", "checkpoint=/nowhere/x", "checkpoint=/"] {
        let error = GivenInput::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot take `{text}` as an input: ")), "{error}");
    }
}

#[test]
fn a_run_goes_on_with_what_was_kept_and_trains_again_where_nothing_was() {
    let mut bench = bench();
    bench.cases = vec![TRAINING.to_owned()];
    let first = go(&bench, &engine(&["/tmp/fastscnn/last.ckpt"]), bench.options());
    bench.cases = vec!["*fastscnn*".to_owned()];
    given(&mut bench, "names", "car\n");
    let resume = Some(first.id.clone());
    let fake = engine(&["/tmp/fastscnn/last.ckpt"]);
    let options = Options { resume: resume.clone(), ..bench.options() };
    let second = go(&bench, &fake, options.clone());
    assert!(second.all_ok());
    assert_eq!(fake.calls().len(), 2, "nothing was kept of the first training");
    fs::remove_file(second.folder.join(EVALUATION).join("record.json")).unwrap();
    let fake = engine(&[]);
    let third = go(&bench, &fake, options);
    assert!(third.all_ok());
    assert_eq!(fake.calls().len(), 1, "the kept checkpoint is there");
    given(&mut bench, "names", "dog\n");
    let options = Options { resume, ..bench.options() };
    let other = run(&fake, &bench.store, &bench.setup(), &options, &Stop::new(), &mut |_| {});
    let error = other.unwrap_err().to_string();
    assert!(error.contains("inputs\n"), "{error}");
}

#[test]
fn a_kept_file_with_the_name_of_a_record_is_not_taken_for_one() {
    let mut bench = bench();
    let options = Options { keep: true, ..bench.options() };
    let rule = bench.recipe.benchmark.mode.get_mut("sp").unwrap().outputs.get_mut("trace");
    rule.unwrap().path = "/tmp/record.json".to_owned();
    let summary = go(&bench, &engine(&["/tmp/record.json"]), options);
    let records = repro::bench::read_records(&summary.folder).unwrap();
    assert_eq!(records, summary.records);
}
