//! Behaviour of the library and of the program, one file per behaviour.

mod archives;
mod bad_archives;
mod bench;
mod building;
mod bundles;
mod collecting;
mod commands;
mod comparing;
mod conformance;
mod data_sets;
mod fetch;
mod files_are_listed;
mod layers;
mod lock_text;
mod loopback;
mod mirrors;
mod module_order;
mod pinning;
mod pip_equality;
mod real_layers;
mod recipe_reading;
mod repository;
mod settings;
mod unpack;
