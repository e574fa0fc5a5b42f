//! `cargo tokpace init`: a package is set up; nothing that is there is touched but by adding to it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::CliError;

/// Arguments of `cargo tokpace init`.
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// Folder of the package; made if it is not there
    #[arg(default_value = ".")]
    folder: PathBuf,

    /// Use the tokpace in this folder in place of the published one
    #[arg(long, value_name = "DIR")]
    tokpace_path: Option<PathBuf>,

    /// Write all five example scenarios in place of one
    #[arg(long)]
    all: bool,
}

const SCENARIOS: [(&str, &str); 5] = [
    ("chatbot", include_str!("../../scenarios/chatbot.toml")),
    ("summarization", include_str!("../../scenarios/summarization.toml")),
    ("long-generation", include_str!("../../scenarios/long-generation.toml")),
    ("batch", include_str!("../../scenarios/batch.toml")),
    ("prefix-caching", include_str!("../../scenarios/prefix-caching.toml")),
];

const PROJECT: &str = r#"# Profiles: the targets that `cargo test --test perf` measures.
profile = "embedded"

# A simulated server in the test's own process: nothing to install, the same figures everywhere.
[profiles.embedded]
kind = "embedded"

# Your own server: `cargo test --test perf -- --profile server`
# [profiles.server]
# kind = "endpoint"
# url = "http://127.0.0.1:8000/v1"
# model = "my-model"
# api_key_env = "SERVER_API_KEY"
"#;

const TEST: &str = "//! Performance gate: `cargo test --test perf`.\n\ntokpace::main!();\n";

const TARGET: &str = r#"
[[test]]
name = "perf"
harness = false
test = false        # not part of a plain `cargo test`; `cargo test --test perf` runs it
"#;

pub(super) fn init(args: &InitArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let root = &args.folder;
    let mut wrote = Vec::new();
    let manifest = root.join("Cargo.toml");
    if !manifest.exists() {
        new_package(root, &mut wrote)?;
    }
    add_to_manifest(&manifest, &dependency(args), &mut wrote)?;
    create(&root.join("tests/perf.rs"), TEST, &mut wrote)?;
    create(&root.join("tokpace.toml"), PROJECT, &mut wrote)?;
    let count = if args.all { SCENARIOS.len() } else { 1 };
    for (name, text) in &SCENARIOS[..count] {
        // The schema line names a file of tokpace's own repository.
        let text = text.lines().filter(|line| !line.starts_with("#:schema")).collect::<Vec<_>>().join("\n") + "\n";
        create(&root.join(format!("scenarios/{name}.toml")), &text, &mut wrote)?;
    }
    ignore(root, &mut wrote)?;
    if wrote.is_empty() {
        writeln!(out, "everything is there already")?;
    }
    for line in &wrote {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "\nnext:\n  cargo test --test perf                  measures and leaves a pending baseline\n  \
         cargo tokpace review                    shows it\n  \
         cargo tokpace accept --reason \"first\"   makes it the baseline"
    )?;
    Ok(0)
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("failed to write `{}`: {error}", path.display()), "check its permissions")
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    parent.and_then(|()| fs::write(path, text)).map_err(|error| failed(path, &error))
}

fn create(path: &Path, text: &str, wrote: &mut Vec<String>) -> Result<(), CliError> {
    if path.exists() {
        return Ok(());
    }
    write(path, text)?;
    wrote.push(format!("wrote    {}", path.display()));
    Ok(())
}

fn new_package(root: &Path, wrote: &mut Vec<String>) -> Result<(), CliError> {
    fs::create_dir_all(root).map_err(|error| failed(root, &error))?;
    let name = root.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let mut name: String = name.unwrap_or_default().chars().map(safe).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "perf-");
    }
    let text = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n");
    create(&root.join("Cargo.toml"), &text, wrote)?;
    create(&root.join("src/lib.rs"), "//! The performance gate of this package is in `tests/perf.rs`.\n", wrote)
}

/// The dependency line. A tokpace that was built from a checkout points at that checkout: its version may not be
/// published.
fn dependency(args: &InitArgs) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let from_checkout =
        own.join("Cargo.toml").is_file() && !own.components().any(|part| part.as_os_str() == "registry");
    let path = args.tokpace_path.clone().or_else(|| from_checkout.then(|| own.to_path_buf()));
    match path {
        Some(path) => {
            let path = path.canonicalize().unwrap_or(path);
            format!("tokpace = {{ path = {} }}\n", toml::Value::String(path.to_string_lossy().into_owned()))
        }
        None => format!("tokpace = \"{}\"\n", env!("CARGO_PKG_VERSION")),
    }
}

fn add_to_manifest(path: &Path, dependency: &str, wrote: &mut Vec<String>) -> Result<(), CliError> {
    let unusable = |what: String| CliError::usage(format!("`{}` {what}", path.display()), "mend it and run this again");
    let text = fs::read_to_string(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let manifest: toml::Table = text.parse().map_err(|error| unusable(format!("is not TOML: {error}")))?;
    let mut new = text.clone();
    let has = |table: &str| manifest.get(table).and_then(|t| t.get("tokpace")).is_some();
    if !has("dev-dependencies") && !has("dependencies") {
        let header = new.lines().position(|line| line.trim() == "[dev-dependencies]");
        match header {
            Some(line) => {
                let mut lines: Vec<&str> = new.lines().collect();
                lines.insert(line + 1, dependency.trim_end());
                new = lines.join("\n") + "\n";
            }
            None => {
                new = format!("{}\n\n[dev-dependencies]\n{dependency}", new.trim_end());
            }
        }
    }
    let tests = manifest.get("test").and_then(toml::Value::as_array);
    let is_perf = |test: &toml::Value| test.get("name").and_then(toml::Value::as_str) == Some("perf");
    if !tests.is_some_and(|tests| tests.iter().any(is_perf)) {
        new = format!("{}\n{TARGET}", new.trim_end());
    }
    if new == text {
        return Ok(());
    }
    if new.parse::<toml::Table>().is_err() {
        return Err(unusable("has a `dev-dependencies` or `test` that lines cannot be added to".into()));
    }
    write(path, &new)?;
    wrote.push(format!("added to {}", path.display()));
    Ok(())
}

/// Results are in the target folder; pending baselines are not for git.
fn ignore(root: &Path, wrote: &mut Vec<String>) -> Result<(), CliError> {
    let path = root.join(".gitignore");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let missing: Vec<&str> = ["/target", "*.toml.new", ".env"]
        .into_iter()
        .filter(|wanted| !text.lines().any(|line| line.trim().trim_matches('/') == wanted.trim_matches('/')))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    write(&path, &format!("{text}{separator}{}\n", missing.join("\n")))?;
    wrote.push(format!("added to {}", path.display()));
    Ok(())
}
