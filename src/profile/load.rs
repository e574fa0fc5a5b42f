//! The text of `tokpace.toml` to its profiles.

use std::collections::BTreeMap;
use std::path::Path;

use super::file::{COMMON_KEYS, CommonFile, EndpointFile, KindFile, ProjectFile};
use super::{Aging, Embedded, Endpoint, Profile, ProfileKind, Project, managed, set, variants, waiver};
use crate::environment::is_variable_name;
use crate::names;
use crate::toml_file::{Checker, Document, Problem, Problems, SourceFile, did_you_mean};
use crate::units::Share;

/// The profile that exists without a file.
const EMBEDDED: &str = "embedded";

/// Noise from job to job that is assumed of the embedded server, whose costs are known.
const EMBEDDED_NOISE: f64 = 0.003;

/// Noise from job to job that is assumed of other servers.
const NOISE: f64 = 0.03;

impl Default for Project {
    /// What holds without a file: the embedded server.
    fn default() -> Self {
        Self {
            default_profile: EMBEDDED.into(),
            profiles: BTreeMap::from([(EMBEDDED.into(), embedded_profile(Aging::default()))]),
            history: None,
            waivers: Vec::new(),
        }
    }
}

/// The project of a `tokpace.toml`.
///
/// `file` is the path that is shown to people, `text` the file. The error holds every problem of the file.
pub fn load(file: &str, text: &str) -> Result<Project, Problems> {
    load_with(file, text, None, &[])
}

/// The project of a `tokpace.toml`, empty if there is none, with a profile chosen and changed.
///
/// `profile` takes the place of the file's `profile`. Each of `sets` is `key=value`, with a dotted key below the
/// chosen profile's table and a TOML value, or a text without quotes. The error holds every problem.
pub fn load_with(file: &str, text: &str, profile: Option<&str>, sets: &[String]) -> Result<Project, Problems> {
    let mut problems = Problems::new(SourceFile::new(file, text));
    let project =
        Document::parse(text, &mut problems).map(|doc| project(doc, text.len(), profile, sets, &mut problems));
    problems.sort();
    match project {
        Some(project) if !problems.has_errors() => Ok(project),
        _ => Err(problems),
    }
}

fn project<'a>(
    mut doc: Document<'a>,
    end: usize,
    chosen: Option<&str>,
    sets: &'a [String],
    problems: &mut Problems,
) -> Project {
    let mut rest = doc.clone();
    let mut tables = rest.split(&["profiles"]);
    let file: ProjectFile = rest.decode(&["profiles"], problems).unwrap_or_default();
    let default_profile = chosen.or(file.profile.as_deref()).unwrap_or(EMBEDDED).to_owned();

    let known = tables.child("profiles").map(|profiles| profiles.keys()).unwrap_or_default();
    let exists = default_profile == EMBEDDED || known.contains(&default_profile);
    if exists {
        set::apply(&default_profile, sets, end, &mut doc, problems);
        tables = doc.split(&["profiles"]);
    } else {
        let names: Vec<_> = known.iter().map(String::as_str).chain([EMBEDDED]).collect();
        let span = if chosen.is_none() { rest.value_span(&["profile"]) } else { None };
        let hint =
            did_you_mean(&default_profile, &names).unwrap_or_else(|| format!("known profiles: {}", names.join(", ")));
        let problem = Problem::error(format!("there is no profile `{default_profile}`")).at(span);
        problems.push(problem.hint(hint));
    }

    let aging = Aging::of_file(&file);
    let mut profiles = BTreeMap::from([(EMBEDDED.into(), embedded_profile(aging))]);
    if let Some(tables) = tables.child("profiles") {
        for name in tables.keys() {
            if let Err(error) = names::check("profile", &name) {
                problems.push(Problem::error(error.message).at(tables.key_span(&[&name])).hint(error.hint));
            }
            if let Some(table) = tables.child(&name) {
                if let Some(profile) = profile_of(&name, table, aging, problems) {
                    profiles.insert(name, profile);
                }
            } else {
                let problem = Problem::error(format!("`profiles.{name}` must be a table"));
                problems.push(problem.at(tables.value_span(&[&name])).hint(format!("write `[profiles.{name}]`")));
            }
        }
    } else if let Some(span) = tables.value_span(&["profiles"]) {
        problems.push(Problem::error("`profiles` must be a table").at(span).hint("write `[profiles.NAME]`"));
    }
    if file.history.as_ref().is_some_and(|folder| folder.trim().is_empty()) {
        let problem = Problem::error("`history` must be a folder").at(rest.value_span(&["history"]));
        problems.push(problem.hint("write for example `history = \"perf/history\"`"));
    }
    let names: Vec<&str> = known.iter().map(String::as_str).chain([EMBEDDED]).collect();
    let waivers = waiver::waivers(&rest, file.waiver, &names, problems);
    Project { default_profile, profiles, history: file.history, waivers }
}

fn embedded_profile(aging: Aging) -> Profile {
    Profile {
        name: EMBEDDED.into(),
        kind: ProfileKind::Embedded(Embedded::default()),
        job_noise: EMBEDDED_NOISE,
        labels: BTreeMap::new(),
        aging,
        variants: variants::of_embedded(&Embedded::default()),
        variant: None,
    }
}

fn profile_of(name: &str, mut doc: Document<'_>, aging: Aging, problems: &mut Problems) -> Option<Profile> {
    let declared = variants::declared(&mut doc, problems);
    let mut common_doc = doc.split(&COMMON_KEYS);
    let common: CommonFile = common_doc.decode(&[], problems)?;
    if common.job_noise.is_some_and(|Share(noise)| !(noise > 0.0 && noise < 1.0)) {
        let problem = Problem::error(format!("`profiles.{name}.job_noise` must be above 0% and below 100%"));
        problems.push(problem.at(common_doc.value_span(&["job_noise"])).hint("write for example `job_noise = \"3%\"`"));
    }
    let (kind, noise) = match common.kind {
        Some(KindFile::Embedded) => {
            (ProfileKind::Embedded(embedded(&mut doc, &COMMON_KEYS, problems)?), EMBEDDED_NOISE)
        }
        Some(KindFile::Endpoint) => (ProfileKind::Endpoint(endpoint(&mut doc, &COMMON_KEYS, problems)?), NOISE),
        Some(KindFile::Managed) => (ProfileKind::Managed(managed::managed(&mut doc, &COMMON_KEYS, problems)?), NOISE),
        None if !common_doc.intact(&["kind"]) => return None,
        None if name == EMBEDDED => {
            (ProfileKind::Embedded(embedded(&mut doc, &COMMON_KEYS, problems)?), EMBEDDED_NOISE)
        }
        None => {
            let problem = Problem::error(format!("the profile `{name}` has no `kind`")).at(doc.span());
            problems.push(problem.hint("write `kind = \"endpoint\"`, `kind = \"managed\"` or `kind = \"embedded\"`"));
            return None;
        }
    };
    let job_noise = common.job_noise.map_or(noise, |share| share.0);
    let variants = variants::resolve(&kind, &doc, declared, problems);
    Some(Profile {
        name: name.to_owned(),
        kind,
        job_noise,
        aging: aging.with(&common),
        labels: common.labels,
        variants,
        variant: None,
    })
}

/// The settings of the embedded server. `known` are keys beside them that a typo may have meant.
pub(super) fn embedded(doc: &mut Document<'_>, known: &[&str], problems: &mut Problems) -> Option<Embedded> {
    let file: Embedded = doc.decode(known, problems)?;
    let mut checker = Checker { doc, problems };
    checker.positive(&["max_batch"], Some(file.max_batch));
    checker.positive(&["kv_blocks"], Some(file.kv_blocks));
    checker.positive(&["block_size"], Some(file.block_size));
    checker.some_time(&["itl"], Some(file.itl));
    let mut within = |path: &[&str], Share(value): Share, good: bool, range: &str| {
        if !(good && value.is_finite()) {
            let problem = checker.at(path, format!("`{}` must be {range}", checker.doc.name(path)));
            checker.problems.push(problem);
        }
    };
    within(&["step_growth"], file.step_growth, file.step_growth.0 >= 0.0, "at least 0%");
    within(&["jitter"], file.jitter, (0.0..1.0).contains(&file.jitter.0), "at least 0% and below 100%");
    let slowdown = file.slowdown;
    within(&["slowdown", "prefill"], slowdown.prefill, slowdown.prefill.0 > -1.0, "above -100%");
    within(&["slowdown", "decode"], slowdown.decode, slowdown.decode.0 > -1.0, "above -100%");
    if let Some(fault) = file.fault {
        within(&["fault", "rate"], fault.rate, (0.0..=1.0).contains(&fault.rate.0), "between 0% and 100%");
    }
    Some(file)
}

/// How an endpoint is reached. `known` are keys beside its own that a typo may have meant.
pub(super) fn endpoint(doc: &mut Document<'_>, known: &[&str], problems: &mut Problems) -> Option<Endpoint> {
    let file: EndpointFile = doc.decode(known, problems)?;
    let mut checker = Checker { doc, problems };
    match &file.url {
        Some(url) if !is_url(url) => {
            let problem = checker.at(&["url"], format!("`{}` is not a URL", checker.doc.name(&["url"])));
            checker.problems.push(problem.hint("write for example `url = \"http://localhost:8000\"`"));
        }
        None if checker.doc.intact(&["url"]) => {
            let problem = Problem::error(format!("`{}` is missing", checker.doc.name(&["url"]))).at(checker.doc.span());
            checker.problems.push(problem.hint("write for example `url = \"http://localhost:8000\"`"));
        }
        _ => {}
    }
    check_client(&mut checker, file.api_key_env.as_deref(), file.headers.keys(), file.tokenizer.as_deref());
    let extra = checker.request_body(&["extra"], &file.extra);
    Some(Endpoint {
        url: file.url.unwrap_or_default(),
        model: file.model,
        api_key_env: file.api_key_env,
        headers: file.headers,
        extra,
        ca_cert: file.ca_cert,
        proxy: file.proxy,
        tokenizer: file.tokenizer,
    })
}

/// What endpoints and managed servers have in common: how a client talks to them.
pub(super) fn check_client<'n>(
    checker: &mut Checker<'_, '_>,
    api_key_env: Option<&str>,
    headers: impl Iterator<Item = &'n String>,
    tokenizer: Option<&str>,
) {
    if api_key_env.is_some_and(|name| !is_variable_name(name)) {
        // No span: the text that stands there may well be the key, and a problem shows its line.
        let name = checker.doc.name(&["api_key_env"]);
        let problem = Problem::error(format!("`{name}` is not the name of an environment variable"));
        checker
            .problems
            .push(problem.hint("put the key into a variable, in `.env` for example, and name that variable"));
    }
    for name in headers.filter(|name| !is_header_name(name)) {
        let message = format!("`{}` is not the name of a header", name.escape_debug());
        let span = checker.doc.key_span(&["headers", name]);
        checker.problems.push(Problem::error(message).at(span).hint("use letters, digits and `-`"));
    }
    if let Some(tokenizer) = tokenizer.filter(|text| !is_json_file(text)) {
        let problem = checker.at(&["tokenizer"], format!("`{}` must be a file", checker.doc.name(&["tokenizer"])));
        let model = tokenizer.trim_matches('/').to_owned();
        let stem = model.rsplit('/').next().unwrap_or_default().to_lowercase();
        checker.problems.push(
            problem
                .label("nothing is downloaded by name")
                .hint(format!("fetch https://huggingface.co/{model}/resolve/main/tokenizer.json"))
                .hint(format!("write its path, such as `tokenizer = \"models/{stem}/tokenizer.json\"`")),
        );
    }
}

/// What a variable stands for is known only when it is used.
fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    text.contains("${") || host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
}

fn is_json_file(text: &str) -> bool {
    text.contains("${") || Path::new(text).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
