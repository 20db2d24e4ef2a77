//! Walks a plan and makes a layer's bytes: the tar stream, the compressed blob, or both at once.
//!
//! One walk serves every purpose, so that what is measured, proven, exported and
//! unpacked cannot differ. Memory is bounded by a few buffers, whatever the size of
//! the layer.

use std::io::{self, Write};
use std::thread;

use super::error::LayerError;
use super::gzip::{self, MemberWriter, StoredMember};
use super::plan::{Body, Coding, LayerPlan, Source};
use super::sources::Sources;
use super::tar;

/// Where the bytes go; what nobody wants is not made.
pub(super) struct Outputs<'a> {
    /// The uncompressed tar stream.
    pub(super) tar: Option<&'a mut (dyn Write + Send)>,
    /// The compressed bytes.
    pub(super) blob: Option<&'a mut (dyn Write + Send)>,
}

/// Stored bytes are held back until a copied stream follows or there are this many, so that
/// neighbours share a member. The number decides where members begin: part of the epoch.
const STORED_RUN: u64 = 1 << 20;

/// Makes the bytes of `plan`; the number of threads decides only how long it takes.
pub(super) fn run(
    plan: &LayerPlan,
    sources: &mut Sources,
    threads: usize,
    outputs: Outputs<'_>,
) -> Result<(), LayerError> {
    match (plan.coding, outputs) {
        (Coding::Copied, outputs) => {
            let mut copier = Copier { sources, outputs, run: Vec::new(), run_size: 0 };
            plan.walk(&mut copier)
        }
        (Coding::Compressed, Outputs { tar, blob: None }) => {
            plan.walk(&mut Plain { sources, tar, members: None::<MemberWriter<io::Sink>> })
        }
        (Coding::Compressed, Outputs { tar, blob: Some(blob) }) => thread::scope(|scope| {
            let members = Some(MemberWriter::start(scope, threads, blob));
            plan.walk(&mut Plain { sources, tar, members })
        }),
    }
}

/// What a walk is made of.
enum Piece<'a> {
    /// Headers and padding.
    Bytes(Vec<u8>),
    /// Content of the file at a path.
    Content(&'a str, &'a Source),
}

/// Takes the tar stream piece by piece.
trait Walker<'a> {
    fn piece(&mut self, piece: Piece<'a>) -> Result<(), LayerError>;
    fn finish(&mut self) -> Result<(), LayerError>;
}

impl LayerPlan {
    fn walk<'a>(&'a self, walker: &mut impl Walker<'a>) -> Result<(), LayerError> {
        for entry in &self.entries {
            walker.piece(Piece::Bytes(tar::header(&entry.path, &entry.body)))?;
            if let Body::File { source, .. } = &entry.body {
                walker.piece(Piece::Content(&entry.path, source))?;
                walker.piece(Piece::Bytes(vec![0; tar::padding(source.size())]))?;
            }
        }
        walker.piece(Piece::Bytes(tar::END.to_vec()))?;
        walker.finish()
    }
}

/// Everything goes through the compressor.
struct Plain<'s, 'o, W> {
    sources: &'s mut Sources,
    tar: Option<&'o mut (dyn Write + Send)>,
    members: Option<MemberWriter<W>>,
}

impl<'a, W: Write> Walker<'a> for Plain<'_, '_, W> {
    fn piece(&mut self, piece: Piece<'a>) -> Result<(), LayerError> {
        let Self { sources, tar, members } = self;
        let mut write = |bytes: &[u8]| {
            if let Some(tar) = tar {
                tar.write_all(bytes)?;
            }
            members.as_mut().map_or(Ok(()), |members| members.write_all(bytes))
        };
        match piece {
            Piece::Bytes(bytes) => write(&bytes).map_err(LayerError::Write),
            Piece::Content(path, source) => sources.content(path, source, &mut write),
        }
    }

    fn finish(&mut self) -> Result<(), LayerError> {
        self.members.take().map_or(Ok(()), MemberWriter::finish).map_err(LayerError::Write)
    }
}

/// Compressed streams are copied; what lies between them is stored.
struct Copier<'a, 's, 'o> {
    sources: &'s mut Sources,
    outputs: Outputs<'o>,
    run: Vec<Piece<'a>>,
    run_size: u64,
}

impl<'a> Walker<'a> for Copier<'a, '_, '_> {
    fn piece(&mut self, piece: Piece<'a>) -> Result<(), LayerError> {
        match piece {
            Piece::Content(path, source @ Source::Deflated { .. }) => {
                self.store()?;
                self.copy(path, source)
            }
            piece => {
                self.run_size += match &piece {
                    Piece::Bytes(bytes) => bytes.len() as u64,
                    Piece::Content(_, source) => source.size(),
                };
                self.run.push(piece);
                if self.run_size < STORED_RUN { Ok(()) } else { self.store() }
            }
        }
    }

    fn finish(&mut self) -> Result<(), LayerError> {
        self.store()
    }
}

impl Copier<'_, '_, '_> {
    /// Writes what was held back as one member.
    fn store(&mut self) -> Result<(), LayerError> {
        let run = std::mem::take(&mut self.run);
        let size = std::mem::take(&mut self.run_size);
        if size == 0 {
            return Ok(());
        }
        let Outputs { tar, blob } = &mut self.outputs;
        let member = blob.as_mut().map(|blob| StoredMember::begin(blob, size)).transpose();
        let mut member = member.map_err(LayerError::Write)?;
        let mut write = |bytes: &[u8]| {
            if let Some(tar) = tar {
                tar.write_all(bytes)?;
            }
            member.as_mut().map_or(Ok(()), |member| member.write(bytes))
        };
        for piece in run {
            match piece {
                Piece::Bytes(bytes) => write(&bytes).map_err(LayerError::Write)?,
                Piece::Content(path, source) => self.sources.content(path, source, &mut write)?,
            }
        }
        member.map_or(Ok(()), StoredMember::finish).map_err(LayerError::Write)
    }

    /// Writes a member around a stream that somebody else compressed.
    fn copy(&mut self, path: &str, source: &Source) -> Result<(), LayerError> {
        let &Source::Deflated { input, offset, length, size, crc } = source else { return Ok(()) };
        let Outputs { tar, blob } = &mut self.outputs;
        let mut to_blob = |bytes: &[u8]| blob.as_mut().map_or(Ok(()), |blob| blob.write_all(bytes));
        to_blob(&gzip::HEADER).map_err(LayerError::Write)?;
        match tar {
            Some(tar) => self
                .sources
                .copied(path, source, &mut to_blob, &mut |bytes| tar.write_all(bytes))?,
            None => self.sources.range(input, offset, length, &mut to_blob)?,
        }
        to_blob(&gzip::trailer(crc, size)).map_err(LayerError::Write)
    }
}
