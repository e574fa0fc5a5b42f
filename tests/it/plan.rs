//! What a run would do, told before it is made, and whether its target is fit.

use tokpace::sim::{Server, ServerOptions};

use crate::support::{Project, assert_text, nobody};

const CHECK: &str = "plan --check";

#[test]
fn a_plan_sends_nothing_unless_it_is_to_look_at_the_target() {
    let server = Server::start(tokpace::profile::Embedded::default(), ServerOptions::default()).unwrap();
    let project = Project::against(server.addr(), "model = \"tokpace-sim\"");
    project.tokpace("plan").expect(0, &["profile server", "1 case", "nothing was sent"]).without("asked with");
    assert_eq!(server.counters().requests, 0);
    let output = project.tokpace(CHECK);
    let (plan, target) = output.expect(0, &[]).stdout.split_once("\n\n").unwrap();
    assert!(plan.contains("nothing was sent"), "{output}");
    assert_text!(target, @r"
    the target, asked with a few short requests:
      ok    reach    http://[server]/v1
      --    auth     no key is set, and the server asks for none
      ok    model    `tokpace-sim` is listed
      ok    stream   4 tokens in 4 events
      ok    usage    7 prompt and 4 answer tokens
      ok    tokens   a prompt of 256 tokens has 256 by the server's count
      ok    counters 0 requests run, 0 wait, the key-value cache is 0 % full, 0 were preempted so far, tells hits of its prefix cache
    ");
    assert_eq!(server.counters().requests, 3, "a short request and two prompts to count, and no load");
    assert!(!project.exists("target/tokpace/latest"), "a plan is no run");
}

#[test]
fn a_target_that_is_not_fit_fails_the_plan() {
    let server = Server::start(tokpace::profile::Embedded::default(), ServerOptions::default()).unwrap();
    let project = Project::against(server.addr(), "model = \"gpt-5\"");
    project.tokpace("plan").expect(0, &["nothing was sent"]);
    project.tokpace(CHECK).expect(3, &["nothing was sent", "FAIL  model", "hint: set `model` of the profile"]);
    let project = Project::against(nobody(), "model = \"tokpace-sim\"");
    project.tokpace(CHECK).expect(3, &["nothing was sent", "FAIL  reach", "does not answer"]);
    // What can be neither planned nor asked is wrong usage.
    project.tokpace("plan --check nothing").expect(2, &["no case matches `nothing`"]).without("FAIL");
}

#[test]
fn programs_read_the_steps_as_json() {
    let project = Project::new();
    let output = project.tokpace("plan --check --json");
    let lines: Vec<serde_json::Value> =
        output.expect(0, &[]).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["case"], "chat");
    let steps: Vec<&str> = lines[1..].iter().map(|line| line["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["reach", "auth", "model", "stream", "usage", "tokens", "counters"]);
    assert!(lines[1..].iter().all(|line| line["ok"] == true && line["hint"].is_null()), "{output}");
    let project = Project::against(nobody(), "model = \"tokpace-sim\"");
    let output = project.tokpace("plan --check --json");
    let step: serde_json::Value = serde_json::from_str(output.expect(3, &[]).stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&step["step"], &step["ok"]), (&"reach".into(), &false.into()));
    assert!(step["hint"].as_str().unwrap().contains("check that the server runs"), "{step}");
}
