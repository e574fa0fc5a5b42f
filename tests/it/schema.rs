//! The committed JSON Schemas are those of the code.

use std::process::Command;

use crate::support::{Project, tokpace};

#[test]
fn committed_schemas_are_up_to_date() {
    let output =
        Command::new(tokpace()).args(["schema", "--check"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_stale_schema_is_named_and_mended() {
    let project = Project::empty();
    project.tokpace("schema").expect(0, &["wrote schemas/run.schema.json"]);
    project.tokpace("schema --check").expect(0, &[]);
    project.write("schemas/scenario.schema.json", "{}\n");
    project.tokpace("schema --check").expect(1, &["not up to date: `schemas/scenario.schema.json`", "hint: run"]);
    project.tokpace("schema").expect(0, &["wrote schemas/scenario.schema.json"]).without("run.schema");
    project.tokpace("schema --check").expect(0, &[]);
}
