//! Levels of a series over runs, and where each begins.
//!
//! The series is fitted by constants, one a level, so that the absolute distances plus a penalty for each
//! further level are smallest. Absolute distances, as `asv` (airspeed velocity) uses them for the same
//! question: a single strange run pulls a median nowhere, and is no level. The minimum is exact, found by dynamic
//! programming over the last change (Jackson and others, "An algorithm for optimal partitioning of data on
//! an interval", 2005), and starts that can never win again are dropped (PELT, Killick, Fearnhead and
//! Eckley, "Optimal detection of changepoints with a linear computational cost", 2012).
//!
//! The noise is read from the differences of neighbouring runs, which a few steps hardly change. The
//! penalty was chosen so that noise alone has a change point in at most one of a hundred series; a test
//! keeps it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::summary::mean;

/// A level has at least so many runs: fewer are strange runs, not a level.
const SHORTEST: usize = 3;

/// What a further level costs, in mean absolute deviations: this much …
const PENALTY: f64 = 8.0;

/// … and this times the logarithm of the number of runs.
const PENALTY_OF_LENGTH: f64 = 0.5;

/// The first position of each new level, in order; none for a series of one level.
///
/// A change is seen only once three runs are on its new level. Absent numbers cannot be passed over: a
/// series with a value that is not finite has no change points.
pub fn change_points(values: &[f64]) -> Vec<usize> {
    if values.len() < 2 * SHORTEST || values.iter().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let count = values.len() as f64;
    // Few runs tell their noise badly.
    let penalty = (PENALTY + PENALTY_OF_LENGTH * count.ln()) * (1.0 + 2.0 / count);
    let starts = partition(values, penalty * noise(values));
    let mut points = Vec::new();
    let mut end = values.len();
    while starts[end] > 0 {
        end = starts[end];
        points.push(end);
    }
    points.reverse();
    points
}

/// The mean absolute deviation of one value from its level: the mean of all differences of neighbours but
/// the largest fifth, where new levels and strange runs are.
fn noise(values: &[f64]) -> f64 {
    let mut steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    steps.sort_by(f64::total_cmp);
    let kept = (steps.len() * 4).div_ceil(5);
    // Of normal noise this mean is 0.790 deviations, the mean absolute deviation 0.798.
    match mean(&steps[..kept]) {
        Some(noise) if noise > 0.0 => noise,
        // Where most neighbours are equal, only the others say anything.
        _ => mean(&steps).unwrap_or(f64::INFINITY),
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

#[cfg(test)]
mod tests {
    use super::super::random::SplitMix64;
    use super::*;

    /// Runs of the given levels, so many each, with noise of one part in a hundred.
    fn runs(seed: u64, levels: &[(usize, f64)]) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        let level = |(count, level): &(usize, f64)| vec![*level; *count];
        let values = levels.iter().flat_map(level);
        values.map(|level| level * (1.0 + 0.01 * random.normal())).collect()
    }

    /// Whether points were found within one run of `expected`.
    fn are_near(points: &[usize], expected: &[usize]) -> bool {
        let near = |(one, other): (&usize, &usize)| one.abs_diff(*other) <= 1;
        points.len() == expected.len() && points.iter().zip(expected).all(near)
    }

    #[test]
    fn each_new_level_is_found_where_it_begins() {
        assert_eq!(change_points(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), [3]);
        let points = change_points(&runs(1, &[(20, 100.0), (15, 105.0), (30, 95.0)]));
        assert!(are_near(&points, &[20, 35]), "{points:?}");
    }

    #[test]
    fn noise_alone_has_a_change_point_in_at_most_one_of_a_hundred_series() {
        for count in [6, 10, 30, 200] {
            let alarms =
                (0..1000).filter(|seed| !change_points(&runs(*seed, &[(count, 1.0)])).is_empty());
            let alarms = alarms.count();
            assert!(alarms <= 10, "{alarms} of 1000 with {count} runs");
        }
    }

    #[test]
    fn a_change_of_three_deviations_is_mostly_found_after_ten_runs() {
        let found = (0..300).filter(|seed| {
            let points = change_points(&runs(*seed, &[(10, 1.0), (10, 1.03)]));
            points.len() == 1 && points[0].abs_diff(10) <= 2
        });
        let found = found.count();
        assert!(found >= 255, "{found} of 300");
    }

    #[test]
    fn a_strange_run_is_no_level() {
        let mut values = runs(2, &[(30, 1.0)]);
        (values[10], values[20]) = (3.0, 0.2);
        assert_eq!(change_points(&values), [] as [usize; 0]);
    }

    #[test]
    fn few_runs_and_numbers_that_are_none_have_no_change_points() {
        for values in [&[][..], &[1.0, 1.0, 2.0, 2.0, 2.0], &[1.0; 20], &[f64::NAN; 10]] {
            assert_eq!(change_points(values), [] as [usize; 0]);
        }
    }

    #[test]
    fn distances_are_those_from_the_median() {
        let mut level = Level::default();
        let mut random = SplitMix64::new(3);
        let mut values = Vec::new();
        for _ in 0..50 {
            values.push(random.normal());
            level.add(values[values.len() - 1]);
            let median = super::super::median(&values).unwrap();
            let expected: f64 = values.iter().map(|value| (value - median).abs()).sum();
            assert!((level.distances() - expected).abs() < 1e-9);
        }
    }
}
