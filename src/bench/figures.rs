//! Makes named figures of what was found in a log, by the recipe's formulas.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checks;
use super::clock;
use super::formula::{Binding, Formula, FormulaError, Scope};
use super::guide::{self, KeyRule};
use super::log::{Findings, LogPatterns, no_line};
use super::nearest;
use super::number::Number;
use super::template::is_name;
use super::variables::{Variables, value_number};
use crate::recipe::{Benchmark, Metric};

/// One figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The metric's name, `throughput`.
    pub name: String,
    /// Its value; absent if it could not be computed.
    pub value: Option<Number>,
    /// Its unit; empty for a plain number.
    pub unit: String,
    /// How it was computed.
    pub formula: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it comes from the times at which lines arrived: the program itself printed none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub arrival: bool,
}

impl Figure {
    /// Takes the value away, because the case has failed.
    pub(super) fn withdraw(&mut self) {
        if self.value.take().is_some() {
            self.reason = Some("the case has failed".to_owned());
        }
    }

    /// Whether nobody noted the times that it comes from.
    pub fn is_not_measured(&self, findings: &Findings) -> bool {
        self.arrival && self.value.is_none() && !findings.not_measured.is_empty()
    }
}

/// The benchmark part of a recipe, compiled: patterns, formulas, the guide's keys.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) patterns: LogPatterns,
    pub(super) keys: Vec<KeyRule>,
    pub(super) benchmark: Benchmark,
    pub(super) check_formulas: Vec<Formula>,
    pub(super) formulas: Vec<Formula>,
    /// Metrics that come from the arrival of lines.
    by_arrival: BTreeSet<String>,
}

impl Rules {
    /// Compiles the benchmark part; returns every problem as a fragment.
    pub fn compile(benchmark: &Benchmark) -> Result<Self, Vec<String>> {
        let mut problems = check_names(benchmark);
        let patterns =
            LogPatterns::compile(&benchmark.log).map_err(|more| problems.extend(more)).ok();
        let mut formulas = Vec::new();
        for metric in &benchmark.metrics {
            match Formula::parse(&metric.formula) {
                Ok(formula) => formulas.push(formula),
                Err(error) => problems.push(in_formula(metric, &error)),
            }
        }
        let keys = benchmark.record.as_ref().map_or(&[][..], |record| &record.keys);
        let keys = guide::compile(keys).map_err(|more| problems.extend(more)).ok();
        let checks = checks::compile(&benchmark.checks);
        let check_formulas = checks.map_err(|more| problems.extend(more)).ok();
        match (patterns, keys, check_formulas) {
            (Some(patterns), Some(keys), Some(check_formulas)) if problems.is_empty() => {
                let by_arrival = by_arrival(benchmark, &formulas);
                let benchmark = benchmark.clone();
                Ok(Self { patterns, keys, benchmark, check_formulas, formulas, by_arrival })
            }
            _ => Err(problems),
        }
    }

    /// Finds everything the rules look for in a whole log.
    pub fn read(&self, log: &[u8]) -> Findings {
        self.patterns.read(log)
    }

    /// Every figure, in the recipe's order.
    pub fn figures(&self, variables: &Variables, findings: &Findings) -> Vec<Figure> {
        let mut scope = self.scope(variables, findings, |name| self.skip(name));
        self.evaluate_all(&mut scope, findings)
    }

    /// The true throughput as the newest step alone would give it, for a reader who waits.
    pub fn current(&self, variables: &Variables, findings: &Findings) -> Option<Figure> {
        let all_but_last = |name: &str| findings.series[name].len().saturating_sub(1);
        let mut scope = self.scope(variables, findings, all_but_last);
        let figures = self.evaluate_all(&mut scope, findings);
        let throughput = self.benchmark.throughput();
        figures.into_iter().find(|figure| figure.name == throughput && figure.value.is_some())
    }

    /// Records dropped from the front of series `name`.
    pub(super) fn skip(&self, name: &str) -> usize {
        let log = &self.benchmark.log;
        log.skip_of.get(name).copied().unwrap_or(log.skip)
    }

    /// The names that formulas and the guide's keys may use; figures come on top.
    pub(super) fn scope(
        &self,
        variables: &Variables,
        findings: &Findings,
        skip: impl Fn(&str) -> usize,
    ) -> Scope {
        let mut scope = Scope::new();
        for (name, value) in variables {
            let text = || Binding::Unusable(format!("`{name}` is a text, not a number"));
            let binding = value_number(value).map_or_else(text, Binding::Number);
            scope.insert(name.clone(), binding);
        }
        for (name, text) in &findings.once {
            let pattern = self.benchmark.log.once.get(name).map_or("", String::as_str);
            scope.insert(name.clone(), once(name, text.as_deref(), pattern));
        }
        for (name, texts) in &findings.series {
            scope.insert(name.clone(), series(name, texts, skip(name)));
        }
        for name in &findings.not_measured {
            let reason = format!("`{name}` was not measured: nobody noted when the lines arrived");
            scope.insert(name.clone(), Binding::Unusable(reason));
        }
        scope
    }

    fn evaluate_all(&self, scope: &mut Scope, findings: &Findings) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (metric, formula) in self.benchmark.metrics.iter().zip(&self.formulas) {
            let result = formula.evaluate(scope);
            let figure = self.figure(metric, formula, result, findings);
            let binding = match (figure.value, &figure.reason) {
                (Some(value), _) => Binding::Number(value),
                (None, reason) => Binding::Unusable(format!(
                    "`{}` could not be computed: {}",
                    metric.name,
                    reason.as_deref().unwrap_or_default()
                )),
            };
            scope.insert(metric.name.clone(), binding);
            figures.push(figure);
        }
        figures
    }

    fn figure(
        &self,
        metric: &Metric,
        formula: &Formula,
        result: Result<Number, FormulaError>,
        findings: &Findings,
    ) -> Figure {
        let explain = |error: &FormulaError| match error {
            FormulaError::Empty { .. } => format!("{error}{}", self.counts(formula, findings)),
            _ => error.to_string(),
        };
        Figure {
            name: metric.name.clone(),
            value: result.as_ref().ok().copied(),
            unit: metric.unit.clone(),
            formula: metric.formula.clone(),
            about: metric.about.clone(),
            reason: result.err().as_ref().map(explain),
            arrival: self.by_arrival.contains(&metric.name),
        }
    }

    /// How much the log had of the series that came out empty: ` (`time`: 3 found, and 4 are skipped)`.
    fn counts(&self, formula: &Formula, findings: &Findings) -> String {
        let names = formula.names();
        let series = names.iter().filter_map(|name| Some((name, findings.series.get(*name)?)));
        let counts: Vec<String> =
            series.map(|(name, texts)| self.count(name, texts.len())).collect();
        if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) }
    }

    fn count(&self, name: &str, found: usize) -> String {
        let log = &self.benchmark.log;
        let skipped = match self.skip(name) {
            0 => String::new(),
            1 => ", and 1 is skipped".to_owned(),
            more => format!(", and {more} are skipped"),
        };
        let pattern = log.step.get(name).or(log.arrival.get(name)).filter(|_| found == 0);
        let looked_for = pattern.map(|pattern| format!(": {}", no_line(pattern)));
        format!("`{name}`: {found} found{skipped}{}", looked_for.unwrap_or_default())
    }
}

/// The metrics that use an arrival series, or another such metric.
fn by_arrival(benchmark: &Benchmark, formulas: &[Formula]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (metric, formula) in benchmark.metrics.iter().zip(formulas) {
        let names = formula.names();
        let arrives =
            |name: &&str| benchmark.log.arrival.contains_key(*name) || found.contains(*name);
        if names.iter().any(arrives) {
            found.insert(metric.name.clone());
        }
    }
    found
}

/// A number of a log, or a date or time as seconds.
pub fn number_of(text: &str) -> Option<Number> {
    Number::parse(text).or_else(|| clock::parse(text).map(Number::Float))
}

fn once(name: &str, text: Option<&str>, pattern: &str) -> Binding {
    let Some(text) = text else {
        return Binding::Unusable(format!("the log has no `{name}` ({})", no_line(pattern)));
    };
    let garbage = || Binding::Unusable(format!("`{name}` is `{text}` in the log, not a number"));
    number_of(text).map_or_else(garbage, Binding::Number)
}

fn series(name: &str, texts: &[String], skip: usize) -> Binding {
    let mut numbers = Vec::with_capacity(texts.len().saturating_sub(skip));
    for (index, text) in texts.iter().enumerate().skip(skip) {
        let Some(number) = number_of(text) else {
            let record = index + 1;
            return Binding::Unusable(format!(
                "record {record} of `{name}` is `{text}`, not a number"
            ));
        };
        numbers.push(number);
    }
    Binding::Series(numbers)
}

pub(super) fn in_formula(metric: &Metric, error: &FormulaError) -> String {
    format!("formula of `{}`: {error}\n  formula  {}", metric.name, metric.formula)
}

/// Names have to be usable in formulas, given once, and there when something refers to them.
fn check_names(benchmark: &Benchmark) -> Vec<String> {
    let log = &benchmark.log;
    let mut problems = Vec::new();
    let mut given = BTreeMap::new();
    let once = log.once.keys().map(|name| (name, "once"));
    let step = log.step.keys().map(|name| (name, "step"));
    let arrival = log.arrival.keys().map(|name| (name, "arrival"));
    let metrics = benchmark.metrics.iter().map(|metric| (&metric.name, "metric"));
    for (name, place) in once.chain(step).chain(arrival).chain(metrics) {
        if !is_name(name) {
            problems.push(format!("`{name}` cannot be a name: letters, digits and `_` only"));
        }
        if let Some(other) = given.insert(name, place) {
            problems.push(format!("`{name}` is given twice, in {other} and in {place}"));
        }
    }
    let series: Vec<String> = log.step.keys().chain(log.arrival.keys()).cloned().collect();
    let named = log.repeatable.iter().chain(&log.running_mean).chain(log.skip_of.keys());
    let referring = named.chain([&log.progress]);
    for name in referring.filter(|name| !series.contains(name)) {
        problems.push(format!("no series is named `{name}`{}", nearest::hint(name, &series)));
    }
    let metrics: Vec<String> = benchmark.metrics.iter().map(|m| m.name.clone()).collect();
    for name in [benchmark.final_result(), benchmark.throughput()] {
        if !metrics.iter().any(|metric| metric == name) {
            problems.push(format!("no metric is named `{name}`{}", nearest::hint(name, &metrics)));
        }
    }
    problems
}
