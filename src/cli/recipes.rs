//! Recipes for commands that read them, without what only a run would stumble over.

use super::context::Context;
use super::error::CliError;
use crate::bench;
use crate::dataset::Datasets;
use crate::recipe::{self, Recipe};

/// The recipes of these images; of all of them if none is named.
///
/// # Errors
///
/// They are no recipes, a formula names what is not there, or a profile mounts what `datasets.toml` does not
/// describe: each mistake with its line.
pub fn load(context: &Context, names: &[String]) -> Result<Vec<Recipe>, CliError> {
    let folder = context.images()?;
    let recipes = match names {
        [] => Recipe::load_all(&folder)?,
        names => names.iter().map(|name| Recipe::load(&folder, name)).collect::<Result<_, _>>()?,
    };
    let datasets = Datasets::load(context.settings.project()?)?;
    let mut problems = Vec::new();
    for recipe in &recipes {
        let mut mistakes = bench::mistakes(recipe)?;
        mistakes.extend(datasets.undescribed(recipe));
        problems.extend(recipe.problems(&mistakes));
    }
    recipe::refuse(problems)?;
    // Commands and names of files have no place of their own: the mode is named instead.
    recipes.iter().try_for_each(bench::check)?;
    Ok(recipes)
}
