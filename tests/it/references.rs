//! What recipes say of published figures, of the machine they were measured on, and of expected failures.

use std::path::Path;

use repro::bench;
use repro::lock::Lock;
use repro::recipe::{Recipe, RecipeError};

use super::commands::Project;
use super::recipe_reading::{TRACKER, folder};

const MORE: &str = r#"
[[published]]
case = "tracker/fast/mp/*"
metric = "throughput"
value = 40.0
unit = "images/s"
tolerance = [-0.02, 0.05]
basis = "two runs lie 1.4 % apart"
conditions = "eight V100"
gpu = "V100-SXM2-16GB"
gpus = 8
batch = 16
portable = false
software = { torch = "1.9.1+cu102", mmcv-full = "1.3.13" }
unlike = "other code"

[reference-host]
gpu = "V100-SXM2-32GB"
gpus = 8
cpu = "Xeon Gold 6271C"
processors = 80
memory = "629 GB"
driver = "460.27.04"
kernel = "3.10"
os = "CentOS 7.5"
source = "the guide, line 15"

[[expected-failure]]
case = "tracker/slow/*"
reason = "out of memory"
evidence = "issue 7"
image = "tracker-debian"
profile = "full"
gpu = "V100-SXM2-16GB"
"#;

fn text() -> String {
    TRACKER.replacen("[variant.debian]\n", &format!("{MORE}\n[variant.debian]\n"), 1)
}

fn load(text: &str) -> Result<Recipe, RecipeError> {
    Recipe::load(folder(text).path(), "tracker-debian")
}

#[test]
fn figures_have_a_tolerance_and_conditions() {
    let recipe = load(&text()).unwrap();
    let figure = &recipe.published[1];
    assert_eq!(figure.tolerance.unwrap().range(40.0), (39.2, 42.0));
    assert_eq!((figure.gpus, figure.batch, figure.portable), (Some(8), Some(16), false));
    assert_eq!(figure.software["mmcv-full"], "1.3.13");
    assert_eq!(figure.unlike.as_deref(), Some("other code"));
    let bare = &recipe.published[0];
    assert_eq!((bare.tolerance, bare.basis.as_str()), (None, ""), "there is no default");
    let host = recipe.reference_host.unwrap();
    assert_eq!((host.gpus, host.memory), (Some(8), Some(629_000_000_000)));
    assert_eq!(recipe.expected_failures[0].gpu.as_deref(), Some("V100-SXM2-16GB"));
}

#[test]
fn what_is_wrong_with_them_is_named() {
    let cases = [
        ("tolerance = [-0.02, 0.05]", "tolerance = [0.02, 0.05]", "the bounds exclude the figure"),
        ("tolerance = [-0.02, 0.05]", "tolerance = \"2 %\"", "a fraction such as 0.03"),
        ("basis = \"two runs lie 1.4 % apart\"", "", "a tolerance says in `basis` who gave it"),
        ("value = 40.0", "value = 0", "no part of 0 is anything"),
        ("value = 40.0", "value = nan", "`published.1.value`"),
        ("gpus = 8\nbatch", "gpus = 0\nbatch", "`published.1.gpus` is `0`: one at least"),
        ("batch = 16", "batch = 0", "`published.1.batch` is `0`: one at least"),
        ("mmcv-full = ", "mmcv_full = ", "the normalised name of a distribution"),
        ("unlike = \"other code\"", "unlik = \"x\"", "unknown key `unlik`"),
        ("unlike = \"other code\"", "unlike = \"\"", "it must say something"),
        ("case = \"tracker/fast/mp/*\"", "case = \"tracker/[\"", "it is no glob"),
        ("memory = \"629 GB\"", "memory = \"much\"", "a size such as \"629 GB\""),
        ("driver = \"460.27.04\"", "drivers = \"460\"", "the nearest known key is `driver`"),
        ("gpu = \"V100-SXM2-32GB\"\n", "", "a number of GPUs needs their model"),
        ("source = \"the guide, line 15\"", "", "missing key `source`"),
        ("evidence = \"issue 7\"", "", "missing key `evidence`"),
        ("reason = \"out of memory\"", "reason = \" \"", "`expected-failure.0.reason`"),
        ("profile = \"full\"", "profile = \"ful\"", "there is no such profile"),
        ("image = \"tracker-debian\"", "image = \"seg\"", "it is `tracker` or `tracker-VARIANT`"),
    ];
    for (from, to, expected) in cases {
        assert!(text().contains(from), "the recipe has no `{from}`");
        let message = load(&text().replacen(from, to, 1)).unwrap_err().to_string();
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn an_expected_failure_of_no_case_is_a_mistake() {
    let mut recipe = load(&text()).unwrap();
    bench::check(&recipe).unwrap();
    recipe.expected_failures[0].case = "tracker/slwo/*".to_owned();
    let message = bench::check(&recipe).unwrap_err().to_string();
    assert!(
        message.contains("`tracker/slwo/*` is expected to fail, but fits no case"),
        "{message}"
    );
}

#[test]
fn a_list_shows_figures_with_their_tolerance_and_the_guides_machine() {
    let project = Project::new(&text());
    let shown = project.run(&["list", "--cases"]);
    insta::assert_snapshot!(String::from_utf8(shown.stdout).unwrap(), @r"
    tracker (tracker-debian): 4 cases
      the guide's machine: 8 × V100-SXM2-32GB, Xeon Gold 6271C, 80 logical processors, 629 GB, driver 460.27.04, kernel 3.10, CentOS 7.5
      tracker/fast/sp/bs2/fp32  python3 train.py fast 500        published throughput 7.5 images/s
      tracker/fast/mp/bs2/fp32  python3 -m launch train.py fast  published throughput 40 images/s (- 2 % to + 5 %)
      tracker/slow/sp/bs2/fp32  python3 train.py slow 100        expected to fail: out of memory
      tracker/slow/mp/bs2/fp32  python3 -m launch train.py slow  expected to fail: out of memory
    ");
    let one = project.run(&["list", "tracker-debian"]);
    let one = String::from_utf8(one.stdout).unwrap();
    let figure = "  tracker/fast/mp/* throughput 40 images/s (- 2 % to + 5 %)\n      eight V100\n      \
                  other code\n      two runs lie 1.4 % apart\n";
    assert!(one.contains(figure) && one.contains("(the guide, line 15)"), "{one}");
}

#[test]
fn every_figure_of_the_repository_has_a_tolerance_or_a_reason_why_nobody_judges_by_it() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let mut figures = 0;
    for recipe in Recipe::load_all(&images).unwrap() {
        for figure in &recipe.published {
            figures += 1;
            let (name, case) = (&recipe.name, &figure.case);
            assert!(!figure.basis.is_empty() || figure.unlike.is_some(), "{name}: {case}");
            let speed = !figure.portable && figure.tolerance.is_some();
            assert!(!speed || recipe.reference_host.is_some() && figure.gpus.is_some(), "{case}");
        }
    }
    assert!(figures > 30, "{figures}");
}

#[test]
fn guides_that_name_their_machine_have_it_in_their_recipe() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let host = |name: &str| Recipe::load(&images, name).unwrap().reference_host;
    let ocr = host("psenet").unwrap();
    let known = (ocr.gpu.as_deref(), ocr.gpus, ocr.memory, ocr.driver.as_deref());
    let expected = (Some("V100-SXM2-32GB"), Some(8), Some(629_000_000_000), Some("460.27.04"));
    assert_eq!(known, expected);
    assert!(ocr.cpu.unwrap().contains("6271C"));
    assert_eq!(host("seg-debian").unwrap().gpus, Some(8));
    assert_eq!(host("seg").unwrap().driver, None, "its guide does not say");
    assert_eq!(host("jde"), None, "its guide names no machine");
}

/// The lock of an image of the repository.
fn lock(name: &str) -> Lock {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lockfiles/{name}.lock"));
    Lock::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap()
}

#[test]
fn the_lock_says_which_versions_are_in_the_image_wheels_and_compiled_ones() {
    let software = lock("seg-debian").software();
    assert_eq!(software["torch"], "1.9.1");
    assert_eq!(software["mmcv"], "1.3.13", "it is compiled");
    let stubs = lock("fairmot-mindspore-debian");
    assert!(stubs.builds.iter().any(|build| build.name == "stub-libraries"));
    assert!(!stubs.software().contains_key("stub-libraries"), "files are no distribution");
}

#[test]
fn every_distribution_that_a_figure_names_is_in_an_image_of_its_system() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let recipes = Recipe::load_all(&images).unwrap();
    for recipe in &recipes {
        for name in recipe.published.iter().flat_map(|figure| figure.software.keys()) {
            let mut same = recipes.iter().filter(|other| other.system == recipe.system);
            let known = same.any(|other| lock(&other.name).software().contains_key(name));
            assert!(known, "{}: no lock has `{name}`", recipe.name);
        }
    }
}
