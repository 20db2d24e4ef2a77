//! Tar headers, the only place that makes them.
//!
//! Ustar with PAX records where ustar cannot say it: a path or link target over
//! 100 bytes or other than ASCII, a size of 8 GiB or more. Every time is
//! [`MTIME`], every owner 0, no names of owners, no extended attributes, no
//! devices. The modes are 0644 and 0755, but for three folders whose mode a
//! system depends on. All of it belongs to the format epoch.

use super::plan::Body;

/// Time of every entry, 1980-01-01: zip files, and Python's `zipfile` with them, know no
/// earlier one.
pub const MTIME: u64 = 315_532_800;

/// Tar counts in blocks of this many bytes.
const BLOCK: usize = 512;

/// Two blocks of zeros end an archive (POSIX.1-2017, `pax`, "ustar Interchange Format").
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Name of every PAX header: a reader that knows no PAX shows it, others never do.
const PAX_NAME: &str = "././@PaxHeader";

/// The largest size that eleven octal digits hold.
const OCTAL_LIMIT: u64 = (1 << 33) - 1;

/// Permission bits of an entry.
pub(super) fn mode(path: &str, body: &Body) -> u32 {
    match body {
        Body::Directory => directory_mode(path),
        Body::File { executable: true, .. } => 0o755,
        Body::File { .. } => 0o644,
        Body::Symlink(_) => 0o777,
        Body::HardLink { executable, .. } => {
            if *executable {
                0o755
            } else {
                0o644
            }
        }
    }
}

/// Permission bits of the directory at a path without slashes at its ends.
pub fn directory_mode(path: &str) -> u32 {
    match path {
        "tmp" | "var/tmp" => 0o1777,
        "root" => 0o700,
        _ => 0o755,
    }
}

/// The header blocks of one entry: PAX records, if any, then the entry's own block.
pub(super) fn header(path: &str, body: &Body) -> Vec<u8> {
    let (kind, target, size) = match body {
        Body::Directory => (b'5', "", 0),
        Body::File { source, .. } => (b'0', "", source.size()),
        Body::Symlink(target) => (b'2', target.as_str(), 0),
        Body::HardLink { target, .. } => (b'1', target.as_str(), 0),
    };
    // Readers know a directory by its type; the slash is what every archiver writes.
    let name = if kind == b'5' { format!("{path}/") } else { path.to_owned() };
    let records = pax_records(&name, target, size);
    let mut blocks = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        blocks.extend(block(PAX_NAME, "", b'x', 0o644, records.len() as u64));
        blocks.extend(&records);
        blocks.resize(blocks.len() + padding(records.len() as u64), 0);
    }
    blocks.extend(block(&name, target, kind, mode(path, body), size));
    blocks
}

/// The number of zeros after content of this size.
pub(super) fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn pax_records(name: &str, target: &str, size: u64) -> Vec<u8> {
    let mut records = Vec::new();
    let fits = |text: &str| text.len() <= 100 && text.is_ascii();
    if !fits(target) {
        records.extend(pax_record("linkpath", target));
    }
    if !fits(name) {
        records.extend(pax_record("path", name));
    }
    if size > OCTAL_LIMIT {
        records.extend(pax_record("size", &size.to_string()));
    }
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

fn block(name: &str, target: &str, kind: u8, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put_text(&mut block[0..100], name);
    put_octal(&mut block[100..108], u64::from(mode));
    put_octal(&mut block[108..116], 0);
    put_octal(&mut block[116..124], 0);
    // A size that does not fit stands in a PAX record, which wins.
    put_octal(&mut block[124..136], if size > OCTAL_LIMIT { 0 } else { size });
    put_octal(&mut block[136..148], MTIME);
    block[156] = kind;
    put_text(&mut block[157..257], target);
    block[257..263].copy_from_slice(b"ustar\0");
    block[263..265].copy_from_slice(b"00");
    put_octal(&mut block[329..337], 0);
    put_octal(&mut block[337..345], 0);
    // The checksum is taken over the block with spaces in its place.
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put_octal(&mut block[148..155], sum);
    block
}

/// Fills with what ustar can say; the whole text is in a PAX record then.
fn put_text(field: &mut [u8], text: &str) {
    let ascii = text.bytes().map(|byte| if byte.is_ascii() { byte } else { b'?' });
    field.iter_mut().zip(ascii).for_each(|(place, byte)| *place = byte);
}

/// Leading zeros and a closing NUL.
fn put_octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    field[..width].copy_from_slice(digits.as_bytes());
    field[width] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::plan::Source;

    fn file(size: usize) -> Body {
        Body::File { executable: false, source: Source::Literal(vec![b'x'; size]) }
    }

    fn archive(entries: &[(&str, Body)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (path, body) in entries {
            bytes.extend(header(path, body));
            if let Body::File { source: Source::Literal(content), .. } = body {
                bytes.extend(content);
                bytes.resize(bytes.len() + padding(content.len() as u64), 0);
            }
        }
        bytes.extend(END);
        bytes
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an archive of our own")]
    fn another_reader_finds_what_was_written() {
        let long = format!("a/{}/{}", "b".repeat(90), "c".repeat(90));
        let entries = [
            ("tmp", Body::Directory),
            ("root", Body::Directory),
            ("é", Body::Symlink("tmp".to_owned())),
            (long.as_str(), file(513)),
            ("z", Body::HardLink { target: long.clone(), executable: true }),
        ];
        let bytes = archive(&entries);
        let mut reader = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in reader.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), MTIME);
            let path = entry.path().unwrap().display().to_string();
            let target = entry.link_name().unwrap().map(|link| link.display().to_string());
            found.push((path, header.mode().unwrap(), entry.size(), target));
        }
        let expected = [
            ("tmp/".to_owned(), 0o1777, 0, None),
            ("root/".to_owned(), 0o700, 0, None),
            ("é".to_owned(), 0o777, 0, Some("tmp".to_owned())),
            (long.clone(), 0o644, 513, None),
            ("z".to_owned(), 0o755, 0, Some(long.clone())),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pax_record_counts_its_own_length() {
        assert_eq!(
            pax_record("path", &"x".repeat(90)),
            format!("99 path={}\n", "x".repeat(90)).as_bytes()
        );
        // Both 99 + 2 and 99 + 3 digits are tried where the number of digits changes.
        let record = pax_record("path", &"x".repeat(91));
        assert_eq!(record.len().to_string().as_bytes(), &record[..3]);
    }

    #[test]
    fn a_size_of_8_gib_stands_in_a_record() {
        let at = |size| {
            let source = Source::Stored { input: 0, offset: 0, size, crc: 0 };
            header("f", &Body::File { executable: false, source })
        };
        assert_eq!(at(OCTAL_LIMIT).len(), BLOCK);
        let large = at(OCTAL_LIMIT + 1);
        assert_eq!(large.len(), 3 * BLOCK);
        assert!(large[BLOCK..].starts_with(b"19 size=8589934592\n"));
    }

    #[test]
    fn the_header_of_a_small_file_is_the_published_layout() {
        let block = header("a", &file(1));
        assert_eq!(
            &block[100..148],
            b"0000644\x000000000\x000000000\x0000000000001\x0002263523000\x00".as_slice()
        );
        assert_eq!(&block[148..157], b"007366\x00 0".as_slice());
    }
}
