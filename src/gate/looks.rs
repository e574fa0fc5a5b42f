//! When a paired comparison may look at its data, and how much of the error rates each look spends.

/// One look: after how many pairs, and its share of `alpha`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Pairs measured.
    pub pairs: u32,
    /// Share spent on *regressed*.
    pub regressed: f64,
    /// Share spent on *pass*.
    pub pass: f64,
}

/// The fewest pairs, or candidate trials, that anything is decided on.
pub const FEWEST: u32 = 6;

/// The looks of a comparison of at most `k_max` pairs; none below [`FEWEST`].
pub fn looks(k_max: u32) -> Vec<Look> {
    let at = |pairs, regressed, pass| Look { pairs, regressed, pass };
    match k_max {
        0..FEWEST => Vec::new(),
        6..=7 => vec![at(6, 1.0, 1.0)],
        8..=9 => vec![at(6, 0.3, 0.5), at(8, 0.7, 0.5)],
        _ => {
            let mut looks: Vec<Look> = Vec::with_capacity(4);
            for (tenths, regressed) in [(3, 0.10), (5, 0.20), (7, 0.25), (10, 0.45)] {
                let even = 2 * (u64::from(k_max) * tenths).div_ceil(20);
                let pairs = even.clamp(u64::from(FEWEST), u64::from(k_max / 2 * 2)) as u32;
                match looks.last_mut() {
                    Some(last) if last.pairs == pairs => {
                        last.regressed += regressed;
                        last.pass += 0.25;
                    }
                    _ => looks.push(at(pairs, regressed, 0.25)),
                }
            }
            looks
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_of_the_usual_maxima() {
        type Row = (u32, &'static [(u32, f64, f64)]);
        let table: &[Row] = &[
            (6, &[(6, 1.0, 1.0)]),
            (7, &[(6, 1.0, 1.0)]),
            (8, &[(6, 0.3, 0.5), (8, 0.7, 0.5)]),
            (9, &[(6, 0.3, 0.5), (8, 0.7, 0.5)]),
            (10, &[(6, 0.3, 0.5), (8, 0.25, 0.25), (10, 0.45, 0.25)]),
            (11, &[(6, 0.3, 0.5), (8, 0.25, 0.25), (10, 0.45, 0.25)]),
            (12, &[(6, 0.3, 0.5), (10, 0.25, 0.25), (12, 0.45, 0.25)]),
            (14, &[(6, 0.1, 0.25), (8, 0.2, 0.25), (10, 0.25, 0.25), (14, 0.45, 0.25)]),
            (16, &[(6, 0.1, 0.25), (8, 0.2, 0.25), (12, 0.25, 0.25), (16, 0.45, 0.25)]),
            (20, &[(6, 0.1, 0.25), (10, 0.2, 0.25), (14, 0.25, 0.25), (20, 0.45, 0.25)]),
            (24, &[(8, 0.1, 0.25), (12, 0.2, 0.25), (18, 0.25, 0.25), (24, 0.45, 0.25)]),
            (30, &[(10, 0.1, 0.25), (16, 0.2, 0.25), (22, 0.25, 0.25), (30, 0.45, 0.25)]),
            (40, &[(12, 0.1, 0.25), (20, 0.2, 0.25), (28, 0.25, 0.25), (40, 0.45, 0.25)]),
        ];
        for (k_max, expected) in table {
            let got = looks(*k_max);
            assert_eq!(got.len(), expected.len(), "{k_max}");
            for (look, (pairs, regressed, pass)) in got.iter().zip(*expected) {
                assert_eq!(look.pairs, *pairs, "{k_max}");
                assert!((look.regressed - regressed).abs() < 1e-12, "{k_max}");
                assert!((look.pass - pass).abs() < 1e-12, "{k_max}");
            }
        }
        assert!((0..6).all(|k| looks(k).is_empty()));
    }

    #[test]
    fn every_maximum_spends_everything_once_and_in_order() {
        for k_max in (6..500).chain([u32::MAX - 1, u32::MAX]) {
            let looks = looks(k_max);
            assert!(looks.windows(2).all(|w| w[0].pairs < w[1].pairs), "{k_max}");
            assert_eq!(looks.last().unwrap().pairs, k_max / 2 * 2);
            for total in [looks.iter().map(|l| l.regressed).sum::<f64>(), looks.iter().map(|l| l.pass).sum()] {
                assert!((total - 1.0).abs() < 1e-12, "{k_max}");
            }
        }
    }
}
