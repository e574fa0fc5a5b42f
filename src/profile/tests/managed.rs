//! Managed servers: their keys, what a preset adds, and what is wrong with them.

use insta::assert_snapshot;

use super::*;

fn server<'p>(project: &'p Project, variant: Option<&str>) -> &'p Managed {
    let profile = &project.profiles["local"];
    let kind = variant.map_or(&profile.kind, |variant| &profile.variants[variant]);
    let ProfileKind::Managed(managed) = kind else { panic!("{profile:?}") };
    managed
}

const LOCAL: &str = "[profiles.local]\nkind = \"managed\"\n";

#[test]
fn every_key() {
    let project = good(
        "[profiles.local]
kind = \"managed\"
preset = \"vllm\"
command = [\"vllm\", \"serve\", \"m\", \"--port\", \"{port}\"]
args = [\"--max-num-seqs\", \"4\"]
env = { VLLM_LOGGING_LEVEL = \"WARNING\" }
port = 8000
ready_path = \"/v1/models\"
ready_timeout = \"10m\"
stop_timeout = \"3s\"
cwd = \"servers\"
exclusive = true
model = \"m\"
tokenizer = \"models/m/tokenizer.json\"
api_key_env = \"LOCAL_KEY\"
headers = { X-Team = \"perf\" }
extra = { top_k = 1 }
job_noise = \"2%\"
labels = { gpu = \"H100\" }
",
    );
    let profile = &project.profiles["local"];
    assert_eq!((profile.job_noise, profile.labels["gpu"].as_str()), (0.02, "H100"));
    let found = server(&project, None);
    assert_eq!(found.preset, Preset::Vllm);
    assert_eq!((found.command.len(), found.args.len(), found.env.len()), (5, 2, 1));
    assert_eq!((found.port, found.ready_path.as_str(), found.exclusive), (Some(8000), "/v1/models", true));
    assert_eq!((found.ready_timeout, found.stop_timeout), (Time::from_secs(600), Time::from_secs(3)));
    assert_eq!(found.cwd.as_deref(), Some("servers"));
    let endpoint = &found.endpoint;
    assert_eq!((endpoint.url.as_str(), endpoint.model.as_deref()), ("http://127.0.0.1:{port}", Some("m")));
    assert_eq!(endpoint.api_key_env.as_deref(), Some("LOCAL_KEY"));
    assert_eq!((endpoint.headers.len(), endpoint.extra.len()), (1, 1));
    assert_eq!(endpoint.tokenizer.as_deref(), Some("models/m/tokenizer.json"));
}

#[test]
fn defaults_are_those_of_the_preset() {
    for (preset, ready_path) in [("", "/v1/models"), ("preset = \"llama-cpp\"\n", "/health")] {
        let project = good(&format!("{LOCAL}{preset}command = [\"serve\", \"{{port}}\"]\n"));
        let found = server(&project, None);
        assert_eq!((found.ready_path.as_str(), found.port, found.exclusive), (ready_path, None, false));
        assert_eq!((found.ready_timeout, found.stop_timeout), (Time::from_secs(300), Time::from_secs(15)));
        assert!((project.profiles["local"].job_noise - 0.03).abs() < 1e-12);
    }
}

#[test]
fn presets_switch_the_prefix_cache() {
    let told = |preset: &str, rest: &str| {
        let text = format!("{LOCAL}preset = \"{preset}\"\ncommand = [\"serve\", \"{{port}}\"]\n{rest}\n");
        let project = good(&text);
        ["prefix-caching-on", "prefix-caching-off"].map(|variant| {
            let server = server(&project, Some(variant));
            let env = server.env.iter().map(|(name, value)| format!("{name}={value}"));
            server.command.iter().skip(2).chain(&server.args).cloned().chain(env).collect::<Vec<_>>().join(" ")
        })
    };
    for (preset, on, off) in [
        ("vllm", "--enable-prefix-caching", "--no-enable-prefix-caching"),
        ("sglang", "", "--disable-radix-cache"),
        ("llama-cpp", "--cache-prompt", "--no-cache-prompt"),
        ("tgi", "PREFIX_CACHING=1", "PREFIX_CACHING=0"),
        ("lightllm", "", "--disable_dynamic_prompt_cache"),
    ] {
        assert_eq!(told(preset, ""), [on, off], "{preset}");
    }
    // What the profile says of it gives way, everything else stays.
    let args = "args = [\"--disable-radix-cache\", \"--tp\", \"2\"]";
    assert_eq!(told("sglang", args), ["--tp 2", "--tp 2 --disable-radix-cache"]);
    let none = good(&format!("{LOCAL}command = [\"serve\", \"{{port}}\"]\n"));
    assert!(none.profiles["local"].variants.is_empty());
}

#[test]
fn a_variant_changes_what_it_names() {
    let project = good(
        "[profiles.local]
kind = \"managed\"
preset = \"vllm\"
command = [\"vllm\", \"serve\", \"m\", \"--port\", \"{port}\"]
args = [\"--tp\", \"1\"]
env = { A = \"1\", B = \"1\" }
model = \"m\"
headers = { X-Team = \"perf\" }
[profiles.local.variants.prefix-caching-off]
args = [\"--no-enable-prefix-caching\", \"--seed\", \"1\"]
[profiles.local.variants.prefix-caching-on]
env = { B = \"2\" }
headers = { x-team = \"other\" }
[profiles.local.variants.other]
command = [\"serve\", \"{port}\"]
model = \"n\"
extra = { top_k = 1 }
",
    );
    let off = server(&project, Some("prefix-caching-off"));
    assert_eq!(off.args, ["--no-enable-prefix-caching", "--seed", "1"]);
    assert_eq!(off.env["B"], "1");
    let on = server(&project, Some("prefix-caching-on"));
    assert_eq!(on.args, ["--tp", "1", "--enable-prefix-caching"]);
    assert_eq!((on.env["A"].as_str(), on.env["B"].as_str()), ("1", "2"));
    assert_eq!(on.endpoint.headers, [("x-team".to_owned(), "other".to_owned())].into());
    let other = server(&project, Some("other"));
    assert_eq!((other.command.len(), other.args.len()), (2, 2));
    assert_eq!((other.endpoint.model.as_deref(), other.endpoint.extra.len()), (Some("n"), 1));
}

#[test]
fn what_is_wrong_with_a_managed_profile() {
    assert_snapshot!(wrong("
[profiles.local]
kind = \"managed\"
preset = \"vlm\"
comand = [\"serve\"]
ready_timout = \"1m\"
[profiles.fixed]
kind = \"managed\"
command = [\"serve\", \"--port\", \"8000\"]
port = 0
ready_path = \"health\"
stop_timeout = \"0s\"
starts = 7
env = { \"A B\" = \"1\" }
api_key_env = \"${KEY}\"
"), @r#"
error: `profiles.fixed.api_key_env` is not the name of an environment variable
--> tokpace.toml
 = hint: put the key into a variable, in `.env` for example, and name that variable

error: `profiles.local.command` is missing
 --> tokpace.toml:2:1
  |
2 | [profiles.local]
  | ^^^^^^^^^^^^^^^^
  |
  = hint: write for example `command = ["vllm", "serve", "MODEL", "--port", "{port}"]`

error: `profiles.local.preset` cannot be `vlm`
 --> tokpace.toml:4:10
  |
4 | preset = "vlm"
  |          ^^^^^
  |
  = hint: did you mean `vllm`?

error: unknown key `comand`
 --> tokpace.toml:5:1
  |
5 | comand = ["serve"]
  | ^^^^^^
  |
  = hint: did you mean `command`?

error: unknown key `ready_timout`
 --> tokpace.toml:6:1
  |
6 | ready_timout = "1m"
  | ^^^^^^^^^^^^
  |
  = hint: did you mean `ready_timeout`?

error: `profiles.fixed.port` must be at least 1
  --> tokpace.toml:10:8
   |
10 | port = 0
   |        ^
   |
   = hint: leave it out for a free port

error: `profiles.fixed.ready_path` must begin with `/`
  --> tokpace.toml:11:14
   |
11 | ready_path = "health"
   |              ^^^^^^^^

error: `profiles.fixed.stop_timeout` must be longer than 0
  --> tokpace.toml:12:16
   |
12 | stop_timeout = "0s"
   |                ^^^^

error: `profiles.fixed.starts` must be 1 to 6
  --> tokpace.toml:13:10
   |
13 | starts = 7
   |          ^

error: `A B` is not the name of an environment variable
  --> tokpace.toml:14:9
   |
14 | env = { "A B" = "1" }
   |         ^^^^^
   |
   = hint: use letters, digits and `_`
"#);
}

#[test]
fn what_is_wrong_with_a_command_and_its_variants() {
    assert_snapshot!(wrong("[profiles.other]
kind = \"managed\"
command = [\"serve\"]
[profiles.other.variants.x]
port = 1
arg = [\"--tp\", \"2\"]
command = []
"), @r#"
error: `profiles.other.command` does not say on which port to listen
 --> tokpace.toml:3:11
  |
3 | command = ["serve"]
  |           ^^^^^^^^^
  |
  = hint: pass the port on, for example with `"--port", "{port}"`
  = hint: or write the port that the server has anyway: `port = 8000`

error: unknown key `port`
 --> tokpace.toml:5:1
  |
5 | port = 1
  | ^^^^
  |
  = hint: known keys of a managed server's variant: args, command, env, extra, headers, model

error: unknown key `arg`
 --> tokpace.toml:6:1
  |
6 | arg = ["--tp", "2"]
  | ^^^
  |
  = hint: did you mean `args`?

error: `profiles.other.variants.x.command` names no program
 --> tokpace.toml:7:11
  |
7 | command = []
  |           ^^
  |
  = hint: write for example `command = ["vllm", "serve", "MODEL", "--port", "{port}"]`
"#);
}
