//! What a lock needs from elsewhere, and what of it is in the store.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::lock::{
    BuildSource, Lock, LockedDownload, LockedGit, LockedPackage, LockedWheel, Pinned, PinnedKind,
};
use crate::store::Store;

/// One file that a lock pins and that somebody else publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// File name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Who publishes it.
    pub place: Place,
}

/// Who publishes a file; where that is, the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A project of a Python package index.
    Python {
        /// Normalised name of the project (PEP 503).
        project: String,
    },
    /// A page of links that the recipe names, or a project of an index.
    Linked {
        /// Normalised name of the project (PEP 503).
        project: String,
        /// The pages, or folders of the project.
        pages: Vec<String>,
    },
    /// Addresses of the web that the recipe names.
    Web {
        /// The addresses, in order.
        urls: Vec<String>,
    },
    /// A Debian archive.
    Debian {
        /// Path below the archive's root.
        path: String,
        /// The release, `bullseye`.
        suite: String,
    },
    /// A repository of a registry; `registry` brings what is there.
    Registry {
        /// The image's reference.
        image: String,
        /// Whether it is the manifest, which is asked for in its own way.
        is_manifest: bool,
    },
    /// The repositories of a git source; the file is the archive of its commit's tree.
    Git(Box<LockedGit>),
    /// Nobody but a mirror: it was made or written here.
    Mirror,
}

/// One input of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The input.
    pub wanted: Wanted,
    /// Whether the store has it.
    pub present: bool,
}

/// The files that `lock` needs from elsewhere, each once, sorted by name.
///
/// What build jobs make is not among them: it comes out of the sources, which are.
pub fn wanted(lock: &Lock) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    all.extend(lock.packages.iter().map(|package| of_package(package, &lock.suite)));
    let of_wheel = |wheel: &LockedWheel| of_wheel(wheel, &lock.find_links);
    all.extend(lock.wheels.iter().map(of_wheel));
    all.extend(lock.git.iter().map(of_git));
    all.extend(lock.downloads.iter().map(of_download));
    for build in &lock.builds {
        if let BuildSource::Distribution(source) = &build.source {
            all.push(Wanted {
                name: source.file.clone(),
                digest: source.sha256,
                size: source.size,
                place: Place::Python { project: build.name.clone() },
            });
        }
        all.extend(build.packages.iter().map(|package| of_package(package, &lock.suite)));
        all.extend(build.wheels.iter().map(of_wheel));
    }
    let by_digest: BTreeMap<Digest, Wanted> =
        all.into_iter().rev().map(|wanted| (wanted.digest, wanted)).collect();
    let mut wanted: Vec<Wanted> = by_digest.into_values().collect();
    wanted.sort_by(|one, other| one.name.cmp(&other.name).then(one.digest.cmp(&other.digest)));
    wanted
}

/// What `lock` pins beside [`wanted`], without the layers of a base: only mirrors may have it, and
/// it can be had otherwise too.
pub fn wanted_of_mirrors(lock: &Lock) -> Vec<Wanted> {
    let elsewhere = |pinned: &Pinned| match pinned.kind {
        PinnedKind::Package { .. }
        | PinnedKind::Distribution { .. }
        | PinnedKind::Download
        | PinnedKind::BaseLayer => false,
        PinnedKind::BaseDocument
        | PinnedKind::Tree
        | PinnedKind::Built
        | PinnedKind::LocalFile
        | PinnedKind::ProfileFile => true,
    };
    of_mirrors(lock, elsewhere)
}

/// The layers of the base, as a mirror may have them; `registry` asks everybody else.
pub fn base_layers_of_mirrors(lock: &Lock) -> Vec<Wanted> {
    of_mirrors(lock, |pinned| pinned.kind == PinnedKind::BaseLayer)
}

fn of_mirrors(lock: &Lock, is_meant: impl Fn(&Pinned) -> bool) -> Vec<Wanted> {
    let pinned = lock.pinned().into_iter().filter(is_meant);
    let wanted = pinned.map(|Pinned { name, digest, size, .. }| Wanted {
        name,
        digest,
        size,
        place: Place::Mirror,
    });
    wanted.collect()
}

fn of_package(package: &LockedPackage, suite: &str) -> Wanted {
    Wanted {
        name: package.path.rsplit('/').next().unwrap_or(&package.path).to_owned(),
        digest: package.sha256,
        size: package.size,
        place: Place::Debian { path: package.path.clone(), suite: suite.to_owned() },
    }
}

fn of_wheel(wheel: &LockedWheel, find_links: &[String]) -> Wanted {
    let project = wheel.name.clone();
    let place = match find_links {
        [] => Place::Python { project },
        pages => Place::Linked { project, pages: pages.to_vec() },
    };
    Wanted { name: wheel.file.clone(), digest: wheel.sha256, size: wheel.size, place }
}

fn of_download(file: &LockedDownload) -> Wanted {
    let place = Place::Web { urls: file.urls.clone() };
    Wanted { name: file.path.clone(), digest: file.sha256, size: file.size, place }
}

fn of_git(git: &LockedGit) -> Wanted {
    Wanted {
        name: format!("{} {}", git.name, git.commit.short()),
        digest: git.archive.digest,
        size: git.archive.size,
        place: Place::Git(Box::new(git.clone())),
    }
}

/// Tells for each input whether the store has it; downloads and writes nothing.
pub fn plan(store: &Store, wanted: &[Wanted]) -> Vec<Planned> {
    let planned = wanted.iter().map(|wanted| Planned {
        // A file of another size is damaged and comes again.
        present: store.size_of(&wanted.digest) == Some(wanted.size),
        wanted: wanted.clone(),
    });
    planned.collect()
}
