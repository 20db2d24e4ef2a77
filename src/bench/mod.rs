//! Runs cases, turns their logs into figures, and writes a record of each run.
//!
//! A case is one point of a recipe's matrix under one profile. Each is run by an
//! engine in the sealed image; its log is kept whole, the recipe's patterns find
//! values in it while it grows, the recipe's formulas make figures of them, and
//! two records are written before the next case starts: the one that the guide asks
//! for, with exactly the guide's keys, and the run record with everything else.
//! A new benchmark needs a recipe, never code here.
//!
//! - `case`, `variables`, `template`: from matrix and profile to commands;
//! - `log`, `arrivals`, `total`, `formula`, `names`, `number`, `clock`, `figures`, `checks`: from a log to figures;
//! - `judge`, `verdict`, `record`, `series`, `guide`, `previous`: what is written, and whether a run repeats another;
//! - `comparison`, `reference`, `expected`: what was measured beside what the guide published, and where;
//! - `plan`, `run`, `repeats`, `resume`, `kept_log`: what would be run, running it, several times, going on;
//! - `schedule`, `exchange`: which case is next, and what one takes from another;
//! - `host`, `machine`, `pool`, `busy`, `card_lock`: the machine, and which of its GPUs a run has for itself;
//! - `watching`: what the machine did while a case ran;
//! - `preflight`: what of the machine a run lacks;
//! - `state`: what a run is doing now, for who asks from outside;
//! - `matrix`, `parse`: what the guides have, and logs that are there already;
//! - `derive`: a record once more, from its log and its recipe.
//!
//! Invariants: every case that was started has a record, however it ended; a figure
//! that could not be computed is absent with its reason, never a guess; what a user
//! set otherwise stands in the record. Reading records for people is left to `report`,
//! exit codes and progress bars to `cli`, verifying data sets to `dataset`.

mod arrivals;
mod blank;
mod busy;
mod card_lock;
mod case;
mod checks;
mod clock;
mod comparison;
mod copies;
mod derive;
mod error;
mod exchange;
mod expected;
mod figures;
mod files;
mod formula;
mod guide;
mod host;
mod judge;
mod kept_log;
mod layout;
mod log;
mod machine;
mod matrix;
mod names;
mod nearest;
mod number;
mod parse;
mod plan;
mod pool;
mod preflight;
mod previous;
mod read_log;
mod record;
mod reference;
mod rehearsal;
mod repeats;
mod resume;
mod run;
mod schedule;
mod series;
mod state;
mod template;
mod total;
mod variables;
mod verdict;
mod watching;

pub use case::{Case, FULL_PROFILE, expand, select};
pub use checks::Check;
pub use comparison::{Comparison, NO_REFERENCE, Verdict, compare};
pub use copies::{known as known_copy, remember as remember_copy};
pub use derive::{Derived, Evidence, derive};
pub use error::BenchError;
pub use exchange::{
    GivenInput, InputRecord, InputSource, OutputFile, OutputRecord, PlannedInput, PlannedOutput,
};
pub use figures::{Figure, Rules, number_of};
pub use files::PARSED;
pub use formula::{Binding, FUNCTIONS, Formula, FormulaError, Scope};
pub use host::Host;
pub use layout::{Layout, layout};
pub use log::{Findings, LogPatterns, LogReader};
pub use machine::MachineSettings;
pub use matrix::{MatrixCase, matrix};
pub use names::mistakes;
pub use number::Number;
pub use parse::{ParseRequest, Parsed, ParsedLog, keep, parse};
pub use plan::{PlannedCase, ProfileFile, Setup, check, plan};
pub use pool::{Claim, Places, Pool, Wish, claim};
pub use preflight::{Kind, Lack, lacks_of_machine};
pub use previous::Repeatable;
pub use record::{
    ImageRecord, ParsedRecord, Repeat, RunRecord, Status, read_record, read_records, record_files,
};
pub use reference::{HostDifference, host_differences};
pub use rehearsal::{PATIENCE, Reached, Rehearsed, rehearse};
pub use repeats::{RepeatedFigure, Repeats, repeats};
pub use run::{Event, Events, Options, RunSummary, run};
pub use series::SeriesRecord;
pub use state::{Announced, End, Ended, Phase, RunState, RunningCase, StateKeeper, state_clock};
pub use template::{Template, TemplateError};
pub use total::Progress;
pub use variables::{Deviation, Setting, Variables, value_text};
