//! Debian packages as a layer, with the recipe's tables of links and files among them or above.
//!
//! Alone, packages are the same layer in every image that has the same list of them. What the
//! recipe says then stands in the layer above, and wins as it does among them: it hides
//! what a package has there. Only a link can lead packages elsewhere (`/lib` to
//! `usr/lib`, where packages have a folder `lib`), and such a link belongs to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::deb::{self, Tables, Unpacked, table_path};
use super::error::LayerError;
use super::plan::{Coding, Here, Input, LayerPlan};
use super::sources::{Opened, Sources};
use super::{Directories, EPOCH};
use crate::digest::Digest;
use crate::store::Store;

/// A Debian package to unpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageInput {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// File name, for messages.
    pub file: String,
    /// Digest of the `.deb` in the store.
    pub digest: Digest,
}

/// Plans packages with the recipe's `symlinks` and `files` (path to target, path to content) among
/// them, and `var/lib/dpkg/status.d/`; there are no packages above a registry's image.
pub fn packages(
    store: &Store,
    packages: &[PackageInput],
    symlinks: &BTreeMap<String, String>,
    files: &BTreeMap<String, String>,
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    let above = &BTreeSet::new();
    plan(store, packages, &Tables { symlinks, files, above }, below)
}

/// Plans packages with nothing below them and nothing of the recipe among them but `leading` links
/// (see [`leading_links`]); two packages may differ at a path of `above`, where the recipe has something.
pub fn packages_alone(
    store: &Store,
    packages: &[PackageInput],
    leading: &BTreeMap<String, String>,
    above: &BTreeSet<String>,
) -> Result<LayerPlan, LayerError> {
    let tables = Tables { symlinks: leading, files: &BTreeMap::new(), above };
    let mut plan = plan(store, packages, &tables, &Directories::new())?;
    // A note tells of a difference that only this recipe settles.
    let is_of_packages = leading.is_empty() && plan.notes.is_empty();
    plan.here.key = is_of_packages.then(|| packages_key(packages));
    Ok(plan)
}

/// Plans what the recipe itself has: `symlinks` and `files`, path to target and path to content.
pub fn links_and_files(
    store: &Store,
    symlinks: &BTreeMap<String, String>,
    files: &BTreeMap<String, String>,
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    packages(store, &[], symlinks, files, below)
}

/// Those of the recipe's `symlinks` that stand where the packages of `plan` have a folder: what
/// they put there belongs where the link leads.
pub fn leading_links(
    plan: &LayerPlan,
    symlinks: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, LayerError> {
    let directories = plan.directories(&Directories::new());
    let mut leading = BTreeMap::new();
    for (path, target) in symlinks {
        let place = directories.resolve_parent(&table_path(path)?);
        if place.is_some_and(|place| directories.has_directory(&place)) {
            leading.insert(path.clone(), target.clone());
        }
    }
    Ok(leading)
}

/// A name for what decides the plan of packages that lie alone, with no link among them.
pub fn packages_key(packages: &[PackageInput]) -> Digest {
    let packages = sorted(packages);
    Digest::of(format!("packages of epoch {EPOCH}\n{packages:?}").as_bytes())
}

fn plan(
    store: &Store,
    packages: &[PackageInput],
    tables: &Tables<'_>,
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    let packages = sorted(packages);
    let inputs = inputs(&packages);
    let unpacked = Arc::new(Unpacked::of(store, &inputs)?);
    let mut sources = open_packages(&inputs, &unpacked);
    let locked: Vec<(&str, &str)> =
        packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
    let (entries, notes) = deb::plan(&inputs, &locked, &unpacked, tables, below, &mut sources)?;
    let origin = match inputs.len() {
        0 => "links and files".to_owned(),
        count => format!("Debian packages ({count})"),
    };
    let here = Box::new(Here { unpacked: Some(unpacked), ..Here::default() });
    Ok(LayerPlan { origin, coding: Coding::Compressed, inputs, entries, notes, here })
}

fn sorted(packages: &[PackageInput]) -> Vec<&PackageInput> {
    let mut packages: Vec<&PackageInput> = packages.iter().collect();
    packages.sort_by_key(|package| (&package.name, &package.version, &package.file));
    packages
}

fn inputs(packages: &[&PackageInput]) -> Vec<Input> {
    let input = |package: &&PackageInput| Input {
        origin: format!("{} {}", package.name, package.version),
        file: package.file.clone(),
        digest: package.digest,
        package: true,
    };
    packages.iter().map(input).collect()
}

pub(super) fn open_packages(inputs: &[Input], unpacked: &Unpacked) -> Sources {
    let open = |(index, input): (usize, &Input)| Opened {
        file: input.file.clone(),
        handle: unpacked.data(index),
    };
    Sources::new(inputs.iter().enumerate().map(open).collect())
}
