//! Whether repeated runs differ by more than their noise.
//!
//! One value stands for each run, so nothing has to be believed of the steps inside it. With as many runs on
//! both sides the test is Student's: it is exact where nothing but noise differs, and finds more than any other that is. Runs
//! that are equally many keep it near its level even where one side is noisier (Boneau, "The effects of violations of
//! assumptions underlying the t test", Psychological Bulletin 57, 1960). Else it is Welch's ("The generalization of
//! 'Student's' problem when several different population variances are involved", Biometrika 34, 1947), which asks
//! neither. Five runs against five, a change of three deviations, at 0.01: Student's test finds 87 % of them, Welch's
//! 83 %, and an exact permutation test, which has only 252 orders there, could only call sides that do not overlap. Where one
//! side is a single run, the other side's spread is taken for both, and the answer says so.
//!
//! The effect size is the relative difference of the means with its interval; the interval leaves 0 out
//! exactly where the test is significant. Beside it stands Hedges' g ("Distribution theory for Glass's estimator of
//! effect size", 1981): the difference in deviations, corrected for small samples. The smallest change that could have been
//! seen is that of Bloom ("Minimum detectable effects", Evaluation Review 19, 1995): the quantile of the test
//! plus that of the power, times the standard error.

use serde::Serialize;

use super::interval::Interval;
use super::student;
use super::summary::{deviation, mean};

/// How often a change of the size [`Change::detectable`] is seen.
const POWER: f64 = 0.8;

/// What two groups of values say of a change between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// The first group.
    pub before: Group,
    /// The second one.
    pub after: Group,
    /// The test; absent if there are too few values for any.
    pub test: Option<Test>,
    /// The part of comparisons without any change that the test calls significant.
    pub alpha: f64,
    /// How likely a difference at least this large is if nothing changed.
    pub p: Option<f64>,
    /// The relative difference of the means, `0.03` for 3 % more; absent if the first mean is 0.
    pub difference: Option<f64>,
    /// Its confidence interval, at the level `1 - alpha`.
    pub interval: Option<Interval>,
    /// Hedges' g: the difference in standard deviations of one run; absent without a spread between runs.
    pub hedges_g: Option<f64>,
    /// The smallest relative difference that would have been seen four times out of five.
    pub detectable: Option<f64>,
    /// What it comes to.
    pub judgement: Judgement,
}

/// One group of values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Group {
    /// How many values.
    pub count: usize,
    /// Their mean; absent without values.
    pub mean: Option<f64>,
    /// Their standard deviation; absent for less than two.
    pub deviation: Option<f64>,
}

/// The test that a comparison was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Student's t-test of one value for each run, as many on both sides.
    Student,
    /// Welch's t-test of one value for each run.
    Welch,
    /// Student's t-test of one value for each run; one side is a single run, whose spread is taken to
    /// be the other side's.
    OneSpread,
    /// Welch's t-test of the steps of one run on each side, counted as fewer because neighbours are
    /// alike. It knows nothing of how much runs differ by themselves.
    Steps,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Repeated runs differ by more than their noise.
    Changed,
    /// Repeated runs show no change larger than their noise.
    NotSeen,
    /// The steps of two runs differ by more than within each run; whether two runs of the same would,
    /// too, is not known.
    StepsDiffer,
    /// The steps of two runs differ by no more than within each run.
    StepsAlike,
    /// There are too few values to say anything.
    Undecided,
}

/// Compares repeated runs by one value each; `alpha` is the part of false alarms.
///
/// With two runs or more on one side and at least one on the other something can be said.
/// Without any spread, as of a figure that is the same to the last digit, any difference is a change.
pub fn compare(a: &[f64], b: &[f64], alpha: f64) -> Change {
    let (before, after) = (Group::of(a), Group::of(b));
    let blank = Change::undecided(before, after, alpha);
    let change = match (before.error_parts(), after.error_parts()) {
        (Some(one), Some(other)) if before.count == after.count => {
            blank.tested(Test::Student, &Difference::pooled(one, other))
        }
        (Some(one), Some(other)) => blank.tested(Test::Welch, &Difference::welch(one, other)),
        (Some(parts), None) | (None, Some(parts)) if before.count > 0 && after.count > 0 => {
            let counts = (before.count as f64, after.count as f64);
            blank.tested(Test::OneSpread, &Difference::one_spread(parts, counts))
        }
        _ => blank,
    };
    Change { hedges_g: hedges_g(&before, &after), ..change }
}

impl Group {
    /// Sums up values.
    pub(super) fn of(values: &[f64]) -> Self {
        Self { count: values.len(), mean: mean(values), deviation: deviation(values) }
    }

    fn error_parts(&self) -> Option<Spread> {
        let variance = self.deviation?.powi(2);
        let count = self.count as f64;
        Some(Spread { variance_of_mean: variance / count, freedom: count - 1.0, variance })
    }
}

/// How much the values of one side vary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    /// Square of the standard error of the mean.
    pub variance_of_mean: f64,
    /// Degrees of freedom that it was estimated with.
    pub freedom: f64,
    /// Variance of one value.
    pub variance: f64,
}

/// How much the difference of two means varies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Difference {
    error: f64,
    freedom: f64,
}

impl Difference {
    /// Both sides with a spread of their own; degrees of freedom after Welch and Satterthwaite.
    pub(super) fn welch(one: Spread, other: Spread) -> Self {
        let variance = one.variance_of_mean + other.variance_of_mean;
        // As parts of the sum, so that tiny variances are not lost when they are squared.
        let part = |side: Spread| (side.variance_of_mean / variance).powi(2) / side.freedom;
        let freedom = 1.0 / (part(one) + part(other));
        let freedom = if freedom.is_finite() { freedom } else { one.freedom + other.freedom };
        Self { error: variance.sqrt(), freedom }
    }

    /// One spread for both, of sides with equally many values.
    fn pooled(one: Spread, other: Spread) -> Self {
        let variance = one.variance_of_mean + other.variance_of_mean;
        Self { error: variance.sqrt(), freedom: one.freedom + other.freedom }
    }

    fn one_spread(spread: Spread, counts: (f64, f64)) -> Self {
        let error = (spread.variance * (1.0 / counts.0 + 1.0 / counts.1)).sqrt();
        Self { error, freedom: spread.freedom }
    }
}

impl Change {
    pub(super) fn undecided(before: Group, after: Group, alpha: f64) -> Self {
        let means = before.mean.zip(after.mean).filter(|(before, _)| *before != 0.0);
        let difference = means.map(|(before, after)| (after - before) / before.abs());
        let (test, p, interval, hedges_g, detectable) = (None, None, None, None, None);
        let judgement = Judgement::Undecided;
        let difference = difference.filter(|part| part.is_finite());
        Self {
            before,
            after,
            test,
            alpha,
            p,
            difference,
            interval,
            hedges_g,
            detectable,
            judgement,
        }
    }

    /// The answer of a test for a known error of the difference.
    pub(super) fn tested(self, test: Test, difference: &Difference) -> Self {
        let Difference { error, freedom } = *difference;
        let (Some(before), Some(after)) = (self.before.mean, self.after.mean) else { return self };
        let t = if before == after { 0.0 } else { (after - before) / error };
        let reach = student::quantile(1.0 - self.alpha / 2.0, freedom);
        let (Some(p), Some(reach)) = (student::two_sided(t, freedom), reach) else { return self };
        let is_seen = p < self.alpha;
        let relative = |size: f64| Some(size / before.abs()).filter(|part| part.is_finite());
        let interval = self.difference.zip(relative(reach * error)).map(|(middle, half)| {
            Interval { low: middle - half, high: middle + half, level: 1.0 - self.alpha }
        });
        let detectable =
            student::quantile(POWER, freedom).and_then(|power| relative((reach + power) * error));
        let judgement = match (test, is_seen) {
            (Test::Steps, true) => Judgement::StepsDiffer,
            (Test::Steps, false) => Judgement::StepsAlike,
            (_, true) => Judgement::Changed,
            (_, false) => Judgement::NotSeen,
        };
        Self { test: Some(test), p: Some(p), interval, detectable, judgement, ..self }
    }
}

fn hedges_g(before: &Group, after: &Group) -> Option<f64> {
    let squares = |group: &Group| match group.count {
        0 => None,
        1 => Some((0.0, 0.0)),
        count => Some((group.deviation?.powi(2) * (count as f64 - 1.0), count as f64 - 1.0)),
    };
    let ((one, own), (other, others)) = (squares(before)?, squares(after)?);
    let freedom = own + others;
    let deviation = ((one + other) / freedom).sqrt();
    let correction = 1.0 - 3.0 / (4.0 * freedom - 1.0);
    let g = (after.mean? - before.mean?) / deviation * correction;
    g.is_finite().then_some(g)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_gives_the_figures_that_a_hand_computes() {
        let change = compare(&[10.0, 11.0, 12.0], &[14.0, 15.0, 16.0], 0.01);
        // t = 4 / √(2/3) = 4.899 with 4 degrees of freedom.
        assert!((change.p.unwrap() - 0.008_05).abs() < 1e-4, "{change:?}");
        assert_eq!((change.test, change.judgement), (Some(Test::Student), Judgement::Changed));
        assert!((change.difference.unwrap() - 4.0 / 11.0).abs() < 1e-12);
        // 4 deviations, times 1 - 3/15.
        assert!((change.hedges_g.unwrap() - 3.2).abs() < 1e-12);
        // 4.604 times 0.8165 over 11 on both sides of 0.3636.
        let interval = change.interval.unwrap();
        assert!((interval.low - 0.0219).abs() < 1e-3 && interval.level == 0.99, "{interval:?}");
    }

    #[test]
    fn unequal_spreads_cost_degrees_of_freedom() {
        let change = compare(&[10.0, 10.1, 9.9], &[9.0, 11.0, 13.0, 15.0], 0.05);
        // t = 2 / √(0.01/3 + 6.667/4) = 1.548 with 3.012 degrees of freedom.
        assert!((change.p.unwrap() - 0.219).abs() < 2e-3, "{change:?}");
        assert_eq!((change.test, change.judgement), (Some(Test::Welch), Judgement::NotSeen));
        assert!(change.detectable.unwrap() > 0.2);
    }

    #[test]
    fn the_interval_leaves_zero_out_exactly_where_a_change_is_seen() {
        for shift in 0..60 {
            let after: Vec<f64> = [1.0, 2.0, 3.0, 4.0].map(|v| v + f64::from(shift) / 10.0).into();
            let change = compare(&[1.0, 2.0, 3.0, 4.0], &after, 0.05);
            let interval = change.interval.unwrap();
            let leaves_out = interval.low > 0.0 || interval.high < 0.0;
            assert_eq!(leaves_out, change.judgement == Judgement::Changed, "{shift}");
        }
    }

    #[test]
    fn a_single_run_borrows_the_spread_of_the_other_side() {
        let change = compare(&[100.0, 101.0, 99.0, 100.0], &[120.0], 0.01);
        assert_eq!((change.test, change.judgement), (Some(Test::OneSpread), Judgement::Changed));
        let change = compare(&[100.5], &[100.0, 101.0, 99.0, 100.0], 0.01);
        assert_eq!(change.judgement, Judgement::NotSeen);
    }

    #[test]
    fn one_run_on_each_side_and_values_that_are_no_numbers_decide_nothing() {
        for (a, b) in [(&[1.0][..], &[2.0][..]), (&[], &[1.0, 2.0]), (&[1.0, f64::NAN], &[1.0])] {
            let change = compare(a, b, 0.01);
            assert_eq!((change.judgement, change.p), (Judgement::Undecided, None));
        }
        assert_eq!(compare(&[1.0], &[2.0], 0.01).difference, Some(1.0));
    }

    #[test]
    fn without_any_spread_equal_values_are_no_change_and_others_are() {
        let same = compare(&[3.0, 3.0], &[3.0, 3.0], 0.01);
        assert_eq!((same.judgement, same.p), (Judgement::NotSeen, Some(1.0)));
        let other = compare(&[3.0, 3.0], &[3.1, 3.1], 0.01);
        assert_eq!(other.judgement, Judgement::Changed);
        assert_eq!(compare(&[0.0, 0.0], &[1.0, 1.0], 0.01).difference, None);
    }
}
