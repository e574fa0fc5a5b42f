//! What README.md shows is what happens: its console blocks are run, and their output has the shape that is shown.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tokpace::sim::{Server, ServerOptions};

use crate::support::{Output, Project, measuring, perf, tokpace};

/// A command with the output that is shown for it.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// Commands that are not run here, in the order of the README, with the reason.
const NOT_RUN: [(&str, &str); 2] = [
    ("cargo test", "it is what runs this test"),
    ("cargo install tokpace", "it downloads a release and builds it for minutes"),
];

/// The commands of the console blocks, in order.
fn commands() -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in include_str!("../../README.md").lines() {
        match (inside, line.strip_prefix("$ ")) {
            (false, _) => inside = line == "```console",
            (true, Some(command)) => commands.push(Shown { command: command.to_owned(), output: Vec::new() }),
            (true, None) if line == "```" => inside = false,
            (true, None) => commands.last_mut().expect("a block begins with `$ `").output.push(line.to_owned()),
        }
    }
    commands
}

/// What is shown for the `number`th command that reads `command`.
fn shown(command: &str, number: usize) -> Shown {
    let mut found = commands().into_iter().filter(|shown| shown.command == command);
    found.nth(number).unwrap_or_else(|| panic!("README.md has no `$ {command}`"))
}

/// A line in which every number, name of a case and plural looks the same.
fn folded(line: &str, cases: &[String]) -> String {
    let is_case = |word: &str| cases.iter().any(|case| case == word);
    let fold = |word| if is_case(word) { "[case]".to_owned() } else { without_numbers(word) };
    let words = line.split_whitespace().map(fold);
    let line = words.collect::<Vec<_>>().join(" ");
    ["test", "case", "trial", "pair", "job"]
        .iter()
        .fold(line, |line, noun| line.replace(&format!("0 {noun}s"), &format!("0 {noun}")))
}

/// A word with `0` in place of each number and its sign.
fn without_numbers(word: &str) -> String {
    let mut folded = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = rest[at..].find(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(rest.len(), |end| at + end);
        // A full stop that ends a sentence is no part of the number.
        let number = at + rest[at..number].trim_end_matches('.').len();
        folded.push_str(rest[..at].strip_suffix(['+', '-']).unwrap_or(&rest[..at]));
        folded.push('0');
        rest = &rest[number..];
    }
    folded + rest
}

/// The folded lines of a text, each where it first stands: a table of one case has the shape of one of seven.
fn shape<'l>(lines: impl IntoIterator<Item = &'l str>, cases: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let folded = lines.into_iter().map(|line| folded(line, cases)).filter(|line| !line.is_empty());
    folded.filter(|line| seen.insert(line.clone())).collect()
}

/// Why the shown lines are not those of `output`. Where the README leaves lines out (`⋮`), others may stand between.
fn differs(shown: &Shown, output: &Output, cases: &[String]) -> Option<String> {
    let expected = shape(shown.output.iter().map(String::as_str), cases);
    let found = shape(output.stdout.lines().chain(output.stderr.lines()), cases);
    let mut rest = found.iter();
    let left_out = expected.iter().any(|line| line == "⋮");
    let missing = expected.iter().filter(|line| *line != "⋮").find(|line| !rest.any(|found| found == *line));
    match missing {
        Some(line) => Some(format!("`{line}` is not there, or not in its place")),
        None if !left_out && expected != found => Some(format!("more is printed than shown: {found:#?}")),
        None => None,
    }
}

/// Asserts that a command ended and spoke as it is shown.
#[track_caller]
fn assert_shown(shown: &Shown, code: i32, output: &Output) {
    output.expect(code, &[]);
    if let Some(difference) = differs(shown, output, &[]) {
        panic!("`$ {}` prints something else than README.md shows: {difference}\n{output}", shown.command);
    }
}

/// Runs a command of the README in a project, with further words if the text leaves room for them.
fn run(project: &Project, command: &str, more: &str) -> Output {
    let (program, arguments) = match command.strip_prefix("cargo test --test perf") {
        Some(rest) => (perf(), rest.trim_start_matches(" --")),
        None => (tokpace(), command.strip_prefix("cargo tokpace").expect("it is one of two programs")),
    };
    let mut words = Vec::new();
    // What stands in quotes is one word.
    for (number, part) in arguments.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part);
        } else {
            words.extend(part.split_whitespace());
        }
    }
    let mut command = project.command(program);
    Output::of(command.args(words).args(more.split_whitespace()).spawn().unwrap())
}

/// This repository's scenarios and baselines in a place of their own.
fn repository() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::empty().with("tokpace.toml", &fs::read_to_string(root.join("tokpace.toml")).unwrap());
    for folder in ["scenarios", "baselines/embedded"] {
        for file in fs::read_dir(root.join(folder)).unwrap() {
            let file = file.unwrap().path();
            // Not what is pending there.
            if file.extension().is_some_and(|kind| kind == "toml") {
                let name = file.file_name().unwrap().to_str().unwrap();
                project.write(&format!("{folder}/{name}"), &fs::read_to_string(&file).unwrap());
            }
        }
    }
    project
}

#[test]
fn every_command_is_run_or_has_a_reason_not_to_be() {
    let commands: Vec<String> = commands().into_iter().map(|shown| shown.command).collect();
    let not_run: Vec<&str> = NOT_RUN.iter().map(|(command, _)| *command).collect();
    let run: Vec<&str> = commands.iter().map(String::as_str).filter(|command| !not_run.contains(command)).collect();
    // By the tests below. One that is added to the README is added there.
    assert_eq!(
        run,
        [
            "cargo test --test perf",
            "cargo test --test perf -- --exact chatbot --set slowdown.decode=10%",
            "cargo tokpace init",
            "cargo test --test perf",
            "cargo tokpace accept --reason \"first baseline\"",
            "cargo tokpace check --profile server",
        ]
    );
    assert!(not_run.iter().all(|command| commands.iter().any(|known| known == command)), "{NOT_RUN:?}");
}

#[test]
fn this_repository_measures_itself() {
    let project = repository();
    let listed = run(&project, "cargo test --test perf", "--list");
    let cases: Vec<String> =
        listed.stdout.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    let whole = shown("cargo test --test perf", 0);
    let named: Vec<&str> =
        whole.output.iter().filter_map(|line| line.strip_prefix("test ")?.split_whitespace().next()).collect();
    assert_eq!(named, cases, "README.md shows every case");
    // One case against its baseline and the one that is measured in pairs: all seven take more than a minute.
    assert_measured(&project, &whole, "--exact batch::batch=8 prefix-caching", 0, &cases);
    let slower = shown("cargo test --test perf -- --exact chatbot --set slowdown.decode=10%", 0);
    assert_measured(&project, &slower, "", 101, &cases);
}

/// Runs a gate as it is shown. On a busy machine a run sees less, and says so; then another one may see it.
#[track_caller]
fn assert_measured(project: &Project, shown: &Shown, more: &str, code: i32, cases: &[String]) {
    let _alone = measuring();
    let mut wrong = String::new();
    for _ in 0..4 {
        let output = run(project, &shown.command, more);
        let difference = differs(shown, &output, cases);
        if output.code == code && difference.is_none() {
            return;
        }
        wrong = format!("`$ {}`: {difference:?}\n{output}", shown.command);
    }
    panic!("{wrong}");
}

#[test]
fn sixty_seconds_in_a_project_of_one_s_own() {
    let project = Project::empty();
    let init = shown("cargo tokpace init", 0);
    assert_shown(&init, 0, &run(&project, &init.command, ""));
    // Less load than in the scenario that was written, so that a trial takes a moment and not seconds.
    let less = |line: &str| match line.split(" = ").next() {
        Some("output_tokens") => "output_tokens = 12".to_owned(),
        Some("requests") => "requests = 16".to_owned(),
        _ => line.to_owned(),
    };
    let scenario = project.read("scenarios/chatbot.toml");
    project.write("scenarios/chatbot.toml", &scenario.lines().map(less).collect::<Vec<_>>().join("\n"));
    let case = ["chatbot".to_owned()];
    assert_measured(&project, &shown("cargo test --test perf", 1), "", 0, &case);
    let accept = shown("cargo tokpace accept --reason \"first baseline\"", 0);
    assert_shown(&accept, 0, &run(&project, &accept.command, ""));
    assert!(project.read("baselines/embedded/chatbot.toml").contains("reason = \"first baseline\""));
}

#[test]
fn a_server_is_walked_step_by_step() {
    let server = Server::start(tokpace::profile::Embedded::default(), ServerOptions::default()).unwrap();
    // The profile as README.md has it, but for what is only there on the reader's machine.
    let readme = include_str!("../../README.md");
    let profile = readme.split_once("# tokpace.toml\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let profile =
        profile.replace("127.0.0.1:8000", &server.addr().to_string()).replace("Qwen/Qwen3-0.6B", "tokpace-sim");
    let kept: Vec<&str> = profile.lines().filter(|line| !line.starts_with("tokenizer = ")).collect();
    let project = Project::new().with("tokpace.toml", &kept.join("\n")).with_variable("SERVER_API_KEY", "key");
    let check = shown("cargo tokpace check --profile server", 0);
    assert_shown(&check, 0, &run(&project, &check.command, ""));
}

#[test]
fn numbers_are_folded() {
    assert_eq!(without_numbers("[-0.9,"), "[0,");
    assert_eq!(without_numbers("12.03s"), "0s");
    assert_eq!(without_numbers("http://127.0.0.1:8000/v1"), "http://0:0/v0");
    assert_eq!(without_numbers("5."), "0.");
    assert_eq!(folded("chatbot   8 trials  pass", &["chatbot".to_owned()]), "[case] 0 trial pass");
}
