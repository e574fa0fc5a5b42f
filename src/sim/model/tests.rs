use super::*;
use crate::profile::{Slowdown, TtftCost};
use crate::units::{Share, Time};

const MS: Nanos = 1_000_000;

/// 40 ms base, 25 µs a prompt token, 4 ms a token, 1 % growth, no jitter.
fn config() -> Embedded {
    Embedded { jitter: Share(0.0), ..Embedded::default() }
}

fn request(id: u64, start: u32, count: u32, max_tokens: u32) -> SimRequest {
    SimRequest { id, tokens: (start..start + count).collect(), max_tokens, cold: false }
}

/// Steps until nothing is left: when each token of each request left, and the cached tokens.
fn run(model: &mut Model) -> BTreeMap<u64, (Vec<Nanos>, u32)> {
    let mut tokens: BTreeMap<u64, (Vec<Nanos>, u32)> = BTreeMap::new();
    while let Some(at) = model.next_ready() {
        let step = model.step(at).expect("what is ready can be admitted");
        for emission in step.emissions {
            let entry = tokens.entry(emission.id).or_default();
            assert_eq!(entry.0.len(), emission.index as usize);
            entry.0.push(step.end);
            entry.1 = emission.cached_tokens;
        }
    }
    tokens
}

#[test]
fn a_lone_request_pays_base_prompt_and_steps() {
    let mut model = Model::new(&config(), 1);
    model.submit(5 * MS, &request(0, 0, 100, 3)).unwrap();
    assert_eq!(model.next_ready(), Some(45 * MS));
    assert_eq!(model.step(44 * MS), None);
    let (times, cached) = run(&mut model).remove(&0).unwrap();
    let first = 5 * MS + 40 * MS + 100 * 25_000;
    assert_eq!((times, cached), (vec![first, first + 4 * MS, first + 8 * MS], 0));
    let stats = model.stats();
    assert_eq!((stats.prompt_tokens, stats.generation_tokens, stats.finished), (100, 3, 1));
    assert_eq!((stats.running, stats.waiting), (0, 0));
    assert!(stats.kv_usage.abs() < 1e-12);
}

#[test]
fn steps_grow_with_the_batch_and_hold_prompts() {
    let mut model = Model::new(&config(), 1);
    for id in 0..3 {
        model.submit(0, &request(id, id as u32 * 1_000, 40, 3)).unwrap();
    }
    model.submit(2 * MS, &request(3, 5_000, 80, 1)).unwrap();
    let times = run(&mut model);
    // Three prompts of 1 ms in one step, then decode steps of three.
    let first = 43 * MS;
    let decode = 4 * MS * 102 / 100;
    // The fourth is ready at 42 ms and its prompt of 2 ms joins the first decode step.
    assert_eq!(times[&0].0, vec![first, first + decode + 2 * MS, first + 2 * decode + 2 * MS]);
    assert_eq!(times[&3].0, vec![first + decode + 2 * MS]);
    assert_eq!(times[&0].0, times[&2].0);
}

#[test]
fn requests_beyond_the_batch_queue_in_order() {
    let mut model = Model::new(&Embedded { max_batch: 2, ..config() }, 1);
    for id in 0..4 {
        model.submit(id, &request(id, id as u32 * 1_000, 40, 2)).unwrap();
    }
    let step = model.clone().step(41 * MS).unwrap();
    assert_eq!((step.stats.running, step.stats.waiting), (2, 2));
    let times = run(&mut model);
    // The first is ready before the second, whose prompt joins its decode step.
    let first = 40 * MS + MS;
    assert_eq!(times[&0].0, vec![first, first + 5 * MS]);
    assert_eq!(times[&1].0, vec![first + 5 * MS, first + 10 * MS]);
    // The place that is free after each end goes to the next.
    assert_eq!(times[&2].0, vec![first + 10 * MS, first + 15 * MS]);
    assert_eq!(times[&3].0, vec![first + 15 * MS, first + 19 * MS]);
}

#[test]
fn cached_prefixes_are_not_computed_again() {
    let mut model = Model::new(&config(), 1);
    model.submit(0, &request(0, 0, 100, 1)).unwrap();
    run(&mut model);
    let start = 1_000 * MS;
    // 96 of the 100 tokens lie in full blocks of 16.
    model.submit(start, &request(1, 0, 300, 1)).unwrap();
    let (times, cached) = run(&mut model).remove(&1).unwrap();
    assert_eq!((times[0], cached), (start + 40 * MS + (300 - 96) * 25_000, 96));
    let stats = model.stats();
    assert_eq!((stats.prefix_queries, stats.prefix_hits), (400, 96));

    let mut model = Model::new(&Embedded { prefix_caching: false, ..config() }, 1);
    for id in 0..2 {
        model.submit(id * 1_000 * MS, &request(id, 0, 96, 1)).unwrap();
        let (times, cached) = run(&mut model).remove(&id).unwrap();
        assert_eq!((times[0], cached), (id * 1_000 * MS + 40 * MS + 96 * 25_000, 0));
    }
    assert_eq!(model.stats().prefix_queries, 0);
}

#[test]
fn a_cold_lookup_misses_what_is_there() {
    let mut model = Model::new(&config(), 1);
    for id in 0..4 {
        model.submit(id * 1_000 * MS, &SimRequest { cold: id % 2 == 1, ..request(id, 0, 100, 1) }).unwrap();
    }
    let tokens = run(&mut model);
    // The second and the fourth pay for the whole prompt, although the first one's is cached.
    let paid = |id: u64| tokens[&id].0[0] - id * 1_000 * MS - 40 * MS;
    assert_eq!([0, 1, 2, 3].map(|id| tokens[&id].1), [0, 0, 96, 0]);
    assert_eq!([0, 1, 2, 3].map(paid), [100, 100, 4, 100].map(|computed| computed * 25_000));
    let stats = model.stats();
    assert_eq!((stats.prefix_queries, stats.prefix_hits), (400, 96));
    assert!(stats.kv_usage.abs() < 1e-12);
}

#[test]
fn a_cold_prompt_can_be_found_by_others() {
    let mut model = Model::new(&config(), 1);
    model.submit(0, &SimRequest { cold: true, ..request(0, 0, 100, 1) }).unwrap();
    run(&mut model);
    model.submit(1_000 * MS, &request(1, 0, 100, 1)).unwrap();
    assert_eq!(run(&mut model)[&1].1, 96);
}

#[test]
fn a_cold_sequence_stays_cold_when_it_is_computed_again() {
    // Seven blocks of four tokens: the younger of two sequences goes, and its prompt of two blocks stays cached.
    let tight = Embedded { kv_blocks: 7, block_size: 4, ..config() };
    let again = |cold| {
        let mut model = Model::new(&tight, 1);
        model.submit(0, &request(0, 0, 9, 8)).unwrap();
        model.submit(0, &SimRequest { cold, ..request(1, 1_000, 9, 8) }).unwrap();
        let tokens = run(&mut model);
        assert_eq!((model.stats().preemptions, model.stats().prefix_hits), (1, 0));
        let gaps = tokens[&1].0.windows(2).map(|pair| pair[1] - pair[0]);
        let last_of_the_other = tokens[&0].0[7];
        (gaps.count(), tokens[&1].0.iter().find(|at| **at > last_of_the_other).copied().unwrap() - last_of_the_other)
    };
    let ((warm_gaps, warm), (cold_gaps, cold)) = (again(false), again(true));
    assert_eq!((warm_gaps, cold_gaps), (7, 7));
    assert_eq!(cold - warm, 8 * 25_000);
}

#[test]
fn a_prompt_is_reusable_when_its_step_has_ended() {
    let mut model = Model::new(&config(), 1);
    model.submit(0, &request(0, 0, 100, 50)).unwrap();
    model.submit(0, &request(1, 0, 100, 50)).unwrap();
    // Ready during the first prompts' step of 5 ms.
    model.submit(MS, &request(2, 0, 100, 1)).unwrap();
    let tokens = run(&mut model);
    assert_eq!((tokens[&0].1, tokens[&1].1, tokens[&2].1), (0, 0, 96));
}

#[test]
fn slowdowns_scale_prefill_and_decode() {
    let slowdown = Slowdown { prefill: Share(0.2), decode: Share(0.1) };
    let mut model = Model::new(&Embedded { slowdown, ..config() }, 1);
    model.submit(0, &request(0, 0, 100, 2)).unwrap();
    let times = run(&mut model).remove(&0).unwrap().0;
    assert_eq!(times, vec![48 * MS + 3 * MS, 48 * MS + 3 * MS + 4_400_000]);
}

#[test]
fn the_youngest_is_preempted_and_computed_again() {
    // Four blocks of four tokens; two sequences of 7 + 5 tokens need three each in the end.
    let tight = Embedded { kv_blocks: 4, block_size: 4, prefix_caching: false, ..config() };
    let mut model = Model::new(&tight, 1);
    model.submit(0, &request(0, 0, 7, 6)).unwrap();
    model.submit(0, &request(1, 1_000, 7, 6)).unwrap();
    let times = run(&mut model);
    assert_eq!(model.stats().preemptions, 1);
    assert_eq!(model.stats().generation_tokens, 12);
    assert_eq!((times[&0].0.len(), times[&1].0.len()), (6, 6));
    let first = &times[&0].0;
    // Two tokens fit beside each other; the others of the younger one come after the older one's end, the first of
    // them with the prompt and both tokens computed again.
    assert_eq!(times[&1].0[1], first[1]);
    assert_eq!(times[&1].0[2], first[5] + 9 * 25_000);
    assert_eq!(model.stats().prompt_tokens, 14);
}

#[test]
fn what_never_fits_is_refused() {
    let tight = Embedded { kv_blocks: 4, block_size: 4, ..config() };
    let mut model = Model::new(&tight, 1);
    assert!(model.submit(0, &request(0, 0, 16, 1)).is_ok());
    let error = model.submit(0, &request(1, 0, 16, 2)).unwrap_err();
    assert_eq!(error, TooLong { prompt: 16, answer: 2, capacity: 16 });
    assert_eq!(Model::check(&tight, 16, 2), Err(error));
    assert_eq!(run(&mut model).len(), 1);
    assert!(Model::check(&Embedded { kv_blocks: u32::MAX, ..config() }, 1, u32::MAX).is_err());
    assert!(Model::check(&Embedded { kv_blocks: 0, ..config() }, 1, 1).is_err());
}

#[test]
fn cancelling_frees_the_sequence() {
    let mut model = Model::new(&Embedded { max_batch: 1, ..config() }, 1);
    model.submit(0, &request(0, 0, 40, 1_000)).unwrap();
    model.submit(0, &request(1, 1_000, 40, 1)).unwrap();
    model.submit(0, &request(2, 2_000, 40, 1)).unwrap();
    let step = model.step(40 * MS).unwrap();
    assert!(model.stats().kv_usage > 0.0);
    assert!(model.cancel(0) && model.cancel(2));
    assert!(!model.cancel(0));
    assert!(model.stats().kv_usage.abs() < 1e-12);
    let times = run(&mut model);
    assert_eq!(times.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(times[&1].0, [step.end + MS]);
}

#[test]
fn jitter_follows_the_seed_and_the_request_not_the_order() {
    let jittery = Embedded { jitter: Share(0.1), ..config() };
    let once = |seed, ids: [u64; 2]| {
        let mut model = Model::new(&jittery, seed);
        for id in ids {
            model.submit(0, &request(id, id as u32 * 1_000, 40, 20)).unwrap();
        }
        run(&mut model)
    };
    assert_eq!(once(1, [0, 1]), once(1, [0, 1]));
    assert_eq!(once(1, [0, 1]), once(1, [1, 0]));
    assert_ne!(once(1, [0, 1]), once(2, [0, 1]));
    let gaps: Vec<Nanos> = once(1, [0, 1])[&0].0.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.iter().any(|gap| *gap != gaps[0]));
}

#[test]
fn nonsense_settings_do_not_hang() {
    let odd = Embedded {
        ttft: TtftCost { base: Time(0), per_input_token: Time(0) },
        itl: Time(0),
        max_batch: 0,
        block_size: 0,
        jitter: Share(f64::NAN),
        slowdown: Slowdown { prefill: Share(-5.0), decode: Share(-5.0) },
        ..Embedded::default()
    };
    let mut model = Model::new(&odd, 1);
    model.submit(0, &request(0, 0, 0, 0)).unwrap();
    model.submit(0, &request(1, 0, 10, 3)).unwrap();
    let tokens = run(&mut model);
    assert_eq!((tokens[&0].0.len(), tokens[&1].0.len()), (1, 3));
}
