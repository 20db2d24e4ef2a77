//! Fetches many inputs side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use reqwest::Url;

use super::client::Client;
use super::download::{Downloader, NotBrought};
use super::error::{FetchError, InputError, InputFailure, Refusal, Tried, Trouble};
use super::git::{self, NoTree};
use super::offers::{NoOffer, Offers, Source, Way};
use super::progress::{Progress, Quiet};
use super::wanted::{Place, Wanted, plan};
use crate::address::masked;
use crate::lock::LockedGit;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// More would not be faster on one line, and unkind to small mirrors.
const WORKERS: usize = 6;

/// Brings every input that the store does not have; returns how many those were.
///
/// # Errors
///
/// [`FetchError::Inputs`] with every input that failed, after all others were brought. What was
/// brought stays in the store whatever happens.
pub fn fetch(
    settings: &Settings,
    store: &Store,
    wanted: &[Wanted],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<usize, FetchError> {
    let missing = missing(store, wanted);
    if missing.is_empty() {
        return Ok(0);
    }
    check_space(store, &missing)?;
    let client = Client::new(settings)?;
    let offers = Offers::new(settings, &missing, &client, progress, stop)?;
    let downloader = Downloader { client: &client, store, progress, stop };
    let git = git::Fetcher::new(settings, store, progress, stop)?;
    let offline = settings.offline();
    let crew = Crew { offers, downloader, git, offline, down: Mutex::default() };
    progress.begin(missing.len(), missing.iter().map(|wanted| wanted.size).sum());
    let result = crew.work(&missing);
    progress.end();
    let mut failures = result?;
    if failures.is_empty() {
        return Ok(missing.len());
    }
    failures.sort_by(|one, other| one.wanted.name.cmp(&other.wanted.name));
    Err(FetchError::Inputs { total: wanted.len(), failures })
}

/// Brings what mirrors have of `wanted`; what none has is not missed.
///
/// # Errors
///
/// [`FetchError::Inputs`] with what a mirror has other bytes of.
pub fn fetch_from_mirrors(
    settings: &Settings,
    store: &Store,
    wanted: &[Wanted],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(), FetchError> {
    if settings.mirrors()?.is_empty() {
        return Ok(());
    }
    let (total, mut failures) = match fetch(settings, store, wanted, progress, stop) {
        Err(FetchError::Inputs { total, failures }) => (total, failures),
        other => return other.map(drop),
    };
    failures.retain(InputFailure::is_about_content);
    if failures.is_empty() { Ok(()) } else { Err(FetchError::Inputs { total, failures }) }
}

/// What of `wanted` neither the store nor any place of this machine has: what cannot be brought
/// while the settings forbid to ask a network. Files are looked for, not read.
///
/// # Errors
///
/// Settings that cannot be used.
pub fn out_of_reach(
    settings: &Settings,
    store: &Store,
    wanted: &[Wanted],
) -> Result<Vec<Wanted>, FetchError> {
    let mut lacking = missing(store, wanted);
    if lacking.is_empty() {
        return Ok(lacking);
    }
    let (client, stop) = (Client::new(settings)?, AtomicBool::new(false));
    let offers = Offers::new(settings, &lacking, &client, &Quiet, &stop)?;
    let git = git::Fetcher::new(settings, store, &Quiet, &stop)?;
    lacking.retain(|wanted| match &wanted.place {
        Place::Git(source) => !offers.is_near(wanted) && !git.is_near(source),
        _ => !offers.is_near(wanted),
    });
    Ok(lacking)
}

/// What the store lacks, each digest once, large files first so that none is left over at the end.
pub(crate) fn missing(store: &Store, wanted: &[Wanted]) -> Vec<Wanted> {
    let planned = plan(store, wanted).into_iter().filter(|planned| !planned.present);
    let by_digest: BTreeMap<_, _> =
        planned.map(|planned| (planned.wanted.digest, planned.wanted)).collect();
    let mut missing: Vec<Wanted> = by_digest.into_values().collect();
    missing.sort_by(|one, other| other.size.cmp(&one.size).then(one.name.cmp(&other.name)));
    missing
}

pub(crate) fn check_space(store: &Store, missing: &[Wanted]) -> Result<(), FetchError> {
    // A file system that does not tell is no reason to refuse.
    let Some(free) = free_space(store.root()) else { return Ok(()) };
    let needed = missing.iter().fold(0u64, |sum, wanted| sum.saturating_add(wanted.size));
    if needed <= free {
        return Ok(());
    }
    let store = store.root().to_owned();
    Err(FetchError::NoSpace { store, files: missing.len(), needed, free })
}

/// Bytes that are free in the file system of `folder`; `None` if it does not tell.
pub fn free_space(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Everything that the threads share.
struct Crew<'a> {
    offers: Offers<'a>,
    downloader: Downloader<'a>,
    git: git::Fetcher<'a>,
    offline: bool,
    /// Servers that could not be reached: no further input waits for them.
    down: Mutex<BTreeSet<String>>,
}

/// Why the whole crew has to end.
enum Halt {
    Stopped,
    Store(StoreError),
    Other(FetchError),
}

impl Crew<'_> {
    fn work(&self, missing: &[Wanted]) -> Result<Vec<InputFailure>, FetchError> {
        let next = AtomicUsize::new(0);
        let halted = AtomicBool::new(false);
        let failures = Mutex::new(Vec::new());
        let halt = Mutex::new(None);
        let worker = || {
            while let Some(wanted) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if halted.load(Ordering::Relaxed) {
                    return;
                }
                match self.bring(wanted) {
                    Ok(None) => {}
                    Ok(Some(failure)) => {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                    }
                    Err(why) => {
                        halted.store(true, Ordering::Relaxed);
                        halt.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..WORKERS.min(missing.len()) {
                scope.spawn(worker);
            }
        });
        match halt.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Halt::Stopped) => Err(FetchError::Stopped),
            Some(Halt::Store(error)) => Err(FetchError::Store(error)),
            Some(Halt::Other(error)) => Err(error),
            None => Ok(failures.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Brings one input from the first place that has it.
    fn bring(&self, wanted: &Wanted) -> Result<Option<InputFailure>, Halt> {
        let progress = self.downloader.progress;
        progress.started(&wanted.name, wanted.size);
        let result = match &wanted.place {
            Place::Git(git) => self.bring_tree(wanted, git),
            _ => self.bring_from_any(wanted),
        };
        progress.finished(&wanted.name);
        result
    }

    /// Brings a git source's tree from the first repository that has its commit.
    fn bring_tree(&self, wanted: &Wanted, git: &LockedGit) -> Result<Option<InputFailure>, Halt> {
        let refused = |tried| {
            let reason = InputError::Refused(tried);
            Ok(Some(InputFailure { wanted: wanted.clone(), reason }))
        };
        match self.git.locked(git) {
            Ok(()) => Ok(None),
            Err(NoTree::Stopped) => Err(Halt::Stopped),
            Err(NoTree::Store(error)) => Err(Halt::Store(error)),
            Err(NoTree::Refused(_, tried)) => refused(tried),
            Err(NoTree::Client(error)) => Err(Halt::Other(error)),
            Err(NoTree::Unusable(source)) => {
                Err(Halt::Other(FetchError::Tree { name: git.name.clone(), source }))
            }
        }
    }

    fn bring_from_any(&self, wanted: &Wanted) -> Result<Option<InputFailure>, Halt> {
        let mut tried = Vec::new();
        for source in self.offers.sources(wanted) {
            match self.bring_from(&source, wanted)? {
                None => return Ok(None),
                Some(refused) => tried.push(refused),
            }
        }
        let is_missing = tried.iter().all(|tried| matches!(tried.refusal, Refusal::NotFound));
        let reason = if self.offline && is_missing {
            InputError::Offline
        } else if tried.is_empty() {
            InputError::NoPlace
        } else {
            InputError::Refused(tried)
        };
        Ok(Some(InputFailure { wanted: wanted.clone(), reason }))
    }

    /// Brings one input from one place; `None` if that went well.
    fn bring_from(&self, source: &Source, wanted: &Wanted) -> Result<Option<Tried>, Halt> {
        let (Way::File(asked) | Way::Page(asked)) = &source.way;
        let tried = |url: &Url, refusal| {
            let (url, setting) = (masked(url.as_str()), source.location.setting().to_owned());
            Ok(Some(Tried { url, setting, refusal }))
        };
        if self.is_down(asked) {
            return tried(asked, Refusal::Trouble { attempts: 0, last: Trouble::HostIsDown });
        }
        let url = match self.offers.offer(source, wanted) {
            Ok(url) => url,
            Err(NoOffer::Stopped) => return Err(Halt::Stopped),
            Err(NoOffer::Refused(refusal)) => {
                self.remember(asked, &refusal);
                return tried(asked, refusal);
            }
        };
        match self.downloader.bring(&url, wanted) {
            Ok(()) => Ok(None),
            Err(NotBrought::Stopped) => Err(Halt::Stopped),
            Err(NotBrought::Store(error)) => Err(Halt::Store(error)),
            Err(NotBrought::Refused(refusal)) => {
                self.remember(&url, &refusal);
                tried(&url, refusal)
            }
        }
    }

    fn is_down(&self, url: &Url) -> bool {
        let host = url.origin().ascii_serialization();
        self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&host)
    }

    /// Remembers a server that could not be connected to, or that never said a word.
    fn remember(&self, url: &Url, refusal: &Refusal) {
        let Refusal::Trouble { last: Trouble::Request { source }, .. } = refusal else { return };
        if source.is_connect() || source.is_timeout() {
            let host = url.origin().ascii_serialization();
            self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
        }
    }
}
