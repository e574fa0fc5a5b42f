//! Pairs of all selected cases, measured together: one pair of every open case, then the next of each.

use std::sync::Arc;

use crate::gate::{self, CaseInput, CaseVerdict, FEWEST, Mode, Order, Pair, Suite, Verdict};
use crate::harness::bench::{Bench, Role};
use crate::harness::session::Session;
use crate::harness::tally::Tally;
use crate::harness::trial::{Context, Runner, Taken};
use crate::harness::{MeasureError, conclude, sources, verdict, watched};
use crate::measure::{Expected, Invalid, check_trust, gives_up, pause};
use crate::metric::{Metric, MetricId, Statistic};
use crate::plan::{Plan, Words};
use crate::profile::Profile;
use crate::report::{CaseReport, CaseTrials, ReferenceInfo, TrialReport};
use crate::scenario::Case;
use crate::target::{Fingerprint, of_case};

/// A case that is measured in pairs.
struct Joint {
    case: Case,
    plan: Plan,
    words: Arc<Words>,
    /// Reference and candidate on the bench.
    sides: [usize; 2],
    /// Most pairs that may be judged.
    most: u32,
    pairs: Vec<Pair>,
    /// Reference and candidate.
    tallies: [Tally; 2],
    trials: Vec<TrialReport>,
    /// Pairs that were no measurement, by number.
    invalid: Vec<(u32, Vec<Invalid>)>,
    attempts: u32,
    /// The order of the pair that is being measured, and its trials so far.
    order: Order,
    taken: [Option<Taken>; 2],
    /// Which start of each side's server was warmed up for this case.
    warmed: [Option<u32>; 2],
    seconds: f64,
    state: State,
    /// What the judge is asked, kept as it was when the case was decided.
    input: Option<CaseInput>,
    notes: Vec<String>,
}

enum State {
    Open,
    /// Decided, or nothing more to learn.
    Done,
    /// Too many pairs were no measurement.
    GivenUp,
    Interrupted,
    Failed(MeasureError),
    Reported,
}

impl Joint {
    /// Whether it takes another pair.
    fn open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Smoke requests and warm-up, on both sides.
    fn prepare(&mut self, bench: &mut Bench, context: &mut Context<'_>) -> Result<(), MeasureError> {
        (0..2).try_for_each(|at| self.warm(at, bench, context))
    }

    /// A smoke request and the warm-up of one side, once a start of its server.
    fn warm(&mut self, at: usize, bench: &mut Bench, context: &mut Context<'_>) -> Result<(), MeasureError> {
        bench.ready(self.sides[at], context.stop.flag())?;
        let side = bench.side(self.sides[at]);
        let starts = side.starts();
        if self.warmed[at] != Some(starts) {
            Runner::new(&self.case, side, Arc::clone(&self.words), context).prepare(&self.plan)?;
            self.warmed[at] = Some(starts);
        }
        Ok(())
    }

    /// One trial of each side, back to back.
    fn pair(&mut self, round: u32, bench: &mut Bench, context: &mut Context<'_>) -> Result<(), MeasureError> {
        for side in self.sides {
            bench.side(side).refresh(round, context.stop.flag())?;
        }
        self.order = self.next_order();
        for at in sequence(self.order) {
            self.take(at, bench, context)?;
        }
        Ok(())
    }

    /// A trial of one side; the second of a pair completes it.
    fn take(&mut self, at: usize, bench: &mut Bench, context: &mut Context<'_>) -> Result<(), MeasureError> {
        if !self.open() {
            return Ok(());
        }
        if self.taken.iter().all(Option::is_none) {
            self.attempts += 1;
        }
        (context.progress)(&format!("{}: pair {} of at most {}", self.case.name, self.pairs.len() + 1, self.most));
        self.warm(at, bench, context)?;
        let words = Arc::clone(&self.words);
        let mut runner = Runner::new(&self.case, bench.side(self.sides[at]), words, context);
        let trial = runner.trial(&self.plan, self.attempts)?;
        self.seconds += trial.seconds;
        self.tallies[at].saw(&trial);
        if trial.interrupted {
            self.state = State::Interrupted;
        }
        self.taken[at] = Some(trial);
        if self.taken.iter().all(Option::is_some) || !self.open() { self.complete(context) } else { Ok(()) }
    }

    /// What was taken becomes a pair, or the reason why it is none.
    fn complete(&mut self, context: &mut Context<'_>) -> Result<(), MeasureError> {
        let [a, b] = std::mem::take(&mut self.taken);
        let invalid = match (&a, &b) {
            (Some(a), Some(b)) => untrusted(a, b),
            _ => Vec::new(),
        };
        self.trials.extend([&a, &b].into_iter().flatten().map(|trial| trial.report(invalid.is_empty())));
        let parts = CaseTrials { case: self.case.name.clone(), trials: self.trials.clone() };
        context.folder.save_part("trials", &self.case.name, &parts)?;
        let (Some(a), Some(b), State::Open) = (a, b, &self.state) else { return Ok(()) };
        if invalid.is_empty() {
            self.tallies[0].take(&a);
            self.tallies[1].take(&b);
            self.pairs.push(Pair { order: self.order, a: a.row, b: b.row });
            return Ok(());
        }
        // The rule is about the client and the answers as such, never about the difference.
        self.invalid.push((self.attempts, invalid));
        if gives_up(&self.invalid, self.pairs.len() as u32, self.most) {
            self.state = State::GivenUp;
        } else {
            context.stop.sleep(pause(&self.invalid));
        }
        Ok(())
    }

    /// Which side goes first: in turn, beginning with what the seed says.
    fn next_order(&self) -> Order {
        in_turn(self.case.workload.seed, self.pairs.len() as u64)
    }

    /// What the judge is asked; checks that the answers so far cannot support are advisory.
    fn ask(&mut self) -> CaseInput {
        if let Some(input) = &self.input {
            return input.clone();
        }
        let mut case = self.case.clone();
        self.notes = conclude::advise(&mut case, &[&self.tallies[0], &self.tallies[1]]);
        let input = verdict::paired_input(&case, &self.pairs, self.most);
        if !self.open() {
            self.case = case;
            self.input = Some(input.clone());
        }
        input
    }

    /// Takes note of what the judge said: a case that is decided leaves the rotation.
    fn told(&mut self, judged: &CaseVerdict) {
        let enough = self.pairs.len() as u32 >= self.most || (self.most >= FEWEST && judged.next_look.is_none());
        if self.open() && enough {
            self.state = State::Done;
        }
    }
}

/// AB, BA, AB, …, or the other way round.
fn in_turn(seed: u64, turn: u64) -> Order {
    if seed.wrapping_add(turn).is_multiple_of(2) { Order::Ab } else { Order::Ba }
}

/// Reference and candidate by number, in the order in which they are measured.
fn sequence(order: Order) -> [usize; 2] {
    if order == Order::Ab { [0, 1] } else { [1, 0] }
}

/// Why a pair is no measurement. Answers of the two sides must be as long as each other.
fn untrusted(a: &Taken, b: &Taken) -> Vec<Invalid> {
    let median = MetricId { metric: Metric::OutputTokens, statistic: Some(Statistic::Quantile(0.5)) };
    let expected = match a.summary.value(median) {
        crate::measure::Value::Known(output_tokens) => Some(Expected { output_tokens, of: "the reference" }),
        _ => None,
    };
    let of = |name: &str, found: Vec<Invalid>| -> Vec<Invalid> {
        found.into_iter().map(|i| Invalid { reason: format!("{name}: {}", i.reason), ..i }).collect()
    };
    let mut all = of("reference", check_trust(&a.trial, &a.summary, None));
    all.extend(of("candidate", check_trust(&b.trial, &b.summary, expected)));
    all
}

impl Session {
    /// Whether the case is measured in pairs.
    pub(crate) fn is_paired(&self, case: &Case) -> bool {
        self.against.is_some() || case.compare.is_some()
    }

    /// The two sides of a paired case: reference and candidate.
    pub(crate) fn profiles(&self, case: &Case) -> Result<[Profile; 2], MeasureError> {
        match (&case.compare, &self.against) {
            (Some(compare), _) => {
                Ok([self.profile.with_variant(&compare.reference)?, self.profile.with_variant(&compare.candidate)?])
            }
            (None, Some(against)) => Ok([against.clone(), self.profile.clone()]),
            (None, None) => Ok([self.profile.clone(), self.profile.clone()]),
        }
    }

    /// Measures all selected cases that are measured in pairs, and keeps a report of each as soon as it is decided.
    ///
    /// # Errors
    /// Only if the results cannot be written.
    pub(crate) fn run_jointly(&mut self, cases: &[Case]) -> std::io::Result<()> {
        let mut joints = Vec::with_capacity(cases.len());
        for case in cases {
            tracing::info!(case = %case.name, "measure in pairs");
            match self.joint(case) {
                Ok(joint) => joints.push(joint),
                Err(error) => {
                    let report = self.unmeasured(case, &error);
                    self.finish(report)?;
                }
            }
        }
        let exclusive = joints.iter().any(|joint| self.is_exclusive(joint));
        if !exclusive {
            self.with_bench(&mut joints, Joint::prepare)?;
        }
        for round in 0_u32.. {
            if !joints.iter().any(Joint::open) {
                break;
            }
            if exclusive {
                self.blocks(&mut joints, round.into())?;
            } else {
                self.with_bench(&mut joints, |joint, bench, context| joint.pair(round, bench, context))?;
            }
            self.judge_jointly(&mut joints)?;
        }
        self.judge_jointly(&mut joints)
    }

    /// Whether only one side of a case may be up at a time.
    fn is_exclusive(&mut self, joint: &Joint) -> bool {
        let Some(bench) = &mut self.bench else { return false };
        joint.sides.into_iter().any(|side| bench.side(side).is_exclusive())
    }

    /// One pair of every open case, where only one side may be up: all trials of the one, then all of the other.
    fn blocks(&mut self, joints: &mut [Joint], round: u64) -> std::io::Result<()> {
        let seed = joints.first().map_or(0, |joint| joint.case.workload.seed);
        let order = in_turn(seed, round);
        for joint in joints.iter_mut() {
            joint.order = order;
        }
        for at in sequence(order) {
            self.with_bench(joints, |joint, bench, context| joint.take(at, bench, context))?;
            // Also where the next block is of the same side: no two pairs share a start.
            self.bench.iter_mut().for_each(|bench| bench.make_room(true, None));
        }
        Ok(())
    }

    /// Plans a case and opens its sides.
    fn joint(&mut self, case: &Case) -> Result<Joint, MeasureError> {
        if self.stop.requested() {
            return Err(MeasureError::Interrupted);
        }
        let [reference, candidate] = self.profiles(case)?;
        let sides = [self.opened(Role::Reference, &reference)?, self.opened(Role::Candidate, &candidate)?];
        let folder = self.folder()?;
        let Some(bench) = &mut self.bench else { return Err(MeasureError::Interrupted) };
        let side = bench.side(sides[1]);
        // Both sides get what the candidate's tokenizer makes of the scenario, to the byte.
        let (tokenizer, words) = (side.target.tokenizer.clone(), Arc::clone(&side.words));
        let plan = self.plan_with(case, &tokenizer, &words)?;
        folder.append("plan.jsonl", &sources::plan_lines(case, &plan))?;
        Ok(Joint {
            case: case.clone(),
            plan,
            words,
            sides,
            most: case.trials.pairs(self.flags.quick),
            pairs: Vec::new(),
            tallies: [Tally::default(), Tally::default()],
            trials: Vec::new(),
            invalid: Vec::new(),
            attempts: 0,
            order: Order::Ab,
            taken: [None, None],
            warmed: [None, None],
            seconds: 0.0,
            state: State::Open,
            input: None,
            notes: Vec::new(),
        })
    }

    /// Does one thing with every open case, in turn. What fails fails that case only.
    fn with_bench(
        &mut self,
        joints: &mut [Joint],
        mut work: impl FnMut(&mut Joint, &mut Bench, &mut Context<'_>) -> Result<(), MeasureError>,
    ) -> std::io::Result<()> {
        let folder = self.folder()?;
        let run = self.salt_run();
        let Some(mut bench) = self.bench.take() else { return Ok(()) };
        let mut progress = std::mem::take(self.progress_width());
        for joint in joints.iter_mut().filter(|joint| joint.open()) {
            if self.stop.requested() {
                joint.state = State::Interrupted;
                continue;
            }
            let mut context = Context {
                run: &run,
                folder: &folder,
                redactor: &self.redactor,
                stop: &self.stop,
                progress: &mut |text| Self::show_progress(&mut progress, text),
            };
            if let Err(error) = work(joint, &mut bench, &mut context) {
                joint.state = State::Failed(error);
            }
        }
        *self.progress_width() = progress;
        self.bench = Some(bench);
        Ok(())
    }

    /// Judges all pairs of all cases so far, and reports the cases that are decided by it.
    fn judge_jointly(&mut self, joints: &mut [Joint]) -> std::io::Result<()> {
        let mut suite = Suite::new(Mode::Paired, joints.iter_mut().map(Joint::ask).collect());
        suite.family = Some(self.comparisons().max(1));
        suite.family_cases = Some((self.family.len() as u64).max(1));
        suite.alone = self.alone;
        let judged = match gate::judge(&suite) {
            Ok(judged) => judged.cases,
            Err(error) => {
                for joint in joints.iter_mut().filter(|joint| joint.open()) {
                    joint.state = State::Failed(error.clone().into());
                }
                Vec::new()
            }
        };
        for (joint, judged) in joints.iter_mut().zip(&judged) {
            joint.told(judged);
        }
        // The input of what has just been decided is kept as it is: later answers must not change it.
        for joint in joints.iter_mut().filter(|joint| !joint.open() && joint.input.is_none()) {
            joint.ask();
        }
        for (at, joint) in joints.iter_mut().enumerate().filter(|(_, joint)| !joint.open()) {
            let report = match &joint.state {
                State::Reported => continue,
                State::Failed(error) => self.unmeasured(&joint.case, error),
                _ => self.conclude(joint, judged.get(at)),
            };
            joint.state = State::Reported;
            self.finish(report)?;
        }
        Ok(())
    }

    fn conclude(&mut self, joint: &Joint, judged: Option<&CaseVerdict>) -> CaseReport {
        let case = &joint.case;
        let mut report = self.blank(case);
        report.mode = Mode::Paired;
        report.notes.clone_from(&joint.notes);
        let [reference, candidate] = &joint.tallies;
        let mut verdicts = judged.map_or_else(Vec::new, |judged| judged.checks.clone());
        if let (Some(a), Some(b)) = (reference.token_source(), candidate.token_source())
            && a != b
        {
            let reason = format!("tokens were counted by `{}` on one side and `{}` on the other", a.name(), b.name());
            verdicts = verdict::incomparable(case, &reason);
            report.differences.push(reason);
        }
        report.checks = verdict::paired(case, verdicts, &joint.pairs);
        report.invalid = joint.invalid.iter().map(conclude::invalidated).collect();
        let interrupted = matches!(joint.state, State::Interrupted);
        let given_up = matches!(joint.state, State::GivenUp);
        report.verdict = if given_up || interrupted || joint.pairs.is_empty() {
            Verdict::Invalid
        } else {
            conclude::verdict_of(&report.checks)
        };
        let measured = joint.pairs.len() as u32;
        report.pairs_used = judged.map(|judged| judged.pairs_used).filter(|used| *used > 0).unwrap_or(measured);
        if interrupted {
            report.notes.push(format!("interrupted after {measured} pairs; they are kept"));
        }
        if self.flags.quick {
            report.notes.push(format!("quick run: {measured} pairs decide nothing (a verdict needs {FEWEST})"));
        }
        conclude::count(&mut report, candidate);
        conclude::prefix(&mut report, case, &joint.plan, candidate, Some(reference));
        watched::conclude(&mut report, candidate, Some(reference));
        report.seconds = joint.seconds;
        if let Some(bench) = &mut self.bench {
            report.client = candidate.client();
            let once = joint.sides.into_iter().any(|side| conclude::started_once(bench.side(side)));
            if once {
                report.notes.push("server start-to-start variation not measured".into());
            }
            if joint.sides.into_iter().any(|side| bench.side(side).is_exclusive()) {
                report.notes.push("the sides were up in turn, never both: each block of trials had a new start".into());
            }
            let [a, b] = joint.sides.map(|number| {
                let side = bench.side(number);
                let at = usize::from(side.role == Role::Candidate);
                let source = joint.tallies[at].token_source();
                let fingerprint = of_case(case, &side.profile, &side.target, &self.machine, &joint.plan, source);
                (name(&side.profile), fingerprint)
            });
            report.reference = Some(ReferenceInfo {
                name: a.0,
                candidate: b.0,
                differences: differences(&a.1, &b.1),
                statistics: verdict::medians(&reference.trials),
            });
            (report.conditions, report.subject) = (b.1.conditions, b.1.subject);
        }
        if self.alone {
            report.notes.push(
                "a process of its own: each check has its share of the false-alarm rate (Bonferroni in place of Holm)"
                    .into(),
            );
        }
        self.waive(&mut report);
        report.failed = self.failing_rule(&report, &case.gate);
        report
    }
}

/// A side in words.
fn name(profile: &Profile) -> String {
    match &profile.variant {
        Some(variant) => format!("variant `{variant}`"),
        None => format!("profile `{}`", profile.name),
    }
}

/// In what two fingerprints differ, in words.
fn differences(a: &Fingerprint, b: &Fingerprint) -> Vec<String> {
    let merged = |side: &Fingerprint| {
        let mut all = side.conditions.clone();
        all.extend(side.subject.clone());
        all.remove("profile");
        all.remove("variant");
        all
    };
    let shown = |value: Option<String>| value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"));
    crate::baseline::conditions_differ(&merged(a), &merged(b))
        .into_iter()
        .map(|d| format!("`{}` {} and {}", d.key, shown(d.old), shown(d.new)))
        .collect()
}
