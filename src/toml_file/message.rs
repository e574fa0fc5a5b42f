//! From the decoder's words to ours.

use super::Problem;

/// A decoder's message about the value at `path` (dotted) as a problem without its span.
///
/// `known` are keys of the table that the decoder does not know of.
pub(super) fn problem(message: &str, path: &str, known: &[&str]) -> Problem {
    if let Some((name, mut names)) = unknown(message, "unknown field `") {
        names.extend(known);
        names.sort_unstable();
        return Problem::error(format!("unknown key `{name}`")).hint(suggestion(name, &names, "keys"));
    }
    if let Some((name, names)) = unknown(message, "unknown variant `") {
        return Problem::error(format!("`{path}` cannot be `{name}`")).hint(suggestion(name, &names, "values"));
    }
    for prefix in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((found, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.split_once(", expected ")) {
            let found = found_words(found);
            let problem = Problem::error(format!("`{path}` must be {}, not {found}", expected_words(expected)));
            let number = found.starts_with("the number");
            return if expected == "a string" && number {
                problem.hint("write it in quotes, with its unit if it has one: `\"60s\"`, `\"5%\"`")
            } else {
                problem
            };
        }
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return Problem::error(format!("`{path}` needs the key `{name}`"));
    }
    match message.split_once("; write ") {
        Some((what, remedy)) => Problem::error(format!("`{path}`: {what}")).hint(format!("write {remedy}")),
        None => Problem::error(format!("`{path}`: {message}")),
    }
}

/// A hint for a misspelled `name`: the nearest of `known`, if one is near.
pub(crate) fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(name.len()) / 3).max(1))?;
    Some(format!("did you mean `{}`?", near.1))
}

/// [`did_you_mean`], or the list of all.
fn suggestion(name: &str, known: &[&str], plural: &str) -> String {
    did_you_mean(name, known).unwrap_or_else(|| format!("known {plural}: {}", known.join(", ")))
}

/// The name that is not known and those that are.
fn unknown<'a>(message: &'a str, prefix: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(prefix)?;
    let (name, expected) = rest
        .split_once("`, expected ")
        .or_else(|| rest.split_once("`, there are no "))
        .unwrap_or((rest.trim_end_matches('`'), ""));
    Some((name, expected.split('`').skip(1).step_by(2).collect()))
}

fn expected_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" => "a whole number of at least 0".into(),
        "f64" => "a number".into(),
        "a string" | "a borrowed string" => "a text in quotes".into(),
        "a boolean" => "`true` or `false`".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other => other.into(),
    }
}

fn found_words(found: &str) -> String {
    match found {
        "map" => "a table".into(),
        "sequence" => "a list".into(),
        other => match other.split_once(' ') {
            Some(("integer", value)) => format!("the number {value}"),
            Some(("floating", value)) => {
                format!("the number {}", value.strip_prefix("point ").unwrap_or(value))
            }
            Some(("boolean", value)) => value.into(),
            Some(("string", value)) => format!("the text `{}`", value.trim_matches('"')),
            _ => other.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> (String, Vec<String>) {
        let problem = problem(message, "load.requests", &[]);
        (problem.message, problem.hints)
    }

    #[test]
    fn the_decoders_messages_in_our_words() {
        for (from, to) in [
            (
                "invalid type: string \"ten\", expected u32",
                "`load.requests` must be a whole number of at least 0, not the text `ten`",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "`load.requests` must be a whole number of at least 0, not the number `-1`",
            ),
            (
                "invalid type: floating point `1.5`, expected struct Foo",
                "`load.requests` must be a table, not the number `1.5`",
            ),
            ("invalid type: map, expected a boolean", "`load.requests` must be `true` or `false`, not a table"),
            ("missing field `kind`", "`load.requests` needs the key `kind`"),
            ("something else", "`load.requests`: something else"),
        ] {
            assert_eq!(said(from).0, to);
        }
    }

    #[test]
    fn a_remedy_in_the_message_becomes_the_hint() {
        let (message, hints) = said("`5` is not a time; write a number and a unit");
        assert_eq!(message, "`load.requests`: `5` is not a time");
        assert_eq!(hints, ["write a number and a unit"]);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_listed() {
        assert_eq!(said("unknown field `rat`, expected one of `rate`, `batch`").1, ["did you mean `rate`?"]);
        assert_eq!(said("unknown field `colour`, expected `rate` or `batch`").1, ["known keys: batch, rate"]);
        assert_eq!(said("unknown field `rates`, expected `rate`").1, ["did you mean `rate`?"]);
        let (message, hints) = said("unknown variant `poison`, expected one of `constant`, `poisson`");
        assert_eq!(message, "`load.requests` cannot be `poison`");
        assert_eq!(hints, ["did you mean `poisson`?"]);
        assert_eq!(said("unknown field `x`, there are no fields").0, "unknown key `x`");
    }
}
