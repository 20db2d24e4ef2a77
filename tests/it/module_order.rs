//! A module uses only modules before it. Inside one crate the compiler does not keep that.

use std::fs;
use std::path::{Path, PathBuf};

/// The order of `ARCHITECTURE.md`.
const ORDER: [&str; 27] = [
    "named_file",
    "digest",
    "address",
    "stats",
    "tarball",
    "store",
    "git",
    "recipe",
    "dataset",
    "lock",
    "settings",
    "fetch",
    "layer",
    "image",
    "registry",
    "engine",
    "build",
    "conditions",
    "bench",
    "doctor",
    "results",
    "audit",
    "carry",
    "gc",
    "diff",
    "report",
    "cli",
];

fn rust_files(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| rust_files(entry, files));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_owned());
    }
}

/// Module names that follow `crate::` or `repro::` in code (not in comments).
fn used_modules(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut used = Vec::new();
    for (start, prefix) in code.match_indices("crate::") {
        let rest = &code[start + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let end = group.find("};").unwrap_or(group.len());
            let heads = group[..end].split([',', '\n', '{']);
            used.extend(heads.map(|head| head.trim().split("::").next().unwrap_or("").to_owned()));
        } else {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            used.push(rest[..end].to_owned());
        }
    }
    used.retain(|name| ORDER.contains(&name.as_str()));
    used
}

#[test]
fn a_module_uses_only_modules_before_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (position, module) in ORDER.iter().enumerate() {
        let mut files = Vec::new();
        rust_files(&source.join(module), &mut files);
        let single = source.join(format!("{module}.rs"));
        if single.exists() {
            files.push(single);
        }
        assert!(!files.is_empty(), "`{module}` is in the order but not in src");
        for file in files {
            for used in used_modules(&fs::read_to_string(&file).unwrap()) {
                let place = ORDER.iter().position(|name| **name == used).unwrap();
                if place > position {
                    wrong.push(format!("{} uses `{used}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_crate_is_in_the_order() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let text = fs::read_to_string(root).unwrap();
    let declared = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let declared: Vec<_> = declared.map(|line| line.trim_end_matches(';')).collect();
    assert_eq!(declared, ORDER);
}

#[test]
fn the_table_of_modules_has_each_once_in_that_order() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let names: Vec<_> = rows.map(|(name, _)| name).filter(|name| ORDER.contains(name)).collect();
    assert_eq!(names, ORDER);
}

#[test]
fn the_scan_sees_grouped_and_plain_uses() {
    let text = "use crate::{store::Store, image};\nlet x = crate::cli::run();\n// crate::bench";
    assert_eq!(used_modules(text), ["store", "image", "cli"]);
}
