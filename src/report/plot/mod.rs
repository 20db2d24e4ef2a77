//! Plots as inline SVG, made by hand: no script, no font, no network.

pub(super) mod cases;
pub(super) mod comparison;
pub(super) mod conditions;
pub(super) mod envelope;
pub(super) mod frame;
pub(super) mod histogram;
pub(super) mod history;
pub(super) mod repeats;
pub(super) mod scale;
pub(super) mod steps;
