//! The image of a record: whether its seal and its lock belong together.

use super::Checked;
use crate::bench::RunRecord;
use crate::build;
use crate::digest::Digest;
use crate::lock::Lock;
use crate::store::Store;

/// Digits of the seal in a run's name.
const DIGITS: usize = 12;

/// Compares seal and lock of the record with the run's name and with what the store knows.
pub(super) fn check(store: &Store, record: &RunRecord, checked: &mut Checked) {
    let image = &record.image;
    if let Some(digits) = digits_of_name(&record.run)
        && record.parsed.is_none()
        && !image.seal.hex().starts_with(digits)
    {
        let expected = format!("sha256:{digits}… (the name of the run)");
        checked.differs("image.seal", expected, image.seal.to_string());
        return;
    }
    // Logs that were parsed without a lock name nothing.
    if image.seal == Digest::from_bytes([0; 32]) {
        return checked.cannot("seal: the record names none".to_owned());
    }
    match lock_of(store, &image.seal) {
        Ok(lock) => compare(record, &lock, checked),
        Err(reason) => match other_seal(store, &image.lock) {
            Some(seal) => {
                let expected = format!("{seal} (what the lock {} gives)", image.lock);
                checked.differs("image.seal", expected, image.seal.to_string());
            }
            None => checked.cannot(format!("seal: {reason}")),
        },
    }
}

fn digits_of_name(run: &str) -> Option<&str> {
    let digits = run.split('-').nth(1)?;
    (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then_some(digits)
}

fn compare(record: &RunRecord, lock: &Lock, checked: &mut Checked) {
    let image = &record.image;
    if lock.digest() != image.lock {
        checked.differs("image.lock", lock.digest().to_string(), image.lock.to_string());
    }
    if lock.name != image.name {
        checked.differs("image.name", lock.name.clone(), image.name.clone());
    }
    if record.parsed.is_some() {
        return;
    }
    // They stand in the lock's text but not in its digest, so a later text may have others.
    let mounted = lock.mounted(&record.profile.name);
    let is_same = |(path, digest): &(&str, Digest)| {
        record.profile.files.iter().any(|file| file.path == *path && file.digest == *digest)
    };
    if !mounted.iter().all(is_same) {
        checked.cannot("profile.files: the store has a later text of the lock, with others".into());
    }
}

fn lock_of(store: &Store, seal: &Digest) -> Result<Lock, String> {
    let unknown = || format!("the store does not know {seal}");
    let source = build::source_of(store, seal).map_err(|_| unknown())?;
    let text = store.read_blob(&source.lock).map_err(|error| error.to_string())?;
    let path = store.blob_path(&source.lock);
    Lock::parse(&String::from_utf8_lossy(&text), &path).map_err(|error| error.to_string())
}

/// The seal that a lock gave here, if the store knows the lock.
fn other_seal(store: &Store, lock: &Digest) -> Option<Digest> {
    let checkouts = build::checkouts(store).ok()?;
    if let Some(checkout) = checkouts.iter().find(|checkout| checkout.lock == *lock) {
        return Some(checkout.seal);
    }
    let sources = build::sources(store).ok()?.into_iter();
    sources
        .map(|(seal, _)| seal)
        .find(|seal| lock_of(store, seal).is_ok_and(|known| known.digest() == *lock))
}
