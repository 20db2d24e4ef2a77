//! Passwords in settings: no command shows one, keeps one in a file or hands one on by a command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use repro::recipe::Recipe;

use super::commands::Project;
use super::lock_text::lock_of;
use super::loopback::{Reply, Server};
use super::recipe_reading::{DATA_SETS, TRACKER};

const SECRET: &str = "s3cr3t-w0rd";

/// A project whose every setting that takes an address has a password in it.
struct World {
    project: Project,
    server: Server,
}

impl World {
    fn new() -> Self {
        let git = "[[git]]\nname = \"net\"\nurls = [\"https://hub.test/net.git\"]\n\
                   commit = \"0123456789abcdef0123456789abcdef01234567\"\npath = \"/opt/net\"\n";
        let project = Project::new(&format!("{TRACKER}\n{git}"));
        let server = Server::new(|request| match request.target.contains("teapot") {
            true => Reply::status(401).with("WWW-Authenticate", "Basic realm=\"a\""),
            false => Reply::status(404),
        });
        let world = Self { project, server };
        let recipe = Recipe::load(&world.folder().join("images"), "tracker-debian").unwrap();
        let lock = world.folder().join("lockfiles/tracker-debian.lock");
        fs::write(lock, lock_of(&recipe).to_text()).unwrap();
        let place = world.place("data/tiny.zip");
        let data = DATA_SETS.replace("unpinned =", &format!("urls = [\"{place}\"]\nunpinned ="));
        fs::write(world.folder().join("datasets.toml"), data).unwrap();
        fs::create_dir(world.folder().join("data")).unwrap();
        for program in ["uv", "apt-get", "git"] {
            world.with_program(program);
        }
        world
    }

    fn folder(&self) -> &Path {
        self.project.folder.path()
    }

    /// A place of the server with name and password.
    fn place(&self, path: &str) -> String {
        format!("http://me:{SECRET}@{}/{path}", self.server.address())
    }

    /// A helper that keeps its command line, and complains with all that it was told.
    fn with_program(&self, name: &str) {
        let log = self.folder().join("children.txt");
        let text =
            format!("#!/bin/sh\necho {name} \"$@\" >> {}\nexport >&2\nexit 2\n", log.display());
        let place = self.folder().join("bin").join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, text).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, String)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_repro"))
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("HOME", self.folder())
            .env("PATH", format!("{}:/usr/bin:/bin", self.folder().join("bin").display()))
            .env("REPRO_HOME", self.folder().join("store"))
            .env("REPRO_DATA", self.folder().join("data"))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap()
    }

    /// No output and no file but those of the user may have the password.
    fn holds_nothing_secret(&self, arguments: &[&str], variables: &[(&str, String)]) {
        for more in ["-vv", "--json"] {
            let arguments = [arguments, &[more]].concat();
            let output = self.run(&arguments, variables);
            for bytes in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains(SECRET), "{arguments:?} with {variables:?}\n{text}");
            }
        }
        let users =
            ["datasets.toml", "repro.toml", "settings.toml", ".netrc", "config.json", "git.conf"];
        for file in files(self.folder()) {
            let is_users = users.iter().any(|name| file.ends_with(name));
            let text = fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let place = file.display();
            assert!(is_users || !text.contains(SECRET), "{place} after {arguments:?}\n{text}");
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Commands that look at settings, each as far as it comes.
const COMMANDS: [&[&str]; 9] = [
    &["list"],
    &["lock", "tracker-debian"],
    &["build", "tracker-debian"],
    &["run", "--image", "tracker-debian", "--profile", "smoke"],
    &["run", "--image", "tracker-debian", "--profile", "smoke", "--detach"],
    &["doctor", "tracker-debian"],
    &["fetch-data", "tiny"],
    &["fetch-data", "tiny", "--dry-run"],
    &["verify-data", "tiny"],
];

#[test]
fn a_password_of_the_command_line_is_shown_by_no_command() {
    let world = World::new();
    let places = [
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--debian-mirror",
        "--debian-security-mirror",
        "--mirror",
    ];
    let places: Vec<String> =
        places.iter().map(|option| format!("{option}={}", world.place("teapot"))).collect();
    for command in COMMANDS {
        let arguments: Vec<&str> =
            command.iter().copied().chain(places.iter().map(String::as_str)).collect();
        world.holds_nothing_secret(&arguments, &[]);
    }
    fs::remove_file(world.folder().join("lockfiles/tracker-debian.lock")).unwrap();
    let places = places.iter().map(String::as_str);
    let lock: Vec<&str> = ["lock", "tracker-debian"].into_iter().chain(places).collect();
    world.holds_nothing_secret(&lock, &[]);
    let children = fs::read_to_string(world.folder().join("children.txt")).unwrap();
    assert!(children.contains("uv pip compile") || children.contains("apt-get"), "{children}");
}

#[test]
fn a_password_of_the_environment_is_shown_by_no_command() {
    let world = World::new();
    for variables in [
        &["REPRO_INDEX_URL", "REPRO_DEBIAN_MIRROR", "REPRO_MIRROR"][..],
        &["PIP_INDEX_URL", "UV_FIND_LINKS", "REPRO_DEBIAN_SECURITY_MIRROR"],
        &["HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY", "REPRO_INDEX_URL"],
    ] {
        let variables: Vec<_> =
            variables.iter().map(|name| (*name, world.place("teapot"))).collect();
        COMMANDS.iter().for_each(|command| world.holds_nothing_secret(command, &variables));
    }
    let address = world.server.address();
    let mirrors = format!("registry.test=http://me:{SECRET}@{address}/a");
    let variables = [("REPRO_REGISTRY_MIRRORS", mirrors)];
    let digest = format!("registry.test/team/image@sha256:{}", "5".repeat(64));
    world.holds_nothing_secret(&["pull", &digest], &variables);
}

#[test]
fn a_password_that_cannot_be_read_as_an_address_is_not_shown_either() {
    let world = World::new();
    let server = world.server.address();
    for address in [
        format!("http://me:{SECRET}/half@{server}/a"),
        format!("ftp://me:{SECRET}@{server}/a"),
        format!("me:{SECRET}@{server}"),
        format!("http://me:{SECRET}@"),
    ] {
        for (name, command) in [
            ("REPRO_INDEX_URL", &["lock", "tracker-debian"][..]),
            ("HTTPS_PROXY", &["lock", "tracker-debian"]),
            ("REPRO_MIRROR", &["fetch-data", "tiny"]),
            ("HTTP_PROXY", &["fetch-data", "tiny"]),
            ("DOCKER_HOST", &["doctor", "tracker-debian"]),
        ] {
            let variables = [(name, address.clone()), ("REPRO_ENGINE", "docker".to_owned())];
            world.holds_nothing_secret(command, &variables);
        }
    }
}

#[test]
fn a_password_of_a_file_is_shown_by_no_command() {
    let world = World::new();
    let place = world.place("teapot");
    let settings = format!(
        "index-url = \"{place}\"\nextra-index-url = [\"{place}\"]\nfind-links = [\"{place}\"]\n\
         mirror = [\"{place}\"]\ndebian-mirror = [\"{place}\"]\ndebian-security-mirror = [\"{place}\"]\n\
         [registry-mirrors]\n\"registry.test\" = [\"{place}\"]\n"
    );
    fs::write(world.folder().join("repro.toml"), settings).unwrap();
    let git =
        format!("[url \"{place}/\"]\n\tinsteadOf = https://hub.test/\n[http]\n\tproxy = {place}\n");
    fs::write(world.folder().join("git.conf"), git).unwrap();
    let address = world.server.address();
    let login = format!("machine {} login me password {SECRET}\n", address.ip());
    fs::write(world.folder().join(".netrc"), login).unwrap();
    let auths = format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"{SECRET}\"}}}}}}");
    fs::write(world.folder().join("config.json"), auths).unwrap();
    let variables = [
        ("GIT_CONFIG_GLOBAL", world.folder().join("git.conf").display().to_string()),
        ("DOCKER_CONFIG", world.folder().display().to_string()),
    ];
    COMMANDS.iter().for_each(|command| world.holds_nothing_secret(command, &variables));
    let image = format!("{address}/team/image@sha256:{}", "5".repeat(64));
    let digest = format!("registry.test/team/image@sha256:{}", "5".repeat(64));
    for command in [&["pull", &image][..], &["pull", &digest]] {
        world.holds_nothing_secret(command, &variables);
    }
}

#[test]
fn a_wrong_address_of_a_recipe_is_told_without_its_password() {
    let git = format!(
        "[[git]]\nname = \"net\"\nurls = [\"https://me:{SECRET}@hub.test/net.git\"]\n\
         commit = \"0123456789abcdef0123456789abcdef01234567\"\npath = \"/opt/net\"\n"
    );
    let (text, code) = Project::new(&format!("{TRACKER}\n{git}")).error(&["list"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("https://***@hub.test/net.git") && !text.contains(SECRET), "{text}");
}
