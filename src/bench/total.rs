//! How far a log has come, by lines that count their steps: `Iter [490/500]`.
//!
//! A program prints every so many steps, and the last step need not be one of them. So a log is
//! complete when its next line would have counted beyond the total.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::recipe::TotalRule;

/// Lines that count, ready to match.
#[derive(Debug, Clone)]
pub(super) struct TotalPattern {
    pub(super) name: String,
    regex: Regex,
    from_zero: bool,
}

impl TotalPattern {
    pub(super) fn compile(name: &str, rule: &TotalRule) -> Result<Self, String> {
        let regex = Regex::new(&rule.pattern).map_err(|error| error.to_string())?;
        match regex.captures_len() - 1 {
            2 => Ok(Self { name: name.to_owned(), regex, from_zero: rule.from_zero }),
            groups => Err(format!("needs two groups, has {groups}\n  pattern  {}", rule.pattern)),
        }
    }

    /// Notes what `line` counts, if it does.
    pub(super) fn take(&self, line: &str, progress: &mut Option<Progress>) {
        for captures in self.regex.captures_iter(line) {
            let number = |group| captures.get(group)?.as_str().trim().parse::<u64>().ok();
            if let (Some(step), Some(total)) = (number(1), number(2)) {
                // A line that was cut may end within the number: `20/3` of `20/30`.
                let total = progress.map_or(total, |before| before.total.max(total));
                let last = total.saturating_sub(u64::from(self.from_zero));
                *progress = Some(Progress::next(*progress, step, total, last));
            }
        }
    }
}

/// The last count of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last step that was printed.
    pub step: u64,
    /// The largest total that was printed.
    pub total: u64,
    /// The number that the last step of all has.
    pub last: u64,
    /// Steps between the last two prints; absent if there was one only.
    pub interval: Option<u64>,
}

impl Progress {
    fn next(before: Option<Self>, step: u64, total: u64, last: u64) -> Self {
        // After the end of an epoch the count begins again, and what is known of the interval stays.
        let grown = before.and_then(|before| step.checked_sub(before.step)).filter(|by| *by > 0);
        let interval = grown.or(before.and_then(|before| before.interval));
        Self { step, total, last, interval }
    }

    /// Whether nothing more would have been printed.
    pub fn is_complete(&self) -> bool {
        self.step.saturating_add(self.interval.unwrap_or(1)) > self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, from_zero: bool, lines: &[&str]) -> Option<Progress> {
        let rule = TotalRule { pattern: pattern.to_owned(), from_zero };
        let pattern = TotalPattern::compile("step", &rule).unwrap();
        let mut progress = None;
        lines.iter().for_each(|line| pattern.take(line, &mut progress));
        progress
    }

    fn is_complete(pattern: &str, from_zero: bool, lines: &[&str]) -> bool {
        read(pattern, from_zero, lines).unwrap().is_complete()
    }

    #[test]
    fn a_log_is_cut_when_its_next_line_would_still_have_counted() {
        let iterations = r"Iter \[(\d+)/(\d+)\]";
        assert!(!is_complete(iterations, false, &["Iter [480/500]", "Iter [490/500]"]));
        assert!(is_complete(iterations, false, &["Iter [490/500]", "Iter [500/500]"]));
        assert!(is_complete(iterations, false, &["Iter [490/505]", "Iter [500/505]"]));
        let batches = r"Batch: (\d+)/(\d+)";
        assert!(!is_complete(batches, false, &["Batch: 5/1334", "Batch: 10/1334"]));
        assert!(is_complete(batches, false, &["Batch: 1325/1334", "Batch: 1330/1334"]));
    }

    #[test]
    fn steps_numbered_from_zero_end_before_the_total() {
        let pattern = r"train: \[\d+\]\[(\d+)/(\d+)\]";
        assert!(is_complete(pattern, true, &["train: [1][6/8]|", "train: [1][7/8]|"]));
        assert!(!is_complete(pattern, true, &["train: [1][5/8]|", "train: [1][6/8]|"]));
        assert!(is_complete(pattern, true, &["train: [1][886/889]|", "train: [1][888/889]|"]));
    }

    #[test]
    fn a_count_that_begins_again_keeps_its_interval() {
        let pattern = r"^\((\d+)/(\d+)\)";
        let lines = ["(19/22) LR", "(21/22) LR", "(1/22) LR"];
        assert!(!is_complete(pattern, false, &lines));
        assert_eq!(read(pattern, false, &lines).unwrap().interval, Some(2));
        assert!(is_complete(pattern, false, &["(19/22) LR", "(21/22) LR"]));
    }

    #[test]
    fn one_line_alone_has_to_be_the_last_one() {
        assert!(!is_complete(r"(\d+)/(\d+)", false, &["1/3"]));
        assert!(is_complete(r"(\d+)/(\d+)", false, &["3/3"]));
        assert_eq!(read(r"(\d+)/(\d+)", false, &["none"]), None);
    }
}
