//! What all cases of a run share: where the numbers come from, and how to get them again.

use askama::Template;

use super::commands;
use super::view::{Fact, Part, RunView};
use crate::bench::{HostDifference, RunRecord};
use crate::recipe::Erratum;
use crate::report::model::Run;
use crate::report::plot;
use crate::report::scrub::Clean;
use crate::report::words::{self, count};

/// The run with its cases, which are HTML already.
pub(super) fn render(run: &Run, number: usize, cases: Vec<String>, clean: &Clean) -> String {
    let record = run.first();
    let differences = record.host_differences();
    let view = RunView {
        anchor: format!("run-{number}"),
        title: format!("{}, profile {}", record.image.name, record.profile.name),
        about: record.image.title.clone(),
        plot: plot::cases::plot(&format!("run-{number}-cases"), run).unwrap_or_default(),
        start: words::moment(&record.start),
        files: files(record),
        facts: facts(run),
        host: host(record, &differences, clean),
        has_reference: record.reference_host.is_some(),
        commands: commands::of_run(run, clean),
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
    let software = software(record);
    if !software.is_empty() {
        facts.push(Fact::new("measured with", software.join(", ")));
    }
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

/// Frameworks that a reader asks for first, by the names of their distributions.
const FRAMEWORKS: [&str; 9] = [
    "torch",
    "torchvision",
    "mindspore-gpu",
    "mindspore",
    "tensorflow",
    "tensorflow-gpu",
    "paddlepaddle-gpu",
    "jax",
    "jaxlib",
];

/// `torch 1.9.1+cu102, CUDA 10.2, Python 3.9`, as far as the record says.
fn software(record: &RunRecord) -> Vec<String> {
    let named = |name: &&str| Some(format!("{name} {}", record.software.get(*name)?));
    let mut software: Vec<String> = FRAMEWORKS.iter().filter_map(named).collect();
    software.extend(cuda(record).map(|version| format!("CUDA {version}")));
    software.extend(record.image.python.iter().map(|version| format!("Python {version}")));
    software
}

/// CUDA by the local version of torch (`+cu102`) or by the wheel of its runtime.
fn cuda(record: &RunRecord) -> Option<String> {
    let local = record.software.get("torch").and_then(|version| version.split_once("+cu"));
    if let Some((major, minor)) = local.and_then(|(_, digits)| digits.split_at_checked(2)) {
        return Some(format!("{major}.{minor}"));
    }
    let runtime = |(name, _): &(&String, &String)| name.starts_with("nvidia-cuda-runtime");
    record.software.iter().find(runtime).map(|(_, version)| version.clone())
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
