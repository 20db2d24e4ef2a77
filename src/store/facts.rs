//! Small facts that are dear to find out again, in SQLite.
//!
//! A fact is a text under a bucket and a key: `proven-layer`, `image`,
//! `verified-file` and so on. Losing the index costs time, never content:
//! everything in it can be found out again from blobs and checkouts.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::database::{PATIENCE, journal_mode};
use super::{Store, StoreError};

const SCHEMA: &str = "
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS fact (
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
";

pub(super) fn open(root: &Path) -> Result<Connection, StoreError> {
    let path = root.join("repro.db");
    let open = || -> rusqlite::Result<Connection> {
        let index = Connection::open(&path)?;
        index.busy_timeout(PATIENCE)?;
        let mode = journal_mode(root);
        index.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(()))?;
        index.execute_batch(SCHEMA)?;
        Ok(index)
    };
    open().map_err(|source| StoreError::Index { path: path.clone(), source })
}

/// An index of no facts, in memory.
pub(super) fn nothing() -> rusqlite::Result<Connection> {
    let index = Connection::open_in_memory()?;
    index.execute_batch(SCHEMA)?;
    Ok(index)
}

impl Store {
    /// The value kept under `key`, if any.
    pub fn recall(&self, bucket: &str, key: &str) -> Result<Option<String>, StoreError> {
        self.with_index(|index| {
            index
                .prepare_cached("SELECT value FROM fact WHERE bucket = ?1 AND key = ?2")?
                .query_row(params![bucket, key], |row| row.get(0))
                .optional()
        })
    }

    /// Keeps `value` under `key`, in place of what was there.
    pub fn remember(&self, bucket: &str, key: &str, value: &str) -> Result<(), StoreError> {
        self.remember_all(bucket, &[(key.to_owned(), value.to_owned())])
    }

    /// Keeps many values in one step.
    pub fn remember_all(&self, bucket: &str, pairs: &[(String, String)]) -> Result<(), StoreError> {
        self.with_index(|index| {
            let transaction = index.transaction()?;
            {
                let mut insert = transaction
                    .prepare_cached("INSERT OR REPLACE INTO fact VALUES (?1, ?2, ?3)")?;
                for (key, value) in pairs {
                    insert.execute(params![bucket, key, value])?;
                }
            }
            transaction.commit()
        })
    }

    /// Forgets facts: what they say has to be found out again.
    pub fn forget(&self, bucket: &str, keys: &[String]) -> Result<(), StoreError> {
        self.with_index(|index| {
            let transaction = index.transaction()?;
            {
                let mut delete = transaction
                    .prepare_cached("DELETE FROM fact WHERE bucket = ?1 AND key = ?2")?;
                for key in keys {
                    delete.execute(params![bucket, key])?;
                }
            }
            transaction.commit()
        })
    }

    /// Every key and value of a bucket, sorted by key.
    pub fn recall_all(&self, bucket: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.with_index(|index| {
            index
                .prepare_cached("SELECT key, value FROM fact WHERE bucket = ?1 ORDER BY key")?
                .query_map(params![bucket], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    fn with_index<T>(
        &self,
        run: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut index = self.index.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        run(&mut index)
            .map_err(|source| StoreError::Index { path: self.root.join("repro.db"), source })
    }
}

/// Tells whether a file is the one that was hashed before, without reading it.
///
/// Device, inode, size, mtime and ctime: a change of content that keeps all five
/// needs a wrong clock or a hand in the file system, and `--full` finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp(String);

impl FileStamp {
    /// The stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        Self(format!(
            "{}:{}:{}:{}.{:09}:{}.{:09}",
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ))
    }

    /// The stamp as text, for a fact's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
