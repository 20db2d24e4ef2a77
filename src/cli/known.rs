//! What is known of this machine and its user, so that it can be taken out of what leaves it.

use std::fs;

use super::context::Context;
use crate::results::scrub::Known;

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

/// Name and home of a user, where the machine keeps them in a file.
fn account(user: u32) -> Option<(String, String)> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = lines.find(|fields| fields.get(2) == Some(&user.to_string().as_str()))?;
    Some((own.first()?.to_string(), own.get(5)?.to_string()))
}
