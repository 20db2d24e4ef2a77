//! What a terminal gets to see: records and names that a job chose cannot command it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::FromRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A record of the first version.
const RECORD: &str = include_str!("fixtures/records/version-1.json");
const RUN: &str = "20261122T010000Z-9d1710effc1d";

/// A title, a cleared screen, the same by C1 controls, and a text that reads backwards.
const EVIL: &str = "=1+2\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}2J\u{9d}0;t\u{9c}\u{202e}live\r\u{8}";

/// A terminal: its controlling side, and the side that a program writes to.
pub fn terminal() -> (File, File) {
    let (mut controller, mut side) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both numbers are written by the call, the name and the settings may be absent.
    let opened = unsafe {
        libc::openpty(&mut controller, &mut side, std::ptr::null_mut(), std::ptr::null(), &size)
    };
    assert_eq!(opened, 0);
    // SAFETY: the call has just opened both, and nobody else has them.
    unsafe { (File::from_raw_fd(controller), File::from_raw_fd(side)) }
}

/// Everything that a program with a terminal writes to it.
fn shown(folder: &Path, arguments: &[&str]) -> String {
    let (mut controller, side) = terminal();
    let mut child = Command::new(env!("CARGO_BIN_EXE_repro"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("TERM", "xterm-256color")
        .env("REPRO_HOME", folder.join("store"))
        .stdin(Stdio::null())
        .stdout(side.try_clone().unwrap())
        .stderr(side)
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    // The last writer's end is told as an error.
    let _ = controller.read_to_end(&mut bytes);
    child.wait().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `EVIL` in every text of a record that a job or its recipe chooses.
fn spoil(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let kept = ["run", "start", "state", "version", "seal", "digest", "lock", "progress"];
            let free = fields.iter_mut().filter(|(name, _)| !kept.contains(&name.as_str()));
            free.for_each(|(_, value)| spoil(value));
        }
        Value::Array(values) => values.iter_mut().for_each(spoil),
        Value::String(text) if !text.starts_with("sha256:") => text.push_str(EVIL),
        _ => {}
    }
}

/// A project with a record that commands the terminal, in a folder that does, and one that cannot be read.
fn hostile() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["images", "lockfiles"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let run = folder.path().join("results").join(RUN);
    let mut record: Value = serde_json::from_str(RECORD).unwrap();
    record["run"] = json!(RUN);
    for name in ["reason", "title", "host", "image", "profile", "deviations", "metrics", "error"] {
        spoil(&mut record[name]);
    }
    record["final_result"]["unit"] = json!(EVIL);
    let place = run.join(record["case"].as_str().unwrap());
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("record.json"), record.to_string()).unwrap();
    let second = run.join(EVIL);
    fs::create_dir_all(&second).unwrap();
    fs::write(second.join("record.json"), format!("{{ {EVIL}")).unwrap();
    folder
}

#[test]
fn what_a_record_says_never_commands_the_terminal() {
    let folder = hostile();
    for command in [
        &["results"][..],
        &["results", "--csv"],
        &["results", "--json"],
        &["results", "check"],
        &["report"],
        &["report", "results"],
        &["report", "--csv"],
        &["report", "--markdown"],
        &["report", "--history", EVIL],
        &["report", "--json"],
        &["results", "-vv"],
        &["import", EVIL],
        &["bundle", "--output", EVIL, EVIL],
        &["inspect", EVIL],
    ] {
        let text = shown(folder.path(), command);
        // A colour is all that a terminal is told; it ends its lines itself.
        let plain = text.replace("\r\n", "\n");
        let plain = ["0", "1", "2", "3", "31", "32", "33", "36"]
            .iter()
            .fold(plain, |plain, code| plain.replace(&format!("\u{1b}[{code}m"), ""));
        let obeyed = plain.find(|letter: char| {
            letter.is_control() && !"\n\t".contains(letter) || letter == '\u{202e}'
        });
        assert!(obeyed.is_none(), "{command:?}\n{text:?}");
        assert!(text.trim().len() > 10, "{command:?} said nothing: {text:?}");
    }
}

#[test]
fn a_spreadsheet_finds_no_formula_in_either_list_of_runs() {
    let folder = hostile();
    for command in [&["results", "--csv"][..], &["report", "--csv"]] {
        let text = shown(folder.path(), command);
        assert!(!text.contains(",=1+2") && !text.contains(",\"=1+2"), "{command:?}\n{text}");
        assert!(text.contains("'=1+2"), "{command:?}\n{text}");
    }
}

#[test]
fn text_reaches_a_stream_in_one_place() {
    let may_print = [
        // The place, and progress that is drawn over itself.
        "cli/output.rs",
        "cli/output/terminal.rs",
        "cli/progress.rs",
        // Bytes that a user asked for: a command's output and a bundle.
        "cli/exec",
        "cli/bundle.rs",
        // Pipes between this program and its own helpers.
        "engine/",
    ];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in files(&source) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let name = file.strip_prefix(&source).unwrap().display().to_string();
        let prints = ["println!(", "print!(", "stdout()", "stderr()", "dbg!("];
        let is_free = may_print.iter().any(|place| name.starts_with(place));
        let found = prints.iter().find(|word| code.contains(**word));
        assert!(is_free || found.is_none(), "`{name}` prints by `{}`", found.unwrap());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
