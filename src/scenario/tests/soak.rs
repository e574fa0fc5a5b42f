use super::{GOOD, one, said};

fn with(more: &str) -> String {
    format!("{}duration = \"10m\"\n{more}", GOOD.replace("requests = 100\n", ""))
}

#[test]
fn a_soak_test_has_one_trial_and_counts_errors() {
    let case = one(&with("[soak]\n"));
    let soak = case.soak.unwrap();
    assert_eq!((soak.rss_growth.to_string().as_str(), soak.settle, soak.line), ("1MiB/min", 0.2, Some(7)));
    assert_eq!((case.trials.range(false), case.trials.range(true)), ((1, 1), (1, 1)));
    let checks: Vec<String> = case.gate.checks.iter().map(|check| check.metric.to_string()).collect();
    assert_eq!(checks, ["error_rate"]);
    assert_eq!(one(GOOD).soak, None);
}

#[test]
fn what_is_written_counts() {
    let text =
        "[soak]\nsettle = \"0%\"\nrss_growth = \"60KiB/h\"\n[trials]\nmax = 3\n[gate]\n\"ttft.p50\" = \"<= 1s\"\n";
    let case = one(&with(text));
    let soak = case.soak.unwrap();
    assert_eq!((soak.rss_growth.0, soak.settle, soak.line), (1024.0, 0.0, Some(9)));
    assert_eq!(case.trials.range(false), (1, 3));
    let checks: Vec<String> = case.gate.checks.iter().map(|check| check.metric.to_string()).collect();
    assert_eq!(checks, ["ttft.p50", "error_rate"]);
}

#[test]
fn what_cannot_be_a_soak_test() {
    let settle = "`soak.settle` must be at least 0% and less than 100%";
    assert_eq!(said(&with("[soak]\nsettle = \"100%\"\n")), [settle]);
    assert_eq!(said(&with("[soak]\nsettle = \"-1%\"\n")), [settle]);
    let compared = with("[soak]\n[compare]\nreference = \"a\"\ncandidate = \"b\"\n");
    assert!(
        said(&compared).contains(&"`[soak]` and `[compare]` do not go together".to_owned()),
        "{:?}",
        said(&compared)
    );
    let growth = said(&with("[soak]\nrss_growth = \"1MB/min\"\n"));
    assert!(growth.len() == 1 && growth[0].contains("`1MB/min` is not a growth"), "{growth:?}");
    let unknown = said(&with("[soak]\nrss_grwth = \"1MiB/min\"\n"));
    assert_eq!(unknown, ["unknown key `rss_grwth`"]);
}
