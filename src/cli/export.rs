//! `repro export`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::reference::{self, Reference};
use crate::image::{self, Image};
use crate::store::Store;

/// Write an image as an OCI layout or as an archive; build it first where it is not built yet
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

impl Target {
    /// Nothing is built or written where the target is in the way.
    fn check(&self) -> Result<(), image::ImageError> {
        match (&self.oci, &self.archive) {
            (Some(folder), _) => image::check_new_folder(folder),
            (None, Some(file)) => image::check_new_file(file),
            (None, None) => Ok(()),
        }
    }

    fn path(&self) -> &Path {
        let path = self.oci.as_deref().or(self.archive.as_deref());
        path.expect("clap asks for one of the two")
    }
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    arguments.target.check()?;
    let image = match reference::resolve(context, &store, &arguments.image)? {
        Reference::Recipe(name) => build(context, &store, &name, &arguments.target)?,
        Reference::Sealed { seal, .. } => {
            let image = Image::load(&store, &seal)?;
            context.fetch_layers(&store, &image)?;
            write(context, &store, &image, &arguments.target)?;
            image
        }
    };
    let path = arguments.target.path();
    if context.json {
        output::json(&json!({ "image": image.name, "seal": image.seal, "path": path }));
    } else {
        output::print(&format!("{}\n", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what is not built yet, in the one pass that writes it.
fn build(context: &Context, store: &Store, name: &str, target: &Target) -> Result<Image, CliError> {
    let lock = super::build::current_lock(context, name)?;
    let recipe = context.recipe(name)?;
    let engine = context.engine()?;
    let builder = context.builder(store, &*engine, &context.images()?, Some(&recipe));
    builder.fetch_layers(&lock)?;
    let built = builder.build_streaming(&lock, |image| write(context, store, image, target))?;
    super::build::seal_lock(context, &lock, &built)?;
    Ok(built.image)
}

fn write(context: &Context, store: &Store, image: &Image, target: &Target) -> Result<(), CliError> {
    let size = image.layers.iter().map(|layer| layer.size).sum();
    context.display.begin(&format!("exporting {}", image.name), size);
    let progress = |bytes| {
        context.display.advance(bytes);
        context.stop.flow()
    };
    let path = target.path();
    let written = match target.oci {
        Some(_) => image::export_layout(store, image, path, &progress),
        None => image::export_archive(store, image, path, &progress),
    };
    context.display.finish();
    Ok(written?)
}
