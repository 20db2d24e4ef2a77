//! Where an image's documents and layers are: the store, or an OCI layout as folder or archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::DiffError;
use super::picture::Layer;
use crate::digest::Digest;
use crate::image::{Image, MANIFEST_TYPE};
use crate::store::Store;
use crate::tarball;

/// Manifests and configurations are small; an index that claims more is none.
const LARGEST_DOCUMENT: u64 = 64 << 20;

/// Where an image is.
#[derive(Debug)]
pub enum Place<'a> {
    /// In the store; its layers are made when they are read.
    Store {
        /// The store.
        store: &'a Store,
        /// The image.
        image: Box<Image>,
    },
    /// In an OCI layout.
    Layout(Layout),
}

/// An OCI layout.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    /// Offset and size of each file of an archive; `None` for a folder.
    files: Option<BTreeMap<String, (u64, u64)>>,
}

impl Layout {
    /// Opens a folder or a tar archive.
    pub fn open(path: &Path) -> Result<Self, DiffError> {
        if path.is_dir() {
            return Ok(Self { path: path.to_owned(), files: None });
        }
        let wrong = |error: io::Error| DiffError::NotALayout {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let file = File::open(path).map_err(at("open", path))?;
        let mut archive = tarball::open(BufReader::new(file));
        let mut files = BTreeMap::new();
        // Content is passed over by seeking.
        for entry in archive.entries_with_seek().map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.trim_start_matches("./").to_owned();
            files.insert(name, (entry.raw_file_position(), entry.size()));
        }
        Ok(Self { path: path.to_owned(), files: Some(files) })
    }

    fn open_file(&self, name: &str) -> Result<Box<dyn Read>, DiffError> {
        let Some(files) = &self.files else {
            let path = self.path.join(name);
            return Ok(Box::new(File::open(&path).map_err(at("open", &path))?));
        };
        let missing = || DiffError::NotALayout {
            path: self.path.clone(),
            reason: format!("it has no `{name}`"),
        };
        let (offset, size) = files.get(name).ok_or_else(missing)?;
        let mut file = File::open(&self.path).map_err(at("open", &self.path))?;
        file.seek(SeekFrom::Start(*offset)).map_err(at("read", &self.path))?;
        Ok(Box::new(file.take(*size)))
    }

    fn open_blob(&self, digest: &Digest) -> Result<Box<dyn Read>, DiffError> {
        self.open_file(&format!("blobs/sha256/{}", digest.hex()))
    }

    fn document(&self, digest: &Digest) -> Result<Value, DiffError> {
        let bytes = self.read(self.open_blob(digest)?)?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(DiffError::Damaged { expected: *digest, found });
        }
        self.parse(&bytes)
    }

    fn read(&self, reader: Box<dyn Read>) -> Result<Vec<u8>, DiffError> {
        let mut bytes = Vec::new();
        reader.take(LARGEST_DOCUMENT).read_to_end(&mut bytes).map_err(at("read", &self.path))?;
        Ok(bytes)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Value, DiffError> {
        serde_json::from_slice(bytes).map_err(|error| self.wrong(error.to_string()))
    }

    fn wrong(&self, reason: String) -> DiffError {
        DiffError::NotALayout { path: self.path.clone(), reason }
    }

    /// The manifest of the first image; indexes may stand in indexes.
    fn manifest(&self) -> Result<Value, DiffError> {
        let mut document = self.parse(&self.read(self.open_file("index.json")?)?)?;
        for _ in 0..4 {
            if document["layers"].is_array() {
                return Ok(document);
            }
            let manifests = document["manifests"].as_array().cloned().unwrap_or_default();
            let is_image = |entry: &&Value| entry["mediaType"] == MANIFEST_TYPE;
            let first = manifests.iter().find(is_image).or(manifests.first());
            let digest = first.and_then(|entry| digest_of(&entry["digest"]));
            let digest = digest.ok_or_else(|| self.wrong("its index names no image".to_owned()))?;
            document = self.document(&digest)?;
        }
        Err(self.wrong("its indexes have no end".to_owned()))
    }
}

pub(super) fn digest_of(value: &Value) -> Option<Digest> {
    value.as_str()?.parse().ok()
}

impl Place<'_> {
    /// Opens an OCI layout, a folder or an archive.
    pub fn layout(path: &Path) -> Result<Place<'static>, DiffError> {
        Ok(Place::Layout(Layout::open(path)?))
    }

    /// Manifest and configuration.
    pub(super) fn documents(&self) -> Result<(Value, Value), DiffError> {
        match self {
            Self::Store { store, image } => {
                let read = |digest: &Digest| -> Result<Value, DiffError> {
                    let bytes = store.read_blob(digest)?;
                    serde_json::from_slice(&bytes)
                        .map_err(|error| crate::image::ImageError::Document(error).into())
                };
                let manifest = read(&image.seal)?;
                let config = digest_of(&manifest["config"]["digest"]);
                let config = config.map(|digest| read(&digest)).transpose()?;
                Ok((manifest, config.unwrap_or_default()))
            }
            Self::Layout(layout) => {
                let manifest = layout.manifest()?;
                let config = digest_of(&manifest["config"]["digest"]);
                let config = config
                    .ok_or_else(|| layout.wrong("its manifest names no config".to_owned()))?;
                let config = layout.document(&config)?;
                Ok((manifest, config))
            }
        }
    }

    /// Hands the tar stream of a layer to `work`.
    pub(super) fn with_tar<T: Send>(
        &self,
        layer: &Layer,
        work: impl FnOnce(&mut dyn Read) -> io::Result<T> + Send,
    ) -> Result<T, DiffError> {
        let unreadable = |source| DiffError::Layer { digest: layer.digest, source };
        match self {
            Self::Layout(layout) => {
                let blob = BufReader::with_capacity(256 << 10, layout.open_blob(&layer.digest)?);
                let mut tar: Box<dyn Read> = match layer.media_type.rsplit(['+', '.']).next() {
                    Some("gzip") => Box::new(MultiGzDecoder::new(blob)),
                    Some("zstd") => {
                        let decoder = zstd::stream::read::Decoder::with_buffer(blob);
                        Box::new(decoder.map_err(unreadable)?)
                    }
                    _ => Box::new(blob),
                };
                work(&mut tar).map_err(unreadable)
            }
            Self::Store { store, image } => {
                let own = image.layers.iter().find(|own| own.digest == layer.digest);
                let unknown = crate::image::ImageError::Unknown { seal: image.seal };
                let own = own.ok_or(unknown)?;
                let (mut reader, mut writer) = io::pipe().map_err(unreadable)?;
                thread::scope(|scope| {
                    let writing = scope.spawn(move || own.write_tar(store, &mut writer));
                    let result = work(&mut reader);
                    drop(reader);
                    let written =
                        writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    // Whoever stops reading is told why by the reader's own error.
                    match (result, written) {
                        (Ok(_), Err(error)) => Err(error.into()),
                        (result, _) => result.map_err(unreadable),
                    }
                })
            }
        }
    }
}

pub(super) fn at<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> DiffError + 'a {
    move |source| DiffError::Io { action, path: path.to_owned(), source }
}
