//! The JSON Schema of scenario files.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::file::{GateFile, LimitsFile, ScenarioFile};
use super::{OnInconclusive, OnMissing};
use crate::metric::{Metric, Shape};
use crate::toml_file::root_schema;
use crate::units::Share;

/// The JSON Schema of scenario files, for editors and other tools. With feature `schema`.
pub fn schema() -> Value {
    let mut schema = root_schema::<ScenarioFile>();
    // The matrix is gone before a case is decoded, so it is no field of the file's type.
    schema["properties"]["matrix"] = json!({
        "description": "Every combination of these values is a case of its own: `\"load.concurrency\" = [1, 4, 16]`.",
        "type": "object",
        "additionalProperties": { "type": "array", "minItems": 1, "uniqueItems": true },
    });
    schema
}

impl JsonSchema for GateFile {
    fn schema_name() -> Cow<'static, str> {
        "GateFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let described = |mut schema: Schema, description: &str| {
            schema.insert("description".into(), description.into());
            schema
        };
        let on_inconclusive = described(
            generator.subschema_for::<OnInconclusive>(),
            "What an inconclusive verdict does to the build. Default: `warn`.",
        );
        let on_missing_baseline = described(
            generator.subschema_for::<OnMissing>(),
            "What a missing baseline does to the build. Default: `record`.",
        );
        let blind_above = described(
            generator.subschema_for::<Share>(),
            "In CI an inconclusive verdict fails if a slowdown of this size could not have been seen. Default: 25%.",
        );
        let limits = generator.subschema_for::<LimitsFile>();
        json_schema!({
            "type": "object",
            "properties": {
                "on_inconclusive": on_inconclusive,
                "on_missing_baseline": on_missing_baseline,
                "blind_above": blind_above,
            },
            "patternProperties": { metric_pattern(): limits },
            "additionalProperties": false,
        })
    }
}

/// Matches exactly the names of metrics with a statistic where they need one.
fn metric_pattern() -> String {
    let names = |shape: Shape| {
        let names = Metric::ALL.iter().filter(|metric| metric.shape() == shape).map(|metric| metric.name());
        names.collect::<Vec<_>>().join("|")
    };
    format!(r"^(({})\.(p[0-9]+(\.[0-9]+)?|mean|min|max|std)|{})$", names(Shape::Distribution), names(Shape::Single))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
        if value.get("properties").is_some() {
            found.push(value);
        }
        match value {
            Value::Object(map) => map.values().for_each(|inner| objects(inner, found)),
            Value::Array(items) => items.iter().for_each(|inner| objects(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_key_is_described_and_no_other_is_allowed() {
        let schema = schema();
        let mut found = Vec::new();
        objects(&schema, &mut found);
        assert!(found.len() > 10);
        for object in found {
            assert_eq!(object["additionalProperties"], false, "{object}");
            for (key, property) in object["properties"].as_object().unwrap() {
                // A variant with a value is described as a whole.
                let described = property.get("description").or(object.get("description"));
                assert!(described.is_some(), "{key} has no description");
            }
        }
    }

    #[test]
    fn the_file_is_titled_and_its_tables_are_there() {
        let schema = schema();
        assert_eq!(schema["title"], "tokpace scenario");
        let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["compare", "description", "gate", "load", "matrix", "request", "slo", "soak", "trials", "workload"]
        );
    }
}
