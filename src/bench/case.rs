//! The points of a matrix, named `system/model/mode/bs<batch>/precision`.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use super::variables::{self, Deviation, Setting, Variables, is_axis};
use super::{BenchError, nearest};
use crate::recipe::{Axis, Profile, Recipe, Value};

/// The profile that is the guide's own matrix.
pub const FULL_PROFILE: &str = "full";

/// One point of the matrix under one profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `seg/fastscnn/sp/bs2/fp32`.
    pub name: String,
    /// The model.
    pub model: String,
    /// The run mode, a key of the recipe's `mode` table.
    pub mode: String,
    /// GPUs that the mode is about.
    pub gpus: u32,
    /// Everything a template or formula may name.
    pub variables: Variables,
    /// What a user set otherwise than the recipe.
    pub deviations: Vec<Deviation>,
}

/// The axes after profile and user had their say.
struct Axes<'a> {
    models: &'a [String],
    modes: &'a [String],
    batch_sizes: Vec<u32>,
    precisions: Vec<String>,
    deviations: Vec<Deviation>,
}

/// Every case of `profile`, in the order of the matrix.
pub fn expand(
    recipe: &Recipe,
    profile: &str,
    settings: &[Setting],
) -> Result<Vec<Case>, BenchError> {
    let profile = find_profile(recipe, profile)?;
    let axes = axes(recipe, profile, settings)?;
    check_settings(recipe, profile, &axes, settings)?;
    let mut cases = Vec::new();
    let mut problems = Vec::new();
    for [model, mode, batch_size, precision] in points(&axes, &recipe.benchmark.matrix.order) {
        let (model, mode) = (axes.models[model].as_str(), axes.modes[mode].as_str());
        let point =
            (model, mode, axes.batch_sizes[batch_size], axes.precisions[precision].as_str());
        match case(recipe, profile, point, &axes.deviations, settings) {
            Ok(case) => cases.push(case),
            Err(problem) => problems.push(problem),
        }
    }
    let excluded = profile.matrix.exclude.as_ref().unwrap_or(&recipe.benchmark.matrix.exclude);
    exclude(&mut cases, excluded, &mut problems);
    check_names(&cases, &mut problems);
    if problems.is_empty() { Ok(cases) } else { Err(BenchError::recipe(recipe, problems)) }
}

/// Positions on the four axes ([`Axis::ALL`]), in this order of the axes.
fn points(axes: &Axes, order: &[Axis]) -> Vec<[usize; 4]> {
    let lengths =
        [axes.models.len(), axes.modes.len(), axes.batch_sizes.len(), axes.precisions.len()];
    let mut points = vec![[0; 4]];
    for (axis, length) in lengths.into_iter().enumerate() {
        let along = |point: [usize; 4]| {
            (0..length).map(move |at| {
                let mut point = point;
                point[axis] = at;
                point
            })
        };
        points = points.into_iter().flat_map(along).collect();
    }
    points.sort_by_key(|point| order.iter().map(|axis| point[*axis as usize]).collect::<Vec<_>>());
    points
}

pub(super) fn find_profile<'a>(recipe: &'a Recipe, name: &str) -> Result<&'a Profile, BenchError> {
    recipe.profiles.get(name).ok_or_else(|| BenchError::UnknownProfile {
        name: name.to_owned(),
        image: recipe.name.clone(),
        known: recipe.profiles.keys().cloned().collect(),
    })
}

fn axes<'a>(
    recipe: &'a Recipe,
    profile: &'a Profile,
    settings: &[Setting],
) -> Result<Axes<'a>, BenchError> {
    let matrix = &recipe.benchmark.matrix;
    let mut batch_sizes = profile.matrix.batch_size.clone().unwrap_or(matrix.batch_size.clone());
    let mut precisions = profile.matrix.precision.clone().unwrap_or(matrix.precision.clone());
    let mut deviations = Vec::new();
    let mut deviate = |name: &str, recipe: Vec<Value>, used: &Value| {
        if recipe != [used.clone()] {
            deviations.push(Deviation { name: name.to_owned(), recipe, used: used.clone() });
        }
    };
    for setting in settings {
        let refuse = |reason: &str| BenchError::Setting {
            text: format!("{}={}", setting.name, variables::value_text(&setting.value)),
            reason: reason.to_owned(),
        };
        match (setting.name.as_str(), &setting.value) {
            ("batch_size", Value::Integer(size @ 1..=0xffff_ffff)) => {
                let recipe = batch_sizes.iter().map(|size| Value::Integer((*size).into()));
                deviate("batch_size", recipe.collect(), &setting.value);
                batch_sizes = vec![*size as u32];
            }
            ("batch_size", _) => return Err(refuse("a batch size is a whole number from 1 on")),
            ("precision", value) => {
                let recipe = precisions.iter().map(|name| Value::Text(name.clone()));
                let value = Value::Text(variables::value_text(value));
                deviate("precision", recipe.collect(), &value);
                precisions = vec![variables::value_text(&value)];
            }
            (name, _) if is_axis(name) => {
                return Err(refuse("cases are chosen by their names, this cannot be set"));
            }
            _ => {}
        }
    }
    let models = profile.matrix.model.as_ref().unwrap_or(&matrix.model);
    let modes = profile.matrix.mode.as_ref().unwrap_or(&matrix.mode);
    Ok(Axes { models, modes, batch_sizes, precisions, deviations })
}

/// A setting has to be a variable of at least one model, or it would do nothing.
fn check_settings(
    recipe: &Recipe,
    profile: &Profile,
    axes: &Axes,
    settings: &[Setting],
) -> Result<(), BenchError> {
    let models = axes.models.iter();
    let known: BTreeSet<String> = models
        .flat_map(|model| variables::of_model(&recipe.benchmark, profile, model).into_keys())
        .chain(["batch_size".to_owned(), "precision".to_owned()])
        .collect();
    match settings.iter().find(|setting| !known.contains(&setting.name)) {
        None => Ok(()),
        Some(setting) => Err(BenchError::UnknownSetting {
            name: setting.name.clone(),
            known: known.into_iter().collect(),
        }),
    }
}

fn case(
    recipe: &Recipe,
    profile: &Profile,
    (model, mode, batch_size, precision): (&str, &str, u32, &str),
    axis_deviations: &[Deviation],
    settings: &[Setting],
) -> Result<Case, String> {
    let Some(rule) = recipe.benchmark.mode.get(mode) else {
        return Err(format!(
            "the matrix has mode `{mode}`, but there is no `[benchmark.mode.{mode}]`"
        ));
    };
    let gpus = profile.gpus_of.get(mode).copied().unwrap_or(rule.gpus);
    let system = &recipe.system;
    let name = format!("{system}/{model}/{mode}/bs{batch_size}/{precision}");
    let mut variables = variables::of_model(&recipe.benchmark, profile, model);
    let own = variables::apply(&mut variables, settings);
    // JSON has no word for it, and no two are equal.
    let is_number = |value: &Value| !matches!(value, Value::Float(f) if !f.is_finite());
    if let Some((name, _)) = variables.iter().find(|(_, value)| !is_number(value)) {
        return Err(format!("variable `{name}` is not a finite number"));
    }
    let text = |text: &str| Value::Text(text.to_owned());
    for (name, value) in [
        ("system", text(system)),
        ("model", text(model)),
        ("mode", text(mode)),
        ("batch_size", Value::Integer(batch_size.into())),
        ("precision", text(precision)),
        ("gpu_num", Value::Integer(gpus.into())),
    ] {
        if variables.insert(name.to_owned(), value).is_some() {
            return Err(format!("variable `{name}` is given by the matrix and cannot be defined"));
        }
    }
    let deviations = axis_deviations.iter().cloned().chain(own).collect();
    let (model, mode) = (model.to_owned(), mode.to_owned());
    Ok(Case { name, model, mode, gpus, variables, deviations })
}

fn exclude(cases: &mut Vec<Case>, globs: &[String], problems: &mut Vec<String>) {
    for glob in globs {
        match matcher(glob) {
            Ok(matcher) => cases.retain(|case| !matcher.is_match(&case.name)),
            Err(reason) => problems.push(format!("`exclude` has `{glob}`: {reason}")),
        }
    }
}

/// Whether the glob fits the case `name`.
pub(super) fn fits(glob: &str, name: &str) -> bool {
    matcher(glob).is_ok_and(|matcher| matcher.is_match(name))
}

/// Why `profile` leaves out the case `name`, if it does.
pub(super) fn left_out(profile: &Profile, name: &str) -> Option<String> {
    let skip = profile.skips.iter().find(|skip| fits(&skip.case, name))?;
    Some(skip.reason.clone())
}

/// `*` crosses slashes: `seg/*/fp32` means what it seems to mean.
fn matcher(glob: &str) -> Result<globset::GlobMatcher, String> {
    let glob = GlobBuilder::new(glob).literal_separator(false).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

/// Case names become folders, so their parts have to be plain; and a case is named once.
fn check_names(cases: &[Case], problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for case in cases {
        if !seen.insert(&case.name) {
            problems.push(format!("the matrix has case `{}` twice", case.name));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        let parts: Vec<_> = case.name.split('/').collect();
        let is_part =
            |part: &&str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
        if parts.len() != 5 || !parts.iter().all(is_part) {
            problems.push(format!(
                "`{}` cannot name a case: letters, digits and `._+-` only",
                case.name
            ));
        }
    }
}

/// The cases that `patterns` name, in the order of the matrix; all of them without patterns.
///
/// A pattern is a whole name, a glob, or the beginning or a part of exactly one name.
pub fn select(cases: &[Case], patterns: &[String]) -> Result<Vec<Case>, BenchError> {
    if patterns.is_empty() {
        return Ok(cases.to_vec());
    }
    let mut wanted = BTreeSet::new();
    for pattern in patterns {
        wanted.extend(find(cases, pattern)?);
    }
    Ok(cases.iter().filter(|case| wanted.contains(&case.name)).cloned().collect())
}

fn find(cases: &[Case], pattern: &str) -> Result<Vec<String>, BenchError> {
    let names = |wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        cases.iter().map(|case| &case.name).filter(|name| wanted(name)).cloned().collect()
    };
    let is_glob = pattern.contains(['*', '?', '[', '{']);
    let found = if is_glob {
        let glob = matcher(pattern)
            .map_err(|reason| BenchError::CaseGlob { pattern: pattern.to_owned(), reason })?;
        names(&|name| glob.is_match(name))
    } else {
        let exact = names(&|name| name == pattern);
        if exact.is_empty() { names(&|name| has_parts(name, pattern)) } else { exact }
    };
    match found.len() {
        0 => Err(unknown(cases, pattern)),
        1 => Ok(found),
        _ if is_glob => Ok(found),
        _ => Err(BenchError::AmbiguousCase { pattern: pattern.to_owned(), matches: found }),
    }
}

/// Whether `pattern` is the name, a glob or a part of the case `name`.
pub(super) fn is_named(name: &str, pattern: &str) -> bool {
    fits(pattern, name) || has_parts(name, pattern)
}

/// Whether whole parts of `name`, one after the other, are `pattern`.
fn has_parts(name: &str, pattern: &str) -> bool {
    let pattern = pattern.trim_matches('/');
    !pattern.is_empty() && format!("/{name}/").contains(&format!("/{pattern}/"))
}

fn unknown(cases: &[Case], pattern: &str) -> BenchError {
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let near = nearest::ranked(pattern, &names).into_iter().map(str::to_owned).take(5).collect();
    BenchError::UnknownCase { pattern: pattern.to_owned(), near, count: cases.len() }
}
