//! What can go wrong between this program and a registry.

use std::io;

use crate::digest::Digest;
use crate::fetch::{FetchError, Tried, Trouble};
use crate::image::ImageError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// What can go wrong between this program and a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// An image of the store cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something could not be downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The loopback server could not be started.
    #[error("cannot serve images on the loopback")]
    Serve(#[source] io::Error),
    /// A text that names no image.
    #[error("`{text}` names no image of a registry: {reason}")]
    Reference {
        /// The text as it was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A registry has to be asked, and no network may be.
    #[error("cannot ask what `{reference}` is: no network may be asked")]
    Offline {
        /// The image.
        reference: String,
    },
    /// Every place says that there is no such image.
    #[error("no registry has `{reference}`{}", listed(tried))]
    Gone {
        /// The image.
        reference: String,
        /// Every place that was asked.
        tried: Vec<Tried>,
    },
    /// No place could be made to give the image.
    #[error("`{reference}` could not be had{}", listed(tried))]
    Unreachable {
        /// The image.
        reference: String,
        /// Every place that was asked.
        tried: Vec<Tried>,
    },
    /// An image that cannot be a base.
    #[error("`{reference}` cannot be used: {reason}")]
    Unusable {
        /// The image.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer holds something else than the image's configuration says.
    #[error(
        "layer {layer} of `{reference}` is not what its configuration says\n  expected  {expected}\n  found     {found}"
    )]
    DiffId {
        /// The image.
        reference: String,
        /// Digest of the layer as it is stored.
        layer: Digest,
        /// Digest of the tar stream that the configuration names.
        expected: Digest,
        /// Digest of the tar stream that is there.
        found: Digest,
    },
    /// A layer cannot be read.
    #[error("layer {layer} of `{reference}` cannot be read")]
    Layer {
        /// The image.
        reference: String,
        /// Digest of the layer.
        layer: Digest,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Something could not be written to a registry.
    #[error("cannot push {what} to `{target}`: {last}")]
    Push {
        /// What was sent.
        what: String,
        /// Where to, without credentials.
        target: String,
        /// What went wrong last.
        last: Trouble,
    },
    /// A registry calls what it was given by another name.
    #[error(
        "`{target}` has another digest for what was pushed\n  pushed  {expected}\n  found   {found}"
    )]
    Renamed {
        /// Where it was pushed to.
        target: String,
        /// The digest of what was pushed.
        expected: Digest,
        /// What the registry says.
        found: String,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
}

impl RegistryError {
    /// Why nobody gives an image, in the fixed words of a lock; `None` for everything that is no
    /// matter of who was asked.
    pub fn why_missing(&self) -> Option<&'static str> {
        match self {
            Self::Gone { .. } => Some("no registry that was asked has the image"),
            Self::Unreachable { .. } => Some(UNREACHABLE),
            Self::Fetch(error @ FetchError::Inputs { .. }) if !error.is_about_content() => {
                Some(UNREACHABLE)
            }
            _ => None,
        }
    }
}

const UNREACHABLE: &str = "no registry that was asked gives the image";

fn listed(tried: &[Tried]) -> String {
    tried.iter().map(|tried| format!("\n{tried}")).collect()
}
