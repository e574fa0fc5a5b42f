//! The JSON Schema of `tokpace.toml`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::Embedded;
use super::file::{CommonFile, EndpointFile, ProjectFile};
use crate::toml_file::root_schema;

/// The JSON Schema of `tokpace.toml`, for editors and other tools.
pub fn schema() -> Value {
    root_schema::<ProjectFile>()
}

impl JsonSchema for ProjectFile {
    fn schema_name() -> Cow<'static, str> {
        "ProjectFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // A profile without a kind is embedded only if that is its name; the schema is more lenient than the program.
        let embedded = profile::<Embedded>("embedded", &[], generator);
        let endpoint = profile::<EndpointFile>("endpoint", &["kind", "url"], generator);
        json_schema!({
            "title": "tokpace project",
            "description": "The servers that are measured: `tokpace.toml` at the root of a package.",
            "type": "object",
            "properties": {
                "profile": {
                    "description": "The profile that is used when neither TOKPACE_PROFILE nor --profile chooses one. \
                                    Default: `embedded`.",
                    "type": "string",
                },
                "profiles": {
                    "description": "Named machine and server set-ups: `[profiles.NAME]`.",
                    "type": "object",
                    "propertyNames": { "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$" },
                    "additionalProperties": { "anyOf": [embedded, endpoint] },
                },
            },
            "additionalProperties": false,
        })
    }
}

/// The schema of a kind of profile: its own keys and those that all kinds share.
fn profile<T: JsonSchema>(kind: &str, required: &[&str], generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    let common = CommonFile::json_schema(generator);
    if let (Some(Value::Object(own)), Some(Value::Object(shared))) =
        (schema.get_mut("properties"), common.get("properties"))
    {
        own.extend(shared.clone());
        own.insert("kind".into(), json!({ "description": "Where the server is.", "const": kind }));
    }
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::file::COMMON_KEYS;

    #[test]
    fn both_kinds_have_the_shared_keys() {
        let schema = schema();
        let kinds = schema["properties"]["profiles"]["additionalProperties"]["anyOf"].as_array().unwrap();
        assert_eq!(kinds.len(), 2);
        for (kind, own) in kinds.iter().zip(["slowdown", "api_key_env"]) {
            assert_eq!(kind["additionalProperties"], false);
            for key in COMMON_KEYS.into_iter().chain([own]) {
                let described = kind["properties"][key].get("description").is_some();
                assert!(described, "{key} has no description: {kind}");
            }
        }
        assert_eq!(schema["title"], "tokpace project");
        assert!(schema["$defs"].get("Slowdown").is_some());
    }
}
