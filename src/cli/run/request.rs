//! What a run is asked for: its cases, the GPUs that it holds, what the machine lacks.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Arguments, Folders};
use crate::bench::{
    self, BenchError, Claim, GivenInput, Host, Kind, Lack, Places, PlannedCase, Pool, ProfileFile,
    Setting, Setup, Wish,
};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fitness::Fitness;
use crate::cli::output;
use crate::cli::preflight::{Draft, Preflight};
use crate::dataset::{self, Datasets, Unpacked};
use crate::digest::Digest;
use crate::engine::Gpus;
use crate::image::Image;
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::store::Store;

/// What the user asks for, on what machine.
pub struct Request<'a> {
    arguments: &'a Arguments,
    settings: Vec<Setting>,
    inputs: BTreeMap<String, GivenInput>,
    host: &'a Host,
    pub pool: Pool,
}

/// What would be run, what is missing for it, and the GPUs that are held for it.
pub struct Ready {
    pub planned: Vec<PlannedCase>,
    pub preflight: Preflight,
    /// Whether wheels that may decide which GPUs can be used are not here yet.
    pub has_unread: bool,
    _claim: Option<Claim>,
}

impl<'a> Request<'a> {
    pub fn new(arguments: &'a Arguments, host: &'a Host) -> Result<Self, CliError> {
        let settings = arguments.set.iter().map(|text| Setting::parse(text));
        let inputs = arguments.input.iter().map(|text| GivenInput::parse(text));
        Ok(Self {
            arguments,
            settings: settings.collect::<Result<_, _>>()?,
            inputs: inputs.collect::<Result<_, _>>()?,
            host,
            pool: Pool::whole(host),
        })
    }

    /// Claims GPUs that the image can run on, and says what is missing.
    pub fn ready(
        &mut self,
        context: &Context,
        store: &Store,
        draft: &Draft,
    ) -> Result<Ready, CliError> {
        self.pool = Pool::whole(self.host);
        let (planned, _) = self.plan(context, store, draft)?;
        let fitness = match self.arguments.any_gpu {
            true => Fitness::default(),
            false => Fitness::of(context, store, draft, self.host, &planned)?,
        };
        let (claim, taken) = self.claim(&planned, &fitness)?;
        if let Some(claim) = &claim {
            self.pool = claim.pool.clone();
        }
        let (planned, mut lacks) = self.plan(context, store, draft)?;
        lacks.extend(taken);
        lacks.extend(fitness.lacks);
        let profile = &self.arguments.profile;
        let preflight = Preflight::new(context, store, draft, profile, &planned, lacks)?;
        Ok(Ready { planned, preflight, has_unread: fitness.has_unread, _claim: claim })
    }

    /// GPUs for this run alone; if those that were chosen are not free, what is missing.
    fn claim(
        &self,
        planned: &[PlannedCase],
        fitness: &Fitness,
    ) -> Result<(Option<Claim>, Option<Lack>), CliError> {
        let with_gpus = planned.iter().filter(|case| case.job.gpus != Gpus::None);
        let needs: Vec<u32> = with_gpus.map(|case| case.case.gpus).collect();
        if needs.is_empty() {
            if self.arguments.gpus.is_some() {
                output::note("`--gpus` changes nothing: no chosen case uses a GPU");
            }
            return Ok((None, None));
        }
        let wish = Wish {
            chosen: self.arguments.gpus.as_deref(),
            needs: &needs,
            jobs: self.arguments.jobs,
            unfit: &fitness.unfit,
        };
        match bench::claim(self.host, &wish, &Places::of_this_machine()) {
            Ok(claim) => Ok((Some(claim), None)),
            Err(BenchError::GpusTaken { taken, looked }) => {
                let there = format!("{} ({looked})", taken.join("; "));
                Ok((None, Some(Lack::of_all(Kind::Gpus, "the chosen GPUs", there))))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The cases as they would be run, and what the machine lacks for them; names are checked
    /// before anything is downloaded.
    pub fn plan(
        &self,
        context: &Context,
        store: &Store,
        draft: &Draft,
    ) -> Result<(Vec<PlannedCase>, Vec<Lack>), CliError> {
        let profile = &self.arguments.profile;
        bench::expand(&draft.recipe, profile, &self.settings)?;
        let image = unbuilt(draft);
        let files = match &draft.lock {
            Some(lock) => profile_files(store, &draft.folder, lock, profile)?,
            None => unlocked_files(&draft.recipe, profile),
        };
        let data = unverified_data(context, store, draft, profile)?;
        let software = BTreeMap::new();
        let setup = self.setup(&draft.recipe, (image.lock, &software), &image, &files, &data);
        let planned = bench::plan(&setup)?;
        let lacks = bench::lacks_of_machine(&setup, &planned);
        Ok((planned, lacks))
    }

    pub fn setup<'s>(
        &'s self,
        recipe: &'s Recipe,
        (lock, software): (Digest, &'s BTreeMap<String, String>),
        image: &'s Image,
        files: &'s [ProfileFile],
        data: &'s Folders,
    ) -> Setup<'s> {
        Setup {
            recipe,
            lock,
            image,
            software,
            profile: &self.arguments.profile,
            cases: &self.arguments.case,
            settings: &self.settings,
            files,
            data,
            timeout: self.arguments.timeout,
            host: self.host,
            pool: &self.pool,
            inputs: &self.inputs,
        }
    }
}

/// What planning needs of an image; one that is not locked or not sealed has digests of zeros.
fn unbuilt(draft: &Draft) -> Image {
    let nothing = Digest::from_bytes([0; 32]);
    let (name, layers) = (draft.recipe.name.clone(), Vec::new());
    match &draft.lock {
        Some(lock) => Image {
            name,
            seal: lock.seal.as_ref().map_or(nothing, |seal| seal.manifest),
            lock: lock.digest(),
            layers,
            env: lock.env(),
            workdir: lock.config.workdir.clone(),
        },
        None => Image {
            name,
            seal: nothing,
            lock: nothing,
            layers,
            env: draft.recipe.image.env.clone(),
            workdir: draft.recipe.image.workdir.clone(),
        },
    }
}

/// The profile's files where there is no lock that names their content.
fn unlocked_files(recipe: &Recipe, profile: &str) -> Vec<ProfileFile> {
    let files = recipe.profiles[profile].files.iter();
    let file = |(target, source): (&String, &String)| ProfileFile {
        target: target.clone(),
        source: recipe.folder.join(source),
        digest: Digest::from_bytes([0; 32]),
    };
    files.map(file).collect()
}

/// Where the profile's data sets would be; nothing is looked at. One that nobody describes is nowhere.
fn unverified_data(
    context: &Context,
    store: &Store,
    draft: &Draft,
    profile: &str,
) -> Result<Folders, CliError> {
    let datasets = Datasets::load(&draft.project(context)?)?;
    let data = context.settings.data_folder();
    let place = |name: &String| {
        let expected = dataset::expected(&datasets, name, data, store);
        (name.clone(), expected.unwrap_or_else(|_| Unpacked::nowhere()))
    };
    Ok(draft.recipe.profiles[profile].data.values().map(place).collect())
}

/// The profile's files, out of the store: what is mounted cannot change any more.
pub fn profile_files(
    store: &Store,
    folder: &Path,
    lock: &Lock,
    profile: &str,
) -> Result<Vec<ProfileFile>, CliError> {
    let files = crate::build::profile_files(store, folder, lock, profile)?;
    let file = |(target, digest)| {
        let source = store.blob_path(&digest);
        ProfileFile { target, source, digest }
    };
    Ok(files.into_iter().map(file).collect())
}
