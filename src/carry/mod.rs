//! Carries images and runs to where no network is: as a folder, or as one file.
//!
//! A [`mirror`] is a folder of every input that locks pin, each under its digest; `fetch` looks
//! there before anywhere else. A bundle is one file of everything that an image or a run needs:
//! recipe, lock, inputs, and if asked data sets, records, logs and the program.
//!
//! Invariants: nothing that was carried is trusted: every byte is hashed on its way into the
//! store, and compared with what a lock pins or with the bundle's own index. The same contents
//! give the same bundle, byte by byte. What was interrupted leaves nothing under a final name.

mod bundle;
mod error;
mod import;
mod index;
mod mirror;
mod simple;

pub use bundle::{Contents, Part, write};
pub use error::CarryError;
pub use import::{Imported, import};
pub use mirror::{Mirrored, mirror, plan as plan_mirror};
