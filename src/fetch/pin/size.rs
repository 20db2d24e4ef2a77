//! The size of a file where its index does not say it (PEP 503 pages have no sizes).

use std::sync::atomic::AtomicBool;

use reqwest::Url;

use super::PinError;
use super::pylock::IndexFile;
use crate::fetch::client::{Ask, Client, Publisher, Request};
use crate::settings::Settings;

/// Bytes of `file`: what the index says, else what its server says before it sends any.
pub(super) fn of(settings: &Settings, file: &IndexFile) -> Result<u64, PinError> {
    if let Some(size) = file.size {
        return Ok(size);
    }
    let unknown = || PinError::Unknown { what: "size", file: file.name.clone() };
    let mut url = Url::parse(&file.url).map_err(|_| unknown())?;
    settings.credentials().add_to(&mut url);
    let publisher = Publisher::Python;
    let request = Request { publisher, url, accept: None, from: 0, of_version: None };
    // The body is never read: dropping the answer ends the transfer.
    let answer = Client::new(settings)?.ask(&request, &AtomicBool::new(false));
    let answer = answer.ok().flatten().ok_or_else(unknown)?;
    answer.head.length.ok_or_else(unknown)
}
