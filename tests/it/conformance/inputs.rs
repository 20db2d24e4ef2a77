//! Input that somebody gives a job: a pipe, or a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use repro::engine::embedded::Embedded;
use repro::engine::{Engine, Exit, Input, Stop};
use repro::recipe::Recipe;

use super::world::{World, find_docker};
use crate::lock_text::lock_of;
use crate::terminals::terminal;

/// The world's engine with an input.
fn with_input(world: &World, input: Input) -> Box<dyn Engine> {
    match world.engine.name() {
        "docker" => Box::new(find_docker().with_input(Some(input))),
        _ => {
            let engine = Embedded::new(env!("CARGO_BIN_EXE_repro").into());
            Box::new(engine.with_input(Some(input)))
        }
    }
}

/// Runs a script that reads `input`.
fn run(world: &World, input: Input, script: &str) -> (Exit, Vec<u8>) {
    let mut output = Vec::new();
    let mut take = |bytes: &[u8]| output.extend_from_slice(bytes);
    let engine = with_input(world, input);
    let job = world.job(script);
    let outcome = engine.run(&world.store, &world.image, &job, &mut take, &Stop::new()).unwrap();
    (outcome.exit, output)
}

fn piped(world: &World, bytes: Vec<u8>, script: &str) -> (Exit, Vec<u8>) {
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    // A job that does not read all of it closes the pipe.
    thread::spawn(move || drop(File::from(writing).write_all(&bytes)));
    run(world, Input::pipe(reading), script)
}

pub fn what_is_piped_in_comes_out_to_the_byte(world: &World) {
    let bytes: Vec<u8> = (0..900_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let (exit, output) = piped(world, bytes.clone(), "cat");
    assert_eq!(exit, Exit::Status(0));
    assert!(output == bytes, "{} bytes of {}", output.len(), bytes.len());
}

pub fn a_job_need_not_read_what_is_piped_in(world: &World) {
    let (exit, output) = piped(world, vec![b'x'; 900_000], "head -c 3; exit 4");
    assert_eq!((exit, output.as_slice()), (Exit::Status(4), &b"xxx"[..]));
    assert_eq!(piped(world, Vec::new(), "cat").1, b"");
}

pub fn a_terminal_of_its_own_has_a_size_and_takes_control_keys(world: &World) {
    let (mut ours, side) = terminal();
    let mut keys = ours.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while let Ok(count @ 1..) = ours.read(&mut buffer) {
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            if text.ends_with("ready\r\n") {
                keys.write_all(b"\x03").unwrap();
            }
        }
        text
    });
    let script = "trap 'echo caught; exit 3' INT; test -t 0 && test -t 1 && stty size && \
                  echo ready && while :; do sleep 0.05; done";
    let (exit, output) = run(world, Input::terminal(side.into()), script);
    let text = reader.join().unwrap();
    assert_eq!((exit, output.len()), (Exit::Status(3), 0), "{text}");
    assert!(text.starts_with("24 80\r\nready\r\n") && text.contains("caught"), "{text:?}");
}

/// A store with the image, as `repro exec` finds it.
fn sealed() -> (World, String) {
    let world = World::new(super::world::embedded());
    let recipes = crate::recipe_reading::folder(crate::recipe_reading::TRACKER);
    let recipe = Recipe::load(recipes.path(), "tracker-debian").unwrap();
    let mut lock = lock_of(&recipe);
    (lock.config.workdir, lock.config.writable) = ("/".to_owned(), Vec::new());
    let seal = world.image.seal;
    repro::build::register_source(&world.store, &lock, &seal, None, &world.folder).unwrap();
    (world, format!("probe@{}", seal.short()))
}

fn exec(world: &World, image: &str, script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_repro"));
    command.args(["exec", "--engine", "embedded", "--env", "PATH=/bin", image]);
    command.args(["--", "/bin/sh", "-c", script]);
    command.current_dir(&world.folder).env_clear().env("HOME", &world.folder);
    command.env("PATH", "/usr/bin:/bin").env("TERM", "vt100");
    command.env("REPRO_HOME", world.store.root());
    command
}

#[test]
#[ignore = "needs root, a static busybox and a C compiler; .ci/root-tests runs it"]
fn the_program_passes_on_what_is_piped_to_it() {
    let (world, image) = sealed();
    let bytes: Vec<u8> = (0..900_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let mut command = exec(&world, &image, "cat");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, sent) = (child.stdin.take().unwrap(), bytes.clone());
    thread::spawn(move || input.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == bytes, "{}", output.stdout.len());
    let status = exec(&world, &image, "exit 7").stdin(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
#[ignore = "needs root, a static busybox and a C compiler; .ci/root-tests runs it"]
fn the_program_joins_two_terminals_and_gives_its_own_back() {
    let (world, image) = sealed();
    let (mut ours, side) = terminal();
    let before = rustix::termios::tcgetattr(&side).unwrap().local_modes;
    let script = "trap 'echo caught; exit 3' INT; echo $TERM; stty size; read line; \
                  echo got $line; while :; do sleep 0.05; done";
    let mut command = exec(&world, &image, script);
    command.stdin(side.try_clone().unwrap()).stdout(side.try_clone().unwrap());
    command.stderr(side.try_clone().unwrap());
    // SAFETY: two calls of the kernel with numbers: the terminal becomes the program's own.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    drop(command);
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    let mut wait_for = |word: &str, keys: &[u8]| {
        while !text.contains(word) {
            let count = ours.read(&mut buffer).unwrap();
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        ours.write_all(keys).unwrap();
        text.clone()
    };
    let begun = wait_for("24 80\r\n", b"hello\r");
    assert!(begun.contains("vt100\r\n"), "{begun:?}");
    wait_for("got hello\r\n", b"\x03");
    wait_for("caught\r\n", b"");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(rustix::termios::tcgetattr(&side).unwrap().local_modes, before);
}
