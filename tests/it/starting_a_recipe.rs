//! `repro init`: a person without a project has a recipe that works, and loses nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use repro::bench;
use repro::recipe::Recipe;

fn repro(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_repro"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("REPRO_HOME", folder.join(".store"))
        .output()
        .unwrap()
}

fn error(folder: &Path, arguments: &[&str]) -> (String, i32) {
    let output = repro(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    (text.replace(&folder.display().to_string(), "[folder]"), output.status.code().unwrap())
}

#[test]
fn an_empty_folder_becomes_a_project_whose_recipe_can_be_listed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    let output = repro(folder.path(), &["init", "mine", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["written"].as_array().unwrap().len(), 4);
    assert_eq!(answer["next"][0], "repro lock mine");

    let text = fs::read_to_string(folder.path().join("images/mine.toml")).unwrap();
    for line in answer["choices"].as_array().unwrap() {
        let line = usize::try_from(line.as_u64().unwrap()).unwrap();
        assert!(text.lines().nth(line - 1).unwrap().contains("CHOOSE"));
    }
    let list = String::from_utf8(repro(folder.path(), &["list", "mine"]).stdout).unwrap();
    assert!(list.contains("state: not locked"), "{list}");
    assert!(list.contains("mine/line/sp/bs8/fp32"), "{list}");
}

#[test]
fn every_case_of_the_new_recipe_can_be_planned() {
    let text = Recipe::example("mine", "2026-11-20").unwrap();
    let recipes = Recipe::parse(Path::new("images"), Path::new("images/mine.toml"), &text).unwrap();
    bench::check(&recipes[0]).unwrap();
}

#[test]
fn a_recipe_that_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    assert!(repro(folder.path(), &["init", "mine"]).status.success());
    let recipe = folder.path().join("images/mine.toml");
    fs::write(&recipe, "mine").unwrap();
    let (text, code) = error(folder.path(), &["init", "mine"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: `[folder]/images/mine.toml` is there already
    hint: choose another name, or remove the file
    ");
    assert_eq!(fs::read_to_string(&recipe).unwrap(), "mine");
}

#[test]
fn a_project_gets_only_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    assert!(repro(folder.path(), &["init", "mine"]).status.success());
    let below = folder.path().join("images");
    fs::write(folder.path().join("datasets.toml"), "# mine\n").unwrap();
    let output = repro(&below, &["init", "other", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["written"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_to_string(folder.path().join("datasets.toml")).unwrap(), "# mine\n");
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let (text, code) = error(folder.path(), &["init", "mine"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r"
    error: `[folder]` is in no project and not empty
      found  thesis.tex
    hint: go to a project, or make an empty folder for a new one
    ");
    assert!(!folder.path().join("images").exists());
}

#[test]
fn a_name_that_is_no_file_of_the_recipes_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = error(folder.path(), &["init", "../mine"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @"error: `../mine` is no name of a system: a name is lower-case letters, digits, `.`, `_`, `+` and `-`, and starts with a letter or digit");
    assert!(!folder.path().join("images").exists());
}
