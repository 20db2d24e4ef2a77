//! `repro parse`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{output, report};
use crate::bench::{self, ParseRequest, Parsed, RunRecord, Setting, Status};
use crate::digest::Digest;

/// Read logs that somebody else made; print the table and the guide's records
#[derive(Debug, Args)]
#[command(
    after_help = "The records are marked as parsed: nothing is known of the machine, and nobody has checked the image.\n\n\
    Examples:\n  \
    repro parse train.log --image seg --case seg/fastscnn/sp/bs2/fp32\n  \
    repro parse logs/ --image seg               cases are found by the names that the guide gives to logs\n  \
    repro parse logs/ --image seg --out results --json"
)]
pub struct Arguments {
    /// Logs, and folders with logs
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The image whose recipe has the rules
    #[arg(long, short)]
    image: String,
    /// The case that the log is of; without it the name of the log tells
    #[arg(long, value_name = "CASE")]
    case: Vec<String>,
    /// The profile whose cases they are
    #[arg(long, short, default_value = bench::FULL_PROFILE)]
    profile: String,
    /// Say that a variable was set otherwise than in the recipe
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Keep logs and records in a folder of their own in this one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let recipe = context.recipe(&arguments.image)?;
    let settings: Vec<Setting> =
        arguments.set.iter().map(|text| Setting::parse(text)).collect::<Result<_, _>>()?;
    let mut parsed = bench::parse(&ParseRequest {
        recipe: &recipe,
        sealed: sealed(context, &arguments.image)?,
        profile: &arguments.profile,
        cases: &arguments.case,
        settings: &settings,
        paths: &arguments.logs,
    })?;
    let folder = arguments.out.as_ref().map(|out| bench::keep(out, &mut parsed)).transpose()?;
    let records: Vec<RunRecord> = parsed.logs.iter().map(|log| log.record.clone()).collect();
    let failed = records.iter().any(|record| matches!(record.status, Status::Failed(_)));
    if context.json {
        let guide: serde_json::Map<String, serde_json::Value> = parsed
            .logs
            .iter()
            .filter_map(|log| Some((log.record.case.clone(), json!(log.guide_record.as_ref()?.1))))
            .collect();
        output::json(&json!({ "ok": !failed, "folder": folder, "records": records,
            "guide_records": guide, "others": parsed.others }));
    } else {
        show(&parsed, &records);
        folder
            .iter()
            .for_each(|folder| output::print(&format!("results in {}\n", folder.display())));
    }
    Ok(if failed { ExitCode::from(5) } else { ExitCode::SUCCESS })
}

/// What the project's lock says that the image is; zeros if it does not say.
pub fn sealed(context: &Context, name: &str) -> Result<(Digest, Digest), CliError> {
    let lock = context.find_lock(name)?;
    let nothing = Digest::from_bytes([0; 32]);
    let seal = lock.as_ref().and_then(|lock| lock.seal.as_ref()).map(|seal| seal.manifest);
    Ok((seal.unwrap_or(nothing), lock.map_or(nothing, |lock| lock.digest())))
}

fn show(parsed: &Parsed, records: &[RunRecord]) {
    report::print(records);
    let guide = parsed.logs.iter().filter_map(|log| log.guide_record.as_ref());
    guide.for_each(|(name, json)| output::print(&format!("\n{name}\n  {json}\n")));
    for path in &parsed.others {
        output::note(&format!("not the log of a case: {}", path.display()));
    }
}
