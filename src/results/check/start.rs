//! When a case started, held against the name of its run.
//!
//! A run is named by the time at which it began, in UTC, and no case starts before that. How much later one
//! may start nobody can say: a run takes days, and one that broke off goes on whenever somebody wants.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Checked;
use crate::bench::RunRecord;

/// A later start is told, because only some runs have one.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Compares the start of a record with its run's; a parsed log has none.
pub(super) fn check(record: &RunRecord, checked: &mut Checked) {
    let Some(began) = began(&record.run).filter(|_| record.parsed.is_none()) else { return };
    let expected = || format!("{began} or later (the name of the run)");
    match record.start.parse::<Timestamp>() {
        Ok(start) if start >= began => {
            let later = start.duration_since(began);
            if later > DAY {
                let days = later.as_hours() / DAY.as_hours();
                checked.cannot(format!(
                    "start: {days} days after the run began, as in a long run or one that was resumed"
                ));
            }
        }
        _ => checked.differs("start", expected(), record.start.clone()),
    }
}

/// The time in a run's name; names that people gave have none.
fn began(run: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", run.get(..16)?).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_run_is_read_from_a_name_that_has_one() {
        let time = |run: &str| began(run).map(|time| time.to_string());
        assert_eq!(time("20261122T031146Z-9d1710effc1d").unwrap(), "2026-11-22T03:11:46Z");
        let others = ["renamed-by-hand", "20261399T031146Z-9d17", ""];
        assert!(others.into_iter().all(|run| began(run).is_none()));
    }
}
