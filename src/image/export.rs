//! Writes an image as an OCI layout: a folder, or an archive that `docker load` reads too.
//!
//! Layers are streamed from their plans and checked against their digests on the
//! way out, so an export never holds bytes that the manifest does not name.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::json::canonical;
use super::manifest::{MANIFEST_TYPE, descriptor};
use super::{Image, ImageError, ImageLayer, documents};
use crate::digest::{Digest, Hasher};
use crate::layer::{self, Tell};
use crate::store::{Store, StoreError, create_own};

/// Writes `image` as an OCI layout into `folder`, which must be new or empty.
///
/// The folder appears under its name only when it is complete.
/// `progress` is told the bytes of a layer as they are written; if it says stop, nothing is left
/// ([`ImageError::Stopped`]).
pub fn export_layout(
    store: &Store,
    image: &Image,
    folder: &Path,
    progress: Tell<'_>,
) -> Result<(), ImageError> {
    check_new_folder(folder)?;
    let partial = partial_name(folder);
    let _ = fs::remove_dir_all(&partial);
    let written = write_layout(store, image, &partial, progress);
    match written {
        Ok(()) => fs::rename(&partial, folder).map_err(writing(folder)),
        Err(error) => {
            let _ = fs::remove_dir_all(&partial);
            Err(error)
        }
    }
}

/// Refuses a folder for [`export_layout`] that has something in it, or that is a file.
pub fn check_new_folder(folder: &Path) -> Result<(), ImageError> {
    let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_used || folder.is_file() {
        return Err(ImageError::Exists { path: folder.to_owned() });
    }
    Ok(())
}

/// Refuses a file for [`export_archive`] that is there already.
pub fn check_new_file(archive: &Path) -> Result<(), ImageError> {
    if archive.exists() {
        return Err(ImageError::Exists { path: archive.to_owned() });
    }
    Ok(())
}

fn write_layout(
    store: &Store,
    image: &Image,
    folder: &Path,
    progress: Tell<'_>,
) -> Result<(), ImageError> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(writing(&blobs))?;
    for (name, bytes) in small_files(store, image)? {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(writing(&path))?;
    }
    for layer in distinct(&image.layers) {
        let path = blobs.join(layer.digest.hex());
        let mut file = BufWriter::new(File::create(&path).map_err(writing(&path))?);
        write_layer(store, layer, &mut file, progress)?;
        file.flush().map_err(writing(&path))?;
    }
    Ok(())
}

/// Writes `image` as one tar archive: an OCI layout with `manifest.json` for `docker load`.
///
/// The archive appears under its name only when it is complete; see [`export_layout`].
pub fn export_archive(
    store: &Store,
    image: &Image,
    archive: &Path,
    progress: Tell<'_>,
) -> Result<(), ImageError> {
    check_new_file(archive)?;
    let partial = partial_name(archive);
    let written = create_own(&partial).map_err(writing(&partial)).and_then(|file| {
        let mut file = BufWriter::new(file);
        write_archive(store, image, &mut file, progress)?;
        file.flush().map_err(writing(&partial))
    });
    match written {
        Ok(()) => fs::rename(&partial, archive).map_err(writing(archive)),
        Err(error) => {
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

/// Writes the archive of [`export_archive`] to wherever it is wanted.
pub fn write_archive(
    store: &Store,
    image: &Image,
    out: &mut (dyn Write + Send),
    progress: Tell<'_>,
) -> Result<(), ImageError> {
    let mut small = small_files(store, image)?;
    small.push(("manifest.json".to_owned(), docker_manifest(store, image)?));
    small.sort();
    for (name, bytes) in small {
        let entry = [layer::archive_header(&name, bytes.len() as u64), bytes].concat();
        out.write_all(&entry).map_err(ImageError::Pass)?;
        pad(out, entry.len() as u64).map_err(ImageError::Pass)?;
    }
    for layer in distinct(&image.layers) {
        let name = blob_name(&layer.digest);
        out.write_all(&layer::archive_header(&name, layer.size)).map_err(ImageError::Pass)?;
        write_layer(store, layer, out, progress)?;
        pad(out, layer.size).map_err(ImageError::Pass)?;
    }
    out.write_all(&[0; 1024]).map_err(ImageError::Pass)
}

/// Every file of the layout that is not a layer.
fn small_files(store: &Store, image: &Image) -> Result<Vec<(String, Vec<u8>)>, ImageError> {
    let documents = documents(store, &image.seal)?;
    let mut manifest = descriptor(MANIFEST_TYPE, &image.seal, documents.manifest.len() as u64);
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": image.name });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    });
    Ok(vec![
        ("oci-layout".to_owned(), canonical(&json!({ "imageLayoutVersion": "1.0.0" }))),
        ("index.json".to_owned(), canonical(&index)),
        (blob_name(&Digest::of(&documents.config)), documents.config),
        (blob_name(&image.seal), documents.manifest),
    ])
}

/// The list that `docker load` looks for (Docker image specification 1.2, "Combined Image JSON +
/// Filesystem Changeset Format"); the tag carries the seal's first digits, so it never moves.
fn docker_manifest(store: &Store, image: &Image) -> Result<Vec<u8>, ImageError> {
    let documents = documents(store, &image.seal)?;
    let layers: Vec<Value> =
        image.layers.iter().map(|layer| json!(blob_name(&layer.digest))).collect();
    Ok(canonical(&json!([{
        "Config": blob_name(&Digest::of(&documents.config)),
        "RepoTags": [format!("repro/{}:{}", image.name.to_lowercase(), image.seal.short())],
        "Layers": layers,
    }])))
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Two layers with equal bytes are one file.
fn distinct(layers: &[ImageLayer]) -> impl Iterator<Item = &ImageLayer> {
    layers.iter().enumerate().filter_map(|(position, layer)| {
        let seen = layers[..position].iter().any(|earlier| earlier.digest == layer.digest);
        (!seen).then_some(layer)
    })
}

fn write_layer(
    store: &Store,
    layer: &ImageLayer,
    out: &mut (dyn Write + Send),
    progress: Tell<'_>,
) -> Result<(), ImageError> {
    let mut target = Hashed { out, hasher: Hasher::new(), progress, stopped: false };
    let done = layer.write_blob(store, &mut target);
    if target.stopped {
        return Err(ImageError::Stopped);
    }
    done?;
    let found_size = target.hasher.size();
    let found = target.hasher.finish();
    if found == layer.digest {
        return Ok(());
    }
    let (expected, expected_size) = (layer.digest, layer.size);
    let name = format!("layer {}", layer.origin);
    Err(StoreError::Differs { name, expected, expected_size, found, found_size }.into())
}

/// Hashes and counts what is written, until it is told to stop.
struct Hashed<'a> {
    out: &'a mut (dyn Write + Send),
    hasher: Hasher,
    progress: Tell<'a>,
    stopped: bool,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        if (self.progress)(count as u64).is_break() {
            self.stopped = true;
            return Err(io::Error::other("somebody asked to stop"));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Fills up to a whole tar block.
fn pad(out: &mut (dyn Write + Send), size: u64) -> io::Result<()> {
    let missing = size.next_multiple_of(512) - size;
    out.write_all(&vec![0; missing as usize])
}

fn partial_name(archive: &Path) -> PathBuf {
    let mut name = archive.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    archive.with_file_name(name)
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> ImageError + '_ {
    move |source| ImageError::Write { path: path.to_owned(), source }
}
