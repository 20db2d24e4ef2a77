//! The lines of `repro doctor`: what is missing as `run` would say it, and what is there.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Machine, Wanted};
use crate::bench::PlannedCase;
use crate::cli::context::Context;
use crate::cli::{fitness, output};
use crate::doctor::{Check, ImageCode, KnownCard, State, Support};
use crate::engine::Gpus;
use crate::fetch;
use crate::report;

/// The order of the lines.
const ORDER: [&str; 17] = [
    "lock",
    "store",
    "GPUs",
    "code",
    "driver",
    "inputs",
    "data",
    "engine",
    "kernel",
    "overlay",
    "user namespaces",
    "cgroups",
    "memory",
    "shared memory",
    "disk",
    "tools",
    "machine",
];

/// The engine that needs nothing of this machine's kernel but its daemon.
const DOCKER: &str = "docker";

/// Less free space (bytes) than this is worth a word.
const LITTLE: u64 = 5_000_000_000;

/// Where a check stands among the others.
pub fn place(check: &str) -> usize {
    ORDER.iter().position(|known| *known == check).unwrap_or(ORDER.len())
}

/// The lines about an image on a machine.
pub fn of_image(context: &Context, wanted: &Wanted, machine: &Machine) -> Vec<Check> {
    let mut checks = wanted.preflight.checks();
    if !machine.is_this {
        // What lies on this machine says nothing of another one.
        let is_here = ["data", "disk", "engine", "store"];
        checks.retain(|check| !is_here.contains(&check.check.as_str()));
    }
    let mut there = vec![lock(wanted), gpus(wanted, machine)];
    there.extend(shared_memory(wanted, machine));
    there.extend(code(wanted, machine));
    there.extend(driver(wanted, machine));
    there.extend(data(wanted, machine));
    let missing: Vec<String> = checks.iter().map(|check| check.check.clone()).collect();
    there.retain(|check| check.state != State::Ok || !missing.contains(&check.check));
    there.retain(|check| !checks.iter().any(|other| other.needed.starts_with(&check.needed)));
    checks.extend(there);
    if machine.is_this && !missing.iter().any(|area| area == "engine") {
        checks.push(engine(context));
    }
    checks
}

/// The lines about the cards where nothing asks for them.
pub fn of_cards(machine: &Machine) -> Vec<Check> {
    let state = if machine.cards.is_empty() { State::Warn } else { State::Ok };
    let gpus = Check::new(state, "GPUs", "GPUs, for what guides measure", cards_text(machine));
    let driver = match &machine.host.driver {
        Some(driver) => Check::new(State::Ok, "driver", "an NVIDIA driver", driver),
        None => Check::new(State::Warn, "driver", "an NVIDIA driver", "none is loaded")
            .to_do("install it and load its module; profiles for CPUs need none"),
    };
    vec![gpus, driver]
}

/// The lines about the machine itself.
pub fn of_machine(context: &Context, machine: &Machine, with_image: bool) -> Vec<Check> {
    let Some(mut checks) = machine.offers() else {
        let there = "another machine: engine, kernel, disks and data are not looked at";
        return vec![Check::new(State::NotChecked, "machine", "what sealed runs need", there)];
    };
    let engine = engine(context);
    if engine.there == DOCKER {
        // These are what the other engine needs.
        let needless = checks.iter_mut().filter(|check| check.state == State::Bad);
        needless.for_each(|check| check.state = State::Warn);
    }
    if !with_image {
        checks.push(engine);
    }
    if let Some(memory) = machine.host.memory {
        let there = format!("{} in all", report::memory(memory));
        checks.push(Check::new(State::Ok, "memory", "as much as the cases use", there));
    }
    checks.extend(disks(context));
    checks.push(tools());
    checks
}

fn lock(wanted: &Wanted) -> Check {
    let count = wanted.draft.lock.as_ref().map_or(0, |lock| {
        lock.packages.len() + lock.wheels.len() + lock.git.len() + lock.downloads.len()
    });
    let there = format!("complete, {}", output::count(count, "input", "inputs"));
    Check::new(State::Ok, "lock", "a lock that pins everything", there)
}

fn gpus(wanted: &Wanted, machine: &Machine) -> Check {
    let on_gpus = wanted.planned.iter().filter(|case| case.job.gpus != Gpus::None);
    let most = on_gpus.map(|case: &PlannedCase| case.case.gpus).max().unwrap_or(0);
    let needed = match most {
        0 => "none".to_owned(),
        most => output::count(most as usize, "GPU", "GPUs"),
    };
    Check::new(State::Ok, "GPUs", needed, cards_text(machine))
}

/// `8 × Tesla V100-SXM2-32GB (7.0)`.
fn cards_text(machine: &Machine) -> String {
    let mut models: Vec<(String, usize)> = Vec::new();
    for known in &machine.cards {
        let name = model(known);
        match models.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count += 1,
            None => models.push((name, 1)),
        }
    }
    let text = |(name, count): &(String, usize)| format!("{count} × {name}");
    match models.is_empty() {
        true => "none".to_owned(),
        false => models.iter().map(text).collect::<Vec<_>>().join(", "),
    }
}

fn model(known: &KnownCard) -> String {
    match known.capability {
        Some(capability) => format!("{} ({capability})", known.card.name),
        None => known.card.name.clone(),
    }
}

/// One line for each model of card that the image has code for, or whose capability nobody knows.
fn code(wanted: &Wanted, machine: &Machine) -> Vec<Check> {
    if fitness::with_gpus(&wanted.planned).is_empty() {
        let there = "no chosen case uses a GPU";
        return vec![Check::new(State::NotChecked, "code", "code for the GPUs", there)];
    }
    let unread: Vec<&str> = wanted.code.unread().collect();
    let mut checks: Vec<Check> = Vec::new();
    if !unread.is_empty() {
        let check = Check::new(State::NotChecked, "code", "the image's wheels", not_there(&unread));
        let to_do = format!("`repro build {} --fetch-only` brings them", wanted.draft.recipe.name);
        checks.push(check.to_do(to_do));
    }
    if let Some(base) = &wanted.code.base {
        let there = format!("libraries of the base `{base}` are not looked at");
        checks.push(Check::new(State::NotChecked, "code", "the image's base", there));
    }
    for known in &machine.cards {
        let check = code_for(&wanted.code, known);
        if let Some(check) = check.filter(|check| !checks.contains(check)) {
            checks.push(check);
        }
    }
    checks
}

/// The line about a card; where no card can run the image, the preflight's list says so, too.
fn code_for(code: &ImageCode, known: &KnownCard) -> Option<Check> {
    let needed = format!("code for {}", model(known));
    let Some(capability) = known.capability else {
        let check =
            Check::new(State::NotChecked, "code", needed, "its compute capability is not known");
        return Some(check.to_do("the driver's library libnvidia-ml tells it"));
    };
    code.with_code().next()?;
    let lacks = code.lacks(capability);
    if !lacks.is_empty() {
        return Some(
            Check::new(State::Warn, "code", needed, lacks.join("; ")).to_do("nothing runs on it"),
        );
    }
    let (compiled, vendors) = (code.compiled_for(capability), code.vendors_lacks(capability));
    if !vendors.is_empty() {
        let check = Check::new(State::Warn, "code", needed, vendors.join("; "));
        return Some(check.to_do("nothing, unless the guide's code calls it"));
    }
    Some(match compiled.is_empty() {
        true => Check::new(State::Ok, "code", needed, direct(code, known)),
        false => {
            let there = format!("PTX only in {}", compiled.join(", "));
            Check::new(State::Warn, "code", needed, there).to_do(
                "the driver compiles it when the program starts, which can take minutes: not what the guide measured",
            )
        }
    })
}

fn direct(code: &ImageCode, known: &KnownCard) -> String {
    let is_direct = |(_, code): &(&str, &crate::doctor::WheelCode)| {
        let capability = known.capability;
        let mut libraries = code.libraries.iter();
        libraries.any(|it| capability.is_some_and(|it2| it.support(it2) == Support::Direct))
    };
    let names: Vec<&str> = code.with_code().filter(is_direct).map(|(name, _)| name).collect();
    format!("machine code in {}", names.join(", "))
}

fn not_there(wheels: &[&str]) -> String {
    let shown = wheels.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    match wheels.len() {
        0..=3 => format!("{shown}: not downloaded yet"),
        more => format!("{shown} and {} more: not downloaded yet", more - 3),
    }
}

fn driver(wanted: &Wanted, machine: &Machine) -> Option<Check> {
    let driver = machine.host.driver.as_ref()?;
    let needed = match wanted.code.runtime() {
        Some(runtime) => match runtime.oldest_driver() {
            Some(oldest) => format!("driver {oldest} or newer for CUDA {runtime}"),
            None => {
                let needed = format!("a driver for CUDA {runtime}");
                let there = format!("{driver}; which one that needs is not known");
                return Some(Check::new(State::NotChecked, "driver", needed, there));
            }
        },
        None => "an NVIDIA driver".to_owned(),
    };
    Some(Check::new(State::Ok, "driver", needed, driver))
}

fn data(wanted: &Wanted, machine: &Machine) -> Option<Check> {
    if !machine.is_this {
        return None;
    }
    let recipe = &wanted.draft.recipe;
    let profile = recipe.profiles.get(&wanted.profile)?;
    let mut names: Vec<&str> = profile.data.values().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let needed = match names.as_slice() {
        [] => "no data set".to_owned(),
        names => format!("data set `{}`", names.join("`, `")),
    };
    let there = if names.is_empty() { "-" } else { "there; verified when it runs" };
    Some(Check::new(State::Ok, "data", needed, there))
}

/// `/dev/shm` takes nothing until it is written to; its size is only a limit. Too little memory for it is in
/// the preflight's list.
fn shared_memory(wanted: &Wanted, machine: &Machine) -> Option<Check> {
    let size = wanted.draft.recipe.image.shm_size;
    let needed = format!("up to {} in `/dev/shm`", report::memory(size));
    let memory = machine.host.memory.filter(|memory| *memory >= size)?;
    let there = format!("{} of memory in all", report::memory(memory));
    Some(Check::new(State::Ok, "shared memory", needed, there))
}

fn engine(context: &Context) -> Check {
    let needed = "something that runs jobs";
    match context.engine() {
        Ok(engine) => Check::new(State::Ok, "engine", needed, engine.name()),
        Err(error) => {
            let there = error.to_string().replace('\n', " ");
            let check = Check::new(State::Bad, "engine", needed, there);
            check.to_do("`--engine embedded` needs no daemon")
        }
    }
}

/// Where much is written: store, results, data, and what Docker unpacks.
fn disks(context: &Context) -> Vec<Check> {
    let settings = &context.settings;
    let mut places = vec![("the store", settings.store_folder().to_owned())];
    places.push(("results", settings.results_folder().to_owned()));
    places.extend(settings.data_folder().map(|folder| ("data sets", folder.to_owned())));
    places.extend(context.docker_folder().map(|folder| ("Docker's images", folder)));
    places.iter().map(|(what, folder)| disk(what, folder)).collect()
}

fn disk(what: &str, folder: &Path) -> Check {
    let needed = format!("room for {what}");
    let Some(free) = existing(folder).and_then(|folder| fetch::free_space(&folder)) else {
        let there = format!("`{}` cannot be asked", folder.display());
        return Check::new(State::NotChecked, "disk", needed, there);
    };
    let there = format!("{} free in `{}`", output::size(free), folder.display());
    match free < LITTLE {
        false => Check::new(State::Ok, "disk", needed, there),
        true => Check::new(State::Warn, "disk", needed, there).to_do("make room"),
    }
}

/// The folder, or the nearest one above it that is there.
fn existing(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned)
}

/// What only `repro lock` needs.
fn tools() -> Check {
    let missing: Vec<&str> =
        ["python3", "apt-get"].into_iter().filter(|it| !is_in_path(it)).collect();
    let needed = "python3 with uv, and apt-get, only for `repro lock`";
    match missing.as_slice() {
        [] => Check::new(State::Ok, "tools", needed, "python3, apt-get; uv is asked for by `lock`"),
        names => Check::new(State::Warn, "tools", needed, format!("no {}", names.join(", no ")))
            .to_do("nothing, unless you write locks"),
    }
}

fn is_in_path(program: &str) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the search path is the shell's own list of tools"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| fs::metadata(folder.join(program)).is_ok())
}
