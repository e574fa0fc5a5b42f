//! `cargo tokpace judge`: the published vectors through the program's own streams.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Output, Project, tokpace};

/// One stored job against a candidate that is 12 % slower: too little is known of the noise from job to job.
const ONE_JOB: &str = r#"{"mode":"stored","alpha":0.05,"cases":[{"case":"s","job_noise":0.03,"checks":[{"metric":"ttft.p50","better":"lower","tolerance":0.05}],"jobs":[{"trials":[{"n":200,"errors":0,"ttft.p50":97.57},{"n":200,"errors":0,"ttft.p50":96.388},{"n":200,"errors":0,"ttft.p50":102.02},{"n":200,"errors":0,"ttft.p50":105.47},{"n":200,"errors":0,"ttft.p50":101.97},{"n":200,"errors":0,"ttft.p50":96.473}]}],"candidate":{"trials":[{"n":200,"errors":0,"ttft.p50":111.63},{"n":200,"errors":0,"ttft.p50":111.06},{"n":200,"errors":0,"ttft.p50":113.63},{"n":200,"errors":0,"ttft.p50":112.64},{"n":200,"errors":0,"ttft.p50":114.76},{"n":200,"errors":0,"ttft.p50":112.72}]}}]}"#;

/// Four stored jobs, one of which has ten trials: the same candidate is a regression.
const FOUR_JOBS: &str = r#"{"mode":"stored","alpha":0.05,"cases":[{"case":"s","job_noise":0.03,"checks":[{"metric":"ttft.p50","better":"lower","tolerance":0.05}],"jobs":[{"trials":[{"n":200,"errors":0,"ttft.p50":97.57},{"n":200,"errors":0,"ttft.p50":96.388},{"n":200,"errors":0,"ttft.p50":102.02},{"n":200,"errors":0,"ttft.p50":105.47},{"n":200,"errors":0,"ttft.p50":101.97},{"n":200,"errors":0,"ttft.p50":96.473}]},{"trials":[{"n":200,"errors":0,"ttft.p50":97.194},{"n":200,"errors":0,"ttft.p50":100.14},{"n":200,"errors":0,"ttft.p50":98.082},{"n":200,"errors":0,"ttft.p50":99.928},{"n":200,"errors":0,"ttft.p50":99.727},{"n":200,"errors":0,"ttft.p50":97.111}]},{"trials":[{"n":200,"errors":0,"ttft.p50":99.89},{"n":200,"errors":0,"ttft.p50":97.007},{"n":200,"errors":0,"ttft.p50":98.431},{"n":200,"errors":0,"ttft.p50":99.63},{"n":200,"errors":0,"ttft.p50":98.124}]},{"trials":[{"n":200,"errors":0,"ttft.p50":95.74},{"n":200,"errors":0,"ttft.p50":99.703},{"n":200,"errors":0,"ttft.p50":99.044},{"n":200,"errors":0,"ttft.p50":92.941},{"n":200,"errors":0,"ttft.p50":99.526},{"n":200,"errors":0,"ttft.p50":98.141},{"n":200,"errors":0,"ttft.p50":104.14},{"n":200,"errors":0,"ttft.p50":97.212},{"n":200,"errors":0,"ttft.p50":100.22},{"n":200,"errors":0,"ttft.p50":97.02}]}],"candidate":{"trials":[{"n":200,"errors":0,"ttft.p50":111.63},{"n":200,"errors":0,"ttft.p50":111.06},{"n":200,"errors":0,"ttft.p50":113.63},{"n":200,"errors":0,"ttft.p50":112.64},{"n":200,"errors":0,"ttft.p50":114.76},{"n":200,"errors":0,"ttft.p50":112.72}]}}]}"#;

fn judge(input: &str) -> Output {
    let project = Project::empty();
    let mut child = project.command(tokpace()).arg("judge").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Output::of(child)
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_near(value: &serde_json::Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value / expected - 1.0).abs() < 1e-6, "{value} is not {expected}");
}

#[test]
fn a_bad_line_is_answered_in_its_place() {
    let output = judge(&format!("{ONE_JOB}\n{{\"mode\":\n{FOUR_JOBS}\n"));
    assert_eq!(output.code, 2, "{output}");
    let answers = lines(&output);
    assert_eq!(answers.len(), 3, "{output}");

    let check = &answers[0]["cases"][0]["checks"][0];
    assert_eq!(answers[0]["verdict"], "inconclusive");
    assert_eq!((&check["metric"], &check["verdict"]), (&"ttft.p50".into(), &"inconclusive".into()));
    for (figure, expected) in [
        ("m", 0.120_610_949_769),
        ("se", 0.045_299_936_722_2),
        ("df", 10.237_029_925_1),
        ("p0", 0.011_678_961_558_7),
        ("pT", 0.071_620_599_358_8),
        ("pU", 0.928_379_400_641),
        ("q0", 0.988_321_038_441),
        ("qT", 0.998_151_674_441),
        ("ratio", 1.128_185_905_99),
        ("detectable", 0.212_592_262_641),
    ] {
        assert_near(&check[figure], expected);
    }
    assert_near(&check["ci"][0], 1.039_457_619_68);
    assert_near(&check["ci"][1], 1.224_488_054_51);

    assert_eq!(answers[1]["line"], 2);
    assert!(answers[1]["error"].as_str().is_some_and(|error| error.contains("EOF")), "{output}");
    assert_eq!(output.stderr.lines().count(), 1, "{output}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&output.stderr).unwrap(), answers[1]);

    let check = &answers[2]["cases"][0]["checks"][0];
    assert_eq!((&answers[2]["verdict"], &check["verdict"]), (&"regressed".into(), &"regressed".into()));
    assert_near(&check["ratio"], 1.140_070_986_66);
    assert_near(&check["pT"], 0.008_811_603_150_4);
    assert_near(&check["df"], 14.574_227_838_6);
}

#[test]
fn the_exit_code_tells_whether_a_suite_regressed() {
    judge("").expect(0, &[]);
    judge(&format!("\n{ONE_JOB}\n\n")).expect(0, &["\"inconclusive\""]);
    judge(FOUR_JOBS).expect(1, &["\"regressed\""]);
    judge("{\"mode\":\"stored\",\"cases\":[]}").expect(0, &[]);
    judge("{\"mode\":\"stored\",\"cases\":[],\"casess\":1}").expect(2, &["casess"]);
}

#[test]
fn a_file_in_place_of_the_standard_input() {
    let project = Project::empty().with("suites.jsonl", &format!("{ONE_JOB}\n{FOUR_JOBS}\n"));
    let output = project.tokpace("judge suites.jsonl");
    assert_eq!((output.code, lines(&output).len()), (1, 2), "{output}");
    project.tokpace("judge nowhere.jsonl").expect(2, &["failed to read `nowhere.jsonl`", "hint: "]);
    project.tokpace("judge .").expect(2, &["error: "]);
}
