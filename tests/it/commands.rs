//! The program as a person meets it: help, errors that name the next step, exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::recipe_reading::{DATA_SETS, TRACKER, folder as recipe_folder};

/// A project with one recipe and no lock.
pub struct Project {
    pub folder: tempfile::TempDir,
}

impl Project {
    pub fn new(recipe: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lockfiles")).unwrap();
        let images = recipe_folder(recipe);
        copy(images.path(), &folder.path().join("images"));
        fs::write(folder.path().join("datasets.toml"), DATA_SETS).unwrap();
        Self { folder }
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_repro"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("REPRO_HOME", self.folder.path().join("store"))
            .output()
            .unwrap()
    }

    /// Standard error with this machine's paths taken out, and the exit code.
    pub fn error(&self, arguments: &[&str]) -> (String, i32) {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        let root = self.folder.path().display().to_string();
        (text.replace(&root, "[project]"), output.status.code().unwrap())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, &place).unwrap();
        }
    }
}

#[test]
fn every_command_explains_itself_with_examples() {
    let project = Project::new(TRACKER);
    let help = String::from_utf8(project.run(&["--help"]).stdout).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .take_while(|line| *line != "Options:")
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 25, "{commands:?}");
    for command in commands {
        let help = String::from_utf8(project.run(&[command, "--help"]).stdout).unwrap();
        assert!(help.contains("Examples:\n  repro "), "`{command} --help` has no example\n{help}");
    }
    assert!(!help.contains("__"), "a hidden command is listed");
}

#[test]
fn an_unknown_image_is_answered_with_the_nearest_one() {
    let (text, code) = Project::new(TRACKER).error(&["build", "traker-debian"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: `traker-debian` is no image; the nearest is `tracker-debian`
      tracker-debian
    hint: `repro list` shows what there is
    ");
}

#[test]
fn an_image_without_a_lock_says_how_to_get_one() {
    let (text, code) = Project::new(TRACKER).error(&["build", "tracker-debian"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: image `tracker-debian` has no lock
    hint: `repro lock tracker-debian` writes it
    ");
}

#[test]
fn a_wrong_key_of_a_recipe_is_named_with_line_and_nearest_key() {
    let project = Project::new(&TRACKER.replace("shm-size", "shm-sise"));
    let (text, code) = project.error(&["list"]);
    assert_eq!(code, 2);
    assert!(text.contains("images/tracker.toml:"), "{text}");
    assert!(text.contains("`shm-sise`") && text.contains("`shm-size`"), "{text}");
}

#[test]
fn a_name_that_no_formula_can_know_is_refused_with_its_line_by_whatever_reads_the_recipe() {
    let project = Project::new(&TRACKER.replace("\"1 / mean(time)\"", "\"1 / mean(tme)\""));
    for command in [&["list"][..], &["lock", "--check"], &["lock", "tracker-debian", "--check"]] {
        let (text, code) = project.error(command);
        assert_eq!(code, 2, "{text}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @r"
            error: found 1 problem in what was written
              [project]/images/tracker.toml:67:1: formula of `final_result`: unknown name `tme`, did you mean `time`?
                known    batch_size, gpu_ids, gpu_num, iterations, loss, mode, model, precision, system, time
                formula  1 / mean(tme)
                case     tracker/fast/sp/bs2/fp32
            ");
        }
    }
}

#[test]
fn a_data_set_that_nobody_describes_is_refused_with_the_nearest_one() {
    let project =
        Project::new(&TRACKER.replace("\"/data/tiny\" = \"tiny\"", "\"/data/tiny\" = \"tyny\""));
    let (text, code) = project.error(&["lock", "tracker-debian", "--check"]);
    assert_eq!(code, 2, "{text}");
    insta::assert_snapshot!(text, @r"
    error: found 1 problem in what was written
      [project]/images/tracker.toml:104:1: profile `smoke` mounts data set `tyny`, which `datasets.toml` does not describe; the nearest is `tiny`
    ");
    fs::remove_file(project.folder.path().join("datasets.toml")).unwrap();
    let (text, code) = project.error(&["list"]);
    assert_eq!(code, 2);
    assert!(text.contains("describe it there as `[tyny]`"), "{text}");
}

#[test]
fn a_store_of_a_later_version_is_refused_and_left_alone() {
    let project = Project::new(TRACKER);
    let store = project.folder.path().join("store");
    fs::create_dir(&store).unwrap();
    fs::write(store.join("version"), "99\n").unwrap();
    let (text, code) = project.error(&["fsck"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: the store `[project]/store` has format 99
      this program knows  1
    hint: use the newer program, or another folder by `REPRO_HOME`
    ");
    assert_eq!(fs::read_to_string(store.join("version")).unwrap(), "99\n");
}

#[test]
fn a_result_for_machines_is_one_json_document_errors_too() {
    let project = Project::new(TRACKER);
    let output = project.run(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list[0]["image"], "tracker-debian");
    assert_eq!(list[0]["state"], "not locked");
    let output = project.run(&["build", "nothing", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["exit_code"], 2);
    assert_eq!(error["hint"], "`repro list` shows what there is");
}

#[test]
fn a_folder_that_is_no_project_says_what_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_repro"))
        .arg("list")
        .current_dir(folder.path())
        .env("REPRO_HOME", folder.path().join("store"))
        .env_remove("REPRO_PROJECT")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("`images`") && text.contains("--project"), "{text}");
}
