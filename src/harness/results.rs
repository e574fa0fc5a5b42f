//! What a run leaves and says: its files, its table, its progress.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use crate::gate::Verdict;
use crate::harness::{Session, page, wall};
use crate::report::{self, CaseReport, CaseTrials, RunReport, RunTrials};

/// Version of `run.json` and `trials.json`.
const FORMAT: u32 = 1;

impl Session {
    /// Keeps a case's report and writes the run's files anew.
    pub(crate) fn keep(&mut self, report: CaseReport) -> std::io::Result<()> {
        self.clear_progress();
        self.info.updated = wall::now();
        self.info.interrupted = self.stop.requested();
        self.info.measured_seconds += report.seconds;
        let folder = self.folder()?;
        folder.save_part("report", &report.case, &report)?;
        self.reports.retain(|known| known.case != report.case);
        self.reports.push(report);
        let run = self.report_of(folder.parts("report")?);
        folder.write_json("run.json", &run)?;
        let cases: Vec<CaseTrials> = folder.parts("trials")?;
        folder.write_json("trials.json", &RunTrials { version: FORMAT, run: self.info.id.clone(), cases })?;
        folder.write("report.md", &report::markdown(&run))?;
        folder.write("summary.tsv", &report::tsv(&run))?;
        // From the parts as they are on the disk: what was redacted there is not found any more once it is escaped.
        folder.write("junit.xml", &report::junit(&run))
    }

    pub(super) fn report_of(&self, cases: Vec<CaseReport>) -> RunReport {
        RunReport {
            version: FORMAT,
            run: self.info.clone(),
            verdict: Verdict::of_all(cases.iter().map(|case| case.verdict)),
            cases,
        }
    }

    /// Writes `report.html` anew from everything that any process of the run has left in its folder. A failure is told
    /// and no more: the verdicts stand without it.
    pub fn write_page(&self) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = page::write_page(folder) {
            self.say(&format!("warning: `report.html` was not written: {error}"));
        }
    }

    /// The verdict table, and the words of every case that has more to say than that it passed.
    pub fn table(&self) -> String {
        let mut text = report::table(&self.report_of(self.reports.clone()), self.flags.verbose);
        let more = |case: &&CaseReport| case.verdict != Verdict::Pass || !case.notes.is_empty();
        for case in self.reports.iter().filter(more).filter(|case| case.failed.is_none()) {
            text.push('\n');
            text.push_str(&case.text);
            text.push('\n');
        }
        text.push_str(&self.unkept());
        if let Some(folder) = &self.folder {
            let shown = self.paths.shown(folder.path());
            let _ = writeln!(text, "results: {shown}");
            if folder.path().join(page::NAME).is_file() {
                let _ = writeln!(text, "report:  {shown}/{}", page::NAME);
            }
        }
        self.redactor.redact(&text).into_owned()
    }

    /// A line on the standard error stream.
    pub(crate) fn say(&self, line: &str) {
        // Nobody is left to be told when even this stream is closed.
        let _ = writeln!(std::io::stderr(), "{}", self.redactor.redact(line));
    }

    /// Shows what is going on, if a person looks.
    pub(crate) fn show_progress(progress: &mut usize, text: &str) {
        if std::io::stderr().is_terminal() {
            let line: String = text.chars().take(78).collect();
            let _ = write!(std::io::stderr(), "\r{line:<width$}", width = *progress);
            let _ = std::io::stderr().flush();
            *progress = line.chars().count();
        }
    }

    fn clear_progress(&mut self) {
        if self.progress > 0 {
            let _ = write!(std::io::stderr(), "\r{:width$}\r", "", width = self.progress);
            self.progress = 0;
        }
    }

    pub(crate) fn progress_width(&mut self) -> &mut usize {
        &mut self.progress
    }
}
