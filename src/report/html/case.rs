//! One case: its figures, plots, repetitions, conditions and inputs.

use askama::Template;

use super::commands;
use super::view::{Badge, CaseView, Command, ComparisonRow, Fact, FigureRow, RepeatRow, Tile};
use crate::bench::{Comparison, Figure, Number, Repeatable, RunRecord, SeriesRecord, Status};
use crate::report::kinds::{self, Kind};
use crate::report::model::{self, Case, Entry};
use crate::report::plot::{self, steps::Steps};
use crate::report::samples::Samples;
use crate::report::scrub::Clean;
use crate::report::words::{self, NOTHING, significant, with_unit};
use crate::report::{columns, numbers};

/// So many repetitions have a plot each.
const REPEATS: usize = 5;

/// The name of a case's place on the page.
pub(super) fn anchor(run: usize, case: usize) -> String {
    format!("c{run}-{case}")
}

/// The case as HTML.
pub(super) fn render(case: &Case, anchor: &str, clean: &Clean) -> String {
    let (panels, unread) = panels(case, anchor);
    let mut warnings = warnings(case, clean);
    warnings.extend(unread);
    let view = CaseView {
        anchor: anchor.to_owned(),
        name: case.name().to_owned(),
        badges: badges(case),
        problems: case.records().filter_map(|record| problem(record, clean)).collect(),
        warnings,
        tiles: tiles(case),
        plots: plots(case, anchor),
        measured: nth(case.shown()).trim_end().to_owned(),
        comparisons: case.shown().comparisons.iter().map(|one| comparison(one, clean)).collect(),
        repeats: repeats(case),
        panels,
        figures: case.shown().metrics.iter().map(|one| figure(one, clean)).collect(),
        facts: facts(case.shown(), clean),
        commands: commands_of(case.shown(), clean),
    };
    view.render().expect("writing into memory cannot fail")
}

fn badges(case: &Case) -> Vec<Badge> {
    let mut badges = vec![Badge::of(&case.status())];
    let verdict = case.verdict().filter(|_| case.shown().status == Status::Ok);
    badges.extend(verdict.map(|word| Badge::of(&word)));
    badges.extend(case.flags().into_iter().map(Badge::flag));
    badges
}

/// Why a case has no figures.
fn problem(record: &RunRecord, clean: &Clean) -> Option<String> {
    let (word, reason) = match &record.status {
        Status::Ok => return None,
        Status::Failed(reason) => ("failed", reason),
        Status::Skipped(reason) => ("skipped", reason),
    };
    let expected = record.expected_failure.as_ref().map(|why| format!("\nexpected: {why}"));
    Some(clean.text(&format!("{}{word}: {reason}{}", nth(record), expected.unwrap_or_default())))
}

/// `repetition 2 ` where there are several.
fn nth(record: &RunRecord) -> String {
    record.repeat.map_or(String::new(), |repeat| format!("repetition {} ", repeat.number))
}

/// What a reader has to heed before believing a number; what several repetitions share stands once.
fn warnings(case: &Case, clean: &Clean) -> Vec<String> {
    let mut warnings: Vec<(String, Vec<String>)> = Vec::new();
    for record in case.records() {
        for warning in warnings_of(record, clean) {
            let number = record.repeat.map(|repeat| repeat.number.to_string());
            match warnings.iter_mut().find(|(known, _)| *known == warning) {
                Some((_, numbers)) => numbers.extend(number),
                None => warnings.push((warning, number.into_iter().collect())),
            }
        }
    }
    let line = |(warning, numbers): (String, Vec<String>)| match numbers.as_slice() {
        [] => format!("\u{26a0} {warning}"),
        numbers => format!("\u{26a0} {warning}; repetition {}", numbers.join(", ")),
    };
    warnings.into_iter().map(line).collect()
}

fn warnings_of(record: &RunRecord, clean: &Clean) -> Vec<String> {
    let flags = record.conditions.iter().flat_map(|conditions| &conditions.flags);
    let flags = flags.map(|flag| {
        let (kind, text) = (words::flag(flag.kind), clean.text(&flag.text));
        let (from, to) = (words::duration(flag.from), words::duration(flag.to));
        format!("{kind}: {text} (seen from {from} to {to})")
    });
    let mut warnings: Vec<String> = flags.collect();
    if let Some(count) = record.shared_host {
        warnings.push(format!("shared machine: {count} cases ran at once"));
    }
    if let Repeatable::Differs { .. } = record.repeatable {
        warnings.push(clean.text(&record.repeatable.to_string()));
    }
    warnings.extend(words::absent(record).iter().map(|one| clean.text(one)));
    warnings.extend(record.deviations.iter().map(|one| clean.text(&words::deviation(one))));
    warnings
}

fn tiles(case: &Case) -> Vec<Tile> {
    let record = case.shown();
    if record.status != Status::Ok {
        return Vec::new();
    }
    let series = model::progress(record);
    let known = model::unit(record, &record.progress);
    let unit = known.unwrap_or_default();
    let written = |value: f64| with_unit(&significant(value), unit);
    let throughput = columns::figure(case, |record| record.throughput.as_ref(), words::readable);
    let spread = series.map_or(String::new(), |series| columns::spread(case, series));
    let mut tiles = vec![Tile::new("throughput", throughput, spread)];
    let printed = columns::figure(case, |record| record.final_result.as_ref(), words::as_printed);
    tiles.push(Tile::new("FINAL_RESULT of the guide", printed, ""));
    let median = case.mean(|record| model::progress(record)?.median);
    if let Some((series, median)) = series.zip(median) {
        let label = match known {
            Some(_) => format!("median {}", record.progress),
            None => format!("median {}", words::series(&record.progress, None)),
        };
        let several = case.ok().count() > 1;
        let of_median = if several { of_mean(case) } else { interval(series, unit) };
        tiles.push(Tile::new(&label, written(median), of_median));
        tiles.push(steps_tile(case));
    }
    let memory = case.memory().map(|memory| format!("{} at most", words::peak(memory)));
    let notes: Vec<String> = [of_mean(case), memory.unwrap_or_default()].into();
    let notes: Vec<String> = notes.into_iter().filter(|note| !note.is_empty()).collect();
    let time = case.mean(|record| record.duration);
    tiles.extend(time.map(|seconds| Tile::new("time", words::duration(seconds), notes.join(", "))));
    tiles
}

/// `mean of 3 repetitions`; empty for one.
fn of_mean(case: &Case) -> String {
    match case.ok().count() {
        0 | 1 => String::new(),
        count => format!("mean of {count} repetitions"),
    }
}

/// The steps of all repetitions that gave figures.
fn steps_tile(case: &Case) -> Tile {
    let all = || case.ok().filter_map(model::progress);
    let used: usize = all().map(|series| series.used).sum();
    let skipped: usize = all().map(|series| series.skipped).sum();
    let outliers: usize = all().map(|series| series.outliers.len()).sum();
    let outliers = words::count(outliers, "outlier", "outliers");
    let of = match case.ok().count() {
        0 | 1 => String::new(),
        count => format!(" in {count} repetitions"),
    };
    let used = format!("{} used", words::thousands(used));
    Tile::new("steps", used, format!("{skipped} skipped, {outliers}{of}"))
}

/// `95 % of mean: 0.48 to 0.55 s`
fn interval(series: &SeriesRecord, unit: &str) -> String {
    series.interval.map_or(String::new(), |interval| {
        let high = with_unit(&significant(interval.high), unit);
        let level = interval.level * 100.0;
        format!("mean {} to {high} ({level:.0} %)", significant(interval.low))
    })
}

/// Steps of each repetition, distribution, comparison, repetitions, then the log's other series.
fn plots(case: &Case, anchor: &str) -> String {
    let mut html = String::new();
    for (index, record) in case.records().enumerate().take(REPEATS) {
        let class = if index == 0 { "" } else { "half" };
        html.extend(series_plot(record, &record.progress, &format!("{anchor}-s{index}"), class));
    }
    let record = case.shown();
    html.extend(with_steps(
        record,
        &record.progress,
        &format!("{anchor}-s"),
        plot::histogram::plot,
    ));
    html.extend(repeats_plot(case, anchor));
    for (index, one) in record.comparisons.iter().enumerate() {
        html.extend(plot::comparison::plot(&format!("{anchor}-c{index}"), one));
    }
    let others = record.series.keys().filter(|name| **name != record.progress).enumerate();
    html.extend(others.filter_map(|(index, name)| {
        series_plot(record, name, &format!("{anchor}-o{index}"), "half")
    }));
    html
}

fn series_plot(record: &RunRecord, name: &str, id: &str, class: &str) -> Option<String> {
    with_steps(record, name, id, |steps| plot::steps::plot(steps, class))
}

/// Draws a series if it is one of figures.
fn with_steps(
    record: &RunRecord,
    name: &str,
    id: &str,
    draw: impl Fn(&Steps) -> Option<String>,
) -> Option<String> {
    let series = record.series.get(name)?;
    kinds::of(record, name).filter(|kind| *kind == Kind::Figure)?;
    let values = numbers::of(&series.values)?;
    let unit = model::unit(record, name);
    let is_progress = name == record.progress;
    let of = record
        .repeat
        .map_or(String::new(), |repeat| format!(", repetition {} of {}", repeat.number, repeat.of));
    draw(&Steps { id, name, unit, series, values: &values, of: &of, is_progress })
}

fn repeats_plot(case: &Case, anchor: &str) -> Option<String> {
    let figure = case.shown().throughput.as_ref()?;
    let value = |record: &RunRecord| {
        let value = record.throughput.as_ref()?.value?.as_f64();
        Some((record.repeat?.number, value))
    };
    let values: Vec<(usize, f64)> = case.records().filter_map(value).collect();
    plot::repeats::plot(&format!("{anchor}-r"), &figure.name, &figure.unit, &values)
}

fn comparison(comparison: &Comparison, clean: &Clean) -> ComparisonRow {
    let published = &comparison.published;
    let written = |value: f64| with_unit(&significant(value), &published.unit);
    let or_nothing = |text: Option<String>| text.unwrap_or(NOTHING.to_owned());
    ComparisonRow {
        metric: published.metric.clone(),
        measured: or_nothing(comparison.measured.map(|number| written(number.as_f64()))),
        published: with_unit(&Number::Float(published.value).repr(), &published.unit),
        tolerance: words::tolerance(published),
        ratio: or_nothing(comparison.ratio.map(|ratio| format!("{ratio:.3}"))),
        badge: Badge::of(words::verdict(&comparison.verdict)),
        reasons: comparison.verdict.reasons().iter().map(|reason| clean.text(reason)).collect(),
        conditions: published.conditions.clone(),
    }
}

fn repeats(case: &Case) -> Vec<RepeatRow> {
    let row = |record: &RunRecord| {
        let ok = record.status == Status::Ok;
        let figure = record.throughput.as_ref().filter(|_| ok);
        let spread = model::progress(record).filter(|_| ok).map(words::spread);
        Some(RepeatRow {
            number: record.repeat?.number.to_string(),
            status: words::status(record).to_owned(),
            throughput: figure.map_or(NOTHING.to_owned(), words::readable),
            spread: spread.unwrap_or(NOTHING.to_owned()),
            time: record.duration.map_or(NOTHING.to_owned(), words::duration),
        })
    };
    case.records().filter_map(row).collect()
}

/// The conditions of the repetition that is shown, and why there are none if there should be.
fn panels(case: &Case, anchor: &str) -> (String, Option<String>) {
    let is_shown = |entry: &&Entry| std::ptr::eq(entry.record, case.shown());
    let Some(entry) = case.repeats.iter().find(is_shown) else { return (String::new(), None) };
    let (Some(conditions), Some(folder)) = (&entry.record.conditions, entry.folder) else {
        return (String::new(), None);
    };
    let samples = match Samples::read(folder, conditions) {
        Ok(samples) => samples,
        Err(why) => return (String::new(), Some(format!("no conditions over time: {why}"))),
    };
    let panels = samples.panels();
    let plots = panels.iter().enumerate().filter_map(|(index, panel)| {
        plot::conditions::plot(&format!("{anchor}-k{index}"), &samples, panel, &conditions.flags)
    });
    (plots.collect(), None)
}

fn figure(figure: &Figure, clean: &Clean) -> FigureRow {
    let value = figure.value.map(|value| with_unit(&words::short(value), &figure.unit));
    let missing =
        || figure.reason.as_deref().map_or(NOTHING.to_owned(), |reason| clean.text(reason));
    FigureRow {
        name: figure.name.clone(),
        is_missing: value.is_none(),
        value: value.unwrap_or_else(missing),
        formula: figure.formula.clone(),
        about: figure.about.clone(),
    }
}

/// What went in. Paths of the machine stay in the record; those inside of the job are the image's.
fn facts(record: &RunRecord, clean: &Clean) -> Vec<Fact> {
    let data = record.data.iter();
    let mut facts: Vec<Fact> = data
        .map(|data| Fact::mono("data", format!("{} {} at {}", data.name, data.digest, data.path)))
        .collect();
    let inputs = record.inputs.iter();
    facts.extend(
        inputs.map(|(name, input)| Fact::mono("input", format!("{name} {}", input.digest))),
    );
    let variables = record.variables.iter();
    let variables: Vec<String> = variables
        .map(|(name, value)| format!("{name}={}", crate::bench::value_text(value)))
        .collect();
    facts.push(Fact::mono("variables", clean.text(&variables.join(" "))));
    let of_series = record
        .series
        .keys()
        .filter_map(|name| Some(format!("{name}: {}", kinds::instead_of_plot(record, name)?)));
    facts.extend(of_series.map(|says| Fact::new("logged, not drawn", clean.text(&says))));
    facts.push(Fact::new("losses", clean.text(&record.repeatable.to_string())));
    facts.extend(record.not_taken_over.iter().map(|what| Fact::mono("not taken over", what)));
    if let Some(log) = &record.log {
        facts.push(Fact::mono("log", format!("{} {}", clean.text(&log.file), log.digest)));
    }
    let conditions = record.conditions.iter().flat_map(|conditions| &conditions.not_measured);
    facts.extend(
        conditions
            .map(|(what, why)| Fact::new("not measured", clean.text(&format!("{what}: {why}")))),
    );
    facts.push(Fact::new("start", words::moment(&record.start)));
    facts
}

fn commands_of(record: &RunRecord, clean: &Clean) -> Vec<Command> {
    let mut commands: Vec<Command> = commands::of_case(record, clean).into_iter().collect();
    let words: Vec<String> = record.job.command.iter().map(|word| commands::quoted(word)).collect();
    if !words.is_empty() {
        commands.push(Command::new(
            "What ran inside of the sealed image:",
            clean.text(&words.join(" ")),
        ));
    }
    if !record.guide_command.is_empty() {
        commands.push(Command::new("What the guide types:", record.guide_command.clone()));
    }
    commands
}
