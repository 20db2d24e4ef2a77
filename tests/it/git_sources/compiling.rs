//! What is compiled from a git tree, and where the tree and the compiled files lie in an image.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use repro::build::{BuildError, Builder, rebuild};
use repro::digest::Digest;
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Job, Stop};
use repro::fetch::Quiet;
use repro::image::ImageLayer;
use repro::layer::EntryInfo;
use repro::lock::{BuildSource, Lock, LockedBuild, LockedFile};

use super::repositories::Repositories;
use super::{World, lock_of};

pub(super) const OBJECT: &str = "/net/data/op.so";

/// A lock with the tree at `/net`, a file compiled into it, and a local file over it.
pub(super) fn lock(world: &World, repositories: &Repositories) -> Lock {
    world.instead_of(&repositories.base(), "https://hub.test/");
    let git = world.lock(&["https://hub.test/net.git"], repositories.main).unwrap();
    fs::write(world.folder.path().join("one.txt"), "mine\n").unwrap();
    Lock {
        builds: vec![LockedBuild {
            name: "op".to_owned(),
            version: "1".to_owned(),
            source: BuildSource::Git("net".to_owned()),
            packages: Vec::new(),
            wheels: Vec::new(),
            env: [("CFLAGS".to_owned(), "-O2".to_owned())].into(),
            command: vec!["make".to_owned()],
            repeatable: true,
            local: Vec::new(),
            profile: None,
            outputs: [(OBJECT.to_owned(), "data/op.so".to_owned())].into(),
            output: None,
            files: Vec::new(),
        }],
        local_files: vec![LockedFile {
            path: "/net/data/one.txt".to_owned(),
            source: "one.txt".to_owned(),
            executable: false,
            size: 5,
            sha256: Digest::of(b"mine\n"),
        }],
        files: [("/etc/motd".to_owned(), "hello\n".to_owned())].into(),
        ..lock_of(vec![git])
    }
}

/// The folder of this machine that a job sees at `target`.
pub(super) fn seen<'a>(job: &'a Job, target: &str) -> &'a Path {
    &job.mounts.iter().find(|mount| mount.target == target).unwrap().source
}

/// Compiles by joining what it is given, so that every difference of the source shows.
pub(super) fn compile(job: &Job, salt: &str) -> Answer {
    let source = seen(job, "/src");
    let script = fs::read_to_string(source.join("train.sh")).unwrap();
    let op = fs::read_to_string(source.join("ops/op.c")).unwrap();
    let mode = fs::metadata(source.join("train.sh")).unwrap().permissions().mode();
    let time = fs::metadata(source.join("ops/op.c")).unwrap().modified().unwrap();
    let text = format!("{script}{op}{mode:o} {time:?} {}{salt}", job.env["CFLAGS"]);
    let object = source.join("data/op.so");
    fs::write(&object, text).unwrap();
    fs::set_permissions(&object, fs::Permissions::from_mode(0o755)).unwrap();
    Answer::text("")
}

fn compiler(salt: &'static str) -> Fake {
    Fake::with(move |job| compile(job, salt))
}

pub(super) struct Build<'a> {
    pub(super) world: &'a World,
    pub(super) engine: Fake,
}

impl Build<'_> {
    pub(super) fn run(&self, lock: &Lock) -> Result<repro::build::Built, BuildError> {
        self.with(|builder| builder.build(lock))
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Builder<'_>) -> T) -> T {
        work(&Builder {
            settings: &self.world.settings(false),
            store: &self.world.store,
            engine: &self.engine,
            progress: &Quiet,
            stop: &Stop::new(),
            folder: self.world.folder.path().to_owned(),
            recipe: None,
        })
    }
}

fn entries(layer: &ImageLayer) -> Vec<EntryInfo<'_>> {
    layer.plan().unwrap().entries().collect()
}

#[test]
fn the_tree_lies_below_what_is_compiled_and_local_files_lie_over_both() {
    let (world, repositories) = (World::new(), Repositories::new());
    let lock = lock(&world, &repositories);
    let built = Build { world: &world, engine: compiler("") }.run(&lock).unwrap();
    let origins: Vec<_> = built.image.layers.iter().map(|layer| layer.origin.clone()).collect();
    let tree = format!("net {}", repositories.main.short());
    let expected = ["links and files".to_owned(), tree, "built files (1)".to_owned()];
    assert_eq!(origins[..3], expected.map(|origin| origin.replace("links and files", &origins[0])));
    assert_eq!(origins[3], "local files (1)");
    let paths: Vec<_> = entries(&built.image.layers[1])
        .iter()
        .map(|entry| (entry.path.to_owned(), entry.mode))
        .collect();
    assert!(paths.contains(&("net/train.sh".to_owned(), 0o755)), "{paths:?}");
    assert!(paths.contains(&("net/ops/op.c".to_owned(), 0o644)), "{paths:?}");
    assert!(!paths.iter().any(|(path, _)| path.ends_with("/.git")), "{paths:?}");
    let link = entries(&built.image.layers[1]).into_iter().find(|entry| entry.target.is_some());
    assert_eq!(link.unwrap().target, Some("one.txt"));
    let object = built.lock.builds[0].files[0].clone();
    assert_eq!((object.path.as_str(), object.executable), (OBJECT, true));
}

#[test]
fn a_job_and_a_layer_see_only_the_part_of_a_tree_that_is_taken() {
    let (world, repositories) = (World::new(), Repositories::new());
    let whole = lock(&world, &repositories);
    let urls = ["https://hub.test/net.git"];
    let part = world.lock_part(&urls, repositories.main, "exclude = [\"data/*.txt\"]\n").unwrap();
    let engine = Fake::with(|job| {
        let data = seen(job, "/src").join("data");
        assert!(!data.join("one.txt").exists() && data.join("latest").is_symlink());
        fs::write(data.join("op.so"), "object").unwrap();
        Answer::text("")
    });
    let lock = Lock { git: vec![part], ..whole };
    let built = Build { world: &world, engine }.run(&lock).unwrap();
    let layer = &built.image.layers[1];
    let paths: Vec<_> = entries(layer).iter().map(|entry| entry.path.to_owned()).collect();
    assert!(paths.contains(&"net/data/latest".to_owned()), "{paths:?}");
    assert!(!paths.iter().any(|path| path.ends_with(".txt")), "{paths:?}");
    let note =
        format!("`net {}`: 2 of 7 entries of the tree are left out", repositories.main.short());
    assert_eq!(layer.plan().unwrap().notes(), [note]);
}

#[test]
fn declared_files_are_compiled_once_and_again_for_the_proof() {
    let (world, repositories) = (World::new(), Repositories::new());
    let first = Build { world: &world, engine: compiler("") };
    let built = first.run(&lock(&world, &repositories)).unwrap();
    assert_eq!(first.run(&built.lock).unwrap().image.seal, built.image.seal);
    assert_eq!(first.engine.calls().len(), 1);
    let flags = &first.engine.calls()[0].job.env["CFLAGS"];
    assert!(flags.contains("prefix-map") && flags.ends_with("-O2"), "{flags}");
    let other = World::new();
    fs::write(other.folder.path().join("one.txt"), "mine\n").unwrap();
    let second = Build { world: &other, engine: compiler("") };
    let lock = Lock { seal: None, ..built.lock.clone() };
    let rebuilt = second.with(|builder| rebuild(builder, &world.store, &lock)).unwrap();
    assert_eq!((rebuilt.seal, second.engine.calls().len()), (built.image.seal, 1));
}

#[test]
fn a_file_that_comes_out_otherwise_is_refused_with_both() {
    let (world, repositories) = (World::new(), Repositories::new());
    let built =
        Build { world: &world, engine: compiler("") }.run(&lock(&world, &repositories)).unwrap();
    let locked = built.lock.builds[0].files[0].sha256;
    fs::remove_file(world.store.blob_path(&locked)).unwrap();
    let error = Build { world: &world, engine: compiler("salt") }.run(&built.lock).unwrap_err();
    let BuildError::OutputDiffers { name, expected, found } = error else { panic!("{error}") };
    assert!(name.contains(OBJECT) && expected == locked && found != locked);
}

#[test]
fn what_a_command_gave_that_does_not_repeat_itself_is_kept_and_never_made_again() {
    let (world, repositories) = (World::new(), Repositories::new());
    let mut lock = lock(&world, &repositories);
    lock.builds[0].repeatable = false;
    let built = Build { world: &world, engine: compiler("first") }.run(&lock).unwrap();
    // The proof takes it as it is.
    let other = World::new();
    fs::write(other.folder.path().join("one.txt"), "mine\n").unwrap();
    let second = Build { world: &other, engine: compiler("second") };
    let rebuilt = second.with(|builder| rebuild(builder, &world.store, &built.lock)).unwrap();
    assert_eq!((rebuilt.seal, second.engine.calls().len()), (built.image.seal, 0));
    // Lost, it is lost: other bytes would be another image.
    let locked = built.lock.builds[0].files[0].sha256;
    fs::remove_file(world.store.blob_path(&locked)).unwrap();
    let third = Build { world: &world, engine: compiler("third") };
    let error = third.run(&built.lock).unwrap_err();
    assert!(matches!(error, BuildError::OutputLost { expected, .. } if expected == locked));
    assert!(third.engine.calls().is_empty());
}

#[test]
fn a_job_cannot_make_this_machine_read_a_file_of_its_own_for_it() {
    let (world, repositories) = (World::new(), Repositories::new());
    let secret = world.folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let plots: [fn(&Path, &Path); 3] = [
        |source, secret| symlink(secret, source.join("data/op.so")).unwrap(),
        |source, secret| {
            fs::write(secret.with_file_name("op.so"), "secret").unwrap();
            fs::remove_dir_all(source.join("data")).unwrap();
            symlink(secret.parent().unwrap(), source.join("data")).unwrap();
        },
        |source, _| fs::create_dir(source.join("data/op.so")).unwrap(),
    ];
    for plot in plots {
        let secret = secret.clone();
        let engine = Fake::with(move |job| {
            plot(seen(job, "/src"), &secret);
            Answer::text("")
        });
        let error = Build { world: &world, engine }.run(&lock(&world, &repositories)).unwrap_err();
        assert!(matches!(error, BuildError::JobFailed { .. }), "{error}");
    }
}
