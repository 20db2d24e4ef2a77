//! Finds run records and reads them; keeps an index of them that can always be made again.
//!
//! Invariant: the JSON files are the truth; a file that cannot be read is reported and spoils
//! no other. What records look like is `bench`'s, what people see is `report`'s.

pub mod check;
pub mod export;
pub mod scrub;
mod error;
mod filter;
mod find;
mod folders;
mod index;
mod load;

pub use error::ResultsError;
pub use filter::{Filter, Pattern, since, until};
pub use find::{LATEST, find, is_run_word, runs};
pub use folders::{folders, note_folder};
pub use index::{FILE as INDEX, Index, MetricRow, Row};
pub use load::{Loaded, Stored, Unreadable, load};
