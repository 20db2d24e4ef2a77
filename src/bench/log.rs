//! Finds values in a log while it is written.
//!
//! A log is any bytes: it may hold garbage and NUL, end without a newline, redraw
//! progress bars with carriage returns, or have lines of any length. It is read
//! line by line as Python reads text files (`\n`, `\r` and `\r\n` end a line; the
//! guides' scripts see no other lines), with invalid UTF-8 replaced, and every line
//! is matched once, so memory stays small however long the log is.
//!
//! A pattern that contains `\n` sees as many lines more, beginning at each line in turn.
//! A value is kept as the text of the log: equality between runs is to the last digit.
//! Where lines are pushed with their times, arrival series have the seconds between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use regex::Regex;

use super::arrivals::seconds;
use super::total::{Progress, TotalPattern};
use crate::recipe::LogRule;

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

/// Reads a log piece by piece.
#[derive(Debug, Clone)]
pub struct LogReader {
    patterns: LogPatterns,
    line: Vec<u8>,
    too_long: bool,
    after_return: bool,
    window: VecDeque<String>,
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
        let all = once.iter().chain(&step).chain(&arrival);
        let lines = all.map(|pattern| pattern.lines).max().unwrap_or(1);
        if problems.is_empty() {
            Ok(Self { once, step, arrival, total, lines })
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
            line: Vec::new(),
            too_long: false,
            after_return: false,
            window: VecDeque::new(),
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
            .filter_map(|captures| captures.get(1).map(|group| group.as_str()))
    }
}

impl LogReader {
    /// Takes in the next bytes of the log, which came this many microseconds after its start.
    pub(super) fn push_at(&mut self, microseconds: u64, bytes: &[u8]) {
        self.clock = Some(microseconds);
        self.push(bytes);
    }

    /// Takes in the next bytes of the log.
    pub fn push(&mut self, mut bytes: &[u8]) {
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
        let open = String::from_utf8_lossy(&self.line);
        let line = if open.trim().is_empty() { self.last_line.as_str() } else { open.trim() };
        line.chars().filter(|character| !character.is_control()).take(LONGEST_QUOTE).collect()
    }

    /// Takes what follows the last newline for a line, too, and returns everything found.
    pub fn finish(mut self) -> Findings {
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
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut self.last_line);
        }
        if self.window.len() == self.patterns.lines {
            self.window.pop_front();
        }
        self.window.push_back(line);
        self.match_window();
    }

    /// Matches every pattern against the last lines it can see, once it can see enough.
    fn match_window(&mut self) {
        let count = self.window.len();
        let mut spanned = String::new();
        for pattern in &self.patterns.once {
            let found = self.findings.once.entry(pattern.name.clone()).or_default();
            if found.is_none() && pattern.lines <= count {
                let (text, first) = lines_of(&self.window, pattern.lines, &mut spanned);
                *found = pattern.values(text, first).next().map(shorten);
            }
        }
        for total in &self.patterns.total {
            let progress = self.findings.progress.entry(total.name.clone()).or_default();
            total.take(self.window.back().map_or("", String::as_str), progress);
        }
        self.note_arrivals(&mut spanned);
        for pattern in &self.patterns.step {
            if pattern.lines > count {
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
            if pattern.lines > self.window.len() {
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
    window: &'a VecDeque<String>,
    lines: usize,
    spanned: &'a mut String,
) -> (&'a str, usize) {
    let start = window.len() - lines;
    let first = window[start].len();
    if lines == 1 {
        return (&window[start], first);
    }
    *spanned = window.iter().skip(start).map(String::as_str).collect::<Vec<_>>().join("\n");
    (spanned, first)
}

/// A value found once may be any text, so it is cut, not dropped.
fn shorten(value: &str) -> String {
    let mut end = value.len().min(LONGEST_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].to_owned()
}

#[cfg(test)]
mod tests;
