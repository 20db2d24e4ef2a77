//! Speaks the OCI distribution protocol, from both ends.
//!
//! As a client it finds out what a base image is ([`resolve_base`]) and brings what a lock names
//! of it: its documents before anything is built, its layers when somebody needs their bytes.
//! As a server ([`serve`]) it gives images out of the store to whatever runs on this machine: a
//! Docker daemon, `skopeo`, `podman`. Layers are streamed from their plans, so nothing is stored
//! for the purpose and only what the other side lacks travels.
//!
//! Invariants: a tag is asked about only while a lock is written, everything later goes by
//! digest, so it does not matter which mirror answers; only what belongs to the images that were
//! given is served, on the loopback only; a stream whose digest turns out wrong is broken off
//! before its last byte; credentials go to the host they are kept for and to no other, and never
//! into a message. How an image is made and run is left to `build` and `engine`.

mod access;
mod attach;
mod base;
mod client;
mod document;
mod download;
mod error;
mod pull;
mod push;
mod reach;
mod reference;
pub mod serve;
mod table;
mod upload;

pub use attach::Attached;
pub use base::resolve_base;
pub use download::{documents, fetch, layers};
pub use error::RegistryError;
pub use pull::{Pulled, pull};
pub use push::{Pushed, attach, prove_unsent, push};
pub use reach::reach;
pub use reference::Reference;
