//! Makes one zip of a zip that was split into parts (`NAME.z01`, `NAME.z02`, …, `NAME.zip`).
//!
//! Joined one after the other, the parts are nearly a zip: only the directory at the end still counts
//! from the beginning of the part that a file begins in (APPNOTE.TXT, sections 4.4.11, 4.4.16 and 8.5).
//! Here the directory is written again with places in the whole; the files' bytes stay as they are.

/// Where a record of the directory keeps what is counted by parts.
const HEADER: usize = 46;
/// In a field of 4 bytes: the value stands in the extra field (APPNOTE.TXT, section 4.5.3).
const ELSEWHERE: u64 = 0xffff_ffff;
/// The same in a field of 2 bytes.
const ELSEWHERE_SHORT: u64 = 0xffff;
/// The end of a zip with the longest comment.
const LONGEST_END: u64 = 22 + 0xffff;
/// No directory of a data set is larger.
const LARGEST_DIRECTORY: u64 = 1 << 30;

/// What stands at the end of a split zip.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Where the directory begins, counted from the first byte of the first part.
    pub(super) at: u64,
    /// Its bytes.
    pub(super) size: u64,
    entries: u64,
}

/// Reads `count` bytes from a place in the joined parts.
pub(super) type Read<'r> = dyn FnMut(u64, u64) -> std::io::Result<Vec<u8>> + 'r;

/// The end of the zip whose parts have these sizes; `None` if it is not a split zip.
pub(super) fn find_end(sizes: &[u64], read: &mut Read<'_>) -> std::io::Result<Option<End>> {
    let whole: u64 = sizes.iter().sum();
    let tail_at = whole.saturating_sub(LONGEST_END);
    let tail = read(tail_at, whole - tail_at)?;
    let Some(end) = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06") else {
        return Ok(None);
    };
    let field = |at, bytes| number(&tail, end + at, bytes);
    let (Some(part), Some(first_part), Some(entries), Some(size), Some(offset)) =
        (field(4, 2), field(6, 2), field(10, 2), field(12, 4), field(16, 4))
    else {
        return Ok(None);
    };
    let locator = end.checked_sub(20).filter(|at| tail[*at..].starts_with(b"PK\x06\x07"));
    let found = match locator {
        None => (part, first_part, entries, size, offset),
        Some(locator) => {
            let place = number(&tail, locator + 4, 4).zip(number(&tail, locator + 8, 8));
            let Some(at) = place.and_then(|(part, offset)| absolute(sizes, part, offset)) else {
                return Ok(None);
            };
            let record = read(at, 56.min(whole.saturating_sub(at)))?;
            let field = |at, bytes| number(&record, at, bytes).unwrap_or(u64::MAX);
            (field(16, 4), field(20, 4), field(32, 8), field(40, 8), field(48, 8))
        }
    };
    let (part, first_part, entries, size, offset) = found;
    let is_split = part > 0 && part + 1 == sizes.len() as u64;
    let at = absolute(sizes, first_part, offset);
    let at = at.filter(|at| at.checked_add(size).is_some_and(|end| end <= whole));
    let fits = is_split && size <= LARGEST_DIRECTORY;
    Ok(at.filter(|_| fits).map(|at| End { at, size, entries }))
}

/// The directory and the end of the whole; `None` if a record makes no sense.
pub(super) fn rewritten(directory: &[u8], end: &End, sizes: &[u64]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(directory.len() + 128);
    let mut rest = directory;
    for _ in 0..end.entries {
        rest = entry(rest, sizes, &mut out)?;
    }
    let size = out.len() as u64;
    let large = end.entries >= ELSEWHERE_SHORT || size >= ELSEWHERE || end.at >= ELSEWHERE;
    if large {
        let record_at = end.at + size;
        out.extend(b"PK\x06\x06");
        put(&mut out, &[(44, 8), (45, 2), (45, 2), (0, 4), (0, 4)]);
        put(&mut out, &[(end.entries, 8), (end.entries, 8), (size, 8), (end.at, 8)]);
        out.extend(b"PK\x06\x07");
        put(&mut out, &[(0, 4), (record_at, 8), (1, 4)]);
    }
    out.extend(b"PK\x05\x06");
    let count = end.entries.min(ELSEWHERE_SHORT);
    put(&mut out, &[(0, 2), (0, 2), (count, 2), (count, 2)]);
    put(&mut out, &[(size.min(ELSEWHERE), 4), (end.at.min(ELSEWHERE), 4), (0, 2)]);
    Some(out)
}

/// Writes one record with its place in the whole; returns what follows it.
fn entry<'d>(rest: &'d [u8], sizes: &[u64], out: &mut Vec<u8>) -> Option<&'d [u8]> {
    let field = |at, bytes| number(rest, at, bytes);
    if !rest.starts_with(b"PK\x01\x02") {
        return None;
    }
    let length = |at| field(at, 2).and_then(|length| usize::try_from(length).ok());
    let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
    let extra_at = HEADER + name;
    let comment_at = extra_at + extra;
    let after = comment_at + comment;
    let fields = rest.get(extra_at..comment_at)?;
    let mut wide = wide_field(fields);
    // The values that stand elsewhere, in this order; those of 4 bytes need no further place.
    let mut value = |at, bytes, wide_bytes| {
        let short = field(at, bytes)?;
        if short != if bytes == 2 { ELSEWHERE_SHORT } else { ELSEWHERE } {
            return Some((short, false));
        }
        let found = number(wide, 0, wide_bytes)?;
        wide = wide.get(wide_bytes..)?;
        Some((found, true))
    };
    let (plain, packed) = (value(24, 4, 8)?, value(20, 4, 8)?);
    let (offset, part) = (value(42, 4, 8)?.0, value(34, 2, 4)?.0);
    let at = absolute(sizes, part, offset)?;
    let mut kept = without_wide(fields);
    let values = [plain, packed, (at, at >= ELSEWHERE)];
    let values: Vec<u64> =
        values.into_iter().filter(|(_, is_wide)| *is_wide).map(|(value, _)| value).collect();
    if !values.is_empty() {
        put(&mut kept, &[(1, 2), (8 * values.len() as u64, 2)]);
        values.iter().for_each(|value| put(&mut kept, &[(*value, 8)]));
    }
    let begin = out.len();
    out.extend(rest.get(..extra_at)?);
    out.extend(&kept);
    out.extend(rest.get(comment_at..after)?);
    set(out, begin + 30, kept.len() as u64, 2);
    set(out, begin + 34, 0, 2);
    set(out, begin + 42, at.min(ELSEWHERE), 4);
    rest.get(after..)
}

/// Every extra field: its number, all of it, and what it holds.
fn extra_fields(mut fields: &[u8]) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = usize::try_from(number(fields, 2, 2)?).ok()?;
        let (all, rest) = fields.split_at_checked(4 + size)?;
        fields = rest;
        Some((number(all, 0, 2)?, all, &all[4..]))
    })
}

fn wide_field(fields: &[u8]) -> &[u8] {
    extra_fields(fields).find(|(id, ..)| *id == 1).map_or(&[], |(.., content)| content)
}

fn without_wide(fields: &[u8]) -> Vec<u8> {
    extra_fields(fields).filter(|(id, ..)| *id != 1).flat_map(|(_, all, _)| all).copied().collect()
}

/// A place in a part as a place in the whole.
fn absolute(sizes: &[u64], part: u64, offset: u64) -> Option<u64> {
    let before = sizes.get(..usize::try_from(part).ok()?)?;
    before.iter().sum::<u64>().checked_add(offset)
}

/// A number of so many bytes, the smallest byte first.
fn number(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(count)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn put(out: &mut Vec<u8>, numbers: &[(u64, usize)]) {
    for (number, count) in numbers {
        out.extend(&number.to_le_bytes()[..*count]);
    }
}

fn set(out: &mut [u8], at: usize, number: u64, count: usize) {
    out[at..at + count].copy_from_slice(&number.to_le_bytes()[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip of one stored file `name`, split before and inside the file.
    fn parts(name: &str, content: &[u8]) -> Vec<Vec<u8>> {
        let (name, size) = (name.as_bytes(), content.len() as u64);
        let crc = u64::from(crc32fast::hash(content));
        let common = [(crc, 4), (size, 4), (size, 4), (name.len() as u64, 2)];
        let mut local = b"PK\x03\x04".to_vec();
        put(&mut local, &[(10, 2), (0, 2), (0, 2), (0, 4)]);
        put(&mut local, &common);
        put(&mut local, &[(0, 2)]);
        local.extend(name);
        let mut record = b"PK\x01\x02".to_vec();
        put(&mut record, &[(10, 2), (10, 2), (0, 2), (0, 2), (0, 4)]);
        put(&mut record, &common);
        // It begins in the second part (number 1), at its first byte.
        put(&mut record, &[(0, 2), (0, 2), (1, 2), (0, 2), (0, 4), (0, 4)]);
        record.extend(name);
        let mut end = b"PK\x05\x06".to_vec();
        let (directory, at) = (record.len() as u64, size - 2);
        put(&mut end, &[(2, 2), (2, 2), (1, 2), (1, 2), (directory, 4), (at, 4), (0, 2)]);
        let second = [local, content[..2].to_vec()].concat();
        vec![b"PK\x07\x08".to_vec(), second, [content[2..].to_vec(), record, end].concat()]
    }

    fn joined(parts: &[Vec<u8>]) -> Option<Vec<u8>> {
        let whole = parts.concat();
        let sizes: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
        let mut read = |at: u64, count: u64| {
            let at = usize::try_from(at).unwrap();
            Ok(whole[at..at + usize::try_from(count).unwrap()].to_vec())
        };
        let end = find_end(&sizes, &mut read).unwrap()?;
        let at = usize::try_from(end.at).unwrap();
        let directory = &whole[at..at + usize::try_from(end.size).unwrap()];
        Some([&whole[..at], &rewritten(directory, &end, &sizes)?].concat())
    }

    #[test]
    fn a_split_zip_becomes_one_that_others_can_read() {
        let whole = joined(&parts("a/b.txt", b"content")).unwrap();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(whole)).unwrap();
        assert_eq!(zip.len(), 1);
        let mut text = String::new();
        let mut file = zip.by_index(0).unwrap();
        assert_eq!(file.name().unwrap(), "a/b.txt");
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, "content");
    }

    #[test]
    fn a_zip_that_was_only_cut_is_left_as_it_is() {
        let whole = joined(&parts("a", b"content")).unwrap();
        let (one, two) = whole.split_at(20);
        assert_eq!(joined(&[one.to_vec(), two.to_vec()]), None);
        assert_eq!(joined(&[b"no zip".to_vec(), b"at all".to_vec()]), None);
    }

    #[test]
    fn places_beyond_four_gigabytes_get_a_wide_field() {
        let parts = parts("a", b"content");
        let last = &parts[2];
        let end = End { at: 0, size: 0, entries: 1 };
        let sizes = [5 << 30, 1, 1];
        let directory = rewritten(&last[5..], &end, &sizes).unwrap();
        assert_eq!(number(&directory, 42, 4), Some(ELSEWHERE));
        assert_eq!(number(wide_field(&directory[47..59]), 0, 8), Some(5 << 30));
    }

    #[test]
    fn nonsense_is_no_split_zip_and_no_panic() {
        let parts = parts("a", b"content");
        for cut in 0..parts[2].len() {
            let mut damaged = parts.clone();
            damaged[2][cut] ^= 0xff;
            drop(joined(&damaged));
            damaged[2].truncate(cut);
            drop(joined(&damaged));
        }
    }
}
