//! Runs the guide's own analysis of a log in a sealed job, beside ours.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::{Field, compare};
use super::{AuditError, Guide};
use crate::bench::{ParsedLog, Status, Template, Variables, value_text};
use crate::digest::Digest;
use crate::engine::{Engine, Exit, Gpus, Job, Mount, Outcome, Stop};
use crate::image::Image;
use crate::recipe::{AuditScript, Recipe};
use crate::store::Store;

/// Where the job finds things.
const FOLDER: &str = "/repro/audit";
/// An analysis reads one file.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What scripts run in.
pub struct Bench<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The engine.
    pub engine: &'a dyn Engine,
    /// The store.
    pub store: &'a Store,
    /// The image whose interpreter runs the script.
    pub image: &'a Image,
    /// The wish to stop.
    pub stop: &'a Stop,
}

/// The guide's analysis of a log beside ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogReport {
    /// The log.
    pub log: PathBuf,
    /// Digest of its bytes.
    pub digest: Digest,
    /// The case it was read as.
    pub case: String,
    /// The script's path in the guide's repository.
    pub script: String,
    /// Digest of the script.
    pub script_digest: Digest,
    /// Seal of the image that it ran in.
    pub seal: Digest,
    /// How the script ended.
    pub end: ScriptEnd,
    /// Why ours is the record of a failed run, if it is.
    pub failure: Option<String>,
    /// Both records key by key; empty if the script made none.
    pub fields: Vec<Field>,
}

/// How the guide's script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum ScriptEnd {
    /// It made a record.
    Record,
    /// It made none; what it did instead, with its last line.
    None(String),
}

impl LogReport {
    /// Whether both make the same record, or neither one of success.
    pub fn is_good(&self) -> bool {
        match self.end {
            ScriptEnd::Record => self.fields.iter().all(Field::is_good),
            ScriptEnd::None(_) => self.failure.is_some(),
        }
    }
}

impl Bench<'_> {
    /// Runs the guide's script on a log that was read by our rules, and compares; `None` if the
    /// guide has no script.
    pub fn compare(&self, guide: &Guide, log: &ParsedLog) -> Result<Option<LogReport>, AuditError> {
        let Some(script) = &guide.audit().script else { return Ok(None) };
        let file = guide.path(Some(&script.file));
        let script_digest = self.store.put(&guide.read(&file)?)?;
        let (path, digest) = place(log);
        let (end, guides) = self.run(script, script_digest, &path, &log.record.variables)?;
        let ours = log.guide_record.as_ref().map_or("{}", |(_, json)| json);
        let ours = serde_json::from_str(ours).expect("a guide's record is a JSON object");
        let failure = match &log.record.status {
            Status::Failed(reason) => Some(reason.clone()),
            _ => None,
        };
        let fields =
            guides.map(|guides| compare(&guides, &ours, &script.except, failure.as_deref()));
        Ok(Some(LogReport {
            log: path,
            digest,
            case: log.record.case.clone(),
            script: file,
            script_digest,
            seal: self.image.seal,
            end,
            failure,
            fields: fields.unwrap_or_default(),
        }))
    }

    /// Runs the script; the record that it makes, if it makes one.
    fn run(
        &self,
        script: &AuditScript,
        digest: Digest,
        log: &Path,
        variables: &Variables,
    ) -> Result<(ScriptEnd, Option<Map<String, Value>>), AuditError> {
        let out = self.store.scratch("audit")?;
        let job = self.job(script, digest, (log, variables), &out)?;
        let mut output = Vec::new();
        let mut keep = |bytes: &[u8]| output.extend_from_slice(bytes);
        let outcome = self.engine.run(self.store, self.image, &job, &mut keep, self.stop)?;
        let text = String::from_utf8_lossy(&output);
        let written = fs::read_to_string(out.join(RECORD));
        let _ = fs::remove_dir_all(&out);
        if outcome.exit == Exit::Stopped {
            return Err(AuditError::Stopped);
        }
        let record = match written {
            Ok(record) => serde_json::from_str(&record).ok(),
            Err(_) => text.lines().rev().find_map(|line| serde_json::from_str(line).ok()),
        };
        let has_ended_well = outcome.exit == Exit::Status(0);
        Ok(match record.filter(|_| has_ended_well) {
            Some(record) => (ScriptEnd::Record, Some(record)),
            None => (ScriptEnd::None(why(&outcome, &text)), None),
        })
    }

    fn job(
        &self,
        script: &AuditScript,
        digest: Digest,
        (log, variables): (&Path, &Variables),
        out: &Path,
    ) -> Result<Job, AuditError> {
        let at = |name: &str| format!("{FOLDER}/{name}");
        let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let script_name = script.file.rsplit('/').next().unwrap_or("script");
        let log_place = at(&format!("log/{name}"));
        let places = [
            ("script", at(script_name)),
            ("log", log_place.clone()),
            ("out", at(&format!("out/{RECORD}"))),
        ];
        let log_file = log.canonicalize().map_err(io("read", log))?;
        let mount = |source: PathBuf, target: String, writable| Mount { source, target, writable };
        let image = &self.recipe.image;
        let mut env = self.image.env.clone();
        env.extend(script.env.clone());
        Ok(Job {
            command: command(script, variables, &places)?,
            env,
            workdir: "/".to_owned(),
            mounts: vec![
                mount(self.store.blob_path(&digest), at(script_name), false),
                mount(log_file, log_place, false),
                mount(out.to_owned(), at("out"), true),
            ],
            writable: image.writable.clone(),
            shm_size: image.shm_size,
            timeout: TIMEOUT,
            memory: None,
            gpus: Gpus::None,
            keep: Vec::new(),
        })
    }
}

/// Where a log is, and the digest of its bytes.
fn place(log: &ParsedLog) -> (PathBuf, Digest) {
    let parsed = log.record.parsed.as_ref().map(|parsed| parsed.path.clone());
    let digest = log.record.log.as_ref().map(|log| log.digest);
    parsed.zip(digest).expect("a log that was parsed has a place and a digest")
}

/// Name of the file that the script may write.
const RECORD: &str = "record";

/// The command with the case's variables and the places in the job.
fn command(
    script: &AuditScript,
    variables: &Variables,
    places: &[(&str, String)],
) -> Result<Vec<String>, AuditError> {
    let place = |name: &str| places.iter().find(|(known, _)| *known == name);
    let value = |name: &str| {
        let own = place(name).map(|(_, path)| path.clone());
        own.or_else(|| variables.get(name).map(value_text))
    };
    let names = places.iter().map(|(name, _)| (*name).to_owned());
    let known: Vec<String> = names.chain(variables.keys().cloned()).collect();
    let mut command = Vec::new();
    for argument in &script.command {
        let template = Template::parse(argument).map_err(AuditError::Command)?;
        command.extend(template.render_argument(&known, value).map_err(AuditError::Command)?);
    }
    Ok(command)
}

/// What the script did instead of a record, with the last line it wrote.
fn why(outcome: &Outcome, output: &str) -> String {
    let what = match outcome.exit {
        Exit::Status(0) => "it made no record".to_owned(),
        Exit::Status(status) => format!("it returned {status}"),
        Exit::Signal(signal) => format!("signal {signal} ended it"),
        Exit::TimedOut => format!("it took longer than {} s", TIMEOUT.as_secs()),
        Exit::Stopped => "it was stopped".to_owned(),
    };
    match output.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{what}; its last line: {}", line.trim()),
        None => what,
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditError {
    let path = path.to_owned();
    move |source| AuditError::Io { action, path, source }
}
