//! What runs leave for later nights, and what `cargo tokpace history` makes of it.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use crate::support::{PROJECT, Project};

const FILE: &str = "perf/history/embedded/chat.jsonl";

/// A project whose history is in a folder of its own, after one run.
fn project() -> Project {
    let project = Project::new().with("tokpace.toml", &format!("history = \"perf/history\"\n{PROJECT}"));
    project.tokpace("history").expect(0, &["no run is in `perf/history` yet"]);
    project.tokpace("run --quick").expect(0, &["chat ... missing"]);
    assert!(!project.exists("perf"), "what decides nothing leaves no line");
    project.tokpace("run").expect(0, &["chat ... missing"]);
    project
}

/// Thirty nights, the last ten of them 10 % slower, as lines like that of the run.
fn nights(line: &str) -> String {
    let mut text = String::new();
    for night in 1..=30 {
        let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let level = if night > 20 { 4.95 } else { 4.5 };
        entry["time"] = format!("2026-10-{night:02}T02:00:00.000Z").into();
        entry["run"] = format!("night-{night}").into();
        entry["commit"] = format!("c0ffee{night:02}").into();
        entry["checks"]["tpot.p50"] = (level + f64::from(night % 5) * 0.01).into();
        writeln!(text, "{entry}").unwrap();
    }
    text
}

#[test]
fn runs_leave_lines_and_steps_are_found() {
    let project = project();
    let line = project.read(FILE);
    let entry: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
    assert_eq!((&entry["case"], &entry["verdict"], &entry["version"]), (&"chat".into(), &"missing".into(), &1.into()));
    assert!(entry["checks"]["tpot.p50"].as_f64().unwrap() > 1.0, "{entry}");
    assert_eq!(entry["conditions"].as_str().unwrap().len(), 8);

    // Another machine came before, git left a conflict, and a write was cut.
    let other = nights(&line).lines().next().unwrap().replace(entry["conditions"].as_str().unwrap(), "0ther0ne");
    project.write(FILE, &format!("{other}\n<<<<<<< HEAD\n{}{{\"version\":1,", nights(&line)));
    let shown = project.tokpace("history chat --metric tpot.p50");
    shown.expect(
        0,
        &[
            "warning: perf/history/embedded/chat.jsonl:2: ",
            "warning: perf/history/embedded/chat.jsonl:33: EOF while parsing",
            "chat (embedded): 31 runs",
            "conditions 0ther0ne, 1 run, 2026-10-01",
            "other conditions than 0ther0ne: not compared with them",
            "(worse) from 2026-10-21 on, commit c0ffee21",
            "run night-21",
        ],
    );
    shown.without("error_rate");
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 80), "{shown}");

    let series: serde_json::Value =
        serde_json::from_str(&project.tokpace("history --metric tpot.p50 --json").expect(0, &[]).stdout).unwrap();
    assert_eq!(series[1]["points"].as_array().unwrap().len(), 30);
    assert_eq!(series[1]["changes"][0]["run"], "night-21");
    assert!((series[1]["changes"][0]["shift"].as_f64().unwrap() - 0.1).abs() < 0.01);

    project.tokpace("history chit").expect(2, &["no run of `chit` is in the history", "did you mean `chat`?"]);
    project
        .tokpace("history --metric tpot.p5")
        .expect(2, &["no run with the check `tpot.p5`", "did you mean `tpot.p50`?"]);

    let csv = project.tokpace("history chat --csv");
    csv.expect(0, &["note: 1 run under other conditions left out"]);
    let lines: Vec<&str> = csv.stdout.lines().collect();
    assert_eq!(lines.len(), 31);
    assert!(lines[0].starts_with("time,run,commit,profile,verdict,conditions,") && lines[0].contains(",tpot.p50"));

    // The next run begins a line of its own behind the one that was cut.
    project.tokpace("run").expect(0, &["chat ... missing"]);
    let lines = project.read(FILE);
    assert!(lines.trim_end().lines().last().unwrap().starts_with("{\"version\":1,\"time\":\"20"), "{lines}");
    project.tokpace("history").expect(0, &["chat.jsonl:33: ", "chat (embedded): 32 runs"]);
    // And its page shows them with it.
    let page = project.read("target/tokpace/latest/report.html");
    assert!(page.contains("Over past runs") && page.contains("tpot.p50 of 31 runs from 2026-10-01 to "), "{page}");
}

/// Apache Otava finds the same step in the CSV file, with the settings that docs/history.md shows.
#[test]
fn otava_reads_the_csv() {
    let Some(otava) = std::env::var_os("TOKPACE_TEST_OTAVA") else {
        eprintln!("skipped: `TOKPACE_TEST_OTAVA` names no program `otava`");
        return;
    };
    let project = project();
    project.write(FILE, &nights(&project.read(FILE)));
    project.write("perf/chat.csv", &project.tokpace("history chat --csv").expect(0, &[]).stdout);
    let document = include_str!("../../docs/history.md");
    let (_, yaml) = document.split_once("```yaml\n").unwrap();
    let yaml = yaml.split_once("```").unwrap().0.replace("chatbot", "chat");
    // Those checks are not in this scenario.
    let yaml: Vec<&str> = yaml.lines().filter(|line| !line.contains("ttft") && !line.contains("throughput")).collect();
    project.write("otava.yaml", &(yaml.join("\n") + "\n"));
    let mut command = Command::new(otava);
    command.args(["analyze", "--config-file", "otava.yaml", "chat", "--since", "2026-01-01"]);
    command.current_dir(project.root()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let step = text.lines().position(|line| line.contains("c0ffee21")).unwrap();
    assert!(text.lines().nth(step - 2).unwrap().contains("+10.0%"), "{text}");
}
