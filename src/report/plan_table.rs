//! What a run would send and cost, before anything is sent.

use std::fmt::Write as _;

use serde::Serialize;

use crate::plan::{Plan, PlannedRequest};
use crate::predict::Duration;
use crate::report::lines::{WIDTH, clipped, wrapped};
use crate::report::number::{self, json_line, six_digits};

/// Price of a million tokens, in whatever currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Answer tokens.
    pub output: f64,
}

/// Requests and their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Requests.
    pub requests: u64,
    /// Prompt tokens.
    pub input: u64,
    /// Answer tokens asked for.
    pub output: u64,
}

impl Amount {
    /// What a list of requests amounts to.
    pub fn of(requests: &[PlannedRequest]) -> Self {
        requests.iter().fold(Self::default(), |sum, request| {
            sum.plus(Self {
                requests: 1,
                input: u64::from(request.prompt.input_tokens),
                output: u64::from(request.max_tokens),
            })
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            input: self.input + other.input,
            output: self.output + other.output,
        }
    }

    fn times(self, n: u32) -> Self {
        let n = u64::from(n);
        Self { requests: self.requests * n, input: self.input * n, output: self.output * n }
    }

    fn price(self, price: Price) -> f64 {
        (self.input as f64 * price.input + self.output as f64 * price.output) / 1e6
    }
}

/// What a case would send.
#[derive(Clone, Debug, PartialEq)]
pub struct CasePlan {
    /// The case's name.
    pub case: String,
    /// Hash of its plan.
    pub plan: String,
    /// The measured requests of a trial.
    pub trial: Amount,
    /// Requests before each trial that prime shared prefixes.
    pub prime: Amount,
    /// Requests before the first trial.
    pub warmup: Amount,
    /// A trial ends by its duration and may send fewer requests.
    pub at_most: bool,
    /// Fewest and most trials.
    pub trials: (u32, u32),
    /// How long it takes, if that can be told.
    pub duration: Option<Duration>,
}

impl CasePlan {
    /// What `plan` amounts to.
    pub fn new(case: &str, plan: &Plan, trials: (u32, u32), duration: Option<Duration>) -> Self {
        Self {
            case: case.to_owned(),
            plan: plan.hash.clone(),
            trial: Amount::of(&plan.requests),
            prime: Amount::of(&plan.prime),
            warmup: Amount::of(&plan.warmup),
            at_most: plan.duration.is_some(),
            trials,
            duration,
        }
    }

    /// Everything that is sent, with the fewest and with the most trials.
    pub fn total(&self) -> [Amount; 2] {
        [self.trials.0, self.trials.1].map(|trials| self.warmup.plus(self.trial.plus(self.prime).times(trials)))
    }

    /// Seconds, with the fewest and with the most trials.
    pub fn seconds(&self) -> Option<[f64; 2]> {
        let Duration { warmup, trial } = self.duration?;
        Some([self.trials.0, self.trials.1].map(|trials| warmup + trial * f64::from(trials)))
    }
}

/// The table of what a run would send.
pub fn plan_table(profile: &str, cases: &[CasePlan], price: Option<Price>) -> String {
    let rule = "─".repeat(WIDTH);
    let count = number::count(cases.len() as u64, "case");
    let mut lines =
        vec![clipped(&format!("tokpace · profile {profile} · {count} · nothing was sent"), WIDTH), rule.clone()];
    let head = ["requests", "input", "output", "trials", "a trial", "in all", "price"].map(str::to_owned);
    lines.push(row("case", &head[..if price.is_some() { 7 } else { 6 }]));
    for case in cases {
        let most = if case.at_most { "≤" } else { "" };
        let amount = |n: u64| format!("{most}{}", rounded(n));
        let unknown = || "unknown".to_owned();
        let mut cells = vec![
            amount(case.trial.requests),
            amount(case.trial.input),
            amount(case.trial.output),
            range(&case.trials.0.to_string(), &case.trials.1.to_string(), ""),
            case.duration.map_or_else(unknown, |duration| time([duration.trial; 2])),
            case.seconds().map_or_else(unknown, time),
        ];
        if let Some(price) = price {
            cells.push(money(case.total().map(|amount| amount.price(price))));
        }
        lines.push(row(&case.case, &cells));
    }
    lines.push(rule);
    lines.extend(totals(cases, price));
    lines.join("\n") + "\n"
}

/// A name and figures flush right; the name has what they leave.
fn row(name: &str, cells: &[String]) -> String {
    const WIDTHS: [usize; 7] = [8, 7, 7, 6, 8, 11, 11];
    let mut right = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let _ = write!(right, " {cell:>width$}");
    }
    let width = WIDTH.saturating_sub(right.chars().count());
    format!("{:<width$}{right}", clipped(name, width))
}

fn totals(cases: &[CasePlan], price: Option<Price>) -> Vec<String> {
    let sum = |at: usize| cases.iter().fold(Amount::default(), |sum, case| sum.plus(case.total()[at]));
    let (least, most) = (sum(0), sum(1));
    let of = |get: fn(&Amount) -> u64| range(&rounded(get(&least)), &rounded(get(&most)), "");
    let mut lines = vec![wrapped(
        "in all: ",
        "  ",
        &format!(
            "{} requests with {} input tokens, and at most {} output tokens",
            of(|amount| amount.requests),
            of(|amount| amount.input),
            of(|amount| amount.output)
        ),
    )];
    let known: Option<Vec<[f64; 2]>> = cases.iter().map(CasePlan::seconds).collect();
    lines.push(match known {
        Some(seconds) => {
            let sum = seconds.iter().fold([0.0, 0.0], |sum, [a, b]| [sum[0] + a, sum[1] + b]);
            format!("time: about {}", time(sum))
        }
        None => "time: unknown where no baseline tells how long a request takes".into(),
    });
    if let Some(price) = price {
        lines.push(format!("price: at most {}", money([least.price(price), most.price(price)])));
    }
    lines.push("warm-up and priming are counted; trials that are no measurement come on top".into());
    lines
}

/// Five digits, then thousands and millions.
fn rounded(n: u64) -> String {
    match n {
        0..100_000 => n.to_string(),
        100_000..10_000_000 => format!("{:.0}k", n as f64 / 1e3),
        10_000_000.. => format!("{:.1}M", n as f64 / 1e6),
    }
}

fn range(least: &str, most: &str, unit: &str) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    if least == most { format!("{least}{space}{unit}") } else { format!("{least}–{most}{space}{unit}") }
}

/// `9.8 s`, `42–56 s`, `1.5–2.0 min`.
fn time(seconds: [f64; 2]) -> String {
    let (unit, factor) = match seconds[1] {
        s if s < 120.0 => ("s", 1.0),
        s if s < 7200.0 => ("min", 60.0),
        _ => ("h", 3600.0),
    };
    let digits = usize::from(seconds[1] / factor < 10.0);
    let [least, most] = seconds.map(|s| format!("{:.digits$}", s / factor));
    range(&least, &most, unit)
}

fn money(prices: [f64; 2]) -> String {
    let digits = if prices[1] < 1.0 { 4 } else { 2 };
    let [least, most] = prices.map(|price| format!("{price:.digits$}"));
    range(&least, &most, "")
}

/// A case as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    case: &'a str,
    requests: u64,
    input_tokens: u64,
    output_tokens: u64,
    at_most: bool,
    trials: [u32; 2],
    trial_seconds: Option<f64>,
    seconds: Option<[f64; 2]>,
    total_requests: [u64; 2],
    total_input_tokens: [u64; 2],
    total_output_tokens: [u64; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<[f64; 2]>,
    plan: &'a str,
}

/// One JSON object a case: a trial's amounts, and those of a run with the fewest and with the most trials.
pub fn plan_json(cases: &[CasePlan], price: Option<Price>) -> String {
    let line = |case: &CasePlan| {
        let total = case.total();
        json_line(&Line {
            case: &case.case,
            requests: case.trial.requests,
            input_tokens: case.trial.input,
            output_tokens: case.trial.output,
            at_most: case.at_most,
            trials: [case.trials.0, case.trials.1],
            trial_seconds: case.duration.map(|duration| six_digits(duration.trial)),
            seconds: case.seconds().map(|seconds| seconds.map(six_digits)),
            total_requests: total.map(|amount| amount.requests),
            total_input_tokens: total.map(|amount| amount.input),
            total_output_tokens: total.map(|amount| amount.output),
            price: price.map(|price| total.map(|amount| six_digits(amount.price(price)))),
            plan: &case.plan,
        })
    };
    cases.iter().map(line).collect()
}
