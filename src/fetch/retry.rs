//! When to try again, and how long to wait before.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::error::Trouble;

/// How often something is tried that makes no headway.
const ATTEMPTS: u32 = 5;
/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that a server may ask for; one that asks for more is given up.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest that servers may make one thing wait, however often they ask.
const LONGEST_WAITS: Duration = Duration::from_secs(120);
/// So many bytes count as headway: a server that cuts every answer may still be used up.
const HEADWAY: u64 = 1 << 20;

/// Somebody asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Why an answer, or part of one, did not come.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Somebody asked to stop.
    Stopped,
    /// Something went wrong.
    Trouble(Trouble),
}

impl From<Stopped> for Ending {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Trouble> for Ending {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Counts the attempts at one thing.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
    since_headway: u32,
    /// How long servers made it wait so far.
    waited: Duration,
}

impl Attempts {
    /// Counts a failed attempt that brought `received` bytes; tells how long to wait before the
    /// next, or `None` if there should be none.
    pub(crate) fn after(&mut self, trouble: &Trouble, received: u64) -> Option<Duration> {
        self.made += 1;
        self.since_headway = if received >= HEADWAY { 1 } else { self.since_headway + 1 };
        if self.since_headway >= ATTEMPTS || !is_worth_retrying(trouble) {
            return None;
        }
        let wait = FIRST_WAIT * 2u32.pow(self.since_headway - 1);
        let Trouble::Status { retry_after: Some(asked), .. } = trouble else { return Some(wait) };
        // Who asks for a day, or for a minute again and again, is not there now: the next place is asked.
        self.waited = self.waited.saturating_add(*asked);
        (*asked <= LONGEST_WAIT && self.waited <= LONGEST_WAITS).then_some(*asked)
    }

    /// How many attempts failed.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }
}

/// What may be over in a moment is tried again; what the other side said for good is not.
fn is_worth_retrying(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Request { source } => {
            !is_distrust(source) && !source.is_builder() && !source.is_redirect()
        }
        Trouble::Cut { .. } | Trouble::Short { .. } | Trouble::Slow { .. } => true,
        Trouble::Status { code, .. } => matches!(code, 408 | 425 | 429 | 500..=599),
        Trouble::Page { .. }
        | Trouble::Git { .. }
        | Trouble::HostIsDown
        | Trouble::Unusable { .. } => false,
    }
}

/// Says why something is tried again, and after which time where a person would notice it.
pub(crate) fn why(trouble: &Trouble, time: Duration) -> String {
    match time.as_secs() {
        0..5 => trouble.to_string(),
        seconds => format!("{trouble}; the next attempt is in {seconds} s"),
    }
}

/// A certificate that is not trusted now is not trusted in a second either.
fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
        return true;
    }
    // A system error gives the source of what it wraps, not what it wraps.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_distrust(wrapped)) || error.source().is_some_and(is_distrust)
}

/// Waits, unless somebody asks to stop.
pub(crate) fn wait(time: Duration, stop: &AtomicBool) -> Result<(), Stopped> {
    let end = Instant::now() + time;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, seconds: Option<u64>) -> Trouble {
        Trouble::Status { code, retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn waits_grow_and_end() {
        let mut attempts = Attempts::default();
        let waits: Vec<_> = (0..5)
            .map(|_| attempts.after(&status(503, None), 0).map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(500), Some(1000), Some(2000), Some(4000), None]);
        assert_eq!(attempts.made(), 5);
    }

    #[test]
    fn headway_gives_new_attempts() {
        let mut attempts = Attempts::default();
        for _ in 0..20 {
            let cut = Trouble::Short { received: HEADWAY, expected: u64::MAX };
            assert_eq!(attempts.after(&cut, HEADWAY), Some(FIRST_WAIT));
        }
        assert_eq!(attempts.made(), 20);
    }

    #[test]
    fn a_server_may_say_how_long_to_wait_but_not_for_ever() {
        let after = |seconds| Attempts::default().after(&status(429, Some(seconds)), 0);
        assert_eq!(after(3), Some(Duration::from_secs(3)));
        assert_eq!(after(60), Some(LONGEST_WAIT));
        assert_eq!(after(86_400), None, "the next place is asked instead");
        assert_eq!(after(u64::MAX), None);
        let mut attempts = Attempts::default();
        let waits: Vec<_> = (0..3).map(|_| attempts.after(&status(503, Some(60)), 0)).collect();
        assert_eq!(waits, [Some(LONGEST_WAIT), Some(LONGEST_WAIT), None]);
    }

    #[test]
    fn a_wait_that_a_person_notices_is_told_with_its_length() {
        let text = |seconds| why(&status(503, Some(seconds)), Duration::from_secs(seconds));
        assert_eq!(text(1), "the server answered 503 and asks to wait 1 s");
        assert!(text(45).ends_with("; the next attempt is in 45 s"));
    }

    #[test]
    fn what_was_refused_for_good_is_not_tried_again() {
        for code in [400, 401, 403, 404, 410] {
            assert_eq!(Attempts::default().after(&status(code, None), 0), None);
        }
    }
}
