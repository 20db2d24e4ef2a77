//! What is known of this machine and its user, so that it can be taken out of what leaves it.

use std::fs;
use std::path::Path;

use super::context::Context;
use super::output;
use crate::results::scrub::{Known, Scrubber, in_words};
use crate::results::{self, export};

/// Names of host and user, and the folders that this program works with.
pub fn of_this_machine(context: &Context) -> Known {
    let mut known = Known::default();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // Of a full name the first part may stand alone.
    known.hosts.extend(host.split_once('.').map(|(first, _)| first.to_owned()));
    known.hosts.insert(0, host);
    let user = rustix::process::getuid().as_raw();
    if let Some((name, home)) = account(user) {
        known.users.push(name);
        // The administrator's is the same everywhere, in images too.
        if user != 0 {
            known.folders.push((home, "home".to_owned()));
        }
    }
    let settings = &context.settings;
    let project = settings.project().ok().map(|path| path.to_owned());
    let folders = [
        ("store", Some(settings.store_folder().to_owned())),
        ("project", project),
        ("results", Some(settings.results_folder().to_owned())),
        ("data", settings.data_folder().map(|path| path.to_owned())),
    ];
    for (word, folder) in folders {
        let Some(folder) = folder else { continue };
        let whole = folder.canonicalize().unwrap_or(folder);
        if whole.is_absolute() {
            known.folders.push((whole.display().to_string(), word.to_owned()));
        }
    }
    known
}

/// What the files of a run tell of this machine and its user, on standard error.
///
/// A bundle carries logs byte for byte, so that whoever gets it can check the records against them.
pub fn flag_run(context: &Context, folder: &Path) {
    let records = results::load(&[folder.to_owned()]).records;
    let mut scrubber = Scrubber::new(&export::with_jobs(&of_this_machine(context), &records));
    let mut lines = Vec::new();
    for stored in &records {
        let log = stored.record.log.as_ref().map(|log| log.file.as_str());
        for name in [Some("record.json"), log].into_iter().flatten() {
            let Ok(bytes) = fs::read(stored.folder.join(name)) else { continue };
            let (_, counts) = scrubber.scrub(&bytes);
            if !counts.is_empty() {
                lines.push(format!("{}/{name}: {}", stored.record.case, in_words(&counts)));
            }
        }
    }
    if !lines.is_empty() {
        output::note("note: what the run's files tell of this machine goes along");
        lines.iter().for_each(|line| output::note(&format!("  {line}")));
        output::note("  `repro results export --guide DIR` writes logs without it");
    }
}

/// Name and home of a user, where the machine keeps them in a file.
fn account(user: u32) -> Option<(String, String)> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = lines.find(|fields| fields.get(2) == Some(&user.to_string().as_str()))?;
    Some((own.first()?.to_string(), own.get(5)?.to_string()))
}
