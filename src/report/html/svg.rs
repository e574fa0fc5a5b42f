//! The frame that all charts share: a figure with its words, axes, grid and legend.

use crate::report::html::scale::Scale;
use crate::report::html::writer::Html;

/// Every chart has this width in its own units; the page scales it.
pub(super) const WIDTH: f64 = 360.0;
/// Where the plot begins and ends.
pub(super) const LEFT: f64 = 46.0;
pub(super) const RIGHT: f64 = 350.0;

/// A chart's words.
pub(super) struct Words<'a> {
    /// Its name.
    pub(super) title: &'a str,
    /// What stands below the name.
    pub(super) caption: &'a str,
    /// What it shows, with the figures, for who cannot see it.
    pub(super) description: &'a str,
}

/// A sign in a legend: a class of the style sheet, its shape, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) class: &'static str,
    pub(super) mark: Mark,
    pub(super) label: String,
}

impl Key {
    pub(super) fn new(class: &'static str, mark: Mark, label: impl Into<String>) -> Self {
        Self { class, mark, label: label.into() }
    }
}

/// Shapes, so that no series is told from another by its colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Dot,
    Diamond,
    Cross,
    Line,
    Area,
    /// What a pen leaves where there are thousands of points.
    Pen,
}

/// A figure around what `draw` draws on a sheet `height` high; its signs wait for the legend of [`charts`].
pub(super) fn figure(html: &mut Html, words: &Words<'_>, height: f64, keys: &[Key], draw: &mut dyn FnMut(&mut Html)) {
    html.open("figure", &[]);
    html.open("figcaption", &[]);
    html.leaf("strong", &[], words.title);
    html.text(" ");
    html.leaf("span", &[], words.caption);
    html.close();
    let (title, description) = (html.id(), html.id());
    let labelled = format!("{title} {description}");
    let view = format!("0 0 {WIDTH} {height}");
    html.open("svg", &[("viewBox", &view), ("role", "img"), ("aria-labelledby", &labelled)]);
    html.leaf("title", &[("id", &title)], words.title);
    html.leaf("desc", &[("id", &description)], words.description);
    draw(html);
    html.close();
    html.close();
    for key in keys {
        if !html.keys.contains(key) {
            html.keys.push(key.clone());
        }
    }
}

/// Charts side by side, with one legend for all of them; whether `draw` drew any.
pub(super) fn charts(html: &mut Html, draw: &mut dyn FnMut(&mut Html) -> bool) -> bool {
    html.open("div", &[("class", "charts")]);
    let any = draw(html);
    html.close();
    let keys = std::mem::take(&mut html.keys);
    if !keys.is_empty() {
        html.open("p", &[("class", "legend")]);
        for key in &keys {
            html.open("span", &[]);
            html.open("svg", &[("viewBox", "0 0 18 12"), ("aria-hidden", "true")]);
            match key.mark {
                Mark::Line => path(html, key.class, "M1 6H17"),
                Mark::Area => path(html, key.class, "M1 1H17V11H1Z"),
                Mark::Pen => path(html, key.class, "M9 6h0"),
                mark => self::mark(html, mark, key.class, [9.0, 6.0], None),
            }
            html.close();
            html.text(&key.label);
            html.close();
            html.text(" ");
        }
        html.close();
    }
    any
}

/// A point, with words that show when it is pointed at.
pub(super) fn mark(html: &mut Html, mark: Mark, class: &str, [x, y]: [f64; 2], words: Option<&str>) {
    let d = match mark {
        Mark::Diamond => format!("M{} {}l4 4l-4 4l-4-4z", place(x), place(y - 4.0)),
        Mark::Cross => format!("M{} {}l6 6m0-6l-6 6", place(x - 3.0), place(y - 3.0)),
        Mark::Dot | Mark::Line | Mark::Area | Mark::Pen => {
            format!("M{} {}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z", place(x - 3.5), place(y))
        }
    };
    match words {
        None => path(html, class, &d),
        Some(words) => {
            html.open("path", &[("class", class), ("d", &d)]);
            html.leaf("title", &[], words);
            html.close();
        }
    }
}

pub(super) fn path(html: &mut Html, class: &str, d: &str) {
    html.void("path", &[("class", class), ("d", d)]);
}

/// A rectangle between two corners, whichever way round.
pub(super) fn area(html: &mut Html, class: &str, [x0, x1]: [f64; 2], [y0, y1]: [f64; 2]) {
    let d = format!("M{} {}H{}V{}H{}Z", place(x0), place(y0), place(x1), place(y1), place(x0));
    path(html, class, &d);
}

/// `anchor` is `start`, `middle` or `end`.
pub(super) fn label(html: &mut Html, class: &str, anchor: &str, [x, y]: [f64; 2], text: &str) {
    let attributes = [("x", &*place(x)), ("y", &*place(y)), ("class", class), ("text-anchor", anchor)];
    html.leaf("text", &attributes, text);
}

/// Grid lines with their values on the left, and the unit above them.
pub(super) fn y_axis(html: &mut Html, scale: &Scale, about: usize, unit: &str, unit_at: f64) {
    for (value, text) in scale.ticks(about) {
        let y = scale.at(value);
        path(html, "grid", &format!("M{LEFT} {}H{RIGHT}", place(y)));
        label(html, "tick", "end", [LEFT - 5.0, y + 3.5], &text);
    }
    label(html, "tick", "end", [LEFT - 5.0, unit_at], unit);
}

/// Ticks at the bottom with their values, and what they mean below them.
pub(super) fn x_axis(html: &mut Html, scale: &Scale, about: usize, [top, bottom]: [f64; 2], meaning: &str) {
    for (value, text) in scale.ticks(about) {
        let x = scale.at(value);
        path(html, "grid", &format!("M{} {top}V{bottom}", place(x)));
        label(html, "tick", "middle", [x, bottom + 13.0], &text);
    }
    label(html, "tick", "end", [RIGHT, bottom + 27.0], meaning);
}

/// A place on paper, to a tenth of a unit.
pub(super) fn place(value: f64) -> String {
    let tenths = (value * 10.0).round() as i64;
    if tenths % 10 == 0 { format!("{}", tenths / 10) } else { format!("{:.1}", tenths as f64 / 10.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_words_and_one_legend() {
        let mut html = Html::piece();
        let words = Words { title: "ttft.p50", caption: "50.1 ms", description: "trial 1: 50.1 ms." };
        let keys = [Key::new("a", Mark::Dot, "a trial")];
        charts(&mut html, &mut |html| {
            for _ in 0..2 {
                figure(html, &words, 60.0, &keys, &mut |html| {
                    mark(html, Mark::Dot, "a", [10.04, 5.0], Some("trial 1"));
                });
            }
            true
        });
        let text = html.finish();
        assert_eq!(text.matches("<title id=").count(), 2, "{text}");
        assert_eq!(text.matches("class=\"legend\"").count(), 1, "{text}");
        assert!(text.contains("viewBox=\"0 0 360 60\" role=\"img\" aria-labelledby=\"i1 i2\""), "{text}");
        assert!(text.contains("<desc id=\"i2\">trial 1: 50.1 ms.</desc>"), "{text}");
        assert!(text.contains("d=\"M6.5 5a3.5"), "{text}");
    }

    #[test]
    fn places_are_short() {
        assert_eq!([0.0, 12.04, 12.05, -0.04].map(place), ["0", "12", "12.1", "0"]);
    }
}
