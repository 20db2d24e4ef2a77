//! What `run` says before it does anything: all that is missing, at once.

use std::fs;

use repro::fetch;
use repro::lock::{Lock, Unpinned};

use crate::commands::Project;
use crate::next_steps::two_variants;
use crate::recipe_reading::TRACKER;

/// Two images of one system: `tracker-debian` has holes in its lock, `tracker-other` has none.
fn project() -> Project {
    let project = Project::new(&two_variants());
    project.lock("tracker-other", |_| ());
    project.lock("tracker-debian", |lock| {
        let base = Unpinned::new("base `registry.test/a:1`", "the registry could not be asked");
        let wheel = Unpinned::new("distribution `six`", "the index could not be asked");
        lock.unpinned = vec![base, wheel];
    });
    project
}

/// GPUs of the machine that runs the tests must not decide what they see.
fn without_gpus() -> bool {
    !std::path::Path::new("/proc/driver/nvidia/version").exists()
}

#[test]
fn a_run_that_lacks_everything_says_so_at_once_and_makes_nothing() {
    let project = project();
    let (text, code) = project.error(&["run", "--image", "tracker-debian"]);
    assert_eq!(code, 2);
    if without_gpus() {
        insta::assert_snapshot!(text, @r"
        error: 4 of 4 cases of `tracker-debian` cannot run here
          needed                    there                                            what to do
          base `registry.test/a:1`  unpinned: the registry could not be asked        `repro lock tracker-debian` asks again; `repro build tracker-other` builds now
          distribution `six`        unpinned: the index could not be asked           `repro lock tracker-debian` asks again; `repro build tracker-other` builds now
          an NVIDIA driver          none is loaded                                   load it; `--profile smoke` needs no GPU
          8 GPUs, for 2 cases       this machine has 0 (no NVIDIA driver is loaded)  run it where they are, or choose other cases by `--case`
          1 GPU, for 2 cases        this machine has 0 (no NVIDIA driver is loaded)  run it where they are, or choose other cases by `--case`
        ");
    }
    assert!(!project.folder.path().join("results").exists(), "nothing was run");
}

#[test]
fn a_dry_run_shows_what_is_missing_and_every_case() {
    let project = project();
    let output = project.run(&["run", "--image", "tracker-debian", "--dry-run", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["cases"].as_array().unwrap().len(), 4);
    assert_eq!(answer["repeat"], 1);
    let kinds: Vec<_> =
        answer["missing"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds[..2], ["unpinned", "unpinned"]);
    assert_eq!(answer["missing"][0]["cases"], serde_json::json!([]));
}

#[test]
fn a_dry_run_says_how_often_the_matrix_would_run() {
    let arguments = ["run", "--image", "tracker-debian", "--dry-run", "--repeat", "3"];
    let output = project().run(&arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the whole matrix runs 3 times, one after the other\n"), "{text}");
    assert_eq!(text.matches("\ntracker/fast/sp/bs2/fp32\n").count(), 1, "{text}");
    let none = project().run(&["run", "--image", "tracker-debian", "--dry-run", "--repeat", "0"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn machines_get_the_list_as_json_with_what_to_do() {
    let project = Project::new(TRACKER);
    fs::remove_file(project.folder.path().join("datasets.toml")).unwrap();
    let arguments = ["run", "--image", "tracker-debian", "--profile", "smoke", "--json"];
    let output = project.run(&arguments);
    assert_eq!(output.status.code(), Some(2));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["exit_code"], 2);
    assert_eq!(answer["error"], "1 of 1 case of `tracker-debian` cannot run here");
    assert_eq!(answer["missing"][0]["kind"], "lock");
    assert_eq!(answer["missing"][0]["to_do"], "`repro lock tracker-debian` writes it");
    assert_eq!(answer["missing"][1]["kind"], "unknown-data");
    assert_eq!(answer["missing"][1]["there"], "`datasets.toml` does not name it");
}

#[test]
fn data_that_is_not_there_is_said_before_anything_is_downloaded() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |_| ());
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!(
        "[tiny]\ntitle = \"Tiny\"\n[[tiny.archive]]\nfile = \"tiny.zip\"\nsize = 3\n\
         sha256 = \"{digest}\"\n[tiny.tree]\nmanifest = \"tiny.tree\"\nsha256 = \"{digest}\"\n"
    );
    fs::write(project.folder.path().join("datasets.toml"), text).unwrap();
    let arguments = ["run", "--image", "tracker-debian", "--profile", "smoke"];
    let (text, code) = project.error(&arguments);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text, @r"
        error: 1 of 1 case of `tracker-debian` cannot run here
          needed           there                    what to do
          data set `tiny`  not there, nor tiny.zip  `repro fetch-data tiny`; `repro verify-data tiny` says what belongs where
        ");
    let data = ["--data", "no-such-folder"];
    let (text, code) = project.error(&[&arguments[..], &data].concat());
    assert!(code == 2 && text.contains("[project]/no-such-folder"), "{text}");
}

#[test]
fn memory_for_shared_batches_is_asked_for_only_where_cases_run_on_gpus() {
    let project = Project::new(&TRACKER.replace("\"1 GiB\"", "\"1048576 GiB\""));
    let asks_for_memory = |profile: &str| {
        let arguments = ["run", "--image", "tracker-debian", "--profile", profile, "--json"];
        let output = project.run(&arguments);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["missing"].as_array().unwrap().iter().any(|lack| lack["kind"] == "memory")
    };
    assert!(asks_for_memory("full"));
    assert!(!asks_for_memory("smoke"));
    let (text, _) = project.error(&["run", "--image", "tracker-debian"]);
    let (lacking, warnings) = text.split_once("to be warned of, no case").unwrap();
    assert!(lacking.starts_with("error: 4 of 4 cases") && !lacking.contains("/dev/shm"), "{text}");
    assert!(warnings.contains("a limit, only what is used counts"), "{text}");
}

#[test]
fn what_is_chosen_or_given_and_is_not_there_is_answered_with_what_there_is() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |_| ());
    let run = ["run", "--image", "tracker-debian"];
    let (text, code) = project.error(&[&run[..], &["--gpus", "97"]].concat());
    assert!(code == 2 && text.contains("this machine has no one GPU `97`"), "{text}");
    let file = project.folder.path().join("datasets.toml");
    fs::write(&file, "").unwrap();
    let given = format!("weights={}", file.display());
    let (text, code) = project.error(&[&run[..], &["--input", &given]].concat());
    assert!(code == 2 && text.contains("no chosen case takes an input `weights`; they"), "{text}");
    let (text, code) = project.error(&[&run[..], &["--input", "weights"]].concat());
    assert!(code == 2 && text.contains("expected `NAME=FILE`"), "{text}");
    let (text, code) = project.error(&[&run[..], &["--jobs", "0"]].concat());
    assert!(code == 2 && text.contains("one at least"), "{text}");
}

/// A project of which only the inputs of its image are missing.
fn without_inputs() -> Project {
    let project = Project::new(&TRACKER.replace("\"/data/tiny\" = \"tiny\"\n", ""));
    project.lock("tracker-debian", |_| ());
    project
}

const OFFLINE: [&str; 8] =
    ["run", "--image", "tracker-debian", "--profile", "smoke", "--engine", "embedded", "--offline"];

#[test]
fn without_a_network_what_the_store_lacks_is_one_line_and_nothing_is_run() {
    let project = without_inputs();
    let (text, code) = project.error(&OFFLINE);
    assert_eq!(code, 4);
    insta::assert_snapshot!(text, @r"
        error: 1 of 1 case of `tracker-debian` cannot run here
          needed             there                                          what to do
          7 inputs (4.1 kB)  not in the store, and no network may be asked  `--mirror DIR` that has them, or go without `--offline`
        ");
    assert!(!project.folder.path().join("results").exists(), "nothing was run");
    let output = project.run(&[&OFFLINE[..], &["--dry-run"]].concat());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("7 inputs (4.1 kB)") && !shown.contains("to download"), "{shown}");
}

#[test]
fn what_a_folder_of_this_machine_has_is_not_missing_without_a_network() {
    let project = without_inputs();
    let file = project.lock_file("tracker-debian");
    let lock = Lock::parse(&fs::read_to_string(&file).unwrap(), &file).unwrap();
    let wanted = fetch::wanted(&lock);
    let (links, mirror) =
        (project.folder.path().join("links"), project.folder.path().join("mirror"));
    fs::create_dir_all(mirror.join("blobs/sha256")).unwrap();
    fs::create_dir(&links).unwrap();
    let missing = || {
        let places = ["--find-links", "links", "--mirror", "mirror", "--dry-run", "--json"];
        let output = project.run(&[&OFFLINE[..], &places].concat());
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["missing"].as_array().unwrap().clone()
    };
    let wheels = wanted.iter().filter(|wanted| wanted.name.ends_with(".whl"));
    wheels.for_each(|wheel| fs::write(links.join(&wheel.name), "a wheel").unwrap());
    let found = missing();
    assert_eq!(found[0]["kind"], "offline");
    assert_eq!(found[0]["needed"], "4 inputs (3.8 kB)");
    for wanted in &wanted {
        fs::write(mirror.join("blobs/sha256").join(wanted.digest.hex()), "an input").unwrap();
    }
    assert_eq!(missing(), [] as [serde_json::Value; 0]);
}

#[test]
fn a_build_without_a_network_names_some_of_the_inputs_and_counts_the_rest() {
    let project = without_inputs();
    let (text, code) = project.error(&["build", "tracker-debian", "--offline"]);
    assert_eq!(code, 4);
    assert!(text.contains("7 of 7 inputs could not be fetched\n`addict-2.4.0-py3"), "{text}");
    assert!(text.contains("\nand 2 more (1.3 kB) that are not in the store\nhint: "), "{text}");
    assert_eq!(text.matches(" is not in the store and no network may be asked").count(), 5);
    assert!(text.contains("`--mirror DIR`"), "{text}");
}

#[test]
fn a_data_set_without_a_place_is_named_where_a_dry_run_would_show_its_folder() {
    let data = "\"/data/tiny\" = \"tiny\"\n\"/data/new\" = \"new\"\n\"/data/both\" = \"both\"\n";
    let project = Project::new(&TRACKER.replace("\"/data/tiny\" = \"tiny\"\n", data));
    project.lock("tracker-debian", |_| ());
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!(
        "[tiny]\ntitle = \"Tiny\"\n[[tiny.archive]]\nfile = \"tiny.zip\"\nsize = 3\n\
         sha256 = \"{digest}\"\n[tiny.tree]\nmanifest = \"tiny.tree\"\nsha256 = \"{digest}\"\n\
         [new]\ntitle = \"New\"\n[[new.archive]]\nfile = \"new.zip\"\nunpinned = \"nobody told\"\n\
         [both]\ntitle = \"Both\"\n[both.of]\na = \"tiny\"\nb = \"new\"\n"
    );
    fs::write(project.folder.path().join("datasets.toml"), text).unwrap();
    let run = ["run", "--image", "tracker-debian", "--profile", "smoke", "--dry-run"];
    let shown = |more: &[&str]| {
        let output = project.run(&[&run[..], more].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = shown(&[]);
    assert!(text.contains("  mount    data set `new` (not pinned) at /data/new, read"), "{text}");
    assert!(
        text.contains("  mount    data set `new` (not pinned) at /data/both/b, read"),
        "{text}"
    );
    assert!(!text.contains("0000"), "{text}");
    assert_eq!(text.matches(&format!("store/data/{}", &digest[..8])).count(), 2, "{text}");
    let answer: serde_json::Value = serde_json::from_str(&shown(&["--json"])).unwrap();
    let mounts = answer["cases"][0]["mounts"].as_array().unwrap();
    let new = mounts.iter().find(|mount| mount["target"] == "/data/new").unwrap();
    assert_eq!((&new["source"], new["data_set"].as_str()), (&serde_json::Value::Null, Some("new")));
    // A data folder has a place for each.
    fs::create_dir(project.folder.path().join("data")).unwrap();
    assert!(shown(&["--data", "data"]).contains("data/new at /data/new, read-only"));
}
