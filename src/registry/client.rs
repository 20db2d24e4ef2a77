//! One exchange with a registry: a request, whoever must be convinced first, and an answer.
//!
//! Requests go through the client of `fetch`, so that proxies, certificates, patience and the wish
//! to stop are the same for everything that is downloaded. Nothing is sent to a host that its user
//! did not name: the client drops credentials when it is led to another one.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use reqwest::Url;
use reqwest::blocking::{Client as HttpClient, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE};
use tokio::runtime::Runtime;

use super::{RegistryError, access};
use crate::digest::Digest;
use crate::fetch::{
    Answer, Ask, Attempts, Ending, FetchError, Progress, Quiet, Refusal, Request, Stopped, Trouble,
    http_client, retry_after, send, sending_client, wait, why,
};
use crate::settings::{RegistryPlace, Settings};

/// A manifest may be as large as this; registries refuse more than 4 MiB (OCI distribution
/// specification 1.1, "Pushing Manifests").
const LARGEST_MANIFEST: usize = 8 << 20;

/// Threads that write to registries: one for each layer that is sent at a time.
const SENDING_THREADS: usize = 2;

/// The kinds of manifest that are understood, and the one of which it can be said why it is not.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws";

/// What somebody wants to do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Read it.
    Pull,
    /// Write to it.
    Push,
}

/// Asks registries.
pub(super) struct Client<'a> {
    pub(super) settings: &'a Settings,
    pub(super) http: HttpClient,
    /// Sends layers; made when the first one is sent.
    sending: OnceLock<Sending>,
    pub(super) stop: &'a AtomicBool,
    /// Is told when something is tried again.
    progress: &'a dyn Progress,
    /// What convinced a registry, by its host, repository and what was to be done.
    passes: Mutex<BTreeMap<Key, HeaderValue>>,
    /// Held by whoever finds out what convinces a registry, so that others need not.
    turn: Mutex<()>,
}

/// What sends bodies that are made meanwhile. The blocking client would hand them from thread to
/// thread in pieces of 8 KiB, which costs more than the network on a loopback.
pub(super) struct Sending {
    pub(super) http: reqwest::Client,
    pub(super) runtime: Runtime,
}

/// Host, repository, and what is to be done there.
type Key = (String, String, Action);

/// A manifest as a registry sent it.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: String,
}

impl Manifest {
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Why something did not happen, after as many attempts as made sense.
#[derive(Debug)]
pub(super) enum NotDone {
    Stopped,
    Refused { attempts: u32, last: Trouble },
}

impl NotDone {
    /// As what came of asking one place.
    pub(super) fn refusal(self) -> Result<Refusal, Stopped> {
        match self {
            Self::Stopped => Err(Stopped),
            Self::Refused { attempts, last } => Ok(Refusal::Trouble { attempts, last }),
        }
    }

    /// As what came of writing `what` to a place.
    pub(super) fn push_error(self, place: &RegistryPlace, what: &str) -> RegistryError {
        match self {
            Self::Stopped => RegistryError::Stopped,
            Self::Refused { last, .. } => RegistryError::Push {
                what: what.to_owned(),
                target: format!("{}/{}", place.host(), place.repository),
                last,
            },
        }
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a Settings, stop: &'a AtomicBool) -> Result<Self, FetchError> {
        Ok(Self {
            settings,
            http: http_client(settings)?,
            sending: OnceLock::new(),
            stop,
            progress: &Quiet,
            passes: Mutex::default(),
            turn: Mutex::default(),
        })
    }

    /// The same, telling `progress` when something is tried again, and after which time.
    pub(super) fn telling(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// Sends what `request` makes; a registry that wants to know who asks is told once.
    pub(super) fn exchange(
        &self,
        place: &RegistryPlace,
        action: Action,
        url: &Url,
        request: &mut dyn FnMut(&HttpClient, Url) -> RequestBuilder,
    ) -> Result<Response, Ending> {
        let key = (place.host(), place.repository.clone(), action);
        let mut pass = self.passes().get(&key).cloned();
        for attempt in 0.. {
            let mut sending = request(&self.http, url.clone());
            // A registry may send an upload elsewhere; whoever is there is not told who asks.
            if let Some(pass) = pass.as_ref().filter(|_| url.origin() == place.url.origin()) {
                sending = sending.header(AUTHORIZATION, pass.clone());
            }
            let response = send(sending, self.stop)?;
            if response.status().as_u16() != 401 || attempt > 0 {
                return Ok(response);
            }
            pass = Some(self.find_pass(place, &key, pass.as_ref(), &response)?);
        }
        unreachable!("the second answer is returned whatever it is")
    }

    /// Sends a request whose body can be sent only once. A registry that wants to know who asks is
    /// told at the next attempt.
    pub(super) fn exchange_once(
        &self,
        place: &RegistryPlace,
        action: Action,
        url: &Url,
        send: impl FnOnce(&Sending, Option<HeaderValue>) -> Result<Response, Ending>,
    ) -> Result<Response, Ending> {
        let key = (place.host(), place.repository.clone(), action);
        let pass = self.passes().get(&key).cloned();
        let told = pass.clone().filter(|_| url.origin() == place.url.origin());
        let response = send(self.sending()?, told)?;
        if response.status().as_u16() == 401 {
            self.find_pass(place, &key, pass.as_ref(), &response)?;
            let source = io::Error::other("the registry's token ran out");
            return Err(Trouble::Cut { received: 0, source }.into());
        }
        Ok(response)
    }

    fn sending(&self) -> Result<&Sending, Trouble> {
        if let Some(sending) = self.sending.get() {
            return Ok(sending);
        }
        let unusable = |error: &dyn std::fmt::Display| {
            let reason = format!("the network client cannot be started: {error}");
            Trouble::Unusable { reason }
        };
        let http = sending_client(self.settings).map_err(|error| unusable(&error))?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(SENDING_THREADS).enable_all().build();
        let runtime = runtime.map_err(|error| unusable(&error))?;
        Ok(self.sending.get_or_init(|| Sending { http, runtime }))
    }

    /// What convinces a registry that `refused` what it was told, if anything.
    fn find_pass(
        &self,
        place: &RegistryPlace,
        key: &Key,
        refused: Option<&HeaderValue>,
        response: &Response,
    ) -> Result<HeaderValue, Ending> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.passes().get(key).cloned();
        if let Some(known) = known.filter(|known| Some(known) != refused) {
            return Ok(known);
        }
        let found = access::answer(self, place, key.2, response)?;
        self.passes().insert(key.clone(), found.clone());
        Ok(found)
    }

    fn passes(&self) -> MutexGuard<'_, BTreeMap<Key, HeaderValue>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The manifest that a tag or digest names; `Ok(None)` if the place has none.
    pub(super) fn manifest(
        &self,
        place: &RegistryPlace,
        version: &str,
    ) -> Result<Option<Manifest>, Ending> {
        let url = manifest_url(place, version);
        let response = self.exchange(place, Action::Pull, &url, &mut |http, url| {
            http.get(url).header(ACCEPT, MANIFESTS)
        })?;
        let Some(response) = expected(place, response)? else { return Ok(None) };
        let mut answer = self.answer(response)?;
        let bytes = answer.document("the manifest", LARGEST_MANIFEST, self.stop)?;
        Ok(Some(Manifest { bytes, media_type: answer.head.media_type }))
    }

    /// The body of a response, as slow as the settings let it be.
    pub(super) fn answer(&self, response: Response) -> Result<Answer, Ending> {
        let silence = self.settings.silence_limit();
        let silence = silence.map_err(|error| Trouble::Unusable { reason: error.to_string() })?;
        Ok(Answer::of(response, silence))
    }

    /// Tries something until it is done or there is no use in going on.
    pub(super) fn persist<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Ending>,
    ) -> Result<T, NotDone> {
        let mut attempts = Attempts::default();
        loop {
            let last = match attempt() {
                Ok(value) => return Ok(value),
                Err(Ending::Stopped) => return Err(NotDone::Stopped),
                Err(Ending::Trouble(trouble)) => trouble,
            };
            match attempts.after(&last, 0) {
                Some(time) => {
                    self.progress.retried("the registry", 0, &why(&last, time));
                    wait(time, self.stop).map_err(|Stopped| NotDone::Stopped)?;
                }
                None => return Err(NotDone::Refused { attempts: attempts.made(), last }),
            }
        }
    }
}

/// Asks one place of a repository, for the downloads of `fetch`.
pub(super) struct Asker<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) place: &'a RegistryPlace,
}

impl Ask for Asker<'_> {
    fn ask(&self, request: &Request, _stop: &AtomicBool) -> Result<Option<Answer>, Ending> {
        let accept = match request.url.path().contains("/manifests/") {
            true => MANIFESTS,
            false => request.accept.unwrap_or("*/*"),
        };
        let response =
            self.client.exchange(self.place, Action::Pull, &request.url, &mut |http, url| {
                let sending = http.get(url).header(ACCEPT, accept);
                match request.from {
                    0 => sending,
                    from => sending.header(RANGE, format!("bytes={from}-")),
                }
            })?;
        let response = expected(self.place, response)?;
        response.map(|response| self.client.answer(response)).transpose()
    }
}

/// The answer if it is one to go on with, nothing if there is nothing, else what went wrong.
pub(super) fn expected(
    place: &RegistryPlace,
    response: Response,
) -> Result<Option<Response>, Trouble> {
    match response.status().as_u16() {
        200..=299 => Ok(Some(response)),
        404 | 410 => Ok(None),
        code @ (401 | 403) => Err(access::denied(place, code)),
        code => {
            let retry_after = retry_after(response.headers());
            Err(Trouble::Status { code, retry_after })
        }
    }
}

pub(super) fn manifest_url(place: &RegistryPlace, version: &str) -> Url {
    below(place, &format!("manifests/{version}"))
}

pub(super) fn blob_url(place: &RegistryPlace, digest: &Digest) -> Url {
    below(place, &format!("blobs/{digest}"))
}

/// A URL below a place's repository.
pub(super) fn below(place: &RegistryPlace, rest: &str) -> Url {
    let mut url = place.url.clone();
    url.set_path(&format!("/v2/{}/{rest}", place.repository));
    url
}
