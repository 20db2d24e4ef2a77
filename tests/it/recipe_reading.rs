//! Recipes: what is read from them, and what a person is told about a wrong one.

use std::fs;
use std::path::Path;

use repro::recipe::{Recipe, RecipeError, Value};

/// A complete recipe with one variant.
pub const TRACKER: &str = include_str!("fixtures/tracker.toml");

/// A `datasets.toml` with what [`TRACKER`] mounts.
pub const DATA_SETS: &str = "[tiny]\ntitle = \"Tiny\"\n\n[[tiny.archive]]\nfile = \"tiny.zip\"\nunpinned = \"there is none\"\n";

/// A folder with the recipe `text` and the files it names.
pub fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("tracker.toml"), text).unwrap();
    fs::create_dir_all(path.join("tracker/smoke")).unwrap();
    fs::write(path.join("tracker/net.py"), "net = 1\n").unwrap();
    fs::write(path.join("tracker/smoke/sitecustomize.py"), "shim = 1\n").unwrap();
    folder
}

fn load(text: &str) -> Result<Recipe, RecipeError> {
    Recipe::load(folder(text).path(), "tracker-debian")
}

/// The problems found in the recipe after `from` was replaced by `to`.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(TRACKER.contains(from), "the fixture has no `{from}`");
    let folder = folder(&TRACKER.replacen(from, to, 1));
    match Recipe::load(folder.path(), "tracker-debian") {
        Err(RecipeError::Invalid { problems }) => {
            let root = format!("{}/", folder.path().display());
            problems.iter().map(|problem| problem.to_string().replace(&root, "")).collect()
        }
        other => panic!("`{to}` was taken: {other:?}"),
    }
}

#[test]
fn a_variant_is_laid_over_the_recipe() {
    let recipe = load(TRACKER).unwrap();
    assert_eq!((recipe.name.as_str(), recipe.system.as_str()), ("tracker-debian", "tracker"));
    assert_eq!(recipe.title, "Tracker on Debian");
    assert_eq!(recipe.image.env.len(), 3, "{:?}", recipe.image.env);
    assert_eq!(recipe.image.shm_size, 1 << 30);
    assert_eq!(recipe.benchmark.timeout, 900);
    let smoke = &recipe.profiles["smoke"];
    assert_eq!(smoke.timeout, Some(600));
    assert_eq!(smoke.env["REPRO_SMOKE"], "1");
    assert_eq!(smoke.variables["iterations"], Value::Integer(6));
    let errata: Vec<_> = recipe.errata.iter().map(|erratum| erratum.id.as_str()).collect();
    assert_eq!(errata, ["formula", "operators"]);
}

#[test]
fn a_text_of_the_store_is_found_by_the_image_s_name_whatever_hyphens_that_has() {
    let folder = Path::new("images");
    for (image, system) in
        [("tracker-debian", "tracker"), ("multi-object-tracker-debian", "multi-object-tracker")]
    {
        let recipe = Recipe::of_image(folder, image, TRACKER).unwrap().unwrap();
        assert_eq!((recipe.name.as_str(), recipe.system.as_str()), (image, system));
    }
    assert!(Recipe::of_image(folder, "tracker-alpine", TRACKER).unwrap().is_none());
}

#[test]
fn every_recipe_of_the_repository_is_found_by_its_image_s_name_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    for recipe in Recipe::load_all(&folder).unwrap() {
        let found = Recipe::of_image(&folder, &recipe.name, &recipe.text).unwrap().unwrap();
        assert_eq!((&found.name, &found.system), (&recipe.name, &recipe.system));
    }
    let error = Recipe::of_image(&folder, "tracker-debian", "no = [toml").unwrap_err();
    assert!(error.to_string().contains("tracker-debian.toml:1:"), "{error}");
}

#[test]
fn a_recipe_without_a_base_is_no_image_but_its_variants_are() {
    let folder = folder(TRACKER);
    let all = Recipe::load_all(folder.path()).unwrap();
    assert_eq!(all.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["tracker-debian"]);
    let error = Recipe::load(folder.path(), "tracker").unwrap_err();
    assert_eq!(error.to_string(), "there is no image `tracker`\n  nearest  tracker-debian");
}

#[test]
fn a_recipe_with_a_base_is_an_image_beside_its_variants() {
    let text = TRACKER.replace("[variant.debian.debian]", "[debian]");
    let text = text.replace("[variant.debian.python]", "[python]");
    let folder = folder(&text);
    let all = Recipe::load_all(folder.path()).unwrap();
    let names: Vec<_> = all.iter().map(|recipe| recipe.name.as_str()).collect();
    assert_eq!(names, ["tracker", "tracker-debian"]);
    assert!(all[0].image.builds.is_empty() && all[1].image.builds.len() == 1);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    assert_eq!(
        problems("packages = [\"python3\"", "pakages = [\"python3\""),
        [
            "tracker.toml:123:17: `debian`: missing key `packages`",
            "tracker.toml:126:1: unknown key `pakages` in `debian`; the nearest known key is `packages`",
        ]
        .map(str::to_owned)
    );
    let found = problems("[variant.debian.image.env]", "[variant.debian.imgae.env]");
    assert!(
        found[0]
            .ends_with("unknown key `imgae` in `variant.debian`; the nearest known key is `image`"),
        "{found:?}"
    );
    let found = problems("title = \"Tracker: one", "guidence = 1\ntitle = \"Tracker: one");
    assert!(found[0].starts_with("tracker.toml:2:1: unknown key `guidence`"), "{found:?}");
}

#[test]
fn every_unknown_key_of_a_file_is_reported_at_once() {
    let text = TRACKER.replace("gpus = 8", "gpu = 8\ngpus = 8");
    let text = text.replace("unit = \"images/s\"\n\n", "unti = \"images/s\"\n\n");
    let text = text.replace("suite =", "siute = 1\nsuite =");
    let error = load(&text).unwrap_err().to_string();
    assert!(error.starts_with("found 3 problems"), "{error}");
    for key in ["`gpu`", "`unti`", "`siute`"] {
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_wrong_type_is_named_with_its_place_in_the_words_of_the_format() {
    let cases = [
        (
            "workdir = \"/workspace\"\nentry",
            "workdir = 3\nentry",
            "expected a string, found a whole number",
        ),
        ("gpus = 8", "gpus = \"8\"", "expected a whole number, 0 or more, found a string"),
        ("gpus = 8", "gpus = -8", "expected a whole number, 0 or more, found `-8`"),
        ("batch-size = [2]", "batch-size = 2", "expected an array, found a whole number"),
        ("batch-size = [2]", "batch-size = [2, \"3\"]", "`benchmark.matrix.batch-size[2]`"),
        ("timeout = \"15m\"", "timeout = \"soon\"", "expected a duration such as \"15m\""),
        ("timeout = \"15m\"", "timeout = true", "or a number of seconds, found a boolean"),
        ("shm-size = \"1 GiB\"", "shm-size = \"1 gig\"", "expected a size such as \"1 GiB\""),
        ("shm-size = \"1 GiB\"", "shm-size = 4", "expected a size such as \"1 GiB\", found `4`"),
        ("as-of = \"2026-11-20\"", "as-of = 2026-11-20", "written as a string"),
        ("iterations = 500", "iterations = [500]", "expected a string or a number"),
        ("value = 7.5", "value = \"7.5\"", "expected a number, found a string"),
    ];
    for (from, to, expected) in cases {
        let found = problems(from, to);
        assert!(found.len() == 1 && found[0].contains(expected), "{to}: {found:?}");
    }
}

#[test]
fn a_table_that_is_something_else_is_reported() {
    let found = problems("title = \"Tracker on Debian\"", "guide = 1");
    assert!(found[0].contains("unknown key `guide` in `variant.debian`"), "{found:?}");
    let text = "title = \"t\"\nvariant = 3\n";
    assert!(load(text).unwrap_err().to_string().contains("`variant`: expected a table"));
    assert!(load("variant = { debian = 3 }").unwrap_err().to_string().contains("`variant.debian`"));
}

#[test]
fn text_that_is_no_toml_is_an_error_with_its_place() {
    let found = problems("suite = \"bullseye\"", "suite = \"bullseye");
    assert!(found[0].starts_with("tracker.toml:124:"), "{found:?}");
}

#[test]
fn a_local_file_outside_the_folder_is_refused() {
    for path in ["../net.py", "/etc/passwd", "tracker/../../net.py", "tracker//net.py"] {
        let found = problems("source = \"tracker/net.py\"", &format!("source = \"{path}\""));
        assert!(found[0].contains("a local path is relative"), "{found:?}");
    }
    let found = problems("= \"tracker/smoke/site", "= \"../smoke/site");
    assert!(found[0].contains("a local path is relative"), "{found:?}");
}

#[test]
fn a_symbolic_link_out_of_the_folder_is_refused() {
    let folder = folder(TRACKER);
    fs::remove_file(folder.path().join("tracker/net.py")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("tracker/net.py")).unwrap();
    // Only where the link leads to a file is there anything to refuse.
    assert!(Path::new("/etc/hostname").exists());
    let error = Recipe::load(folder.path(), "tracker-debian").unwrap_err().to_string();
    assert!(error.contains("lies outside the recipe's folder"), "{error}");
}

#[test]
fn what_no_build_could_make_sense_of_is_refused() {
    let cases = [
        ("path = \"/opt/tracker/net.py\"", "path = \"opt/net.py\"", "a path in the image"),
        ("\"/bin/sh\" =", "\"/bin/../sh\" =", "a path in the image"),
        ("writable = [\"/workspace\"", "writable = [\"/tmp\"", "stands twice"),
        ("path = \"/opt/tracker/net.py\"", "path = \"/bin/sh\"", "stands twice"),
        ("commit = \"444b", "commit = \"zzzz", "40 hexadecimal digits"),
        ("glibc = \"2.31\"", "glibc = \"new\"", "two numbers"),
        ("as-of = \"2026-11-20\"", "as-of = \"2026-02-30\"", "expected a date"),
        ("\"addict==2.4.0\"", "\"addict @ https://example.org/a.whl\"", "names no location"),
        ("\"addict==2.4.0\"", "\"numpy==1.21.6\"", "stands twice"),
        ("\"libc6\"", "\"libc6; rm\"", "a name is lower-case"),
        ("name = \"mmcv\"", "name = \"mm/cv\"", "a name is lower-case"),
        ("\"setup.py\", \"bdist", "\"\\u0000\", \"bdist", "no NUL"),
        ("shm-size = \"1 GiB\"", "shm-size = \"0 B\"", "a job needs some"),
        ("OMP_NUM_THREADS = \"1\"", "\"A=B\" = \"1\"", "is no variable"),
    ];
    for (from, to, expected) in cases {
        let found = problems(from, to);
        assert!(found.iter().any(|line| line.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn what_no_run_could_make_sense_of_is_refused() {
    let cases = [
        ("'time: (.*), data_time'", "'time: (.*, data_time'", "it is no pattern"),
        ("'time: (.*), data_time'", "'time: .*, data_time'", "it has 0 groups, one is needed"),
        ("'time: (.*), data_time'", "'(time): (.*), data_time'", "it has 2 groups, one is needed"),
        (
            "progress = \"time\"",
            "progress = \"tmie\"",
            "there is no such series; there are `loss`, `time`",
        ),
        ("repeatable = [\"loss\"]", "repeatable = [\"los\"]", "there is no such series"),
        ("mode = [\"sp\", \"mp\"]", "mode = [\"sp\", \"dp\"]", "there is no `[benchmark.mode.dp]`"),
        ("mode = [\"sp\"]", "mode = [\"dp\"]", "there is no `[benchmark.mode.dp]`"),
        ("model = [\"fast\"]", "model = [\"faster\"]", "`faster` is no model of the matrix"),
        ("model = [\"fast\", \"slow\"]", "model = [\"fast\", \"fast\", \"slow\"]", "stands twice"),
        (
            "model = [\"fast\", \"slow\"]",
            "model = [\"a/b\", \"slow\", \"fast\"]",
            "a file name has no",
        ),
        ("precision = [\"fp32\"]", "precision = []", "an axis needs a value"),
        ("timeout = 600", "timeout = 0", "needs some time"),
        ("throughput = \"throughput\"", "throughput = \"ips\"", "there is no such metric"),
        ("file = \"{model}_", "file = \"../{model}_", "a file name has no"),
        (
            "command = [\"python3\", \"train.py\", \"{model}\", \"{it",
            "command = [\"\", \"{it",
            "has a program",
        ),
        ("name = \"throughput\"", "name = \"final_result\"", "stands twice"),
    ];
    for (from, to, expected) in cases {
        let found = problems(from, to);
        assert!(found.iter().any(|line| line.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn a_broken_recipe_does_not_hide_another_system() {
    let folder = folder(TRACKER);
    fs::write(folder.path().join("other.toml"), "title = ").unwrap();
    assert!(Recipe::load(folder.path(), "tracker-debian").is_ok());
    assert!(matches!(Recipe::load_all(folder.path()), Err(RecipeError::Invalid { .. })));
    assert!(matches!(Recipe::load(folder.path(), "other"), Err(RecipeError::Invalid { .. })));
}

#[test]
fn two_recipes_for_one_image_name_are_an_error_that_names_both() {
    let folder = folder(TRACKER);
    let flat = TRACKER.replace("[variant.debian.debian]", "[debian]");
    let flat = flat.replace("[variant.debian.python]", "[python]");
    fs::write(folder.path().join("tracker-debian.toml"), flat).unwrap();
    let error = Recipe::load_all(folder.path()).unwrap_err();
    assert!(
        matches!(&error, RecipeError::Twice { name, .. } if name == "tracker-debian"),
        "{error}"
    );
}

#[test]
fn a_recipe_that_makes_no_image_is_an_error() {
    let error = Recipe::load_all(folder("title = \"t\"\n").path()).unwrap_err().to_string();
    assert!(error.contains("the recipe makes no image"), "{error}");
}

/// The fixture above a registry's image, with a git source that is compiled.
pub fn with_base() -> String {
    let start = TRACKER.find("[variant.debian.debian]").unwrap();
    let end = start + TRACKER[start..].find("[variant.debian.python]").unwrap();
    let base = "[variant.debian.base]\nimage = \"registry.test/team/base:1.0\"\n\n\
        [[variant.debian.git]]\nname = \"tracker\"\nurls = [\"https://git.test/team/tracker\"]\n\
        commit = \"8aad29fa0123456789abcdef0123456789abcdef\"\npath = \"/opt/tracker\"\n\n";
    format!("{}{base}{}", &TRACKER[..start], &TRACKER[end..])
}

#[test]
fn a_variant_may_lie_on_a_registry_image() {
    let text = with_base().replace("packages = [\"python3-distutils\"]", "git = \"tracker\"");
    let folder = folder(&text);
    let recipe = Recipe::load(folder.path(), "tracker-debian").unwrap();
    let base = recipe.image.base.registry().unwrap();
    assert_eq!(
        (base.image.as_str(), base.architecture.as_str()),
        ("registry.test/team/base:1.0", "amd64")
    );
    assert_eq!(recipe.image.git[0].path.as_deref(), Some("/opt/tracker"));
    assert_eq!(recipe.image.builds[0].git.as_deref(), Some("tracker"));
}

#[test]
fn what_a_registry_image_and_git_cannot_have_is_refused_with_its_place() {
    let wrong = with_base()
        .replace("registry.test/team/base:1.0", "ubuntu")
        .replace("https://git.test", "https://me:secret@git.test")
        .replace("packages = [\"python3-distutils\"]", "packages = [\"gcc\"]\ngit = \"other\"");
    let folder = folder(&wrong);
    let error = Recipe::load(folder.path(), "tracker-debian").unwrap_err().to_string();
    for part in [
        "a reference names its registry",
        "without credentials",
        "no such `[[git]]`",
        "need a `[debian]` base",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_build_for_a_profile_gives_that_profile_files_and_asks_nothing_of_the_image() {
    let stub = "[[variant.debian.build]]\nname = \"stub\"\nversion = \"1\"\nprofile = \"smoke\"\n\
        local = { \"/repro/net.py\" = \"tracker/net.py\" }\n\
        outputs = { \"/opt/smoke/stub.so\" = \"stub.so\" }\ncommand = [\"make\"]\n";
    let text = format!("{TRACKER}\n{stub}");
    let build = load(&text).unwrap().image.builds[1].clone();
    assert_eq!((build.profile.as_deref(), build.is_of_index()), (Some("smoke"), false));
    for (from, to, expected) in [
        ("\"smoke\"\nlocal", "\"smok\"\nlocal", "there is no such profile"),
        ("outputs = { \"/opt/smoke/stub.so\" = \"stub.so\" }", "", "has to declare its `outputs`"),
        ("/stub.so\" =", "/sitecustomize.py\" =", "has a file of its own there"),
        ("\ncommand = [\"make\"]", "\nrequires = [\"six\"]\ncommand = [\"make\"]", "cannot ask"),
        ("local = {", "env = {", "or of `local` files"),
        ("\"tracker/net.py\" }", "\"../net.py\" }", "`build.1.local./repro/net.py`"),
    ] {
        let stub = stub.replacen(from, to, 1);
        let error = load(&format!("{TRACKER}\n{stub}")).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn a_requirement_with_one_equals_sign_is_reported_with_its_line() {
    let found = problems("\"numpy==1.21.6\"", "\"numpy=1.21.6\"");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "tracker.toml:135:1: `python.requirements` is `numpy=1.21.6`: a requirement is a name"
        ),
        "{found:?}"
    );
    let found = problems("wheels = [\"setuptools==", "wheels = [\"setuptools=");
    assert!(found[0].contains("`build.0.wheels` is `setuptools=59.5.0`"), "{found:?}");
}

#[test]
fn a_local_file_that_is_not_there_is_reported_with_its_line() {
    let found = problems("source = \"tracker/net.py\"", "source = \"tracker/nett.py\"");
    let expected = "there is no file `tracker/nett.py` in the recipe's folder";
    assert_eq!(found, [format!("tracker.toml:27:10: {expected}")]);
    let found = problems("= \"tracker/smoke/site", "= \"tracker/smoky/site");
    assert!(found[0].contains("there is no file `tracker/smoky/sitecustomize.py`"), "{found:?}");
}

#[test]
fn what_is_gone_has_input_evidence_and_date_and_is_not_inherited() {
    let gone = "[[gone]]\ninput = \"base\"\nevidence = \"seen\"\ndate = \"2026-11-20\"\n\n";
    let text = TRACKER.replacen("[symlinks]", &format!("{gone}[symlinks]"), 1);
    assert!(load(&text).unwrap().image.gone.is_empty(), "a variant does without");
    let found = problems(
        "[variant.debian.debian]",
        "[[variant.debian.gone]]\ninput = \"base\"\nevidence = \" \"\ndate = \"soon\"\n[variant.debian.debian]",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("`gone.0.evidence` is ` `: it must say something"), "{found:?}");
    assert!(found[1].contains("`gone.0.date` is `soon`: expected a date"), "{found:?}");
}

/// An evaluation that takes a training's checkpoint; the fixture's modes otherwise.
const EXCHANGE: &str = r#"
[benchmark.mode.mp.inputs.checkpoint]
path = "/repro/input/last.ckpt"
about = "the trained weights"
from = "sp:checkpoint"

[benchmark.mode.sp.outputs.checkpoint]
path = "/workspace/{model}/*.ckpt"

[benchmark.mode.mp]
needs = "sp"
"#;

#[test]
fn a_mode_may_take_what_another_leaves() {
    let text = TRACKER.replacen("[benchmark.mode.mp]", EXCHANGE.trim(), 1);
    let modes = load(&text).unwrap().benchmark.mode;
    assert_eq!(modes["mp"].needs.as_deref(), Some("sp"));
    assert_eq!(modes["mp"].inputs["checkpoint"].source(), Some(("sp", "checkpoint")));
    assert_eq!(modes["sp"].outputs["checkpoint"].path, "/workspace/{model}/*.ckpt");
    let other = "[variant.debian.benchmark.mode.sp.outputs.checkpoint]\npath = \"/tmp/x\"\n";
    let text = text.replacen("[variant.debian]", &format!("{other}\n[variant.debian]"), 1);
    let modes = load(&text).unwrap().benchmark.mode;
    assert_eq!(modes["sp"].outputs["checkpoint"].path, "/tmp/x", "a variant lays its own over it");
}

#[test]
fn what_no_case_could_take_or_leave_is_refused() {
    let cases = [
        ("needs = \"sp\"", "needs = \"train\"", "there is no `[benchmark.mode.train]`"),
        ("needs = \"sp\"", "needs = \"mp\"", "a mode cannot need itself"),
        ("needs = \"sp\"", "", "an input comes from the mode that this one `needs`"),
        ("\"sp:checkpoint\"", "\"checkpoint\"", "expected `MODE:OUTPUT`"),
        ("\"sp:checkpoint\"", "\"sp:log\"", "no such output; there are `checkpoint`"),
        ("\"/repro/input", "\"repro/input", "a path in the image"),
        ("\"/workspace/{model}", "\"/home/{model}", "below no writable folder; there are `/works"),
        ("inputs.checkpoint]", "inputs.\"Check point\"]", "a name is lower-case"),
    ];
    for (from, to, expected) in cases {
        let changed = EXCHANGE.replacen(from, to, 1);
        assert_ne!(changed, EXCHANGE, "{from}");
        let found = problems("[benchmark.mode.mp]", changed.trim());
        assert!(found.iter().any(|line| line.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn a_pattern_that_leads_out_of_a_tree_is_refused_with_its_place() {
    let with = |lines: &str| {
        let path = "path = \"/opt/tracker\"\n";
        let text = with_base().replace("packages = [\"python3-distutils\"]", "git = \"tracker\"");
        folder(&text.replace(path, &format!("{path}{lines}\n")))
    };
    let fine = with("include = [\"src/**\"]\nexclude = [\"src/*.gif\"]");
    let recipe = Recipe::load(fine.path(), "tracker-debian").unwrap();
    assert_eq!(recipe.image.git[0].include, ["src/**"]);
    for (key, pattern) in [("include", "../*"), ("exclude", "/etc/*"), ("exclude", "[a")] {
        let folder = with(&format!("{key} = [\"{pattern}\"]"));
        let error = Recipe::load(folder.path(), "tracker-debian").unwrap_err().to_string();
        let expected = format!("`git.{key}`: pattern `{pattern}`");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn an_order_of_cases_has_every_axis_once() {
    let matrix = "precision = [\"fp32\"]\n";
    let order = |axes: &str| format!("{matrix}order = {axes}\n");
    let fine =
        TRACKER.replacen(matrix, &order("[\"batch-size\", \"model\", \"precision\", \"mode\"]"), 1);
    assert_eq!(load(&fine).unwrap().benchmark.matrix.order.len(), 4);
    for axes in ["[\"model\", \"mode\"]", "[\"mode\", \"mode\", \"model\", \"precision\"]"] {
        let found = problems(matrix, &order(axes));
        assert!(found[0].contains("`benchmark.matrix.order` is "), "{found:?}");
        assert!(found[0].contains("all four axes, each once"), "{found:?}");
    }
}
