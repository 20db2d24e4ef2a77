//! Reads files that a person named, or that lie where a person put them.
//!
//! A pipe would make the program wait for ever, and a device such as `/dev/zero` never ends: only
//! regular files are read, and texts only up to a size that no text of ours comes near.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Bytes of the longest text (a recipe, a lock, a manifest of a data set with a million files).
const LONGEST_TEXT: u64 = 1 << 30;

/// Opens a regular file; anything else is an error that says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    // Without `NONBLOCK` it is the opening of a pipe that waits.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    let found = match kind {
        _ if kind.is_file() => return Ok(file),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no regular file",
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("a regular file is needed, this is {found}"),
    ))
}

/// Reads a regular file of at most a gigabyte.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    let too_long = || {
        let text = format!("a text of at most {LONGEST_TEXT} bytes is needed");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    if size > LONGEST_TEXT {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // It may grow meanwhile, and files of `/proc` say that they are empty.
    file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_TEXT { Err(too_long()) } else { Ok(bytes) }
}

/// Reads a text.
pub fn read_text(path: &Path) -> io::Result<String> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is no text in UTF-8");
    String::from_utf8(read(path)?).map_err(no_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, zero, file) =
            (folder.path().join("pipe"), folder.path().join("zero"), folder.path().join("file"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
        std::fs::write(&file, "text").unwrap();
        assert_eq!(read_text(&file).unwrap(), "text");
        for (path, found) in
            [(pipe.as_path(), "a pipe"), (&zero, "a device"), (folder.path(), "a folder")]
        {
            let error = read_text(path).unwrap_err().to_string();
            assert_eq!(error, format!("a regular file is needed, this is {found}"));
        }
        assert_eq!(read(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_text_beyond_all_measure_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        File::create(&path).unwrap().set_len(LONGEST_TEXT + 1).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("at most 1073741824 bytes"));
    }
}
