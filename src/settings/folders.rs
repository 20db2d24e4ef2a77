//! The folders: project, store, data, results.

use std::path::{Path, PathBuf};

use super::file::SettingsFile;
use super::{Environment, Options, SettingsError};

/// What makes a folder a project.
const MARKS: [&str; 2] = ["images", "lockfiles"];

/// Where the project is, if there is one.
pub(super) fn project(
    options: &Options,
    environment: &Environment,
) -> Result<Option<PathBuf>, SettingsError> {
    let named = options.project.clone().or_else(|| environment.path("REPRO_PROJECT"));
    let Some(named) = named else {
        let above = environment.folder().ancestors();
        return Ok(above.map(Path::to_owned).find(|folder| missing_marks(folder).is_empty()));
    };
    let path = environment.folder().join(named);
    let missing = missing_marks(&path);
    if missing.is_empty() {
        Ok(Some(path))
    } else {
        Err(SettingsError::NotAProject { path, missing })
    }
}

fn missing_marks(folder: &Path) -> Vec<String> {
    let missing = MARKS.iter().filter(|mark| !folder.join(mark).is_dir());
    missing.map(|mark| format!("`{mark}`")).collect()
}

/// Where the store is.
pub(super) fn store(
    files: &[SettingsFile],
    environment: &Environment,
) -> Result<PathBuf, SettingsError> {
    if let Some(path) = environment.path("REPRO_HOME") {
        return Ok(path);
    }
    if let Some(path) = files.iter().find_map(|file| file.path(file.content.store.as_deref())) {
        return Ok(path);
    }
    let data = match environment.base_folder("XDG_DATA_HOME") {
        Some(folder) => folder,
        None => environment.home()?.join(".local/share"),
    };
    Ok(data.join("repro"))
}

/// Where datasets lie.
pub(super) fn data(
    options: &Options,
    files: &[SettingsFile],
    environment: &Environment,
) -> Option<PathBuf> {
    let named = options.data.as_ref().map(|data| environment.folder().join(data));
    named
        .or_else(|| environment.path("REPRO_DATA"))
        .or_else(|| files.iter().find_map(|file| file.path(file.content.data.as_deref())))
}

/// Where descriptions of GPUs are, if anybody said so; in a variable they are separated by colons.
pub(super) fn cdi(files: &[SettingsFile], environment: &Environment) -> Option<Vec<PathBuf>> {
    let split = |text: &str| {
        let folders = text.split(':').filter(|folder| !folder.is_empty());
        folders.map(|folder| environment.folder().join(folder)).collect()
    };
    let of_file = |file: &SettingsFile| {
        let folders = file.content.cdi_folders.as_ref()?.iter();
        Some(folders.map(|folder| file.folder().join(folder)).collect())
    };
    let named = environment.variable("REPRO_CDI_FOLDERS").map(split);
    named.or_else(|| files.iter().find_map(of_file))
}

/// Where run folders are made.
pub(super) fn results(
    options: &Options,
    files: &[SettingsFile],
    project: Option<&Path>,
    environment: &Environment,
) -> PathBuf {
    let named = options.results.as_ref().map(|results| environment.folder().join(results));
    named
        .or_else(|| environment.path("REPRO_RESULTS"))
        .or_else(|| files.iter().find_map(|file| file.path(file.content.results.as_deref())))
        .unwrap_or_else(|| project.unwrap_or(environment.folder()).join("results"))
}
