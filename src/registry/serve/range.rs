//! Which part of a blob is asked for.

use std::ops::Range;

/// What a `Range` header asks for (RFC 9110, section 14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// All of it; also where the header is of no kind that is served.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there.
    Beyond,
}

/// Reads a `Range` header for a blob of `size` bytes.
pub(super) fn wish(header: Option<&str>, size: u64) -> Wish {
    let Some((first, last)) = header.and_then(bounds) else { return Wish::Whole };
    match (first, last) {
        (Some(first), _) if first >= size => Wish::Beyond,
        (Some(first), Some(last)) if last < first => Wish::Whole,
        (Some(first), Some(last)) => Wish::Part(first..last.saturating_add(1).min(size)),
        (Some(first), None) => Wish::Part(first..size),
        (None, Some(0)) => Wish::Beyond,
        (None, Some(_)) if size == 0 => Wish::Beyond,
        (None, Some(length)) => Wish::Part(size.saturating_sub(length)..size),
        (None, None) => Wish::Whole,
    }
}

/// The two numbers of one range; several ranges at once are not served.
fn bounds(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_in_each_of_its_forms() {
        assert_eq!(wish(Some("bytes=2-4"), 10), Wish::Part(2..5));
        assert_eq!(wish(Some("bytes=2-"), 10), Wish::Part(2..10));
        assert_eq!(wish(Some("bytes=-3"), 10), Wish::Part(7..10));
        assert_eq!(wish(Some("bytes=-30"), 10), Wish::Part(0..10));
        assert_eq!(wish(Some("bytes=0-18446744073709551615"), 10), Wish::Part(0..10));
    }

    #[test]
    fn bytes_behind_the_end_are_refused() {
        for header in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(wish(Some(header), 10), Wish::Beyond, "{header}");
        }
        assert_eq!(wish(Some("bytes=-1"), 0), Wish::Beyond);
    }

    #[test]
    fn what_is_no_single_range_gives_everything() {
        let odd = ["bytes=1-2,4-5", "bytes=", "lines=1-2", "bytes=a-b", "bytes=5-2", "bytes=-"];
        for header in odd {
            assert_eq!(wish(Some(header), 10), Wish::Whole, "{header}");
        }
        assert_eq!(wish(None, 10), Wish::Whole);
    }
}
