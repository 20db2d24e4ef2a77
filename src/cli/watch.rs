//! What a person sees while cases run.

use super::output;
use super::progress::Display;
use crate::bench::{Event, Status};

/// Turns a run's events into progress on standard error.
pub struct Watch<'a> {
    display: &'a Display,
    cases: usize,
    case: String,
}

impl<'a> Watch<'a> {
    pub fn new(display: &'a Display) -> Self {
        Self { display, cases: 0, case: String::new() }
    }

    /// Shows what happened.
    pub fn tell(&mut self, event: &Event) {
        match event {
            Event::RunStarted { cases, .. } => self.cases = *cases,
            Event::CaseStarted { index, case } => {
                self.case = format!("[{index}/{}] {}", self.cases, case.case.name);
                self.display.begin(&self.case, 0);
            }
            Event::Output { bytes } => self.display.advance(bytes.len() as u64),
            Event::Progress { step, throughput, .. } => {
                let speed = throughput
                    .and_then(|figure| Some((figure.value?.as_f64(), figure.unit.as_str())))
                    .map_or(String::new(), |(value, unit)| format!(", {value:.2} {unit}"));
                self.display.say(&format!("{}: record {step}{speed}", self.case));
            }
            Event::CaseEnded { record } => {
                self.display.finish();
                let state = match &record.status {
                    Status::Ok => "ok".to_owned(),
                    Status::Failed(reason) => format!("failed: {reason}"),
                    Status::Skipped(reason) => format!("skipped: {reason}"),
                };
                output::note(&format!("{}: {state}", self.case));
            }
        }
    }
}
