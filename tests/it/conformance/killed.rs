//! Nothing of a job is left when `repro` is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use repro::digest::Digest;
use repro::engine::embedded::sweep;
use repro::engine::{Exit, Stop};
use repro::store::{Store, is_root};

use super::world::{World, embedded};

/// Tells the killed process's store to the test binary started again.
const STORE_VARIABLE: &str = "REPRO_TEST_STORE";
const SECONDS: u32 = 987_654;

/// A job that says so and then sleeps for a time that only one test uses, by which its process is found.
pub fn begin_and_sleep(seconds: u32) -> String {
    format!("echo begun; sleep {seconds}")
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "still waiting: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a job in the store that the environment names; the test below kills it.
#[test]
#[ignore = "needs root, a static busybox and a C compiler; .ci/run runs it"]
#[expect(clippy::disallowed_methods, reason = "a test tells itself in another process what to do")]
fn a_job_runs_in_a_store_given_by_the_environment() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os(STORE_VARIABLE).map(PathBuf::from);
    let (folder, script) = match &folder {
        Some(folder) => (folder.as_path(), begin_and_sleep(SECONDS)),
        None => (temporary.path(), "echo begun".to_owned()),
    };
    let world = World::at(folder, embedded());
    let job = world.job(&script);
    let mut seen = 0;
    let mut take = |bytes: &[u8]| {
        seen += bytes.len();
        println!("{}", String::from_utf8_lossy(bytes));
    };
    let outcome = world.engine.run(&world.store, &world.image, &job, &mut take, &Stop::new());
    assert_eq!((outcome.unwrap().exit, seen), (Exit::Status(0), "begun\n".len()));
}

#[test]
#[ignore = "needs root, a static busybox and a C compiler; .ci/run runs it"]
fn nothing_is_left_when_repro_is_killed() {
    let temporary = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("conformance::killed::a_job_runs_in_a_store_given_by_the_environment")
        .env(STORE_VARIABLE, temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open to the end: the victim must die of the kill and of nothing else.
    let mut output = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(output.any(|line| line.ends_with("begun")));
    // Said before the shell becomes two processes.
    wait_until("the job sleeps", || sleepers(SECONDS).len() == 1);
    assert!(!cgroups(temporary.path()).is_empty() || !cgroups_are_usable());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the job ends with its owner", || sleepers(SECONDS).is_empty());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&temporary.path().display().to_string()), "{mounts}");
    // The next command.
    let store = Store::open(&temporary.path().join("store")).unwrap();
    sweep(&store);
    assert_eq!(cgroups(temporary.path()), Vec::<PathBuf>::new());
    assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
}

/// Processes of the machine that sleep for so many seconds.
pub fn sleepers(seconds: u32) -> Vec<PathBuf> {
    let command = format!("sleep\0{seconds}\0");
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let sleeps =
        |path: &PathBuf| fs::read(path.join("cmdline")).is_ok_and(|it| it == command.as_bytes());
    processes.filter(sleeps).collect()
}

fn cgroups_are_usable() -> bool {
    is_root() && fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - cgroup")
}

/// Folders of cgroups that belong to the store in `folder`.
fn cgroups(folder: &Path) -> Vec<PathBuf> {
    let root = fs::canonicalize(folder.join("store")).unwrap();
    let prefix = format!("repro-{}.", Digest::of(root.as_os_str().as_encoded_bytes()).short());
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            if path.file_name().unwrap().to_string_lossy().starts_with(&prefix) {
                found.push(path);
            } else {
                open.push(path);
            }
        }
    }
    found
}
