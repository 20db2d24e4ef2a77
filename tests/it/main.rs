//! Behaviour of the library and of the program, one file per behaviour.

mod data_sets;
mod fetch;
mod files_are_listed;
mod lock_text;
mod loopback;
mod pinning;
mod recipe_reading;
mod settings;
