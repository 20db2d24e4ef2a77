//! Logs that somebody else made: the same figures and the same record, marked as such.
//!
//! Nothing is known of the machine, of the image or of how the job ended; none of that is guessed.
//! Where the arrivals of a log's pieces were kept beside it, the series that need them are there, too.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::BenchError;
use super::arrivals;
use super::blank;
use super::comparison;
use super::error::at;
use super::figures::Rules;
use super::files::{PARSED, RunFolder, now};
use super::judge;
use super::plan::{PlannedCase, Setup, plan, rules, without_image};
use super::read_log::{self, ReadLog};
use super::record::{ArrivalsRecord, FILE, JobRecord, LogRecord, ParsedRecord, Repeat, RunRecord};
use super::repeats;
use super::variables::Setting;
use crate::digest::{Digest, Hasher};
use crate::named_file;
use crate::recipe::Recipe;

/// The logs among some files.
#[derive(Debug, Default)]
struct Matched<'a> {
    /// In the order of the cases.
    logs: Vec<(&'a PlannedCase, PathBuf)>,
    /// Files that are the log of no case.
    others: Vec<PathBuf>,
}

/// Finds the cases of the logs in `paths`, files or folders, by the names that the recipe gives to logs.
///
/// A file is taken for the log of the only case there is, whatever its name.
fn match_logs<'a>(cases: &'a [PlannedCase], paths: &[PathBuf]) -> Result<Matched<'a>, BenchError> {
    let mut matched = Matched::default();
    for path in paths {
        if !path.try_exists().map_err(at("read", path))? {
            return Err(BenchError::NoPath { path: path.clone() });
        }
        if path.is_dir() {
            match_folder(cases, path, &mut matched)?;
            continue;
        }
        let case = match cases {
            [only] => Some(only),
            _ => case_of(cases, path),
        };
        let case = case.ok_or_else(|| no_case(cases, path))?;
        matched.logs.push((case, path.clone()));
    }
    let place = |log: &(&PlannedCase, PathBuf)| {
        (cases.iter().position(|case| case.case.name == log.0.case.name), repetition(&log.1))
    };
    matched.logs.sort_by_key(place);
    let twice = matched.logs.windows(2).find(|pair| place(&pair[0]) == place(&pair[1]));
    if let Some([one, other]) = twice {
        let (case, one, other) = (one.0.case.name.clone(), one.1.clone(), other.1.clone());
        return Err(BenchError::TwoLogs { case, one, other });
    }
    // A file that is no log has ended this already.
    if matched.logs.is_empty() && !paths.is_empty() {
        let (folders, files) = (paths.to_vec(), matched.others);
        return Err(BenchError::NoLogInFolder { folders, files, names: log_names(cases) });
    }
    Ok(matched)
}

fn no_case(cases: &[PlannedCase], path: &Path) -> BenchError {
    BenchError::NoCaseOfLog { path: path.to_owned(), names: log_names(cases) }
}

/// What logs are called; the folder belongs to a name that several cases give to theirs.
fn log_names(cases: &[PlannedCase]) -> Vec<String> {
    let is_of_one = |name: &str| cases.iter().filter(|case| case.log_file == name).count() == 1;
    let name = |case: &PlannedCase| match is_of_one(&case.log_file) {
        true => case.log_file.clone(),
        false => format!("{}/{}", case.case.name, case.log_file),
    };
    cases.iter().map(name).collect::<BTreeSet<_>>().into_iter().collect()
}

fn match_folder<'a>(
    cases: &'a [PlannedCase],
    folder: &Path,
    matched: &mut Matched<'a>,
) -> Result<(), BenchError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(at("read", folder))? {
        paths.push(entry.map_err(at("read", folder))?.path());
    }
    paths.sort();
    for path in paths {
        // A link may lead back up.
        if path.is_dir() && !path.is_symlink() {
            match_folder(cases, &path, matched)?;
        } else if let Some(case) = case_of(cases, &path) {
            matched.logs.push((case, path));
        } else if !is_beside_a_log(cases, &path) {
            matched.others.push(path);
        }
    }
    Ok(())
}

/// The case whose log has this name; where several have, the one whose folder it lies in.
fn case_of<'a>(cases: &'a [PlannedCase], path: &Path) -> Option<&'a PlannedCase> {
    let name = path.file_name();
    let named: Vec<_> =
        cases.iter().filter(|case| name == Some(OsStr::new(&case.log_file))).collect();
    let mut folder = path.parent().unwrap_or(Path::new(""));
    if repetition(path).is_some() {
        folder = folder.parent().unwrap_or(Path::new(""));
    }
    let own = named.iter().find(|case| folder.ends_with(&case.case.name));
    match (own, named.as_slice()) {
        (Some(own), _) => Some(own),
        (None, [only]) => Some(only),
        _ => None,
    }
}

/// Which repetition of its case a log is, where a run left several.
fn repetition(log: &Path) -> Option<usize> {
    repeats::number_of(log.parent()?)
}

/// What a run leaves beside a log.
fn is_beside_a_log(cases: &[PlannedCase], path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let record = |case: &PlannedCase| case.record_file.as_deref() == Some(&*name);
    name == FILE || name.ends_with(arrivals::SUFFIX) || cases.iter().any(record)
}

/// What a log came to.
#[derive(Debug)]
pub struct ParsedLog {
    /// The record.
    pub record: RunRecord,
    /// The record that the guide asks for, if it asks for one: its name and its bytes.
    pub guide_record: Option<(String, String)>,
    path: PathBuf,
    arrivals: Option<String>,
}

/// What is to be read, and as what.
#[derive(Debug, Clone, Copy)]
pub struct ParseRequest<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Seal and digest of its lock; whether the logs are of this image nobody knows.
    pub sealed: (Digest, Digest),
    /// Name of the profile.
    pub profile: &'a str,
    /// Names and globs of cases; all of them if empty.
    pub cases: &'a [String],
    /// What was set otherwise than the recipe says.
    pub settings: &'a [Setting],
    /// Logs, and folders with logs.
    pub paths: &'a [PathBuf],
}

/// What came of some files.
#[derive(Debug)]
pub struct Parsed {
    /// In the order of the cases.
    pub logs: Vec<ParsedLog>,
    /// Files in the folders that are the log of no case.
    pub others: Vec<PathBuf>,
}

/// Reads logs of cases; a log of a job that has failed is a record, not an error.
pub fn parse(request: &ParseRequest) -> Result<Parsed, BenchError> {
    let ParseRequest { recipe, sealed, profile, cases, settings, paths } = *request;
    without_image(recipe, profile, sealed, (cases, settings), |setup| {
        let planned = plan(setup)?;
        let matched = match_logs(&planned, paths)?;
        let rules = rules(recipe)?;
        let count = |case: &PlannedCase| {
            let same = |log: &&(&PlannedCase, PathBuf)| log.0.case.name == case.case.name;
            matched.logs.iter().filter(same).count()
        };
        let logs = matched.logs.iter().enumerate();
        let logs = logs.map(|(at, (case, path))| {
            let mut blank = blank(setup, case, at + 1, path);
            // A single log of a run has its number, too.
            let of = |number| count(case).max(number);
            blank.repeat = repetition(path).map(|number| Repeat { number, of: of(number) });
            read(&rules[&case.case.mode], case, path, blank)
        });
        Ok(Parsed { logs: logs.collect::<Result<_, _>>()?, others: matched.others })
    })
}

fn read(
    rules: &Rules,
    case: &PlannedCase,
    path: &Path,
    mut record: RunRecord,
) -> Result<ParsedLog, BenchError> {
    let arrivals = beside(path)?;
    let log = read_log::read(path, &rules.patterns, arrivals.as_deref())?;
    record.log = Some(log_record(case, &log, arrivals.as_deref()));
    let findings = log.findings;
    let variables = &case.case.variables;
    judge::judge(&mut record, rules, variables, findings, None);
    record.comparisons = comparison::compare(&record);
    record.guide_record.clone_from(&case.record_file);
    let guide_record = case.record_file.clone().map(|file| {
        let json = judge::guide_record(&record, rules, variables, &case.log_file);
        (file, json)
    });
    Ok(ParsedLog { record, guide_record, path: path.to_owned(), arrivals })
}

/// Writes logs and records to a folder of their own below `results`, as a run does; returns it.
pub fn keep(results: &Path, parsed: &mut Parsed) -> Result<PathBuf, BenchError> {
    let folder = RunFolder::create(results, &format!("{}{PARSED}", now("%Y%m%dT%H%M%SZ")))?;
    for log in &mut parsed.logs {
        log.record.run.clone_from(&folder.id);
        let place = folder.case(&log.record.place())?;
        let kept = log.record.log.as_ref().map(|kept| kept.file.clone()).unwrap_or_default();
        copy(&folder, &log.path, &place.join(&kept), log.record.log.as_ref())?;
        if let Some(arrivals) = &log.arrivals {
            let name = format!("{kept}{}", arrivals::SUFFIX);
            folder.write_file(&place.join(name), arrivals.as_bytes())?;
        }
        if let Some((name, json)) = &log.guide_record {
            folder.write_file(&place.join(name), json.as_bytes())?;
        }
        folder.write_file(&place.join(FILE), &log.record.to_bytes())?;
    }
    Ok(folder.path)
}

/// Copies a log, which must still be the one that was read.
fn copy(
    folder: &RunFolder,
    from: &Path,
    to: &Path,
    read: Option<&LogRecord>,
) -> Result<(), BenchError> {
    let mut source = named_file::open(from).map_err(at("read", from))?;
    let mut target = folder.create_file(to)?;
    let (mut hasher, mut written) = (Hasher::new(), Ok(()));
    let take = |bytes: &[u8]| {
        hasher.update(bytes);
        if written.is_ok() {
            written = target.write_all(bytes);
        }
    };
    read_log::each_piece(&mut source, u64::MAX, take).map_err(at("read", from))?;
    written.and_then(|()| target.sync_all()).map_err(at("write", to))?;
    let found = hasher.finish();
    if read.is_some_and(|read| read.digest != found) {
        let changed = io::Error::new(io::ErrorKind::InvalidData, "it changed while it was read");
        return Err(at("read", from)(changed));
    }
    Ok(())
}

/// The text of the file that says when the pieces of a log arrived, if it lies beside it.
fn beside(log: &Path) -> Result<Option<String>, BenchError> {
    let mut path = log.as_os_str().to_owned();
    path.push(arrivals::SUFFIX);
    let path = PathBuf::from(path);
    if !path.try_exists().map_err(at("read", &path))? {
        return Ok(None);
    }
    named_file::read_text(&path).map(Some).map_err(at("read", &path))
}

fn log_record(case: &PlannedCase, log: &ReadLog, arrivals: Option<&str>) -> LogRecord {
    let arrivals = arrivals.map(|text| ArrivalsRecord {
        file: format!("{}{}", case.log_file, arrivals::SUFFIX),
        digest: Digest::of(text.as_bytes()),
    });
    LogRecord {
        file: case.log_file.clone(),
        digest: log.digest,
        size: log.size,
        cut_lines: log.findings.cut_lines,
        repeated_lines: log.findings.repeated_lines,
        arrivals,
    }
}

/// A record that claims nothing of what only a run could know.
fn blank(setup: &Setup, case: &PlannedCase, index: usize, path: &Path) -> RunRecord {
    let record = blank::record(setup, case, "none", "parsed", index, String::new());
    let job = JobRecord {
        command: Vec::new(),
        env: BTreeMap::new(),
        workdir: String::new(),
        mounts: Vec::new(),
        writable: Vec::new(),
        shm_size: 0,
        timeout: 0,
    };
    let mut profile = record.profile.clone();
    profile.files.clear();
    RunRecord {
        parsed: Some(ParsedRecord { path: path.to_owned() }),
        data: Vec::new(),
        not_taken_over: Vec::new(),
        conditions: None,
        software: BTreeMap::new(),
        comparisons: Vec::new(),
        expected_failure: None,
        job,
        profile,
        ..record
    }
}
