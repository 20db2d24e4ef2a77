//! The files beside a record: log, arrivals, conditions, the guide's record, kept outputs.

use std::io;
use std::path::{Path, PathBuf};

use super::Checked;
use crate::bench::{RunRecord, Status};
use crate::digest::{Digest, hash_reader};
use crate::named_file;

/// What was found, as far as it is what the record names.
#[derive(Debug, Default)]
pub(super) struct Beside {
    folder: PathBuf,
    /// Where the log lies, with its arrivals where figures need them.
    pub log: Option<PathBuf>,
    /// The text of the file that says when its pieces arrived.
    pub arrivals: Option<String>,
}

/// Compares every file that the record names by digest; returns what figures are computed from.
pub(super) fn check(record: &RunRecord, folder: &Path, checked: &mut Checked) -> Beside {
    let mut beside = Beside { folder: folder.to_owned(), ..Beside::default() };
    if let Some(log) = &record.log {
        let place = folder.join(&log.file);
        let is_whole = same(&place, "log", (&log.digest, Some(log.size)), checked);
        beside.log = is_whole.then_some(place);
        if let Some(arrivals) = &log.arrivals {
            let place = folder.join(&arrivals.file);
            let bytes = named(&place, "log.arrivals", (&arrivals.digest, None), checked);
            beside.arrivals = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            if beside.arrivals.is_none() {
                // Without them the log gives other figures.
                beside.log = None;
            }
        }
        if beside.log.is_none() && !matches!(record.status, Status::Skipped(_)) {
            checked.cannot("steps: they are taken from the record itself, not from its log".into());
        }
    }
    let conditions = record.conditions.as_ref();
    let named_file = conditions.and_then(|it| it.file.as_ref().zip(it.digest.as_ref()));
    if let Some((file, digest)) = named_file {
        named(&folder.join(file), "conditions", (digest, None), checked);
    }
    outputs(record, folder, checked);
    beside
}

/// The bytes of a file, if they are those that the record names.
fn named(
    place: &Path,
    what: &str,
    (digest, size): (&Digest, Option<u64>),
    checked: &mut Checked,
) -> Option<Vec<u8>> {
    same(place, what, (digest, size), checked).then(|| named_file::read(place).ok()).flatten()
}

/// Whether a file is the one that the record names.
fn same(
    place: &Path,
    what: &str,
    (digest, size): (&Digest, Option<u64>),
    checked: &mut Checked,
) -> bool {
    let (found, found_size) = match named_file::open(place).and_then(hash_reader) {
        Ok(found) => found,
        Err(error) => {
            checked.cannot(missing(what, place, &error));
            return false;
        }
    };
    if found != *digest {
        checked.differs(&format!("{what}.digest"), found.to_string(), digest.to_string());
    }
    if let Some(size) = size.filter(|size| *size != found_size) {
        checked.differs(&format!("{what}.size"), found_size.to_string(), size.to_string());
    }
    found == *digest
}

fn missing(what: &str, place: &Path, error: &io::Error) -> String {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{what}: `{name}` does not lie beside the record"),
        _ => format!("{what}: `{name}` cannot be read: {error}"),
    }
}

/// Kept outputs are hashed piece by piece: they may be large.
fn outputs(record: &RunRecord, folder: &Path, checked: &mut Checked) {
    for (name, output) in &record.outputs {
        for file in &output.files {
            let place = folder.join(&file.file);
            match named_file::open(&place).and_then(hash_reader) {
                Ok((digest, _)) if digest == file.digest => {}
                Ok((digest, _)) => checked.differs(
                    &format!("outputs.{name}.digest"),
                    digest.to_string(),
                    file.digest.to_string(),
                ),
                Err(error) => checked.cannot(missing(&format!("outputs.{name}"), &place, &error)),
            }
        }
    }
}

impl Beside {
    /// Compares the guide's record beside this one with what its script would write.
    pub(super) fn compare_guide_record(
        &self,
        expected: Option<&(String, String)>,
        record: &RunRecord,
        checked: &mut Checked,
    ) {
        let (Some((_, expected)), Some(name)) = (expected, &record.guide_record) else { return };
        match named_file::read_text(&self.folder.join(name)) {
            Ok(found) if found == *expected => {}
            Ok(found) => checked.differs(&format!("`{name}`"), expected.clone(), found),
            Err(error) => {
                checked.cannot(missing("the guide's record", &self.folder.join(name), &error));
            }
        }
    }
}
