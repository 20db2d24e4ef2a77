//! The archive's list of entries, read and checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::GitError;
use crate::digest::CommitId;

/// The first line of an archive that has the whole tree.
const WHOLE: &[u8] = b"repro-tree 1\n";
/// The first line of an archive without content for a part of its tree.
const PART: &[u8] = b"repro-tree 2\n";

/// The first line of an archive; both have the same length.
pub(super) fn magic(is_whole: bool) -> &'static [u8] {
    if is_whole { WHOLE } else { PART }
}

/// What stands in the list for the size of an entry that is left out.
pub(super) const LEFT_OUT: &str = "-";

/// No list of entries is longer (bytes); guards against a damaged archive.
const LIST_LIMIT: u64 = 256 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Whether it is executable.
        executable: bool,
    },
    /// A symbolic link; its content is the target.
    Symlink,
    /// A submodule at this commit; its files follow.
    Submodule(CommitId),
    /// A folder without entries.
    EmptyFolder,
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Path below the tree, parts joined by slashes.
    pub path: String,
    /// The mode that the tree records.
    pub(super) mode: u32,
    /// Name of the blob, of the submodule's commit or of the empty tree.
    pub(super) object: [u8; 20],
    /// Bytes of content.
    pub size: u64,
    /// Where the content begins in the archive.
    pub offset: u64,
}

impl ArchiveEntry {
    /// What the entry is; git knows of a file's permissions only whether it is executable.
    pub fn kind(&self) -> EntryKind {
        match self.mode & 0o170_000 {
            0o120_000 => EntryKind::Symlink,
            0o160_000 => EntryKind::Submodule(CommitId::from_bytes(self.object)),
            0o040_000 => EntryKind::EmptyFolder,
            _ => EntryKind::File { executable: self.mode & 0o111 != 0 },
        }
    }

    /// Whether an entry of this kind has content in an archive.
    pub(super) fn has_content(&self) -> bool {
        matches!(self.kind(), EntryKind::File { .. } | EntryKind::Symlink)
    }
}

/// An opened archive.
#[derive(Debug)]
pub struct TreeArchive {
    file: File,
    entries: Vec<ArchiveEntry>,
    left_out: Vec<ArchiveEntry>,
}

impl TreeArchive {
    /// Reads the list of entries; contents are read when they are asked for.
    ///
    /// # Errors
    ///
    /// [`GitError::Damaged`] for anything that [`super::write_archive`] did not write.
    pub fn open(file: File) -> Result<Self, GitError> {
        let damaged = |reason| GitError::Damaged { reason };
        let length = file.metadata().map_err(GitError::Read)?.len();
        let mut reader = BufReader::with_capacity(1 << 16, (&file).take(LIST_LIMIT));
        let mut first = [0; WHOLE.len()];
        reader.read_exact(&mut first).map_err(|_| damaged("it is too short"))?;
        if first != WHOLE && first != PART {
            return Err(damaged("it has another format"));
        }
        let (listed, size) = read_list(&mut reader)?;
        drop(reader);
        check_paths(listed.iter().map(|listed| &listed.entry))?;
        let (mut entries, mut left_out) = (Vec::new(), Vec::new());
        for Listed { entry, is_there } in listed {
            if is_there { entries.push(entry) } else { left_out.push(entry) }
        }
        if first != magic(left_out.is_empty()) {
            return Err(damaged("its first line is not what its list says"));
        }
        if place(&mut entries, first.len() as u64 + size) != Some(length) {
            return Err(damaged("its size is not what its list says"));
        }
        Ok(Self { file, entries, left_out })
    }

    /// What is left out of the tree, sorted by the bytes of the paths: names without content.
    pub fn left_out(&self) -> &[ArchiveEntry] {
        &self.left_out
    }

    /// Everything that the tree records, there or left out.
    pub(super) fn recorded(&self) -> impl Iterator<Item = &ArchiveEntry> {
        self.entries.iter().chain(&self.left_out)
    }

    /// The entries that are there, sorted by the bytes of their paths.
    pub fn entries(&self) -> &[ArchiveEntry] {
        &self.entries
    }

    /// Hands on an entry's content in pieces.
    pub fn content(
        &self,
        entry: &ArchiveEntry,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), GitError> {
        let mut buffer = vec![0; 1 << 16];
        let (mut offset, mut left) = (entry.offset, entry.size);
        while left > 0 {
            let count = left.min(buffer.len() as u64) as usize;
            self.file.read_exact_at(&mut buffer[..count], offset).map_err(GitError::Read)?;
            sink(&buffer[..count]).map_err(GitError::Read)?;
            offset += count as u64;
            left -= count as u64;
        }
        Ok(())
    }

    /// The target of a symbolic link.
    pub fn target(&self, entry: &ArchiveEntry) -> Result<String, GitError> {
        let refuse = |reason| GitError::Path { path: entry.path.clone(), reason };
        // PATH_MAX of Linux: no link can lead further.
        if entry.size == 0 || entry.size > 4096 {
            return Err(refuse("a link leads nowhere or has a target of over 4096 bytes"));
        }
        let mut target = Vec::new();
        self.content(entry, &mut |bytes| {
            target.extend_from_slice(bytes);
            Ok(())
        })?;
        let target = String::from_utf8(target).ok().filter(|target| !target.contains('\0'));
        target.ok_or_else(|| refuse("the target of a link is no Unicode text"))
    }
}

/// An entry of the list, and whether its content is in the archive.
struct Listed {
    entry: ArchiveEntry,
    is_there: bool,
}

/// The list up to the empty line that ends it, and its bytes.
fn read_list(reader: &mut impl BufRead) -> Result<(Vec<Listed>, u64), GitError> {
    let damaged = |reason| GitError::Damaged { reason };
    let (mut listed, mut size) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        reader.read_until(0, &mut line).map_err(GitError::Read)?;
        if line.first() == Some(&b'\n') {
            return Ok((listed, size + 1));
        }
        size += line.len() as u64 + 1;
        let mut end = [0];
        reader.read_exact(&mut end).map_err(|_| damaged("its list is cut off"))?;
        let entry = parse(&line).filter(|_| end == *b"\n");
        listed.push(entry.ok_or(damaged("an entry cannot be read"))?);
    }
}

/// One line of the list, up to and with its NUL.
fn parse(line: &[u8]) -> Option<Listed> {
    let text = str::from_utf8(line.strip_suffix(b"\0")?).ok()?;
    let mut fields = text.splitn(4, ' ');
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    let object: CommitId = fields.next()?.parse().ok()?;
    let size = match fields.next()? {
        LEFT_OUT => None,
        size => Some(size.parse().ok()?),
    };
    let path = fields.next()?.to_owned();
    let object = *object.as_bytes();
    let entry = ArchiveEntry { path, mode, object, size: size.unwrap_or(0), offset: 0 };
    (entry.has_content() || entry.size == 0).then_some(Listed { entry, is_there: size.is_some() })
}

/// Gives each entry the place of its content; returns where the last one ends.
pub(super) fn place(entries: &mut [ArchiveEntry], start: u64) -> Option<u64> {
    let mut places: BTreeMap<[u8; 20], (u64, u64)> = BTreeMap::new();
    let mut end = start;
    for entry in entries {
        if !entry.has_content() {
            continue;
        }
        let (offset, size) = *places.entry(entry.object).or_insert((end, entry.size));
        if size != entry.size {
            return None;
        }
        entry.offset = offset;
        if offset == end {
            end = end.checked_add(size)?;
        }
    }
    Some(end)
}

/// Sorted, unique and harmless; nothing lies below a file or a link.
pub(super) fn check_paths<'e>(
    entries: impl Iterator<Item = &'e ArchiveEntry> + Clone,
) -> Result<(), GitError> {
    let refuse = |path: &str, reason| GitError::Path { path: path.to_owned(), reason };
    if !entries.clone().is_sorted_by(|one, next| one.path < next.path) {
        return Err(GitError::Damaged { reason: "its entries are not sorted" });
    }
    let kinds: BTreeMap<&str, EntryKind> =
        entries.clone().map(|entry| (entry.path.as_str(), entry.kind())).collect();
    for ArchiveEntry { path, .. } in entries {
        if let Some(reason) = path.split('/').find_map(hostile) {
            return Err(refuse(path, reason));
        }
        for (end, _) in path.match_indices('/') {
            if !matches!(kinds.get(&path[..end]), None | Some(EntryKind::Submodule(_))) {
                return Err(refuse(path, "it lies below what is no folder"));
            }
        }
    }
    Ok(())
}

/// Why a part of a path cannot be laid out; git refuses most of these, too.
fn hostile(part: &str) -> Option<&'static str> {
    match part {
        "" | "." | ".." => Some("it leads out of its folder"),
        part if part.contains('\0') => Some("it holds a NUL"),
        part if part.eq_ignore_ascii_case(".git") => Some("`.git` belongs to git"),
        part if part.starts_with(".wh.") => {
            Some("a name that begins with `.wh.` would remove something from an image")
        }
        part if part.len() > 255 => Some("a part of it is longer than 255 bytes"),
        _ => None,
    }
}
