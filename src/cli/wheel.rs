//! `repro wheel`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::reference::{self, Reference};
use super::{build, output};
use crate::build::source_of;
use crate::digest::Digest;
use crate::lock::{BuildSource, Lock, LockedBuild};
use crate::store::Store;

/// List what build jobs compiled: inputs, command and digest
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro wheel seg-debian          what was compiled, from what, by which command\n  \
    repro wheel seg-debian --json   with every input and its digest")]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let lock = match reference::resolve(context, &store, &arguments.image)? {
        Reference::Recipe(name) => build::current_lock(context, &name)?,
        Reference::Sealed { seal, .. } => reference::lock_of(&store, &seal)?,
    };
    if context.json {
        let builds: Vec<Value> =
            lock.builds.iter().map(|build| described(&store, &lock, build)).collect();
        output::json(&json!({ "image": lock.name, "builds": builds }));
        return Ok(ExitCode::SUCCESS);
    }
    for build in &lock.builds {
        show(&store, &lock, build);
    }
    if lock.builds.is_empty() {
        output::print(&format!("{}: nothing is compiled\n", lock.name));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(store: &Store, lock: &Lock, build: &LockedBuild) {
    let repeats = if build.repeatable { "" } else { " (does not repeat itself; kept)" };
    let (source, digest) = source(lock, build);
    let mut text = format!("{} {}{repeats}\n", build.name, build.version);
    text.push_str(&format!("  from      {source} {digest}\n"));
    text.push_str(&format!("  with      {}\n", listed(build)));
    if let Some(profile) = &build.profile {
        text.push_str(&format!("  for       profile `{profile}`, no part of the image\n"));
    }
    text.push_str(&format!("  command   {}\n", build.command.join(" ")));
    for (file, digest) in build.blobs() {
        let state = if store.has(&digest) { "" } else { " (not in the store)" };
        text.push_str(&format!("  gives     {file} {digest}{state}\n"));
    }
    if !build.is_known() {
        text.push_str("  gives     not compiled yet\n");
    }
    output::print(&text);
}

/// Distributions by name and version, Debian packages by number: they are dozens.
fn listed(build: &LockedBuild) -> String {
    let wheels = build.wheels.iter().map(|wheel| format!("{} {}", wheel.name, wheel.version));
    let packages = format!("{} Debian packages", build.packages.len());
    wheels.chain([packages]).collect::<Vec<_>>().join(", ")
}

/// What is compiled, with the digest it is named by.
fn source(lock: &Lock, build: &LockedBuild) -> (String, Digest) {
    match &build.source {
        BuildSource::Distribution(source) => (source.file.clone(), source.sha256),
        BuildSource::Local => local(build),
        BuildSource::Git(name) => match lock.git.iter().find(|git| git.name == *name) {
            Some(git) => (format!("{name} {}, tree {},", git.commit, git.tree), git.archive.digest),
            None => (name.clone(), Digest::of(b"")),
        },
    }
}

/// The recipe's own files; several are named by the digest of their list.
fn local(build: &LockedBuild) -> (String, Digest) {
    let names: Vec<&str> = build.local.iter().map(|file| file.source.as_str()).collect();
    let digest = match build.local.as_slice() {
        [one] => one.sha256,
        several => {
            let lines = several.iter().map(|file| format!("{} {}\n", file.sha256, file.path));
            Digest::of(lines.collect::<String>().as_bytes())
        }
    };
    (names.join(", "), digest)
}

fn described(store: &Store, lock: &Lock, build: &LockedBuild) -> Value {
    let (source, digest) = source(lock, build);
    let wheels =
        build.wheels.iter().map(|wheel| json!({ "file": wheel.file, "digest": wheel.sha256 }));
    let packages = build.packages.iter().map(
        |package| json!({ "name": package.name, "version": package.version, "digest": package.sha256 }),
    );
    let outputs = build.blobs().map(
        |(file, digest)| json!({ "file": file, "digest": digest, "present": store.has(&digest) }),
    );
    json!({
        "name": build.name, "version": build.version,
        "source": { "name": source, "digest": digest },
        "wheels": wheels.collect::<Vec<_>>(), "packages": packages.collect::<Vec<_>>(),
        "profile": build.profile, "local": build.local,
        "env": build.env, "command": build.command, "repeatable": build.repeatable,
        "outputs": outputs.collect::<Vec<_>>(),
    })
}

/// Builds whose command does not give the same bytes again.
pub fn not_repeatable(lock: &Lock) -> Vec<String> {
    let builds = lock.builds.iter().filter(|build| !build.repeatable);
    builds.map(|build| format!("{} {}", build.name, build.version)).collect()
}

/// The same for an image of the store; an image without a lock has none.
pub fn kept_outputs(store: &Store, seal: &Digest) -> Vec<String> {
    let known = source_of(store, seal).is_ok();
    let lock = known.then(|| reference::lock_of(store, seal).ok()).flatten();
    lock.map(|lock| not_repeatable(&lock)).unwrap_or_default()
}

/// Says of each that its output is kept and never compiled again.
pub fn note_kept(builds: &[String]) {
    for build in builds {
        output::note(&format!(
            "note: the command that compiles `{build}` does not repeat itself; what it gave is pinned and kept, and no rebuild proves it"
        ));
    }
}
