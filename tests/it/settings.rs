//! Folders and locations come from the nearest place that says something, and each knows which.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use repro::settings::{Environment, Location, Options, Settings, SettingsError};

const PASSWD: &str = "root:x:0:0:root:/var/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";

/// A file system of its own with a project in it.
struct World {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for path in ["root/etc", "home", "project/images/seg", "project/lockfiles"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let environment = Environment::new(
            &folder.path().join("project/images/seg"),
            &folder.path().join("root"),
        );
        let home = folder.path().join("home").display().to_string();
        Self { environment: environment.with("HOME", &home), folder }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    fn with_file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        self.load_with(Options::default())
    }

    fn load_with(&self, options: Options) -> Result<Settings, SettingsError> {
        Settings::load_in(options, self.environment.clone())
    }

    fn refusal(&self) -> String {
        self.load().unwrap_err().to_string()
    }

    /// Main index with the setting that named it.
    fn index(&self) -> (String, String) {
        let settings = self.load().unwrap();
        said(&settings.python_sources().unwrap().indexes)[0].clone()
    }
}

fn said(locations: &[Location]) -> Vec<(String, String)> {
    let said = locations.iter().map(|one| (one.url().to_string(), one.setting().to_owned()));
    said.collect()
}

fn archives(settings: &Settings) -> Vec<(String, bool)> {
    let archives = settings.debian_archives("bullseye").unwrap();
    archives.iter().map(|one| (one.location.to_string(), one.security)).collect()
}

#[test]
fn the_project_is_found_from_a_folder_inside_it() {
    let world = World::new();
    assert_eq!(world.load().unwrap().project().unwrap(), world.path("project"));
}

#[test]
fn outside_a_project_only_what_needs_one_fails() {
    let world = World::new();
    let environment = Environment::new(&world.path("home"), &world.path("root")).with("HOME", "/h");
    let settings = Settings::load_in(Options::default(), environment).unwrap();
    assert_eq!(settings.store_folder(), Path::new("/h/.local/share/repro"));
    let text = settings.project().unwrap_err().to_string();
    assert!(text.starts_with("no project found in `"), "{text}");
}

#[test]
fn a_folder_named_as_the_project_that_is_none_is_refused_with_what_it_lacks() {
    let world = World::new();
    fs::create_dir(world.path("home/images")).unwrap();
    let options = Options { project: Some(world.path("home")), ..Options::default() };
    let text = world.load_with(options).unwrap_err().to_string();
    assert!(text.ends_with("missing   `lockfiles`"), "{text}");
}

#[test]
fn the_store_is_where_the_nearest_setting_says() {
    let world = World::new();
    assert_eq!(world.load().unwrap().store_folder(), world.path("home/.local/share/repro"));
    let world = world.with("XDG_DATA_HOME", "/data");
    assert_eq!(world.load().unwrap().store_folder(), Path::new("/data/repro"));
    let world = world.with_file("home/.config/repro/settings.toml", "store = 'mine'\n");
    assert_eq!(world.load().unwrap().store_folder(), world.path("home/.config/repro/mine"));
    let world = world.with_file("project/repro.toml", "store = '../near'\n");
    let near = world.path("project").join("../near");
    assert_eq!(world.load().unwrap().store_folder(), near);
    let world = world.with("REPRO_HOME", "/named");
    assert_eq!(world.load().unwrap().store_folder(), Path::new("/named"));
}

#[test]
fn under_sudo_the_store_is_the_invoking_users() {
    let world = World::new()
        .with_file("root/etc/passwd", PASSWD)
        .with("SUDO_UID", "1000")
        .with("HOME", "/var/root")
        .with("XDG_DATA_HOME", "/var/root/.data");
    assert_eq!(world.load().unwrap().store_folder(), Path::new("/home/ann/.local/share/repro"));
    let world = world.with("REPRO_HOME", "/named");
    assert_eq!(world.load().unwrap().store_folder(), Path::new("/named"));
}

#[test]
fn under_sudo_by_an_unknown_user_nothing_is_guessed() {
    let world = World::new().with("SUDO_UID", "4000000000").with("HOME", "/var/root");
    assert!(world.refusal().contains("sudo was called by user 4000000000"));
}

#[test]
fn data_and_results_follow_command_line_variable_and_file() {
    let world = World::new();
    let settings = world.load().unwrap();
    assert_eq!(settings.data_folder(), None);
    assert_eq!(settings.results_folder(), world.path("project/results"));
    let world = world.with_file("project/repro.toml", "data = 'd'\nresults = '/r'\n");
    let settings = world.load().unwrap();
    assert_eq!(settings.data_folder().unwrap(), world.path("project/d"));
    assert_eq!(settings.results_folder(), Path::new("/r"));
    let world = world.with("REPRO_DATA", "/elsewhere");
    assert_eq!(world.load().unwrap().data_folder().unwrap(), Path::new("/elsewhere"));
    let options = Options { data: Some(PathBuf::from("/said")), ..Options::default() };
    let settings = world.load_with(options).unwrap();
    assert_eq!(settings.data_folder().unwrap(), Path::new("/said"));
}

#[test]
fn an_unknown_key_is_refused_with_line_and_nearest_key() {
    let world = World::new().with_file("project/repro.toml", "offline = true\nindx-url = 'x'\n");
    let place = world.path("project/repro.toml");
    let expected =
        format!("`{}`, line 2: unknown key `indx-url`\n  nearest   `index-url`", place.display());
    assert_eq!(world.refusal(), expected);
    let world = world.with_file("project/repro.toml", "colour = 'red'\n");
    assert!(world.refusal().ends_with("line 1: unknown key `colour`"));
}

#[test]
fn a_value_of_another_type_and_a_broken_file_are_refused_with_their_line() {
    for (text, line) in [("\noffline = 'yes'\n", 2), ("find-links = 'x'\n", 1), ("\n\na = =\n", 3)]
    {
        let refusal = World::new().with_file("project/repro.toml", text).refusal();
        assert!(refusal.contains(&format!("repro.toml`, line {line}: ")), "{refusal}");
    }
}

#[test]
fn the_nearest_index_wins_and_knows_its_setting() {
    let world = World::new()
        .with_file("root/etc/pip.conf", "[global]\nindex-url = http://machine.test/simple\n");
    let name = format!("`index-url` in `{}`", world.path("root/etc/pip.conf").display());
    assert_eq!(world.index(), ("http://machine.test/simple/".into(), name));

    let world =
        world.with_file("home/.config/pip/pip.conf", "[global]\nindex_url: http://user.test/\n");
    assert_eq!(world.index().0, "http://user.test/");
    let world = world.with("PIP_INDEX_URL", "http://pip.test/");
    assert_eq!(world.index(), ("http://pip.test/".into(), "PIP_INDEX_URL".into()));
    let world = world.with("UV_INDEX_URL", "http://uv.test/");
    assert_eq!(world.index().1, "UV_INDEX_URL");
    let world = world.with("UV_DEFAULT_INDEX", "corp=http://uv.test/named");
    assert_eq!(world.index(), ("http://uv.test/named/".into(), "UV_DEFAULT_INDEX".into()));
    let world = world.with_file("project/repro.toml", "index-url = 'http://file.test/'\n");
    assert_eq!(world.index().0, "http://file.test/");
    let world = world.with("REPRO_INDEX_URL", "http://own.test/");
    assert_eq!(world.index().1, "REPRO_INDEX_URL");
    let index_url = Some("http://said.test/".into());
    let settings = world.load_with(Options { index_url, ..Options::default() }).unwrap();
    let indexes = said(&settings.python_sources().unwrap().indexes);
    assert_eq!(indexes, [("http://said.test/".into(), "--index-url".into())]);
}

#[test]
fn extra_indexes_and_folders_of_links_are_lists() {
    let world = World::new()
        .with("PIP_INDEX_URL", "http://a.test/")
        .with("PIP_EXTRA_INDEX_URL", "http://b.test/ http://c.test/x")
        .with("UV_FIND_LINKS", "wheels,http://d.test/links.html");
    let settings = world.load().unwrap();
    let sources = settings.python_sources().unwrap();
    let urls: Vec<_> = said(&sources.indexes).into_iter().map(|(url, _)| url).collect();
    assert_eq!(urls, ["http://a.test/", "http://b.test/", "http://c.test/x/"]);
    let links: Vec<_> = said(&sources.find_links).into_iter().map(|(url, _)| url).collect();
    let folder = format!("file://{}/", world.path("project/images/seg/wheels").display());
    assert_eq!(links, [folder.as_str(), "http://d.test/links.html"]);
}

#[test]
fn who_forbids_indexes_is_obeyed_unless_one_is_named_for_repro() {
    let world = World::new().with("PIP_NO_INDEX", "1").with("PIP_INDEX_URL", "http://a.test/");
    assert!(world.load().unwrap().python_sources().unwrap().indexes.is_empty());
    let world = world.with("REPRO_INDEX_URL", "http://own.test/");
    assert_eq!(world.index().0, "http://own.test/");
}

#[test]
fn the_null_device_as_pips_configuration_hides_its_files() {
    let world = World::new()
        .with_file("root/etc/pip.conf", "[global]\nno-index = true\n")
        .with("PIP_CONFIG_FILE", "/dev/null")
        .with("PIP_EXTRA_INDEX_URL", "http://b.test/")
        .with("PIP_INDEX_URL", "http://a.test/");
    assert_eq!(world.index().0, "http://a.test/");
}

#[test]
fn an_installed_pip_is_asked_for_its_default_and_none_is_an_error() {
    let world = World::new().with("PATH", "/nowhere");
    let world = world.with_file("bin/python3", "#!/bin/sh\necho http://built-in.test/simple\n");
    let python = world.path("bin/python3");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let path = world.path("bin").display().to_string();
    let world = world.with("PATH", &path);
    let (url, setting) = world.index();
    assert_eq!(url, "http://built-in.test/simple/");
    assert_eq!(setting, "the built-in default of the pip of `python3`");
}

#[test]
fn a_location_that_is_none_is_refused_with_its_setting() {
    let world = World::new().with("PIP_INDEX_URL", "https://user:secret@:x/");
    let error = world.load().unwrap().python_sources().unwrap_err().to_string();
    assert!(error.starts_with("PIP_INDEX_URL is `https://***@:x/`"), "{error}");
    assert!(!format!("{:?}", world.load()).contains("secret"));
}

const DEB822: &str = "# comment\nTypes: deb deb-src\nURIs: http://a.test/debian\n http://b.test/debian\nSuites: bookworm bookworm-updates\n# comment\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nURIs: http://a.test/debian-security/\nSuites: bookworm-security\nComponents: main contrib\n\nEnabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n";

#[test]
fn archives_come_from_apts_own_sources_in_both_styles() {
    let world = World::new()
        .with_file("root/etc/apt/sources.list.d/debian.sources", DEB822)
        .with_file(
            "root/etc/apt/sources.list",
            "deb [arch=amd64 signed-by=/k.gpg] http://others.test/x bookworm main\ndeb-src http://src.test/debian bookworm main\ndeb http://c.test/debian/ trixie main # comment\ndeb http://vendor.test/apt vendor-bookworm main\ndeb http://vendor.test/apt bookworm stable\nnonsense\ndeb\n",
        )
        .with_file("root/etc/apt/sources.list.d/ignored.list.disabled", "deb http://no.test/debian bookworm main\n");
    let expected = [
        ("http://c.test/debian/", false),
        ("http://a.test/debian/", false),
        ("http://b.test/debian/", false),
        ("http://others.test/x/", false),
        ("http://a.test/debian-security/", true),
    ];
    let expected: Vec<_> = expected.map(|(url, security)| (url.to_owned(), security)).into();
    assert_eq!(archives(&world.load().unwrap()), expected);
}

#[test]
fn apts_lists_of_mirrors_and_local_archives_are_understood() {
    let world = World::new()
        .with_file("root/etc/apt/sources.list", "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\ndeb file:/srv/debian bookworm main\ndeb cdrom:[Debian]/ bookworm main\n")
        .with_file("root/etc/apt/mirrors/debian.list", "http://m.test/debian priority:1\n# comment\n");
    let expected =
        vec![("http://m.test/debian/".into(), false), ("file:///srv/debian/".into(), false)];
    assert_eq!(archives(&world.load().unwrap()), expected);
}

#[test]
fn a_named_mirror_replaces_apts_of_the_same_kind() {
    let world =
        World::new().with_file("root/etc/apt/sources.list.d/debian.sources", DEB822).with_file(
            "project/repro.toml",
            "debian-mirror = ['http://m.test/debian', 'http://n.test/debian']\n",
        );
    let expected = vec![
        ("http://m.test/debian/".into(), false),
        ("http://n.test/debian/".into(), false),
        ("http://a.test/debian-security/".into(), true),
    ];
    assert_eq!(archives(&world.load().unwrap()), expected);
}

#[test]
fn without_any_archive_the_settings_are_named() {
    let error = World::new().load().unwrap().debian_archives("bullseye").unwrap_err().to_string();
    assert!(error.contains("--debian-mirror, REPRO_DEBIAN_MIRROR"), "{error}");
}

#[test]
fn offline_is_said_by_command_line_variable_or_file() {
    assert!(!World::new().load().unwrap().offline());
    let world = World::new().with_file("project/repro.toml", "offline = true\n");
    assert!(world.load().unwrap().offline());
    let world = world.with("REPRO_OFFLINE", "0");
    assert!(!world.load().unwrap().offline());
    let options = Options { offline: true, ..Options::default() };
    assert!(world.load_with(options).unwrap().offline());
    assert!(World::new().with("REPRO_OFFLINE", "maybe").refusal().contains("expected  `1` or `0`"));
}

#[test]
fn mirrors_of_everything_are_named_nearest_first() {
    let world = World::new();
    let places = |world: &World, options: Options| -> Vec<String> {
        let mirrors = world.load_with(options).unwrap().mirrors().unwrap();
        mirrors.iter().map(ToString::to_string).collect()
    };
    assert!(places(&world, Options::default()).is_empty());
    let world =
        world.with_file("project/repro.toml", "mirror = [\"stick\", \"http://m.test/a\"]\n");
    let stick = format!("file://{}/", world.path("project/stick").display());
    assert_eq!(places(&world, Options::default()), [stick.as_str(), "http://m.test/a/"]);
    let world = world.with("REPRO_MIRROR", "/srv/mirror");
    assert_eq!(places(&world, Options::default()), ["file:///srv/mirror/"]);
    let named = Options { mirror: vec!["/one".into(), "/two".into()], ..Options::default() };
    assert_eq!(places(&world, named), ["file:///one/", "file:///two/"]);
}

#[test]
fn an_engine_that_does_not_exist_is_named_with_the_setting_that_asks_for_it() {
    let world = World::new().with_file("project/repro.toml", "engine = \"shell\"\n");
    let refusal = |world: &World, options| {
        world.load_with(options).unwrap().engine().unwrap_err().to_string()
    };
    let file = world.path("project/repro.toml").display().to_string();
    let text = refusal(&world, Options::default());
    assert!(text.starts_with(&format!("`engine` in `{file}` is `shell`")), "{text}");
    let world = world.with("REPRO_ENGINE", "rkt");
    let text = refusal(&world, Options::default());
    assert!(text.starts_with("REPRO_ENGINE is `rkt`") && text.contains("`embedded`"), "{text}");
    let option = Options { engine: Some("lxc".to_owned()), ..Options::default() };
    let text = refusal(&world, option);
    assert!(text.starts_with("--engine is `lxc`"), "{text}");
}
