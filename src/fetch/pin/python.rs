//! Python distributions: the wheels of the image, and source and build wheels of each build job.

use std::collections::BTreeMap;

use super::error::Problems;
use super::holes::{self, Holes, Part};
use super::names::requirement_name;
use super::pylock::{Distribution, IndexFile};
use super::tags::{self, Platform};
use super::uv::{Question, Uv};
use super::{Context, PinError, Scope, size};
use crate::digest::Digest;
use crate::lock::{Asked, BuildSource, Lock, LockedBuild, LockedSource, LockedWheel, PythonTarget};
use crate::recipe::BuildRecipe;
use crate::recipe::names::normalised;

/// What Python needs, each list sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PythonPart {
    pub(super) wheels: Vec<LockedWheel>,
    /// By the build's normalised name.
    pub(super) builds: BTreeMap<String, BuildPart>,
}

/// What one build job takes from an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildPart {
    pub(super) source: BuildSource,
    pub(super) wheels: Vec<LockedWheel>,
}

/// What of a previous lock is still asked for.
#[derive(Default)]
struct Kept {
    image: Option<ImagePart>,
    /// Build wheels by the build's normalised name.
    builds: BTreeMap<String, Vec<LockedWheel>>,
}

/// The wheels of the image, and the source of each build by its normalised name.
type ImagePart = (Vec<LockedWheel>, BTreeMap<String, BuildSource>);

/// Resolves what `scope` asks for and takes the rest from the previous lock.
pub(super) fn pin(
    context: &Context<'_>,
    scope: &Scope,
    holes: &mut Holes,
) -> Result<PythonPart, PinError> {
    let previous = context.request.previous;
    match (scope, previous) {
        (Scope::Everything, _) | (_, None) => {
            let previous = previous.filter(|lock| is_usable(context, lock));
            let kept = previous.map(|lock| kept(context, lock)).unwrap_or_default();
            everything(context, previous, None, kept, holes)
        }
        (Scope::Distribution(name), Some(lock)) => {
            same_date(context, lock, name)?;
            everything(context, Some(lock), Some(name), Kept::default(), holes)
        }
        (_, Some(lock)) => Ok(of_lock(lock)),
    }
}

fn of_lock(lock: &Lock) -> PythonPart {
    let part = |build: &LockedBuild| BuildPart {
        source: build.source.clone(),
        wheels: build.wheels.clone(),
    };
    let builds = lock.builds.iter().map(|build| (build.name.clone(), part(build)));
    PythonPart { wheels: lock.wheels.clone(), builds: builds.collect() }
}

/// A lock of another date, interpreter or processor says nothing about this one.
fn is_usable(context: &Context<'_>, lock: &Lock) -> bool {
    let recipe = &context.request.recipe.image;
    lock.as_of == recipe.python.as_of
        && lock.python.version == recipe.python.version
        && lock.python.glibc == recipe.python.glibc
        && lock.config.architecture == recipe.base.architecture()
}

fn same_date(context: &Context<'_>, lock: &Lock, name: &str) -> Result<(), PinError> {
    let recipe = context.request.recipe.image.python.as_of.clone();
    if lock.as_of == recipe {
        return Ok(());
    }
    let locked = lock.as_of.clone();
    Err(PinError::RecipeChanged { name: name.to_owned(), what: "the date", locked, recipe })
}

fn kept(context: &Context<'_>, lock: &Lock) -> Kept {
    let (before, now) = (&lock.asked, &context.asked);
    let requires = |asked: &Asked| -> BTreeMap<String, Vec<String>> {
        let builds = asked.builds.iter();
        builds.map(|(name, build)| (name.clone(), build.requires.clone())).collect()
    };
    let of_index = |build: &&LockedBuild| matches!(build.source, BuildSource::Distribution(_));
    let versions = lock.builds.iter().filter(of_index);
    let versions: BTreeMap<_, _> =
        versions.map(|build| (build.name.clone(), build.version.clone())).collect();
    let same_image = !Part::Wheels.is_open(lock)
        && before.requirements == now.requirements
        && requires(before) == requires(now)
        && versions == built_of_index(context);
    let mut part = of_lock(lock);
    let sources = part.builds.iter().map(|(name, build)| (name.clone(), build.source.clone()));
    let sources = sources.filter(|(_, source)| matches!(source, BuildSource::Distribution(_)));
    let sources = sources.chain(own_sources(context)).collect();
    let wheels = |asked: &Asked, name: &String| asked.builds.get(name).map(|b| b.wheels.clone());
    part.builds.retain(|name, _| {
        wheels(before, name) == wheels(now, name) && !Part::BuildWheels(name).is_open(lock)
    });
    let builds = part.builds.into_iter().map(|(name, build)| (name, build.wheels)).collect();
    Kept { image: same_image.then_some((part.wheels, sources)), builds }
}

/// Normalised name and version of what is built from an index's source distributions.
fn built_of_index(context: &Context<'_>) -> BTreeMap<String, String> {
    let builds = context.builds().filter(|build| build.is_of_index());
    builds.map(|build| (normalised(&build.name), build.version.clone())).collect()
}

/// The source of each build that compiles nothing of an index, by the build's normalised name.
fn own_sources(context: &Context<'_>) -> impl Iterator<Item = (String, BuildSource)> {
    let source =
        |build: &BuildRecipe| build.git.clone().map_or(BuildSource::Local, BuildSource::Git);
    let ours = context.builds().filter(|build| !build.is_of_index());
    ours.map(move |build| (normalised(&build.name), source(build)))
}

fn everything(
    context: &Context<'_>,
    previous: Option<&Lock>,
    update: Option<&str>,
    mut kept: Kept,
    holes: &mut Holes,
) -> Result<PythonPart, PinError> {
    let recipes: Vec<_> = context.builds().collect();
    let all_kept = recipes.iter().all(|build| kept.builds.contains_key(&normalised(&build.name)));
    let resolution = match kept.image {
        Some(_) if all_kept => None,
        _ => Some(Resolution::new(context, previous, update)?),
    };
    let mut problems = Problems::default();
    let open = holes.len();
    if let Some(resolution) = &resolution {
        if kept.image.is_none() {
            kept.image = problems.note(resolution.image(holes));
        }
        for build in recipes {
            let name = normalised(&build.name);
            if !kept.builds.contains_key(&name) {
                let wheels = problems.note(resolution.build_wheels(build, holes));
                kept.builds.extend(wheels.map(|wheels| (name, wheels)));
            }
        }
    }
    // Without a hole nobody missed what a silent place may have.
    let silence = resolution.and_then(|resolution| resolution.uv.silence());
    silence.filter(|_| holes.len() > open).into_iter().for_each(|error| holes.blame(error));
    let (wheels, sources) = kept.image.unwrap_or_default();
    let part = |(name, source)| {
        let wheels = kept.builds.remove(&name).unwrap_or_default();
        (name, BuildPart { source, wheels })
    };
    problems.finish(PythonPart { wheels, builds: sources.into_iter().map(part).collect() })
}

/// What wheels are picked for.
struct Target<'a> {
    part: Part<'a>,
    /// What was asked for by name.
    requirements: &'a [String],
}

/// Asks uv, and picks files from what it answers.
struct Resolution<'a> {
    context: &'a Context<'a>,
    platform: Platform,
    uv: Uv<'a>,
    previous: Option<&'a Lock>,
    /// The distribution whose pins are given up, while all others stay.
    update: Option<&'a str>,
}

impl<'a> Resolution<'a> {
    fn new(
        context: &'a Context<'a>,
        previous: Option<&'a Lock>,
        update: Option<&'a str>,
    ) -> Result<Self, PinError> {
        let image = &context.request.recipe.image;
        let platform = Platform::new(&PythonTarget::of(image), image.base.architecture())?;
        let uv = Uv::new(context, platform.for_uv()?)?;
        Ok(Self { context, platform, uv, previous, update })
    }

    fn image(&self, holes: &mut Holes) -> Result<ImagePart, PinError> {
        let recipe = self.context.request.recipe;
        let (of_index, ours): (Vec<_>, Vec<_>) =
            recipe.image.possible_builds().cloned().partition(BuildRecipe::is_of_index);
        let builds = of_index.as_slice();
        // What is built is part of the image, whether a requirement asks for it or not.
        let built = builds.iter().map(|build| format!("{}=={}", build.name, build.version));
        // No index has what git has: uv resolves what it needs, and not it itself. That is so even
        // where nobody gives the git source now: the wheels stay when somebody does.
        let needs = ours.iter().flat_map(|build| build.requires.iter().cloned());
        let names: Vec<_> = ours.iter().map(|build| normalised(&build.name)).collect();
        let of_others =
            |text: &&String| !requirement_name(text).is_ok_and(|name| names.contains(&name));
        let asked = recipe.image.python.requirements.iter().filter(of_others);
        let asked = asked.filter(|text| !recipe.image.is_gone(text)).cloned();
        let locked = self.previous.map_or(&[][..], |lock| &lock.wheels);
        let question = Question {
            purpose: format!("`{}`", recipe.name),
            requirements: asked.chain(built).chain(needs).collect(),
            builds,
            sources: Vec::new(),
            preferred: self.preferred(locked),
        };
        let mut found = self.uv.resolve_possible(question, Part::Wheels, holes)?;
        let mut problems = Problems::default();
        let mut sources: BTreeMap<_, _> = own_sources(self.context).collect();
        for build in builds {
            let name = normalised(&build.name);
            if let Some(place) = found.iter().position(|distribution| distribution.name == name) {
                let distribution = found.remove(place);
                let source = self.source(&distribution);
                let source = self.file_or_hole(source, &distribution, Part::Wheels, holes);
                let source = problems.note(source).flatten().map(BuildSource::Distribution);
                sources.extend(source.map(|source| (name, source)));
            }
        }
        let target = Target { part: Part::Wheels, requirements: &recipe.image.python.requirements };
        let wheels = self.wheels(&found, locked, &target, holes);
        let wheels = problems.note(wheels).unwrap_or_default();
        problems.finish((wheels, sources))
    }

    /// The requirements without those that the recipe says are gone.
    fn obtainable<'r>(&self, requirements: &'r [String]) -> impl Iterator<Item = String> + 'r
    where
        'a: 'r,
    {
        let image = &self.context.request.recipe.image;
        requirements.iter().filter(|text| !image.is_gone(text)).cloned()
    }

    fn build_wheels(
        &self,
        build: &BuildRecipe,
        holes: &mut Holes,
    ) -> Result<Vec<LockedWheel>, PinError> {
        let requirements: Vec<_> = self.obtainable(&build.wheels).collect();
        if requirements.is_empty() {
            return Ok(Vec::new());
        }
        let name = normalised(&build.name);
        let builds = self.previous.map_or(&[][..], |lock| &lock.builds);
        let locked = builds.iter().find(|build| build.name == name);
        let locked = locked.map_or(&[][..], |build| &build.wheels);
        // To update a build is to look for everything that it is built with.
        let locked = if self.update == Some(name.as_str()) { &[] } else { locked };
        let question = Question {
            purpose: format!("building `{}`", build.name),
            requirements,
            builds: &[],
            sources: Vec::new(),
            preferred: self.preferred(locked),
        };
        let target = Target { part: Part::BuildWheels(&name), requirements: &build.wheels };
        let found = self.uv.resolve_possible(question, target.part, holes)?;
        self.wheels(&found, locked, &target, holes)
    }

    /// A whole resolution prefers nothing, so that it depends on recipe and date alone; filling
    /// the holes of a lock leaves the rest as it is.
    fn preferred(&self, locked: &[LockedWheel]) -> Vec<(String, String)> {
        let fills = self.previous.is_some_and(holes::is_open);
        if self.update.is_none() && !fills {
            return Vec::new();
        }
        let others = locked.iter().filter(|wheel| self.update != Some(wheel.name.as_str()));
        others.map(|wheel| (wheel.name.clone(), wheel.version.clone())).collect()
    }

    fn wheels(
        &self,
        found: &[Distribution],
        locked: &[LockedWheel],
        target: &Target<'_>,
        holes: &mut Holes,
    ) -> Result<Vec<LockedWheel>, PinError> {
        let asked: Vec<_> =
            target.requirements.iter().filter_map(|text| requirement_name(text).ok()).collect();
        let mut problems = Problems::default();
        let mut wheels = Vec::new();
        for distribution in found {
            let wheel = self.wheel(distribution, locked);
            let wheel = self.file_or_hole(wheel, distribution, target.part, holes);
            wheels.extend(problems.note(wheel).flatten().map(|wheel| LockedWheel {
                requested: asked.contains(&distribution.name),
                ..wheel
            }));
        }
        wheels.sort();
        problems.finish(wheels)
    }

    /// A file that cannot be had is a hole; everything else that went wrong ends the resolution.
    fn file_or_hole<T>(
        &self,
        file: Result<T, PinError>,
        distribution: &Distribution,
        part: Part<'_>,
        holes: &mut Holes,
    ) -> Result<Option<T>, PinError> {
        let error = match file {
            Err(error) if error.is_about_inputs() => error,
            file => return file.map(Some),
        };
        let reason = match &error {
            PinError::NoFile { kind, .. } => format!("it has no {kind}"),
            other => other.to_string(),
        };
        let what = format!("{}=={}", distribution.name, distribution.version);
        holes.add(part, &what, &reason, error);
        Ok(None)
    }

    /// The wheel that is locked already if the index still has it, else the one that fits best.
    fn wheel(
        &self,
        distribution: &Distribution,
        locked: &[LockedWheel],
    ) -> Result<LockedWheel, PinError> {
        let mut locked = locked.iter().filter(|wheel| {
            wheel.name == distribution.name
                && wheel.version == distribution.version
                && self.update != Some(wheel.name.as_str())
        });
        if let Some(locked) = locked.next()
            && let Some(file) = distribution.wheels.iter().find(|file| file.name == locked.file)
        {
            return unchanged(locked, file);
        }
        let names = distribution.wheels.iter().map(|file| file.name.as_str());
        let best = tags::best(&self.platform, names);
        let file = distribution.wheels.iter().find(|file| Some(file.name.as_str()) == best);
        let file = file.ok_or_else(|| PinError::NoFile {
            name: distribution.name.clone(),
            version: distribution.version.clone(),
            kind: format!("wheel for {}", self.platform),
            files: offered(distribution),
        })?;
        let (sha256, size) = (digest(file)?, size::of(self.context.settings, file)?);
        Ok(LockedWheel {
            name: distribution.name.clone(),
            version: distribution.version.clone(),
            file: file.name.clone(),
            size,
            sha256,
            requested: false,
        })
    }

    fn source(&self, distribution: &Distribution) -> Result<LockedSource, PinError> {
        let file = distribution.source.as_ref().ok_or_else(|| PinError::NoFile {
            name: distribution.name.clone(),
            version: distribution.version.clone(),
            kind: "source distribution".to_owned(),
            files: offered(distribution),
        })?;
        let (sha256, size) = (digest(file)?, size::of(self.context.settings, file)?);
        Ok(LockedSource { file: file.name.clone(), size, sha256 })
    }
}

fn unchanged(locked: &LockedWheel, file: &IndexFile) -> Result<LockedWheel, PinError> {
    let offered = digest(file)?;
    if offered == locked.sha256 {
        return Ok(locked.clone());
    }
    let (file, locked) = (locked.file.clone(), locked.sha256);
    Err(PinError::Changed { file, locked, offered })
}

fn offered(distribution: &Distribution) -> Vec<String> {
    let files = distribution.wheels.iter().chain(&distribution.source);
    files.map(|file| file.name.clone()).collect()
}

fn digest(file: &IndexFile) -> Result<Digest, PinError> {
    let hex = file.sha256.as_deref().and_then(|hex| Digest::from_hex(hex).ok());
    hex.ok_or_else(|| PinError::Unknown { what: "SHA-256", file: file.name.clone() })
}
