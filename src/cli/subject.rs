//! An image with everything that a command needs to build, run or carry it.

use std::path::{Path, PathBuf};

use super::build;
use super::context::Context;
use super::error::CliError;
use super::reference::{self, Reference};
use crate::dataset;
use crate::digest::Digest;
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::store::Store;

/// What a command is about.
pub struct Subject {
    pub recipe: Recipe,
    pub lock: Lock,
    /// The folder that local files are relative to.
    pub folder: PathBuf,
    /// Whether it is the project's, so that its lock may be completed there.
    pub is_of_project: bool,
}

impl Subject {
    /// The folder that data sets are described in: the image's own project where it still is. An image
    /// without data needs none: what was imported runs outside any project.
    pub fn project(&self, context: &Context) -> Result<PathBuf, CliError> {
        project_of(&self.folder, context)
    }
}

/// The folder that data sets are described in for an image whose local files lie in `folder`.
pub fn project_of(folder: &Path, context: &Context) -> Result<PathBuf, CliError> {
    let own = folder.parent();
    match (own.filter(|own| own.join(dataset::FILE).is_file()), context.settings.project()) {
        (Some(own), _) => Ok(own.to_owned()),
        (None, Ok(project)) => Ok(project.to_owned()),
        (None, Err(error)) => own.map(Path::to_owned).ok_or(error.into()),
    }
}

/// Recipe and lock of a reference: the project's own, or those kept under a seal.
pub fn resolve(context: &Context, store: &Store, text: &str) -> Result<Subject, CliError> {
    match reference::resolve(context, store, text)? {
        Reference::Recipe(name) => {
            let lock = build::current_lock(context, &name)?;
            crate::build::refuse_other(store, &lock)?;
            let (recipe, folder) = (context.recipe(&name)?, context.images()?);
            Ok(Subject { recipe, lock, folder, is_of_project: true })
        }
        Reference::Sealed { name, seal } => sealed(store, name, &seal, None),
    }
}

/// Recipe and lock as they are kept under a seal; another text of the recipe, if the store has it.
pub fn sealed(
    store: &Store,
    name: String,
    seal: &Digest,
    recipe: Option<Digest>,
) -> Result<Subject, CliError> {
    let source = crate::build::source_of(store, seal)?;
    let lock = reference::lock_of(store, seal)?;
    let text = recipe.filter(|text| store.has(text)).or(source.recipe);
    let text = text.ok_or_else(|| CliError::NoRecipe { name: name.clone() })?;
    let text = store.read_blob(&text)?;
    let text = String::from_utf8_lossy(&text);
    let recipe = Recipe::of_image(&source.folder, &name, &text)?;
    let recipe = recipe.ok_or(CliError::NoRecipe { name })?;
    Ok(Subject { recipe, lock, folder: source.folder, is_of_project: false })
}
