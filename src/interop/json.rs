//! Looking into JSON of other people's making.

use serde_json::Value;

/// The value at a path of keys.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, key| &value[*key])
}

/// A number at a path of keys.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    at(value, path).as_f64()
}

/// A count at a path of keys; some tools write counts as floats.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<u64> {
    let number = number(value, path)?;
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}

/// A text, or a number as text, at a path of keys.
pub(super) fn text(value: &Value, path: &[&str]) -> Option<String> {
    match at(value, path) {
        // A file must not write on the terminal.
        Value::String(text) => Some(text.replace(char::is_control, " ")),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `a / b`, where `b` is something.
pub(super) fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b.filter(|b| *b > 0.0)).map(|(a, b)| a / b)
}
