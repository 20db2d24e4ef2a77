//! Projects whose index does not tell when a file was uploaded.
//!
//! uv leaves out whatever has no upload time as soon as it is given a date, so a mirror or a company's index that
//! tells none (any plain PEP 503 folder) seems to have no version of anything. For what comes from there no date can
//! hold; the lock pins what was found, as ever.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use regex::Regex;

use crate::fetch::client::{Ask, Client, Publisher, Request};
use crate::fetch::{index, offers};
use crate::settings::PythonSources;

/// What no date holds for.
#[derive(Debug, Default)]
pub(super) struct Timeless {
    found: RefCell<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Whether the only index there is tells no upload time.
    all: bool,
    names: BTreeSet<String>,
}

impl Timeless {
    /// The options of uv for `cutoff`, as far as it can hold.
    pub(super) fn options(&self, cutoff: &str) -> Vec<String> {
        let found = self.found.borrow();
        if found.all {
            return Vec::new();
        }
        let mut options = vec!["--exclude-newer".to_owned(), cutoff.to_owned()];
        for name in &found.names {
            options.extend(["--exclude-newer-package".to_owned(), format!("{name}=false")]);
        }
        options
    }

    /// Looks at the projects that uv says there is nothing of; tells which of them are new here.
    pub(super) fn learn(
        &self,
        client: &Client,
        sources: &PythonSources,
        stderr: &str,
    ) -> Vec<String> {
        let mut found = self.found.borrow_mut();
        if found.all {
            return Vec::new();
        }
        let names = left_out(stderr).into_iter().filter(|name| !found.names.contains(name));
        let new: Vec<String> = names.filter(|name| is_timeless(client, sources, name)).collect();
        found.all = !new.is_empty() && sources.indexes.len() == 1;
        found.names.extend(new.iter().cloned());
        new
    }
}

/// The projects that uv names as left out for their date, or as having no version at all, as older ones say it.
fn left_out(stderr: &str) -> BTreeSet<String> {
    static LEFT_OUT: LazyLock<Regex> = LazyLock::new(|| {
        let name = "[A-Za-z0-9][A-Za-z0-9._-]*";
        let pattern = format!("`({name})` was filtered by|there are no versions of ({name})");
        Regex::new(&pattern).expect("the pattern is valid")
    });
    let names = LEFT_OUT.captures_iter(stderr);
    names.filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str().to_owned())).collect()
}

/// Whether the first index that has the project tells no upload time of any of its files.
fn is_timeless(client: &Client, sources: &PythonSources, name: &str) -> bool {
    // Nobody can ask to stop here: a signal ends the whole program.
    let never = AtomicBool::new(false);
    for location in &sources.indexes {
        let mut url = offers::below(location.url(), &format!("{name}/"));
        if url.scheme() == "file" {
            match url.to_file_path() {
                Ok(folder) if folder.is_dir() => return true,
                _ => continue,
            }
        }
        url.set_fragment(None);
        let (publisher, accept) = (Publisher::Python, Some(index::ACCEPT));
        let request = Request { publisher, url, accept, from: 0, of_version: None };
        let Ok(Some(mut answer)) = client.ask(&request, &never) else { continue };
        let Ok(body) = offers::read_body(&mut answer, &never) else { continue };
        return !index::tells_upload_times(&body, &answer.head.media_type);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_date_left_out_is_named_by_uv() {
        let text = "error: no solution\n\nhint: `net-x` was filtered by `exclude-newer` to only include packages";
        assert_eq!(left_out(text), ["net-x".to_owned()].into());
        let older = "Because there are no versions of net-x and you require net-x, we can conclude";
        assert_eq!(left_out(older), ["net-x".to_owned()].into());
        assert!(left_out("error: no `net` at all").is_empty());
    }

    #[test]
    fn a_date_holds_for_all_that_has_one() {
        let timeless = Timeless::default();
        assert_eq!(timeless.options("2026"), ["--exclude-newer", "2026"]);
        timeless.found.borrow_mut().names.insert("net".to_owned());
        let options = timeless.options("2026");
        assert_eq!(options[2..], ["--exclude-newer-package", "net=false"]);
        timeless.found.borrow_mut().all = true;
        assert!(timeless.options("2026").is_empty());
    }
}
