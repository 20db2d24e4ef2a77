//! Finds values in a log while it is written.
//!
//! A log is any bytes: it may hold garbage and NUL, end without a newline, redraw
//! progress bars with carriage returns, or have lines of any length. It is read
//! line by line as Python reads text files (`\n`, `\r` and `\r\n` end a line; the
//! guides' scripts see no other lines), with invalid UTF-8 replaced, and every line
//! is matched once, so memory stays small however long the log is. Colours and other control
//! sequences are no part of a line, and UTF-16 is read as what it says.
//!
//! Where the rule has a counter, a step that is told again adds nothing, and of equal lines that
//! follow each other one counts.
//!
//! A pattern that contains `\n` sees as many lines more, beginning at each line in turn.
//! A value is kept as the text of the log: equality between runs is to the last digit.
//! Where lines are pushed with their times, arrival series have the seconds between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use regex::Regex;

use self::steps::{CounterPatterns, Steps};
use self::text::Decoder;
use super::arrivals::seconds;
use super::number::Number;
use super::total::{Progress, TotalPattern};
use crate::recipe::LogRule;

mod steps;
mod text;

/// Bytes of a line that are looked at; the rest of a longer line is not.
const LONGEST_LINE: usize = 64 << 10;
/// Bytes of a value; no number is longer.
const LONGEST_VALUE: usize = 1 << 10;
/// Characters of a line that a message quotes.
const LONGEST_QUOTE: usize = 300;
/// Characters of a pattern that a message quotes.
const LONGEST_PATTERN: usize = 60;
/// Values of one series that are kept.
const MOST_VALUES: usize = 1_000_000;
/// Lines a pattern may span.
const MOST_LINES: usize = 20;

/// The patterns of a log rule, ready to match.
#[derive(Debug, Clone)]
pub struct LogPatterns {
    once: Vec<Pattern>,
    step: Vec<Pattern>,
    arrival: Vec<Pattern>,
    total: Vec<TotalPattern>,
    counter: CounterPatterns,
    lines: usize,
}

#[derive(Debug, Clone)]
struct Pattern {
    name: String,
    regex: Regex,
    lines: usize,
}

/// What was found in a log, as the log writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Values found once; `None` if the pattern never matched.
    pub once: BTreeMap<String, Option<String>>,
    /// Values found once per step, in the order of the log, nothing skipped.
    pub series: BTreeMap<String, Vec<String>>,
    /// Arrival series that are not in `series`, because nobody noted when the lines came.
    pub not_measured: BTreeSet<String>,
    /// The last count of the lines that count; `None` if there was none.
    pub progress: BTreeMap<String, Option<Progress>>,
    /// Lines of which only the beginning was looked at.
    pub cut_lines: u64,
    /// Values that were too many or too long to keep.
    pub dropped_values: u64,
    /// Lines that told a step again, and added nothing.
    pub repeated_lines: u64,
    /// Why the steps of the log cannot be told apart, if so.
    pub miscounted: Option<String>,
}

impl Findings {
    /// The part that is done, 0 to 1. Several counts (of epochs and of their batches) are none that
    /// could be told from here which of them goes to the end.
    pub(super) fn part(&self) -> Option<f64> {
        let mut counts = self.progress.values().flatten().filter(|count| count.total > 0);
        let (Some(count), None) = (counts.next(), counts.next()) else { return None };
        Some((count.step as f64 / count.total as f64).min(1.0))
    }
}

#[derive(Debug, Clone)]
struct Line {
    text: String,
    /// Whether it tells a step that was told before.
    is_told: bool,
}

/// Reads a log piece by piece.
#[derive(Debug, Clone)]
pub struct LogReader {
    patterns: LogPatterns,
    decoder: Decoder,
    line: Vec<u8>,
    too_long: bool,
    after_return: bool,
    window: VecDeque<Line>,
    /// Lines that ended so far.
    number: u64,
    steps: Steps,
    last_line: String,
    /// Microseconds at which the newest piece came, if somebody notes them.
    clock: Option<u64>,
    /// The same for the last line of each arrival series.
    arrived: BTreeMap<String, u64>,
    findings: Findings,
}

impl LogPatterns {
    /// Compiles the patterns of `rule`; every problem is a fragment that names the value.
    pub fn compile(rule: &LogRule) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut compile = |patterns: &BTreeMap<String, String>, groups| -> Vec<Pattern> {
            let compiled = patterns.iter().map(|(name, text)| Pattern::compile(name, text, groups));
            keep(compiled, patterns.keys(), &mut problems)
        };
        let (once, step) = (compile(&rule.once, Some(1)), compile(&rule.step, Some(1)));
        let arrival = compile(&rule.arrival, None);
        let total = rule.total.iter().map(|(name, rule)| TotalPattern::compile(name, rule));
        let total = keep(total, rule.total.keys(), &mut problems);
        let counter = CounterPatterns::compile(&rule.counter, !rule.arrival.is_empty());
        let counter = counter.map_err(|more| problems.extend(more)).unwrap_or_default();
        let all = once.iter().chain(&step).chain(&arrival);
        let lines = all.map(|pattern| pattern.lines).max().unwrap_or(1);
        if problems.is_empty() {
            Ok(Self { once, step, arrival, total, counter, lines })
        } else {
            Err(problems)
        }
    }

    /// Whether it matters when lines arrive.
    pub fn needs_arrivals(&self) -> bool {
        !self.arrival.is_empty()
    }

    /// Starts to read a log while it is written: every piece comes with its time.
    pub(super) fn timed_reader(&self) -> LogReader {
        let mut reader = self.reader();
        let names = std::mem::take(&mut reader.findings.not_measured);
        reader.findings.series.extend(names.into_iter().map(|name| (name, Vec::new())));
        reader
    }

    /// Starts to read a log.
    pub fn reader(&self) -> LogReader {
        let names = |patterns: &[Pattern]| -> Vec<String> {
            patterns.iter().map(|pattern| pattern.name.clone()).collect()
        };
        let findings = Findings {
            once: names(&self.once).into_iter().map(|name| (name, None)).collect(),
            series: names(&self.step).into_iter().map(|name| (name, Vec::new())).collect(),
            not_measured: names(&self.arrival).into_iter().collect(),
            progress: self.total.iter().map(|total| (total.name.clone(), None)).collect(),
            ..Findings::default()
        };
        LogReader {
            patterns: self.clone(),
            decoder: Decoder::default(),
            line: Vec::new(),
            too_long: false,
            after_return: false,
            window: VecDeque::new(),
            number: 0,
            steps: Steps::default(),
            last_line: String::new(),
            clock: None,
            arrived: BTreeMap::new(),
            findings,
        }
    }

    /// Reads a whole log.
    pub fn read(&self, log: &[u8]) -> Findings {
        let mut reader = self.reader();
        reader.push(log);
        reader.finish()
    }
}

/// That no line of a log was one that `pattern` looks for, for the end of a reason.
pub(super) fn no_line(pattern: &str) -> String {
    let short: String = pattern.chars().take(LONGEST_PATTERN).collect();
    let rest = if short.len() < pattern.len() { "…" } else { "" };
    format!("no line matches `{}{rest}`", short.replace('\n', "\\n"))
}

/// What could be compiled; the rest are problems with the names of their values.
fn keep<'n, T>(
    compiled: impl Iterator<Item = Result<T, String>>,
    names: impl Iterator<Item = &'n String>,
    problems: &mut Vec<String>,
) -> Vec<T> {
    let mut kept = Vec::new();
    for (compiled, name) in compiled.zip(names) {
        match compiled {
            Ok(pattern) => kept.push(pattern),
            Err(problem) => problems.push(format!("pattern of `{name}`: {problem}")),
        }
    }
    kept
}

impl Pattern {
    /// With `groups` groups; any number of them if it is not given.
    fn compile(name: &str, text: &str, wanted: Option<usize>) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| error.to_string())?;
        let groups = regex.captures_len() - 1;
        if wanted.is_some_and(|wanted| wanted != groups) {
            return Err(format!("needs one group, has {groups}\n  pattern  {text}"));
        }
        let lines = 1 + text.matches("\\n").count() + text.matches('\n').count();
        if lines > MOST_LINES {
            return Err(format!("spans {lines} lines, at most {MOST_LINES} are seen at a time"));
        }
        Ok(Self { name: name.to_owned(), regex, lines })
    }

    /// The values of all matches that begin in the first of `lines`.
    fn values<'t>(&self, text: &'t str, first: usize) -> impl Iterator<Item = &'t str> {
        self.regex
            .captures_iter(text)
            .take_while(move |captures| captures.get_match().start() <= first)
            .filter_map(move |captures| {
                let (all, group) = (captures.get_match(), captures.get(1)?);
                // What the pattern has after the value says where it ends.
                let is_ended = all.end() != group.end();
                Some(if is_ended { group.as_str() } else { whole(text, group.range()) })
            })
    }
}

impl LogReader {
    /// Takes in the next bytes of the log, which came this many microseconds after its start.
    pub(super) fn push_at(&mut self, microseconds: u64, bytes: &[u8]) {
        self.clock = Some(microseconds);
        self.push(bytes);
    }

    /// Takes in the next bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut decoder = std::mem::take(&mut self.decoder);
        self.take(&decoder.push(bytes));
        self.decoder = decoder;
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let ends_return = std::mem::replace(&mut self.after_return, bytes[end] == b'\r');
            let is_rest_of_return =
                ends_return && end == 0 && bytes[0] == b'\n' && self.line.is_empty();
            if !is_rest_of_return {
                self.extend(&bytes[..end]);
                self.end_line();
            }
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.after_return = false;
            self.extend(bytes);
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The beginning of the last line that is not blank, for a message.
    pub fn last_line(&self) -> String {
        let open = text::plain(&[self.decoder.held(), &self.line].concat());
        let line = if open.trim().is_empty() { self.last_line.as_str() } else { open.trim() };
        line.chars().filter(|character| !character.is_control()).take(LONGEST_QUOTE).collect()
    }

    /// Takes what follows the last newline for a line, too, and returns everything found.
    pub fn finish(mut self) -> Findings {
        let rest = self.decoder.finish();
        self.take(&rest);
        if !self.line.is_empty() {
            self.end_line();
        }
        self.findings
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE - self.line.len();
        self.too_long |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self) {
        self.findings.cut_lines += u64::from(std::mem::take(&mut self.too_long));
        let plain = text::plain(&self.line);
        self.line.clear();
        self.number += 1;
        // Where the cursor went elsewhere and nothing follows, no line begins.
        let mut lines = plain.split('\n');
        self.add_line(lines.next().unwrap_or_default());
        lines.filter(|line| !line.trim().is_empty()).for_each(|line| self.add_line(line));
    }

    fn add_line(&mut self, line: &str) {
        let is_blank = line.trim().is_empty();
        let counts = !self.patterns.counter.is_empty();
        if counts && !is_blank && self.window.back().is_some_and(|before| before.text == line) {
            self.findings.repeated_lines += 1;
            return;
        }
        if !is_blank {
            line.trim().clone_into(&mut self.last_line);
        }
        if self.window.len() == self.patterns.lines {
            self.window.pop_front();
        }
        let is_told = counts && self.is_told(line);
        self.window.push_back(Line { text: line.to_owned(), is_told });
        self.match_window();
    }

    fn is_told(&mut self, line: &str) -> bool {
        let step = self.patterns.step.iter().filter(|pattern| pattern.lines == 1);
        let values = || {
            let of = |pattern: &Pattern| {
                let values: Vec<&str> = pattern.values(line, line.len()).collect();
                (!values.is_empty()).then(|| format!("{} {}", pattern.name, values.join(" ")))
            };
            step.clone().filter_map(of).collect::<Vec<_>>().join(", ")
        };
        let is_told = self.steps.is_told(&self.patterns.counter, (self.number, line), values);
        if self.findings.miscounted.is_none() {
            self.findings.miscounted.clone_from(&self.steps.trouble);
        }
        self.findings.repeated_lines += u64::from(is_told);
        is_told
    }

    /// Matches every pattern against the last lines it can see, once it can see enough.
    fn match_window(&mut self) {
        let count = self.window.len();
        let mut spanned = String::new();
        for pattern in &self.patterns.once {
            let found = self.findings.once.entry(pattern.name.clone()).or_default();
            if found.is_none() && pattern.lines <= count {
                let (text, first) = lines_of(&self.window, pattern.lines, &mut spanned);
                *found = pattern.values(text, first).next().map(|value| shorten(value).to_owned());
            }
        }
        let newest = self.window.back().filter(|line| !line.is_told);
        for total in &self.patterns.total {
            let progress = self.findings.progress.entry(total.name.clone()).or_default();
            total.take(newest.map_or("", |line| &line.text), progress);
        }
        self.note_arrivals(&mut spanned);
        for pattern in &self.patterns.step {
            if pattern.lines > count || self.window[count - pattern.lines].is_told {
                continue;
            }
            let (text, first) = lines_of(&self.window, pattern.lines, &mut spanned);
            for value in pattern.values(text, first) {
                let series = self.findings.series.entry(pattern.name.clone()).or_default();
                if series.len() < MOST_VALUES && value.len() <= LONGEST_VALUE {
                    series.push(value.to_owned());
                } else {
                    self.findings.dropped_values += 1;
                }
            }
        }
    }
}

/// Arrivals are those of whole lines: several matches in one line came at once.
impl LogReader {
    fn note_arrivals(&mut self, spanned: &mut String) {
        let Some(now) = self.clock else { return };
        for pattern in &self.patterns.arrival {
            let first = self.window.len().checked_sub(pattern.lines);
            if first.is_none_or(|first| self.window[first].is_told) {
                continue;
            }
            let (text, first) = lines_of(&self.window, pattern.lines, spanned);
            let found = pattern.regex.find(text).filter(|found| found.start() <= first);
            if found.is_none() {
                continue;
            }
            let Some(before) = self.arrived.insert(pattern.name.clone(), now) else { continue };
            let series = self.findings.series.entry(pattern.name.clone()).or_default();
            if series.len() < MOST_VALUES {
                series.push(seconds(now.saturating_sub(before)));
            } else {
                self.findings.dropped_values += 1;
            }
        }
    }
}

/// The last `lines` lines as one text, and the length of the first of them.
fn lines_of<'a>(
    window: &'a VecDeque<Line>,
    lines: usize,
    spanned: &'a mut String,
) -> (&'a str, usize) {
    let start = window.len() - lines;
    let first = window[start].text.len();
    if lines == 1 {
        return (&window[start].text, first);
    }
    *spanned =
        window.iter().skip(start).map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
    (spanned, first)
}

/// A number up to its end, where the pattern stops within it: `1` of `1,234`, `9.3` of `9.3e-05`, or
/// `0.69` of a line that another one ran into (`0.69[1,1]<stdout>`). Most of these are no numbers then.
fn whole(text: &str, place: Range<usize>) -> &str {
    let (value, after) = (&text[place.clone()], &text[place.end..]);
    let mut next = after.chars();
    let goes_on = match next.next() {
        Some('.' | ',' | '\'' | '_' | '\u{a0}' | '\u{2009}' | '\u{202f}') => {
            next.next().is_some_and(|c| c.is_ascii_digit())
        }
        Some('e' | 'E') => {
            next.as_str().trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
        }
        Some('[' | '<') => true,
        _ => false,
    };
    if !goes_on || Number::parse(value).is_none() {
        return value;
    }
    let end = after.find(|c: char| c.is_ascii_whitespace()).unwrap_or(after.len());
    let token = &text[place.start..place.end + end];
    shorten(token.trim_end_matches([',', ';', ':', '|', ')', '.']))
}

/// A value found once may be any text, so it is cut, not dropped.
fn shorten(value: &str) -> &str {
    let mut end = value.len().min(LONGEST_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

#[cfg(test)]
mod tests;
