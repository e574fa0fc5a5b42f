//! JSON Schemas for editors.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The JSON Schema of a file whose raw form is `T`.
pub(crate) fn root_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with_transform(NoNull);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// TOML has no null: an optional key is absent, so that a schema which offers null misleads an editor.
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
            forms.retain(|form| form.get("type").is_none_or(|name| name != "null"));
            if let [Value::Object(only)] = forms.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with optional keys.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        /// A number.
        number: Option<u32>,
        /// A time.
        time: Option<crate::units::Time>,
    }

    #[test]
    fn schemas_offer_no_null() {
        let schema = root_schema::<Sample>();
        assert_eq!(schema["properties"]["number"]["type"], "integer");
        assert_eq!(schema["properties"]["time"]["$ref"], "#/$defs/Time");
        assert_eq!(schema["properties"]["time"]["description"], "A time.");
        assert!(!schema.to_string().contains("null"));
    }
}
