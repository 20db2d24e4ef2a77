//! The guides' own figures, from real logs and from lines of published ones.

use std::io::Write;
use std::path::{Path, PathBuf};

use repro::bench::{Figure, Rules, Variables, check, expand};

use super::{Bench, Play, recipe};
use crate::simulated_runs::check_trials;

/// The shared folder of published logs; they are not ours to commit.
fn shared_logs() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "only this test looks for the folder")]
    let named = std::env::var_os("REPRO_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = named.unwrap_or(beside).join("logs");
    folder.is_dir().then_some(folder)
}

/// A published log, or `None` with a message when the shared folder is not there.
fn published(name: &str) -> Option<Vec<u8>> {
    let Some(folder) = shared_logs() else {
        // Past the test harness, which shows nothing that a passing test prints.
        let message = format!("SKIPPED: `{name}` is not here; REPRO_SHARED names its folder\n");
        std::io::stderr().write_all(message.as_bytes()).unwrap();
        return None;
    };
    Some(std::fs::read(folder.join(name)).unwrap())
}

/// The variables of the only case of `guide` that has `part` in its name.
pub(super) fn variables(guide: &str, part: &str) -> Variables {
    let mut cases = expand(&recipe(guide), "full", &[]).unwrap();
    cases.retain(|case| case.name.contains(part));
    assert_eq!(cases.len(), 1, "{part}");
    cases.remove(0).variables
}

fn figures(guide: &str, part: &str, log: &[u8]) -> Vec<Figure> {
    let rules = Rules::compile(&recipe(guide).benchmark).unwrap();
    rules.figures(&variables(guide, part), &rules.read(log))
}

/// The figure as Python would print it, or the reason why there is none.
pub(super) fn text(figures: &[Figure], name: &str) -> String {
    let figure = figures.iter().find(|figure| figure.name == name).unwrap();
    match figure.value {
        Some(value) => value.repr(),
        None => figure.reason.clone().unwrap(),
    }
}

#[test]
fn every_guide_is_a_recipe_that_could_be_run() {
    for guide in ["seg", "mot", "ocr", "detectron2", "mindspore"] {
        check(&recipe(guide)).unwrap_or_else(|error| panic!("{guide}: {error}"));
    }
}

/// The seconds of each logged step that counts.
fn steps(log: &[u8]) -> Vec<f64> {
    let benchmark = recipe("seg").benchmark;
    let findings = Rules::compile(&benchmark).unwrap().read(log);
    let texts = findings.series["time"].iter().skip(benchmark.log.skip);
    texts.map(|text| text.parse().unwrap()).collect()
}

#[test]
fn runs_made_of_published_steps_are_compared_as_well_as_promised() {
    for name in ["mmseg_hrnet_bs8_fp32_gpu1.log", "mmseg_hrnet_bs8_fp32_gpu8.log"] {
        if let Some(log) = published(name) {
            check_trials(&steps(&log));
        }
    }
}

#[test]
fn published_segmentation_logs_give_the_figures_recomputed_from_them() {
    // Log, GPUs, the guide's formula, the later formula, records.
    let expected = [
        ("mmseg_hrnet_bs8_fp32_gpu1.log", "1", "1.936", "15.489", 45),
        ("mmseg_hrnet_bs8_fp32_gpu8.log", "8", "0.945", "60.462", 45),
        ("cpu/mmseg_fastscnn.log", "1", "1.608", "3.215", 6),
        ("cpu/mmseg_segformer_b0.log", "1", "2.242", "4.484", 6),
    ];
    for (name, gpus, guide, later, records) in expected {
        let Some(log) = published(name) else { return };
        let rules = Rules::compile(&recipe("seg").benchmark).unwrap();
        let findings = rules.read(&log);
        assert_eq!(findings.series["time"].len(), records, "{name}");
        let figures = rules.figures(&variables("seg", "seg/fastscnn/sp"), &findings);
        assert_eq!(text(&figures, "gpus"), gpus, "{name}");
        assert_eq!(text(&figures, "final_result"), guide, "{name}");
        assert_eq!(text(&figures, "later_result"), later, "{name}");
    }
}

#[test]
fn loss_values_of_a_published_log_are_kept_as_it_writes_them() {
    let Some(log) = published("mmseg_hrnet_bs8_fp32_gpu1.log") else { return };
    let rules = Rules::compile(&recipe("seg").benchmark).unwrap();
    let findings = rules.read(&log);
    assert_eq!(findings.series["loss"][..3], ["2.7169", "2.2321", "1.8457"]);
    assert_eq!(findings.series["loss"].len(), 45);
    assert_eq!(findings.cut_lines, 0);
}

#[test]
fn a_published_log_run_as_a_case_gives_the_guides_record() {
    let Some(log) = published("mmseg_hrnet_bs8_fp32_gpu8.log") else { return };
    let bench = Bench::new().cases(&["seg/fastscnn/*"]);
    let summary = bench.run(&[Play::log(log.clone())]);
    let folder = summary.folder.join("seg/fastscnn/sp/bs2/fp32");
    // What the guide's own script wrote from this log, under the names of this case.
    let expected = concat!(
        r#"{"log_file": "fastscnn_sp_bs2_fp32_1", "model_name": "fastscnn", "#,
        r#""mission_name": "\u56fe\u50cf\u5206\u5272", "direction_id": 0, "run_mode": "mp", "#,
        r#""index": 1, "gpu_num": 8, "FINAL_RESULT": 0.945, "JOB_FAIL_FLAG": 0, "#,
        r#""UNIT": "images/s"}"#,
    );
    let record = std::fs::read_to_string(folder.join("fastscnn_sp_bs2_fp32_1_speed")).unwrap();
    assert_eq!(record, expected);
    assert_eq!(std::fs::read(folder.join("fastscnn_sp_bs2_fp32_1")).unwrap(), log);
}

#[test]
fn tracking_logs_give_what_the_guides_script_printed() {
    let Some(log) = published("cpu/jde_576x320.log") else { return };
    let mut variables = variables("mot", "jde/sp/bs4/");
    variables.insert("batch_size".to_owned(), repro::recipe::Value::Integer(2));
    let rules = Rules::compile(&recipe("mot").benchmark).unwrap();
    let figures = rules.figures(&variables, &rules.read(&log));
    assert_eq!(text(&figures, "final_result"), "0.41");
}

#[test]
fn lines_of_both_trackers_are_read_and_other_times_are_not() {
    // Lines in the format of the pinned sources.
    let log = "2021-12-23 13:10:41 [INFO]:  Epoch  Batch  total  nTargets      time\n\
        2021-12-23 13:10:41 [INFO]: Epoch: 0 nT: 19 datatime: 0.003s batch time: 0.417s ips: 9.592\n\
        2021-11-09 19:30:05 [INFO]: Epoch: 0 loss_total: 41.337 time: 0.418s nT: 19\n\
        mot/fairmot| train: [1][10/889]|Tot: 0:00:09 |Data 0.002s(0.118s) |Net time: 0.861s\n\
        mot/default | train: [1][15176/18030]|Tot: 5:50:16 |Net 12.795s\n";
    let rules = Rules::compile(&recipe("mot").benchmark).unwrap();
    assert_eq!(rules.read(log.as_bytes()).series["time"], ["0.417", "0.418", "0.861"]);
    let cases = expand(&recipe("mot"), "full", &[]).unwrap();
    let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), 8);
    assert!(names.contains(&"mot/jde/mp/bs14/fp32") && names.contains(&"mot/fairmot/sp/bs6/fp32"));
}

#[test]
fn text_detection_logs_give_the_mean_without_the_first_record() {
    let line =
        |ips: &str| format!("(1/125) LR: 0.001 | Loss: 0.951 | Acc rec: 0.000 | ips: {ips}\n");
    let log = ["1.35318", "11.52300", "11.52500"].map(line).concat();
    let single = figures("ocr", "sp/bs8/", log.as_bytes());
    assert_eq!(text(&single, "final_result"), "11.524");
    let eight = figures("ocr", "mp/bs64/", log.as_bytes());
    assert_eq!(text(&eight, "final_result"), "92.192");
    assert_eq!(text(&eight, "throughput"), "11.524000000000001");
    let none = figures("ocr", "sp/bs8/", line("1.0").as_bytes());
    assert_eq!(
        text(&none, "final_result"),
        "`mean` of a series without values (`ips`: 1 found, and 1 is skipped)"
    );
    let Some(log) = published("cpu/psenet.log") else { return };
    let figures = figures("ocr", "sp/bs8/", &log);
    assert!(text(&figures, "final_result").parse::<f64>().unwrap() > 1.0);
}

#[test]
fn mask_rcnn_figures_are_truncated_as_they_were_published() {
    let Some(log) = published("detectron2_mask_rcnn_1gpu.log") else { return };
    let figures = figures("detectron2", "sp", &log);
    assert_eq!(text(&figures, "final_result"), "9.66");
    assert_eq!(
        text(&figures, "time_to_train"),
        "`first` of a series without values (`box_ap`: 1 found, `evaluated`: 1 found, \
         `mask_ap`: 1 found)"
    );
}

#[test]
fn time_to_train_is_that_of_the_first_evaluation_that_meets_the_target() {
    // Lines of the published log of eight GPUs; the evaluation before the target is made up.
    let evaluation = |clock: &str, box_ap: &str, mask_ap: &str| {
        format!(
            "[{clock}] d2.evaluation.coco_evaluation INFO: Evaluation results for bbox: \n\
             |   AP   |  AP50  |\n\
             [{clock}] d2.evaluation.testing INFO: copypaste: Task: bbox\n\
             [{clock}] d2.evaluation.testing INFO: copypaste: AP,AP50,AP75,APs,APm,APl\n\
             [{clock}] d2.evaluation.testing INFO: copypaste: {box_ap},58.5996,40.9715\n\
             [{clock}] d2.evaluation.testing INFO: copypaste: Task: segm\n\
             [{clock}] d2.evaluation.testing INFO: copypaste: AP,AP50,AP75,APs,APm,APl\n\
             [{clock}] d2.evaluation.testing INFO: copypaste: {mask_ap},55.6968,36.7439\n"
        )
    };
    let log = [
        "[04/01 15:02:46] detectron2 INFO: Rank of current process: 0. World size: 8\n",
        "[04/01 15:04:20] d2.utils.events INFO: AI-Rank-log eta: 6:39:53  iter: 19  time: 0.2800\n",
        &evaluation("04/01 20:51:00", "37.3047", "34.1567"),
        &evaluation("04/01 21:24:24", "37.8281", "34.4788"),
        "[04/01 22:41:53] d2.engine.hooks INFO: Overall training speed: 89998 iterations in 7:14:13 \
         (0.2895 s / it)\n",
        &evaluation("04/01 22:43:37", "38.6438", "35.2855"),
    ]
    .concat();
    let figures = figures("detectron2", "mp", log.as_bytes());
    assert_eq!(text(&figures, "time_to_train"), "22898.0");
    assert_eq!(text(&figures, "final_result"), "55.26");
}

#[test]
fn mindspore_logs_give_the_time_of_a_step() {
    let Some(log) = published("cpu/fairmot_mindspore.log") else { return };
    let figures = figures("mindspore", "/sp/", &log);
    assert_eq!(text(&figures, "final_result"), "3692.597");
    let rules = Rules::compile(&recipe("mindspore").benchmark).unwrap();
    assert_eq!(rules.read(&log).series["loss"][0], "25.992277145385742");
}

/// The same figures, and nothing taken out but names of hosts, users and mounted folders.
#[test]
fn scrubbing_published_logs_leaves_their_figures() {
    use repro::results::scrub::{Kind, Known, Scrubber};
    let logs = [
        ("seg", "mmseg_hrnet_bs8_fp32_gpu1.log"),
        ("seg", "mmseg_hrnet_bs8_fp32_gpu8.log"),
        ("detectron2", "detectron2_mask_rcnn_1gpu.log"),
        ("seg", "cpu/mmseg_fastscnn.log"),
        ("seg", "cpu/mmseg_segformer_b0.log"),
        ("mot", "cpu/jde_576x320.log"),
        ("mot", "cpu/fairmot_dlaconv.log"),
        ("ocr", "cpu/psenet.log"),
        ("mindspore", "cpu/fairmot_mindspore.log"),
    ];
    for (guide, name) in logs {
        let Some(log) = published(name) else { return };
        let (scrubbed, counts) = Scrubber::new(&Known::default()).scrub(&log);
        // Their tables of parameters are full of names such as `2.0.0.1`.
        for kind in [Kind::Address, Kind::Hardware, Kind::Token, Kind::Email, Kind::Identifier] {
            assert_eq!(counts.get(&kind), None, "{name}");
        }
        let rules = Rules::compile(&recipe(guide).benchmark).unwrap();
        assert_eq!(rules.read(&log), rules.read(&scrubbed), "{name}");
    }
}
