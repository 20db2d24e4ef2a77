//! What cases take in and leave behind: files a user gives, and what one case leaves for another.
//!
//! A case takes an output of another one of its own system, model and precision. Which one that
//! is, and whether it will be there, is known before anything runs; whether it was really left
//! is known when it ran.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BenchError;
use super::plan::PlannedCase;
use super::record::{RunRecord, Status};
use crate::digest::{Digest, hash_reader};
use crate::engine::{Keep, Kept, Mount};
use crate::recipe::Mode;

/// Folder of kept outputs in a case's folder.
pub(super) const FOLDER: &str = "outputs";

/// A file that a user gives to cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenInput {
    /// The file, without links.
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Digest of its content.
    pub digest: Digest,
}

/// An input of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedInput {
    /// Its name.
    pub name: String,
    /// Absolute path in the job.
    pub path: String,
    /// What it is.
    pub about: String,
    /// The mode that leaves it, if one does.
    pub from_mode: Option<String>,
    /// Where it comes from; `None` if it is missing.
    pub source: Option<InputSource>,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// A user gave it.
    Given(GivenInput),
    /// Another case of the run leaves it.
    Left {
        /// The case.
        case: String,
        /// The output.
        output: String,
    },
}

/// An output of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedOutput {
    /// Its name.
    pub name: String,
    /// Absolute path in the job, with wildcards.
    pub pattern: String,
    /// Whether another case takes it.
    pub is_taken: bool,
}

/// An input in a run record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Absolute path in the job.
    pub path: String,
    /// The file on this machine.
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Digest of its content.
    pub digest: Digest,
    /// The case that left it; absent if a user gave it.
    pub from: Option<String>,
}

/// An output in a run record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// What was looked for: an absolute path in the job, with wildcards.
    pub path: String,
    /// The files; empty if the job left none.
    pub files: Vec<OutputFile>,
    /// What was there and could not be kept, one fragment each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A file that a case left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Absolute path in the job.
    pub path: String,
    /// The kept file, relative to the record.
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Digest of its content.
    pub digest: Digest,
}

impl GivenInput {
    /// Reads `checkpoint=last.ckpt` and hashes the file.
    pub fn parse(text: &str) -> Result<(String, Self), BenchError> {
        let refuse = |reason: String| BenchError::Input { text: text.to_owned(), reason };
        let parts =
            text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
        let (name, file) = parts.ok_or_else(|| refuse("expected `NAME=FILE`".to_owned()))?;
        let read = || {
            let file = Path::new(file).canonicalize()?;
            let (digest, size) = hash(&file)?;
            Ok(Self { file, size, digest })
        };
        let given = read().map_err(|error: io::Error| refuse(error.to_string()))?;
        Ok((name.to_owned(), given))
    }
}

fn hash(file: &Path) -> io::Result<(Digest, u64)> {
    let file = File::open(file)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    hash_reader(file)
}

/// The inputs of a case of `mode`, as far as they are given.
pub(super) fn inputs(mode: &Mode, given: &BTreeMap<String, GivenInput>) -> Vec<PlannedInput> {
    let input = |(name, rule): (&String, &crate::recipe::InputRule)| PlannedInput {
        name: name.clone(),
        path: rule.path.clone(),
        about: rule.about.clone(),
        from_mode: rule.source().map(|(mode, _)| mode.to_owned()),
        source: given.get(name).cloned().map(InputSource::Given),
    };
    mode.inputs.iter().map(input).collect()
}

/// Every name that was given has to be an input of some case, or it would do nothing.
pub(super) fn check_names(
    planned: &[PlannedCase],
    given: &BTreeMap<String, GivenInput>,
) -> Result<(), BenchError> {
    let inputs = planned.iter().flat_map(|case| &case.inputs);
    let mut known: Vec<String> = inputs.map(|input| input.name.clone()).collect();
    known.sort();
    known.dedup();
    match given.keys().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(BenchError::UnknownInput { name: name.clone(), known }),
    }
}

/// Finds for each case the one that it needs, and what it takes from it.
pub(super) fn connect(planned: &mut [PlannedCase], modes: &BTreeMap<String, Mode>) {
    for index in 0..planned.len() {
        let mode = &modes[&planned[index].case.mode];
        let needed = mode.needs.as_ref().and_then(|needed| partner(planned, index, needed));
        planned[index].needs = needed.map(|needed| planned[needed].case.name.clone());
        for input in 0..planned[index].inputs.len() {
            let rule = &mode.inputs[&planned[index].inputs[input].name];
            let (Some(needed), Some((_, output))) = (needed, rule.source()) else { continue };
            if planned[index].inputs[input].source.is_some() {
                continue;
            }
            let left = planned[needed].outputs.iter_mut().find(|left| left.name == output);
            let Some(left) = left else { continue };
            left.is_taken = true;
            let (case, output) = (planned[needed].case.name.clone(), output.to_owned());
            planned[index].inputs[input].source = Some(InputSource::Left { case, output });
        }
    }
    skip_without_inputs(planned);
}

/// The case of mode `needed` that goes with the one at `index`; of several batch sizes its own.
fn partner(planned: &[PlannedCase], index: usize, needed: &str) -> Option<usize> {
    let own = &planned[index].case;
    let goes = |other: &PlannedCase| {
        let other = &other.case;
        let precision = other.variables.get("precision") == own.variables.get("precision");
        other.mode == needed && other.model == own.model && precision
    };
    let batch = |other: &PlannedCase| {
        other.case.variables.get("batch_size") == own.variables.get("batch_size")
    };
    let best = planned.iter().position(|other| goes(other) && batch(other));
    best.or_else(|| planned.iter().position(goes))
}

/// A case whose input will not be there lacks it. As often as there are cases: each may need another.
fn skip_without_inputs(planned: &mut [PlannedCase]) {
    for _ in 0..planned.len() {
        let skipped: BTreeMap<String, String> = planned
            .iter()
            .filter_map(|case| Some((case.case.name.clone(), case.skipped()?.to_owned())))
            .collect();
        for case in planned.iter_mut().filter(|case| case.lacks.is_none()) {
            let lacks = case.inputs.iter().find_map(|input| match &input.source {
                Some(InputSource::Given(_)) => None,
                Some(InputSource::Left { case, output }) => skipped.get(case).map(|reason| {
                    format!("needs `{output}` of `{case}`, which is skipped: {reason}")
                }),
                None => Some(match &input.from_mode {
                    Some(mode) => format!(
                        "needs input `{}`, which was not given, and no case of mode `{mode}` that could leave it was chosen",
                        input.name
                    ),
                    None => format!("needs input `{}`, which was not given", input.name),
                }),
            });
            case.lacks = lacks;
        }
    }
}

/// What is to be kept of a case whose folder is `folder`; everything, if `all` says so.
pub(super) fn keep(case: &PlannedCase, folder: &Path, all: bool) -> Vec<Keep> {
    let wanted = case.outputs.iter().filter(|output| all || output.is_taken);
    let keep = |output: &PlannedOutput| Keep {
        pattern: output.pattern.clone(),
        folder: folder.join(FOLDER).join(&output.name),
    };
    wanted.map(keep).collect()
}

/// The record of what was kept; `all` as in [`keep`].
pub(super) fn outputs(
    case: &PlannedCase,
    kept: Vec<Kept>,
    all: bool,
) -> BTreeMap<String, OutputRecord> {
    let wanted = case.outputs.iter().filter(|output| all || output.is_taken);
    let record = |(output, kept): (&PlannedOutput, Kept)| {
        let file = |file: crate::engine::KeptFile| OutputFile {
            path: file.path,
            file: Path::new(FOLDER).join(&output.name).join(file.copy),
            size: file.size,
            digest: file.digest,
        };
        let files = kept.files.into_iter().map(file).collect();
        let path = output.pattern.clone();
        (output.name.clone(), OutputRecord { path, files, problems: kept.problems })
    };
    wanted.zip(kept).map(record).collect()
}

/// What a case takes in, now that the one that it needs has run: mounts, and their record.
///
/// `Err` says why it cannot be run after all.
pub(super) fn take_in(
    case: &PlannedCase,
    run: &Path,
    needed: Option<&RunRecord>,
) -> Result<(Vec<Mount>, BTreeMap<String, InputRecord>), String> {
    if let Some(record) = needed
        && record.status != Status::Ok
        && case.takes_from(&record.case)
    {
        let how = if matches!(record.status, Status::Failed(_)) { "failed" } else { "was skipped" };
        return Err(format!("needs `{}`, which {how}", record.case));
    }
    let (mut mounts, mut records) = (Vec::new(), BTreeMap::new());
    for input in &case.inputs {
        let record = match &input.source {
            Some(InputSource::Given(given)) => given_record(&input.path, given),
            Some(InputSource::Left { case, output }) => {
                left_record(&input.path, run, needed, case, output)?
            }
            None => continue,
        };
        let (source, target) = (record.file.clone(), input.path.clone());
        mounts.push(Mount { source, target, writable: false });
        records.insert(input.name.clone(), record);
    }
    Ok((mounts, records))
}

fn given_record(path: &str, given: &GivenInput) -> InputRecord {
    let GivenInput { file, size, digest } = given.clone();
    InputRecord { path: path.to_owned(), file, size, digest, from: None }
}

fn left_record(
    path: &str,
    run: &Path,
    record: Option<&RunRecord>,
    case: &str,
    output: &str,
) -> Result<InputRecord, String> {
    let place = record.map_or(case.to_owned(), RunRecord::place);
    let files = record.and_then(|record| record.outputs.get(output));
    match files.map_or(&[][..], |output| &output.files) {
        [file] => Ok(InputRecord {
            path: path.to_owned(),
            file: run.join(place).join(&file.file),
            size: file.size,
            digest: file.digest,
            from: Some(case.to_owned()),
        }),
        [] => Err(format!("needs `{output}` of `{case}`, which left none")),
        files => {
            let count = files.len();
            Err(format!(
                "needs `{output}` of `{case}`, which left {count} files as it; one is needed"
            ))
        }
    }
}

impl PlannedCase {
    /// Whether it takes what the case `name` leaves.
    fn takes_from(&self, name: &str) -> bool {
        let takes = |input: &PlannedInput| matches!(&input.source, Some(InputSource::Left { case, .. }) if case == name);
        // A need without an input is an order, and a failure ends it all the same.
        self.inputs.iter().any(takes) || self.inputs.is_empty()
    }
}
