//! The vocabulary of what is measured: metrics, statistics of them, and which way is better.
//!
//! The names are those of scenario files, baselines, reports and `cargo tokpace judge`.
//! Latencies are in milliseconds wherever a value leaves the program.

use std::fmt;
use std::str::FromStr;

/// Which direction of a metric is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better, as for latencies.
    Lower,
    /// More is better, as for throughput.
    Higher,
}

/// How a metric's difference between two builds is expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As a ratio: the gate works on logarithms.
    Ratio,
    /// As a difference, in points of a share (`goodput_ratio`, `prefix_hit_ratio`, `error_rate`).
    Difference,
}

/// The shape of a metric in one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Many values a trial; a statistic (`p95`, `mean`, …) must be named.
    Distribution,
    /// One value a trial; no statistic.
    Single,
}

macro_rules! metrics {
    ($($variant:ident $name:literal $unit:literal $better:ident $scale:ident $shape:ident $about:literal;)*) => {
        /// Everything that a trial measures (definitions with formulas: the metrics page of the guide).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $(#[doc = $about] $variant,)* }

        impl Metric {
            /// Every metric, in the order of reports.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name used in files.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            /// The unit of its values; empty for shares and counts.
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit),* }
            }
            /// Which direction is good.
            pub const fn better(self) -> Better {
                match self { $(Self::$variant => Better::$better),* }
            }
            /// Whether builds are compared by ratio or by difference.
            pub const fn scale(self) -> Scale {
                match self { $(Self::$variant => Scale::$scale),* }
            }
            /// Whether a statistic has to be named.
            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape),* }
            }
        }
    };
}

metrics! {
    Ttft "ttft" "ms" Lower Ratio Distribution "time to first token, from the start that the load kind defines";
    Ttfo "ttfo" "ms" Lower Ratio Distribution "time to first output (answer text or tool call, not reasoning)";
    Ttst "ttst" "ms" Lower Ratio Distribution "gap between the first and the second text event";
    Tpot "tpot" "ms" Lower Ratio Distribution "time per output token after the first, one value a request";
    Itl "itl" "ms" Lower Ratio Distribution "inter-token latency, one value per token after the first chunk";
    ChunkGap "chunk_gap" "ms" Lower Ratio Distribution "gap between text events";
    MaxStall "max_stall" "ms" Lower Ratio Distribution "longest gap between text events of a request";
    E2eLatency "e2e_latency" "ms" Lower Ratio Distribution "start to last token";
    ServiceTtft "service_ttft" "ms" Lower Ratio Distribution "time to first token from `sent`";
    ServiceE2eLatency "service_e2e_latency" "ms" Lower Ratio Distribution "`sent` to last token";
    Connect "connect" "ms" Lower Ratio Distribution "DNS, TCP and TLS of a new connection; 0 when reused";
    SendLag "send_lag" "ms" Lower Ratio Distribution "`sent` minus `scheduled`";
    InputTokens "input_tokens" "tokens" Lower Ratio Distribution "prompt tokens of a request";
    OutputTokens "output_tokens" "tokens" Higher Ratio Distribution "answer tokens of a request";
    CachedTokens "cached_tokens" "tokens" Higher Ratio Distribution "prompt tokens that came from the prefix cache";
    ReasoningTokens "reasoning_tokens" "tokens" Lower Ratio Distribution "answer tokens that were reasoning";
    OutputThroughput "output_throughput" "tok/s" Higher Ratio Single "answer tokens a second inside the window";
    InputThroughput "input_throughput" "tok/s" Higher Ratio Single "prompt tokens of answered requests a second inside the window";
    TotalThroughput "total_throughput" "tok/s" Higher Ratio Single "prompt and answer tokens a second inside the window";
    RequestThroughput "request_throughput" "req/s" Higher Ratio Single "completed requests a second inside the window";
    Goodput "goodput" "req/s" Higher Ratio Single "requests a second that met every SLO";
    GoodputRatio "goodput_ratio" "" Higher Difference Single "requests that met every SLO over requests scheduled";
    UserThroughput "user_throughput" "tok/s" Higher Ratio Single "mean over requests of 1 / TPOT";
    ErrorRate "error_rate" "" Lower Difference Single "failed over scheduled requests";
    PrefixHitRatio "prefix_hit_ratio" "" Higher Difference Single "cached over input tokens";
    ConcurrencyMean "concurrency_mean" "" Lower Ratio Single "time-weighted requests in flight";
}

/// A statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Statistic {
    /// A quantile in (0, 1), Hyndman–Fan type 7; `p95` is `0.95`.
    Quantile(f64),
    /// Arithmetic mean.
    Mean,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Sample standard deviation (ddof 1).
    Std,
}

/// A metric with its statistic: `ttft.p95`, `output_throughput`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricId {
    /// What is measured.
    pub metric: Metric,
    /// Which statistic of it; `None` exactly for metrics with a single value.
    pub statistic: Option<Statistic>,
}

/// A name that is not a metric, with the nearest one that is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MetricError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl MetricId {
    /// The quantile this asks for, if it is one: `0.95` for `ttft.p95`.
    pub fn quantile(self) -> Option<f64> {
        match self.statistic {
            Some(Statistic::Quantile(q)) => Some(q),
            _ => None,
        }
    }

    /// Requests that a trial needs for the gate to assess this: `n(1-q) >= 5`, and 1 for anything but a quantile.
    pub fn needed_requests(self) -> u64 {
        self.quantile().map_or(1, |q| (5.0 / (1.0 - q) - 1e-9 / (1.0 - q)).ceil() as u64)
    }
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.name())?;
        match self.statistic {
            None => Ok(()),
            // Rounded to hide binary noise: 0.999 * 100 is 99.9 only nearly.
            Some(Statistic::Quantile(q)) => write!(f, ".p{}", (q * 1e8).round() / 1e6),
            Some(Statistic::Mean) => f.write_str(".mean"),
            Some(Statistic::Min) => f.write_str(".min"),
            Some(Statistic::Max) => f.write_str(".max"),
            Some(Statistic::Std) => f.write_str(".std"),
        }
    }
}

impl FromStr for MetricId {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, MetricError> {
        let (name, statistic) = match text.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let metric = Metric::ALL.iter().copied().find(|m| m.name() == name).ok_or_else(|| unknown_metric(name))?;
        match (metric.shape(), statistic) {
            (Shape::Single, None) => Ok(Self { metric, statistic: None }),
            (Shape::Single, Some(rest)) => Err(MetricError {
                message: format!("`{name}` has one value a trial, so it takes no statistic `.{rest}`"),
                hint: format!("write `{name}`"),
            }),
            (Shape::Distribution, None) => Err(MetricError {
                message: format!("`{name}` needs a statistic"),
                hint: format!("write `{name}.p50`, `{name}.p95` or `{name}.mean`"),
            }),
            (Shape::Distribution, Some(rest)) => parse_statistic(rest)
                .map(|statistic| Self { metric, statistic: Some(statistic) })
                .ok_or_else(|| MetricError {
                    message: format!("`{rest}` is not a statistic"),
                    hint: "use `p50`, `p95`, `p99.9` (any percentile between 0 and 100), `mean`, `min`, `max` or `std`"
                        .into(),
                }),
        }
    }
}

fn unknown_metric(name: &str) -> MetricError {
    let names = Metric::ALL.iter().map(|m| m.name());
    let nearest = names
        .clone()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(name.len()) / 2);
    MetricError {
        message: format!("unknown metric `{name}`"),
        hint: match nearest {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => format!("known metrics: {}", names.collect::<Vec<_>>().join(", ")),
        },
    }
}

fn parse_statistic(text: &str) -> Option<Statistic> {
    Some(match text {
        "mean" => Statistic::Mean,
        "min" => Statistic::Min,
        "max" => Statistic::Max,
        "std" => Statistic::Std,
        _ => {
            let percent: f64 =
                text.strip_prefix('p').filter(|p| p.starts_with(|c: char| c.is_ascii_digit()))?.parse().ok()?;
            (percent > 0.0 && percent < 100.0).then_some(Statistic::Quantile(percent / 100.0))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in ["ttft.p50", "itl.p99.9", "tpot.mean", "e2e_latency.p99", "output_throughput", "error_rate"] {
            assert_eq!(text.parse::<MetricId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_names_get_the_nearest_right_one() {
        let error = |text: &str| text.parse::<MetricId>().unwrap_err();
        assert_eq!(error("tftt.p50").hint, "did you mean `ttft`?");
        assert!(error("ttft").message.contains("needs a statistic"));
        assert!(error("error_rate.p50").message.contains("takes no statistic"));
        assert!(error("ttft.q50").message.contains("not a statistic"));
        assert!(error("ttft.p100").message.contains("not a statistic"));
        assert!(error("ttft.pinf").message.contains("not a statistic"));
    }

    /// Vector T18.
    #[test]
    fn needed_requests_of_the_usual_quantiles() {
        for (text, n) in [("p50", 10), ("p90", 50), ("p95", 100), ("p99", 500), ("p99.9", 5000)] {
            assert_eq!(format!("ttft.{text}").parse::<MetricId>().unwrap().needed_requests(), n, "{text}");
        }
    }
}
