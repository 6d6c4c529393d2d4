//! Ratios from interleaved pairs, and when they decide a promise.

use serde_json::{Value, json};

use crate::{median, rounded};

/// Ratios, or differences, of measurements that were made in turns: one for each pair.
#[derive(Clone, Debug)]
pub(crate) struct Pairs(Vec<f64>);

impl Pairs {
    pub(crate) fn new(values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "no pair was measured");
        Self(values)
    }

    /// Divides the values of each pair.
    pub(crate) fn ratios(ours: &[f64], floor: &[f64]) -> Self {
        assert_eq!(ours.len(), floor.len(), "a pair has two values");
        Self::new(ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect())
    }

    /// Reads the key `pairs` of a line.
    pub(crate) fn of_line(line: &Value) -> Self {
        let values = line["pairs"].as_array().expect("a line with pairs");
        Self::new(values.iter().map(|value| value.as_f64().expect("a number")).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Returns the bounds between which the true median lies with at least 93 % probability: the
    /// widest pair of order statistics that leaves out no more than that (the sign test). It needs
    /// no assumption about how the values are spread.
    pub(crate) fn bounds(&self) -> (f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let left_out = most_left_out(sorted.len());
        (sorted[left_out], sorted[sorted.len() - 1 - left_out])
    }

    /// Judges a promise. `Undecided` if the limit lies between the bounds: then another run could
    /// say the opposite.
    pub(crate) fn judge(&self, limit: Limit) -> Verdict {
        let (low, high) = self.bounds();
        let (value, is_between) = (limit.value(), limit.value() > low && limit.value() < high);
        let is_kept = match limit {
            Limit::AtMost(_) => self.median() <= value,
            Limit::AtLeast(_) => self.median() >= value,
        };
        match (is_between, is_kept) {
            (true, _) => Verdict::Undecided,
            (false, true) => Verdict::Kept,
            (false, false) => Verdict::Broken,
        }
    }

    /// Returns what a line shows of the spread.
    pub(crate) fn spread(&self) -> Value {
        let (low, high) = self.bounds();
        json!({"low": rounded(low), "high": rounded(high), "pairs": self.0.len()})
    }
}

/// A promised bound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }
}

/// Outcome of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    Broken,
    Undecided,
}

/// Number of values that may be left out at either end: the probability that the median lies beyond
/// is at most 7 % for both ends together.
fn most_left_out(pairs: usize) -> usize {
    let exponent = i32::try_from(pairs).expect("a few pairs");
    // The probability that at most `k` of all values lie on one side of the median.
    let mut tail = 0.5_f64.powi(exponent);
    let mut term = tail;
    let mut left_out = 0;
    #[allow(clippy::cast_precision_loss, reason = "a few pairs")]
    for k in 1..=pairs / 2 {
        term *= (pairs - k + 1) as f64 / k as f64;
        tail += term;
        if 2.0 * tail > 0.07 {
            break;
        }
        left_out = k;
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_within_the_spread_decides_nothing() {
        let pairs = Pairs::new(vec![0.9, 1.1, 1.0, 0.95, 1.2]);
        assert_eq!(pairs.bounds(), (0.9, 1.2));
        for limit in [Limit::AtMost(1.05), Limit::AtMost(0.99), Limit::AtLeast(1.05)] {
            assert_eq!(pairs.judge(limit), Verdict::Undecided, "{limit:?}");
        }
        assert_eq!(pairs.judge(Limit::AtMost(1.2)), Verdict::Kept);
        assert_eq!(pairs.judge(Limit::AtMost(0.9)), Verdict::Broken);
        assert_eq!(pairs.judge(Limit::AtLeast(0.9)), Verdict::Kept);
        assert_eq!(pairs.judge(Limit::AtLeast(1.3)), Verdict::Broken);
    }

    #[test]
    fn many_pairs_tolerate_outliers() {
        let mut values = vec![1.0; 19];
        values.extend([9.0, 0.1]);
        let pairs = Pairs::new(values);
        assert_eq!(pairs.bounds(), (1.0, 1.0));
        assert_eq!(pairs.judge(Limit::AtMost(1.05)), Verdict::Kept);
    }

    #[test]
    fn the_bounds_are_those_of_the_sign_test() {
        // 5: 2 × 1/32 = 6.25 %; 7: 2 × 1/128; 11: 2 × 67/2048 = 6.5 %; 21: 2.7 %.
        assert_eq!([5, 7, 9, 11, 21].map(most_left_out), [0, 0, 1, 2, 5]);
    }
}
