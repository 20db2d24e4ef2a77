//! What counts as a line and as a step of a log: colours, other encodings, lines that stand twice.

use std::fs;
use std::path::Path;
use std::process::Command;

use repro::bench::{
    Figure, Findings, NO_REFERENCE, ParseRequest, Rules, RunRecord, Status, expand, parse,
};
use repro::digest::Digest;
use repro::recipe::Recipe;
use repro::report::{Format, Report};

const EVALUATION: &str = "\
[03/31 14:02:33 d2.evaluation.coco_evaluation]: Evaluation results for bbox: \n\
|   AP   |\n\
[03/31 14:02:33 d2.evaluation.testing]: copypaste: Task: bbox\n\
[03/31 14:02:33 d2.evaluation.testing]: copypaste: AP,AP50\n\
[03/31 14:02:33 d2.evaluation.testing]: copypaste: 37.8281,58.5996\n\
[03/31 14:02:33 d2.evaluation.testing]: copypaste: Task: segm\n\
[03/31 14:02:33 d2.evaluation.testing]: copypaste: AP,AP50\n\
[03/31 14:02:33 d2.evaluation.testing]: copypaste: 34.4788,55.6968\n";

fn recipe(name: &str) -> Recipe {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let recipes = Recipe::load_all(&images).unwrap();
    recipes.into_iter().find(|recipe| recipe.name == name).unwrap()
}

/// A log of Mask R-CNN with two logged steps and one evaluation, as detectron2 writes it into a file.
fn detectron2() -> String {
    let step = |iteration: u32| {
        format!(
            "[03/31 14:01:{iteration} d2.utils.events]:  eta: 0:00:00  iter: {iteration}  total_loss: 1.6  \
             loss_cls: 0.4  time: 0.2070  data_time: 0.0049  lr: 0.00125  max_mem: 3277M\n"
        )
    };
    format!(
        "[03/31 14:01:03 detectron2]: Rank of current process: 0. World size: 1\n  MAX_ITER: 40\n\
         {}{}{EVALUATION}[03/31 14:02:40 d2.engine.hooks]: Overall training speed: 38 iterations in \
         0:17:14 (0.2070 s / it)\n",
        step(19),
        step(39)
    )
}

/// The same with the colours of termcolor, which colours what stands before the message.
fn coloured(log: &str) -> String {
    let line = |line: &str| match line.split_once("]: ") {
        Some((head, message)) => format!("\u{1b}[32m{head}]: \u{1b}[0m{message}\n"),
        None => format!("{line}\n"),
    };
    log.lines().map(line).collect()
}

fn read(recipe: &Recipe, log: &[u8]) -> (Findings, Vec<Figure>) {
    let case = expand(recipe, "full", &[]).unwrap().remove(0);
    let rules = Rules::compile(&recipe.benchmark.of_mode(&case.mode)).unwrap();
    let findings = rules.read(log);
    let figures = rules.figures(&case.variables, &findings);
    (findings, figures)
}

fn parsed(recipe: &Recipe, log: &[u8]) -> RunRecord {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.log");
    fs::write(&path, log).unwrap();
    let case = expand(recipe, "full", &[]).unwrap().remove(0).name;
    let request = ParseRequest {
        recipe,
        sealed: (Digest::of(b"seal"), Digest::of(b"lock")),
        profile: "full",
        cases: &[case],
        settings: &[],
        paths: &[path],
    };
    parse(&request).unwrap().logs.remove(0).record
}

#[test]
fn colours_encodings_and_lines_that_stand_twice_change_no_figure_of_mask_r_cnn() {
    let recipe = recipe("maskrcnn");
    let log = detectron2();
    let plain = read(&recipe, log.as_bytes());
    let value = |name: &str| {
        let figure = plain.1.iter().find(|figure| figure.name == name).unwrap();
        figure.value.unwrap_or_else(|| panic!("{name}: {:?}", figure.reason)).as_f64()
    };
    assert_eq!(value("time_to_train"), 90.0);
    assert_eq!(value("box_ap_at_target"), 37.8281);
    let same = |other: &[u8], what: &str| {
        let other = read(&recipe, other);
        assert_eq!(other.1, plain.1, "{what}");
        assert_eq!(other.0.series, plain.0.series, "{what}");
    };
    same(coloured(&log).as_bytes(), "coloured");
    same(format!("\u{feff}{log}").as_bytes(), "with a mark");
    same(log.replace('\n', "\r\n").as_bytes(), "with carriage returns");
    let utf_16: Vec<u8> =
        format!("\u{feff}{log}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    same(&utf_16, "in UTF-16");
    let twice: String = log.lines().map(|line| format!("{line}\n{line}\n")).collect();
    same(twice.as_bytes(), "every line twice");
    let blue: String =
        coloured(&log).lines().map(|line| format!("{line}\n\u{1b}[34m{line}\n")).collect();
    same(blue.as_bytes(), "twice in two colours");
}

#[test]
fn a_figure_that_is_absent_is_told_below_the_table() {
    let recipe = recipe("maskrcnn");
    let log = detectron2().replace(EVALUATION, "");
    let record = parsed(&recipe, log.as_bytes());
    assert_eq!(record.status, Status::Ok, "{NO_REFERENCE}");
    let text = Report::of_records([&record]).table(Format::Text(None));
    let note = "has no `time_to_train`, `box_ap_at_target`, `mask_ap_at_target` (`first` of a series without \
                values); `final_box_ap`, `final_mask_ap` (`last` of a series without values)\n";
    assert!(text.contains(note), "{text}");
    let page = Report::of_records([&record]).html(&repro::results::scrub::Known::default());
    assert!(page.contains("has no `time_to_train`"));
}

#[test]
fn steps_that_two_ranks_tell_with_other_values_fail_by_name() {
    let recipe = recipe("maskrcnn");
    let log = detectron2();
    let ranks: String = log
        .lines()
        .flat_map(|line| [line.to_owned(), line.replace("total_loss: 1.6", "total_loss: 1.7")])
        .map(|line| line + "\n")
        .collect();
    let Status::Failed(reason) = parsed(&recipe, ranks.as_bytes()).status else { panic!() };
    assert!(
        reason.starts_with("no step of this log is sure: line 6 of the log tells step 19 again"),
        "{reason}"
    );
    assert!(
        reason.contains(
            "before  iteration 19, loss 1.6, time 0.2070\n  now     iteration 19, loss 1.7"
        ),
        "{reason}"
    );
    // Of two runs in one file the second begins anew.
    let restarted = format!("{log}{}", log.replace("time: 0.2070", "time: 0.3"));
    let Status::Failed(reason) = parsed(&recipe, restarted.as_bytes()).status else { panic!() };
    assert!(reason.contains("counts back from step 39 to 19"), "{reason}");
}

#[test]
fn a_step_counts_once_in_the_logs_of_all_recipes() {
    let line = |text: &str| format!("{text}\n");
    let steps: [(&str, &str, Vec<String>); 4] = [
        (
            "seg-debian",
            "time",
            (1..=6)
                .map(|n| line(&format!("Iter [{n}0/60]\tlr: 1e-2, time: 0.6{n}, data_time: 0.02, loss: 0.5")))
                .collect(),
        ),
        (
            "jde",
            "time",
            (0..=1)
                .flat_map(|epoch| (0..4).map(move |n| (epoch, n)))
                .map(|(epoch, n)| line(&format!("Epoch: {epoch} Batch: {n}/3 loss_total: 5{n}.1 nT: 8 batch time: 5.{n}s time: 5.{n}s")))
                .collect(),
        ),
        (
            "fairmot",
            "time",
            (1..=2)
                .flat_map(|epoch| (0..4).map(move |n| (epoch, n)))
                .map(|(epoch, n)| line(&format!("mot train: [{epoch}][{n}/4]|Tot: 0 |loss 2{n}.4 |Net time: 1.{n}s time: 1.{n}s")))
                .collect(),
        ),
        (
            "psenet",
            "ips",
            ["Epoch: [1 | 2]", "(1/4) LR: 0.1 | Loss: 0.5 | ips: 3.5", "(3/4) LR: 0.1 | Loss: 0.4 | ips: 3.6",
             "Epoch: [2 | 2]", "(1/4) LR: 0.1 | Loss: 0.3 | ips: 3.7", "(3/4) LR: 0.1 | Loss: 0.2 | ips: 3.8"]
                .map(line)
                .to_vec(),
        ),
    ];
    for (name, series, lines) in steps {
        let recipe = recipe(name);
        let count = |log: &str| {
            let findings = read(&recipe, log.as_bytes()).0;
            assert_eq!(findings.miscounted, None, "{name}");
            findings.series[series].len()
        };
        let log = lines.concat();
        let expected = log.matches("time: ").count().max(log.matches("ips: ").count());
        let expected = if name == "psenet" { expected } else { lines.len() };
        assert_eq!(count(&log), expected, "{name}");
        let twice: String = lines.iter().map(|line| line.repeat(2)).collect();
        assert_eq!(count(&twice), expected, "{name}, every line twice");
        assert_eq!(count(&log.repeat(2)), expected, "{name}, the log twice");
    }
}

#[test]
fn a_pipe_or_a_device_as_a_log_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let recipe = recipe("maskrcnn");
    let case = expand(&recipe, "full", &[]).unwrap().remove(0).name;
    let cases = [case];
    for path in [pipe, "/dev/zero".into()] {
        let request = ParseRequest {
            recipe: &recipe,
            sealed: (Digest::of(b"seal"), Digest::of(b"lock")),
            profile: "full",
            cases: &cases,
            settings: &[],
            paths: &[path],
        };
        let error = parse(&request).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with("a regular file is needed, this is a "), "{cause}");
    }
}
