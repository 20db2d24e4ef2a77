//! Finds out which URLs to ask for an input, place by place.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use reqwest::Url;

use super::client::{Answer, Ask, Client, Publisher, Request};
use super::error::{FetchError, Refusal, Trouble};
use super::index::{self, Link};
use super::progress::Progress;
use super::retry::{Attempts, Ending, Stopped, wait, why};
use super::wanted::{Place, Wanted};
use crate::address::masked;
use crate::digest::Digest;
use crate::settings::{Archive, Credentials, Location, PythonSources, Settings, SettingsError};

/// A page larger than this is none: the largest projects have some 10 MB.
const LARGEST_PAGE: u64 = 128 << 20;

/// One place to ask for one input.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) location: Location,
    pub(super) way: Way,
}

/// How a place is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// The file lies at this URL.
    File(Url),
    /// A page at this URL links to it.
    Page(Url),
}

/// Why a place has no offer.
pub(super) enum NoOffer {
    Stopped,
    Refused(Refusal),
}

/// All places, and the pages read so far.
pub(super) struct Offers<'a> {
    mirrors: Vec<Location>,
    python: PythonSources,
    archives: BTreeMap<String, Vec<Archive>>,
    credentials: Credentials,
    client: &'a Client,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
    offline: bool,
    /// What folders of a recipe are relative to.
    project: Option<PathBuf>,
    pages: Mutex<BTreeMap<String, Arc<Vec<Link>>>>,
}

impl<'a> Offers<'a> {
    /// Asks the settings for the places that these inputs need.
    pub(super) fn new(
        settings: &Settings,
        wanted: &[Wanted],
        client: &'a Client,
        progress: &'a dyn Progress,
        stop: &'a AtomicBool,
    ) -> Result<Self, FetchError> {
        let mirrors = settings.mirrors()?;
        let offline = settings.offline();
        // Whoever has a mirror of everything needs no other place.
        let optional = offline || !mirrors.is_empty();
        let mut python = PythonSources { indexes: Vec::new(), find_links: Vec::new() };
        let mut archives = BTreeMap::new();
        for wanted in wanted {
            match &wanted.place {
                Place::Python { .. } | Place::Linked { .. } => {
                    python = python_sources(settings, optional)?;
                }
                Place::Debian { suite, .. } if !archives.contains_key(suite) => {
                    archives.insert(suite.clone(), debian_archives(settings, suite, optional)?);
                }
                Place::Debian { .. }
                | Place::Web { .. }
                | Place::Registry { .. }
                | Place::Git(_)
                | Place::Mirror => {}
            }
        }
        let (pages, credentials) = (Mutex::default(), settings.credentials());
        let project = settings.project().ok().map(Path::to_owned);
        Ok(Self {
            mirrors,
            python,
            archives,
            credentials,
            client,
            progress,
            stop,
            offline,
            project,
            pages,
        })
    }

    /// The places to ask for an input, in order.
    pub(super) fn sources(&self, wanted: &Wanted) -> Vec<Source> {
        let mut sources = self.mirror_places(&wanted.digest);
        sources.extend(match &wanted.place {
            Place::Python { project } => self.python_places(project, &wanted.name, &[]),
            Place::Linked { project, pages } => self.python_places(project, &wanted.name, pages),
            Place::Web { urls } => web_places(urls),
            Place::Debian { path, suite } => self.debian_places(path, suite),
            // `registry` and `git` ask for those themselves.
            Place::Registry { .. } | Place::Git(_) | Place::Mirror => Vec::new(),
        });
        if self.offline {
            sources.retain(|source| source.location.url().scheme() == "file");
        }
        sources
    }

    /// Whether a place of this machine has the input, where no network may be asked.
    pub(super) fn is_near(&self, wanted: &Wanted) -> bool {
        let has_it = |source: &Source| {
            let url = self.offer(source, wanted).ok();
            url.and_then(|url| url.to_file_path().ok()).is_some_and(|path| path.is_file())
        };
        self.sources(wanted).iter().any(has_it)
    }

    /// In a mirror, the digest is the place (`carry::mirror` has the layout).
    fn mirror_places(&self, digest: &Digest) -> Vec<Source> {
        let place = |location: &Location| Source {
            way: Way::File(below(location.url(), &format!("blobs/sha256/{}", digest.hex()))),
            location: location.clone(),
        };
        self.mirrors.iter().map(place).collect()
    }

    /// The user's own places before those of the recipe.
    fn python_places(&self, project: &str, name: &str, pages: &[String]) -> Vec<Source> {
        let of_recipe = recipe_links(pages, self.project.as_deref());
        let find_links = self.python.find_links.iter().chain(&of_recipe).map(|location| {
            let url = location.url();
            let is_folder = url.scheme() == "file" && url.path().ends_with('/');
            let way = if is_folder { Way::File(below(url, name)) } else { Way::Page(url.clone()) };
            Source { location: location.clone(), way }
        });
        let find_links: Vec<_> = find_links.collect();
        // A folder that is not there is often set for all machines alike; pip passes over it, too.
        let find_links = find_links.into_iter().filter(|source| {
            let folder = source.location.url().to_file_path();
            folder.map_or(true, |folder| folder.exists())
        });
        let indexes = self.python.indexes.iter().map(|location| {
            let page = below(location.url(), &format!("{project}/"));
            let file = below(&page, name);
            let way = match page.scheme() {
                "file" if file.to_file_path().is_ok_and(|path| path.exists()) => Way::File(file),
                "file" => Way::Page(below(&page, "index.html")),
                _ => Way::Page(page),
            };
            Source { location: location.clone(), way }
        });
        find_links.chain(indexes).collect()
    }

    fn debian_places(&self, path: &str, suite: &str) -> Vec<Source> {
        let mut archives: Vec<&Archive> = self.archives.get(suite).into_iter().flatten().collect();
        // Only security archives have this folder; asking the main ones first would cost a 404 each.
        let is_security = path.starts_with("pool/updates/");
        archives.sort_by_key(|archive| archive.security != is_security);
        let sources = archives.into_iter().map(|archive| Source {
            location: archive.location.clone(),
            way: Way::File(below(archive.location.url(), path)),
        });
        sources.collect()
    }

    /// The URL of the input at this place.
    pub(super) fn offer(&self, source: &Source, wanted: &Wanted) -> Result<Url, NoOffer> {
        let page = match &source.way {
            Way::File(url) => return Ok(url.clone()),
            Way::Page(page) => page,
        };
        let links = self.links(page)?;
        let link = choose(&links, page, wanted).map_err(NoOffer::Refused)?;
        match link.sha256 {
            Some(announced) if announced != wanted.digest => {
                Err(NoOffer::Refused(Refusal::Announced(announced)))
            }
            _ => {
                let mut url = with_credentials(link.url.clone(), page);
                self.credentials.add_to(&mut url);
                Ok(url)
            }
        }
    }

    fn links(&self, page: &Url) -> Result<Arc<Vec<Link>>, NoOffer> {
        let key = page.to_string();
        let known = self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(links) = known {
            return Ok(links);
        }
        let links = Arc::new(self.read_patiently(page)?);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pages.entry(key).or_insert(links).clone())
    }

    fn read_patiently(&self, page: &Url) -> Result<Vec<Link>, NoOffer> {
        let mut attempts = Attempts::default();
        loop {
            let last = match self.read_page(page) {
                Ok(Some(links)) => return Ok(links),
                Ok(None) => return Err(NoOffer::Refused(Refusal::NotFound)),
                Err(Ending::Stopped) => return Err(NoOffer::Stopped),
                Err(Ending::Trouble(trouble)) => trouble,
            };
            match attempts.after(&last, 0) {
                Some(time) => {
                    self.progress.retried(&masked(page.as_str()), 0, &why(&last, time));
                    wait(time, self.stop).map_err(|Stopped| NoOffer::Stopped)?;
                }
                None => {
                    let attempts = attempts.made();
                    return Err(NoOffer::Refused(Refusal::Trouble { attempts, last }));
                }
            }
        }
    }

    fn read_page(&self, page: &Url) -> Result<Option<Vec<Link>>, Ending> {
        let (publisher, url) = (Publisher::Python, page.clone());
        let accept = Some(index::ACCEPT);
        let request = Request { publisher, url, accept, from: 0, of_version: None };
        let Some(mut answer) = self.client.ask(&request, self.stop)? else { return Ok(None) };
        let body = read_body(&mut answer, self.stop)?;
        let head = &answer.head;
        let links = index::links(&body, &head.media_type, &head.url);
        links.map(Some).map_err(|reason| Trouble::Page { reason }.into())
    }
}

/// The page that an index answers with, unpacked.
pub(super) fn read_body(answer: &mut Answer, stop: &AtomicBool) -> Result<Vec<u8>, Ending> {
    let page = |reason: String| Trouble::Page { reason };
    let too_large = || page(format!("it is larger than {LARGEST_PAGE} bytes"));
    let mut body = Vec::new();
    while let Some(piece) = answer.next(stop)? {
        body.extend_from_slice(&piece);
        if body.len() as u64 > LARGEST_PAGE {
            return Err(too_large().into());
        }
    }
    if !answer.head.is_gzip {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(body.as_slice()).take(LARGEST_PAGE + 1);
    decoder.read_to_end(&mut plain).map_err(|error| page(error.to_string()))?;
    if plain.len() as u64 > LARGEST_PAGE {
        return Err(too_large().into());
    }
    Ok(plain)
}

/// Places of wheels that a recipe names; one that cannot be is passed over.
pub(super) fn recipe_links(pages: &[String], project: Option<&Path>) -> Vec<Location> {
    let location = |page: &String| match page.contains("://") {
        true => Location::of_recipe(page, Path::new("/")),
        false => Location::of_recipe(page, project?),
    };
    pages.iter().filter_map(location).collect()
}

/// Addresses that a recipe names, each as it is.
fn web_places(urls: &[String]) -> Vec<Source> {
    let source = |text: &String| {
        let location = Location::of_recipe(text, Path::new("/"))?;
        Some(Source { location, way: Way::File(Url::parse(text).ok()?) })
    };
    urls.iter().filter_map(source).collect()
}

/// The link to take: the name that was locked; the digest that was locked decides among several.
///
/// What a server says may lead to servers, and never to the files of this machine.
fn choose<'a>(links: &'a [Link], page: &Url, wanted: &Wanted) -> Result<&'a Link, Refusal> {
    let is_near = page.scheme() == "file";
    let may_lead = |link: &&Link| is_near || matches!(link.url.scheme(), "http" | "https");
    let allowed = || links.iter().filter(may_lead);
    let by_digest = allowed().find(|link| link.sha256 == Some(wanted.digest));
    let found = by_digest.or_else(|| allowed().find(|link| link.name == wanted.name));
    found.ok_or_else(|| match links.iter().any(|link| link.name == wanted.name) {
        false => Refusal::NotFound,
        true => {
            let reason = format!("its link to `{}` leads to no server", wanted.name);
            Refusal::Trouble { attempts: 1, last: Trouble::Page { reason } }
        }
    })
}

/// `path` below `folder`, each part escaped as it must be.
pub(super) fn below(folder: &Url, path: &str) -> Url {
    let mut url = folder.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

/// An index that asks for a password asks for it at its files, too, if they are on the same server.
fn with_credentials(mut url: Url, index: &Url) -> Url {
    if url.origin() == index.origin() && url.username().is_empty() {
        // Both fail only on URLs that have no host.
        let _ = url.set_username(index.username());
        let _ = url.set_password(index.password());
    }
    url
}

/// Where no index is needed, that none is set does not matter.
fn python_sources(settings: &Settings, optional: bool) -> Result<PythonSources, FetchError> {
    match settings.python_sources() {
        Err(SettingsError::NoIndex { .. }) if optional => {
            Ok(PythonSources { indexes: Vec::new(), find_links: Vec::new() })
        }
        other => Ok(other?.clone()),
    }
}

fn debian_archives(
    settings: &Settings,
    suite: &str,
    optional: bool,
) -> Result<Vec<Archive>, FetchError> {
    match settings.debian_archives(suite) {
        Err(SettingsError::NoArchive { .. }) if optional => Ok(Vec::new()),
        other => Ok(other?),
    }
}
