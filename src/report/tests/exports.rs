//! A run in other programs' formats.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;
use serde_json::Value;

use super::chatbot;
use super::fixture::{run, slower};
use crate::profile::Embedded;
use crate::report::{
    AiperfFiles, AiperfRun, ClientInfo, RequestLine, RunReport, TrialReport, aiperf, annotations, comment, csv, junit,
};

const REAL: &str = include_str!("../../../tests/data/interop/aiperf-0.13.0.json");
const REAL_RECORDS: &str = include_str!("../../../tests/data/interop/aiperf-0.13.0-records.jsonl");
const REAL_CSV: &str = include_str!("../../../tests/data/interop/aiperf-0.13.0.csv");

/// One case that fails and one that passes, with names that mean something in every format.
fn two_cases() -> RunReport {
    let bench = chatbot();
    let mut slow = bench.run(&slower(0.0, 0.1));
    slow.failed = Some("a check is worse than its tolerance allows".into());
    let mut fine = bench.run(&Embedded::default());
    fine.case = "a|b<c>&\"d\"".into();
    run(vec![slow, fine])
}

#[test]
fn junit_xml() {
    let text = junit(&two_cases());
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tokpace\" tests=\"2\" failures=\"1\" errors=\"0\""));
    assert!(
        text.contains(
            "<failure type=\"regressed\" message=\"a check is worse than its tolerance allows\">chatbot: REGRESSED"
        ),
        "{text}"
    );
    assert!(text.contains("<testcase name=\"a|b&lt;c&gt;&amp;&quot;d&quot;\" classname=\"embedded.chatbot\" file=\"scenarios/chatbot.toml\""), "{text}");
    assert!(text.contains("<property name=\"tpot.p50\" value=\"tpot.p50 chatbot +9.7 % [+8.9, +10.4] 6 trials, tolerance 3 %: REGRESSED\"/>"), "{text}");
    for tag in ["testsuites", "testsuite", "testcase", "properties", "failure"] {
        let (open, close) = (format!("<{tag} "), format!("</{tag}>"));
        let opened = text.matches(&open).count() + text.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, text.matches(&close).count(), "{tag}");
    }
}

#[test]
fn what_cannot_be_measured_is_an_error_and_what_is_open_is_told() {
    let mut run = two_cases();
    run.cases[0].verdict = crate::gate::Verdict::Invalid;
    run.cases[1].verdict = crate::gate::Verdict::Inconclusive;
    run.cases[1].text = "a\u{1b}[2J\nb".into();
    let text = junit(&run);
    assert!(text.contains("failures=\"0\" errors=\"1\"") && text.contains("<error type=\"invalid\""), "{text}");
    assert!(text.contains("<system-out>a\u{fffd}[2J\nb</system-out>"), "{text}");
}

#[test]
fn github_annotations() {
    let mut run = two_cases();
    run.cases[0].checks.truncate(2);
    assert_snapshot!(annotations(&run, "perf/"), @"::error file=perf/scenarios/chatbot.toml,line=14,title=tokpace%3A chatbot regressed::tpot.p50 chatbot +9.7 %25 [+8.9, +10.4] 6 trials, tolerance 3 %25: REGRESSED");
    run.cases[0].checks.clear();
    run.cases[0].text = "one\ntwo".into();
    assert!(annotations(&run, "").ends_with("line=1,title=tokpace%3A chatbot regressed::one%0Atwo\n"));
    run.cases[0].failed = None;
    assert!(annotations(&run, "").starts_with("::warning file=scenarios/chatbot.toml,"));
    run.cases.remove(0);
    assert_eq!(annotations(&run, ""), "");
}

#[test]
fn pull_request_comment() {
    let mut run = two_cases();
    run.cases[0].text = "a server said </pre><script> & @somebody".into();
    let text = comment(&run);
    assert!(
        text.starts_with("### tokpace: REGRESSED\n\n2 cases, **1 fail the build**, profile embedded.\n\n| case |"),
        "{text}"
    );
    assert!(text.contains("| chatbot | `tpot.p50` | +9.7 % [+8.9, +10.4] | 3 % | **REGRESSED** |"), "{text}");
    assert!(text.contains("| a\\|b&lt;c&gt;&amp;\"d\" | 6 trials |  |  | pass |"), "{text}");
    assert!(text.contains("<details><summary>chatbot: REGRESSED</summary>"), "{text}");
    assert!(text.contains("<pre>a server said &lt;/pre&gt;&lt;script&gt; &amp; @somebody</pre>"), "{text}");
    run.cases[0].text = "x".repeat(70_000);
    let text = comment(&run);
    assert!(text.len() < 65_000 && text.contains("The rest is in `report.md`."), "{}", text.len());
}

fn request(index: u32) -> RequestLine {
    RequestLine {
        case: "chatbot".into(),
        trial: 1,
        side: "candidate".into(),
        phase: "measured".into(),
        index,
        user: index % 2,
        request_id: format!("r{index}"),
        scheduled_ns: 1_000_000_000 * u64::from(index),
        sent_ns: 1_000_000_000 * u64::from(index) + 1000,
        ttft_ns: Some(50_000_000),
        ttfo_ns: Some(50_000_000),
        ttst_ns: Some(4_000_000),
        tpot_ns: Some(4_000_000),
        e2e_latency_ns: Some(450_000_000),
        max_stall_ns: Some(5_000_000),
        input_tokens: 64,
        output_tokens: 101,
        cached_tokens: Some(0),
        token_source: Some("usage".into()),
        status: Some(200),
        ..RequestLine::default()
    }
}

#[test]
fn requests_csv() {
    let mut failed = request(1);
    failed.ttft_ns = None;
    (failed.error_class, failed.error) = (Some("http_status".into()), Some("no, \"never\"\nagain".into()));
    assert_snapshot!(csv(&[request(0), failed]), @r#"
    case,trial,side,phase,index,user,request_id,scheduled_ms,sent_ms,ttft_ms,ttfo_ms,tpot_ms,e2e_latency_ms,max_stall_ms,connect_ms,input_tokens,output_tokens,cached_tokens,token_source,status,cancelled,error_class,error
    chatbot,1,candidate,measured,0,0,r0,0.000000,0.001000,50.000000,50.000000,4.000000,450.000000,5.000000,,64,101,0,usage,200,false,,
    chatbot,1,candidate,measured,1,1,r1,1000.000000,1000.001000,,50.000000,4.000000,450.000000,5.000000,,64,101,0,usage,200,false,http_status,"no, ""never""
    again"
    "#);
}

fn as_aiperf(requests: &[RequestLine]) -> AiperfFiles {
    let case = chatbot().run(&Embedded::default());
    let trial = TrialReport {
        server: None,
        trial: 1,
        side: "candidate".into(),
        valid: true,
        started: "2026-01-31T10:00:00.000Z".into(),
        seconds: 4.0,
        window_seconds: 4.0,
        values: crate::gate::TrialValues::default(),
        token_source: Some("usage".into()),
        failures: BTreeMap::new(),
        cancelled: 0,
        new_connections: 0,
        resent: 0,
        coalesced: 0,
        client: ClientInfo::default(),
    };
    let requests: Vec<&RequestLine> = requests.iter().collect();
    aiperf(AiperfRun {
        run: "20260131T100000Z-4711",
        command: "cargo tokpace run",
        case: &case,
        trial: &trial,
        requests: &requests,
        began_ns: 1_769_853_600_000_000_000,
        ended: "2026-01-31T10:00:04.000Z",
    })
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every metric has the name, the unit and the statistics that AIPerf itself writes.
#[test]
fn aiperfs_names_units_and_statistics() {
    let ours: Value = serde_json::from_str(&as_aiperf(&(0..4).map(request).collect::<Vec<_>>()).json).unwrap();
    let real: Value = serde_json::from_str(REAL).unwrap();
    let strangers: Vec<&str> = keys(&ours).difference(&keys(&real)).copied().collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    let mut metrics = 0;
    for (name, metric) in ours.as_object().unwrap().iter().filter(|(_, value)| value["unit"].is_string()) {
        assert_eq!(metric["unit"], real[name]["unit"], "{name}");
        assert_eq!(keys(metric), keys(&real[name]), "{name}");
        metrics += 1;
    }
    assert!(metrics > 20, "{metrics}");
    for name in ["time_to_first_token", "inter_token_latency", "request_latency", "output_token_throughput"] {
        assert!(ours[name].is_object(), "{name}");
    }
    assert_eq!(ours["time_to_first_token"]["p50"], 50.0);
    assert_eq!(ours["inter_token_latency"]["avg"], 4.0);
    // 4 requests, a second apart, of which the last takes 0.45 s.
    assert_eq!(ours["output_token_throughput"]["avg"], 4.0 * 101.0 / 3.45);
    assert_eq!(ours["input_config"]["phases"][0]["concurrency"], 2);
}

#[test]
fn aiperfs_records() {
    let mut failed = request(1);
    (failed.error_class, failed.error, failed.status) = (Some("http_status".into()), Some("busy".into()), Some(503));
    let files = as_aiperf(&[request(0), failed]);
    let lines: Vec<Value> = files.jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let real: Value = serde_json::from_str(REAL_RECORDS.lines().next().unwrap()).unwrap();
    assert!(keys(&lines[0]["metadata"]).is_subset(&keys(&real["metadata"])), "{}", lines[0]);
    for (name, metric) in lines[0]["metrics"].as_object().unwrap() {
        assert_eq!(metric["unit"], real["metrics"][name]["unit"], "{name}");
    }
    assert_eq!(lines[0]["metrics"]["time_to_first_token"]["value"], 50.0);
    assert_eq!(lines[0]["metadata"]["request_end_ns"], 1_769_853_600_450_001_000_u64);
    assert_eq!(lines[1]["error"], serde_json::json!({ "code": 503, "type": "http_status", "message": "busy" }));
    let summary: Value = serde_json::from_str(&files.json).unwrap();
    assert_eq!(
        (&summary["request_count"]["avg"], &summary["error_request_count"]["avg"]),
        (&Value::from(1.0), &Value::from(1.0))
    );
}

#[test]
fn aiperfs_table() {
    let ours = as_aiperf(&(0..4).map(request).collect::<Vec<_>>()).csv;
    let first = |text: &str| text.lines().next().unwrap().to_owned();
    assert_eq!(first(&ours), first(REAL_CSV));
    let names = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.split_once(',')).map(|(name, _)| name.to_owned()).collect()
    };
    let (ours, real) = (names(&ours), names(REAL_CSV));
    let strangers: Vec<&String> = ours.difference(&real).collect();
    assert!(strangers.is_empty() && ours.len() > 20, "{strangers:?}");
}
