//! Nothing of a container is left when `repro` is killed, and only missing layers travel.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use repro::engine::docker::{Docker, Sent};
use repro::engine::{Engine, Exit, Stop};

use super::killed::{begin_and_sleep, sleepers, wait_until};
use super::world::{World, docker, find_docker, second_image};

/// Tells the killed process's store to the test binary started again.
const STORE_VARIABLE: &str = "REPRO_TEST_STORE";
const SECONDS: u32 = 987_653;

/// Runs a job in the store that the environment names; the test below kills it.
#[test]
#[ignore = "needs a Docker daemon, a static busybox and a C compiler; .ci/run runs it"]
#[expect(clippy::disallowed_methods, reason = "a test tells itself in another process what to do")]
fn a_container_runs_in_a_store_given_by_the_environment() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os(STORE_VARIABLE).map(PathBuf::from);
    let (folder, script) = match &folder {
        Some(folder) => (folder.as_path(), begin_and_sleep(SECONDS)),
        None => (temporary.path(), "echo begun".to_owned()),
    };
    let world = World::at(folder, docker());
    let mut take = |bytes: &[u8]| println!("{}", String::from_utf8_lossy(bytes));
    let job = world.job(&script);
    let outcome = world.engine.run(&world.store, &world.image, &job, &mut take, &Stop::new());
    assert_eq!(outcome.unwrap().exit, Exit::Status(0));
}

#[test]
#[ignore = "needs a Docker daemon, a static busybox and a C compiler; .ci/run runs it"]
fn a_container_ends_with_repro_and_the_next_run_removes_it() {
    let temporary = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("conformance::killed_docker::a_container_runs_in_a_store_given_by_the_environment")
        .env(STORE_VARIABLE, temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(output.any(|line| line.ends_with("begun")));
    wait_until("the job sleeps", || sleepers(SECONDS).len() == 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the job ends with its owner", || sleepers(SECONDS).is_empty());
    let world = World::at(temporary.path(), docker());
    let found = find_docker();
    let prefix = found.containers(&world.store).unwrap();
    assert_eq!(prefix.len(), 1, "the daemon keeps what has ended");
    assert_eq!(world.run("true").outcome.exit, Exit::Status(0));
    assert_eq!(found.containers(&world.store).unwrap(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker daemon, a static busybox and a C compiler; .ci/run runs it"]
fn only_layers_that_the_daemon_lacks_travel() {
    let found: Docker = find_docker();
    let temporary = tempfile::tempdir().unwrap();
    let world = World::at(temporary.path(), docker());
    found.send(&world.store, &world.image).unwrap();
    assert_eq!(found.send(&world.store, &world.image).unwrap().sent, Sent::Nothing);
    let second = second_image(&world.store, &world.image, temporary.path());
    match found.send(&world.store, &second).unwrap().sent {
        Sent::Pulled(served) => {
            let sent = |layer: usize| served.get(&second.layers[layer].digest).copied();
            assert_eq!((sent(0), sent(1)), (None, None), "{served:?}");
            assert_eq!(sent(2), Some(second.layers[2].size), "{served:?}");
        }
        Sent::Archive => println!("SKIPPED: this daemon cannot pull from the loopback"),
        Sent::Nothing => panic!("the second image is new"),
    }
    assert_eq!(found.name(), "docker");
}
