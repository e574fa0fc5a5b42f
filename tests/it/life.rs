//! Baselines over time: waivers, age, and those that no case uses.

use crate::support::{PROJECT, Project};

const SLOWER: &str = "--set slowdown.decode=50%";
const BASELINE: &str = "baselines/embedded/chat.toml";

/// A project with a first baseline.
fn accepted() -> Project {
    let project = Project::new();
    project.tokpace("run").expect(0, &["chat ... missing"]);
    project.tokpace("accept --all --reason first").expect(0, &["first baseline, 1 job"]);
    project
}

fn waiver(keys: &str) -> String {
    format!("{PROJECT}\n[[waiver]]\n{keys}\n")
}

#[test]
fn a_waived_regression_is_shown_and_does_not_fail_until_its_day() {
    let project = accepted();
    let of = |until: &str| {
        waiver(&format!(
            "case = \"chat\"\ncheck = \"tpot.p50\"\nuntil = \"{until}\"\nreason = \"batched guard is due\""
        ))
    };
    project.write("tokpace.toml", &of("2999-12-31"));
    project.tokpace(&format!("run {SLOWER}")).expect(
        0,
        &[
            "chat ... regressed",
            "chat: regressed (waived) on profile",
            "does not fail the build",
            "tolerance 15 %: regressed (waived until 2999-12-31: batched guard is due)",
            "tpot.p50",
            "regressed w",
            "1 case: 1 waived",
            "w waived: tpot.p50 of chat until 2999-12-31: batched guard is due",
        ],
    );
    let run = project.json("target/tokpace/latest/run.json");
    assert_eq!(
        (&run["cases"][0]["verdict"], &run["cases"][0]["failed"]),
        (&"regressed".into(), &serde_json::Value::Null)
    );
    assert!(project.read("baselines/embedded/chat.toml.new").contains("waived until 2999-12-31"));
    // A waiver of another check is none of this one.
    project.write("tokpace.toml", &of("2999-12-31").replace("tpot.p50", "error_rate"));
    project.tokpace(&format!("run {SLOWER}")).expect(1, &["1 REGRESSED (chat)"]).without("waived");

    project.write("tokpace.toml", &of("2020-02-29"));
    project.tokpace(&format!("run {SLOWER}")).expect(
        1,
        &["REGRESSED (its waiver ended on 2020-02-29)", "its waiver ended on 2020-02-29 (batched guard is due)"],
    );
    project
        .tokpace("pending")
        .expect(0, &["the waiver of tpot.p50 of chat ended on 2020-02-29 (batched guard is due)"]);
}

#[test]
fn a_waiver_of_nothing_is_an_error() {
    let rest = "until = \"2999-12-31\"\nreason = \"x\"";
    for (keys, said) in [
        (
            format!("case = \"chit\"\n{rest}"),
            &["there is no case `chit`", "did you mean `chat`?", "tokpace.toml:10:8"][..],
        ),
        (
            format!("case = \"chat\"\ncheck = \"tpot.p5\"\n{rest}"),
            &["`chat` has no check of `tpot.p5`", "did you mean `tpot.p50`?", "tokpace.toml:11:9"],
        ),
        (
            "case = \"chat\"\nuntil = \"tomorrow\"".into(),
            &["a waiver needs a `reason`", "`tomorrow` is not a date", "`2026-12-31`"],
        ),
        (format!("case = \"chat\"\nchek = \"x\"\n{rest}"), &["unknown key `chek`", "did you mean `check`?"]),
    ] {
        let project = Project::new().with("tokpace.toml", &waiver(&keys));
        project.tokpace("run").expect(2, said);
        assert!(!project.exists("target"), "nothing was measured");
    }
}

#[test]
fn a_baseline_ages() {
    let project = accepted();
    let text = project.read(BASELINE);
    let (before, rest) = text.split_once("recorded = \"20").unwrap();
    project.write(BASELINE, &format!("{before}recorded = \"2020{}", &rest[2..]));
    project.write("tokpace.toml", &format!("baseline_max_age = \"90d\"\n{PROJECT}"));
    project.tokpace("run").expect(0, &["chat ... pass", "stale baseline of chat: its latest job is", "allows 90"]);
    project.tokpace("pending").expect(0, &["chat (embedded): stale", "renews a baseline"]);
    project.write("tokpace.toml", &format!("baseline_max_age = \"90d\"\n{PROJECT}on_stale_baseline = \"fail\"\n"));
    project.tokpace("run").expect(
        1,
        &["the baseline is stale and `on_stale_baseline = \"fail\"`", "`cargo tokpace run chat --record 3`", "1 pass"],
    );
    // Further jobs make it young again, in the same epoch.
    project.tokpace("run chat --record 1").expect(0, &["chat ... pass"]);
    project.tokpace("accept chat").expect(0, &["1 job added, 2 in all"]);
    project.tokpace("run").expect(0, &["chat ... pass"]).without("stale");
}

#[test]
fn baselines_without_a_case_are_named_and_removed_when_asked() {
    let project = accepted();
    let of = |case: &str| project.read(BASELINE).replace("case = \"chat\"", &format!("case = \"{case}\""));
    project.write("baselines/embedded/gone.toml", &of("gone"));
    project.write("baselines/embedded/odd.toml", &of("odd"));
    project.write("scenarios/odd.toml", "[workload\n");
    let old = of("chat").replace("profile = \"embedded\"", "profile = \"old\"");
    project.write("baselines/old/chat.toml", &old);
    project.tokpace("run chat").expect(0, &["the baseline of `gone` is an orphan: no scenario has such a case"]);
    let listed = project.tokpace("pending");
    listed
        .expect(0, &["gone (embedded): orphan, baselines/embedded/gone.toml", "chat (old): orphan", "no such profile"]);
    listed.without("odd (embedded)");
    project.tokpace("reject --orphans chit").expect(2, &["`chit` is no orphan"]);
    project.tokpace("reject --orphans").expect(
        0,
        &[
            "scenario `odd` cannot be read",
            "removed the baseline of gone (embedded)",
            "removed the baseline of chat (old)",
        ],
    );
    assert!(project.exists(BASELINE) && project.exists("baselines/embedded/odd.toml"));
    assert!(!project.exists("baselines/embedded/gone.toml") && !project.exists("baselines/old/chat.toml"));
    project.tokpace("pending").expect(0, &["nothing is pending"]).without("orphan");
}
