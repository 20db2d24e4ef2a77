//! The index of run records is made of the records alone, and says what they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use repro::bench::{RunRecord, read_record};
use repro::results::{INDEX, Index};
use repro::store::Store;
use serde_json::{Value, json};

/// A real record of the first version, from before repetitions, conditions and intervals.
const OLD: &str = include_str!("fixtures/records/version-1.json");

struct World {
    folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("results")).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// Writes a record of the run and the model, as a run does.
    fn add(&self, place: &Path, run: &str, model: &str) -> PathBuf {
        let mut record: Value = serde_json::from_str(OLD).unwrap();
        let case = format!("seg/{model}/sp/bs2/fp32");
        record["run"] = json!(run);
        record["case"] = json!(case);
        record["start"] = json!(format!("2026-11-22T{}:00:00Z", &run[9..11]));
        let folder = place.join(run).join(case);
        fs::create_dir_all(&folder).unwrap();
        let (path, partial) = (folder.join("record.json"), folder.join("partial"));
        fs::write(&partial, serde_json::to_vec(&record).unwrap()).unwrap();
        fs::rename(&partial, &path).unwrap();
        path
    }

    fn current(&self) -> Index {
        Index::current(&self.store, &[self.results()]).unwrap()
    }

    /// Everything it answers, to the byte.
    fn answers(index: &Index) -> String {
        let unreadable: Vec<_> = index.unreadable().unwrap();
        format!("{}\n{unreadable:?}", serde_json::to_string_pretty(&index.rows().unwrap()).unwrap())
    }

    /// The answers, which must be those of an index that is made anew.
    fn checked_answers(&self) -> String {
        let incremental = Self::answers(&self.current());
        let anew = Self::answers(&Index::rebuild(&self.store, &[self.results()]).unwrap());
        assert_eq!(incremental, anew);
        incremental
    }
}

fn runs(index: &Index) -> Vec<String> {
    index.rows().unwrap().into_iter().map(|row| row.run).collect()
}

const ONE: &str = "20261122T010000Z-9d1710effc1d";
const TWO: &str = "20261122T020000Z-9d1710effc1d";

#[test]
fn a_record_of_the_first_version_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    fs::write(&path, OLD).unwrap();
    let record: RunRecord = read_record(&path).unwrap();
    assert_eq!(record.final_result.unwrap().value.unwrap().repr(), "1.963");
    assert_eq!(record.series["time"].values.len(), 10);
    assert!(
        record.repeat.is_none() && record.conditions.is_none() && record.comparisons.is_empty()
    );
}

#[test]
fn the_index_follows_the_files_and_equals_one_that_is_made_anew() {
    let world = World::new();
    assert_eq!(runs(&world.current()), Vec::<String>::new());
    let first = world.add(&world.results(), ONE, "fastscnn");
    world.add(&world.store.runs(), ONE, "fastscnn");
    world.add(&world.store.runs(), TWO, "fastscnn");
    let with_two = world.checked_answers();
    let index = world.current();
    assert_eq!(runs(&index), [TWO, ONE], "the newest first, no run twice");
    let rows = index.rows().unwrap();
    assert_eq!(rows[1].path, first.canonicalize().unwrap(), "results come before the store's copy");
    assert_eq!(rows[1].final_result, Some(1.963));
    assert_eq!(rows[1].throughput_unit.as_deref(), Some("images/s"));
    assert_eq!(rows[1].metrics["avg_time"].value, Some(0.5095));
    drop(index);
    // A changed file, one that is gone, and one more.
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&first, text.replace("1.963", "2.5")).unwrap();
    world.add(&world.results(), TWO, "segformer_b0");
    assert_ne!(world.checked_answers(), with_two);
    assert_eq!(world.current().rows().unwrap().last().unwrap().final_result, Some(2.5));
    fs::remove_dir_all(world.results().join(ONE)).unwrap();
    world.checked_answers();
    assert_eq!(world.current().rows().unwrap().last().unwrap().final_result, Some(1.963));
}

#[test]
fn what_cannot_be_read_is_named_and_spoils_nothing() {
    let world = World::new();
    world.add(&world.results(), ONE, "fastscnn");
    let newer = world.add(&world.results(), TWO, "newer");
    fs::write(&newer, r#"{ "version": 2, "all": "different" }"#).unwrap();
    let half = world.add(&world.results(), TWO, "half");
    fs::write(&half, &OLD[..OLD.len() / 2]).unwrap();
    let index = world.current();
    assert_eq!(runs(&index), [ONE]);
    let reasons: Vec<String> =
        index.unreadable().unwrap().into_iter().map(|one| one.reason).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("EOF"), "{reasons:?}");
    assert!(
        reasons[1].contains("was written by a newer program\n  its version   2\n  known here    1"),
        "{reasons:?}"
    );
    drop(index);
    world.checked_answers();
}

#[test]
fn a_damaged_index_and_one_of_a_later_program_are_made_anew_with_a_note() {
    let world = World::new();
    world.add(&world.results(), ONE, "fastscnn");
    let right = world.checked_answers();
    let file = world.store.root().join(INDEX);
    let later = || {
        let database = rusqlite::Connection::open(&file).unwrap();
        database.execute_batch("DROP VIEW result_metric; PRAGMA user_version = 99").unwrap();
    };
    let damages: [&dyn Fn(); 3] = [
        &|| fs::write(&file, "no database at all, but long enough to be looked at").unwrap(),
        &|| fs::write(&file, &fs::read(&file).unwrap()[..5000]).unwrap(),
        &later,
    ];
    for (number, damage) in damages.iter().enumerate() {
        let before = world.current();
        drop(before);
        damage();
        let index = world.current();
        assert_eq!(index.notes.len(), 1, "{number}");
        assert!(index.notes[0].contains("made anew"), "{number}: {:?}", index.notes);
        assert_eq!(World::answers(&index), right, "{number}");
        drop(index);
        assert_eq!(world.current().notes, Vec::<String>::new(), "{number}: once is enough");
    }
}

#[test]
fn an_index_that_cannot_be_written_is_done_without() {
    let world = World::new();
    world.add(&world.results(), ONE, "fastscnn");
    fs::create_dir_all(world.store.root().join(INDEX).join("in the way")).unwrap();
    let index = world.current();
    assert_eq!(runs(&index), [ONE]);
    assert!(index.notes[0].contains("cannot be used"), "{:?}", index.notes);
}

#[test]
fn a_check_says_what_it_cannot_check() {
    let world = World::new();
    world.add(&world.results(), ONE, "fastscnn");
    let checked = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_repro"));
        command.args(["results", "check"]).args(more).env_clear();
        command.current_dir(world.folder.path()).env("HOME", world.folder.path());
        let output = command.env("REPRO_HOME", world.store.root()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = checked(&[]);
    assert!(
        text.ends_with("\nnot derivable from a log: host, duration, memory, conditions\n"),
        "{text}"
    );
    let answer: Value = serde_json::from_str(&checked(&["--json"])).unwrap();
    assert_eq!(answer["not_derivable"], json!(["host", "duration", "memory", "conditions"]));
}

#[test]
fn processes_that_list_at_once_while_records_come_agree_in_the_end() {
    let world = World::new();
    fs::create_dir(world.folder.path().join("images")).unwrap();
    fs::create_dir(world.folder.path().join("lockfiles")).unwrap();
    let list = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_repro"));
        command.args(["results", "--json"]).current_dir(world.folder.path()).env_clear();
        command.env("HOME", world.folder.path()).env("REPRO_HOME", world.store.root());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut lists = Vec::new();
    for hour in 0..12 {
        lists.push(list());
        lists.push(list());
        world.add(&world.results(), &format!("20261122T{hour:02}0000Z-9d1710effc1d"), "fastscnn");
    }
    for child in lists {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(listed["unreadable"], json!([]), "nothing half written is read");
    }
    world.checked_answers();
    assert_eq!(runs(&world.current()).len(), 12);
}

#[test]
fn an_index_that_is_damaged_anywhere_is_made_anew_and_says_what_it_said() {
    let world = World::new();
    for model in ["fastscnn", "segformer", "ocrnet"] {
        world.add(&world.results(), ONE, model);
        world.add(&world.results(), TWO, model);
    }
    let right = World::answers(&world.current());
    let path = world.folder.path().join("store").join(INDEX);
    let discard = |end: &str| drop(fs::remove_file(format!("{}{end}", path.display())));
    let whole = {
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        fs::read(&path).unwrap()
    };
    let mut seed = 11u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for number in 0..120 {
        let mut bytes = whole.clone();
        let at = random(bytes.len());
        match number % 6 {
            0 => bytes[at] ^= 1 << random(8),
            1 => bytes.truncate(at),
            2 => bytes[random(100)] ^= 0xff,
            3 => {
                let page = at / 4096 * 4096;
                bytes[page..page + 4096].fill(u8::try_from(random(256)).unwrap());
            }
            4 => {
                let end = (at + 64).min(bytes.len());
                bytes[at..end].fill(0);
            }
            _ => {
                let end = (at + 9).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
        ["-wal", "-shm", "-journal"].into_iter().for_each(discard);
        fs::write(&path, &bytes).unwrap();
        let index = Index::current(&world.store, &[world.results()]);
        let index = index.unwrap_or_else(|error| panic!("{number}: {error:?}"));
        // A flipped value that is still a value is found by nobody but `rebuild`.
        if !index.notes.is_empty() {
            assert_eq!(World::answers(&index), right, "{number}");
        }
    }
}
