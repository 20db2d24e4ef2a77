//! Names of entries that are not UTF-8.

/// How an archive's names are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dataset) enum Encoding {
    /// Code page 437, which zip had before it had UTF-8.
    Cp437,
    /// One of the encodings of the web: GBK, Shift-JIS, Big5, windows-1252, …
    Web(&'static encoding_rs::Encoding),
}

/// The upper half of code page 437.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

impl Encoding {
    /// The encoding of this name, in whatever way it is written.
    pub(in crate::dataset) fn named(name: &str) -> Option<Self> {
        if matches!(name.to_ascii_lowercase().as_str(), "cp437" | "ibm437") {
            return Some(Self::Cp437);
        }
        encoding_rs::Encoding::for_label_no_replacement(name.as_bytes()).map(Self::Web)
    }

    fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Cp437 => {
                let upper = |byte: u8| CP437.chars().nth(usize::from(byte & 0x7f));
                let letter = |byte: &u8| match byte.is_ascii() {
                    true => Some(char::from(*byte)),
                    false => upper(*byte),
                };
                bytes.iter().map(letter).collect()
            }
            Self::Web(encoding) => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                text.map(|text| text.into_owned())
            }
        }
    }
}

/// The text of a name: of UTF-8 where the archive says so or nobody says otherwise, else of `encoding`.
pub(super) fn decode(
    bytes: &[u8],
    encoding: Option<Encoding>,
    says_utf8: bool,
) -> Result<String, String> {
    let Some(encoding) = encoding.filter(|_| !says_utf8 && !bytes.is_ascii()) else {
        let text = str::from_utf8(bytes).map(str::to_owned);
        return text.map_err(|_| {
            "its name is not UTF-8; `encoding` says which it is: \"gbk\", \"shift-jis\", \"cp437\""
                .to_owned()
        });
    };
    encoding.decode(bytes).ok_or_else(|| format!("its name cannot be read as {encoding:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_the_encoding_that_is_told() {
        let gbk: &[u8] = b"\xd1\xb5\xc1\xb7.txt";
        assert_eq!(decode(gbk, Encoding::named("GBK"), false).unwrap(), "训练.txt");
        assert!(decode(gbk, None, false).unwrap_err().contains("`encoding`"));
        // The second byte of this letter is a backslash.
        let japanese: &[u8] = b"\x95\x5c/a";
        assert_eq!(decode(japanese, Encoding::named("shift-jis"), false).unwrap(), "表/a");
        assert_eq!(decode(b"M\x81n\xff", Encoding::named("cp437"), false).unwrap(), "Mün\u{a0}");
        assert_eq!(decode("é".as_bytes(), None, false).unwrap(), "é");
        assert_eq!(decode("é".as_bytes(), Encoding::named("gbk"), true).unwrap(), "é");
        assert!(decode(b"\xff\xff", Encoding::named("gbk"), false).is_err());
        assert_eq!(Encoding::named("klingon"), None);
        assert_eq!(CP437.chars().count(), 128);
    }
}
