//! A rehearsal starts the real command of a case without GPUs, on data that only have the right layout.

use std::fs;
use std::path::PathBuf;

use repro::bench::{Reached, rehearse};
use repro::dataset::{DatasetError, Datasets, Silent, pin, stand_in, verify};
use repro::digest::Digest;
use repro::engine::fake::{Answer, Fake};
use repro::engine::{Exit, Stop};

use crate::bench::Bench;
use crate::fetching_data::{World, zipped};

const CASE: &str = "seg/fastscnn/sp/bs2/fp32";

/// The case with a job that writes this and ends so.
fn rehearsed(bench: &Bench, answer: Answer) -> (Reached, String) {
    let planned = repro::bench::plan(&bench.setup()).unwrap();
    let engine = Fake::with(move |_| answer.clone());
    let of = (&bench.image, &bench.recipe);
    let one = rehearse(&engine, &bench.store, of, (&planned[0], true), &Stop::new()).unwrap();
    assert_eq!(one.case, CASE);
    (one.state, one.reason)
}

fn bench() -> Bench {
    Bench::new().cases(&[CASE])
}

const ASKING: &str = "Traceback (most recent call last):\n  File \"train.py\", line 3, in <module>\n\
                      RuntimeError: Found no NVIDIA driver on your system.\n";

#[test]
fn a_case_that_fails_for_want_of_a_gpu_is_good_and_leaves_no_record() {
    let bench = bench();
    let (state, reason) = rehearsed(&bench, Answer::text(ASKING).exit(Exit::Status(1)));
    assert_eq!(state, Reached::Good, "{reason}");
    let kept = fs::read_dir(bench.store.runs()).map_or(0, Iterator::count);
    assert!(!bench.results.exists() && kept == 0, "it is no result");
}

#[test]
fn a_case_that_ends_otherwise_has_failed() {
    let missing = "Traceback (most recent call last):\n  File \"train.py\"\n\
                   FileNotFoundError: [Errno 2] No such file or directory: 'data'\n";
    let (state, reason) = rehearsed(&bench(), Answer::text(missing).exit(Exit::Status(1)));
    assert_eq!(state, Reached::Failed);
    assert!(reason.contains("No such file or directory"), "{reason}");
    let (state, reason) = rehearsed(&bench(), Answer::text("trained\n"));
    assert_eq!(
        (state, reason.as_str()),
        (Reached::Failed, "it ended well without having asked for a GPU")
    );
    let (state, _) = rehearsed(&bench(), Answer::text(ASKING).exit(Exit::TimedOut));
    assert_eq!(state, Reached::Failed);
}

#[test]
fn a_link_of_the_image_that_leads_to_no_file_of_the_data_fails_before_anything_starts() {
    let mut bench = bench();
    let target = bench.recipe.profiles["smoke"].data.keys().next().unwrap().clone();
    let links = &mut bench.recipe.image.symlinks;
    links.insert("/home/weights.pth".to_owned(), format!("{target}/weights.pth"));
    let (state, reason) = rehearsed(&bench, Answer::text(ASKING).exit(Exit::Status(1)));
    assert_eq!(state, Reached::Failed);
    assert!(reason.starts_with("the link `/home/weights.pth` leads to "), "{reason}");
    let folder = bench.results.with_file_name("tiny");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("weights.pth"), "w").unwrap();
    bench.data.get_mut("cityscapes-tiny").unwrap().folders = [(String::new(), folder)].into();
    let (state, _) = rehearsed(&bench, Answer::text(ASKING).exit(Exit::Status(1)));
    assert_eq!(state, Reached::Good);
}

const LIST: &str = "S/images/1.jpg\nS/images/2.jpg\n";

/// A tiny data set of the project, and a large one that a list describes.
fn datasets(world: &World) -> Datasets {
    let files: [(&str, &[u8]); 3] =
        [("images/0.jpg", b"picture"), ("labels/0.txt", b"label"), ("sizes.ini", b"size")];
    world.write("project/images/tiny.zip", &zipped(&files));
    world.write("project/images/s.train", LIST.as_bytes());
    let file = world.path("project/images/tiny.zip");
    let datasets = Datasets::load(&world.path("project")).unwrap();
    let pinned = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
    pinned.write(&world.path("project")).unwrap();
    let tiny = String::from_utf8(world.read("project/datasets.toml")).unwrap();
    world.datasets(&format!("{tiny}\n{}", set()))
}

fn set() -> String {
    format!(
        "[large]\ntitle = \"t\"\nstand-in = \"tiny\"\n\n[[large.archive]]\nfile = \"s.zip\"\nunpinned = \"r\"\n\n\
         [[large.tree.list]]\nname = \"s.train\"\nentries = 2\nsize = {}\nsha256 = \"{}\"\nstrip = \"S\"\npath = \"images/s.train\"\n\
         beside = {{ from = \"images\", to = \"labels\", extension = \"txt\" }}\n\n\
         [weights]\ntitle = \"w\"\n[[weights.archive]]\nfile = \"w.pth\"\nsize = 162482580\nunpinned = \"r\"\n\n\
         [packed]\ntitle = \"p\"\n[[packed.archive]]\nfile = \"p.zip\"\nunpinned = \"r\"\n",
        LIST.len(),
        Digest::of(LIST.as_bytes()).hex()
    )
}

fn made(world: &World, datasets: &Datasets, name: &str) -> PathBuf {
    let made = stand_in(datasets, name, &world.store, &Silent).unwrap();
    assert_eq!(made.folders.len(), 1);
    made.folders[""].clone()
}

#[test]
fn the_stand_in_of_a_data_set_has_every_file_that_its_lists_name_and_what_belongs_to_it() {
    let world = World::new();
    let datasets = datasets(&world);
    let folder = made(&world, &datasets, "large");
    let read = |path: &str| fs::read(folder.join(path)).unwrap();
    for picture in ["images/0.jpg", "images/1.jpg", "images/2.jpg"] {
        assert_eq!(read(picture), b"picture");
    }
    assert_eq!(
        (read("labels/1.txt"), read("labels/2.txt")),
        (b"label".to_vec(), b"label".to_vec())
    );
    assert_eq!(read("sizes.ini"), b"size");
    // What is only alike never becomes the data set itself.
    let reports =
        verify(&datasets, &["large".to_owned()], Some(&world.data()), false, &world.store, &Silent);
    assert_ne!(reports.unwrap()[0].verdict, repro::dataset::Verdict::Ok);
}

#[test]
fn a_file_of_weights_is_as_many_zeros_as_its_publisher_says() {
    let world = World::new();
    let folder = made(&world, &datasets(&world), "weights");
    assert_eq!(fs::metadata(folder.join("w.pth")).unwrap().len(), 162_482_580);
}

#[test]
fn a_data_set_that_nothing_describes_has_no_stand_in() {
    let world = World::new();
    let error = stand_in(&datasets(&world), "packed", &world.store, &Silent).unwrap_err();
    assert!(matches!(error, DatasetError::NoStandIn { name } if name == "packed"));
}

#[test]
fn a_stand_in_has_to_be_part_of_the_project() {
    let text = set().replace("stand-in = \"tiny\"", "stand-in = \"packed\"");
    let error = Datasets::parse(&text, std::path::Path::new("/p")).unwrap_err().to_string();
    assert!(
        error.contains("`packed` is no data set whose archives all lie in the project"),
        "{error}"
    );
}

/// Nobody who wrote this had eight GPUs: each of these ended the case before its first step.
#[test]
fn the_eight_processes_of_the_mindspore_guide_find_their_launcher_and_their_folder() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    let recipes = repro::recipe::Recipe::load_all(&folder).unwrap();
    let recipe = recipes.iter().find(|it| it.name == "fairmot-mindspore-debian").unwrap();
    let mode = &recipe.benchmark.mode["train-8"];
    let launcher = format!("/usr/bin/{}", mode.command[0]);
    assert_eq!(recipe.image.symlinks[&launcher], "mpirun.openmpi");
    assert!(
        mode.command.iter().all(|word| word != "-u"),
        "mpirun marks every write, not every line"
    );
    let option = mode.command.iter().position(|word| word == "--ckpt_save_dir").unwrap();
    let saved = mode.command[option + 1].strip_prefix("./").unwrap();
    let saved = format!("{}/{saved}ckpt_7/", recipe.benchmark.workdir);
    let is_above = |folder: &String| saved.starts_with(&format!("{folder}/"));
    assert!(recipe.image.writable.iter().any(is_above), "{saved} cannot be written");
    let smoke = &recipe.profiles["smoke"];
    assert!(smoke.skips.is_empty() && smoke.gpus_of["train-8"] == 2);
}
