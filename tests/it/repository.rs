//! The repository is test data: what is committed fits together.

use std::path::Path;

use repro::bench;
use repro::dataset::Datasets;
use repro::lock::Lock;
use repro::recipe::Recipe;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn recipes() -> Vec<Recipe> {
    let recipes = Recipe::load_all(&project().join("images")).unwrap();
    assert!(!recipes.is_empty());
    recipes
}

fn lock_of(recipe: &Recipe) -> Lock {
    let path = project().join("lockfiles").join(format!("{}.lock", recipe.name));
    let text = std::fs::read_to_string(&path).unwrap();
    let lock = Lock::parse(&text, &path).unwrap();
    assert_eq!(lock.to_text(), text, "the lock of `{}` is not canonical", recipe.name);
    lock
}

#[test]
fn every_recipe_has_a_lock_that_matches_it() {
    for recipe in recipes() {
        let differences = lock_of(&recipe).matches(&recipe).unwrap();
        assert!(differences.is_empty(), "{}: {differences:?}", recipe.name);
    }
}

#[test]
fn every_lock_is_pinned_and_sealed_but_for_those_on_a_guides_own_base() {
    for recipe in recipes() {
        let lock = lock_of(&recipe);
        if recipe.image.base.registry().is_some() && !lock.unpinned.is_empty() {
            continue;
        }
        lock.require_pinned().unwrap();
        assert!(lock.seal.is_some(), "`{}` has no seal", recipe.name);
        assert!(lock.builds.iter().all(|build| build.is_known()));
    }
}

#[test]
fn a_system_whose_lock_has_holes_has_another_image_that_builds() {
    let recipes = recipes();
    for recipe in recipes.iter().filter(|recipe| !lock_of(recipe).unpinned.is_empty()) {
        let system = &recipe.system;
        let mut images = recipes.iter().filter(|other| other.system == *system);
        assert!(images.any(|image| lock_of(image).seal.is_some()), "nothing of `{system}` builds");
    }
}

#[test]
fn every_profile_of_every_recipe_can_be_planned() {
    for recipe in recipes() {
        bench::check(&recipe).unwrap();
    }
}

#[test]
fn every_recipe_names_only_known_data_sets() {
    let datasets = Datasets::load(project()).unwrap();
    for recipe in recipes() {
        for profile in recipe.profiles.values() {
            for name in profile.data.values() {
                datasets.get(name).unwrap();
            }
        }
    }
}

#[test]
fn the_data_of_a_smoke_profile_is_in_the_repository_and_pinned() {
    let datasets = Datasets::load(project()).unwrap();
    for recipe in recipes() {
        for name in recipe.profiles["smoke"].data.values() {
            let set = datasets.get(name).unwrap();
            assert!(set.binding().is_some(), "`{name}` is not pinned");
            for archive in &set.archives {
                let path = project().join(archive.path.as_ref().unwrap());
                assert!(path.metadata().unwrap().len() < 1 << 20, "`{name}` is not small");
            }
        }
    }
}
