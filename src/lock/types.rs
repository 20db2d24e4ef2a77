//! What a lock holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};

/// Everything one image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The image's name, `seg-debian`.
    pub name: String,
    /// The format epoch: everything that decides bytes beside the inputs.
    pub epoch: u32,
    /// What the recipe asked for, so that a change of the recipe is found offline.
    pub asked: Asked,
    /// The date that requirements were resolved as of, `2026-11-20`.
    pub as_of: String,
    /// Debian release the packages come from, `bullseye`.
    pub suite: String,
    /// How wheels are installed.
    pub python: PythonTarget,
    /// What the image's configuration says.
    pub config: ImageConfig,
    /// Debian packages of the base, sorted by name.
    pub packages: Vec<LockedPackage>,
    /// Wheels from an index, sorted by normalised name.
    pub wheels: Vec<LockedWheel>,
    /// Wheels compiled by build jobs, sorted by name.
    pub builds: Vec<LockedBuild>,
    /// Symbolic links: path to target.
    pub symlinks: BTreeMap<String, String>,
    /// Text files: path to content.
    pub files: BTreeMap<String, String>,
    /// Files of the recipe's folder that become part of the image, sorted by path.
    pub local_files: Vec<LockedFile>,
    /// Files that profiles mount; pinned, but no part of the image.
    pub profile_files: Vec<LockedProfileFile>,
    /// What could not be pinned; `build` refuses a lock that has any.
    pub unpinned: Vec<Unpinned>,
    /// What must come out, once it is known.
    pub seal: Option<LockedSeal>,
}

/// What a recipe asks for by name, before anything is resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Asked {
    /// Names of Debian packages, sorted.
    pub packages: Vec<String>,
    /// Python requirements (PEP 508), sorted.
    pub requirements: Vec<String>,
    /// By normalised name of the distribution that is compiled.
    #[serde(default, rename = "build")]
    pub builds: BTreeMap<String, AskedBuild>,
}

/// What a recipe asks for to compile one distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AskedBuild {
    /// What the built wheel needs at run time (PEP 508), sorted.
    pub requires: Vec<String>,
    /// Names of Debian packages of the build image, sorted.
    pub packages: Vec<String>,
    /// Wheels of the build image, as requirements, sorted.
    pub wheels: Vec<String>,
}

/// How wheels are installed: the part of `[python]` that decides bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PythonTarget {
    /// `3.9`.
    pub version: String,
    /// Path of the interpreter in the image.
    pub interpreter: String,
    /// Installation prefix.
    pub prefix: String,
    /// Folder for purelib and platlib.
    pub site: String,
    /// Folder for scripts.
    pub scripts: String,
    /// Version of the C library.
    pub glibc: String,
}

/// The part of the recipe that goes into the OCI configuration or the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageConfig {
    /// Debian's name of the processor, `amd64`; OCI uses the same.
    pub architecture: String,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Working folder.
    pub workdir: String,
    /// Entry point; empty for none.
    pub entrypoint: Vec<String>,
    /// Folders a job may write to.
    pub writable: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
}

/// One Debian package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedPackage {
    /// `libc6`.
    pub name: String,
    /// `2.31-13+deb11u11`.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// Path below an archive's root, `pool/main/g/glibc/libc6_2.31-13+deb11u11_amd64.deb`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the `.deb`.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
}

/// One wheel from an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedWheel {
    /// Normalised distribution name (PEP 503).
    pub name: String,
    /// Version (PEP 440).
    pub version: String,
    /// File name.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the wheel.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
    /// Whether a person asked for it by name (pip's REQUESTED marker).
    pub requested: bool,
}

/// One wheel that a build job compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedBuild {
    /// Normalised distribution name.
    pub name: String,
    /// Version.
    pub version: String,
    /// The source distribution.
    pub source: LockedSource,
    /// Debian packages of the build image beside those of the base.
    pub packages: Vec<LockedPackage>,
    /// Wheels of the build image.
    pub wheels: Vec<LockedWheel>,
    /// Environment of the command.
    pub env: BTreeMap<String, String>,
    /// The command.
    pub command: Vec<String>,
    /// What must come out; `None` until it was built once.
    pub output: Option<LockedWheel>,
}

/// One source distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedSource {
    /// File name.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
}

/// A file of the recipe's folder in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedFile {
    /// Absolute path in the image.
    pub path: String,
    /// Path relative to the `images` folder.
    pub source: String,
    /// Whether it is executable.
    pub executable: bool,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
}

/// A file that a profile mounts read-only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedProfileFile {
    /// Name of the profile.
    pub profile: String,
    /// Absolute path in the job.
    pub path: String,
    /// Path relative to the `images` folder.
    pub source: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
}

/// Something that could not be pinned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unpinned {
    /// What it is, as a reader would name it.
    pub input: String,
    /// Why it could not be pinned.
    pub reason: String,
}

/// The seal that must come out of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSeal {
    /// Digest of the OCI manifest: the seal.
    pub manifest: Digest,
    /// The layers, lowest first.
    pub layers: Vec<LockedLayer>,
}

/// One layer that must come out of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedLayer {
    /// What it holds, for a reader: `Debian packages`, `torch 1.9.1`.
    pub origin: String,
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Compressed bytes.
    pub size: u64,
}
