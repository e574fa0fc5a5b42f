use super::*;
use crate::plan::{SALT_TOKENS, Salt};
use crate::scenario::{
    Arrival, Cancellation, Gate, Length, OnInconclusive, OnMissing, Prefix, Protocol, RequestOptions, Slo, Trials,
    Workload,
};
use crate::units::Time;

fn case(kind: LoadKind, requests: Option<u32>, duration: Option<Time>) -> Case {
    Case {
        name: "c".into(),
        scenario: "c".into(),
        file: "c.toml".into(),
        description: String::new(),
        workload: Workload {
            input_tokens: Length::Uniform(20, 40),
            output_tokens: Length::Fixed(8),
            system_prompt: None,
            dataset: None,
            conversation: None,
            prefix: None,
            seed: 42,
            salt: true,
        },
        load: Load { kind, requests, duration, warmup: 2 },
        request: RequestOptions {
            protocol: Protocol::OpenaiChat,
            prompt_list: false,
            stream: true,
            http2: false,
            timeout: Time::from_secs(60),
            no_progress: Time::from_secs(20),
            extra: std::collections::BTreeMap::new(),
            cancel: None,
        },
        trials: Trials { min: 6, max: None, quick: 2 },
        gate: Gate {
            checks: vec![],
            on_inconclusive: OnInconclusive::Warn,
            on_missing_baseline: OnMissing::Record,
            blind_above: 0.25,
        },
        slo: Slo::default(),
        compare: None,
        soak: None,
    }
}

fn plan_of(case: &Case, dataset: Option<&[Item]>, system_prompt: Option<&str>) -> Result<Plan, PlanError> {
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer).unwrap();
    build(case, &Sources { tokenizer: &tokenizer, words: &words, dataset, trace: None, system_prompt })
}

fn closed(n: u32) -> Case {
    case(LoadKind::Closed { concurrency: 3, ramp_up: Time::from_millis(30) }, Some(n), None)
}

/// Tokens of what is really sent, salt included.
fn sent_tokens(request: &PlannedRequest) -> u32 {
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer).unwrap();
    let salt = Salt::new(&words, "run", "case", 3, "candidate").cut(request.prompt.salt_tokens);
    let (system, user) = request.prompt.with_salt(&salt);
    system.map_or(0, |text| tokenizer.count(&text)) + tokenizer.count(&user)
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
    let case = closed(10);
    let plan = plan_of(&case, None, None).unwrap();
    assert_eq!(plan, plan_of(&case, None, None).unwrap());
    let mut other = case.clone();
    other.workload.seed = 43;
    assert_ne!(plan.hash, plan_of(&other, None, None).unwrap().hash);
    // Pinned: a changed hash makes every stored baseline inconclusive.
    assert_eq!(plan.hash, "sha256:1450d74405899350d83da66ad116a787");
}

#[test]
fn prompts_have_exactly_the_planned_tokens() {
    let mut with_prefix = closed(9);
    with_prefix.workload.input_tokens = Length::Fixed(60);
    with_prefix.workload.prefix = Some(Prefix { groups: 2, prefix_tokens: 40, prime: true });
    for (case, system) in [(closed(9), None), (closed(9), Some("You are brief.")), (with_prefix, None)] {
        let plan = plan_of(&case, None, system).unwrap();
        for request in plan.requests.iter().chain(&plan.warmup).chain(&plan.prime) {
            assert_eq!(sent_tokens(request), request.prompt.input_tokens, "{request:?}");
        }
    }
}

#[test]
fn users_take_turns_and_nothing_is_sent_twice() {
    let plan = plan_of(&closed(9), None, None).unwrap();
    assert_eq!(plan.requests.iter().map(|r| r.user).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    let bodies: std::collections::HashSet<_> =
        plan.requests.iter().chain(&plan.warmup).map(|r| r.prompt.body.clone()).collect();
    assert_eq!(bodies.len(), 11);
}

#[test]
fn groups_share_their_prefix_and_are_primed() {
    let mut case = closed(4);
    case.workload.input_tokens = Length::Fixed(60);
    case.workload.prefix = Some(Prefix { groups: 2, prefix_tokens: 40, prime: true });
    let plan = plan_of(&case, None, None).unwrap();
    let prefix = |i: usize| plan.requests[i].prompt.prefix.clone();
    assert_eq!(prefix(0), prefix(2));
    assert_ne!(prefix(0), prefix(1));
    assert_eq!(plan.prime.len(), 2);
    assert_eq!(plan.prime[1].prompt.prefix, prefix(1));
    assert_ne!(plan.warmup[0].prompt.prefix, prefix(0));
    case.workload.input_tokens = Length::List(vec![60, 40]);
    let error = plan_of(&case, None, None).unwrap_err().to_string();
    assert!(error.contains("request 1 has 40 input tokens"), "{error}");
}

#[test]
fn open_load_stops_by_requests_and_by_duration() {
    let open = |requests, duration| {
        let kind = LoadKind::Open { rate: 10.0, arrival: Arrival::Constant, max_in_flight: None };
        plan_of(&case(kind, requests, duration), None, None).unwrap().requests.len()
    };
    assert_eq!(open(Some(7), None), 7);
    assert_eq!(open(None, Some(Time::from_secs(2))), 20);
    assert_eq!(open(Some(7), Some(Time::from_secs(2))), 7);
    assert_eq!(open(Some(70), Some(Time::from_secs(2))), 20);
}

#[test]
fn a_dataset_is_sent_whole_and_in_turn() {
    let item = |text: &str| Item { system: None, prompt: text.into(), output_tokens: None };
    let mut items = vec![item("the first question"), item("the second")];
    items[1].output_tokens = Some(3);
    let plan = plan_of(&closed(3), Some(&items), None).unwrap();
    let bodies: Vec<&str> = plan.requests.iter().map(|r| &*r.prompt.body).collect();
    assert_eq!(bodies, ["the first question", "the second", "the first question"]);
    assert_eq!(plan.requests.iter().map(|r| r.max_tokens).collect::<Vec<_>>(), [8, 3, 8]);
    for request in &plan.requests {
        assert_eq!(sent_tokens(request), request.prompt.input_tokens);
    }
}

#[test]
fn salts_differ_by_run_trial_and_side_but_not_within_a_trial() {
    let words = Words::of(&Tokenizer::bundled()).unwrap();
    let salt = |run, trial, side| Salt::new(&words, run, "c", trial, side).cut(SALT_TOKENS);
    assert_eq!(salt("r", 1, "a"), salt("r", 1, "a"));
    assert_ne!(salt("r", 1, "a"), salt("r", 2, "a"));
    assert_ne!(salt("r", 1, "a"), salt("r", 1, "b"));
    assert_ne!(salt("r", 1, "a"), salt("s", 1, "a"));
    assert_ne!(salt("r", 1, "a"), Salt::new(&words, "r", "d", 1, "a").cut(SALT_TOKENS));
}

#[test]
fn the_seed_says_which_requests_are_cancelled() {
    let mut case = closed(40);
    let before = plan_of(&case, None, None).unwrap();
    case.request.cancel = Some(Cancellation { rate: 0.1, after: Some(Time::from_millis(200)), after_tokens: None });
    let plan = plan_of(&case, None, None).unwrap();
    let chosen = |plan: &Plan| -> Vec<u32> {
        plan.requests.iter().filter(|request| request.cancel.is_some()).map(|request| request.index).collect()
    };
    assert_eq!(chosen(&plan).len(), 4);
    assert!(plan.warmup.iter().all(|request| request.cancel.is_none()));
    assert_eq!(plan.requests[chosen(&plan)[0] as usize].cancel.unwrap().after, Some(200_000_000));
    // Everything else is as it was; only the name tells.
    assert_ne!(plan.hash, before.hash);
    assert!(plan.requests.iter().zip(&before.requests).all(|(a, b)| a.prompt == b.prompt && a.at == b.at));
    let mut other = case.clone();
    other.workload.seed = 43;
    assert_ne!(chosen(&plan_of(&other, None, None).unwrap()), chosen(&plan));
    case.request.cancel = Some(Cancellation { rate: 0.1, after: Some(Time::from_millis(201)), after_tokens: None });
    let later = plan_of(&case, None, None).unwrap();
    assert_eq!(chosen(&later), chosen(&plan));
    assert_ne!(later.hash, plan.hash);
}

#[test]
fn what_every_prompt_begins_with_is_counted() {
    let mut case = closed(6);
    assert_eq!(plan_of(&case, None, None).unwrap().common_tokens, SALT_TOKENS);
    let system = "You are a helpful assistant";
    let with_system = SALT_TOKENS + Tokenizer::bundled().count(system);
    assert_eq!(plan_of(&case, None, Some(system)).unwrap().common_tokens, with_system);
    // Conversations that bring system messages of their own have the salt in common, or one message if it is the same.
    let items = ["short", "quite another one"].map(|system| Item {
        system: Some(system.into()),
        prompt: "A question".into(),
        output_tokens: None,
    });
    assert_eq!(plan_of(&case, Some(&items), None).unwrap().common_tokens, SALT_TOKENS);
    case.workload.salt = false;
    assert_eq!(plan_of(&case, Some(&items[..1]), None).unwrap().common_tokens, Tokenizer::bundled().count("short"));
}
