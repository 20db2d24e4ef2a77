//! The record that a guide asks for: its keys, its order, its bytes.
//!
//! The guides' scripts write it with Python's `json.dumps`: one line, `", "` and
//! `": "` between things, everything but printable ASCII escaped, floats as `repr`
//! writes them, no newline at the end.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::formula::{Binding, Formula, FormulaError, Scope};
use super::number::Number;
use super::template::{Template, TemplateError};
use super::variables::value_text;
use crate::recipe::{RecordKey, Value};

/// Names that only the guide's record knows, beside variables, values and metrics.
const SPECIAL: [&str; 4] = ["final_result", "job_fail_flag", "log_file", "null"];

/// One rule for one key, compiled.
#[derive(Debug, Clone)]
pub(super) struct KeyRule {
    key: String,
    value: KeyValue,
    on_failure: Option<Json>,
    when: Option<Formula>,
}

#[derive(Debug, Clone)]
enum KeyValue {
    Constant(Json),
    Template(Template),
    Name(String),
}

/// What can stand in a guide's record.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Null,
    Number(Number),
    Text(String),
}

/// What a case came to, as far as the guide's record is concerned.
pub(super) struct Outcome<'a> {
    /// Numbers by name: variables, values of the log, figures.
    pub scope: &'a Scope,
    /// Texts by name, for templates.
    pub text: &'a dyn Fn(&str) -> Option<String>,
    /// Whether the case has failed.
    pub failed: bool,
    /// The guide's figure; absent when there is none.
    pub final_result: Option<Number>,
    /// Name of the kept log.
    pub log_file: &'a str,
}

/// Compiles the keys; every problem is a fragment that names the key.
pub(super) fn compile(keys: &[RecordKey]) -> Result<Vec<KeyRule>, Vec<String>> {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    let mut unconditional = BTreeSet::new();
    for key in keys {
        match KeyRule::compile(key) {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(format!("record key `{}`: {problem}", key.key)),
        }
        if unconditional.contains(&key.key) {
            problems.push(format!("record key `{}` follows a rule that always holds", key.key));
        }
        if key.when.is_none() {
            unconditional.insert(&key.key);
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

impl KeyRule {
    fn compile(key: &RecordKey) -> Result<Self, String> {
        let value = match &key.value {
            Value::Text(text) => match text.strip_prefix('=') {
                Some(name) => KeyValue::Name(name.to_owned()),
                None => KeyValue::Template(Template::parse(text).map_err(|e| e.to_string())?),
            },
            number => KeyValue::Constant(constant(number)),
        };
        let when = key.when.as_deref().map(Formula::parse).transpose();
        Ok(Self {
            key: key.key.clone(),
            value,
            on_failure: key.on_failure.as_ref().map(constant),
            when: when.map_err(|error| error.to_string())?,
        })
    }

    /// Names it uses that are not among `known`, as fragments.
    pub(super) fn unknown_names(&self, known: &[String]) -> Vec<String> {
        let mut all: Vec<String> = known.to_vec();
        all.extend(SPECIAL.map(str::to_owned));
        let mut problems = Vec::new();
        let mut check = |name: &str| {
            if !all.iter().any(|known| known == name) {
                let (name, known) = (name.to_owned(), all.clone());
                let error = FormulaError::UnknownName { name, known };
                problems.push(format!("record key `{}`: {error}", self.key));
            }
        };
        if let KeyValue::Name(name) = &self.value {
            check(name);
        }
        self.when.iter().flat_map(Formula::names).for_each(check);
        if let KeyValue::Template(template) = &self.value {
            let found = template
                .render(&all, |name| all.iter().any(|known| known == name).then(String::new));
            problems.extend(found.err().map(|error| format!("record key `{}`: {error}", self.key)));
        }
        problems
    }

    fn json(&self, outcome: &Outcome) -> Json {
        let failed = outcome.failed;
        if let (true, Some(value)) = (failed, &self.on_failure) {
            return value.clone();
        }
        match &self.value {
            KeyValue::Constant(value) => value.clone(),
            KeyValue::Template(template) => Json::Text(outcome.fill_in(template)),
            KeyValue::Name(name) => outcome.value(name),
        }
    }
}

impl Outcome<'_> {
    fn value(&self, name: &str) -> Json {
        let failed = self.failed;
        let missing = if failed { Json::Number(Number::Int(0)) } else { Json::Null };
        match name {
            "null" => Json::Null,
            "log_file" => Json::Text(self.log_file.to_owned()),
            "job_fail_flag" => Json::Number(Number::Int(i64::from(failed))),
            "final_result" => self.final_result.map_or(missing, Json::Number),
            _ => match self.scope.get(name) {
                Some(Binding::Number(number)) => Json::Number(*number),
                _ => (self.text)(name).map_or(missing, Json::Text),
            },
        }
    }

    /// What a failed job has no value for is left empty, as the guides' scripts leave it.
    fn fill_in(&self, template: &Template) -> String {
        let value = |name: &str| match self.value(name) {
            Json::Text(text) => Some(text),
            Json::Number(number) => Some(number.repr()),
            Json::Null => Some(String::new()),
        };
        let never = |error: TemplateError| unreachable!("every name has a value: {error}");
        template.render(&[], value).unwrap_or_else(never)
    }

    /// The names that conditions may use.
    fn conditions(&self) -> Scope {
        let mut scope = self.scope.clone();
        let failed = i64::from(self.failed);
        scope.insert("job_fail_flag".to_owned(), Binding::Number(Number::Int(failed)));
        let result = self.final_result.unwrap_or(Number::Int(0));
        scope.insert("final_result".to_owned(), Binding::Number(result));
        scope
    }
}

/// The record's bytes, as `json.dumps` writes them.
pub(super) fn render(rules: &[KeyRule], outcome: &Outcome) -> String {
    let scope = outcome.conditions();
    let mut text = String::from("{");
    let mut done = BTreeSet::new();
    for rule in rules {
        if !done.insert(&rule.key) {
            continue;
        }
        let Some(chosen) = choose(rules, &rule.key, &scope) else { continue };
        if text.len() > 1 {
            text.push_str(", ");
        }
        write_text(&mut text, &rule.key);
        text.push_str(": ");
        write_json(&mut text, &chosen.json(outcome));
    }
    text.push('}');
    text
}

/// The first alternative that holds. Where none holds because a value is missing, the first
/// whose condition could not be decided: a failed job's record has all the keys.
fn choose<'a>(rules: &'a [KeyRule], key: &str, scope: &Scope) -> Option<&'a KeyRule> {
    let mut undecided = None;
    for rule in rules.iter().filter(|rule| rule.key == key) {
        match rule.when.as_ref().map(|when| when.evaluate(scope)) {
            None => return Some(rule),
            Some(Ok(number)) if number.as_f64() != 0.0 => return Some(rule),
            Some(Ok(_)) => {}
            Some(Err(_)) => undecided = undecided.or(Some(rule)),
        }
    }
    undecided
}

fn constant(value: &Value) -> Json {
    match value {
        Value::Integer(whole) => Json::Number(Number::Int(*whole)),
        Value::Float(fraction) => Json::Number(Number::Float(*fraction)),
        Value::Text(_) => Json::Text(value_text(value)),
    }
}

fn write_json(out: &mut String, value: &Json) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Number(number) => out.push_str(&number.repr()),
        Json::Text(text) => write_text(out, text),
    }
}

/// As `json.dumps` with `ensure_ascii`: UTF-16 escapes for everything outside ` ` to `~`.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, value: Value) -> RecordKey {
        RecordKey { key: key.to_owned(), value, on_failure: None, when: None }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn render_with(keys: &[RecordKey], final_result: Option<Number>, scope: &Scope) -> String {
        let rules = compile(keys).unwrap();
        let text = |name: &str| (name == "model").then(|| "fast\"scnn".to_owned());
        let failed = final_result.is_none();
        let outcome = Outcome { scope, text: &text, failed, final_result, log_file: "a.log" };
        render(&rules, &outcome)
    }

    #[test]
    fn bytes_are_those_of_json_dumps() {
        let keys = [
            key("log_file", text("=log_file")),
            key("model_name", text("{model}_bs{batch_size}")),
            key("mission_name", text("图像分割\t\u{7f}😀\u{1}")),
            key("direction_id", Value::Integer(0)),
            key("rate", Value::Float(1e-5)),
            key("FINAL_RESULT", text("=final_result")),
            key("JOB_FAIL_FLAG", text("=job_fail_flag")),
            key("profiler_path", text("=null")),
        ];
        let scope = Scope::from([("batch_size".to_owned(), Binding::Number(Number::Int(2)))]);
        // Printed by CPython's `json.dumps`.
        let expected = concat!(
            r#"{"log_file": "a.log", "model_name": "fast\"scnn_bs2", "#,
            r#""mission_name": "\u56fe\u50cf\u5206\u5272\t\u007f\ud83d\ude00\u0001", "#,
            r#""direction_id": 0, "rate": 1e-05, "FINAL_RESULT": 2.0, "#,
            r#""JOB_FAIL_FLAG": 0, "profiler_path": null}"#,
        );
        assert_eq!(render_with(&keys, Some(Number::Float(2.0)), &scope), expected);
    }

    #[test]
    fn alternatives_of_a_key_are_chosen_by_their_condition() {
        let when = |value: &str, when: &str| RecordKey {
            when: Some(when.to_owned()),
            on_failure: Some(text("")),
            ..key("run_mode", text(value))
        };
        let keys = [
            key("a", Value::Integer(1)),
            when("sp", "gpu_num == 1"),
            when("mp", "gpu_num != 1"),
            RecordKey { when: Some("gpu_num == 1".to_owned()), ..key("profiler", text("=null")) },
        ];
        let gpus =
            |count| Scope::from([("gpu_num".to_owned(), Binding::Number(Number::Int(count)))]);
        let result = Some(Number::Int(1));
        assert_eq!(
            render_with(&keys, result, &gpus(1)),
            r#"{"a": 1, "run_mode": "sp", "profiler": null}"#
        );
        assert_eq!(render_with(&keys, result, &gpus(8)), r#"{"a": 1, "run_mode": "mp"}"#);
        let missing =
            Scope::from([("gpu_num".to_owned(), Binding::Unusable("no gpu_ids".to_owned()))]);
        assert_eq!(
            render_with(&keys, None, &missing),
            r#"{"a": 1, "run_mode": "", "profiler": null}"#
        );
    }

    #[test]
    fn a_failed_job_has_the_flag_and_no_result() {
        let keys = [
            key("FINAL_RESULT", text("=final_result")),
            key("JOB_FAIL_FLAG", text("=job_fail_flag")),
            key("gpu_num", text("=gpu_num")),
            key("name", text("{model}{absent}")),
        ];
        let expected =
            r#"{"FINAL_RESULT": 0, "JOB_FAIL_FLAG": 1, "gpu_num": 0, "name": "fast\"scnn0"}"#;
        assert_eq!(render_with(&keys, None, &Scope::new()), expected);
    }

    #[test]
    fn every_bad_key_is_named() {
        let keys = [
            key("a", text("{")),
            RecordKey { when: Some("1 +".to_owned()), ..key("b", text("x")) },
            key("c", text("x")),
            key("c", text("y")),
        ];
        let problems = compile(&keys).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        let rule = &compile(&[key("d", text("=finalresult"))]).unwrap()[0];
        assert!(rule.unknown_names(&[])[0].contains("did you mean `final_result`?"));
    }
}
