//! Compares a file that nobody has pinned with the little that is known of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Archive, DatasetError, Progress, at};
use crate::digest::Digest;

/// Checks that what `datasets.toml` knows of an archive holds for the file at `path`, whose
/// SHA-256 and size were measured.
///
/// # Errors
///
/// [`DatasetError::Contradicted`] with everything that does not hold, both sides.
pub fn check_known(
    archive: &Archive,
    path: &Path,
    (sha256, size): (&Digest, u64),
    progress: &dyn Progress,
) -> Result<(), DatasetError> {
    let mut reasons = Vec::new();
    if let Some(known) = archive.size.filter(|known| *known != size) {
        reasons.push(format!(
            "its size is not the known one\n  known  {known} bytes\n  found  {size} bytes"
        ));
    }
    if !archive.checks.is_empty() {
        let mut hasher = archive.checks.hasher();
        let mut file = File::open(path).map_err(at("open", path))?;
        let mut buffer = vec![0; 256 << 10];
        progress.begin("check what is known", size);
        while let count @ 1.. = file.read(&mut buffer).map_err(at("read", path))? {
            if progress.is_stopped() {
                return Err(DatasetError::Stopped);
            }
            hasher.update(&buffer[..count]);
            progress.advance(count as u64);
        }
        progress.finish();
        let compared = archive.checks.compare(hasher, sha256);
        reasons.extend(compared.err().map(|contradiction| contradiction.to_string()));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let evidence = archive.evidence.clone();
    Err(DatasetError::Contradicted { path: path.to_owned(), reasons, evidence })
}
