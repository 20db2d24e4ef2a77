//! What the kernel of this machine offers to sealed runs.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::engine::embedded::child;

/// How it stands with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there.
    Ok,
    /// It could not be looked at.
    NotChecked,
    /// Something works less well, or some cases do not run.
    Warn,
    /// Nothing can run without it.
    Bad,
}

impl State {
    /// The word that people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One line of what the doctor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it stands.
    pub state: State,
    /// What is looked at: `kernel`.
    pub check: String,
    /// What is needed.
    pub needed: String,
    /// What is there.
    pub there: String,
    /// What to do; empty where nothing has to be done.
    pub to_do: String,
}

impl Check {
    /// A line without anything to do.
    pub fn new(
        state: State,
        check: &str,
        needed: impl Into<String>,
        there: impl Into<String>,
    ) -> Self {
        let (needed, there) = (needed.into(), there.into());
        Self { state, check: check.to_owned(), needed, there, to_do: String::new() }
    }

    /// The same with what to do.
    pub fn to_do(self, to_do: impl Into<String>) -> Self {
        Self { to_do: to_do.into(), ..self }
    }
}

/// Release of the kernel that the embedded engine's overlay needs.
const OLDEST_KERNEL: (u32, u32) = (5, 12);

/// Looks at the machine whose `/proc` and `/sys` lie under `root`, for the embedded engine and a user who is
/// `as_root` or not.
pub fn machine(root: &Path, as_root: bool) -> Vec<Check> {
    vec![kernel(root), overlay(root), user_namespaces(root, as_root), cgroups(root, as_root)]
}

fn kernel(root: &Path) -> Check {
    let release = read(root, "proc/sys/kernel/osrelease").trim().to_owned();
    let (major, minor) = OLDEST_KERNEL;
    let needed = format!("Linux {major}.{minor} or newer");
    let state = match number(&release) {
        Some(there) if there >= OLDEST_KERNEL => State::Ok,
        Some(_) => State::Bad,
        None => return Check::new(State::NotChecked, "kernel", needed, "its release is not told"),
    };
    let check = Check::new(state, "kernel", needed, release);
    if state == State::Ok { check } else { check.to_do("a newer kernel, or `--engine docker`") }
}

/// The first two numbers of `5.10.0-28-amd64`.
fn number(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn overlay(root: &Path) -> Check {
    let known = read(root, "proc/filesystems");
    let is_there = known.lines().any(|line| line.split_whitespace().next_back() == Some("overlay"));
    match is_there {
        true => Check::new(State::Ok, "overlay", "the overlay file system", "there"),
        false => Check::new(State::Warn, "overlay", "the overlay file system", "not loaded")
            .to_do("`modprobe overlay` as root, if the first run does not load it"),
    }
}

fn user_namespaces(root: &Path, as_root: bool) -> Check {
    let check = |state, there: &str| {
        Check::new(state, "user namespaces", "a user namespace for an ordinary user", there)
    };
    match child::namespaces_forbidden(root) {
        _ if as_root => check(State::Ok, "not needed by root"),
        None => check(State::Ok, "nothing forbids them"),
        Some(needed) => check(State::Bad, "forbidden").to_do(format!("{needed}; or `sudo`")),
    }
}

fn cgroups(root: &Path, as_root: bool) -> Check {
    let check = |state, there: &str| {
        Check::new(state, "cgroups", "a memory controller, to measure jobs", there)
    };
    let unified = read(root, "sys/fs/cgroup/cgroup.controllers");
    let there = match unified.split_whitespace().any(|controller| controller == "memory") {
        true => "version 2",
        false if root.join("sys/fs/cgroup/memory").is_dir() => "version 1",
        false => return check(State::Warn, "none").to_do("memory will be `not measured`"),
    };
    match as_root {
        true => check(State::Ok, there),
        false => check(State::Warn, &format!("{there}, delegated to root"))
            .to_do("memory and processor time of jobs are `not measured` unless root runs them"),
    }
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(files: &[(&str, &str)], as_root: bool) -> Vec<(State, String)> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let line = |check: Check| (check.state, format!("{}: {}", check.there, check.to_do));
        machine(root.path(), as_root).into_iter().map(line).collect()
    }

    const GOOD: [(&str, &str); 3] = [
        ("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n"),
        ("proc/filesystems", "nodev\tproc\nnodev\toverlay\n\text4\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory io\n"),
    ];

    #[test]
    fn a_usual_machine_is_fine_for_root() {
        assert!(looked(&GOOD, true).iter().all(|(state, _)| *state == State::Ok));
    }

    #[test]
    fn an_ordinary_user_is_told_which_setting_forbids_namespaces() {
        let switch = [("proc/sys/user/max_user_namespaces", "0\n")];
        let lines = looked(&[&GOOD[..], &switch[..]].concat(), false);
        assert_eq!(lines[2].0, State::Bad);
        assert!(lines[2].1.contains("sysctl -w user.max_user_namespaces=16384"), "{}", lines[2].1);
        assert_eq!(lines[3].0, State::Warn, "a cgroup is not an ordinary user's");
        assert_eq!(looked(&GOOD, false)[2].0, State::Ok);
    }

    #[test]
    fn old_kernels_are_refused_and_silent_ones_are_not_judged() {
        let old = [("proc/sys/kernel/osrelease", "5.10.0-28-amd64\n")];
        let lines = looked(&old, true);
        let states: Vec<State> = lines.iter().map(|(state, _)| *state).collect();
        assert_eq!(states, [State::Bad, State::Warn, State::Ok, State::Warn]);
        assert_eq!(looked(&[], true)[0].0, State::NotChecked);
    }
}
