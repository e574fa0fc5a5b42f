//! The JSON Schema of `tokpace.toml`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::file::{
    CommonFile, ENDPOINT_VARIANT_KEYS, EndpointFile, MANAGED_VARIANT_KEYS, ManagedFile, ProjectFile, WaiverFile,
};
use super::{Embedded, Fault, OnStale};
use crate::calendar::Days;
use crate::toml_file::root_schema;

/// Names of profiles and variants.
const NAME: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$";

/// The JSON Schema of `tokpace.toml`, for editors and other tools. With feature `schema`.
pub fn schema() -> Value {
    root_schema::<ProjectFile>()
}

impl JsonSchema for ProjectFile {
    fn schema_name() -> Cow<'static, str> {
        "ProjectFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // A profile without a kind is embedded only if that is its name; the schema is more lenient than the program.
        let embedded = profile::<Embedded>("embedded", &[], &embedded_variant(generator), generator);
        let of_endpoint = variant_of::<EndpointFile>(&ENDPOINT_VARIANT_KEYS, generator);
        let endpoint = profile::<EndpointFile>("endpoint", &["kind", "url"], &of_endpoint, generator);
        let of_managed = variant_of::<ManagedFile>(&MANAGED_VARIANT_KEYS, generator);
        let managed = profile::<ManagedFile>("managed", &["kind", "command"], &of_managed, generator);
        let mut waiver = WaiverFile::json_schema(generator);
        waiver.insert("required".into(), json!(["case", "until", "reason"]));
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
                "history": {
                    "description": "Folder of the history of all runs, relative to this file. \
                                    Default: `target/tokpace/history`.",
                    "type": "string",
                },
                "baseline_max_age": of_all(&generator.subschema_for::<Days>(), "How old a baseline may be, such as `90d`; \
                                    counted from its latest job. Default: no limit."),
                "on_stale_baseline": of_all(&generator.subschema_for::<OnStale>(), "What an older baseline does: `warn` \
                                    in the report, or `fail` the test. Default: `warn`."),
                "waiver": {
                    "description": "Checks that may regress until a day: `[[waiver]]`.",
                    "type": "array",
                    "items": waiver,
                },
                "profiles": {
                    "description": "Named machine and server set-ups: `[profiles.NAME]`.",
                    "type": "object",
                    "propertyNames": { "pattern": NAME },
                    "additionalProperties": { "anyOf": [embedded, endpoint, managed] },
                },
            },
            "additionalProperties": false,
        })
    }
}

/// A schema with a description of its own.
fn of_all(schema: &Schema, description: &str) -> Value {
    json!({ "description": description, "allOf": [schema] })
}

/// The schema of a kind of profile: its own keys and those that all kinds share.
fn profile<T: JsonSchema>(kind: &str, required: &[&str], variant: &Schema, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    let common = CommonFile::json_schema(generator);
    if let (Some(Value::Object(own)), Some(Value::Object(shared))) =
        (schema.get_mut("properties"), common.get("properties"))
    {
        own.extend(shared.clone());
        own.insert("kind".into(), json!({ "description": "Where the server is.", "const": kind }));
        let variants = json!({
            "description": "Variants of the server that scenarios can compare: `[profiles.NAME.variants.VARIANT]`.",
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": variant,
        });
        own.insert("variants".into(), variants);
    }
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema
}

/// What a variant of the embedded server can change: everything, and a part of each table is enough.
fn embedded_variant(generator: &mut SchemaGenerator) -> Schema {
    let mut fault = Fault::json_schema(generator);
    fault.remove("required");
    let mut schema = Embedded::json_schema(generator);
    if let Some(Value::Object(keys)) = schema.get_mut("properties") {
        keys.insert("fault".into(), fault.to_value());
    }
    variant(schema, "What differs from the profile; nested tables are merged key by key.")
}

/// What a variant of another server can change: some of its keys.
fn variant_of<T: JsonSchema>(changeable: &[&str], generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(Value::Object(keys)) = schema.get_mut("properties") {
        keys.retain(|key, _| changeable.contains(&key.as_str()));
    }
    variant(schema, "What differs from the profile; nested tables are merged key by key.")
}

/// A profile's schema as that of a variant, whose defaults are the profile's values.
fn variant(mut schema: Schema, description: &str) -> Schema {
    schema.insert("description".into(), description.into());
    if let Some(Value::Object(keys)) = schema.get_mut("properties") {
        for property in keys.values_mut().filter_map(Value::as_object_mut) {
            property.remove("default");
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::file::COMMON_KEYS;

    #[test]
    fn all_kinds_have_the_shared_keys() {
        let schema = schema();
        let kinds = schema["properties"]["profiles"]["additionalProperties"]["anyOf"].as_array().unwrap();
        assert_eq!(kinds.len(), 3);
        for (kind, own) in kinds.iter().zip(["slowdown", "api_key_env", "command"]) {
            assert_eq!(kind["additionalProperties"], false);
            for key in COMMON_KEYS.into_iter().chain([own]) {
                let described = kind["properties"][key].get("description").is_some();
                assert!(described, "{key} has no description: {kind}");
            }
        }
        let keys = |kind: usize| {
            let variant = &kinds[kind]["properties"]["variants"]["additionalProperties"];
            assert_eq!(variant["additionalProperties"], false);
            assert!(!variant["properties"].to_string().contains("\"default\":\"4ms\""), "{variant}");
            variant["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(0).len(), 11);
        assert_eq!(keys(1), ENDPOINT_VARIANT_KEYS);
        assert_eq!(keys(2), MANAGED_VARIANT_KEYS);
        let fault = &kinds[0]["properties"]["variants"]["additionalProperties"]["properties"]["fault"];
        assert_eq!((fault["required"].is_null(), fault["properties"]["kind"].is_object()), (true, true));
        assert_eq!(schema["title"], "tokpace project");
        assert!(schema["$defs"].get("Slowdown").is_some());
    }
}
