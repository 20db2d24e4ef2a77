//! What errata, published figures, the reference host and expected failures must keep.

use std::collections::BTreeSet;

use super::super::names;
use super::super::published::{ExpectedFailure, Published, ReferenceHost};
use super::super::types::{Erratum, Recipe};
use super::{Check, listed};

impl Check<'_, '_> {
    /// What the guide gets wrong: an `id` is how people and records speak of an erratum.
    pub(super) fn errata(&mut self, errata: &[Erratum]) {
        let mut seen = BTreeSet::new();
        for (at, erratum) in errata.iter().enumerate() {
            let path = ["erratum", &at.to_string(), "id"];
            self.says_something(&path, &erratum.id);
            let words =
                "another erratum has this `id`; give one of them another, or make one of both";
            self.rule(seen.insert(&erratum.id), &path, &erratum.id, words);
        }
    }

    /// What the guide measured, and on what.
    pub(super) fn published(&mut self, recipe: &Recipe) {
        for (at, figure) in recipe.published.iter().enumerate() {
            self.figure(&at.to_string(), figure);
            let twice = recipe.published[..at].iter().any(|other| is_same(other, figure));
            let words = "the same figure is published under the same conditions above";
            self.rule(!twice, &["published", &at.to_string()], &figure.metric, words);
        }
        if let Some(host) = &recipe.reference_host {
            self.reference_host(host);
        }
        for (at, failure) in recipe.expected_failures.iter().enumerate() {
            self.expected_failure(&at.to_string(), failure, recipe);
        }
    }

    fn figure(&mut self, at: &str, figure: &Published) {
        let path = |key| ["published", at, key];
        self.glob(&path("case"), &figure.case);
        self.rule(figure.value.is_finite(), &path("value"), "not finite", "it is a number");
        if figure.tolerance.is_some() {
            let words = "a tolerance says in `basis` who gave it, or why it was chosen so";
            self.rule(!figure.basis.trim().is_empty(), &path("basis"), &figure.basis, words);
            let words = "a tolerance is relative, and no part of 0 is anything";
            self.rule(figure.value != 0.0, &path("tolerance"), "of 0", words);
        }
        self.number(&path("gpus"), figure.gpus);
        self.number(&path("batch"), figure.batch);
        figure.gpu.iter().for_each(|gpu| self.says_something(&path("gpu"), gpu));
        figure.unlike.iter().for_each(|words| self.says_something(&path("unlike"), words));
        for (name, version) in &figure.software {
            let words = "the normalised name of a distribution: lower-case, with `-`";
            self.rule(names::normalised(name) == *name, &path("software"), name, words);
            self.says_something(&path("software"), version);
        }
    }

    fn reference_host(&mut self, host: &ReferenceHost) {
        let path = |key| ["reference-host", key];
        self.says_something(&path("source"), &host.source);
        let words = "a number of GPUs needs their model, `gpu`";
        let gpus = host.gpus.map(|count| count.to_string()).unwrap_or_default();
        self.rule(host.gpus.is_none() || host.gpu.is_some(), &path("gpus"), &gpus, words);
        self.number(&path("gpus"), host.gpus);
        self.number(&path("processors"), host.processors);
        let texts = [("gpu", &host.gpu), ("cpu", &host.cpu), ("driver", &host.driver)];
        let more = [("kernel", &host.kernel), ("os", &host.os)];
        for (key, text) in texts.into_iter().chain(more) {
            text.iter().for_each(|text| self.says_something(&path(key), text));
        }
    }

    fn expected_failure(&mut self, at: &str, failure: &ExpectedFailure, recipe: &Recipe) {
        let path = |key| ["expected-failure", at, key];
        self.glob(&path("case"), &failure.case);
        self.says_something(&path("reason"), &failure.reason);
        self.says_something(&path("evidence"), &failure.evidence);
        if let Some(profile) = &failure.profile {
            let known: Vec<_> = recipe.profiles.keys().map(String::as_str).collect();
            let words = format!("there is no such profile; {}", listed(&known));
            self.rule(known.contains(&profile.as_str()), &path("profile"), profile, &words);
        }
        if let Some(image) = &failure.image {
            let rest = image.strip_prefix(recipe.system.as_str());
            let fine = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            let words = format!("it is `{0}` or `{0}-VARIANT`", recipe.system);
            self.rule(fine, &path("image"), image, &words);
        }
    }

    fn number(&mut self, path: &[&str], number: Option<u32>) {
        self.rule(number != Some(0), path, "0", "one at least");
    }
}

/// Whether two entries are one figure written down twice; how it is judged and why is no difference.
fn is_same(one: &Published, other: &Published) -> bool {
    let Published { tolerance, basis, .. } = other.clone();
    *other == Published { tolerance, basis, ..one.clone() }
}
