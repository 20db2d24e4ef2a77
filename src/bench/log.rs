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
        if let (Some(line), false) = (self.window.back(), self.patterns.total.is_empty()) {
            for total in &self.patterns.total {
                let progress = self.findings.progress.entry(total.name.clone()).or_default();
                total.take(line, progress);
            }
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
            if !pattern.regex.find(text).is_some_and(|found| found.start() <= first) {
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
mod tests {
    use super::*;

    fn patterns(once: &[(&str, &str)], step: &[(&str, &str)]) -> LogPatterns {
        LogPatterns::compile(&rule(once, step)).unwrap()
    }

    fn rule(once: &[(&str, &str)], step: &[(&str, &str)]) -> LogRule {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        LogRule {
            skip: 0,
            once: owned(once),
            step: owned(step),
            progress: String::new(),
            repeatable: Vec::new(),
            skip_of: BTreeMap::new(),
            arrival: BTreeMap::new(),
            total: BTreeMap::new(),
            running_mean: Vec::new(),
        }
    }

    fn times(log: &[u8]) -> Vec<String> {
        patterns(&[], &[("time", "time: (.*), data_time")]).read(log).series["time"].clone()
    }

    #[test]
    fn all_matches_of_a_step_and_the_first_of_once_are_kept() {
        let patterns = patterns(
            &[("last", r"gpu_ids = range.{4}(\d)"), ("absent", "x=(y)")],
            &[("time", "time: (.*), data_time")],
        );
        let found = patterns.read(
            b"gpu_ids = range(0, 8)\ngpu_ids = range(0, 1)\neta: 0:1, time: 0.5, data_time: 0\n\
              time: 0.25, data_time: 1\n",
        );
        assert_eq!(found.once["last"].as_deref(), Some("8"));
        assert_eq!(found.once["absent"], None);
        assert_eq!(found.series["time"], ["0.5", "0.25"]);
    }

    #[test]
    fn the_last_line_counts_without_a_newline() {
        assert_eq!(times(b"time: 1, data_time"), ["1"]);
    }

    #[test]
    fn carriage_returns_end_lines_as_python_reads_them() {
        let log = b"50%|##\rtime: 1, data_time\r100%\r\ntime: 2, data_time\r\n\r\n";
        assert_eq!(times(log), ["1", "2"]);
        let spanning = patterns(&[], &[("next", r"^a\nb(.*)")]);
        assert_eq!(spanning.read(b"a\r\nb1\na\n\nb2\na\rb3").series["next"], ["1", "3"]);
    }

    #[test]
    fn garbage_between_lines_does_not_hide_values() {
        let log = b"\xff\xfe\0\x80time: 1, data_time\0\n\0\0\ntime: \xff, data_time\n";
        assert_eq!(times(log), ["1", "\u{fffd}"]);
    }

    #[test]
    fn the_pieces_a_log_comes_in_do_not_matter() {
        let log: &[u8] = b"a\r\nb1\r\ntime: 1, data_time\na\nb2\rtime: 2.5, data_time: \xc3\xa4\n";
        let patterns = patterns(
            &[("b", r"a\nb(.)")],
            &[("time", "time: (.*), data_time"), ("ab", r"a\nb(.)")],
        );
        let whole = patterns.read(log);
        assert_eq!(whole.series["ab"], ["1", "2"]);
        for size in 1..log.len() {
            let mut reader = patterns.reader();
            log.chunks(size).for_each(|chunk| reader.push(chunk));
            assert_eq!(reader.finish(), whole, "pieces of {size} bytes");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_counted() {
        let patterns = patterns(&[], &[("x", "x=(.)")]);
        let mut reader = patterns.reader();
        reader.push(b"x=1 ");
        for _ in 0..100 {
            reader.push(&[b'.'; 1 << 12]);
        }
        assert!(reader.line.len() <= LONGEST_LINE);
        reader.push(b"x=2\nx=3\n");
        let found = reader.finish();
        assert_eq!((found.cut_lines, &found.series["x"][..]), (1, &["1".into(), "3".into()][..]));
    }

    #[test]
    fn values_of_absurd_length_are_dropped_and_counted() {
        let log = format!("x={}\n", "9".repeat(5000));
        let found = patterns(&[("once", "x=(.*)")], &[("x", "x=(.*)")]).read(log.as_bytes());
        assert_eq!(found.dropped_values, 1);
        assert_eq!(found.once["once"].as_ref().unwrap().len(), LONGEST_VALUE);
    }

    #[test]
    fn every_bad_pattern_is_named() {
        let rule = rule(&[("a", "("), ("b", "no group")], &[("c", "(1)(2)"), ("d", "(fine)")]);
        let problems = LogPatterns::compile(&rule).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(problems[0].starts_with("pattern of `a`: regex parse error"), "{problems:?}");
        assert!(problems[2].contains("needs one group, has 2"), "{problems:?}");
    }
}
