//! A change of level inside one run: a warm-up that was not over, or a machine that got slower.
//!
//! The steps are divided into at most [`BLOCKS`] equal blocks, and each block is summed up by its median,
//! so that no single outlier and no few of them make a drift. Blocks are made longer where neighbouring
//! steps are alike, until their medians are nearly independent. If nothing changes, the medians could then
//! stand in any order; so the largest difference between the blocks before and after any point (the
//! likelihood ratio of one change of a mean: Hawkins, "Testing a sequence of observations for a shift in
//! location", 1977) is compared with the same after the blocks were shuffled. It has to beat nearly all of
//! 1,999 orders, which is a false alarm in one of a thousand runs of independent steps. What is found is
//! divided further as long as the rest is not steady.
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
    let blocks = (values.len() / shortest_block(values, fences)).min(BLOCKS);
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
fn shortest_block(values: &[f64], fences: Fences) -> usize {
    let square = |lag: usize| -> f64 {
        let pairs = values.iter().zip(&values[lag.min(values.len())..]);
        let squares = pairs.map(|(one, other)| {
            let kept = |value: f64| value.clamp(fences.low, fences.high);
            (kept(*one) - kept(*other)).powi(2)
        });
        squares.sum()
    };
    let likeness = square(2) / square(1) - 1.0;
    // Less than this is chance.
    if !(likeness > 2.0 / (values.len() as f64).sqrt()) {
        return 1;
    }
    let likeness = likeness.min(0.99);
    (2.0 * (1.0 + likeness) / (1.0 - likeness)).ceil() as usize
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
