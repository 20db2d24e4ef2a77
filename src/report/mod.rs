//! Tables, pages and files from run records.
//!
//! Reads nothing but records and what lies beside them: errata and published figures were
//! copied into them when the case ended. Says everything in words, so that no colour is needed.
//!
//! - `model`: records by run and case; `words`, `numbers`: how values are written and read; `kinds`:
//!   which series are figures;
//! - `text`, `columns`, `table`: terminal and Markdown; `lines`: CSV; `document`: JSON;
//! - `plot`: inline SVG; `html`: one page without scripts that matter, fonts or a network;
//! - `history`: one case over runs.
//!
//! Invariants: `FINAL_RESULT` stands as the guide's script would print it (a table of text has four
//! significant digits where it prints many), the true throughput beside it, each with its unit; what
//! was not measured is called so; a case that failed or was skipped has no figures and gives its
//! reason below the table. Text of a log never reaches a terminal with control characters in it, nor a
//! page as markup; a page names no host and no path of the machine that wrote it. The same records
//! give the same bytes.

mod columns;
mod document;
mod history;
mod html;
mod kinds;
mod lines;
mod model;
mod numbers;
mod plot;
mod samples;
mod scrub;
mod spark;
mod table;
mod text;
mod words;

pub use history::History;
pub use lines::cell;
pub use model::Report;
pub use table::Format;
pub use words::memory;
