//! What the rules for logs, figures and records must keep, those of a mode like those of all.

use regex::Regex;

use super::super::benchmark::{Benchmark, LogRule, Mode, Profile, RecordRule};
use super::super::names::{self, FILE_NAME};
use super::super::types::Recipe;
use super::{Check, listed};

/// A place in the file, as steps from its top.
type Place<'a> = &'a [&'a str];

/// `place` and one step more.
fn below<'a>(place: Place<'a>, step: &'a str) -> Vec<&'a str> {
    place.iter().copied().chain([step]).collect()
}

impl Check<'_, '_> {
    /// The rules of all modes, then those of each mode that has some.
    pub(super) fn reading(&mut self, benchmark: &Benchmark) {
        self.log(&["benchmark", "log"], &benchmark.log);
        self.figures(&["benchmark"], benchmark);
        for (name, mode) in &benchmark.mode {
            let place = ["benchmark", "mode", name.as_str()];
            self.mode(&place, mode, benchmark);
            if let Some(log) = &mode.log {
                self.log(&below(&place, "log"), log);
            }
            let own = mode.metrics.is_some() || mode.checks.is_some();
            if own || mode.record.is_some() || mode.result.is_some() {
                self.figures(&place, &benchmark.of_mode(name));
            }
        }
    }

    fn mode(&mut self, place: Place<'_>, mode: &Mode, benchmark: &Benchmark) {
        self.models(&below(place, "guide-commands"), mode.guide_commands.keys(), benchmark);
        let words = "it is one line";
        for line in mode.guide_command.iter().chain(mode.guide_commands.values()) {
            let fine = !line.trim().is_empty() && !line.contains(char::is_control);
            self.rule(fine, &below(place, "guide-command"), line, words);
        }
    }

    fn log(&mut self, place: Place<'_>, log: &LogRule) {
        for (table, rules) in [("once", &log.once), ("step", &log.step)] {
            for (name, pattern) in rules {
                self.pattern(&[place, &[table, name]].concat(), pattern, Some(1));
            }
        }
        for (name, pattern) in &log.arrival {
            self.pattern(&[place, &["arrival", name]].concat(), pattern, None);
        }
        for (name, total) in &log.total {
            let path = [place, &["total", name, "pattern"]].concat();
            self.pattern(&path, &total.pattern, Some(2));
        }
        for pattern in &log.counter {
            self.pattern(&below(place, "counter"), pattern, Some(1));
        }
        let series: Vec<_> =
            log.step.keys().chain(log.arrival.keys()).map(String::as_str).collect();
        let shown = std::iter::once(("progress", &log.progress));
        let repeatable = log.repeatable.iter().map(|name| ("repeatable", name));
        let running = log.running_mean.iter().map(|name| ("running-mean", name));
        for (key, name) in shown.chain(repeatable).chain(running) {
            let known = series.contains(&name.as_str());
            let words = format!("there is no such series; {}", listed(&series));
            self.rule(known, &below(place, key), name, &words);
        }
    }

    /// A regular expression with this many groups; any number of them if it is not given.
    fn pattern(&mut self, path: Place<'_>, pattern: &str, groups: Option<usize>) {
        match Regex::new(pattern) {
            Err(error) => {
                let error = error.to_string().replace('\n', " ");
                self.rule(false, path, pattern, &format!("it is no pattern: {error}"));
            }
            Ok(regex) => {
                let found = regex.captures_len() - 1;
                let wanted = groups.unwrap_or(found);
                let verb = if wanted == 1 { "is" } else { "are" };
                let number = ["none", "one", "two"].get(wanted).copied().unwrap_or("more");
                let words = format!("it has {found} groups, {number} {verb} needed");
                self.rule(found == wanted, path, pattern, &words);
            }
        }
    }

    /// Metrics, checks and what of them counts; `benchmark` has the rules that `place` gives or takes over.
    fn figures(&mut self, place: Place<'_>, benchmark: &Benchmark) {
        let metrics: Vec<_> = benchmark.metrics.iter().map(|metric| metric.name.as_str()).collect();
        self.unique(&below(place, "metric"), metrics.iter().copied());
        let checks = below(place, "check");
        self.unique(&checks, benchmark.checks.iter().map(|check| check.name.as_str()));
        for check in &benchmark.checks {
            self.rule(!check.text.trim().is_empty(), &checks, &check.name, "it must say something");
        }
        let table = if benchmark.record.is_some() { "record" } else { "result" };
        if benchmark.record.is_some() == benchmark.result.is_some() {
            let name = place.join(".");
            let message = format!("`{name}` needs one of `[{name}.record]` and `[{name}.result]`");
            return self.fault(&below(place, "result"), message);
        }
        let figures =
            [("final-result", benchmark.final_result()), ("throughput", benchmark.throughput())];
        for (key, name) in figures {
            let words = format!("there is no such metric; {}", listed(&metrics));
            self.rule(metrics.contains(&name), &[place, &[table, key]].concat(), name, &words);
        }
        let (path, template) = ([place, &[table, "log-file"]].concat(), benchmark.log_file());
        self.rule(names::file_name(template), &path, template, FILE_NAME);
        if let Some(record) = &benchmark.record {
            self.record(&below(place, "record"), record);
        }
    }

    fn record(&mut self, place: Place<'_>, record: &RecordRule) {
        let fine = names::file_name(&record.file);
        self.rule(fine, &below(place, "file"), &record.file, FILE_NAME);
        // Keys with a condition are alternatives of each other.
        let always = record.keys.iter().filter(|key| key.when.is_none());
        self.unique(&below(place, "keys"), always.map(|key| key.key.as_str()));
    }

    /// What the guide has and nobody here can run.
    pub(super) fn unavailable(&mut self, recipe: &Recipe) {
        for (at, case) in recipe.unavailable.iter().enumerate() {
            let at = at.to_string();
            let path = |key| ["unavailable", at.as_str(), key];
            let parts: Vec<_> = case.case.split('/').collect();
            let fine = parts.len() == 5 && parts[0] == recipe.system;
            let words = format!("a case is `{}/MODEL/MODE/bsBATCH/PRECISION`", recipe.system);
            self.rule(
                fine && parts.iter().all(|part| names::file_name(part)),
                &path("case"),
                &case.case,
                &words,
            );
            self.says_something(&path("reason"), &case.reason);
            self.says_something(&path("guide-command"), &case.guide_command);
        }
        self.unique(&["unavailable"], recipe.unavailable.iter().map(|case| case.case.as_str()));
    }

    /// The cases that a profile leaves out.
    pub(super) fn skips(&mut self, name: &str, profile: &Profile) {
        for (at, skip) in profile.skips.iter().enumerate() {
            let at = at.to_string();
            let path = |key| ["profile", name, "skip", at.as_str(), key];
            self.says_something(&path("reason"), &skip.reason);
            self.glob(&path("case"), &skip.case);
        }
    }

    /// The name of a case, or a pattern of names.
    pub(super) fn glob(&mut self, path: Place<'_>, glob: &str) {
        if let Err(error) = globset::Glob::new(glob) {
            let words = format!("it is no glob: {}", error.kind());
            self.rule(false, path, glob, &words);
        }
    }

    pub(super) fn says_something(&mut self, path: Place<'_>, text: &str) {
        self.rule(!text.trim().is_empty(), path, text, "it must say something");
    }
}
