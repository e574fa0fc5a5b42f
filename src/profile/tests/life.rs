//! How long baselines and waivers hold.

use insta::assert_snapshot;

use super::{good, said, wrong};
use crate::calendar::{Date, Days};
use crate::profile::{Known, OnStale, check_waivers};

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn a_profiles_own_age_goes_before_that_of_the_file() {
    let project = good(
        "baseline_max_age = \"90d\"\non_stale_baseline = \"fail\"\nhistory = \"perf/history\"\n\
         [profiles.nightly]\nkind = \"embedded\"\nbaseline_max_age = \"2w\"\non_stale_baseline = \"warn\"\n",
    );
    let of = |name: &str| (project.profiles[name].aging.max_age, project.profiles[name].aging.on_stale);
    assert_eq!(of("embedded"), (Some(Days(90)), OnStale::Fail));
    assert_eq!(of("nightly"), (Some(Days(14)), OnStale::Warn));
    assert_eq!(project.history.as_deref(), Some("perf/history"));
    assert_eq!(good("").profiles["embedded"].aging.max_age, None);
    assert_snapshot!(wrong("baseline_max_age = \"90\"\non_stale_baseline = \"skip\"\nhistory = \" \"\n"), @r#"
    error: `baseline_max_age`: `90` is not a number of days
     --> tokpace.toml:1:20
      |
    1 | baseline_max_age = "90"
      |                    ^^^^
      |
      = hint: write a whole number and `d` or `w`, such as `90d` or `12w`

    error: `on_stale_baseline` cannot be `skip`
     --> tokpace.toml:2:21
      |
    2 | on_stale_baseline = "skip"
      |                     ^^^^^^
      |
      = hint: known values: warn, fail

    error: `history` must be a folder
     --> tokpace.toml:3:11
      |
    3 | history = " "
      |           ^^^
      |
      = hint: write for example `history = "perf/history"`
    "#);
}

#[test]
fn a_waiver_covers_what_it_names_through_its_last_day() {
    let project = good(
        "[[waiver]]\ncase = \"chatbot\"\ncheck = \"tpot.p50\"\nuntil = 2026-12-31\nreason = \"x\"\n\
         [[waiver]]\ncase = \"chatbot\"\nprofile = \"embedded\"\nuntil = \"2026-12-31\"\nreason = \" y \"\n",
    );
    let [one, all] = &project.waivers[..] else { panic!("{:?}", project.waivers) };
    assert_eq!((one.until, all.until, all.reason.as_str()), (date("2026-12-31"), date("2026-12-31"), "y"));
    assert!(one.covers("staging", "chatbot", "tpot.p50"));
    assert!(!one.covers("embedded", "chatbot", "ttft.p50") && !one.covers("embedded", "batch", "tpot.p50"));
    assert!(all.covers("embedded", "chatbot", "ttft.p50") && !all.covers("staging", "chatbot", "ttft.p50"));
    assert!(!all.covers("embedded", "chatbot", "error_rate"), "failures are waived by name or not at all");
    assert!(!one.has_ended(date("2026-12-31")) && one.has_ended(date("2027-01-01")));
}

#[test]
fn what_is_missing_in_a_waiver_is_said_at_once() {
    let said = said("[[waiver]]\ncheck = \"tpot.p50\"\nuntil = 2026\nprofile = \"embeded\"\n");
    assert_eq!(
        said,
        [
            "a waiver needs a `case`",
            "a waiver needs a `reason`",
            "`until`: `2026` is not a date",
            "there is no profile `embeded`",
        ]
    );
}

#[test]
fn names_are_held_against_the_cases_that_there_are() {
    let text = "[[waiver]]\ncase = \"chat\"\nuntil = 2026-12-31\nreason = \"x\"\n\
                [[waiver]]\ncase = \"batch\"\ncheck = \"tpot.p95\"\nuntil = 2026-12-31\nreason = \"x\"\n";
    let waivers = good(text).waivers;
    let known = [Known { case: "batch", checks: vec!["tpot.p50".into(), "error_rate".into()] }];
    let check = |known: &[Known<'_>], complete| check_waivers("tokpace.toml", text, &waivers, known, complete);
    assert_snapshot!(check(&known, true).unwrap_err(), @r#"
    error: there is no case `chat`
     --> tokpace.toml:2:8
      |
    2 | case = "chat"
      |        ^^^^^^
      |
      = hint: known cases: batch

    error: `batch` has no check of `tpot.p95`
     --> tokpace.toml:7:9
      |
    7 | check = "tpot.p95"
      |         ^^^^^^^^^^
      |
      = hint: did you mean `tpot.p50`?
    "#);
    assert_eq!(check(&[], false), Ok(()), "the case may be in a file that cannot be read");
}
