//! Data sets are brought: what is pinned is compared, what is not is measured, and what no program
//! can get is told with where to get it and where to put it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use repro::dataset::{DatasetError, Datasets, Silent, Verdict, ensure_unpacked, pin, verify};
use repro::digest::Digest;
use repro::fetch::data::{
    ArchiveState, DataPlan, DataRequest, Means, SetOutcome, Step, fetch_data, plan_data,
};
use repro::fetch::{FetchError, Quiet, free_space};
use repro::settings::{Environment, Options, Settings};
use repro::store::Store;

use crate::commands::Project;
use crate::data_sets::{header, tar_of, zip};
use crate::loopback::{Reply, Request, Server};
use crate::recipe_reading::TRACKER;

const FILES: [(&str, &[u8]); 2] =
    [("set/img/a.png", b"picture a"), ("set/img/b.png", b"picture b")];

/// A project, a data folder, a store, and nothing set by anybody.
pub struct World {
    folder: tempfile::TempDir,
    pub store: Store,
    mirror: Option<String>,
    free: Option<u64>,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["project/images", "data", "root"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { folder, store, mirror: None, free: None }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn write(&self, below: &str, content: &[u8]) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, below: &str) -> Vec<u8> {
        fs::read(self.path(below)).unwrap()
    }

    pub fn datasets(&self, text: &str) -> Datasets {
        Datasets::parse(text, &self.path("project")).unwrap()
    }

    fn settings(&self) -> Settings {
        let environment =
            Environment::new(&self.path(""), &self.path("root")).with("HOME", "/nowhere");
        let mirror = self.mirror.iter().cloned().map(Into::into).collect();
        Settings::load_in(Options { mirror, ..Options::default() }, environment).unwrap()
    }

    fn request<'a>(
        &'a self,
        datasets: &'a Datasets,
        data: &'a Path,
        free: &'a dyn Fn(&Path) -> Option<u64>,
    ) -> DataRequest<'a> {
        DataRequest { datasets, names: &[], data, keep_archives: true, free_space: free }
    }

    fn plan(&self, datasets: &Datasets) -> DataPlan {
        plan_data(&self.request(datasets, &self.data(), &|_| self.free)).unwrap()
    }

    pub fn try_fetch(&self, datasets: &Datasets) -> Result<Vec<SetOutcome>, FetchError> {
        let (settings, stop, data) = (self.settings(), AtomicBool::new(false), self.data());
        let free = |folder: &Path| self.free.or_else(|| free_space(folder));
        let (progress, hashing) = (&Quiet, &Silent);
        let means =
            Means { settings: &settings, store: &self.store, progress, hashing, stop: &stop };
        fetch_data(&self.request(datasets, &data, &free), means)
    }

    /// What became of the only data set.
    fn fetch(&self, datasets: &Datasets) -> SetOutcome {
        let mut outcomes = self.try_fetch(datasets).unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// What became of the only archive of the only data set.
    fn state(&self, datasets: &Datasets) -> ArchiveState {
        let mut outcome = self.fetch(datasets);
        assert_eq!(outcome.archives.len(), 1);
        outcome.archives.remove(0).state
    }

    /// The names in a folder of the data folder, sorted.
    fn names(&self, below: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.data().join(below)) else { return Vec::new() };
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(name).map(|it| it.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The bytes of a zip with these files.
pub fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    zip(&path, files);
    fs::read(path).unwrap()
}

/// An entry of one archive; `more` is further lines of it.
pub fn entry(file: &str, urls: &[String], more: &str) -> String {
    format!(
        "[set]\ntitle = \"t\"\n\n[[set.archive]]\nfile = \"{file}\"\nstrip = \"set\"\nurls = {urls:?}\n{more}\n"
    )
}

fn pinned(bytes: &[u8]) -> String {
    format!("size = {}\nsha256 = \"{}\"", bytes.len(), Digest::of(bytes).hex())
}

const UNPINNED: &str = "unpinned = \"nobody told\"";

/// A server that has these bytes, can go on in the middle, and names its version.
fn serving(bytes: Vec<u8>, tag: Option<&'static str>) -> Server {
    Server::new(move |request| part_of(&bytes, request, tag))
}

fn part_of(bytes: &[u8], request: &Request, tag: Option<&'static str>) -> Reply {
    let from = request.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let from = from.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    let same = request.headers.get("if-range").is_none_or(|asked| Some(asked.as_str()) == tag);
    let reply = match from.filter(|from| same && *from < bytes.len()) {
        None => Reply::ok(bytes),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            let rest = Reply { status: 206, ..Reply::ok(&bytes[from..]) };
            rest.with("content-range", range)
        }
    };
    match tag {
        Some(tag) => reply.with("etag", tag),
        None => reply,
    }
}

#[test]
fn a_pinned_data_set_is_downloaded_compared_and_unpacked_once() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    let outcome = world.fetch(&datasets);
    assert_eq!(outcome.folder, Some(world.data().join("set")));
    assert_eq!(world.read("data/set/img/a.png"), b"picture a");
    assert_eq!(world.names("set/img"), ["a.png", "b.png"]);
    assert_eq!(world.names("archives/set"), ["a.zip"]);
    assert_eq!(world.names(""), ["archives", "set"]);
    let again = world.fetch(&datasets);
    assert!(again.folder.is_some() && again.archives.is_empty());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_was_unpacked_from_pinned_archives_is_verified_and_bound_without_them() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    world.fetch(&datasets);
    fs::remove_dir_all(world.data().join("archives")).unwrap();
    let report = || {
        let data = world.data();
        verify(&datasets, &[], Some(&data), true, &world.store, &Silent).unwrap().remove(0)
    };
    assert_eq!(report().verdict, Verdict::Ok);
    let data = world.data();
    let unpacked = ensure_unpacked(&datasets, "set", Some(&data), &world.store, &Silent).unwrap();
    assert_eq!(Some(unpacked.digest), report().binding);
    world.write("data/set/img/a.png", b"picture c");
    assert_eq!(report().verdict, Verdict::Differs);
}

#[test]
fn a_download_that_broke_off_goes_on_in_the_next_process() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let (served, half) = (bytes.clone(), bytes.len() / 2);
    let server = Server::new(move |request| match request.earlier {
        0 => Reply { cut_after: Some(half), ..Reply::ok(served.clone()) },
        1 => Reply::status(404),
        _ => part_of(&served, request, None),
    });
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    assert!(matches!(world.state(&datasets), ArchiveState::Unreachable { .. }));
    assert_eq!(world.names("archives/set"), [".a.zip.partial"]);
    assert_eq!(world.plan(&datasets).archives[0].brought, half as u64);
    assert!(world.fetch(&datasets).folder.is_some());
    let asked = server.asked();
    assert_eq!(asked[2].headers["range"], format!("bytes={half}-"));
    assert_eq!(world.names("archives/set"), ["a.zip"]);
}

#[test]
fn a_part_of_another_file_is_thrown_away_and_all_of_it_comes_again() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    world.write("data/archives/set/.a.zip.partial", b"something else");
    assert!(world.fetch(&datasets).folder.is_some());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn without_a_digest_only_a_named_version_is_gone_on_with() {
    for (tag, expected) in [(Some("\"1\""), true), (None, false)] {
        let world = World::new();
        let bytes = zipped(&FILES);
        let (served, half) = (bytes.clone(), bytes.len() / 2);
        let server = Server::new(move |request| match request.earlier {
            0 => Reply { cut_after: Some(half), ..part_of(&served, request, tag) },
            _ => part_of(&served, request, tag),
        });
        let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], UNPINNED));
        let ArchiveState::Unpinned { sha256, .. } = world.state(&datasets) else {
            panic!("it is not unpinned")
        };
        assert_eq!(sha256, Digest::of(&bytes));
        assert_eq!(server.asked()[1].headers.contains_key("range"), expected);
    }
}

#[test]
fn other_bytes_than_the_pinned_ones_are_told_with_both_digests_and_not_kept() {
    let world = World::new();
    let server = serving(b"other bytes".to_vec(), None);
    let datasets =
        world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(b"right bytes")));
    let outcome = world.fetch(&datasets);
    assert!(outcome.differs() && outcome.folder.is_none());
    let ArchiveState::Differs { reason } = &outcome.archives[0].state else {
        panic!("{outcome:?}")
    };
    for bytes in [b"right bytes", b"other bytes"] {
        assert!(reason.contains(&Digest::of(bytes).to_string()), "{reason}");
    }
    assert!(world.names("archives/set").is_empty());
}

#[test]
fn a_known_md5_or_size_that_does_not_hold_is_told_with_both_sides_and_nothing_is_kept() {
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    let cases = [
        (
            format!("{UNPINNED}\nchecks = {{ md5 = \"{md5}\" }}\nevidence = \"a list\""),
            "known  9001509",
        ),
        (format!("{UNPINNED}\nsize = 3"), "known  3 bytes\n    found  4 bytes"),
    ];
    for (more, expected) in cases {
        let world = World::new();
        let server = serving(b"abcd".to_vec(), None);
        let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &more));
        let ArchiveState::Differs { reason } = world.state(&datasets) else { panic!("{more}") };
        assert!(reason.contains(expected), "{reason}");
        assert!(world.names("archives/set").is_empty());
        // The same file brought by hand is refused by `fetch-data` and by `pin-data`, too.
        world.write("data/archives/set/a.zip", b"abcd");
        assert!(matches!(world.state(&datasets), ArchiveState::Differs { .. }));
        let file = world.path("data/archives/set/a.zip");
        let error = pin(&datasets, &file, false, &world.store, &Silent).unwrap_err();
        assert!(matches!(error, DatasetError::Contradicted { .. }), "{error}");
    }
}

#[test]
fn a_place_with_another_file_than_the_known_one_is_passed_over() {
    let world = World::new();
    let (other, right) = (serving(b"abcd".to_vec(), None), serving(b"abc".to_vec(), None));
    let more = format!("{UNPINNED}\nchecks = {{ md5 = \"900150983cd24fb0d6963f7d28e17f72\" }}");
    let urls = [other.url("/a.zip"), right.url("/a.zip")];
    let state = world.state(&world.datasets(&entry("a.zip", &urls, &more)));
    assert!(matches!(state, ArchiveState::Unpinned { bytes: 3, .. }), "{state:?}");
    assert_eq!(other.asked().len(), 1);
}

#[test]
fn a_known_md5_that_holds_lets_the_archive_be_pinned() {
    let world = World::new();
    let server = serving(b"abc".to_vec(), None);
    let more = format!("{UNPINNED}\nchecks = {{ md5 = \"900150983cd24fb0d6963f7d28e17f72\" }}");
    let datasets = world.datasets(&entry("a.bin", &[server.url("/a.bin")], &more));
    assert!(matches!(world.state(&datasets), ArchiveState::Unpinned { bytes: 3, .. }));
    let file = world.path("data/archives/set/a.bin");
    let pinned = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    assert_eq!(pinned.sha256, Digest::of(b"abc"));
}

#[test]
fn a_single_file_is_fetched_pinned_and_laid_into_the_folder_of_its_data_set() {
    let world = World::new();
    let server = serving(b"abc".to_vec(), None);
    let datasets = world.datasets(&entry("a.pth", &[server.url("/a.pth")], UNPINNED));
    assert!(world.fetch(&datasets).folder.is_none());
    let file = world.path("data/archives/set/a.pth");
    let pinned = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    pinned.write(&world.path("project")).unwrap();
    let datasets = Datasets::load(&world.path("project")).unwrap();
    let folder = world.fetch(&datasets).folder.unwrap();
    assert_eq!(fs::read(folder.join("a.pth")).unwrap(), b"abc");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_archive_that_nothing_pins_is_measured_not_unpacked_and_never_ready_until_it_is_pinned() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], UNPINNED));
    let outcome = world.fetch(&datasets);
    assert!(outcome.folder.is_none() && !outcome.differs() && !outcome.lacks());
    assert_eq!(world.names(""), ["archives"]);
    let file = world.path("data/archives/set/a.zip");
    let pinned = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    pinned.write(&world.path("project")).unwrap();
    let datasets = Datasets::load(&world.path("project")).unwrap();
    assert!(world.fetch(&datasets).folder.is_some());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn every_url_is_asked_in_order_and_a_mirror_before_them() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let (empty, good) = (Server::new(|_| Reply::status(404)), serving(bytes.clone(), None));
    let urls = [empty.url("/a.zip"), good.url("/a.zip")];
    let text = entry("a.zip", &urls, &pinned(&bytes));
    assert!(world.fetch(&world.datasets(&text)).folder.is_some());
    assert_eq!((empty.asked().len(), good.asked().len()), (1, 1));

    let mut world = World::new();
    world.write(&format!("mirror/blobs/sha256/{}", Digest::of(&bytes).hex()), &bytes);
    world.mirror = Some(world.path("mirror").display().to_string());
    assert!(world.fetch(&world.datasets(&text)).folder.is_some());
    assert_eq!((empty.asked().len(), good.asked().len()), (1, 1));
}

#[test]
fn every_place_that_did_not_have_it_is_told() {
    let world = World::new();
    let server = Server::new(|request| match request.target.as_str() {
        "/page" => Reply::ok("<html>sign in").with("content-type", "text/html"),
        _ => Reply::status(403),
    });
    let urls = [server.url("/page"), server.url("/forbidden")];
    let ArchiveState::Unreachable { tried, .. } =
        world.state(&world.datasets(&entry("a.zip", &urls, UNPINNED)))
    else {
        panic!("it was had")
    };
    assert!(tried[0].contains("web page") && tried[0].contains("/page"), "{tried:?}");
    assert!(tried[1].contains("403") && tried[1].contains("/forbidden"), "{tried:?}");
    assert!(world.names("archives/set").is_empty());
}

#[test]
fn what_needs_an_account_is_told_and_the_same_command_goes_on_once_it_is_there() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let text = entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes));
    let text = text.replace(
        "title = \"t\"",
        "title = \"t\"\nlogin-required = true\npage = \"https://a.test\"",
    );
    let datasets = world.datasets(&text);
    let outcome = world.fetch(&datasets);
    assert!(outcome.lacks());
    let ArchiveState::ByHand { pages, .. } = &outcome.archives[0].state else {
        panic!("{outcome:?}")
    };
    assert_eq!(*pages, ["https://a.test".into(), server.url("/a.zip").into()]);
    assert!(server.asked().is_empty());
    fs::create_dir_all(outcome.archives[0].place.parent().unwrap()).unwrap();
    fs::write(&outcome.archives[0].place, &bytes).unwrap();
    assert!(world.fetch(&datasets).folder.is_some());
}

#[test]
fn an_archive_is_joined_from_parts_downloaded_or_brought_by_hand() {
    let bytes = zipped(&FILES);
    let (first, second) = (bytes[..50].to_vec(), bytes[50..].to_vec());
    let (one, two) = (first.clone(), second.clone());
    let server = Server::new(move |request| match request.target.as_str() {
        "/1" => Reply::ok(one.clone()),
        "/2" => Reply::ok(two.clone()),
        _ => Reply::status(404),
    });
    let part =
        |file: &str, origin: &str| format!("\n[[set.archive.part]]\nfile = \"{file}\"\n{origin}\n");
    let urls = |path: &str| format!("urls = [\"{}\"]", server.url(path));
    let downloadable = part("a.z01", &urls("/1")) + &part("a.zip", &urls("/2"));
    let world = World::new();
    let datasets = world.datasets(&(entry("a.zip", &[], &pinned(&bytes)) + &downloadable));
    assert!(world.fetch(&datasets).folder.is_some());

    let world = World::new();
    let page = "page = \"https://a.test/1\"";
    let by_hand = part("a.z01", page) + &part("a.zip", "page = \"https://a.test/2\"");
    let datasets = world.datasets(&(entry("a.zip", &[], &pinned(&bytes)) + &by_hand));
    world.write("data/archives/set/a.zip.parts/a.z01", &first);
    let ArchiveState::ByHand { parts, .. } = world.state(&datasets) else { panic!("it was had") };
    assert_eq!(parts.len(), 1, "only what is not there is asked for: {parts:?}");
    fs::write(&parts[0].place, b"not the second part").unwrap();
    assert!(matches!(world.state(&datasets), ArchiveState::Differs { .. }));
    fs::write(&parts[0].place, &second).unwrap();
    assert_eq!(world.plan(&datasets).archives[0].step, Step::Join);
    assert!(world.fetch(&datasets).folder.is_some());
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers_before_anything_is_asked() {
    let mut world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    world.free = Some(2 * bytes.len() as u64 - 1);
    assert!(world.plan(&datasets).is_too_large());
    let error = world.try_fetch(&datasets).unwrap_err();
    assert!(matches!(error, FetchError::NoDataSpace { .. }));
    let text = error.to_string();
    for number in [2 * bytes.len(), 2 * bytes.len() - 1] {
        assert!(text.contains(&format!("({number} bytes)")), "{text}");
    }
    assert!(server.asked().is_empty() && world.names("").is_empty());
    world.free = Some(2 * bytes.len() as u64);
    assert!(world.fetch(&datasets).folder.is_some());
}

#[test]
fn what_a_killed_attempt_left_is_cleared_away_and_has_never_had_the_final_name() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    world.write("data/.set.partial/img/a.png", b"pict");
    world.write("data/.set.partial/old/file", b"of another version");
    assert!(world.fetch(&datasets).folder.is_some());
    assert_eq!(world.names("set"), ["img"]);
    assert_eq!(world.names(""), ["archives", "set"]);
}

#[test]
fn a_folder_that_is_something_else_is_neither_used_nor_overwritten() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    world.write("data/set/img/a.png", b"mine");
    let error = world.try_fetch(&datasets).unwrap_err();
    assert!(error.to_string().contains("nothing was unpacked over"), "{error}");
    assert_eq!(world.read("data/set/img/a.png"), b"mine");
}

#[test]
fn archives_go_when_they_are_not_to_be_kept_and_the_folder_stays_verified() {
    let world = World::new();
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let datasets = world.datasets(&entry("a.zip", &[server.url("/a.zip")], &pinned(&bytes)));
    let (settings, stop, data) = (world.settings(), AtomicBool::new(false), world.data());
    let (progress, hashing, store) = (&Quiet, &Silent, &world.store);
    let means = Means { settings: &settings, store, progress, hashing, stop: &stop };
    let free = |_: &Path| None;
    let request = DataRequest { keep_archives: false, ..world.request(&datasets, &data, &free) };
    assert!(fetch_data(&request, means).unwrap()[0].folder.is_some());
    assert!(world.names("archives/set").is_empty());
    assert!(fetch_data(&request, means).unwrap()[0].folder.is_some());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn hostile_archives_leave_nothing_outside_their_folder_and_nothing_under_the_final_name() {
    let tar = |build: &dyn Fn(&mut tar::Builder<fs::File>)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        tar_of(&path, |tar| build(tar));
        fs::read(path).unwrap()
    };
    let entry_of = |name: &'static str, kind, size: u64| {
        tar(&move |tar| {
            let content = vec![0; usize::try_from(size).unwrap()];
            tar.append(&header(name, kind, size), &content[..]).unwrap();
        })
    };
    let hostile = [
        ("a.tar", entry_of("set/../../out", tar::EntryType::Regular, 1)),
        ("a.tar", entry_of("/set/out", tar::EntryType::Regular, 1)),
        ("a.tar", entry_of("set/link", tar::EntryType::Symlink, 0)),
        ("a.tar", entry_of("set/link", tar::EntryType::Link, 0)),
        ("a.tar", entry_of("set/device", tar::EntryType::Char, 0)),
        ("a.zip", zipped(&[("set/../../out", b"x")])),
        ("a.zip", zipped(&[("other/x", b"x")])),
        ("a.zip", b"no archive at all".to_vec()),
    ];
    for (file, bytes) in hostile {
        let world = World::new();
        let server = serving(bytes.clone(), None);
        let datasets = world.datasets(&entry(file, &[server.url("/a")], &pinned(&bytes)));
        let error = world.try_fetch(&datasets).unwrap_err();
        assert!(matches!(error, FetchError::Dataset(_)), "{error}");
        assert_eq!(world.names(""), ["archives"], "{error}");
        assert!(!world.path("out").exists());
    }
}

#[test]
fn the_command_says_what_became_of_each_item_what_to_do_and_how_it_ended() {
    let bytes = zipped(&FILES);
    let server = serving(bytes.clone(), None);
    let urls = [server.url("/a.zip")];
    let named = |name: &str, more: &str| entry("a.zip", &urls, more).replace("set", name);
    let good = entry("a.zip", &urls, &pinned(&bytes)).replace("[set", "[good");
    let gated = named("gated", UNPINNED).replace(
        "title = \"t\"",
        "title = \"t\"\nlogin-required = true\npage = \"https://a.test\"",
    );
    let project = Project::new(TRACKER);
    let folder = project.folder.path();
    fs::create_dir(folder.join("data")).unwrap();
    let text = [good, gated, named("loose", UNPINNED)].concat();
    fs::write(folder.join("datasets.toml"), text).unwrap();
    let run = |arguments: &[&str]| {
        let output = project.run(&[&["fetch-data"], arguments].concat());
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (told.concat().replace(&folder.display().to_string(), "[project]"), output.status.code())
    };
    let (text, code) = run(&["good"]);
    assert!(code == Some(2) && text.contains("nobody said where data sets lie"), "{text}");
    let (text, code) = run(&["--dry-run", "--data", "data"]);
    let sum = format!("to download or join: {} B and 1 archive of unknown size", bytes.len());
    assert!(code == Some(0) && text.contains(&sum), "{text}");
    assert!(
        text.contains("by hand   https://a.test") && text.contains("unknown  unpinned"),
        "{text}"
    );
    assert!(server.asked().is_empty() && fs::read_dir(folder.join("data")).unwrap().count() == 0);
    let (text, code) = run(&["good", "--data", "data"]);
    assert!(
        code == Some(0) && text.contains("data set `good` is verified in [project]/data/good"),
        "{text}"
    );
    let (text, code) = run(&["gated", "--data", "data"]);
    assert_eq!(code, Some(4));
    for line in ["open    https://a.test\n", "put     [project]/data/archives/gated/a.zip\n"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("`repro fetch-data gated` goes on from there"), "{text}");
    let (text, code) = run(&["loose", "--data", "data"]);
    assert_eq!(code, Some(3));
    assert!(text.contains(&format!("measured  {} ({} bytes)", Digest::of(&bytes), bytes.len())));
    assert!(
        text.contains("`repro pin-data [project]/data/archives/loose/a.zip` pins it"),
        "{text}"
    );
}
