//! What a lock holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{CommitId, DiffId, Digest, TreeId};
use crate::recipe::GitRecipe;

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
    /// The registry's image below everything; `None` where Debian packages are the base.
    pub base: Option<LockedBase>,
    /// Debian release the packages come from, `bullseye`; empty above a registry's image.
    pub suite: String,
    /// How wheels are installed.
    pub python: PythonTarget,
    /// What the image's configuration says.
    pub config: ImageConfig,
    /// Debian packages of the base, sorted by name.
    pub packages: Vec<LockedPackage>,
    /// Wheels from an index, sorted by normalised name.
    pub wheels: Vec<LockedWheel>,
    /// Places of wheels that no index has, as the recipe names them.
    pub find_links: Vec<String>,
    /// Git trees, sorted by name.
    pub git: Vec<LockedGit>,
    /// Files of the web, sorted by path.
    pub downloads: Vec<LockedDownload>,
    /// Wheels and files made by build jobs, sorted by name.
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
    /// Reference of the registry's image; empty where Debian packages are the base.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
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

/// An image of a registry: what its tag meant when the lock was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedBase {
    /// The reference that was asked for, with the registry's host.
    pub image: String,
    /// Digest of the manifest of this platform.
    pub manifest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
    /// The configuration.
    pub config: LockedBlob,
    /// The layers, lowest first.
    pub layers: Vec<LockedBaseLayer>,
    /// Environment of the image's processes; the recipe's own variables come on top.
    pub env: BTreeMap<String, String>,
    /// Directories of the image, and links that lead to one: by parent, the names in it; a link
    /// is written `name -> target`. With it an image is planned without the base's bytes.
    pub directories: BTreeMap<String, Vec<String>>,
}

/// A blob of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedBlob {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// One layer of a registry's image; its bytes are never touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedBaseLayer {
    /// Digest of the bytes as the registry has them.
    pub digest: Digest,
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// How the bytes are compressed.
    pub compression: Compression,
    /// Bytes.
    pub size: u64,
}

/// How a layer's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: a plain tar stream.
    None,
    /// gzip (RFC 1952), of one member or many.
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// A git tree, by the names that git gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedGit {
    /// What the recipe calls it.
    pub name: String,
    /// Repositories that hold the commit, tried in order.
    pub urls: Vec<String>,
    /// The commit.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: TreeId,
    /// The folder of the image that the tree lies in; `None` if it is only compiled.
    pub path: Option<String>,
    /// Globs of what is taken of the tree, sorted; everything if there are none.
    pub include: Vec<String>,
    /// Globs of what is left out again, sorted.
    pub exclude: Vec<String>,
    /// Submodules that are taken, at the commits that the trees record, sorted by path.
    pub submodules: Vec<LockedSubmodule>,
    /// The tree with its submodules as one blob of the store.
    pub archive: LockedBlob,
}

impl LockedGit {
    /// What a recipe asked for.
    pub fn asked(&self) -> GitRecipe {
        let Self { name, urls, commit, path, include, exclude, .. } = self.clone();
        GitRecipe { name, urls, commit, path, include, exclude }
    }
}

/// A submodule of a git tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedSubmodule {
    /// Its path below the tree.
    pub path: String,
    /// Where its repository is, as `.gitmodules` says, made absolute.
    pub url: String,
    /// The commit that the tree records.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: TreeId,
}

/// What a build job compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildSource {
    /// A source distribution of an index.
    Distribution(LockedSource),
    /// The [`LockedGit`] of this name.
    Git(String),
    /// The recipe's own files, [`LockedBuild::local`], and nothing else.
    Local,
}

/// A file of the web that becomes part of the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedDownload {
    /// Absolute path in the image.
    pub path: String,
    /// Addresses that had it, asked in order; the digest decides what is taken.
    pub urls: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
    /// Whether it is executable.
    #[serde(default)]
    pub executable: bool,
}

/// One wheel, or some files, that a build job compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedBuild {
    /// Normalised distribution name.
    pub name: String,
    /// Version.
    pub version: String,
    /// What is compiled.
    pub source: BuildSource,
    /// Debian packages of the build image beside those of the base.
    pub packages: Vec<LockedPackage>,
    /// Wheels of the build image.
    pub wheels: Vec<LockedWheel>,
    /// Environment of the command.
    pub env: BTreeMap<String, String>,
    /// The command.
    pub command: Vec<String>,
    /// Whether the command gives the same bytes each time.
    pub repeatable: bool,
    /// Files of the recipe's folder that the command finds, sorted by their path in the job.
    pub local: Vec<LockedFile>,
    /// The profile that mounts its files; `None` if they are part of the image.
    pub profile: Option<String>,
    /// Files it makes instead of a wheel: path in the image to path below the source's folder.
    pub outputs: BTreeMap<String, String>,
    /// The wheel that must come out; `None` until it was built once, and for files.
    pub output: Option<LockedWheel>,
    /// The files that must come out, sorted by path; empty until they were built once.
    pub files: Vec<BuiltFile>,
}

impl LockedBuild {
    /// Whether what must come out is known.
    pub fn is_known(&self) -> bool {
        match self.outputs.is_empty() {
            true => self.output.is_some(),
            false => self.files.len() == self.outputs.len(),
        }
    }

    /// The blobs that must come out, with the name a reader knows each by; empty until known.
    pub fn blobs(&self) -> impl Iterator<Item = (&str, Digest)> {
        let wheel = self.output.iter().map(|wheel| (wheel.file.as_str(), wheel.sha256));
        wheel.chain(self.files.iter().map(|file| (file.path.as_str(), file.sha256)))
    }
}

/// A file that a build job made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuiltFile {
    /// Absolute path in the image.
    pub path: String,
    /// Whether it is executable.
    pub executable: bool,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Digest,
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
    /// Why it could not be pinned; for what is gone, the evidence.
    pub reason: String,
    /// The day by which it was seen to be deleted upstream; `None` if it may still be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
}

impl Unpinned {
    /// What the registry's image below everything is called among inputs.
    pub const BASE: &str = "base";

    /// What a git source is called among inputs; of another commit nothing is said.
    pub fn of_git(git: &GitRecipe) -> String {
        format!("git source `{}` at {}", git.name, git.commit)
    }

    /// What a download is called among inputs.
    pub fn of_download(path: &str) -> String {
        format!("download `{path}`")
    }

    /// An input that could not be pinned but may be another time.
    pub fn new(input: &str, reason: &str) -> Self {
        Self { input: input.to_owned(), reason: reason.to_owned(), gone: None }
    }
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
