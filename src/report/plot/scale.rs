//! From values to places on an axis, and the round values that stand beside it.

/// A range of values; both ends are finite and the upper one is larger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// The range between two values; one value alone gets room on both sides.
    pub fn between(one: f64, other: f64) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        // Differences of the last digits only would give an axis whose ticks are all the same.
        let least = low.abs().max(high.abs()) * 1e-9;
        match high - low > least && high - low > 0.0 {
            true => Self { low, high },
            false => {
                let room = if low == 0.0 { 1.0 } else { low.abs() * 0.05 };
                Self { low: low - room, high: high + room }
            }
        }
    }

    /// The range of `values`; absent if none is finite.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let ends = finite.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        ends.map(|(low, high)| Self::between(low, high))
    }

    /// With a part of the range more on both sides.
    pub fn padded(self, part: f64) -> Self {
        let room = (self.high - self.low) * part;
        Self { low: self.low - room, high: self.high + room }
    }

    /// At least a twentieth of its values wide: half a per mille must not look like a cliff.
    pub fn not_exaggerated(self) -> Self {
        let least = self.low.abs().max(self.high.abs()) * 0.05;
        let room = ((least - (self.high - self.low)) / 2.0).max(0.0);
        Self { low: self.low - room, high: self.high + room }
    }

    /// From 0, where nothing is below it: what is drawn as a length must begin there.
    pub fn with_zero(self) -> Self {
        if self.low > 0.0 { Self { low: 0.0, ..self } } else { self }
    }

    /// Begins at 0 where padding alone went below it: no time is negative.
    pub fn not_below_zero(self, smallest: f64) -> Self {
        if self.low < 0.0 && smallest >= 0.0 { Self { low: 0.0, ..self } } else { self }
    }

    /// Where `value` lies, 0 to 1; what is outside lies on the edge.
    pub fn part(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Whether `value` lies in the range.
    pub fn has(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    pub fn high(self) -> f64 {
        self.high
    }

    pub fn low(self) -> f64 {
        self.low
    }

    /// Round values in the range, about `count` of them: multiples of 1, 2 or 5 of a power of ten.
    pub fn ticks(self, count: usize) -> Vec<f64> {
        let step = step(self.high - self.low, count);
        let first = (self.low / step - 1e-9).ceil();
        let last = (self.high / step + 1e-9).floor();
        let number = (last - first).clamp(0.0, 50.0) as usize;
        // Multiples, not sums: a sum of 0.1 drifts away from what is printed.
        (0..=number).map(|index| (first + index as f64) * step).collect()
    }

    /// Decimals that tell the ticks apart.
    pub fn decimals(self, count: usize) -> usize {
        let step = step(self.high - self.low, count);
        (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
    }
}

fn step(range: f64, count: usize) -> f64 {
    let rough = range / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    let fits = |factor: &f64| power * factor >= rough * (1.0 - 1e-9);
    power * factors.clone().find(fits).unwrap_or(10.0)
}

/// A tick's text: with so many decimals, thousands apart.
pub(in crate::report) fn label(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e15 || (value != 0.0 && value.abs() < 1e-9) {
        return format!("{value:.1e}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = super::super::words::thousands(whole.parse().unwrap_or(0));
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !is_zero { "\u{2212}" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, count: usize) -> Vec<String> {
        let scale = Scale::between(low, high);
        scale.ticks(count).into_iter().map(|tick| label(tick, scale.decimals(count))).collect()
    }

    #[test]
    fn ticks_are_round_and_all_in_the_range() {
        assert_eq!(labels(0.46, 0.755, 4), ["0.5", "0.6", "0.7"]);
        assert_eq!(
            labels(0.0, 1_000_000.0, 5),
            ["0", "200,000", "400,000", "600,000", "800,000", "1,000,000"]
        );
        assert_eq!(labels(-0.25, 0.25, 5), ["\u{2212}0.2", "\u{2212}0.1", "0.0", "0.1", "0.2"]);
        assert_eq!(labels(3.0, 4.0, 3), ["3.0", "3.5", "4.0"]);
    }

    #[test]
    fn one_value_alone_has_an_axis_with_several_ticks() {
        for value in [0.0, 5.0, -3.0, 1e12, 1e-12] {
            let scale = Scale::of([value]).unwrap();
            assert!((scale.part(value) - 0.5).abs() < 1e-9, "{value}");
            let ticks = scale.ticks(4);
            assert!(ticks.len() > 1 && ticks.iter().all(|tick| scale.has(*tick)), "{ticks:?}");
        }
        assert_eq!(Scale::of([f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn a_difference_of_half_a_per_mille_does_not_fill_an_axis() {
        let scale = Scale::between(2.4145, 2.416).not_exaggerated();
        assert!((scale.high() - scale.low() - 0.1208).abs() < 1e-9, "{scale:?}");
        let wide = Scale::between(1.0, 2.0);
        assert_eq!(wide.not_exaggerated(), wide);
    }

    #[test]
    fn values_outside_lie_on_the_edge() {
        let scale = Scale::between(10.0, 20.0);
        assert_eq!([5.0, 10.0, 15.0, 99.0].map(|value| scale.part(value)), [0.0, 0.0, 0.5, 1.0]);
        assert_eq!(scale.with_zero().low(), 0.0);
        assert_eq!(Scale::between(0.1, 9.0).padded(0.1).not_below_zero(0.1).low(), 0.0);
        assert!(Scale::between(-1.0, 9.0).padded(0.1).not_below_zero(-1.0).low() < -1.0);
    }
}
