//! What differs between runs, as a person reads it.

use crate::cli::output;
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
    for one in &report.unfinished {
        output::note(&format!("not measured: {} of run {}: {}", one.case, one.run, one.status));
    }
    if !report.speed.is_empty() {
        speed(report, count);
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

fn speed(report: &RunsReport, cases: usize) {
    // Several cases have levels of their own.
    let interval = match cases {
        0 | 1 => format!("{} % interval", (1.0 - report.alpha) * 100.0),
        _ => "interval".to_owned(),
    };
    let head = ["case", "metric", "before", "after", "change", &interval, "p", "g", "says"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.speed.iter().map(row));
    let share = match cases {
        0 | 1 => String::new(),
        many => format!(", shared by {many} cases (Holm)"),
    };
    output::print(&format!("speed, at alpha {}{share}:\n", report.alpha));
    output::print(&output::columns(&rows, &[4, 6, 7]));
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
        Judgement::StepsAlike => format!("steps alike{seen}"),
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
}
