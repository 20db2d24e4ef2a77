//! Finds run records and reads them; keeps an index of them that can always be made again.
//!
//! Invariant: the JSON files are the truth; a file that cannot be read is reported and spoils
//! no other. What records look like is `bench`'s, what people see is `report`'s.

mod load;

pub use load::{Loaded, Stored, Unreadable, load};
