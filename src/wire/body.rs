//! What request bodies of all protocols have in common.

use std::collections::BTreeMap;

use serde_json::Value;

/// Lays the user's own fields over a body: objects are merged field by field, anything else is replaced.
pub(super) fn merge(body: &mut Value, extra: &BTreeMap<String, Value>) {
    for (key, value) in extra {
        merge_field(body, key, value);
    }
}

fn merge_field(target: &mut Value, key: &str, value: &Value) {
    let Some(fields) = target.as_object_mut() else { return };
    match (fields.get_mut(key), value) {
        (Some(old @ Value::Object(_)), Value::Object(new)) => {
            for (key, value) in new {
                merge_field(old, key, value);
            }
        }
        _ => {
            fields.insert(key.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut body: Value, extra: &Value) -> Value {
        let extra = extra.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        merge(&mut body, &extra);
        body
    }

    #[test]
    fn objects_merge_and_other_values_replace() {
        let body = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": 1}});
        let extra = json!({"a": {"c": [3], "g": {"h": 1}}, "d": {"i": 1}, "e": 2, "j": null});
        let expected = json!({"a": {"b": 1, "c": [3], "g": {"h": 1}}, "d": {"i": 1}, "e": 2, "j": null});
        assert_eq!(merged(body, &extra), expected);
    }
}
