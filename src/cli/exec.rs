//! `repro exec`

mod console;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::{output, reference};
use crate::engine::{Exit, Gpus, Job, Meter, Mount, Outcome};
use crate::image::Image;
use crate::lock::Lock;
use console::Console;

/// Run one command in a sealed image
#[derive(Debug, Args)]
#[command(
    after_help = "The command runs as a case does: no network, a read-only root, no capabilities. \
    It reads standard input. \
    Its output goes to standard output (with `--json` to standard error), and its exit status is the exit code: \
    127 if the image lacks the command, 126 if it cannot be run.\n\nExamples:\n  \
    repro exec seg-debian -- python3 -c 'import torch; print(torch.__version__)'\n  \
    repro exec seg-debian -- python3 -i             at a terminal: the command has one of its own\n  \
    repro exec seg-debian -- python3 - < script.py\n  \
    repro exec seg-debian --mount ./script.py:/script.py -- python3 /script.py"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
    /// Mount a file or folder read-only
    #[arg(long, value_name = "SOURCE:TARGET", value_parser = mount)]
    mount: Vec<Mount>,
    /// Set a variable of the command's environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Seconds the command may take
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Let the command see the machine's GPUs
    #[arg(long)]
    gpus: bool,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let image = reference::image(context, &store, &arguments.image)?;
    let lock = reference::lock_of(&store, &image.seal)?;
    context.fetch_layers(&store, &image)?;
    let mut job = job(&lock, arguments);
    job.env.extend(arguments.env.iter().cloned());
    // One JSON document on standard output leaves the command's own output to the other stream.
    let is_json = context.json;
    let mut print = |bytes: &[u8]| {
        let _ = match is_json {
            true => std::io::stderr().lock().write_all(bytes),
            false => std::io::stdout().lock().write_all(bytes),
        };
    };
    let meter = Meter::new();
    let (input, console) = Console::open(!is_json, &meter).map_err(|source| CliError::Io {
        action: "read",
        path: "standard input".into(),
        source,
    })?;
    if console.is_terminal() {
        job.env.extend(output::terminal_name().map(|name| ("TERM".to_owned(), name)));
    }
    let outcome = context.engine_with(input).and_then(|engine| {
        let stop = &context.stop;
        Ok(engine.run_metered(&store, &image, &job, &mut print, stop, &meter)?)
    });
    meter.end();
    console.end();
    let outcome = outcome?;
    let _ = std::io::stdout().flush();
    if is_json {
        output::json(&document(&image, &outcome));
    }
    Ok(match outcome.exit {
        Exit::Status(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Exit::Signal(signal) => {
            output::note(&format!("signal {signal} ended the command"));
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
        }
        Exit::TimedOut => {
            output::note(&format!("the command took longer than {} s", arguments.timeout));
            ExitCode::from(124)
        }
        Exit::Stopped => return Err(CliError::Stopped),
    })
}

/// What was not measured is null.
fn document(image: &Image, outcome: &Outcome) -> Value {
    let (status, signal) = match outcome.exit {
        Exit::Status(status) => (Some(status), None),
        Exit::Signal(signal) => (None, Some(signal)),
        Exit::TimedOut | Exit::Stopped => (None, None),
    };
    json!({
        "image": image.name, "seal": image.seal, "status": status, "signal": signal,
        "timed_out": outcome.exit == Exit::TimedOut, "stopped": outcome.exit == Exit::Stopped,
        "seconds": outcome.duration.as_secs_f64(),
        "cpu_seconds": outcome.cpu_time.map(|time| time.as_secs_f64()),
        "peak_memory": outcome.peak_memory,
        "peak_job_memory": outcome.peak_job_memory,
    })
}

fn job(lock: &Lock, arguments: &Arguments) -> Job {
    Job {
        command: arguments.command.clone(),
        env: lock.env(),
        workdir: lock.config.workdir.clone(),
        mounts: arguments.mount.clone(),
        writable: lock.config.writable.clone(),
        shm_size: lock.config.shm_size,
        timeout: Duration::from_secs(arguments.timeout),
        memory: None,
        gpus: if arguments.gpus { Gpus::All } else { Gpus::None },
        keep: Vec::new(),
    }
}

fn mount(text: &str) -> Result<Mount, String> {
    let (source, target) = text.split_once(':').ok_or("expected SOURCE:TARGET")?;
    if !target.starts_with('/') {
        return Err(format!("`{target}` is no absolute path"));
    }
    let source = PathBuf::from(source);
    let source =
        source.canonicalize().map_err(|error| format!("`{}`: {error}", source.display()))?;
    Ok(Mount { source, target: target.to_owned(), writable: false })
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
