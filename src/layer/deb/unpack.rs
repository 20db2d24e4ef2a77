//! Decompresses packages side by side into scratch files of the store.
//!
//! A layer is sorted by path over all its packages, so their content is needed in
//! another order than a compressed stream gives it. Files, not memory: the content
//! of a base is larger than what a build may hold. They are gone with the value, at
//! the latest with the process. Each package keeps one file open.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::archive::{Package, refuse};
use crate::layer::error::{LayerError, reading};
use crate::layer::plan::Input;
use crate::layer::threads;
use crate::store::Store;

/// The uncompressed `data.tar` of every package of a layer.
#[derive(Debug)]
pub(in crate::layer) struct Unpacked {
    folder: PathBuf,
    /// In the order of the layer's inputs.
    pub(super) packages: Vec<UnpackedPackage>,
}

#[derive(Debug)]
pub(super) struct UnpackedPackage {
    /// Text of the control file.
    pub(super) control: String,
    pub(super) data: Arc<File>,
}

/// Content may be this many times the size of its package, or [`HARMLESS`].
const RATIO: u64 = 200;

/// Below this size (bytes) a package may unpack to what it likes.
const HARMLESS: u64 = 1 << 30;

impl Unpacked {
    /// Unpacks every input, on several threads.
    pub(in crate::layer) fn of(store: &Store, inputs: &[Input]) -> Result<Self, LayerError> {
        let folder = store.scratch("packages")?;
        let mut unpacked = Self { folder, packages: Vec::new() };
        // The largest first, so that no thread is left with it at the end.
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(store.size_of(&inputs[*index].digest)));
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((*index, unpacked.unpack(store, &inputs[*index], *index)));
            }
            done
        };
        let threads = threads();
        let mut done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        done.sort_by_key(|(index, _)| *index);
        let packages: Result<Vec<_>, _> = done.into_iter().map(|(_, package)| package).collect();
        unpacked.packages = packages?;
        if unpacked.packages.len() == inputs.len() { Ok(unpacked) } else { Err(stopped()) }
    }

    /// A handle on the content of package number `index`.
    pub(in crate::layer) fn data(&self, index: usize) -> Arc<File> {
        Arc::clone(&self.packages[index].data)
    }

    fn unpack(
        &self,
        store: &Store,
        input: &Input,
        index: usize,
    ) -> Result<UnpackedPackage, LayerError> {
        let handle = store.open_blob(&input.digest)?;
        let package = Package::open(&input.file, &handle)?;
        let control = package.control()?;
        let path = self.folder.join(index.to_string());
        let mut options = File::options();
        let data = options.read(true).write(true).create_new(true).open(&path);
        let mut data = data.map_err(LayerError::Write)?;
        let limit = package.data_size().saturating_mul(RATIO).max(HARMLESS);
        copy(&input.file, package.data()?, &mut data, limit)?;
        Ok(UnpackedPackage { control, data: Arc::new(data) })
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the session.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(
    file: &str,
    mut from: Box<dyn Read + '_>,
    to: &mut File,
    limit: u64,
) -> Result<(), LayerError> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let count = from.read(&mut buffer).map_err(reading(file))?;
        if count == 0 {
            return Ok(());
        }
        total += count as u64;
        if total > limit {
            return Err(refuse(file, format!("it would become more than {limit} bytes")));
        }
        to.write_all(&buffer[..count]).map_err(LayerError::Write)?;
    }
}

fn stopped() -> LayerError {
    LayerError::Write(std::io::Error::other("an unpacking thread stopped"))
}
