//! What can go wrong between this program and a registry.

use std::io;

use crate::image::ImageError;

/// What can go wrong between this program and a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// An image of the store cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The loopback server could not be started.
    #[error("cannot serve images on the loopback")]
    Serve(#[source] io::Error),
}
