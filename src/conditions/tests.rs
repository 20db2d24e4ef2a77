//! The sampler as a whole, and from which level on something is out of the ordinary.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cards::fake::{card, reading};
use super::cards::{CardReader, CardReading};
use super::column::{CardColumn, Column, Sample};
use super::flags::{Machine, Watchman};
use super::record::{Flag, FlagKind};
use super::sampler::{Sampler, View};
use super::tree::Tree;
use super::{ConditionsRecord, Folders};
use crate::engine::{Card, Counter, Meter};

/// A machine of two processors, 8 GB of memory and a disk of 100 GB.
fn machine() -> Machine {
    Machine {
        processors: 2.0,
        memory: Some(8e9),
        disks: BTreeMap::from([(Column::DiskFree, 1e11)]),
    }
}

/// Flags of samples of one second each, in which a column has these values.
fn flags_of(column: Column, values: &[f64]) -> Vec<Flag> {
    let mut watchman = Watchman::new(machine());
    for (second, value) in values.iter().enumerate() {
        let seconds = second as f64 + 1.0;
        let values = BTreeMap::from([(column, *value)]);
        watchman.see(&Sample { seconds, period: 1.0, values });
    }
    watchman.flags()
}

/// `high` for `count` seconds after ten, else `low`, for a hundred seconds.
fn spell(column: Column, low: f64, high: f64, count: usize) -> Vec<Flag> {
    let mut values = [low; 100];
    values[10..10 + count].fill(high);
    flags_of(column, &values)
}

fn only(flags: Vec<Flag>) -> (FlagKind, String, f64, f64) {
    let [flag] = flags.try_into().unwrap();
    (flag.kind, flag.text, flag.from, flag.to)
}

#[test]
fn others_disturb_when_they_use_enough_for_long_enough() {
    assert!(spell(Column::CpuOthers, 0.1, 1.9, 4).is_empty());
    assert!(spell(Column::CpuOthers, 0.1, 0.4, 90).is_empty());
    let (kind, text, from, to) = only(spell(Column::CpuOthers, 0.1, 1.5, 20));
    assert_eq!(kind, FlagKind::Disturbed);
    assert_eq!(text, "others used 1.5 of 2 processors for 20 s of 100 s");
    assert_eq!((from, to), (10.0, 30.0));
}

#[test]
fn on_a_large_machine_a_few_processors_are_no_disturbance() {
    let flags = |load: f64| {
        let mut watchman = Watchman::new(Machine { processors: 64.0, ..machine() });
        let values = BTreeMap::from([(Column::CpuOthers, load)]);
        watchman.see(&Sample { seconds: 60.0, period: 60.0, values });
        watchman.flags().len()
    };
    assert_eq!((flags(6.0), flags(7.0)), (0, 1));
}

#[test]
fn a_hypervisor_that_takes_processors_disturbs() {
    let (kind, text, ..) = only(spell(Column::CpuSteal, 0.0, 0.5, 50));
    assert_eq!(kind, FlagKind::Disturbed);
    assert_eq!(text, "the hypervisor took 0.5 of 2 processors for 50 s of 100 s");
    assert!(spell(Column::CpuSteal, 0.0, 0.05, 90).is_empty());
}

#[test]
fn a_throttled_card_is_told_with_its_reasons_and_an_idle_one_is_not() {
    let column = Column::Card(3, CardColumn::Throttle);
    let (kind, text, ..) = only(spell(column, 1.0, f64::from(4 | 64), 12));
    assert_eq!(kind, FlagKind::Throttled);
    assert_eq!(
        text,
        "GPU 3 throttled (power cap, heat, slowed down by hardware) for 12 s of 100 s"
    );
    assert!(spell(column, 0.0, 4.0, 1).is_empty(), "one moment of a hundred");
    assert!(spell(column, 1.0, f64::from(2 | 256), 50).is_empty(), "set by somebody");
}

#[test]
fn somebody_elses_process_on_a_card_disturbs() {
    let (kind, text, ..) = only(spell(Column::Card(0, CardColumn::Others), 0.0, 1.0, 30));
    assert_eq!(kind, FlagKind::Disturbed);
    assert_eq!(text, "another process was on GPU 0 for 30 s of 100 s");
}

#[test]
fn want_of_memory_is_told_by_waiting_by_little_left_and_by_swapping() {
    let (kind, text, ..) = only(spell(Column::PsiMemory, 0.0, 0.25, 10));
    assert_eq!(kind, FlagKind::MemoryPressure);
    assert_eq!(text, "tasks waited for memory 25 % of the time for 10 s of 100 s");
    let (_, text, ..) = only(spell(Column::MemoryAvailable, 4e9, 1e8, 10));
    assert_eq!(text, "100 MB of memory were left for 10 s of 100 s");
    let (_, text, ..) = only(spell(Column::SwapOut, 0.0, 5e6, 10));
    assert_eq!(text, "the machine swapped 5 MB a second for 10 s of 100 s");
    assert!(spell(Column::SwapOut, 0.0, 5e4, 90).is_empty());
}

#[test]
fn waiting_for_the_disk_counts_when_it_is_more_than_the_start() {
    assert!(spell(Column::PsiIo, 0.05, 0.9, 15).is_empty());
    let (kind, text, ..) = only(spell(Column::PsiIo, 0.05, 0.5, 40));
    assert_eq!(kind, FlagKind::DiskPressure);
    assert_eq!(text, "tasks waited for the disk 50 % of the time for 40 s of 100 s");
}

#[test]
fn a_disk_that_was_nearly_full_once_is_told() {
    let (kind, text, ..) = only(spell(Column::DiskFree, 5e10, 5e8, 1));
    assert_eq!(kind, FlagKind::DiskFull);
    assert_eq!(text, "the disk of the results had 500 MB left");
    assert!(spell(Column::DiskFree, 5e10, 2e9, 1).is_empty());
}

#[test]
fn processors_that_heat_slowed_down_are_told() {
    let (kind, text, ..) = only(spell(Column::CpuThrottle, 0.0, 3.0, 5));
    assert_eq!(
        (kind, text.as_str()),
        (FlagKind::Throttled, "processors throttled by heat for 5.0 s of 100 s")
    );
}

#[test]
fn a_moment_of_a_short_case_is_no_spell() {
    let flags = |busy: usize| {
        let mut watchman = Watchman::new(machine());
        for quarter in 0..16 {
            let others = if quarter < busy { 2.0 } else { 0.0 };
            let values = BTreeMap::from([(Column::CpuOthers, others)]);
            let seconds = f64::from(u8::try_from(quarter).unwrap() + 1) / 4.0;
            watchman.see(&Sample { seconds, period: 0.25, values });
        }
        watchman.flags().len()
    };
    assert_eq!((flags(2), flags(4)), (0, 1));
}

/// Answers as a test wants it, and counts how often it was asked.
struct Scripted {
    asked: Arc<AtomicUsize>,
    answer: Box<dyn FnMut(usize) -> Result<CardReading, String> + Send>,
}

impl CardReader for Scripted {
    fn read(&mut self, _: &Card) -> Result<CardReading, String> {
        let times = self.asked.fetch_add(1, Ordering::SeqCst);
        (self.answer)(times)
    }
}

/// A sampler of a made-up machine with one card, and how often that was looked at.
fn sampler(
    tree: &Tree,
    meter: &Meter,
    answer: impl FnMut(usize) -> Result<CardReading, String> + Send + 'static,
) -> (Sampler, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let reader = Scripted { asked: Arc::clone(&asked), answer: Box::new(answer) };
    let sampler = Sampler::with(view(tree, vec![card(0)]), meter, |_| Ok(Box::new(reader)));
    (sampler, asked)
}

fn wait_for(asked: &AtomicUsize, times: usize) {
    while asked.load(Ordering::SeqCst) < times {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn view(tree: &Tree, cards: Vec<Card>) -> View {
    let folder = tree.path().to_owned();
    let folders = Folders { results: folder.clone(), store: folder.clone(), data: Vec::new() };
    View { root: folder, folders, cards }
}

#[test]
fn a_sampler_looks_from_start_to_end_and_says_what_it_used() {
    let tree = Tree::new(&[
        ("proc/stat", "cpu  100 0 100 5000 0 0 0 0 0 0\ncpu0 1\n"),
        ("proc/meminfo", "MemTotal: 4096 kB\nMemAvailable: 4000 kB\n"),
    ]);
    let meter = Meter::new();
    let shown = [(CardColumn::Throttle, 4.0), (CardColumn::SmMhz, 900.0)];
    let (sampler, asked) = sampler(&tree, &meter, move |_| Ok(reading(&shown, &[])));
    let running = meter.begin(Counter::Tree(std::process::id()));
    // The first look is where rates begin; the samples come after it.
    wait_for(&asked, 6);
    drop(running);
    let watched = sampler.finish().unwrap();
    let record = &watched.record;
    assert!(record.samples >= 5 && record.taken >= record.samples, "{record:?}");
    assert!(record.cpu_time.is_some());
    assert_eq!(record.summary["memory_available"].max, 4_096_000.0);
    assert_eq!(record.summary["gpu0_sm_mhz"].mean, 900.0);
    assert!(!record.summary.contains_key("gpu0_throttle"), "bits have no mean");
    assert_eq!(record.flags[0].kind, FlagKind::Throttled);
    assert!(record.flags[0].text.starts_with("GPU 0 throttled (power cap) for "));
    assert!(record.not_measured["psi_cpu"].contains("no pressure"));
    let text = String::from_utf8(watched.csv.clone()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    assert!(
        header.starts_with("seconds,cpu_others,cpu_steal,memory_available,disk_free"),
        "{header}"
    );
    assert!(header.ends_with("gpu0_sm_mhz,gpu0_throttle,gpu0_others"), "{header}");
    assert_eq!(rows.lines().count() as u64, record.samples);
}

#[test]
fn a_command_that_never_starts_leaves_nothing() {
    let tree = Tree::new(&[]);
    let sampler = Sampler::start(view(&tree, Vec::new()), &Meter::new());
    assert_eq!(sampler.finish(), None);
}

#[test]
fn a_driver_that_hangs_does_not_hold_up_the_case() {
    let (tree, meter) = (Tree::new(&[]), Meter::new());
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let way = Arc::clone(&gate);
    let (sampler, asked) = sampler(&tree, &meter, move |_| {
        drop(way.lock());
        Err("it hung".to_owned())
    });
    let sampler = sampler.with_patience(Duration::from_millis(20));
    let running = meter.begin(Counter::Nothing("a test".to_owned()));
    wait_for(&asked, 1);
    drop(running);
    let watched = sampler.finish().unwrap();
    drop(closed);
    assert!(watched.record.not_measured["everything"].contains("did not answer"));
    assert_eq!(watched.record.samples, 0);
}

#[test]
fn a_card_that_fails_in_the_middle_keeps_what_was_read_before() {
    let (tree, meter) = (Tree::new(&[]), Meter::new());
    let (sampler, asked) = sampler(&tree, &meter, |times| match times {
        0..3 => Ok(reading(&[(CardColumn::Celsius, 61.0)], &[])),
        _ => Err("it fell off the bus".to_owned()),
    });
    let running = meter.begin(Counter::Tree(std::process::id()));
    wait_for(&asked, 5);
    drop(running);
    let record = sampler.finish().unwrap().record;
    assert_eq!(record.summary["gpu0_celsius"].max, 61.0);
    assert!(!record.not_measured.contains_key("gpu0_celsius"));
    assert_eq!(record.not_measured["gpu0"], "it fell off the bus");
}

#[test]
fn a_record_of_the_first_version_without_the_newer_fields_is_read() {
    let old = r#"{"file": "conditions.csv", "digest": null, "interval": 1.0, "samples": 2,
        "summary": {}, "flags": [{"kind": "disk-full", "text": "x", "from": 0, "to": 1}]}"#;
    let record: ConditionsRecord = serde_json::from_str(old).unwrap();
    assert_eq!(record.flags[0].kind, FlagKind::DiskFull);
    assert_eq!((record.taken, record.cpu_time), (0, None));
}
