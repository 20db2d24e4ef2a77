//! What a person sees while cases run.

use std::collections::BTreeMap;

use super::output;
use super::progress::Display;
use crate::bench::{Event, Status};

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
                output::note(&format!(
                    "waiting {seconds} s before the next case, as the guide does"
                ));
            }
            Event::CaseStarted { index, case } => {
                let name = format!("[{index}/{}] {}", self.cases, case.label());
                self.display.finish();
                self.display.begin(&name, 0);
                self.running.insert(*index, Shown { name, progress: String::new() });
                self.display.say(&self.line());
            }
            Event::Output { bytes, .. } => self.display.advance(bytes.len() as u64),
            Event::Progress { index, step, throughput, .. } => {
                let speed = throughput
                    .and_then(|figure| Some((figure.value?.as_f64(), figure.unit.as_str())))
                    .map_or(String::new(), |(value, unit)| format!(", {value:.2} {unit}"));
                if let Some(shown) = self.running.get_mut(index) {
                    shown.progress = format!(": record {step}{speed}");
                }
                self.display.say(&self.line());
            }
            Event::CaseEnded { record } => {
                let ended = self.running.remove(&record.index);
                self.display.finish();
                let state = match &record.status {
                    Status::Ok if record.passed_unexpectedly() => {
                        "ok, although it is EXPECTED TO FAIL".to_owned()
                    }
                    Status::Ok => "ok".to_owned(),
                    Status::Failed(reason) if record.failed_as_expected() => {
                        format!("failed as expected: {reason}")
                    }
                    Status::Failed(reason) => format!("failed: {reason}"),
                    Status::Skipped(reason) => format!("skipped: {reason}"),
                };
                let name = ended.map_or(record.label(), |shown| shown.name);
                output::note(&format!("{name}: {state}"));
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
