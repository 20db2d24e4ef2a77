//! Formulas and record keys that no case could compute, and where in the recipe they stand.
//!
//! Which names there are differs from case to case: models, modes and profiles have variables of
//! their own. So every case of every profile is asked, and a mistake names the first that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use super::BenchError;
use super::checks::{self, in_check};
use super::figures::{Rules, in_formula};
use super::formula::{Formula, FormulaError};
use super::guide;
use super::variables::Variables;
use super::{Case, expand};
use crate::recipe::{Benchmark, Mistake, Recipe};

/// What is wrong with the rules that make figures of a log, each mistake once.
///
/// # Errors
///
/// A profile has no matrix of cases.
pub fn mistakes(recipe: &Recipe) -> Result<Vec<Mistake>, BenchError> {
    let mut found = Vec::new();
    let mut rules = BTreeMap::new();
    for mode in recipe.benchmark.mode.keys() {
        let benchmark = recipe.benchmark.of_mode(mode);
        match Rules::compile(&benchmark) {
            Ok(compiled) => drop(rules.insert(mode, compiled)),
            Err(problems) => found.extend(unreadable(&benchmark, mode, problems)),
        }
    }
    for profile in recipe.profiles.keys() {
        for case in expand(recipe, profile, &[])? {
            let unknown = rules.get(&case.mode).map(|rules| rules.unknown_names(&case));
            found.extend(unknown.into_iter().flatten().map(|mistake| in_case(mistake, &case)));
        }
    }
    let mut seen = BTreeSet::new();
    // Cases know different names, so only the first line of a message is the same in all of them.
    found.retain(|Mistake { path, message }| {
        seen.insert((path.clone(), message.lines().next().map(str::to_owned)))
    });
    Ok(found)
}

fn in_case(mut mistake: Mistake, case: &Case) -> Mistake {
    mistake.message.push_str(&format!("\n  case     {}", case.name));
    mistake
}

/// `problems` of compiling with their places; what is no formula stands somewhere in the benchmark.
fn unreadable(benchmark: &Benchmark, mode: &str, problems: Vec<String>) -> Vec<Mistake> {
    let mut places = BTreeMap::new();
    let mut note = |steps: &[&str], message| {
        places.insert(message, place(benchmark, mode, steps));
    };
    for (at, metric) in benchmark.metrics.iter().enumerate() {
        if let Err(error) = Formula::parse(&metric.formula) {
            note(&["metric", &at.to_string(), "formula"], in_formula(metric, &error));
        }
    }
    for (at, check) in benchmark.checks.iter().enumerate() {
        let wrong = checks::compile(slice::from_ref(check)).err();
        let steps = ["check", &at.to_string(), "formula"];
        wrong.into_iter().flatten().for_each(|message| note(&steps, message));
    }
    let keys = benchmark.record.as_ref().map_or(&[][..], |record| &record.keys);
    for (at, key) in keys.iter().enumerate() {
        let wrong = guide::compile(slice::from_ref(key)).err();
        let steps = ["record", "keys", &at.to_string()];
        wrong.into_iter().flatten().for_each(|message| note(&steps, message));
    }
    let somewhere = || vec!["benchmark".to_owned()];
    let mistake = |message| Mistake {
        path: places.get(&message).cloned().unwrap_or_else(somewhere),
        message,
    };
    problems.into_iter().map(mistake).collect()
}

/// Where `steps` of the rules of a mode are written: with the mode, or for all modes.
fn place(benchmark: &Benchmark, mode: &str, steps: &[&str]) -> Vec<String> {
    let is_own = benchmark.mode.get(mode).is_some_and(|own| match steps[0] {
        "metric" => own.metrics.is_some(),
        "check" => own.checks.is_some(),
        _ => own.record.is_some(),
    });
    let table = if is_own { &["benchmark", "mode", mode][..] } else { &["benchmark"] };
    table.iter().chain(steps).map(|step| (*step).to_owned()).collect()
}

impl Rules {
    /// Names in formulas and keys that `case` has nothing for.
    pub(super) fn unknown_names(&self, case: &Case) -> Vec<Mistake> {
        let mut known = self.names(&case.variables);
        let mut found = Vec::new();
        let mut add = |steps: [&str; 3], message: String| {
            found.push(Mistake { path: place(&self.benchmark, &case.mode, &steps), message });
        };
        for (at, metric) in self.benchmark.metrics.iter().enumerate() {
            for error in unknown(&self.formulas[at], &known) {
                add(["metric", &at.to_string(), "formula"], in_formula(metric, &error));
            }
            known.insert(metric.name.clone());
        }
        for (at, check) in self.benchmark.checks.iter().enumerate() {
            for error in unknown(&self.check_formulas[at], &known) {
                add(["check", &at.to_string(), "formula"], in_check(check, &error));
            }
        }
        let known: Vec<String> = known.into_iter().collect();
        for (at, key) in self.keys.iter().enumerate() {
            for problem in key.unknown_names(&known) {
                add(["record", "keys", &at.to_string()], problem);
            }
        }
        found
    }

    /// What formulas may name beside metrics.
    fn names(&self, variables: &Variables) -> BTreeSet<String> {
        let log = &self.benchmark.log;
        let values = log.once.keys().chain(log.step.keys()).chain(log.arrival.keys());
        variables.keys().chain(values).cloned().collect()
    }
}

fn unknown(formula: &Formula, known: &BTreeSet<String>) -> Vec<FormulaError> {
    let names = formula.names().into_iter().filter(|name| !known.contains(*name));
    let error = |name: &str| FormulaError::UnknownName {
        name: name.to_owned(),
        known: known.iter().cloned().collect(),
    };
    names.map(error).collect()
}
