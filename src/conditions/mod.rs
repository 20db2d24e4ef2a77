//! Watches the machine while a case runs: what would spoil the number.
//!
//! A figure is worth what the machine was worth while it was measured. A sampler beside the job
//! looks at clocks, load of others, waiting, memory, disks and the GPUs of the case; its samples
//! become one CSV file a case, their summary and what was out of the ordinary stand in the record.
//!
//! - `sampler`: the thread; `column`, `table`: what it collects, and how much of it is kept;
//! - `processors`, `memory`, `disks`, `cards`, `nvml`: what it looks at;
//! - `flags`: what of it would spoil a number, and from which level on;
//! - `record`: what is kept.
//!
//! Invariants: what cannot be read is *not measured*, with the reason, and never an error; a case
//! is not held up by its sampler; no file grows with the length of a case beyond a bound. Writing
//! the file is left to `bench`, showing it to `report`.

mod cards;
mod column;
mod disks;
mod flags;
mod memory;
mod nvml;
mod processors;
mod record;
mod sampler;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree;

pub use cards::{CardReader, CardReading};
pub use column::CardColumn;
pub use disks::Folders;
pub use nvml::{CardSettings, Library, settings};
pub use record::{ConditionsRecord, Flag, FlagKind, Range};
pub use sampler::{Sampler, View, Watched};
