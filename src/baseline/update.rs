//! Whether a run may write baselines. Pure; the environment is looked up through a function.

use std::str::FromStr;

use super::model::PendingVerdict;

/// What a run does with new measurements: the words of `--update` and `TOKPACE_UPDATE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateMode {
    /// Leave a pending file beside the baseline, but nothing in CI.
    #[default]
    Auto,
    /// Leave a pending file, in CI too.
    New,
    /// Accept every run at once, as if `cargo tokpace accept` followed it.
    Always,
    /// Write nothing.
    No,
}

/// A word that is not an update mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for {origin}: `{value}`")]
pub struct UpdateError {
    origin: &'static str,
    value: String,
}

impl UpdateError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "use `auto`, `new`, `always` or `no`"
    }
}

/// The mode that the flag asks for, else the variable `TOKPACE_UPDATE`, else `auto`. An empty variable counts as unset.
///
/// # Errors
/// If the one that decides is not a mode; the text says whether it was the flag or the variable.
pub fn update_mode(flag: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Result<UpdateMode, UpdateError> {
    let variable = || env("TOKPACE_UPDATE").filter(|value| !value.is_empty()).map(|v| ("env var `TOKPACE_UPDATE`", v));
    let Some((origin, value)) = flag.map(|value| ("`--update`", value.to_owned())).or_else(variable) else {
        return Ok(UpdateMode::default());
    };
    value.parse().map_err(|()| UpdateError { origin, value })
}

impl FromStr for UpdateMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "auto" => Self::Auto,
            "new" => Self::New,
            "always" => Self::Always,
            "no" => Self::No,
            _ => return Err(()),
        })
    }
}

/// Whether this is an automated build, where nobody would see a pending file.
pub fn is_ci(env: impl Fn(&str) -> Option<String>) -> bool {
    match env("CI") {
        Some(value) => !matches!(value.as_str(), "" | "0" | "false"),
        None => env("TF_BUILD").is_some(),
    }
}

/// What to write after a case has been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Touch no file.
    Nothing,
    /// Write `<case>.toml.new`.
    Pending,
    /// Accept into `<case>.toml`, and remove the pending file.
    InPlace,
    /// Remove a pending file, which this run has made stale.
    Clear,
}

/// What to write after a case of this verdict.
pub fn write_policy(mode: UpdateMode, ci: bool, verdict: PendingVerdict) -> Write {
    use PendingVerdict::{Improved, Inconclusive, Missing, Pass, Recorded, Regressed};
    match (mode, verdict) {
        // What could not be judged is neither a change to accept nor proof that a pending one is stale.
        (UpdateMode::No, _) | (_, Inconclusive) => Write::Nothing,
        (UpdateMode::Auto, _) if ci => Write::Nothing,
        (UpdateMode::Always, _) => Write::InPlace,
        (UpdateMode::Auto | UpdateMode::New, Pass) => Write::Clear,
        (UpdateMode::Auto | UpdateMode::New, Missing | Regressed | Improved | Recorded) => Write::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PendingVerdict::{Improved, Inconclusive, Missing, Pass, Recorded, Regressed};

    fn env<'a>(entries: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_whole_policy() {
        use Write::{Clear, InPlace, Nothing, Pending};
        let verdicts = [Missing, Regressed, Improved, Recorded, Pass, Inconclusive];
        for (mode, ci, expected) in [
            (UpdateMode::Auto, false, [Pending, Pending, Pending, Pending, Clear, Nothing]),
            (UpdateMode::Auto, true, [Nothing; 6]),
            (UpdateMode::New, false, [Pending, Pending, Pending, Pending, Clear, Nothing]),
            (UpdateMode::New, true, [Pending, Pending, Pending, Pending, Clear, Nothing]),
            (UpdateMode::Always, false, [InPlace, InPlace, InPlace, InPlace, InPlace, Nothing]),
            (UpdateMode::Always, true, [InPlace, InPlace, InPlace, InPlace, InPlace, Nothing]),
            (UpdateMode::No, false, [Nothing; 6]),
            (UpdateMode::No, true, [Nothing; 6]),
        ] {
            assert_eq!(verdicts.map(|verdict| write_policy(mode, ci, verdict)), expected, "{mode:?}, ci: {ci}");
        }
    }

    #[test]
    fn the_flag_goes_before_the_variable() {
        assert_eq!(update_mode(None, env(&[])), Ok(UpdateMode::Auto));
        assert_eq!(update_mode(None, env(&[("TOKPACE_UPDATE", "")])), Ok(UpdateMode::Auto));
        assert_eq!(update_mode(None, env(&[("TOKPACE_UPDATE", "new")])), Ok(UpdateMode::New));
        assert_eq!(update_mode(Some("no"), env(&[("TOKPACE_UPDATE", "new")])), Ok(UpdateMode::No));
        assert_eq!(update_mode(Some("always"), env(&[("TOKPACE_UPDATE", "nwe")])), Ok(UpdateMode::Always));
    }

    #[test]
    fn a_wrong_word_says_where_it_stands() {
        let error = update_mode(None, env(&[("TOKPACE_UPDATE", "yes")])).unwrap_err();
        assert_eq!(error.to_string(), "invalid value for env var `TOKPACE_UPDATE`: `yes`");
        assert_eq!(error.hint(), "use `auto`, `new`, `always` or `no`");
        let error = update_mode(Some("Auto"), env(&[])).unwrap_err();
        assert_eq!(error.to_string(), "invalid value for `--update`: `Auto`");
    }

    #[test]
    fn ci_is_recognised() {
        for (variables, expected) in [
            (&[][..], false),
            (&[("CI", "")], false),
            (&[("CI", "0")], false),
            (&[("CI", "false")], false),
            (&[("CI", "true")], true),
            (&[("CI", "1")], true),
            (&[("TF_BUILD", "True")], true),
            (&[("CI", "false"), ("TF_BUILD", "True")], false),
        ] {
            assert_eq!(is_ci(env(variables)), expected, "{variables:?}");
        }
    }
}
