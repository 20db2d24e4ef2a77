//! The matrices of the guides, as `repro list --cases` shows them, and logs on the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use repro::bench;
use repro::recipe::Recipe;
use serde_json::Value;

use super::commands::Project;
use super::recipe_reading::TRACKER;

/// The fixture with a second variant, the guide's words for one mode, and a case that nobody runs.
fn project() -> Project {
    let variant = &TRACKER[TRACKER.find("[variant.debian]").unwrap()..];
    let guide = "[benchmark.mode.sp]\nguide-command = \"bash run.sh {model} {iterations}\"\n";
    let text = TRACKER.replacen("[benchmark.mode.sp]\n", guide, 1);
    let other = variant.replace("variant.debian", "variant.other").replacen(
        "[variant.other]\n",
        "[variant.other]\nbenchmark.mode.mp.command = [\"python3.7\", \"train.py\", \"{model}\"]\n",
        1,
    );
    let unavailable = "\n[[unavailable]]\ncase = \"tracker/fast/ascend/bs4/fp32\"\n\
        guide-command = \"bash ascend.sh 8\"\nreason = \"needs eight Ascend 910\"\n\
        [[published]]\ncase = \"tracker/fast/ascend/*\"\nmetric = \"final_result\"\nvalue = 380.528\n\
        unit = \"ms/step\"\nconditions = \"Ascend 910\"\n";
    Project::new(&format!("{text}\n{other}{unavailable}"))
}

fn json(project: &Project, arguments: &[&str]) -> (Value, i32) {
    let output = project.run(&[arguments, &["--json"]].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap();
    (value, output.status.code().unwrap())
}

#[test]
fn each_case_of_a_guide_is_listed_once_with_every_image_that_has_it() {
    let (cases, code) = json(&project(), &["list", "--cases"]);
    assert_eq!((cases.as_array().unwrap().len(), code), (5, 0));
    let first = &cases[0];
    assert_eq!(first["case"], "tracker/fast/sp/bs2/fp32");
    assert_eq!(first["images"], serde_json::json!(["tracker-debian", "tracker-other"]));
    assert_eq!(first["profile"], "full");
    assert_eq!(first["guide_command"], "bash run.sh fast 500");
    let command = ["python3", "train.py", "fast", "500"];
    assert_eq!(first["command"]["tracker-debian"], serde_json::json!(command));
    assert_eq!(first["published"][0]["value"], 7.5);
    assert_eq!((&first["unavailable"], &first["errata"]), (&Value::Null, &Value::from(2)));
    // Without words of its own the guide types what is run; a variant may run something else.
    assert_eq!(cases[1]["guide_command"], "python3 -m launch train.py fast");
    assert_eq!(cases[1]["command"]["tracker-other"][0], "python3.7");
    let last = &cases[4];
    assert_eq!(last["unavailable"], "needs eight Ascend 910");
    assert_eq!(last["guide_command"], "bash ascend.sh 8");
    assert_eq!(
        (&last["command"], &last["published"][0]["value"]),
        (&serde_json::json!({}), &Value::from(380.528))
    );
    let (one, _) = json(&project(), &["list", "tracker-debian", "--cases"]);
    assert_eq!(one[0]["images"], serde_json::json!(["tracker-debian"]));
}

#[test]
fn the_matrix_is_one_line_a_case_below_its_system() {
    let output = project().run(&["list", "--cases"]);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    tracker (tracker-debian, tracker-other): 5 cases
      tracker/fast/sp/bs2/fp32      bash run.sh fast 500             published throughput 7.5 images/s
      tracker/fast/mp/bs2/fp32      python3 -m launch train.py fast
      tracker/slow/sp/bs2/fp32      bash run.sh slow 100
      tracker/slow/mp/bs2/fp32      python3 -m launch train.py slow
      tracker/fast/ascend/bs4/fp32  bash ascend.sh 8                 unavailable: needs eight Ascend 910
    ");
}

#[test]
fn names_that_fit_no_case_are_mistakes_of_the_recipe() {
    let folder = super::recipe_reading::folder(TRACKER);
    let recipe = Recipe::load(folder.path(), "tracker-debian").unwrap();
    let problem = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        bench::check(&recipe).unwrap_err().to_string()
    };
    let text = problem(&|recipe| recipe.published[0].case = "tracker/fsat/*".to_owned());
    assert!(
        text.contains("`throughput` is published for `tracker/fsat/*`, which fits no case"),
        "{text}"
    );
    let text = problem(&|recipe| recipe.published[0].metric = "speed".to_owned());
    assert!(text.contains("but no mode has such a metric"), "{text}");
    let text = problem(&|recipe| {
        recipe.unavailable = vec![repro::recipe::Unavailable {
            case: "tracker/fast/sp/bs2/fp32".to_owned(),
            guide_command: "x".to_owned(),
            reason: "x".to_owned(),
        }];
    });
    assert!(text.contains("is unavailable, but the matrix has it"), "{text}");
    let text = problem(&|recipe| {
        let skip = repro::recipe::SkipRule { case: "*/mp/*".to_owned(), reason: "x".to_owned() };
        recipe.profiles.get_mut("smoke").unwrap().skips.push(skip);
    });
    assert!(
        text.contains("profile `smoke` skips `*/mp/*`, which fits none of its cases"),
        "{text}"
    );
    let text = problem(&|recipe| {
        recipe.benchmark.mode.get_mut("sp").unwrap().guide_command = Some("x {modle}".to_owned());
    });
    assert!(
        text.contains("guide-command: unknown variable `modle`, did you mean `model`?"),
        "{text}"
    );
}

/// A good log of the fixture: five times after four that are skipped, and one that is cut.
fn log() -> String {
    let line = |time: &str| format!("time: {time}, data_time: 0.1, loss: 0.5\n");
    ["9", "1", "1", "1", "0.5"].map(line).concat()
}

#[test]
fn a_log_on_the_command_line_gives_table_and_record_of_the_guide() {
    let project = project();
    let path = project.folder.path().join("mine.log");
    fs::write(&path, log()).unwrap();
    let place = path.to_str().unwrap();
    let output = project.run(&["parse", place, "--image", "tracker-debian", "--case", "fast/sp"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("tracker-debian, seal not verified, profile full"), "{text}");
    assert!(text.contains("fast_sp_bs2_fp32_1_speed\n  {\"model_name\": \"fast\", \"index\": 1, \"FINAL_RESULT\": 2.0}"), "{text}");
    let arguments =
        ["parse", place, "--image", "tracker-debian", "--case", "fast/sp", "--out", "kept"];
    let (result, code) = json(&project, &arguments);
    assert_eq!((code, &result["ok"]), (0, &Value::Bool(true)));
    let folder = Path::new(result["folder"].as_str().unwrap());
    assert!(
        project.folder.path().join(folder).join("tracker/fast/sp/bs2/fp32/record.json").is_file()
    );
    assert_eq!(result["records"][0]["status"]["state"], "ok");
}

#[test]
fn a_failed_log_on_the_command_line_ends_with_5_and_one_without_a_case_with_2() {
    let project = project();
    let path = project.folder.path().join("fast_sp_bs2_fp32_1");
    fs::write(&path, log().lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let (result, code) =
        json(&project, &["parse", path.to_str().unwrap(), "--image", "tracker-debian"]);
    assert_eq!((code, &result["ok"]), (5, &Value::Bool(false)));
    assert_eq!(result["records"][0]["case"], "tracker/fast/sp/bs2/fp32");
    assert_eq!(result["records"][0]["throughput"]["value"], Value::Null);
    let other = project.folder.path().join("other.log");
    fs::write(&other, log()).unwrap();
    let (text, code) =
        project.error(&["parse", other.to_str().unwrap(), "--image", "tracker-debian"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: `[project]/other.log` has the name of no case's log
      fast_mp_bs2_fp32_8
      fast_sp_bs2_fp32_1
      slow_mp_bs2_fp32_8
      slow_sp_bs2_fp32_1
    hint: `--case` names the case of a log that has another name
    ");
}

/// What the guides type, by system, and their cases that need other machines.
const GUIDES: &str = include_str!("fixtures/guide_commands.toml");

#[test]
fn the_recipes_of_the_project_type_what_the_guides_type() {
    let guides: BTreeMap<String, Vec<String>> = toml::from_str(GUIDES).unwrap();
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let mut checked = 0;
    for recipe in Recipe::load_all(&images).unwrap() {
        let Some(expected) = guides.get(&recipe.system) else { continue };
        let mut found: Vec<String> =
            bench::matrix(&recipe).unwrap().into_iter().map(|case| case.guide_command).collect();
        let mut expected = expected.clone();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{}", recipe.name);
        checked += 1;
    }
    assert!(checked > 0, "no recipe follows a guide that is known here");
}
