//! Says whether a machine can run an image: what is needed, what is there, what to do.
//!
//! Whether a card runs a program is decided by the code in the program's libraries, so it is read from
//! there: no table of versions knows what a wheel really holds. What a driver and a card can do is
//! told by the driver where there is one, else by NVIDIA's published tables (`cuda`).
//!
//! - `code`: kinds of GPU code, and which card can run which;
//! - `elf`, `fatbin`, `window`: read them from a library, by ranges, trusting nothing;
//! - `library`, `wheel`: what a library and a wheel hold; found once, kept in the store by the wheel's digest;
//! - `image`: the wheels of a lock, and what they mean for the cards of a machine;
//! - `cards`: what a machine's cards can do;
//! - `machine`: what the kernel offers to sealed runs.
//!
//! Invariants: nothing is downloaded and nothing is run; what was not looked at is said, never guessed. It
//! is left to `cli` to put this together with what project and settings lack.

mod cards;
mod code;
mod cuda;
mod elf;
mod error;
mod fatbin;
mod image;
mod library;
mod machine;
mod wheel;
mod window;

pub use cards::{KnownCard, host_of_file, known_cards};
pub use code::{Capability, Code, How, Reach, list};
pub use cuda::{Version, is_new_enough, of_model};
pub use error::DoctorError;
pub use image::{ImageCode, ImageWheel, Unfit};
pub use library::{Library, Part, Support};
pub use machine::{Check, State, machine};
pub use wheel::WheelCode;
