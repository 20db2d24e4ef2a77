//! `repro push`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::progress::Display;
use super::reference::{self, Reference};
use crate::build::source_of;
use crate::fetch::Progress;
use crate::image::Image;
use crate::lock::Lock;
use crate::registry::{self, Attached, Pushed};
use crate::store::Store;

/// Bring an image to a registry; build it first where it is not built yet
#[derive(Debug, Args)]
#[command(
    after_help = "The registry is asked before anything is built. Layers are streamed while they are made, and what the registry has is not sent. \
    Its digest there is the seal. Lock and recipe are kept beside \
    it. Credentials are those of `docker login`.\n\nExamples:\n  \
    repro push seg-debian registry.test/team/seg          by its digest alone\n  \
    repro push seg-debian registry.test/team/seg:2026     and under a tag"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,

    /// Where to: `registry.test/team/image`, with a tag or without
    reference: registry::Reference,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let (image, pushed) = match reference::resolve(context, &store, &arguments.image)? {
        Reference::Recipe(name) => build(context, &store, &name, &arguments.reference)?,
        Reference::Sealed { seal, .. } => {
            registry::reach(&context.settings, &arguments.reference, &context.stop.flag())?;
            let image = Image::load(&store, &seal)?;
            let lock = reference::lock_of(&store, &seal)?;
            let pushed = push(context, &store, &image, &lock, &arguments.reference)?;
            (image, pushed)
        }
    };
    let source = source_of(&store, &image.seal)?;
    let recipe = source.recipe.map(|recipe| store.read_blob(&recipe)).transpose()?;
    let attached = Attached { lock: store.read_blob(&source.lock)?, recipe };
    let (settings, stop) = (&context.settings, context.stop.flag());
    registry::attach(settings, &store, &arguments.reference, &image.seal, &attached, &stop)?;
    show(context, &image, &pushed);
    Ok(ExitCode::SUCCESS)
}

/// Builds what is not built yet, in the one pass that sends it.
fn build(
    context: &Context,
    store: &Store,
    name: &str,
    target: &registry::Reference,
) -> Result<(Image, Pushed), CliError> {
    let lock = super::build::current_lock(context, name)?;
    let recipe = context.recipe(name)?;
    registry::reach(&context.settings, target, &context.stop.flag())?;
    let engine = context.engine()?;
    let builder = context.builder(store, &*engine, &context.images()?, Some(&recipe));
    let mut done = None;
    let built = builder.build_streaming(&lock, |image| {
        let pushed = push(context, store, image, &lock, target)?;
        if Image::load(store, &image.seal).is_err() {
            registry::prove_unsent(store, image, &pushed)?;
        }
        done = Some(pushed);
        Ok::<_, CliError>(())
    })?;
    super::build::seal_lock(context, &lock, &built)?;
    let pushed = done.expect("a build that succeeds has streamed its image");
    Ok((built.image, pushed))
}

fn push(
    context: &Context,
    store: &Store,
    image: &Image,
    lock: &Lock,
    target: &registry::Reference,
) -> Result<Pushed, CliError> {
    let (settings, stop) = (&context.settings, context.stop.flag());
    let base = registry::layers(lock);
    let progress = Uploading { display: &context.display, name: &image.name };
    Ok(registry::push(settings, store, image, &base, target, &progress, &stop)?)
}

/// Shows what is sent as what it is: the display's own words are for downloads.
struct Uploading<'a> {
    display: &'a Display,
    name: &'a str,
}

impl Progress for Uploading<'_> {
    fn begin(&self, _files: usize, bytes: u64) {
        self.display.begin(&format!("pushing {}", self.name), bytes);
    }

    fn started(&self, _name: &str, _size: u64) {}

    fn advanced(&self, name: &str, bytes: u64) {
        Progress::advanced(self.display, name, bytes);
    }

    fn retried(&self, name: &str, lost: u64, reason: &str) {
        self.display.retried(name, lost, reason);
    }

    fn finished(&self, _name: &str) {}

    fn end(&self) {
        self.display.finish();
    }
}

fn show(context: &Context, image: &Image, pushed: &Pushed) {
    if context.json {
        return output::json(&json!({
            "image": image.name, "seal": image.seal, "reference": pushed.reference.to_string(),
            "sent": pushed.sent, "present": pushed.present, "mounted": pushed.mounted,
        }));
    }
    let had = pushed.present.len() + pushed.mounted.len();
    output::note(&format!("sent {}; the registry had {had} blobs", output::size(pushed.sent)));
    output::print(&format!("{}\n", pushed.reference));
}
