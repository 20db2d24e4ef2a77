//! `repro` turns a published benchmark guide into a sealed image and a table of
//! numbers that anyone can get again.
//!
//! Data goes one way, and each step reads what the step before it wrote:
//!
//! recipe (`images/*.toml`) → lock (`lockfiles/*.lock`) → fetch (content store)
//! → layers → image (its manifest digest is the seal) → engine → build → bench
//! (records) → report
//!
//! The modules below stand in that order. A module uses only modules above it;
//! `tests/it/module_order.rs` keeps it so. `ARCHITECTURE.md` says why.

#![warn(missing_docs)]

pub mod named_file;
pub mod digest;
pub mod address;
pub mod stats;
pub mod tarball;
pub mod store;
pub mod git;
pub mod recipe;
pub mod dataset;
pub mod lock;
pub mod settings;
pub mod fetch;
pub mod layer;
pub mod image;
pub mod registry;
pub mod engine;
pub mod build;
pub mod conditions;
pub mod bench;
pub mod doctor;
pub mod results;
pub mod audit;
pub mod carry;
pub mod gc;
pub mod diff;
pub mod report;
pub mod cli;
