//! Published figures, through the JSON and back.

use serde_json::Value;

use crate::gate::judge_lines;

const SUITES: &str = include_str!("vectors.jsonl");

fn answers() -> Vec<Value> {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let outcome = judge_lines(SUITES.as_bytes(), &mut output, &mut errors).unwrap();
    assert_eq!((outcome.judged, outcome.regressed, outcome.bad), (5, 2, 0));
    assert_eq!(outcome.exit_code(), 1);
    assert!(errors.is_empty());
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn close(got: &Value, expected: f64, name: &str) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{name} is {got}"));
    assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{name} is {got}, not {expected}");
}

fn check(line: usize, verdict: &str, used: u64, figures: &[(&str, f64)], ci: [f64; 2]) {
    let answer = &answers()[line];
    assert_eq!(answer["verdict"], verdict);
    let case = &answer["cases"][0];
    assert_eq!(case["verdict"], verdict);
    assert_eq!(case["pairs_used"], used);
    let check = &case["checks"][0];
    assert_eq!(check["metric"], "ttft.p50");
    assert_eq!(check["verdict"], verdict);
    for (name, expected) in figures {
        close(&check[name], *expected, name);
    }
    for (end, expected) in ci.into_iter().enumerate() {
        close(&check["ci"][end], expected, "ci");
    }
}

#[test]
fn stored_one_job() {
    check(
        0,
        "inconclusive",
        6,
        &[
            ("look", 1.0),
            ("m", 0.120_610_949_769),
            ("se", 0.045_299_936_722_2),
            ("df", 10.237_029_925_1),
            ("p0", 0.011_678_961_558_7),
            ("pT", 0.071_620_599_358_8),
            ("pU", 0.928_379_400_641),
            ("q0", 0.988_321_038_441),
            ("qT", 0.998_151_674_441),
            ("ratio", 1.128_185_905_99),
            ("detectable", 0.212_592_262_641),
        ],
        [1.039_457_619_68, 1.224_488_054_51],
    );
}

/// The fourth job has ten trials, so that one at each end is trimmed.
#[test]
fn stored_four_jobs() {
    check(
        1,
        "regressed",
        6,
        &[
            ("look", 1.0),
            ("m", 0.131_090_529_472),
            ("se", 0.030_761_957_660_6),
            ("df", 14.574_227_838_6),
            ("p0", 0.000_362_794_785_953),
            ("pT", 0.008_811_603_150_4),
            ("pU", 0.991_188_396_85),
            ("q0", 0.999_637_205_214),
            ("qT", 0.999_981_980_261),
            ("ratio", 1.140_070_986_66),
            ("detectable", 0.155_018_414_964),
        ],
        [1.080_106_474_58, 1.203_364_561_95],
    );
}

#[test]
fn paired_slowdown_found_at_the_first_look() {
    check(
        2,
        "regressed",
        6,
        &[
            ("look", 1.0),
            ("m", 0.052_657_071_536),
            ("se", 0.003_483_575_926_62),
            ("df", 5.0),
            ("p0", 1.148_059_607_44e-5),
            ("pT", 0.000_587_612_134_054),
            ("pU", 0.999_412_387_866),
            ("q0", 0.999_988_519_404),
            ("qT", 0.999_998_728_536),
            ("ratio", 1.054_068_113_17),
            ("detectable", 0.049_954_082_871_6),
        ],
        [1.046_694_912_69, 1.061_493_252_47],
    );
}

#[test]
fn paired_slot_effect_is_taken_out() {
    check(
        3,
        "pass",
        6,
        &[
            ("look", 1.0),
            ("m", 5.059_947_501_48e-5),
            ("se", 0.001_560_053_195_05),
            ("df", 4.0),
            ("p0", 0.487_839_744_363),
            ("pT", 0.999_976_993_089),
            ("pU", 2.300_691_134_64e-5),
            ("q0", 0.512_160_255_637),
            ("qT", 0.999_977_303_156),
            ("ratio", 1.000_050_600_76),
            ("detectable", 0.039_909_113_534_7),
            ("slot", 0.021_597_990_604_2),
        ],
        [0.996_730_162_685, 1.003_382_100_3],
    );
}

#[test]
fn paired_censored_pair_is_absorbed_once_trimming_can() {
    check(
        4,
        "pass",
        10,
        &[
            ("look", 2.0),
            ("m", 0.002_449_925_916_68),
            ("se", 0.003_919_450_739_5),
            ("df", 7.0),
            ("p0", 0.275_874_726_153),
            ("pT", 0.999_996_487_95),
            ("pU", 3.512_050_085_5e-6),
            ("q0", 0.724_125_273_847),
            ("qT", 0.999_998_214_356),
            ("ratio", 1.002_452_929_44),
            ("detectable", 0.068_318_815_407_2),
            ("censored", 1.0),
            ("trimmed", 2.0),
        ],
        [0.995_036_577_097, 1.009_924_558_42],
    );
}
