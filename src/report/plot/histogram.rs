//! How the used values of a series are distributed.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use super::steps::Steps;
use crate::report::words::{count, significant, with_unit};

/// The fewest values that have a distribution worth a plot.
const FEWEST: usize = 5;

/// Bars of equal width; absent for too few values.
pub(in crate::report) fn plot(steps: &Steps) -> Option<String> {
    let used = steps.values.get(steps.series.skipped..).filter(|used| used.len() >= FEWEST)?;
    let scale = Scale::of(used.iter().copied())?;
    let bins = bins(used, scale);
    let most = bins.iter().copied().max().unwrap_or(1);
    let unit = if steps.unit.is_empty() { String::new() } else { format!(" in {}", steps.unit) };
    let mut frame = Frame::new(
        Axis::new(scale, format!("{}{unit}", steps.name), 4),
        Axis::new(Scale::between(0.0, most as f64 * 1.08), "steps", 3.min(most)),
    );
    let width = (scale.high() - scale.low()) / bins.len() as f64;
    for (index, number) in bins.iter().enumerate().filter(|(_, number)| **number > 0) {
        let from = scale.low() + width * index as f64;
        let (low, high) = (significant(from), significant(from + width));
        let says = format!(
            "{low} to {}: {}",
            with_unit(&high, steps.unit),
            count(*number, "step", "steps")
        );
        frame.rectangle("bar", (from, from + width), (0.0, *number as f64), &says);
    }
    if let Some(median) = steps.series.median {
        frame.plumb("median", median, "");
        frame.key(Sign::Median, format!("median {}", with_unit(&significant(median), steps.unit)));
    }
    let title = format!("Distribution of {}", steps.name);
    let id = format!("{}h", steps.id);
    let words = Words { id: &id, title: &title, description: &description(steps, &bins, scale) };
    Some(frame.finish(&words, "half"))
}

/// Counts in bars as wide as Freedman and Diaconis advise, but not too many for the page.
fn bins(used: &[f64], scale: Scale) -> Vec<usize> {
    let mut sorted = used.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartile = |part: usize| sorted[(sorted.len() - 1) * part / 4];
    let width = 2.0 * (quartile(3) - quartile(1)) / (used.len() as f64).cbrt();
    let range = scale.high() - scale.low();
    let advised = if width > 0.0 { (range / width).ceil() } else { 10.0 };
    let number = advised.clamp(5.0, 40.0) as usize;
    let mut bins = vec![0; number];
    for value in used {
        bins[((scale.part(*value) * number as f64) as usize).min(number - 1)] += 1;
    }
    bins
}

fn description(steps: &Steps, bins: &[usize], scale: Scale) -> String {
    let width = (scale.high() - scale.low()) / bins.len() as f64;
    let fullest = bins.iter().enumerate().max_by_key(|(_, number)| **number);
    let (index, number) = fullest.map_or((0, 0), |(index, number)| (index, *number));
    let from = scale.low() + width * index as f64;
    format!(
        "{} between {} and {} in {} bars; the fullest bar has {}, from {} to {}.",
        count(bins.iter().sum(), "step", "steps"),
        significant(scale.low()),
        with_unit(&significant(scale.high()), steps.unit),
        bins.len(),
        number,
        significant(from),
        with_unit(&significant(from + width), steps.unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bar() {
        for values in
            [vec![1.0; 9], (0..1000).map(f64::from).collect(), vec![0.0, 0.0, 0.0, 0.0, 9.0]]
        {
            let scale = Scale::of(values.iter().copied()).unwrap();
            let bins = bins(&values, scale);
            assert_eq!(bins.iter().sum::<usize>(), values.len());
            assert!((5..=40).contains(&bins.len()));
        }
    }
}
