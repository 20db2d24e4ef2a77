//! Compiles source distributions to wheels, each by one command in a sealed build image.
//!
//! The build image is the base with the build's own packages and wheels; it is
//! sealed and kept like any other image. The job sees the unpacked source at
//! `/src` and leaves one wheel in `/out`; paths, times, seeds and locale are
//! fixed, and the wheel is normalised before it is named.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use super::assemble::{base_layers, below_everything, wheel_input};
use super::{BuildError, Builder};
use crate::engine::{Exit, Job, Mount};
use crate::image::Image;
use crate::layer;
use crate::lock::{BuildSource, Lock, LockedBuild, LockedWheel};

/// A compiler that hangs should not hang for ever; mmcv with all its operators takes a quarter.
const TIMEOUT: Duration = Duration::from_secs(4 * 3600);
/// How much of a failed job's output stands in the error.
const OUTPUT_LINES: usize = 30;
/// The most a source distribution may unpack to.
const SOURCE_LIMIT: u64 = 4 << 30;

impl Builder<'_> {
    /// Sees to it that the wheel of every build job is in the store and in the lock; only missing
    /// ones are compiled.
    pub(super) fn run_jobs(&self, lock: &mut Lock) -> Result<(), BuildError> {
        for position in 0..lock.builds.len() {
            let output = self.output_of(lock, &lock.builds[position])?;
            lock.builds[position].output = Some(output);
        }
        Ok(())
    }

    fn output_of(&self, lock: &Lock, build: &LockedBuild) -> Result<LockedWheel, BuildError> {
        if let Some(output) = &build.output
            && self.store.has(&output.sha256)
        {
            return Ok(output.clone());
        }
        let wheel = self.compile(lock, build)?;
        match &build.output {
            Some(expected) if expected.sha256 != wheel.sha256 => Err(BuildError::OutputDiffers {
                name: build.name.clone(),
                expected: expected.sha256,
                found: wheel.sha256,
            }),
            _ => Ok(wheel),
        }
    }

    fn compile(&self, lock: &Lock, build: &LockedBuild) -> Result<LockedWheel, BuildError> {
        self.fetch_layers(lock)?;
        self.progress.step(&format!("compiling {} {}", build.name, build.version), 0);
        let image = self.build_image(lock, build)?;
        let scratch = self.store.scratch("compile")?;
        let (source, out) = (scratch.join("src"), scratch.join("out"));
        for folder in [&source, &out] {
            fs::create_dir(folder).map_err(io("create", folder))?;
        }
        self.unpack_source(build, &source)?;
        let job = job(lock, build, &image, &source, &out);
        let wheel = self.run_job(build, &image, &job).and_then(|()| self.collect(build, &out));
        let _ = fs::remove_dir_all(&scratch);
        self.progress.step_ends();
        wheel
    }

    /// The base with the build's packages, and the build's wheels on top.
    fn build_image(&self, lock: &Lock, build: &LockedBuild) -> Result<Image, BuildError> {
        let below = below_everything(lock);
        let mut plans: Vec<_> =
            self.lowest_plan(lock, &build.packages, &below)?.into_iter().collect();
        let below = plans.iter().fold(below, |below, plan| plan.directories(&below));
        let wheels: Vec<_> = build.wheels.iter().map(wheel_input).collect();
        if !wheels.is_empty() {
            plans.push(layer::wheels(self.store, &wheels, &lock.python, &below)?);
        }
        let mut layers = base_layers(lock);
        layers.extend(self.prover().prove(plans, None)?);
        let unsealed = Lock {
            name: format!("{}.build.{}", lock.name, build.name),
            seal: None,
            ..lock.clone()
        };
        self.seal(&unsealed, layers)
    }

    fn unpack_source(&self, build: &LockedBuild, folder: &Path) -> Result<(), BuildError> {
        let source = match &build.source {
            BuildSource::Distribution(source) => source,
            BuildSource::Git(name) => {
                let reason = "git sources cannot be compiled yet".to_owned();
                return Err(BuildError::Source { file: name.clone(), reason });
            }
        };
        let file = self.store.open_blob(&source.sha256)?;
        unpack(MultiGzDecoder::new(file), folder)
            .map_err(|reason| BuildError::Source { file: source.file.clone(), reason })
    }

    fn run_job(&self, build: &LockedBuild, image: &Image, job: &Job) -> Result<(), BuildError> {
        let mut output = Vec::new();
        let mut keep = |bytes: &[u8]| output.extend_from_slice(bytes);
        let outcome = self
            .engine
            .run(self.store, image, job, &mut keep, self.stop)
            .map_err(|source| BuildError::Engine { name: build.name.clone(), source })?;
        let reason = match outcome.exit {
            Exit::Status(0) => return Ok(()),
            Exit::Stopped => return Err(BuildError::Stopped),
            Exit::Status(status) => format!("it returned status {status}"),
            Exit::Signal(signal) => format!("signal {signal} ended it"),
            Exit::TimedOut => format!("it took longer than {} s", TIMEOUT.as_secs()),
        };
        let output = last_lines(&output);
        Err(BuildError::JobFailed { name: build.name.clone(), reason, output })
    }

    /// Takes the one wheel of `/out`, normalises it and puts it into the store.
    fn collect(&self, build: &LockedBuild, out: &Path) -> Result<LockedWheel, BuildError> {
        let failed = |reason: String| BuildError::JobFailed {
            name: build.name.clone(),
            reason,
            output: String::new(),
        };
        let wheels = wheels_in(out)?;
        let [path] = wheels.as_slice() else {
            return Err(failed(format!("it left {} wheels in `/out`, not one", wheels.len())));
        };
        let bytes = fs::read(path).map_err(io("read", path))?;
        let bytes = layer::normalise_wheel(&bytes)?;
        let sha256 = self.store.put(&bytes)?;
        Ok(LockedWheel {
            name: build.name.clone(),
            version: build.version.clone(),
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size: bytes.len() as u64,
            sha256,
            requested: true,
        })
    }
}

fn job(lock: &Lock, build: &LockedBuild, image: &Image, source: &Path, out: &Path) -> Job {
    let fixed = [
        ("SOURCE_DATE_EPOCH", "315532800"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("HOME", "/tmp"),
        // Compilers write the folder they ran in into debug information and `__FILE__`.
        ("CFLAGS", "-ffile-prefix-map=/src=."),
        ("CXXFLAGS", "-ffile-prefix-map=/src=."),
    ];
    let mut env: BTreeMap<String, String> = image.env.clone();
    env.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.extend(build.env.clone());
    let mount = |source: &Path, target: &str| Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        writable: true,
    };
    Job {
        command: build.command.clone(),
        env,
        workdir: "/src".to_owned(),
        mounts: vec![mount(source, "/src"), mount(out, "/out")],
        writable: vec!["/tmp".to_owned()],
        shm_size: lock.config.shm_size,
        timeout: TIMEOUT,
        memory: None,
        gpus: false,
    }
}

/// Unpacks a source distribution without its one top folder.
fn unpack(tar: impl std::io::Read, folder: &Path) -> Result<(), String> {
    let mut archive = tar::Archive::new(tar);
    let mut left = SOURCE_LIMIT;
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = entry.path().map_err(|error| error.to_string())?.into_owned();
        let Some(relative) = inside(&name) else {
            return Err(format!("entry `{}` leads out of its folder", name.display()));
        };
        left = left.checked_sub(entry.size()).ok_or("it unpacks to more than 4 GiB")?;
        let place = folder.join(&relative);
        let kind = entry.header().entry_type();
        if relative.as_os_str().is_empty() || kind.is_pax_global_extensions() {
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        }
        if !(kind.is_file() || kind.is_dir()) {
            return Err(format!("entry `{}` is neither file nor folder", name.display()));
        }
        entry.set_preserve_mtime(true);
        entry.unpack(&place).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The path without its first part, or `None` if it would leave the folder.
fn inside(name: &Path) -> Option<PathBuf> {
    use std::path::Component;
    let plain = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !name.components().all(|part| plain(&part)) {
        return None;
    }
    let parts = name.components().filter(|part| matches!(part, Component::Normal(_)));
    Some(parts.skip(1).collect())
}

fn wheels_in(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let entries = fs::read_dir(folder).map_err(io("read", folder))?;
    let mut wheels: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .collect();
    wheels.sort();
    Ok(wheels)
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n")
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> BuildError + 'a {
    move |source| BuildError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_path_loses_its_top_folder_and_never_leaves() {
        assert_eq!(inside(Path::new("mmcv-1.3.13/setup.py")), Some(PathBuf::from("setup.py")));
        assert_eq!(inside(Path::new("./mmcv/a/b")), Some(PathBuf::from("a/b")));
        assert_eq!(inside(Path::new("mmcv")), Some(PathBuf::new()));
        assert_eq!(inside(Path::new("mmcv/../../etc")), None);
        assert_eq!(inside(Path::new("/etc/passwd")), None);
    }
}
