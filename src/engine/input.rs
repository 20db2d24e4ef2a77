//! What a job reads from its standard input, if somebody gives it anything.
//!
//! Cases and builds read nothing. For a command that a person runs, it is the end of a pipe that
//! this program fills, or a terminal of the job's own that this program is the other side of. Never a file of
//! this machine as it is: a job could open it anew through `/proc/self/fd`, for writing, too.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// The job's side of a pipe or of a terminal.
#[derive(Debug, Clone)]
pub struct Input {
    side: Arc<OwnedFd>,
    is_terminal: bool,
}

impl Input {
    /// The reading end of a pipe.
    pub fn pipe(end: OwnedFd) -> Self {
        Self { side: Arc::new(end), is_terminal: false }
    }

    /// A terminal's side for programs: output goes to it as well.
    pub fn terminal(side: OwnedFd) -> Self {
        Self { side: Arc::new(side), is_terminal: true }
    }

    /// Whether it is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Where a terminal is, as another mount namespace can be given it.
    pub(super) fn terminal_path(&self) -> io::Result<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.side.as_raw_fd()))
    }

    /// Passes the pipe on into the named pipe at `path`, once somebody reads there.
    pub(super) fn pass_into(&self, path: PathBuf) {
        let side = Arc::clone(&self.side);
        thread::spawn(move || {
            // Blocks until the job is there; a job that never comes leaves nothing to pass on.
            let to = File::options().write(true).open(path);
            let from = side.try_clone().map(File::from);
            if let (Ok(mut to), Ok(mut from)) = (to, from) {
                let _ = io::copy(&mut from, &mut to);
            }
        });
    }

    /// Lets the next process that is started have it under its own number.
    pub(super) fn hand_on(&self) -> io::Result<RawFd> {
        rustix::io::fcntl_setfd(&*self.side, rustix::io::FdFlags::empty())?;
        Ok(self.side.as_raw_fd())
    }
}
