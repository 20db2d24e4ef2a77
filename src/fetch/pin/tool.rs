//! Runs the two helper programs, uv and apt-get, in clean surroundings.

use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;

use super::PinError;
use crate::address::masked;
use crate::settings::Location;

/// A helper program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    remedy: &'static str,
}

/// Resolves Python requirements.
pub(super) const UV: Tool = Tool { name: "uv", remedy: "pip install uv" };

/// Resolves Debian packages.
pub(super) const APT: Tool = Tool {
    name: "apt-get",
    remedy: "a machine (or container) with Debian, Ubuntu or another system that has apt",
};

impl Tool {
    /// Runs the program with nothing but `environment`; gives what it wrote to standard output.
    ///
    /// `task` completes the sentence "`uv` could not …".
    pub(super) fn run(
        &self,
        environment: &BTreeMap<String, String>,
        task: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<String, PinError> {
        let mut command = Command::new(self.name);
        // With `PATH` among the given variables the program is looked up in it.
        command.env_clear().envs(environment).stdin(Stdio::null());
        prepare(&mut command);
        let output = command.output().map_err(|error| self.unusable(error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let mut stderr = without_credentials(&said, environment);
            if stderr.trim().is_empty() {
                stderr = output.status.to_string();
            }
            let (task, places) = (task.to_owned(), Vec::new());
            return Err(PinError::ToolFailed { tool: self.name, task, places, stderr });
        }
        String::from_utf8(output.stdout).map_err(|_| self.answer("it is not UTF-8".to_owned()))
    }

    /// The program answered something that makes no sense.
    pub(super) fn answer(&self, reason: String) -> PinError {
        PinError::Answer { tool: self.name, reason }
    }

    fn unusable(&self, source: io::Error) -> PinError {
        match source.kind() {
            io::ErrorKind::NotFound => {
                PinError::ToolMissing { tool: self.name, remedy: self.remedy }
            }
            _ => PinError::ToolUnusable { tool: self.name, source },
        }
    }
}

/// Adds to a failed program's error where it was told to look: an unreachable or wrong place
/// is the most likely reason, and only the setting's name says what to change.
pub(super) fn looking_at<'a>(
    locations: impl IntoIterator<Item = &'a Location>,
) -> impl FnOnce(PinError) -> PinError {
    let asked: Vec<_> = locations
        .into_iter()
        .map(|location| format!("asked  {location} ({})", location.setting()))
        .collect();
    move |error| match error {
        PinError::ToolFailed { tool, task, stderr, .. } => {
            PinError::ToolFailed { tool, task, places: asked, stderr }
        }
        error => error,
    }
}

/// Masks each address that the program was given, and what stands before the `@` of every other.
fn without_credentials(text: &str, environment: &BTreeMap<String, String>) -> String {
    static CREDENTIALS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"://[^/\s@]+@").expect("the pattern is valid"));
    let given = environment.values().flat_map(|value| value.split([' ', ',']));
    let text = given
        .filter(|given| masked(given) != *given)
        .fold(text.to_owned(), |text, given| text.replace(given, &masked(given)));
    CREDENTIALS.replace_all(&text, "://***@").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Tool = Tool { name: "repro-no-such-tool", remedy: "nothing helps" };

    #[test]
    fn a_missing_program_is_named_with_what_is_needed() {
        let error = ABSENT.run(&BTreeMap::new(), "do it", |_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`repro-no-such-tool` is not on this machine"), "{text}");
        assert!(text.contains("never to build from one\n  needed  nothing helps"), "{text}");
    }

    #[test]
    fn a_failed_program_is_quoted_without_credentials() {
        let shell = Tool { name: "sh", remedy: "" };
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let error = shell
            .run(&environment, "resolve it", |command| {
                command.args(["-c", "echo at https://me:secret@index.test/simple >&2; exit 3"]);
            })
            .unwrap_err();
        let expected = "`sh` could not resolve it\n  at https://***@index.test/simple";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_program_sees_only_the_given_environment() {
        let shell = Tool { name: "sh", remedy: "" };
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let output = shell.run(&environment, "print", |command| {
            command.args(["-c", "echo ${HOME-unset} ${CARGO_MANIFEST_DIR-unset}"]);
        });
        assert_eq!(output.unwrap(), "unset unset\n");
    }
}
