//! Makes the guide's record of a log that is there already.

use super::figures::Rules;
use super::formula::{Binding, Scope};
use super::guide;
use super::variables::{Variables, value_text};
use super::verdict;

/// What a log comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuideRecord {
    /// The record, as the guide's script would write it.
    pub json: String,
    /// Why the log is one of a failed run, if it is.
    pub failure: Option<String>,
}

/// The record that the guide asks for, of a whole `log` that is called `log_file`; `variables` are the case's.
///
/// How the command ended is not known: a log that gives every figure stands for a run that went well.
pub fn guide_record(
    rules: &Rules,
    variables: &Variables,
    log: &[u8],
    log_file: &str,
) -> GuideRecord {
    let findings = rules.read(log);
    let figures = rules.figures(variables, &findings);
    let mut scope: Scope = rules.scope(variables, &findings, |name| rules.skip(name));
    for figure in &figures {
        let absent = || Binding::Unusable(figure.reason.clone().unwrap_or_default());
        scope.insert(figure.name.clone(), figure.value.map_or_else(absent, Binding::Number));
    }
    let name = rules.benchmark.final_result();
    let final_result = figures.iter().find(|figure| figure.name == name);
    let failure = verdict::missing(rules, &findings, &figures);
    let text = |name: &str| -> Option<String> {
        let found = findings.once.get(name).cloned().flatten();
        found.or_else(|| variables.get(name).map(value_text))
    };
    let outcome = guide::Outcome {
        scope: &scope,
        text: &text,
        failed: failure.is_some(),
        final_result: final_result.and_then(|figure| figure.value).filter(|_| failure.is_none()),
        log_file,
    };
    GuideRecord { json: guide::render(&rules.keys, &outcome), failure }
}
