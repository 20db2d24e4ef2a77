//! A test file that nobody listed would never run.

use std::fs;
use std::path::Path;

#[test]
fn every_file_of_this_folder_is_a_module_of_the_test_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let forgotten: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "main.rs" && name.ends_with(".rs"))
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|module| !main.contains(&format!("mod {module};")))
        .collect();
    assert!(forgotten.is_empty(), "not listed in tests/it/main.rs: {forgotten:?}");
}
