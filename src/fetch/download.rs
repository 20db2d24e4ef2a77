//! Brings one input from one URL into the store.

use std::sync::atomic::AtomicBool;

use reqwest::Url;

use super::client::{Answer, Ask, Publisher, Request};
use super::error::{Refusal, Trouble};
use super::progress::Progress;
use super::retry::{Attempts, Ending, Stopped, wait, why};
use super::wanted::Wanted;
use crate::address::masked;
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

/// What a download is written to: a blob of the store, or a file of the data folder.
pub(crate) trait Sink {
    /// Bytes that are there.
    fn size(&self) -> u64;
    /// Bytes that an earlier process left, the first time it is asked.
    fn take_resumed(&mut self) -> u64;
    /// Throws away what is there.
    fn restart(&mut self) -> Result<(), StoreError>;
    /// The server's name of the version that the bytes are of, if they came from `url`.
    fn entity_tag(&self, url: &str) -> Option<String>;
    /// Remembers that name for a later process.
    fn set_origin(&self, url: &str, tag: &str);
    /// Takes further bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
}

impl Sink for BlobWriter<'_> {
    fn size(&self) -> u64 {
        self.size()
    }

    fn take_resumed(&mut self) -> u64 {
        self.take_resumed()
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.restart()
    }

    fn entity_tag(&self, url: &str) -> Option<String> {
        self.entity_tag(url)
    }

    fn set_origin(&self, url: &str, tag: &str) {
        self.set_origin(url, tag);
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(bytes)
    }
}

/// What is known of a file before it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) name: &'a str,
    pub(crate) size: Option<u64>,
    pub(crate) publisher: Publisher,
    /// Whether a digest will tell afterwards that bytes are wrong. Where none does, nothing is
    /// resumed unless the server names the version, and a web page is no file.
    pub(crate) is_pinned: bool,
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
        let was_there = writer.is_resumed();
        match self.bring_into(writer, url, wanted, was_there) {
            Err(NotBrought::Refused(Refusal::Differs { .. } | Refusal::Endless)) if was_there => {
                let writer = self.store.resume(&wanted.digest).map_err(NotBrought::Store)?;
                self.bring_into(writer, url, wanted, false)
            }
            other => other,
        }
    }

    fn bring_into<'a>(
        &'a self,
        mut writer: BlobWriter<'a>,
        url: &Url,
        wanted: &Wanted,
        was_there: bool,
    ) -> Result<(), NotBrought> {
        let sought = Sought {
            name: &wanted.name,
            size: Some(wanted.size),
            publisher: Publisher::of(&wanted.place),
            is_pinned: true,
        };
        let result = self.fill(&mut writer, url, sought);
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
            let (name, place) = (&wanted.name, masked(url.as_str()));
            match was_there {
                true => self.progress.retried(name, received, "what was there was of another file"),
                // The same place would send the same bytes.
                false => self.progress.discarded(name, received, &place),
            }
        }
        result
    }

    /// Writes the whole answer; one that breaks off is taken up where it broke.
    pub(crate) fn fill(
        &self,
        sink: &mut dyn Sink,
        url: &Url,
        sought: Sought<'_>,
    ) -> Result<(), NotBrought> {
        let mut attempts = Attempts::default();
        loop {
            let before = sink.size();
            let last = match self.attempt(sink, url, sought) {
                Ok(()) => return Ok(()),
                Err(Failed::Store(error)) => return Err(NotBrought::Store(error)),
                Err(Failed::Refused(refusal)) => return Err(NotBrought::Refused(refusal)),
                Err(Failed::Ending(Ending::Stopped)) => return Err(NotBrought::Stopped),
                Err(Failed::Ending(Ending::Trouble(trouble))) => trouble,
            };
            let received = sink.size().saturating_sub(before);
            let Some(time) = attempts.after(&last, received) else {
                let attempts = attempts.made();
                return Err(NotBrought::Refused(Refusal::Trouble { attempts, last }));
            };
            self.progress.retried(sought.name, 0, &why(&last, time));
            wait(time, self.stop).map_err(|Stopped| NotBrought::Stopped)?;
        }
    }

    fn attempt(&self, sink: &mut dyn Sink, url: &Url, sought: Sought<'_>) -> Result<(), Failed> {
        let of_version = sink.entity_tag(&masked(url.as_str()));
        if !sought.is_pinned && of_version.is_none() && sink.size() > 0 {
            // Another version may have come meanwhile, and nothing would tell.
            self.start_again(sink, sought, "the server names no version of it")?;
        }
        if sought.size == Some(sink.size()) && sink.size() > 0 {
            return Ok(());
        }
        let (publisher, from) = (sought.publisher, sink.size());
        let request = Request { publisher, url: url.clone(), accept: None, from, of_version };
        let answer = self.client.ask(&request, self.stop)?;
        let mut answer = answer.ok_or(Failed::Refused(Refusal::NotFound))?;
        if !sought.is_pinned && url.scheme() != "file" && answer.head.media_type == "text/html" {
            let reason = "the answer is a web page, no file: its publisher may want an account";
            return Err(Ending::Trouble(Trouble::Unusable { reason: reason.to_owned() }).into());
        }
        if answer.head.from == sink.size() {
            // What an earlier process left counts as soon as a server goes on with it.
            self.progress.advanced(sought.name, sink.take_resumed());
        } else {
            // The server does not resume, or not there: everything comes again.
            self.start_again(sink, sought, "the server does not resume")?;
        }
        if let Some(tag) = &answer.head.entity_tag {
            sink.set_origin(&masked(url.as_str()), tag);
        }
        self.copy(&mut answer, sink, sought)?;
        if let Some(expected) = sought.size
            && sink.size() < expected
            && answer.head.length.is_none()
        {
            // Without an announced length, only the lock tells that this was not all.
            let short = Trouble::Short { received: sink.size(), expected };
            return Err(Ending::Trouble(short).into());
        }
        Ok(())
    }

    fn start_again(
        &self,
        sink: &mut dyn Sink,
        sought: Sought<'_>,
        reason: &str,
    ) -> Result<(), Failed> {
        let uncounted = sink.take_resumed();
        self.progress.retried(sought.name, sink.size() - uncounted, reason);
        Ok(sink.restart()?)
    }

    fn copy(
        &self,
        answer: &mut Answer,
        sink: &mut dyn Sink,
        sought: Sought<'_>,
    ) -> Result<(), Failed> {
        // Some excess is taken in, so that the error can show the digest of the wrong file.
        let limit =
            sought.size.map_or(u64::MAX, |size| size.saturating_mul(2).saturating_add(1 << 20));
        while let Some(piece) = answer.next(self.stop)? {
            sink.take(&piece)?;
            self.progress.advanced(sought.name, piece.len() as u64);
            if sink.size() > limit {
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
