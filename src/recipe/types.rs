//! The recipe as other modules see it: variants merged, defaults filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::audit::Audit;
use super::benchmark::{Benchmark, Profile};
use super::published::{ExpectedFailure, Published, ReferenceHost};
use super::reading::Unavailable;
use super::units::byte_size;
use crate::digest::{self, Checks, CommitId, Digest};

/// One image of one system, with everything needed to lock, build and run it.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The image's name: `seg` or, for a variant, `seg-debian`.
    pub name: String,
    /// The recipe's name, the file's stem: `seg`. First part of every case name.
    pub system: String,
    /// One line for `repro list`.
    pub title: String,
    /// The guide this recipe follows.
    pub guide: Guide,
    /// What the image is made of.
    pub image: ImageRecipe,
    /// How the image is run and its logs are read.
    pub benchmark: Benchmark,
    /// The ways to run it, by name (`full`, `smoke`).
    pub profiles: BTreeMap<String, Profile>,
    /// What the guide gets wrong, or what the recipe does otherwise.
    pub errata: Vec<Erratum>,
    /// Figures the guide publishes, with their conditions.
    pub published: Vec<Published>,
    /// The machine that the guide measured on, as far as it says.
    pub reference_host: Option<ReferenceHost>,
    /// Cases that are known to fail, and why.
    pub expected_failures: Vec<ExpectedFailure>,
    /// Cases of the guide that cannot be run here at all.
    pub unavailable: Vec<Unavailable>,
    /// How the guide is held against itself, if its repository can be had.
    pub audit: Option<Audit>,
    /// The folder local files are relative to (`images`).
    pub folder: PathBuf,
    /// The recipe's text as read, for its digest and for the store.
    pub text: String,
}

/// Where a guide is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Guide {
    /// Repository URL.
    pub repository: String,
    /// Full commit.
    pub commit: String,
    /// Path inside the repository.
    pub path: String,
    /// How it starts its container.
    #[serde(default, skip_serializing_if = "GuideDocker::is_empty")]
    pub docker: GuideDocker,
}

/// The guide's own `docker run`; a sealed run is the same for every guide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuideDocker {
    /// Its options, each as one word: `--net=host`, `-it`.
    pub options: Vec<String>,
}

/// Options whose purpose a sealed run serves: the recipe and the command line say how.
const TAKEN_OVER: [&str; 7] =
    ["--gpus", "--name", "--rm", "--runtime", "--shm-size", "--volume", "--workdir"];

impl GuideDocker {
    fn is_empty(&self) -> bool {
        self.options.is_empty()
    }

    /// What the guide does and a sealed run does not, in the guide's order.
    pub fn not_taken_over(&self) -> Vec<String> {
        let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        let left_out = |option: &&String| !TAKEN_OVER.contains(&name(option).as_str());
        self.options.iter().filter(left_out).cloned().collect()
    }
}

/// The half of a recipe that decides bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecipe {
    /// What everything else lies on.
    pub base: BaseRecipe,
    /// The interpreter and the wheels.
    pub python: PythonRecipe,
    /// Git trees that become part of the image, or that build jobs compile.
    pub git: Vec<GitRecipe>,
    /// Files of the web that become part of the image.
    pub downloads: Vec<DownloadRecipe>,
    /// What build jobs compile: wheels, or declared files.
    pub builds: Vec<BuildRecipe>,
    /// Inputs that were deleted upstream: they are never asked for, and the lock says so.
    pub gone: Vec<Gone>,
    /// Local files that become part of the image.
    pub local_files: Vec<LocalFile>,
    /// Symbolic links to make: path in the image to target.
    pub symlinks: BTreeMap<String, String>,
    /// Small text files to make: path in the image to content.
    pub files: BTreeMap<String, String>,
    /// Environment of every process in the image.
    pub env: BTreeMap<String, String>,
    /// Folder a process starts in.
    pub workdir: String,
    /// Entry point; empty for none.
    pub entrypoint: Vec<String>,
    /// Folders a job may write to: on disk, filled from the image, gone after the job.
    pub writable: Vec<String>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
}

/// The lowest layers of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseRecipe {
    /// Debian packages, unpacked by `repro`: `[debian]`.
    Debian(DebianRecipe),
    /// An image of a registry, its layers untouched: `[base]`.
    Registry(RegistryRecipe),
}

impl BaseRecipe {
    /// The processor in Debian's and OCI's words, `amd64`.
    pub fn architecture(&self) -> &str {
        match self {
            Self::Debian(debian) => &debian.architecture,
            Self::Registry(registry) => &registry.architecture,
        }
    }

    /// The Debian packages, if they are the base.
    pub fn debian(&self) -> Option<&DebianRecipe> {
        match self {
            Self::Debian(debian) => Some(debian),
            Self::Registry(_) => None,
        }
    }

    /// The registry's image, if it is the base.
    pub fn registry(&self) -> Option<&RegistryRecipe> {
        match self {
            Self::Debian(_) => None,
            Self::Registry(registry) => Some(registry),
        }
    }
}

/// An image of a registry by tag or digest; `repro lock` finds out what the tag means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryRecipe {
    /// Its reference with the registry's host, `registry.test/team/image:1.0`.
    pub image: String,
    /// The processor, where a tag has several images.
    #[serde(default = "amd64")]
    pub architecture: String,
}

fn amd64() -> String {
    "amd64".to_owned()
}

/// A commit of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GitRecipe {
    /// What the recipe calls it, `fairmot`.
    pub name: String,
    /// Repositories that hold the commit, tried in order.
    pub urls: Vec<String>,
    /// The commit.
    pub commit: CommitId,
    /// The folder of the image that the tree lies in; without one it is only compiled.
    pub path: Option<String>,
    /// Globs of what is taken of the tree (see [`crate::git::Selection`]); without any, everything.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of what is left out again.
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl GitRecipe {
    /// With its patterns in order, as a lock has them.
    pub fn ordered(&self) -> Self {
        let mut git = self.clone();
        git.include.sort();
        git.exclude.sort();
        git
    }
}

/// A file of the web that becomes part of the image: weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DownloadRecipe {
    /// Absolute path in the image.
    pub path: String,
    /// Addresses that have it, asked in order.
    pub urls: Vec<String>,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// SHA-256, if known; with the size it is pinned without being fetched.
    #[serde(default, deserialize_with = "digest::hex::optional")]
    pub sha256: Option<Digest>,
    /// What else is known of it; must hold when it is first pinned.
    #[serde(default)]
    pub checks: Checks,
    /// Where it can be seen what is known.
    #[serde(default)]
    pub evidence: String,
    /// Whether it is executable (0755 instead of 0644).
    #[serde(default)]
    pub executable: bool,
}

/// Debian packages by name; apt finds the closure when the lock is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DebianRecipe {
    /// Code name of the release, `bullseye`. Its security and update suites belong to it.
    pub suite: String,
    /// Debian's name of the processor, `amd64`.
    pub architecture: String,
    /// Names of the packages asked for.
    pub packages: Vec<String>,
}

/// The keys of `[image]`: what goes into the OCI configuration or the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ImageTable {
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub workdir: String,
    #[serde(default)]
    pub entrypoint: Vec<String>,
    #[serde(default)]
    pub writable: Vec<String>,
    /// `shm-size = "1 GiB"` in the file.
    #[serde(deserialize_with = "byte_size")]
    pub shm_size: u64,
}

/// The interpreter and what is installed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PythonRecipe {
    /// `3.9`.
    pub version: String,
    /// Path of the interpreter in the image; it stands in the first line of scripts.
    pub interpreter: String,
    /// Installation prefix, `/usr/local`.
    pub prefix: String,
    /// The folder that purelib and platlib go to.
    pub site: String,
    /// The folder for scripts.
    pub scripts: String,
    /// Version of the C library, `2.31`: decides which manylinux wheels fit.
    pub glibc: String,
    /// PEP 508 requirements as a person writes them.
    pub requirements: Vec<String>,
    /// Resolve as of this date (`2026-11-20`): later uploads do not exist.
    pub as_of: String,
    /// Pages of links, or folders relative to the project, that have wheels no index has
    /// (`+cu101`); they are asked beside the user's own.
    #[serde(default)]
    pub find_links: Vec<String>,
}

/// One build job: a source distribution or a git tree that is compiled to a wheel or to files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildRecipe {
    /// Distribution name, `mmcv`; for declared files any name.
    pub name: String,
    /// Version, `1.3.13`.
    pub version: String,
    /// Name of the `[[git]]` source that is compiled; without one it is the source distribution of
    /// this name and version, or for declared files `local` alone.
    pub git: Option<String>,
    /// What the built wheel needs at run time (PEP 508); nothing ever runs its `setup.py` to ask.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Debian packages of the build image, beside those of the base.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Wheels of the build image, as pinned requirements.
    #[serde(default)]
    pub wheels: Vec<String>,
    /// Environment of the build command.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The command; it runs in the unpacked source and leaves one wheel in `/out`, or the declared
    /// `outputs`.
    pub command: Vec<String>,
    /// Files of the recipe's folder that the command finds: path in the job to path relative to
    /// `images`.
    #[serde(default)]
    pub local: BTreeMap<String, String>,
    /// Files that the command makes: path in the image to path below the source's folder.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// The profile that mounts the declared `outputs`; without one they are part of the image.
    pub profile: Option<String>,
    /// Whether the command gives the same bytes each time; nvcc does not. What came out first is kept.
    #[serde(default = "yes")]
    pub repeatable: bool,
    /// Why it is built so.
    #[serde(default)]
    pub reason: String,
}

fn yes() -> bool {
    true
}

impl BuildRecipe {
    /// Whether the source distribution of its name and version is compiled.
    pub fn is_of_index(&self) -> bool {
        self.git.is_none() && self.outputs.is_empty()
    }
}

/// An input that was deleted upstream, so that no lock can pin it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gone {
    /// The input as the recipe asks for it: a requirement, a Debian package, `name==version` of a
    /// build, the name of a git source, the path of a download, or `base` for the registry's image.
    pub input: String,
    /// Where it can be seen that it is gone.
    pub evidence: String,
    /// The day by which it was gone, `2026-11-20`.
    pub date: String,
}

impl ImageRecipe {
    /// Whether the recipe says that this input was deleted upstream.
    pub fn is_gone(&self, input: &str) -> bool {
        self.gone.iter().any(|gone| gone.input == input)
    }

    /// The builds whose source was not deleted upstream.
    pub fn possible_builds(&self) -> impl Iterator<Item = &BuildRecipe> {
        let is_gone = |build: &BuildRecipe| {
            self.is_gone(&build.name)
                || self.is_gone(&format!("{}=={}", build.name, build.version))
                || build.git.as_deref().is_some_and(|git| self.is_gone(git))
        };
        self.builds.iter().filter(move |build| !is_gone(build))
    }
}

/// A file of the recipe's folder that is copied into the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LocalFile {
    /// Absolute path in the image.
    pub path: String,
    /// Path relative to the `images` folder.
    pub source: String,
    /// Whether it is executable (0755 instead of 0644).
    #[serde(default)]
    pub executable: bool,
}

/// Something the guide gets wrong, or the recipe does otherwise, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Erratum {
    /// Short name.
    pub id: String,
    /// What the guide says, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// What is true, and what this recipe does.
    pub text: String,
    /// Where it can be seen.
    #[serde(default)]
    pub evidence: String,
}
