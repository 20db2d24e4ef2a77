//! A data set may be made of others, and lists and counts tell what must be there.

use std::path::Path;

use repro::dataset::{
    DatasetError, Datasets, Presence, SetReport, Silent, Verdict, ensure_unpacked, expected, pin,
    presence, verify,
};
use repro::digest::Digest;

use git2::{ObjectType, Oid, Repository, Signature, Time};

use crate::fetching_data::{World, zipped};

/// Two data sets pinned in a project, and one that is made of them.
fn union(world: &World) -> Datasets {
    for (name, content) in [("one", b"1"), ("two", b"2")] {
        world.write(&format!("project/images/{name}.zip"), &zipped(&[("img/a.png", content)]));
        let datasets = Datasets::load(&world.path("project")).unwrap();
        let file = world.path(&format!("project/images/{name}.zip"));
        let pinned = pin(&datasets, &file, false, &world.store, &Silent).unwrap();
        pinned.write(&world.path("project")).unwrap();
    }
    let text = String::from_utf8(world.read("project/datasets.toml")).unwrap();
    world.datasets(&format!(
        "{text}\n[all]\ntitle = \"both\"\n[all.of]\n\"A/data\" = \"one\"\nB = \"two\"\n"
    ))
}

fn reports(world: &World, datasets: &Datasets, names: &[&str]) -> Vec<SetReport> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    verify(datasets, &names, Some(&world.data()), false, &world.store, &Silent).unwrap()
}

#[test]
fn a_union_is_what_the_worst_of_its_parts_is_and_each_part_is_reported() {
    let world = World::new();
    let datasets = union(&world);
    let all = reports(&world, &datasets, &["all"]);
    let names: Vec<_> = all.iter().map(|report| report.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "all"]);
    assert!(all.iter().all(|report| report.verdict == Verdict::Ok));
    assert!(all[2].to_string().contains("ok        A/data: `one`"), "{}", all[2]);
    world.write("data/two/img/a.png", b"another");
    let all = reports(&world, &datasets, &["all"]);
    assert_eq!(all[2].verdict, Verdict::Differs);
    assert_eq!(all[2].parts.iter().filter(|part| part.verdict == Verdict::Ok).count(), 1);
}

#[test]
fn a_union_is_mounted_as_its_parts_and_bound_by_all_of_them() {
    let world = World::new();
    let datasets = union(&world);
    let data = world.data();
    let unpacked = ensure_unpacked(&datasets, "all", Some(&data), &world.store, &Silent).unwrap();
    let places: Vec<_> = unpacked.below("/data/mix").map(|(place, _)| place).collect();
    assert_eq!(places, ["/data/mix/A/data", "/data/mix/B"]);
    for (place, folder) in unpacked.below("") {
        let content = std::fs::read(folder.join("img/a.png")).unwrap();
        assert_eq!(content, if place == "/B" { b"2" } else { b"1" });
    }
    let binding = reports(&world, &datasets, &["all"])[2].binding;
    assert_eq!(binding, Some(unpacked.digest));
    assert_eq!(expected(&datasets, "all", None, &world.store).unwrap().digest, unpacked.digest);
    let one = ensure_unpacked(&datasets, "one", Some(&data), &world.store, &Silent).unwrap();
    assert_ne!(one.digest, unpacked.digest);
}

#[test]
fn a_union_is_there_if_all_of_its_parts_are() {
    let world = World::new();
    let datasets = union(&world);
    let found = || presence(&datasets, "all", Some(&world.data()), &world.store).unwrap();
    assert_eq!(found(), Presence::There);
    std::fs::remove_file(world.path("project/images/one.zip")).unwrap();
    std::fs::remove_file(world.path("project/images/two.zip")).unwrap();
    let archives = vec!["one.zip".to_owned(), "two.zip".to_owned()];
    assert_eq!(found(), Presence::Missing { archives });
    let text = String::from_utf8(world.read("project/datasets.toml")).unwrap();
    let datasets = world.datasets(&format!(
        "{text}\n[new]\ntitle = \"n\"\n[[new.archive]]\nfile = \"n.zip\"\nunpinned = \"r\"\n\
         [all]\ntitle = \"both\"\n[all.of]\nA = \"one\"\nB = \"new\"\n"
    ));
    let found = presence(&datasets, "all", Some(&world.data()), &world.store).unwrap();
    assert_eq!(found, Presence::NotPinned);
}

#[test]
fn pinned_archives_are_enough_without_a_manifest() {
    let world = World::new();
    let archive = zipped(&[("img/a.png", b"1")]);
    let datasets = world.datasets(&format!(
        "[one]\ntitle = \"One\"\n[[one.archive]]\nfile = \"one.zip\"\nsha256 = \"{}\"\nsize = {}\n",
        Digest::of(&archive).hex(),
        archive.len()
    ));
    let data = world.data();
    let found = || presence(&datasets, "one", Some(&data), &world.store).unwrap();
    assert_eq!(found(), Presence::Missing { archives: vec!["one.zip".to_owned()] });
    world.write("data/archives/one/one.zip", &archive);
    assert_eq!(found(), Presence::There);
    ensure_unpacked(&datasets, "one", Some(&data), &world.store, &Silent).unwrap();
    std::fs::remove_file(world.path("data/archives/one/one.zip")).unwrap();
    assert_eq!(found(), Presence::There, "it was unpacked into the store");
}

#[test]
fn mistakes_in_unions_parts_and_lists_are_reported_with_their_place() {
    let world = World::new();
    let hex = Digest::of(b"").hex();
    let one = "[one]\ntitle = \"t\"\ntree.counts = { x = 1 }\n";
    let list =
        format!("[[a.tree.list]]\nname = \"l\"\nentries = 1\nsize = 1\nsha256 = \"{hex}\"\n");
    let cases = [
        (format!("{one}[a]\ntitle = \"t\"\nof = {{ X = \"two\" }}\n"), "`two` is no data set"),
        (format!("{one}[a]\ntitle = \"t\"\nof = {{ \"../X\" = \"one\" }}\n"), "a local path"),
        (format!("{one}[a]\ntitle = \"t\"\nof = {{ X = \"one\", \"X/Y\" = \"one\" }}\n"), "lies inside `X`"),
        (format!("{one}[a]\ntitle = \"t\"\nof = {{ X = \"one\" }}\ntree.counts = {{ x = 1 }}\n"), "is made of others"),
        (format!("{one}[a]\ntitle = \"t\"\nof = {{ X = \"b\" }}\n[b]\ntitle = \"t\"\nof = {{ X = \"one\" }}\n"), "made of others itself"),
        ("[archives]\ntitle = \"t\"\ntree.counts = { x = 1 }\n".to_owned(), "the folder of all archives"),
        (format!("[a]\ntitle = \"t\"\n{list}"), "has either a `path` or a file of a commit"),
        (format!("[a]\ntitle = \"t\"\n{list}path = \"l\"\nstrip = \"/x\"\n"), "a local path"),
        ("[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\nunpinned = \"r\"\nchecks = { md5 = \"x\" }\n".to_owned(), "expected 32 lower-case"),
        ("[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"f\"\nunpinned = \"r\"\n[[a.archive.part]]\nfile = \"p\"\n[[a.archive.part]]\nfile = \"p\"\n".to_owned(), "`p` stands twice in `f`"),
    ];
    for (text, expected) in cases {
        let error = Datasets::parse(&text, &world.path("project")).unwrap_err();
        assert!(matches!(error, DatasetError::Invalid { .. }));
        let error = error.to_string();
        assert!(error.contains(expected) && error.contains("datasets.toml:"), "{text}: {error}");
    }
}

const LIST: &[u8] = b"Set/img/1.png\nSet/img/2.png\n";

fn listed(place: &str) -> String {
    format!(
        "[a]\ntitle = \"t\"\n[[a.tree.list]]\nname = \"a.train\"\nentries = 2\nsize = {}\nsha256 = \"{}\"\nstrip = \"Set\"\n{place}\n",
        LIST.len(),
        Digest::of(LIST).hex()
    )
}

#[test]
fn every_listed_file_must_be_there_and_a_list_alone_pins_nothing() {
    let world = World::new();
    world.write("project/lists/a.train", LIST);
    let datasets = world.datasets(&listed("path = \"lists/a.train\""));
    let report = || reports(&world, &datasets, &[]).remove(0);
    assert_eq!(report().verdict, Verdict::Missing);
    world.write("data/a/img/1.png", b"1");
    assert_eq!(report().verdict, Verdict::Differs);
    let text = report().to_string();
    assert!(text.contains("1 of 2 files of the list `a.train` are there"), "{text}");
    assert!(text.contains("missing  img/2.png"), "{text}");
    world.write("data/a/img/2.png", b"2");
    assert_eq!(report().verdict, Verdict::Unpinned);
    world.write("project/lists/a.train", b"Set/img/1.png\n");
    let error = verify(&datasets, &[], Some(&world.data()), false, &world.store, &Silent);
    assert!(matches!(error, Err(DatasetError::Manifest { .. })), "{error:?}");
}

/// A commit with the list, in a repository that lacks whatever else the commit has.
fn commit_of_list(folder: &Path) -> String {
    let repository = Repository::init_bare(folder).unwrap();
    let list = repository.blob(LIST).unwrap();
    let lost = Oid::hash_object(ObjectType::Blob, b"too large").unwrap();
    let entry =
        |name: &str, blob: Oid| [b"100644 ", name.as_bytes(), b"\0", blob.as_bytes()].concat();
    let tree = [entry("a.train", list), entry("film.gif", lost)].concat();
    let tree = repository.odb().unwrap().write(ObjectType::Tree, &tree).unwrap();
    let who = Signature::new("a", "a@a.test", &Time::new(0, 0)).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    repository.commit(None, &who, &who, "lists", &tree, &[]).unwrap().to_string()
}

#[test]
fn a_list_of_a_commit_is_brought_once_and_compared_with() {
    let world = World::new();
    let folder = world.path("lists.git");
    let commit = commit_of_list(&folder);
    let git = |commit: &str| {
        let url = folder.display();
        format!("git = {{ url = \"{url}\", commit = \"{commit}\", path = \"a.train\" }}")
    };
    let datasets = world.datasets(&listed(&git(&commit)));
    world.write("data/a/img/1.png", b"1");
    let text = reports(&world, &datasets, &[]).remove(0).to_string();
    assert!(text.contains("`a.train` is not here"), "{text}");
    let outcomes = world.try_fetch(&datasets).unwrap();
    assert!(outcomes[0].lists.is_empty(), "{:?}", outcomes[0].lists);
    assert!(world.store.has(&Digest::of(LIST)));
    assert_eq!(reports(&world, &datasets, &[]).remove(0).verdict, Verdict::Differs);

    let world = World::new();
    let nothing = world.datasets(&listed(&git(&"0".repeat(40))));
    let outcomes = world.try_fetch(&nothing).unwrap();
    assert_eq!(outcomes[0].lists.len(), 1, "what could not be had is told");
}

#[test]
fn of_two_archives_with_one_name_the_folder_tells_which_is_pinned() {
    let world = World::new();
    let set = |name: &str| {
        format!("[{name}]\ntitle = \"t\"\n[[{name}.archive]]\nfile = \"a.zip\"\nunpinned = \"r\"\n")
    };
    let datasets = world.datasets(&(set("one") + &set("two")));
    let pin = |place: &str| {
        world.write(place, &zipped(&[("x", b"x")]));
        pin(&datasets, &world.path(place), false, &world.store, &Silent)
    };
    assert_eq!(pin("data/archives/two/a.zip").unwrap().name, "two");
    let error = pin("data/a.zip").unwrap_err();
    assert!(matches!(error, DatasetError::Ambiguous { .. }));
    let text = error.to_string();
    assert_eq!(text, "`a.zip` is an archive of several data sets\n  one\n  two");
}
