//! One JSON text for one value.
//!
//! Object keys are sorted by their bytes, nothing stands between tokens, and
//! text is UTF-8 with only the escapes that JSON demands. This is the canonical
//! form OCI tools use in practice; RFC 8785 differs only for numbers with a
//! fraction, which no OCI document has.

use serde_json::Value;

/// The canonical text of `value`.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            text.push(b'{');
            for (position, key) in keys.into_iter().enumerate() {
                separate(position, text);
                write(&Value::String(key.clone()), text);
                text.push(b':');
                write(&members[key.as_str()], text);
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for (position, item) in items.iter().enumerate() {
                separate(position, text);
                write(item, text);
            }
            text.push(b']');
        }
        // A leaf has one text only.
        leaf => text.extend_from_slice(leaf.to_string().as_bytes()),
    }
}

fn separate(position: usize, text: &mut Vec<u8>) {
    if position > 0 {
        text.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth_and_arrays_are_not() {
        let value = json!({"b": [2, 1, {"d": null, "c": "é\n"}], "a": true});
        let text = String::from_utf8(canonical(&value)).unwrap();
        assert_eq!(text, r#"{"a":true,"b":[2,1,{"c":"é\n","d":null}]}"#);
    }
}
