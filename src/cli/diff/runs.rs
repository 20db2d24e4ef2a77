//! What differs between runs, as a person reads it.

use crate::cli::output::{self, KEPT};
use crate::diff::{FactReport, Metric, MetricReport, RunsReport};
use crate::lock::Difference;
use crate::stats::{Change, Group, Judgement, Test};

/// Cases of one difference that are named; the others are counted.
const CASES_SHOWN: usize = 3;

pub fn show(report: &RunsReport) {
    let names = |runs: &std::collections::BTreeSet<String>| {
        runs.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    output::print(&format!("before  {}\n", names(&report.before)));
    output::print(&format!("after   {}\n", names(&report.after)));
    for (sign, cases) in [('-', &report.only_before), ('+', &report.only_after)] {
        cases.iter().for_each(|case| output::print(&format!("{sign} case `{case}`\n")));
    }
    if !report.has_common_case {
        output::note("no case in common: only what holds for whole runs is compared");
    }
    let count = report.speed.iter().filter(|metric| metric.metric == Metric::Throughput).count();
    facts("inputs", &report.inputs, count);
    facts("machine", &report.host, count);
    facts("how cases ended", &report.status, count);
    if !report.losses.is_empty() {
        output::print("losses:\n");
    }
    for (case, losses) in &report.losses {
        output::print(&format!("  {case} {losses}\n"));
    }
    for one in &report.unfinished {
        output::note(&format!("not measured: {} of run {}: {}", one.case, one.run, one.status));
    }
    if !report.speed.is_empty() {
        output::print(&speed(report, count, output::width()));
        explain(report);
    }
}

fn facts(title: &str, facts: &[FactReport], count: usize) {
    if facts.is_empty() {
        return output::print(&format!("{title}: nothing differs\n"));
    }
    output::print(&format!("{title}:\n"));
    for fact in facts {
        let cases: Vec<&str> = fact.cases.iter().map(String::as_str).collect();
        let of = match cases.len() {
            all if all >= count => String::new(),
            few if few <= CASES_SHOWN => format!("  ({})", cases.join(", ")),
            many => format!("  ({many} of {count} cases)"),
        };
        output::print(&format!("  {}{of}\n", shortened(&fact.difference)));
    }
}

/// The same difference, of long texts only the words that differ and one on each side of them.
fn shortened(difference: &Difference) -> Difference {
    let (Some(before), Some(after)) = (&difference.before, &difference.after) else {
        return difference.clone();
    };
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split(' ').collect(), after.split(' ').collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same;
    let ends = old.iter().rev().zip(new.iter().rev()).take(rest);
    let same_ends = ends.take_while(|(old, new)| old == new).count();
    let part = |words: &[&str]| {
        let (from, to) = (same.saturating_sub(1), (words.len() + 1 - same_ends).min(words.len()));
        let begin = if from > 0 { "… " } else { "" };
        let end = if to < words.len() { " …" } else { "" };
        format!("{begin}{}{end}", words[from..to].join(" "))
    };
    let (before, after) = (Some(part(&old)), Some(part(&new)));
    Difference { what: difference.what.clone(), before, after }
}

/// A line for each metric; where `width` is too small for it, a case and a verdict have lines of their own.
fn speed(report: &RunsReport, cases: usize, width: Option<usize>) -> String {
    // Several cases have levels of their own.
    let (interval, share) = match cases {
        0 | 1 => (format!("{} % interval", (1.0 - report.alpha) * 100.0), String::new()),
        many => ("interval".to_owned(), format!(", shared by {many} cases (Holm)")),
    };
    let head = ["case", "metric", "before", "after", "change", &interval, "p", "g", "says"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.speed.iter().map(row));
    let table = match output::fits(&rows, width) {
        true => output::columns_within(&rows, &[4, 6, 7], width),
        false => stacked(&rows, width),
    };
    format!("speed, at alpha {}{share}:\n{table}", report.alpha)
}

/// The same rows with the case above its metrics, and below each metric what the test says.
fn stacked(rows: &[Vec<String>], width: Option<usize>) -> String {
    const INDENT: usize = 2;
    let figures: Vec<Vec<String>> = rows.iter().map(|row| row[1..5].to_vec()).collect();
    let room = width.map(|width| width.saturating_sub(INDENT));
    let figures = output::rows_within(&figures, &[3], room);
    let head = &rows[0];
    let mut text = String::new();
    let mut above = None;
    for (row, figures) in rows.iter().zip(figures) {
        let [case, .., interval, p, g, says] = row.as_slice() else { continue };
        if above != Some(case) {
            text.push_str(&output::indented(case, 0, width));
            above = Some(case);
        }
        figures.lines().for_each(|line| text.push_str(&format!("{:INDENT$}{line}\n", "")));
        if row != head {
            let test = [(head[5].as_str(), interval), ("p", p), ("g", g)];
            let test = test.iter().filter(|(_, value)| *value != "-");
            let test: Vec<String> =
                test.map(|(name, value)| format!("{name}{KEPT}{value}")).collect();
            let says = match test.is_empty() {
                true => says.clone(),
                false => format!("{says} ({})", test.join(", ")),
            };
            text.push_str(&output::indented(&says, 2 * INDENT, width));
        }
    }
    text
}

/// What the tests are, and what is missing for better ones.
fn explain(report: &RunsReport) {
    let is_used = |test| report.speed.iter().any(|metric| metric.change.test == Some(test));
    for test in [Test::Student, Test::Welch, Test::OneSpread, Test::Steps] {
        if is_used(test) {
            output::note(about(test));
        }
    }
    if report.speed.iter().all(|metric| metric.change.test.is_none_or(|test| test == Test::Steps)) {
        output::note(
            "nothing tells how much runs differ by themselves: `repro run --repeat 5` does",
        );
    }
}

fn about(test: Test) -> &'static str {
    match test {
        Test::Student => "test: Student's t-test, one value for each repetition; g is Hedges' g",
        Test::Welch => "test: Welch's t-test, one value for each repetition; g is Hedges' g",
        Test::OneSpread => {
            "test: Student's t-test, one value for each repetition; the single run is taken to vary as the other side does"
        }
        Test::Steps => {
            "steps: Welch's t-test of the steps inside one run on each side, counted as fewer because neighbours are alike"
        }
    }
}

fn row(report: &MetricReport) -> Vec<String> {
    let change = &report.change;
    let name = match report.unit.as_str() {
        "" => report.name.clone(),
        unit => format!("{} ({unit})", report.name),
    };
    let interval = change
        .interval
        .map(|interval| format!("{} to {}", percent(interval.low), percent(interval.high)));
    vec![
        report.case.clone(),
        name,
        group(&change.before, change.test),
        group(&change.after, change.test),
        change.difference.map_or("-".to_owned(), percent),
        interval.unwrap_or("-".to_owned()),
        change.p.map_or("-".to_owned(), chance),
        change.hedges_g.map_or("-".to_owned(), |g| format!("{g:+.1}")),
        says(report.metric, change),
    ]
}

/// `3.925 ± 1.0 % (5 runs)`
fn group(group: &Group, test: Option<Test>) -> String {
    let Some(mean) = group.mean else { return "-".to_owned() };
    let spread = group
        .deviation
        .filter(|_| mean != 0.0)
        .map_or(String::new(), |deviation| format!(" ± {:.1} %", deviation / mean.abs() * 100.0));
    let (one, many) = if test == Some(Test::Steps) { ("step", "steps") } else { ("run", "runs") };
    format!("{}{spread} ({})", digits(mean), output::count(group.count, one, many))
}

fn says(metric: Metric, change: &Change) -> String {
    let seen = change
        .detectable
        .map_or(String::new(), |part| format!("; {:.1} % would have been seen", part * 100.0));
    match change.judgement {
        Judgement::Changed if metric == Metric::Series => "changed".to_owned(),
        Judgement::Changed if change.difference.is_some_and(|part| part < 0.0) => {
            "slower".to_owned()
        }
        Judgement::Changed => "faster".to_owned(),
        Judgement::NotSeen => format!("no change{seen}"),
        Judgement::StepsDiffer => "steps differ, as two runs of the same may".to_owned(),
        // Noisy steps may hide a large difference: that it is not seen does not make them alike.
        Judgement::StepsAlike => format!("not told by the steps{seen}"),
        Judgement::Undecided => "too few runs".to_owned(),
    }
}

fn percent(part: f64) -> String {
    format!("{:+.1} %", part * 100.0)
}

fn chance(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

/// Four digits that say something.
fn digits(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    match magnitude {
        -4..=6 => format!("{value:.*}", usize::try_from(3 - magnitude).unwrap_or(0)),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    #[test]
    fn of_long_commands_only_what_differs_is_shown() {
        let text = |before: &str, after: &str| {
            let (before, after) = (Some(before.to_owned()), Some(after.to_owned()));
            shortened(&Difference { what: "command".to_owned(), before, after }).to_string()
        };
        assert_eq!(
            text("run a b n=1 c d", "run a b n=2 c d"),
            "~ command: … b n=1 c … -> … b n=2 c …"
        );
        assert_eq!(text("a b", "a b c"), "~ command: … b -> … b c");
        assert_eq!(text("x", "y"), "~ command: x -> y");
        assert_eq!(text("a a", "a"), "~ command: a a -> a");
    }

    #[test]
    fn figures_have_four_digits() {
        let texts = [3.925_417, 12_345.6, 0.000_123_45, 0.0, -250.04, 1e9].map(digits);
        assert_eq!(texts, ["3.925", "12346", "0.0001234", "0.000", "-250.0", "1.000e9"]);
        assert_eq!((chance(0.00001), chance(0.0123)), ("< 0.0001".into(), "0.0123".into()));
    }

    /// One metric of each of two cases, a run of five steps on each side.
    fn of_steps() -> RunsReport {
        let group = |mean| Group { count: 5, mean: Some(mean), deviation: Some(0.1642) };
        let metric = |case: &str| MetricReport {
            case: case.to_owned(),
            metric: Metric::Throughput,
            name: "throughput".to_owned(),
            unit: "images/s".to_owned(),
            change: Change {
                before: group(0.4275),
                after: group(0.504),
                test: Some(Test::Steps),
                alpha: 0.01,
                p: Some(0.3456),
                difference: Some(0.179),
                interval: Some(Interval { low: -0.212, high: 0.654, level: 0.99 }),
                hedges_g: None,
                detectable: Some(0.61),
                judgement: Judgement::StepsDiffer,
            },
        };
        RunsReport {
            has_common_case: true,
            before: ["a".to_owned()].into(),
            after: ["b".to_owned()].into(),
            only_before: Default::default(),
            only_after: Default::default(),
            inputs: Vec::new(),
            host: Vec::new(),
            status: Vec::new(),
            losses: Default::default(),
            unfinished: Vec::new(),
            speed: ["seg/fastscnn/sp/bs2/fp32", "seg/ocrnet/sp/bs2/fp32"].map(metric).into(),
            alpha: 0.01,
        }
    }

    #[test]
    fn on_a_narrow_terminal_case_and_verdict_have_lines_and_no_figure_is_parted() {
        let expected = "\
speed, at alpha 0.01, shared by 2 cases (Holm):
case
  metric           before                     after                       change
seg/fastscnn/sp/bs2/fp32
  throughput       0.4275 ± 38.4 % (5 steps)  0.5040 ± 32.6 % (5 steps)  +17.9 %
  (images/s)
    steps differ, as two runs of the same may (interval -21.2 % to +65.4 %,
    p 0.3456)
seg/ocrnet/sp/bs2/fp32
  throughput       0.4275 ± 38.4 % (5 steps)  0.5040 ± 32.6 % (5 steps)  +17.9 %
  (images/s)
    steps differ, as two runs of the same may (interval -21.2 % to +65.4 %,
    p 0.3456)
";
        assert_eq!(speed(&of_steps(), 2, Some(80)), expected);
        for width in [60, 100, 140] {
            let text = speed(&of_steps(), 2, Some(width));
            for figure in ["0.4275 ± 38.4 %", "0.5040 ± 32.6 %", "+17.9 %", "+65.4 %"] {
                assert_eq!(text.matches(figure).count(), 2, "{figure} at {width}:\n{text}");
            }
            assert_eq!(text.matches("(5 steps)").count(), 4, "{width}:\n{text}");
            let fits = |line: &str| line.chars().count() <= width;
            assert!(text.lines().all(fits), "{width}:\n{text}");
        }
        let wide = speed(&of_steps(), 2, None);
        assert_eq!(wide.lines().count(), 4, "{wide}");
    }
}
