//! Which records a user wants to see.

use globset::{GlobBuilder, GlobMatcher};
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::TimeZone};

use super::ResultsError;
use super::index::Row;

/// What is asked for; nothing asked for is everything.
#[derive(Debug, Default)]
pub struct Filter {
    /// Globs of image names; `NAME@DIGITS` asks for the beginning of the seal, too.
    pub images: Vec<Pattern>,
    /// Globs of cases.
    pub cases: Vec<Pattern>,
    /// A part of the machine's description, upper and lower case alike.
    pub host: Option<String>,
    /// Names of profiles.
    pub profiles: Vec<String>,
    /// `ok`, `failed`, `skipped`.
    pub statuses: Vec<String>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// A compiled glob, and digits of a seal.
#[derive(Debug)]
pub struct Pattern {
    glob: GlobMatcher,
    digits: String,
}

impl Pattern {
    /// Compiles a glob; `*` does not cross a `/`.
    pub fn of_case(text: &str) -> Result<Self, ResultsError> {
        let wrong = |error: globset::Error| ResultsError::Pattern {
            text: text.to_owned(),
            reason: error.kind().to_string(),
        };
        let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(wrong)?;
        Ok(Self { glob: glob.compile_matcher(), digits: String::new() })
    }

    /// Compiles `NAME` or `NAME@sha256:DIGITS`.
    pub fn of_image(text: &str) -> Result<Self, ResultsError> {
        let (name, digits) = text.split_once('@').unwrap_or((text, ""));
        let digits = digits.trim_start_matches("sha256:").to_owned();
        Ok(Self { digits, ..Self::of_case(name)? })
    }

    fn fits(&self, name: &str, seal: &str) -> bool {
        let seal = seal.trim_start_matches("sha256:");
        self.glob.is_match(name) && seal.starts_with(&self.digits)
    }
}

impl Filter {
    /// Whether a record is asked for.
    pub fn fits(&self, row: &Row) -> bool {
        let any = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(name, &row.seal))
        };
        let listed = |list: &[String], word: &str| {
            list.is_empty() || list.iter().any(|listed| listed == word)
        };
        any(&self.images, &row.image)
            && any(&self.cases, &row.case_name)
            && listed(&self.profiles, &row.profile)
            && listed(&self.statuses, &row.status)
            && self.host.as_ref().is_none_or(|part| has_part(row.host.as_deref(), part))
            && self.is_in_time(&row.start)
    }

    fn is_in_time(&self, start: &str) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Ok(start) = start.parse::<Timestamp>() else { return false };
        self.since.is_none_or(|since| start >= since)
            && self.until.is_none_or(|until| start < until)
    }
}

fn has_part(host: Option<&str>, part: &str) -> bool {
    host.is_some_and(|host| host.to_lowercase().contains(&part.to_lowercase()))
}

/// Reads `2026-11-22`, `2026-11-22T10:00` (both in UTC) or a full RFC 3339 time.
pub fn since(text: &str) -> Result<Timestamp, ResultsError> {
    time(text, false)
}

/// The same; a day means its end.
pub fn until(text: &str) -> Result<Timestamp, ResultsError> {
    time(text, true)
}

fn time(text: &str, end_of_day: bool) -> Result<Timestamp, ResultsError> {
    let wrong = || ResultsError::Time { text: text.to_owned() };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local = match text.parse::<Date>() {
        // A time of day after the date is no date.
        Ok(date) if text.len() <= 10 && end_of_day => date.tomorrow().map(Date::into),
        Ok(date) if text.len() <= 10 => Ok(DateTime::from(date)),
        _ => text.parse::<DateTime>(),
    };
    let local: DateTime = local.map_err(|_| wrong())?;
    TimeZone::UTC.to_timestamp(local).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_in_utc() {
        assert_eq!(since("2026-11-22").unwrap().to_string(), "2026-11-22T00:00:00Z");
        assert_eq!(until("2026-11-22").unwrap().to_string(), "2026-11-23T00:00:00Z");
        assert_eq!(since("2026-11-22T10:30").unwrap().to_string(), "2026-11-22T10:30:00Z");
        assert_eq!(until("2026-11-22T10:30:00+02:00").unwrap().to_string(), "2026-11-22T08:30:00Z");
        for wrong in ["yesterday", "2026-13-01", ""] {
            assert!(matches!(since(wrong), Err(ResultsError::Time { .. })), "{wrong}");
        }
    }

    #[test]
    fn an_image_is_asked_for_by_name_glob_and_seal() {
        let fits =
            |text: &str| Pattern::of_image(text).unwrap().fits("seg-debian", "sha256:9d17ab");
        assert!(
            fits("seg-debian") && fits("seg*") && fits("seg-debian@sha256:9d17") && fits("*@9d")
        );
        assert!(!fits("seg") && !fits("seg-debian@sha256:9e"));
    }
}
