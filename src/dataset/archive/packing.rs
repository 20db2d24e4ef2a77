//! How a file is packed, by the end of its name.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// In no way that anybody knows: a picture, a table, weights.
    Plain,
    Zip,
    Tar(Coder),
    /// One compressed file.
    Single(Coder),
    /// In a way that is not read here.
    Unknown,
}

/// What compressed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coder {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// Memory for one xz decoder; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 80 << 20;

/// The ends of names; of two that fit the first counts.
const ENDS: [(&str, Packing); 17] = [
    (".zip", Packing::Zip),
    (".tar", Packing::Tar(Coder::None)),
    (".tar.gz", Packing::Tar(Coder::Gzip)),
    (".tgz", Packing::Tar(Coder::Gzip)),
    (".tar.bz2", Packing::Tar(Coder::Bzip2)),
    (".tbz2", Packing::Tar(Coder::Bzip2)),
    (".tbz", Packing::Tar(Coder::Bzip2)),
    (".tar.xz", Packing::Tar(Coder::Xz)),
    (".txz", Packing::Tar(Coder::Xz)),
    (".tar.zst", Packing::Tar(Coder::Zstd)),
    (".tzst", Packing::Tar(Coder::Zstd)),
    (".gz", Packing::Single(Coder::Gzip)),
    (".bz2", Packing::Single(Coder::Bzip2)),
    (".xz", Packing::Single(Coder::Xz)),
    (".zst", Packing::Single(Coder::Zstd)),
    (".7z", Packing::Unknown),
    (".rar", Packing::Unknown),
];

/// How a file of this name is packed, and the name without the end that says so.
pub(super) fn packing_of(name: &str) -> (Packing, &str) {
    let fits = |end: &str| {
        let start = name.len().checked_sub(end.len()).filter(|start| *start > 0)?;
        let (stem, found) = name.split_at_checked(start)?;
        found.eq_ignore_ascii_case(end).then_some(stem)
    };
    let found = ENDS.iter().find_map(|(end, packing)| Some((*packing, fits(end)?)));
    found.unwrap_or((Packing::Plain, name))
}

impl Coder {
    /// The uncompressed content of `packed`; several streams after one another are one content, as to
    /// `gzip`, `bzip2`, `xz` and `zstd`.
    pub(super) fn reader<'r>(self, packed: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::None => Box::new(packed),
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(packed, stream))
            }
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_tells_the_packing_in_capitals_too() {
        for (name, packing, stem) in [
            ("A.ZIP", Packing::Zip, "A"),
            ("a.b.Tar.Gz", Packing::Tar(Coder::Gzip), "a.b"),
            ("train-images-idx3-ubyte.gz", Packing::Single(Coder::Gzip), "train-images-idx3-ubyte"),
            ("a.tar.zst", Packing::Tar(Coder::Zstd), "a"),
            ("weights.pth", Packing::Plain, "weights.pth"),
            (".gz", Packing::Plain, ".gz"),
            ("ü.xz", Packing::Single(Coder::Xz), "ü"),
            ("a.7z", Packing::Unknown, "a"),
        ] {
            assert_eq!(packing_of(name), (packing, stem), "{name}");
        }
    }
}
