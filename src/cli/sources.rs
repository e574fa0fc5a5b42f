//! From arguments of the command line to results: paths, comma lists, folders and globs.

use std::fs;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::interop::{self, Imported, Side, Source};
use crate::report::{RunReport, RunTrials};

const WHAT: &str =
    "name a run folder, a file of results, a folder of such files, a glob, or several of these with commas";

/// Everything that an argument stands for.
pub(super) fn side(name: &'static str, argument: &str) -> Result<Side, CliError> {
    let mut sources: Vec<Source> = Vec::new();
    for path in paths(argument)? {
        if path.is_dir() {
            sources.extend(folder(&path)?);
        } else {
            sources.push(file(&path)?);
        }
    }
    if sources.iter().all(|source| source.trials.is_empty()) {
        return Err(CliError::usage(format!("`{argument}` holds no valid trial"), WHAT));
    }
    Ok(Side { name, sources })
}

/// The report of a run by its folder or its `run.json`.
pub(super) fn run_report(path: &Path) -> Result<RunReport, CliError> {
    let path = if path.is_dir() { path.join("run.json") } else { path.to_path_buf() };
    match import(&path)? {
        Imported::Run(run) => Ok(*run),
        _ => Err(CliError::usage(
            format!("`{}` is no `run.json` of a run", path.display()),
            "name the folder of a run, as `target/tokpace/latest`",
        )),
    }
}

/// Paths of a comma list, globs expanded. A path that is there is taken as it is, commas and stars included.
fn paths(argument: &str) -> Result<Vec<PathBuf>, CliError> {
    if Path::new(argument).exists() {
        return Ok(vec![argument.into()]);
    }
    let mut paths = Vec::new();
    for part in argument.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if Path::new(part).exists() {
            paths.push(PathBuf::from(part));
            continue;
        }
        let found = if part.contains(['*', '?']) { expanded(Path::new(part)) } else { Vec::new() };
        if found.is_empty() {
            return Err(CliError::usage(format!("`{part}` is not there"), WHAT));
        }
        paths.extend(found);
    }
    if paths.is_empty() { Err(CliError::usage(format!("`{argument}` names nothing"), WHAT)) } else { Ok(paths) }
}

/// Every path that a pattern with `*` and `?` matches, part by part, in order.
fn expanded(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        if !part.contains(['*', '?']) {
            for path in &mut found {
                path.push(part.as_ref());
            }
            continue;
        }
        let inside = |folder: PathBuf| {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            let entries = fs::read_dir(listed).into_iter().flatten().flatten();
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| !name.starts_with('.') && matches(part.as_bytes(), name.as_bytes()))
                .collect();
            names.sort();
            names.into_iter().map(move |name| folder.join(name)).collect::<Vec<_>>()
        };
        found = found.into_iter().flat_map(inside).collect();
    }
    found.retain(|path| path.exists());
    found
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..])),
        (Some(b'?'), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some(a), Some(b)) => a == b && matches(&pattern[1..], &name[1..]),
        _ => false,
    }
}

/// A run of ours, or the results of other tools in a folder and in the folders in it.
fn folder(path: &Path) -> Result<Vec<Source>, CliError> {
    if path.join("trials.json").is_file() {
        return Ok(vec![run(&path.join("trials.json"))?]);
    }
    if path.join("profile_export_aiperf.json").is_file() {
        return Ok(vec![file(&path.join("profile_export_aiperf.json"))?]);
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .map_err(|error| unreadable(path, &error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
        .collect();
    entries.sort();
    let is_result = |path: &Path| path.extension().is_some_and(|kind| kind == "json" || kind == "jsonl");
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|path| path.is_dir());
    let mut sources = Vec::new();
    for path in files.iter().filter(|path| is_result(path)) {
        sources.push(file(path)?);
    }
    if sources.is_empty() {
        // One level down only: a folder a run, or AIPerf's folder a run.
        for inner in folders {
            if inner.join("trials.json").is_file() {
                sources.push(run(&inner.join("trials.json"))?);
            } else if inner.join("profile_export_aiperf.json").is_file() {
                let mut source = file(&inner.join("profile_export_aiperf.json"))?;
                // The folders of one folder were measured together.
                source.job = path.display().to_string();
                sources.push(source);
            }
        }
    }
    if sources.is_empty() {
        return Err(CliError::usage(format!("no results are in `{}`", path.display()), WHAT));
    }
    Ok(sources)
}

fn file(path: &Path) -> Result<Source, CliError> {
    match import(path)? {
        Imported::Run(_) | Imported::Trials(_) => run(path),
        Imported::Results(trials) => {
            let folder = path.parent().map_or_else(String::new, |folder| folder.display().to_string());
            Ok(Source::of_results(path.display().to_string(), folder, trials))
        }
    }
}

/// A run by either of its two files; the other one lies beside it.
fn run(path: &Path) -> Result<Source, CliError> {
    let beside = |name: &str| path.with_file_name(name);
    let (mut report, mut trials): (Option<RunReport>, Option<RunTrials>) = (None, None);
    let mut take = |imported| match imported {
        Imported::Run(run) => report = Some(*run),
        Imported::Trials(found) => trials = Some(found),
        Imported::Results(_) => {}
    };
    take(import(path)?);
    for other in [beside("run.json"), beside("trials.json")] {
        if other.file_name() != path.file_name() && other.is_file() {
            take(import(&other)?);
        }
    }
    let trials = trials.ok_or_else(|| {
        CliError::usage(
            format!("`{}` has no `trials.json` beside it", path.display()),
            "name the whole folder of the run: the verdict is about its trials",
        )
    })?;
    let name = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(path);
    Ok(Source::of_run(name.display().to_string(), report, &trials))
}

fn import(path: &Path) -> Result<Imported, CliError> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::usage(format!("`{}` is no text in UTF-8", path.display()), WHAT))?;
    interop::read(&text).map_err(|error| {
        let line = error.line.map_or_else(String::new, |line| format!(":{line}"));
        CliError::usage(format!("`{}{line}`: {}", path.display(), error.message), error.hint)
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("failed to read `{}`: {error}", path.display()), WHAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*.json", "a.json", true),
            ("*.json", "a.jsonl", false),
            ("r?n-*", "run-12", true),
            ("r?n-*", "rn-12", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn lists_and_globs_are_expanded_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["b.json", "a.json", "c,d.json", ".hidden.json"] {
            fs::write(at(name), "{}").unwrap();
        }
        let names = |argument: &str| {
            let paths = paths(argument).unwrap();
            paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&at("*.json")), ["a.json", "b.json", "c,d.json"]);
        assert_eq!(names(&format!("{},{}", at("b.json"), at("a.json"))), ["b.json", "a.json"]);
        assert_eq!(names(&at("c,d.json")), ["c,d.json"]);
        assert!(paths(&at("x*.json")).is_err() && paths(",").is_err());
    }
}
