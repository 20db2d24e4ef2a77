//! Every file that a lock pins, whoever has it: what a mirror or a bundle carries.

use super::{BuildSource, Lock, LockedBuild, LockedFile, LockedPackage, LockedWheel};
use crate::digest::Digest;

/// One file that a lock pins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pinned {
    /// What a reader calls it.
    pub name: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// What it is for.
    pub kind: PinnedKind,
}

/// What a pinned file is for, and where others look for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinnedKind {
    /// Manifest or configuration of a registry's image.
    BaseDocument,
    /// A layer of a registry's image; needed only when somebody needs its bytes.
    BaseLayer,
    /// A Debian package.
    Package {
        /// Path below an archive's root.
        path: String,
    },
    /// A wheel or a source distribution of an index.
    Distribution {
        /// Normalised name of the project.
        project: String,
    },
    /// A git tree.
    Tree,
    /// A file of the web.
    Download,
    /// What a build job made: a wheel or a file.
    Built,
    /// A file of the recipe's folder in the image or for a build job.
    LocalFile,
    /// A file of the recipe's folder that a profile mounts.
    ProfileFile,
}

impl Lock {
    /// Every file that the lock pins, each digest once, sorted by name.
    pub fn pinned(&self) -> Vec<Pinned> {
        let mut all = Vec::new();
        all.extend(self.packages.iter().map(of_package));
        all.extend(self.wheels.iter().map(|wheel| of_wheel(wheel, false)));
        self.builds.iter().for_each(|build| of_build(build, &mut all));
        self.base_files(&mut all);
        for git in &self.git {
            let name = format!("{} {}", git.name, git.commit);
            all.push(Pinned::new(&name, git.archive.digest, git.archive.size, PinnedKind::Tree));
        }
        let download = |file: &super::LockedDownload| {
            Pinned::new(&file.path, file.sha256, file.size, PinnedKind::Download)
        };
        all.extend(self.downloads.iter().map(download));
        all.extend(self.local_files.iter().map(of_local));
        let profile = |file: &super::LockedProfileFile| {
            Pinned::new(&file.source, file.sha256, file.size, PinnedKind::ProfileFile)
        };
        all.extend(self.profile_files.iter().map(profile));
        all.sort_by(|left, right| (left.digest, left).cmp(&(right.digest, right)));
        all.dedup_by_key(|pinned| pinned.digest);
        all.sort();
        all
    }

    fn base_files(&self, all: &mut Vec<Pinned>) {
        let Some(base) = &self.base else { return };
        let document = PinnedKind::BaseDocument;
        let name = format!("manifest of {}", base.image);
        all.push(Pinned::new(&name, base.manifest, base.size, document.clone()));
        let name = format!("configuration of {}", base.image);
        all.push(Pinned::new(&name, base.config.digest, base.config.size, document));
        for (number, layer) in base.layers.iter().enumerate() {
            let name = format!("layer {} of {}", number + 1, base.image);
            all.push(Pinned::new(&name, layer.digest, layer.size, PinnedKind::BaseLayer));
        }
    }
}

impl Pinned {
    fn new(name: &str, digest: Digest, size: u64, kind: PinnedKind) -> Self {
        Self { name: name.to_owned(), digest, size, kind }
    }
}

fn of_package(package: &LockedPackage) -> Pinned {
    let name = package.path.rsplit('/').next().unwrap_or(&package.path);
    let kind = PinnedKind::Package { path: package.path.clone() };
    Pinned::new(name, package.sha256, package.size, kind)
}

fn of_local(file: &LockedFile) -> Pinned {
    Pinned::new(&file.source, file.sha256, file.size, PinnedKind::LocalFile)
}

fn of_wheel(wheel: &LockedWheel, built: bool) -> Pinned {
    let kind = match built {
        true => PinnedKind::Built,
        false => PinnedKind::Distribution { project: wheel.name.clone() },
    };
    Pinned::new(&wheel.file, wheel.sha256, wheel.size, kind)
}

fn of_build(build: &LockedBuild, all: &mut Vec<Pinned>) {
    if let BuildSource::Distribution(source) = &build.source {
        let kind = PinnedKind::Distribution { project: build.name.clone() };
        all.push(Pinned::new(&source.file, source.sha256, source.size, kind));
    }
    all.extend(build.local.iter().map(of_local));
    all.extend(build.packages.iter().map(of_package));
    all.extend(build.wheels.iter().map(|wheel| of_wheel(wheel, false)));
    all.extend(build.output.iter().map(|wheel| of_wheel(wheel, true)));
    let built = |file: &super::BuiltFile| {
        Pinned::new(&file.path, file.sha256, file.size, PinnedKind::Built)
    };
    all.extend(build.files.iter().map(built));
}
