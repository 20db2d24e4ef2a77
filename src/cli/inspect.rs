//! `repro inspect`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{output, reference};
use crate::digest::{DiffId, Digest};
use crate::image::{self, Image, ImageLayer};
use crate::layer::LayerPlan;
use crate::store::Store;

/// Show the layers of an image: size, origin, sharing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro inspect seg-debian\n  \
    repro inspect seg-debian --files   every file with the package or wheel it comes from\n  \
    repro inspect 3f2a --json")]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
    /// List every file of every layer
    #[arg(long)]
    files: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let image = reference::image(context, &store, &arguments.image)?;
    let sharing = sharing(&store, &image.seal)?;
    if arguments.files {
        files(context, &image);
    } else if context.json {
        json_report(&store, &image, &sharing)?;
    } else {
        report(&store, &image, &sharing)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the other images that have a layer.
fn sharing(store: &Store, own: &Digest) -> Result<BTreeMap<DiffId, Vec<String>>, CliError> {
    let mut sharing: BTreeMap<DiffId, Vec<String>> = BTreeMap::new();
    for (name, seal) in image::list(store)?.into_iter().filter(|(_, seal)| seal != own) {
        let Ok(other) = Image::load(store, &seal) else { continue };
        for layer in other.layers {
            sharing.entry(layer.diff_id).or_default().push(format!("{name}@{}", seal.short()));
        }
    }
    Ok(sharing)
}

fn report(
    store: &Store,
    image: &Image,
    sharing: &BTreeMap<DiffId, Vec<String>>,
) -> Result<(), CliError> {
    let mut rows = vec![
        ["layer", "size", "files", "digest", "diff ID", "shared with"].map(str::to_owned).to_vec(),
    ];
    for layer in &image.layers {
        rows.push(vec![
            layer.origin.clone(),
            output::size(layer.size),
            layer.plan().map_or("-".to_owned(), |plan| plan.entries().count().to_string()),
            layer.digest.short(),
            layer.diff_id.0.short(),
            sharing.get(&layer.diff_id).map_or("-".to_owned(), |names| names.join(", ")),
        ]);
    }
    let size: u64 = image.layers.iter().map(|layer| layer.size).sum();
    output::print(&format!("{}@{}\n\n", image.name, image.seal));
    output::print(&output::columns(&rows, &[1, 2]));
    output::print(&format!(
        "\n{} compressed; {} of plans and documents in the store\nlock {}\n",
        output::size(size),
        output::size(image.metadata_size(store)?),
        image.lock,
    ));
    let notes: Vec<&String> = plans(image).flat_map(LayerPlan::notes).collect();
    for note in notes {
        output::print(&format!("note: {note}\n"));
    }
    Ok(())
}

/// The layers that `repro` made.
fn plans(image: &Image) -> impl Iterator<Item = &LayerPlan> {
    image.layers.iter().filter_map(ImageLayer::plan)
}

fn json_report(
    store: &Store,
    image: &Image,
    sharing: &BTreeMap<DiffId, Vec<String>>,
) -> Result<(), CliError> {
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| {
            json!({
                "origin": layer.origin, "size": layer.size, "digest": layer.digest,
                "diff_id": layer.diff_id, "entries": layer.plan().map(|plan| plan.entries().count()),
                "shared_with": sharing.get(&layer.diff_id).cloned().unwrap_or_default(),
                "notes": layer.plan().map(LayerPlan::notes).unwrap_or_default(),
            })
        })
        .collect();
    output::json(&json!({
        "image": image.name, "seal": image.seal, "lock": image.lock, "env": image.env,
        "workdir": image.workdir, "layers": layers, "metadata": image.metadata_size(store)?,
    }));
    Ok(())
}

fn files(context: &Context, image: &Image) {
    let entries = plans(image).flat_map(LayerPlan::entries);
    if context.json {
        let entries: Vec<_> = entries
            .map(|entry| {
                json!({ "path": entry.path, "kind": format!("{:?}", entry.kind).to_lowercase(), "mode": entry.mode,
                    "size": entry.size, "target": entry.target, "origin": entry.origin })
            })
            .collect();
        return output::json(&entries);
    }
    for entry in entries {
        let target = entry.target.map_or(String::new(), |target| format!(" -> {target}"));
        output::print(&format!(
            "{:04o} {:>12} /{}{target}  [{}]\n",
            entry.mode, entry.size, entry.path, entry.origin
        ));
    }
}
