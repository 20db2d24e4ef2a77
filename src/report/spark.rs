//! A series in the space of a word.

/// Eight heights of a terminal's character cell.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// At most `width` characters; of more values each character is the mean of its share.
pub(super) fn blocks(values: &[f64], width: usize) -> String {
    let means = means(values, width);
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let block = |mean: &f64| {
        let height = if high > low { (mean - low) / (high - low) } else { 0.5 };
        BLOCKS[((height * 8.0) as usize).min(7)]
    };
    means.iter().map(block).collect()
}

/// `values` in at most `count` shares of consecutive ones, the mean of each.
pub(super) fn means(values: &[f64], count: usize) -> Vec<f64> {
    let count = count.min(values.len());
    let share = |index: usize| {
        let part = &values[index * values.len() / count..(index + 1) * values.len() / count];
        part.iter().sum::<f64>() / part.len() as f64
    };
    (0..count).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_becomes_one_character_a_share() {
        assert_eq!(blocks(&[1.0, 2.0, 3.0, 8.0], 10), "▁▂▃█");
        assert_eq!(blocks(&[1.0, 1.0, 9.0, 9.0], 2), "▁█");
        assert_eq!(blocks(&[5.0; 3], 10), "▅▅▅");
        assert_eq!(blocks(&[], 10), "");
    }
}
