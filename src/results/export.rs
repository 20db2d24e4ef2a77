//! The guides' own records and logs, in the guides' folders, for whoever collects them.
//!
//! What leaves the machine is scrubbed unless the user says otherwise. A scrubbed log is another file than the
//! one that the run record names, so a list (`repro-export.json`) goes along that names both by
//! digest and says how much was taken out. Nothing that is there already is written over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::scrub::{Counts, Known, Scrubber};
use super::{ResultsError, Stored};
use crate::bench::{self, Layout, RunRecord, Status};
use crate::digest::Digest;
use crate::recipe::Recipe;
use crate::store::write_whole;

/// Name of the list of what was exported.
pub const LIST: &str = "repro-export.json";

/// How to export.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Folder to write to.
    pub folder: &'a Path,
    /// What is known of the machine; nothing is scrubbed without.
    pub known: Option<&'a Known>,
}

/// What was exported of one record.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// The run.
    pub run: String,
    /// The case.
    pub case: String,
    /// The image.
    pub image: String,
    /// Its seal.
    pub seal: Digest,
    /// The guide's record, if the guide has one.
    pub record: Option<ExportedFile>,
    /// The log.
    pub log: Option<ExportedFile>,
    /// What there was none of, one fragment each.
    pub left_out: Vec<String>,
}

/// A file that was written.
#[derive(Debug, Clone, Serialize)]
pub struct ExportedFile {
    /// Relative to the folder of the export.
    pub file: PathBuf,
    /// Digest of what was written.
    pub digest: Digest,
    /// Bytes of it.
    pub size: u64,
    /// Digest of what it was made of, where something was taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Digest>,
    /// How much was taken out, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub found: Counts,
    /// The bytes.
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// Writes the guides' records and logs of `records` below a folder; `recipe` finds the recipe of each.
///
/// # Errors
///
/// A file that is there already, or two records with one place; then nothing is written.
pub fn export(
    records: &[Stored],
    recipe: &mut dyn FnMut(&RunRecord) -> Option<Recipe>,
    options: &Options,
) -> Result<Vec<Exported>, ResultsError> {
    let runs: BTreeSet<&str> = records.iter().map(|stored| stored.record.run.as_str()).collect();
    let known = options.known.map(|known| with_jobs(known, records));
    // One for all: a word means the same thing in every file.
    let mut scrubber = known.as_ref().map(Scrubber::new);
    let mut exported = Vec::new();
    for stored in records {
        // Guides have one run in mind: several need a folder each.
        let mut top =
            if runs.len() > 1 { PathBuf::from(&stored.record.run) } else { PathBuf::new() };
        if let Some(repeat) = stored.record.repeat.filter(|repeat| repeat.of > 1) {
            top.push(format!("repeat-{}", repeat.number));
        }
        let recipe = recipe(&stored.record);
        exported.push(one(stored, recipe.as_ref(), &top, scrubber.as_mut()));
    }
    refuse_collisions(&exported, options.folder)?;
    for file in exported.iter().flat_map(Exported::files) {
        write(&options.folder.join(&file.file), &file.bytes)?;
    }
    let mut list = serde_json::to_vec_pretty(&exported).expect("a list of texts always serialises");
    list.push(b'\n');
    write(&options.folder.join(LIST), &list)?;
    Ok(exported)
}

impl Exported {
    /// What was written of it.
    pub fn files(&self) -> impl Iterator<Item = &ExportedFile> {
        self.record.iter().chain(&self.log)
    }
}

fn one(
    stored: &Stored,
    recipe: Option<&Recipe>,
    top: &Path,
    mut scrubber: Option<&mut Scrubber>,
) -> Exported {
    let record = &stored.record;
    let layout = layout_of(record, recipe);
    let mut left_out = Vec::new();
    let mut take = |name: Option<&String>, folder: &Path, what: &str| {
        let name = name?;
        match fs::read(stored.folder.join(name)) {
            Ok(bytes) => Some(file(top.join(folder).join(name), bytes, scrubber.as_deref_mut())),
            Err(error) => {
                left_out.push(format!("{what} `{name}`: {error}"));
                None
            }
        }
    };
    let guide_record = take(record.guide_record.as_ref(), &layout.records, "the guide's record");
    let log = take(record.log.as_ref().map(|log| &log.file), &layout.logs, "the log");
    if let Status::Skipped(reason) = &record.status {
        left_out.push(format!("the case was skipped: {reason}"));
    }
    Exported {
        run: record.run.clone(),
        case: record.case.clone(),
        image: record.image.name.clone(),
        seal: record.image.seal,
        record: guide_record,
        log,
        left_out,
    }
}

fn layout_of(record: &RunRecord, recipe: Option<&Recipe>) -> Layout {
    let mode = record.variables.get("mode").map(bench::value_text).unwrap_or_default();
    let layout = recipe.and_then(|recipe| bench::layout(recipe, &mode, &record.variables).ok());
    layout.unwrap_or_default()
}

/// The folders of jobs are the images', whatever they are called; what is mounted there is the machine's.
pub fn with_jobs(known: &Known, records: &[Stored]) -> Known {
    let mut known = known.clone();
    let mut sources = BTreeSet::new();
    for job in records.iter().map(|stored| &stored.record.job) {
        known.job_folders.extend(job.writable.iter().cloned());
        known.job_folders.extend(job.mounts.iter().map(|mount| mount.target.clone()));
        known.job_folders.push(job.workdir.clone());
        sources.extend(job.mounts.iter().map(|mount| mount.source.display().to_string()));
    }
    known.folders.extend(sources.into_iter().map(|source| (source, "mount".to_owned())));
    known.job_folders.sort();
    known.job_folders.dedup();
    known
}

fn file(place: PathBuf, original: Vec<u8>, scrubber: Option<&mut Scrubber>) -> ExportedFile {
    let before = Digest::of(&original);
    let (bytes, found) = match scrubber {
        Some(scrubber) => scrubber.scrub(&original),
        None => (original, Counts::new()),
    };
    let digest = Digest::of(&bytes);
    let original = (digest != before).then_some(before);
    ExportedFile { file: place, digest, size: bytes.len() as u64, original, found, bytes }
}

fn refuse_collisions(exported: &[Exported], folder: &Path) -> Result<(), ResultsError> {
    let mut places: BTreeMap<&Path, &Exported> = BTreeMap::new();
    for one in exported {
        for file in one.files() {
            if let Some(other) = places.insert(&file.file, one) {
                let text = |one: &Exported| format!("{} {}", one.run, one.case);
                let file = file.file.clone();
                return Err(ResultsError::SamePlace { file, one: text(other), other: text(one) });
            }
        }
    }
    let there = places.keys().copied().chain([Path::new(LIST)]);
    let there: Vec<PathBuf> =
        there.map(|file| folder.join(file)).filter(|path| path.exists()).collect();
    if there.is_empty() { Ok(()) } else { Err(ResultsError::Exists { paths: there }) }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
    let above = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(above).and_then(|()| write_whole(path, bytes));
    written.map_err(|source| ResultsError::Io { action: "write", path: path.to_owned(), source })
}
