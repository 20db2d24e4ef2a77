//! From recipe to lock, with test doubles in place of `apt-get` and `uv`.
//!
//! The doubles (`fixtures/doubles`) are shell scripts that answer from files and note what they
//! were asked; the files have the form of what the real programs answer. No network is used.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use repro::digest::{DiffId, Digest};
use repro::fetch::pin::{Base, PinError, Pinned, Request, check_tools, pin};
use repro::lock::{BuildSource, Lock, LockedBuild, LockedLayer, LockedSeal, LockedWheel, Unpinned};
use repro::recipe::Recipe;
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use crate::loopback::{Reply, Server};
use crate::recipe_reading::{TRACKER, folder};

const BASE: [(&str, &str); 3] =
    [("libc6", "2.31-13"), ("python3", "3.9.2-3"), ("zlib1g", "1:1.2.11")];
const BESIDE: [(&str, &str); 1] = [("python3-distutils", "3.9.2-1")];

/// A recipe, a store, and doubles of the two programs.
struct World {
    folder: tempfile::TempDir,
    images: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let world = tempfile::tempdir().unwrap();
        fs::create_dir(world.path().join("bin")).unwrap();
        for name in ["apt-get", "uv"] {
            // A link to a file that nobody writes: a program just written may still be open for
            // writing in another test's child, and then it cannot be run.
            let double = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/doubles");
            symlink(double.join(name), world.path().join("bin").join(name)).unwrap();
        }
        let store = Store::open(&world.path().join("store")).unwrap();
        let world = Self { folder: world, images: folder(TRACKER), store };
        world.write("keyring.gpg", "keys of a test double\n");
        world.has_packages("base-uris", &BASE);
        world.has_packages("beside-uris", &BESIDE);
        world.has_wheels("image.toml", &[("addict", "2.4.0"), ("numpy", "1.21.6")], true);
        world.has_wheels("build.toml", &[("setuptools", "59.5.0")], false);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What the programs were asked since the last look, without their versions.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.path("asked"));
        asked.lines().map(str::to_owned).collect()
    }

    fn has_packages(&self, file: &str, packages: &[(&str, &str)]) {
        let line = |(name, version): &(&str, &str)| {
            let digest = Digest::of(format!("{name} {version}").as_bytes()).hex();
            let (_, bare) = version.split_once(':').unwrap_or(("", version));
            let escaped = version.replace(':', "%3a");
            format!(
                "'http://archive.test/debian/pool/{name}_{bare}_amd64.deb' {name}_{escaped}_amd64.deb 7 SHA256:{digest}\n"
            )
        };
        self.write(file, &packages.iter().map(line).collect::<String>());
    }

    fn has_wheels(&self, file: &str, wheels: &[(&str, &str)], with_source: bool) {
        let mut text = "lock-version = \"1.0\"\ncreated-by = \"double\"\n".to_owned();
        for (name, version) in wheels {
            let digest = Digest::of(format!("{name} {version}").as_bytes()).hex();
            text += &format!(
                "\n[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\nwheels = [\n"
            );
            for tag in ["py3-none-any", "cp39-cp39-manylinux2014_x86_64", "cp39-cp39-win_amd64"] {
                text += &format!(
                    "  {{ url = \"https://files.test/{name}-{version}-{tag}.whl\", size = 5, hashes = {{ sha256 = \"{digest}\" }} }},\n"
                );
            }
            text += "]\n";
        }
        if with_source {
            let digest = Digest::of(b"source").hex();
            text += &format!(
                "\n[[packages]]\nname = \"mmcv\"\nversion = \"1.3.13\"\nsdist = {{ url = \"https://files.test/mmcv-1.3.13.tar.gz\", size = 9, hashes = {{ sha256 = \"{digest}\" }} }}\n"
            );
        }
        self.write(file, &text);
    }

    fn change_recipe(&self, from: &str, to: &str) {
        let path = self.images.path().join("tracker.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "the recipe has no `{from}`");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    fn recipe(&self) -> Recipe {
        Recipe::load(self.images.path(), "tracker-debian").unwrap()
    }

    fn settings(&self, options: Options) -> Settings {
        self.settings_with_index(options, "http://me:secret@index.test/simple")
    }

    fn settings_with_index(&self, options: Options, index: &str) -> Settings {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let environment = Environment::new(self.folder.path(), self.folder.path())
            .with("PATH", &path)
            .with("HOME", "/nowhere")
            .with("UV_PRERELEASE", "allow")
            .with("REPRO_DEBIAN_KEYRING", "keyring.gpg")
            .with("REPRO_DEBIAN_MIRROR", "http://me:secret@archive.test/debian")
            .with("REPRO_DEBIAN_SECURITY_MIRROR", "http://archive.test/debian-security")
            .with("REPRO_INDEX_URL", index);
        Settings::load_in(options, environment).unwrap()
    }

    fn try_pin(&self, previous: Option<&Lock>, update: Option<&str>) -> Result<Pinned, PinError> {
        let request =
            Request { recipe: &self.recipe(), epoch: 1, base: &Base::None, previous, update };
        pin(&self.settings(Options::default()), &self.store, request, &|_| ())
    }

    fn pin(&self, previous: Option<&Lock>, update: Option<&str>) -> Lock {
        let Pinned { lock, missing } =
            self.try_pin(previous, update).unwrap_or_else(|error| panic!("{error}"));
        assert!(missing.is_empty(), "{missing:?}");
        lock
    }

    /// A lock with holes, and what a person is told of them.
    fn pin_openly(&self, previous: Option<&Lock>) -> (Lock, String) {
        let Pinned { lock, missing } =
            self.try_pin(previous, None).unwrap_or_else(|error| panic!("{error}"));
        let text = lock.to_text();
        assert!(!text.contains("://") && !text.contains(".test"), "{text}");
        assert_eq!(Lock::parse(&text, Path::new("x")).unwrap().to_text(), text);
        assert_eq!(lock.matches(&self.recipe()).unwrap(), []);
        let told: Vec<_> = missing.iter().map(ToString::to_string).collect();
        (lock, told.join("\n"))
    }

    fn refusal(&self, previous: Option<&Lock>, update: Option<&str>) -> String {
        self.try_pin(previous, update).unwrap_err().to_string()
    }

    /// A lock whose build was made and whose image was sealed.
    fn sealed(&self) -> Lock {
        let mut lock = self.pin(None, None);
        self.asked();
        let digest = Digest::of(b"made");
        lock.builds[0].output = Some(LockedWheel {
            name: "mmcv".to_owned(),
            version: "1.3.13".to_owned(),
            file: "mmcv-1.3.13-py3-none-any.whl".to_owned(),
            size: 4,
            sha256: digest,
            requested: true,
        });
        let layer =
            LockedLayer { origin: "all".to_owned(), diff_id: DiffId(digest), digest, size: 4 };
        lock.seal = Some(LockedSeal { manifest: digest, layers: vec![layer] });
        lock
    }
}

/// The inputs that are not pinned.
fn open(lock: &Lock) -> Vec<&str> {
    lock.unpinned.iter().map(|item| item.input.as_str()).collect()
}

fn names(lock: &Lock) -> Vec<&str> {
    let packages = lock.packages.iter().map(|package| package.name.as_str());
    packages.chain(lock.wheels.iter().map(|wheel| wheel.name.as_str())).collect()
}

fn source_size(build: &LockedBuild) -> u64 {
    match &build.source {
        BuildSource::Distribution(source) => source.size,
        BuildSource::Git(name) => panic!("git source `{name}`"),
        BuildSource::Local => panic!("local files"),
    }
}

#[test]
fn a_recipe_becomes_a_lock_that_matches_it_and_names_no_place() {
    let world = World::new();
    let lock = world.pin(None, None);
    assert_eq!(names(&lock), ["libc6", "python3", "zlib1g", "addict", "numpy"]);
    assert_eq!(lock.packages[2].version, "1:1.2.11");
    assert_eq!(lock.packages[2].path, "pool/zlib1g_1.2.11_amd64.deb");
    assert_eq!(lock.wheels[1].file, "numpy-1.21.6-cp39-cp39-manylinux2014_x86_64.whl");
    assert!(lock.wheels.iter().all(|wheel| wheel.requested));
    let build = &lock.builds[0];
    assert_eq!((build.name.as_str(), source_size(build)), ("mmcv", 9));
    assert_eq!(build.packages.len(), 1, "the base's packages are not repeated: {build:?}");
    assert_eq!(build.wheels[0].name, "setuptools");
    assert_eq!((&build.output, &lock.seal), (&None, &None));
    assert_eq!(lock.matches(&world.recipe()).unwrap(), []);
    let text = lock.to_text();
    assert!(!text.contains("://") && !text.contains(".test"), "{text}");
    assert_eq!(Lock::parse(&text, Path::new("x")).unwrap().to_text(), text);
}

#[test]
fn a_size_that_the_index_leaves_out_is_asked_of_the_server_and_never_guessed() {
    let world = World::new();
    let server = Server::new(|request| match request.target.as_str() {
        "/numpy-1.21.6-cp39-cp39-manylinux2014_x86_64.whl" => Reply::ok(vec![0; 321]),
        "/mmcv-1.3.13.tar.gz" => Reply { hides_length: true, ..Reply::ok(vec![0; 9]) },
        _ => Reply::status(404),
    });
    let image = world.read("image.toml").replace(", size = 5", "").replace(", size = 9", "");
    world.write("image.toml", &image.replace("https://files.test/", &server.url("/")));
    let (lock, told) = world.pin_openly(None);
    assert!(told.contains("gives no size for `addict-2.4.0-cp39"), "{told}");
    assert!(told.contains("gives no size for `mmcv-1.3.13.tar.gz`"), "{told}");
    assert_eq!(open(&lock), ["distribution `addict==2.4.0`", "distribution `mmcv==1.3.13`"]);
    assert_eq!((lock.wheels[0].size, lock.builds.len()), (321, 0));
    let server = Server::new(|_| Reply::ok(vec![0; 321]));
    world.write("image.toml", &image.replace("https://files.test/", &server.url("/")));
    let lock = world.pin(None, None);
    assert_eq!((lock.wheels[1].size, source_size(&lock.builds[0])), (321, 321));
}

#[test]
fn what_was_not_asked_for_by_name_is_not_marked_as_requested() {
    let world = World::new();
    world.has_wheels("image.toml", &[("addict", "2.4.0"), ("six", "1.16.0")], true);
    let requested: Vec<_> = world.pin(None, None).wheels.iter().map(|w| w.requested).collect();
    assert_eq!(requested, [true, false]);
}

#[test]
fn uv_is_told_python_platform_and_date_and_gets_locations_by_its_environment_only() {
    let world = World::new();
    world.pin(None, None);
    let asked = world.asked().join("\n");
    for part in [
        "--python-version 3.9",
        "--python-platform x86_64-manylinux_2_31",
        "--exclude-newer 2026-11-20T23:59:59Z",
        "--format pylock.toml",
    ] {
        assert!(asked.contains(part), "{asked}");
    }
    assert!(!asked.contains("index.test") && !asked.contains("secret"), "{asked}");
    let environment = world.read("image-environment");
    assert!(environment.contains("UV_DEFAULT_INDEX=http://me:secret@index.test/simple/\n"));
    assert!(environment.contains("UV_PYTHON_DOWNLOADS=never\n"), "{environment}");
    assert!(!environment.contains("UV_PRERELEASE"), "{environment}");
    let requirements = world.read("image-requirements");
    assert_eq!(requirements, "numpy==1.21.6\naddict==2.4.0\nmmcv==1.3.13\n");
    let configuration = world.read("image-configuration");
    assert!(configuration.contains("no-build = true"), "{configuration}");
    assert!(configuration.contains("no-binary-package = [\"mmcv\"]"), "{configuration}");
    assert!(world.read("build-configuration").contains("no-binary-package = []"));
}

#[test]
fn no_date_is_asked_for_where_the_index_tells_no_upload_time() {
    let world = World::new();
    world.write("uv-wants-times", "");
    let recipe = world.recipe();
    let pinned = |page: Reply| {
        let server = Server::new(move |_| page.clone());
        let settings = world.settings_with_index(Options::default(), &server.url("/simple"));
        let request =
            Request { recipe: &recipe, epoch: 1, base: &Base::None, previous: None, update: None };
        let told = RefCell::new(Vec::new());
        let tell = |text: &str| told.borrow_mut().push(text.to_owned());
        let pinned = pin(&settings, &world.store, request, &tell);
        (pinned, told.into_inner().join("\n"), server.count("/simple/numpy/"))
    };
    let page = "<a href=\"numpy-1.21.6-py3-none-any.whl\">numpy</a>";
    let (pinned, told, asked) = pinned(Reply::ok(page).with("content-type", "text/html"));
    assert_eq!(pinned.unwrap().lock.wheels.len(), 2);
    assert!(told.contains("no upload time of `numpy`: `as-of` cannot hold for it"), "{told}");
    assert_eq!(asked, 1);
    let asked = world.asked();
    let compiled = asked.iter().filter(|line| line.contains("pip compile"));
    let dated: Vec<bool> = compiled.map(|line| line.contains("--exclude-newer")).collect();
    assert_eq!(dated, [true, false, false], "once is enough to know it");
}

#[test]
fn a_date_stays_where_the_index_tells_upload_times() {
    let world = World::new();
    world.write("uv-wants-times", "");
    let recipe = world.recipe();
    let page = r#"{"files": [{"filename": "numpy-9-py3-none-any.whl", "url": "x", "upload-time": "2030-01-01T00:00:00Z"}]}"#;
    let kind = "application/vnd.pypi.simple.v1+json";
    let server = Server::new(move |_| Reply::ok(page).with("content-type", kind));
    let settings = world.settings_with_index(Options::default(), &server.url("/simple"));
    let request =
        Request { recipe: &recipe, epoch: 1, base: &Base::None, previous: None, update: None };
    // A first lock has holes where nothing was found.
    let pinned = pin(&settings, &world.store, request, &|_| ()).unwrap();
    assert!(pinned.lock.wheels.is_empty());
    let asked = world.asked().join("\n");
    assert!(asked.contains("--exclude-newer 2026-11-20T23:59:59Z"), "{asked}");
}

#[test]
fn apt_reads_the_suites_of_the_recipe_and_builds_stand_on_the_exact_base() {
    let world = World::new();
    world.pin(None, None);
    let sources = world.read("sources");
    assert!(sources.contains("Suites: bullseye bullseye-updates\nComponents: main\n"), "{sources}");
    assert!(sources.contains("Suites: bullseye-security\n"), "{sources}");
    let asked = world.asked();
    let end = "-- libc6=2.31-13 python3=3.9.2-3 zlib1g=1:1.2.11 python3-distutils";
    assert!(asked.iter().any(|line| line.ends_with(end)), "{asked:?}");
    assert!(asked.iter().any(|line| line.ends_with("-- python3 libc6")), "{asked:?}");
}

#[test]
fn locking_again_gives_the_same_text_and_asks_nobody() {
    let world = World::new();
    let lock = world.sealed();
    // What the archives and the index have by now does not matter.
    world.has_packages("base-uris", &[("libc6", "9"), ("python3", "9")]);
    world.has_wheels("image.toml", &[("numpy", "9")], true);
    assert_eq!(world.pin(Some(&lock), None).to_text(), lock.to_text());
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn another_requirement_resolves_wheels_and_keeps_packages() {
    let world = World::new();
    let lock = world.sealed();
    world.change_recipe("\"addict==2.4.0\"]", "\"addict==2.4.0\", \"six\"]");
    world.has_wheels(
        "image.toml",
        &[("addict", "2.4.0"), ("numpy", "1.21.6"), ("six", "1.16.0")],
        true,
    );
    world.has_packages("base-uris", &[("libc6", "9")]);
    let new = world.pin(Some(&lock), None);
    assert_eq!(names(&new), ["libc6", "python3", "zlib1g", "addict", "numpy", "six"]);
    assert_eq!(new.packages, lock.packages);
    assert_eq!(new.builds, lock.builds, "the build's inputs did not change");
    assert_eq!(new.seal, None, "the image changed");
    assert!(!world.path("image-preferred").exists(), "a whole resolution prefers nothing");
    assert!(world.asked().iter().all(|line| line.starts_with("uv ")));
}

#[test]
fn another_date_resolves_everything() {
    let world = World::new();
    let lock = world.sealed();
    world.change_recipe("as-of = \"2026-11-20\"", "as-of = \"2026-11-21\"");
    world.has_packages("base-uris", &[("libc6", "9"), ("python3", "9")]);
    let new = world.pin(Some(&lock), None);
    assert_eq!(new.as_of, "2026-11-21");
    assert_eq!(new.packages[0].version, "9");
    assert_eq!(new.builds[0].output, None, "the build image has another base");
}

#[test]
fn the_seal_stays_when_only_a_profile_changes() {
    let world = World::new();
    let lock = world.sealed();
    fs::write(world.images.path().join("tracker/smoke/sitecustomize.py"), "shim = 2\n").unwrap();
    let new = world.pin(Some(&lock), None);
    assert_ne!(new.profile_files, lock.profile_files);
    assert_eq!(new.seal, lock.seal);
    fs::write(world.images.path().join("tracker/net.py"), "net = 2\n").unwrap();
    let new = world.pin(Some(&lock), None);
    assert_eq!((&new.seal, &new.builds), (&None, &lock.builds));
}

#[test]
fn the_seal_stays_when_a_build_for_a_profile_is_added_or_changes() {
    let mut world = World::new();
    let lock = world.sealed();
    let build = "[[variant.debian.build]]\nname = \"stub\"\nversion = \"1\"\nprofile = \"smoke\"\n\
        packages = [\"python3-distutils\"]\nlocal = { \"/repro/net.py\" = \"tracker/net.py\" }\n\
        outputs = { \"/opt/smoke/stub.so\" = \"stub.so\" }\ncommand = [\"make\"]\n";
    world.images = folder(&format!("{TRACKER}\n{build}"));
    let new = world.pin(Some(&lock), None);
    assert_eq!((&new.seal, new.digest()), (&lock.seal, lock.digest()));
    let stub = new.builds.iter().find(|build| build.name == "stub").unwrap();
    assert_eq!((&stub.source, stub.packages.len()), (&BuildSource::Local, 1));
    assert_eq!((stub.local[0].path.as_str(), stub.local[0].size), ("/repro/net.py", 8));
    assert_eq!(new.matches(&world.recipe()).unwrap(), []);
    let again = world.pin(Some(&new), None);
    assert_eq!(again.to_text(), new.to_text());
}

#[test]
fn updating_a_distribution_prefers_the_versions_of_all_others() {
    let world = World::new();
    let lock = world.sealed();
    world.has_wheels("image.toml", &[("addict", "2.4.0"), ("numpy", "1.22.0")], true);
    let new = world.pin(Some(&lock), Some("NumPy"));
    let preferred = world.read("image-preferred");
    assert!(preferred.contains("\"addict\"") && !preferred.contains("\"numpy\""), "{preferred}");
    assert_eq!(new.wheels[1].version, "1.22.0");
    assert_eq!((&new.packages, &new.builds), (&lock.packages, &lock.builds));
    assert_eq!(new.seal, None);
}

#[test]
fn a_file_that_changed_under_its_name_is_refused_until_it_is_updated() {
    let world = World::new();
    let lock = world.sealed();
    world.change_recipe("\"addict==2.4.0\"]", "\"addict==2.4.0\", \"six\"]");
    let (old, new) = (lock.wheels[1].sha256.hex(), Digest::of(b"another").hex());
    world.write("image.toml", &world.read("image.toml").replace(&old, &new));
    let refusal = world.refusal(Some(&lock), None);
    let expected = format!(
        "is not the file that was locked\n  locked   sha256:{old}\n  offered  sha256:{new}"
    );
    assert!(refusal.contains(&expected), "{refusal}");
    assert_eq!(world.pin(Some(&lock), Some("numpy")).wheels[1].sha256.hex(), new);
}

#[test]
fn updating_a_package_pins_all_others_and_refuses_to_change_them() {
    let world = World::new();
    let lock = world.sealed();
    let changed = [("libc6", "2.31-14"), BASE[1], BASE[2]];
    world.has_packages("base-uris", &changed);
    let new = world.pin(Some(&lock), Some("libc6"));
    assert_eq!(new.packages[0].version, "2.31-14");
    assert_eq!(new.packages[1..], lock.packages[1..]);
    assert_eq!(new.builds[0].output, None, "the build image has another base");
    let preferences = world.read("preferences");
    let pinned = "Package: zlib1g\nPin: version 1:1.2.11\nPin-Priority: 1001\n";
    assert!(preferences.contains(pinned) && !preferences.contains("libc6"), "{preferences}");
    let refusal = world.refusal(Some(&lock), Some("zlib1g"));
    assert!(refusal.starts_with("`zlib1g` cannot be updated alone"), "{refusal}");
    assert!(refusal.ends_with("\n  libc6  2.31-13 -> 2.31-14"), "{refusal}");
    assert_eq!(world.pin(Some(&lock), Some("debian")).packages, new.packages);
}

#[test]
fn updating_a_file_touches_that_file_only() {
    let world = World::new();
    let lock = world.sealed();
    fs::write(world.images.path().join("tracker/net.py"), "net = 2\n").unwrap();
    fs::write(world.images.path().join("tracker/smoke/sitecustomize.py"), "shim = 2\n").unwrap();
    let new = world.pin(Some(&lock), Some("tracker/net.py"));
    assert_ne!(new.local_files, lock.local_files);
    assert_eq!(new.profile_files, lock.profile_files);
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn a_name_that_cannot_be_updated_is_refused_with_the_nearest() {
    let world = World::new();
    let lock = world.sealed();
    assert_eq!(
        world.refusal(Some(&lock), Some("nunpy")),
        "the lock holds no `nunpy`\n  nearest  `numpy`"
    );
    assert!(world.refusal(None, Some("numpy")).starts_with("there is no lock in which `numpy`"));
    world.has_packages("base-uris", &[BASE[0], BASE[1], ("numpy", "1")]);
    let lock = world.pin(None, None);
    let refusal = world.refusal(Some(&lock), Some("numpy"));
    assert!(refusal.contains("either  `debian:numpy`\n  or      `python:numpy`"), "{refusal}");
    assert_eq!(world.pin(Some(&lock), Some("python:numpy")), lock);
    world.change_recipe("version = \"1.3.13\"", "version = \"1.3.14\"");
    let refusal = world.refusal(Some(&lock), Some("debian:numpy"));
    assert!(refusal.contains("locked  mmcv 1.3.13\n  recipe  mmcv 1.3.14"), "{refusal}");
}

#[test]
fn everything_that_went_wrong_is_told_at_once() {
    let world = World::new();
    world.write("apt-fails", "E: Unable to locate package nosuch\n");
    world.write("uv-fails", "error: no version of numpy at http://me:secret@index.test/\n");
    let recipe = world.recipe();
    fs::remove_file(world.images.path().join("tracker/net.py")).unwrap();
    let request =
        Request { recipe: &recipe, epoch: 1, base: &Base::None, previous: None, update: None };
    let settings = world.settings(Options::default());
    let refusal = pin(&settings, &world.store, request, &|_| ()).unwrap_err().to_string();
    assert!(refusal.starts_with("4 things could not be pinned\n  cannot read `"), "{refusal}");
    assert!(refusal.contains("E: Unable to locate package nosuch"), "{refusal}");
    assert!(
        refusal.contains("asked  http://***@archive.test/debian/ (REPRO_DEBIAN_MIRROR)"),
        "{refusal}"
    );
    assert!(refusal.contains("error: no version of numpy at http://***@index.test/"), "{refusal}");
    assert!(
        refusal.contains("asked  http://***@index.test/simple/ (REPRO_INDEX_URL)"),
        "{refusal}"
    );
    assert!(!refusal.contains("secret"), "{refusal}");
}

#[test]
fn a_wheel_that_does_not_fit_and_a_virtual_package_are_refused() {
    let world = World::new();
    let image = world.read("image.toml").replace("py3-none-any", "py2-none-any");
    world.write("image.toml", &image.replace("manylinux2014", "musllinux_1_1"));
    world.has_packages("base-uris", &BASE[..2]);
    world.change_recipe("\"libc6\"]", "\"libc6\", \"awk\"]");
    let refusal = world.refusal(None, None);
    assert!(
        refusal.contains("`numpy` 1.21.6 has no wheel for CPython 3.9 on x86_64 with glibc 2.31"),
        "{refusal}"
    );
    assert!(refusal.contains("offered  `numpy-1.21.6-cp39-cp39-win_amd64.whl`"), "{refusal}");
    assert!(refusal.contains("`awk` cannot be pinned: it is a virtual package"), "{refusal}");
}

#[test]
fn missing_programs_and_keys_are_named_with_what_is_needed() {
    let world = World::new();
    let tools = check_tools(&world.settings(Options::default())).unwrap();
    assert_eq!(tools, ["apt 2.6.1 (double)", "uv 0.0.0 (double)"]);
    fs::remove_file(world.path("keyring.gpg")).unwrap();
    assert!(world.refusal(None, None).contains("the package `debian-archive-keyring`"));
    let environment = Environment::new(world.folder.path(), world.folder.path())
        .with("PATH", "/nowhere")
        .with("HOME", "/nowhere");
    let settings = Settings::load_in(Options::default(), environment).unwrap();
    let refusal = check_tools(&settings).unwrap_err().to_string();
    assert!(refusal.contains("`uv` is not on this machine"), "{refusal}");
    assert!(refusal.contains("needed  pip install uv"), "{refusal}");
    assert!(refusal.contains("never to build from one"), "{refusal}");
}

#[test]
fn offline_a_lock_that_holds_everything_is_fine_and_a_missing_one_is_refused() {
    let world = World::new();
    let lock = world.sealed();
    let settings = world.settings(Options { offline: true, ..Options::default() });
    let recipe = world.recipe();
    let request = Request {
        recipe: &recipe,
        epoch: 1,
        base: &Base::None,
        previous: Some(&lock),
        update: None,
    };
    let told = RefCell::new(Vec::new());
    let progress = |text: &str| told.borrow_mut().push(text.to_owned());
    assert_eq!(pin(&settings, &world.store, request, &progress).unwrap().lock, lock);
    assert_eq!(told.take(), Vec::<String>::new());
    let request = Request { previous: None, ..request };
    let refusal = pin(&settings, &world.store, request, &progress).unwrap_err().to_string();
    assert!(refusal.contains("the settings say `offline`"), "{refusal}");
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn what_no_index_and_no_archive_has_is_written_as_unpinned_and_the_rest_is_pinned() {
    let world = World::new();
    world.write("uv-lacks", "numpy==1.21.6\n");
    world.write("apt-lacks", "python3-distutils\n");
    let (lock, told) = world.pin_openly(None);
    let expected = [
        Unpinned::new(
            "Debian package `python3-distutils` to build `mmcv`",
            "no archive that was asked has it",
        ),
        Unpinned::new(
            "distribution `numpy==1.21.6`",
            "no index that was asked has a version for this Python, platform and date",
        ),
    ];
    assert_eq!(lock.unpinned, expected);
    assert_eq!(names(&lock), ["libc6", "python3", "zlib1g", "addict"]);
    assert_eq!(world.read("image-requirements"), "addict==2.4.0\nmmcv==1.3.13\n");
    assert!(told.contains("E: Unable to locate package python3-distutils"), "{told}");
    assert!(told.contains("could not resolve the wheels for `numpy==1.21.6`"), "{told}");
    let refusal = lock.require_pinned().unwrap_err().to_string();
    assert!(refusal.contains("unpinned  distribution `numpy==1.21.6`: no index"), "{refusal}");
}

#[test]
fn what_exists_as_a_source_distribution_only_is_told_with_what_compiles_it() {
    let world = World::new();
    world.write("uv-sources", "numpy==1.21.6\n");
    let (lock, _) = world.pin_openly(None);
    let reason = "there is no wheel for this Python, platform and date, only a source distribution: \
                  a `[[build]]` in the recipe compiles it";
    assert_eq!(lock.unpinned, [Unpinned::new("distribution `numpy==1.21.6`", reason)]);
}

#[test]
fn locking_again_where_more_can_be_reached_fills_exactly_the_holes() {
    let world = World::new();
    let complete = world.pin(None, None);
    world.write("uv-lacks", "numpy==1.21.6\n");
    let (mut lock, _) = world.pin_openly(None);
    assert_eq!(open(&lock), ["distribution `numpy==1.21.6`"]);
    // Nobody reaches more: the text stays, and Debian is not asked.
    world.asked();
    assert_eq!(world.pin_openly(Some(&lock)).0.to_text(), lock.to_text());
    assert!(world.asked().iter().all(|line| line.starts_with("uv ")));
    fs::remove_file(world.path("uv-lacks")).unwrap();
    let filled = world.pin(Some(&lock), None);
    assert_eq!(filled.to_text(), complete.to_text());
    let preferred = world.read("image-preferred");
    assert!(preferred.contains("\"addict\"") && !preferred.contains("numpy"), "{preferred}");
    assert!(world.asked().iter().all(|line| line.starts_with("uv ")));
    lock.unpinned = vec![Unpinned::new("Debian package `dash`", "not read")];
    world.pin(Some(&lock), None);
    assert!(world.read("preferences").contains("Package: zlib1g\nPin: version 1:1.2.11"));
}

#[test]
fn a_source_that_is_not_there_leaves_its_build_out_until_it_is() {
    let world = World::new();
    let image = world.read("image.toml");
    world.write("image.toml", &image.replace("sdist = {", "wheels = []\nignored = {"));
    let (lock, told) = world.pin_openly(None);
    assert_eq!(open(&lock), ["distribution `mmcv==1.3.13`"]);
    assert_eq!(lock.unpinned[0].reason, "it has no source distribution");
    assert!(lock.builds.is_empty() && told.contains("`mmcv` 1.3.13 has no source"), "{told}");
    world.write("image.toml", &image);
    assert_eq!(world.pin(Some(&lock), None).to_text(), world.pin(None, None).to_text());
}

#[test]
fn where_nobody_answers_a_first_lock_has_holes_and_a_lock_that_is_there_stays() {
    let world = World::new();
    let lock = world.pin(None, None);
    world.write("uv-fails", "error: tcp connect error\n");
    let (first, _) = world.pin_openly(None);
    let expected = [
        "distribution `addict==2.4.0`",
        "distribution `mmcv==1.3.13`",
        "distribution `numpy==1.21.6`",
        "distribution `setuptools==59.5.0` to build `mmcv`",
    ];
    assert_eq!(open(&first), expected);
    assert_eq!(first.packages, lock.packages);
    world.change_recipe("\"addict==2.4.0\"]", "\"addict==2.4.0\", \"six\"]");
    assert!(world.refusal(Some(&lock), None).contains("tcp connect error"));
    assert!(world.refusal(Some(&lock), Some("numpy")).contains("tcp connect error"));
    let refusal = world.refusal(Some(&first), Some("numpy"));
    assert!(refusal.contains("`numpy` cannot be updated alone: the lock is not"), "{refusal}");
    world.write("apt-fails", "E: Failed to fetch\n");
    let refusal = world.refusal(None, None);
    assert!(refusal.contains("tcp connect") && refusal.contains("Failed to fetch"), "{refusal}");
}

#[test]
fn requirements_that_contradict_each_other_are_an_error_and_no_hole() {
    let world = World::new();
    world.write("uv-contradicts", "");
    let refusal = world.refusal(None, None);
    assert!(refusal.starts_with("`uv` could not resolve the wheels for `tracker-"), "{refusal}");
}

#[test]
fn what_the_recipe_says_is_gone_is_never_asked_for_and_stands_in_the_lock() {
    let world = World::new();
    let gone = "[[variant.debian.gone]]\ninput = \"numpy==1.21.6\"\nevidence = \"deleted, see the guide\"\ndate = \"2026-11-19\"\n\n";
    let same = world.pin(None, None);
    world.change_recipe("[variant.debian.debian]", &format!("{gone}[variant.debian.debian]"));
    let differences = same.matches(&world.recipe()).unwrap();
    let expected = "+ gone input `numpy==1.21.6` since 2026-11-19: deleted, see the guide";
    assert_eq!(differences[0].to_string(), expected);
    world.asked();
    let (lock, told) = world.pin_openly(None);
    assert_eq!(world.read("image-requirements"), "addict==2.4.0\nmmcv==1.3.13\n");
    assert_eq!((told.as_str(), lock.unpinned[0].gone.as_deref()), ("", Some("2026-11-19")));
    let text =
        "{ input = \"numpy==1.21.6\", reason = \"deleted, see the guide\", gone = \"2026-11-19\" }";
    assert!(lock.to_text().contains(text), "{}", lock.to_text());
    let refusal = lock.require_pinned().unwrap_err().to_string();
    assert!(refusal.contains("gone      numpy==1.21.6 since 2026-11-19: deleted"), "{refusal}");
    world.asked();
    assert_eq!(world.pin(Some(&lock), None).to_text(), lock.to_text());
    assert_eq!(world.asked(), Vec::<String>::new(), "nothing may be filled");
}

#[test]
fn a_lock_moves_to_another_epoch_with_everything_that_it_pins() {
    let world = World::new();
    let lock = world.sealed();
    let settings = world.settings(Options::default());
    let recipe = world.recipe();
    for update in [Some("epoch"), None] {
        let previous = Some(&lock);
        let request = Request { recipe: &recipe, epoch: 2, base: &Base::None, previous, update };
        let moved = pin(&settings, &world.store, request, &|_| ()).unwrap().lock;
        assert_eq!(moved, Lock { epoch: 2, seal: None, ..lock.clone() }, "{update:?}");
        assert!(world.asked().is_empty(), "somebody was asked");
    }
    // Whoever has it already keeps the seal.
    assert_eq!(world.pin(Some(&lock), Some("epoch")), lock);
}
