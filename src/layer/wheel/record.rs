//! Reads and writes RECORD as pip does.
//!
//! pip reads it with Python's `csv` over `str.splitlines`, and writes rows sorted,
//! separated by CRLF, quoted where a field holds a comma or a quote.

use sha2::{Digest as _, Sha256};

/// One row: path relative to the site folder, hash, size; the last two may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) hash: String,
    pub(super) size: String,
}

impl Row {
    /// The row of a file that was made or changed during installation.
    pub(super) fn of(path: String, content: &[u8]) -> Self {
        let hash = format!("sha256={}", base64_url(&Sha256::digest(content)));
        Self { path, hash, size: content.len().to_string() }
    }
}

/// Reads the rows of a wheel's RECORD; an error says which line pip could not read.
pub(super) fn parse(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (index, line) in split_lines(text).into_iter().enumerate() {
        let mut fields = split_fields(line)
            .ok_or_else(|| format!("line {} of its RECORD has an open quote", index + 1))?
            .into_iter();
        let path = fields.next().unwrap_or_default();
        if line.is_empty() {
            return Err(format!("line {} of its RECORD is empty", index + 1));
        }
        let (hash, size) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        rows.push(Row { path, hash, size });
    }
    Ok(rows)
}

/// The bytes of an installed RECORD.
pub(super) fn write(mut rows: Vec<Row>) -> Vec<u8> {
    rows.sort();
    let mut text = String::new();
    for Row { path, hash, size } in &rows {
        let fields = [quoted(path), quoted(hash), quoted(size)];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Python's `str.splitlines`.
pub(super) fn split_lines(text: &str) -> Vec<&str> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(ends).unwrap_or(rest.len());
        lines.push(&rest[..end]);
        let after = &rest[end..];
        let width = if after.starts_with("\r\n") {
            2
        } else {
            after.chars().next().map_or(0, char::len_utf8)
        };
        rest = &after[width..];
    }
    lines
}

/// The fields of one line as Python's `csv` sees them; `None` for a quote that stays open.
fn split_fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut at_start = true;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut()?;
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            '"' if at_start => quoted = true,
            ',' if !quoted => {
                fields.push(String::new());
                at_start = true;
                continue;
            }
            other => field.push(other),
        }
        at_start = false;
    }
    (!quoted).then_some(fields)
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Base64 for file names and URLs, without padding (RFC 4648, section 5).
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let digit = bits >> (18 - 6 * place) & 63;
            text.push(char::from(DIGITS[digit as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_python_reads_it() {
        let rows = parse("a.py,sha256=x,1\r\n\"b,\"\"c\"\".py\",,\nd.py").unwrap();
        let paths: Vec<_> = rows.iter().map(|row| row.path.as_str()).collect();
        assert_eq!(paths, ["a.py", "b,\"c\".py", "d.py"]);
        assert_eq!((rows[0].hash.as_str(), rows[0].size.as_str()), ("sha256=x", "1"));
        assert!(parse("a,,\n\nb,,").unwrap_err().contains("line 2"));
        assert!(parse("\"a,,").unwrap_err().contains("open quote"));
    }

    #[test]
    fn a_record_is_written_sorted_with_crlf_and_quotes() {
        let row =
            |path: &str| Row { path: path.to_owned(), hash: String::new(), size: String::new() };
        let bytes = write(vec![row("b"), row("a,\"x\""), row("../bin/a")]);
        assert_eq!(String::from_utf8(bytes).unwrap(), "../bin/a,,\r\n\"a,\"\"x\"\"\",,\r\nb,,\r\n");
    }

    #[test]
    fn a_hash_is_written_in_url_safe_base64_without_padding() {
        let row = Row::of("INSTALLER".to_owned(), b"pip\n");
        assert_eq!(row.hash, "sha256=zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg");
        assert_eq!(row.size, "4");
    }
}
