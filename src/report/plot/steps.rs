//! A series over the steps of a run.

use super::envelope::{self, Bucket};
use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::bench::SeriesRecord;
use crate::report::words::{self, count, significant, thousands, with_unit};
use crate::stats::DriftKind;

/// So many values are drawn each by itself; of more, buckets with their extremes.
pub(in crate::report) const POINTS: usize = 400;

/// So many values have a dot each.
const DOTS: usize = 80;

/// So many outliers are marked, those farthest from the median.
const MARKED: usize = 60;

/// What is drawn.
pub(in crate::report) struct Steps<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// Name of the series, `time`.
    pub name: &'a str,
    /// Absent if nothing tells it.
    pub unit: Option<&'a str>,
    pub series: &'a SeriesRecord,
    /// The values as numbers, as many as the series has.
    pub values: &'a [f64],
    /// Of which repetition it is, as the end of a title.
    pub of: &'a str,
    /// Whether it counts steps, so that median, outliers and drift say how steady the run was.
    pub is_progress: bool,
}

impl Steps<'_> {
    /// The series with its unit, as the title of an axis.
    pub fn axis(&self) -> String {
        words::series(self.name, self.unit)
    }

    /// A value with its unit, if that is known.
    pub fn written(&self, value: f64) -> String {
        with_unit(&significant(value), self.unit.unwrap_or_default())
    }
}

/// The plot: skipped part, median, outliers and drift marked.
pub(in crate::report) fn plot(steps: &Steps, class: &str) -> Option<String> {
    let (x, y) = (across(steps), down(steps)?);
    let mut frame = Frame::new(
        Axis::new(x, format!("logged step, 1 to {}", thousands(steps.values.len())), 5).whole(),
        Axis::new(y, steps.axis(), 4),
    );
    skipped(&mut frame, steps, y);
    curve(&mut frame, steps, y);
    if steps.is_progress {
        median(&mut frame, steps, x);
        outliers(&mut frame, steps);
        drift(&mut frame, steps);
    }
    let title = format!("{} over the steps{}", steps.name, steps.of);
    let words = Words { id: steps.id, title: &title, description: &description(steps) };
    Some(frame.finish(&words, class))
}

fn across(steps: &Steps) -> Scale {
    Scale::between(0.5, steps.values.len() as f64 + 0.5)
}

/// All used values, and the skipped ones where they do not squash the others: the first step may
/// take a hundred times as long.
fn down(steps: &Steps) -> Option<Scale> {
    let (skipped, used) = steps.values.split_at(steps.series.skipped.min(steps.values.len()));
    let Some(of_used) = Scale::of(used.iter().copied()) else {
        return Scale::of(skipped.iter().copied())
            .map(|scale| scale.padded(0.08).not_exaggerated());
    };
    let roomy = of_used.padded(1.0);
    let near = skipped.iter().copied().filter(|value| roomy.has(*value));
    let scale = Scale::of(near.chain([of_used.low(), of_used.high()]))?;
    Some(scale.padded(0.08).not_exaggerated().not_below_zero(scale.low()))
}

fn skipped(frame: &mut Frame, steps: &Steps, y: Scale) {
    let number = steps.series.skipped.min(steps.values.len());
    if number == 0 {
        return;
    }
    let beyond = steps.values[..number].iter().filter(|value| !y.has(**value)).count();
    let beyond = match beyond {
        0 => String::new(),
        beyond => format!(", {beyond} of them beyond the frame"),
    };
    let says = format!("{} skipped{beyond}", count(number, "step", "steps"));
    frame.span("skipped", 0.5, number as f64 + 0.5, &says);
    frame.key(Sign::Skipped, says);
}

/// Every value where there is room, else the extremes and the mean of each bucket.
fn curve(frame: &mut Frame, steps: &Steps, y: Scale) {
    let buckets = envelope::buckets(steps.values, POINTS);
    let place = |bucket: &Bucket| bucket.at + 1.0;
    if buckets.len() < steps.values.len() {
        let ends: Vec<_> = buckets
            .iter()
            .filter(|bucket| y.has(bucket.mean))
            .map(|bucket| (place(bucket), bucket.low, bucket.high))
            .collect();
        frame.area("extremes", &ends);
        let each = steps.values.len() / buckets.len();
        frame.key(Sign::Line, format!("mean of about {} steps, with extremes", thousands(each)));
    } else {
        frame.key(Sign::Line, steps.name);
    }
    // What is beyond the frame has no place on its edge: the line has a gap there.
    let point = |bucket: &Bucket| y.has(bucket.mean).then(|| (place(bucket), bucket.mean));
    frame.line("line", buckets.iter().map(point));
    if steps.values.len() <= DOTS {
        for (index, value) in steps.values.iter().enumerate().filter(|(_, value)| y.has(**value)) {
            let says = format!("step {}: {}", index + 1, steps.written(*value));
            frame.dot("dot", index as f64 + 1.0, *value, &says);
        }
    }
}

fn median(frame: &mut Frame, steps: &Steps, x: Scale) {
    let Some(median) = steps.series.median else { return };
    frame.level("median", steps.series.skipped as f64 + 0.5, x.high(), median);
    frame.key(Sign::Median, format!("median {}", steps.written(median)));
}

fn outliers(frame: &mut Frame, steps: &Steps) {
    let middle = steps.series.median.unwrap_or(0.0);
    let mut marked: Vec<(usize, f64)> = steps
        .series
        .outliers
        .iter()
        .filter_map(|index| Some((*index, *steps.values.get(*index)?)))
        .collect();
    if marked.is_empty() {
        return;
    }
    let all = count(marked.len(), "outlier", "outliers");
    marked.sort_by(|a, b| (b.1 - middle).abs().total_cmp(&(a.1 - middle).abs()));
    marked.truncate(MARKED);
    for (index, value) in &marked {
        let says = format!("outlier, step {}: {}", index + 1, steps.written(*value));
        frame.sign(Sign::Outlier, *index as f64 + 1.0, *value, &says);
    }
    let farthest = if steps.series.outliers.len() > MARKED { ", the farthest marked" } else { "" };
    frame.key(Sign::Outlier, format!("{all}{farthest}"));
}

fn drift(frame: &mut Frame, steps: &Steps) {
    let Some(says) = drift_words(steps.series) else { return };
    let at = steps.series.skipped + steps.series.drift.map_or(0, |drift| drift.at);
    frame.plumb("drift", at as f64 + 1.0, &says);
    frame.key(Sign::Drift, says);
}

/// `rises by 4.2 % from step 31 on`; absent without drift.
pub(in crate::report) fn drift_words(series: &SeriesRecord) -> Option<String> {
    let drift = series.drift?;
    let (step, change) = (thousands(series.skipped + drift.at + 1), words::change(drift.part));
    Some(match drift.kind {
        DriftKind::WarmUp => format!("still warming up until step {step} ({change})"),
        DriftKind::Rising => format!("rises from step {step} on ({change})"),
        DriftKind::Falling => format!("falls from step {step} on ({change})"),
    })
}

/// The plot in a sentence.
fn description(steps: &Steps) -> String {
    let series = steps.series;
    let figure =
        |value: Option<f64>| value.map_or("unknown".to_owned(), |value| steps.written(value));
    let mut text = format!(
        "{} of {}, the first {} skipped. Of the others: median {}, mean {}, smallest {}, largest {}",
        steps.name,
        count(steps.values.len(), "step", "steps"),
        series.skipped,
        figure(series.median),
        figure(series.mean),
        figure(series.min),
        figure(series.max),
    );
    if let Some(spread) = series.spread() {
        text.push_str(&format!(", spread {}", words::plus_minus(spread)));
    }
    text.push_str(&format!(", {}", count(series.outliers.len(), "outlier", "outliers")));
    text.push_str(&drift_words(series).map_or(String::new(), |drift| format!(", {drift}")));
    text + "."
}
