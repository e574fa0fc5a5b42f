//! Lines of the history as series: by profile, case and conditions, with the points at which they changed.

use std::collections::BTreeMap;

use super::Entry;
use crate::baseline::is_share;
use crate::metric::MetricId;
use crate::stats::changepoint::change_points;

/// Runs that are looked at for changes: the last ones of a series.
pub const NIGHTS: usize = 50;

/// All runs of a case on a profile.
#[derive(Clone, Debug)]
pub struct Track<'e> {
    /// The profile.
    pub profile: &'e str,
    /// The case.
    pub case: &'e str,
    /// Runs under equal conditions belong together. The one that was measured last is the last.
    pub stretches: Vec<Stretch<'e>>,
}

/// Runs of a case under equal conditions, oldest first.
#[derive(Clone, Debug)]
pub struct Stretch<'e> {
    /// The fingerprint of the conditions.
    pub conditions: &'e str,
    /// The runs; at least one.
    pub runs: Vec<&'e Entry>,
}

/// A metric over the last runs of a stretch.
#[derive(Clone, Debug)]
pub struct Series<'e> {
    /// The metric.
    pub metric: &'e str,
    /// The runs, at most [`NIGHTS`].
    pub runs: &'e [&'e Entry],
    /// The values of the runs; `None` where a run has no finite one.
    pub values: Vec<Option<f64>>,
    /// Where the series changed, oldest first.
    pub changes: Vec<Change>,
}

/// A run from which on a series is different.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The index of the run in its series.
    pub index: usize,
    /// Mean of the values since the change before, in the metric's unit.
    pub before: f64,
    /// Mean of the values until the next change.
    pub after: f64,
    /// Two-sided p of Student's t-test between the two.
    pub p: f64,
}

impl Change {
    /// What changed: the ratio of the means less 1, or the difference of shares.
    pub fn shift(&self, metric: &str) -> f64 {
        if is_share(metric) { self.after - self.before } else { self.after / self.before - 1.0 }
    }
}

/// The tracks of all entries, by profile and case.
pub fn tracks(entries: &[Entry]) -> Vec<Track<'_>> {
    let mut of_case: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        of_case.entry((&entry.profile, &entry.case)).or_default().push(entry);
    }
    of_case
        .into_iter()
        .map(|((profile, case), mut runs)| {
            runs.sort_by(|a, b| a.time.cmp(&b.time));
            Track { profile, case, stretches: stretches(runs) }
        })
        .collect()
}

fn stretches(runs: Vec<&Entry>) -> Vec<Stretch<'_>> {
    let mut found: Vec<Stretch<'_>> = Vec::new();
    for run in runs {
        match found.iter_mut().find(|stretch| stretch.conditions == run.conditions) {
            Some(stretch) => stretch.runs.push(run),
            None => found.push(Stretch { conditions: &run.conditions, runs: vec![run] }),
        }
    }
    let last = |stretch: &Stretch<'_>| stretch.runs.last().map(|run| run.time.clone());
    found.sort_by_key(last);
    found
}

impl<'e> Stretch<'e> {
    /// The metrics that some run has, in the order of reports.
    pub fn metrics(&self) -> Vec<&'e str> {
        let mut names: Vec<&str> = self.runs.iter().flat_map(|run| run.checks.keys()).map(String::as_str).collect();
        names.sort_by_key(|name| {
            let metric = name.parse::<MetricId>().ok().map(|id| id.metric);
            (metric.is_none(), metric, *name)
        });
        names.dedup();
        names
    }

    /// The last runs, at most [`NIGHTS`].
    pub fn latest(&self) -> &[&'e Entry] {
        &self.runs[self.runs.len().saturating_sub(NIGHTS)..]
    }

    /// A metric over the last runs.
    pub fn series<'s>(&'s self, metric: &'s str) -> Series<'s> {
        let runs = self.latest();
        let values: Vec<Option<f64>> = runs.iter().map(|run| run.checks.get(metric).copied().flatten()).collect();
        let changes = changes(&values);
        Series { metric, runs, values, changes }
    }
}

/// Change points among the values that are there.
fn changes(values: &[Option<f64>]) -> Vec<Change> {
    let known: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))).collect();
    let plain: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let points = change_points(&plain);
    let bounds: Vec<usize> =
        std::iter::once(0).chain(points.iter().map(|point| point.index)).chain([plain.len()]).collect();
    let mean = |from: usize, to: usize| plain[from..to].iter().sum::<f64>() / (to - from) as f64;
    points
        .iter()
        .zip(bounds.windows(3))
        .map(|(point, around)| Change {
            index: known[point.index].0,
            before: mean(around[0], around[1]),
            after: mean(around[1], around[2]),
            p: point.p,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::entry::testing::entry;
    use super::*;

    const WOBBLE: [f64; 5] = [0.0, 0.02, -0.015, 0.01, -0.02];

    fn nights(from: u32, count: u32, conditions: &str, level: f64) -> Vec<Entry> {
        (from..from + count)
            .map(|night| entry(night, conditions, level * (1.0 + WOBBLE[night as usize % 5] / 5.0)))
            .collect()
    }

    #[test]
    fn a_step_is_found_with_its_run_and_its_size() {
        let mut entries = nights(1, 20, "a", 4.5);
        entries.extend(nights(21, 12, "a", 4.95));
        // A night without a value moves nothing.
        entries[2].checks.insert("tpot.p50".into(), None);
        entries.reverse();
        let tracks = tracks(&entries);
        let series = tracks[0].stretches[0].series("tpot.p50");
        assert_eq!(series.values.len(), 32);
        let [change] = series.changes[..] else { panic!("{:?}", series.changes) };
        assert_eq!((change.index, series.runs[change.index].run.as_str()), (20, "run-21"));
        assert!((change.shift("tpot.p50") - 0.1).abs() < 0.005, "{change:?}");
        assert!(change.p <= 1e-4);
        assert!(tracks[0].stretches[0].series("error_rate").changes.is_empty());
    }

    #[test]
    fn other_conditions_are_never_compared_across() {
        let mut entries = nights(1, 15, "a", 4.5);
        entries.extend(nights(16, 15, "b", 9.0));
        // One night on the old machine again: it belongs to the old series.
        entries.extend(nights(31, 1, "a", 4.5));
        let tracks = tracks(&entries);
        let found: Vec<_> = tracks[0].stretches.iter().map(|one| (one.conditions, one.runs.len())).collect();
        assert_eq!(found, [("b", 15), ("a", 16)]);
        assert!(tracks[0].stretches.iter().all(|stretch| stretch.series("tpot.p50").changes.is_empty()));
    }

    #[test]
    fn only_the_last_fifty_nights_are_looked_at() {
        let mut entries = nights(1, 20, "a", 4.5);
        entries.extend(nights(21, 50, "a", 4.95));
        let tracks = tracks(&entries);
        let series = tracks[0].stretches[0].series("tpot.p50");
        assert_eq!((series.values.len(), series.changes.len()), (NIGHTS, 0));
    }

    #[test]
    fn cases_and_profiles_are_tracks_of_their_own() {
        let mut entries = nights(1, 3, "a", 4.5);
        entries[0].case = "batch".into();
        entries[1].profile = "staging".into();
        let tracks = tracks(&entries);
        let found: Vec<_> = tracks.iter().map(|track| (track.profile, track.case)).collect();
        assert_eq!(found, [("embedded", "batch"), ("embedded", "chatbot"), ("staging", "chatbot")]);
        assert_eq!(tracks[0].stretches[0].metrics(), ["tpot.p50", "error_rate"]);
    }
}
