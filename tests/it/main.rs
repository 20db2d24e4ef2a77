//! Behaviour of the library and of the program, one file per behaviour.

mod archives;
mod bad_archives;
mod bench;
mod building;
mod checking_the_store;
mod commands;
mod conformance;
mod data_sets;
mod fetch;
mod files_are_listed;
mod layers;
mod lock_text;
mod loopback;
mod module_order;
mod next_steps;
mod others_settings;
mod pinning;
mod pip_equality;
mod real_layers;
mod recipe_reading;
mod registry_client;
mod registry_push;
mod registry_serve;
mod repository;
mod settings;
mod unpack;
