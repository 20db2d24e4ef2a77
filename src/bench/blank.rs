//! The part of a record that is known before the job starts.

use std::collections::{BTreeMap, BTreeSet};

use super::matrix;
use super::plan::{PlannedCase, Setup};
use super::previous::Repeatable;
use super::record::{
    DataRecord, FileRecord, ImageRecord, JobRecord, MountRecord, ProfileRecord, RunRecord, Status,
    VERSION,
};
use crate::engine::Job;

/// A record of a case that has not started yet.
pub(super) fn record(
    setup: &Setup,
    planned: &PlannedCase,
    engine: &str,
    run: &str,
    index: usize,
    start: String,
) -> RunRecord {
    RunRecord {
        version: VERSION,
        run: run.to_owned(),
        index,
        repeat: planned.repeat,
        parsed: None,
        case: planned.case.name.clone(),
        status: Status::Failed("it was not run".to_owned()),
        final_result: None,
        throughput: None,
        metrics: Vec::new(),
        repeatable: Repeatable::NothingToCompare,
        start,
        duration: None,
        exit: None,
        cpu_time: None,
        peak_memory: None,
        peak_job_memory: None,
        image: image(setup),
        profile: profile(setup),
        data: data(setup),
        deviations: planned.case.deviations.clone(),
        not_taken_over: setup.recipe.guide.docker.not_taken_over(),
        variables: planned.case.variables.clone(),
        guide_command: planned.guide_command.clone(),
        job: job(&planned.job),
        engine: engine.to_owned(),
        host: setup.host.clone(),
        gpus: Vec::new(),
        shared_host: None,
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        log: None,
        once: BTreeMap::new(),
        series: BTreeMap::new(),
        progress: setup.recipe.benchmark.of_mode(&planned.case.mode).log.progress,
        not_measured: BTreeSet::new(),
        totals: BTreeMap::new(),
        checks: Vec::new(),
        guide_record: None,
        conditions: None,
        software: setup.software.clone(),
        published: matrix::published(setup.recipe, &planned.case.name),
        reference_host: setup.recipe.reference_host.clone(),
        comparisons: Vec::new(),
        expected_failure: None,
        errata: setup.recipe.errata.clone(),
    }
}

fn image(setup: &Setup) -> ImageRecord {
    ImageRecord {
        name: setup.image.name.clone(),
        title: setup.recipe.title.clone(),
        python: Some(setup.recipe.image.python.version.clone()),
        seal: setup.image.seal,
        lock: setup.lock,
        recipe: setup.recipe.digest(),
        guide: setup.recipe.guide.clone(),
    }
}

fn profile(setup: &Setup) -> ProfileRecord {
    let rule = setup.recipe.profiles.get(setup.profile);
    let mut files: Vec<_> = setup.files.iter().collect();
    files.sort_by(|one, other| one.target.cmp(&other.target));
    ProfileRecord {
        name: setup.profile.to_owned(),
        about: rule.map(|profile| profile.about.clone()).unwrap_or_default(),
        files: files
            .into_iter()
            .map(|file| FileRecord { path: file.target.clone(), digest: file.digest })
            .collect(),
    }
}

fn data(setup: &Setup) -> Vec<DataRecord> {
    let rule = setup.recipe.profiles.get(setup.profile);
    let wanted = rule.into_iter().flat_map(|profile| &profile.data);
    wanted
        .filter_map(|(path, name)| {
            let digest = setup.data.get(name)?.digest;
            Some(DataRecord { path: path.clone(), name: name.clone(), digest, order: None })
        })
        .collect()
}

pub(super) fn job(job: &Job) -> JobRecord {
    let mounts = job.mounts.iter().map(|mount| MountRecord {
        target: mount.target.clone(),
        source: mount.source.clone(),
        writable: mount.writable,
    });
    JobRecord {
        command: job.command.clone(),
        env: job.env.clone(),
        workdir: job.workdir.clone(),
        mounts: mounts.collect(),
        writable: job.writable.clone(),
        shm_size: job.shm_size,
        timeout: job.timeout.as_secs(),
    }
}
