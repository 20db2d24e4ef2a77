//! Fewer points than values, so that nothing that stood out is lost.

/// Consecutive values that share a place on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Bucket {
    /// Position of the middle, in values from 0.
    pub at: f64,
    pub low: f64,
    pub mean: f64,
    pub high: f64,
}

/// `values` in at most `count` buckets; with room for all of them each is its own.
///
/// The smallest and the largest value of each bucket are kept: a mean alone would hide a
/// single slow step among a thousand.
pub(in crate::report) fn buckets(values: &[f64], count: usize) -> Vec<Bucket> {
    let count = count.min(values.len());
    let bucket = |index: usize| {
        let (from, to) = (index * values.len() / count, (index + 1) * values.len() / count);
        let share = &values[from..to];
        Bucket {
            at: (from + to - 1) as f64 / 2.0,
            low: share.iter().copied().fold(f64::INFINITY, f64::min),
            mean: share.iter().sum::<f64>() / share.len() as f64,
            high: share.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    };
    (0..count).map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_stay_as_they_are() {
        let kept = buckets(&[3.0, 1.0, 2.0], 400);
        let expected = [(0.0, 3.0), (1.0, 1.0), (2.0, 2.0)];
        assert_eq!(kept.len(), 3);
        for (bucket, (at, value)) in kept.iter().zip(expected) {
            let Bucket { at: place, low, mean, high } = *bucket;
            assert_eq!((place, low, mean, high), (at, value, value, value));
        }
        assert!(buckets(&[], 400).is_empty());
    }

    #[test]
    fn one_slow_step_among_a_million_is_still_seen() {
        let mut values = vec![1.0; 1_000_000];
        values[123_456] = 99.0;
        values[999_999] = 0.5;
        let kept = buckets(&values, 400);
        assert_eq!(kept.len(), 400);
        assert_eq!(kept.iter().filter(|bucket| bucket.high == 99.0).count(), 1);
        assert_eq!(kept[399].low, 0.5);
        assert!(kept.windows(2).all(|pair| pair[0].at < pair[1].at));
    }
}
