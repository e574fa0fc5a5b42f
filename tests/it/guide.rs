//! The guide hangs together: every page is in its table of contents, and every link leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files of a folder.
fn pages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|kind| kind == "md"));
    pages.sort();
    pages
}

/// The lines of a text outside of code blocks, without what stands between backticks.
fn prose(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push(line.split('`').step_by(2).collect());
        }
    }
    lines
}

/// Where the links of a text lead.
fn links(text: &str) -> Vec<String> {
    let lines = prose(text);
    let targets = lines.iter().flat_map(|line| line.split("](").skip(1));
    targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// What a heading is called in a link, on GitHub and in the book.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if let (false, Some((marks, heading))) = (inside, line.split_once(' '))
            && !marks.is_empty()
            && marks.chars().all(|c| c == '#')
        {
            found.insert(anchor(heading));
        }
    }
    found
}

/// Why a link in a file leads nowhere.
fn broken(file: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return None;
    }
    let (path, wanted) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { file.to_path_buf() } else { file.parent().unwrap().join(path) };
    if !target.exists() {
        return Some(format!("{}: `{link}`: there is no such file", file.display()));
    }
    let known = wanted.is_empty() || anchors(&read(&target)).contains(wanted);
    (!known).then(|| format!("{}: `{link}`: there is no such heading", file.display()))
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let listed = links(&read(&root().join("docs/SUMMARY.md")));
    let names = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let pages: BTreeSet<String> = pages("docs").iter().map(names).filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), pages);
    assert_eq!(listed.len(), pages.len(), "a page is listed twice: {listed:?}");
    assert!(read(&root().join("book.toml")).contains("src = \"docs\""));
}

#[test]
fn every_link_leads_somewhere() {
    let folders = ["docs", "", "examples/axum-gateway", "examples/downstream"];
    let files: Vec<PathBuf> = folders.into_iter().flat_map(pages).collect();
    let mut found = 0;
    let mut wrong = Vec::new();
    for file in &files {
        for link in links(&read(file)) {
            found += 1;
            wrong.extend(broken(file, &link));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 50, "{found} links are fewer than there are");
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let page = root().join("docs/project.md");
    let text = "[a](b.md), `[c](d.md)` and [`e`](#f)\n```text\n[g](h.md)\n```\n";
    assert_eq!(links(text), ["b.md", "#f"]);
    assert!(broken(&page, "b.md").is_some() && broken(&page, "#no-such-heading").is_some());
    assert_eq!(broken(&page, "#kind--managed"), None);
    assert_eq!(anchor("*inconclusive*: too noisy, or not comparable"), "inconclusive-too-noisy-or-not-comparable");
}
