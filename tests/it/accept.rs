//! From the first measurement to a reviewed baseline, and what a run may write where.

use crate::support::{Output, Project, SCENARIO, tokpace};

/// Slow enough that no noise hides it.
const SLOWER: &str = "--set slowdown.decode=50%";

const BASELINE: &str = "baselines/embedded/chat.toml";
const PENDING: &str = "baselines/embedded/chat.toml.new";

fn jobs(project: &Project) -> usize {
    project.read(BASELINE).matches("[[jobs]]").count()
}

/// A project with a first baseline.
fn accepted() -> Project {
    let project = Project::new();
    project.tokpace("run").expect(0, &["chat ... missing"]);
    project.tokpace("accept --all --reason first").expect(0, &["accepted chat (embedded): first baseline, 1 job"]);
    project
}

#[test]
fn a_new_package_is_set_up() {
    let project = Project::empty();
    project.tokpace("init").expect(
        0,
        &["Cargo.toml", "wrote    ./scenarios/chatbot.toml", "wrote    ./tokpace.toml", "cargo test --test perf"],
    );
    let manifest: toml::Table = project.read("Cargo.toml").parse().unwrap();
    let test = &manifest["test"].as_array().unwrap()[0];
    assert_eq!(test["name"].as_str(), Some("perf"));
    assert_eq!((test["harness"].as_bool(), test["test"].as_bool()), (Some(false), Some(false)));
    assert!(manifest["dev-dependencies"].get("tokpace").is_some());
    assert!(project.read("tests/perf.rs").contains("tokpace::main!();"));
    assert!(project.read(".gitignore").lines().any(|line| line == "*.toml.new"));
    // What was written can be used as it is, and is not written twice.
    let scenario = project.read("scenarios/chatbot.toml");
    project.tokpace("init").expect(0, &["everything is there already"]);
    assert_eq!(project.read("scenarios/chatbot.toml"), scenario);
    project.tokpace("check").expect(0, &["profile `embedded`", "ok    stream"]);
}

#[test]
fn an_existing_package_is_added_to() {
    let manifest =
        "[package]\nname = \"mine\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[dev-dependencies]\nlog = \"0\"\n";
    let project = Project::empty().with("Cargo.toml", manifest).with("src/lib.rs", "");
    project.tokpace("init --all").expect(0, &["added to ./Cargo.toml", "wrote    ./scenarios/batch.toml"]);
    let manifest: toml::Table = project.read("Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("mine"));
    assert!(manifest["dev-dependencies"].get("log").is_some() && manifest["dev-dependencies"].get("tokpace").is_some());
    let broken = Project::empty().with("Cargo.toml", "[package\n");
    broken.tokpace("init").expect(2, &["is not TOML", "hint: mend it"]);
}

#[test]
fn the_life_of_a_baseline() {
    let project = Project::new();
    project.tokpace("pending").expect(0, &["nothing is pending"]);
    let first = project.tokpace("run");
    first.expect(0, &["chat ... missing", "to make this the baseline: `cargo tokpace accept chat --reason"]);
    assert!(project.exists(PENDING) && !project.exists(BASELINE));
    project.tokpace("pending").expect(0, &["chat (embedded): missing", "1 measurement pending"]);
    project.tokpace("review").expect(0, &["1/1 chat (embedded)", "tpot.p50", "this is not a terminal; decide with"]);
    assert!(project.exists(PENDING), "looking decides nothing");
    project.tokpace("accept chat --reason first").expect(0, &["accepted chat (embedded): first baseline, 1 job"]);
    assert!(!project.exists(PENDING));
    assert!(project.read(BASELINE).contains("reason = \"first\""));

    // It compares, passes, and leaves nothing to decide.
    project.tokpace("run").expect(0, &["chat ... pass", "1 pass"]);
    assert!(!project.exists(PENDING));

    // What passed can be one more job, once.
    project.tokpace("accept --append").expect(0, &["the latest run is taken", "1 job added, 2 in all"]);
    project.tokpace("accept --append").expect(0, &["already part of the baseline"]);
    assert_eq!(jobs(&project), 2);

    project.tokpace("run --record 3").expect(0, &["(job 1 of 3)", "(job 3 of 3)", "hint: to add what was recorded"]);
    project.tokpace("pending").expect(0, &["chat (embedded): recorded"]);
    project.tokpace("accept --all").expect(0, &["3 jobs added, 5 in all"]);
    assert_eq!(jobs(&project), 5);
    project.tokpace("accept chit").expect(2, &["no measurement of `chit` is there", "name one of `chat`"]);
}

#[test]
fn files_are_named_from_the_package_root() {
    let project = Project::new().with("src/lib.rs", "").with("baselines/embedded/odd.toml.new", "version = 1\n");
    project.tokpace("run").expect(0, &["chat ... missing"]);
    let pending = |mut program: std::process::Command| {
        program.args(["pending", "--json"]);
        let output = Output::of(program.spawn().unwrap());
        serde_json::from_str::<serde_json::Value>(&output.expect(0, &[]).stdout).unwrap()
    };
    // Wherever in the package one is.
    let mut below = project.command(tokpace());
    below.current_dir(project.path("src"));
    for program in [project.command(tokpace()), below] {
        let pending = pending(program);
        assert_eq!(pending[0]["path"], PENDING);
        assert_eq!(
            pending[1]["error"],
            "`baselines/embedded/odd.toml.new` cannot be used: line 1: missing field `case`"
        );
    }
    let listed = project.tokpace("pending");
    listed.expect(0, &["missing, baselines/embedded/chat.toml.new", "unreadable, baselines/embedded/odd.toml.new"]);
    listed.without(&project.root());
    let review = project.tokpace("review");
    review.expect(0, &["unreadable: `baselines/embedded/odd.toml.new` cannot be used"]).without(&project.root());
    project.tokpace("accept odd").expect(2, &["odd (embedded): `baselines/embedded/odd.toml.new` cannot"]);
    project.tokpace("reject odd").expect(0, &["rejected odd (embedded)"]);
    // A folder elsewhere has no such name.
    let elsewhere = Project::new().with("odd/chat.toml.new", "version = 1\n");
    let output = project.with_variable("TOKPACE_BASELINES", &elsewhere.root()).tokpace("pending");
    output.expect(0, &[&format!("unreadable, {}/odd/chat.toml.new", elsewhere.root())]);
}

#[test]
fn a_regression_fails_and_can_be_accepted() {
    let project = accepted();
    let output = project.tokpace(&format!("run {SLOWER}"));
    output.expect(
        1,
        &[
            "chat ... regressed",
            "against 1 accepted job",
            "tpot.p50 chat +",
            "tolerance 15 %: REGRESSED",
            " ms, baseline ",
            "limit \"<= baseline + 15%\" at scenarios/chat.toml:17",
            "slowdown.decode 50%",
            "if the change is wanted, accept it: `cargo tokpace accept chat --reason",
            "1 REGRESSED (chat)",
        ],
    );
    let interval = output.stdout.lines().find(|line| line.contains("tpot.p50 chat +")).unwrap();
    let (low, high) = interval.split_once('[').and_then(|(_, rest)| rest.split_once(']')?.0.split_once(", ")).unwrap();
    let (low, high): (f64, f64) = (low.parse().unwrap(), high.parse().unwrap());
    assert!(15.0 < low && low < high && high < 100.0, "{interval}");
    assert!(project.read(PENDING).contains("verdict = \"regressed\""));

    // Refused, it leaves the baseline as it was; accepted, it begins a new epoch.
    let before = project.read(BASELINE);
    project.tokpace("reject chat").expect(0, &["rejected chat (embedded)"]);
    assert!(!project.exists(PENDING));
    assert_eq!(project.read(BASELINE), before);
    project.tokpace(&format!("run {SLOWER}")).expect(1, &["chat ... regressed"]);
    let accepted = project.tokpace("accept chat --reason price-of-safety");
    accepted.expect(0, &["new epoch, 1 job; the 1 job before stay", "drift since", "(worse)"]);
    let baseline = project.read(BASELINE);
    assert!(baseline.contains("[[anchors]]") && baseline.contains("price-of-safety"), "{baseline}");
    project.tokpace(&format!("run {SLOWER}")).expect(0, &["chat ... pass"]);
    // Fast again: an improvement does not fail, and waits to be held to.
    project.tokpace("run").expect(0, &["chat ... improved", "hold future builds to these figures"]);
    assert!(project.read(PENDING).contains("verdict = \"improved\""));
}

#[test]
fn ci_writes_no_baseline() {
    let project = Project::new().with_variable("CI", "1");
    let output = project.tokpace("run");
    output.expect(1, &["chat ... missing", "in CI none is recorded", "record one outside of CI: `cargo tokpace run`"]);
    project.perf("").expect(101, &["in CI none is recorded"]);
    assert!(!project.exists("baselines"), "nothing is written");
    // Unless it is asked for by name.
    project.tokpace("run --update=new").expect(1, &["chat ... missing"]);
    assert!(project.exists(PENDING));
    project.tokpace("accept --all").expect(0, &["first baseline"]);
    let before = project.read(BASELINE);
    project.tokpace("run").expect(0, &["chat ... pass"]);
    project
        .tokpace(&format!("run {SLOWER}"))
        .expect(1, &["chat ... regressed", "measure it outside of CI and accept it"]);
    assert_eq!(project.read(BASELINE), before);
    assert!(!project.exists(PENDING));
}

#[test]
fn a_missing_baseline_as_the_scenario_says() {
    let scenario = |rule: &str| format!("{SCENARIO}on_missing_baseline = \"{rule}\"\n");
    let project = Project::new().with("scenarios/chat.toml", &scenario("fail"));
    project.tokpace("run").expect(1, &["chat ... missing", "`on_missing_baseline = \"fail\"`"]);
    let project = Project::new().with("scenarios/chat.toml", &scenario("skip")).with_variable("CI", "true");
    project.tokpace("run").expect(0, &["chat ... pass"]);
}

#[test]
fn always_accepts_at_once_and_no_writes_nothing() {
    let project = Project::new();
    project.tokpace("run --update=no").expect(0, &["chat ... missing"]);
    assert!(!project.exists("baselines"));
    project.tokpace("run --update=always").expect(0, &["chat ... missing", "accepted into the baseline"]);
    assert_eq!(jobs(&project), 1);
    assert!(!project.exists(PENDING));
    let project = project.with_variable("TOKPACE_UPDATE", "always");
    project.tokpace("run").expect(0, &["chat ... pass"]);
    assert_eq!(jobs(&project), 2);
    // The flag goes before the variable.
    project.tokpace("run --update=no").expect(0, &["chat ... pass"]);
    assert_eq!(jobs(&project), 2);
}

#[test]
fn a_quick_run_decides_and_writes_nothing() {
    let project = accepted();
    let output = project.tokpace(&format!("run --quick {SLOWER}"));
    output.expect(0, &["chat ... inconclusive", "quick run: 2 trials decide nothing"]);
    assert!(!project.exists(PENDING));
}
