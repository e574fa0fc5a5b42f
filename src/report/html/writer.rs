//! Writes markup that is well-formed whatever the texts say: tags are the program's own, texts and attributes escaped.

use crate::report::html::svg::Key;

/// Elements after which a line ends, so that the page can be read and compared as text.
const BLOCKS: [&str; 24] = [
    "article",
    "body",
    "dd",
    "desc",
    "details",
    "div",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "li",
    "main",
    "p",
    "path",
    "section",
    "style",
    "summary",
    "svg",
    "table",
    "title",
    "tr",
];

/// A page in the making.
pub(super) struct Html {
    text: String,
    open: Vec<&'static str>,
    ids: u32,
    /// Signs of the charts since the last legend.
    pub(super) keys: Vec<Key>,
}

impl Html {
    pub(super) fn new() -> Self {
        Self { text: String::from("<!DOCTYPE html>\n"), open: Vec::new(), ids: 0, keys: Vec::new() }
    }

    /// A piece of a page, to be read by itself.
    #[cfg(test)]
    pub(super) fn piece() -> Self {
        Self { text: String::new(), ..Self::new() }
    }

    /// Begins an element; [`Html::close`] ends it.
    pub(super) fn open(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.begin(tag, attributes);
        self.text.push('>');
        self.open.push(tag);
    }

    /// Ends the element that was opened last.
    pub(super) fn close(&mut self) {
        let Some(tag) = self.open.pop() else { return };
        self.text.push_str("</");
        self.text.push_str(tag);
        self.text.push('>');
        self.end_line(tag);
    }

    /// An element without content.
    pub(super) fn void(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.begin(tag, attributes);
        self.text.push_str("/>");
        self.end_line(tag);
    }

    /// An element with nothing but text in it.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: &[(&'static str, &str)], text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close();
    }

    pub(super) fn text(&mut self, text: &str) {
        escape(text, &mut self.text);
    }

    /// Text in which what stands in backticks is code.
    pub(super) fn words(&mut self, text: &str) {
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 1 {
                self.leaf("code", &[], part);
            } else {
                self.text(part);
            }
        }
    }

    /// The program's own style sheet.
    pub(super) fn style(&mut self, css: &'static str) {
        self.open("style", &[]);
        self.text.push('\n');
        self.text.push_str(css);
        self.close();
    }

    /// Writes something that may turn out to be nothing: then it leaves no trace.
    pub(super) fn attempt(&mut self, write: &mut dyn FnMut(&mut Self) -> bool) {
        let (text, open) = (self.text.len(), self.open.len());
        if !write(self) {
            self.text.truncate(text);
            self.open.truncate(open);
            self.keys.clear();
        }
    }

    /// A name that no other element of the page has.
    pub(super) fn id(&mut self) -> String {
        self.ids += 1;
        format!("i{}", self.ids)
    }

    /// The text, with everything closed.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn begin(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.text.push('<');
        self.text.push_str(tag);
        for (name, value) in attributes.iter().filter(|attribute| **attribute != ("class", "")) {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }

    fn end_line(&mut self, tag: &str) {
        if BLOCKS.contains(&tag) {
            self.text.push('\n');
        }
    }
}

/// Characters that markup cannot hold, or that would turn the direction of what is beside them, become visible.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_be_markup() {
        let mut html = Html::piece();
        html.open("p", &[("title", "\"><script>"), ("class", "")]);
        html.text("a < b & 'c'\u{1b}[2J\u{202e}");
        html.words(" run `a<b` now");
        html.void("br", &[]);
        assert_eq!(
            html.finish(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">a &lt; b &amp; &#39;c&#39;\u{fffd}[2J\u{fffd} run <code>a&lt;b</code> now<br/></p>\n"
        );
    }

    #[test]
    fn what_turns_out_to_be_nothing_leaves_nothing() {
        let mut html = Html::piece();
        html.attempt(&mut |html| {
            html.open("div", &[]);
            html.leaf("p", &[], "gone");
            false
        });
        html.attempt(&mut |html| {
            html.leaf("b", &[], "here");
            true
        });
        assert_eq!(html.finish(), "<b>here</b>");
    }
}
