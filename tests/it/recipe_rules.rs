//! Recipes: rules that a mode has for itself, checks, cases that nobody runs.

use repro::recipe::{Recipe, RecipeError};

use super::recipe_reading::{TRACKER, folder};

/// A mode that evaluates what another has trained, with a log of another kind.
const EVAL: &str = r#"
[benchmark.mode.eval]
gpus = 1
command = ["python3", "eval.py"]
guide-command = "bash eval.sh {model} 0"
guide-commands = { slow = "bash eval_slow.sh" }
needs = "sp"

[benchmark.mode.eval.log]
skip = 0
progress = "gap"
step = { gt = '^MOT\S+ (\d+)' }
arrival = { gap = '^MOT' }
once = { gt_overall = '^OVERALL (\d+)' }
total.frame = { pattern = 'frame (\d+) of (\d+)', from-zero = true }

[[benchmark.mode.eval.metric]]
name = "boxes"
formula = "sum(gt)"

[[benchmark.mode.eval.check]]
name = "gt"
formula = "boxes == gt_overall"
text = "GT of OVERALL is not the sum of the sequences"

[benchmark.mode.eval.result]
final-result = "boxes"
throughput = "boxes"

[[unavailable]]
case = "tracker/fast/ascend/bs4/fp32"
guide-command = "bash train_ascend.sh 8"
reason = "needs eight Ascend 910"

[[profile.smoke.skip]]
case = "*/mp/*"
reason = "one process without GPUs"

"#;

fn text() -> String {
    TRACKER.replacen("[benchmark.log]", &format!("{EVAL}[benchmark.log]"), 1)
}

fn load(text: &str) -> Result<Recipe, RecipeError> {
    Recipe::load(folder(text).path(), "tracker-debian")
}

/// What is said about the recipe after `from` was replaced by `to`.
fn problems(from: &str, to: &str) -> String {
    assert!(text().contains(from), "the fixture has no `{from}`");
    load(&text().replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_mode_has_rules_of_its_own_in_place_of_the_benchmarks() {
    let recipe = load(&text()).unwrap();
    let eval = recipe.benchmark.of_mode("eval");
    assert_eq!(eval.log.progress, "gap");
    assert!(eval.log.total["frame"].from_zero);
    assert_eq!(eval.metrics.len(), 1);
    assert_eq!(eval.checks[0].text, "GT of OVERALL is not the sum of the sequences");
    assert!(eval.record.is_none());
    assert_eq!((eval.final_result(), eval.log_file()), ("boxes", "{mode}.log"));
    let trained = recipe.benchmark.of_mode("sp");
    assert_eq!((trained.log.progress.as_str(), trained.metrics.len()), ("time", 2));
    assert!(trained.record.is_some() && trained.checks.is_empty());
}

#[test]
fn a_mode_says_what_the_guide_types_and_what_it_needs() {
    let recipe = load(&text()).unwrap();
    let eval = &recipe.benchmark.mode["eval"];
    assert_eq!(eval.guide_command.as_deref(), Some("bash eval.sh {model} 0"));
    assert_eq!(eval.guide_commands["slow"], "bash eval_slow.sh");
    assert_eq!(eval.needs.as_deref(), Some("sp"));
}

#[test]
fn cases_that_nobody_runs_have_a_reason() {
    let recipe = load(&text()).unwrap();
    assert_eq!(recipe.unavailable[0].reason, "needs eight Ascend 910");
    assert_eq!(recipe.profiles["smoke"].skips[0].reason, "one process without GPUs");
}

#[test]
fn a_variant_changes_one_rule_and_keeps_the_others() {
    let own = "[variant.debian.benchmark.mode.eval.log]\nskip = 2\n\n[variant.debian.debian]";
    let recipe = load(&text().replacen("[variant.debian.debian]", own, 1)).unwrap();
    let eval = recipe.benchmark.of_mode("eval");
    assert_eq!((eval.log.skip, eval.log.progress.as_str()), (2, "gap"));
    assert_eq!(eval.checks.len(), 1);
}

#[test]
fn a_guide_without_a_record_names_the_figures_that_count() {
    let record = &TRACKER[TRACKER.find("[benchmark.record]").unwrap()..];
    let record = &record[..record.find("[profile.full]").unwrap()];
    let result = "[benchmark.result]\nfinal-result = \"final_result\"\nthroughput = \"throughput\"\n\
        log-file = \"train.log\"\n\n";
    let recipe = load(&TRACKER.replacen(record, result, 1)).unwrap();
    assert!(recipe.benchmark.record.is_none());
    assert_eq!(recipe.benchmark.throughput(), "throughput");
    assert_eq!(recipe.benchmark.log_file(), "train.log");
    let both = load(&TRACKER.replacen(record, &format!("{result}{record}"), 1)).unwrap_err();
    let expected = "needs one of `[benchmark.record]` and `[benchmark.result]`";
    assert!(both.to_string().contains(expected), "{both}");
    let neither = load(&TRACKER.replacen(record, "", 1)).unwrap_err().to_string();
    assert!(neither.contains(expected), "{neither}");
}

#[test]
fn an_erratum_may_quote_the_guide() {
    let quoted = text().replacen("id = \"formula\"", "id = \"formula\"\nsays = \"images/s\"", 1);
    let errata = load(&quoted).unwrap().errata;
    assert_eq!(errata[0].says.as_deref(), Some("images/s"));
    assert_eq!(errata[1].says, None);
    let expected = "formula: the guide says “images/s”; the guide prints steps per second and calls them images";
    assert_eq!(errata[0].to_string(), expected);
    assert_eq!(errata[1].to_string(), "operators: built without compiled operators");
}

#[test]
fn what_is_written_down_twice_is_refused_where_it_stands_again() {
    let found = problems("id = \"operators\"", "id = \"formula\"");
    let again = text().replacen("id = \"operators\"", "id = \"formula\"", 1);
    let line = again[..again.rfind("id = \"formula\"").unwrap()].lines().count() + 1;
    let expected = format!(
        "tracker.toml:{line}:1: `erratum.1.id` is `formula`: another erratum has this `id`"
    );
    assert!(found.contains(&expected), "{found}");
    let figure = "[[published]]\ncase = \"tracker/fast/sp/bs2/fp32\"\nmetric = \"throughput\"\n\
                  value = 7.5\nunit = \"images/s\"\nconditions = \"one V100\"\n";
    let found = problems(
        "[variant.debian]\n",
        &format!("{figure}tolerance = 0.1\nbasis = \"x\"\n[variant.debian]\n"),
    );
    let expected = "`published.1` is `throughput`: the same figure is published under the same conditions above";
    assert!(found.contains(expected), "{found}");
    let other = figure.replace("one V100", "one A100");
    load(&text().replacen("[variant.debian]\n", &format!("{other}[variant.debian]\n"), 1)).unwrap();
}

#[test]
fn wrong_rules_are_named_with_their_line() {
    let cases = [
        (
            "needs = \"sp\"",
            "needs = \"eval\"",
            ":59:1: `benchmark.mode.eval.needs` is `eval`: a mode cannot need itself",
        ),
        (
            "needs = \"sp\"",
            "needs = \"train\"",
            "there is no `[benchmark.mode.train]`; there are `eval`, `mp`, `sp`",
        ),
        ("{ slow = ", "{ slw = ", "`slw` is no model of the matrix"),
        (
            "[profile.smoke]\n",
            "[profile.smoke]\ngpus-of = { pm = 2 }\n",
            "no `[benchmark.mode.pm]`",
        ),
        ("[profile.smoke]\n", "[profile.smoke]\ngpus-of = { mp = 0 }\n", "has one GPU or process"),
        ("eval.sh {model} 0\"", "eval.sh\\n\"", "`benchmark.mode.eval.guide-command` is"),
        (
            "progress = \"gap\"",
            "progress = \"gaps\"",
            "there is no such series; there are `gt`, `gap`",
        ),
        (
            "gap = '^MOT'",
            "gap = '('",
            "`benchmark.mode.eval.log.arrival.gap` is `(`: it is no pattern",
        ),
        ("frame (\\d+) of (\\d+)", "frame (\\d+)", "it has 1 groups, two are needed"),
        ("from-zero = true", "from-zreo = true", "unknown key `from-zreo`"),
        (
            "final-result = \"boxes\"",
            "final-result = \"box\"",
            "`benchmark.mode.eval.result.final-result` is `box`: there is no such metric; there are `boxes`",
        ),
        (
            "text = \"GT of OVERALL is not the sum of the sequences\"",
            "text = \" \"",
            "`benchmark.mode.eval.check` is `gt`: it must say something",
        ),
        (
            "case = \"tracker/fast/ascend",
            "case = \"other/fast/ascend",
            "a case is `tracker/MODEL/MODE/bsBATCH/PRECISION`",
        ),
        (
            "reason = \"needs eight Ascend 910\"",
            "reason = \"\"",
            "`unavailable.0.reason` is ``: it must say something",
        ),
        (
            "case = \"*/mp/*\"",
            "case = \"*/[mp/*\"",
            "`profile.smoke.skip.0.case` is `*/[mp/*`: it is no glob",
        ),
    ];
    for (from, to, expected) in cases {
        let message = problems(from, to);
        assert!(message.contains(expected), "{to}: {message}");
    }
}
