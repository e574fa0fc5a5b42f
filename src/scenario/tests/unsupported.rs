//! What a version or a build cannot run, and comparisons that cannot be made.

use insta::assert_snapshot;

use super::{GOOD, said, wrong};

#[test]
fn what_this_version_cannot_run() {
    let text = GOOD.replace("output_tokens = 64", "output_tokens = 64\nconversation = { turns = 4 }");
    assert_snapshot!(wrong(&text), @r#"
    error: `workload.conversation` is not supported by this version of tokpace
     --> scenarios/chatbot.toml:4:1
      |
    4 | conversation = { turns = 4 }
      | ^^^^^^^^^^^^
    "#);
}

#[cfg(not(feature = "grpc"))]
#[test]
fn what_this_build_cannot_run() {
    let text = GOOD.to_owned() + "[request]\nprotocol = \"ppl\"\n";
    assert_snapshot!(wrong(&text), @r#"
    error: `request.protocol = "ppl"` needs the feature `grpc`
     --> scenarios/chatbot.toml:8:12
      |
    8 | protocol = "ppl"
      |            ^^^^^
      |
      = hint: in `Cargo.toml`: `tokpace = { version = "0.1", features = ["grpc"] }`
      = hint: for `cargo tokpace`: `cargo install tokpace --features grpc`
    "#);
}

#[cfg(feature = "grpc")]
#[test]
fn what_grpc_leaves_no_choice_of() {
    let request = "[request]\nprotocol = \"ppl\"\nstream = false\nhttp2 = false\nextra = { top_p = 0.5 }\n";
    assert_snapshot!(wrong(&(GOOD.to_owned() + request)), @r#"
    error: `ppl` always answers in a stream
     --> scenarios/chatbot.toml:9:10
      |
    8 | protocol = "ppl"
      |            ----- chosen here
    9 | stream = false
      |          ^^^^^
      |
      = hint: remove `stream = false`

    error: `ppl` is spoken over HTTP/2 only
      --> scenarios/chatbot.toml:10:9
       |
     8 | protocol = "ppl"
       |            ----- chosen here
     9 | stream = false
    10 | http2 = false
       |         ^^^^^
       |
       = hint: remove `http2 = false`

    error: `ppl` cannot send this: unknown field `top_p`, expected `temperature` or `stopping_parameters`
      --> scenarios/chatbot.toml:11:9
       |
     8 | protocol = "ppl"
       |            ----- chosen here
    ...
    11 | extra = { top_p = 0.5 }
       |         ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_comparison_of_variants_that_cannot_be_made() {
    let text = GOOD.to_owned()
        + "[compare]\nreference = \"on\"\ncandidate = \"on\"\n[gate]\n\"ttft.p50\" = [\"<= 1s\", \"<= baseline + 5%\"]\n\
           \"prefix_hit_ratio\" = \">= 2 * reference\"\non_missing_baseline = \"fail\"\n";
    assert_snapshot!(wrong(&text), @r#"
    error: `on` is compared with itself
     --> scenarios/chatbot.toml:9:13
      |
    8 | reference = "on"
      |             ---- the same variant
    9 | candidate = "on"
      |             ^^^^
      |
      = hint: name two variants, such as `prefix-caching-off` and `prefix-caching-on`

    error: a `[compare]` scenario has no `baseline`
      --> scenarios/chatbot.toml:11:24
       |
    11 | "ttft.p50" = ["<= 1s", "<= baseline + 5%"]
       |                        ^^^^^^^^^^^^^^^^^^
       |
       = hint: write `reference` for the other variant: `<= reference + 5%`

    error: `2 * reference` is a multiple of a share, and `prefix_hit_ratio` is compared in points
      --> scenarios/chatbot.toml:12:22
       |
    12 | "prefix_hit_ratio" = ">= 2 * reference"
       |                      ^^^^^^^^^^^^^^^^^^
       |
       = hint: write for example `>= 95%` or `>= reference - 1pp`

    error: `on_missing_baseline` does not apply to a `[compare]` scenario
      --> scenarios/chatbot.toml:13:1
       |
     7 | [compare]
       |  ------- compared with a variant, not a baseline
    ...
    13 | on_missing_baseline = "fail"
       | ^^^^^^^^^^^^^^^^^^^
       |
       = hint: remove it
    "#);
}

#[test]
fn what_is_wrong_with_a_comparison() {
    let compare = |text: &str| said(&format!("{GOOD}[compare]\n{text}"));
    let both = "reference = \"off\"\ncandidate = \"on\"\n";
    let gate = |text: &str| compare(&format!("{both}[gate]\n{text}"));
    for (found, message) in [
        (compare("reference = \"off\""), "`compare` needs the key `candidate`"),
        (compare("candidate = \"on\""), "`compare` needs the key `reference`"),
        (
            compare("reference = \"off\"\ncandidate = 1"),
            "`compare.candidate` must be a text in quotes, not the number `1`",
        ),
        (compare("reference = \"o f\"\ncandidate = \"on\""), "`o f` cannot be the name of a variant"),
        (compare("reference = \"off\"\ncandidate = \"\""), "`` cannot be the name of a variant"),
        (compare(&format!("{both}canddate = \"on\"")), "unknown key `canddate`"),
        (
            said(&format!("compare = \"off\"\n{GOOD}[gate]\n\"ttft.p50\" = \"<= reference\"")),
            "`compare` must be a table, not the text `off`",
        ),
        (gate("\"ttft.p50\" = \"<= baseline\""), "a `[compare]` scenario has no `baseline`"),
        (
            gate("\"ttft.p50\" = \"<= reference - 5%\""),
            "`reference - 5%` is neither `reference + N%` nor `N * reference`",
        ),
        (
            gate("\"error_rate\" = \"<= 2 * reference\""),
            "`2 * reference` is a multiple of a share, and `error_rate` is compared in points",
        ),
        (gate("on_missing_baseline = \"record\""), "`on_missing_baseline` does not apply to a `[compare]` scenario"),
        (compare(&format!("{both}[trials]\nmax = 5")), "`trials.max` is 5, and nothing is decided below 6 pairs"),
        (compare(&format!("{both}[trials]\nmax = 0")), "`trials.max` must be at least 1"),
    ] {
        assert_eq!(found, [message]);
    }
}
