//! Brings a commit's tree, with its submodules, into the store as one blob.
//!
//! Repositories on this disk are read where they are. Others are asked by HTTP
//! (see `smart`), through the same client as everything else, so proxies,
//! certificates and time limits are the settings' and git's own: libgit2's transports know none of them.
//! What was fetched lies in one object folder of the store, shared by all images.
//!
//! Invariants: a commit is asked for by its name and nothing else, so that neither a branch nor
//! a mirror can change what comes; every object is checked against its name when it is
//! read; content goes into the archive as stored, without filters; credentials are never printed.

mod large;
mod local;
mod packets;
mod place;
pub(super) mod single;
mod smart;
mod source;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use git2::{ObjectType, Odb, Oid, Repository, TreeWalkMode, TreeWalkResult};
use reqwest::Url;

use self::place::Target;
pub use self::source::{GitTree, git_tree};
use super::client::http_client_through;
use super::error::{FetchError, Refusal, Tried};
use super::progress::Progress;
use crate::address::masked;
use crate::digest::{CommitId, TreeId};
use crate::git::{GitError, Selection};
use crate::lock::{LockedBlob, LockedGit, LockedSubmodule};
use crate::settings::{GitSettings, Settings};
use crate::store::{Store, StoreError};

/// What every fetch from git needs.
pub(super) struct Fetcher<'a> {
    settings: &'a Settings,
    git: GitSettings,
    store: &'a Store,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
}

/// A commit's tree in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FetchedTree {
    pub(super) tree: TreeId,
    pub(super) submodules: Vec<LockedSubmodule>,
    pub(super) archive: LockedBlob,
}

/// A commit, and the repositories that may hold it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// What a reader calls it.
    pub(super) name: &'a str,
    pub(super) urls: &'a [String],
    pub(super) commit: CommitId,
    /// What of its tree is taken; `None` for all of it.
    pub(super) selection: Option<&'a Selection>,
}

/// A repository, and the object folders that it reads.
pub(super) struct Objects {
    pub(super) repository: Repository,
    pub(super) folders: Vec<PathBuf>,
}

/// Why a tree is not in the store.
#[derive(Debug)]
pub(super) enum NoTree {
    Stopped,
    Store(StoreError),
    /// The commit, and each place that was asked.
    Refused(CommitId, Vec<Tried>),
    /// The tree cannot be laid out.
    Unusable(GitError),
    /// The client could not be set up.
    Client(FetchError),
}

impl NoTree {
    /// The same as an error about the source `name`.
    pub(super) fn about(self, name: &str) -> FetchError {
        let name = name.to_owned();
        match self {
            Self::Stopped => FetchError::Stopped,
            Self::Store(error) => FetchError::Store(error),
            Self::Refused(commit, tried) => FetchError::Commit { name, commit, tried },
            Self::Unusable(source) => FetchError::Tree { name, source },
            Self::Client(error) => error,
        }
    }
}

impl From<StoreError> for NoTree {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<GitError> for NoTree {
    fn from(error: GitError) -> Self {
        match error {
            GitError::Store(error) => Self::Store(error),
            error => Self::Unusable(error),
        }
    }
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        store: &'a Store,
        progress: &'a dyn Progress,
        stop: &'a AtomicBool,
    ) -> Result<Self, FetchError> {
        Ok(Self { settings, git: settings.git()?, store, progress, stop })
    }

    /// Puts the tree of a commit into the store.
    pub(super) fn tree(&self, wish: Wish<'_>) -> Result<FetchedTree, NoTree> {
        tree::Walk::new(self).archive(wish)
    }

    /// Puts the tree of a locked commit into the store; it must be the one that was locked.
    pub(super) fn locked(&self, git: &LockedGit) -> Result<(), NoTree> {
        let selection = Selection::new(&git.include, &git.exclude)?;
        let (name, urls, commit) = (&git.name, &git.urls, git.commit);
        let found = self.tree(Wish { name, urls, commit, selection: Some(&selection) })?;
        let refused = |refusal| {
            let url = git.urls.first().map_or_else(String::new, |url| masked(url));
            let tried = Tried { url, setting: RECIPE.to_owned(), refusal };
            Err(NoTree::Refused(git.commit, vec![tried]))
        };
        if found.tree != git.tree {
            let reason = format!("has tree {}, locked is {}", found.tree, git.tree);
            return refused(Refusal::GitDiffers { reason });
        }
        for (ours, its) in git.submodules.iter().zip(&found.submodules) {
            if (&ours.path, ours.commit, ours.tree) != (&its.path, its.commit, its.tree) {
                let reason = format!(
                    "submodule `{}` is {} with tree {}, locked is `{}` {} with tree {}",
                    its.path, its.commit, its.tree, ours.path, ours.commit, ours.tree
                );
                return refused(Refusal::GitDiffers { reason });
            }
        }
        if found.archive != git.archive {
            let LockedBlob { digest, size } = found.archive;
            return refused(Refusal::Differs { digest, size });
        }
        Ok(())
    }

    /// Whether a repository of this machine holds a locked commit, where no network may be asked.
    pub(super) fn is_near(&self, git: &LockedGit) -> bool {
        // A pattern that is none is told when the tree is fetched.
        let Ok(selection) = Selection::new(&git.include, &git.exclude) else { return true };
        let (name, urls, commit) = (&git.name, &git.urls, git.commit);
        self.repository(Wish { name, urls, commit, selection: Some(&selection) }).is_ok()
    }

    /// A repository that holds the commit with what is taken of its tree.
    fn repository(&self, wish: Wish<'_>) -> Result<Objects, NoTree> {
        let mirror = self.store.git_objects();
        if let Ok(repository) = holding(&[mirror.as_path()], wish) {
            return Ok(repository);
        }
        let mut tried = Vec::new();
        for url in wish.urls {
            let place = self.git.place(url);
            let refusal = match place::target(place.url.whole(), &self.settings_folder()) {
                Target::Local(path) => match local::open(&path, wish) {
                    Ok(repository) => return Ok(repository),
                    Err(refusal) => refusal,
                },
                Target::Http(_) if self.settings.offline() => {
                    Refusal::git("no network may be asked, and the store does not have the commit")
                }
                Target::Http(url) => match self.bring(&url, wish)? {
                    None => match holding(&[mirror.as_path()], wish) {
                        Ok(repository) => return Ok(repository),
                        Err(refusal) => refusal,
                    },
                    Some(refusal) => refusal,
                },
                Target::Other(reason) => Refusal::git(&reason),
            };
            let setting = place.setting.unwrap_or_else(|| RECIPE.to_owned());
            tried.push(Tried { url: place.url.to_string(), setting, refusal });
        }
        Err(NoTree::Refused(wish.commit, tried))
    }

    /// Fetches the commit into the store's object folder; a refusal if the server has none.
    fn bring(&self, url: &Url, wish: Wish<'_>) -> Result<Option<Refusal>, NoTree> {
        let proxies = self.git.proxies(url, self.settings.proxies());
        let client = http_client_through(self.settings, proxies).map_err(NoTree::Client)?;
        let folder = self.store.scratch("git")?;
        let packs = folder.join("pack");
        std::fs::create_dir(&packs).map_err(crate::store::at("create", &packs))?;
        let server = smart::Server::new(self, client, url.clone(), wish);
        let brought = server.bring(&folder);
        let result = match brought {
            Ok(()) => self.store.adopt_pack(&packs).map(|()| None).map_err(NoTree::Store),
            Err(smart::NoPack::Stopped) => Err(NoTree::Stopped),
            Err(smart::NoPack::Refused(refusal)) => Ok(Some(refusal)),
        };
        let _ = std::fs::remove_dir_all(&folder);
        result
    }

    /// The folder that a relative path in git's configuration would be relative to.
    fn settings_folder(&self) -> PathBuf {
        self.settings.project().map_or_else(|_| "/".into(), Path::to_owned)
    }
}

/// Where a repository's place stands unless git's configuration names another one.
const RECIPE: &str = "the recipe";

/// A repository over these object folders, if they hold the commit and what is taken of its tree.
///
/// # Errors
///
/// What is missing, as a refusal.
fn holding(folders: &[&Path], wish: Wish<'_>) -> Result<Objects, Refusal> {
    let failed = |error: git2::Error| Refusal::git(error.message());
    let odb = Odb::new().map_err(failed)?;
    for folder in folders {
        let folder = folder.to_str().ok_or_else(|| Refusal::git("its path is no Unicode text"))?;
        odb.add_disk_alternate(folder).map_err(failed)?;
    }
    let repository = Repository::from_odb(odb).map_err(failed)?;
    let Ok(found) = repository.find_commit(oid(wish.commit)) else {
        return Err(Refusal::git("it has no such commit"));
    };
    let tree = found.tree().map_err(|_| Refusal::git("it has the commit without its tree"))?;
    let lacking = lacking(&repository, &tree, wish.selection);
    drop((tree, found));
    match lacking {
        None => {
            let folders = folders.iter().map(|folder| folder.to_path_buf()).collect();
            Ok(Objects { repository, folders })
        }
        Some(path) => Err(Refusal::git(&format!("it has the commit without its `{path}`"))),
    }
}

/// The first path that is taken of a tree and whose object is not there: a partial or damaged
/// repository. All folders are needed, to find out which paths there are.
fn lacking(
    repository: &Repository,
    tree: &git2::Tree<'_>,
    selection: Option<&Selection>,
) -> Option<String> {
    let is_taken = |path: &[u8]| selection.is_none_or(|selection| selection.takes(path));
    let odb = repository.odb().ok()?;
    let (mut missing, mut count) = (None, 0);
    let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        count += 1;
        let path = [folder.as_bytes(), entry.name_bytes()].concat();
        let is_needed = match entry.kind() {
            Some(ObjectType::Commit) => false,
            // Which submodules there are is asked of it even where it is left out.
            Some(ObjectType::Blob) => path == b".gitmodules" || is_taken(&path),
            _ => true,
        };
        let is_there = !is_needed || odb.exists(entry.id());
        if !is_there {
            missing = Some(String::from_utf8_lossy(&path).into_owned());
        }
        // A tree that holds itself many times over is refused later, by its number of entries.
        match is_there && count < tree::ENTRY_LIMIT {
            true => TreeWalkResult::Ok,
            false => TreeWalkResult::Abort,
        }
    });
    missing.or_else(|| walked.err().filter(|_| count == 0).map(|error| error.message().to_owned()))
}

/// The same name as libgit2 has it.
fn oid(commit: CommitId) -> Oid {
    Oid::from_bytes(commit.as_bytes()).expect("a commit's name has 20 bytes")
}
