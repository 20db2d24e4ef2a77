//! Everything that a run lacks, found before anything is downloaded, built or run.

mod sources;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::reference::{self, Reference};
use super::subject::{self, Subject};
use super::{build, output};
use crate::bench::{Kind, Lack, PlannedCase};
use crate::dataset;
use crate::doctor::{Check, State};
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::store::Store;

pub use sources::to_download;

/// An image that somebody wants to run, whether its lock can be used or not.
#[derive(Clone)]
pub struct Draft {
    pub recipe: Recipe,
    /// The lock, if an image can be built from it.
    pub lock: Option<Lock>,
    /// The folder that local files are relative to.
    pub folder: PathBuf,
    is_of_project: bool,
    /// What is wrong with the lock.
    lacks: Vec<Lack>,
    /// Other images of the system that can be built.
    complete: Vec<String>,
}

impl Draft {
    /// Recipe and lock of a reference; what is wrong with the lock is no error yet.
    pub fn resolve(context: &Context, store: &Store, text: &str) -> Result<Self, CliError> {
        match reference::resolve(context, store, text)? {
            Reference::Recipe(name) => Self::of_project(context, &name),
            Reference::Sealed { name, seal } => {
                let Subject { recipe, lock, folder, is_of_project } =
                    subject::sealed(store, name, &seal, None)?;
                let (lacks, complete) = (Vec::new(), Vec::new());
                Ok(Self { recipe, lock: Some(lock), folder, is_of_project, lacks, complete })
            }
        }
    }

    fn of_project(context: &Context, name: &str) -> Result<Self, CliError> {
        let recipe = context.recipe(name)?;
        let lock = context.find_lock(name)?;
        let lacks = match &lock {
            None => vec![Lack::of_all(Kind::Lock, format!("the lock of `{name}`"), "none")],
            Some(lock) => sources::of_lock(lock, &recipe)?,
        };
        let complete = match lacks.is_empty() {
            true => Vec::new(),
            false => build::complete_variants(context, &recipe)?,
        };
        let lock = lock.filter(|_| lacks.is_empty());
        let folder = context.images()?;
        Ok(Self { recipe, lock, folder, is_of_project: true, lacks, complete })
    }

    /// The image with its lock; there is one if the preflight found nothing wrong with it.
    pub fn subject(&self) -> Result<Subject, CliError> {
        let Self { recipe, lock, folder, is_of_project, .. } = self.clone();
        let lock = lock.ok_or_else(|| CliError::NoLock { name: recipe.name.clone() })?;
        Ok(Subject { recipe, lock, folder, is_of_project })
    }

    /// The folder that data sets are described in.
    pub fn project(&self, context: &Context) -> Result<PathBuf, CliError> {
        subject::project_of(&self.folder, context)
    }
}

/// What is missing, and for which of the cases.
pub struct Preflight {
    image: String,
    lacks: Vec<Lack>,
    complete: Vec<String>,
    /// Profiles that need no GPUs.
    without_gpus: Vec<String>,
    cases: usize,
    runnable: usize,
    /// Each case that cannot run, and why.
    skipped: Vec<String>,
}

impl Preflight {
    /// Adds to what the machine lacks what project and settings lack.
    pub fn new(
        context: &Context,
        store: &Store,
        draft: &Draft,
        profile: &str,
        planned: &[PlannedCase],
        of_machine: Vec<Lack>,
    ) -> Result<Self, CliError> {
        let mut lacks = draft.lacks.clone();
        lacks.extend(sources::of_data(context, store, draft, profile)?);
        if let Some(lock) = &draft.lock {
            lacks.extend(sources::of_store(context, store, lock)?);
        }
        if let Err(error) = context.engine() {
            lacks.push(Lack::of_all(Kind::Engine, "an engine", error.to_string()));
        }
        lacks.extend(of_machine);
        let blocked = lacks.iter().any(|lack| lack.cases.is_empty());
        let runnable = planned.iter().filter(|case| case.skipped().is_none()).count();
        let skipped = planned
            .iter()
            .filter_map(|case| Some(format!("{}: {}", case.case.name, case.skipped()?)));
        let profiles = draft.recipe.profiles.iter().filter(|(_, profile)| !profile.gpus);
        Ok(Self {
            image: draft.recipe.name.clone(),
            lacks,
            complete: draft.complete.clone(),
            without_gpus: profiles.map(|(name, _)| name.clone()).collect(),
            cases: planned.len(),
            runnable: if blocked { 0 } else { runnable },
            skipped: skipped.collect(),
        })
    }

    /// What is missing, one line each; bad is what keeps every case from running.
    pub fn checks(&self) -> Vec<Check> {
        let of_gpus = self.lacks.iter().filter(|lack| lack.kind == Kind::Gpus);
        let without: BTreeSet<&String> = of_gpus.flat_map(|lack| &lack.cases).collect();
        let check = |lack: &Lack| {
            let all = lack.cases.is_empty() || lack.cases.len() == self.cases;
            let state = match lack.kind {
                // A job may never fill what it may fill.
                Kind::Memory => State::Warn,
                // Cases that need different numbers are different lines.
                Kind::Gpus if without.len() == self.cases => State::Bad,
                _ if all => State::Bad,
                _ => State::Warn,
            };
            let needed = format!("{}{}", lack.needed, self.extent(lack));
            let there = lack.there.replace('\n', " ");
            Check::new(state, area(&lack.kind), needed, there).to_do(self.advice(lack))
        };
        self.lacks.iter().map(check).collect()
    }

    /// Whether nothing can run, or not all of it and `strict` asks for all.
    pub fn refuses(&self, strict: bool) -> bool {
        self.runnable == 0 || (strict && !self.lacks.is_empty())
    }

    /// How many cases are only skipped.
    pub fn left_out(&self) -> usize {
        self.skipped.len()
    }

    /// The list for people; empty if nothing is missing.
    pub fn text(&self) -> String {
        if self.lacks.is_empty() {
            return String::new();
        }
        let header = ["needed", "there", "what to do"].map(str::to_owned).to_vec();
        let row = |lack: &Lack| {
            let there = lack.there.replace('\n', " ");
            vec![format!("{}{}", lack.needed, self.extent(lack)), there, self.advice(lack)]
        };
        let rows: Vec<_> = std::iter::once(header).chain(self.lacks.iter().map(row)).collect();
        let width = output::note_width().map(|width| width.saturating_sub(2));
        let table = output::columns_within(&rows, &[], width);
        let lines: String = table.lines().map(|line| format!("  {line}\n")).collect();
        format!("{}\n{lines}", self.heading())
    }

    /// Says what is missing where the rest can run.
    pub fn tell(&self) {
        if !self.lacks.is_empty() {
            output::note(self.text().trim_end());
        }
    }

    /// The list for machines.
    pub fn json(&self) -> Value {
        let item = |lack: &Lack| {
            let mut item = json!(lack);
            item["to_do"] = json!(self.advice(lack));
            item
        };
        self.lacks.iter().map(item).collect()
    }

    /// Says why nothing is run; the exit code is that of the first thing to be mended.
    pub fn refuse(&self, context: &Context) -> ExitCode {
        let code = self.code();
        if context.json {
            output::json(
                &json!({ "error": self.heading(), "missing": self.json(), "exit_code": code }),
            );
        }
        let text = match self.lacks.is_empty() {
            // The profile leaves out what was chosen.
            true => format!("{}\n  {}", self.heading(), self.skipped.join("\n  ")),
            false => self.text(),
        };
        output::error(&format!("error: {}", text.trim_end()));
        ExitCode::from(code)
    }

    fn heading(&self) -> String {
        let cannot = self.cases - self.runnable;
        format!(
            "{cannot} of {} of `{}` cannot run here",
            output::count(self.cases, "case", "cases"),
            self.image
        )
    }

    fn extent(&self, lack: &Lack) -> String {
        match lack.cases.len() {
            0 => String::new(),
            count if count == self.cases => String::new(),
            count => format!(", for {}", output::count(count, "case", "cases")),
        }
    }

    /// What was written wrong comes first, then what the machine lacks, then content.
    fn code(&self) -> u8 {
        let code = |lack: &Lack| match lack.kind {
            Kind::Lock
            | Kind::OldLock
            | Kind::Unpinned
            | Kind::UnknownData { .. }
            | Kind::Input { .. }
            | Kind::DataFolder => 2,
            Kind::Data { .. } | Kind::UnpinnedData { .. } => 3,
            Kind::Driver
            | Kind::OldDriver
            | Kind::Gpus
            | Kind::Code
            | Kind::Memory
            | Kind::Offline
            | Kind::Engine => 4,
            Kind::Disk => 1,
        };
        // A case that lacks nothing but a file is skipped; it decides only where nothing else does.
        let decides = |lack: &&Lack| lack.cases.is_empty() || lack.cases.len() == self.cases;
        let blocking = self.lacks.iter().filter(decides).map(code);
        let rank = |code: &u8| [2, 4, 3, 1].iter().position(|known| known == code);
        let first = blocking.min_by_key(rank);
        first.or_else(|| self.lacks.iter().map(code).min_by_key(rank)).unwrap_or(4)
    }

    fn advice(&self, lack: &Lack) -> String {
        let image = &self.image;
        match &lack.kind {
            Kind::Driver if self.without_gpus.is_empty() => {
                "install it and load its module".to_owned()
            }
            Kind::Driver => format!("load it{}", self.profiles_without_gpus()),
            Kind::OldDriver => format!("update it{}", self.profiles_without_gpus()),
            Kind::Code => format!(
                "a card that the code is for, or a variant of newer wheels{}",
                self.profiles_without_gpus()
            ),
            Kind::Gpus => "run it where they are, or choose other cases by `--case`".to_owned(),
            Kind::Input { name, mode: None } => format!("`--input {name}=FILE`"),
            Kind::Input { name, mode: Some(mode) } => {
                format!("`--input {name}=FILE`, or choose the cases of mode `{mode}` too")
            }
            Kind::Memory => "another machine".to_owned(),
            Kind::Offline => "`--mirror DIR` that has them, or go without `--offline`".to_owned(),
            Kind::Disk => "make room, or put the store elsewhere with `REPRO_HOME`".to_owned(),
            Kind::Lock => format!("`repro lock {image}` writes it{}", self.others()),
            Kind::OldLock => format!("`repro lock {image}` resolves the recipe again"),
            Kind::Unpinned if lack.there.starts_with("gone") => {
                format!("nothing brings it back{}", self.others())
            }
            Kind::Unpinned => format!("`repro lock {image}` asks again{}", self.others()),
            Kind::Data { name } => format!(
                "`repro fetch-data {name}`; `repro verify-data {name}` says what belongs where"
            ),
            Kind::UnknownData { .. } => format!("describe it in `{}`", dataset::FILE),
            Kind::UnpinnedData { .. } => {
                "`repro pin-data FILE` pins an archive that you have".to_owned()
            }
            Kind::DataFolder => {
                "make it, or name another with `--data DIR` or `$REPRO_DATA`".to_owned()
            }
            Kind::Engine => "`--engine embedded` needs no daemon".to_owned(),
        }
    }

    fn profiles_without_gpus(&self) -> String {
        match self.without_gpus.as_slice() {
            [] => String::new(),
            names => format!("; `--profile {}` needs no GPU", names.join("` or `--profile ")),
        }
    }

    /// The variants that can be built now.
    fn others(&self) -> String {
        let command = |name: &String| format!("; `repro build {name}` builds now");
        self.complete.iter().map(command).collect()
    }
}

/// What a missing thing belongs to.
fn area(kind: &Kind) -> &'static str {
    match kind {
        Kind::Driver | Kind::OldDriver => "driver",
        Kind::Gpus => "GPUs",
        Kind::Code => "code",
        Kind::Input { .. } => "inputs",
        Kind::Memory => "shared memory",
        Kind::Offline => "store",
        Kind::Disk => "disk",
        Kind::Lock | Kind::OldLock | Kind::Unpinned => "lock",
        Kind::Engine => "engine",
        Kind::Data { .. }
        | Kind::UnknownData { .. }
        | Kind::UnpinnedData { .. }
        | Kind::DataFolder => "data",
    }
}
