//! Holds records against everything they rest on: log, recipe, lock, files beside them.
//!
//! A record is computed again (`bench::derive`) and compared key by key; digests are compared with the
//! bytes they name; the store's copy with the record that lies among the results. What a
//! record does not say is no claim, so records of earlier programs are as right as they were.
//! What cannot be compared, because this machine lacks the other side, is told and is no fault. What no
//! file but the record itself says is named once, in [`NOT_DERIVABLE`].

mod beside;
mod compare;
mod recipes;
mod sealed;
mod start;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

pub use compare::Difference;
pub use recipes::Recipes;

use super::Unreadable;
use crate::bench::{self, Evidence, RunRecord};
use crate::digest::Digest;
use crate::named_file;
use crate::store::Store;

/// What of a record follows from nothing that is kept: the store's copy says it, too, and nobody else.
pub const NOT_DERIVABLE: [&str; 4] = ["host", "duration", "memory", "conditions"];

/// What became of one record.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The record's file.
    pub path: PathBuf,
    /// Its run.
    pub run: String,
    /// Its case.
    pub case: String,
    /// What it says that is not so.
    pub wrong: Vec<Difference>,
    /// What could not be compared, and why, one fragment each.
    pub not_checkable: Vec<String>,
}

/// What became of all of them.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// In the order of their paths, folder by folder.
    pub records: Vec<Checked>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

impl Report {
    /// Whether every record could be read and says nothing wrong.
    pub fn is_right(&self) -> bool {
        self.unreadable.is_empty() && self.records.iter().all(|record| record.wrong.is_empty())
    }
}

/// Checks every record below the folders of `runs`.
///
/// `images` are folders of recipes that may have a text that the store lacks.
pub fn check(store: &Store, images: &[PathBuf], runs: &[PathBuf]) -> Report {
    let mut report = Report::default();
    let mut recipes = Recipes::new(store, images);
    for path in runs.iter().flat_map(|run| bench::record_files(run)) {
        match check_one(store, &mut recipes, &path) {
            Ok(checked) => report.records.push(checked),
            Err(reason) => report.unreadable.push(Unreadable { path, reason }),
        }
    }
    report
}

fn check_one(store: &Store, recipes: &mut Recipes, path: &Path) -> Result<Checked, String> {
    let record = bench::read_record(path).map_err(|error| error.to_string())?;
    let bytes = named_file::read(path).map_err(|error| error.to_string())?;
    let written: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let mut checked = Checked {
        path: path.to_owned(),
        run: record.run.clone(),
        case: record.case.clone(),
        wrong: Vec::new(),
        not_checkable: Vec::new(),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    sealed::check(store, &record, &mut checked);
    start::check(&record, &mut checked);
    let beside = beside::check(&record, folder, &mut checked);
    derive(recipes, &record, &written, &beside, &mut checked);
    against_copy(store, &record, &written, (path, &bytes), &mut checked);
    Ok(checked)
}

/// Computes the record again and compares every key of it that follows from recipe and log.
fn derive(
    recipes: &mut Recipes,
    record: &RunRecord,
    written: &Value,
    beside: &beside::Beside,
    checked: &mut Checked,
) {
    let recipe = match recipes.find(&record.image) {
        Ok(recipe) => recipe,
        Err(reason) => {
            checked.cannot(format!("figures, checks and verdicts: {reason}"));
            return;
        }
    };
    let evidence = match &beside.log {
        Some(path) => Evidence::Log { path, arrivals: beside.arrivals.as_deref() },
        None => Evidence::Steps,
    };
    match bench::derive(record, recipe, &evidence) {
        Ok(derived) => {
            let fresh = serde_json::to_value(&derived.record)
                .expect("a record has text keys only and no value that JSON lacks");
            checked.wrong.extend(compare::derived(&fresh, written));
            beside.compare_guide_record(derived.guide_record.as_ref(), record, checked);
        }
        Err(error) => {
            let reason = error.to_string();
            checked.differs("case", "one that the recipe has".to_owned(), reason);
        }
    }
}

/// Compares with the copy that the store kept when the case ended.
fn against_copy(
    store: &Store,
    record: &RunRecord,
    written: &Value,
    (path, bytes): (&Path, &[u8]),
    checked: &mut Checked,
) {
    let mut place = store.runs().join(&record.run).join(&record.case);
    if let Some(repeat) = record.repeat.filter(|repeat| repeat.of > 1) {
        place.push(format!("repeat-{}", repeat.number));
    }
    place.push("record.json");
    let (Ok(copy), Ok(own)) = (place.canonicalize(), path.canonicalize()) else { return };
    if copy == own {
        return as_it_was_kept(store, &place, bytes, checked);
    }
    let copy = fs::read(&place).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match copy {
        Some(copy) => {
            let known: Vec<String> = checked.wrong.iter().map(|wrong| wrong.what.clone()).collect();
            let more = compare::whole(&copy, written).into_iter();
            checked.wrong.extend(more.filter(|wrong| !known.contains(&wrong.what)));
        }
        None => checked.cannot(format!("the store's copy `{}` cannot be read", place.display())),
    }
}

/// The store's copy alone: it must be what the store wrote.
fn as_it_was_kept(store: &Store, place: &Path, bytes: &[u8], checked: &mut Checked) {
    let found = Digest::of(bytes);
    match bench::known_copy(store, place) {
        Some(kept) if kept == found => {}
        Some(kept) => checked.differs("the store's copy", kept.to_string(), found.to_string()),
        None => {
            checked.cannot("the store's copy: nothing says what it was when it was kept".to_owned())
        }
    }
}

impl Checked {
    fn cannot(&mut self, reason: String) {
        self.not_checkable.push(reason);
    }

    fn differs(&mut self, what: &str, expected: String, found: String) {
        self.wrong.push(Difference { what: what.to_owned(), expected, found });
    }
}
