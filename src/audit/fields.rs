//! Two records of one log, key by key.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// A key of the guide's record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// The key.
    pub key: String,
    /// What the guide's script writes; absent if it does not write the key.
    pub guide: Option<Value>,
    /// What we write.
    pub ours: Option<Value>,
    /// Whether both write the same, to the last digit.
    pub same: bool,
    /// Why they may differ, if the recipe says so.
    pub reason: Option<String>,
}

impl Field {
    /// Whether both are the same, or may differ.
    pub fn is_good(&self) -> bool {
        self.same || self.reason.is_some()
    }
}

/// Every key of either record, sorted. What we call a failed run (a log that is cut off) may be one
/// that the guide's script takes for a whole one: `failure` says why.
pub(super) fn compare(
    guide: &Map<String, Value>,
    ours: &Map<String, Value>,
    except: &BTreeMap<String, String>,
    failure: Option<&str>,
) -> Vec<Field> {
    let mut keys: Vec<&String> = guide.keys().chain(ours.keys()).collect();
    keys.sort();
    keys.dedup();
    let field = |key: &String| {
        let (guide, ours) = (guide.get(key).cloned(), ours.get(key).cloned());
        let same = guide == ours;
        let failed = failure.map(|reason| format!("ours is a failed run: {reason}"));
        let reason = except.get(key).cloned().or(failed).filter(|_| !same);
        Field { key: key.clone(), guide, ours, same, reason }
    };
    keys.into_iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_whole_number_and_a_fraction_are_not_the_same() {
        let fields =
            compare(&object(r#"{"a": 1.0}"#), &object(r#"{"a": 1}"#), &BTreeMap::new(), None);
        assert!(!fields[0].same && !fields[0].is_good());
    }

    #[test]
    fn a_key_that_only_one_writes_differs_unless_the_recipe_says_why() {
        let except = BTreeMap::from([("b".to_owned(), "why".to_owned())]);
        let fields = compare(&object(r#"{"a": 1, "b": 2}"#), &object(r#"{"a": 1}"#), &except, None);
        assert!(fields[0].same && fields[0].reason.is_none());
        assert!(!fields[1].same && fields[1].is_good());
        assert!(!compare(&object("{}"), &object(r#"{"c": 1}"#), &except, None)[0].is_good());
    }
}
