//! Compares layers entry by entry and names the causes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::Serialize;
use tar::EntryType;

use super::DiffError;
use super::picture::{Layer, Picture};
use super::place::Place;
use crate::digest::{Digest, hash_reader};
use crate::tarball;

/// Why two layers have other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Entries are only on one side, or have other content, type or target.
    Content,
    /// The same, of Python's compiled files: they carry times and paths.
    Bytecode,
    /// Permission bits.
    Mode,
    /// User or group.
    Owner,
    /// The time of change.
    Time,
    /// The same entries in another order.
    Order,
    /// The same entries, written otherwise: header format, padding, records.
    Encoding,
    /// The same tar stream, compressed otherwise.
    Compressor,
}

/// One entry that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Path without a slash at either end.
    pub path: String,
    /// How it is in the first image; absent if it is not there.
    pub before: Option<String>,
    /// How it is in the second image; absent if it is not there.
    pub after: Option<String>,
    /// What differs.
    pub causes: BTreeSet<Cause>,
}

/// What differs in one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerReport {
    /// What the layer holds in the first image; absent if it has no such layer.
    pub before: Option<String>,
    /// What it holds in the second image; absent if it has no such layer.
    pub after: Option<String>,
    /// How many entries differ for each cause; those of the whole layer count once.
    pub causes: BTreeMap<Cause, usize>,
    /// Entries that differ, sorted by path.
    pub changes: Vec<Change>,
}

/// One entry of a tar stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: char,
    size: u64,
    mode: u32,
    owner: (u64, u64),
    time: u64,
    target: Option<String>,
    digest: Option<Digest>,
}

/// Compares the layers of two images.
pub(super) fn compare_all(
    before: (&Place<'_>, &Picture),
    after: (&Place<'_>, &Picture),
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<LayerReport>, DiffError> {
    let mut reports = Vec::new();
    for (old, new) in pair(&before.1.layers, &after.1.layers) {
        let report = match (old, new) {
            (Some(old), Some(new)) if old.diff_id == new.diff_id => {
                (old.digest != new.digest).then(|| only(old, new, Cause::Compressor))
            }
            (Some(old), Some(new)) => {
                let entries = (list(before.0, old, progress)?, list(after.0, new, progress)?);
                Some(compare(old, new, &entries.0, &entries.1))
            }
            (old, new) => Some(LayerReport {
                before: old.map(|layer| layer.origin.clone()),
                after: new.map(|layer| layer.origin.clone()),
                causes: BTreeMap::from([(Cause::Content, 1)]),
                changes: Vec::new(),
            }),
        };
        reports.extend(report);
    }
    Ok(reports)
}

/// Whether two layers belong together.
type Rule<'a> = dyn Fn(&Layer, &Layer) -> bool + 'a;

type Pair<'a> = (Option<&'a Layer>, Option<&'a Layer>);

/// Puts layers side by side: those with one tar stream, those with one kind of content, the rest.
fn pair<'a>(before: &'a [Layer], after: &'a [Layer]) -> Vec<Pair<'a>> {
    let mut left: Vec<&Layer> = after.iter().collect();
    let kind = |layer: &Layer| layer.origin.split(' ').next().unwrap_or("").to_owned();
    let mut partners: Vec<Option<&Layer>> = vec![None; before.len()];
    let same = |one: &Layer, other: &Layer| one.diff_id == other.diff_id;
    let alike = |one: &Layer, other: &Layer| kind(one) == kind(other);
    let any = |_: &Layer, _: &Layer| true;
    let rules: [&Rule<'_>; 3] = [&same, &alike, &any];
    for fits in rules {
        for (own, partner) in before.iter().zip(&mut partners).filter(|(_, p)| p.is_none()) {
            if let Some(found) = left.iter().position(|other| fits(own, other)) {
                *partner = Some(left.remove(found));
            }
        }
    }
    let pairs = before.iter().zip(partners).map(|(own, partner)| (Some(own), partner));
    pairs.chain(left.into_iter().map(|other| (None, Some(other)))).collect()
}

fn only(old: &Layer, new: &Layer, cause: Cause) -> LayerReport {
    LayerReport {
        before: Some(old.origin.clone()),
        after: Some(new.origin.clone()),
        causes: BTreeMap::from([(cause, 1)]),
        changes: Vec::new(),
    }
}

fn compare(
    old: &Layer,
    new: &Layer,
    before: &[(String, Entry)],
    after: &[(String, Entry)],
) -> LayerReport {
    let map = |entries: &[(String, Entry)]| -> BTreeMap<String, Entry> {
        entries.iter().cloned().collect()
    };
    let (before_map, after_map) = (map(before), map(after));
    let paths: BTreeSet<&String> = before_map.keys().chain(after_map.keys()).collect();
    let mut changes = Vec::new();
    let mut causes: BTreeMap<Cause, usize> = BTreeMap::new();
    for path in paths {
        let (old, new) = (before_map.get(path), after_map.get(path));
        let found = causes_of(path, old, new);
        if found.is_empty() {
            continue;
        }
        found.iter().for_each(|cause| *causes.entry(*cause).or_default() += 1);
        let (before, after) = (old.map(Entry::describe), new.map(Entry::describe));
        changes.push(Change { path: path.clone(), before, after, causes: found });
    }
    let common = |entries: &[(String, Entry)], other: &BTreeMap<String, Entry>| -> Vec<String> {
        let paths = entries.iter().map(|(path, _)| path);
        paths.filter(|path| other.contains_key(*path)).cloned().collect()
    };
    if common(before, &after_map) != common(after, &before_map) {
        causes.insert(Cause::Order, 1);
    }
    if causes.is_empty() {
        causes.insert(Cause::Encoding, 1);
    }
    LayerReport { changes, causes, ..only(old, new, Cause::Content) }
}

fn causes_of(path: &str, old: Option<&Entry>, new: Option<&Entry>) -> BTreeSet<Cause> {
    let is_bytecode = path.ends_with(".pyc") || path.ends_with("__pycache__");
    let content = if is_bytecode { Cause::Bytecode } else { Cause::Content };
    let mut causes = BTreeSet::new();
    let (Some(old), Some(new)) = (old, new) else { return BTreeSet::from([content]) };
    if (old.kind, old.size, &old.target, old.digest)
        != (new.kind, new.size, &new.target, new.digest)
    {
        causes.insert(content);
    }
    if old.mode != new.mode {
        causes.insert(Cause::Mode);
    }
    if old.owner != new.owner {
        causes.insert(Cause::Owner);
    }
    if old.time != new.time {
        causes.insert(Cause::Time);
    }
    causes
}

impl Entry {
    /// As `ls -l` would, with the beginning of the digest.
    fn describe(&self) -> String {
        let (user, group) = self.owner;
        let mut text = format!(
            "{}{:04o} {user}:{group} {} bytes, time {}",
            self.kind, self.mode, self.size, self.time
        );
        if let Some(target) = &self.target {
            text.push_str(&format!(" -> {target}"));
        }
        if let Some(digest) = &self.digest {
            text.push_str(&format!(", {}", digest.short()));
        }
        text
    }
}

/// Every entry of a layer in the order of its stream.
fn list(
    place: &Place<'_>,
    layer: &Layer,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<(String, Entry)>, DiffError> {
    place.with_tar(layer, |reader| {
        let mut archive = tarball::open_with_sparse(reader);
        let mut entries = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = path.trim_start_matches("./").trim_matches('/').to_owned();
            let read = read_entry(&mut entry)?;
            progress(read.size);
            entries.push((path, read));
        }
        // Whoever writes the stream must not find the reader gone before its last block.
        io::copy(archive.into_inner().into_inner(), &mut io::sink())?;
        Ok(entries)
    })
}

fn read_entry(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Entry> {
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Link => 'h',
        EntryType::Char | EntryType::Block => 'b',
        EntryType::Fifo => 'p',
        _ => '-',
    };
    let (mode, owner) = (header.mode()?, (header.uid()?, header.gid()?));
    let time = header.mtime()?;
    let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
    let (digest, size) = match kind {
        '-' => {
            let (digest, size) = hash_reader(entry)?;
            (Some(digest), size)
        }
        _ => (None, 0),
    };
    Ok(Entry { kind, size, mode: mode & 0o7777, owner, time, target, digest })
}
