//! One file of a commit, out of a repository of this disk that may lack everything else.

use std::path::{Path, PathBuf};

use git2::{Odb, Repository};

use super::place::Target;
use super::{local, oid, place};
use crate::digest::CommitId;
use crate::fetch::error::FetchError;
use crate::settings::Settings;

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fetch) enum Here {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// At this address.
    Elsewhere(String),
}

/// Where git's configuration says that the repository `url` is.
pub(in crate::fetch) fn place_of(settings: &Settings, url: &str) -> Result<Here, FetchError> {
    let place = settings.git()?.place(url).url;
    let folder = settings.project().map_or_else(|_| "/".into(), Path::to_owned);
    Ok(match place::target(place.whole(), &folder) {
        Target::Local(path) => Here::Folder(path),
        Target::Http(_) | Target::Other(_) => Here::Elsewhere(place.whole().to_owned()),
    })
}

/// The content of the file at `path` in a commit of the repository in `folder`; the reason if it
/// cannot be had.
pub(in crate::fetch) fn file_of(
    folder: &Path,
    commit: CommitId,
    path: &str,
) -> Result<Vec<u8>, String> {
    let objects = local::objects(folder).ok_or("there is no git repository")?;
    let folders = [vec![objects.clone()], local::alternates(&objects)].concat();
    read(&folders, commit, path).map_err(|error| error.message().to_owned())
}

fn read(folders: &[PathBuf], commit: CommitId, path: &str) -> Result<Vec<u8>, git2::Error> {
    let odb = Odb::new()?;
    for folder in folders.iter().filter_map(|folder| folder.to_str()) {
        odb.add_disk_alternate(folder)?;
    }
    let repository = Repository::from_odb(odb)?;
    let tree = repository.find_commit(oid(commit))?.tree()?;
    let entry = tree.get_path(Path::new(path))?;
    Ok(repository.find_blob(entry.id())?.content().to_vec())
}
