//! Whether a layer's folders are folders in the layers below it.
//!
//! A layer may have `lib/x` and no entry for `lib`. Where the layers below have a link of
//! that name, programs differ in what the image then is: one hides the link and with it
//! all that it led to, another follows it. Such an image is refused instead. A folder with
//! an entry of its own replaces what is below, in every program.

use std::path::{Path, PathBuf};

use super::marks::Mark;
use crate::digest::DiffId;
use crate::engine::EngineError;
use crate::image::ImageLayer;
use crate::store::{Store, StoreError};

/// The store's bucket: diff ID to the layer's folders without an entry, as JSON.
const BUCKET: &str = "implicit-folders";

/// Keeps the folders of a layer that have no entry of their own.
pub(super) fn remember(
    store: &Store,
    diff_id: DiffId,
    folders: &[PathBuf],
) -> Result<(), StoreError> {
    let folders: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
    let text = serde_json::to_string(&folders).unwrap_or_default();
    store.remember(BUCKET, &diff_id.0.hex(), &text)
}

/// Refuses layers that mean different images to different programs; `unpacked` are their
/// folders, in the same order, lowest first.
pub(in crate::engine::embedded) fn check(
    store: &Store,
    layers: &[ImageLayer],
    unpacked: &[PathBuf],
) -> Result<(), EngineError> {
    for (position, layer) in layers.iter().enumerate().skip(1) {
        let text = store.recall(BUCKET, &layer.diff_id.0.hex())?.unwrap_or_default();
        let folders: Vec<PathBuf> = serde_json::from_str(&text).unwrap_or_default();
        for folder in folders {
            if let Some(path) = obstacle(&unpacked[..position], &folder) {
                let (below, entry) = (path.display(), folder.display().to_string());
                let reason = format!(
                    "the layers below have a file or a link at `{below}`, and this layer does not \
                     say whether its folder takes its place"
                );
                return Err(EngineError::Unpack { diff_id: layer.diff_id, entry, reason });
            }
        }
    }
    Ok(())
}

/// The first part of `path` that the layers show as something else than a folder.
fn obstacle(layers: &[PathBuf], path: &Path) -> Option<PathBuf> {
    let mut prefixes: Vec<_> = path.ancestors().filter(|it| !it.as_os_str().is_empty()).collect();
    prefixes.reverse();
    let mut showing: Vec<&PathBuf> = layers.iter().rev().collect();
    for prefix in prefixes {
        let mut next = Vec::new();
        for layer in showing {
            let full = layer.join(prefix);
            let Ok(metadata) = full.symlink_metadata() else { continue };
            if metadata.is_dir() {
                next.push(layer);
                if Mark::Opaque.is_at(&full) {
                    break;
                }
            } else if next.is_empty() && !Mark::Deleted.is_at(&full) {
                return Some(prefix.to_owned());
            } else {
                // It hides what lies below it.
                break;
            }
        }
        showing = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_below_is_an_obstacle_unless_something_hides_it() {
        let folder = tempfile::tempdir().unwrap();
        let layers = ["low", "middle"].map(|name| folder.path().join(name));
        fs::create_dir_all(layers[0].join("usr/lib")).unwrap();
        symlink("usr/lib", layers[0].join("lib")).unwrap();
        fs::create_dir(&layers[1]).unwrap();
        assert_eq!(obstacle(&layers, Path::new("usr/lib/x")), None);
        assert_eq!(obstacle(&layers, Path::new("lib/x")), Some("lib".into()));
        fs::create_dir(layers[1].join("lib")).unwrap();
        assert_eq!(obstacle(&layers, Path::new("lib/x")), None);
        fs::write(layers[1].join("usr"), "").unwrap();
        assert_eq!(obstacle(&layers, Path::new("usr/lib")), Some("usr".into()));
    }
}
