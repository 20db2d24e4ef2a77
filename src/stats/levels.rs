//! Levels of a series over runs, and where each begins.
//!
//! The series is fitted by constants, one a level, so that the absolute distances plus a penalty for each
//! further level are smallest. Absolute distances, as `asv` (airspeed velocity) uses them for the same
//! question: a single strange run pulls a median nowhere. The minimum is exact, found by dynamic
//! programming over the last change (Jackson and others, "An algorithm for optimal partitioning of data on
//! an interval", 2005), and starts that can never win again are dropped (PELT: Killick, Fearnhead and
//! Eckley, "Optimal detection of changepoints with a linear computational cost", 2012).
//!
//! The noise is read from the differences of neighbouring runs, which a few steps hardly change. The
//! penalty was chosen so that noise alone has a change point in at most one of a hundred series; a test
//! keeps it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::summary::median_of;

/// A level has at least so many runs: fewer are strange runs, not a level.
const SHORTEST: usize = 3;

/// What a further level costs, in mean absolute deviations, times the logarithm of the runs.
const PENALTY: f64 = 2.5;

/// The first position of each new level, in order; none for a series of one level.
///
/// A change is seen only once three runs are on its new level. Absent numbers cannot be passed over: a
/// series with a value that is not finite has no change points.
pub fn change_points(values: &[f64]) -> Vec<usize> {
    if values.len() < 2 * SHORTEST || values.iter().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let penalty = PENALTY * (values.len() as f64).ln() * noise(values);
    let starts = partition(values, penalty);
    let mut points = Vec::new();
    let mut end = values.len();
    while starts[end] > 0 {
        end = starts[end];
        points.push(end);
    }
    points.reverse();
    points
}

/// The mean absolute deviation of one value from its level.
fn noise(values: &[f64]) -> f64 {
    let mut steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let mean = steps.iter().sum::<f64>() / steps.len() as f64;
    // Of normal noise the median difference is 0.9539 deviations, the mean one 1.1284, and the
    // mean absolute deviation 0.7979. Where most neighbours are equal, only the mean says anything.
    match median_of(&mut steps) {
        Some(median) if median > 0.0 => median / 0.9539 * 0.7979,
        _ => mean / 1.1284 * 0.7979,
    }
}

/// A level that may begin at `start`, if everything before is fitted as well as can be.
struct Candidate {
    start: usize,
    before: f64,
    level: Level,
}

/// For each end the start of the last level in the best fit of everything before that end.
fn partition(values: &[f64], penalty: f64) -> Vec<usize> {
    let mut best = vec![0.0; values.len() + 1];
    let mut starts = vec![0; values.len() + 1];
    let mut candidates: Vec<Candidate> = Vec::new();
    for (place, value) in values.iter().enumerate() {
        if place == 0 || place >= SHORTEST {
            let before = if place == 0 { 0.0 } else { best[place] + penalty };
            candidates.push(Candidate { start: place, before, level: Level::default() });
        }
        let end = place + 1;
        best[end] = f64::INFINITY;
        for candidate in &mut candidates {
            candidate.level.add(*value);
            let cost = candidate.before + candidate.level.distances();
            if end - candidate.start >= SHORTEST && cost < best[end] {
                (best[end], starts[end]) = (cost, candidate.start);
            }
        }
        // Whoever is behind by more than a penalty stays behind: a change right here would be better.
        let limit = best[end] + penalty;
        candidates.retain(|one| {
            end - one.start < SHORTEST || one.before + one.level.distances() <= limit
        });
    }
    starts
}

/// Values, and the sum of their distances from their median, while they come.
#[derive(Default)]
struct Level {
    below: BinaryHeap<Ordered>,
    above: BinaryHeap<Reverse<Ordered>>,
    sum_below: f64,
    sum_above: f64,
}

impl Level {
    fn add(&mut self, value: f64) {
        if self.below.peek().is_none_or(|Ordered(largest)| value <= *largest) {
            self.below.push(Ordered(value));
            self.sum_below += value;
        } else {
            self.above.push(Reverse(Ordered(value)));
            self.sum_above += value;
        }
        if self.below.len() > self.above.len() + 1 {
            self.move_up();
        } else if self.above.len() > self.below.len() {
            self.move_down();
        }
    }

    fn move_up(&mut self) {
        if let Some(Ordered(value)) = self.below.pop() {
            self.sum_below -= value;
            self.sum_above += value;
            self.above.push(Reverse(Ordered(value)));
        }
    }

    fn move_down(&mut self) {
        if let Some(Reverse(Ordered(value))) = self.above.pop() {
            self.sum_above -= value;
            self.sum_below += value;
            self.below.push(Ordered(value));
        }
    }

    fn distances(&self) -> f64 {
        let median = self.below.peek().map_or(0.0, |Ordered(value)| *value);
        let own = median * (self.below.len() as f64 - self.above.len() as f64);
        (own - self.sum_below + self.sum_above).max(0.0)
    }
}

/// A number that is not NaN, so that it has an order.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
