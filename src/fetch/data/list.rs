//! Brings published lists of files into the store, each out of the commit that has it.
//!
//! A repository of this disk is read where it is, and only that one file of it; GitHub gives out
//! single files of a commit. Whoever gives it, the list's SHA-256 is what counts.

use std::path::Path;
use std::sync::atomic::Ordering;

use reqwest::Url;

use super::super::client::Publisher;
use super::super::download::{Downloader, NotBrought, Sought};
use super::super::error::{FetchError, Refusal};
use super::super::git::single::{Here, file_of, place_of};
use super::{Crew, Means};
use crate::dataset::{Dataset, GitFile, ListRule};

/// Brings the lists of a data set that are not here; returns which could not be had, and why.
pub(super) fn bring(crew: &Crew<'_>, set: &Dataset) -> Result<Vec<String>, FetchError> {
    let mut failed = Vec::new();
    for rule in set.tree.iter().flat_map(|tree| &tree.lists) {
        let Some(git) = rule.git.as_ref().filter(|_| !crew.means.store.has(&rule.sha256)) else {
            continue;
        };
        if crew.means.stop.load(Ordering::Relaxed) {
            return Err(FetchError::Stopped);
        }
        if let Some(reason) = bring_one(crew, rule, git)? {
            failed.push(format!("the list `{}` could not be had: {reason}", rule.name));
        }
    }
    Ok(failed)
}

/// Brings one list; the reason if that did not go well.
fn bring_one(
    crew: &Crew<'_>,
    rule: &ListRule,
    git: &GitFile,
) -> Result<Option<String>, FetchError> {
    let place = place_of(crew.means.settings, &git.url)?;
    let url = match &place {
        Here::Folder(folder) => return from_folder(crew, rule, git, folder),
        Here::Elsewhere(url) => single_file(url, git),
    };
    let Some(url) = url else {
        return Ok(Some(format!("nobody gives out single files of {}", git.url)));
    };
    if crew.means.settings.offline() {
        return Ok(Some("no network may be asked".to_owned()));
    }
    let Means { store, progress, stop, .. } = crew.means;
    let mut writer = store.resume(&rule.sha256)?;
    let sought = Sought {
        name: &rule.name,
        size: Some(rule.size),
        publisher: Publisher::Web,
        is_pinned: true,
    };
    let downloader = Downloader { client: &crew.client, store, progress, stop };
    match downloader.fill(&mut writer, &url, sought) {
        Ok(()) => Ok(writer
            .finish_as(&rule.name, &rule.sha256, rule.size)
            .err()
            .map(|error| error.to_string())),
        Err(NotBrought::Stopped) => Err(FetchError::Stopped),
        Err(NotBrought::Store(error)) => Err(error.into()),
        Err(NotBrought::Refused(Refusal::NotFound)) => Ok(Some(format!("{url} is not there"))),
        Err(NotBrought::Refused(Refusal::Trouble { last, .. })) => {
            Ok(Some(format!("{last}\n            {url}")))
        }
        Err(NotBrought::Refused(_)) => Ok(Some(format!("{url} has another file"))),
    }
}

fn from_folder(
    crew: &Crew<'_>,
    rule: &ListRule,
    git: &GitFile,
    folder: &Path,
) -> Result<Option<String>, FetchError> {
    let bytes = match file_of(folder, git.commit, &git.path) {
        Ok(bytes) => bytes,
        Err(reason) => return Ok(Some(format!("{}: {reason}", folder.display()))),
    };
    let mut writer = crew.means.store.writer()?;
    writer.write(&bytes)?;
    let kept = writer.finish_as(&rule.name, &rule.sha256, rule.size);
    Ok(kept.err().map(|error| error.to_string()))
}

/// Where GitHub gives out one file of a commit.
fn single_file(url: &str, git: &GitFile) -> Option<Url> {
    let repository = url.strip_prefix("https://github.com/")?.trim_end_matches('/');
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    let (commit, path) = (git.commit, &git.path);
    Url::parse(&format!("https://raw.githubusercontent.com/{repository}/{commit}/{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_files_are_asked_for_by_commit_and_path() {
        let commit = "8aad29fadb226f875df68575533e77acf58978e0";
        let git = GitFile {
            url: "https://github.com/a/b.git".to_owned(),
            commit: commit.parse().unwrap(),
            path: "src/data/x.train".to_owned(),
        };
        let expected = format!("https://raw.githubusercontent.com/a/b/{commit}/src/data/x.train");
        assert_eq!(single_file(&git.url, &git).unwrap().as_str(), expected);
        assert_eq!(single_file("https://git.test/a/b", &git), None);
    }
}
