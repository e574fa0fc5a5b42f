//! Loads and datasets that are traces.

use insta::assert_snapshot;

use super::super::*;
use super::{GOOD, one, said, wrong};
use crate::units::Time;

#[test]
fn a_trace_says_what_is_sent_and_when() {
    let case = one("[load]\ntrace = \"../data/${TRACE}\"\n");
    assert_eq!(case.trace(), Some("../data/${TRACE}"));
    let kind = |load: &Load| match load.kind.clone() {
        LoadKind::Trace { speed, offset, max_in_flight, .. } => (speed.to_string(), offset, max_in_flight),
        kind => panic!("{kind:?}"),
    };
    assert_eq!(kind(&case.load), ("1".into(), Time(0), None));
    assert_eq!((case.load.requests, case.load.duration, case.load.warmup), (None, None, 5));
    let case =
        one("[workload]\nsystem_prompt = \"You are brief.\"\n[load]\ntrace = \"t\"\nspeed = 2.5\noffset = \"10s\"\n\
         requests = 1000\nduration = \"1m\"\nmax_in_flight = 64\nwarmup = 0\n");
    assert_eq!(kind(&case.load), ("2.5".into(), Time::from_secs(10), Some(64)));
    assert_eq!((case.load.requests, case.load.duration), (Some(1000), Some(Time::from_secs(60))));
    let dataset =
        GOOD.replace("input_tokens = 128\noutput_tokens = 64", "dataset = { path = \"t\", format = \"mooncake\" }");
    assert_eq!(one(&dataset).trace(), Some("t"));
}

#[test]
fn what_does_not_go_with_a_trace() {
    let text = "[workload]\noutput_tokens = 64\ndataset = { path = \"x.jsonl\" }\nprefix = { prefix_tokens = 9 }\n\
                [load]\ntrace = \"t.jsonl\"\nrate = 20.0\nspeed = 0.0\n";
    assert_snapshot!(wrong(text), @r#"
    warning: `workload.output_tokens` does not apply to the answers of a trace
     --> scenarios/chatbot.toml:2:1
      |
    2 | output_tokens = 64
      | ^^^^^^^^^^^^^
    ...
    6 | trace = "t.jsonl"
      | ----- prompts come from here

    error: a trace has prompts of its own
     --> scenarios/chatbot.toml:3:1
      |
    3 | dataset = { path = "x.jsonl" }
      | ^^^^^^^
    ...
    6 | trace = "t.jsonl"
      | ----- prompts come from here
      |
      = hint: remove `dataset`; to pace a trace's prompts otherwise, use it as a dataset of format `mooncake`

    error: a trace says itself which prefixes are shared
     --> scenarios/chatbot.toml:4:1
      |
    4 | prefix = { prefix_tokens = 9 }
      | ^^^^^^
    5 | [load]
    6 | trace = "t.jsonl"
      | ----- prompts come from here
      |
      = hint: use `input_tokens` in place of `trace`, or a `system_prompt` in place of `prefix`

    error: `load.trace` and `load.rate` exclude each other
     --> scenarios/chatbot.toml:7:1
      |
    6 | trace = "t.jsonl"
      | ----- the first one
    7 | rate = 20.0
      | ^^^^ a second kind of load
      |
      = hint: keep exactly one of `concurrency`, `rate`, `batch` and `trace`

    error: `load.speed` must be above 0
     --> scenarios/chatbot.toml:8:9
      |
    8 | speed = 0.0
      |         ^^^
    "#);
    let load = |text: &str| said(&format!("[load]\n{text}\n"));
    for (found, message) in [
        (load("trace = \"t\"\nofset = \"1s\""), "unknown key `ofset`"),
        (load("trace = \"\""), "`load.trace` is empty"),
        // Nothing is said of lengths that the trace would give.
        (load("trace = 5"), "`load.trace` must be a text in quotes, not the number `5`"),
        (load("trace = \"t\"\nramp_up = \"1s\""), "`load.ramp_up` applies to `load.concurrency` only"),
        (load("trace = \"t\"\nrequests = 0"), "`load.requests` must be at least 1"),
        (said(&GOOD.replace("requests", "offset = \"1s\"\nrequests")), "`load.offset` applies to `load.trace` only"),
    ] {
        assert_eq!(found, [message]);
    }
    let mooncake = "128\ndataset = { path = \"x\", format = \"mooncake\" }\nprefix = { prefix_tokens = 9 }";
    assert_eq!(
        said(&GOOD.replace("128", mooncake)),
        [
            "`workload.input_tokens` does not apply to the prompts of a dataset",
            "a trace says itself which prefixes are shared",
            "`workload.output_tokens` does not apply to the answers of a dataset",
        ]
    );
}
