//! How slowly an answer may come.
//!
//! A server that says a byte now and then is never silent, and would hold up whoever waits for it for ever. Over
//! the time for which a server may be silent, an answer has to come at some least speed; a small document has to be
//! there as a whole after a few such times.

use std::time::Duration;

use super::error::Trouble;

/// Bytes a second that an answer has to come with.
const LEAST: u64 = 1000;

/// A small document has so many times as long as a server may be silent.
const DOCUMENT: u32 = 4;

/// Watches the speed of one answer.
#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    /// When the window began, counted from the answer's own begin.
    begin: Duration,
    received: u64,
}

impl Pace {
    /// For servers that may be silent for so long.
    pub(super) fn new(silence: Duration) -> Self {
        Self { window: silence, begin: Duration::ZERO, received: 0 }
    }

    /// Counts `bytes` that came at `now`, counted from the answer's begin.
    pub(super) fn count(&mut self, now: Duration, bytes: u64) -> Result<(), Trouble> {
        self.received += bytes;
        let passed = now.saturating_sub(self.begin);
        if passed < self.window {
            return Ok(());
        }
        let (received, seconds) = (self.received, passed.as_secs().max(1));
        if received / seconds < LEAST {
            return Err(Trouble::Slow { received, seconds, least: LEAST });
        }
        (self.begin, self.received) = (now, 0);
        Ok(())
    }

    /// How long a small document may take.
    pub(super) fn document(&self) -> Duration {
        self.window * DOCUMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_byte_now_and_then_is_too_slow_after_one_window() {
        let mut pace = Pace::new(60 * SECOND);
        assert!((0..60).all(|second| pace.count(second * SECOND, 2).is_ok()));
        let slow = pace.count(60 * SECOND, 2).unwrap_err().to_string();
        assert_eq!(slow, "the answer came with 122 bytes in 60 s, less than 1000 bytes a second");
    }

    #[test]
    fn a_slow_line_is_no_slow_server_and_each_window_counts_alone() {
        let mut pace = Pace::new(10 * SECOND);
        assert!((0..1000).all(|second| pace.count(second * SECOND, 1200).is_ok()));
        let mut pace = Pace::new(10 * SECOND);
        pace.count(SECOND, 1 << 30).unwrap();
        pace.count(10 * SECOND, 1).unwrap();
        assert!(pace.count(20 * SECOND, 1).is_err(), "what came before is no excuse");
    }
}
