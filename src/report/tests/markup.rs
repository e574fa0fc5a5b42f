//! A strict reader of pages: anything but well-formed markup is a failure.

/// What a page is made of, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Open(String, Vec<(String, String)>),
    Text(String),
    Close(String),
}

/// Reads a page. An element without content is opened and closed.
pub(super) fn read(page: &str) -> Vec<Piece> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a doctype");
    let (mut pieces, mut open) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let Some(tag) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            // A style sheet is no text: no entity stands for a character there.
            let text = if open.last().is_some_and(|tag| tag == "style") {
                rest[..end].to_owned()
            } else {
                unescaped(&rest[..end])
            };
            pieces.push(Piece::Text(text));
            rest = &rest[end..];
            continue;
        };
        let end = tag.find('>').expect("a tag ends");
        let (inside, after) = (&tag[..end], &tag[end + 1..]);
        assert!(!inside.contains('<'), "`<` in a tag: {inside}");
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            pieces.push(Piece::Close(name.to_owned()));
        } else {
            let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
            let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
            pieces.push(Piece::Open(name.to_owned(), attributes_of(attributes)));
            if empty {
                pieces.push(Piece::Close(name.to_owned()));
            } else {
                open.push(name.to_owned());
            }
        }
        rest = after;
    }
    assert!(open.is_empty(), "left open: {open:?}");
    pieces
}

fn attributes_of(mut text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    while !text.trim_start().is_empty() {
        let (name, rest) = text.trim_start().split_once("=\"").expect("a quoted value");
        let (value, rest) = rest.split_once('"').expect("the value ends");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        assert!(found.iter().all(|known| known.0 != name), "`{name}` twice");
        found.push((name.to_owned(), unescaped(value)));
        text = rest;
    }
    found
}

fn unescaped(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (name, c) = known.iter().find(|(name, _)| rest[at..].starts_with(name)).expect("a known entity");
        out.push_str(&rest[..at]);
        out.push_str(c);
        rest = &rest[at + name.len()..];
    }
    out + rest
}
