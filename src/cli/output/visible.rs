//! Text that comes from elsewhere, made harmless for a terminal.
//!
//! Titles, names and reasons come out of records and bundles, and a job may have chosen them. A terminal
//! obeys control characters, and bidirectional controls let a text look like another one. So whatever is
//! printed shows them as `\u{1b}`. Line ends, tabs and the colours of this program stay.

/// The sequences that this program itself makes: bold, dim, a colour, and the end of each.
const OWN: [&str; 11] = [
    "\u{1b}[0m",
    "\u{1b}[1m",
    "\u{1b}[2m",
    "\u{1b}[3m",
    "\u{1b}[4m",
    "\u{1b}[31m",
    "\u{1b}[32m",
    "\u{1b}[33m",
    "\u{1b}[34m",
    "\u{1b}[35m",
    "\u{1b}[36m",
];

/// `text` as a terminal may have it.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_styled = false;
    while let Some(at) = rest.find(is_hidden) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(style) = OWN.iter().find(|style| rest.starts_with(**style)) {
            is_styled = *style != OWN[0];
            shown.push_str(style);
            rest = &rest[style.len()..];
            continue;
        }
        let letter = rest.chars().next().unwrap_or_default();
        shown.extend(letter.escape_unicode());
        rest = &rest[letter.len_utf8()..];
    }
    shown.push_str(rest);
    if is_styled {
        // A style that came with the text ends with it.
        shown.push_str(OWN[0]);
    }
    shown
}

/// The same for a JSON document, in the way that JSON writes such characters.
pub fn visible_in_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_hidden(letter) {
            // All of them lie in the first plane.
            true => shown.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => shown.push(letter),
        }
    }
    shown
}

/// Whether a terminal obeys the character instead of showing it, or moves what stands around it.
fn is_hidden(letter: char) -> bool {
    let is_bidi = matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let is_line_end = matches!(letter, '\u{2028}' | '\u{2029}');
    (letter.is_control() && !matches!(letter, '\n' | '\t')) || is_bidi || is_line_end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        for (text, shown) in [
            ("a\u{1b}]0;title\u{7}b", "a\\u{1b}]0;title\\u{7}b"),
            ("\u{1b}[2J\u{1b}[H", "\\u{1b}[2J\\u{1b}[H"),
            ("\u{9b}2J\u{9d}0;t\u{9c}", "\\u{9b}2J\\u{9d}0;t\\u{9c}"),
            ("ok\r\u{8}failed\u{7f}", "ok\\u{d}\\u{8}failed\\u{7f}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
            ("\u{1b}[8mhidden", "\\u{1b}[8mhidden"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn colours_of_this_program_stay_and_end_with_the_text() {
        let text = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m a\tb\n図像 ± 1\n";
        assert_eq!(visible(text), text);
        assert_eq!(visible("\u{1b}[32mok"), "\u{1b}[32mok\u{1b}[0m");
    }

    #[test]
    fn a_json_document_says_the_same_as_before() {
        let text = "{\n  \"a\": \"\u{9b}2J\u{202e}\u{7f} é\"\n}";
        let shown = visible_in_json(text);
        assert!(shown.contains("\\u009b2J\\u202e\\u007f é"), "{shown}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&shown), read(text));
    }
}
