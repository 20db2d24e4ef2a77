//! Keeps files that a job left in its writable folders.
//!
//! Both engines find the files their own way and hand each to [`Collector`], which knows what
//! is wanted and writes it to disk while it hashes it. So the same files come out of both.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::{EngineError, Job};
use crate::digest::{Digest, Hasher};

/// Bytes copied at once.
const BUFFER: usize = 256 << 10;

/// Files that are to be kept when a job has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Absolute path in the job, below a writable folder; a glob whose `*` and `?` match no slash.
    /// A folder that it names is kept with everything in it.
    pub pattern: String,
    /// The folder of this machine that copies are put into; made when there is something to keep.
    pub folder: PathBuf,
}

/// What became of one [`Keep`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The files, sorted by path.
    pub files: Vec<KeptFile>,
    /// What was there and could not be kept, one fragment each.
    pub problems: Vec<String>,
}

/// One file that was kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptFile {
    /// Absolute path in the job.
    pub path: String,
    /// Path of the copy below the [`Keep`]'s folder.
    pub copy: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Digest of its content.
    pub digest: Digest,
}

/// One [`Keep`] while files are found for it.
#[derive(Debug)]
struct Wanted<'a> {
    keep: &'a Keep,
    matcher: GlobMatcher,
    kept: Kept,
}

/// Takes what engines find.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    wanted: Vec<Wanted<'a>>,
    buffer: Vec<u8>,
}

/// Where an engine has to look for one [`Keep`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The writable folder that it lies in.
    pub writable: &'a str,
    /// The file or folder of the pattern that has no wildcard, at or below the writable folder.
    pub start: String,
}

impl<'a> Collector<'a> {
    /// Reads the patterns of `job`.
    pub(super) fn new(job: &'a Job) -> Result<Self, EngineError> {
        let wanted = job.keep.iter().map(|keep| {
            let glob = GlobBuilder::new(&keep.pattern)
                .literal_separator(true)
                .backslash_escape(true)
                .build();
            let matcher = glob.map_err(|error| refused(keep, error.kind()))?.compile_matcher();
            Ok(Wanted { keep, matcher, kept: Kept::default() })
        });
        Ok(Self { wanted: wanted.collect::<Result<_, EngineError>>()?, buffer: vec![0; BUFFER] })
    }

    /// Whether somebody wants the file at the absolute `path`, or a folder that it lies in.
    pub(super) fn wants(&self, path: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted.wants(path))
    }

    /// Copies one file for everybody who wants it.
    pub(super) fn take(&mut self, path: &str, content: &mut dyn Read) {
        if let Err(error) = self.copy(path, content) {
            self.refuse(path, &error.to_string());
        }
    }

    /// Notes why a file that somebody wants was not kept.
    pub(super) fn refuse(&mut self, path: &str, reason: &str) {
        for wanted in self.wanted.iter_mut().filter(|wanted| wanted.wants(path)) {
            wanted.kept.problems.push(format!("`{path}`: {reason}"));
        }
    }

    /// Notes what concerns everything that is wanted.
    pub(super) fn refuse_all(&mut self, reason: &str) {
        for wanted in &mut self.wanted {
            wanted.kept.problems.push(reason.to_owned());
        }
    }

    /// What became of each [`Keep`], in the job's order.
    pub(super) fn finish(self) -> Vec<Kept> {
        let sorted = |mut kept: Kept| {
            kept.files.sort();
            kept.problems.sort();
            kept.problems.dedup();
            kept
        };
        self.wanted.into_iter().map(|wanted| sorted(wanted.kept)).collect()
    }

    fn copy(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()> {
        let mut copies = Vec::new();
        let mut files = Vec::new();
        for (index, wanted) in self.wanted.iter().enumerate().filter(|(_, it)| it.wants(path)) {
            let copy = below(path, &folder_of(&wanted.keep.pattern));
            let place = wanted.keep.folder.join(&copy);
            fs::create_dir_all(place.parent().unwrap_or(&wanted.keep.folder))?;
            files.push(File::create_new(&place)?);
            copies.push((index, copy));
        }
        let mut hasher = Hasher::new();
        loop {
            let count = match content.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                break;
            }
            hasher.update(&self.buffer[..count]);
            files.iter_mut().try_for_each(|file| file.write_all(&self.buffer[..count]))?;
        }
        files.iter().try_for_each(File::sync_all)?;
        let size = hasher.size();
        let digest = hasher.finish();
        for (index, copy) in copies {
            let file = KeptFile { path: path.to_owned(), copy, size, digest };
            self.wanted[index].kept.files.push(file);
        }
        Ok(())
    }
}

impl Wanted<'_> {
    fn wants(&self, path: &str) -> bool {
        Path::new(path).ancestors().any(|path| self.matcher.is_match(path))
    }
}

/// Where to look for what `keep` wants.
///
/// # Errors
///
/// [`EngineError::Job`] if it lies in no writable folder of the job.
pub(super) fn place<'a>(job: &'a Job, keep: &Keep) -> Result<Place<'a>, EngineError> {
    let pattern = Path::new(&keep.pattern);
    let inside = |folder: &&String| {
        pattern.starts_with(folder.as_str()) && pattern != Path::new(folder.as_str())
    };
    // Of nested folders the inner one hides what the outer one has there.
    let folder = job.writable.iter().filter(inside).max_by_key(|folder| folder.len());
    let folder = folder.ok_or_else(|| refused(keep, "it lies in no writable folder"))?;
    let start = match is_glob(&keep.pattern) {
        true => folder_of(&keep.pattern),
        false => keep.pattern.clone(),
    };
    // A wildcard above the writable folder begins at that folder.
    let start = if Path::new(&start).starts_with(folder) { start } else { folder.clone() };
    Ok(Place { writable: folder, start })
}

fn refused(keep: &Keep, reason: impl std::fmt::Display) -> EngineError {
    EngineError::Job { reason: format!("cannot keep `{}`: {reason}", keep.pattern) }
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{', '\\'])
}

/// The folder that the first wildcard, or the file itself, lies in.
fn folder_of(pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split('/').collect();
    let fixed = parts.iter().take_while(|part| !is_glob(part)).count();
    parts[..fixed.min(parts.len() - 1)].join("/")
}

fn below(path: &str, folder: &str) -> PathBuf {
    Path::new(path).strip_prefix(folder).unwrap_or(Path::new(path)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn job(patterns: &[&str], folder: &Path) -> Job {
        let keep = |(index, pattern): (usize, &&str)| Keep {
            pattern: (*pattern).to_owned(),
            folder: folder.join(index.to_string()),
        };
        Job {
            command: vec!["true".to_owned()],
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            mounts: Vec::new(),
            writable: vec!["/out".to_owned(), "/out/inner".to_owned()],
            shm_size: 1 << 20,
            timeout: Duration::from_secs(1),
            memory: None,
            gpus: super::super::Gpus::None,
            keep: patterns.iter().enumerate().map(keep).collect(),
        }
    }

    #[test]
    fn a_file_goes_to_everybody_who_wants_it_or_a_folder_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(&["/out/*/last.ckpt", "/out/run", "/out/x"], folder.path());
        let mut collector = Collector::new(&job).unwrap();
        assert!(!collector.wants("/out/last.ckpt") && !collector.wants("/out/a/b/last.ckpt"));
        collector.take("/out/run/last.ckpt", &mut &b"weights"[..]);
        collector.take("/out/run/deep/log", &mut &b""[..]);
        collector.refuse("/out/x", "it is a folder");
        let kept = collector.finish();
        let copies = |kept: &Kept| -> Vec<String> {
            kept.files.iter().map(|file| file.copy.display().to_string()).collect()
        };
        assert_eq!(copies(&kept[0]), ["run/last.ckpt"]);
        assert_eq!(copies(&kept[1]), ["run/deep/log", "run/last.ckpt"]);
        assert_eq!(kept[1].files[1].digest, Digest::of(b"weights"));
        assert_eq!(kept[2].problems, ["`/out/x`: it is a folder"]);
        assert_eq!(fs::read(folder.path().join("0/run/last.ckpt")).unwrap(), b"weights");
    }

    #[test]
    fn a_search_begins_where_no_wildcard_is_and_in_the_inner_folder() {
        let folder = tempfile::tempdir().unwrap();
        let start = |pattern: &str| {
            let job = job(&[pattern], folder.path());
            let place = place(&job, &job.keep[0]).map(|it| (it.writable.to_owned(), it.start));
            place.map_err(|error| error.to_string())
        };
        let found = |writable: &str, start: &str| Ok((writable.to_owned(), start.to_owned()));
        assert_eq!(start("/out/a/b"), found("/out", "/out/a/b"));
        assert_eq!(start("/out/a/*/b"), found("/out", "/out/a"));
        assert_eq!(start("/out/inner/*"), found("/out/inner", "/out/inner"));
        assert!(start("/outside/x").unwrap_err().contains("no writable folder"));
        assert!(start("/out").unwrap_err().contains("no writable folder"));
    }
}
