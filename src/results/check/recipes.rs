//! Finds the text of a recipe that a record names by digest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::ImageRecord;
use crate::digest::Digest;
use crate::named_file;
use crate::recipe::Recipe;
use crate::store::Store;

/// The recipes of records, each read once.
#[derive(Debug)]
pub struct Recipes<'a> {
    store: &'a Store,
    /// Folders that may have it: the project's, those of imported bundles.
    folders: Vec<PathBuf>,
    known: BTreeMap<(String, Digest), Result<Recipe, String>>,
}

impl<'a> Recipes<'a> {
    /// Looks in the store, then in `images` and in the folders of imported bundles.
    pub fn new(store: &'a Store, images: &[PathBuf]) -> Self {
        let mut folders = images.to_vec();
        let checkouts = store.root().join("checkouts");
        for entry in fs::read_dir(checkouts).into_iter().flatten().filter_map(Result::ok) {
            folders.push(entry.path().join("images"));
        }
        folders.sort();
        Self { store, folders, known: BTreeMap::new() }
    }

    /// The recipe that made an image's record; why there is none, as a fragment.
    pub fn find(&mut self, image: &ImageRecord) -> Result<&Recipe, String> {
        let key = (image.name.clone(), image.recipe);
        if !self.known.contains_key(&key) {
            let found = self.read(image);
            self.known.insert(key.clone(), found);
        }
        self.known[&key].as_ref().map_err(String::clone)
    }

    fn read(&self, image: &ImageRecord) -> Result<Recipe, String> {
        let digest = &image.recipe;
        let text = self.text(digest);
        let text = text.ok_or_else(|| format!("nobody here has the recipe's text {digest}"))?;
        let folder = self.store.root();
        let recipe = Recipe::of_image(folder, &image.name, &text)
            .map_err(|error| format!("this program cannot read the recipe {digest}: {error}"))?;
        recipe.ok_or_else(|| format!("the recipe {digest} makes no image `{}`", image.name))
    }

    fn text(&self, digest: &Digest) -> Option<String> {
        if let Ok(bytes) = self.store.read_blob(digest) {
            return String::from_utf8(bytes).ok();
        }
        self.folders.iter().find_map(|folder| in_folder(folder, digest))
    }
}

fn in_folder(folder: &Path, digest: &Digest) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let files = entries.map(|entry| entry.path());
    let mut recipes = files.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    recipes.find_map(|path| {
        let text = named_file::read_text(&path).ok()?;
        (Digest::of(text.as_bytes()) == *digest).then_some(text)
    })
}
