//! The whole way of docs/baselines.md, from an empty folder to an accepted regression, with the commands that it prints.

use crate::support::{Project, SCENARIO};

/// The commands of a section of a document, in order.
fn commands(document: &str, section: &str) -> Vec<String> {
    let (_, rest) = document.split_once(&format!("## {section}\n")).unwrap();
    let (_, block) = rest.split_once("```console\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    block.lines().map(|line| line.strip_prefix("$ ").expect("only commands stand there").to_owned()).collect()
}

/// What each command of the way ends with, and says.
const WAY: [(&str, i32, &[&str]); 9] = [
    ("cargo tokpace init", 0, &["wrote ./scenarios/chatbot.toml", "wrote ./tokpace.toml"]),
    (
        "cargo test --test perf",
        0,
        &["chatbot 6 trials MISSING", "to make this the baseline: `cargo tokpace accept chatbot"],
    ),
    ("cargo tokpace accept", 0, &["accepted chatbot (embedded): first baseline, 1 job"]),
    ("cargo test --test perf", 0, &["1 case: 1 pass"]),
    ("cargo test --test perf", 101, &["tpot.p50 chatbot +", "REGRESSED", "if the change is wanted, accept it"]),
    (
        "cargo tokpace review",
        0,
        &["1/1 chatbot (embedded)", "regressed", "baseline new change", "slowdown.decode: none → 50%", "worse"],
    ),
    (
        "cargo tokpace accept",
        0,
        &["new epoch, 1 job; the 1 job before stay as an anchor", "safety checks", "drift since", "(worse)"],
    ),
    ("cargo test --test perf", 0, &["1 case: 1 pass", "chatbot: drift since", "tpot.p50 +"]),
    ("cargo tokpace history", 0, &["chatbot (embedded): 4 runs", "tpot.p50", "-.R."]),
];

#[test]
fn the_documented_way_leads_to_a_green_build() {
    let commands = commands(include_str!("../../docs/baselines.md"), "The whole way");
    assert_eq!(commands.len(), WAY.len());
    let project = Project::empty();
    for (at, (command, (begins, code, says))) in commands.iter().zip(WAY).enumerate() {
        assert!(command.starts_with(begins), "{command} is not {begins}");
        project.shown(command).expect(code, says);
        if at == 0 {
            // The way is the same with requests that take less of a test's time.
            project.write("scenarios/chatbot.toml", SCENARIO);
        }
    }
    assert!(project.exists("baselines/embedded/chatbot.toml"));
    assert!(!project.exists("baselines/embedded/chatbot.toml.new"));
}
