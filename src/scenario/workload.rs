//! What is sent: lengths, datasets, shared prefixes.

use super::file::{DatasetFile, DrawnFile, LengthFile, PrefixFile, SystemPromptFile, WorkloadFile};
use super::{Conversation, Dataset, DatasetFormat, Length, Prefix, SystemPrompt, Workload, defaults};
use crate::toml_file::{Checker, Problem};
use crate::wire::Protocol;

/// Longest prompt or answer: more than any model takes, little enough for a plan to fit into memory.
const MOST_TOKENS: u32 = 10_000_000;

/// A file that prompts come from.
#[derive(Clone, Copy)]
struct Origin {
    key: [&'static str; 2],
    /// What it is called.
    name: &'static str,
    /// It says how long each answer is.
    answers: bool,
}

impl Origin {
    fn of(file: &WorkloadFile, checker: &mut Checker<'_, '_>) -> Option<Self> {
        let dataset = file.dataset.as_ref().map(|dataset| Self {
            key: ["workload", "dataset"],
            name: "dataset",
            answers: dataset.format == Some(DatasetFormat::Mooncake),
        });
        let trace = Self { key: ["load", "trace"], name: "trace", answers: true };
        let key = checker.doc.key_span(&trace.key);
        // A trace that cannot be read is still a trace.
        if key.is_none() && checker.doc.intact(&trace.key) {
            return dataset;
        }
        if let Some(dataset) = dataset {
            let problem = Problem::error("a trace has prompts of its own")
                .at(checker.doc.key_span(&dataset.key))
                .context(key, "prompts come from here")
                .hint(
                    "remove `dataset`; to pace a trace's prompts otherwise, use it as a dataset of format `mooncake`",
                );
            checker.problems.push(problem);
        }
        Some(trace)
    }

    /// Warns of a length that prompts or answers do not get.
    fn unused(self, length: &str, checker: &mut Checker<'_, '_>) {
        if let Some(key) = checker.doc.key_span(&["workload", length]) {
            let what = if length == "input_tokens" { "prompts" } else { "answers" };
            let message = format!("`workload.{length}` does not apply to the {what} of a {}", self.name);
            let problem = Problem::warning(message).at(key);
            checker.problems.push(problem.context(checker.doc.key_span(&self.key), "prompts come from here"));
        }
    }
}

/// `protocol` says whether answers have a length.
pub(super) fn resolve(file: &WorkloadFile, protocol: Protocol, checker: &mut Checker<'_, '_>) -> Workload {
    let origin = Origin::of(file, checker);
    if let Some(origin) = origin {
        origin.unused("input_tokens", checker);
    }
    if let Some(origin) = origin.filter(|origin| origin.answers) {
        origin.unused("output_tokens", checker);
    }
    let input_tokens = match (&file.input_tokens, origin) {
        (Some(length), _) => self::length(length, &["workload", "input_tokens"], checker),
        (None, Some(_)) => Length::Fixed(0),
        (None, None) => {
            let hint = "write for example `input_tokens = 128`";
            checker.absent(&["workload"], "`workload.input_tokens` is missing", hint);
            Length::Fixed(1)
        }
    };
    if let Some(key) = checker.doc.key_span(&["workload", "output_tokens"]).filter(|_| !protocol.has_tokens()) {
        let message = format!("`workload.output_tokens` does not apply to the answers of `{protocol}`");
        let problem = Problem::warning(message).at(key);
        let problem = problem.context(checker.doc.value_span(&["request", "protocol"]), "chosen here");
        checker.problems.push(problem.hint("remove it"));
    }
    let output_tokens = match (&file.output_tokens, origin) {
        (Some(length), _) => self::length(length, &["workload", "output_tokens"], checker),
        (None, _) if !protocol.has_tokens() => Length::Fixed(0),
        (None, Some(_)) => Length::Fixed(defaults::DATASET_OUTPUT_TOKENS),
        (None, None) => {
            let hint = "write for example `output_tokens = 64`";
            checker.absent(&["workload"], "`workload.output_tokens` is missing", hint);
            Length::Fixed(1)
        }
    };
    let conversation = file.conversation.as_ref().map(|conversation| {
        if checker.doc.intact(&["workload", "conversation"]) && conversation.turns == 0 {
            let path = ["workload", "conversation"];
            let problem = checker.at(&path, "`workload.conversation` needs `turns` of at least 1");
            checker.problems.push(problem);
        }
        Conversation { turns: conversation.turns, think_time: conversation.think_time }
    });
    Workload {
        prefix: file.prefix.as_ref().map(|prefix| self::prefix(prefix, file, origin, &input_tokens, checker)),
        input_tokens,
        output_tokens,
        system_prompt: file.system_prompt.as_ref().map(|prompt| system_prompt(prompt, checker)),
        dataset: file.dataset.as_ref().map(|dataset| self::dataset(dataset, checker)),
        conversation,
        seed: file.seed.unwrap_or(defaults::SEED),
        salt: file.salt.unwrap_or(true),
    }
}

fn system_prompt(file: &SystemPromptFile, checker: &mut Checker<'_, '_>) -> SystemPrompt {
    match file {
        SystemPromptFile::Text(text) => SystemPrompt::Text(text.clone()),
        SystemPromptFile::File(file) => {
            some_path(&["workload", "system_prompt"], &file.path, checker);
            SystemPrompt::Path(file.path.clone())
        }
    }
}

fn dataset(file: &DatasetFile, checker: &mut Checker<'_, '_>) -> Dataset {
    let path = ["workload", "dataset"];
    some_path(&path, &file.path, checker);
    let format = file.format.unwrap_or_else(|| match file.path.rsplit_once('.') {
        Some((_, "jsonl")) => DatasetFormat::Jsonl,
        Some((_, "txt")) => DatasetFormat::Text,
        _ => {
            let hint = "write for example `format = \"sharegpt\"`; known formats: jsonl, sharegpt, mooncake, text";
            checker.absent(&path, "`workload.dataset.format` is missing", hint);
            DatasetFormat::Jsonl
        }
    });
    Dataset { path: file.path.clone(), format }
}

fn some_path(table: &[&str], path: &str, checker: &mut Checker<'_, '_>) {
    if path.is_empty() {
        let message = format!("`{}.path` is missing", checker.doc.name(table));
        checker.absent(table, &message, "write the path of a file, relative to the scenario file");
    }
}

fn prefix(
    file: &PrefixFile,
    workload: &WorkloadFile,
    origin: Option<Origin>,
    input: &Length,
    checker: &mut Checker<'_, '_>,
) -> Prefix {
    let table = ["workload", "prefix"];
    checker.positive(&["workload", "prefix", "groups"], file.groups);
    let path = ["workload", "prefix", "prefix_tokens"];
    if let Some(Origin { key, name, answers: of_trace }) = origin {
        let message = if of_trace {
            "a trace says itself which prefixes are shared"
        } else {
            "a dataset's prompts have no shared prefix"
        };
        let problem = Problem::error(message)
            .at(checker.doc.key_span(&table))
            .context(checker.doc.key_span(&key), "prompts come from here")
            .hint(format!("use `input_tokens` in place of `{name}`, or a `system_prompt` in place of `prefix`"));
        checker.problems.push(problem);
    } else if checker.doc.value(&path).is_none() {
        let hint = "write for example `prefix_tokens = 1024`";
        checker.absent(&table, "`workload.prefix.prefix_tokens` is missing", hint);
    } else if file.prefix_tokens == 0 {
        checker.positive(&path, Some(0));
    } else if workload.input_tokens.is_some() && file.prefix_tokens >= shortest(input) {
        let shortest = shortest(input);
        let problem = checker
            .at(&path, format!("a prefix of {} tokens leaves no room in a prompt of {shortest}", file.prefix_tokens))
            .context(checker.doc.value_span(&["workload", "input_tokens"]), "holds prefix and suffix")
            .hint(match input {
                Length::Lognormal { .. } => {
                    "a lognormal length can be as short as 1; use `uniform`, or `mean` and `stddev` with `min`"
                }
                Length::Normal { .. } => "raise `min` of `input_tokens` above `prefix_tokens`",
                _ => "raise `input_tokens` above `prefix_tokens`: the rest is the request's own",
            });
        checker.problems.push(problem);
    }
    Prefix { groups: file.groups.unwrap_or(1), prefix_tokens: file.prefix_tokens, prime: file.prime.unwrap_or(true) }
}

/// The shortest prompt that can be drawn.
fn shortest(length: &Length) -> u32 {
    match length {
        Length::Fixed(n) | Length::Uniform(n, _) => *n,
        Length::Normal { min, .. } => *min,
        Length::Lognormal { .. } => 1,
        Length::List(values) => values.iter().copied().min().unwrap_or(0),
    }
}

fn length(file: &LengthFile, path: &[&str], checker: &mut Checker<'_, '_>) -> Length {
    let name = checker.doc.name(path);
    match file {
        LengthFile::Fixed(tokens) => {
            some_tokens(*tokens, path, checker);
            Length::Fixed(*tokens)
        }
        LengthFile::List(values) => {
            if values.is_empty() {
                let problem = checker.at(path, format!("`{name}` is an empty list"));
                checker.problems.push(problem.hint("write at least one number of tokens"));
            }
            for (index, tokens) in values.iter().enumerate() {
                let index = index.to_string();
                some_tokens(*tokens, &[path, &[index.as_str()]].concat(), checker);
            }
            Length::List(values.clone())
        }
        LengthFile::Drawn(drawn) => self::drawn(drawn, path, checker),
    }
}

fn some_tokens(tokens: u32, path: &[&str], checker: &mut Checker<'_, '_>) {
    if !(1..=MOST_TOKENS).contains(&tokens) {
        let message = format!("`{}` must be between 1 and {MOST_TOKENS}", checker.doc.name(path));
        let problem = checker.at(path, message);
        checker.problems.push(problem);
    }
}

fn drawn(file: &DrawnFile, path: &[&str], checker: &mut Checker<'_, '_>) -> Length {
    let name = checker.doc.name(path);
    let normal = file.mean.is_some() || file.stddev.is_some();
    let kinds = usize::from(normal) + usize::from(file.uniform.is_some()) + usize::from(file.lognormal.is_some());
    if kinds != 1 && checker.doc.intact(path) {
        let how = if kinds == 0 { "no distribution" } else { "more than one distribution" };
        let problem = checker.at(path, format!("`{name}` has {how}"));
        checker.problems.push(problem.hint(
            "write one of `{ mean = 128, stddev = 32 }`, `{ uniform = [64, 256] }` and \
             `{ lognormal = { median = 90, p95 = 400 } }`",
        ));
    }
    if kinds == 1 && !normal {
        for key in ["min", "max"] {
            let path = [path, &[key]].concat();
            if let Some(span) = checker.doc.key_span(&path) {
                let message = format!("`{}` applies to `mean` and `stddev` only", checker.doc.name(&path));
                checker.problems.push(Problem::error(message).at(span));
            }
        }
    }
    if let Some(bounds) = &file.uniform {
        return uniform(bounds, &[path, &["uniform"]].concat(), checker);
    }
    if let Some(lognormal) = &file.lognormal {
        let path = [path, &["lognormal"]].concat();
        return self::lognormal(lognormal.median, lognormal.p95, &path, checker);
    }
    self::normal(file, path, checker)
}

fn uniform(bounds: &[u32], path: &[&str], checker: &mut Checker<'_, '_>) -> Length {
    let [low, high] = *bounds else {
        let message = format!("`{}` needs two numbers, the smallest and the largest", checker.doc.name(path));
        let problem = checker.at(path, message);
        checker.problems.push(problem.hint("write for example `uniform = [64, 256]`"));
        return Length::Fixed(MOST_TOKENS);
    };
    some_tokens(low, &[path, &["0"]].concat(), checker);
    some_tokens(high, &[path, &["1"]].concat(), checker);
    if low > high {
        let problem = checker.at(path, format!("`{}` ends before it starts", checker.doc.name(path)));
        checker.problems.push(problem.hint(format!("write `uniform = [{high}, {low}]`")));
    }
    Length::Uniform(low, high)
}

fn lognormal(median: Option<f64>, p95: Option<f64>, path: &[&str], checker: &mut Checker<'_, '_>) -> Length {
    checker.above_zero(&[path, &["median"]].concat(), median);
    checker.above_zero(&[path, &["p95"]].concat(), p95);
    let (Some(median), Some(p95)) = (median, p95) else {
        let message = format!("`{}` needs `median` and `p95`", checker.doc.name(path));
        checker.absent(path, &message, "write for example `lognormal = { median = 90, p95 = 400 }`");
        return Length::Fixed(MOST_TOKENS);
    };
    if p95 < median || p95 > f64::from(MOST_TOKENS) {
        let message = format!("`{}.p95` must be between the median and {MOST_TOKENS}", checker.doc.name(path));
        let problem = checker.at(&[path, &["p95"]].concat(), message);
        checker.problems.push(problem);
    }
    Length::Lognormal { median, p95 }
}

fn normal(file: &DrawnFile, path: &[&str], checker: &mut Checker<'_, '_>) -> Length {
    let name = checker.doc.name(path);
    checker.above_zero(&[path, &["mean"]].concat(), file.mean);
    if file.stddev.is_some_and(|value| !(value.is_finite() && value >= 0.0)) {
        let problem = checker.at(&[path, &["stddev"]].concat(), format!("`{name}.stddev` must be at least 0"));
        checker.problems.push(problem);
    }
    let (Some(mean), Some(stddev)) = (file.mean, file.stddev) else {
        if file.mean.is_some() || file.stddev.is_some() {
            let hint = "write for example `{ mean = 128, stddev = 32 }`, or a plain number for a fixed length";
            checker.absent(path, &format!("`{name}` needs `mean` and `stddev`"), hint);
        }
        return Length::Fixed(MOST_TOKENS);
    };
    for (key, value) in [("min", file.min), ("max", file.max)] {
        if let Some(value) = value {
            some_tokens(value, &[path, &[key]].concat(), checker);
        }
    }
    let min = file.min.unwrap_or(1);
    // Six standard deviations: practically never drawn, and it keeps the plan's size known.
    let max = file.max.unwrap_or((mean + 6.0 * stddev).ceil().min(f64::from(MOST_TOKENS)) as u32);
    if mean > 0.0 && stddev >= 0.0 && !(f64::from(min)..=f64::from(max)).contains(&mean) {
        let problem = checker.at(path, format!("`{name}` needs `min` <= `mean` <= `max`"));
        checker.problems.push(problem.label(format!("{min} to {max} around {mean}")));
    }
    Length::Normal { mean, stddev, min, max }
}
