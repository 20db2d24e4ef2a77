//! What the steps of one run on each side say.

use super::compare::{Change, Difference, Group, Spread, Test};
use super::interval::standard_error_of_mean;

/// Compares the steps of two single runs.
///
/// Steps are alike their neighbours, so each side counts as fewer values than it has
/// ([`standard_error_of_mean`]). Two runs of the same thing differ, too, because they began with another
/// state of the machine; steps know nothing of that. So a difference is [`StepsDiffer`], never
/// [`Changed`], and what could have been seen is only what could have been seen *of the steps*.
///
/// [`StepsDiffer`]: super::Judgement::StepsDiffer
/// [`Changed`]: super::Judgement::Changed
pub fn compare_series(a: &[f64], b: &[f64], alpha: f64) -> Change {
    let blank = Change::undecided(Group::of(a), Group::of(b), alpha);
    match spread(a).zip(spread(b)) {
        Some((one, other)) => blank.tested(Test::Steps, &Difference::welch(one, other)),
        None => blank,
    }
}

fn spread(values: &[f64]) -> Option<Spread> {
    let of_mean = standard_error_of_mean(values)?;
    let variance_of_mean = of_mean.error.powi(2);
    let freedom = of_mean.effective - 1.0;
    let variance = variance_of_mean * of_mean.effective;
    (freedom > 0.0).then_some(Spread { variance_of_mean, freedom, variance })
}

#[cfg(test)]
mod tests {
    use super::super::Judgement;
    use super::super::random::SplitMix64;
    use super::*;

    fn steps(random: &mut SplitMix64, level: f64) -> Vec<f64> {
        let noise = random.alike(300, 0.5);
        noise.iter().map(|value| level * (1.0 + 0.05 * value)).collect()
    }

    #[test]
    fn steps_of_another_level_differ_and_are_no_change() {
        let mut random = SplitMix64::new(1);
        let change = compare_series(&steps(&mut random, 1.0), &steps(&mut random, 1.05), 0.01);
        assert_eq!((change.judgement, change.test), (Judgement::StepsDiffer, Some(Test::Steps)));
        assert_eq!(change.hedges_g, None);
    }

    #[test]
    fn alike_neighbours_raise_no_more_false_alarms_than_alpha_allows() {
        let mut random = SplitMix64::new(4);
        let mut differ = || {
            let change = compare_series(&steps(&mut random, 1.0), &steps(&mut random, 1.0), 0.01);
            change.judgement == Judgement::StepsDiffer
        };
        let alarms = (0..1000).filter(|_| differ()).count();
        assert!(alarms <= 25, "{alarms} of 1000");
    }

    #[test]
    fn a_single_step_says_nothing() {
        let change = compare_series(&[1.0], &[2.0, 2.1], 0.01);
        assert_eq!(change.judgement, Judgement::Undecided);
    }
}
