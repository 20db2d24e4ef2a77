//! What `repro` and the process that prepares a job tell each other.
//!
//! The order goes there first, as its length and its JSON; after that one byte at a time
//! ([`Control`]). One line of JSON at a time comes back ([`Report`]). The process's
//! arguments hold no path that the job could read in `/proc/1/cmdline`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engine::Failure;
use crate::engine::inside::protocol;

pub(super) use crate::engine::inside::protocol::Control;

/// First argument that makes `repro` the process that prepares a job.
pub(super) const ARGUMENT: &str = "__job";

/// Names of what lies in a job's folder.
pub(super) mod names {
    /// What the job and the preparation write, on disk.
    pub const UPPER: &str = "upper";
    /// The overlay's own folder, on the same disk.
    pub const WORK: &str = "work";
    /// Where the preparing process mounts a file system in memory for everything below.
    pub const RUN: &str = "run";
    /// Links to the layers, `0` the topmost.
    pub const LAYERS: &str = "layers";
    /// Where the writable folders are in the overlay: what the job wrote is found by it.
    pub const PLACES: &str = "places";
    /// Where the overlay is mounted.
    pub const ROOT: &str = "root";
    /// Generated files of `/etc`.
    pub const ETC: &str = "etc";
    /// State of the container library.
    pub const STATE: &str = "state";
}

/// A job as the preparing process needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// The process that gave the order; without it nobody wants the job.
    pub parent: u32,
    /// Folders of the unpacked layers, the topmost first.
    pub layers: Vec<PathBuf>,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Folder the command starts in.
    pub workdir: String,
    /// Files and folders of this machine, ordered by target.
    pub mounts: Vec<Bind>,
    /// Folders of the image that may be written to.
    pub writable: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Whether the job gets a user namespace in which the ordinary user of this process is root.
    pub user_namespace: bool,
    /// What the job reads, which the preparing process was started with.
    pub input: Option<Given>,
    /// Programs of this machine that prepare the job's root, by their time: the runtime
    /// specification's `hooks`.
    pub hooks: BTreeMap<String, Vec<Hook>>,
}

/// An open file that the job gets as its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    /// Its number in the preparing process.
    pub number: i32,
    /// Whether it is a terminal, which gets the job's output, too.
    pub is_terminal: bool,
}

/// A program of this machine that prepares the job's root (OCI runtime specification).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hook {
    pub path: PathBuf,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// One file or folder of this machine inside the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bind {
    /// Absolute path on this machine, without symlinks.
    pub source: PathBuf,
    /// Absolute path in the job.
    pub target: String,
    /// Whether the job may write to it.
    pub writable: bool,
    /// Whether it is a device, which works in the job.
    pub device: bool,
}

/// What the preparing process answers, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The job could not be run.
    Failed(Failure),
    /// The job ended; the first such line counts.
    Ended {
        /// Wait status of its first process (wait(2)).
        status: i32,
        /// Time from its start to its end.
        nanoseconds: u64,
    },
}

impl Order {
    /// Writes the order so that [`Order::receive`] knows where it ends.
    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        protocol::send(self, to)
    }

    /// Reads one order and not a byte more.
    pub(super) fn receive(from: &mut impl Read) -> io::Result<Self> {
        protocol::receive(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_back_and_what_follows_it_stays() {
        let order = Order {
            parent: 7,
            layers: vec!["/store/rootfs/ab".into()],
            command: vec!["echo".to_owned(), "a\nb".to_owned()],
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            mounts: Vec::new(),
            writable: Vec::new(),
            shm_size: 1,
            user_namespace: false,
            input: None,
            hooks: BTreeMap::new(),
        };
        let mut bytes = Vec::new();
        order.send(&mut bytes).unwrap();
        bytes.push(Control::Kill as u8);
        let mut rest = bytes.as_slice();
        assert_eq!(Order::receive(&mut rest).unwrap(), order);
        assert_eq!(rest, [b'k']);
    }

    #[test]
    fn an_order_that_is_cut_short_is_none() {
        assert!(Order::receive(&mut [1, 0].as_slice()).is_err());
        assert!(Order::receive(&mut [9, 0, 0, 0, 0, 0, 0, 0, b'{'].as_slice()).is_err());
    }
}
