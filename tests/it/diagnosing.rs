//! What `repro doctor` says of machines, this one and made-up ones.

use std::fs;

use repro::lock::LockedWheel;
use repro::store::Store;
use serde_json::{Value, json};

use super::archives::{ZipItem, wheel};
use super::commands::Project;
use super::gpu_code::{Entry, container, library};
use super::recipe_reading::TRACKER;

/// A project whose image has a wheel `net 1.0` with this GPU code, made by CUDA 10.2.
fn project(code: &[Entry]) -> Project {
    project_of(&[("net", "net/libnet.so", code)])
}

/// A project whose image has these wheels of version 1.0: name, path of the library, its GPU code.
fn project_of(wheels: &[(&str, &str, &[Entry])]) -> Project {
    let project = Project::new(TRACKER);
    let store = Store::open(&project.folder.path().join("store")).unwrap();
    let locked = |(name, path, code): &(&str, &str, &[Entry])| {
        let library = library(&container(code), &["libcudart-80664282.so.10.2"]);
        let bytes = wheel(name, vec![ZipItem::new(path, &library)]);
        LockedWheel {
            name: (*name).to_owned(),
            version: "1.0".to_owned(),
            file: format!("{}-1.0-py3-none-any.whl", name.replace('-', "_")),
            size: bytes.len() as u64,
            sha256: store.put(&bytes).unwrap(),
            requested: true,
        }
    };
    let wheels = wheels.iter().map(locked).collect();
    project.lock("tracker-debian", |lock| {
        lock.wheels = wheels;
        lock.builds.clear();
    });
    project
}

/// The code of torch 1.9.1's own kernels.
const TORCH: [Entry; 4] = [(2, 37, 900), (2, 50, 900), (2, 60, 900), (2, 70, 900)];

/// A machine of `gpus` with `driver`.
fn host(project: &Project, gpus: &[&str], driver: Option<&str>) {
    let host = json!({ "gpus": gpus, "driver": driver, "memory": 600_000_000_000u64 });
    fs::write(project.folder.path().join("host.json"), host.to_string()).unwrap();
}

/// What the doctor says of it, as lines and as an exit code.
fn diagnosed(project: &Project, gpus: &[&str], driver: Option<&str>) -> (String, i32) {
    host(project, gpus, driver);
    let output = project.run(&["doctor", "tracker-debian", "--host", "host.json"]);
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// States of the lines about `check` on such a machine.
fn states(project: &Project, gpu: &str, driver: &str, check: &str) -> Vec<String> {
    host(project, &[gpu; 8], Some(driver));
    let output = project.run(&["doctor", "tracker-debian", "--host", "host.json", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = answer["checks"].as_array().unwrap().iter();
    let lines = checks.filter(|line| line["check"] == check);
    lines.map(|line| line["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_card_that_the_wheels_have_no_code_for_is_refused_with_what_they_have() {
    let (text, code) = diagnosed(&project(&TORCH), &["NVIDIA H200"; 8], Some("550.54.15"));
    assert_eq!(code, 4);
    insta::assert_snapshot!(text, @r"
    state        check          needed                                there                                                                                                                               what to do
    ok           lock           a lock that pins everything           complete, 3 inputs
    bad          GPUs           8 GPUs, for 2 cases                   this run can use 0 of this machine's 8 (GPUs 0, 1, 2, 3, 4, 5, 6, 7 are not fit: the image has no code for compute capability 9.0)  run it where they are, or choose other cases by `--case`
    bad          GPUs           1 GPU, for 2 cases                    this run can use 0 of this machine's 8 (GPUs 0, 1, 2, 3, 4, 5, 6, 7 are not fit: the image has no code for compute capability 9.0)  run it where they are, or choose other cases by `--case`
    bad          code           code for NVIDIA H200 (9.0)            net 1.0 has sm_37 sm_50 sm_60 sm_70, no PTX (libnet.so)                                                                             a card that the code is for, or a variant of newer wheels; `--profile smoke` needs no GPU
    ok           driver         driver 440.33 or newer for CUDA 10.2  550.54.15
    ok           shared memory  up to 1.0 GiB in `/dev/shm`           558.8 GiB of memory in all
    not checked  machine        what sealed runs need                 another machine: engine, kernel, disks and data are not looked at

    GPU code of net 1.0, linked to CUDA 10.2
      library        machine code             PTX
      net/libnet.so  sm_37 sm_50 sm_60 sm_70  none

    3 bad, 0 to be warned of, 1 not checked
    ");
}

#[test]
fn the_guides_own_machine_can_run_it() {
    let (text, code) = diagnosed(&project(&TORCH), &["Tesla V100-SXM2-32GB"; 8], Some("460.27.04"));
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(text, @r"
    state        check          needed                                there                                                              what to do
    ok           lock           a lock that pins everything           complete, 3 inputs
    ok           GPUs           8 GPUs                                8 × Tesla V100-SXM2-32GB (7.0)
    ok           code           code for Tesla V100-SXM2-32GB (7.0)   machine code in net 1.0
    ok           driver         driver 440.33 or newer for CUDA 10.2  460.27.04
    ok           shared memory  up to 1.0 GiB in `/dev/shm`           558.8 GiB of memory in all
    not checked  machine        what sealed runs need                 another machine: engine, kernel, disks and data are not looked at

    GPU code of net 1.0, linked to CUDA 10.2
      library        machine code             PTX
      net/libnet.so  sm_37 sm_50 sm_60 sm_70  none

    0 bad, 0 to be warned of, 1 not checked
    ");
}

#[test]
fn each_card_is_held_against_the_code_that_is_there() {
    let torch = project(&TORCH);
    for gpu in ["Tesla K80", "Tesla V100-PCIE-16GB", "Tesla T4", "Tesla P40", "GeForce GTX 1080 Ti"]
    {
        assert_eq!(states(&torch, gpu, "470.57.02", "code"), ["ok"], "{gpu}");
    }
    for gpu in ["NVIDIA A100-SXM4-40GB", "NVIDIA H200", "NVIDIA B200", "Tesla K40m"] {
        assert_eq!(states(&torch, gpu, "580.65.06", "code"), ["bad"], "{gpu}");
    }
    assert_eq!(states(&torch, "Unheard X1", "580.65.06", "code"), ["not-checked"]);
}

#[test]
fn a_library_of_the_vendor_without_code_for_a_card_is_warned_of_and_refuses_nothing() {
    let new: &[Entry] = &[(2, 70, 900), (2, 80, 900), (2, 90, 900)];
    let old: &[Entry] = &[(2, 70, 900), (2, 80, 900)];
    let of_wheel =
        project_of(&[("net", "net/libnet.so", new), ("nvidia-x-cu12", "x/libx.so", old)]);
    let beside =
        project_of(&[("net", "net/libnet.so", new), ("more", "libcusparseLt-1.so.0", old)]);
    for (project, lacking) in [(of_wheel, "nvidia-x-cu12 1.0"), (beside, "more 1.0")] {
        let (text, code) = diagnosed(&project, &["NVIDIA H200"; 8], Some("550.54.15"));
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(&format!("{lacking} has sm_70 sm_80, no PTX")), "{text}");
        assert_eq!(states(&project, "NVIDIA H200", "550.54.15", "code"), ["warn"]);
        assert_eq!(states(&project, "NVIDIA A100-SXM4-40GB", "550.54.15", "code"), ["ok"]);
        assert_eq!(states(&project, "NVIDIA B200", "580.65.06", "code"), ["bad"]);
    }
}

#[test]
fn a_stub_of_a_library_tells_nothing_of_any_card() {
    let code: &[Entry] = &[(2, 90, 900)];
    let project =
        project_of(&[("net", "net/libnet.so", code), ("stub", "libstub.so", &[(2, 52, 0)])]);
    let (text, code) = diagnosed(&project, &["NVIDIA H200"; 8], Some("550.54.15"));
    assert_eq!(code, 0, "{text}");
    assert_eq!(states(&project, "NVIDIA H200", "550.54.15", "code"), ["ok"]);
    assert!(text.contains("no kernel here, so it tells nothing"), "{text}");
}

#[test]
fn a_card_that_only_ptx_is_for_can_run_it_but_not_as_the_guide_did() {
    let project = project(&[(2, 70, 900), (1, 70, 900)]);
    let (text, code) = diagnosed(&project, &["NVIDIA H200"; 8], Some("550.54.15"));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("PTX only in libnet.so of net 1.0"), "{text}");
    assert_eq!(states(&project, "NVIDIA H200", "550.54.15", "code"), ["warn"]);
    assert_eq!(states(&project, "Tesla V100-PCIE-16GB", "550.54.15", "code"), ["ok"]);
    assert_eq!(states(&project, "Tesla P40", "550.54.15", "code"), ["bad"]);
}

#[test]
fn a_driver_older_than_the_runtime_needs_is_refused_with_the_oldest_that_does() {
    let project = project(&TORCH);
    let (text, code) = diagnosed(&project, &["Tesla V100-SXM2-32GB"; 8], Some("418.87.00"));
    assert_eq!(code, 4);
    assert!(text.contains("driver 440.33 or newer for CUDA 10.2"), "{text}");
    assert!(
        text.contains("GPUs 0, 1, 2, 3, 4, 5, 6, 7 are not fit: the driver is too old"),
        "{text}"
    );
    assert_eq!(states(&project, "Tesla V100-SXM2-32GB", "440.33.01", "driver"), ["ok"]);
    let (text, code) = diagnosed(&project, &[], None);
    assert_eq!(code, 4);
    assert!(text.contains("an NVIDIA driver") && text.contains("none is loaded"), "{text}");
}

#[test]
fn fit_cards_beside_others_are_enough_for_the_cases_that_need_fewer() {
    let project = project(&TORCH);
    let gpus = ["NVIDIA H200", "Tesla V100-SXM2-32GB"];
    let (text, code) = diagnosed(&project, &gpus, Some("550.54.15"));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("this run can use 1 of this machine's 2 (GPU 0 is not fit"), "{text}");
    assert!(text.contains("nothing runs on it"), "{text}");
}

#[test]
fn the_machine_of_a_record_can_be_asked_about() {
    let project = project(&TORCH);
    let record = json!({ "run": "x", "host": { "gpus": ["NVIDIA H200"], "driver": "550.54.15" } });
    fs::write(project.folder.path().join("record.json"), record.to_string()).unwrap();
    let output = project.run(&["doctor", "tracker-debian", "--host", "record.json", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["cards"][0]["compute_capability"], "9.0");
    assert_eq!(answer["is_this_machine"], false);
    assert_eq!(answer["wheels"][0]["code"], json!(["sm_37", "sm_50", "sm_60", "sm_70"]));
    fs::write(project.folder.path().join("wrong.json"), "{\"gpus\": 3}").unwrap();
    let (text, code) = project.error(&["doctor", "tracker-debian", "--host", "wrong.json"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r#"
    error: `wrong.json` describes no machine: invalid type: integer `3`, expected a sequence
    hint: name a run record, or a file with its `host`, such as `{"gpus": ["NVIDIA H200"], "driver": "550.54"}`
    "#);
}

#[test]
fn wheels_that_are_not_here_are_said_not_to_be_looked_at() {
    let project = Project::new(TRACKER);
    project.lock("tracker-debian", |_| ());
    let (text, _) = diagnosed(&project, &["NVIDIA H200"; 8], Some("550.54.15"));
    assert!(text.contains("not downloaded yet"), "{text}");
    assert!(text.contains("`repro build tracker-debian --fetch-only` brings them"), "{text}");
}

#[test]
fn without_an_image_the_machine_alone_is_looked_at() {
    let project = Project::new(TRACKER);
    let output = project.run(&["doctor", "--engine", "embedded", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks: Vec<&str> = answer["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["check"].as_str().unwrap())
        .collect();
    for check in
        ["GPUs", "driver", "engine", "kernel", "overlay", "user namespaces", "cgroups", "disk"]
    {
        assert!(checks.contains(&check), "no {check} in {checks:?}");
    }
    assert_eq!(answer["image"], Value::Null);
}

#[test]
fn a_profile_without_gpus_needs_no_code_and_no_driver() {
    let project = project(&TORCH);
    let arguments = ["doctor", "tracker-debian", "--profile", "smoke", "--json"];
    let output = project.run(&arguments);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["wheels"].as_array().unwrap().is_empty(), "no wheel was looked into");
    let checks = answer["checks"].as_array().unwrap().iter();
    let lines: Vec<&Value> = checks.filter(|line| line["check"] == "code").collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["state"], "not-checked");
}
