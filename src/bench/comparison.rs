//! A measured figure beside a published one.
//!
//! A verdict is given only where both were measured alike: by the guide's own matrix, in its own
//! image, with nothing set otherwise, on the GPUs and with the versions that the figure names. What
//! stands in the way is named, all of it: one reason removed must not uncover another.
//!
//! Model and number of GPUs decide. Processor, memory, driver and kernel are only shown (see
//! `reference`): a guide's figures are about its GPUs, and no second machine has all of the rest.
//! They decide where a guide measured on a processor. What no machine changes (`portable`, an
//! accuracy) is judged on any.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::case::FULL_PROFILE;
use super::number::Number;
use super::record::{RunRecord, Status};
use super::reference::{is_same_cpu, is_same_gpu};
use super::variables::value_text;
use crate::recipe::{Published, Value};

/// What stands where other figures have a verdict, if the guide publishes none for a case.
pub const NO_REFERENCE: &str = "no reference";

/// One published figure, what was measured, and what that means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The published figure with its conditions and tolerance.
    pub published: Published,
    /// What was measured; absent if the case has no such figure.
    pub measured: Option<Number>,
    /// Measured divided by published; absent without one of them, or where published is 0.
    pub ratio: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

/// What a measured figure is beside a published one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "reasons", rename_all = "kebab-case")]
pub enum Verdict {
    /// It lies within the tolerance.
    Within,
    /// It is larger than the tolerance allows.
    Above,
    /// It is smaller than the tolerance allows.
    Below,
    /// Conditions differ, each named as a fragment.
    NotComparable(Vec<String>),
}

impl Verdict {
    /// Why there is no verdict, one fragment each; nothing if there is one.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::NotComparable(reasons) => reasons,
            _ => &[],
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Within => "within",
            Self::Above => "above",
            Self::Below => "below",
            Self::NotComparable(_) => "not comparable",
        })
    }
}

/// Holds a record against every figure that it says is published for its case.
///
/// Reads nothing but the record, so a kept or a parsed one gives what a run would have given.
pub fn compare(record: &RunRecord) -> Vec<Comparison> {
    let of_record = reasons_of_record(record);
    record.published.iter().map(|published| one(record, published, &of_record)).collect()
}

fn one(record: &RunRecord, published: &Published, of_record: &[String]) -> Comparison {
    let figure = record.metrics.iter().find(|figure| figure.name == published.metric);
    let measured = figure.and_then(|figure| figure.value);
    let mut reasons = of_record.to_vec();
    reasons.extend(reasons_of_inputs(record, published));
    reasons.extend(reasons_of_machine(record, published));
    if measured.is_none() && record.status == Status::Ok {
        let metric = &published.metric;
        let reason = figure.and_then(|figure| figure.reason.clone());
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        reasons.push(format!("the case does not measure `{metric}`{reason}"));
    }
    if published.tolerance.is_none() {
        let why = if published.basis.is_empty() { "" } else { ": " };
        let basis = &published.basis;
        reasons.push(format!("no tolerance of the published figure is known{why}{basis}"));
    }
    let ratio = measured.map(|measured| measured.as_f64() / published.value);
    Comparison {
        verdict: verdict(published, measured, reasons),
        published: published.clone(),
        measured,
        ratio: ratio.filter(|ratio| ratio.is_finite()),
    }
}

fn verdict(published: &Published, measured: Option<Number>, reasons: Vec<String>) -> Verdict {
    let (Some(tolerance), Some(measured), true) =
        (published.tolerance, measured, reasons.is_empty())
    else {
        return Verdict::NotComparable(reasons);
    };
    let (low, high) = tolerance.range(published.value);
    match measured.as_f64() {
        value if value < low => Verdict::Below,
        value if value > high => Verdict::Above,
        _ => Verdict::Within,
    }
}

/// What keeps every figure of the record from being judged.
fn reasons_of_record(record: &RunRecord) -> Vec<String> {
    let mut reasons = Vec::new();
    match (&record.status, &record.expected_failure) {
        (Status::Ok, _) => {}
        (Status::Skipped(_), _) => reasons.push("the case was skipped".to_owned()),
        (Status::Failed(_), Some(why)) => {
            reasons.push(format!("the case failed, as expected: {why}"));
        }
        (Status::Failed(_), None) => reasons.push("the case failed".to_owned()),
    }
    if record.parsed.is_some() {
        reasons.push("the log was made elsewhere: nobody knows its machine and image".to_owned());
    }
    let profile = &record.profile.name;
    if profile != FULL_PROFILE {
        reasons.push(format!("profile `{profile}` is not the guide's own, `{FULL_PROFILE}`"));
    }
    let system = record.case.split('/').next().unwrap_or_default();
    if record.image.name != system {
        let image = &record.image.name;
        reasons.push(format!("image `{image}` is a variant of the guide's own, `{system}`"));
    }
    for deviation in &record.deviations {
        let (name, used) = (&deviation.name, value_text(&deviation.used));
        reasons.push(format!("`{name}` was set to {used}"));
    }
    reasons
}

/// What went in otherwise than the published figure says.
fn reasons_of_inputs(record: &RunRecord, published: &Published) -> Vec<String> {
    let mut reasons: Vec<String> = published.unlike.iter().cloned().collect();
    if let (Some(batch), Some(Value::Integer(ours))) =
        (published.batch, record.variables.get("batch_size"))
        && i64::from(batch) != *ours
    {
        reasons.push(format!("the batch size is {ours}, the figure is of {batch}"));
    }
    if record.parsed.is_some() {
        return reasons;
    }
    for (name, version) in &published.software {
        match record.software.get(name) {
            Some(ours) if is_version(ours, version) => {}
            Some(ours) => reasons.push(format!("`{name}` is {ours}, the figure is of {version}")),
            None => reasons.push(format!(
                "`{name}` is not among the image's distributions, the figure is of {version}"
            )),
        }
    }
    reasons
}

/// Whether a version is the one that a figure names; a local part (`+cu101`) counts where that has one.
fn is_version(ours: &str, published: &str) -> bool {
    let public = ours.split('+').next().unwrap_or(ours);
    ours == published || public == published
}

/// What differs between the machines, or disturbed this one; nothing for what no machine changes.
fn reasons_of_machine(record: &RunRecord, published: &Published) -> Vec<String> {
    let mut reasons = Vec::new();
    // Of a parsed log nobody knows the machine; one that never started had none.
    let had_machine = record.parsed.is_none() && record.exit.is_some();
    if published.portable || !had_machine {
        return reasons;
    }
    if let Some(count) = record.shared_host {
        reasons.push(format!("the machine was shared: {count} cases ran at once"));
    }
    let flags = record.conditions.iter().flat_map(|conditions| &conditions.flags);
    reasons.extend(flags.map(|flag| flag.text.clone()));
    let reference = record.reference_host.as_ref();
    let gpu = published.gpu.as_ref().or(reference.and_then(|host| host.gpu.as_ref()));
    let cpu = reference.and_then(|host| host.cpu.as_ref());
    match (gpu, cpu) {
        (Some(gpu), _) => reasons.extend(other_gpus(record, published, gpu)),
        (None, Some(cpu)) => reasons.extend(other_cpu(record, cpu)),
        (None, None) => {
            reasons.push("the guide does not say on which machine it was measured".to_owned());
        }
    }
    reasons
}

fn other_gpus(record: &RunRecord, published: &Published, gpu: &str) -> Vec<String> {
    let cards = &record.gpus;
    if cards.is_empty() {
        return vec![format!("it ran without a GPU, the figure is of {gpu}")];
    }
    let others = cards.iter().filter(|card| !is_same_gpu(&card.name, gpu));
    let others: BTreeSet<&str> = others.map(|card| card.name.as_str()).collect();
    let mut reasons: Vec<String> = others
        .into_iter()
        .map(|name| format!("the GPU is {name}, the figure is of {gpu}"))
        .collect();
    if let Some(wanted) = published.gpus.filter(|wanted| *wanted as usize != cards.len()) {
        let (count, noun) = (cards.len(), if cards.len() == 1 { "GPU" } else { "GPUs" });
        reasons.push(format!("it ran on {count} {noun}, the figure is of {wanted}"));
    }
    reasons
}

fn other_cpu(record: &RunRecord, cpu: &str) -> Option<String> {
    match &record.host.cpu {
        Some(ours) if is_same_cpu(ours, cpu) => None,
        Some(ours) => Some(format!("the processor is {ours}, the figure is of {cpu}")),
        None => Some(format!("the processor is not known, the figure is of {cpu}")),
    }
}
