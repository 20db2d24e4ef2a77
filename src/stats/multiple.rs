//! Several tests at once.

/// The level that each of several tests is made at, so that all of them together raise a false alarm in
/// the part `alpha` of all cases at most (Holm, "A simple sequentially rejective multiple test procedure",
/// Scandinavian Journal of Statistics 6, 1979).
///
/// The smallest p of `n` is held against `alpha / n`, the next one against `alpha / (n - 1)` and so on, up to
/// the first that fails; all others then get that one's level, which they fail, too. So a test is
/// significant exactly if its p is below its level. An absent p is no test and counts for nothing.
pub fn holm_levels(p: &[Option<f64>], alpha: f64) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> =
        p.iter().enumerate().filter_map(|(place, p)| Some(((*p)?, place))).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut levels = vec![alpha; p.len()];
    let mut level = alpha;
    let mut has_failed = false;
    for (rank, (p, place)) in order.iter().enumerate() {
        if !has_failed {
            level = alpha / (order.len() - rank) as f64;
            has_failed = *p >= level;
        }
        levels[*place] = level;
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_is_held_against_the_strictest_level() {
        let levels = holm_levels(&[Some(0.02), Some(0.001), None, Some(0.5)], 0.06);
        assert_eq!(levels, [0.03, 0.02, 0.06, 0.06]);
    }

    #[test]
    fn nothing_is_significant_after_the_first_that_fails() {
        // Alone, 0.012 would pass at 0.02 and 0.013 at 0.04.
        let p = [Some(0.012), Some(0.013), Some(0.011)];
        let levels = holm_levels(&p, 0.03);
        assert_eq!(levels, [0.01; 3]);
        assert_eq!(holm_levels(&[], 0.01), [] as [f64; 0]);
    }
}
