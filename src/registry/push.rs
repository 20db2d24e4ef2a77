//! Brings an image to a registry: what it has is not sent, what it can mount is not sent either.
//!
//! A layer is streamed from its plan while it is sent and hashed on the way; its last bytes are
//! held back until its digest is known, so a registry never gets a whole blob that is another one.
//! The manifest comes last: an image that can be named can be pulled.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use reqwest::Url;
use reqwest::blocking::{Body, Response};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};

use super::RegistryError;
use super::attach::{Artifact, Attached};
use super::client::{Action, Client, NotDone, below, blob_url, expected, manifest_url};
use super::download::fetch_with;
use super::reference::Reference;
use super::upload::{self, Upload};
use crate::digest::{Digest, Hasher};
use crate::fetch::{Ending, Place, Progress, Quiet, Trouble, Wanted};
use crate::image::{self, Image, ImageLayer, MANIFEST_TYPE};
use crate::settings::{RegistryPlace, Settings};
use crate::store::{Store, StoreError};

/// Hashing and sending take turns on a line; two at once keep both busy.
const WORKERS: usize = 2;

/// The store's bucket of what was pushed: registry and digest to the repository that has it.
const PUSHED: &str = "pushed";

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The image at the registry, by its digest.
    pub reference: Reference,
    /// Bytes that were sent, manifest and configuration included.
    pub sent: u64,
    /// Blobs that the registry had in this repository.
    pub present: BTreeSet<Digest>,
    /// Blobs that the registry took from another repository of its own.
    pub mounted: BTreeSet<Digest>,
}

/// What became of one blob.
enum Outcome {
    Present,
    Mounted,
    Sent(u64),
}

/// Pushes `image` to a repository, under the reference's tag if it has one.
///
/// Of `base`, the layers of the image's base where they come from, only those are brought that
/// neither the store nor the registry has.
///
/// # Errors
///
/// [`RegistryError::Push`] with what could not be sent; what was sent stays at the registry and is
/// not sent again.
pub fn push(
    settings: &Settings,
    store: &Store,
    image: &Image,
    base: &[Wanted],
    target: &Reference,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Pushed, RegistryError> {
    let reference = target.at(&image.seal);
    if target.digest.is_some_and(|digest| digest != image.seal) {
        let reason = format!("the image's digest is {}", image.seal);
        return Err(RegistryError::Reference { text: target.to_string(), reason });
    }
    if settings.offline() {
        return Err(RegistryError::Offline { reference: target.to_string() });
    }
    let client = Client::new(settings, stop)?.telling(progress);
    let place = settings.registry(&target.host, &target.repository)?;
    let documents = image::documents(store, &image.seal)?;
    let mut blobs: BTreeMap<Digest, Content> = BTreeMap::new();
    for layer in &image.layers {
        blobs.insert(layer.digest, Content::Layer(Box::new(layer.clone())));
    }
    let config = Digest::of(&documents.config);
    blobs.insert(config, Content::Small("configuration", documents.config.into()));
    let pusher = Pusher { client, place, store, base, progress };
    pusher.bring(image)?;
    let mut pushed =
        Pushed { reference, sent: 0, present: BTreeSet::new(), mounted: BTreeSet::new() };
    progress.begin(blobs.len(), blobs.values().map(Content::size).sum());
    let outcomes = pusher.all(&blobs);
    progress.end();
    for (digest, outcome) in outcomes? {
        match outcome {
            Outcome::Present => drop(pushed.present.insert(digest)),
            Outcome::Mounted => drop(pushed.mounted.insert(digest)),
            Outcome::Sent(bytes) => pushed.sent += bytes,
        }
    }
    let version = target.tag.clone().unwrap_or_else(|| image.seal.to_string());
    pushed.sent += pusher.manifest(&version, &image.seal, documents.manifest)?;
    Ok(pushed)
}

/// Keeps an image's lock and recipe beside it, where it was pushed to.
pub fn attach(
    settings: &Settings,
    store: &Store,
    target: &Reference,
    seal: &Digest,
    attached: &Attached,
    stop: &AtomicBool,
) -> Result<(), RegistryError> {
    let client = Client::new(settings, stop)?;
    let place = settings.registry(&target.host, &target.repository)?;
    let size = store.size_of(seal).unwrap_or(0);
    let Artifact { blobs, manifest } = Artifact::new(seal, size, attached);
    let pusher = Pusher { client, place, store, base: &[], progress: &Quiet };
    for bytes in blobs {
        pusher.blob(&Digest::of(&bytes), &Content::Small("the image's source", bytes.into()))?;
    }
    pusher.manifest(&super::attach::tag(seal), &Digest::of(&manifest), manifest).map(drop)
}

/// Makes the layers that were not sent and compares their digests: nothing else has proven them
/// where an image is built by being pushed.
pub fn prove_unsent(store: &Store, image: &Image, pushed: &Pushed) -> Result<(), RegistryError> {
    for layer in &image.layers {
        let was_sent =
            ![&pushed.present, &pushed.mounted].iter().any(|it| it.contains(&layer.digest));
        if was_sent || layer.plan().is_none() {
            continue;
        }
        let mut hasher = Hasher::new();
        layer.write_blob(store, &mut hasher)?;
        let found_size = hasher.size();
        let found = hasher.finish();
        if found != layer.digest {
            let (expected, expected_size) = (layer.digest, layer.size);
            let name = format!("layer {}", layer.origin);
            return Err(
                StoreError::Differs { name, expected, expected_size, found, found_size }.into()
            );
        }
    }
    Ok(())
}

/// What a blob's bytes are.
enum Content {
    /// A small one, with its name for a reader.
    Small(&'static str, Bytes),
    Layer(Box<ImageLayer>),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Small(_, bytes) => bytes.len() as u64,
            Self::Layer(layer) => layer.size,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Small(name, _) => (*name).to_owned(),
            Self::Layer(layer) => layer.origin.clone(),
        }
    }
}

struct Pusher<'a> {
    client: Client<'a>,
    place: RegistryPlace,
    store: &'a Store,
    base: &'a [Wanted],
    progress: &'a dyn Progress,
}

impl Pusher<'_> {
    /// Brings the layers of the base that have to be sent and are not in the store.
    fn bring(&self, image: &Image) -> Result<(), RegistryError> {
        let mut needed = Vec::new();
        for layer in image.layers.iter().filter(|layer| !layer.is_present(self.store)) {
            let digest = &layer.digest;
            let is_there =
                self.client.persist(|| Ok(self.has(digest)? || self.begin(digest)?.is_none()));
            if !is_there.map_err(|not_done| self.failed(&layer.origin, not_done))? {
                needed.extend(self.base.iter().find(|wanted| wanted.digest == *digest).cloned());
            }
        }
        fetch_with(&self.client, self.store, &needed, self.progress)?;
        Ok(())
    }

    /// A repository of the same registry that is known to have a blob: one that it was pushed to, or
    /// the base's own.
    fn known_at(&self, digest: &Digest) -> Option<String> {
        let key = format!("{} {digest}", self.place.host());
        // Without what was remembered, the blob is sent: that is only slower.
        let pushed = self.store.recall(PUSHED, &key).ok().flatten();
        let of_base = || {
            let wanted = self.base.iter().find(|wanted| wanted.digest == *digest)?;
            let Place::Registry { image, .. } = &wanted.place else { return None };
            let reference: Reference = image.parse().ok()?;
            (reference.host == self.place.host()).then_some(reference.repository)
        };
        pushed.or_else(of_base).filter(|from| *from != self.place.repository)
    }

    fn all(
        &self,
        blobs: &BTreeMap<Digest, Content>,
    ) -> Result<Vec<(Digest, Outcome)>, RegistryError> {
        let mut order: Vec<(&Digest, &Content)> = blobs.iter().collect();
        // Large ones first, so that none is left over at the end.
        order.sort_by_key(|(digest, content)| (std::cmp::Reverse(content.size()), **digest));
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Ok(Vec::new()));
        let worker = || {
            while let Some((digest, content)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.progress.started(&content.name(), content.size());
                let result = self.blob(digest, content);
                self.progress.finished(&content.name());
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                match (&mut *results, result) {
                    (Ok(outcomes), Ok(outcome)) => outcomes.push((**digest, outcome)),
                    (Ok(_), Err(error)) => *results = Err(error),
                    (Err(_), _) => {}
                }
                if results.is_err() {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..WORKERS.min(order.len()) {
                scope.spawn(worker);
            }
        });
        results.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that the registry has a blob, as cheaply as can be.
    fn blob(&self, digest: &Digest, content: &Content) -> Result<Outcome, RegistryError> {
        let name = content.name();
        let done = self.client.persist(|| {
            if self.has(digest)? {
                return Ok(Outcome::Present);
            }
            let Some(session) = self.begin(digest)? else { return Ok(Outcome::Mounted) };
            self.send(digest, content, session)
        });
        let outcome = done.map_err(|not_done| self.failed(&name, not_done))?;
        if !matches!(outcome, Outcome::Sent(_)) {
            self.progress.advanced(&name, content.size());
        }
        let key = format!("{} {digest}", self.place.host());
        self.store.remember(PUSHED, &key, &self.place.repository)?;
        Ok(outcome)
    }

    fn has(&self, digest: &Digest) -> Result<bool, Ending> {
        let url = blob_url(&self.place, digest);
        // Asked with the right to write, so that one token does for the whole push.
        let response =
            self.client
                .exchange(&self.place, Action::Push, &url, &mut |http, url| http.head(url))?;
        Ok(expected(&self.place, response)?.is_some())
    }

    /// Begins an upload; `None` if the registry took the blob from another repository instead.
    fn begin(&self, digest: &Digest) -> Result<Option<Url>, Ending> {
        let mut url = below(&self.place, "blobs/uploads/");
        if let Some(from) = self.known_at(digest) {
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", &from);
        }
        let response =
            self.client.exchange(&self.place, Action::Push, &url, &mut |http, url| {
                http.post(url).header(CONTENT_LENGTH, 0)
            })?;
        let Some(response) = expected(&self.place, response)? else {
            let code = 404;
            return Err(Trouble::Status { code, retry_after: None }.into());
        };
        match response.status().as_u16() {
            201 => Ok(None),
            _ => Ok(Some(self.location(&response)?)),
        }
    }

    /// Where the registry wants what comes next.
    fn location(&self, response: &Response) -> Result<Url, Trouble> {
        let text = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let url = text.and_then(|text| response.url().join(text).ok());
        let url = url.ok_or_else(|| Trouble::Unusable {
            reason: "the registry does not say where an upload goes".to_owned(),
        })?;
        // A layer is no secret, but whoever reads along could change it unseen.
        if self.place.url.scheme() == "https" && url.scheme() != "https" {
            let reason = "the registry wants an upload without TLS".to_owned();
            return Err(Trouble::Unusable { reason });
        }
        Ok(url)
    }

    fn send(&self, digest: &Digest, content: &Content, session: Url) -> Result<Outcome, Ending> {
        let mut url = session;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let response = match content {
            Content::Small(_, bytes) => {
                self.client.exchange(&self.place, Action::Push, &url, &mut |http, url| {
                    let body = Body::from(bytes.clone());
                    http.put(url).header(CONTENT_TYPE, "application/octet-stream").body(body)
                })?
            }
            Content::Layer(layer) => {
                let (name, progress) = (&content.name(), self.progress);
                upload::send(
                    &self.client,
                    &self.place,
                    &Upload { store: self.store, layer, url: &url, name, progress },
                )?
            }
        };
        match expected(&self.place, response)? {
            Some(_) => Ok(Outcome::Sent(content.size())),
            // An upload that the registry has forgotten begins again.
            None => Err(Trouble::Cut {
                received: 0,
                source: io::Error::other("the registry has forgotten the upload"),
            }
            .into()),
        }
    }

    /// Sends the manifest; the registry must call it by the same digest.
    fn manifest(&self, version: &str, seal: &Digest, bytes: Vec<u8>) -> Result<u64, RegistryError> {
        let (size, bytes) = (bytes.len() as u64, Bytes::from(bytes));
        let url = manifest_url(&self.place, version);
        let done = self.client.persist(|| {
            let response =
                self.client.exchange(&self.place, Action::Push, &url, &mut |http, url| {
                    let body = Body::from(bytes.clone());
                    http.put(url).header(CONTENT_TYPE, MANIFEST_TYPE).body(body)
                })?;
            let response = expected(&self.place, response)?;
            Ok(response.ok_or(Trouble::Status { code: 404, retry_after: None })?)
        });
        let response = done.map_err(|not_done| self.failed("the manifest", not_done))?;
        let said = response.headers().get("docker-content-digest");
        let said = said.and_then(|value| value.to_str().ok()).map(str::to_owned);
        match said {
            Some(found) if found != seal.to_string() => {
                Err(RegistryError::Renamed { target: url.to_string(), expected: *seal, found })
            }
            _ => Ok(size),
        }
    }

    fn failed(&self, what: &str, not_done: NotDone) -> RegistryError {
        not_done.push_error(&self.place, &format!("`{what}`"))
    }
}
