//! Everything that a run lacks, found before anything is downloaded, built or run.

mod advice;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::reference::{self, Reference};
use super::subject::{self, Subject};
use super::{build, output};
use crate::bench::{Kind, Lack, PlannedCase};
use crate::doctor::{Check, State};
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::store::Store;

use advice::area;
pub use sources::{Unplaced, to_download};

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
            Reference::Recipe(name) => {
                let draft = Self::of_project(context, &name)?;
                if let Some(lock) = &draft.lock {
                    crate::build::refuse_other(store, lock)?;
                }
                Ok(draft)
            }
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
    unplaced: BTreeMap<String, Unplaced>,
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
            unplaced: sources::unplaced(context, store, draft, profile)?,
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
                _ if lack.is_warning() => State::Warn,
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
        self.runnable == 0 || (strict && self.lacking().next().is_some())
    }

    /// What keeps cases from running.
    fn lacking(&self) -> impl Iterator<Item = &Lack> {
        self.lacks.iter().filter(|lack| !lack.is_warning())
    }

    /// The data set that would be mounted at `target`, if it has no place on this machine yet.
    pub fn unplaced(&self, target: &str) -> Option<&Unplaced> {
        self.unplaced.get(target)
    }

    /// How many cases are only skipped.
    pub fn left_out(&self) -> usize {
        self.skipped.len()
    }

    /// The list for people, what is only warned of apart; empty if nothing is missing.
    pub fn text(&self) -> String {
        let warnings = self.lacks.iter().filter(|lack| lack.is_warning());
        let (lacking, warnings) = (self.table(self.lacking()), self.table(warnings));
        let mut text = String::new();
        if !lacking.is_empty() {
            text.push_str(&format!("{}\n{lacking}", self.heading()));
        }
        if !warnings.is_empty() {
            text.push_str(&format!("to be warned of, no case is skipped for it\n{warnings}"));
        }
        text
    }

    /// A line for each of `lacks` below a header; nothing if there are none.
    fn table<'a>(&self, lacks: impl Iterator<Item = &'a Lack>) -> String {
        let header = ["needed", "there", "what to do"].map(str::to_owned).to_vec();
        let row = |lack: &Lack| {
            let there = lack.there.replace('\n', " ");
            vec![format!("{}{}", lack.needed, self.extent(lack)), there, self.advice(lack)]
        };
        let rows: Vec<_> = std::iter::once(header).chain(lacks.map(row)).collect();
        if rows.len() == 1 {
            return String::new();
        }
        let width = output::note_width().map(|width| width.saturating_sub(2));
        let table = output::columns_within(&rows, &[], width);
        table.lines().map(|line| format!("  {line}\n")).collect()
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
            item["is_warning"] = json!(lack.is_warning());
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
        let text = match self.lacking().next() {
            // The profile leaves out what was chosen.
            None => format!("{}\n  {}", self.heading(), self.skipped.join("\n  ")),
            Some(_) => self.text(),
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
        let blocking = self.lacking().filter(decides).map(code);
        let rank = |code: &u8| [2, 4, 3, 1].iter().position(|known| known == code);
        let first = blocking.min_by_key(rank);
        first.or_else(|| self.lacking().map(code).min_by_key(rank)).unwrap_or(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A preflight of one case that lacks these, of which the first is memory for `/dev/shm`.
    fn preflight(more: Option<Lack>) -> Preflight {
        let memory = Lack {
            kind: Kind::Memory,
            needed: "64.0 GiB of memory for `/dev/shm`".to_owned(),
            there: "23.4 GiB in all".to_owned(),
            cases: vec!["net/sp".to_owned()],
        };
        Preflight {
            image: "tracker".to_owned(),
            runnable: if more.is_some() { 0 } else { 1 },
            lacks: [memory].into_iter().chain(more).collect(),
            complete: Vec::new(),
            unplaced: BTreeMap::new(),
            without_gpus: Vec::new(),
            cases: 1,
            skipped: Vec::new(),
        }
    }

    #[test]
    fn a_warning_refuses_nothing_and_is_told_as_one() {
        let preflight = preflight(None);
        assert!(!preflight.refuses(false) && !preflight.refuses(true));
        insta::assert_snapshot!(preflight.text(), @r"
        to be warned of, no case is skipped for it
          needed                             there            what to do
          64.0 GiB of memory for `/dev/shm`  23.4 GiB in all  nothing: a limit, only what is used counts
        ");
        assert_eq!(preflight.checks()[0].state, State::Warn);
        assert_eq!(preflight.json()[0]["is_warning"], true);
    }

    #[test]
    fn a_warning_stands_below_what_is_missing_and_decides_no_exit_code() {
        let disk = Lack::of_all(Kind::Disk, "9.0 GB for downloads in the store", "1.0 GB are free");
        let preflight = preflight(Some(disk));
        assert!(preflight.refuses(false));
        assert_eq!(preflight.code(), 1);
        insta::assert_snapshot!(preflight.text(), @r"
        1 of 1 case of `tracker` cannot run here
          needed                             there            what to do
          9.0 GB for downloads in the store  1.0 GB are free  make room, or put the store elsewhere with `REPRO_HOME`
        to be warned of, no case is skipped for it
          needed                             there            what to do
          64.0 GiB of memory for `/dev/shm`  23.4 GiB in all  nothing: a limit, only what is used counts
        ");
        assert_eq!(preflight.json()[1]["is_warning"], false);
    }
}
