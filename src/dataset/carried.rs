//! The archives of a data set as somebody else's project would hold them.

use std::path::{Path, PathBuf};

use super::{Dataset, DatasetError, Datasets};

/// The archives of `set`: where each would lie in a project of its own, and where it is here.
///
/// # Errors
///
/// [`DatasetError::Archive`] for the first that is not here.
pub fn archives(
    datasets: &Datasets,
    set: &Dataset,
    data: Option<&Path>,
) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let mut found = Vec::new();
    for archive in &set.archives {
        let path = datasets.archive_path(set, archive, data);
        if !path.is_file() {
            let reason = "it is not there, so it cannot be carried".to_owned();
            return Err(DatasetError::Archive { path, reason });
        }
        let inside = || format!("{}/{}", set.name, archive.file);
        found.push((archive.path.clone().unwrap_or_else(inside), path));
    }
    Ok(found)
}
