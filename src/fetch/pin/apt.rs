//! A private root in which apt finds the closure of some packages and checks Debian's signatures.
//!
//! Nothing of this machine's own apt takes part: the folders, the sources, the keys and
//! the (empty) list of installed packages are the root's own. Only credentials for
//! archives (`/etc/apt/auth.conf`) are read. Nothing is downloaded but indexes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::Problems;
use super::tool::{APT, looking_at};
use super::{Context, PinError, uris};
use crate::lock::LockedPackage;
use crate::recipe::DebianRecipe;
use crate::settings::Archive;
use crate::store::StoreError;

/// The root, with indexes that apt has checked.
pub(super) struct Root {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    /// URLs of the archives asked, without credentials: apt prints them so.
    archives: Vec<String>,
}

/// The recipe of the packages; asked only where they are the base.
fn debian_of<'a>(context: &Context<'a>) -> Result<&'a DebianRecipe, PinError> {
    let base = &context.request.recipe.image.base;
    base.debian().ok_or(PinError::NoDebian)
}

impl Root {
    /// Makes a root and lets apt read the archives' indexes into it.
    ///
    /// `preferred` are packages that keep their version wherever the archives still have it. Where
    /// the settings name several archives the first that answers is taken.
    pub(super) fn open(
        context: &Context<'_>,
        preferred: &[&LockedPackage],
    ) -> Result<Self, PinError> {
        let recipe = debian_of(context)?;
        plain("suite", &recipe.suite)?;
        plain("architecture", &recipe.architecture)?;
        if context.settings.offline() {
            return Err(PinError::Offline { what: "the list of Debian packages" });
        }
        let archives = context.settings.debian_archives(&recipe.suite)?;
        (context.progress)("reading the indexes of Debian's archives");
        let mut problems = Problems::default();
        for attempt in attempts(&archives) {
            let root = Self::prepare(context, &attempt, preferred)?;
            let locations = attempt.iter().map(|archive| &archive.location);
            let updated = root.update(&recipe.suite).map_err(looking_at(locations));
            if problems.note(updated).is_some() {
                return Ok(root);
            }
        }
        Err(problems.into_error())
    }

    fn prepare(
        context: &Context<'_>,
        archives: &[&Archive],
        preferred: &[&LockedPackage],
    ) -> Result<Self, PinError> {
        let recipe = debian_of(context)?;
        let folder = context.store.scratch("apt")?;
        for part in [
            "etc/sources.list.d",
            "etc/preferences.d",
            "etc/apt.conf.d",
            "etc/trusted.gpg.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(at("create", &path))?;
        }
        let keyring = context.settings.debian_keyring();
        // apt tells binary from armoured keys by the name's ending.
        let armoured = keyring.extension().is_some_and(|extension| extension == "asc");
        let name = if armoured { "archive.asc" } else { "archive.gpg" };
        fs::copy(&keyring, folder.join("etc/trusted.gpg.d").join(name))
            .map_err(|source| PinError::NoKeyring { path: keyring, source })?;
        let mut environment = context.settings.debian_environment();
        environment.insert("APT_CONFIG".to_owned(), path_text(&folder.join("apt.conf"))?);
        let certificates = environment.get("SSL_CERT_FILE").map(String::as_str);
        let configuration = configuration(&path_text(&folder)?, &recipe.architecture, certificates);
        let sources = sources(archives, &recipe.suite, &recipe.architecture);
        for (name, content) in [
            ("apt.conf", configuration),
            ("etc/sources.list.d/debian.sources", sources),
            ("etc/preferences.d/previous", preferences(preferred)),
            ("status", String::new()),
        ] {
            let path = folder.join(name);
            fs::write(&path, content).map_err(at("write", &path))?;
        }
        let archives = archives.iter().map(|archive| without_credentials(archive)).collect();
        Ok(Self { folder, environment, archives })
    }

    fn update(&self, suite: &str) -> Result<(), PinError> {
        let task = format!("read the indexes of `{suite}`");
        let output = APT.run(&self.environment, &task, |command| {
            command.current_dir(&self.folder).args(["update", "-qq"]);
        });
        output.map(drop)
    }

    /// The packages named and everything they depend on, sorted by name; recommendations are left out.
    ///
    /// A name may carry a version, `libc6=2.31-13`. `purpose` ends the sentence "… for `mmcv`".
    pub(super) fn closure(
        &self,
        purpose: &str,
        names: &[String],
    ) -> Result<Vec<LockedPackage>, PinError> {
        let task = format!("resolve the Debian packages for {purpose}");
        let output = APT.run(&self.environment, &task, |command| {
            command
                .current_dir(&self.folder)
                .args(["install", "--print-uris", "-qq", "--yes", "--no-install-recommends", "--"])
                .args(names);
        })?;
        uris::parse(&output, &self.archives)
    }
}

/// One main and one security archive for each attempt, in the order of the settings.
fn attempts(archives: &[Archive]) -> Vec<Vec<&Archive>> {
    let (security, main): (Vec<_>, Vec<_>) = archives.iter().partition(|archive| archive.security);
    let pick = |list: &[&'_ Archive], index: usize| -> Option<usize> {
        list.len().checked_sub(1).map(|last| last.min(index))
    };
    (0..main.len().max(security.len()))
        .map(|index| {
            let main = pick(&main, index).map(|place| main[place]);
            let security = pick(&security, index).map(|place| security[place]);
            main.into_iter().chain(security).collect()
        })
        .collect()
}

fn configuration(folder: &str, architecture: &str, certificates: Option<&str>) -> String {
    let certificates =
        certificates.map_or(String::new(), |file| format!("Acquire::https::CaInfo \"{file}\";\n"));
    format!(
        r#"Dir "{folder}";
Dir::Etc "{folder}/etc";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "{folder}/etc/apt.conf.d";
Dir::Etc::sourcelist "{folder}/etc/sources.list";
Dir::Etc::sourceparts "{folder}/etc/sources.list.d";
Dir::Etc::preferences "{folder}/etc/preferences";
Dir::Etc::preferencesparts "{folder}/etc/preferences.d";
Dir::Etc::trusted "{folder}/etc/trusted.gpg";
Dir::Etc::trustedparts "{folder}/etc/trusted.gpg.d";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "3";
// The indexes of a release that has ended are never dated again; the signature counts.
Acquire::Check-Valid-Until "false";
{certificates}"#
    )
}

fn sources(archives: &[&Archive], suite: &str, architecture: &str) -> String {
    let source = |archive: &&Archive| {
        format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nArchitectures: {architecture}\n\n",
            archive.location.url(),
            archive.suites(suite).join(" "),
        )
    };
    archives.iter().map(source).collect()
}

/// Above 1000 a pin holds even where the archives have something newer (apt_preferences(5)).
fn preferences(packages: &[&LockedPackage]) -> String {
    let pin = |package: &&LockedPackage| {
        format!(
            "Package: {}\nPin: version {}\nPin-Priority: 1001\n\n",
            package.name, package.version
        )
    };
    packages.iter().map(pin).collect()
}

/// apt takes credentials out of the URLs that it prints.
fn without_credentials(archive: &Archive) -> String {
    let mut url = archive.location.url().clone();
    // Only URLs without a host refuse this, and those have no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let text = url.to_string();
    // apt writes `file:/srv`, not `file:///srv`.
    text.strip_prefix("file:///").map(|path| format!("file:/{path}")).unwrap_or(text)
}

/// Refuses what would mean something else in apt's files.
fn plain(key: &'static str, value: &str) -> Result<(), PinError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.chars().all(is_plain) {
        return Ok(());
    }
    Err(PinError::Platform {
        key,
        value: value.to_owned(),
        expected: "lower-case letters, digits, `-` and `.`",
    })
}

/// apt's configuration has no way to write a quote.
fn path_text(path: &Path) -> Result<String, PinError> {
    let text = path.to_str().filter(|text| !text.contains(['"', '\n']));
    text.map(str::to_owned)
        .ok_or_else(|| APT.answer(format!("it cannot work below `{}`", path.display())))
}

fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> PinError + 'a {
    move |source| PinError::Store(StoreError::Io { action, path: path.to_owned(), source })
}
