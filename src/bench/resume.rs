//! Goes on with a run that was broken off: what is finished is not run again.
//!
//! Records of one run must all tell of the same inputs. So a record whose image, recipe, profile
//! files, data or settings are other than those of now ends the attempt, with what differs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::BenchError;
use super::blank;
use super::exchange::{InputSource, OutputFile};
use super::files::RunFolder;
use super::plan::{PlannedCase, Setup};
use super::record::{Repeat, RunRecord, Status};

/// What an earlier attempt left.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Records of planned cases that need not be run again, by their place.
    pub finished: BTreeMap<String, RunRecord>,
    /// Records of cases that are not planned now.
    pub others: Vec<RunRecord>,
}

/// Compares the records of the run in `folder` with what is planned now.
///
/// Failed cases are run again, but for those that the recipe expects to fail; so are skipped ones that
/// this machine can run.
pub(super) fn earlier(
    folder: &RunFolder,
    records: Vec<RunRecord>,
    setup: &Setup,
    planned: &[PlannedCase],
) -> Result<Earlier, BenchError> {
    let mut earlier = Earlier::default();
    let by_place: BTreeMap<String, &PlannedCase> =
        planned.iter().map(|planned| (planned.place(), planned)).collect();
    for record in records {
        let case = by_place.get(&record.place()).copied();
        let differences = differences(&record, setup, case, planned);
        if !differences.is_empty() {
            let (run, case) = (folder.id.clone(), record.case);
            return Err(BenchError::OtherInputs { run, case, differences });
        }
        let Some(case) = case else {
            earlier.others.push(record);
            continue;
        };
        let is_finished = match record.status {
            Status::Ok => has_what_others_take(&record, case, folder),
            Status::Skipped(_) => case.skipped().is_some(),
            Status::Failed(_) => record.failed_as_expected(),
        };
        if is_finished {
            earlier.finished.insert(record.place(), record);
        }
    }
    Ok(earlier)
}

/// Whether every output that another case takes was kept and is still there.
fn has_what_others_take(record: &RunRecord, case: &PlannedCase, folder: &RunFolder) -> bool {
    let place = folder.path.join(record.place());
    let is_there = |file: &OutputFile| {
        std::fs::metadata(place.join(&file.file)).is_ok_and(|found| found.len() == file.size)
    };
    let taken = case.outputs.iter().filter(|output| output.is_taken);
    taken.into_iter().all(|output| {
        let kept = record.outputs.get(&output.name);
        kept.is_some_and(|kept| kept.files.iter().all(is_there))
    })
}

/// Name and digest of the inputs that a user gave to a recorded case.
fn given_then(record: &RunRecord) -> String {
    let given = record.inputs.iter().filter(|(_, input)| input.from.is_none());
    let given: Vec<_> = given.map(|(name, input)| format!("{name} {}", input.digest)).collect();
    given.join(", ")
}

/// The same of a planned case.
fn given_now(case: &PlannedCase) -> String {
    let given = case.inputs.iter().filter_map(|input| match &input.source {
        Some(InputSource::Given(given)) => Some(format!("{} {}", input.name, given.digest)),
        _ => None,
    });
    given.collect::<Vec<_>>().join(", ")
}

/// What of a record is other than it would be now, one line each.
fn differences(
    record: &RunRecord,
    setup: &Setup,
    case: Option<&PlannedCase>,
    planned: &[PlannedCase],
) -> Vec<String> {
    // What does not depend on the case can be told by any of them.
    let Some(any) = case.or(planned.first()) else { return Vec::new() };
    let now = blank::record(setup, any, "", &record.run, 0, String::new());
    let mut lines = Vec::new();
    let mut compare = |what: &str, before: String, now: String| {
        if before != now {
            lines.push(format!("{what}\n    before  {before}\n    now     {now}"));
        }
    };
    compare("repetitions", times(record.repeat), times(any.repeat));
    compare("image", record.image.seal.to_string(), now.image.seal.to_string());
    compare("lock", record.image.lock.to_string(), now.image.lock.to_string());
    compare("recipe", record.image.recipe.to_string(), now.image.recipe.to_string());
    compare("profile", record.profile.name.clone(), now.profile.name.clone());
    compare("profile files", text(&record.profile.files), text(&now.profile.files));
    compare("data", text(&record.data_digests()), text(&now.data_digests()));
    compare("deviations", text(&record.deviations), text(&now.deviations));
    if let Some(case) = case {
        compare("command", text(&record.job.command), text(&now.job.command));
        // What was skipped took in nothing.
        if !matches!(record.status, Status::Skipped(_)) {
            compare("inputs", given_then(record), given_now(case));
        }
        compare("timeout", record.job.timeout.to_string(), now.job.timeout.to_string());
    }
    lines
}

/// How often each case runs.
fn times(repeat: Option<Repeat>) -> String {
    repeat.map_or(1, |repeat| repeat.of).to_string()
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("parts of a record always serialise")
}
