//! Compiles sources to wheels or files, each by one command in a sealed build image.
//!
//! The build image is the base with the build's own packages and wheels; it is
//! sealed and kept like any other image. The job sees the unpacked source at
//! `/src`, which is empty where there is none, and the recipe's own files where the recipe says. It
//! leaves one wheel in `/out`, or the declared files below `/src`; paths, times, seeds, locale and
//! the order in which folders are listed are fixed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::assemble::base_layers;
use super::outputs::Made;
use super::{BuildError, Builder, io, known, layering};
use crate::engine::{Exit, Gpus, Job, Mount};
use crate::image::Image;
use crate::lock::{BuildSource, Lock, LockedBuild};

/// A compiler that hangs should not hang for ever; mmcv with all its operators takes a quarter.
const TIMEOUT: Duration = Duration::from_secs(4 * 3600);
/// How much of a failed job's output stands in the error.
const OUTPUT_LINES: usize = 30;
/// Compilers write the folder they ran in into debug information and `__FILE__`, and make names
/// of random numbers for what has none.
const COMPILER_FLAGS: &str = "-ffile-prefix-map=/src=. -frandom-seed=0";
/// Where the interpreter finds [`SORTED`]; no distribution has such a folder.
const HELPERS: &str = "/repro-build";
/// Sorts what Python lists: a file system has an order of its own, and linkers keep the order in
/// which they are given files.
const SORTED: &str = include_str!("jobs/sitecustomize.py");

impl Builder<'_> {
    /// Sees to it that what every build job makes is in the store and in the lock; only what is missing,
    /// or in doubt, is compiled.
    pub(super) fn run_jobs(&self, lock: &mut Lock) -> Result<(), BuildError> {
        let doubtful = known::doubtful(self.store, lock);
        for position in 0..lock.builds.len() {
            let build = &lock.builds[position];
            let present = build.blobs().all(|(_, digest)| self.store.has(&digest));
            if build.is_known() && present && !doubtful.contains(&build.name) {
                continue;
            }
            refuse_lost(build, self)?;
            let made = self.compile(lock, build)?;
            made.compare(build)?;
            let build = &mut lock.builds[position];
            (build.output, build.files) = (made.wheel, made.files);
        }
        Ok(())
    }

    fn compile(&self, lock: &Lock, build: &LockedBuild) -> Result<Made, BuildError> {
        self.fetch_layers(lock)?;
        self.progress.step(&format!("compiling {} {}", build.name, build.version), 0);
        let image = self.build_image(lock, build)?;
        let scratch = self.store.scratch("compile")?;
        let made = self.compile_in(lock, build, &image, &scratch);
        let _ = fs::remove_dir_all(&scratch);
        self.progress.step_ends();
        made
    }

    fn compile_in(
        &self,
        lock: &Lock,
        build: &LockedBuild,
        image: &Image,
        scratch: &Path,
    ) -> Result<Made, BuildError> {
        let [source, out, helpers] = ["src", "out", "helpers"].map(|name| scratch.join(name));
        for folder in [&source, &out, &helpers] {
            fs::create_dir(folder).map_err(io("create", folder))?;
        }
        let sorted = helpers.join("sitecustomize.py");
        fs::write(&sorted, SORTED).map_err(io("write", &sorted))?;
        match &build.source {
            BuildSource::Distribution(file) => self.unpack_distribution(file, &source)?,
            BuildSource::Git(name) => self.unpack_tree(lock, name, &source)?,
            BuildSource::Local => {}
        }
        let mount = |source: &Path, target: &str, writable| Mount {
            source: source.to_owned(),
            target: target.to_owned(),
            writable,
        };
        let mut mounts = vec![
            mount(&source, "/src", true),
            mount(&out, "/out", true),
            mount(&helpers, HELPERS, false),
        ];
        let local = build.local.iter();
        mounts.extend(
            local.map(|file| mount(&self.store.blob_path(&file.sha256), &file.path, false)),
        );
        self.run_job(build, image, &job(lock, build, image, mounts))?;
        match build.outputs.is_empty() {
            true => self.collect_wheel(build, &out),
            false => self.collect_files(build, &source),
        }
    }

    /// The base with the build's packages, and the build's wheels on top.
    fn build_image(&self, lock: &Lock, build: &LockedBuild) -> Result<Image, BuildError> {
        let plans = layering::of_build(self.store, lock, build)?;
        let mut layers = base_layers(lock);
        layers.extend(self.prover().prove(plans, None)?);
        let unsealed = Lock {
            name: format!("{}.build.{}", lock.name, build.name),
            seal: None,
            ..lock.clone()
        };
        self.seal(&unsealed, layers)
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
}

/// Compiling again what does not repeat itself would take its time and end in other bytes.
fn refuse_lost(build: &LockedBuild, builder: &Builder<'_>) -> Result<(), BuildError> {
    if build.repeatable {
        return Ok(());
    }
    let mut lost = build.blobs().filter(|(_, digest)| !builder.store.has(digest));
    lost.next().map_or(Ok(()), |(file, expected)| {
        let (name, file) = (build.name.clone(), file.to_owned());
        Err(BuildError::OutputLost { name, file, expected })
    })
}

fn job(lock: &Lock, build: &LockedBuild, image: &Image, mounts: Vec<Mount>) -> Job {
    let fixed = [
        ("SOURCE_DATE_EPOCH", "315532800"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("HOME", "/tmp"),
    ];
    let mut env: BTreeMap<String, String> = image.env.clone();
    env.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.extend(build.env.clone());
    // A recipe adds to these and does not replace them.
    for name in ["CFLAGS", "CXXFLAGS"] {
        prepend(&mut env, name, COMPILER_FLAGS, " ");
    }
    prepend(&mut env, "PYTHONPATH", HELPERS, ":");
    Job {
        command: build.command.clone(),
        env,
        workdir: "/src".to_owned(),
        mounts,
        writable: vec!["/tmp".to_owned()],
        shm_size: lock.config.shm_size,
        timeout: TIMEOUT,
        memory: None,
        gpus: Gpus::None,
        keep: Vec::new(),
    }
}

fn prepend(env: &mut BTreeMap<String, String>, name: &str, value: &str, separator: &str) {
    let old = env.get(name).filter(|old| !old.is_empty());
    let new = old.map_or(value.to_owned(), |old| format!("{value}{separator}{old}"));
    env.insert(name.to_owned(), new);
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_adds_to_the_compiler_flags_and_does_not_replace_them() {
        let mut env = BTreeMap::from([("CFLAGS".to_owned(), "-O2".to_owned())]);
        prepend(&mut env, "CFLAGS", COMPILER_FLAGS, " ");
        prepend(&mut env, "PYTHONPATH", HELPERS, ":");
        assert_eq!(env["CFLAGS"], format!("{COMPILER_FLAGS} -O2"));
        assert_eq!(env["PYTHONPATH"], HELPERS);
    }
}
