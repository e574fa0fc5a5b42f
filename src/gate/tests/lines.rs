use serde_json::Value;

use crate::gate::judge_lines;

fn run(input: &[u8]) -> (Vec<Value>, String, u8) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let outcome = judge_lines(input, &mut output, &mut errors).unwrap();
    let lines = String::from_utf8(output).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, String::from_utf8(errors).unwrap(), outcome.exit_code())
}

fn error(line: &str) -> String {
    let (answers, errors, code) = run(line.as_bytes());
    assert_eq!(code, 2);
    assert_eq!(serde_json::from_str::<Value>(&errors).unwrap(), answers[0]);
    answers[0]["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_bad_line_is_answered_in_its_place_and_the_rest_is_judged() {
    let empty = r#"{"mode":"paired","cases":[]}"#;
    let input = format!("\u{feff}{empty}\n\n  \r\n{{nonsense\n{empty}\r\n");
    let (answers, errors, code) = run(input.as_bytes());
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0]["verdict"], "inconclusive");
    assert_eq!(answers[1]["line"], 4);
    assert_eq!(answers[1]["error"], "key must be a string at column 2");
    assert_eq!(answers[2]["cases"], serde_json::json!([]));
    assert_eq!(errors, "{\"line\":4,\"error\":\"key must be a string at column 2\"}\n");
    assert_eq!(code, 2);
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(run(b""), (vec![], String::new(), 0));
    assert_eq!(run(b"\n\n"), (vec![], String::new(), 0));
}

#[test]
fn bytes_that_are_no_text_are_one_bad_line() {
    let (answers, _, code) = run(b"\xff\xfe\n{\"mode\":\"stored\",\"cases\":[]}");
    assert_eq!((answers.len(), code), (2, 2));
    assert_eq!(answers[0]["line"], 1);
}

#[test]
fn what_is_wrong_is_named() {
    let trial = r#"{"n":200,"errors":0,"ttft.p50":51.2}"#;
    let case = |rest: &str| {
        format!(
            r#"{{"mode":"paired","cases":[{{"case":"c","checks":[{{"metric":"ttft.p50","better":"lower","tolerance":0.05}}]{rest}}}]}}"#
        )
    };
    let pair = |b: &str| case(&format!(r#","pairs":[{{"order":"AB","a":{trial},"b":{b}}}]"#));
    for (line, message) in [
        (case(""), "case `c`: missing `pairs`; give `pairs`, empty if there is nothing"),
        (case(r#","pairs":[],"jobs":[]"#), "case `c`: `jobs` belongs to the mode `stored`; leave it out, or"),
        (case(r#","pears":[]"#), "unknown field `pears`"),
        (pair(r#"{"n":200,"errors":0}"#), "case `c`, pair 1 side b: no value for `ttft.p50`; every trial"),
        (pair(r#"{"n":0,"errors":0,"ttft.p50":1}"#), "case `c`, pair 1 side b: `n` is 0; "),
        (pair(r#"{"n":5,"errors":6,"ttft.p50":1}"#), "case `c`, pair 1 side b: 6 errors among 5 requests; "),
        (pair(r#"{"n":5,"errors":0,"ttft.p50":-1}"#), "case `c`, pair 1 side b: `ttft.p50` is -1, which has no log"),
        (pair(r#"{"n":5,"errors":0,"ttft.p50":1e999}"#), "`ttft.p50`: number out of range"),
        (r#"{"mode":"paired","alpha":0,"cases":[]}"#.into(), "`alpha` is 0; give a rate"),
        (r#"{"mode":"paired","alpha":1,"cases":[]}"#.into(), "`alpha` is 1; give a rate"),
        (r#"{"mode":"paired","k_max":-1,"cases":[]}"#.into(), "invalid value: integer `-1`"),
        (case(r#","job_noise":-1,"pairs":[]"#).replace("paired", "stored"), "`pairs` belongs to the mode `paired`"),
        (case(r#","jobs":[]"#).replace("paired", "stored"), "case `c`: missing `candidate`"),
        (
            case(r#","job_noise":3,"jobs":[],"candidate":{"trials":[]}"#).replace("paired", "stored"),
            "case `c`: `job_noise` is 3; give a share",
        ),
        (
            case(r#","jobs":[{"trials":[]}],"candidate":{"trials":[]}"#).replace("paired", "stored"),
            "case `c`: job 1 has no trials; ",
        ),
        (case(r#","pairs":[]"#).replace("0.05", "-1.5"), "case `c`, `ttft.p50`: tolerance -1.5 is out of range; "),
    ] {
        let error = error(&line);
        assert!(error.contains(message), "{line}\n{error}");
    }
}
