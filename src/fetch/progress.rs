//! How far downloads have come, for whoever shows it.

/// Told what happens; one for all downloads that run side by side.
///
/// Methods are called from several threads, often; they should return at once.
pub trait Progress: Sync {
    /// Downloads begin: so many files with so many bytes together.
    fn begin(&self, files: usize, bytes: u64);

    /// A file's download begins.
    fn started(&self, name: &str, size: u64);

    /// So many more bytes of a file are here.
    fn advanced(&self, name: &str, bytes: u64);

    /// A file's download failed for the time being, and so many of its bytes have to come again.
    fn retried(&self, name: &str, lost: u64, reason: &str);

    /// What `place` sent of a file is of no use, so many bytes; the next place is asked, if there is one.
    fn discarded(&self, name: &str, lost: u64, place: &str) {
        self.retried(name, lost, &format!("not what was wanted came from {place}"));
    }

    /// A file's download is over, well or not.
    fn finished(&self, name: &str);

    /// All downloads are over.
    fn end(&self);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _files: usize, _bytes: u64) {}
    fn started(&self, _name: &str, _size: u64) {}
    fn advanced(&self, _name: &str, _bytes: u64) {}
    fn retried(&self, _name: &str, _lost: u64, _reason: &str) {}
    fn finished(&self, _name: &str) {}
    fn end(&self) {}
}
