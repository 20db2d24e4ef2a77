//! Reads the outer form of a Debian package: an `ar` archive with `control.tar` and `data.tar`.
//!
//! See deb(5). What Debian and Ubuntu use is read: xz, gzip, zstd, or no compression.
//! Another one is refused by name.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use liblzma::read::XzDecoder;
use liblzma::stream::Stream;

use crate::layer::error::{LayerError, reading};
use crate::tarball;

/// A package whose members were found.
pub(super) struct Package<'a> {
    pub(super) file: &'a str,
    handle: &'a File,
    control: Member,
    data: Member,
}

#[derive(Clone)]
struct Member {
    name: String,
    offset: u64,
    size: u64,
}

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_SIZE: u64 = 60;

/// Memory for one xz decoder; `xz -9` needs 65 MiB, dpkg's default 9 MiB.
const XZ_MEMORY: u64 = 80 << 20;

/// Window of one zstd decoder, as a power of two in bytes: what `zstd -19` needs, and less than 1 GiB.
const ZSTD_WINDOW: u32 = 27;

/// A package has three members, and some have a signature.
const MEMBER_LIMIT: usize = 16;

/// The whole `control.tar` is no larger than this (bytes).
const CONTROL_ARCHIVE_LIMIT: u64 = 256 << 20;

/// A control file larger than this (bytes) is no control file.
const CONTROL_LIMIT: u64 = 1 << 20;

impl<'a> Package<'a> {
    /// Finds the members of the package in `handle`.
    pub(super) fn open(file: &'a str, handle: &'a File) -> Result<Self, LayerError> {
        let members = read_members(file, handle)?;
        let find = |prefix: &str| {
            let mut found = members.iter().filter(|member| member.name.starts_with(prefix));
            match (found.next(), found.next()) {
                (Some(member), None) => Ok(member.clone()),
                (None, _) => Err(refuse(file, format!("it has no {prefix} member"))),
                (Some(_), Some(_)) => Err(refuse(file, format!("it has two {prefix} members"))),
            }
        };
        let format = find("debian-binary")?;
        if members[0].name != "debian-binary" {
            return Err(refuse(file, "its first member is not `debian-binary`".to_owned()));
        }
        let mut version = vec![0; format.size.min(4) as usize];
        handle.read_exact_at(&mut version, format.offset).map_err(reading(file))?;
        if !version.starts_with(b"2.") {
            return Err(refuse(file, "its package format is not 2".to_owned()));
        }
        Ok(Self { file, handle, control: find("control.tar")?, data: find("data.tar")? })
    }

    /// Bytes of the compressed content.
    pub(super) fn data_size(&self) -> u64 {
        self.data.size
    }

    /// The uncompressed `data.tar`.
    pub(super) fn data(&self) -> Result<Box<dyn Read + 'a>, LayerError> {
        self.decoder(&self.data)
    }

    /// The text of the control file.
    pub(super) fn control(&self) -> Result<String, LayerError> {
        let mut archive = tarball::open(self.decoder(&self.control)?.take(CONTROL_ARCHIVE_LIMIT));
        for entry in archive.entries().map_err(reading(self.file))? {
            let entry = entry.map_err(|error| unusable(self.file, error))?;
            if !matches!(&*entry.path_bytes(), b"./control" | b"control") {
                continue;
            }
            let mut bytes = Vec::new();
            entry.take(CONTROL_LIMIT + 1).read_to_end(&mut bytes).map_err(reading(self.file))?;
            if bytes.len() as u64 > CONTROL_LIMIT {
                return Err(refuse(self.file, "its control file is larger than 1 MiB".to_owned()));
            }
            let text = String::from_utf8(bytes);
            return text.map_err(|_| refuse(self.file, "its control file is not UTF-8".to_owned()));
        }
        Err(refuse(self.file, "it has no control file".to_owned()))
    }

    fn decoder(&self, member: &Member) -> Result<Box<dyn Read + 'a>, LayerError> {
        let range = Range { handle: self.handle, offset: member.offset, left: member.size };
        let ending = member.name.split_once(".tar").map_or("", |(_, ending)| ending);
        match ending {
            "" => Ok(Box::new(range)),
            ".gz" => Ok(Box::new(flate2::read::MultiGzDecoder::new(range))),
            ".xz" => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0);
                let stream = stream.map_err(|error| reading(self.file)(error.into()))?;
                Ok(Box::new(XzDecoder::new_stream(range, stream)))
            }
            ".zst" => {
                let mut decoder =
                    zstd::stream::read::Decoder::new(range).map_err(reading(self.file))?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(reading(self.file))?;
                Ok(Box::new(decoder))
            }
            other => {
                let reason = format!(
                    "its `{}` is compressed as `{other}`; xz, gz, zst or none can be read",
                    member.name
                );
                Err(refuse(self.file, reason))
            }
        }
    }
}

fn read_members(file: &str, handle: &File) -> Result<Vec<Member>, LayerError> {
    let total = handle.metadata().map_err(reading(file))?.len();
    let mut magic = [0; 8];
    if total < 8 || handle.read_exact_at(&mut magic, 0).is_err() || &magic != MAGIC {
        return Err(refuse(file, "it is not a Debian package".to_owned()));
    }
    let mut members = Vec::new();
    let mut offset = 8;
    while offset + HEADER_SIZE <= total {
        let mut header = [0; HEADER_SIZE as usize];
        handle.read_exact_at(&mut header, offset).map_err(reading(file))?;
        let text = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(&header[range]).trim_end().to_owned()
        };
        let size =
            text(48..58).parse::<u64>().ok().filter(|size| *size <= total - offset - HEADER_SIZE);
        let (Some(size), b"`\n") = (size, &header[58..]) else {
            return Err(refuse(file, "it is damaged or cut off".to_owned()));
        };
        offset += HEADER_SIZE;
        if members.len() == MEMBER_LIMIT {
            return Err(refuse(file, format!("it has more than {MEMBER_LIMIT} members")));
        }
        // Some archivers end names with a slash.
        let name = text(0..16).trim_end_matches('/').to_owned();
        members.push(Member { name, offset, size });
        // Members begin at even offsets.
        offset += size + size % 2;
    }
    if members.is_empty() {
        return Err(refuse(file, "it has no members".to_owned()));
    }
    Ok(members)
}

/// What an archive inside a package says of itself is the package's fault, all else the system's.
pub(super) fn unusable(file: &str, error: io::Error) -> LayerError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::Other => refuse(file, error.to_string()),
        _ => reading(file)(error),
    }
}

pub(super) fn refuse(file: &str, reason: String) -> LayerError {
    LayerError::Package { file: file.to_owned(), reason }
}

/// Reads one range of a file.
struct Range<'a> {
    handle: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(buffer.len() as u64) as usize;
        let count = self.handle.read_at(&mut buffer[..most], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
