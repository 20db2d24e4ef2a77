//! Compares what a record says with what it should say, key by key.

use serde::Serialize;
use serde_json::Value;

/// One thing that a record says and that is not so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where in the record: `series.time.mean`.
    pub what: String,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// The keys that follow from recipe, log and exit.
const DERIVED: [&str; 19] = [
    "status",
    "final_result",
    "throughput",
    "metrics",
    "checks",
    "once",
    "series",
    "not_measured",
    "totals",
    "progress",
    "comparisons",
    "published",
    "reference_host",
    "expected_failure",
    "variables",
    "deviations",
    "guide_command",
    "not_taken_over",
    "errata",
];

/// The same inside other tables.
const DERIVED_INSIDE: [(&str, &str); 4] =
    [("log", "file"), ("log", "cut_lines"), ("job", "command"), ("job", "workdir")];

/// Lists that say nothing where they are empty: earlier programs left them so.
const SILENT_IF_EMPTY: [&str; 2] = ["published", "comparisons"];

/// A float may differ in the last digits from one C library to the next; no digit that anybody reads.
const SAME: f64 = 1e-9;

/// What of `written` is not as in `fresh`, among the keys that can be computed.
pub(super) fn derived(fresh: &Value, written: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    for key in DERIVED {
        let Some(claim) = written.get(key) else { continue };
        let is_empty = claim.as_array().is_some_and(Vec::is_empty);
        if !(is_empty && SILENT_IF_EMPTY.contains(&key)) {
            compare(key, fresh.get(key), Some(claim), &mut found);
        }
    }
    for (table, key) in DERIVED_INSIDE {
        let inside = |value: &Value| value.get(table).and_then(|table| table.get(key)).cloned();
        if let Some(claim) = inside(written) {
            compare(&format!("{table}.{key}"), inside(fresh).as_ref(), Some(&claim), &mut found);
        }
    }
    if let Some(claim) = written.get("guide_record") {
        compare("guide_record", fresh.get("guide_record"), Some(claim), &mut found);
    }
    found
}

/// What of `written` is not as in `copy`.
pub(super) fn whole(copy: &Value, written: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(copy), Some(written), &mut found);
    found
}

fn compare(
    place: &str,
    expected: Option<&Value>,
    found: Option<&Value>,
    differences: &mut Vec<Difference>,
) {
    let inside =
        |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    match (expected, found) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for (key, value) in other {
                compare(&inside(key), one.get(key), Some(value), differences);
            }
            for (key, value) in one.iter().filter(|(key, _)| !other.contains_key(*key)) {
                if !is_optional(key) {
                    compare(&inside(key), Some(value), None, differences);
                }
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for at in 0..one.len().max(other.len()) {
                let name = other.get(at).or(one.get(at)).and_then(|item| item.get("name"));
                let name = name.and_then(Value::as_str).map_or(at.to_string(), str::to_owned);
                compare(&inside(&name), one.get(at), other.get(at), differences);
            }
        }
        (Some(one), Some(other)) if is_same(one, other) => {}
        (Some(one), Some(other)) if place.ends_with("reason") && is_same_reason(one, other) => {}
        (None | Some(Value::Null), None | Some(Value::Null)) => {}
        (one, other) => differences.push(Difference {
            what: place.to_owned(),
            expected: text(one),
            found: text(other),
        }),
    }
}

/// Keys that earlier programs of the same version of records did not write.
fn is_optional(key: &str) -> bool {
    let optional = [
        "interval",
        "outliers",
        "drift",
        "arrival",
        "running_mean",
        "repeatable",
        "about",
        "reason",
    ];
    optional.contains(&key)
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => {
            one == other || (one - other).abs() <= SAME * one.abs().max(other.abs())
        }
        _ => one == other,
    }
}

/// Whether two reasons are the same but for what stands in brackets: programs tell more of what was
/// looked for than earlier ones did.
fn is_same_reason(one: &Value, other: &Value) -> bool {
    let short = |value: &Value| -> Option<Vec<String>> {
        let lines = value.as_str()?.lines();
        Some(lines.map(|line| line.split(" (").next().unwrap_or(line).to_owned()).collect())
    };
    short(one).is_some() && short(one) == short(other)
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_that_does_not_follow_is_named_with_its_place() {
        let fresh = json!({ "series": { "time": { "mean": 0.5, "values": ["0.4", "0.6"] } },
            "metrics": [{ "name": "speed", "value": 2.0 }] });
        let mut written = fresh.clone();
        assert_eq!(derived(&fresh, &written), []);
        written["series"]["time"]["mean"] = json!(0.4);
        written["metrics"][0]["value"] = json!(3);
        let found = derived(&fresh, &written);
        let named: Vec<_> = found
            .iter()
            .map(|wrong| (wrong.what.as_str(), wrong.expected.as_str(), wrong.found.as_str()))
            .collect();
        let expected = [("metrics.speed.value", "2.0", "3"), ("series.time.mean", "0.5", "0.4")];
        assert_eq!(named, expected);
    }

    #[test]
    fn values_left_out_or_added_are_found() {
        let fresh =
            json!({ "series": { "time": { "values": ["1", "2"] } }, "status": { "state": "ok" } });
        let mut written = fresh.clone();
        written["series"]["time"]["values"] = json!(["1"]);
        written["final_result"] = json!({ "name": "final_result", "value": 7 });
        let found = derived(&fresh, &written);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(
            (found[0].what.as_str(), found[0].expected.as_str()),
            ("final_result", "nothing")
        );
        assert_eq!(
            (found[1].what.as_str(), found[1].found.as_str()),
            ("series.time.values.1", "nothing")
        );
    }

    #[test]
    fn what_an_earlier_program_did_not_write_is_no_claim() {
        let fresh = json!({ "errata": [{ "id": "a" }], "published": [{ "value": 1 }],
            "series": { "time": { "mean": 1.0, "interval": { "low": 0.0 } } } });
        let written = json!({ "published": [], "series": { "time": { "mean": 1 } } });
        assert_eq!(derived(&fresh, &written), []);
    }

    #[test]
    fn a_reason_of_an_earlier_program_may_lack_what_was_looked_for() {
        let told = |reason: &str| json!({ "status": { "state": "failed", "reason": reason } });
        let fresh = told("no `speed`: the log has no `seconds` (no line matches `took (.*)`)");
        assert_eq!(derived(&fresh, &told("no `speed`: the log has no `seconds`")), []);
        assert_eq!(derived(&fresh, &told("no `speed`: the log has no `time`")).len(), 1);
    }

    #[test]
    fn the_last_digits_of_a_float_do_not_count_and_others_do() {
        let fresh = json!({ "throughput": { "value": 3.925417075564279 } });
        let with = |value: f64| derived(&fresh, &json!({ "throughput": { "value": value } })).len();
        assert_eq!((with(3.925_417_075_6), with(3.925_417), with(3.925_417_1)), (0, 1, 1));
    }
}
