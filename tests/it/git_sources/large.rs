//! Blobs that are streamed: from a file of their own, from a pack, and never without being checked.

use std::fs;
use std::path::PathBuf;

use git2::{FileMode, Repository, Signature, Time};
use libdeflater::{CompressionLvl, Compressor};
use repro::digest::{CommitId, Digest};

use super::World;

/// Larger than what is read as a whole.
fn content() -> Vec<u8> {
    (0..9u32 << 20).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A repository with one large file, and the file's object.
fn repository(folder: &tempfile::TempDir) -> (Repository, CommitId, PathBuf) {
    let repository = Repository::init_bare(folder.path().join("net.git")).unwrap();
    let blob = repository.blob(&content()).unwrap();
    let mut tree = repository.treebuilder(None).unwrap();
    tree.insert("weights", blob, FileMode::Blob.into()).unwrap();
    let root = tree.write().unwrap();
    drop(tree);
    let tree = repository.find_tree(root).unwrap();
    let author = Signature::new("a", "a@b", &Time::new(0, 0)).unwrap();
    let commit = repository.commit(Some("refs/heads/main"), &author, &author, "c", &tree, &[]);
    let commit = commit.unwrap().to_string().parse().unwrap();
    drop(tree);
    let hex = blob.to_string();
    let object = repository.path().join("objects").join(&hex[..2]).join(&hex[2..]);
    (repository, commit, object)
}

fn locked_digest(folder: &tempfile::TempDir, commit: CommitId) -> Result<Digest, String> {
    let world = World::new();
    world.instead_of(&format!("file://{}/", folder.path().display()), "https://hub.test/");
    let git = world.lock(&["https://hub.test/net.git"], commit);
    let git = git.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))?;
    let (archive, mut found) = (world.archive(&git), Vec::new());
    let mut keep = |bytes: &[u8]| {
        found.extend_from_slice(bytes);
        Ok(())
    };
    archive.content(&archive.entries()[0], &mut keep).unwrap();
    archive.check("net", git.tree, &[]).unwrap();
    Ok(Digest::of(&found))
}

#[test]
fn a_large_blob_comes_whole_out_of_a_file_of_its_own_and_out_of_a_pack() {
    let folder = tempfile::tempdir().unwrap();
    let (repository, commit, object) = repository(&folder);
    let expected = Ok(Digest::of(&content()));
    assert_eq!(locked_digest(&folder, commit), expected);
    let mut pack = repository.packbuilder().unwrap();
    pack.insert_commit(git2::Oid::from_str(&commit.to_string()).unwrap()).unwrap();
    pack.write(&repository.path().join("objects/pack"), 0o644).unwrap();
    fs::remove_file(object).unwrap();
    assert_eq!(locked_digest(&folder, commit), expected);
}

#[test]
fn a_large_blob_that_is_not_what_its_name_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_repository, commit, object) = repository(&folder);
    let mut other = content();
    other[5 << 20] ^= 1;
    let raw = [format!("blob {}\0", other.len()).as_bytes(), &other].concat();
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut bytes = vec![0; compressor.zlib_compress_bound(raw.len())];
    let size = compressor.zlib_compress(&raw, &mut bytes).unwrap();
    fs::remove_file(&object).unwrap();
    fs::write(object, &bytes[..size]).unwrap();
    let error = locked_digest(&folder, commit).unwrap_err();
    assert!(error.contains("not what its name says"), "{error}");
}
