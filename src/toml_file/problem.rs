//! What is wrong with a file, and how it is shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// A text that spans point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name that is shown: a path relative to the package root, or `--set`.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// The span offset of the text's first byte: 0 for a file; settings from the command line follow the file.
    pub base: usize,
}

impl SourceFile {
    /// A file whose spans start at 0.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), base: 0 }
    }

    /// The 1-based line of a byte of the text.
    pub fn line(&self, offset: usize) -> u32 {
        let end = offset.saturating_sub(self.base).min(self.text.len());
        memchr::memchr_iter(b'\n', &self.text.as_bytes()[..end]).count() as u32 + 1
    }

    /// `span` within this text, on character boundaries: the renderer slices the text with it.
    fn local(&self, span: &Range<usize>) -> Range<usize> {
        let boundary = |offset: usize| {
            let offset = offset.saturating_sub(self.base).min(self.text.len());
            (0..=offset).rev().find(|offset| self.text.is_char_boundary(*offset)).unwrap_or(0)
        };
        let (start, end) = (boundary(span.start), boundary(span.end));
        start..end.max(start)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used but probably does not do what its author wants.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: a lowercase fragment without a final period.
    pub message: String,
    /// Where, as bytes of the text.
    pub span: Option<Range<usize>>,
    /// What stands beside the marked text.
    pub label: Option<String>,
    /// A second place that the problem is about, with its label.
    pub context: Option<(Range<usize>, String)>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Whether the file can be used all the same.
    pub severity: Severity,
}

impl Problem {
    /// A problem that makes the file unusable.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: None,
            context: None,
            hints: Vec::new(),
            severity: Severity::Error,
        }
    }

    /// A problem that is only said.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, span: impl Into<Option<Range<usize>>>) -> Self {
        self.span = span.into();
        self
    }

    /// Says what stands beside the marked text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Marks a second place.
    #[must_use]
    pub fn context(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        self.context = span.map(|span| (span, label.into()));
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// Every problem of a file. Its `Display` is the rendered text without colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    sources: Vec<SourceFile>,
    list: Vec<Problem>,
}

impl Problems {
    /// No problem yet.
    pub fn new(source: SourceFile) -> Self {
        Self { sources: vec![source], list: Vec::new() }
    }

    /// Adds a text that is shown in place of the file for spans from its `base` on.
    pub fn add_source(&mut self, source: SourceFile) {
        self.sources.push(source);
    }

    /// Takes back those of the problems after the first `known` of [`Problems::list`] that `keep` is false of.
    pub(crate) fn retain_after(&mut self, known: usize, keep: impl Fn(&Problem) -> bool) {
        let mut index = 0;
        self.list.retain(|problem| {
            index += 1;
            index <= known || keep(problem)
        });
    }

    /// Adds a problem, once: matrix cases that share a mistake report it together.
    pub fn push(&mut self, problem: Problem) {
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// The problems in the order of the text; those without a place come first.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Whether there is no problem at all, not even a warning.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether some problem makes the file unusable.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The 1-based line of a span's start.
    pub fn line(&self, span: &Range<usize>) -> u32 {
        self.source(span).line(span.start)
    }

    /// Puts the problems into the order of the text.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| problem.span.as_ref().map(|span| (span.start, span.end)));
    }

    fn source(&self, span: &Range<usize>) -> &SourceFile {
        self.sources.iter().rev().find(|source| source.base <= span.start).unwrap_or(&self.sources[0])
    }

    /// The problems as text for a terminal, with ANSI colours if asked for. No final newline.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let texts: Vec<_> = self.list.iter().map(|problem| renderer.render(&[self.group(problem)])).collect();
        texts.join("\n\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.message.as_str());
        let mut group = if let Some(span) = &problem.span {
            let source = self.source(span);
            let mut snippet = Snippet::source(source.text.as_str())
                .path(source.name.as_str())
                .annotation(AnnotationKind::Primary.span(source.local(span)).label(problem.label.as_deref()));
            if let Some((span, label)) = problem.context.as_ref().filter(|(span, _)| self.source(span) == source) {
                snippet = snippet.annotation(AnnotationKind::Context.span(source.local(span)).label(label.as_str()));
            }
            title.element(snippet)
        } else {
            title.element(Origin::path(self.sources[0].name.as_str()))
        };
        for hint in &problem.hints {
            group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
        }
        group
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, problem: Problem) -> Problems {
        let mut problems = Problems::new(SourceFile::new("scenarios/x.toml", text));
        problems.push(problem);
        problems
    }

    #[test]
    fn a_problem_shows_both_places_and_its_hints() {
        let text = "[load]\nconcurrency = 8\nrate = 20.0\n";
        let problem = Problem::error("two kinds of load")
            .at(23..27)
            .label("the second")
            .context(Some(7..18), "the first")
            .hint("keep one of them");
        insta::assert_snapshot!(one(text, problem), @r#"
        error: two kinds of load
         --> scenarios/x.toml:3:1
          |
        2 | concurrency = 8
          | ----------- the first
        3 | rate = 20.0
          | ^^^^ the second
          |
          = hint: keep one of them
        "#);
    }

    #[test]
    fn a_problem_without_a_place_names_the_file() {
        insta::assert_snapshot!(one("", Problem::warning("nothing here").hint("write something")), @r#"
        warning: nothing here
        --> scenarios/x.toml
         = hint: write something
        "#);
    }

    #[test]
    fn colour_only_when_asked_for() {
        let problems = one("a = 1\n", Problem::error("no").at(0..1));
        assert!(!problems.render(false).contains('\u{1b}'));
        assert!(problems.render(true).contains('\u{1b}'));
    }

    #[test]
    fn spans_outside_the_text_or_inside_a_character_do_not_panic() {
        for span in [0..99, 50..60, 5..6, 1..1] {
            let shown = one("a = \"ä\"", Problem::error("no").at(span)).render(false);
            assert!(shown.starts_with("error: no"));
        }
    }

    #[test]
    fn later_problems_can_be_taken_back() {
        let mut problems = one("a = 1", Problem::error("no").at(0..1));
        problems.push(Problem::error("maybe").at(0..1));
        problems.push(Problem::error("yes").at(4..5));
        problems.retain_after(1, |problem| problem.span == Some(4..5));
        let left: Vec<_> = problems.list().iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(left, ["no", "yes"]);
    }

    #[test]
    fn a_problem_is_said_once() {
        let mut problems = one("a = 1", Problem::error("no").at(0..1));
        problems.push(Problem::error("no").at(0..1));
        problems.push(Problem::error("no").at(4..5));
        assert_eq!(problems.list().len(), 2);
    }
}
