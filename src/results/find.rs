//! From the words of a command line to folders of runs.
//!
//! A word is a run's whole name, an unambiguous beginning of it, `latest`, or a path; no word
//! at all is the newest run. Runs are looked for in several folders, those of the
//! project first and the store's copies, which have no logs, last: of one name the first counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::ResultsError;
use crate::bench::{self, PARSED};

/// The word for the newest run.
pub const LATEST: &str = "latest";

/// The folders of the runs that `words` name, in the order of the words; the newest run if there is none.
///
/// `folders` hold runs, one folder each (`results`, the store's `runs`). Paths are taken as they
/// are: a run's folder, a folder of runs (each of them), a case's folder, or a record.
///
/// # Errors
///
/// A word that no run has, that several have (all are named), or a path without records.
pub fn find(folders: &[PathBuf], words: &[String]) -> Result<Vec<PathBuf>, ResultsError> {
    if words.is_empty() {
        return Ok(vec![newest(folders, &runs(folders))?]);
    }
    let runs = runs(folders);
    let mut found = Vec::new();
    for word in words {
        found.extend(find_one(folders, &runs, word)?);
    }
    Ok(found)
}

/// Whether a word where images are named too can only mean a run: `latest`, or a name with its day.
pub fn is_run_word(word: &str) -> bool {
    let has_day = || word.bytes().take(8).all(|byte| byte.is_ascii_digit());
    word == LATEST || (word.len() >= 8 && has_day())
}

/// Every folder below `folders` that can be a run's, by name.
///
/// Nothing says yet that there is a record in it: a run may just have begun.
pub fn runs(folders: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut runs = BTreeMap::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                runs.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    runs
}

fn find_one(
    folders: &[PathBuf],
    runs: &BTreeMap<String, PathBuf>,
    word: &str,
) -> Result<Vec<PathBuf>, ResultsError> {
    if let Some(folder) = runs.get(word).filter(|folder| has_records(folder)) {
        return Ok(vec![folder.clone()]);
    }
    if word == LATEST {
        return Ok(vec![newest(folders, runs)?]);
    }
    let path = Path::new(word);
    if path.exists() || word.contains('/') {
        return at_path(path);
    }
    let begin = |run: &(&String, &PathBuf)| run.0.starts_with(word) && has_records(run.1);
    let matching: Vec<_> = runs.iter().filter(begin).collect();
    match matching.as_slice() {
        [(_, folder)] => Ok(vec![(*folder).clone()]),
        [] => Err(no_run(folders, runs, word)),
        several => Err(ResultsError::Ambiguous {
            word: word.to_owned(),
            candidates: several.iter().map(|(name, _)| (*name).clone()).collect(),
        }),
    }
}

/// The newest run with a record. Parsed logs are no run; they count where there is nothing else.
fn newest(folders: &[PathBuf], runs: &BTreeMap<String, PathBuf>) -> Result<PathBuf, ResultsError> {
    let mut by_age: Vec<_> = runs.iter().collect();
    by_age.sort_by_key(|(name, _)| (!name.contains(PARSED), begins_with_time(name), *name));
    let newest = by_age.into_iter().rev().find(|(_, folder)| has_records(folder));
    let found = newest.map(|(_, folder)| folder.clone());
    found.ok_or_else(|| ResultsError::NoRuns { folders: folders.to_vec() })
}

/// `20261122T040000Z-…`: names that a run gave itself sort by age, others do not.
pub(super) fn begins_with_time(name: &str) -> bool {
    let bytes = name.as_bytes();
    let is_digit = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    is_digit(0..8) && bytes.get(8) == Some(&b'T') && is_digit(9..15) && bytes.get(15) == Some(&b'Z')
}

fn at_path(path: &Path) -> Result<Vec<PathBuf>, ResultsError> {
    if path.is_file() {
        return Ok(vec![path.parent().unwrap_or(Path::new("")).to_owned()]);
    }
    let records = bench::record_files(path);
    let Some(first) = records.first() else {
        return Err(ResultsError::NoRecords { path: path.to_owned() });
    };
    if !holds_runs(path, first) {
        return Ok(vec![path.to_owned()]);
    }
    let name =
        |record: &PathBuf| record.strip_prefix(path).ok()?.iter().next().map(|n| path.join(n));
    let mut folders: Vec<PathBuf> = records.iter().filter_map(name).collect();
    folders.dedup();
    Ok(folders)
}

/// Whether the record lies one folder deeper than in a run: the case's name tells.
fn holds_runs(folder: &Path, record: &Path) -> bool {
    let (Ok(read), Ok(below)) = (bench::read_record(record), record.strip_prefix(folder)) else {
        return false;
    };
    let mut parts = below.iter();
    parts.next();
    let below_first = parts.as_path();
    below_first.starts_with(&read.case)
}

fn has_records(folder: &Path) -> bool {
    !bench::record_files(folder).is_empty()
}

fn no_run(folders: &[PathBuf], runs: &BTreeMap<String, PathBuf>, word: &str) -> ResultsError {
    // Anything may lie beside runs; not every folder of it is searched for a message.
    let mut names: Vec<&String> = runs.keys().filter(|name| begins_with_time(name)).collect();
    names.sort_by(|a, b| {
        let like = |name: &str| strsim::jaro_winkler(name, word);
        like(b).total_cmp(&like(a)).then_with(|| b.cmp(a))
    });
    ResultsError::NoRun {
        word: word.to_owned(),
        folders: folders.to_vec(),
        nearest: names.into_iter().take(NEAREST).cloned().collect(),
    }
}

/// As many names as a message shows of a folder with many runs.
const NEAREST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "20261121T235959Z-aaaaaaaaaaaa";
    const NEW: &str = "20261122T000000Z-bbbbbbbbbbbb";

    /// Folders `results` and `runs`; records are files of the right name, their content does not matter here.
    fn places() -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let places = vec![folder.path().join("results"), folder.path().join("runs")];
        for (place, run) in [(0, OLD), (1, OLD), (1, NEW)] {
            add(&places[place], run);
        }
        fs::create_dir(places[0].join("20991122T000000Z-cccccccccccc")).unwrap();
        (folder, places)
    }

    fn add(place: &Path, run: &str) {
        let case = place.join(run).join("seg/net/sp/bs2/fp32");
        fs::create_dir_all(&case).unwrap();
        fs::write(case.join("record.json"), "{}").unwrap();
    }

    fn one(places: &[PathBuf], word: &str) -> Result<PathBuf, ResultsError> {
        find(places, &[word.to_owned()]).map(|mut found| found.remove(0))
    }

    #[test]
    fn a_word_that_begins_with_a_day_cannot_mean_an_image() {
        let runs = ["latest", "20261122", "20261122T040000Z-0b82c3a20000"];
        assert!(runs.into_iter().all(is_run_word));
        let images = ["seg-debian", "3d-unet", "2026", "seg@sha256:0b82", ""];
        assert!(!images.into_iter().any(is_run_word));
    }

    #[test]
    fn nothing_and_latest_are_the_newest_run_that_has_a_record() {
        let (_folder, places) = places();
        assert_eq!(find(&places, &[]).unwrap(), [places[1].join(NEW)]);
        assert_eq!(one(&places, "latest").unwrap(), places[1].join(NEW));
        add(&places[0], "zzz-renamed-by-hand");
        add(&places[0], "20991231T000000Z-parsed");
        assert_eq!(one(&places, "latest").unwrap(), places[1].join(NEW));
    }

    #[test]
    fn parsed_logs_are_the_newest_where_there_is_no_run() {
        let (folder, _) = places();
        let place = folder.path().join("only-parsed");
        add(&place, "20991231T000000Z-parsed");
        let found = find(std::slice::from_ref(&place), &[]).unwrap();
        assert_eq!(found, [place.join("20991231T000000Z-parsed")]);
    }

    #[test]
    fn the_first_folder_that_has_a_run_counts() {
        let (_folder, places) = places();
        assert_eq!(one(&places, OLD).unwrap(), places[0].join(OLD));
        assert_eq!(one(&places, "20261121").unwrap(), places[0].join(OLD));
        assert_eq!(one(&places, "20261122T").unwrap(), places[1].join(NEW));
    }

    #[test]
    fn words_that_no_run_or_several_have_are_errors_with_candidates() {
        let (_folder, places) = places();
        let error = one(&places, "2026112").unwrap_err();
        let ResultsError::Ambiguous { candidates, .. } = &error else { panic!("{error}") };
        assert_eq!(candidates, &[OLD, NEW]);
        let error = one(&places, "20261122T000001").unwrap_err();
        let ResultsError::NoRun { nearest, .. } = &error else { panic!("{error}") };
        assert_eq!(nearest[0], NEW, "{error}");
        assert!(matches!(find(&[], &[]), Err(ResultsError::NoRuns { .. })));
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let (folder, places) = places();
        let run = places[0].join(OLD);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        assert_eq!(one(&places, &text(&run)).unwrap(), run);
        let record = run.join("seg/net/sp/bs2/fp32/record.json");
        assert_eq!(one(&places, &text(&record)).unwrap(), record.parent().unwrap());
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        assert!(matches!(one(&places, &text(&empty)), Err(ResultsError::NoRecords { .. })));
        assert!(matches!(one(&places, "./no/such"), Err(ResultsError::NoRecords { .. })));
    }
}
