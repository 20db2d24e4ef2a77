//! `repro verify`

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::reference::{self, Reference};
use super::{build, output, wheel};
use crate::build::{BuildError, Rebuilt, Verdict};
use crate::fetch::FetchError;
use crate::lock::Lock;
use crate::store::Store;

/// Build an image again elsewhere and compare every byte
#[derive(Debug, Args)]
#[command(
    after_help = "Says GOOD, BAD (the first differing entry with both values) or FAIL (why it \
    could not be built).\n\nExamples:\n  \
    repro verify seg-debian\n  \
    repro verify seg-debian@3f2a --json"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let (lock, folder) = match reference::resolve(context, &store, &arguments.image)? {
        Reference::Recipe(name) => (build::current_lock(context, &name)?, context.images()?),
        Reference::Sealed { seal, .. } => {
            (reference::lock_of(&store, &seal)?, store.root().to_owned())
        }
    };
    let engine = context.engine()?;
    let builder = context.builder(&store, &*engine, &folder, None);
    // A base's bytes are needed only where something is compiled on it.
    let fetched = builder.fetch(&lock).and_then(|()| match lock.builds.is_empty() {
        true => Ok(()),
        false => builder.fetch_layers(&lock),
    });
    let (verdict, code) = match fetched {
        Ok(()) => {
            let verdict = second_build(context, &store, &lock, &folder, engine.name())?;
            let is_good = matches!(verdict, Verdict::Good(_));
            (verdict, if is_good { ExitCode::SUCCESS } else { ExitCode::from(3) })
        }
        Err(BuildError::Fetch(error @ FetchError::Inputs { .. })) => {
            let error = CliError::from(error);
            (Verdict::Fail(error.text()), error.exit_code())
        }
        Err(error) => return Err(error.into()),
    };
    show(context, &lock, &verdict);
    Ok(code)
}

/// Runs the second build in a child process with other surroundings.
fn second_build(
    context: &Context,
    store: &Store,
    lock: &Lock,
    folder: &Path,
    engine: &str,
) -> Result<Verdict, CliError> {
    let elsewhere = store.scratch("verify")?;
    let lock_path = elsewhere.join("stripped.lock");
    let stripped = Lock { seal: None, ..lock.clone() };
    super::context::write_in_one_step(&lock_path, stripped.to_text().as_bytes())?;
    context.display.begin(&format!("building {} again", lock.name), 0);
    let program = std::env::current_exe().map_err(|source| CliError::Io {
        action: "find",
        path: "/proc/self/exe".into(),
        source,
    })?;
    let output = Command::new(program)
        .args(["--offline", "--quiet", "--engine", engine, "__rebuild"])
        .args([lock_path.as_os_str(), folder.as_os_str(), store.root().as_os_str()])
        .current_dir(&elsewhere)
        .env("REPRO_HOME", elsewhere.join("store"))
        .env("TZ", "Pacific/Chatham")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("LANG", "tr_TR.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CliError::Io { action: "start", path: "__rebuild".into(), source })?;
    context.display.finish();
    if context.stop.is_requested() {
        return Err(CliError::Stopped);
    }
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Ok(Verdict::Fail(reason));
    }
    let rebuilt: Rebuilt = serde_json::from_slice(&output.stdout).map_err(CliError::Rebuilt)?;
    let second = Store::open(&elsewhere.join("store"))?;
    Ok(crate::build::verify(store, &second, lock, &rebuilt)?)
}

fn show(context: &Context, lock: &Lock, verdict: &Verdict) {
    let name = &lock.name;
    if context.json {
        return output::json(&match verdict {
            Verdict::Good(seal) => json!({
                "image": name, "verdict": "GOOD", "seal": seal,
                "not_repeatable": wheel::not_repeatable(lock) }),
            Verdict::Bad { sealed, rebuilt, difference } => json!({
                "image": name, "verdict": "BAD", "seal": sealed, "rebuilt": rebuilt,
                "place": difference.place, "sealed_value": difference.sealed,
                "rebuilt_value": difference.rebuilt }),
            Verdict::Fail(reason) => json!({ "image": name, "verdict": "FAIL", "reason": reason }),
        });
    }
    output::print(&match verdict {
        Verdict::Good(seal) => format!("{} {name}@{seal}\n", output::state("GOOD")),
        Verdict::Bad { sealed, rebuilt, difference } => {
            format!(
                "{} {name}\n  sealed   {sealed}\n  rebuilt  {rebuilt}\nfirst difference: {difference}\n",
                output::state("BAD")
            )
        }
        Verdict::Fail(reason) => format!("{} {name}\n{reason}\n", output::state("FAIL")),
    });
    wheel::note_kept(&wheel::not_repeatable(lock));
}
