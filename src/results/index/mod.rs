//! An index of run records in SQLite, `results.db` in the store.
//!
//! It answers quickly and to whoever speaks SQL, and it holds nothing of its own: each row has the stamp of
//! the file it was read from, a file that changed is read again, and the whole can be made anew. A row
//! stays as long as its file does. So two processes may bring it up to date at once, and
//! whatever happens to it costs time only: [`Index::open`] falls back to memory.
//!
//! The view `result` has one row for each case of each run (and repetition), from the results where they
//! are there, else from the store's copy. Column names and units are an interface.

mod row;
mod scan;

use std::path::PathBuf;

use rusqlite::Connection;

use super::{ResultsError, Unreadable, folders};
use crate::store::Store;

pub use row::{MetricRow, Row};

/// The file's name in the store's folder.
pub const FILE: &str = "results.db";

/// Number of the tables' form: a file with another one is thrown away.
const VERSION: u32 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// Whether the file cannot be used now, as opposed to one with wrong content: making it anew would not help.
fn is_about_access(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let codes = [
        CannotOpen,
        DatabaseBusy,
        DatabaseLocked,
        DiskFull,
        FileLockingProtocolFailed,
        OutOfMemory,
        PermissionDenied,
        ReadOnly,
        SystemIoFailure,
    ];
    error.sqlite_error_code().is_some_and(|code| codes.contains(&code))
}

/// The open index.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    /// What was read when it was brought up to date.
    read: Option<(Vec<Row>, Vec<Unreadable>)>,
    /// What a user should hear: that it was made anew, or that it could not be opened.
    pub notes: Vec<String>,
}

impl Index {
    /// Opens the index of `store` as it is; in memory, empty, if that cannot be.
    pub fn open(store: &Store) -> Result<Self, ResultsError> {
        match store.derived_database(FILE, VERSION, SCHEMA) {
            Ok(database) => {
                let note = |reason| format!("the index of results is made anew: {reason}");
                let notes = database.discarded.map(note).into_iter().collect();
                Ok(Self { connection: database.connection, read: None, notes })
            }
            Err(error) => {
                let mut note =
                    format!("the index of results cannot be used, everything is read: {error}");
                if let Some(cause) = std::error::Error::source(&error) {
                    note.push_str(&format!(": {cause}"));
                }
                let connection = Connection::open_in_memory()?;
                connection.execute_batch(SCHEMA)?;
                Ok(Self { connection, read: None, notes: vec![note] })
            }
        }
    }

    /// Opens the index and brings it up to date with every folder that is known, `first` among them.
    pub fn current(store: &Store, first: &[PathBuf]) -> Result<Self, ResultsError> {
        let folders = folders(store, first)?;
        let bring = |mut index: Self| -> Result<Self, ResultsError> {
            index.update(store, &folders)?;
            // A check of pages finds no wrong value: only reading does.
            let read = (row::all(&index.connection)?, row::unreadable(&index.connection)?);
            index.read = Some(read);
            Ok(index)
        };
        match Self::open(store).and_then(bring) {
            // It went bad behind the head, or has rows that nobody wrote.
            Err(ResultsError::Index(error)) if !is_about_access(&error) => {
                let mut index = Self::empty(store)?;
                index.notes.push(format!("the index of results is made anew: {error}"));
                bring(index)
            }
            index => index,
        }
    }

    /// Makes the index again from the records alone.
    pub fn rebuild(store: &Store, first: &[PathBuf]) -> Result<Self, ResultsError> {
        let mut index = Self::empty(store)?;
        index.update(store, &folders(store, first)?)?;
        Ok(index)
    }

    fn empty(store: &Store) -> Result<Self, ResultsError> {
        store.discard_database(FILE)?;
        Self::open(store)
    }

    /// Every record that could be read, newest run first, in a run by position.
    pub fn rows(&self) -> Result<Vec<Row>, ResultsError> {
        match &self.read {
            Some((rows, _)) => Ok(rows.clone()),
            None => Ok(row::all(&self.connection)?),
        }
    }

    /// Every record that could not be read.
    pub fn unreadable(&self) -> Result<Vec<Unreadable>, ResultsError> {
        match &self.read {
            Some((_, unreadable)) => Ok(unreadable.clone()),
            None => Ok(row::unreadable(&self.connection)?),
        }
    }
}
