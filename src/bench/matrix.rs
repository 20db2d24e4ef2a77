//! The matrix of a guide: its own command for each case, ours, what it publishes, what nobody can run.

use super::BenchError;
use super::case::{self, Case, FULL_PROFILE};
use super::plan::{Filler, PlannedCase, plan_without_image};
use super::variables::{self, AXES};
use crate::recipe::{Mode, Profile, Published, Recipe, ReferenceHost, Unavailable, Value};

/// One case of a guide.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixCase {
    /// `seg/fastscnn/sp/bs2/fp32`.
    pub name: String,
    /// What the guide types.
    pub guide_command: String,
    /// What is run; empty if the case is unavailable.
    pub command: Vec<String>,
    /// The figures that the guide publishes for it.
    pub published: Vec<Published>,
    /// Why it cannot be run here at all, if so.
    pub unavailable: Option<String>,
    /// Why it is expected to fail somewhere, one reason each.
    pub expected_failures: Vec<String>,
    /// The machine that the guide measured on, as far as it says.
    pub reference_host: Option<ReferenceHost>,
}

/// The guide's own matrix with what cannot be run at its end; nothing without a profile `full`.
pub fn matrix(recipe: &Recipe) -> Result<Vec<MatrixCase>, BenchError> {
    let planned = match recipe.profiles.contains_key(FULL_PROFILE) {
        true => plan_without_image(recipe, FULL_PROFILE)?,
        false => Vec::new(),
    };
    let available = planned.into_iter().map(|planned| MatrixCase {
        published: published(recipe, &planned.case.name),
        expected_failures: expected_failures(recipe, &planned.case.name),
        reference_host: recipe.reference_host.clone(),
        name: planned.case.name,
        guide_command: planned.guide_command,
        command: planned.job.command,
        unavailable: None,
    });
    let unavailable = recipe.unavailable.iter().map(|case| MatrixCase {
        published: published(recipe, &case.case),
        expected_failures: expected_failures(recipe, &case.case),
        reference_host: recipe.reference_host.clone(),
        name: case.case.clone(),
        guide_command: case.guide_command.clone(),
        command: Vec::new(),
        unavailable: Some(case.reason.clone()),
    });
    Ok(available.chain(unavailable).collect())
}

/// A name that no case has may be one of those that the guide has and nobody here can run.
pub(super) fn or_unavailable(recipe: &Recipe, error: BenchError) -> BenchError {
    let BenchError::UnknownCase { pattern, .. } = &error else { return error };
    let named = recipe.unavailable.iter().find(|case| case::is_named(&case.case, pattern));
    match named {
        Some(Unavailable { reason, .. }) => {
            BenchError::Unavailable { case: pattern.clone(), reason: reason.clone() }
        }
        None => error,
    }
}

/// The figures that the guide publishes for the case `name`.
pub(super) fn published(recipe: &Recipe, name: &str) -> Vec<Published> {
    let fits = |figure: &&Published| case::fits(&figure.case, name);
    recipe.published.iter().filter(fits).cloned().collect()
}

/// Why the case `name` is expected to fail under the guide's own profile, whatever else must hold.
fn expected_failures(recipe: &Recipe, name: &str) -> Vec<String> {
    let of_profile = |profile: &Option<String>| {
        profile.as_ref().is_none_or(|profile| profile == case::FULL_PROFILE)
    };
    let all = recipe.expected_failures.iter();
    let fit = all.filter(|failure| case::fits(&failure.case, name) && of_profile(&failure.profile));
    fit.map(|failure| failure.reason.clone()).collect()
}

/// What the guide types for `case`: whatever profile is run, the guide's own variables.
pub(super) fn guide_command(
    recipe: &Recipe,
    profile: &Profile,
    mode: &Mode,
    case: &Case,
) -> Result<String, Vec<String>> {
    let guide = recipe.profiles.get(FULL_PROFILE).unwrap_or(profile);
    let mut variables = variables::of_model(&recipe.benchmark, guide, &case.model);
    let axes = case.variables.iter().filter(|(name, _)| AXES.contains(&name.as_str()));
    variables.extend(axes.map(|(name, value)| (name.clone(), value.clone())));
    let gpus = guide.gpus_of.get(&case.mode).copied().unwrap_or(mode.gpus);
    variables.insert("gpu_num".to_owned(), Value::Integer(gpus.into()));
    let mut filler = Filler::new(&variables);
    let line = match mode.guide_commands.get(&case.model).or(mode.guide_command.as_ref()) {
        Some(line) => filler.text("guide-command", line),
        None => filler.command(mode.command_of(&case.model)).join(" "),
    };
    if filler.problems.is_empty() { Ok(line) } else { Err(filler.problems) }
}

/// Names of cases that fit no case, as fragments.
pub(super) fn unknown_cases(
    recipe: &Recipe,
    planned: &[(&String, Vec<PlannedCase>)],
) -> Vec<String> {
    let mut problems = Vec::new();
    let all = || planned.iter().flat_map(|(_, cases)| cases);
    for case in &recipe.unavailable {
        if all().any(|planned| planned.case.name == case.case) {
            problems.push(format!("`{}` is unavailable, but the matrix has it", case.case));
        }
    }
    let is_known = |glob: &str| {
        let unavailable = recipe.unavailable.iter().map(|case| &case.case);
        let mut cases = all().map(|planned| &planned.case.name).chain(unavailable);
        cases.any(|case| case::fits(glob, case))
    };
    for expected in recipe.expected_failures.iter().filter(|expected| !is_known(&expected.case)) {
        let glob = &expected.case;
        problems.push(format!("`{glob}` is expected to fail, but fits no case"));
    }
    for figure in &recipe.published {
        let (metric, name) = (&figure.metric, &figure.case);
        if !is_known(name) {
            problems.push(format!("`{metric}` is published for `{name}`, which fits no case"));
        }
        // The accuracy that a training gets may be told by another mode, an evaluation.
        if !has_metric(recipe, metric) {
            problems.push(format!(
                "`{metric}` is published for `{name}`, but no mode has such a metric"
            ));
        }
    }
    for (name, cases) in planned {
        for skip in &recipe.profiles[*name].skips {
            if !cases.iter().any(|planned| case::fits(&skip.case, &planned.case.name)) {
                let glob = &skip.case;
                problems
                    .push(format!("profile `{name}` skips `{glob}`, which fits none of its cases"));
            }
        }
    }
    problems
}

fn has_metric(recipe: &Recipe, name: &str) -> bool {
    let own = recipe.benchmark.mode.values().filter_map(|mode| mode.metrics.as_ref());
    let mut all = own.chain([&recipe.benchmark.metrics]).flatten();
    all.any(|metric| metric.name == name)
}
