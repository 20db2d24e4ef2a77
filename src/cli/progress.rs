//! One progress display for everything that takes longer than a second.
//!
//! On a terminal it is one line that is drawn over itself and never longer than the terminal. In
//! a pipe, in a dumb terminal and beside `-v` each step is a plain line when it begins, and then
//! one now and then, ever more seldom: a log tells what it waited for and does not drown in it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use crate::engine::{Changed, Stop, Unpacking};
use crate::{build, dataset, fetch};

/// A line on standard error: what is going on, how far it is, how fast. Clones share the line.
#[derive(Debug, Clone)]
pub struct Display {
    offline: bool,
    stop: Stop,
    shown: Arc<Mutex<Option<Shown>>>,
    /// The step that another one interrupts.
    interrupted: Arc<Mutex<Option<Shown>>>,
}

/// A step that goes on.
#[derive(Debug)]
enum Shown {
    Drawn(ProgressBar),
    Told(Told),
}

/// A step that is told in lines.
#[derive(Debug)]
struct Told {
    what: String,
    bytes: u64,
    done: u64,
    pace: Pace,
}

/// Says when the next line is due.
#[derive(Debug)]
struct Pace {
    last: Instant,
    wait: Duration,
}

const KNOWN: &str = "{msg:40!} {bar:24} {decimal_bytes:>9} of {decimal_total_bytes:>9}  {decimal_bytes_per_sec:>11}  {eta:>4}";
/// What [`KNOWN`] takes on a terminal.
const KNOWN_WIDTH: usize = 112;
const NARROW: &str = "{wide_msg} {percent:>3} % {decimal_bytes_per_sec:>11} {eta:>4}";
const UNKNOWN: &str = "{spinner} {wide_msg} {elapsed}";

/// What a line has beside its message.
const AROUND: usize = 10;

/// How often a line is drawn again.
const TICK: Duration = Duration::from_millis(200);

const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

impl Pace {
    fn new() -> Self {
        Self { last: Instant::now(), wait: FIRST_WAIT }
    }

    /// Whether enough time has passed; the next line then waits half as long again.
    fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= self.wait;
        if due {
            *self = Self { last: Instant::now(), wait: (self.wait * 3 / 2).min(LONGEST_WAIT) };
        }
        due
    }
}

impl Told {
    /// `downloading 3 files, 960.4 MB: 41 %`
    fn line(&self) -> String {
        match self.bytes {
            0 => self.what.clone(),
            bytes => format!("{}: {} %", self.what, self.done.min(bytes) * 100 / bytes),
        }
    }

    fn tell_if_due(&mut self) {
        if self.pace.is_due() {
            output::note(&self.line());
        }
    }
}

impl Display {
    /// `offline` says that what is brought does not come from a network.
    pub fn new(offline: bool, stop: Stop) -> Self {
        Self { offline, stop, shown: Arc::default(), interrupted: Arc::default() }
    }

    /// A step begins; 0 bytes if nobody knows how much there is to do.
    pub fn begin(&self, what: &str, bytes: u64) {
        if output::is_quiet() {
            return;
        }
        *self.shown() = Some(match output::is_drawn() {
            true => Shown::Drawn(drawn(what, bytes)),
            false => {
                output::note(what);
                Shown::Told(Told { what: what.to_owned(), bytes, done: 0, pace: Pace::new() })
            }
        });
    }

    /// So many more bytes are done.
    pub fn advance(&self, bytes: u64) {
        match self.shown().as_mut() {
            Some(Shown::Drawn(bar)) => bar.inc(bytes),
            Some(Shown::Told(told)) => {
                told.done += bytes;
                if told.bytes > 0 {
                    told.tell_if_due();
                }
            }
            None => {}
        }
    }

    /// The step is over.
    pub fn finish(&self) {
        if let Some(Shown::Drawn(bar)) = self.shown().take() {
            bar.finish_and_clear();
        }
    }

    /// Says otherwise what is going on, such as with the current images/s.
    pub fn say(&self, text: &str) {
        match self.shown().as_mut() {
            Some(Shown::Drawn(bar)) => bar.set_message(fitting(text)),
            Some(Shown::Told(told)) if told.bytes == 0 => {
                text.clone_into(&mut told.what);
                told.tell_if_due();
            }
            // What is counted keeps its name: the parts of it would be a line each.
            Some(Shown::Told(_)) | None => {}
        }
    }

    /// A line that stays, above the one that is drawn.
    pub fn note(&self, text: &str) {
        match self.shown().as_ref() {
            Some(Shown::Drawn(bar)) => bar.suspend(|| output::note(text)),
            _ => output::note(text),
        }
    }

    fn lose(&self, bytes: u64) {
        match self.shown().as_mut() {
            Some(Shown::Drawn(bar)) => bar.dec(bytes),
            Some(Shown::Told(told)) => told.done = told.done.saturating_sub(bytes),
            None => {}
        }
    }

    fn bringing(&self) -> &'static str {
        if self.offline { "looking on this machine for" } else { "downloading" }
    }

    fn shown(&self) -> MutexGuard<'_, Option<Shown>> {
        self.shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn interrupted(&self) -> MutexGuard<'_, Option<Shown>> {
        self.interrupted.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn drawn(what: &str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let is_wide = output::note_width().is_none_or(|width| width >= KNOWN_WIDTH);
    let template = match (bytes > 0, is_wide) {
        (true, true) => KNOWN,
        (true, false) => NARROW,
        (false, _) => UNKNOWN,
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
    bar.set_message(fitting(what));
    bar.enable_steady_tick(TICK);
    bar
}

/// A message that does not break the line, nor hold another one.
fn fitting(text: &str) -> String {
    let line = output::visible(&text.replace(char::is_control, " "));
    let width = output::note_width().unwrap_or(usize::MAX);
    output::shorten(&line, width.saturating_sub(AROUND).max(AROUND))
}

impl fetch::Progress for Display {
    fn begin(&self, files: usize, bytes: u64) {
        let files = output::count(files, "file", "files");
        let what = format!("{} {files}, {}", self.bringing(), output::size(bytes));
        Display::begin(self, &what, bytes);
    }

    fn started(&self, name: &str, size: u64) {
        tracing::info!(name, size, "{}", self.bringing());
        self.say(&format!("{} {name}", self.bringing()));
    }

    fn advanced(&self, _name: &str, bytes: u64) {
        self.advance(bytes);
    }

    fn retried(&self, name: &str, lost: u64, reason: &str) {
        self.lose(lost);
        self.note(&format!("trying `{name}` again: {reason}"));
    }

    fn discarded(&self, name: &str, lost: u64, place: &str) {
        self.lose(lost);
        self.note(&format!("`{name}` from {place} is given up"));
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

/// A job's layers are unpacked while the line says which case runs; that line comes back.
impl Unpacking for Display {
    fn begin(&self, layers: usize, bytes: u64) {
        let shown = self.shown().take();
        if let Some(Shown::Drawn(bar)) = &shown {
            bar.disable_steady_tick();
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        *self.interrupted() = shown;
        let layers = output::count(layers, "layer", "layers");
        let what = match bytes {
            0 => format!("unpacking {layers}"),
            bytes => format!("unpacking {layers}, {}", output::size(bytes)),
        };
        Display::begin(self, &what, bytes);
    }

    fn layer(&self, name: &str) {
        self.say(&format!("unpacking {name}"));
    }

    fn advance(&self, bytes: u64) {
        Display::advance(self, bytes);
    }

    fn end(&self) {
        self.finish();
        let interrupted = self.interrupted().take();
        if let Some(Shown::Drawn(bar)) = &interrupted {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        *self.shown() = interrupted;
    }

    fn changed(&self, changed: &Changed) {
        self.note(&changed.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_in_a_pipe_is_told_in_less_than_two_hundred_lines() {
        let mut pace = Pace::new();
        let (mut lines, mut passed) = (0, Duration::ZERO);
        while passed < Duration::from_secs(24 * 3600) {
            passed += pace.wait;
            let before = Instant::now().checked_sub(pace.wait).unwrap();
            pace.last = before;
            assert!(pace.is_due());
            lines += 1;
        }
        assert!((100..200).contains(&lines), "{lines}");
    }

    #[test]
    fn a_line_is_due_only_after_its_wait() {
        assert!(!Pace::new().is_due());
    }

    #[test]
    fn what_is_counted_is_told_in_percent() {
        let told = Told { what: "hashing".to_owned(), bytes: 200, done: 50, pace: Pace::new() };
        assert_eq!(told.line(), "hashing: 25 %");
    }
}
