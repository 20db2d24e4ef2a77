//! Debian archives: what the user set, else what apt's own sources say.
//!
//! apt's sources name the release of this machine; their archives serve other
//! releases from the same root, so the roots are all that is taken from them.

use super::apt::{self, AptSource};
use super::file::SettingsFile;
use super::python::Said;
use super::{Credentials, Location, Settings, SettingsError};
use crate::address::Address;

/// The root of one Debian archive: what `dists/` and `pool/` lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub location: Location,
    /// Whether it holds security updates only.
    pub security: bool,
}

impl Archive {
    /// The suites of release `suite` that this archive has: `bullseye` and `bullseye-updates`, or
    /// `bullseye-security`.
    pub fn suites(&self, suite: &str) -> Vec<String> {
        match (self.security, suite) {
            // The security archive's suites were named so until Debian 10.
            (true, "jessie" | "stretch" | "buster") => vec![format!("{suite}/updates")],
            (true, _) => vec![format!("{suite}-security")],
            (false, _) => vec![suite.to_owned(), format!("{suite}-updates")],
        }
    }
}

/// Names that Debian gives its releases; other suites in apt's sources are other people's archives.
const RELEASES: [&str; 14] = [
    "jessie",
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

pub(super) fn resolve(settings: &Settings, suite: &str) -> Result<Vec<Archive>, SettingsError> {
    let options = &settings.options;
    let main = own(settings, "debian-mirror", &options.debian_mirror);
    let security = own(settings, "debian-security-mirror", &options.debian_security_mirror);
    let of_apt = if main.is_some() && security.is_some() {
        Vec::new()
    } else {
        archives_of(apt::sources(&settings.environment)?, suite)?
    };
    let mut archives = Vec::new();
    for (said, security) in [(main, false), (security, true)] {
        match said {
            Some(said) => archives.extend(
                said.locations()?.into_iter().map(|location| Archive { location, security }),
            ),
            None => archives
                .extend(of_apt.iter().filter(|archive| archive.security == security).cloned()),
        }
    }
    let credentials = Credentials::of_apt(&settings.environment);
    for archive in &mut archives {
        let location = archive.location.clone();
        archive.location = location.with_credentials(|url| credentials.add_to_archive(url));
    }
    if archives.iter().any(|archive| !archive.security) {
        return Ok(archives);
    }
    Err(SettingsError::NoArchive { suite: suite.to_owned() })
}

/// What is set for `repro` itself under `key`.
pub(super) fn own(settings: &Settings, key: &str, argument: &[Address]) -> Option<Said> {
    let variable = format!("REPRO_{}", key.to_uppercase().replace('-', "_"));
    let environment = &settings.environment;
    Said::by_argument(argument, &format!("--{key}"), environment.folder())
        .or_else(|| Said::by_variable(environment, &variable))
        .or_else(|| settings.files.iter().find_map(|file: &SettingsFile| file.locations(key)))
}

/// The archives among apt's sources that are Debian's, those with Debian's own key first.
fn archives_of(mut sources: Vec<AptSource>, suite: &str) -> Result<Vec<Archive>, SettingsError> {
    sources.retain(|source| is_debians(source, suite));
    sources.sort_by_key(|source| source.has_other_key);
    let mut archives: Vec<Archive> = Vec::new();
    for source in sources {
        let security = release_and_kind(&source.suite).1;
        let location = source.location()?;
        let is_known =
            |known: &Archive| known.location.url() == location.url() && known.security == security;
        if !archives.iter().any(is_known) {
            archives.push(Archive { location, security });
        }
    }
    Ok(archives)
}

fn is_debians(source: &AptSource, suite: &str) -> bool {
    let (release, _) = release_and_kind(&source.suite);
    let is_release = RELEASES.contains(&release) || release == suite;
    is_release && source.components.iter().any(|component| component == "main")
}

/// `bookworm-security` is release `bookworm`, and security updates.
fn release_and_kind(suite: &str) -> (&str, bool) {
    for (ending, security) in [
        ("-security", true),
        ("/updates", true),
        ("-proposed-updates", false),
        ("-updates", false),
        ("-backports", false),
    ] {
        if let Some(release) = suite.strip_suffix(ending) {
            return (release, security);
        }
    }
    (suite, false)
}
