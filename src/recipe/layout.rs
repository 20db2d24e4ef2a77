//! The layout of a recipe file, and how its variants are laid over it.
//!
//! ```toml
//! title = "…"
//! [guide]                 # repository, commit, path
//! [base] or [debian]      # the image part: what decides bytes
//! [python] [[git]] [[download]] [[build]] [[gone]] [[file]] [symlinks] [files] [image]
//! [benchmark]             # how the image is run and its logs are read
//! [profile.smoke]
//! [[erratum]] [[published]] [[unavailable]] [[expected-failure]]
//! [reference-host]        # the machine that the guide measured on
//! [audit]                 # how the guide is held against itself
//! [variant.debian.python] # any of the above but guide and figures, laid over it
//! ```
//!
//! Tables merge; lists and single values replace. Errata of a variant come
//! after those of the recipe. A variant with a base of its own does not have the
//! recipe's. What is gone counts only for the image whose table says so: a variant is
//! there to do without it. A recipe without a base at its top is no image itself, only
//! its variants are.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::audit;
use super::check;
use super::document::{Document, Fault, merge};
use super::mistake::Mistake;
use super::names;
use super::types::{BaseRecipe, Erratum, ImageRecipe, ImageTable, Recipe};

const VARIANT_KEYS: [&str; 15] = [
    "title",
    "base",
    "debian",
    "python",
    "git",
    "download",
    "build",
    "gone",
    "file",
    "symlinks",
    "files",
    "image",
    "benchmark",
    "profile",
    "erratum",
];

const KEYS: [&str; 22] = [
    "title",
    "base",
    "debian",
    "python",
    "git",
    "download",
    "build",
    "gone",
    "file",
    "symlinks",
    "files",
    "image",
    "benchmark",
    "profile",
    "erratum",
    "guide",
    "published",
    "unavailable",
    "expected-failure",
    "reference-host",
    "audit",
    "variant",
];

/// Every image of one recipe file; on failure everything that is wrong in it.
pub(super) fn images(folder: &Path, system: &str, text: &str) -> Result<Vec<Recipe>, Vec<Fault>> {
    let mut faults = Vec::new();
    let documents = documents(system, text, &mut faults)?;
    if documents.is_empty() {
        let message = "the recipe makes no image: there is no `[base]`, no `[debian]` and no `[variant.NAME]`";
        faults.push(Fault { offset: 0, message: message.to_owned() });
    }
    let context = Context { folder, system, text };
    let recipes: Vec<_> = documents
        .iter()
        .filter_map(|(name, document)| context.assemble(name, document, &mut faults))
        .collect();
    if faults.is_empty() { Ok(recipes) } else { Err(faults) }
}

/// The recipe of each image of a file by the image's name, its variant laid over it.
fn documents<'t>(
    system: &str,
    text: &'t str,
    faults: &mut Vec<Fault>,
) -> Result<Vec<(String, Document<'t>)>, Vec<Fault>> {
    let mut document = Document::parse(text)?;
    document.only(&KEYS, faults);
    let variants = take_variants(&mut document, faults);
    let mut documents = Vec::new();
    if has_base(&document) {
        documents.push((system.to_owned(), document.clone()));
    }
    for (variant, table) in &variants {
        documents.push((format!("{system}-{variant}"), lay_over(&document, table)));
    }
    Ok(documents)
}

/// What later modules found wrong in `recipe`, each at the byte that it is about.
pub(super) fn faults(recipe: &Recipe, mistakes: &[Mistake]) -> Vec<Fault> {
    let documents = documents(&recipe.system, &recipe.text, &mut Vec::new()).unwrap_or_default();
    let own = documents.iter().find(|(name, _)| *name == recipe.name);
    let fault = |mistake: &Mistake| {
        let path: Vec<_> = mistake.path.iter().map(String::as_str).collect();
        let offset = own.map_or(0, |(_, document)| document.locate(&path));
        Fault { offset, message: mistake.message.clone() }
    };
    mistakes.iter().map(fault).collect()
}

/// The names of the images that a file makes, read as far as it can be read.
pub(super) fn image_names(system: &str, text: &str) -> Vec<String> {
    let Ok(mut document) = Document::parse(text) else { return Vec::new() };
    let variants = take_variants(&mut document, &mut Vec::new());
    let own = has_base(&document).then(|| system.to_owned());
    own.into_iter().chain(variants.keys().map(|name| format!("{system}-{name}"))).collect()
}

/// The tables that an image's lowest layers are made of; an image has one of them.
const BASES: [&str; 2] = ["base", "debian"];

fn has_base(document: &Document<'_>) -> bool {
    BASES.iter().any(|key| document.root.contains_key(*key))
}

fn take_variants<'t>(
    document: &mut Document<'t>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, DeTable<'t>> {
    let Some((key, value)) = document.root.remove_entry("variant") else {
        return BTreeMap::new();
    };
    let Some(tables) = value.get_ref().as_table() else {
        let message = "`variant`: expected a table for each variant".to_owned();
        faults.push(Fault { offset: key.span().start, message });
        return BTreeMap::new();
    };
    let mut variants = BTreeMap::new();
    for (name, table) in tables {
        let offset = name.span().start;
        if !names::plain_name(name.get_ref()) {
            let message = format!("`{}` is no name: {}", name.get_ref(), names::PLAIN_NAME);
            faults.push(Fault { offset, message });
        }
        let Some(table) = table.get_ref().as_table() else {
            let message = format!("`variant.{}`: expected a table", name.get_ref());
            faults.push(Fault { offset, message });
            continue;
        };
        let path = format!("variant.{}", name.get_ref());
        super::document::unknown_keys(table, &VARIANT_KEYS, &path, faults);
        variants.insert(name.get_ref().to_string(), table.clone());
    }
    variants
}

fn lay_over<'t>(document: &Document<'t>, variant: &DeTable<'t>) -> Document<'t> {
    let mut root = document.root.clone();
    let mut variant = variant.clone();
    // Errata add up: what the guide gets wrong stays wrong in every variant.
    let own = variant.get_mut("erratum").map(Spanned::get_mut);
    let shared = document.root.get("erratum").and_then(|value| value.get_ref().as_array());
    if let (Some(DeValue::Array(own)), Some(shared)) = (own, shared) {
        *own = shared.iter().chain(own.iter()).cloned().collect();
    }
    root.remove("gone");
    if BASES.iter().any(|key| variant.contains_key(*key)) {
        let other = |key: &&&str| !variant.contains_key(**key);
        BASES.iter().filter(other).for_each(|key| drop(root.remove(*key)));
    }
    merge(&mut root, &variant);
    Document { root }
}

struct Context<'a> {
    folder: &'a Path,
    system: &'a str,
    text: &'a str,
}

impl Context<'_> {
    fn assemble(
        &self,
        name: &str,
        document: &Document<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<Recipe> {
        // Every section is read before the first missing one ends this, so that all are reported.
        let title = document.required("title", faults);
        let guide = document.required("guide", faults);
        let image = image_part(document, faults);
        let benchmark = document.required("benchmark", faults);
        let profiles = document.required("profile", faults);
        let errata = document.section::<Vec<Erratum>>("erratum", faults).unwrap_or_default();
        let published = document.section("published", faults).unwrap_or_default();
        let unavailable = document.section("unavailable", faults).unwrap_or_default();
        let reference_host = document.section("reference-host", faults);
        let expected_failures = document.section("expected-failure", faults).unwrap_or_default();
        let audit = document.section("audit", faults);
        let recipe = Recipe {
            name: name.to_owned(),
            system: self.system.to_owned(),
            title: title?,
            guide: guide?,
            image: image?,
            benchmark: benchmark?,
            profiles: profiles?,
            errata,
            published,
            reference_host,
            expected_failures,
            unavailable,
            audit,
            folder: self.folder.to_owned(),
            text: self.text.to_owned(),
        };
        check::recipe(&recipe, document, faults);
        audit::check(&recipe, document, faults);
        Some(recipe)
    }
}

fn base(document: &Document<'_>, faults: &mut Vec<Fault>) -> Option<BaseRecipe> {
    let registry = document.section("base", faults).map(BaseRecipe::Registry);
    let debian = document.section("debian", faults).map(BaseRecipe::Debian);
    let there = BASES.iter().filter(|key| document.root.contains_key(**key)).count();
    if there != 1 {
        let offset = if there == 0 { 0 } else { document.locate(&["base"]) };
        let message = "an image has one base: either `[base]` or `[debian]`".to_owned();
        faults.push(Fault { offset, message });
    }
    registry.or(debian)
}

fn image_part(document: &Document<'_>, faults: &mut Vec<Fault>) -> Option<ImageRecipe> {
    let base = base(document, faults);
    let python = document.required("python", faults);
    let git = document.section("git", faults).unwrap_or_default();
    let downloads = document.section("download", faults).unwrap_or_default();
    let builds = document.section("build", faults).unwrap_or_default();
    let gone = document.section("gone", faults).unwrap_or_default();
    let local_files = document.section("file", faults).unwrap_or_default();
    let symlinks = document.section("symlinks", faults).unwrap_or_default();
    let files = document.section("files", faults).unwrap_or_default();
    let table: ImageTable = document.required("image", faults)?;
    Some(ImageRecipe {
        base: base?,
        python: python?,
        git,
        downloads,
        builds,
        gone,
        local_files,
        symlinks,
        files,
        env: table.env,
        workdir: table.workdir,
        entrypoint: table.entrypoint,
        writable: table.writable,
        shm_size: table.shm_size,
    })
}
