//! Files of the web: pinned at once where the recipe knows digest and size, else measured.

use std::sync::atomic::AtomicBool;

use reqwest::Url;

use super::error::Problems;
use super::holes::Holes;
use super::{Context, PinError, Scope};
use crate::address::masked;
use crate::digest::{Digest, Hasher};
use crate::fetch::FetchError;
use crate::fetch::client::{Answer, Ask, Client, Publisher, Request};
use crate::fetch::error::{Refusal, Tried};
use crate::fetch::retry::{Attempts, Ending, wait, why};
use crate::lock::{Lock, LockedDownload, Unpinned};
use crate::recipe::DownloadRecipe;
use crate::store::Store;

/// No file that an image is made of is larger (bytes); a server that sends for ever would fill the
/// disk.
const LARGEST: u64 = 64 << 30;

/// Why a download is a hole, in words that are the same on every machine.
const NO_ADDRESS: &str = "no address of the recipe gives it";

/// Resolves what `scope` asks for and takes the rest from the previous lock.
pub(super) fn pin(
    context: &Context<'_>,
    scope: &Scope,
    holes: &mut Holes,
) -> Result<Vec<LockedDownload>, PinError> {
    let mut problems = Problems::default();
    let previous = context.request.previous;
    let mut files = match (scope, previous) {
        (Scope::Everything, _) | (_, None) => Vec::new(),
        (_, Some(lock)) => lock.downloads.clone(),
    };
    let image = &context.request.recipe.image;
    for asked in image.downloads.iter().filter(|asked| !image.is_gone(&asked.path)) {
        let known = match scope {
            Scope::Everything => previous.and_then(|lock| kept(lock, asked)),
            Scope::Download(path) if *path == asked.path => None,
            _ => continue,
        };
        match known.map_or_else(|| resolve(context, asked), Ok) {
            Err(error) if *scope == Scope::Everything && may_stay_open(previous, asked, &error) => {
                holes.add_single(&Unpinned::of_download(&asked.path), NO_ADDRESS, error);
            }
            file => files.extend(problems.note(file)),
        }
    }
    // Of one path the last is the newest.
    files.reverse();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    problems.finish(files)
}

/// What is asked for at the same addresses is the same file, unless the recipe knows better.
fn kept(lock: &Lock, asked: &DownloadRecipe) -> Option<LockedDownload> {
    let known = lock.downloads.iter().find(|known| known.path == asked.path)?;
    let fits = known.urls == asked.urls
        && asked.sha256.is_none_or(|digest| digest == known.sha256)
        && asked.size.is_none_or(|size| size == known.size);
    fits.then(|| LockedDownload { executable: asked.executable, ..known.clone() })
}

/// Whether nobody gives a file that no lock has pinned either: what is pinned is not given up
/// because nobody answers.
fn may_stay_open(previous: Option<&Lock>, asked: &DownloadRecipe, error: &PinError) -> bool {
    let mut pinned = previous.into_iter().flat_map(|lock| &lock.downloads);
    let is_pinned = pinned.any(|known| known.path == asked.path);
    matches!(error, PinError::NoDownload { .. }) && !is_pinned
}

fn resolve(context: &Context<'_>, asked: &DownloadRecipe) -> Result<LockedDownload, PinError> {
    let (sha256, size) = match (asked.sha256, asked.size) {
        (Some(sha256), Some(size)) => (sha256, size),
        _ => measure(context, asked)?,
    };
    let (path, urls) = (asked.path.clone(), asked.urls.clone());
    Ok(LockedDownload { path, urls, size, sha256, executable: asked.executable })
}

/// Brings a file into the store from the first address that sends what is known of it; tells its
/// digest and its size.
fn measure(context: &Context<'_>, asked: &DownloadRecipe) -> Result<(Digest, u64), PinError> {
    if context.settings.offline() {
        return Err(PinError::Offline { what: "the digest of a file of the web" });
    }
    (context.progress)(&format!("downloading {}", asked.path));
    let client = Client::new(context.settings)?;
    let (mut tried, mut contradictions) = (Vec::new(), Vec::new());
    for text in &asked.urls {
        let Ok(mut url) = Url::parse(text) else { continue };
        context.settings.credentials().add_to(&mut url);
        let (client, store, tell) = (&client, context.store, context.progress);
        let place = Address { client, store, tell, url, asked };
        match place.bring()? {
            Ok(found) => return Ok(found),
            Err(Unfit::Refused(refusal)) => {
                let (url, setting) = (masked(text), "the recipe".to_owned());
                tried.push(Tried { url, setting, refusal });
            }
            Err(Unfit::Contradicts(lines)) => {
                contradictions.extend(lines);
                contradictions.push(format!("  from   {}", masked(text)));
            }
        }
    }
    let file = asked.path.clone();
    match contradictions.is_empty() {
        true => Err(PinError::NoDownload { file, tried }),
        false => Err(PinError::Contradicted { file, contradictions }),
    }
}

/// Why an address does not have what is wanted.
enum Unfit {
    Refused(Refusal),
    /// It sent something else, in lines with both sides.
    Contradicts(Vec<String>),
}

/// Digest and size of what an address sent, or why that is not it.
type Sent = Result<(Digest, u64), Unfit>;

/// One address of a file.
struct Address<'a> {
    client: &'a Client,
    store: &'a Store,
    tell: &'a dyn Fn(&str),
    url: Url,
    asked: &'a DownloadRecipe,
}

impl Address<'_> {
    /// Asks as often as it takes.
    fn bring(&self) -> Result<Sent, PinError> {
        // Nobody can ask to stop here: a signal ends the whole program.
        let never = AtomicBool::new(false);
        let (publisher, url) = (Publisher::Web, self.url.clone());
        let request = Request { publisher, url, accept: None, from: 0, of_version: None };
        let mut attempts = Attempts::default();
        loop {
            let ending = match self.client.ask(&request, &never) {
                Ok(None) => return Ok(Err(Unfit::Refused(Refusal::NotFound))),
                Ok(Some(answer)) => match self.take(answer, &never)? {
                    Ok(sent) => return Ok(sent),
                    Err(ending) => ending,
                },
                Err(ending) => ending,
            };
            let Ending::Trouble(last) = ending else { return Err(FetchError::Stopped.into()) };
            let Some(time) = attempts.after(&last, 0) else {
                let attempts = attempts.made();
                return Ok(Err(Unfit::Refused(Refusal::Trouble { attempts, last })));
            };
            (self.tell)(&format!(
                "asking {} again: {}",
                masked(self.url.as_str()),
                why(&last, time)
            ));
            let _ = wait(time, &never);
        }
    }

    /// Keeps an answer if it is what is known of the file; the inner error is how it broke off.
    fn take(
        &self,
        mut answer: Answer,
        stop: &AtomicBool,
    ) -> Result<Result<Sent, Ending>, PinError> {
        let twice = |size: u64| size.saturating_mul(2).saturating_add(1 << 20);
        let limit = self.asked.size.map_or(LARGEST, twice);
        let mut writer = self.store.writer()?;
        let (mut hasher, mut checks) = (Hasher::new(), self.asked.checks.hasher());
        loop {
            let piece = match answer.next(stop) {
                Err(ending) => return Ok(Err(ending)),
                Ok(None) => break,
                Ok(Some(piece)) => piece,
            };
            writer.write(&piece)?;
            hasher.update(&piece);
            checks.update(&piece);
            if writer.size() > limit {
                return Ok(Ok(Err(Unfit::Refused(Refusal::Endless))));
            }
        }
        let size = hasher.size();
        let digest = hasher.finish();
        let mut lines = differences(self.asked, &digest, size);
        if let Err(contradiction) = self.asked.checks.compare(checks, &digest) {
            lines.extend(contradiction.to_string().lines().map(|line| format!("  {line}")));
        }
        if !lines.is_empty() {
            return Ok(Ok(Err(Unfit::Contradicts(lines))));
        }
        writer.finish()?;
        Ok(Ok(Ok((digest, size))))
    }
}

/// What the recipe says of size and digest, where that is not so.
fn differences(asked: &DownloadRecipe, digest: &Digest, size: u64) -> Vec<String> {
    let known_size = asked.size.map(|size| size.to_string());
    let known_digest = asked.sha256.map(|digest| digest.hex());
    let sides = [("size", known_size, size.to_string()), ("sha256", known_digest, digest.hex())];
    let lines = |(what, known, found): (&str, Option<String>, String)| {
        let known = known.filter(|known| *known != found)?;
        let head = format!("  its {what} is not the known one");
        Some([head, format!("    known  {known}"), format!("    found  {found}")])
    };
    sides.into_iter().filter_map(lines).flatten().collect()
}
