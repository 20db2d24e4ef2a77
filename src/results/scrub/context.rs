//! Whether something that looks like an address is one: what stands around it tells.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Words before a number with three dots that make it a version.
const OF_VERSIONS: [&str; 34] = [
    "version",
    "versions",
    "ver",
    "v",
    "release",
    "rel",
    "rev",
    "revision",
    "build",
    "cuda",
    "cudnn",
    "cublas",
    "nccl",
    "tensorrt",
    "driver",
    "firmware",
    "vbios",
    "bios",
    "toolkit",
    "toolchain",
    "runtime",
    "mkl",
    "mkldnn",
    "dnnl",
    "onednn",
    "oneapi",
    "openmp",
    "glibc",
    "gcc",
    "kernel",
    "python",
    "opencv",
    "java",
    "requires",
];

/// Anything that matches is one.
pub(super) fn always(_: &[u8], _: usize, _: usize) -> bool {
    true
}

fn before(text: &[u8], start: usize) -> Option<u8> {
    start.checked_sub(1).map(|at| text[at])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Neither a letter nor a digit touches it.
pub(super) fn is_whole_word(text: &[u8], start: usize, end: usize) -> bool {
    !before(text, start).is_some_and(is_word) && !text.get(end).copied().is_some_and(is_word)
}

/// The path begins and ends where names do.
pub(super) fn is_whole_path(text: &[u8], start: usize, end: usize) -> bool {
    let goes_on = |byte: u8| is_word(byte) || byte == b'-' || byte == b'.';
    let begins = before(text, start).is_none_or(|byte| !goes_on(byte) && byte != b'/');
    begins && text.get(end).is_none_or(|byte| !is_word(*byte) && *byte != b'-')
}

/// A folder of homes at the root, not somewhere inside another path.
pub(super) fn is_user_folder(text: &[u8], start: usize, end: usize) -> bool {
    let name = &text[start..end];
    let above = if text[..start].ends_with(b"/Users/") { 7 } else { 6 };
    let begins = before(text, start - above).is_none_or(|byte| !is_word(byte) && byte != b'.');
    begins && name != b"Shared"
}

/// Four numbers of a byte each, with nothing that makes them a version or a part of a name.
pub(super) fn is_address(text: &[u8], start: usize, end: usize) -> bool {
    let word = std::str::from_utf8(&text[start..end]).unwrap_or_default();
    let Ok(address) = word.parse::<Ipv4Addr>() else { return false };
    // They are the same everywhere.
    if address.is_loopback() || address.is_unspecified() || address.octets()[0] == 255 {
        return false;
    }
    let touches = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'-' | b'+' | b'~');
    if before(text, start).is_some_and(touches) {
        return false;
    }
    let after = |at: usize| text.get(end + at).copied();
    let goes_on = match after(0) {
        // The end of a sentence is no further number.
        Some(b'.') => after(1).is_some_and(is_word),
        Some(b'-' | b'+' | b'~') => after(1).is_some_and(is_word),
        Some(byte) => is_word(byte),
        None => false,
    };
    !goes_on && !follows_version_word(text, start)
}

/// Whether a comparison or a word of versions stands before it.
fn follows_version_word(text: &[u8], start: usize) -> bool {
    let line = text[..start].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let separators = |byte: &u8| b" \t:='\"(,[@/".contains(byte);
    let between = line.iter().rev().take_while(|byte| separators(byte)).count();
    let (line, signs) = line.split_at(line.len() - between);
    if signs.windows(2).any(|pair| pair == b"==") || line.ends_with(b"<") || line.ends_with(b">") {
        return true;
    }
    if line.ends_with(b"~") || line.ends_with(b"!") {
        return true;
    }
    // A name of several parts counts by its last: `CUDA_VERSION`, but `spark.driver.host`.
    let parts = |byte: &&u8| byte.is_ascii_alphanumeric();
    let length = line.iter().rev().take_while(parts).count();
    let word = String::from_utf8_lossy(&line[line.len() - length..]).to_lowercase();
    let is_url = signs.contains(&b'/');
    !is_url && OF_VERSIONS.contains(&word.as_str())
}

/// An address of version 6 that machines get: not `::`, not a name in C++ that happens to be all hexadecimal.
pub(super) fn is_address_6(text: &[u8], start: usize, end: usize) -> bool {
    let word = std::str::from_utf8(&text[start..end]).unwrap_or_default();
    let Ok(address) = word.parse::<Ipv6Addr>() else { return false };
    if !is_whole_word(text, start, end) || address.is_loopback() || address.is_unspecified() {
        return false;
    }
    let groups = word.split(':').filter(|group| !group.is_empty()).count();
    let first = address.segments()[0];
    let is_given = matches!(first, 0xfe80..=0xfebf | 0xfc00..=0xfdff | 0x2000..=0x3fff);
    groups == 8 || is_given && (groups >= 2 || word.contains("::"))
}

/// Pairs that no further pair or word touches.
pub(super) fn is_hardware(text: &[u8], start: usize, end: usize) -> bool {
    let touches = |byte: u8| is_word(byte) || byte == b':' || byte == b'-';
    let is_zero = text[start..end].iter().all(|byte| matches!(byte, b'0' | b':' | b'-'));
    !before(text, start).is_some_and(touches)
        && !text.get(end).copied().is_some_and(touches)
        && !is_zero
}

/// Something with letters and digits: `token: 12345678` is a count, `password: optional` a word.
pub(super) fn is_secret(text: &[u8], start: usize, end: usize) -> bool {
    let it = &text[start..end];
    let begins = before(text, start).is_none_or(|byte| !is_word(byte));
    begins && it.iter().any(u8::is_ascii_alphabetic) && it.iter().any(u8::is_ascii_digit)
}

/// Not the user in the address of a repository: `git@github.com:owner/name`.
pub(super) fn is_mail(text: &[u8], start: usize, end: usize) -> bool {
    let it = &text[start..end];
    !it.starts_with(b"git@") && !before(text, start).is_some_and(is_word)
}

/// Not the name that every sealed job has.
pub(super) fn is_host(text: &[u8], start: usize, end: usize) -> bool {
    !matches!(&text[start..end], b"repro" | b"localhost")
}
