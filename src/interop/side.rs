//! The results of one side of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Measured, Tool};
use super::tokpace;
use crate::report::{RunReport, RunTrials};

/// Results that were measured together: a run of ours, or a file of another tool.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file or folder, as it is shown.
    pub name: String,
    /// What it is a part of: the files of one folder are the trials of one job.
    pub job: String,
    /// The report, where it is a run of ours.
    pub run: Option<RunReport>,
    /// What was measured.
    pub trials: Vec<Measured>,
}

impl Source {
    /// A run of ours, which is a job by itself. Without its report the conditions are unknown.
    pub fn of_run(name: String, run: Option<RunReport>, trials: &RunTrials) -> Self {
        let report = |case: &str| run.as_ref()?.cases.iter().find(|report| report.case == case);
        let trials = trials.cases.iter().flat_map(|case| tokpace::trials(case, report(&case.case))).collect();
        Self { job: name.clone(), name, run, trials }
    }

    /// A file of another tool, in a folder.
    pub fn of_results(name: String, folder: String, trials: Vec<Measured>) -> Self {
        Self { name, job: folder, run: None, trials }
    }

    /// Whether the embedded server was measured, whose job-to-job noise is known to be small.
    pub(super) fn is_embedded(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.run.target == "embedded")
    }
}

/// One side: everything that was given for it.
#[derive(Clone, Debug)]
pub struct Side {
    /// `A` or `B`.
    pub name: &'static str,
    /// What was given.
    pub sources: Vec<Source>,
}

impl Side {
    /// The names of all cases, in the order in which they appear.
    pub(super) fn cases(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for trial in self.sources.iter().flat_map(|source| &source.trials) {
            if !names.contains(&trial.case.as_str()) {
                names.push(trial.case.as_str());
            }
        }
        names
    }

    /// The trials of a case, by job, in the order in which they were measured as far as that is known.
    pub(super) fn jobs(&self, case: &str) -> Vec<Vec<&Measured>> {
        let mut jobs: Vec<(&str, Vec<&Measured>)> = Vec::new();
        for source in &self.sources {
            let own = source.trials.iter().filter(|trial| trial.case == case);
            match jobs.iter_mut().find(|(job, _)| *job == source.job) {
                Some((_, trials)) => trials.extend(own),
                None => jobs.push((&source.job, own.collect())),
            }
        }
        let mut jobs: Vec<Vec<&Measured>> =
            jobs.into_iter().map(|(_, trials)| trials).filter(|trials| !trials.is_empty()).collect();
        if jobs.iter().flatten().all(|trial| trial.span.is_some()) {
            let start = |trial: &Measured| trial.span.map_or(0.0, |span| span[0]);
            for job in &mut jobs {
                job.sort_by(|a, b| start(a).total_cmp(&start(b)));
            }
            jobs.sort_by(|a, b| start(a[0]).total_cmp(&start(b[0])));
        }
        jobs
    }

    /// What was given, in words: `results/a (6 files of AIPerf)`.
    pub fn about(&self) -> String {
        let tools: BTreeSet<&str> =
            self.sources.iter().flat_map(|source| &source.trials).map(|trial| trial.tool.name()).collect();
        let tools: Vec<&str> = tools.into_iter().collect();
        match self.sources.as_slice() {
            [one] if one.trials.iter().all(|trial| trial.tool == Tool::Tokpace) => format!("{} (run)", one.name),
            [one] => format!("{} ({})", one.name, tools.join(", ")),
            many => {
                let what = if tools == [Tool::Tokpace.name()] { "runs" } else { "files" };
                format!("{} and {} more {what} ({})", many[0].name, many.len() - 1, tools.join(", "))
            }
        }
    }
}

/// Every value that a condition has over some trials.
pub(super) fn conditions(trials: &[&Measured]) -> BTreeMap<String, BTreeSet<String>> {
    gathered(trials.iter().map(|trial| &trial.conditions))
}

/// The same of what a change may change.
pub(super) fn subject(trials: &[&Measured]) -> BTreeMap<String, BTreeSet<String>> {
    gathered(trials.iter().map(|trial| &trial.subject))
}

fn gathered<'m>(maps: impl Iterator<Item = &'m BTreeMap<String, String>>) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in maps.flatten() {
        all.entry(name.clone()).or_default().insert(value.clone());
    }
    all
}
