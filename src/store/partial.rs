//! Downloads that outlive the process: a killed one goes on where it broke.
//!
//! What has come of a file lies in `partial/HEX`, named by the digest that it is to have. The
//! name promises nothing: whoever goes on hashes what is there, and only content with that digest
//! becomes a blob. A file lock keeps two processes from writing one file. Where the file came
//! from, and the server's name of that version (its entity tag), stand beside it in `HEX.origin`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{BlobWriter, NO_LINK, Store, StoreError, at, create_own};
use crate::digest::{Digest, Hasher};

impl Store {
    /// Goes on writing content that is to have this digest, or begins to.
    ///
    /// Where another process is writing it, or what lies there cannot be used, it begins anew.
    pub fn resume(&self, digest: &Digest) -> Result<BlobWriter<'_>, StoreError> {
        let path = self.root.join("partial").join(digest.hex());
        match open_alone(&path) {
            Ok(Some(mut file)) => {
                let hasher = hash_all(&mut file).map_err(at("read", &path))?;
                self.give_to_owner(&path);
                Ok(BlobWriter::resumed(self, path, file, hasher))
            }
            Ok(None) => self.writer(),
            Err(source) => Err(at("open", &path)(source)),
        }
    }
}

/// The file, locked, at its end; `None` if another process has it.
fn open_alone(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = match open(path) {
            // A process that was killed just before the rename had made it read-only.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                fs::remove_file(path)?;
                open(path)?
            }
            file => file?,
        };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // Whoever had the lock may have finished: then this is a blob now, or gone.
        if is_same(&file, path) {
            return Ok(Some(file));
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).append(true).create(true).custom_flags(NO_LINK).open(path)
}

fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (named.dev(), named.ino())
}

fn hash_all(file: &mut File) -> io::Result<Hasher> {
    file.rewind()?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where the origin of a partial file stands.
fn origin_path(partial: &Path) -> PathBuf {
    partial.with_extension("origin")
}

impl BlobWriter<'_> {
    /// Whether a part of it was there before.
    pub fn is_resumed(&self) -> bool {
        self.resumed > 0
    }

    /// The bytes that were there before, the first time it is asked.
    pub fn take_resumed(&mut self) -> u64 {
        std::mem::take(&mut self.resumed)
    }

    /// The server's name of the version that the part came from, if it came from `url`.
    pub fn entity_tag(&self, url: &str) -> Option<String> {
        let text = fs::read_to_string(origin_path(self.partial.as_ref()?)).ok()?;
        let (origin, tag) = text.split_once('\n')?;
        (origin == url && !tag.is_empty()).then(|| tag.trim_end().to_owned())
    }

    /// Remembers the origin for a later process; losing it costs nothing but time.
    pub fn set_origin(&self, url: &str, tag: &str) {
        if let Some(partial) = &self.partial {
            let origin = create_own(&origin_path(partial));
            let _ = origin.and_then(|mut file| writeln!(file, "{url}\n{tag}"));
            self.store.give_to_owner(&origin_path(partial));
        }
    }

    /// Throws away what was written and begins anew.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(at("write", &self.path))?;
        self.file.rewind().map_err(at("write", &self.path))?;
        self.hasher = Hasher::new();
        self.resumed = 0;
        Ok(())
    }

    /// Throws away what was written: it is of no use to anybody.
    pub fn discard(self) {
        if let Some(partial) = &self.partial {
            let _ = fs::remove_file(partial);
            let _ = fs::remove_file(origin_path(partial));
        }
    }
}

/// Removes what stands beside a partial file that became a blob.
pub(super) fn forget_origin(partial: &Path) {
    let _ = fs::remove_file(origin_path(partial));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn what_was_written_is_there_for_the_next_process() {
        let (folder, store) = store();
        let digest = Digest::of(b"abcdef");
        let mut writer = store.resume(&digest).unwrap();
        writer.write(b"abc").unwrap();
        writer.set_origin("http://a.test/f", "\"1\"");
        drop(writer);
        let other = Store::open(folder.path()).unwrap();
        let mut writer = other.resume(&digest).unwrap();
        assert!(writer.is_resumed() && writer.size() == 3);
        assert_eq!(writer.entity_tag("http://a.test/f").as_deref(), Some("\"1\""));
        assert_eq!(writer.entity_tag("http://b.test/f"), None);
        writer.write(b"def").unwrap();
        writer.finish_as("f", &digest, 6).unwrap();
        assert_eq!(other.read_blob(&digest).unwrap(), b"abcdef");
        assert_eq!(fs::read_dir(folder.path().join("partial")).unwrap().count(), 0);
    }

    #[test]
    fn two_writers_of_one_file_do_not_meet() {
        let (folder, store) = store();
        let digest = Digest::of(b"abc");
        let mut first = store.resume(&digest).unwrap();
        let mut second = store.resume(&digest).unwrap();
        first.write(b"a").unwrap();
        second.write(b"abc").unwrap();
        second.finish_as("f", &digest, 3).unwrap();
        first.write(b"bc").unwrap();
        first.finish_as("f", &digest, 3).unwrap();
        assert_eq!(store.read_blob(&digest).unwrap(), b"abc");
        assert_eq!(fs::read_dir(folder.path().join("partial")).unwrap().count(), 0);
    }

    #[test]
    fn a_part_of_wrong_bytes_never_becomes_a_blob() {
        let (folder, store) = store();
        let digest = Digest::of(b"abc");
        fs::write(folder.path().join("partial").join(digest.hex()), b"xx").unwrap();
        let mut writer = store.resume(&digest).unwrap();
        writer.write(b"c").unwrap();
        assert!(matches!(writer.finish_as("f", &digest, 3), Err(StoreError::Differs { .. })));
        assert!(!store.has(&digest));
        assert_eq!(fs::read_dir(folder.path().join("partial")).unwrap().count(), 0);
    }
}
