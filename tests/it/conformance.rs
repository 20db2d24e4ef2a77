//! Every line of what a sealed run is, held against an engine by probes that run inside.
//!
//! The image is made here: a static busybox as Debian has it, a probe compiled from
//! `tests/probe.c`, and a second layer over it.

mod inputs;
mod killed;
mod killed_docker;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use repro::conditions::{FlagKind, Folders, Sampler, View, Watched};
use repro::engine::{
    EngineError, Exit, Failure, HOST_NAME, Job, Keep, KeptFile, Meter, Mount, Stop,
};
use repro::store::is_root;

use inputs::{
    a_job_need_not_read_what_is_piped_in, a_terminal_of_its_own_has_a_size_and_takes_control_keys,
    what_is_piped_in_comes_out_to_the_byte,
};
use world::{SHM_SIZE, World, docker, embedded};

/// The value of a line `key:<white space>value`.
fn field<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no `{key}` in:\n{text}")).trim()
}

fn the_layers_are_stacked_in_order(world: &World) {
    assert_eq!(world.run("cat /lower/kept /lower/replaced").good(), "lower\nupper\n");
}

fn the_only_network_is_a_loopback_that_is_up(world: &World) {
    // The listener speaks: a client ends with its input's end, whether it was read in time or not.
    let script = "ls /sys/class/net; ip route; nc -l -p 7000 -e echo hello & \
        for try in $(seq 100); do nc 127.0.0.1 7000 < /dev/null && break; sleep 0.1; done; \
        wait; nc -w 1 192.0.2.1 80 && echo reached";
    let text = world.run(&format!("({script}) 2>/tmp/errors; cat /tmp/errors >&2; true")).good();
    assert!(text.starts_with("lo\nhello\n"), "{text}");
    assert!(text.contains("unreachable") && !text.contains("reached"), "{text}");
}

fn the_host_has_a_fixed_name_that_resolves(world: &World) {
    let script = "hostname; cat /etc/hosts; ping -c 1 $(hostname) >/dev/null; cat /etc/hostname; \
                  wc -c < /etc/resolv.conf; nc -w 1 $(hostname) 9 2>&1; true";
    let text = world.run(script).good();
    assert!(text.starts_with(&format!("{HOST_NAME}\n127.0.0.1\tlocalhost\n")), "{text}");
    assert!(text.contains(&format!("127.0.0.1\t{HOST_NAME}\n")), "{text}");
    assert!(!text.contains("203.0.113.1"), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

fn shared_memory_has_the_size_of_the_job(world: &World) {
    let text =
        world.run("df -k /dev/shm | tail -1; stat -c %a /dev/shm; echo x > /dev/shm/x").good();
    let size = (SHM_SIZE >> 10).to_string();
    assert!(text.split_whitespace().nth(1) == Some(&size), "{text}");
    assert!(text.ends_with("\n1777\n"), "{text}");
    let more = "dd if=/dev/zero of=/dev/shm/x bs=1M count=64 2>&1";
    assert_eq!(world.run(more).outcome.exit, Exit::Status(1));
}

fn the_root_is_read_only(world: &World) {
    let places = "/probe /bin/probe /etc/hosts /etc/probe /lower/kept /root/probe /dev/probe \
                  /dev/null /proc/sys/kernel/hostname /sys/probe";
    let script = format!("touch {places}; rm /lower/kept; mkdir /new; mount -o remount,rw /");
    let run = world.run(&format!("({script}) 2>&1"));
    let text = run.text();
    let refused = text.matches("Read-only file system").count();
    assert_eq!(refused, places.split_whitespace().count() + 2, "{text}");
    assert_ne!(run.outcome.exit, Exit::Status(0), "{text}");
    assert_eq!(world.run("cat /lower/kept").good(), "lower\n");
}

fn writable_folders_begin_as_in_the_image_and_are_forgotten(world: &World) {
    let script = "cat /space/prefilled && echo changed > /space/prefilled && mkdir -p /space/a/b \
        && echo x > /tmp/x && stat -c %a /tmp && df /space | tail -1 | cut -c 1-5";
    for _ in 0..2 {
        let text = world.run(script).good();
        let place = text.strip_prefix("from the image\n1777\n");
        assert!(place.is_some_and(|place| place != "tmpfs\n"), "{text}");
    }
    let session = world.store.root().join("tmp").join(world.store.session().unwrap());
    let names = fs::read_dir(session).unwrap().map(|entry| entry.unwrap().file_name());
    let jobs: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("job")).collect();
    assert!(jobs.is_empty(), "left: {jobs:?}");
}

fn a_writable_folder_is_made_where_the_image_has_none(world: &World) {
    let mut job = world.job("echo x > /new/place/x && cat /new/place/x");
    job.writable.push("/new/place".to_owned());
    assert_eq!(world.run_job(&job).good(), "x\n");
}

fn there_are_no_capabilities_and_no_new_privileges(world: &World) {
    let text = world.run("cat /proc/self/status").good();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(&text, set), "0000000000000000", "{set}");
    }
    assert_eq!(field(&text, "NoNewPrivs"), "1");
    assert_eq!(field(&text, "Seccomp"), "2");
    assert_eq!(field(&text, "Umask"), "0022");
    assert_eq!(field(&text, "Uid"), "0\t0\t0\t0");
    assert_eq!(field(&text, "Gid"), "0\t0\t0\t0");
    // Docker repeats the user's own group. An ordinary user cannot leave a group; the job sees its
    // user's as root's or nobody's.
    let groups: BTreeSet<_> = field(&text, "Groups").split_whitespace().collect();
    let known = if is_root() { BTreeSet::from(["0"]) } else { BTreeSet::from(["0", "65534"]) };
    assert!(groups.is_subset(&known), "{text}");
}

fn the_filter_refuses_what_needs_no_capability(world: &World) {
    let text = world.run("probe").good();
    for line in text.lines() {
        let (call, answer) = line.split_once(' ').unwrap();
        let expected = match call {
            "clone" | "socket-inet" => "works",
            "clone3" | "x32-getpid" => "ENOSYS",
            _ => "EPERM",
        };
        assert_eq!(answer, expected, "{call}");
    }
    assert!(text.lines().count() >= 16, "{text}");
}

fn data_is_read_only_and_outputs_are_writable(world: &World) {
    let data = world.folder.join("data");
    let inner = data.join("inner");
    let out = world.folder.join("out");
    fs::create_dir_all(&inner).unwrap();
    fs::create_dir_all(&out).unwrap();
    fs::write(data.join("file"), "pinned\n").unwrap();
    let single = world.folder.join("single");
    fs::write(&single, "one file\n").unwrap();
    let mount = |source: &Path, target: &str, writable| Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        writable,
    };
    let script = "cat /data/set/file /etc/single; (echo x > /data/set/file) 2>&1; \
        (echo x > /data/set/inner/x) 2>&1; (echo x > /etc/single) 2>&1; rm /data/set/file 2>&1; \
        echo made > /out/file";
    let job = Job {
        mounts: vec![
            mount(&data, "/data/set", false),
            mount(&single, "/etc/single", false),
            mount(&out, "/out", true),
        ],
        ..world.job(script)
    };
    let text = world.run_job(&job).good();
    assert!(text.starts_with("pinned\none file\n"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 4, "{text}");
    assert_eq!(fs::read_to_string(data.join("file")).unwrap(), "pinned\n");
    assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "made\n");
}

/// A record says in which order data are listed, and reads it on this side.
fn a_mounted_folder_is_listed_in_this_machines_order(world: &World) {
    let data = world.folder.join("listed");
    fs::create_dir_all(&data).unwrap();
    for number in 0..300_u32 {
        fs::write(data.join(format!("img_{}.jpg", number.wrapping_mul(7919) % 1000)), "").unwrap();
    }
    let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
    let here: Vec<_> = names.map(|name| format!("./{}", name.into_string().unwrap())).collect();
    let mount = Mount { source: data, target: "/data/set".to_owned(), writable: false };
    let job = Job { mounts: vec![mount], ..world.job("cd /data/set && find . -type f") };
    let text = world.run_job(&job).good();
    assert_eq!(text.lines().collect::<Vec<_>>(), here);
}

fn the_environment_is_exactly_the_jobs(world: &World) {
    let job = Job { command: vec!["env".to_owned()], ..world.job("") };
    let text = world.run_job(&job).good();
    assert_eq!(text, "GREETING=two words\nHOME=/root\nPATH=/bin\n");
    let env = BTreeMap::new();
    let job = Job { command: vec!["/bin/env".to_owned()], env, ..job };
    assert_eq!(world.run_job(&job).good(), "");
}

fn nothing_of_this_process_is_inherited(world: &World) {
    let file = File::open("/dev/null").unwrap();
    // Without close-on-exec, as a careless parent leaves files open.
    let inherited: OwnedFd = rustix::io::dup(&file).unwrap();
    assert!(inherited.as_raw_fd() > 2);
    let text = world.run("exec ls -l /proc/self/fd 2>/dev/null").good();
    let links = text.lines().filter_map(|line| Some(line.split_once(" -> ")?.1));
    let links: Vec<_> = links.collect();
    assert_eq!(links.len(), 3, "{text}");
    assert!(links[0] == "/dev/null" && links[1].starts_with("pipe:"), "{text}");
    let script = "for link in exe root cwd fd/0 fd/3; do readlink /proc/1/$link || echo hidden; \
                  done; cat /proc/1/environ; pwd; tr '\\0' ' ' < /proc/1/cmdline";
    let text = world.run(&format!("({script}) 2>&1")).good();
    assert!(text.starts_with(&"hidden\n".repeat(5)), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
    let command = text.rsplit_once("/space\n").unwrap().1;
    assert!(
        command.contains("repro __") && !command.contains(env!("CARGO_MANIFEST_DIR")),
        "{text}"
    );
}

fn no_process_of_the_machine_is_visible(world: &World) {
    let text = world.run("ls -d /proc/[0-9]*; echo $$").good();
    let pids: Vec<_> = text.lines().collect();
    assert!(pids.len() <= 4, "{text}");
    // Docker's own start takes numbers before the job does.
    assert!(pids.last().unwrap().parse::<u32>().unwrap() < 20, "{text}");
}

fn limits_are_the_same_everywhere(world: &World) {
    let text = world.run("ulimit -c; ulimit -n; ulimit -s; cat /proc/self/oom_score_adj");
    assert_eq!(text.good(), "0\n16384\n8192\n500\n");
}

fn the_usual_devices_are_there(world: &World) {
    let script = "head -c 3 /dev/zero | wc -c; echo x > /dev/null; test -r /dev/urandom; \
        ls /dev | grep -v -x -e core -e mqueue | tr '\\n' ' '; ls -l /dev/fd | grep -o '/proc.*'; test -c /dev/pts/ptmx; mknod /space/n c 1 3 2>&1; true";
    let text = world.run(script).good();
    assert!(text.starts_with("3\n"), "{text}");
    let devices = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ";
    assert!(
        text.contains(devices)
            && text.contains("/proc/self/fd")
            && text.contains("Operation not permitted"),
        "{text}"
    );
}

fn an_exit_status_comes_back(world: &World) {
    assert_eq!(world.run("exit 7").outcome.exit, Exit::Status(7));
    assert_eq!(world.run("true").outcome.exit, Exit::Status(0));
}

fn a_signal_that_ends_the_job_comes_back(world: &World) {
    for signal in [libc::SIGKILL, libc::SIGSEGV, libc::SIGABRT, libc::SIGTERM] {
        let command = ["probe".to_owned(), "signal".to_owned(), signal.to_string()];
        let job = Job { command: command.into(), ..world.job("") };
        assert_eq!(world.run_job(&job).outcome.exit, Exit::Signal(signal));
    }
}

fn both_streams_come_as_one_in_order(world: &World) {
    let text = world.run("for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done").good();
    let expected: String = (1..=5).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert_eq!(text, expected);
}

fn any_byte_comes_through(world: &World) {
    let run = world.run("printf '\\377\\376\\000\\033[31m\\r\\n{\"Ended\":1}'");
    assert_eq!(run.output, b"\xff\xfe\x00\x1b[31m\r\n{\"Ended\":1}");
    let many = world.run("head -c 3000000 /dev/zero");
    assert_eq!(many.output.len(), 3_000_000);
}

fn input_is_empty(world: &World) {
    assert_eq!(world.run("cat | wc -c").good(), "0\n");
}

fn a_job_that_takes_too_long_is_asked_to_end(world: &World) {
    let script = "trap 'echo asked; exit 3' TERM; echo begun; while true; do sleep 0.05; done";
    let job = Job { timeout: Duration::from_secs(1), ..world.job(script) };
    let run = world.run_job(&job);
    assert_eq!(run.outcome.exit, Exit::TimedOut);
    let text = run.text();
    assert!(text.starts_with("begun\n") && text.ends_with("asked\n"), "{text}");
}

fn a_job_that_will_not_end_is_killed(world: &World) {
    let script = "trap '' TERM; sleep 1000 & echo begun; while true; do sleep 0.05; done";
    let job = Job { timeout: Duration::from_millis(500), ..world.job(script) };
    assert_eq!(world.run_job(&job).outcome.exit, Exit::TimedOut);
}

fn a_stop_ends_the_job(world: &World) {
    let stop = Stop::new();
    let job = world.job("echo begun; sleep 1000");
    let mut take = |_: &[u8]| stop.request();
    let outcome = world.engine.run(&world.store, &world.image, &job, &mut take, &stop).unwrap();
    assert_eq!(outcome.exit, Exit::Stopped);
    // Asked before it begins, nothing runs at all.
    let run = world.try_run(&world.job("echo begun"), &stop).unwrap();
    assert_eq!((run.outcome.exit, run.output.len()), (Exit::Stopped, 0));
}

fn what_the_job_left_running_ends_with_it(world: &World) {
    let run = world.run("(trap '' TERM HUP; sleep 1000) & echo done");
    assert_eq!(run.good(), "done\n");
}

fn a_program_that_is_missing_is_an_error_that_says_where_it_was_looked_for(world: &World) {
    let job = Job { command: vec!["python9".to_owned()], ..world.job("") };
    let Err(error) = world.try_run(&job, &Stop::new()) else { panic!("it ran") };
    assert!(matches!(&error, EngineError::Failed(Failure::Command { .. })), "{error}");
    assert_eq!(error.to_string(), "cannot run `python9` in the image: not found at /bin/python9");
}

fn a_script_without_its_interpreter_is_an_error_that_says_so(world: &World) {
    let script = world.folder.join("script");
    fs::write(&script, "#!/usr/bin/python9\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let mount = Mount { source: script, target: "/opt/script".to_owned(), writable: false };
    let command = vec!["/opt/script".to_owned()];
    let job = Job { command, mounts: vec![mount], ..world.job("") };
    let Err(error) = world.try_run(&job, &Stop::new()) else { panic!("it ran") };
    assert!(error.to_string().contains("interpreter of `/opt/script` is missing"), "{error}");
}

fn a_mount_that_is_missing_is_an_error(world: &World) {
    let source = world.folder.join("nowhere");
    let mount = Mount { source, target: "/data".to_owned(), writable: false };
    let Err(error) = world.try_run(&Job { mounts: vec![mount], ..world.job("") }, &Stop::new())
    else {
        panic!("it ran")
    };
    assert!(matches!(&error, EngineError::Mount { target, .. } if target == "/data"), "{error}");
}

fn what_was_used_is_measured_or_missing(world: &World) {
    let run = world.run(
        "head -c 33554432 /dev/zero > /dev/shm/x; i=0; \
                         while [ $i -lt 100000 ]; do i=$((i+1)); done",
    );
    let outcome = &run.outcome;
    assert_eq!(outcome.exit, Exit::Status(0), "{}", run.text());
    assert!(outcome.duration > Duration::ZERO);
    if let Some(bytes) = outcome.peak_memory {
        assert!((32 << 20..1 << 30).contains(&bytes), "{bytes}");
    }
    if let Some(time) = outcome.cpu_time {
        assert!(time > Duration::ZERO && time < Duration::from_secs(60), "{time:?}");
    }
    println!("peak {:?}, time {:?}", outcome.peak_memory, outcome.cpu_time);
}

fn memory_of_a_job_leaves_out_the_page_cache_of_files_it_reads(world: &World) {
    // Holes take no space of a disk, and as much page cache as anything else.
    let source = world.folder.join("large");
    File::create(&source).unwrap().set_len(300_000_000).unwrap();
    let mount = Mount { source, target: "/data/large".to_owned(), writable: false };
    let job = world.job("cat /data/large > /dev/null && exec probe memory 200000000");
    let run = world.run_job(&Job { mounts: vec![mount], ..job });
    assert_eq!(run.outcome.exit, Exit::Status(0), "{}", run.text());
    let (with_cache, own) = (run.outcome.peak_memory, run.outcome.peak_job_memory);
    println!("with page cache {with_cache:?}, the job's own {own:?}");
    // Whoever counts the one counts the other.
    assert_eq!(own.is_some(), with_cache.is_some());
    if let (Some(own), Some(with_cache)) = (own, with_cache) {
        assert!((200_000_000..280_000_000).contains(&own), "{own}");
        assert!(with_cache > own, "{with_cache} with page cache, {own} without");
    }
}

fn what_a_running_job_has_used_is_told_meanwhile(world: &World) {
    let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let job = world.job(&format!("echo begun; sh -c '{spin}'; {spin}; echo ended; sleep 0.2"));
    let (meter, mut told) = (Meter::new(), Vec::new());
    let mut take = |_: &[u8]| told.push((meter.used().unwrap(), meter.processes().unwrap().len()));
    let (store, stop) = (&world.store, Stop::new());
    let run = world.engine.run_metered(store, &world.image, &job, &mut take, &stop, &meter);
    let outcome = run.unwrap();
    assert_eq!(outcome.exit, Exit::Status(0));
    let ((first, processes), (last, _)) = (told[0], told[told.len() - 1]);
    assert!(first < last && processes > 0, "{told:?}");
    // A child that was waited for is counted as well.
    let all = outcome.cpu_time.unwrap_or(last);
    assert!(last <= all && last.as_secs_f64() > 0.7 * all.as_secs_f64(), "{told:?} of {all:?}");
    assert_eq!(meter.started(), None, "it knows that the job has ended");
    println!("{told:?} of {all:?}");
}

/// What a sampler saw beside a job that works for some seconds.
fn watched(world: &World) -> Watched {
    let folder = world.folder.clone();
    let folders = Folders { results: folder.clone(), store: folder, data: Vec::new() };
    let view = View { root: "/".into(), folders, cards: Vec::new() };
    let meter = Meter::new();
    let sampler = Sampler::start(view, &meter);
    let spin = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done";
    let job = world.job(&format!("for n in 1 2 3 4 5 6; do {spin}; sleep 0.4; done"));
    let (store, stop) = (&world.store, Stop::new());
    let run = world.engine.run_metered(store, &world.image, &job, &mut |_| {}, &stop, &meter);
    assert_eq!(run.unwrap().exit, Exit::Status(0));
    sampler.finish().unwrap()
}

/// Processes that do nothing but work, until this is dropped.
struct Others(Vec<Child>);

impl Others {
    fn busy(count: usize) -> Self {
        let work = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        Self((0..count).map(|_| work()).collect())
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for other in &mut self.0 {
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}

fn others_that_work_beside_a_job_are_told_from_it(world: &World) {
    // How quiet this machine is without them is not ours to say.
    let quiet = watched(world);
    println!("left alone: {:?} {:?}", quiet.record.summary["cpu_others"], quiet.record.flags);
    let processors = thread::available_parallelism().unwrap().get();
    let others = Others::busy(processors);
    let disturbed = watched(world);
    drop(others);
    let (record, csv) = (&disturbed.record, String::from_utf8_lossy(&disturbed.csv));
    println!("beside {processors} others: {record:#?}\n{csv}");
    let flag = record.flags.iter().find(|flag| flag.text.starts_with("others used "));
    assert_eq!(flag.map(|flag| flag.kind), Some(FlagKind::Disturbed), "{csv}");
}

fn memory_can_be_limited_or_the_job_is_refused(world: &World) {
    let script = "head -c 100000000 /dev/zero | tail -c 90000000 | wc -c";
    let job = Job { memory: Some(40 << 20), ..world.job(script) };
    match world.try_run(&job, &Stop::new()) {
        Ok(run) => assert_ne!(run.text(), "90000000\n"),
        Err(error) => assert!(matches!(error, EngineError::Memory { .. }), "{error}"),
    }
}

fn two_jobs_run_at_once(world: &World) {
    thread::scope(|scope| {
        let run =
            |name: &'static str| world.run(&format!("echo {name} > /tmp/x; sleep 0.3; cat /tmp/x"));
        let one = scope.spawn(move || run("one").good());
        let two = scope.spawn(move || run("two").good());
        assert_eq!(
            (one.join().unwrap().as_str(), two.join().unwrap().as_str()),
            ("one\n", "two\n")
        );
    });
}

fn what_a_job_left_is_kept_and_nothing_else(world: &World) {
    let script = "mkdir /space/run && cd /space/run && echo ten > iter_10 && ln iter_10 second \
        && ln -s iter_10 latest && ln -s /etc/hosts out && ln -s ../../etc/hosts far \
        && ln -s /space/prefilled image && ln -s /space/run/latest whole && mkfifo pipe && echo changed > /space/changed";
    let keep = |name: &str, pattern: &str| Keep {
        pattern: pattern.to_owned(),
        folder: world.folder.join(name),
    };
    let keep = ["/space/*/latest", "/space/run", "/space/*", "/space/prefilled", "/tmp/none*"]
        .iter()
        .enumerate()
        .map(|(index, pattern)| keep(&format!("kept-{index}"), pattern))
        .collect();
    let kept = world.run_job(&Job { keep, ..world.job(script) }).outcome.kept;
    let files = |index: usize| -> Vec<(String, String)> {
        let folder = world.folder.join(format!("kept-{index}"));
        let text = |file: &KeptFile| fs::read_to_string(folder.join(&file.copy)).unwrap();
        kept[index].files.iter().map(|file| (file.path.clone(), text(file))).collect()
    };
    let file = |path: &str, text: &str| (path.to_owned(), format!("{text}\n"));
    assert_eq!(files(0), [file("/space/run/latest", "ten")]);
    let run =
        ["iter_10", "latest", "second", "whole"].map(|it| file(&format!("/space/run/{it}"), "ten"));
    assert_eq!(files(1), run);
    assert_eq!(kept[1].files[0].digest, repro::digest::Digest::of(b"ten\n"));
    let problems = &kept[1].problems;
    let refused: Vec<_> = problems.iter().filter_map(|it| it.split_once("`: ")).collect();
    let names: Vec<_> = refused.iter().map(|(path, _)| *path).collect();
    assert_eq!(names, ["`/space/run/far", "`/space/run/image", "`/space/run/out"], "{refused:?}");
    assert!(refused.iter().all(|(_, why)| why.contains("leads ")), "{refused:?}");
    assert_eq!(files(2)[0], file("/space/changed", "changed"));
    assert_eq!(files(2).len(), 5, "what the image has there was not made by the job");
    assert!(files(3).is_empty() && files(4).is_empty());
}

/// Every behaviour once for each engine. `core` and `mqueue` are devices that Docker adds.
macro_rules! conformance {
    ($($behaviour:ident,)+) => {
        conformance! { embedded "needs root, a static busybox and a C compiler; .ci/run runs it": $($behaviour,)+ }
        conformance! { docker "needs a Docker daemon, a static busybox and a C compiler; .ci/run runs it": $($behaviour,)+ }
    };
    ($engine:ident $needs:literal: $($behaviour:ident,)+) => {
        mod $engine {
            $(
                #[test]
                #[ignore = $needs]
                fn $behaviour() {
                    super::$behaviour(&super::World::new(super::$engine()));
                }
            )+
        }
    };
}

conformance! {
    the_layers_are_stacked_in_order,
    the_only_network_is_a_loopback_that_is_up,
    the_host_has_a_fixed_name_that_resolves,
    shared_memory_has_the_size_of_the_job,
    the_root_is_read_only,
    writable_folders_begin_as_in_the_image_and_are_forgotten,
    a_writable_folder_is_made_where_the_image_has_none,
    there_are_no_capabilities_and_no_new_privileges,
    the_filter_refuses_what_needs_no_capability,
    data_is_read_only_and_outputs_are_writable,
    a_mounted_folder_is_listed_in_this_machines_order,
    the_environment_is_exactly_the_jobs,
    nothing_of_this_process_is_inherited,
    no_process_of_the_machine_is_visible,
    limits_are_the_same_everywhere,
    the_usual_devices_are_there,
    an_exit_status_comes_back,
    a_signal_that_ends_the_job_comes_back,
    both_streams_come_as_one_in_order,
    any_byte_comes_through,
    input_is_empty,
    what_is_piped_in_comes_out_to_the_byte,
    a_job_need_not_read_what_is_piped_in,
    a_terminal_of_its_own_has_a_size_and_takes_control_keys,
    a_job_that_takes_too_long_is_asked_to_end,
    a_job_that_will_not_end_is_killed,
    a_stop_ends_the_job,
    what_the_job_left_running_ends_with_it,
    a_program_that_is_missing_is_an_error_that_says_where_it_was_looked_for,
    a_script_without_its_interpreter_is_an_error_that_says_so,
    a_mount_that_is_missing_is_an_error,
    what_was_used_is_measured_or_missing,
    memory_of_a_job_leaves_out_the_page_cache_of_files_it_reads,
    what_a_running_job_has_used_is_told_meanwhile,
    others_that_work_beside_a_job_are_told_from_it,
    memory_can_be_limited_or_the_job_is_refused,
    two_jobs_run_at_once,
    what_a_job_left_is_kept_and_nothing_else,
}
