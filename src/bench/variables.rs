//! What the names in a command stand for, and what a user set otherwise.
//!
//! Later ones win: the axes of the matrix, the benchmark's variables, those of the model,
//! the profile's, the profile's for the model, and what the user set. Only the last are
//! deviations: the others stand in the recipe.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BenchError;
use super::number::Number;
use crate::recipe::{Benchmark, Profile, Value};

/// The variables of one case by name.
pub type Variables = BTreeMap<String, Value>;

/// Names that the matrix gives; no recipe may define them.
pub(super) const AXES: [&str; 6] =
    ["system", "model", "mode", "batch_size", "precision", "gpu_num"];

/// One `NAME=VALUE` of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A variable that differs from the recipe because a user said so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// The variable.
    pub name: String,
    /// What the recipe says; several values for an axis of the matrix.
    pub recipe: Vec<Value>,
    /// What was used.
    pub used: Value,
}

impl Setting {
    /// Reads `batch_size=18`.
    pub fn parse(text: &str) -> Result<Self, BenchError> {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(BenchError::Setting {
                text: text.to_owned(),
                reason: "expected `NAME=VALUE`".to_owned(),
            });
        };
        Ok(Self { name: name.to_owned(), value: read_value(value) })
    }
}

/// A number only if it is written back as it was read: `0.010` and `007` stay texts.
fn read_value(text: &str) -> Value {
    let value = match Number::parse(text) {
        Some(Number::Int(whole)) => Value::Integer(whole),
        Some(Number::Float(fraction)) if fraction.is_finite() => Value::Float(fraction),
        _ => Value::Text(text.to_owned()),
    };
    if value_text(&value) == text { value } else { Value::Text(text.to_owned()) }
}

/// How a value stands in a command.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Integer(whole) => whole.to_string(),
        Value::Float(fraction) => Number::Float(*fraction).repr(),
        Value::Text(text) => text.clone(),
    }
}

/// The number of a value, if it is one.
pub(super) fn value_number(value: &Value) -> Option<Number> {
    match value {
        Value::Integer(whole) => Some(Number::Int(*whole)),
        Value::Float(fraction) => Some(Number::Float(*fraction)),
        Value::Text(text) => Number::parse(text),
    }
}

/// The variables that benchmark and profile define for `model`, axes aside.
pub(super) fn of_model(benchmark: &Benchmark, profile: &Profile, model: &str) -> Variables {
    let layers = [
        Some(&benchmark.variables),
        benchmark.model.get(model),
        Some(&profile.variables),
        profile.model.get(model),
    ];
    let mut variables = Variables::new();
    for (name, value) in layers.into_iter().flatten().flatten() {
        variables.insert(name.clone(), value.clone());
    }
    variables
}

/// Puts `settings` over the variables of one case; returns what they changed.
pub(super) fn apply(variables: &mut Variables, settings: &[Setting]) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    for setting in settings.iter().filter(|setting| !is_axis(&setting.name)) {
        let Some(value) = variables.get_mut(&setting.name) else { continue };
        if *value != setting.value {
            let recipe = vec![std::mem::replace(value, setting.value.clone())];
            let (name, used) = (setting.name.clone(), setting.value.clone());
            deviations.push(Deviation { name, recipe, used });
        }
    }
    deviations
}

pub(super) fn is_axis(name: &str) -> bool {
    AXES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_keeps_the_text_it_was_written_as() {
        let value = |text: &str| Setting::parse(text).unwrap().value;
        assert_eq!(value("a=18"), Value::Integer(18));
        assert_eq!(value("a=0.01"), Value::Float(0.01));
        for text in ["0.010", "007", "x=y", "", " 1", "1e3", "+1", "nan", "inf"] {
            assert_eq!(value(&format!("a={text}")), Value::Text(text.to_owned()));
        }
        assert!(Setting::parse("batch_size").is_err());
        assert!(Setting::parse("=1").is_err());
    }

    #[test]
    fn only_what_differs_is_a_deviation() {
        let mut variables = Variables::from([("a".to_owned(), Value::Integer(1))]);
        variables.insert("b".to_owned(), Value::Text("x".to_owned()));
        let settings = ["a=1", "b=y"].map(|text| Setting::parse(text).unwrap());
        let deviations = apply(&mut variables, &settings);
        assert_eq!(deviations.len(), 1);
        assert_eq!(deviations[0].recipe, [Value::Text("x".to_owned())]);
        assert_eq!(variables["b"], Value::Text("y".to_owned()));
    }
}
