//! Watches the machine while a case runs: what would spoil the number.
//!
//! A sampler beside the job writes one CSV file a case; its summary and what was out of the
//! ordinary stand in the record. What cannot be read is *not measured*, with the reason.

mod record;

pub use record::{ConditionsRecord, Flag, FlagKind, Range};
