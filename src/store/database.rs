//! SQLite files below the store's folder: how they are opened, wherever that folder lies.
//!
//! Several processes may use one file. A write-ahead log needs memory that all of them share, which
//! no network file system gives to two machines: there the older rollback journal is used, and
//! a writer waits for another one. What a file system is says its magic number (`statfs`);
//! one that this list does not have and that still cannot do it answers SQLite itself.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::FlockOperation;

use super::{Store, StoreError, at, give, open_to_append};

/// A writer waits this long for another one.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// File systems that other machines may see, or that user programs make: NFS, SMB (three), 9P, FUSE, Ceph,
/// Lustre, GPFS, AFS (two), Coda, BeeGFS, PanFS, OrangeFS, VirtualBox, NCP, GFS2, OCFS2.
const SHARED: [u64; 19] = [
    0x6969,
    0xff53_4d42,
    0xfe53_4d42,
    0x517b,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x0bd0_0bd0,
    0x4750_4653,
    0x5346_414f,
    0x6b41_4653,
    0x7375_7245,
    0x1983_0326,
    0xaad7_aaea,
    0x2003_0528,
    0x786f_4256,
    0x564c,
    0x0116_1970,
    0x7461_636f,
];

/// A database that can be made again from something else.
#[derive(Debug)]
pub struct Derived {
    /// The open file.
    pub connection: Connection,
    /// Why what was there before was thrown away, if it was, as a fragment.
    pub discarded: Option<String>,
}

impl Store {
    /// Opens `name` below the store's folder with the tables of `schema`, whose number is `version`.
    ///
    /// A file of another version, a damaged one, or one that is no database is removed: everything
    /// in it can be made again.
    pub fn derived_database(
        &self,
        name: &str,
        version: u32,
        schema: &str,
    ) -> Result<Derived, StoreError> {
        let path = self.root.join(name);
        // Nobody opens it while it is being removed: a journal of the old file must not meet the new one.
        let _lock = lock(&self.root.join(format!("{name}.lock")), self.owner)?;
        let index = |source| StoreError::Index { path: path.clone(), source };
        let opened = open_version(&path, version, schema);
        let (connection, discarded) = match opened {
            Ok(Ok(connection)) => (connection, None),
            Ok(Err(reason)) => (remove_and_open(&path, version, schema)?, Some(reason)),
            Err(error)
                if is_damage(&error)
                    || error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) =>
            {
                let reason = format!("it is damaged: {error}");
                (remove_and_open(&path, version, schema)?, Some(reason))
            }
            Err(error) => return Err(index(error)),
        };
        for end in ["", "-wal", "-shm"] {
            give(&self.root.join(format!("{name}{end}")), self.owner);
        }
        Ok(Derived { connection, discarded })
    }

    /// Removes such a file; the next one who opens it finds it empty.
    pub fn discard_database(&self, name: &str) -> Result<(), StoreError> {
        let _lock = lock(&self.root.join(format!("{name}.lock")), self.owner)?;
        remove(&self.root.join(name))
    }
}

/// How several processes get on with each other in a database of `folder`.
pub(super) fn journal_mode(folder: &Path) -> &'static str {
    match rustix::fs::statfs(folder) {
        Ok(system) => mode_on(system.f_type as u64),
        // Nothing is known of it: what works everywhere.
        Err(_) => "DELETE",
    }
}

fn mode_on(magic: u64) -> &'static str {
    // The field is signed on some machines.
    if SHARED.contains(&(magic & 0xffff_ffff)) { "DELETE" } else { "WAL" }
}

/// Whether the error says that the file's content is of no use.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Opens the file; the inner error says why it has to go.
fn open_version(
    path: &Path,
    version: u32,
    schema: &str,
) -> rusqlite::Result<Result<Connection, String>> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    let mode = journal_mode(path.parent().unwrap_or(Path::new(".")));
    // A file that came from elsewhere keeps its mode; it answers with the one it has now.
    // What another process uses cannot change its mode now; what is damaged shows below.
    let _ = connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(()));
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if found == 0 && tables == 0 {
        let begin = format!("BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT");
        connection.execute_batch(&begin)?;
        return Ok(Ok(connection));
    }
    if found != version {
        return Ok(Err(format!("it has format {found}, this program knows {version}")));
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Ok(Err(format!("it is damaged: {}", check.trim())));
    }
    Ok(Ok(connection))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    for end in ["-wal", "-shm", "-journal", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("remove", Path::new(&name))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn remove_and_open(path: &Path, version: u32, schema: &str) -> Result<Connection, StoreError> {
    remove(path)?;
    let opened = open_version(path, version, schema);
    let opened = opened.map_err(|source| StoreError::Index { path: path.to_owned(), source })?;
    opened.map_err(|_| StoreError::Index {
        path: path.to_owned(),
        source: rusqlite::Error::InvalidQuery,
    })
}

fn lock(path: &Path, owner: (u32, u32)) -> Result<File, StoreError> {
    let file = open_to_append(path).map_err(at("open", path))?;
    give(path, owner);
    // A file system without locks has nothing to say.
    let _ = rustix::fs::flock(&file, FlockOperation::LockExclusive);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE number (value INTEGER)";

    fn count(database: &Derived) -> u32 {
        let sql = "SELECT count(*) FROM number";
        database.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn fill(store: &Store) {
        let database = store.derived_database("x.db", 1, SCHEMA).unwrap();
        let sql = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 5000)
            INSERT INTO number SELECT v FROM n; PRAGMA wal_checkpoint(TRUNCATE)";
        database.connection.execute_batch(sql).unwrap();
        assert_eq!(count(&database), 5000);
    }

    #[test]
    fn only_local_file_systems_get_a_write_ahead_log() {
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(mode_on(local), "WAL", "{local:x}");
        }
        for shared in [0x6969, 0xff53_4d42, 0xffff_ffff_ff53_4d42, 0x6573_5546, 0x0102_1997] {
            assert_eq!(mode_on(shared), "DELETE", "{shared:x}");
        }
    }

    #[test]
    fn a_database_is_kept_and_one_of_another_version_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        fill(&store);
        let again = store.derived_database("x.db", 1, SCHEMA).unwrap();
        assert_eq!((count(&again), again.discarded.as_ref()), (5000, None));
        drop(again);
        let other = store.derived_database("x.db", 2, SCHEMA).unwrap();
        assert_eq!(count(&other), 0);
        assert_eq!(other.discarded.unwrap(), "it has format 1, this program knows 2");
    }

    #[test]
    fn what_is_no_database_any_more_is_made_anew() {
        for damage in [0, 1] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            fill(&store);
            let path = folder.path().join("x.db");
            let mut bytes = fs::read(&path).unwrap();
            // A head that is none, or pages of garbage behind a good one.
            let range = if damage == 0 { 0..100 } else { 4096..bytes.len() };
            bytes[range].fill(0xa5);
            fs::write(&path, bytes).unwrap();
            let again = store.derived_database("x.db", 1, SCHEMA).unwrap();
            assert_eq!(count(&again), 0);
            assert!(again.discarded.as_ref().unwrap().contains("damaged"), "{again:?}");
        }
    }
}
