//! The samples of one case: as many as a reader can use, however long it runs.
//!
//! Samples are close together at first, for short cases. Whenever there are too many, every two
//! become one and the distance doubles. Summary and flags come from every sample, not from
//! those that are left.

use std::collections::{BTreeMap, BTreeSet};

use super::column::{CardColumn, Column, Sample};
use super::record::Range;

/// Seconds between samples at first: a short case still has some.
pub(super) const FIRST_INTERVAL: f64 = 0.25;

/// Seconds between samples from which on a case is no short one.
const USUAL_INTERVAL: f64 = 1.0;

/// Samples that are kept of a short case: ten seconds of four a second, twenty of two.
const FEW: usize = 40;

/// Samples that are kept of any case: half an hour at one a second, a day at one a minute, in
/// about 200 bytes each and 70 more for each GPU.
const MANY: usize = 2000;

/// The samples so far.
#[derive(Debug)]
pub(super) struct Table {
    interval: f64,
    rows: Vec<Sample>,
    taken: u64,
    summary: BTreeMap<Column, Summed>,
}

#[derive(Debug, Clone, Copy)]
struct Summed {
    min: f64,
    max: f64,
    sum: f64,
    seconds: f64,
}

impl Table {
    pub fn new() -> Self {
        Self { interval: FIRST_INTERVAL, rows: Vec::new(), taken: 0, summary: BTreeMap::new() }
    }

    /// Seconds to the next sample.
    pub fn interval(&self) -> f64 {
        self.interval
    }

    /// Samples that were taken, kept or not.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Samples that are kept.
    pub fn kept(&self) -> usize {
        self.rows.len()
    }

    /// Takes in the next sample.
    pub fn push(&mut self, sample: Sample) {
        self.taken += 1;
        self.sum(&sample);
        self.rows.push(sample);
        let limit = if self.interval < USUAL_INTERVAL { FEW } else { MANY };
        if self.rows.len() >= limit {
            self.interval *= 2.0;
            let joined = |two: &[Sample]| match two {
                [one, next] => one.joined(next),
                _ => two[0].clone(),
            };
            self.rows = self.rows.chunks(2).map(joined).collect();
        }
    }

    fn sum(&mut self, sample: &Sample) {
        for (column, value) in &sample.values {
            let fresh = Summed { min: *value, max: *value, sum: 0.0, seconds: 0.0 };
            let summed = self.summary.entry(*column).or_insert(fresh);
            summed.min = summed.min.min(*value);
            summed.max = summed.max.max(*value);
            summed.sum += value * sample.period;
            summed.seconds += sample.period;
        }
    }

    /// What each column did; bits have no mean.
    pub fn summary(&self) -> BTreeMap<String, Range> {
        let is_number = |column: &Column| !matches!(column, Column::Card(_, CardColumn::Throttle));
        let columns = self.summary.iter().filter(|(column, _)| is_number(column));
        let range = |(column, summed): (&Column, &Summed)| {
            let mean = if summed.seconds > 0.0 { summed.sum / summed.seconds } else { summed.min };
            // Rounding may lead the mean of equal values past them.
            let mean = mean.clamp(summed.min, summed.max);
            (column.to_string(), Range { min: summed.min, mean, max: summed.max })
        };
        columns.map(range).collect()
    }

    /// Names of the columns that were measured at least once.
    pub fn measured(&self) -> BTreeSet<String> {
        self.summary.keys().map(ToString::to_string).collect()
    }

    /// The kept samples as CSV, one column for each that was measured at all.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let names = self.summary.keys().map(ToString::to_string);
        let mut written = writer.write_record(std::iter::once("seconds".to_owned()).chain(names));
        for row in &self.rows {
            let cell = |column: &Column| row.get(*column).map_or(String::new(), number);
            let cells = std::iter::once(number(row.seconds)).chain(self.summary.keys().map(cell));
            written = written.and_then(|()| writer.write_record(cells));
        }
        written.expect("memory takes any record, and all have the same number of cells");
        writer.into_inner().expect("memory takes any bytes")
    }
}

/// A number with at most four decimals, and none where it is a large one.
fn number(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, period: f64, others: Option<f64>) -> Sample {
        let mut values = BTreeMap::from([(Column::DiskFree, 1e12)]);
        values.extend(others.map(|others| (Column::CpuOthers, others)));
        Sample { seconds, period, values }
    }

    fn run(seconds: f64) -> Table {
        let mut table = Table::new();
        let mut now = 0.0;
        while now < seconds {
            let period = table.interval();
            now += period;
            table.push(sample(now, period, Some(1.0)));
        }
        table
    }

    #[test]
    fn a_short_case_has_samples_close_together_and_a_long_one_never_too_many() {
        let table = run(3.0);
        assert_eq!((table.interval(), table.kept()), (0.25, 12));
        let table = run(60.0);
        assert_eq!(table.interval(), 1.0);
        assert!((55..=61).contains(&table.kept()), "{}", table.kept());
        let table = run(7.0 * 86_400.0);
        assert!((MANY / 2..MANY).contains(&table.kept()), "{}", table.kept());
        assert!(table.csv().len() < 60_000);
        let seconds: f64 = table.rows.iter().map(|row| row.period).sum();
        assert_eq!(seconds, table.rows.last().unwrap().seconds, "no time is lost");
    }

    #[test]
    fn a_peak_stays_in_the_summary_when_samples_are_joined() {
        let mut table = run(5.0);
        table.push(sample(5.25, 0.25, Some(9.0)));
        while table.interval() < 8.0 {
            table.push(sample(6.0, 1.0, Some(1.0)));
        }
        let range = table.summary()["cpu_others"];
        assert_eq!((range.min, range.max), (1.0, 9.0));
        assert!(range.mean > 1.0 && range.mean < 1.01, "{range:?}");
    }

    #[test]
    fn what_was_not_measured_is_an_empty_cell_or_no_column_at_all() {
        let mut table = Table::new();
        table.push(sample(0.25, 0.25, None));
        table.push(sample(0.5, 0.25, Some(0.125)));
        let text = String::from_utf8(table.csv()).unwrap();
        assert_eq!(
            text,
            "seconds,cpu_others,disk_free\n0.25,,1000000000000\n0.5,0.125,1000000000000\n"
        );
        assert_eq!(table.summary()["cpu_others"].mean, 0.125);
        assert!(!table.measured().contains("psi_io"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(100.0), "100");
        assert_eq!(number(38_877_723.5), "38877724");
        assert_eq!(number(0.123_46), "0.1235");
    }
}
