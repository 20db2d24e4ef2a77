//! Dates and times as logs write them, as seconds.

/// Seconds in a day.
const DAY: f64 = 86_400.0;

/// Seconds in a common year: what a log without years is short of when it crosses New Year.
pub(super) const YEAR: f64 = 365.0 * DAY;

/// Reads `7:14:13`, `2 days, 0:00:01`, `04/01 15:02:46` or `2021-11-09 19:30:02,482`.
///
/// A length of time gives its seconds. A date with a year gives seconds since 1970, one
/// without gives seconds since the start of a common year; only differences mean anything.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let Some((head, time)) = text.rsplit_once([' ', 'T']) else { return time_of_day(text) };
    Some(days(head.trim_end_matches([',', ' ']))? * DAY + time_of_day(time)?)
}

/// `15:02:46`, with a fraction after a point or (Python's logging) a comma.
fn time_of_day(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !seconds.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let seconds: f64 = seconds.replace(',', ".").parse().ok()?;
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    (minutes < 60.0 && seconds < 61.0).then_some(hours * 3600.0 + minutes * 60.0 + seconds)
}

fn days(text: &str) -> Option<f64> {
    if let Some(count) = text.strip_suffix("days").or_else(|| text.strip_suffix("day")) {
        return whole(count.trim_end());
    }
    if let Some((month, day)) = text.split_once('/') {
        // 1971 is a common year and starts 365 days after the epoch.
        return Some(days_since_1970(1971.0, whole(month)?, whole(day)?)? - 365.0);
    }
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    days_since_1970(whole(year)?, whole(month)?, whole(day)?)
}

fn whole(text: &str) -> Option<f64> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Proleptic Gregorian calendar; the year is counted from March, so that the leap day is its last.
fn days_since_1970(year: f64, month: f64, day: f64) -> Option<f64> {
    if !(1.0..=12.0).contains(&month) || !(1.0..=31.0).contains(&day) || year > 9999.0 {
        return None;
    }
    let year = if month <= 2.0 { year - 1.0 } else { year };
    let leaps = (year / 4.0).floor() - (year / 100.0).floor() + (year / 400.0).floor();
    let month_from_march = (month + 9.0) % 12.0;
    let day_of_year = ((153.0 * month_from_march + 2.0) / 5.0).floor() + day - 1.0;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(year * 365.0 + leaps + day_of_year - 719_468.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_their_seconds() {
        assert_eq!(parse("7:14:13"), Some(26_053.0));
        assert_eq!(parse("0:00:00.5"), Some(0.5));
        assert_eq!(parse("2 days, 0:00:01"), Some(172_801.0));
        assert_eq!(parse("1 day, 1:00:00"), Some(90_000.0));
    }

    #[test]
    fn dates_are_days_of_the_calendar() {
        assert_eq!(parse("1970-01-01 00:00:00"), Some(0.0));
        // `date -u -d '2021-11-09 19:30:02' +%s`
        assert_eq!(parse("2021-11-09 19:30:02,500"), Some(1_636_486_202.5));
        assert_eq!(parse("2024-02-29T00:00:00"), Some(1_709_164_800.0));
        let day = parse("04/01 21:24:24").unwrap() - parse("04/01 15:02:46").unwrap();
        assert_eq!(day, 22_898.0);
        assert_eq!(parse("01/01 00:00:00"), Some(0.0));
        assert_eq!(parse("12/31 00:00:00"), Some(364.0 * DAY));
    }

    #[test]
    fn what_is_no_time_is_not_read_as_one() {
        for text in
            ["", "12", "12:30", "a:b:c", "1:2:3:4", "13/01 00:00:00", "1:60:00", "x 1:00:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("1:00:nan"), None);
        assert_eq!(parse("1:00:-5"), None);
    }
}
