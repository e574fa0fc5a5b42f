//! What the samples of some trials add up to: the server's own view of them.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::{Moment, Readings, Sample};

/// A trial as its server was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The samples, in order.
    pub samples: Vec<Sample>,
    /// The steady window, in the samples' seconds.
    pub window: [f64; 2],
    /// Requests in flight in that window by the client, mean over time.
    pub in_flight: Option<f64>,
}

/// Smallest, mean and largest value of what was sampled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Largest.
    pub max: f64,
}

/// The server's own view of one trial or of several.
///
/// Gauges are over the samples under load, counters are what came while load ran. Absent is what the server or the
/// system does not tell, or what so short a trial had no sample of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(default)]
pub struct ServerView {
    /// Samples under load, one a second.
    pub samples: u64,
    /// Samples under load for which a server with counters did not tell them in time.
    pub gaps: u64,
    /// Requests that were being worked on.
    pub running: Option<Spread>,
    /// Requests that waited.
    pub waiting: Option<Spread>,
    /// Share of the key-value cache in use.
    pub kv_usage: Option<Spread>,
    /// Requests that had to give up their place in it.
    pub preemptions: Option<f64>,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_queries: Option<f64>,
    /// Prompt tokens found there.
    pub prefix_hits: Option<f64>,
    /// Prompt tokens.
    pub prompt_tokens: Option<f64>,
    /// Answer tokens.
    pub generation_tokens: Option<f64>,
    /// Resident memory of all processes of a managed server, in bytes.
    pub rss_bytes: Option<Spread>,
    /// How much more it was after a trial than before, added up over the trials, in bytes.
    pub rss_growth_bytes: Option<f64>,
    /// Cores that these processes used.
    pub cpu_cores: Option<Spread>,
    /// The machine's graphics cards.
    pub gpus: Vec<GpuView>,
    /// Samples in the steady windows that told the requests in hand (running and waiting).
    pub in_hand_samples: u64,
    /// Requests in hand in the steady windows, mean over these samples.
    pub in_hand: Option<f64>,
    /// Requests in flight in the same windows by the client, mean over time.
    pub in_flight: Option<f64>,
}

/// A graphics card under load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct GpuView {
    /// Share of the time in which it was busy.
    pub utilisation: Spread,
    /// Memory in use, in bytes.
    pub memory_bytes: Spread,
}

impl Spread {
    /// Of some values; `None` without any.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut n, mut sum, mut min, mut max) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            n += 1.0;
            sum += value;
            min = value.min(min);
            max = value.max(max);
        }
        (n > 0.0).then(|| Self { min, mean: sum / n, max })
    }
}

impl ServerView {
    /// The view of some trials; `None` where nobody told anything.
    pub fn of(trials: &[Observed]) -> Option<Self> {
        let all = || trials.iter().flat_map(|trial| &trial.samples);
        if all().all(|sample| sample.values == Readings::default()) {
            return None;
        }
        let under_load = || all().filter(|sample| sample.moment == Moment::During);
        let gauge = |of: fn(&Readings) -> Option<f64>| Spread::of(under_load().filter_map(|s| of(&s.values)));
        let counter = |of: fn(&Readings) -> Option<f64>| counted(trials, of);
        let bytes = |values: &Readings| values.rss_bytes.map(|bytes| bytes as f64);
        let counts = all().any(|sample| sample.values.has_counters());
        let silent = under_load().filter(|sample| !sample.values.has_counters()).count();
        let in_hand = in_hand(trials);
        let cards = all().map(|sample| sample.values.gpus.len()).max().unwrap_or(0);
        Some(Self {
            samples: under_load().count() as u64,
            gaps: if counts { silent as u64 } else { 0 },
            running: gauge(|values| values.running),
            waiting: gauge(|values| values.waiting),
            kv_usage: gauge(|values| values.kv_usage),
            preemptions: counter(|values| values.preemptions),
            prefix_queries: counter(|values| values.prefix_queries),
            prefix_hits: counter(|values| values.prefix_hits),
            prompt_tokens: counter(|values| values.prompt_tokens),
            generation_tokens: counter(|values| values.generation_tokens),
            // Memory is not only held under load, and a short trial has no other samples.
            rss_bytes: Spread::of(all().filter_map(|sample| bytes(&sample.values))),
            rss_growth_bytes: trials.iter().filter_map(|trial| growth(trial, bytes)).reduce(|a, b| a + b),
            cpu_cores: cores(trials),
            gpus: (0..cards).filter_map(|card| graphics(all(), card)).collect(),
            in_hand_samples: in_hand.len() as u64,
            in_hand: Spread::of(in_hand).map(|spread| spread.mean),
            in_flight: Spread::of(trials.iter().filter_map(|trial| trial.in_flight)).map(|spread| spread.mean),
        })
    }

    /// Part of the prompt tokens that the prefix cache had, by the server's counters.
    pub fn hit_ratio(&self) -> Option<f64> {
        self.prefix_hits.zip(self.prefix_queries).filter(|(_, queries)| *queries > 0.0).map(|(hits, all)| hits / all)
    }
}

/// First and last of what the samples of a trial told.
fn ends(trial: &Observed, of: impl Fn(&Readings) -> Option<f64>) -> Option<[f64; 2]> {
    let mut told = trial.samples.iter().filter_map(|sample| of(&sample.values));
    let first = told.next()?;
    Some([first, told.next_back()?])
}

fn growth(trial: &Observed, of: impl Fn(&Readings) -> Option<f64>) -> Option<f64> {
    ends(trial, of).map(|[first, last]| last - first)
}

/// What a counter has counted in the trials. A server that was restarted in between has begun anew.
fn counted(trials: &[Observed], of: fn(&Readings) -> Option<f64>) -> Option<f64> {
    let came = |[first, last]: [f64; 2]| if last < first { last } else { last - first };
    trials.iter().filter_map(|trial| ends(trial, of).map(came)).reduce(|a, b| a + b)
}

/// Cores in use between one sample and the next.
fn cores(trials: &[Observed]) -> Option<Spread> {
    let (mut used, mut seconds, mut each) = (0.0, 0.0, Vec::new());
    for trial in trials {
        let told: Vec<[f64; 2]> =
            trial.samples.iter().filter_map(|sample| Some([sample.t_s, sample.values.cpu_seconds?])).collect();
        for pair in told.windows(2) {
            let (time, processor) = (pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]);
            // The system counts in hundredths of a second: of less there is no rate.
            if time >= 0.25 {
                each.push(processor / time);
            }
            used += processor;
            seconds += time;
        }
    }
    let spread = Spread::of(each)?;
    Some(Spread { mean: used / seconds, ..spread })
}

/// Requests in hand by each sample in the steady windows.
fn in_hand(trials: &[Observed]) -> Vec<f64> {
    let of_trial = |trial: &Observed| {
        let [from, to] = trial.window;
        let inside = |sample: &&Sample| sample.moment == Moment::During && (from..=to).contains(&sample.t_s);
        let told = |sample: &Sample| Some(sample.values.running? + sample.values.waiting?);
        trial.samples.iter().filter(inside).filter_map(told).collect::<Vec<f64>>()
    };
    trials.iter().flat_map(of_trial).collect()
}

fn graphics<'s>(samples: impl Iterator<Item = &'s Sample>, card: usize) -> Option<GpuView> {
    let readings: Vec<_> = samples
        .filter(|sample| sample.moment == Moment::During)
        .filter_map(|sample| sample.values.gpus.get(card))
        .collect();
    Some(GpuView {
        utilisation: Spread::of(readings.iter().map(|reading| reading.utilisation))?,
        memory_bytes: Spread::of(readings.iter().map(|reading| reading.memory_bytes as f64))?,
    })
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
mod tests {
    use super::*;
    use crate::watch::GpuReading;

    fn sample(moment: Moment, t_s: f64, values: Readings) -> Sample {
        Sample { moment, t_s, values }
    }

    fn trial(samples: Vec<Sample>) -> Observed {
        Observed { samples, window: [0.0, 10.0], in_flight: Some(4.0) }
    }

    fn load(running: f64, waiting: f64, preemptions: f64) -> Readings {
        Readings {
            running: Some(running),
            waiting: Some(waiting),
            preemptions: Some(preemptions),
            ..Readings::default()
        }
    }

    #[test]
    fn gauges_are_of_the_load_and_counters_of_the_whole() {
        let view = ServerView::of(&[
            trial(vec![
                sample(Moment::Before, 0.0, load(0.0, 0.0, 5.0)),
                sample(Moment::During, 0.5, load(2.0, 1.0, 6.0)),
                sample(Moment::During, 1.5, Readings::default()),
                sample(Moment::During, 11.5, load(4.0, 0.0, 6.0)),
                sample(Moment::After, 12.0, load(0.0, 0.0, 8.0)),
            ]),
            // The server was started anew in between, and in its last trial once more.
            trial(vec![
                sample(Moment::Before, 0.0, load(0.0, 0.0, 9.0)),
                sample(Moment::After, 0.2, load(0.0, 0.0, 2.0)),
            ]),
        ])
        .unwrap();
        assert_eq!((view.samples, view.gaps), (3, 1));
        assert_eq!(view.running, Some(Spread { min: 2.0, mean: 3.0, max: 4.0 }));
        assert_eq!(view.waiting, Some(Spread { min: 0.0, mean: 0.5, max: 1.0 }));
        assert_eq!((view.kv_usage, view.preemptions), (None, Some(5.0)));
        assert_eq!((view.in_hand, view.in_hand_samples, view.in_flight), (Some(3.0), 1, Some(4.0)));
    }

    #[test]
    fn memory_grows_within_trials_and_time_is_shared_out() {
        let values = |rss_bytes, cpu_seconds| Readings {
            rss_bytes: Some(rss_bytes),
            cpu_seconds: Some(cpu_seconds),
            ..Readings::default()
        };
        let view = ServerView::of(&[
            trial(vec![
                sample(Moment::Before, 0.0, values(100, 0.0)),
                sample(Moment::During, 1.0, values(300, 0.5)),
                sample(Moment::During, 3.0, values(200, 3.5)),
                sample(Moment::After, 3.1, values(200, 4.1)),
            ]),
            trial(vec![sample(Moment::Before, 0.0, values(50, 0.0)), sample(Moment::After, 0.9, values(40, 0.4))]),
        ])
        .unwrap();
        assert_eq!(view.rss_bytes.unwrap().max, 300.0);
        assert_eq!((view.rss_growth_bytes, view.gaps), (Some(90.0), 0));
        let cores = view.cpu_cores.unwrap();
        assert_eq!((cores.max, cores.mean), (1.5, 4.5 / 4.0));
    }

    #[test]
    fn cards_are_seen_one_by_one() {
        let busy = |utilisation| Readings {
            gpus: vec![GpuReading { utilisation: 0.0, memory_bytes: 1 }, GpuReading { utilisation, memory_bytes: 7 }],
            ..Readings::default()
        };
        let samples = vec![sample(Moment::During, 0.5, busy(0.5)), sample(Moment::During, 1.5, busy(1.0))];
        let view = ServerView::of(&[trial(samples)]).unwrap();
        assert_eq!(view.gpus.len(), 2);
        assert_eq!(view.gpus[1].utilisation, Spread { min: 0.5, mean: 0.75, max: 1.0 });
        assert_eq!(view.gpus[1].memory_bytes.max, 7.0);
    }

    #[test]
    fn who_tells_nothing_has_no_view() {
        assert_eq!(ServerView::of(&[]), None);
        assert_eq!(ServerView::of(&[trial(vec![sample(Moment::Before, 0.0, Readings::default())])]), None);
        assert_eq!(ServerView::default().hit_ratio(), None);
        let view = ServerView { prefix_queries: Some(8.0), prefix_hits: Some(2.0), ..ServerView::default() };
        assert_eq!(view.hit_ratio(), Some(0.25));
    }

    #[test]
    fn views_of_earlier_versions_load() {
        assert_eq!(serde_json::from_str::<ServerView>("{}").unwrap(), ServerView::default());
    }
}
