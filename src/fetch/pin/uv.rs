//! Asks uv which versions satisfy some requirements, for another Python, another platform and as of a date.
//!
//! uv is kept from building anything: source distributions count only where the recipe
//! declares their requirements (`dependency-metadata`), so no `setup.py` ever runs.
//! Locations go to uv by environment variables, because they may hold credentials.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::error::Problems;
use super::names::requirement_name;
use super::pylock::{self, Distribution};
use super::timeless::Timeless;
use super::tool::{UV, looking_at};
use super::{Context, PinError};
use crate::fetch::FetchError;
use crate::fetch::client::{Ask, Client, Publisher, Request};
use crate::fetch::error::{Refusal, Tried};
use crate::fetch::offers::recipe_links;
use crate::fetch::retry::Ending;
use crate::recipe::BuildRecipe;
use crate::settings::{Location, PythonSources};
use crate::store::StoreError;

/// What is to be resolved together.
pub(super) struct Question<'a> {
    /// Ends the sentence "… the wheels for `seg-debian`".
    pub(super) purpose: String,
    pub(super) requirements: Vec<String>,
    /// Source distributions that may take part.
    pub(super) builds: &'a [BuildRecipe],
    /// Others that may, without what they require.
    pub(super) sources: Vec<String>,
    /// Names and versions that stay wherever they satisfy the requirements.
    pub(super) preferred: Vec<(String, String)>,
}

/// uv with everything that stays the same from question to question.
pub(super) struct Uv<'a> {
    context: &'a Context<'a>,
    sources: PythonSources,
    /// Places of the recipe that did not answer, and what came of it.
    silent: Vec<Tried>,
    environment: BTreeMap<String, String>,
    cache: PathBuf,
    platform: String,
    /// Nothing uploaded later exists.
    cutoff: String,
    /// What that cannot hold for.
    timeless: Timeless,
}

impl<'a> Uv<'a> {
    pub(super) fn new(context: &'a Context<'a>, platform: String) -> Result<Self, PinError> {
        if context.settings.offline() {
            return Err(PinError::Offline { what: "the list of Python packages" });
        }
        let cutoff = cutoff(&context.request.recipe.image.python.as_of)?;
        let mut environment = context.settings.python_environment()?;
        let mut sources = context.settings.python_sources()?.clone();
        let (answering, silent) = links_of_recipe(context)?;
        sources.find_links.extend(answering);
        environment.extend(locations(&sources));
        for (name, value) in [
            // A Python to ask questions of is enough, and any version is.
            ("UV_PYTHON_DOWNLOADS", "never"),
            // One switch under its old and its new name.
            ("UV_NATIVE_TLS", "1"),
            ("UV_SYSTEM_CERTS", "1"),
            ("UV_NO_PROGRESS", "1"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        let cache = context.store.scratch("uv-cache")?;
        let timeless = Timeless::default();
        Ok(Self { context, sources, silent, environment, cache, platform, cutoff, timeless })
    }

    /// The error of places of the recipe that did not answer, if there are any.
    pub(super) fn silence(self) -> Option<PinError> {
        let tried = self.silent;
        (!tried.is_empty()).then_some(PinError::NoLinks { tried })
    }

    /// The distributions that satisfy `question`, sorted by name.
    pub(super) fn resolve(&self, question: &Question<'_>) -> Result<Vec<Distribution>, PinError> {
        pylock::parse(&self.ask(question)?)
    }

    /// What uv writes for `question`.
    pub(super) fn ask(&self, question: &Question<'_>) -> Result<String, PinError> {
        check(question)?;
        (self.context.progress)(&format!("resolving the wheels for {}", question.purpose));
        let folder = self.context.store.scratch("uv")?;
        let python = &self.context.request.recipe.image.python;
        if !question.preferred.is_empty() {
            // uv keeps to the versions of an output file that is there already.
            write(&folder.join("pylock.toml"), &pylock::preferring(&question.preferred))?;
        }
        write(&folder.join("uv.toml"), &configuration(question.builds, &question.sources))?;
        write(&folder.join("requirements.in"), &(question.requirements.join("\n") + "\n"))?;
        let task = format!("resolve the wheels for {}", question.purpose);
        let run = || {
            UV.run(&self.environment, &task, |command| {
                command.current_dir(&folder).args(["pip", "compile", "--quiet"]);
                command.args(["--config-file", "uv.toml"]).arg("--cache-dir").arg(&self.cache);
                command.args(["--python-version", &python.version]);
                command.args(["--python-platform", &self.platform]);
                command.args(self.timeless.options(&self.cutoff));
                command.args(["--no-header", "--no-annotate", "--format", "pylock.toml"]);
                command.args(["--output-file", "pylock.toml", "requirements.in"]);
            })
        };
        let mut answer = run();
        // Each answer names the next projects that a date leaves nothing of, so it ends with the projects.
        while let Err(PinError::ToolFailed { stderr, .. }) = &answer {
            if !self.learn(stderr)? {
                break;
            }
            answer = run();
        }
        answer.map_err(looking_at(self.sources.indexes.iter().chain(&self.sources.find_links)))?;
        let path = folder.join("pylock.toml");
        fs::read_to_string(&path).map_err(|error| UV.answer(error.to_string()))
    }

    /// Whether something asked for comes from an index that tells no upload time, and nobody knew yet.
    fn learn(&self, stderr: &str) -> Result<bool, PinError> {
        let client = Client::new(self.context.settings)?;
        let new = self.timeless.learn(&client, &self.sources, stderr);
        if !new.is_empty() {
            (self.context.progress)(&format!(
                "the index tells no upload time of `{}`: `as-of` cannot hold for it",
                new.join("`, `")
            ));
        }
        Ok(!new.is_empty())
    }
}

/// The places of wheels that the recipe names: those that answer, and what came of asking the others.
///
/// uv refuses everything if one of them does not answer, and most wheels come from elsewhere.
fn links_of_recipe(context: &Context<'_>) -> Result<(Vec<Location>, Vec<Tried>), PinError> {
    let pages = &context.request.recipe.image.python.find_links;
    let (mut answering, mut silent) = (Vec::new(), Vec::new());
    if pages.is_empty() {
        return Ok((answering, silent));
    }
    let client = Client::new(context.settings)?;
    for location in recipe_links(pages, context.settings.project().ok()) {
        let url = location.url().clone();
        let publisher = Publisher::Python;
        let request = Request { publisher, url, accept: None, from: 0, of_version: None };
        let refusal = match location.url().to_file_path() {
            Ok(path) if path.exists() => None,
            Ok(_) => Some(Refusal::NotFound),
            // The page is never read here: dropping the answer ends the transfer.
            Err(()) => match client.ask(&request, &AtomicBool::new(false)) {
                Ok(Some(_)) => None,
                Ok(None) => Some(Refusal::NotFound),
                Err(Ending::Trouble(last)) => Some(Refusal::Trouble { attempts: 1, last }),
                Err(Ending::Stopped) => return Err(FetchError::Stopped.into()),
            },
        };
        match refusal {
            None => answering.push(location),
            Some(refusal) => {
                let (url, setting) = (location.to_string(), location.setting().to_owned());
                silent.push(Tried { url, setting, refusal });
            }
        }
    }
    Ok((answering, silent))
}

/// The last second of the date: what was uploaded on that day belongs to it.
fn cutoff(as_of: &str) -> Result<String, PinError> {
    let expected = "a date such as `2026-11-20`";
    let date: jiff::civil::Date = as_of.parse().map_err(|_| PinError::Platform {
        key: "as-of",
        value: as_of.to_owned(),
        expected,
    })?;
    Ok(format!("{date}T23:59:59Z"))
}

/// uv takes the first index that knows a name, and its default index last.
fn locations(sources: &PythonSources) -> BTreeMap<String, String> {
    let urls = |list: &[Location], separator: &str| {
        let urls: Vec<_> = list.iter().map(|location| location.url().as_str()).collect();
        urls.join(separator)
    };
    let mut variables = BTreeMap::new();
    match sources.indexes.split_last() {
        Some((last, first)) => {
            variables.insert("UV_DEFAULT_INDEX".to_owned(), last.url().to_string());
            variables.insert("UV_INDEX".to_owned(), urls(first, " "));
        }
        None => {
            variables.insert("UV_NO_INDEX".to_owned(), "1".to_owned());
        }
    }
    variables.insert("UV_FIND_LINKS".to_owned(), urls(&sources.find_links, ","));
    variables.retain(|_, value| !value.is_empty());
    variables
}

/// `no-build` with `no-binary-package` means: wheels only, except that these come from source.
///
/// The metadata carries no version: where the version differs uv falls back to running `setup.py`
/// (seen with 0.13.9); without one it holds for every version.
fn configuration(builds: &[BuildRecipe], sources: &[String]) -> String {
    let built = builds.iter().map(|build| (build.name.clone(), build.requires.clone()));
    let named = sources.iter().map(|name| (name.clone(), Vec::new()));
    let all: Vec<(String, Vec<String>)> = built.chain(named).collect();
    let names: Vec<_> = all.iter().map(|(name, _)| name.clone()).collect();
    let mut text = format!("no-build = true\nno-binary-package = {}\n", toml::Value::from(names));
    for (name, requires) in all {
        text.push_str(&format!(
            "\n[[dependency-metadata]]\nname = {}\nrequires-dist = {}\n",
            toml::Value::from(name),
            toml::Value::from(requires),
        ));
    }
    text
}

/// Refuses what uv would read as something else than a requirement.
fn check(question: &Question<'_>) -> Result<(), PinError> {
    let declared = question.builds.iter().flat_map(|build| &build.requires);
    let mut problems = Problems::default();
    for text in question.requirements.iter().chain(declared) {
        problems.note(requirement_name(text));
    }
    problems.finish(())
}

fn write(path: &Path, text: &str) -> Result<(), PinError> {
    fs::write(path, text).map_err(|source| {
        PinError::Store(StoreError::Io { action: "write", path: path.to_owned(), source })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_built_but_what_the_recipe_declares() {
        let build = BuildRecipe {
            name: "mmcv".to_owned(),
            version: "1.3.13".to_owned(),
            git: None,
            requires: vec!["addict".to_owned(), "yapf; python_version > \"3\"".to_owned()],
            packages: Vec::new(),
            wheels: Vec::new(),
            env: BTreeMap::new(),
            command: Vec::new(),
            local: BTreeMap::new(),
            profile: None,
            outputs: BTreeMap::new(),
            repeatable: true,
            reason: String::new(),
        };
        let text = configuration(&[build], &[]);
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["no-build"].as_bool(), Some(true));
        assert_eq!(read["no-binary-package"].as_array().unwrap().len(), 1);
        let metadata = &read["dependency-metadata"][0];
        assert!(metadata.get("version").is_none(), "a version lets uv run setup.py for others");
        assert_eq!(metadata["requires-dist"][1].as_str(), Some("yapf; python_version > \"3\""));
    }

    #[test]
    fn a_date_ends_with_its_last_second_everywhere() {
        assert_eq!(cutoff("2026-11-20").unwrap(), "2026-11-20T23:59:59Z");
        for text in ["", "20.11.2026", "2026-13-01", "yesterday"] {
            assert!(cutoff(text).unwrap_err().to_string().contains("expected  a date"), "{text}");
        }
    }
}
