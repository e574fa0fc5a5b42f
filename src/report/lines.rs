//! Text on lines of a given width.

/// Columns of a terminal.
pub(super) const WIDTH: usize = 80;

/// `text` on lines of at most [`WIDTH`] characters. The first line begins with `first`, the others with `rest`; what
/// stands in backticks is never broken, so that a command can be copied, and may reach beyond the width; nor is a line
/// that begins with `| `, or a number parted from its `%`.
pub(super) fn wrapped(first: &str, rest: &str, text: &str) -> String {
    const GLUED: &str = "\u{a0}%";
    broken(first, rest, &text.replace(" %", GLUED)).replace(GLUED, " %")
}

fn broken(first: &str, rest: &str, text: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    // What follows a line break of the text's own is further in.
    let (mut indent, mut empty) = (rest.to_owned(), true);
    for (at, part) in text.split('\n').enumerate() {
        if at > 0 {
            out.push_str(&line);
            out.push('\n');
            indent = format!("{rest}  ");
            (line, empty) = (indent.clone(), true);
        }
        // A program's own words stay as they were printed.
        if part.starts_with("| ") {
            line.push_str(part);
            continue;
        }
        for word in words(part) {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                out.push_str(&line);
                out.push('\n');
                (line, empty) = (indent.clone(), true);
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
    }
    out + &line
}

/// The words of a line; spaces between backticks do not divide.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
    .filter(|word| !word.is_empty())
}

/// At most `width` characters of `text`. The middle goes first: in names of cases both ends tell them apart.
pub(super) fn clipped(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let head: String = text.chars().take(kept.div_ceil(2)).collect();
    let tail: String = text.chars().skip(length - kept / 2).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_the_width_and_commands_stay_whole() {
        let text = "if the change is wanted, accept it: `cargo tokpace accept chatbot --reason \"…\"` and commit it";
        let lines = wrapped("  hint: ", "        ", text);
        assert_eq!(
            lines,
            "  hint: if the change is wanted, accept it:\n        \
             `cargo tokpace accept chatbot --reason \"…\"` and commit it"
        );
        assert_eq!(wrapped("- ", "  ", "one\ntwo three"), "- one\n    two three");
        assert_eq!(wrapped("- ", "  ", ""), "- ");
        let quoted = format!("| {}  and   spaces", "x".repeat(80));
        assert_eq!(wrapped("- ", "  ", &format!("its log:\n{quoted}")), format!("- its log:\n    {quoted}"));
    }

    #[test]
    fn names_lose_their_middle() {
        assert_eq!(clipped("batch::batch=4", 20), "batch::batch=4");
        assert_eq!(clipped("batch::batch=4", 9), "batc…ch=4");
        assert_eq!(clipped("größer", 3), "g…r");
        assert_eq!(clipped("größer", 0), "…");
    }
}
