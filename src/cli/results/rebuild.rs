//! `repro results rebuild`

use std::process::ExitCode;

use serde_json::json;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::output;
use crate::results::{INDEX, Index};

pub fn run(context: &Context) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let index = Index::rebuild(&store, &[context.settings.results_folder().to_owned()])?;
    index.notes.iter().for_each(|note| output::note(&format!("note: {note}")));
    let (records, unreadable) = (index.rows()?.len(), index.unreadable()?);
    let file = store.root().join(INDEX);
    if context.json {
        output::json(&json!({ "records": records, "index": file,
            "unreadable": super::unreadable_json(&unreadable) }));
    } else {
        let count = output::count(records, "record", "records");
        output::print(&format!("{count} in {}\n", file.display()));
    }
    super::tell_unreadable(&unreadable);
    Ok(ExitCode::SUCCESS)
}
