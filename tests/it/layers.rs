//! The layers of the source: what is pure stays pure, files stay short, `mod.rs` only names.

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders below `src/` without clocks, sockets, files or printing.
const PURE: [&str; 35] = [
    "baseline/accept.rs",
    "baseline/format.rs",
    "baseline/parse.rs",
    "baseline/update.rs",
    "calendar.rs",
    "environment.rs",
    "erased",
    "erased.rs",
    "gate",
    "history/csv.rs",
    "history/entry.rs",
    "history/plot.rs",
    "history/series.rs",
    "interop",
    "measure",
    "metric.rs",
    "names.rs",
    "plan",
    "profile",
    "record.rs",
    "redact.rs",
    "report",
    "scenario",
    "selftest",
    "sim/blocks.rs",
    "sim/model.rs",
    "sim/replay.rs",
    "stats",
    "target/server_metrics.rs",
    "tokens",
    "toml_file",
    "units.rs",
    "watch/sample.rs",
    "watch/view.rs",
    "wire",
];

/// What a pure file does not mention.
const IMPURE: [&str; 16] = [
    "tokio",
    "reqwest",
    "axum",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::io",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "println!",
    "eprintln!",
    "print!",
    "dbg!",
];

/// Where one of them has its place all the same.
const ALLOWED: [(&str, &str); 1] = [
    // Reads and writes lines through the traits; which stream that is, is not its business.
    ("gate/lines.rs", "std::io"),
];

const LONGEST: usize = 500;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files at or below a path.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return if path.extension().is_some_and(|kind| kind == "rs") { vec![path.to_path_buf()] } else { Vec::new() };
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| files(path)).collect()
}

/// The code of a file up to its unit tests, without comments.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let numbered = (1..).zip(text.lines());
    let code = numbered.take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    code.map(|(number, line)| (number, line.split("//").next().unwrap_or_default().to_owned())).collect()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// Whether `word` stands in `line` and is not a part of a longer name.
fn mentions(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(part_of_name) && (word.ends_with('!') || !after.starts_with(part_of_name))
    })
}

#[test]
fn pure_modules_know_no_clock_socket_or_file() {
    let root = source();
    let mut found = Vec::new();
    for module in PURE {
        for file in files(&root.join(module)).into_iter().filter(|file| !is_test(file)) {
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            for (number, line) in code(&file) {
                for word in IMPURE.iter().filter(|word| mentions(&line, word)) {
                    if !ALLOWED.contains(&(name.as_str(), word)) {
                        found.push(format!("src/{name}:{number}: `{word}` in `{}`", line.trim()));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "pure modules reach outside:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = files(&source())
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "split by idea:\n{}", long.join("\n"));
}

#[test]
fn module_files_only_name_what_is_there() {
    for file in files(&source()).iter().filter(|file| file.ends_with("mod.rs") && !is_test(file)) {
        for (number, line) in code(file) {
            let kinds = ["fn ", "struct ", "enum ", "impl ", "const ", "static ", "trait "];
            let item = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            assert!(!kinds.iter().any(|kind| item.starts_with(kind)), "{}:{number}: {line}", file.display());
        }
    }
}

#[test]
fn a_mention_is_a_whole_word() {
    assert!(mentions("use std::time::Instant;", "Instant"));
    assert!(mentions("print!(\"x\")", "print!") && !mentions("eprint!(\"x\")", "print!"));
    assert!(!mentions("instantly, std::iota", "std::io") && mentions("std::io::Write", "std::io"));
}
