//! Keys and values that a scenario may hold but that this version cannot run.

use toml::de::DeValue;

use crate::toml_file::{Document, Problem, Problems};

/// A key, or some values of a key.
struct Unsupported {
    path: &'static [&'static str],
    /// The values that are not supported; every value if empty.
    values: &'static [&'static str],
    /// The cargo feature that brings it, if one does.
    feature: Option<&'static str>,
}

const UNSUPPORTED: &[Unsupported] = &[
    Unsupported { path: &["workload", "conversation"], values: &[], feature: None },
    #[cfg(not(feature = "grpc"))]
    Unsupported { path: &["request", "protocol"], values: &["ppl"], feature: Some("grpc") },
];

/// Reports what this version cannot run. Values that no type has room for are removed, so that the rest can be read.
pub(super) fn report(doc: &mut Document<'_>, problems: &mut Problems) {
    for Unsupported { path, values, feature } in UNSUPPORTED {
        let Some(value) = doc.value(path) else { continue };
        let name = doc.name(path);
        let what = match value.get_ref() {
            _ if values.is_empty() => format!("`{name}`"),
            DeValue::String(text) if values.contains(&text.as_ref()) => format!("`{name} = \"{text}\"`"),
            _ => continue,
        };
        let span = if values.is_empty() { doc.key_span(path) } else { doc.value_span(path) };
        let problem = match feature {
            None => Problem::error(format!("{what} is not supported by this version of tokpace")),
            Some(feature) => Problem::error(format!("{what} needs the feature `{feature}`"))
                .hint(format!("in `Cargo.toml`: `tokpace = {{ version = \"0.1\", features = [\"{feature}\"] }}`"))
                .hint(format!("for `cargo tokpace`: `cargo install tokpace --features {feature}`")),
        };
        problems.push(problem.at(span));
        if !values.is_empty() {
            doc.remove(&path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        }
    }
}
