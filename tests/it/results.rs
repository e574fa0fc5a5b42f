//! What a run leaves behind, for people and for programs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Project;

const LATEST: &str = "target/tokpace/latest";

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_run_leaves_every_file() {
    let project = Project::new();
    let output = project.tokpace("run");
    output.expect(0, &["results: target/tokpace/"]);
    for file in [
        "run.json",
        "plan.jsonl",
        "trials.json",
        "requests.jsonl",
        "report.md",
        "report.html",
        "summary.tsv",
        "log.txt",
    ] {
        assert!(!project.read(&format!("{LATEST}/{file}")).is_empty(), "{file}");
    }
    let requests = project.lines(&format!("{LATEST}/requests.jsonl"));
    let warmup = requests.iter().filter(|line| line["phase"] == "warmup").count();
    // A machine that is busy has trials measured again, which leave their requests, too.
    let taken = (requests.len() - warmup) / 10;
    assert!(warmup == 2 && taken >= 6 && requests.len() == warmup + taken * 10, "{} lines", requests.len());
    let ids: BTreeSet<&str> = requests.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), requests.len(), "every request has an id of its own");
    for line in &requests {
        for key in [
            "case",
            "trial",
            "side",
            "phase",
            "request_id",
            "scheduled_ns",
            "sent_ns",
            "ttft_ns",
            "ttfo_ns",
            "tpot_ns",
            "e2e_latency_ns",
            "max_stall_ns",
            "input_tokens",
            "output_tokens",
            "cached_tokens",
            "status",
            "error_class",
            "error",
        ] {
            assert!(line.get(key).is_some(), "`{key}` is missing in {line}");
        }
        assert_eq!((&line["case"], &line["side"]), (&"chat".into(), &"candidate".into()));
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&16.into(), &5.into()));
        assert_eq!((&line["status"], &line["error_class"]), (&200.into(), &Value::Null));
        let at = |key: &str| line[key].as_u64().unwrap();
        assert!(at("scheduled_ns") <= at("sent_ns"), "{line}");
        // The server is never early: 2 ms before the first token, 3 ms for each further one.
        assert!(at("ttft_ns") >= 2_000_000 && at("e2e_latency_ns") >= 14_000_000, "{line}");
        assert_eq!(at("ttft_ns"), at("ttfo_ns"), "nothing of it is reasoning");
    }
    let looks = project.lines(&format!("{LATEST}/server.jsonl"));
    for moment in ["before", "after"] {
        let of_moment: Vec<_> = looks.iter().filter(|line| line["moment"] == moment).collect();
        assert_eq!(of_moment.len(), taken, "one a trial");
        assert!(of_moment.iter().all(|line| line["values"]["running"] == 0.0), "{of_moment:?}");
    }
    let plan = project.lines(&format!("{LATEST}/plan.jsonl"));
    assert_eq!(plan.iter().filter(|line| line["phase"] == "measured").count(), 10);
    assert!(plan.iter().all(|line| line["plan"].as_str().unwrap().starts_with("sha256:")));

    let trials = project.json(&format!("{LATEST}/trials.json"));
    let of_case = trials["cases"][0]["trials"].as_array().unwrap();
    assert!(of_case.len() == taken && of_case.iter().all(|trial| trial["values"]["n"] == 10), "{trials}");
    assert_eq!(of_case.iter().filter(|trial| trial["valid"] == true).count(), 6, "{trials}");

    let summary = project.read(&format!("{LATEST}/summary.tsv"));
    let mut lines = summary.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    assert!(lines.all(|line| line.len() == head.len()), "{summary}");
    let report = project.read(&format!("{LATEST}/report.md"));
    assert!(report.contains("chat") && report.contains("tpot.p50") && report.contains("MISSING"), "{report}");
}

#[test]
fn the_page_can_be_written_anew() {
    let project = Project::new();
    project.tokpace("report").expect(2, &["no run in", "hint: measure with"]);
    project.tokpace("run").expect(0, &["report:  target/tokpace/", "/report.html"]);
    let page = format!("{LATEST}/report.html");
    let first = project.read(&page);
    for text in ["<h1>", "MISSING", "tpot.p50", "Distribution of requests", "<desc"] {
        assert!(first.contains(text), "{text}");
    }
    std::fs::remove_file(project.path(&page)).unwrap();
    project.tokpace("report").expect(0, &["target/tokpace/latest/report.html"]);
    assert_eq!(project.read(&page), first);

    let requests = format!("{LATEST}/requests.jsonl");
    let cut = project.read(&requests);
    project.write(&requests, &cut[..cut.len() - 20]);
    let broken = format!("`requests.jsonl:{}` cannot be used", cut.lines().count());
    project.tokpace("report").expect(2, &[&broken, "hint: "]);
    std::fs::remove_file(project.path(&requests)).unwrap();
    project.tokpace("report latest").expect(2, &["`requests.jsonl` is missing", "hint: "]);
}

/// Asserts that `value` has what `schema` requires and nothing that it does not name.
fn assert_fits(value: &Value, schema: &Value, root: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("no {name}"));
        return assert_fits(value, schema, root, place);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fitting = choices.iter().find(|choice| (choice["type"] == "null") == value.is_null());
        return assert_fits(value, fitting.unwrap(), root, place);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let named = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    let fits = |name: &&str| *name == kind || (*name == "number" && kind == "integer");
    assert!(named.is_empty() || named.iter().any(fits), "{place} is {kind}, not {named:?}");
    if let Some(fields) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(fields.contains_key(required.as_str().unwrap()), "{place} has no {required}");
        }
        for (key, value) in fields {
            let place = format!("{place}.{key}");
            match (schema["properties"].get(key), schema.get("additionalProperties")) {
                (Some(schema), _) => assert_fits(value, schema, root, &place),
                (None, Some(schema)) if schema.is_object() => assert_fits(value, schema, root, &place),
                // A schema without properties leaves them open.
                _ => assert!(schema.get("properties").is_none(), "{place} is not in the schema"),
            }
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        assert_fits(item, &schema["items"], root, &format!("{place}[{number}]"));
    }
}

fn schema(name: &str) -> Value {
    let file = format!("{}/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn the_files_for_programs_fit_their_schemas() {
    let project = Project::new();
    project.tokpace("run --update=always").expect(0, &["chat ... missing"]);
    project.tokpace("run --set slowdown.decode=50%").expect(1, &["chat ... regressed"]);
    for name in ["run", "trials"] {
        let (value, schema) = (project.json(&format!("{LATEST}/{name}.json")), schema(name));
        assert_fits(&value, &schema, &schema, name);
    }
    let run = project.json(&format!("{LATEST}/run.json"));
    assert_eq!((&run["version"], &run["verdict"]), (&1.into(), &"regressed".into()));
    assert_eq!(run["run"]["interrupted"], false);
    let case = &run["cases"][0];
    assert_eq!(
        (&case["case"], &case["verdict"], &case["pairs_used"]),
        (&"chat".into(), &"regressed".into(), &6.into())
    );
    let tpot = case["checks"].as_array().unwrap().iter().find(|check| check["metric"] == "tpot.p50").unwrap();
    assert!(keys(tpot).is_superset(&["verdict", "ratio", "ci", "m", "se", "pT", "limit", "value"].into()), "{tpot}");
    assert!((1.3..1.7).contains(&tpot["ratio"].as_f64().unwrap()), "{tpot}");
    assert!(case["text"].as_str().unwrap().starts_with("chat: REGRESSED on profile `embedded`"));
    assert_eq!(case["subject"]["slowdown.decode"], "50%");
}

#[test]
fn results_go_where_they_are_asked_to() {
    let project = Project::new();
    project.tokpace("run --out there/results").expect(0, &["results: there/results"]);
    assert_eq!(project.json("there/results/run.json"), project.json(&format!("{LATEST}/run.json")));
    let project = project.with_variable("TOKPACE_TARGET_DIR", "elsewhere");
    project.tokpace("run").expect(0, &["results: elsewhere/tokpace/"]);
    assert!(project.exists("elsewhere/tokpace/latest/run.json"));
    project.tokpace("accept").expect(0, &["first baseline"]);
}

#[test]
fn listing_leaves_no_trace() {
    let project = Project::new();
    project.perf("--list").expect(0, &["chat: test"]);
    project.tokpace("pending").expect(0, &[]);
    let files = project.files();
    assert_eq!(files.len(), 2, "{files:?}");
}
