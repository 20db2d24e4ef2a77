//! What must hold in a log, by the recipe: sums of columns, ranges, counts.

use serde::{Deserialize, Serialize};

use super::figures::{Figure, Rules};
use super::formula::{Binding, Formula, FormulaError, Scope};
use super::log::Findings;
use super::variables::Variables;
use crate::recipe::CheckRule;

/// One check of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What must not be 0.
    pub formula: String,
    /// Whether it held; absent if it could not be told.
    pub holds: Option<bool>,
    /// What is wrong, or why it could not be told; absent if it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Compiles the checks; every problem is a fragment that names the check.
pub(super) fn compile(rules: &[CheckRule]) -> Result<Vec<Formula>, Vec<String>> {
    let (mut formulas, mut problems) = (Vec::new(), Vec::new());
    for rule in rules {
        match Formula::parse(&rule.formula) {
            Ok(formula) => formulas.push(formula),
            Err(error) => problems.push(in_check(rule, &error)),
        }
    }
    if problems.is_empty() { Ok(formulas) } else { Err(problems) }
}

/// A mistake with its place.
pub(super) fn in_check(rule: &CheckRule, error: &FormulaError) -> String {
    format!("formula of check `{}`: {error}\n  formula  {}", rule.name, rule.formula)
}

impl Rules {
    /// Every check, in the recipe's order.
    pub fn checks(
        &self,
        variables: &Variables,
        findings: &Findings,
        figures: &[Figure],
    ) -> Vec<Check> {
        let mut scope = self.scope(variables, findings, |name| self.skip(name));
        add_figures(&mut scope, figures);
        let rules = self.benchmark.checks.iter().zip(&self.check_formulas);
        rules.map(|(rule, formula)| check(rule, formula, &scope)).collect()
    }
}

/// Makes figures names that formulas may use.
pub(super) fn add_figures(scope: &mut Scope, figures: &[Figure]) {
    for figure in figures {
        let absent = || Binding::Unusable(figure.reason.clone().unwrap_or_default());
        let binding = figure.value.map_or_else(absent, Binding::Number);
        scope.insert(figure.name.clone(), binding);
    }
}

fn check(rule: &CheckRule, formula: &Formula, scope: &Scope) -> Check {
    let result = formula.evaluate(scope);
    let holds = result.as_ref().ok().map(|number| number.as_f64() != 0.0);
    let reason = match &result {
        Ok(_) if holds == Some(true) => None,
        Ok(_) => Some(rule.text.clone()),
        Err(error) => Some(error.to_string()),
    };
    Check { name: rule.name.clone(), formula: rule.formula.clone(), holds, reason }
}
