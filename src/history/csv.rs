//! Series as CSV, a row a run, in the form that Apache Otava (formerly Hunter) imports: a time column, attributes,
//! and metric columns that are full of numbers.

use super::Stretch;

/// Columns before the metrics.
const FIXED: [&str; 6] = ["time", "run", "commit", "profile", "verdict", "conditions"];

/// A table, and the metrics that did not get into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    /// The text, with a head line.
    pub text: String,
    /// Metrics that some run has no finite value of.
    pub left_out: Vec<String>,
}

/// The runs of a stretch with the metrics that `wanted` chooses. A cell must be a number for whoever imports it, so a
/// metric is there only if each run has it.
pub fn csv(stretch: &Stretch<'_>, wanted: impl Fn(&str) -> bool) -> Csv {
    let value = |run: &super::Entry, metric: &str| run.checks.get(metric).copied().flatten();
    let (metrics, left_out): (Vec<&str>, Vec<&str>) = stretch
        .metrics()
        .into_iter()
        .filter(|metric| wanted(metric))
        .partition(|metric| stretch.runs.iter().all(|run| value(run, metric).is_some()));
    let mut text = row(FIXED.into_iter().chain(metrics.iter().copied()).map(str::to_owned));
    for run in &stretch.runs {
        let fixed = [
            run.time.clone(),
            run.run.clone(),
            run.commit.clone().unwrap_or_default(),
            run.profile.clone(),
            run.verdict.name().to_owned(),
            run.conditions.clone(),
        ];
        let values = metrics.iter().filter_map(|metric| Some(value(run, metric)?.to_string()));
        text.push_str(&row(fixed.into_iter().chain(values)));
    }
    Csv { text, left_out: left_out.into_iter().map(str::to_owned).collect() }
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| {
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    };
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::entry::testing::entry;
    use super::super::tracks;
    use super::*;

    #[test]
    fn every_cell_of_a_metric_is_a_number() {
        let mut entries = vec![entry(1, "4f2a9c01", 4.589), entry(2, "4f2a9c01", 5.02)];
        entries[0].commit = Some("a \"b\", c".into());
        entries[1].commit = None;
        entries[1].checks.insert("ttft.p50".into(), Some(61.2));
        let table = csv(&tracks(&entries)[0].stretches[0], |_| true);
        insta::assert_snapshot!(table.text, @r#"
        time,run,commit,profile,verdict,conditions,tpot.p50,error_rate
        2026-11-01T02:00:00.000Z,run-1,"a ""b"", c",embedded,pass,4f2a9c01,4.589,0
        2026-11-02T02:00:00.000Z,run-2,,embedded,pass,4f2a9c01,5.02,0
        "#);
        assert_eq!(table.left_out, ["ttft.p50"]);
        let one = csv(&tracks(&entries)[0].stretches[0], |metric| metric == "tpot.p50");
        assert!(
            one.text.starts_with("time,run,commit,profile,verdict,conditions,tpot.p50\n") && one.left_out.is_empty()
        );
    }
}
