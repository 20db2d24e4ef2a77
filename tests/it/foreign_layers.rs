//! What a job sees of layers that a registry's image brought, and of the machine's GPUs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use repro::digest::{DiffId, Digest};
use repro::engine::embedded::Embedded;
use repro::engine::{EngineError, Gpus, Job, Stop};
use repro::image::{Content, ImageLayer};
use repro::lock::Compression;
use repro::store::Store;

use super::conformance::world::{World, embedded};
use super::unpack::Stream;

fn layer(store: &Store, tar: Vec<u8>) -> ImageLayer {
    let digest = store.put(&tar).unwrap();
    ImageLayer {
        origin: "a base".to_owned(),
        diff_id: DiffId(Digest::of(&tar)),
        digest,
        size: tar.len() as u64,
        content: Content::Base(Compression::None),
    }
}

/// The probe's image with these layers over it.
fn world(streams: Vec<Stream>) -> World {
    let mut world = World::new(embedded());
    let layers: Vec<_> =
        streams.into_iter().map(|stream| layer(&world.store, stream.end())).collect();
    world.image.layers.extend(layers);
    world
}

fn below() -> Stream {
    Stream::new()
        .entry(b'5', "srv", 0o755, "", b"")
        .file("srv/gone", b"")
        .file("srv/opaque/old", b"")
        .file("srv/renewed/old", b"")
        .file("srv/folder/inner", b"")
        .file("srv/file", b"")
        .symlink("srv/link", "folder")
}

#[test]
#[ignore = "needs namespaces, a static busybox and a C compiler; .ci/run runs it"]
fn what_a_layer_deletes_is_gone() {
    let above = Stream::new()
        .entry(b'5', "srv", 0o755, "", b"")
        .file("srv/.wh.gone", b"")
        .file("srv/opaque/.wh..wh..opq", b"")
        .file("srv/opaque/new", b"")
        .file("srv/.wh.renewed", b"")
        .file("srv/renewed/new", b"")
        .file("srv/folder", b"a file now")
        .entry(b'5', "srv/file", 0o755, "", b"")
        .entry(b'5', "srv/link", 0o755, "", b"");
    let world = world(vec![below(), above]);
    let script = "cd /srv; ls -A; ls -A opaque renewed link file; cat folder; cat gone 2>&1";
    let run = world.run(&format!("{script}; true"));
    let text = run.good();
    let expected = "file\nfolder\nlink\nopaque\nrenewed\n\
        file:\n\nlink:\n\nopaque:\nnew\n\nrenewed:\nnew\n\
        a file nowcat: can't open 'gone': No such file or directory\n";
    assert_eq!(text, expected);
}

#[test]
#[ignore = "needs namespaces, a static busybox and a C compiler; .ci/run runs it"]
fn a_layer_that_means_different_images_is_refused() {
    let world = world(vec![below(), Stream::new().file("srv/link/inner", b"other")]);
    let Err(error) = world.try_run(&world.job("true"), &Stop::new()) else { panic!("it ran") };
    assert!(matches!(error, EngineError::Unpack { .. }), "{error}");
    assert!(error.to_string().contains("`srv/link`"), "{error}");
}

#[test]
#[ignore = "needs namespaces, a static busybox and a C compiler; .ci/run runs it"]
fn a_hundred_layers_are_stacked() {
    let file = |number: u32| Stream::new().file(&format!("many/{number}"), b"");
    let world = world((0..100).map(file).collect());
    assert_eq!(world.run("ls /many | wc -l").good(), "100\n");
}

/// A description of harmless devices, whose program leaves a mark in the job's root.
fn describe(folder: &Path) {
    let hook = folder.join("hook");
    let script = "#!/bin/sh\nbundle=$(sed 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/')\n\
        mkdir -p $bundle/root/opt && echo $1 > $bundle/root/opt/mark\n";
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    let library = folder.join("library");
    fs::write(&library, "of the driver\n").unwrap();
    let text = format!(
        "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ncontainerEdits:\n  env:\n  - GREETING=driver\n  \
        hooks:\n  - hookName: createContainer\n    path: {}\n    args: [hook, marked]\n  mounts:\n  \
        - hostPath: {}\n    containerPath: /usr/lib/libharmless.so.1\n    options: [ro, bind]\n\
        devices:\n- name: all\n  containerEdits:\n    deviceNodes:\n    - path: /dev/cards/harmless0\n      \
        hostPath: /dev/zero\n",
        hook.display(),
        library.display()
    );
    fs::create_dir(folder.join("cdi")).unwrap();
    fs::write(folder.join("cdi/nvidia.yaml"), text).unwrap();
}

#[test]
#[ignore = "needs namespaces, a static busybox and a C compiler; .ci/run runs it"]
fn a_job_with_gpus_gets_what_the_machine_describes_and_no_other_job_does() {
    let mut world = World::new(embedded());
    describe(&world.folder);
    let engine = Embedded::new(env!("CARGO_BIN_EXE_repro").into());
    world.engine = Box::new(engine.with_cdi_folders(vec![world.folder.join("cdi")]));
    let script = "head -c 3 /dev/cards/harmless0 | wc -c; cat /usr/lib/libharmless.so.1 /opt/mark; \
        echo $GREETING; touch /dev/cards/harmless0 2>&1; (echo x > /usr/lib/libharmless.so.1) 2>&1; \
        head -c 2 /dev/zero | wc -c; true";
    let text = world.run_job(&Job { gpus: Gpus::All, ..world.job(script) }).good();
    assert!(text.starts_with("3\nof the driver\nmarked\ndriver\n"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 2, "{text}");
    let text = world.run("ls /dev/cards /usr/lib /opt 2>&1; echo $GREETING").good();
    assert!(!text.contains("harmless") && !text.contains("mark"), "{text}");
    assert!(text.ends_with("two words\n"), "{text}");
}

/// Lists a tree: type, mode, owner, size of files, target of links, path; and every file's digest.
const LIST: &str = "cd /; find . -xdev -mindepth 1 \\( -path ./proc -o -path ./sys -o -path ./dev \\) -prune \
    -o -printf '%y %m %U %G %l %p\\n' 2>/dev/null; \
    find . -xdev -type f -exec sha256sum {} + 2>/dev/null; true";

/// `.ci/foreign-layers` saves an image of Docker's, and compares what this test writes with
/// what Docker exports.
#[test]
#[ignore = "needs an image saved by Docker; .ci/foreign-layers runs it"]
#[expect(clippy::disallowed_methods, reason = "the script tells the test where the image is")]
fn an_image_of_docker_is_listed() {
    let Some(folder) = std::env::var_os("REPRO_TEST_SAVED").map(PathBuf::from) else {
        panic!("REPRO_TEST_SAVED names no folder")
    };
    let mut world = World::new(embedded());
    world.image.layers.clear();
    for path in fs::read_to_string(folder.join("layers")).unwrap().lines() {
        let stream = fs::read(folder.join(path)).unwrap();
        world.image.layers.push(layer(&world.store, stream));
    }
    let mut job = world.job(LIST);
    (job.workdir, job.writable) = ("/".to_owned(), Vec::new());
    job.env.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    fs::write(folder.join("seen"), world.run_job(&job).good()).unwrap();
}
