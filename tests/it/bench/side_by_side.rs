//! Cases that run at once: which may, on which GPUs, and what their records say of it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use repro::bench::{Event, Options, RunSummary, Status, run};
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Engine, EngineError, Gpus, Job, Meter, Outcome, Stop};
use repro::image::Image;
use repro::store::Store;

use super::{Bench, good_log, recipe, report};

/// Ends no job before so many run, so that it is certain that they run at once.
struct Meeting {
    awaited: usize,
    /// The GPUs of each job that runs.
    running: Mutex<Vec<Gpus>>,
    /// The most that ran at once, and whether two of them had a GPU in common.
    seen: Mutex<(usize, bool)>,
}

impl Meeting {
    fn of(awaited: usize) -> Self {
        Self { awaited, running: Mutex::new(Vec::new()), seen: Mutex::new((0, false)) }
    }

    fn begin(&self, job: &Job) {
        let mut running = self.running.lock().unwrap();
        running.push(job.gpus.clone());
        let cards: Vec<u32> = running
            .iter()
            .flat_map(|gpus| match gpus {
                Gpus::Cards(cards) => cards.iter().map(|card| card.index).collect(),
                _ => Vec::new(),
            })
            .collect();
        let different: BTreeSet<&u32> = cards.iter().collect();
        let mut seen = self.seen.lock().unwrap();
        seen.0 = seen.0.max(running.len());
        seen.1 |= different.len() < cards.len();
    }

    fn end(&self, job: &Job) {
        let mut running = self.running.lock().unwrap();
        let position = running.iter().position(|gpus| *gpus == job.gpus).unwrap();
        running.remove(position);
    }
}

impl Engine for Meeting {
    fn name(&self) -> &'static str {
        "meeting"
    }

    fn run_metered(
        &self,
        store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        _meter: &Meter,
    ) -> Result<Outcome, EngineError> {
        self.begin(job);
        while self.seen.lock().unwrap().0 < self.awaited && !stop.is_requested() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let outcome = Fake::new(Answer::text(good_log())).run(store, image, job, output, stop);
        self.end(job);
        outcome
    }
}

fn run_on(bench: &Bench, engine: &dyn Engine, jobs: usize) -> RunSummary {
    let options = Options { jobs, ..bench.options() };
    run(engine, &bench.store, &bench.setup(), &options, &Stop::new(), &mut |_| {}).unwrap()
}

#[test]
fn as_many_cases_run_at_once_as_somebody_asks_for() {
    let bench = Bench::new();
    let meeting = Meeting::of(2);
    let summary = run_on(&bench, &meeting, 2);
    assert!(summary.all_ok() && summary.records.len() == 3);
    assert_eq!(meeting.seen.lock().unwrap().0, 2, "never more than were asked for");
    let indexes: Vec<_> = summary.records.iter().map(|record| record.index).collect();
    assert_eq!(indexes, [1, 2, 3], "records are in the order of the matrix");
}

#[test]
fn records_of_cases_that_shared_the_machine_say_so_and_the_table_too() {
    let bench = Bench::new().cases(&["*fastscnn*", "*ocrnet*"]);
    let summary = run_on(&bench, &Meeting::of(2), 2);
    assert!(summary.records.iter().all(|record| record.shared_host == Some(2)));
    let table = report(&summary.records);
    assert!(table.contains("shared the machine: 2 cases ran at once"), "{table}");
    let alone = run_on(&bench, &Meeting::of(1), 1);
    assert!(alone.records.iter().all(|record| record.shared_host.is_none()));
    assert!(!report(&alone.records).contains("shared"));
}

#[test]
fn cases_of_one_gpu_get_different_ones_and_a_case_of_several_is_alone() {
    let mut bench = Bench::of(recipe("seg"), "full").with_gpus(&["A"; 8]);
    bench.recipe.benchmark.matrix.model.truncate(2);
    let meeting = Meeting::of(2);
    let summary = run_on(&bench, &meeting, 4);
    assert!(summary.all_ok(), "{:?}", summary.records[0].status);
    assert_eq!(*meeting.seen.lock().unwrap(), (2, false), "two at once, no GPU twice");
    let of_mode = |mode: &str| {
        let part = format!("/{mode}/");
        summary.records.iter().filter(move |record| record.case.contains(&part)).collect::<Vec<_>>()
    };
    assert!(of_mode("sp").iter().all(|record| record.gpus.len() == 1));
    for record in of_mode("mp") {
        assert_eq!((record.gpus.len(), record.shared_host), (8, None), "{}", record.case);
    }
}

#[test]
fn a_job_sees_the_cards_of_its_case_and_no_others() {
    let bench = Bench::of(recipe("seg"), "full").cases(&["fastscnn/sp"]).with_gpus(&["A", "B"]);
    let fake = Fake::new(Answer::text(good_log()));
    let summary = run_on(&bench, &fake, 1);
    let Gpus::Cards(cards) = &fake.calls()[0].job.gpus else { panic!("no cards") };
    assert_eq!((cards.len(), cards[0].name.as_str()), (1, "A"));
    assert_eq!(summary.records[0].gpus, *cards, "the record says which");
}

#[test]
fn a_stop_ends_every_case_that_runs() {
    let bench = Bench::new();
    let stop = Stop::new();
    let endless = Fake::new(Answer::text("begun\n").after(Duration::from_secs(600)));
    let mut begun = 0;
    let options = Options { jobs: 2, ..bench.options() };
    let summary = run(&endless, &bench.store, &bench.setup(), &options, &stop, &mut |event| {
        if let Event::Output { .. } = event {
            begun += 1;
            if begun == 2 {
                stop.request();
            }
        }
    });
    let summary = summary.unwrap();
    assert!(summary.stopped);
    assert_eq!((summary.records.len(), summary.not_run.len()), (2, 1));
    let stopped = |status: &Status| matches!(status, Status::Failed(reason) if reason.starts_with("stopped by the user"));
    assert!(summary.records.iter().all(|record| stopped(&record.status)));
}

#[test]
fn events_say_which_case_they_are_about() {
    let bench = Bench::new().cases(&["*fastscnn*", "*ocrnet*"]);
    let mut cases = BTreeSet::new();
    let options = Options { jobs: 2, ..bench.options() };
    let meeting = Meeting::of(2);
    let events = &mut |event: Event| {
        if let Event::Progress { index, .. } = event {
            cases.insert(index);
        }
    };
    run(&meeting, &bench.store, &bench.setup(), &options, &Stop::new(), events).unwrap();
    assert_eq!(cases, BTreeSet::from([1, 2]));
}

#[test]
fn a_broken_off_run_goes_on_side_by_side() {
    let bench = Bench::new();
    let first = bench.run_with(
        &[super::Play::log(good_log()), super::Play::log("").exit(repro::engine::Exit::Status(1))],
        false,
        &mut |_| {},
    );
    let resume = Some(first.id.clone());
    let options = Options { jobs: 2, resume, ..bench.options() };
    let meeting = Meeting::of(2);
    let second =
        run(&meeting, &bench.store, &bench.setup(), &options, &Stop::new(), &mut |_| {}).unwrap();
    assert!(second.all_ok() && second.id == first.id);
    assert_eq!(second.records[0], first.records[0], "what was finished is not run again");
    assert_eq!(second.records[1].shared_host, Some(2));
}
