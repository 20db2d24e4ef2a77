//! Brings one input from one URL into the store.

use std::sync::atomic::AtomicBool;

use reqwest::Url;

use super::client::{Answer, Ask, Publisher, Request};
use super::error::{Refusal, Trouble};
use super::progress::Progress;
use super::retry::{Attempts, Ending, Stopped, wait};
use super::wanted::Wanted;
use crate::settings::masked;
use crate::store::{BlobWriter, Store, StoreError};

/// Why an input is not in the store.
#[derive(Debug)]
pub(crate) enum NotBrought {
    Stopped,
    Store(StoreError),
    Refused(Refusal),
}

/// What one attempt ended with.
enum Failed {
    Ending(Ending),
    Store(StoreError),
    /// Nothing is there, or too much.
    Refused(Refusal),
}

impl From<Ending> for Failed {
    fn from(ending: Ending) -> Self {
        Self::Ending(ending)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What every download needs.
pub(crate) struct Downloader<'a> {
    pub(crate) client: &'a dyn Ask,
    pub(crate) store: &'a Store,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) stop: &'a AtomicBool,
}

impl Downloader<'_> {
    /// Downloads `url`, as often as it takes, and keeps the content if it is what is wanted.
    ///
    /// What an earlier process left is gone on with; if that was of another file, all of it comes
    /// again, once.
    pub(crate) fn bring(&self, url: &Url, wanted: &Wanted) -> Result<(), NotBrought> {
        let mut writer = self.store.resume(&wanted.digest).map_err(NotBrought::Store)?;
        if writer.size() > wanted.size {
            writer.restart().map_err(NotBrought::Store)?;
        }
        if !writer.is_resumed() {
            return self.bring_into(writer, url, wanted);
        }
        match self.bring_into(writer, url, wanted) {
            Err(NotBrought::Refused(Refusal::Differs { .. } | Refusal::Endless)) => {
                let writer = self.store.resume(&wanted.digest).map_err(NotBrought::Store)?;
                self.bring_into(writer, url, wanted)
            }
            other => other,
        }
    }

    fn bring_into<'a>(
        &'a self,
        mut writer: BlobWriter<'a>,
        url: &Url,
        wanted: &Wanted,
    ) -> Result<(), NotBrought> {
        let result = self.fill(&mut writer, url, wanted);
        let received = writer.size() - writer.take_resumed();
        let result = match result {
            Ok(()) => keep(writer, wanted),
            Err(NotBrought::Refused(Refusal::Endless)) => {
                writer.discard();
                Err(NotBrought::Refused(Refusal::Endless))
            }
            Err(error) => Err(error),
        };
        // A place that has no such file took nothing back, and the next one is asked quietly.
        let is_missing = matches!(result, Err(NotBrought::Refused(Refusal::NotFound)));
        if received > 0 && !is_missing && matches!(result, Err(NotBrought::Refused(_))) {
            self.progress.retried(&wanted.name, received, "not what was wanted");
        }
        result
    }

    /// Writes the whole answer; one that breaks off is taken up where it broke.
    fn fill<'a>(
        &'a self,
        writer: &mut BlobWriter<'a>,
        url: &Url,
        wanted: &Wanted,
    ) -> Result<(), NotBrought> {
        let mut attempts = Attempts::default();
        loop {
            let before = writer.size();
            let last = match self.attempt(writer, url, wanted) {
                Ok(()) => return Ok(()),
                Err(Failed::Store(error)) => return Err(NotBrought::Store(error)),
                Err(Failed::Refused(refusal)) => return Err(NotBrought::Refused(refusal)),
                Err(Failed::Ending(Ending::Stopped)) => return Err(NotBrought::Stopped),
                Err(Failed::Ending(Ending::Trouble(trouble))) => trouble,
            };
            let received = writer.size().saturating_sub(before);
            let Some(time) = attempts.after(&last, received) else {
                let attempts = attempts.made();
                return Err(NotBrought::Refused(Refusal::Trouble { attempts, last }));
            };
            self.progress.retried(&wanted.name, 0, &last.to_string());
            wait(time, self.stop).map_err(|Stopped| NotBrought::Stopped)?;
        }
    }

    fn attempt<'a>(
        &'a self,
        writer: &mut BlobWriter<'a>,
        url: &Url,
        wanted: &Wanted,
    ) -> Result<(), Failed> {
        if writer.size() == wanted.size && wanted.size > 0 {
            return Ok(());
        }
        let publisher = Publisher::of(&wanted.place);
        let of_version = writer.entity_tag(&masked(url.as_str()));
        let from = writer.size();
        let request = Request { publisher, url: url.clone(), accept: None, from, of_version };
        let answer = self.client.ask(&request, self.stop)?;
        let mut answer = answer.ok_or(Failed::Refused(Refusal::NotFound))?;
        // What an earlier process left counts as soon as a server goes on with it.
        let uncounted = writer.take_resumed();
        if answer.head.from == writer.size() {
            self.progress.advanced(&wanted.name, uncounted);
        } else {
            // The server does not resume, or not there: everything comes again.
            let lost = writer.size() - uncounted;
            self.progress.retried(&wanted.name, lost, "the server does not resume");
            writer.restart()?;
        }
        if let Some(tag) = &answer.head.entity_tag {
            writer.set_origin(&masked(url.as_str()), tag);
        }
        self.copy(&mut answer, writer, wanted)?;
        if writer.size() < wanted.size && answer.head.length.is_none() {
            // Without an announced length, only the lock tells that this was not all.
            let short = Trouble::Short { received: writer.size(), expected: wanted.size };
            return Err(Ending::Trouble(short).into());
        }
        Ok(())
    }

    fn copy(
        &self,
        answer: &mut Answer,
        writer: &mut BlobWriter<'_>,
        wanted: &Wanted,
    ) -> Result<(), Failed> {
        // Some excess is taken in, so that the error can show the digest of the wrong file.
        let limit = wanted.size.saturating_mul(2).saturating_add(1 << 20);
        while let Some(piece) = answer.next(self.stop)? {
            writer.write(&piece)?;
            self.progress.advanced(&wanted.name, piece.len() as u64);
            if writer.size() > limit {
                return Err(Failed::Refused(Refusal::Endless));
            }
        }
        Ok(())
    }
}

fn keep(writer: BlobWriter<'_>, wanted: &Wanted) -> Result<(), NotBrought> {
    match writer.finish_as(&wanted.name, &wanted.digest, wanted.size) {
        Ok(()) => Ok(()),
        Err(StoreError::Differs { found, found_size, .. }) => {
            Err(NotBrought::Refused(Refusal::Differs { digest: found, size: found_size }))
        }
        Err(error) => Err(NotBrought::Store(error)),
    }
}
