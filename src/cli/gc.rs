//! `repro gc`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::output;
use super::reference::{self, Reference};
use crate::gc::{self, Options, Plan};
use crate::store::Kind;

/// Remove from the store what no checkout and no run needs
#[derive(Debug, Args)]
#[command(
    after_help = "An image stays as long as the checkout it was built from has its lock, or a run record names it. \
    Everything that goes can be fetched or made again; records never go.\n\nExamples:\n  \
    repro gc --dry-run\n  \
    repro gc\n  \
    repro gc --forget seg-debian@3f2a    that image goes, whoever has its lock"
)]
pub struct Arguments {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Run records do not keep their images
    #[arg(long)]
    without_runs: bool,
    /// An image that is to go: `NAME@DIGEST` or an unambiguous prefix of its seal
    #[arg(long, value_name = "IMAGE")]
    forget: Vec<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let mut options = Options { without_runs: arguments.without_runs, forget: Vec::new() };
    for text in &arguments.forget {
        let seal = match reference::resolve(context, &store, text)? {
            Reference::Sealed { seal, .. } => Some(seal),
            Reference::Recipe(name) => context.lock(&name)?.seal.map(|seal| seal.manifest),
        };
        options.forget.extend(seal);
    }
    let plan = if arguments.dry_run {
        gc::plan(&store, &options)?
    } else {
        let alone = store.alone()?;
        context.display.begin("removing", 0);
        let plan = gc::collect(&alone, &store, &options, &|bytes| context.display.advance(bytes));
        context.display.finish();
        plan?
    };
    show(context, &plan, arguments.dry_run);
    Ok(ExitCode::SUCCESS)
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Blob, "blobs"),
    (Kind::Rootfs, "unpacked layers"),
    (Kind::Data, "unpacked data sets"),
    (Kind::Checkout, "imported projects"),
    (Kind::Git, "git objects"),
    (Kind::Partial, "broken downloads"),
];

fn show(context: &Context, plan: &Plan, dry_run: bool) {
    let bytes: u64 = plan.remove.iter().map(|stored| stored.bytes).sum();
    if context.json {
        let by_kind = KINDS.iter().map(|(kind, name)| {
            let (count, bytes) = plan.total(*kind);
            json!({ "kind": name, "count": count, "bytes": bytes })
        });
        let kept = plan.roots.iter().map(
            |root| json!({ "image": root.name, "seal": root.seal, "needed_by": root.needed_by }),
        );
        return output::json(&json!({ "removed": !dry_run, "bytes": bytes,
            "kinds": by_kind.collect::<Vec<Value>>(), "forgotten": plan.images,
            "kept": kept.collect::<Vec<Value>>() }));
    }
    let mut rows = Vec::new();
    for (kind, name) in KINDS {
        let (count, bytes) = plan.total(kind);
        if count > 0 {
            rows.push(vec![name.to_owned(), count.to_string(), output::size(bytes)]);
        }
    }
    output::print(&output::columns(&rows, &[1, 2]));
    for root in &plan.roots {
        let needed_by = root.needed_by.join(", ");
        output::print(&format!("kept {}@{}: {needed_by}\n", root.name, root.seal.short()));
    }
    let verb = if dry_run { "to free" } else { "freed" };
    output::print(&format!("{verb}: {}\n", output::size(bytes)));
}
