//! One layer of an image, and where its bytes come from.

use std::io::{self, BufReader, Read, Write};

use flate2::read::MultiGzDecoder;

use super::ImageError;
use super::manifest::{LayerDescriptor, layer_type};
use crate::digest::{DiffId, Digest};
use crate::layer::LayerPlan;
use crate::lock::Compression;
use crate::store::Store;

/// Bytes copied at once.
const PIECE: usize = 256 << 10;

/// One layer of an image: its descriptor and what its bytes are streamed from.
#[derive(Debug, Clone)]
pub struct ImageLayer {
    /// What it holds, in a reader's words.
    pub origin: String,
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Compressed bytes.
    pub size: u64,
    /// How to come by its bytes.
    pub content: Content,
}

/// Where a layer's bytes come from.
#[derive(Debug, Clone)]
pub enum Content {
    /// Made from inputs whenever somebody needs them.
    Plan(LayerPlan),
    /// A layer of a registry's image: a blob of the store, as the registry has it. An image is whole
    /// without it until somebody needs its bytes.
    Base(Compression),
}

impl ImageLayer {
    /// How its bytes are compressed.
    pub fn compression(&self) -> Compression {
        match &self.content {
            Content::Plan(_) => Compression::Gzip,
            Content::Base(compression) => *compression,
        }
    }

    /// Its media type (OCI image specification).
    pub fn media_type(&self) -> &'static str {
        layer_type(self.compression())
    }

    /// The plan, unless it is a layer of a registry's image.
    pub fn plan(&self) -> Option<&LayerPlan> {
        match &self.content {
            Content::Plan(plan) => Some(plan),
            Content::Base(_) => None,
        }
    }

    /// Whether its bytes can be had from the store.
    pub fn is_present(&self, store: &Store) -> bool {
        matches!(self.content, Content::Plan(_)) || store.has(&self.digest)
    }

    /// Writes the uncompressed tar stream.
    ///
    /// # Errors
    ///
    /// [`ImageError::MissingLayer`] for a layer of a base that was never fetched.
    pub fn write_tar(&self, store: &Store, out: &mut (dyn Write + Send)) -> Result<(), ImageError> {
        match &self.content {
            Content::Plan(plan) => Ok(plan.write_tar(store, out)?),
            Content::Base(compression) => {
                let blob = BufReader::with_capacity(PIECE, self.open(store)?);
                let tar: Box<dyn Read> = match compression {
                    Compression::None => Box::new(blob),
                    Compression::Gzip => Box::new(MultiGzDecoder::new(blob)),
                    Compression::Zstd => Box::new(
                        zstd::stream::read::Decoder::with_buffer(blob)
                            .map_err(|source| self.unreadable(source))?,
                    ),
                };
                self.copy(tar, out)
            }
        }
    }

    /// Writes the compressed bytes; whoever must be sure compares the digest of what was written.
    ///
    /// # Errors
    ///
    /// [`ImageError::MissingLayer`] for a layer of a base that was never fetched.
    pub fn write_blob(
        &self,
        store: &Store,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ImageError> {
        match &self.content {
            Content::Plan(plan) => Ok(plan.write_blob(store, out)?),
            Content::Base(_) => self.copy(self.open(store)?, out),
        }
    }

    /// It as the manifest and the configuration name it.
    pub fn descriptor(&self) -> LayerDescriptor {
        LayerDescriptor {
            origin: self.origin.clone(),
            diff_id: self.diff_id,
            digest: self.digest,
            size: self.size,
            compression: self.compression(),
        }
    }

    fn open(&self, store: &Store) -> Result<std::fs::File, ImageError> {
        if !store.has(&self.digest) {
            let (origin, digest) = (self.origin.clone(), self.digest);
            return Err(ImageError::MissingLayer { origin, digest });
        }
        Ok(store.open_blob(&self.digest)?)
    }

    fn copy(&self, mut from: impl Read, out: &mut (dyn Write + Send)) -> Result<(), ImageError> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => return out.flush().map_err(ImageError::Pass),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.unreadable(source)),
            };
            out.write_all(&buffer[..count]).map_err(ImageError::Pass)?;
        }
    }

    fn unreadable(&self, source: io::Error) -> ImageError {
        ImageError::BaseLayer { digest: self.digest, source }
    }
}
