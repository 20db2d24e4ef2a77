//! `repro inspect`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{output, reference, wheel};
use crate::digest::{DiffId, Digest};
use crate::image::{self, Image, ImageLayer};
use crate::layer::{EntryKind, LayerPlan};
use crate::lock::BuiltFile;
use crate::store::Store;

/// Show the layers of an image: size, origin, sharing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro inspect seg-debian\n  \
    repro inspect seg-debian --files   every file, what it comes from, what covers it\n  \
    repro inspect 3f2a --json")]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
    /// List every file of every layer
    #[arg(long)]
    files: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store_to_read()?;
    let image = reference::image(context, &store, &arguments.image)?;
    let sharing = sharing(&store, &image.seal)?;
    let kept = wheel::kept_outputs(&store, &image.seal);
    if arguments.files {
        files(context, &image);
    } else if context.json {
        json_report(&store, &image, &sharing, &kept)?;
    } else {
        report(&store, &image, &sharing)?;
        wheel::note_kept(&kept);
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
    for (profile, path, digest) in beside(store, image) {
        output::print(&format!("beside it: profile `{profile}` mounts {path} {digest}\n"));
    }
    let notes: Vec<&String> = plans(image).flat_map(LayerPlan::notes).collect();
    for note in notes {
        output::print(&format!("note: {note}\n"));
    }
    Ok(())
}

/// What build jobs made for profiles: no part of the image, but pinned with it.
fn beside(store: &Store, image: &Image) -> Vec<(String, String, Digest)> {
    // An image of another tool has no lock.
    let Ok(lock) = reference::lock_of(store, &image.seal) else { return Vec::new() };
    let builds = lock.builds.into_iter();
    let files = builds.filter_map(|build| Some((build.profile?, build.files)));
    let file = |(profile, files): (String, Vec<BuiltFile>)| {
        files.into_iter().map(move |file| (profile.clone(), file.path, file.sha256))
    };
    files.flat_map(file).collect()
}

/// The layers that `repro` made.
fn plans(image: &Image) -> impl Iterator<Item = &LayerPlan> {
    image.layers.iter().filter_map(ImageLayer::plan)
}

fn json_report(
    store: &Store,
    image: &Image,
    sharing: &BTreeMap<DiffId, Vec<String>>,
    kept: &[String],
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
    let beside = beside(store, image).into_iter().map(
        |(profile, path, digest)| json!({ "profile": profile, "path": path, "digest": digest }),
    );
    output::json(&json!({
        "image": image.name, "seal": image.seal, "lock": image.lock, "env": image.env,
        "beside": beside.collect::<Vec<_>>(),
        "workdir": image.workdir, "layers": layers, "not_repeatable": kept, "metadata": image.metadata_size(store)?,
    }));
    Ok(())
}

/// Every entry with the layer it is in; what a higher layer covers is marked.
fn files(context: &Context, image: &Image) {
    let covering = covering(image);
    let entries = plans(image)
        .enumerate()
        .flat_map(|(layer, plan)| plan.entries().map(move |entry| (layer, entry)));
    let entries = entries.map(|(layer, entry)| {
        let above = covering.get(entry.path).filter(|(highest, _)| *highest > layer);
        let above = above.map(|(_, origin)| *origin);
        (above.filter(|_| entry.kind != EntryKind::Directory), entry)
    });
    if context.json {
        let entries: Vec<_> = entries
            .map(|(covered_by, entry)| {
                json!({ "path": entry.path, "kind": format!("{:?}", entry.kind).to_lowercase(), "mode": entry.mode,
                    "size": entry.size, "target": entry.target, "origin": entry.origin,
                    "covered_by": covered_by })
            })
            .collect();
        return output::json(&entries);
    }
    for (covered_by, entry) in entries {
        let target = entry.target.map_or(String::new(), |target| format!(" -> {target}"));
        let covered = covered_by.map_or(String::new(), |origin| format!("  covered by [{origin}]"));
        output::print(&printable(&format!(
            "{:04o} {:>12} /{}{target}  [{}]{covered}",
            entry.mode, entry.size, entry.path, entry.origin
        )));
    }
}

/// By path the number and the origin of the highest layer that has anything but a directory there.
fn covering(image: &Image) -> BTreeMap<&str, (usize, &str)> {
    let mut covering = BTreeMap::new();
    for (layer, plan) in plans(image).enumerate() {
        for entry in plan.entries().filter(|entry| entry.kind != EntryKind::Directory) {
            covering.insert(entry.path, (layer, entry.origin));
        }
    }
    covering
}

/// A line in which a name cannot steer the terminal.
fn printable(line: &str) -> String {
    let escaped = line.chars().map(|letter| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    });
    escaped.chain(["\n".to_owned()]).collect()
}
