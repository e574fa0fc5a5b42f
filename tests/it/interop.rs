//! Results of other tools and of earlier runs: judged, set side by side, written in other formats.

use serde_json::{Value, json};

use crate::support::Project;

const VLLM: &str = include_str!("../data/interop/vllm-0.32.0-completions.json");
const LATEST: &str = "target/tokpace/latest";

/// Six results a side, measured in turn, with B `slower` in its time per output token.
fn results(count: usize, slower: f64) -> Project {
    let project = Project::empty();
    for at in 0..count {
        for (side, second, factor) in
            [("a", 20 * at + 10 * (at % 2), 1.0), ("b", 20 * at + 10 * ((at + 1) % 2), slower)]
        {
            let mut file: Value = serde_json::from_str(VLLM).unwrap();
            let noise = 1.0 + 0.0005 * ((second * 31 % 7) as f64 - 3.0);
            for key in ["median_ttft_ms", "median_tpot_ms", "output_throughput"] {
                file[key] = json!(file[key].as_f64().unwrap() * noise);
            }
            file["median_tpot_ms"] = json!(file["median_tpot_ms"].as_f64().unwrap() * factor);
            // The same figure by another name, which would win.
            file.as_object_mut().unwrap().retain(|key, _| !key.starts_with("p50_"));
            file["date"] = json!(format!("20261123-10{:02}{:02}", second / 60, second % 60));
            project.write(&format!("{side}/{at}.json"), &file.to_string());
        }
    }
    project
}

#[test]
fn results_of_another_tool_are_judged() {
    let same = results(6, 1.0);
    same.tokpace("compare a b").expect(0, &["concurrency 8", "6 pairs", "1 case: 1 pass"]);
    same.tokpace("compare a/*.json b/0.json,b/1.json,b/2.json,b/3.json,b/4.json,b/5.json")
        .expect(0, &["1 case: 1 pass"]);
    let slower = results(6, 1.105);
    slower.tokpace("compare a b").expect(1, &["REGRESSED", "tpot.p50", "+10.", "in turn"]);
    let output = slower.tokpace("compare a b --json");
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (output.code, &found["verdict"], &found["cases"][0]["mode"]),
        (1, &json!("regressed"), &json!("paired"))
    );
    slower.tokpace("compare a b --check tpot.p50=20%").expect(0, &["1 case: 1 pass"]);
}

#[test]
fn too_few_results_decide_nothing() {
    let few = results(1, 2.0);
    few.tokpace("compare a/0.json b/0.json").expect(0, &["INCONCLUSIVE", "at least 6 are needed, so measure 5 more"]);
    few.tokpace("compare a b --require-pass").expect(1, &["INCONCLUSIVE"]);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let project = results(1, 1.0).with("b/0.json", "{\n\"model_id\": \"x\",\n\"num").with("c/x.json", "{\"model\": 1}");
    project.tokpace("compare a b").expect(2, &["`b/0.json:3`: no JSON", "hint: "]);
    project
        .tokpace("compare a c")
        .expect(2, &["`c/x.json:1`: JSON, but of no tool that is known", "hint: give a run folder"]);
    project.tokpace("compare a d").expect(2, &["`d` is not there", "hint: name a run folder"]);
    project.tokpace("compare a a --check tftt.p50=5%").expect(2, &["did you mean `ttft`"]);
}

#[test]
fn nothing_secret_and_no_control_character_of_a_file_is_printed() {
    let project = results(1, 1.0).with_variable("SERVER_API_KEY", "sk-very-secret");
    let file = project.read("b/0.json").replace("tokpace-sim", "sk-very-secret \\u001b[2J");
    project.write("b/0.json", &file);
    let output = project.tokpace("compare a b");
    output.expect(0, &["`model`: A `tokpace-sim`, B `*** "]);
    assert!(!output.stdout.contains('\u{1b}') && !output.stdout.contains("very-secret"), "{output}");
}

#[test]
fn runs_are_compared_merged_and_exported() {
    let project = Project::new();
    project.tokpace("run --out first").expect(0, &[]);
    let exported = "run --out second --set slowdown.decode=60% --export aiperf,csv --export markdown";
    project.tokpace(exported).expect(0, &[]);

    project.tokpace("compare first second").expect(1, &["chat", "REGRESSED", "differs: ", "slowdown"]);
    project.tokpace("compare first/run.json first/trials.json").expect(0, &["1 case: 1 pass"]);

    project.tokpace("merge g5=first inf2=second --out both").expect(0, &["wrote 2 runs and 1 case to both"]);
    let report = project.read("both/report.md");
    assert!(report.contains("| metric | g5 | inf2 |") && report.contains("| `tpot.p50` |"), "{report}");
    assert!(report.contains("nothing is judged across runs") && report.contains("slowdown"), "{report}");
    assert!(project.read("both/summary.tsv").starts_with("case\tmetric\tunit\tg5\tinf2\n"));
    let merged = project.json("both/merged.json");
    assert!(merged.get("verdict").is_none() && merged["cases"][0]["same_plan"] == true, "{merged}");
    project.tokpace("merge first second --out both").expect(0, &[]);
    project.tokpace("merge x=first x=second --out both").expect(2, &["two runs have the name `x`"]);

    let junit = project.read("second/junit.xml");
    assert!(junit.contains("<testsuites name=\"tokpace\" tests=\"1\" failures=\"0\""), "{junit}");
    let lines = project.read("second/export/requests.csv").lines().count();
    // More, where a trial was measured again.
    assert!(lines > 2 + 6 * 10, "{lines}");
    assert!(project.read("second/export/comment.md").starts_with("### tokpace: "));
    let trials = project.json("second/trials.json");
    let trials = trials["cases"][0]["trials"].as_array().unwrap();
    let valid = trials.iter().find(|trial| trial["valid"] == true).unwrap();
    let first = format!("second/export/aiperf/chat/profile_runs/run_{:04}", valid["trial"].as_u64().unwrap());
    assert_eq!(project.json(&format!("{first}/profile_export_aiperf.json"))["request_count"]["avg"], 10.0);
    assert_eq!(project.lines(&format!("{first}/profile_export.jsonl")).len(), 10);
    // What is written as AIPerf writes it is read as AIPerf's.
    project
        .tokpace("compare second/export/aiperf/chat/profile_runs second/export/aiperf/chat/profile_runs")
        .expect(0, &["AIPerf", "1 case"]);

    project.tokpace("export --format junit").expect(0, &["<testsuites"]);
    project.tokpace("export first --format tsv,github --out elsewhere").expect(0, &["wrote elsewhere/summary.tsv"]);
    project.tokpace("export first --format pdf").expect(2, &["no such format", "`junit`"]);
    project.tokpace("export nowhere --format tsv").expect(2, &["no run is in `nowhere`", "hint: "]);
    assert!(project.exists(LATEST));
}

#[test]
fn a_run_in_github_actions_annotates_the_change() {
    let scenario =
        crate::support::SCENARIO.replace("\"tpot.p50\" = \"<= baseline + 15%\"", "\"tpot.p50\" = \"<= 1ms\"");
    let project = Project::new()
        .with("scenarios/chat.toml", &scenario)
        .with_variable("GITHUB_ACTIONS", "true")
        .with_variable("GITHUB_STEP_SUMMARY", "summary.md");
    let line = 1 + scenario.lines().position(|line| line.contains("tpot.p50")).unwrap();
    let annotation =
        format!("::error file=scenarios/chat.toml,line={line},title=tokpace%3A chat exceeded::tpot.p50 chat");
    project.tokpace("run").expect(1, &[&annotation]);
    let summary = project.read("summary.md");
    assert!(summary.contains("### tokpace: EXCEEDED") && summary.contains("<details>"), "{summary}");
    let junit = project.read(&format!("{LATEST}/junit.xml"));
    assert!(junit.contains("<failure type=\"exceeded\""), "{junit}");
}
