//! `repro export`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{output, reference};
use crate::image;

/// Write an image as an OCI layout or as an archive
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro export seg-debian --oci layout          then: skopeo inspect oci:layout\n  \
    repro export seg-debian --archive image.tar   then: docker load -i image.tar")]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Write an OCI layout into this new folder
    #[arg(long, value_name = "DIR")]
    oci: Option<PathBuf>,
    /// Write one tar archive that skopeo, podman and `docker load` read
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let image = reference::image(context, &store, &arguments.image)?;
    let size = image.layers.iter().map(|layer| layer.size).sum();
    context.display.begin(&format!("exporting {}", image.name), size);
    let progress = |bytes| context.display.advance(bytes);
    let Target { oci, archive } = &arguments.target;
    let written = match (oci, archive) {
        (Some(folder), _) => {
            image::export_layout(&store, &image, folder, &progress).map(|()| folder)
        }
        (None, Some(file)) => image::export_archive(&store, &image, file, &progress).map(|()| file),
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    context.display.finish();
    let path = written?;
    if context.json {
        output::json(&json!({ "image": image.name, "seal": image.seal, "path": path }));
    } else {
        output::print(&format!("{}\n", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
