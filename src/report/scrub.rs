//! The one way by which text that somebody else wrote gets onto a page.

use std::cell::RefCell;

use super::model::Run;
use crate::results::scrub::{Known, Scrubber};

/// Takes out of texts what tells of the machine they were written on.
///
/// Whatever is not ours passes here: reasons with lines of a log, problems, what a user set. One
/// for each run, so that the same thing is the same word in all of its cases.
pub(super) struct Clean(RefCell<Scrubber>);

impl Clean {
    /// For the texts of one run, whose own folders are the image's and no secret.
    pub fn new(known: &Known, run: &Run) -> Self {
        let mut known = known.clone();
        for record in run.records() {
            let job = &record.job;
            known.job_folders.push(job.workdir.clone());
            known.job_folders.extend(job.writable.iter().cloned());
            known.job_folders.extend(job.mounts.iter().map(|mount| mount.target.clone()));
            // Where they lay is the machine's.
            known.folders.extend(job.mounts.iter().filter_map(|mount| {
                Some((mount.source.to_str()?.to_owned(), "mounted".to_owned()))
            }));
        }
        known.job_folders.sort();
        known.job_folders.dedup();
        known.folders.sort();
        known.folders.dedup();
        Self(RefCell::new(Scrubber::new(&known)))
    }

    /// `text` without what tells of the machine.
    pub fn text(&self, text: &str) -> String {
        self.0.borrow_mut().scrub_text(text).0
    }
}
