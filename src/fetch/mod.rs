//! Downloads what a lock pins into the store; beside `registry` the only module that asks a network for anything.
//!
//! Two verbs: [`pin`] makes a lock of a recipe, [`fetch`] brings a lock's inputs. A
//! lock says what (name, size, SHA-256), the settings say where; every byte is
//! hashed while it streams into the store, so it does not matter whom it came
//! from. After `fetch` nothing needs a network.
//!
//! Invariants: content enters the store only under the digest that was locked; a
//! failed attempt leaves nothing; what is there already is not asked for again;
//! a digest that differs is never tried again at the same place, and is reported with both
//! sides; one failing input does not hide the others. How progress looks is left
//! to `cli`, what the inputs mean to `layer` and `build`.

mod client;
pub mod data;
mod download;
mod error;
mod git;
mod index;
mod offers;
mod pace;
pub mod pin;
mod progress;
mod retry;
mod wanted;
mod workers;

pub(crate) use client::{Answer, Ask, Request, http_client, retry_after, send, sending_client};
pub(crate) use download::{Downloader, NotBrought};
pub use error::{FetchError, InputError, InputFailure, Refusal, Tried, Trouble, size_text};
pub use git::{GitTree, git_tree};
pub use progress::{Progress, Quiet};
pub(crate) use retry::{Attempts, Ending, Stopped, wait, why};
pub use wanted::{Place, Planned, Wanted, base_layers_of_mirrors, plan, wanted, wanted_of_mirrors};
pub(crate) use workers::{check_space, missing};
pub use workers::{fetch, fetch_from_mirrors, free_space, out_of_reach};
