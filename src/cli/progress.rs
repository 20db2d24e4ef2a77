//! One progress display for everything that takes longer than a second.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use crate::engine::Stop;
use crate::{build, dataset, fetch};

/// A line on standard error: what is going on, how far it is, how fast.
///
/// Where standard error is no terminal, each step is one plain line when it begins, so
/// that a log of a CI run says what it waited for.
pub struct Display {
    quiet: bool,
    offline: bool,
    stop: Stop,
    bar: Mutex<Option<ProgressBar>>,
}

const KNOWN: &str = "{msg:40!} {bar:24} {decimal_bytes:>9} of {decimal_total_bytes:>9}  {decimal_bytes_per_sec:>11}  {eta:>4}";
const UNKNOWN: &str = "{spinner} {msg}  {elapsed}";

impl Display {
    /// `offline` says that what is brought does not come from a network.
    pub fn new(quiet: bool, offline: bool, stop: Stop) -> Self {
        Self { quiet, offline, stop, bar: Mutex::new(None) }
    }

    /// A step begins; 0 bytes if nobody knows how much there is to do.
    pub fn begin(&self, what: &str, bytes: u64) {
        if self.quiet {
            return;
        }
        if !output::is_drawn() {
            return output::note(what);
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let template = if bytes > 0 { KNOWN } else { UNKNOWN };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.bar() = Some(bar);
    }

    /// So many more bytes are done.
    pub fn advance(&self, bytes: u64) {
        if let Some(bar) = self.bar().as_ref() {
            bar.inc(bytes);
        }
    }

    /// The step is over.
    pub fn finish(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    /// Says otherwise what is going on, such as with the current images/s.
    pub fn say(&self, text: &str) {
        if let Some(bar) = self.bar().as_ref() {
            bar.set_message(text.to_owned());
        }
    }

    fn bringing(&self) -> &'static str {
        if self.offline { "looking on this machine for" } else { "downloading" }
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fetch::Progress for Display {
    fn begin(&self, files: usize, bytes: u64) {
        let files = output::count(files, "file", "files");
        let what = format!("{} {files}, {}", self.bringing(), output::size(bytes));
        Display::begin(self, &what, bytes);
    }

    fn started(&self, name: &str, _size: u64) {
        self.say(&format!("{} {name}", self.bringing()));
    }

    fn advanced(&self, _name: &str, bytes: u64) {
        self.advance(bytes);
    }

    fn retried(&self, name: &str, lost: u64, reason: &str) {
        if let Some(bar) = self.bar().as_ref() {
            bar.dec(lost);
        }
        output::note(&format!("trying `{name}` again: {reason}"));
    }

    fn finished(&self, _name: &str) {}

    fn end(&self) {
        self.finish();
    }
}

impl build::Progress for Display {
    fn step(&self, what: &str, bytes: u64) {
        Display::begin(self, what, bytes);
    }

    fn done(&self, bytes: u64) {
        self.advance(bytes);
    }

    fn step_ends(&self) {
        self.finish();
    }
}

impl dataset::Progress for Display {
    fn begin(&self, what: &str, bytes: u64) {
        Display::begin(self, what, bytes);
    }

    fn advance(&self, bytes: u64) {
        Display::advance(self, bytes);
    }

    fn finish(&self) {
        Display::finish(self);
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_requested()
    }
}
