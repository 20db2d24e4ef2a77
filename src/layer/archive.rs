//! Tar headers for others: an exported image is an archive too, and no other code writes tar.

use super::plan::{Body, Source};
use super::tar;

/// The header of a regular file of `size` bytes in an archive, by the rules of the epoch.
///
/// Content follows, filled up to a whole block of 512 bytes.
pub fn archive_header(path: &str, size: u64) -> Vec<u8> {
    header(path, size, false)
}

/// As [`archive_header`], for a program.
pub fn archive_program_header(path: &str, size: u64) -> Vec<u8> {
    header(path, size, true)
}

fn header(path: &str, size: u64, executable: bool) -> Vec<u8> {
    let source = Source::Stored { input: 0, offset: 0, size, crc: 0 };
    tar::header(path, &Body::File { executable, source })
}
