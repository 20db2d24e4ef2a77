//! Makes a mirror readable for other tools: a Python index (PEP 503) and a Debian pool.
//!
//! Nothing is copied: the names are symbolic links to the blobs, which stay right when the folder
//! is moved or served. A file system without links keeps the blobs alone, which is all that
//! `repro` needs.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::error::{CarryError, at};
use super::mirror::{is_unsupported, write};
use crate::digest::Digest;
use crate::lock::{Lock, PinnedKind};

/// Links the wheels and packages of `lock`; returns whether the file system can.
pub(super) fn link(lock: &Lock, folder: &Path) -> Result<bool, CarryError> {
    for pinned in lock.pinned() {
        let place = match &pinned.kind {
            PinnedKind::Package { path } => path.clone(),
            PinnedKind::Distribution { project } => format!("simple/{project}/{}", pinned.name),
            _ => continue,
        };
        if !link_one(folder, &place, &pinned.digest)? {
            return Ok(false);
        }
    }
    write_pages(&folder.join("simple"))?;
    Ok(true)
}

fn link_one(folder: &Path, place: &str, digest: &Digest) -> Result<bool, CarryError> {
    let path = folder.join(place);
    let up = "../".repeat(place.matches('/').count());
    let target = format!("{up}blobs/sha256/{}", digest.hex());
    let above = path.parent().unwrap_or(folder);
    fs::create_dir_all(above).map_err(at("create", above))?;
    match symlink(&target, &path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Another lock has another file of this name: the newer one is shown.
            if fs::read_link(&path).is_ok_and(|found| found != Path::new(&target)) {
                fs::remove_file(&path).map_err(at("remove", &path))?;
                symlink(&target, &path).map_err(at("create", &path))?;
            }
            Ok(true)
        }
        Err(error) if is_unsupported(&error) => Ok(false),
        Err(error) => Err(at("create", &path)(error)),
    }
}

/// A page for each project, and one of all projects.
fn write_pages(simple: &Path) -> Result<(), CarryError> {
    let Ok(projects) = names(simple) else { return Ok(()) };
    let mut all = String::from(HEAD);
    for project in projects.iter().filter(|name| simple.join(name).is_dir()) {
        all.push_str(&format!("<a href=\"{project}/\">{project}</a><br>\n"));
        let folder = simple.join(project);
        let mut page = String::from(HEAD);
        for file in names(&folder).map_err(at("read", &folder))? {
            let Ok(target) = fs::read_link(folder.join(&file)) else { continue };
            let hex = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let href = file.replace('%', "%25").replace('+', "%2B");
            page.push_str(&format!("<a href=\"{href}#sha256={hex}\">{file}</a><br>\n"));
        }
        write(&folder.join("index.html"), page.as_bytes())?;
    }
    write(&simple.join("index.html"), all.as_bytes())
}

const HEAD: &str = "<!DOCTYPE html>\n";

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
