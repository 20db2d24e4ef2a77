//! What all cases of a run share: where the numbers come from, and how to get them again.

use askama::Template;

use super::commands;
use super::view::{Fact, Part, RunView};
use crate::bench::{HostDifference, RunRecord};
use crate::recipe::Erratum;
use crate::report::model::Run;
use crate::report::scrub::Clean;
use crate::report::words::{self, count};

/// The run with its cases, which are HTML already.
pub(super) fn render(run: &Run, number: usize, cases: Vec<String>, clean: &Clean) -> String {
    let record = run.first();
    let differences = record.host_differences();
    let view = RunView {
        anchor: format!("run-{number}"),
        title: format!("{}, profile {}", record.image.name, record.profile.name),
        start: words::moment(&record.start),
        files: files(record),
        facts: facts(run),
        host: host(record, &differences, clean),
        has_reference: record.reference_host.is_some(),
        commands: commands::of_run(record, clean),
        errata: errata(run),
        cases,
    };
    view.render().expect("writing into memory cannot fail")
}

fn facts(run: &Run) -> Vec<Fact> {
    let record = run.first();
    let image = &record.image;
    let mut facts = vec![Fact::mono("run", &record.run)];
    match record.parsed.is_some() {
        true => facts.push(Fact::new("seal", "not verified: the logs were made elsewhere")),
        false => facts.push(Fact::mono("seal", image.seal.to_string())),
    }
    if record.parsed.is_none() {
        facts.push(Fact::mono("lock", image.lock.to_string()));
    }
    facts.push(Fact::mono("recipe", image.recipe.to_string()));
    let guide = &image.guide;
    facts.push(Fact::new(
        "guide",
        format!("{} {} at {}", guide.repository, guide.path, guide.commit),
    ));
    facts.push(Fact::new("profile", format!("{}: {}", record.profile.name, record.profile.about)));
    if record.parsed.is_none() {
        facts.push(Fact::new("engine", &record.engine));
    }
    facts.push(Fact::new("start", words::moment(&record.start)));
    let time: f64 = run.records().filter_map(|record| record.duration).sum();
    let cases = count(run.cases.len(), "case", "cases");
    facts.push(Fact::new("time in cases", format!("{} in {cases}", words::duration(time))));
    facts
}

/// Files that the profile mounts, with their digests.
fn files(record: &RunRecord) -> Vec<String> {
    let files = record.profile.files.iter();
    files.map(|file| format!("{} {}", file.path, file.digest)).collect()
}

/// The machine, part by part; what differs from the guide's is named.
fn host(record: &RunRecord, differences: &[HostDifference], clean: &Clean) -> Vec<Part> {
    let host = &record.host;
    let reference = record.reference_host.clone().unwrap_or_default();
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let gpus = (!host.gpus.is_empty()).then(|| counted(&host.gpus));
    let wanted = reference.gpu.as_ref().map(|gpu| match reference.gpus {
        Some(count) => format!("{count} × {gpu}"),
        None => gpu.clone(),
    });
    let rows = [
        ("GPU", Some(gpus.unwrap_or("none".to_owned())), wanted),
        ("driver", host.driver.clone(), reference.driver),
        ("processor", host.cpu.clone(), reference.cpu),
        ("logical processors", number(host.cores), number(reference.processors)),
        ("memory", host.memory.map(words::memory), reference.memory.map(words::memory)),
        ("kernel", host.kernel.clone(), reference.kernel),
        ("system", host.os.clone(), reference.os),
    ];
    let rows = rows.into_iter().filter(|(_, here, wanted)| here.is_some() || wanted.is_some());
    rows.map(|(name, here, wanted)| Part {
        name,
        verdict: match &wanted {
            None => "not said",
            Some(_) if differences.iter().any(|one| one.what == name) => "\u{2260} differs",
            Some(_) => "\u{2713} same",
        },
        here: here.map_or("not known".to_owned(), |here| clean.text(&here)),
        reference: wanted.unwrap_or_default(),
    })
    .collect()
}

fn counted(names: &[String]) -> String {
    let groups = names.chunk_by(|a, b| a == b);
    let groups = groups.map(|group| match group {
        [one] => one.clone(),
        several => format!("{} × {}", several.len(), several[0]),
    });
    groups.collect::<Vec<_>>().join(", ")
}

/// Each once, in their order.
fn errata<'a>(run: &Run<'a>) -> Vec<&'a Erratum> {
    let mut errata: Vec<&Erratum> = Vec::new();
    for erratum in run.records().flat_map(|record| &record.errata) {
        if !errata.iter().any(|known| known.id == erratum.id) {
            errata.push(erratum);
        }
    }
    errata
}
