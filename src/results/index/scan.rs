//! Brings the index up to date with the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{Index, ResultsError};
use crate::bench::{self, Figure, RunRecord, Status};
use crate::digest::Digest;
use crate::named_file;
use crate::results::find::begins_with_time;
use crate::results::note_folder;
use crate::store::{FileStamp, Store};

/// A file of a record as it is now.
struct Found {
    path: PathBuf,
    stamp: FileStamp,
    is_copy: bool,
}

impl Index {
    /// Reads what is new or changed in `folders` of runs, and forgets files that are gone.
    pub fn update(&mut self, store: &Store, folders: &[PathBuf]) -> Result<(), ResultsError> {
        let mut found = Vec::new();
        for folder in folders {
            note_folder(store, folder)?;
            let is_copy = *folder == store.runs();
            let folder = folder.canonicalize().unwrap_or(folder.clone());
            found.extend(files_below(&folder, is_copy));
        }
        self.take_in(&found)
    }

    /// Reads what is new or changed in the folder of one run, which is none of the store's copies.
    pub fn update_run(&mut self, folder: &Path) -> Result<(), ResultsError> {
        let folder = folder.canonicalize().unwrap_or(folder.to_owned());
        self.take_in(&found_in(&folder, false))
    }

    fn take_in(&mut self, found: &[Found]) -> Result<(), ResultsError> {
        let known = known(&self.connection)?;
        let is_new = |file: &&Found| {
            let path = file.path.to_string_lossy();
            known.get(&*path).is_none_or(|stamp| stamp != file.stamp.as_str())
        };
        let new: Vec<&Found> = found.iter().filter(is_new).collect();
        let there: BTreeSet<_> = found.iter().map(|file| file.path.to_string_lossy()).collect();
        // A folder that another project's command knows is none of ours to forget.
        let is_gone = |path: &&String| !there.contains(path.as_str()) && !Path::new(path).exists();
        let gone: Vec<&String> = known.keys().filter(is_gone).collect();
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // Two processes that bring it up to date write the same rows, one after the other.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for path in gone {
            forget(&transaction, path)?;
        }
        for file in new {
            write(&transaction, file)?;
        }
        Ok(transaction.commit()?)
    }
}

/// Records below a folder of runs. Only what is named as a run is looked into: results may have been
/// written into a folder with anything else in it.
fn files_below(folder: &Path, is_copy: bool) -> Vec<Found> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut runs: Vec<PathBuf> = entries
        .filter(|entry| begins_with_time(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    runs.sort();
    runs.iter().flat_map(|run| found_in(run, is_copy)).collect()
}

fn found_in(run: &Path, is_copy: bool) -> Vec<Found> {
    let files = bench::record_files(run).into_iter();
    let stamped = files.filter_map(|path| {
        let stamp = FileStamp::of(&fs::metadata(&path).ok()?);
        Some(Found { path, stamp, is_copy })
    });
    stamped.collect()
}

fn known(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut select = connection.prepare("SELECT path, stamp FROM record")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn forget(connection: &Connection, path: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM metric WHERE path = ?1", [path])?;
    connection.execute("DELETE FROM record WHERE path = ?1", [path]).map(drop)
}

fn write(connection: &Connection, file: &Found) -> rusqlite::Result<()> {
    let path = file.path.to_string_lossy();
    forget(connection, &path)?;
    let bytes = named_file::read(&file.path).unwrap_or_default();
    let record = bench::read_record(&file.path);
    let mut insert = connection.prepare_cached(
        "INSERT INTO record (path, stamp, size, digest, is_copy, unreadable) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let reason = record.as_ref().err().map(reason);
    let (size, digest) = (bytes.len() as i64, Digest::of(&bytes).to_string());
    insert.execute(params![path, file.stamp.as_str(), size, digest, file.is_copy, reason])?;
    let Ok(record) = record else { return Ok(()) };
    fill(connection, &path, &record)?;
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO metric VALUES (?1, ?2, ?3, ?4)")?;
    for figure in &record.metrics {
        insert.execute(params![path, figure.name, value(figure), figure.unit])?;
    }
    Ok(())
}

fn reason(error: &bench::BenchError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn fill(connection: &Connection, path: &str, record: &RunRecord) -> rusqlite::Result<()> {
    let (status, reason) = match &record.status {
        Status::Ok => ("ok", None),
        Status::Failed(reason) => ("failed", Some(reason)),
        Status::Skipped(reason) => ("skipped", Some(reason)),
    };
    let repeat = record.repeat.map_or((1, 1), |repeat| (repeat.number, repeat.of));
    let of = |figure: &Option<Figure>| {
        let figure = figure.as_ref();
        (figure.and_then(value), figure.map(|figure| figure.unit.clone()))
    };
    let (final_result, throughput) = (of(&record.final_result), of(&record.throughput));
    let image = &record.image;
    let mut update = connection.prepare_cached(
        "UPDATE record SET run = ?2, case_name = ?3, position = ?4, repeat = ?5, repeats = ?6, image = ?7,
             seal = ?8, lock = ?9, recipe = ?10, profile = ?11, status = ?12, reason = ?13, deviations = ?14,
             parsed = ?15, engine = ?16, host = ?17, start = ?18, duration_seconds = ?19, final_result = ?20,
             final_result_unit = ?21, throughput = ?22, throughput_unit = ?23
         WHERE path = ?1",
    )?;
    update.execute(params![
        path,
        record.run,
        record.case,
        record.index as i64,
        repeat.0 as i64,
        repeat.1 as i64,
        image.name,
        image.seal.to_string(),
        image.lock.to_string(),
        image.recipe.to_string(),
        record.profile.name,
        status,
        reason,
        record.deviations.len() as i64,
        record.parsed.is_some(),
        record.engine,
        host(record),
        record.start,
        record.duration,
        final_result.0,
        final_result.1,
        throughput.0,
        throughput.1,
    ])?;
    Ok(())
}

fn value(figure: &Figure) -> Option<f64> {
    figure.value.map(bench::Number::as_f64).filter(|value| value.is_finite())
}

/// What a reader calls the machine: its GPUs, or else its processor. Machines have no names in records.
fn host(record: &RunRecord) -> Option<String> {
    if record.parsed.is_some() {
        return None;
    }
    let cpu = record.host.cpu.clone().map(|cpu| match record.host.cores {
        Some(cores) => format!("{cpu} ({cores} processors)"),
        None => cpu,
    });
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    record.host.gpus.iter().for_each(|gpu| *counts.entry(gpu).or_default() += 1);
    let gpus = counts.into_iter().map(|(name, count)| format!("{count} × {name}"));
    let parts: Vec<String> = gpus.chain(cpu).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
