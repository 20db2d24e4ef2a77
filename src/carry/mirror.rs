//! A folder of everything that locks pin.
//!
//! ```text
//! repro-mirror                    the version of this layout
//! blobs/sha256/HEX                every input under its digest: what `--mirror` looks for
//! images/NAME/HEX/NAME.lock       each lock by its digest, with its recipe beside it
//! simple/PROJECT/FILE             the same wheels as a Python index; links into `blobs`
//! pool/…                          the same packages at their place in an archive; links, too
//! ```
//!
//! Several images share one mirror. What is there is not copied again; a copy appears under its
//! name when it is complete and was hashed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::error::{CarryError, at};
use super::simple;
use crate::digest::{CheckedReader, Digest};
use crate::engine::Stop;
use crate::lock::{Lock, Pinned};
use crate::store::{Store, create_own, open_to_append};

/// Says what the folder is.
const MARK: &str = "repro-mirror";
/// The layout that this program writes.
const VERSION: &str = "1\n";

/// What writing a mirror did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// Files that were copied.
    pub copied: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there.
    pub present: usize,
    /// Whether other tools can use it as an index and an archive, too; not where the file system
    /// has no links.
    pub browsable: bool,
}

/// Tells for each pinned file of `lock` whether the mirror has it; writes nothing.
pub fn plan(lock: &Lock, folder: &Path) -> Vec<(Pinned, bool)> {
    let has = |pinned: &Pinned| {
        let file = fs::metadata(blob(folder, &pinned.digest));
        file.is_ok_and(|file| file.len() == pinned.size)
    };
    lock.pinned().into_iter().map(|pinned| (pinned.clone(), has(&pinned))).collect()
}

/// Copies every pinned file of `lock` into the mirror, with lock and recipe (its system's name and its text).
///
/// `progress` is told the bytes as they are copied.
///
/// # Errors
///
/// [`CarryError::Missing`] with every input that the store lacks; nothing is written then.
pub fn mirror(
    store: &Store,
    lock: &Lock,
    recipe: Option<(&str, &str)>,
    folder: &Path,
    stop: &Stop,
    progress: &dyn Fn(u64),
) -> Result<Mirrored, CarryError> {
    let planned = plan(lock, folder);
    let lacking = |(pinned, present): &&(Pinned, bool)| !present && !store.has(&pinned.digest);
    let missing: Vec<String> = planned
        .iter()
        .filter(lacking)
        .map(|(pinned, _)| format!("{}  {}", pinned.digest, pinned.name))
        .collect();
    if !missing.is_empty() {
        return Err(CarryError::Missing { name: lock.name.clone(), missing });
    }
    let _lock = prepare(folder)?;
    let mut done = Mirrored { copied: 0, bytes: 0, present: 0, browsable: false };
    for (pinned, present) in &planned {
        if stop.is_requested() {
            return Err(CarryError::Stopped);
        }
        if *present {
            done.present += 1;
            continue;
        }
        copy(store, pinned, folder, progress)?;
        done.copied += 1;
        done.bytes += pinned.size;
    }
    keep_documents(lock, recipe, folder)?;
    done.browsable = simple::link(lock, folder)?;
    Ok(done)
}

/// Makes the folders, takes the mirror's file lock and clears what a killed command left.
fn prepare(folder: &Path) -> Result<File, CarryError> {
    let blobs = folder.join("blobs/sha256");
    let mark = folder.join(MARK);
    let refuse = |reason: &str| {
        let (path, reason) = (folder.to_owned(), reason.to_owned());
        Err(CarryError::NotAMirror { path, reason })
    };
    match fs::read_to_string(&mark) {
        Ok(text) if text == VERSION || text.is_empty() => {}
        Ok(text) => return refuse(&format!("it has version `{}`", text.trim())),
        Err(_) if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) => {
            return refuse("it holds other files");
        }
        Err(_) => {}
    }
    fs::create_dir_all(&blobs).map_err(at("create", &blobs))?;
    let lock = open_to_append(&mark).map_err(at("create", &mark))?;
    if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(CarryError::MirrorInUse { path: folder.to_owned() });
    }
    fs::write(&mark, VERSION).map_err(at("write", &mark))?;
    for entry in fs::read_dir(&blobs).map_err(at("read", &blobs))? {
        let path = entry.map_err(at("read", &blobs))?.path();
        if path.extension().is_some_and(|extension| extension == "partial") {
            fs::remove_file(&path).map_err(at("remove", &path))?;
        }
    }
    Ok(lock)
}

fn copy(
    store: &Store,
    pinned: &Pinned,
    folder: &Path,
    progress: &dyn Fn(u64),
) -> Result<(), CarryError> {
    let source = store.blob_path(&pinned.digest);
    let file = store.open_blob(&pinned.digest)?;
    let mut reader = CheckedReader::new(file, pinned.digest, pinned.size);
    let place = blob(folder, &pinned.digest);
    let partial = place.with_extension("partial");
    let mut target = create_own(&partial).map_err(at("create", &partial))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = reader.read(&mut buffer).map_err(at("read", &source))?;
        if count == 0 {
            break;
        }
        target.write_all(&buffer[..count]).map_err(at("write", &partial))?;
        progress(count as u64);
    }
    target.sync_all().map_err(at("sync", &partial))?;
    fs::rename(&partial, &place).map_err(at("create", &place))
}

/// Puts lock and recipe beside each other; a later lock of the same image does not replace them.
fn keep_documents(
    lock: &Lock,
    recipe: Option<(&str, &str)>,
    folder: &Path,
) -> Result<(), CarryError> {
    let place = folder.join("images").join(&lock.name).join(lock.digest().hex());
    fs::create_dir_all(&place).map_err(at("create", &place))?;
    write(&place.join(format!("{}.lock", lock.name)), lock.to_text().as_bytes())?;
    let Some((system, text)) = recipe else { return Ok(()) };
    write(&place.join(format!("{system}.toml")), text.as_bytes())
}

/// Writes a small file in one step, unless it is there with this content.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CarryError> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = create_own(&partial)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(at("write", path))
}

fn blob(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

/// Whether an error says that the file system has no such thing.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
    )
}
