//! `repro fsck`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::dataset;
use crate::engine::embedded;
use crate::image::{self, Image};
use crate::store::{Damage, Store};

/// Hash every blob in the store, compare every unpacked layer and data set
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro fsck            hash every blob, compare every unpacked layer and data set\n  \
    repro fsck --remove   and remove it, so that the next build fetches it again")]
pub struct Arguments {
    /// Remove what is damaged
    #[arg(long)]
    remove: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let (store, index) = open(context, arguments.remove)?;
    context.display.begin("hashing the store", 0);
    let report = store.fsck(|bytes| {
        context.display.advance(bytes);
        context.stop.flow()
    });
    context.display.finish();
    let mut report = report?;
    if arguments.remove {
        for digest in report.damage.iter().filter_map(|damage| damage.expected) {
            store.remove_blob(&digest)?;
        }
    }
    // What an image or a data set unpacks to is told by blobs: only right ones can say what is wrong.
    if report.damage.is_empty() {
        report.damage = audit(context, &store, arguments.remove)?;
        report.damage.extend(audit_data(context, &store, arguments.remove)?);
    }
    report.damage.extend(index);
    if context.json {
        let damage: Vec<_> = report
            .damage
            .iter()
            .map(|damage| {
                json!({ "path": damage.path, "expected": damage.expected, "found": damage.found })
            })
            .collect();
        output::json(&json!({ "blobs": report.blobs, "bytes": report.bytes, "damage": damage,
            "removed": arguments.remove }));
    } else {
        print_report(&report);
    }
    let good = report.damage.is_empty() || arguments.remove;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// The store, and its index if that is damaged: everything else is looked at all the same.
fn open(context: &Context, remove: bool) -> Result<(Store, Option<Damage>), CliError> {
    let root = context.settings.store_folder();
    let checked = context.store().and_then(|store| Ok(store.check_index().map(|()| store)?));
    let error = match checked {
        Err(CliError::Store(error)) if error.is_damaged_index() => error,
        other => return Ok((other?, None)),
    };
    let path = root.join("repro.db");
    if !remove {
        let damage = Damage { path, expected: None, found: None };
        return Ok((Store::open_without_index(root)?, Some(damage)));
    }
    let aside = Store::put_index_aside(root)?;
    output::note(&format!(
        "{error}: it lies in `{}` now; build or import your images again before the next `repro gc`",
        aside.display()
    ));
    Ok((context.store()?, Some(Damage { path, expected: None, found: None })))
}

/// Compares the unpacked layers of every image with what they were unpacked from.
fn audit(context: &Context, store: &Store, remove: bool) -> Result<Vec<Damage>, CliError> {
    let mut layers = BTreeMap::new();
    for (_, seal) in image::list(store)? {
        let Ok(image) = Image::load(store, &seal) else { continue };
        layers.extend(image.layers.into_iter().map(|layer| (layer.diff_id, layer)));
    }
    let mut damage = Vec::new();
    for (diff_id, layer) in layers {
        context.display.begin(&format!("comparing {}", layer.origin), 0);
        let found = embedded::audit(store, &layer, &context.stop);
        context.display.finish();
        if context.stop.is_requested() {
            return Err(CliError::Stopped);
        }
        let found = found?;
        if remove && !found.is_empty() {
            store.remove_rootfs(&diff_id)?;
        }
        damage.extend(found);
    }
    Ok(damage)
}

/// Compares the unpacked data sets with the manifests that they are named by.
fn audit_data(context: &Context, store: &Store, remove: bool) -> Result<Vec<Damage>, CliError> {
    let found = dataset::audit(store, &context.display)?;
    for (manifest, _) in found.iter().filter(|_| remove) {
        if let Some(manifest) = manifest {
            store.remove_data(manifest)?;
        }
    }
    Ok(found.into_iter().map(|(_, damage)| damage).collect())
}

fn print_report(report: &crate::store::FsckReport) {
    let digest = |digest: &Option<crate::digest::Digest>| {
        digest.map_or("nothing".to_owned(), |digest| digest.to_string())
    };
    for damage in &report.damage {
        output::print(&format!(
            "{} `{}`\n  expected  {}\n  found     {}\n",
            if damage.expected.is_some() { "damaged" } else { "too much" },
            damage.path.display(),
            digest(&damage.expected),
            digest(&damage.found)
        ));
    }
    output::print(&format!(
        "{} hashed ({}), {} damaged\n",
        output::count(report.blobs as usize, "blob", "blobs"),
        output::size(report.bytes),
        report.damage.len()
    ));
}
