//! Whole files: what they mean, and what people read when they are wrong.

mod life;
mod managed;
mod variants;

use insta::assert_snapshot;

use super::*;
use crate::units::{Share, Time};

fn good(text: &str) -> Project {
    load("tokpace.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn wrong(text: &str) -> String {
    load("tokpace.toml", text).unwrap_err().to_string()
}

fn said(text: &str) -> Vec<String> {
    load("tokpace.toml", text).unwrap_err().list().iter().map(|problem| problem.message.clone()).collect()
}

fn embedded(project: &Project) -> &Embedded {
    let ProfileKind::Embedded(embedded) = &project.profiles["embedded"].kind else { panic!("{project:?}") };
    embedded
}

#[test]
fn no_file_is_the_embedded_server() {
    let project = good("");
    assert_eq!(project, Project::default());
    assert_eq!(project.default_profile, "embedded");
    assert_eq!(embedded(&project), &Embedded::default());
    assert!((project.profiles["embedded"].job_noise - 0.003).abs() < 1e-12);
}

#[test]
fn the_file_of_this_repository_is_the_default_but_for_its_jitter() {
    let project = good(include_str!("../../tokpace.toml"));
    assert_eq!(embedded(&project), &Embedded { jitter: Share(0.01), ..Embedded::default() });
    let rest =
        |project: &Project| (project.default_profile.clone(), project.profiles["embedded"].job_noise.to_string());
    assert_eq!(rest(&project), rest(&Project::default()));
}

#[test]
fn an_endpoint_with_every_key() {
    let project = good(
        r#"
profile = "staging"
[profiles.staging]
kind = "endpoint"
url = "https://${HOST}/v1"
model = "llama"
api_key_env = "STAGING_API_KEY"
headers = { X-Team = "perf" }
extra = { ignore_eos = true }
ca_cert = "ca.pem"
proxy = "http://proxy:3128"
tokenizer = "models/tokenizer.json"
job_noise = "2%"
labels = { gpu = "H100" }
"#,
    );
    assert_eq!(project.default_profile, "staging");
    assert_eq!(project.profiles.len(), 2, "the embedded profile always exists");
    let profile = &project.profiles["staging"];
    assert!((profile.job_noise - 0.02).abs() < 1e-12);
    assert_eq!(profile.labels["gpu"], "H100");
    let ProfileKind::Endpoint(endpoint) = &profile.kind else { panic!("{profile:?}") };
    assert_eq!(endpoint.url, "https://${HOST}/v1", "variables stay unexpanded");
    assert_eq!(endpoint.headers["X-Team"], "perf");
    assert_eq!(endpoint.extra["ignore_eos"], true);
    assert_eq!(endpoint.tokenizer.as_deref(), Some("models/tokenizer.json"));
}

#[test]
fn settings_change_the_chosen_profile() {
    let sets = ["slowdown.decode=10%", "itl = 5ms", "max_batch=8", "prefix_caching=false", "fault={kind=\"error\"}"]
        .map(str::to_owned);
    for text in ["", "[profiles.embedded]\nitl = \"9ms\"\njitter = \"0%\"\n"] {
        let project = load_with("tokpace.toml", text, None, &sets).unwrap_or_else(|problems| panic!("{problems}"));
        let found = embedded(&project);
        assert!((found.slowdown.decode.0 - 0.1).abs() < 1e-12);
        assert_eq!((found.itl, found.max_batch, found.prefix_caching), (Time::from_millis(5), 8, false));
        assert_eq!(found.fault, Some(Fault { kind: FaultKind::Error, rate: Share(1.0) }));
    }
    let text = "[profiles.fast]\nkind = \"embedded\"\n";
    let project = load_with("tokpace.toml", text, Some("fast"), &["itl=1ms".into()]).unwrap();
    assert_eq!(project.default_profile, "fast");
    assert_eq!(embedded(&project).itl, Time::from_millis(4));
    let ProfileKind::Embedded(fast) = &project.profiles["fast"].kind else { panic!("{project:?}") };
    assert_eq!(fast.itl, Time::from_millis(1));
}

#[test]
fn a_wrong_setting_is_shown_in_place_of_the_file() {
    let sets = ["slowdon.decode=10%", "itl=soon", "itl.x=1", "noise", "jitter=100%"].map(str::to_owned);
    let problems = load_with("tokpace.toml", "[profiles.embedded]\nitl = \"4ms\"\n", None, &sets).unwrap_err();
    assert_snapshot!(problems, @r#"
    error: unknown key `slowdon`
     --> --set:1:1
      |
    1 | slowdon.decode=10%
      | ^^^^^^^^^^^^^^
      |
      = hint: did you mean `slowdown`?

    error: `profiles.embedded.itl`: `soon` is not a time
     --> --set:1:5
      |
    1 | itl=soon
      |     ^^^^
      |
      = hint: write a number and a unit, such as `250us`, `300ms`, `2s` or `10m`

    error: `itl.x` cannot be set: `profiles.embedded.itl` is not a table
     --> --set:1:1
      |
    1 | itl.x=1
      | ^^^^^

    error: a setting needs a key and a value
     --> --set:1:1
      |
    1 | noise
      | ^^^^^
      |
      = hint: write `--set key=value`, such as `--set slowdown.decode=10%`

    error: `profiles.embedded.jitter` must be at least 0% and below 100%
     --> --set:1:8
      |
    1 | jitter=100%
      |        ^^^^
    "#);
}

#[test]
fn an_unknown_profile() {
    assert_snapshot!(wrong("profile = \"stagin\"\n[profiles.staging]\nkind = \"embedded\"\n"), @r#"
    error: there is no profile `stagin`
     --> tokpace.toml:1:11
      |
    1 | profile = "stagin"
      |           ^^^^^^^^
      |
      = hint: did you mean `staging`?
    "#);
    let problems = load_with("tokpace.toml", "", Some("x"), &[]).unwrap_err();
    assert_snapshot!(problems, @r#"
    error: there is no profile `x`
    --> tokpace.toml
     = hint: known profiles: embedded
    "#);
}

#[test]
fn several_problems_in_one_file() {
    assert_snapshot!(wrong("
[profiles.embedded]
max_batch = 0
slow_down = { decode = \"5%\" }
[profiles.staging]
kind = \"endpoint\"
url = \"llm.example\"
tokenizer = \"Qwen/Qwen3-0.6B\"
extra = { model = \"x\" }
[profiles.local]
url = \"http://localhost\"
"), @r#"
error: `profiles.embedded.max_batch` must be at least 1
 --> tokpace.toml:3:13
  |
3 | max_batch = 0
  |             ^

error: unknown key `slow_down`
 --> tokpace.toml:4:1
  |
4 | slow_down = { decode = "5%" }
  | ^^^^^^^^^
  |
  = hint: did you mean `slowdown`?

error: `profiles.staging.url` is not a URL
 --> tokpace.toml:7:7
  |
7 | url = "llm.example"
  |       ^^^^^^^^^^^^^
  |
  = hint: write for example `url = "http://localhost:8000"`

error: `profiles.staging.tokenizer` must be a file
 --> tokpace.toml:8:13
  |
8 | tokenizer = "Qwen/Qwen3-0.6B"
  |             ^^^^^^^^^^^^^^^^^ nothing is downloaded by name
  |
  = hint: fetch https://huggingface.co/Qwen/Qwen3-0.6B/resolve/main/tokenizer.json
  = hint: write its path, such as `tokenizer = "models/qwen3-0.6b/tokenizer.json"`

error: `profiles.staging.extra` cannot set `model`
 --> tokpace.toml:9:11
  |
9 | extra = { model = "x" }
  |           ^^^^^
  |
  = hint: write `model = "…"` in the profile, in `tokpace.toml`

error: the profile `local` has no `kind`
  --> tokpace.toml:10:1
   |
10 | [profiles.local]
   | ^^^^^^^^^^^^^^^^
   |
   = hint: write `kind = "endpoint"`, `kind = "managed"` or `kind = "embedded"`
"#);
}

#[test]
fn what_is_wrong_with_a_profile() {
    let endpoint = |text: &str| said(&format!("[profiles.x]\nkind = \"endpoint\"\nurl = \"http://x\"\n{text}"));
    let embedded = |text: &str| said(&format!("[profiles.embedded]\n{text}"));
    for (found, message) in [
        (said("profiles = 5"), "`profiles` must be a table"),
        (said("[profiles]\nx = 5"), "`profiles.x` must be a table"),
        (said("[profiles.\"a b\"]\nkind = \"embedded\""), "`a b` cannot be the name of a profile"),
        (said("profle = \"x\""), "unknown key `profle`"),
        (said("[profile.x]"), "`profile` must be a text in quotes, not a table"),
        (said("[profiles.x]\nkind = \"endpoint\""), "`profiles.x.url` is missing"),
        (said("[profiles.x]\nkind = \"endpiont\""), "`profiles.x.kind` cannot be `endpiont`"),
        (endpoint("job_noise = \"0%\""), "`profiles.x.job_noise` must be above 0% and below 100%"),
        (endpoint("headers = { \"a b\" = \"x\" }"), "`a b` is not the name of a header"),
        (endpoint("itl = \"4ms\""), "unknown key `itl`"),
        (embedded("itl = \"0ms\""), "`profiles.embedded.itl` must be longer than 0"),
        (embedded("jitter = \"-1%\""), "`profiles.embedded.jitter` must be at least 0% and below 100%"),
        (embedded("slowdown = { decode = \"-100%\" }"), "`profiles.embedded.slowdown.decode` must be above -100%"),
        (
            embedded("fault = { kind = \"error\", rate = \"101%\" }"),
            "`profiles.embedded.fault.rate` must be between 0% and 100%",
        ),
        (embedded("fault = { rate = \"1%\" }"), "`profiles.embedded.fault` needs the key `kind`"),
        (embedded("variants = 5"), "`profiles.embedded.variants` must be a table"),
        (embedded("variants.slow = 5"), "`profiles.embedded.variants.slow` must be a table"),
        (embedded("[profiles.embedded.variants.\"a b\"]"), "`a b` cannot be the name of a variant"),
        (embedded("variants.slow.labels = { gpu = \"H100\" }"), "unknown key `labels`"),
        (embedded("variants.slow.itl = \"0ms\""), "`profiles.embedded.variants.slow.itl` must be longer than 0"),
        (
            embedded("[profiles.embedded.variants.slow]\nfault = { rate = \"1%\" }"),
            "`profiles.embedded.variants.slow.fault` needs the key `kind`",
        ),
        (endpoint("variants.b.tokenizer = \"x.json\""), "unknown key `tokenizer`"),
        (endpoint("variants.b.url = \"x\""), "`profiles.x.variants.b.url` is not a URL"),
        (
            endpoint("variants.b.model = 5"),
            "`profiles.x.variants.b.model` must be a text in quotes, not the number `5`",
        ),
        (
            endpoint("[profiles.x.variants.b]\nextra = { stream = true }"),
            "`profiles.x.variants.b.extra` cannot set `stream`",
        ),
    ] {
        assert_eq!(found, [message]);
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_shown() {
    let shown = wrong("[profiles.x]\nkind = \"endpoint\"\nurl = \"http://x\"\napi_key_env = \"sk-hunter2\"\n");
    assert_snapshot!(shown, @r#"
    error: `profiles.x.api_key_env` is not the name of an environment variable
    --> tokpace.toml
     = hint: put the key into a variable, in `.env` for example, and name that variable
    "#);
    assert!(!shown.contains("hunter2"));
}

proptest::proptest! {
    #[test]
    fn no_setting_panics(set in "[a-z.\"]{0,8}=?[a-z0-9%{}=\\[\\]\"é]{0,8}") {
        if let Err(problems) = load_with("tokpace.toml", "[profiles.embedded]\nitl = \"4ms\"", None, &[set]) {
            let _ = problems.render(false);
        }
    }
}
