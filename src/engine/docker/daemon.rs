//! A connection to one daemon, and what kind of daemon it is.

use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker as Client};

use crate::engine::EngineError;
use crate::settings::DaemonAddress;

/// How long a daemon that is asked for the first time may think: `auto` must stay quick.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// How long a daemon may think about anything else. Pulling and loading take as long as the image is
/// large, and creating a container waits until its writable folders are copied; the client library's
/// own limit of two minutes covers the whole request.
const ANSWER: Duration = Duration::from_secs(24 * 3600);

/// The first version of the interface with `MaskedPaths` and `DeviceRequests` (Docker 19.03).
const OLDEST: (u32, u32) = (1, 40);

/// The first version in which everything below a read-only mount is read-only too (Docker 25).
const RECURSIVE: (u32, u32) = (1, 44);

/// What a daemon says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// Whether it is podman, which reads some options otherwise.
    pub(super) is_podman: bool,
    /// Whether what is mounted below a read-only mount can be written to.
    pub(super) leaks_submounts: bool,
}

/// One daemon, as long as one runtime lives.
pub(super) struct Daemon {
    pub(super) client: Client,
    pub(super) kind: Kind,
    address: DaemonAddress,
}

impl Daemon {
    /// Connects, and asks whether jobs of this machine's kind can run there.
    pub(super) async fn connect(address: &DaemonAddress) -> Result<Self, EngineError> {
        let refused = |reason: String| EngineError::Daemon {
            action: "use the Docker daemon".to_owned(),
            address: address.to_string(),
            reason,
        };
        let seconds = FIRST_ANSWER.as_secs();
        let client = match address {
            DaemonAddress::Socket(path) => {
                Client::connect_with_unix(&path.to_string_lossy(), seconds, API_DEFAULT_VERSION)
            }
            DaemonAddress::Tcp(place) => {
                Client::connect_with_http(place.whole(), seconds, API_DEFAULT_VERSION)
            }
        };
        let client = client.map_err(|error| refused(words(&error)))?;
        let client = client.negotiate_version().await.map_err(|error| refused(words(&error)))?;
        let version = client.version().await.map_err(|error| refused(words(&error)))?;
        let os = version.os.unwrap_or_default();
        let processor = version.arch.unwrap_or_default();
        if os != "linux" || processor != own_processor() {
            return Err(refused(format!(
                "it runs {os}/{processor}, not linux/{}",
                own_processor()
            )));
        }
        let api = version.api_version.unwrap_or_default();
        let number = parse_version(&api).filter(|number| *number >= OLDEST);
        let Some(number) = number else {
            return Err(refused(format!("it speaks version `{api}`, older than 1.40")));
        };
        let components = version.components.unwrap_or_default();
        let is_podman = components.iter().any(|part| part.name.contains("Podman"));
        let kind = Kind { is_podman, leaks_submounts: is_podman || number < RECURSIVE };
        Ok(Self { client: client.with_timeout(ANSWER), kind, address: address.clone() })
    }

    /// Turns the client library's errors into ours; `action` is a verb with its object.
    pub(super) fn failed(&self, action: impl Into<String>) -> impl FnOnce(Error) -> EngineError {
        let (action, address) = (action.into(), self.address.to_string());
        move |error| EngineError::Daemon { action, address, reason: words(&error) }
    }

    /// Whether it is asked through a socket of this machine.
    pub(super) fn address(&self) -> &DaemonAddress {
        &self.address
    }
}

fn own_processor() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The daemon's own words, or the whole chain of causes.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::RequestTimeoutError => "it does not answer".to_owned(),
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                let more = error.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                cause = error.source();
            }
            text
        }
    }
}

/// Whether the daemon said that it has no such thing.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert_eq!(parse_version("1.41"), Some((1, 41)));
        assert!(parse_version("1.9").unwrap() < OLDEST);
        assert!(parse_version("1.44").unwrap() >= RECURSIVE);
        assert_eq!(parse_version("dev"), None);
    }

    #[test]
    fn a_daemon_that_is_not_there_is_an_error_with_its_address() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let nowhere = DaemonAddress::Socket("/nowhere/docker.sock".into());
        let Err(error) = runtime.block_on(Daemon::connect(&nowhere)) else { panic!("connected") };
        assert!(error.to_string().contains("unix:///nowhere/docker.sock"), "{error}");
    }
}
