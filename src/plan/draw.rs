//! Draws whose values never change between versions: a named generator (PCG XSL-RR 128/64) and our own
//! inverse distribution functions. A library's sampler may change in a minor release, and with it every
//! stored plan hash.

use rand_core::Rng;
use rand_pcg::Pcg64;

/// What a stream of draws is for. Each purpose has its own, so that a longer prompt or another arrival
/// process leaves every other draw of the plan as it was. Its number names the stream: new ones come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    InputLength,
    OutputLength,
    Arrival,
    Body,
    Prefix,
    Warmup,
    Salt,
    Noise,
    Block,
    Cancel,
}

/// A reproducible sequence of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    generator: Pcg64,
}

impl Draw {
    /// The sequence of `purpose` under `seed`.
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        Self { generator: Pcg64::new(u128::from(seed) << 64 | 0x7457_6b70_6163_6500, purpose as u128) }
    }

    /// One of many sequences of `purpose` under `seed`, none of which depends on how many there are.
    pub(crate) fn numbered(seed: u64, purpose: Purpose, number: u64) -> Self {
        Self { generator: Pcg64::new(u128::from(seed) << 64 | u128::from(mix(number)), purpose as u128) }
    }

    /// Uniform on the open interval (0, 1), with 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.generator.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Uniform on `0..n`; `n` must not be 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        // Lemire's multiply-shift: the bias is below n / 2^64.
        ((u128::from(self.generator.next_u64()) * n as u128) >> 64) as usize
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        normal_quantile(self.uniform())
    }

    /// Gamma of this shape with mean 1 (Marsaglia and Tsang, 2000; shapes below 1 by the power boost).
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        let boost = if shape < 1.0 { self.uniform().powf(1.0 / shape) } else { 1.0 };
        let d = if shape < 1.0 { shape + 1.0 } else { shape } - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return boost * d * v / shape;
            }
        }
    }
}

/// The finaliser of `SplitMix64`: neighbouring numbers must not give neighbouring states.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Quantile of the standard normal: algorithm AS 241, PPND16 (Wichura, 1988), relative error below 1e-15.
#[expect(clippy::excessive_precision, reason = "the constants are as published")]
pub(crate) fn normal_quantile(p: f64) -> f64 {
    fn ratio(r: f64, numerator: [f64; 8], denominator: [f64; 8]) -> f64 {
        let horner = |c: [f64; 8]| c.iter().rev().fold(0.0, |sum, c| sum * r + c);
        horner(numerator) / horner(denominator)
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(
            0.180_625 - q * q,
            [
                3.387_132_872_796_366_6,
                133.141_667_891_784_38,
                1_971.590_950_306_551_3,
                13_731.693_765_509_46,
                45_921.953_931_549_87,
                67_265.770_927_008_7,
                33_430.575_583_588_13,
                2_509.080_928_730_122_7,
            ],
            [
                1.0,
                42.313_330_701_600_91,
                687.187_007_492_057_9,
                5_394.196_021_424_751,
                21_213.794_301_586_597,
                39_307.895_800_092_71,
                28_729.085_735_721_943,
                5_226.495_278_852_854,
            ],
        );
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let tail = if r <= 5.0 {
        ratio(
            r - 1.6,
            [
                1.423_437_110_749_683_5,
                4.630_337_846_156_546,
                5.769_497_221_460_691,
                3.647_848_324_763_204_5,
                1.270_458_252_452_368_4,
                0.241_780_725_177_450_6,
                0.022_723_844_989_269_184,
                7.745_450_142_783_414e-4,
            ],
            [
                1.0,
                2.053_191_626_637_759,
                1.676_384_830_183_803_8,
                0.689_767_334_985_1,
                0.148_103_976_427_480_08,
                0.015_198_666_563_616_457,
                5.475_938_084_995_345e-4,
                1.050_750_071_644_416_9e-9,
            ],
        )
    } else {
        ratio(
            r - 5.0,
            [
                6.657_904_643_501_103,
                5.463_784_911_164_114,
                1.784_826_539_917_291_3,
                0.296_560_571_828_504_87,
                0.026_532_189_526_576_124,
                1.242_660_947_388_078_4e-3,
                2.711_555_568_743_487_6e-5,
                2.010_334_399_292_288_1e-7,
            ],
            [
                1.0,
                0.599_832_206_555_887_9,
                0.136_929_880_922_735_8,
                0.014_875_361_290_850_615,
                7.868_691_311_456_133e-4,
                1.846_318_317_510_054_8e-5,
                1.421_511_758_316_445_9e-7,
                2.044_263_103_389_939_8e-15,
            ],
        )
    };
    if q < 0.0 { -tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles from published tables of the normal distribution.
    #[test]
    fn normal_quantiles() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.95, 1.644_853_626_951_472_2),
            (0.001, -3.090_232_306_167_813_5),
            (1e-10, -6.361_340_902_404_056),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-12, "{p}: {}", normal_quantile(p));
        }
    }

    /// The first values are pinned: should they ever change, every stored plan hash changes with them.
    #[test]
    fn draws_never_change() {
        let mut draw = Draw::new(42, Purpose::Arrival);
        let drawn: Vec<String> = (0..3).map(|_| format!("{:.12}", draw.uniform())).collect();
        assert_eq!(drawn, ["0.156520588995", "0.604880881763", "0.328139297448"]);
    }

    #[test]
    fn means_and_spread_are_as_named() {
        let mut draw = Draw::new(7, Purpose::Arrival);
        let n = 40_000;
        for (what, shape) in [("exponential", None), ("gamma 0.5", Some(0.5)), ("gamma 4", Some(4.0))] {
            let mut value = || match shape {
                None => draw.exponential(),
                Some(shape) => draw.gamma(shape),
            };
            let values: Vec<f64> = (0..n).map(|_| value()).collect();
            let mean = values.iter().sum::<f64>() / f64::from(n);
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
            assert!((mean - 1.0).abs() < 0.03, "{what}: mean {mean}");
            let expected = 1.0 / shape.unwrap_or(1.0);
            assert!((variance / expected - 1.0).abs() < 0.1, "{what}: variance {variance}");
        }
    }
}
