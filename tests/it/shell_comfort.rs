//! Completions, the manual, colour, and how much is said.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::commands::Project;
use crate::recipe_reading::TRACKER;

const ESCAPE: char = '\u{1b}';

/// `repro` in `project` with more variables.
fn run_with(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_repro"))
        .args(arguments)
        .current_dir(project.folder.path())
        .env_clear()
        .env("HOME", project.folder.path())
        .env("REPRO_HOME", project.folder.path().join("store"))
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn stderr(output: Output) -> String {
    String::from_utf8(output.stderr).unwrap()
}

/// What a shell is offered for the last of these words.
fn offered(project: &Project, words: &[&str]) -> Vec<String> {
    let index = (words.len() - 1).to_string();
    let variables =
        [("REPRO_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", &index), ("_CLAP_IFS", "\n")];
    let arguments: Vec<&str> = ["--"].iter().chain(words).copied().collect();
    let output = run_with(project, &variables, &arguments);
    assert_eq!(stderr(output.clone()), "");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Whether a tool is on this machine.
fn has(tool: &str) -> bool {
    let mut asked = Command::new(tool);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok()
}

#[test]
fn a_script_for_each_shell_asks_this_program() {
    let project = Project::new(TRACKER);
    for shell in ["bash", "zsh", "fish"] {
        let output = project.run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("REPRO_COMPLETE") && script.contains("repro"), "{script}");
        let path = project.folder.path().join(shell);
        fs::write(&path, script).unwrap();
        if has(shell) {
            let status = Command::new(shell).arg("-n").arg(&path).status().unwrap();
            assert!(status.success(), "{shell} cannot read its script");
        }
    }
}

#[test]
fn what_is_typed_is_completed_with_what_the_project_has() {
    let project = Project::new(TRACKER);
    assert_eq!(offered(&project, &["repro", "verify-"]), ["verify-data"]);
    assert_eq!(offered(&project, &["repro", "build", "trac"]), ["tracker-debian"]);
    assert_eq!(offered(&project, &["repro", "run", "--image", ""]), ["tracker-debian"]);
    assert_eq!(offered(&project, &["repro", "run", "--profile", "s"]), ["smoke"]);
    let cases = offered(&project, &["repro", "run", "--image", "tracker-debian", "--case", ""]);
    assert!(cases.iter().all(|case| case.starts_with("tracker/")) && cases.len() > 1, "{cases:?}");
}

#[test]
fn runs_are_completed_from_the_store() {
    let project = Project::new(TRACKER);
    fs::create_dir_all(project.folder.path().join("store/runs/20260102T030405Z-abc")).unwrap();
    assert_eq!(offered(&project, &["repro", "attach", "2026"]), ["20260102T030405Z-abc"]);
    assert_eq!(offered(&project, &["repro", "stop", "l"]), ["latest"]);
}

#[test]
fn hidden_commands_and_options_are_not_offered() {
    let project = Project::new(TRACKER);
    let commands = offered(&project, &["repro", ""]);
    assert!(commands.contains(&"run".to_owned()) && !commands.contains(&"__rebuild".to_owned()));
    assert!(!offered(&project, &["repro", "run", "--in"]).contains(&"--in-background".to_owned()));
}

/// The files of the pages that one page refers to: `repro-run.1` for `repro\-run(1)`.
fn named_pages(page: &Path) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(page).unwrap().replace(r"\-", "-");
    let names = text.lines().filter_map(|line| line.strip_suffix("(1)"));
    names.map(|name| format!("{name}.1")).collect::<Vec<_>>().into_iter()
}

#[test]
fn every_command_has_a_page_of_the_manual_with_its_examples() {
    let project = Project::new(TRACKER);
    let folder = project.folder.path().join("man1");
    assert!(project.run(&["man", folder.to_str().unwrap()]).status.success());
    let mut pages: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() > 20, "{pages:?}");
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        assert!(text.contains(".SH EXAMPLES"), "{} has no examples", page.display());
        if has("groff") {
            let output = Command::new("groff")
                .args(["-K", "utf8", "-man", "-Tutf8", "-ww"])
                .arg(page)
                .output()
                .unwrap();
            let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && complaints.is_empty(),
                "{}: {complaints}",
                page.display()
            );
        }
    }
    for (page, name) in pages.iter().flat_map(|page| named_pages(page).map(move |it| (page, it))) {
        assert!(folder.join(&name).is_file(), "{} names {name}", page.display());
    }
    assert!(folder.join("repro-results-check.1").is_file(), "{pages:?}");
    let one = String::from_utf8(project.run(&["man"]).stdout).unwrap();
    assert_eq!(one, fs::read_to_string(folder.join("repro.1")).unwrap());
}

#[test]
fn a_pipe_gets_no_colour_unless_it_is_asked_for() {
    let project = Project::new(TRACKER);
    let wrong = ["build", "nothing"];
    let coloured = |variables: &[(&str, &str)], more: &[&str]| {
        let arguments = [&wrong, more].concat();
        let text = stderr(run_with(&project, variables, &arguments));
        assert!(text.contains("error:") && text.contains("hint:"), "{text}");
        text.contains(ESCAPE)
    };
    assert!(!coloured(&[], &[]));
    assert!(coloured(&[], &["--color", "always"]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1")], &["--color=never"]));
}

#[test]
fn help_and_wrong_options_have_the_colour_that_was_asked_for() {
    let project = Project::new(TRACKER);
    let help = |arguments: &[&str]| String::from_utf8(project.run(arguments).stdout).unwrap();
    assert!(!help(&["--help"]).contains(ESCAPE));
    assert!(help(&["--help", "--color", "always"]).contains(ESCAPE));
    let wrong = stderr(project.run(&["--color=always", "list", "--nothing"]));
    assert!(wrong.contains(ESCAPE), "{wrong}");
}

#[test]
fn quiet_leaves_errors_and_verbose_says_what_is_done() {
    let project = Project::new(TRACKER);
    assert!(stderr(project.run(&["build", "nothing", "-q"])).contains("error:"));
    assert_eq!(
        stderr(project.run(&["status"])),
        "no run of this store is known; `repro run` starts one\n"
    );
    assert_eq!(stderr(project.run(&["status", "-q"])), "");
    assert!(stderr(project.run(&["list", "-v"])).contains("INFO"));
    assert!(!stderr(project.run(&["list"])).contains("INFO"));
    let both = project.run(&["list", "-q", "-v"]);
    assert_eq!(both.status.code(), Some(2), "both at once mean nothing");
}
