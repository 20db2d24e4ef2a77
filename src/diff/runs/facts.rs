//! What is known of a run besides its speed, as facts by name.

use std::collections::{BTreeMap, BTreeSet};

use super::FactReport;
use crate::bench::{RunRecord, Status, value_text};
use crate::lock::Difference;

/// Name to value; a name that is absent is a fact, too.
pub(super) type Facts = BTreeMap<String, String>;

/// The records of one case on both sides; without a name, all records of both.
pub(super) type Both<'a> = (&'a str, &'a [&'a RunRecord], &'a [&'a RunRecord]);

/// The facts that are not the same on both sides, each once with all its cases.
pub(super) fn differences(both: &[Both<'_>], of: fn(&RunRecord) -> Facts) -> Vec<FactReport> {
    let mut found: BTreeMap<Difference, BTreeSet<String>> = BTreeMap::new();
    for (case, before, after) in both {
        let (old, new) = (gather(before, of), gather(after, of));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (before, after) = (old.get(name), new.get(name));
            if before != after {
                let text = |values: Option<&BTreeSet<String>>| values.map(all_of);
                let (before, after) = (text(before), text(after));
                let difference = Difference { what: name.clone(), before, after };
                let cases = found.entry(difference).or_default();
                cases.extend((!case.is_empty()).then(|| (*case).to_owned()));
            }
        }
    }
    found.into_iter().map(|(difference, cases)| FactReport { difference, cases }).collect()
}

/// Every value that a fact has among the records of one side.
fn gather(
    records: &[&RunRecord],
    of: fn(&RunRecord) -> Facts,
) -> BTreeMap<String, BTreeSet<String>> {
    let facts: Vec<Facts> = records.iter().map(|record| of(record)).collect();
    let mut gathered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in facts.iter().flat_map(BTreeMap::keys) {
        // Where only some records know the fact, its absence is one of its values.
        let values = facts.iter().map(|facts| facts.get(name).map_or("nothing", |value| value));
        gathered.entry(name.clone()).or_insert_with(|| values.map(str::to_owned).collect());
    }
    gathered
}

fn all_of(values: &BTreeSet<String>) -> String {
    values.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
}

/// What went in.
pub(super) fn of_inputs(record: &RunRecord) -> Facts {
    let (image, job) = (&record.image, &record.job);
    let mut facts = Facts::new();
    let mut add = |name: &str, value: String| facts.insert(name.to_owned(), value);
    add("image", image.name.clone());
    match &record.parsed {
        Some(parsed) => add("log of somebody else", parsed.path.display().to_string()),
        None => add("seal", image.seal.to_string()),
    };
    add("lock", image.lock.to_string());
    add("recipe", image.recipe.to_string());
    add("profile", record.profile.name.clone());
    add("engine", record.engine.clone());
    add("command", job.command.join(" "));
    add("working folder", job.workdir.clone());
    add("shared memory", format!("{} bytes", job.shm_size));
    add("time limit", format!("{} s", job.timeout));
    let files = record.profile.files.iter();
    facts.extend(files.map(|file| (named("profile file", &file.path), file.digest.to_string())));
    let data = record.data.iter();
    facts
        .extend(data.map(|set| (named("data", &set.path), format!("{} {}", set.name, set.digest))));
    let inputs = record.inputs.iter();
    facts.extend(inputs.map(|(name, input)| (named("input", name), input.digest.to_string())));
    let software = record.software.iter();
    facts.extend(software.map(|(name, version)| (named("software", name), version.clone())));
    let env = job.env.iter();
    facts.extend(env.map(|(name, value)| (named("environment", name), value.clone())));
    facts.extend(of_variables(record));
    facts
}

/// What of that went into every case of a run alike.
pub(super) fn of_run(record: &RunRecord) -> Facts {
    let mut facts = of_inputs(record);
    let whole = ["image", "seal", "lock", "recipe", "profile", "engine"];
    facts.retain(|name, _| whole.contains(&name.as_str()) || name.starts_with("software "));
    facts
}

/// Variables; those that a user set otherwise say so, and are named only once.
fn of_variables(record: &RunRecord) -> Facts {
    let variables = record.variables.iter();
    let mut facts: Facts =
        variables.map(|(name, value)| (named("variable", name), value_text(value))).collect();
    for deviation in &record.deviations {
        let recipe: Vec<String> = deviation.recipe.iter().map(value_text).collect();
        let text =
            format!("{} (the recipe says {})", value_text(&deviation.used), recipe.join(", "));
        facts.insert(named("variable", &deviation.name), text);
    }
    facts
}

/// Where it ran, and what would spoil the number there.
pub(super) fn of_host(record: &RunRecord) -> Facts {
    let host = &record.host;
    let number = |number: u32| number.to_string();
    let known = [
        ("processor", host.cpu.clone()),
        ("processors", host.cores.map(number)),
        ("usable processors", host.usable_cores.map(number)),
        ("memory", host.memory.map(|bytes| format!("{bytes} bytes"))),
        ("kernel", host.kernel.clone()),
        ("distribution", host.os.clone()),
        ("driver", host.driver.clone()),
        ("cases at once", record.shared_host.map(|count| count.to_string())),
    ];
    let mut facts: Facts =
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if !host.gpus.is_empty() {
        facts.insert("GPUs of the machine".to_owned(), counted(&host.gpus));
    }
    let gpus: Vec<String> = record.gpus.iter().map(|card| card.name.clone()).collect();
    if !gpus.is_empty() {
        facts.insert("GPUs of the case".to_owned(), counted(&gpus));
    }
    for flag in record.conditions.iter().flat_map(|conditions| &conditions.flags) {
        // Seconds and degrees are other ones in every run; that there was something is the fact.
        let kind = serde_json::to_value(flag.kind).ok();
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
        facts.insert(named("condition", &kind), "seen".to_owned());
    }
    facts
}

/// How it ended.
pub(super) fn of_status(record: &RunRecord) -> Facts {
    Facts::from([("status".to_owned(), status_text(&record.status))])
}

/// How a case ended, in words.
pub(super) fn status_text(status: &Status) -> String {
    match status {
        Status::Ok => "ok".to_owned(),
        Status::Failed(reason) => format!("failed: {reason}"),
        Status::Skipped(reason) => format!("skipped: {reason}"),
    }
}

fn named(kind: &str, name: &str) -> String {
    format!("{kind} `{name}`")
}

/// `8 × Tesla V100-SXM2-32GB`
fn counted(names: &[String]) -> String {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
    let texts: Vec<String> =
        counts.into_iter().map(|(name, count)| format!("{count} × {name}")).collect();
    texts.join(", ")
}
