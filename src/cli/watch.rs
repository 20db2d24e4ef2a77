//! What a person sees while cases run.

use std::collections::BTreeMap;

use super::progress::Display;
use super::{output, runs};
use crate::bench::{Event, RunRecord, Status};
use crate::conditions::ConditionsRecord;

/// Turns a run's events into progress on standard error.
pub struct Watch<'a> {
    display: &'a Display,
    cases: usize,
    /// What is known of each case that runs, by its position.
    running: BTreeMap<usize, Shown>,
}

/// A case on the screen.
struct Shown {
    /// `[2/6] seg/fastscnn/sp/bs2/fp32`
    name: String,
    /// `: record 4, 7.51 images/s`
    progress: String,
}

impl<'a> Watch<'a> {
    pub fn new(display: &'a Display) -> Self {
        Self { display, cases: 0, running: BTreeMap::new() }
    }

    /// Shows what happened.
    pub fn tell(&mut self, event: &Event) {
        match event {
            Event::RunStarted { cases, .. } => self.cases = *cases,
            Event::Pause { seconds } => {
                self.display
                    .note(&format!("waiting {seconds} s before the next case, as the guide does"));
            }
            Event::CaseStarted { index, case } => {
                let name = format!("[{index}/{}] {}", self.cases, case.label());
                self.display.finish();
                self.display.begin(&name, 0);
                self.running.insert(*index, Shown { name, progress: String::new() });
                self.display.say(&self.line());
            }
            Event::Output { bytes, .. } => self.display.advance(bytes.len() as u64),
            Event::Progress { index, step, throughput, part, .. } => {
                let speed = throughput
                    .and_then(|figure| Some((figure.value?.as_f64(), figure.unit.as_str())));
                if let Some(shown) = self.running.get_mut(index) {
                    shown.progress = format!(": {}", runs::progress(*step, *part, speed));
                }
                self.display.say(&self.line());
            }
            Event::CaseEnded { record } => {
                let shown = self.running.remove(&record.index);
                self.display.finish();
                let name = shown.map_or(record.label(), |shown| shown.name);
                output::note(&ended(&name, record));
                if !self.running.is_empty() && output::is_drawn() {
                    self.display.begin(&self.line(), 0);
                }
            }
        }
    }

    /// Every case that runs.
    fn line(&self) -> String {
        let shown: Vec<_> =
            self.running.values().map(|it| format!("{}{}", it.name, it.progress)).collect();
        shown.join("; ")
    }
}

/// `[2/6] seg/fastscnn/sp/bs2/fp32: ok`
pub fn ended(name: &str, record: &RunRecord) -> String {
    let state = match &record.status {
        Status::Ok if record.passed_unexpectedly() => {
            format!("{}, although it is EXPECTED TO FAIL", output::state("ok"))
        }
        Status::Ok => output::state("ok"),
        Status::Failed(reason) if record.failed_as_expected() => {
            format!("{} as expected: {reason}", output::state("failed"))
        }
        Status::Failed(reason) => format!("{}: {reason}", output::state("failed")),
        Status::Skipped(reason) => format!("{}: {reason}", output::state("skipped")),
    };
    let conditions = record.conditions.as_ref().and_then(ConditionsRecord::warning);
    let conditions =
        conditions.map_or(String::new(), |warning| format!("\n{name}: conditions: {warning}"));
    format!("{name}: {state}{conditions}")
}
