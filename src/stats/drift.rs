//! A change of level inside one run: a warm-up that was not over, or a machine that got slower.
//!
//! The steps are divided into at most [`BLOCKS`] equal blocks, and each block is summed up by its median,
//! so that no single outlier and no few of them make a drift. Blocks are made longer where neighbouring
//! steps are alike, until their medians are nearly independent. If nothing changes, the medians could then
//! stand in any order; so the largest difference between the blocks before and after any point (the
//! likelihood ratio of one change of a mean: Hawkins, "Testing a sequence of observations for a shift in
//! location", 1977) is compared with the same after the blocks were shuffled. It has to beat nearly all of
//! 1,999 orders, which is a false alarm in one of a thousand runs of independent steps. With an
//! autocorrelation of 0.5 it is four of a thousand runs of 90 steps, and three of a hundred of 40: so few
//! steps do not tell likeness from drift. What is found is divided further as long as the rest is not steady.
//!
//! A change of less than one part in a hundred of the median is no drift, however certain it is.

use serde::{Deserialize, Serialize};

use super::outliers::Fences;
use super::random::SplitMix64;
use super::summary::{mean, median};

/// At most so many blocks.
const BLOCKS: usize = 32;

/// With fewer blocks no order is rare enough.
const FEWEST_BLOCKS: usize = 16;

/// Blocks on each side of a change: a single disturbed block is none.
const FEWEST_ON_A_SIDE: usize = 2;

/// The part of steady series in which something is found, as one of so many.
const ONE_FALSE_ALARM_IN: usize = 1000;

/// The same for the rest of a series in which something was found.
const ONE_FALSE_ALARM_IN_RESTS: usize = 100;

/// What changes the level by less, as a part of the median, is not worth a word.
const SMALLEST_PART: f64 = 0.01;

/// A change of level inside one series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// What kind of change.
    pub kind: DriftKind,
    /// By how much the level changes from begin to end, as a part of the median; negative if it falls.
    pub part: f64,
    /// Position in the used values, from 0, at which the level settles or begins to change; as exact
    /// as the blocks are.
    pub at: usize,
}

/// How a level changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// The beginning, at most a third, differs from a steady rest: the warm-up was longer than what is
    /// skipped.
    WarmUp,
    /// It rises to the end.
    Rising,
    /// It falls to the end.
    Falling,
}

/// A change of level in consecutive steps, if there is one; the module says how it is found.
///
/// Absent, too, where the steps are too few (less than 16) or too much alike to tell, and where the level
/// comes back to where it began.
pub fn drift(values: &[f64]) -> Option<Drift> {
    let fences = Fences::of(values)?;
    let middle = median(values)?;
    let blocks = (values.len() / shortest_block(values)).min(BLOCKS);
    if blocks < FEWEST_BLOCKS || middle == 0.0 {
        return leading_outliers(values, fences, middle);
    }
    let start = |block: usize| block * values.len() / blocks;
    let levels: Vec<f64> = (0..blocks)
        .filter_map(|block| median(&values[start(block)..start(block + 1)]))
        .map(|level| level.clamp(fences.low, fences.high))
        .collect();
    let Some(first) = split(&levels, ONE_FALSE_ALARM_IN) else {
        return leading_outliers(values, fences, middle);
    };
    let mut last = first;
    while let Some(next) = split(&levels[last..], ONE_FALSE_ALARM_IN_RESTS) {
        last += next;
    }
    let level = |from: usize, to: usize| median(&values[start(from)..start(to)]);
    let quarter = blocks / 4;
    let (begin, end) = (level(0, first.min(quarter))?, level(last.max(blocks - quarter), blocks)?);
    let part = (end - begin) / middle.abs();
    let (kind, at) = match last <= blocks / 3 {
        true => (DriftKind::WarmUp, start(last)),
        false if part > 0.0 => (DriftKind::Rising, start(first)),
        false => (DriftKind::Falling, start(first)),
    };
    (part.abs() >= SMALLEST_PART).then_some(Drift { kind, part, at })
}

/// A warm-up shorter than a block: several outliers in a row at the very beginning.
fn leading_outliers(values: &[f64], fences: Fences, middle: f64) -> Option<Drift> {
    let at = values.iter().take_while(|value| fences.exclude(**value)).count();
    let is_short = at >= FEWEST_ON_A_SIDE && at <= values.len() / 3;
    let (begin, end) = (mean(&values[..at])?, median(&values[at..])?);
    let part = (end - begin) / middle.abs();
    let counts = is_short && part.is_finite() && part.abs() >= SMALLEST_PART;
    counts.then_some(Drift { kind: DriftKind::WarmUp, part, at })
}

/// How many steps a block must have, so that neighbouring blocks are nearly independent.
///
/// Likeness is read from differences of neighbours and of next neighbours (after von Neumann, "Distribution of the
/// ratio of the mean square successive difference to the variance", 1941): a slow drift hardly
/// changes those, while it would look like likeness in the usual autocorrelation.
fn shortest_block(values: &[f64]) -> usize {
    let likeness = usual_square(values, 2) / usual_square(values, 1) - 1.0;
    // Less than this is chance; where all differences are 0 it is no number.
    let is_alike = likeness > 2.0 / (values.len() as f64).sqrt();
    if !is_alike {
        return 1;
    }
    let likeness = likeness.min(0.99);
    (2.0 * (1.0 + likeness) / (1.0 - likeness)).ceil() as usize
}

/// The mean square of the differences of values `lag` apart, without the largest tenth: outliers
/// and jumps to another level would drown all others.
fn usual_square(values: &[f64], lag: usize) -> f64 {
    let pairs = values.iter().zip(values.iter().skip(lag));
    let mut squares: Vec<f64> = pairs.map(|(one, other)| (one - other).powi(2)).collect();
    let kept = squares.len().saturating_sub(squares.len() / 10 + lag);
    if kept > 0 {
        squares.select_nth_unstable_by(kept, f64::total_cmp);
    }
    mean(&squares[..kept]).unwrap_or(f64::NAN)
}

/// The block at which a new level begins, unless a steady series would show as much once in
/// `one_in` times.
fn split(levels: &[f64], one_in: usize) -> Option<usize> {
    let (place, found) = largest_difference(levels)?;
    let mut random = SplitMix64::new(levels.len() as u64);
    let mut shuffled = levels.to_vec();
    let mut larger = 0;
    for _ in 1..2 * one_in {
        random.shuffle(&mut shuffled);
        let (_, by_chance) = largest_difference(&shuffled)?;
        // Sums in another order differ in their last digits.
        larger += usize::from(by_chance >= found * (1.0 - 1e-9));
        // With the order that was found, two of `2 · one_in` orders are one too many (Besag and
        // Clifford, "Sequential Monte Carlo p-values", 1991: a clear answer may be given early).
        if larger > 1 {
            return None;
        }
    }
    Some(place)
}

/// Where the levels before and after differ most, and a measure of how much.
fn largest_difference(levels: &[f64]) -> Option<(usize, f64)> {
    let count = levels.len() as f64;
    let mean = mean(levels)?;
    let (mut sum, mut best) = (0.0, None);
    for (place, level) in (1..).zip(levels) {
        sum += level - mean;
        let on_both = place >= FEWEST_ON_A_SIDE && place + FEWEST_ON_A_SIDE <= levels.len();
        let difference = sum * sum / (place as f64 * (count - place as f64));
        if on_both && best.is_none_or(|(_, largest)| difference > largest) {
            best = Some((place, difference));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of level 1 with noise of `spread`, neighbours alike by `likeness`.
    fn noise(random: &mut SplitMix64, count: usize, spread: f64, likeness: f64) -> Vec<f64> {
        random.alike(count, likeness).iter().map(|value| 1.0 + spread * value).collect()
    }

    /// In how many of 1,000 steady series a drift is found.
    fn false_alarms(seed: u64, mut steady: impl FnMut(&mut SplitMix64) -> Vec<f64>) -> usize {
        let mut random = SplitMix64::new(seed);
        (0..1000).filter(|_| drift(&steady(&mut random)).is_some()).count()
    }

    #[test]
    fn steady_noise_is_called_a_drift_in_less_than_one_of_a_hundred_series() {
        for count in [16, 40, 90, 500] {
            let alarms = false_alarms(1, |random| noise(random, count, 0.1, 0.0));
            assert!(alarms <= 5, "{alarms} with {count} steps");
        }
        for (count, likeness) in [(90, 0.5), (500, 0.5), (1000, 0.8)] {
            let alarms = false_alarms(2, |random| noise(random, count, 0.1, likeness));
            assert!(alarms <= 10, "{alarms} with {count} steps alike by {likeness}");
        }
    }

    #[test]
    fn outliers_are_no_drift_however_large() {
        let alarms = false_alarms(3, |random| {
            let mut values = noise(random, 200, 0.05, 0.0);
            for value in &mut values {
                if random.uniform() < 0.05 {
                    *value += 10.0 * random.uniform();
                }
            }
            values
        });
        assert!(alarms <= 5, "{alarms}");
        // The slow first step of nearly every program is an outlier, and no warm-up.
        let mut values = noise(&mut SplitMix64::new(4), 100, 0.05, 0.0);
        values[0] = 30.0;
        assert_eq!(drift(&values), None);
    }

    #[test]
    fn a_warm_up_is_found_with_its_end() {
        let mut values = noise(&mut SplitMix64::new(5), 320, 0.03, 0.0);
        (0..60).for_each(|place| values[place] += 0.3 * (1.0 - place as f64 / 60.0));
        let found = drift(&values).unwrap();
        assert_eq!(found.kind, DriftKind::WarmUp);
        assert!((30..=70).contains(&found.at) && found.part < -0.1, "{found:?}");
    }

    #[test]
    fn a_warm_up_of_few_steps_is_found_in_a_long_run() {
        let mut values = noise(&mut SplitMix64::new(6), 3000, 0.03, 0.0);
        values[..7].fill(2.0);
        let found = drift(&values).unwrap();
        assert_eq!((found.kind, found.at), (DriftKind::WarmUp, 7));
    }

    #[test]
    fn a_machine_that_gets_slower_is_found_with_the_place() {
        let mut values = noise(&mut SplitMix64::new(7), 320, 0.03, 0.0);
        values[240..].iter_mut().for_each(|value| *value += 0.1);
        let found = drift(&values).unwrap();
        assert_eq!(found.kind, DriftKind::Rising);
        assert!((230..=250).contains(&found.at), "{found:?}");
        assert!((found.part - 0.1).abs() < 0.03, "{found:?}");
        let falling: Vec<f64> = values.iter().map(|value| 1.0 / value).collect();
        assert_eq!(drift(&falling).unwrap().kind, DriftKind::Falling);
    }

    #[test]
    fn a_jump_is_found_however_large() {
        let mut values = noise(&mut SplitMix64::new(11), 40, 0.01, 0.0);
        values[25..].iter_mut().for_each(|value| *value += 1000.0);
        let found = drift(&values).unwrap();
        assert_eq!((found.kind, found.at), (DriftKind::Rising, 25));
    }

    #[test]
    fn a_slow_slope_rises_to_the_end() {
        let mut values = noise(&mut SplitMix64::new(8), 1000, 0.05, 0.3);
        values.iter_mut().enumerate().for_each(|(place, value)| *value += place as f64 * 1e-4);
        let found = drift(&values).unwrap();
        assert_eq!(found.kind, DriftKind::Rising);
        assert!((found.part - 0.075).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn a_level_that_comes_back_is_no_drift() {
        let mut values = noise(&mut SplitMix64::new(9), 320, 0.03, 0.0);
        values[100..160].iter_mut().for_each(|value| *value += 0.2);
        assert_eq!(drift(&values), None);
    }

    #[test]
    fn a_change_below_one_percent_is_no_drift_however_certain() {
        let mut values = noise(&mut SplitMix64::new(10), 32_000, 0.01, 0.0);
        values[16_000..].iter_mut().for_each(|value| *value += 0.008);
        assert_eq!(drift(&values), None);
        values[16_000..].iter_mut().for_each(|value| *value += 0.008);
        assert_eq!(drift(&values).unwrap().kind, DriftKind::Rising);
    }

    #[test]
    fn what_cannot_be_told_is_absent() {
        for values in [&[][..], &[1.0; 15], &[2.0; 100], &[0.0; 100], &[f64::NAN; 50]] {
            assert_eq!(drift(values), None, "{values:?}");
        }
    }
}
