//! Collects what a build job made.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{BuildError, Builder, io};
use crate::digest::Digest;
use crate::layer;
use crate::lock::{BuiltFile, LockedBuild, LockedWheel};

/// What came out of a job: a wheel, or declared files.
pub(super) struct Made {
    pub(super) wheel: Option<LockedWheel>,
    pub(super) files: Vec<BuiltFile>,
}

impl Made {
    /// What is locked must come out again.
    pub(super) fn compare(&self, build: &LockedBuild) -> Result<(), BuildError> {
        let differs = |name: String, expected: Digest, found: Digest| match expected == found {
            true => Ok(()),
            false => Err(BuildError::OutputDiffers { name, expected, found }),
        };
        if let (Some(locked), Some(wheel)) = (&build.output, &self.wheel) {
            differs(build.name.clone(), locked.sha256, wheel.sha256)?;
        }
        for locked in &build.files {
            let mut made = self.files.iter().filter(|file| file.path == locked.path);
            if let Some(made) = made.next() {
                let name = format!("{} {}", build.name, locked.path);
                differs(name, locked.sha256, made.sha256)?;
            }
        }
        Ok(())
    }
}

impl Builder<'_> {
    /// Takes the one wheel of `/out`, normalises it and puts it into the store.
    pub(super) fn collect_wheel(
        &self,
        build: &LockedBuild,
        out: &Path,
    ) -> Result<Made, BuildError> {
        let names = wheels_in(out)?;
        let [name] = names.as_slice() else {
            let reason = format!("it left {} wheels in `/out`, not one", names.len());
            return Err(failed(build, reason));
        };
        let (bytes, _) = read(build, out, name)?;
        let bytes = layer::normalise_wheel(&bytes)?;
        let sha256 = self.store.put(&bytes)?;
        let wheel = LockedWheel {
            name: build.name.clone(),
            version: build.version.clone(),
            file: name.clone(),
            size: bytes.len() as u64,
            sha256,
            requested: true,
        };
        Ok(Made { wheel: Some(wheel), files: Vec::new() })
    }

    /// Takes the declared files out of the source's folder, as they are.
    pub(super) fn collect_files(
        &self,
        build: &LockedBuild,
        source: &Path,
    ) -> Result<Made, BuildError> {
        let mut files = Vec::new();
        for (path, place) in &build.outputs {
            let (bytes, executable) = read(build, source, place)?;
            let (path, size) = (path.clone(), bytes.len() as u64);
            files.push(BuiltFile { path, executable, size, sha256: self.store.put(&bytes)? });
        }
        Ok(Made { wheel: None, files })
    }
}

/// Content of a file below `folder`, and whether it is executable.
///
/// The job may have put links there that lead to files of this machine: none is followed.
fn read(build: &LockedBuild, folder: &Path, place: &str) -> Result<(Vec<u8>, bool), BuildError> {
    let path = folder.join(place);
    let directory = File::open(folder).map_err(io("open", folder))?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let opened = rustix::fs::openat2(&directory, place, flags, Mode::empty(), resolve);
    let mut file = match opened {
        Ok(handle) => File::from(handle),
        Err(rustix::io::Errno::NOENT) => {
            return Err(failed(build, format!("it did not make `{place}`")));
        }
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::XDEV) => {
            return Err(failed(build, format!("`{place}` is or lies behind a link")));
        }
        Err(error) => return Err(io("open", &path)(error.into())),
    };
    let metadata = file.metadata().map_err(io("read", &path))?;
    if !metadata.is_file() {
        return Err(failed(build, format!("`{place}` is no regular file")));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io("read", &path))?;
    Ok((bytes, metadata.permissions().mode() & 0o111 != 0))
}

fn wheels_in(folder: &Path) -> Result<Vec<String>, BuildError> {
    let entries = fs::read_dir(folder).map_err(io("read", folder))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut wheels: Vec<String> = names.filter(|name| name.ends_with(".whl")).collect();
    wheels.sort();
    Ok(wheels)
}

fn failed(build: &LockedBuild, reason: String) -> BuildError {
    BuildError::JobFailed { name: build.name.clone(), reason, output: String::new() }
}
