//! Variants: what they inherit, what they change, and whose mistakes are said where.

use insta::assert_snapshot;

use super::*;

fn settings<'p>(profile: &'p Profile, variant: &str) -> &'p Embedded {
    let ProfileKind::Embedded(embedded) = &profile.variants[variant] else { panic!("{profile:?}") };
    embedded
}

fn endpoint<'p>(profile: &'p Profile, variant: &str) -> &'p Endpoint {
    let ProfileKind::Endpoint(endpoint) = &profile.variants[variant] else { panic!("{profile:?}") };
    endpoint
}

fn names(profile: &Profile) -> Vec<&str> {
    profile.variants.keys().map(String::as_str).collect()
}

#[test]
fn every_embedded_profile_has_its_prefix_cache_on_and_off() {
    let text = "[profiles.small]\nkind = \"embedded\"\nkv_blocks = 64\nprefix_caching = false\n";
    let project = good(text);
    for (profile, kv_blocks) in [("embedded", 4096), ("small", 64)] {
        let profile = &project.profiles[profile];
        assert_eq!(names(profile), ["prefix-caching-off", "prefix-caching-on"]);
        let of = |variant| (settings(profile, variant).prefix_caching, settings(profile, variant).kv_blocks);
        assert_eq!((of("prefix-caching-off"), of("prefix-caching-on")), ((false, kv_blocks), (true, kv_blocks)));
    }
}

#[test]
fn a_variant_changes_its_keys_and_inherits_the_rest() {
    let project = good(
        r#"
[profiles.embedded]
itl = "8ms"
ttft = { base = "30ms", per_input_token = "10us" }
slowdown = { prefill = "20%" }
fault = { kind = "error", rate = "1%" }
[profiles.embedded.variants]
slow = { slowdown = { decode = "10%" }, ttft = { base = "50ms" } }
plain = {}
[profiles.embedded.variants.big]
max_batch = 64
fault.kind = "stall"
"#,
    );
    let profile = &project.profiles["embedded"];
    assert_eq!(names(profile), ["big", "plain", "prefix-caching-off", "prefix-caching-on", "slow"]);
    let base = embedded(&project);
    assert_eq!(settings(profile, "plain"), base);
    let slowdown = Slowdown { prefill: Share(0.2), decode: Share(0.1) };
    let ttft = TtftCost { base: Time::from_millis(50), per_input_token: Time(10_000) };
    assert_eq!(settings(profile, "slow"), &Embedded { ttft, slowdown, ..base.clone() });
    let fault = Some(Fault { kind: FaultKind::Stall, rate: Share(0.01) });
    assert_eq!(settings(profile, "big"), &Embedded { max_batch: 64, fault, ..base.clone() });
}

#[test]
fn a_declared_built_in_variant_is_still_what_its_name_says() {
    let text = "[profiles.embedded.variants]\nprefix-caching-off = { itl = \"5ms\" }\n\
                prefix-caching-on = { prefix_caching = false }\n";
    let project = good(text);
    let profile = &project.profiles["embedded"];
    assert_eq!(names(profile), ["prefix-caching-off", "prefix-caching-on"]);
    let off = settings(profile, "prefix-caching-off");
    assert_eq!((off.prefix_caching, off.itl), (false, Time::from_millis(5)));
    assert!(!settings(profile, "prefix-caching-on").prefix_caching, "the file has the last word");
}

#[test]
fn variants_of_an_endpoint() {
    let project = good(
        r#"
[profiles.staging]
kind = "endpoint"
url = "https://${HOST}/v1"
model = "llama"
api_key_env = "KEY"
headers = { X-Team = "perf", X-Tier = "1" }
extra = { top_k = 5, chat_template_kwargs = { thinking = true, style = "x" } }
tokenizer = "t.json"
[profiles.staging.variants.quantised]
model = "llama-fp8"
headers = { x-team = "fp8" }
extra = { top_k = 7, chat_template_kwargs = { thinking = false } }
[profiles.staging.variants.next]
url = "https://next.example/v1"
"#,
    );
    let profile = &project.profiles["staging"];
    assert_eq!(names(profile), ["next", "quantised"]);
    let ProfileKind::Endpoint(base) = &profile.kind else { panic!("{profile:?}") };
    let next = endpoint(profile, "next");
    assert_eq!(next, &Endpoint { url: "https://next.example/v1".into(), ..base.clone() });
    let quantised = endpoint(profile, "quantised");
    let headers: Vec<_> = quantised.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, ["X-Tier: 1", "x-team: fp8"], "a header has one name in any letters");
    let extra = serde_json::json!({ "top_k": 7, "chat_template_kwargs": { "thinking": false, "style": "x" } });
    assert_eq!(serde_json::to_value(&quantised.extra).unwrap(), extra);
    let rest = (quantised.url.as_str(), quantised.model.as_deref(), quantised.tokenizer.as_deref());
    assert_eq!(rest, ("https://${HOST}/v1", Some("llama-fp8"), Some("t.json")));
    assert_eq!(quantised.api_key_env.as_deref(), Some("KEY"));
}

#[test]
fn settings_reach_the_variants_that_do_not_override_them() {
    let text = "[profiles.embedded.variants.slow]\nslowdown = { decode = \"50%\" }\n";
    let sets = [
        "slowdown.decode=10%",
        "slowdown.prefill=20%",
        "max_batch=8",
        "variants.slow.max_batch=4",
        "variants.new.itl=9ms",
        "variants.prefix-caching-off.itl=7ms",
    ];
    let project = load_with("tokpace.toml", text, None, &sets.map(str::to_owned)).unwrap();
    let profile = &project.profiles["embedded"];
    assert_eq!(names(profile), ["new", "prefix-caching-off", "prefix-caching-on", "slow"]);
    let of = |variant| {
        let Embedded { slowdown, max_batch, itl, prefix_caching, .. } = settings(profile, variant);
        format!("{} {} {max_batch} {itl} {prefix_caching}", slowdown.prefill, slowdown.decode)
    };
    assert_eq!(of("slow"), "20% 50% 4 4ms true");
    assert_eq!(of("new"), "20% 10% 8 9ms true");
    assert_eq!(of("prefix-caching-on"), "20% 10% 8 4ms true");
    assert_eq!(of("prefix-caching-off"), "20% 10% 8 7ms false");
}

#[test]
fn mistakes_are_said_where_they_are_made() {
    assert_snapshot!(wrong("
[profiles.embedded]
max_batch = 0
jiter = \"1%\"
slowdown = { decode = \"-100%\" }
[profiles.embedded.variants.slow]
slowdon = { decode = \"5%\" }
itl = \"soon\"
kv_blocks = 0
[profiles.embedded.variants.fast]
slowdown = { prefil = \"-5%\", decode = 5 }
"), @r#"
error: `profiles.embedded.max_batch` must be at least 1
 --> tokpace.toml:3:13
  |
3 | max_batch = 0
  |             ^

error: unknown key `jiter`
 --> tokpace.toml:4:1
  |
4 | jiter = "1%"
  | ^^^^^
  |
  = hint: did you mean `jitter`?

error: `profiles.embedded.slowdown.decode` must be above -100%
 --> tokpace.toml:5:23
  |
5 | slowdown = { decode = "-100%" }
  |                       ^^^^^^^

error: unknown key `slowdon`
 --> tokpace.toml:7:1
  |
7 | slowdon = { decode = "5%" }
  | ^^^^^^^
  |
  = hint: did you mean `slowdown`?

error: `profiles.embedded.variants.slow.itl`: `soon` is not a time
 --> tokpace.toml:8:7
  |
8 | itl = "soon"
  |       ^^^^^^
  |
  = hint: write a number and a unit, such as `250us`, `300ms`, `2s` or `10m`

error: `profiles.embedded.variants.slow.kv_blocks` must be at least 1
 --> tokpace.toml:9:13
  |
9 | kv_blocks = 0
  |             ^

error: unknown key `prefil`
  --> tokpace.toml:11:14
   |
11 | slowdown = { prefil = "-5%", decode = 5 }
   |              ^^^^^^
   |
   = hint: did you mean `prefill`?

error: `profiles.embedded.variants.fast.slowdown.decode` must be a text in quotes, not the number `5`
  --> tokpace.toml:11:39
   |
11 | slowdown = { prefil = "-5%", decode = 5 }
   |                                       ^
   |
   = hint: write it in quotes, with its unit if it has one: `"60s"`, `"5%"`
"#);
}

#[test]
fn mistakes_of_an_endpoint_and_its_variants() {
    assert_snapshot!(wrong("
[profiles.x]
kind = \"endpoint\"
headers = { \"a b\" = \"1\" }
extra = { model = \"x\" }
variants.dotted.headers.A = \"1\"
[profiles.x.variants.b]
modle = \"y\"
api_key_env = \"KEY\"
headers = { \"c d\" = \"2\" }
extra = { stream = true }
"), @r#"
error: `profiles.x.url` is missing
 --> tokpace.toml:2:1
  |
2 | [profiles.x]
  | ^^^^^^^^^^^^
  |
  = hint: write for example `url = "http://localhost:8000"`

error: `a b` is not the name of a header
 --> tokpace.toml:4:13
  |
4 | headers = { "a b" = "1" }
  |             ^^^^^
  |
  = hint: use letters, digits and `-`

error: `profiles.x.extra` cannot set `model`
 --> tokpace.toml:5:11
  |
5 | extra = { model = "x" }
  |           ^^^^^
  |
  = hint: write `model = "…"` in the profile, in `tokpace.toml`

error: unknown key `modle`
 --> tokpace.toml:8:1
  |
8 | modle = "y"
  | ^^^^^
  |
  = hint: did you mean `model`?

error: unknown key `api_key_env`
 --> tokpace.toml:9:1
  |
9 | api_key_env = "KEY"
  | ^^^^^^^^^^^
  |
  = hint: known keys of an endpoint's variant: extra, headers, model, url

error: `c d` is not the name of a header
  --> tokpace.toml:10:13
   |
10 | headers = { "c d" = "2" }
   |             ^^^^^
   |
   = hint: use letters, digits and `-`

error: `profiles.x.variants.b.extra` cannot set `stream`
  --> tokpace.toml:11:11
   |
11 | extra = { stream = true }
   |           ^^^^^^
   |
   = hint: the scenario's `[request]` says `stream = true` or `false`
"#);
}

#[test]
fn a_wrong_setting_of_a_variant_is_shown_in_place_of_the_file() {
    let sets = ["variants.slow.itl=soon", "variants.a b.itl=5ms", "variants.slow.itl.x=1"].map(str::to_owned);
    let text = "[profiles.embedded.variants.slow]\nitl = \"5ms\"\n";
    let problems = load_with("tokpace.toml", text, None, &sets).unwrap_err();
    assert_snapshot!(problems, @r#"
    error: `profiles.embedded.variants.slow.itl`: `soon` is not a time
     --> --set:1:19
      |
    1 | variants.slow.itl=soon
      |                   ^^^^
      |
      = hint: write a number and a unit, such as `250us`, `300ms`, `2s` or `10m`

    error: `a b` cannot be the name of a variant
     --> --set:1:1
      |
    1 | variants.a b.itl=5ms
      | ^^^^^^^^^^^^^^^^
      |
      = hint: use ASCII letters, digits, `.`, `_` and `-`, with no dot in front

    error: `variants.slow.itl.x` cannot be set: `profiles.embedded.variants.slow.itl` is not a table
     --> --set:1:1
      |
    1 | variants.slow.itl.x=1
      | ^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_profile_with_a_variant_is_the_profile_but_for_what_is_measured() {
    let profile =
        good("[profiles.embedded]\njob_noise = \"1%\"\nlabels = { a = \"b\" }\n").profiles["embedded"].clone();
    assert_eq!(profile.variant, None);
    let off = profile.with_variant("prefix-caching-off").unwrap();
    let ProfileKind::Embedded(settings) = &off.kind else { panic!("{off:?}") };
    assert!(!settings.prefix_caching);
    assert_eq!(off.variant.as_deref(), Some("prefix-caching-off"));
    assert_eq!(Profile { kind: profile.kind.clone(), variant: None, ..off.clone() }, profile);
    // From one variant to the next: nothing of the first is left.
    let on = profile.with_variant("prefix-caching-on").unwrap();
    assert_eq!(off.with_variant("prefix-caching-on").unwrap(), on);
}

#[test]
fn an_unknown_variant() {
    let project = good(
        "[profiles.staging]\nkind = \"endpoint\"\nurl = \"http://x\"\n\
         [profiles.next]\nkind = \"endpoint\"\nurl = \"http://x\"\nvariants.fp8.model = \"y\"\n",
    );
    let said = |profile: &str, variant: &str| project.profiles[profile].with_variant(variant).unwrap_err().to_string();
    assert_snapshot!(said("embedded", "prefix-caching-of"), @r#"
    profile `embedded` has no variant `prefix-caching-of`
    hint: did you mean `prefix-caching-off`? known variants: `prefix-caching-off`, `prefix-caching-on`
    "#);
    assert_snapshot!(said("embedded", "big"), @r#"
    profile `embedded` has no variant `big`
    hint: known variants: `prefix-caching-off`, `prefix-caching-on`
    "#);
    assert_snapshot!(said("staging", "a.b"), @r#"
    profile `staging` has no variant `a.b`
    hint: declare it as `[profiles.staging.variants."a.b"]` with its own `url`, `model`, `headers` or `extra`
    "#);
    assert_snapshot!(said("next", "fp16"), @r#"
    profile `next` has no variant `fp16`
    hint: known variants: `fp8`; declare it as `[profiles.next.variants.fp16]` with its own `url`, `model`, `headers` or `extra`
    "#);
}

proptest::proptest! {
    #[test]
    fn no_variant_panics(line in "[a-z_.]{0,12}( = ([0-9]{1,3}|\"[a-z0-9%]{0,5}\"|\\{ [a-z]{1,6} = [0-9]{1,3} \\}))?") {
        for kind in ["embedded", "endpoint"] {
            let text = format!("[profiles.x]\nkind = \"{kind}\"\nurl = \"http://x\"\n[profiles.x.variants.v]\n{line}\n");
            if let Err(problems) = load("tokpace.toml", &text) {
                let _ = problems.render(false);
            }
        }
    }
}
