//! What the index answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::Connection;
use serde::Serialize;

use crate::results::Unreadable;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The run.
    pub run: String,
    /// The case, `seg/fastscnn/sp/bs2/fp32`.
    #[serde(rename = "case")]
    pub case_name: String,
    /// Position of the case in its run, from 1.
    pub position: i64,
    /// Which repetition, from 1.
    pub repeat: i64,
    /// How many there were to be.
    pub repeats: i64,
    /// Name of the image.
    pub image: String,
    /// Its seal.
    pub seal: String,
    /// Digest of its lock.
    pub lock: String,
    /// Digest of the recipe's text.
    pub recipe: String,
    /// The profile.
    pub profile: String,
    /// `ok`, `failed` or `skipped`.
    pub status: String,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// How many variables a user set otherwise than the recipe.
    pub deviations: i64,
    /// Whether it is of a log that somebody else made.
    pub parsed: bool,
    /// The engine.
    pub engine: String,
    /// GPUs and processor of the machine.
    pub host: Option<String>,
    /// Start of the command, RFC 3339 in UTC; empty for a parsed log.
    pub start: String,
    /// Wall time of the command in seconds.
    pub duration_seconds: Option<f64>,
    /// The guide's figure.
    pub final_result: Option<f64>,
    /// Its unit.
    pub final_result_unit: Option<String>,
    /// The true throughput.
    pub throughput: Option<f64>,
    /// Its unit.
    pub throughput_unit: Option<String>,
    /// Every figure, by name.
    pub metrics: BTreeMap<String, MetricRow>,
    /// The record's file.
    pub path: PathBuf,
    /// Digest of the file.
    pub digest: String,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricRow {
    /// Its value.
    pub value: Option<f64>,
    /// Its unit; empty for a plain number.
    pub unit: String,
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut metrics = metrics(connection)?;
    let mut select = connection.prepare(
        "SELECT * FROM result ORDER BY start DESC, run DESC, position, case_name, repeat",
    )?;
    let rows = select.query_map([], |row| {
        let path: String = row.get("path")?;
        Ok(Row {
            run: row.get("run")?,
            case_name: row.get("case_name")?,
            position: row.get("position")?,
            repeat: row.get("repeat")?,
            repeats: row.get("repeats")?,
            image: row.get("image")?,
            seal: row.get("seal")?,
            lock: row.get("lock")?,
            recipe: row.get("recipe")?,
            profile: row.get("profile")?,
            status: row.get("status")?,
            reason: row.get("reason")?,
            deviations: row.get("deviations")?,
            parsed: row.get("parsed")?,
            engine: row.get("engine")?,
            host: row.get("host")?,
            start: row.get("start")?,
            duration_seconds: row.get("duration_seconds")?,
            final_result: row.get("final_result")?,
            final_result_unit: row.get("final_result_unit")?,
            throughput: row.get("throughput")?,
            throughput_unit: row.get("throughput_unit")?,
            metrics: metrics.remove(&path).unwrap_or_default(),
            path: PathBuf::from(path),
            digest: row.get("digest")?,
        })
    })?;
    let mut rows: Vec<Row> = rows.collect::<rusqlite::Result<_>>()?;
    // Cases of one run stay together, whenever each of them started.
    let mut begun: BTreeMap<String, String> = BTreeMap::new();
    for row in &rows {
        let first = begun.entry(row.run.clone()).or_insert_with(|| row.start.clone());
        if row.start < *first {
            first.clone_from(&row.start);
        }
    }
    rows.sort_by(|a, b| {
        let newest = (&begun[&b.run], &b.run).cmp(&(&begun[&a.run], &a.run));
        let place = |row: &Row| (row.position, row.repeat);
        newest.then_with(|| place(a).cmp(&place(b)).then_with(|| a.case_name.cmp(&b.case_name)))
    });
    Ok(rows)
}

fn metrics(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<String, BTreeMap<String, MetricRow>>> {
    let mut select = connection.prepare("SELECT path, name, value, unit FROM metric")?;
    let mut rows = select.query([])?;
    let mut metrics: BTreeMap<String, BTreeMap<String, MetricRow>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let one = MetricRow { value: row.get(2)?, unit: row.get(3)? };
        metrics.entry(row.get(0)?).or_default().insert(row.get(1)?, one);
    }
    Ok(metrics)
}

pub(super) fn unreadable(connection: &Connection) -> rusqlite::Result<Vec<Unreadable>> {
    let sql = "SELECT path, unreadable FROM record WHERE unreadable IS NOT NULL ORDER BY path";
    let mut select = connection.prepare(sql)?;
    let rows = select.query_map([], |row| {
        let path: String = row.get(0)?;
        Ok(Unreadable { path: PathBuf::from(path), reason: row.get(1)? })
    })?;
    rows.collect()
}
