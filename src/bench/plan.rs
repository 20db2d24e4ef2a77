//! Says exactly what would be run: `run` runs it, a dry run prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::case::{self, Case, find_profile};
use super::exchange::{self, GivenInput, PlannedInput, PlannedOutput};
use super::figures::Rules;
use super::host::Host;
use super::layout::layout;
use super::matrix;
use super::pool::Pool;
use super::record::Repeat;
use super::template::Template;
use super::variables::{Setting, Variables, value_text};
use super::{BenchError, expand, select};
use crate::dataset::Unpacked;
use crate::digest::Digest;
use crate::engine::{Gpus, Job, Mount};
use crate::image::Image;
use crate::recipe::{OutputRule, Profile, Recipe};

/// A file that the profile mounts, where it lies on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFile {
    /// Absolute path in the job.
    pub target: String,
    /// The file on this machine, already checked.
    pub source: PathBuf,
    /// Digest of its content.
    pub digest: Digest,
}

/// What is to be run, and on what.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Digest of the lock that the image was built from.
    pub lock: Digest,
    /// The sealed image.
    pub image: &'a Image,
    /// The distributions of the image and their versions, by normalised name.
    pub software: &'a BTreeMap<String, String>,
    /// Name of the profile.
    pub profile: &'a str,
    /// Names and globs of cases; all of them if empty.
    pub cases: &'a [String],
    /// What the user sets otherwise than the recipe.
    pub settings: &'a [Setting],
    /// The profile's files: those it names, and those that build jobs made for it.
    pub files: &'a [ProfileFile],
    /// Verified data sets: name to folders and digest.
    pub data: &'a BTreeMap<String, Unpacked>,
    /// Seconds for each case instead of the recipe's.
    pub timeout: Option<u64>,
    /// The machine.
    pub host: &'a Host,
    /// The GPUs of it that cases may have.
    pub pool: &'a Pool,
    /// Files that the user gives to cases, by name.
    pub inputs: &'a BTreeMap<String, GivenInput>,
}

/// One case as it would be run.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCase {
    /// The case.
    pub case: Case,
    /// Which repetition it is, where each case runs several times.
    pub repeat: Option<Repeat>,
    /// Command, environment, mounts and limits.
    pub job: Job,
    /// What the guide types for it.
    pub guide_command: String,
    /// Name of the kept log.
    pub log_file: String,
    /// Name of the guide's record, if the guide has one.
    pub record_file: Option<String>,
    /// What it takes in.
    pub inputs: Vec<PlannedInput>,
    /// What it leaves behind.
    pub outputs: Vec<PlannedOutput>,
    /// The case that runs before it, if that was chosen too.
    pub needs: Option<String>,
    /// Why the profile leaves it out, if it does.
    pub left_out: Option<String>,
    /// Why it would be skipped on this machine, if it would.
    pub lacks: Option<String>,
}

impl PlannedCase {
    /// Why it would not be run, if so.
    pub fn skipped(&self) -> Option<&str> {
        self.left_out.as_deref().or(self.lacks.as_deref())
    }
}

/// Every chosen case as it would be run, in the order of the matrix.
pub fn plan(setup: &Setup) -> Result<Vec<PlannedCase>, BenchError> {
    let recipe = setup.recipe;
    let profile = find_profile(recipe, setup.profile)?;
    let rules = rules(recipe)?;
    let cases = select(&expand(recipe, setup.profile, setup.settings)?, setup.cases)
        .map_err(|error| matrix::or_unavailable(recipe, error))?;
    let mounts = mounts(setup, profile)?;
    let (mut planned, mut problems) = (Vec::new(), Vec::new());
    for case in cases {
        let unknown = rules[&case.mode].unknown_names(&case).into_iter();
        let mut case_problems: Vec<_> = unknown.map(|mistake| mistake.message).collect();
        match planned_case(setup, profile, case, &mounts) {
            Ok(case) => planned.push(case),
            Err(more) => case_problems.extend(more),
        }
        // The same mistake shows in every case; it is reported once.
        case_problems.retain(|problem| !problems.contains(problem));
        problems.extend(case_problems);
    }
    if !problems.is_empty() {
        return Err(BenchError::recipe(recipe, problems));
    }
    exchange::check_names(&planned, setup.inputs)?;
    exchange::connect(&mut planned, &recipe.benchmark.mode);
    Ok(planned)
}

/// The compiled rules of every mode.
pub(super) fn rules(recipe: &Recipe) -> Result<BTreeMap<String, Rules>, BenchError> {
    let (mut rules, mut problems) = (BTreeMap::new(), Vec::new());
    for mode in recipe.benchmark.mode.keys() {
        match Rules::compile(&recipe.benchmark.of_mode(mode)) {
            Ok(compiled) => drop(rules.insert(mode.clone(), compiled)),
            // Modes share most rules, and so their mistakes.
            Err(more) => problems.extend(more),
        }
    }
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    if problems.is_empty() { Ok(rules) } else { Err(BenchError::recipe(recipe, problems)) }
}

/// Whether the benchmark part of `recipe` could be run under each of its profiles.
///
/// Needs neither image nor data: it compiles every pattern and formula, expands every
/// matrix and fills in every template.
pub fn check(recipe: &Recipe) -> Result<(), BenchError> {
    let mut planned = Vec::new();
    for name in recipe.profiles.keys() {
        planned.push((name, plan_without_image(recipe, name)?));
    }
    let mut problems = matrix::unknown_cases(recipe, &planned);
    let cases = planned.iter().flat_map(|(_, cases)| cases).map(|planned| &planned.case);
    let folders = cases.filter_map(|case| layout(recipe, &case.mode, &case.variables).err());
    problems.extend(folders.flatten().collect::<BTreeSet<_>>());
    if problems.is_empty() { Ok(()) } else { Err(BenchError::recipe(recipe, problems)) }
}

/// Every case of `profile` on no machine in particular.
pub(super) fn plan_without_image(
    recipe: &Recipe,
    profile: &str,
) -> Result<Vec<PlannedCase>, BenchError> {
    let nothing = Digest::of(b"");
    without_image(recipe, profile, (nothing, nothing), (&[], &[]), plan)
}

/// Does `work` with a setup that has neither image nor data; seal and lock are only names in it.
pub(super) fn without_image<T>(
    recipe: &Recipe,
    profile: &str,
    (seal, lock): (Digest, Digest),
    (cases, settings): (&[String], &[Setting]),
    work: impl FnOnce(&Setup) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let rule = find_profile(recipe, profile)?;
    let name = recipe.name.clone();
    let (layers, env, workdir) = (Vec::new(), BTreeMap::new(), String::new());
    let image = Image { name, seal, lock, layers, env, workdir };
    let nowhere = |target: &String| ProfileFile {
        target: target.clone(),
        source: PathBuf::new(),
        digest: Digest::of(b""),
    };
    let files: Vec<_> = rule.files.keys().map(nowhere).collect();
    let names = rule.data.values();
    let data = names.map(|name| (name.clone(), Unpacked::nowhere())).collect();
    work(&Setup {
        recipe,
        lock,
        image: &image,
        software: &BTreeMap::new(),
        profile,
        cases,
        settings,
        files: &files,
        data: &data,
        timeout: None,
        host: &Host::default(),
        pool: &Pool::default(),
        inputs: &BTreeMap::new(),
    })
}

/// Data sets and profile files, sorted by their place in the job.
fn mounts(setup: &Setup, profile: &Profile) -> Result<Vec<Mount>, BenchError> {
    let mut missing = Vec::new();
    let mut mounts = BTreeMap::new();
    for (target, name) in &profile.data {
        match setup.data.get(name) {
            Some(unpacked) => mounts.extend(unpacked.below(target)),
            None => missing.push(format!("data set `{name}` at `{target}`")),
        }
    }
    mounts.extend(setup.files.iter().map(|file| (file.target.clone(), file.source.clone())));
    let lacks = |target: &String| setup.files.iter().all(|file| file.target != *target);
    for (target, path) in profile.files.iter().filter(|(target, _)| lacks(target)) {
        missing.push(format!("file `{path}` at `{target}`"));
    }
    if !missing.is_empty() {
        return Err(BenchError::MissingInput { profile: setup.profile.to_owned(), missing });
    }
    let mount = |(target, source)| Mount { source, target, writable: false };
    Ok(mounts.into_iter().map(mount).collect())
}

fn planned_case(
    setup: &Setup,
    profile: &Profile,
    case: Case,
    mounts: &[Mount],
) -> Result<PlannedCase, Vec<String>> {
    let benchmark = setup.recipe.benchmark.of_mode(&case.mode);
    let mode = &benchmark.mode[&case.mode];
    let mut filler = Filler::new(&case.variables);
    let command = filler.command(mode.command_of(&case.model));
    let mut env = setup.image.env.clone();
    for (name, value) in mode.env.iter().chain(&profile.env) {
        env.insert(name.clone(), filler.text("environment", value));
    }
    let workdir = filler.text("`workdir`", &benchmark.workdir);
    let log_file = filler.file_name("`log-file`", benchmark.log_file());
    let record = benchmark.record.as_ref();
    let record_file = record.map(|record| filler.file_name("`file`", &record.file));
    filler.check_names(&case.mode, &command, &log_file, record_file.as_deref());
    let output = |(name, rule): (&String, &OutputRule)| PlannedOutput {
        name: name.clone(),
        pattern: filler.text(&format!("output `{name}`"), &rule.path),
        is_taken: false,
    };
    let outputs = mode.outputs.iter().map(output).collect();
    let left_out = case::left_out(profile, &case.name);
    let guide_command = matrix::guide_command(setup.recipe, profile, mode, &case);
    let guide_command = guide_command.map_err(|more| filler.problems.extend(more));
    let problems = filler.problems;
    let (Ok(guide_command), true) = (guide_command, problems.is_empty()) else {
        return Err(problems);
    };
    let image = &setup.recipe.image;
    let timeout = setup.timeout.or(profile.timeout).unwrap_or(benchmark.timeout);
    let job = Job {
        command,
        env,
        workdir,
        mounts: mounts.to_vec(),
        writable: image.writable.clone(),
        shm_size: image.shm_size,
        timeout: Duration::from_secs(timeout),
        memory: None,
        gpus: gpus(setup, profile, &case),
        keep: Vec::new(),
    };
    let lacks = match profile.gpus {
        true => setup.pool.lacks(setup.host, case.gpus),
        false => None,
    };
    let inputs = exchange::inputs(mode, setup.inputs);
    Ok(PlannedCase {
        case,
        repeat: None,
        job,
        guide_command,
        log_file,
        record_file,
        inputs,
        outputs,
        needs: None,
        left_out,
        lacks,
    })
}

/// The GPUs that the case would get if it were alone; which ones it really gets shows when it starts.
fn gpus(setup: &Setup, profile: &Profile, case: &Case) -> Gpus {
    if !profile.gpus {
        return Gpus::None;
    }
    let cards = setup.pool.cards.iter().take(case.gpus as usize);
    Gpus::Cards(cards.cloned().collect())
}

/// Fills in templates with the variables of one case and collects what goes wrong.
pub(super) struct Filler<'a> {
    variables: &'a Variables,
    known: Vec<String>,
    pub(super) problems: Vec<String>,
}

impl<'a> Filler<'a> {
    pub(super) fn new(variables: &'a Variables) -> Self {
        let known = variables.keys().cloned().collect();
        Self { variables, known, problems: Vec::new() }
    }

    pub(super) fn command(&mut self, template: &[String]) -> Vec<String> {
        template.iter().flat_map(|argument| self.argument(argument)).collect()
    }

    fn argument(&mut self, template: &str) -> Vec<String> {
        let variables = self.variables;
        let value = |name: &str| variables.get(name).map(value_text);
        let filled = Template::parse(template)
            .and_then(|template| template.render_argument(&self.known, value));
        filled.unwrap_or_else(|error| {
            self.problems.push(format!("command: {error}"));
            Vec::new()
        })
    }

    pub(super) fn text(&mut self, place: &str, template: &str) -> String {
        let variables = self.variables;
        let value = |name: &str| variables.get(name).map(value_text);
        let filled =
            Template::parse(template).and_then(|template| template.render(&self.known, value));
        filled.unwrap_or_else(|error| {
            self.problems.push(format!("{place}: {error}"));
            String::new()
        })
    }

    /// A name that stays inside the case's folder.
    fn file_name(&mut self, place: &str, template: &str) -> String {
        let name = self.text(place, template);
        if name.contains(['/', '\0']) || matches!(name.as_str(), "." | "..") || name.len() > 200 {
            self.problems.push(format!("{place}: `{name}` is no plain file name"));
        }
        name
    }

    fn check_names(
        &mut self,
        mode: &str,
        command: &[String],
        log_file: &str,
        record_file: Option<&str>,
    ) {
        if command.first().is_none_or(String::is_empty) {
            self.problems.push(format!("the command of mode `{mode}` is empty"));
        }
        let own = super::record::FILE;
        let wrong = |name: &str| name.is_empty() || name == own;
        let twice = record_file == Some(log_file);
        if self.problems.is_empty() && (twice || wrong(log_file) || record_file.is_some_and(wrong))
        {
            let record_file = record_file.unwrap_or("none");
            self.problems.push(format!(
                "`file` and `log-file` have to be two names other than `{own}`\n  file      {record_file}\n  log-file  {log_file}"
            ));
        }
    }
}
