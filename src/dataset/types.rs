//! What `datasets.toml` says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::DatasetError;
use crate::address::Address;
use crate::digest::{self, Checks, CommitId, Digest};

/// The folder of the data folder that archives are downloaded to.
pub const ARCHIVES: &str = "archives";

/// Every data set of a project.
#[derive(Debug, Clone)]
pub struct Datasets {
    /// The project's folder: archives and manifests are named relative to it.
    pub project: PathBuf,
    /// The data sets by name.
    pub sets: BTreeMap<String, Dataset>,
    /// The file's text as read.
    pub text: String,
}

/// One data set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dataset {
    /// The key of its table.
    #[serde(skip)]
    pub name: String,
    /// One line for `repro list`.
    pub title: String,
    /// Whether its publisher asks for an account.
    #[serde(default)]
    pub login_required: bool,
    /// Where a person gets what no program can download.
    pub page: Option<Address>,
    /// What a person should know.
    #[serde(default)]
    pub notes: String,
    /// The data set of the project that has its layout and takes its place in a rehearsal.
    pub stand_in: Option<String>,
    /// The data sets that it is made of, by the folder that each takes in it.
    #[serde(default)]
    pub of: BTreeMap<String, String>,
    /// The archives it comes in.
    #[serde(default, rename = "archive")]
    pub archives: Vec<Archive>,
    /// What must lie in its folder.
    pub tree: Option<TreeRule>,
}

/// One archive of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Archive {
    /// File name.
    pub file: String,
    /// Where it lies in the project, if it is part of it.
    pub path: Option<String>,
    /// Where its publisher offers it.
    #[serde(default)]
    pub urls: Vec<Address>,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// SHA-256, if known.
    #[serde(default, deserialize_with = "digest::hex::optional")]
    pub sha256: Option<Digest>,
    /// Why there is no SHA-256.
    pub unpinned: Option<String>,
    /// Where a person gets it if no program can.
    pub page: Option<Address>,
    /// What must hold when it is first pinned.
    #[serde(default)]
    pub checks: Checks,
    /// Where size and hashes were seen.
    #[serde(default)]
    pub evidence: String,
    /// A folder of the archive that is left out of the paths: `cityscapes_30imgs`.
    pub strip: Option<String>,
    /// The folder of the data set it unpacks to, if not the data set's own.
    pub unpack: Option<String>,
    /// How its names are encoded where they do not say it themselves: `gbk`.
    pub encoding: Option<String>,
    /// Which of its files are archives to be unpacked, each into a folder of its own: `*.tar`.
    pub nested: Option<String>,
    /// The files that it can also be joined from, in this order.
    #[serde(default, rename = "part")]
    pub parts: Vec<Part>,
}

/// A file that is one part of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Part {
    /// File name.
    pub file: String,
    /// Where its publisher offers it.
    #[serde(default)]
    pub urls: Vec<Address>,
    /// Where a person gets it if no program can.
    pub page: Option<Address>,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// SHA-256, if known.
    #[serde(default, deserialize_with = "digest::hex::optional")]
    pub sha256: Option<Digest>,
}

/// What must lie in a data set's folder: a pinned manifest, or counts and lists where only those are known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TreeRule {
    /// The manifest's file, relative to the project.
    pub manifest: Option<String>,
    /// SHA-256 of the manifest: the data set's binding digest.
    #[serde(default, deserialize_with = "digest::hex::optional")]
    pub sha256: Option<Digest>,
    /// Number of files below each folder, `.` for all.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Lists of files that must be there, whatever is in them.
    #[serde(default, rename = "list")]
    pub lists: Vec<ListRule>,
}

/// A published list of files, one path a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ListRule {
    /// What a reader calls it.
    pub name: String,
    /// Number of its lines.
    pub entries: u64,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    #[serde(with = "digest::hex")]
    pub sha256: Digest,
    /// The folder that its paths begin with and that is the data set's own.
    pub strip: Option<String>,
    /// Where it lies in the project, if it is part of it.
    pub path: Option<String>,
    /// The commit that it is a file of.
    pub git: Option<GitFile>,
    /// The file that belongs to each listed one, as its label.
    pub beside: Option<Beside>,
}

/// Where the file that belongs to another one lies, in the words of the guides' loaders: the other one's path with
/// one word replaced by another, and with an ending of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Beside {
    /// The word, wherever it stands in the path: `images`.
    pub from: String,
    /// What stands there instead: `labels_with_ids`.
    pub to: String,
    /// The ending without its point: `txt`.
    pub extension: String,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GitFile {
    /// The repository.
    pub url: String,
    /// The commit.
    pub commit: CommitId,
    /// The file's path in the commit's tree.
    pub path: String,
}

impl Dataset {
    /// What a record names: the digest of the manifest of the tree; `None` if that is not pinned,
    /// and for a data set that is made of others.
    pub fn binding(&self) -> Option<Digest> {
        self.tree.as_ref().and_then(|tree| tree.sha256)
    }

    /// Whether it is made of others.
    pub fn is_union(&self) -> bool {
        !self.of.is_empty()
    }

    /// Whether every archive of it is pinned, and there is one.
    pub fn is_pinned(&self) -> bool {
        !self.archives.is_empty() && self.archives.iter().all(|archive| archive.sha256.is_some())
    }

    /// Whether all of it is part of the project.
    pub fn is_of_project(&self) -> bool {
        !self.archives.is_empty() && self.archives.iter().all(|archive| archive.path.is_some())
    }

    /// The folder of the unpacked data set below the data folder.
    pub fn folder(&self, data: &Path) -> PathBuf {
        data.join(&self.name)
    }

    /// The folder below the data folder that its archives are downloaded to: two publishers may
    /// give different archives one name.
    pub fn archive_folder(&self, data: &Path) -> PathBuf {
        data.join(ARCHIVES).join(&self.name)
    }
}

impl Beside {
    /// The path of the file that belongs to `path`.
    pub fn of(&self, path: &str) -> String {
        let path = path.replace(&self.from, &self.to);
        let stem = path.rfind('.').filter(|point| !path[*point..].contains('/'));
        format!("{}.{}", &path[..stem.unwrap_or(path.len())], self.extension)
    }
}

impl Archive {
    /// The folder below [`Dataset::archive_folder`] that its parts lie in.
    pub fn parts_folder(&self) -> String {
        format!("{}.parts", self.file)
    }
}

impl Datasets {
    /// The data sets of these names (all, if none is named), each once; what a union is made of
    /// stands for it.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Unknown`] for a name that is not listed.
    pub fn plain(&self, names: &[String]) -> Result<Vec<&Dataset>, DatasetError> {
        let mut sets: Vec<&Dataset> = Vec::new();
        for set in self.select(names)? {
            let named: Vec<&String> =
                if set.is_union() { set.of.values().collect() } else { vec![&set.name] };
            for name in named {
                let set = self.get(name)?;
                if !sets.iter().any(|other| other.name == set.name) {
                    sets.push(set);
                }
            }
        }
        Ok(sets)
    }

    /// Where an archive lies: in the project, among the downloaded archives, in the data set's
    /// folder, or in the data folder; where it belongs, among the archives, while it is nowhere.
    pub fn archive_path(&self, set: &Dataset, archive: &Archive, data: Option<&Path>) -> PathBuf {
        if let Some(path) = &archive.path {
            return self.project.join(path);
        }
        let data = data.unwrap_or(&self.project);
        let archives = set.archive_folder(data);
        let folders = [archives.as_path(), &set.folder(data), data];
        let mut places = folders.iter().map(|folder| folder.join(&archive.file));
        places.find(|place| place.is_file()).unwrap_or_else(|| archives.join(&archive.file))
    }
}
