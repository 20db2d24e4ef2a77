//! Makes plain lines of what a program writes for a terminal or in another encoding.
//!
//! The kept log stays as it is; only what patterns see is plain. Colours, window titles and cursor
//! movements (ECMA-48) are no part of a line, and neither is a byte order mark. A movement to
//! another place begins a line of its own, as a carriage return does.

/// Turns UTF-16 into UTF-8 while it comes; everything else passes as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    encoding: Option<Encoding>,
    /// The first bytes, until they tell the encoding; later the half of a unit.
    held: Vec<u8>,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// UTF-8, or any bytes.
    Bytes,
    LittleEndian,
    BigEndian,
}

/// Bytes that tell the encoding where there is no mark.
const TELLING: usize = 4;
/// Bytes that tell whether a mark is one: any bytes may begin like it, but no log lacks ASCII.
const TELLING_MARK: usize = 32;

impl Decoder {
    /// Takes in bytes, returns those that are readable so far.
    pub(super) fn push<'a>(&mut self, bytes: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        match self.encoding {
            Some(Encoding::Bytes) => bytes.into(),
            Some(_) => self.units(bytes).into(),
            None => {
                self.held.extend_from_slice(bytes);
                let is_marked = matches!(self.held.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
                let needed = if is_marked { TELLING_MARK } else { TELLING };
                if self.held.len() < needed { Vec::new().into() } else { self.begin().into() }
            }
        }
    }

    /// What is held back as long as nobody knows the encoding.
    pub(super) fn held(&self) -> &[u8] {
        if self.encoding.is_none() { &self.held } else { &[] }
    }

    /// What was held back, at the end of the log.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut rest = if self.encoding.is_none() { self.begin() } else { Vec::new() };
        if self.high.take().is_some() || !self.held.is_empty() {
            self.held.clear();
            rest.extend_from_slice("\u{fffd}".as_bytes());
        }
        rest
    }

    fn begin(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let encoding = match held.as_slice() {
            [0xff, 0xfe, rest @ ..] if has_ascii(rest, 1) => Encoding::LittleEndian,
            [0xfe, 0xff, rest @ ..] if has_ascii(rest, 0) => Encoding::BigEndian,
            // Without a mark: two characters of ASCII.
            [1..=0x7f, 0, 1..=0x7f, 0, ..] => Encoding::LittleEndian,
            [0, 1..=0x7f, 0, 1..=0x7f, ..] => Encoding::BigEndian,
            _ => Encoding::Bytes,
        };
        self.encoding = Some(encoding);
        if encoding == Encoding::Bytes { held } else { self.units(&held) }
    }

    fn units(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let whole = self.held.len() / 2 * 2;
        let little = self.encoding == Some(Encoding::LittleEndian);
        let unit = |pair: &[u8]| match little {
            true => u16::from_le_bytes([pair[0], pair[1]]),
            false => u16::from_be_bytes([pair[0], pair[1]]),
        };
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        units.extend(self.held[..whole].chunks_exact(2).map(unit));
        self.held.drain(..whole);
        if units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
            self.high = units.pop();
        }
        String::from_utf16_lossy(&units).into_bytes()
    }
}

/// Whether one of the pairs has a zero at `place` and a character of ASCII beside it.
fn has_ascii(bytes: &[u8], place: usize) -> bool {
    let mut pairs = bytes.chunks_exact(2);
    bytes.is_empty() || pairs.any(|pair| pair[place] == 0 && (1..0x80).contains(&pair[1 - place]))
}

/// A line without control sequences and byte order marks; several where the cursor went elsewhere.
pub(super) fn plain(line: &[u8]) -> String {
    let text = decode(line);
    let text = text.trim_start_matches('\u{feff}');
    if !text.contains(['\u{1b}', '\u{9b}', '\u{9d}', '\u{90}', '\u{98}', '\u{9e}', '\u{9f}']) {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '\u{1b}' => escape(after, &mut plain),
            '\u{9b}' => control_sequence(after, &mut plain),
            '\u{9d}' | '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => control_string(after),
            other => {
                plain.push(other);
                after
            }
        };
    }
    plain
}

/// Invalid UTF-8 is replaced, but for a lone `9b` that begins a colour of an 8-bit terminal.
fn decode(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        rest = &rest[chunk.valid().len() + chunk.invalid().len()..];
        match chunk.invalid() {
            [] => {}
            [0x9b] if begins_with_sequence(rest) => text.push('\u{9b}'),
            _ => text.push('\u{fffd}'),
        }
    }
    text
}

fn begins_with_sequence(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':' | b'?'));
    end.is_some_and(|end| bytes[end].is_ascii_alphabetic())
}

/// What follows ESC; returns what is left of the line.
fn escape<'a>(after: &'a str, plain: &mut String) -> &'a str {
    let mut characters = after.chars();
    match characters.next() {
        Some('[') => control_sequence(characters.as_str(), plain),
        Some(']' | 'P' | 'X' | '^' | '_') => control_string(characters.as_str()),
        // A character set (`ESC ( B`): anything between, then one final character.
        Some(' '..='/') => {
            let rest = characters.as_str().trim_start_matches(|c| (' '..='/').contains(&c));
            without_first(rest, |c| ('0'..='~').contains(&c))
        }
        Some('0'..='~') => characters.as_str(),
        _ => after,
    }
}

/// Parameters, anything between, one final character.
fn control_sequence<'a>(after: &'a str, plain: &mut String) -> &'a str {
    let rest = after.trim_start_matches(|c| ('0'..='?').contains(&c));
    let rest = rest.trim_start_matches(|c| (' '..='/').contains(&c));
    match rest.chars().next() {
        // Another row, another column, or the same column anew: what follows was no neighbour.
        Some('A' | 'B' | 'D'..='H' | '`' | 'd' | 'f') => plain.push('\n'),
        Some('C' | 'a') => plain.push(' '),
        _ => {}
    }
    without_first(rest, |c| ('@'..='~').contains(&c))
}

/// A text up to its end (BEL or ST); if it has none in this line, only its beginning was one.
fn control_string(after: &str) -> &str {
    let ends = ["\u{7}", "\u{1b}\\", "\u{9c}"];
    let found = ends.iter().filter_map(|end| Some((after.find(end)?, end.len()))).min();
    found.map_or(after, |(place, length)| &after[place + length..])
}

fn without_first(text: &str, is_final: impl Fn(char) -> bool) -> &str {
    text.strip_prefix(is_final).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_no_part_of_a_line() {
        let cases: [(&[u8], &str); 12] = [
            (b"\x1b[32m[03/31 14:01:33 d2]: \x1b[0m iter: 19", "[03/31 14:01:33 d2]:  iter: 19"),
            (b"\x1b[38;5;1;4mred\x1b[K", "red"),
            (b"\x1b]0;title\x07time: 1", "time: 1"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b]no end", "no end"),
            (b"\x1bPq#0\x1b\\sixel", "sixel"),
            (b"\x1b(B\x1b[mreset\x1b=", "reset"),
            (b"\x9b1mbold\x9b0m", "bold"),
            ("\u{9b}31mred\u{9d}0;t\u{9c}!".as_bytes(), "red!"),
            (b"loss \x9b 0.5", "loss \u{fffd} 0.5"),
            (b"a\x1b[2Cb\x1b[1G10%\x1b[32", "a b\n10%"),
            (b"\xef\xbb\xbftime: 1", "time: 1"),
        ];
        for (line, expected) in cases {
            assert_eq!(plain(line), expected, "{line:?}");
        }
    }

    #[test]
    fn utf_16_is_read_with_and_without_its_mark_whatever_pieces_it_comes_in() {
        let text = "time: 1\n損失 \u{1f600}\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [&[0xff, 0xfe][..], &little].concat();
        for bytes in [little, big, marked, text.as_bytes().to_vec()] {
            for size in [1, 3, 1000] {
                let mut decoder = Decoder::default();
                let mut read = Vec::new();
                bytes.chunks(size).for_each(|piece| read.extend_from_slice(&decoder.push(piece)));
                read.extend(decoder.finish());
                assert_eq!(String::from_utf8(read).unwrap().trim_start_matches('\u{feff}'), text);
            }
        }
    }
}
