//! What directories a stack of layers has, without unpacking any.
//!
//! Layers are read as a container engine stacks them (OCI image layer specification,
//! "Whiteouts"): what a layer deletes is gone from the layers below it, a file over a folder hides
//! everything in it, a folder over a folder joins it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::EntryType;

use crate::layer::Directories;
use crate::tarball::{self, PathBytes};

/// How a deleted file's name begins.
const WHITEOUT: &str = ".wh.";
/// Says that a folder hides the one below.
const OPAQUE: &str = ".wh..wh..opq";
/// Stands between a link's name and its target in a lock.
const LINK: &str = " -> ";

/// What one layer does to the paths of those below, in the order of its entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LayerPaths {
    /// Paths that are gone from the layers below.
    removed: Vec<String>,
    /// Folders of which everything below is gone.
    emptied: Vec<String>,
    entries: Vec<(String, Kind)>,
    bytes: PathBytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory,
    Symlink(String),
    /// A further name of what stands at another path of the layer.
    HardLink(String),
    Other,
}

impl LayerPaths {
    /// Reads a layer's tar stream to its end.
    pub(super) fn read(tar: impl Read) -> io::Result<Self> {
        let mut paths = Self::default();
        for entry in tarball::open(tar).entries()? {
            let entry = entry?;
            let Some(path) = plain(&entry.path_bytes()) else { continue };
            paths.bytes.add(path.as_bytes()).map_err(|reason| too_many(&path, reason))?;
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name == OPAQUE {
                paths.emptied.push(parent.to_owned());
                continue;
            }
            if let Some(name) = name.strip_prefix(WHITEOUT) {
                paths.removed.push(join(parent, name));
                continue;
            }
            let target = || entry.link_name_bytes().map(|bytes| bytes.into_owned());
            let kind = match entry.header().entry_type() {
                EntryType::Directory => Kind::Directory,
                EntryType::Symlink => target()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .map_or(Kind::Other, Kind::Symlink),
                EntryType::Link => {
                    target().and_then(|bytes| plain(&bytes)).map_or(Kind::Other, Kind::HardLink)
                }
                EntryType::XGlobalHeader => continue,
                _ => Kind::Other,
            };
            paths.entries.push((path, kind));
        }
        Ok(paths)
    }
}

fn too_many(path: &str, reason: &str) -> io::Error {
    let text = format!("`{}`: {reason}", tarball::shortened(path.as_bytes()));
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// A path without `./` before and `/` behind it; none for the root itself, for one that leads out
/// of it, and for one that is not Unicode, which no path of ours can go through.
fn plain(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
    let path = parts.collect::<Vec<_>>().join("/");
    let leads_out = path.split('/').any(|part| part == "..");
    (!path.is_empty() && !leads_out).then_some(path)
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

/// The folders and links of a stack of layers.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: BTreeMap<String, Kind>,
    bytes: PathBytes,
}

impl Table {
    /// Puts a layer on top.
    ///
    /// # Errors
    ///
    /// The reason where folders lie so deep that their paths take too much.
    pub(super) fn add(&mut self, layer: LayerPaths) -> io::Result<()> {
        // Whiteouts are about the layers below, wherever in its own layer they stand.
        for path in &layer.emptied {
            self.clear_below(path);
        }
        for path in &layer.removed {
            self.clear(path);
        }
        for (path, kind) in layer.entries {
            self.make_parents(&path)?;
            self.place(path, kind)?;
        }
        Ok(())
    }

    /// A layer may leave out the folders that its files are in; a link there is hidden all the same.
    fn make_parents(&mut self, path: &str) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            if self.places.get(&path[..end]) != Some(&Kind::Directory) {
                self.place(path[..end].to_owned(), Kind::Directory)?;
            }
        }
        Ok(())
    }

    fn place(&mut self, path: String, kind: Kind) -> io::Result<()> {
        let kind = match kind {
            Kind::HardLink(target) => self.places.get(&target).cloned().unwrap_or(Kind::Other),
            kind => kind,
        };
        match (&kind, self.places.get(&path)) {
            (Kind::Directory, Some(Kind::Directory)) => return Ok(()),
            (_, Some(_)) => self.clear(&path),
            _ => {}
        }
        if matches!(kind, Kind::Directory | Kind::Symlink(_)) {
            self.bytes.add(path.as_bytes()).map_err(|reason| too_many(&path, reason))?;
            self.places.insert(path, kind);
        }
        Ok(())
    }

    fn clear(&mut self, path: &str) {
        self.places.remove(path);
        self.clear_below(path);
    }

    fn clear_below(&mut self, path: &str) {
        if path.is_empty() {
            return self.places.clear();
        }
        let begin = format!("{path}/");
        let range = self.places.range(begin.clone()..);
        let below: Vec<String> = range
            .map(|(path, _)| path.clone())
            .take_while(|path| path.starts_with(&begin))
            .collect();
        below.iter().for_each(|path| drop(self.places.remove(path)));
    }

    /// By parent, the names of folders, and of links that lead to one, as a lock has them.
    pub(super) fn directories(&self) -> BTreeMap<String, Vec<String>> {
        let mut known = Directories::new();
        for (path, kind) in &self.places {
            match kind {
                Kind::Directory => known.insert_directory(path),
                Kind::Symlink(target) => known.insert_symlink(path, target),
                Kind::HardLink(_) | Kind::Other => {}
            }
        }
        let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, kind) in &self.places {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let line = match kind {
                // A lock could not tell it from a link; nobody's path goes through such a name.
                _ if path.contains(LINK) || path.contains(char::is_control) => continue,
                Kind::Symlink(target) if leads_to_directory(&known, path) => {
                    format!("{name}{LINK}{target}")
                }
                Kind::Directory => name.to_owned(),
                _ => continue,
            };
            table.entry(parent.to_owned()).or_default().push(line);
        }
        table.values_mut().for_each(|names| names.sort());
        table
    }
}

fn leads_to_directory(known: &Directories, path: &str) -> bool {
    let end = known.resolve(path);
    end.is_some_and(|end| end.is_empty() || known.has_directory(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, Kind)]) -> LayerPaths {
        let mut paths = LayerPaths::default();
        for (path, kind) in entries {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            match name.strip_prefix(WHITEOUT) {
                Some(".wh..opq") => paths.emptied.push(parent.to_owned()),
                Some(name) => paths.removed.push(join(parent, name)),
                None => paths.entries.push(((*path).to_owned(), kind.clone())),
            }
        }
        paths
    }

    fn link(target: &str) -> Kind {
        Kind::Symlink(target.to_owned())
    }

    fn lines(layers: Vec<LayerPaths>) -> Vec<String> {
        let mut table = Table::default();
        layers.into_iter().for_each(|layer| table.add(layer).unwrap());
        let lines = table.directories().into_iter();
        lines
            .flat_map(|(parent, names)| names.into_iter().map(move |name| join(&parent, &name)))
            .collect()
    }

    #[test]
    fn folders_and_links_that_lead_to_one_are_listed_and_nothing_else() {
        let base = layer(&[
            ("usr", Kind::Directory),
            ("usr/lib", Kind::Directory),
            ("lib", link("usr/lib")),
            ("lib64", link("/lib/./")),
            ("root", link("/")),
            ("sh", link("usr/bin/dash")),
            ("up", link("../../usr")),
            ("loop", link("loop")),
            ("file", Kind::Other),
        ]);
        let expected = [
            "lib -> usr/lib",
            "lib64 -> /lib/./",
            "root -> /",
            "up -> ../../usr",
            "usr",
            "usr/lib",
        ];
        assert_eq!(lines(vec![base]), expected);
    }

    #[test]
    fn what_an_upper_layer_deletes_or_hides_is_gone() {
        let lower = layer(&[
            ("a/b/c", Kind::Directory),
            ("d/e", Kind::Directory),
            ("f/g", Kind::Directory),
            ("h", link("a")),
            ("i", Kind::Directory),
        ]);
        let upper = layer(&[
            ("a/.wh.b", Kind::Other),
            ("d/n", Kind::Directory),
            ("d/.wh..wh..opq", Kind::Other),
            ("f", Kind::Other),
            ("h/x", Kind::Other),
            ("i", link("d")),
        ]);
        assert_eq!(lines(vec![lower, upper]), ["a", "d", "h", "i -> d", "d/n"]);
    }

    #[test]
    fn a_whiteout_spares_what_its_own_layer_has_and_similar_names() {
        let lower = layer(&[("a/x", Kind::Directory), ("ab", Kind::Directory)]);
        let upper = layer(&[("a/y", Kind::Directory), (".wh.a", Kind::Other)]);
        assert_eq!(lines(vec![lower, upper]), ["a", "ab", "a/y"]);
    }

    #[test]
    fn folders_that_lie_too_deep_are_refused_before_they_fill_the_memory() {
        let deep = |number: u32| (format!("{number}/{}x", "a/".repeat(2000)), Kind::Other);
        let mut paths = LayerPaths::default();
        paths.entries.extend((0..40).map(deep));
        let error = Table::default().add(paths).unwrap_err().to_string();
        assert!(error.contains("more than 128 MiB"), "{error}");
        let mut names = b"2000 path=".to_vec();
        names.resize(1999, b'n');
        names.push(b'\n');
        let mut tar = header(b'x', names.len());
        tar.extend(names);
        tar.resize(tar.len().next_multiple_of(512), 0);
        tar.extend(header(b'5', 0));
        let error = LayerPaths::read(tar.as_slice()).unwrap_err().to_string();
        assert!(error.contains("longer than 255 bytes"), "{error}");
    }

    /// A header without a name.
    fn header(kind: u8, size: usize) -> Vec<u8> {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes()[257..265].copy_from_slice(b"ustar\x0000");
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size as u64);
        header.set_mtime(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn a_hard_link_to_a_link_is_a_link_too() {
        let base = layer(&[
            ("usr", Kind::Directory),
            ("one", link("usr")),
            ("two", Kind::HardLink("one".to_owned())),
        ]);
        assert_eq!(lines(vec![base]), ["one -> usr", "two -> usr", "usr"]);
    }
}
