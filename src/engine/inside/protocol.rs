//! How `repro` and its process inside a container talk.
//!
//! An order goes there first, as its length and its JSON; after that one byte at a time
//! ([`Control`]). One line of JSON at a time comes back ([`Reports`]).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Exit;

/// What `repro` asks for after the order; the end of the stream means [`Control::Kill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::engine) enum Control {
    /// Ask the job's processes to end.
    End = b'e',
    /// End the job's processes.
    Kill = b'k',
}

/// Writes an order so that [`receive`] knows where it ends.
pub(in crate::engine) fn send(order: &impl Serialize, to: &mut impl Write) -> io::Result<()> {
    let text = serde_json::to_vec(order)?;
    to.write_all(&(text.len() as u64).to_le_bytes())?;
    to.write_all(&text)
}

/// Reads one order and not a byte more.
pub(in crate::engine) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let mut text = Vec::new();
    from.take(u64::from_le_bytes(length)).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Where reports go. It closes when the job's program starts.
#[derive(Debug)]
pub(in crate::engine) struct Reports(File);

impl Reports {
    /// Takes over standard error, which becomes the job's later.
    pub(in crate::engine) fn take_stderr() -> io::Result<Arc<Self>> {
        let fd = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
        Ok(Arc::new(Self(File::from(fd))))
    }

    /// Sends one report; if nobody listens any more, nobody misses it.
    pub(in crate::engine) fn send(&self, report: &impl Serialize) {
        let mut line = serde_json::to_string(report).unwrap_or_default();
        line.push('\n');
        let _ = (&self.0).write_all(line.as_bytes());
    }

    /// The number of the open file.
    pub(in crate::engine) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Write for &Reports {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a wait status (wait(2)).
pub(in crate::engine) fn exit(status: i32) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Status(libc::WEXITSTATUS(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_a_status_or_a_signal() {
        assert_eq!(exit(3 << 8), Exit::Status(3));
        assert_eq!(exit(9), Exit::Signal(9));
        assert_eq!(exit(11 | 0x80), Exit::Signal(11));
    }
}
