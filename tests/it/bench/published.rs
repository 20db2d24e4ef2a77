//! Published figures from published step values: the values are committed, the lines are rendered here.

use repro::bench::{Check, Findings, ParseRequest, ParsedLog, Rules, Status, Variables, parse};
use repro::digest::Digest;
use repro::recipe::Recipe;
use serde::Deserialize;

use super::guides::{text, variables};
use super::{recipe, recipe_of};

/// `fixtures/published.toml`.
#[derive(Deserialize)]
struct Published {
    hrnet_gpu1: Segmentation,
    hrnet_gpu8: Segmentation,
    mask_rcnn_gpu1: Detection,
    mask_rcnn_gpu8: Detection,
    mot20: Table,
}

#[derive(Deserialize)]
struct Segmentation {
    gpus: u32,
    samples_per_gpu: u32,
    interval: usize,
    total: usize,
    time: Vec<String>,
    loss: Vec<String>,
}

#[derive(Deserialize)]
struct Detection {
    start: String,
    end: String,
    images: i64,
    iterations: u32,
    length: String,
    seconds: String,
    evaluated: String,
    #[serde(rename = "box")]
    box_ap: String,
    #[serde(rename = "mask")]
    mask_ap: String,
    #[serde(default)]
    running_mean: Vec<String>,
    #[serde(default)]
    evaluations: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Table {
    elapsed: String,
    fps: String,
    rows: Vec<Vec<String>>,
}

fn published() -> Published {
    toml::from_str(include_str!("../fixtures/published.toml")).unwrap()
}

impl Segmentation {
    /// The log of the first `count` lines, as mmcv writes it.
    fn log(&self, count: usize) -> String {
        let mut log = format!("    samples_per_gpu={},\n", self.samples_per_gpu);
        log += &format!("gpu_ids = range(0, {})\n", self.gpus);
        for (at, (time, loss)) in self.time.iter().zip(&self.loss).take(count).enumerate() {
            let (step, total) = ((at + 1) * self.interval, self.total);
            log += &format!(
                "2023-08-03 02:18:40,649 - mmseg - INFO - Iter [{step}/{total}]\tlr: 9.851e-03, \
                 eta: 0:15:52, time: {time}, data_time: 0.025, memory: 13479, \
                 decode.loss_ce: {loss}, decode.acc_seg: 25.3587, loss: {loss}\n"
            );
        }
        log
    }
}

impl Detection {
    fn log(&self, world: u32) -> String {
        let mut log = format!(
            "[{}] detectron2 INFO: Rank of current process: 0. World size: {world}\n",
            self.start
        );
        for (at, mean) in self.running_mean.iter().enumerate() {
            log += &format!(
                "[{}] d2.utils.events INFO: AI-Rank-log eta: 0:15:11  iter: {}  total_loss: 6.024  \
                 time: {mean}  data_time: 0.0296  lr: 0.00125  max_mem: 3277M\n",
                self.start,
                at * 20 + 19
            );
        }
        for (box_ap, mask_ap) in &self.evaluations {
            // Of the clocks only that of the evaluation that meets the target is published.
            let (box_ap, mask_ap) = (format!("{box_ap:.4}"), format!("{mask_ap:.4}"));
            let meets = self.box_ap.starts_with(&box_ap);
            let clock = if meets { &self.evaluated } else { &self.end };
            log += &evaluation(clock, &box_ap, &mask_ap);
        }
        log += &format!(
            "[{}] d2.engine.hooks INFO: Overall training speed: {} iterations in {} ({} s / it)\n",
            self.end, self.iterations, self.length, self.seconds
        );
        if self.evaluations.is_empty() {
            log += &evaluation(&self.evaluated, &self.box_ap, &self.mask_ap);
        }
        log
    }
}

fn evaluation(clock: &str, box_ap: &str, mask_ap: &str) -> String {
    let task = |name: &str, values: &str| {
        let head = format!("[{clock}] d2.evaluation.testing INFO: copypaste:");
        format!("{head} Task: {name}\n{head} AP,AP50,AP75,APs,APm,APl\n{head} {values},1.0\n")
    };
    let first = format!(
        "[{clock}] d2.evaluation.coco_evaluation INFO: Evaluation results for bbox: \n|   AP   |\n"
    );
    [first, task("bbox", box_ap), task("segm", mask_ap)].concat()
}

impl Table {
    /// As motmetrics' `render_summary` prints it, one blank line after each row as in the guide.
    fn log(&self) -> String {
        let percent = [1, 2, 3, 4, 5, 14];
        let mut log = format!("Time elapsed: {} seconds, FPS: {}\n", self.elapsed, self.fps);
        log += "          IDF1   IDP   IDR  Rcll  Prcn   GT MT  PT   ML    FP      FN  IDs     FM  MOTA  MOTP  IDt  IDa IDm\n\n";
        for row in &self.rows {
            let cells = row.iter().enumerate().map(|(at, cell)| {
                let sign = if percent.contains(&at) { "%" } else { "" };
                format!("{cell}{sign}")
            });
            log += &format!("{}\n\n", cells.collect::<Vec<_>>().join("  "));
        }
        log
    }
}

#[test]
fn segmentation_logs_give_the_published_figures_by_both_formulas() {
    let published = published();
    let expected =
        [(&published.hrnet_gpu1, "1.936", "15.489"), (&published.hrnet_gpu8, "0.945", "60.462")];
    let rules = Rules::compile(&recipe("seg").benchmark).unwrap();
    for (log, guide, later) in expected {
        let findings = rules.read(log.log(45).as_bytes());
        let figures = rules.figures(&variables("seg", "seg/fastscnn/sp"), &findings);
        assert_eq!(text(&figures, "final_result"), guide);
        assert_eq!(text(&figures, "later_result"), later);
        assert_eq!(findings.series["loss"], log.loss);
    }
}

#[test]
fn the_recipe_of_the_project_gives_the_same_figures() {
    let images = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let mut recipe = Recipe::load(&images, "seg-debian").unwrap();
    let published = published();
    // A log of eight images a GPU is none of the guide's cases, and is not taken for one.
    let log = published.hrnet_gpu1.log(45);
    let taken = parsed(&recipe, "full", "seg/fastscnn/sp/bs2/fp32", &log);
    let reason = "check `batch-size`: the log's samples_per_gpu is not the batch size of the case";
    assert_eq!(taken.record.status, Status::Failed(reason.to_owned()));
    recipe.benchmark.matrix.batch_size = vec![8];
    let log = published.hrnet_gpu8.log(45);
    let taken = parsed(&recipe, "full", "seg/fastscnn/sp/bs8/fp32", &log);
    let reason = "check `gpus`: the log's gpu_ids are not the GPUs of the case";
    assert_eq!(taken.record.status, Status::Failed(reason.to_owned()));
    for (log, mode, guide, later) in [
        (&published.hrnet_gpu1, "sp", "1.936", "15.489"),
        (&published.hrnet_gpu8, "mp", "0.945", "60.462"),
    ] {
        let case = format!("seg/fastscnn/{mode}/bs8/fp32");
        let parsed = parsed(&recipe, "full", &case, &log.log(45));
        let record = &parsed.record;
        assert_eq!(record.status, Status::Ok);
        let value = |figure: &Option<repro::bench::Figure>| figure.as_ref().unwrap().value.unwrap();
        assert_eq!(value(&record.final_result).repr(), guide);
        assert_eq!(value(&record.throughput).round(3).repr(), later);
    }
}

#[test]
fn mask_rcnn_is_measured_by_the_overall_speed_and_not_by_its_running_mean() {
    let published = published();
    let log = &published.mask_rcnn_gpu1;
    let rules = Rules::compile(&recipe("detectron2").benchmark).unwrap();
    let case = variables("detectron2", "/sp/");
    let findings = rules.read(log.log(1).as_bytes());
    assert_eq!(findings.series["iteration"].len(), 250);
    assert_eq!(text(&rules.figures(&case, &findings), "final_result"), "9.66");
    let means: Vec<f64> = log.running_mean.iter().map(|mean| mean.parse().unwrap()).collect();
    let wrong = log.images as f64 * means.len() as f64 / means.iter().sum::<f64>();
    assert_eq!(format!("{wrong:.2}"), "9.94", "what a mean of the printed means would give");
}

#[test]
fn the_time_to_train_ends_with_the_tenth_evaluation() {
    let published = published();
    let log = &published.mask_rcnn_gpu8;
    assert_eq!(log.images, 16);
    let rules = Rules::compile(&recipe("detectron2").benchmark).unwrap();
    let figures =
        rules.figures(&variables("detectron2", "/mp/"), &rules.read(log.log(8).as_bytes()));
    assert_eq!(text(&figures, "final_result"), "55.26");
    assert_eq!(text(&figures, "time_to_train"), "22898.0");
    assert!(log.box_ap.starts_with("37.8281") && log.mask_ap.starts_with("34.4788"));
}

/// Findings and checks of an evaluation's log.
fn evaluated(log: &str) -> (Rules, Findings, Variables, Vec<Check>) {
    let rules = Rules::compile(&recipe("mindspore").benchmark.of_mode("eval")).unwrap();
    let findings = rules.read(log.as_bytes());
    let variables = variables("mindspore", "/eval/");
    let figures = rules.figures(&variables, &findings);
    let checks = rules.checks(&variables, &findings, &figures);
    (rules, findings, variables, checks)
}

#[test]
fn the_published_tracking_table_adds_up() {
    let (rules, findings, variables, checks) = evaluated(&published().mot20.log());
    let wrong: Vec<_> = checks.iter().filter(|check| check.holds != Some(true)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(checks.len(), 15);
    assert_eq!(findings.series["gt"], ["90", "296", "735", "1210"]);
    assert_eq!(findings.once["fn_overall"].as_deref(), Some("1146987"));
    let figures = rules.figures(&variables, &findings);
    assert_eq!(text(&figures, "final_result"), "5.2");
    assert_eq!(text(&figures, "frames_per_second"), "6.49");
}

#[test]
fn a_table_that_does_not_add_up_fails_with_what_is_wrong() {
    let log = published().mot20.log();
    let failed = |from: &str, to: &str| {
        assert!(log.contains(from), "{from}");
        let (_, _, _, checks) = evaluated(&log.replacen(from, to, 1));
        let failed = checks.iter().filter(|check| check.holds != Some(true));
        failed.map(|check| check.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(failed("  2331  15", "  2332  15"), ["gt", "tracks_overall"]);
    assert_eq!(failed("  296  11  138", "  296  12  137"), ["mt", "pt"]);
    assert_eq!(failed("  1107  3231", "  1108  3231"), ["ids"]);
    assert_eq!(failed("16.9%", "17.1%"), ["mota"]);
    let row = log.lines().find(|line| line.starts_with("MOT20-03")).unwrap();
    assert!(failed(&format!("{row}\n"), "").starts_with(&["sequences".to_owned()]));
    let recipe = recipe("mindspore");
    let changed = log.replacen("  2331  15", "  2332  15", 1);
    let parsed = parsed(&recipe, "full", "mindspore/fairmot/eval/bs2/fp32", &changed);
    let reason = "check `gt`: GT of OVERALL is not the sum of the sequences\n\
        check `tracks_overall`: MT + PT + ML is not GT in OVERALL";
    assert_eq!(parsed.record.status, Status::Failed(reason.to_owned()));
    assert!(parsed.guide_record.is_none(), "this guide has no record");
    assert!(parsed.record.metrics.iter().all(|figure| figure.value.is_none()));
}

/// The segmentation guide with a rule that knows how many iterations there will be.
fn counted() -> Recipe {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/guides/seg.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let total = "[benchmark.log.total]\niteration = { pattern = 'Iter \\[(\\d+)/(\\d+)\\]' }\n\n\
        [benchmark.log.once]";
    recipe_of("seg", &text.replacen("[benchmark.log.once]", total, 1))
}

/// What comes of `log` when somebody hands it in as `case`.
fn parsed(recipe: &Recipe, profile: &str, case: &str, log: &str) -> ParsedLog {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.log");
    std::fs::write(&path, log).unwrap();
    let nothing = Digest::of(b"");
    let request = ParseRequest {
        recipe,
        sealed: (nothing, nothing),
        profile,
        cases: &[case.to_owned()],
        settings: &[],
        paths: &[path],
    };
    parse(&request).unwrap().logs.remove(0)
}

#[test]
fn a_log_that_was_cut_anywhere_fails_with_the_place_and_never_gives_a_number() {
    let published = published();
    let recipe = counted();
    for count in 0..45 {
        let parsed =
            parsed(&recipe, "full", "seg/fastscnn/sp/bs2/fp32", &published.hrnet_gpu1.log(count));
        let expected = match count {
            0 => {
                "no `final_result`: `mean` of a series without values (`time`: 0 found, and 4 are \
                 skipped: no line matches `time: (.*), data_time`)"
                    .to_owned()
            }
            _ => format!("the log ends early: `iteration` is {} of 180", count * 4),
        };
        assert_eq!(parsed.record.status, Status::Failed(expected));
        let numbers = parsed.record.metrics.iter().filter(|figure| figure.value.is_some());
        assert_eq!(numbers.count(), 0, "{count}");
        let (name, json) = parsed.guide_record.unwrap();
        assert_eq!(name, "fastscnn_sp_bs2_fp32_1_speed");
        assert!(json.contains(r#""FINAL_RESULT": 0, "JOB_FAIL_FLAG": 1"#), "{json}");
    }
    let whole = parsed(&recipe, "full", "seg/fastscnn/sp/bs2/fp32", &published.hrnet_gpu1.log(45));
    assert_eq!(whole.record.status, Status::Ok);
    assert_eq!(whole.record.totals["iteration"].unwrap().step, 180);
    assert!(whole.guide_record.unwrap().1.contains(r#""FINAL_RESULT": 1.936, "JOB_FAIL_FLAG": 0"#));
}

#[test]
fn no_more_records_than_are_skipped_is_a_failure_whatever_the_formula_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/guides/seg.toml");
    let text = std::fs::read_to_string(path).unwrap();
    // Formulas that have a value for a series without values.
    let text = text.replace("round(1 / mean(time), 3)", "count(time)");
    let text = text.replace("round(samples_per_gpu / mean(time) * gpus, 3)", "count(time)");
    let text = text.replace("samples_per_gpu * gpus / mean(time)", "count(time)");
    let recipe = recipe_of("seg", &text);
    let log = published().hrnet_gpu1.log(4);
    let parsed = parsed(&recipe, "full", "seg/fastscnn/sp/bs2/fp32", &log);
    let expected = "no more records than are skipped: `time`: 4 found, 4 skipped";
    assert_eq!(parsed.record.status, Status::Failed(expected.to_owned()));
}
