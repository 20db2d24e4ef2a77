//! The hidden command behind `verify`: one build in perturbed surroundings.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::build;
use crate::lock::Lock;
use crate::named_file;
use crate::store::Store;

/// The second build of `verify`
#[derive(Debug, Args)]
pub struct Arguments {
    /// A lock without its seal
    lock: PathBuf,
    /// The folder of local files
    folder: PathBuf,
    /// The store that has the inputs
    from: PathBuf,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    // The second build ends with `verify`, however that ends.
    let killed =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    killed.map_err(|error| CliError::Signals(error.into()))?;
    // Every file mode that is not set on purpose differs from the first build's.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    use_one_processor();
    let path = &arguments.lock;
    let text = named_file::read_text(path).map_err(|source| CliError::Io {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let lock = Lock::parse(&text, path)?;
    let store = context.store()?;
    let from = Store::open(&arguments.from)?;
    let engine = context.engine()?;
    let builder = context.builder(&store, &*engine, &arguments.folder, None);
    output::json(&build::rebuild(&builder, &from, &lock)?);
    Ok(ExitCode::SUCCESS)
}

/// Everything that asks how many threads to start hears "one".
fn use_one_processor() {
    let Ok(mut allowed) = rustix::thread::sched_getaffinity(None) else { return };
    let mut kept = false;
    for processor in 0..rustix::thread::CpuSet::MAX_CPU {
        if allowed.is_set(processor) && kept {
            allowed.unset(processor);
        }
        kept |= allowed.is_set(processor);
    }
    // Where it is not allowed the build is still perturbed in every other way.
    let _ = rustix::thread::sched_setaffinity(None, &allowed);
}
