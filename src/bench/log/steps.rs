//! Counts the steps of a log by the program's own counter: the same count again is the same step.
//!
//! Two handlers of a logger, several ranks or two logs in one file print a step more than once.
//! Taken for steps of their own they would double the steps and halve the interval of the mean, in
//! silence. Only the counter can tell: equal values are the same step told again, other values are
//! a failure by name, because nobody says which of them is right. A counter has one number for each
//! level, the slowest first, so an epoch that begins anew is no way back.

use std::collections::BTreeMap;

use regex::Regex;

use super::{MOST_VALUES, Pattern};

/// The patterns of a counter, the slowest level first.
#[derive(Debug, Clone, Default)]
pub(super) struct CounterPatterns {
    levels: Vec<Pattern>,
    /// The fastest level wherever it stands in a line: two in one line are two lines in one.
    anywhere: Option<Regex>,
    /// Whether a step that was told again changes nothing, wherever it comes: not where the time of
    /// its arrival counts.
    may_go_back: bool,
}

impl CounterPatterns {
    pub(super) fn compile(texts: &[String], is_timed: bool) -> Result<Self, Vec<String>> {
        let compiled = texts.iter().map(|text| Pattern::compile("counter", text, Some(1)));
        let (mut levels, mut problems) = (Vec::new(), Vec::new());
        for level in compiled {
            match level {
                Ok(level) if level.lines > 1 => problems.push("spans several lines".to_owned()),
                Ok(level) => levels.push(level),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems.iter().map(|it| format!("pattern of `counter`: {it}")).collect());
        }
        let fastest = texts.last().map(|text| text.strip_prefix('^').unwrap_or(text));
        // What compiled with its anchor need not do so without (`^|x`): then there is nothing to look for.
        let anywhere = fastest.and_then(|text| Regex::new(text).ok());
        Ok(Self { levels, anywhere, may_go_back: !is_timed })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

/// The steps that a log has told so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    current: Vec<u64>,
    newest: Option<Vec<u64>>,
    told: BTreeMap<Vec<u64>, String>,
    /// Why the steps cannot be told apart, if so: the first reason.
    pub(super) trouble: Option<String>,
}

impl Steps {
    /// Says whether `line`, which has these values, tells nothing new.
    ///
    /// A line without a count is never one that was told before.
    pub(super) fn is_told(
        &mut self,
        patterns: &CounterPatterns,
        (number, line): (u64, &str),
        values: impl Fn() -> String,
    ) -> bool {
        let Some(step) = self.count(patterns, line) else { return false };
        if patterns.anywhere.as_ref().is_some_and(|regex| regex.find_iter(line).count() > 1) {
            self.fail(|| {
                format!(
                    "line {number} of the log is two lines in one: step {} and another",
                    show(&step)
                )
            });
            return true;
        }
        let newest = self.newest.clone().filter(|newest| step < *newest);
        let Some(before) = self.told.get(&step).cloned() else {
            if let Some(newest) = newest {
                self.fail(|| back(number, &newest, &step));
                return false;
            }
            if self.told.len() < MOST_VALUES {
                self.told.insert(step.clone(), values());
            }
            self.newest = Some(step);
            return false;
        };
        let now = values();
        match newest {
            Some(newest) if before != now || !patterns.may_go_back => self.fail(|| {
                format!("{}\n  before  {before}\n  now     {now}", back(number, &newest, &step))
            }),
            None if before != now => self.fail(|| {
                let step = show(&step);
                format!(
                    "line {number} of the log tells step {step} again, with other values\n  before  {before}\n  now     {now}"
                )
            }),
            _ => {}
        }
        true
    }

    /// The count of a line that has one.
    fn count(&mut self, patterns: &CounterPatterns, line: &str) -> Option<Vec<u64>> {
        self.current.resize(patterns.levels.len(), 0);
        let mut is_step = false;
        for (level, current) in patterns.levels.iter().zip(&mut self.current) {
            let count =
                level.regex.captures(line).and_then(|found| found.get(1)?.as_str().parse().ok());
            is_step = count.is_some();
            *current = count.unwrap_or(*current);
        }
        is_step.then(|| self.current.clone())
    }

    fn fail(&mut self, reason: impl Fn() -> String) {
        self.trouble.get_or_insert_with(reason);
    }
}

/// A log in which the job began again, or whose counter is one of several levels.
fn back(number: u64, newest: &[u64], step: &[u64]) -> String {
    format!(
        "the log counts back from step {} to {} (line {number}): it is of more than one run, or `counter` lacks the epoch",
        show(newest),
        show(step)
    )
}

/// `2/20`: epoch 2, step 20.
fn show(step: &[u64]) -> String {
    step.iter().map(u64::to_string).collect::<Vec<_>>().join("/")
}
