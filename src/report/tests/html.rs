//! The page of a run.

use std::collections::{BTreeMap, BTreeSet};

use super::chatbot;
use super::fixture::{Bench, CHATBOT, LIMITS, faulty, run, slower};
use super::markup::{Piece, read};
use crate::gate::{TrialValues, Verdict};
use crate::predict::VirtualJob;
use crate::profile::{Embedded, FaultKind};
use crate::report::{
    BaselineJob, CaseBaseline, CaseHistory, CaseReport, CaseTrials, ClientInfo, Page, PastRun, PrefixReport,
    PrefixSide, RequestRow, RunTrials, TrialReport, html,
};

fn trial(number: u32, side: &str, values: TrialValues) -> TrialReport {
    TrialReport {
        server: None,
        trial: number,
        side: side.into(),
        valid: true,
        started: "2026-01-31T10:00:00.000Z".into(),
        seconds: 2.5,
        window_seconds: 2.0,
        values,
        token_source: Some("usage".into()),
        failures: BTreeMap::new(),
        cancelled: 0,
        new_connections: 0,
        resent: 0,
        coalesced: 0,
        client: ClientInfo::default(),
    }
}

/// Requests whose latencies vary as those of servers do: most alike, a few far off.
fn rows(trials: u32, each: u32, side: &str) -> Vec<RequestRow> {
    let row = |trial: u32, n: u32| {
        let wave = u64::from((n * 7919 + trial * 104_729) % 1000);
        let far = if n.is_multiple_of(97) { 60_000_000 } else { 0 };
        RequestRow {
            trial,
            side: side.into(),
            phase: "measured".into(),
            sent: u64::from(n) * 10_000_000,
            ttft: Some(48_000_000 + wave * 9_000 + far),
            tpot: Some(4_100_000 + wave * 300),
            e2e_latency: Some(240_000_000 + wave * 90_000 + far),
            ..RequestRow::default()
        }
    };
    (1..=trials).flat_map(|trial| (0..each).map(move |n| row(trial, n))).collect()
}

/// A page of cases that were measured in trials.
fn page(cases: Vec<(CaseReport, VirtualJob)>, baseline: Option<&VirtualJob>, each: u32) -> Page {
    let mut page = Page {
        histories: Vec::new(),
        run: run(cases.iter().map(|(case, _)| case.clone()).collect()),
        trials: RunTrials { version: 1, run: "r".into(), cases: Vec::new() },
        baselines: Vec::new(),
        requests: BTreeMap::new(),
    };
    for (case, job) in cases {
        let trials: Vec<TrialReport> =
            (1..).zip(job.trials).map(|(number, values)| trial(number, "candidate", values)).collect();
        page.requests.insert(case.case.clone(), rows(trials.len() as u32, each, "candidate"));
        page.trials.cases.push(CaseTrials { case: case.case.clone(), trials });
        if let Some(job) = baseline {
            let job = BaselineJob {
                recorded: "2026-01-20T09:00:00Z".into(),
                commit: None,
                subject: BTreeMap::from([("server.version".to_owned(), "1".to_owned())]),
                trials: job.trials.clone(),
            };
            let conditions = BTreeMap::from([("model".to_owned(), "m".to_owned())]);
            page.baselines.push(CaseBaseline { case: case.case, conditions, jobs: vec![job.clone(), job] });
        }
    }
    page
}

fn stored(config: &Embedded) -> Page {
    let bench = chatbot();
    let baseline = bench.job(&Embedded::default(), 1);
    let mut case = bench.run(config);
    case.conditions.insert("model".into(), "m".into());
    case.subject.insert("server.version".into(), "2".into());
    page(vec![(case, bench.job(config, 7))], Some(&baseline), 24)
}

fn paired() -> Page {
    let bench = Bench::new("chatbot", CHATBOT);
    let (fast, slow) = (Embedded::default(), slower(0.0, 0.1));
    let mut case = bench.pairs([&fast, &slow], 20);
    case.prefix = Some(PrefixReport {
        candidate: PrefixSide { hit_ratio: Some(0.875), matched_tokens: Some(896.0), ..PrefixSide::default() },
        reference: Some(PrefixSide { hit_ratio: Some(0.0), ..PrefixSide::default() }),
    });
    let (a, b) = (bench.job(&fast, 7), bench.job(&slow, 8));
    if let Some(reference) = &mut case.reference {
        reference.statistics = crate::harness::verdict::medians(&a.trials);
    }
    case.statistics = crate::harness::verdict::medians(&b.trials);
    let mut page = page(vec![(case, b)], None, 24);
    let trials = &mut page.trials.cases[0].trials;
    trials.extend((1..).zip(a.trials).map(|(number, values)| trial(number, "reference", values)));
    trials.sort_by_key(|trial| trial.trial);
    trials[2].valid = false;
    page.requests.values_mut().for_each(|all| all.extend(rows(6, 24, "reference")));
    page
}

fn all() -> Vec<Page> {
    let limits = Bench::new("limits", LIMITS);
    let no_stream = faulty(FaultKind::NoStream, 1.0);
    let invalid = chatbot();
    let mut interrupted = run(Vec::new());
    (interrupted.run.interrupted, interrupted.run.quick) = (true, true);
    let nothing = Page { run: interrupted, ..page(Vec::new(), None, 0) };
    vec![
        stored(&Embedded::default()),
        stored(&slower(0.0, 0.1)),
        stored(&faulty(FaultKind::Error, 0.1)),
        page(vec![(limits.run(&Embedded::default()), limits.job(&Embedded::default(), 7))], None, 24),
        page(vec![(invalid.run(&no_stream), invalid.job(&no_stream, 7))], None, 0),
        paired(),
        nothing,
    ]
}

fn attribute<'p>(attributes: &'p [(String, String)], name: &str) -> Option<&'p str> {
    attributes.iter().find(|known| known.0 == name).map(|known| known.1.as_str())
}

fn texts(pieces: &[Piece]) -> String {
    pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None }).collect()
}

#[test]
fn every_page_is_well_formed_and_can_be_walked_without_eyes() {
    for page in all() {
        let text = html(&page);
        assert_eq!(text, html(&page), "the same figures give the same page");
        let pieces = read(&text);
        let mut heading = 0;
        let (mut ids, mut links, mut figures, mut tables) = (BTreeSet::new(), Vec::new(), 0, 0);
        for (at, piece) in pieces.iter().enumerate() {
            let Piece::Open(tag, attributes) = piece else { continue };
            if let Some(level) = tag.strip_prefix('h').and_then(|level| level.parse::<u32>().ok()) {
                assert!(level <= heading + 1 && (level > 1 || heading == 0), "h{level} after h{heading}");
                heading = level;
            }
            if let Some(id) = attribute(attributes, "id") {
                assert!(ids.insert(id), "`{id}` twice");
            }
            links.extend(attribute(attributes, "href"));
            links.extend(attribute(attributes, "aria-labelledby").into_iter().flat_map(|ids| ids.split(' ')));
            match tag.as_str() {
                "svg" if attribute(attributes, "role") == Some("img") => {
                    let title = matches!(&pieces[at + 1..], [Piece::Text(_), Piece::Open(tag, _), ..] | [Piece::Open(tag, _), ..] if tag == "title");
                    assert!(title, "a chart without a title");
                    figures += 1;
                }
                "svg" => assert_eq!(attribute(attributes, "aria-hidden"), Some("true")),
                "th" => assert!(attribute(attributes, "scope").is_some()),
                "table" => tables += 1,
                "script" | "img" | "link" | "iframe" | "object" => panic!("<{tag}> in {}", page.run.verdict),
                _ => {}
            }
            assert!(attribute(attributes, "src").is_none() && attribute(attributes, "style").is_none());
        }
        assert_eq!(text.matches("<h1>").count(), 1);
        assert_eq!(text.matches("<desc ").count(), figures);
        assert_eq!(text.matches("<caption ").count(), tables);
        for link in links {
            assert!(ids.contains(link.trim_start_matches('#')), "nothing is called `{link}`");
        }
        assert!(!text.contains("NaN") && !text.contains("inf "), "a figure that is none");
        assert!(!text.contains("url(") && !text.contains("@import") && !text.contains("http://"));
    }
}

#[test]
fn the_verdict_comes_first_with_what_fails() {
    let pieces = read(&html(&stored(&slower(0.0, 0.1))));
    let words = texts(&pieces);
    let words: Vec<&str> = words.split_whitespace().collect();
    let words = words.join(" ");
    let body = words.split("Skip to the cases").nth(1).unwrap();
    let expected = "tokpace report ▼ REGRESSED embedded 1 case: 1 REGRESSED. The build fails. chatbot tpot.p50 +9.7 %, \
                    limit <= baseline + 3%; output_throughput -7.5 %, limit >= baseline - 5%";
    assert!(body.trim_start().starts_with(expected), "{}", &body[..400]);
    for part in ["Trials", "Distribution of requests", "Over the run", "Validity", "Environment"] {
        assert!(body.contains(part), "{part}");
    }
    assert!(body.contains("limit 4.323 ms") && body.contains("Limit: 4.323 ms."), "the tolerance in the metric's unit");
    assert!(body.contains("2 accepted jobs") && body.contains("differs: what is tested"), "{body}");
}

#[test]
fn pairs_are_shown_as_changes() {
    let text = html(&paired());
    for part in ["tpot.p50, change a pair", "no change", "Prefix cache", "87.5 %", "896 tokens a request reused"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(text.contains("pair 2: ") && text.contains("(no measurement)"), "a pair that is none is marked");
}

#[test]
fn past_runs_are_drawn_with_what_changed() {
    let run = |day: u32, verdict: Verdict, tpot: Option<f64>| PastRun {
        time: format!("2026-01-{day:02}T02:00:00Z"),
        commit: Some(format!("c0ffee{day:02}")),
        verdict,
        checks: BTreeMap::from([("tpot.p50".to_owned(), tpot), ("error_rate".to_owned(), Some(0.0))]),
    };
    let mut page = stored(&Embedded::default());
    let runs = vec![
        run(1, Verdict::Pass, Some(4.2)),
        run(2, Verdict::Pass, None),
        run(3, Verdict::Regressed, Some(4.6)),
        run(4, Verdict::Inconclusive, Some(4.7)),
    ];
    let changes = BTreeMap::from([("tpot.p50".to_owned(), vec![3])]);
    page.histories.push(CaseHistory { case: "chatbot".into(), runs, changes });
    let text = html(&page);
    for part in [
        "Over past runs",
        "tpot.p50 of 3 runs from 2026-01-01 to 2026-01-04: between 4.200 and 4.700 ms, last 4.700 ms. It changed on 2026-01-04.",
        "2026-01-03, commit c0ffee03: 4.600 ms, regressed",
        "changed from here on",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("error_rate of"), "nothing ever failed");
    // One run is no history.
    page.histories[0].runs.truncate(1);
    assert!(!html(&page).contains("Over past runs"));
}

#[test]
fn cases_that_differ_in_their_load_share_a_chart() {
    let bench = chatbot();
    let job = || bench.job(&Embedded::default(), 7);
    let case = |name: &str| {
        let mut case = bench.run(&Embedded::default());
        case.case = name.into();
        (case, job())
    };
    let cases = vec![case("s::batch=8,x=1"), case("s::batch=1,x=1"), case("s::batch=1,x=2"), case("other")];
    let text = html(&page(cases, Some(&job()), 24));
    assert!(text.contains("Scenario s, x=1 by batch size") && !text.contains("x=2 by batch size"));
    assert!(text.contains("output_throughput by batch size: 1: "), "in the order of the load");
}

#[test]
fn what_others_say_stays_text() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=y>&";
    let mut page = stored(&slower(0.0, 0.1));
    let case = &mut page.run.cases[0];
    let name = case.case.clone();
    for text in [&mut case.case, &mut case.description, &mut case.file, &mut case.text, &mut case.profile] {
        EVIL.clone_into(text);
    }
    case.failed = Some(EVIL.into());
    case.pending = Some(EVIL.into());
    for texts in [&mut case.notes, &mut case.hints, &mut case.differences] {
        texts.push(EVIL.into());
    }
    case.conditions.insert(EVIL.into(), EVIL.into());
    case.subject.insert("label.gpu".into(), EVIL.into());
    case.checks[0].limit = EVIL.into();
    page.run.run.profile = EVIL.into();
    page.run.run.machine.cpu = Some(EVIL.into());
    page.run.run.command.push(EVIL.into());
    page.baselines[0].case = EVIL.into();
    page.trials.cases[0].case = EVIL.into();
    let mut rows = page.requests.remove(&name).unwrap();
    (rows[0].error_class, rows[0].error) = (Some("http_status".into()), Some(EVIL.into()));
    page.requests.insert(EVIL.into(), rows);
    let text = html(&page);
    let pieces = read(&text);
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("alert(1)</"));
    assert!(texts(&pieces).matches(EVIL).count() > 15);
}

#[test]
fn ten_thousand_requests_stay_small() {
    let bench = chatbot();
    let one = |name: String| {
        let mut case = bench.run(&Embedded::default());
        case.case = name;
        (case, bench.job(&Embedded::default(), 7))
    };
    // 10 cases of 6 trials: 10 020 requests.
    let baseline = bench.job(&Embedded::default(), 1);
    let spread = html(&page((0..10).map(|n| one(format!("case-{n}"))).collect(), Some(&baseline), 167));
    assert!(spread.len() < 2_000_000, "{} bytes", spread.len());
    let dense = html(&page(vec![one("dense".into())], Some(&baseline), 1_667));
    assert!(dense.len() < 400_000, "{} bytes", dense.len());
    read(&dense);
    // Three times as many take hardly more.
    let denser = html(&page(vec![one("dense".into())], Some(&baseline), 5_000));
    assert!(denser.len() < dense.len() + 100_000, "{} after {} bytes", denser.len(), dense.len());
}

/// Relative luminance of `#rrggbb` or `#rgb`.
fn luminance(colour: &str) -> f64 {
    let digits = colour.trim_start_matches('#');
    let digits: String = if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits.into() };
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

#[test]
fn texts_can_be_read_on_every_ground() {
    let css = include_str!("../html/style.css");
    let themes: Vec<BTreeMap<&str, &str>> = css
        .split(":root")
        .skip(1)
        .map(|block| {
            let block = block.split('}').next().unwrap();
            block.split(';').filter_map(|line| line.trim_start_matches([' ', '\n', '{']).split_once(": #")).collect()
        })
        .collect();
    assert_eq!(themes.len(), 3, "light, dark and paper");
    for theme in &themes {
        let ratio = |text: &str, ground: &str| {
            let (a, b) = (luminance(theme[text]), luminance(theme[ground]));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        for (text, grounds) in [
            ("--ink", &["--ground", "--panel", "--bad-ground", "--warn-ground", "--faint"][..]),
            ("--muted", &["--ground", "--warn-ground", "--beyond", "--band"]),
            ("--a", &["--ground"]),
            ("--good", &["--ground", "--good-ground"]),
            ("--bad", &["--ground", "--bad-ground", "--beyond"]),
            ("--warn", &["--ground", "--warn-ground"]),
        ] {
            for ground in grounds {
                assert!(ratio(text, ground) >= 4.5, "{text} on {ground}: {:.2}", ratio(text, ground));
            }
        }
        // Lines of charts need less.
        assert!(ratio("--b", "--ground") >= 3.0);
    }
}
