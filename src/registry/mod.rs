//! Speaks the OCI distribution protocol, from both ends.
//!
//! [`serve`] gives images out of the store to whatever runs on this machine: a
//! Docker daemon, `skopeo`, `podman`. Layers are streamed from their plans, so
//! nothing is stored for the purpose and only what the other side lacks travels.
//!
//! Invariants: only what belongs to the images that were given is served, on the
//! loopback only; a stream whose digest turns out wrong is broken off before its
//! last byte. How an image is made and run is left to `build` and `engine`.

mod error;
pub mod serve;

pub use error::RegistryError;
