//! `cargo tokpace compare`: results of two sides, judged by the gate.

use std::io::Write;

use super::sources;
use super::surroundings::redactor;
use crate::cli::CliError;
use crate::gate::Mode;
use crate::interop::{self, CompareOptions, Demand};
use crate::metric::{MetricId, Scale};
use crate::report::comparison_table;
use crate::units::Share;

/// Arguments of `cargo tokpace compare`.
#[derive(Debug, clap::Args)]
pub(super) struct CompareArgs {
    /// The reference: a run folder, a file of results, a folder of such files, a glob, or several with commas
    a: String,

    /// The candidate, likewise
    b: String,

    /// Compares a metric and lets it gate, such as `ttft.p95=10%`; may be given several times
    #[arg(long = "check", value_name = "METRIC=TOLERANCE", value_parser = demand)]
    checks: Vec<Demand>,

    /// A condition that is meant to differ, such as `model`; may be given several times
    #[arg(long = "allow", value_name = "NAME", value_delimiter = ',')]
    allowed: Vec<String>,

    /// Noise from job to job to assume; 3% unless it is given, 0.3% for the embedded server
    #[arg(long, value_name = "SHARE")]
    job_noise: Option<Share>,

    /// Pairs of trials that were measured in turn, or jobs; by the times in the files unless it is given
    #[arg(long, value_name = "paired|stored", value_parser = mode)]
    mode: Option<Mode>,

    /// Fails also if the verdict is neither pass nor improved
    #[arg(long)]
    require_pass: bool,

    /// Prints the comparison as JSON
    #[arg(long)]
    json: bool,

    /// Shows advisory checks that hold, too
    #[arg(short, long)]
    verbose: bool,
}

/// Compares; exit code 1 if B regressed.
pub(super) fn compare(args: &CompareArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let redactor = redactor()?;
    let (a, b) = (sources::side("A", &args.a)?, sources::side("B", &args.b)?);
    let options = CompareOptions {
        checks: args.checks.clone(),
        allowed: args.allowed.clone(),
        job_noise: args.job_noise.map(|share| share.0),
        mode: args.mode,
    };
    let comparison = interop::compare(&a, &b, &options).map_err(|error| CliError::usage(error.message, error.hint))?;
    let text = if args.json {
        serde_json::to_string_pretty(&comparison).map_err(std::io::Error::from)? + "\n"
    } else {
        // Names of cases and files are other people's words, and must not write on the terminal.
        comparison_table(&comparison, args.verbose).replace(|c: char| c.is_control() && c != '\n', " ")
    };
    out.write_all(redactor.redact(&text).as_bytes())?;
    let failed = comparison.verdict == crate::gate::Verdict::Regressed
        || comparison.cases.iter().any(|case| case.failed.is_some())
        || (args.require_pass && !comparison.verdict.holds());
    Ok(u8::from(failed))
}

fn demand(text: &str) -> Result<Demand, String> {
    let (metric, tolerance) = text.split_once('=').ok_or("write it as `ttft.p95=10%`")?;
    let metric: MetricId =
        metric.trim().parse().map_err(|error: crate::metric::MetricError| format!("{error}; {}", error.hint))?;
    let tolerance = tolerance.trim();
    let points = metric.metric.scale() == Scale::Difference;
    let number = match (tolerance.strip_suffix("pp"), tolerance.strip_suffix('%')) {
        (Some(number), _) if points => number,
        (_, Some(number)) if !points => number,
        _ if points => return Err(format!("`{}` is a share: give points, such as `0.5pp`", metric.metric.name())),
        _ => return Err("give the tolerance in per cent, such as `10%`".into()),
    };
    let number: f64 = number.trim().parse().map_err(|_| format!("`{tolerance}` is no number"))?;
    if !(0.0..=1000.0).contains(&number) {
        return Err(format!("`{tolerance}` is out of range"));
    }
    Ok(Demand { metric, tolerance: number / 100.0, advisory: false })
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "paired" => Ok(Mode::Paired),
        "stored" => Ok(Mode::Stored),
        _ => Err("write `paired` or `stored`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_in_the_unit_of_their_metric() {
        let ttft = demand("ttft.p95=10%").unwrap();
        assert_eq!((ttft.metric.to_string().as_str(), ttft.tolerance, ttft.advisory), ("ttft.p95", 0.1, false));
        assert!((demand("error_rate=0.5pp").unwrap().tolerance - 0.005).abs() < 1e-12);
        for (text, words) in [
            ("ttft.p95", "write it as"),
            ("tftt.p95=1%", "did you mean `ttft`"),
            ("ttft.p95=10", "per cent"),
            ("ttft.p95=10pp", "per cent"),
            ("error_rate=1%", "points"),
            ("tpot.p50=-3%", "out of range"),
            ("tpot.p50=x%", "no number"),
        ] {
            let error = demand(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
