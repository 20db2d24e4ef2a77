//! Published lists of files: one path a line, as the guides' training code reads them.
//!
//! A list says which files must be there and nothing of what is in them, so a folder that has
//! them all is still unpinned; one that lacks some is not the data set. A list lies in the
//! project, or in the store once `fetch` has brought it out of its commit.

use super::{DatasetError, Datasets, ListRule, at};
use crate::digest::Digest;
use crate::named_file;
use crate::recipe::names::{self, RELATIVE_PATH};
use crate::store::Store;

/// A list that was looked for.
pub(super) struct List {
    pub rule: ListRule,
    /// Paths below the data set's folder; `None` if the list is not here.
    pub paths: Option<Vec<String>>,
}

/// Reads the list that `rule` pins, from wherever it is here.
pub(super) fn load(
    datasets: &Datasets,
    rule: &ListRule,
    store: &Store,
) -> Result<List, DatasetError> {
    let text = match &rule.path {
        Some(path) => Some(read_pinned(datasets, rule, path)?),
        None => match store.has(&rule.sha256) {
            true => Some(String::from_utf8_lossy(&store.read_blob(&rule.sha256)?).into_owned()),
            false => None,
        },
    };
    let mut paths = text.map(|text| parse(rule, &text)).transpose()?;
    if let (Some(paths), Some(beside)) = (&mut paths, &rule.beside) {
        let more: Vec<String> = paths.iter().map(|path| beside.of(path)).collect();
        paths.extend(more);
    }
    Ok(List { rule: rule.clone(), paths })
}

fn read_pinned(datasets: &Datasets, rule: &ListRule, path: &str) -> Result<String, DatasetError> {
    let path = datasets.project.join(path);
    let text = named_file::read_text(&path).map_err(at("read", &path))?;
    let found = Digest::of(text.as_bytes());
    if found == rule.sha256 {
        return Ok(text);
    }
    Err(DatasetError::Manifest { path, pinned: rule.sha256, found })
}

/// The paths of a list below the data set's folder.
fn parse(rule: &ListRule, text: &str) -> Result<Vec<String>, DatasetError> {
    let wrong = |line: usize, reason: String| DatasetError::ManifestLine {
        path: rule.name.clone().into(),
        line,
        reason,
    };
    let mut paths = Vec::new();
    for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line = line.trim();
        let below = match &rule.strip {
            None => Some(line),
            Some(strip) => {
                line.strip_prefix(strip.as_str()).and_then(|rest| rest.strip_prefix('/'))
            }
        };
        let strip = rule.strip.as_deref().unwrap_or_default();
        let path = below.ok_or_else(|| wrong(place + 1, format!("it is not below `{strip}`")))?;
        if !names::relative_path(path) {
            return Err(wrong(place + 1, RELATIVE_PATH.to_owned()));
        }
        paths.push(path.to_owned());
    }
    if paths.len() as u64 == rule.entries {
        return Ok(paths);
    }
    let reason = format!("the list ends after {} entries, known are {}", paths.len(), rule.entries);
    Err(wrong(text.lines().count(), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(entries: u64, strip: Option<&str>) -> ListRule {
        ListRule {
            name: "a.train".to_owned(),
            entries,
            size: 0,
            sha256: Digest::of(b""),
            strip: strip.map(str::to_owned),
            path: None,
            git: None,
            beside: None,
        }
    }

    #[test]
    fn a_list_is_read_whatever_ends_its_lines() {
        let paths = parse(&rule(2, Some("A")), "A/images/1.png\r\nA/images/2 b.png\n").unwrap();
        assert_eq!(paths, ["images/1.png", "images/2 b.png"]);
        assert_eq!(parse(&rule(1, None), "A/1.png").unwrap(), ["A/1.png"]);
    }

    #[test]
    fn what_belongs_to_a_listed_file_is_found_as_the_guides_find_it() {
        let (from, to, extension) = ("images".into(), "labels".into(), "txt".into());
        let beside = crate::dataset::Beside { from, to, extension };
        assert_eq!(beside.of("A/images/b.c/1.png"), "A/labels/b.c/1.txt");
        assert_eq!(beside.of("images/b.c/1"), "labels/b.c/1.txt");
    }

    #[test]
    fn a_list_that_is_not_as_described_is_refused_with_the_line() {
        let text = |rule: &ListRule, text: &str| parse(rule, text).unwrap_err().to_string();
        let one = rule(1, Some("A"));
        assert_eq!(text(&one, "A/1\nB/2\n"), "`a.train`:2: it is not below `A`");
        assert!(text(&one, "A/../1\n").contains("a local path is relative"));
        assert!(text(&one, "A/1\nA/2\n").contains("after 2 entries, known are 1"));
    }
}
