//! What one case may take from another.

use super::{Check, PLAIN_NAME, listed, names};
use crate::recipe::{Benchmark, InputRule, Mode};

impl Check<'_, '_> {
    /// Inputs, outputs and needs of the mode `name`.
    pub(super) fn exchange(&mut self, name: &str, mode: &Mode, benchmark: &Benchmark) {
        if let Some(needed) = &mode.needs {
            let path = ["benchmark", "mode", name, "needs"];
            self.modes(&path, std::slice::from_ref(needed), benchmark);
            let words = "a mode cannot need itself, nor one that needs it";
            self.rule(!needs_itself(name, benchmark), &path, needed, words);
        }
        for (input, rule) in &mode.inputs {
            self.input(&["benchmark", "mode", name, "inputs", input], rule, mode, benchmark);
        }
        for (output, rule) in &mode.outputs {
            let path = ["benchmark", "mode", name, "outputs", output];
            self.rule(names::plain_name(output), &path, output, PLAIN_NAME);
            let path = [&path[..], &["path"]].concat();
            self.absolute(&path, &rule.path);
            let writable = &self.recipe.image.writable;
            let below = |folder: &String| {
                let rest = rule.path.strip_prefix(folder.as_str());
                rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
            };
            let fine = writable.iter().any(below);
            let known: Vec<_> = writable.iter().map(String::as_str).collect();
            let words = format!("it is below no writable folder; {}", listed(&known));
            self.rule(fine, &path, &rule.path, &words);
        }
    }

    fn input(&mut self, path: &[&str], rule: &InputRule, mode: &Mode, benchmark: &Benchmark) {
        let name = path.last().copied().unwrap_or_default();
        self.rule(names::plain_name(name), path, name, PLAIN_NAME);
        self.absolute(&[path, &["path"]].concat(), &rule.path);
        let Some(from) = &rule.from else { return };
        let path = [path, &["from"]].concat();
        let Some((source, output)) = rule.source() else {
            let words = "expected `MODE:OUTPUT`, such as `train:checkpoint`";
            return self.rule(false, &path, from, words);
        };
        let words = "an input comes from the mode that this one `needs`";
        self.rule(mode.needs.as_deref() == Some(source), &path, from, words);
        if let Some(source) = benchmark.mode.get(source) {
            let known: Vec<_> = source.outputs.keys().map(String::as_str).collect();
            let words = format!("that mode has no such output; {}", listed(&known));
            self.rule(known.contains(&output), &path, from, &words);
        }
    }
}

/// Whether following `needs` from the mode `name` comes back to it.
fn needs_itself(name: &str, benchmark: &Benchmark) -> bool {
    let mut next = benchmark.mode.get(name).and_then(|mode| mode.needs.as_deref());
    for _ in 0..benchmark.mode.len() {
        match next {
            None => return false,
            Some(needed) if needed == name => return true,
            Some(needed) => {
                next = benchmark.mode.get(needed).and_then(|mode| mode.needs.as_deref());
            }
        }
    }
    false
}
