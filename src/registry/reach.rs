//! Finds out whether a registry can be pushed to, before anything is made for it.

use std::sync::atomic::AtomicBool;

use super::RegistryError;
use super::client::{Action, Client, expected};
use super::reference::Reference;
use crate::fetch::Trouble;
use crate::settings::Settings;

/// Asks a registry whether it is there and lets the user in, with one cheap request (OCI
/// distribution specification 1.1, "Determining Support").
///
/// Who is let in may still not be allowed to write: that shows when something is sent.
///
/// # Errors
///
/// [`RegistryError::Push`] with what the registry says, or why it could not be asked.
pub fn reach(
    settings: &Settings,
    target: &Reference,
    stop: &AtomicBool,
) -> Result<(), RegistryError> {
    if settings.offline() {
        return Err(RegistryError::Offline { reference: target.to_string() });
    }
    let client = Client::new(settings, stop)?;
    let place = settings.registry(&target.host, &target.repository)?;
    let mut url = place.url.clone();
    url.set_path("/v2/");
    let reached = client.persist(|| {
        let response =
            client.exchange(&place, Action::Push, &url, &mut |http, url| http.get(url))?;
        let response = expected(&place, response)?;
        Ok(response.ok_or(Trouble::Status { code: 404, retry_after: None })?)
    });
    reached.map(drop).map_err(|not_done| not_done.push_error(&place, "anything"))
}
