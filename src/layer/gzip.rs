//! Gzip members: one that stores bytes, one that carries a copied DEFLATE stream, and
//! many of one size made by libdeflater.
//!
//! A gzip file may have any number of members (RFC 1952, 2.2), each a header, a raw
//! DEFLATE stream, a CRC-32 and a size. The headers here are all the same ten bytes:
//! no time, no name, operating system unknown. Member size, compression level and
//! the limit of stored blocks decide bytes: they belong to the format epoch.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use libdeflater::{CompressionLvl, Compressor};

/// What every member begins with.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes of the tar stream in one compressed member. Cut at fixed places, never by the
/// number of threads; 1 MiB costs 0.1 % against 4 MiB and keeps buffers small.
pub(super) const MEMBER_SIZE: usize = 1 << 20;

/// The level of libdeflater. Every build from a sealed lock makes the compressed part of an
/// image again to prove it, so speed counts. Measured on 113 MB of Debian packages: level 1
/// takes 1.05 s for 47.2 MB, level 2 1.27 s for 44.9 MB, level 6 2.97 s for 43.5 MB, and 4 MB
/// are less than half a percent of an image with torch.
pub(super) const LEVEL: i32 = 1;

/// A stored block holds this many bytes at most (RFC 1951, 3.2.4).
const BLOCK_LIMIT: u64 = 0xffff;

/// What every member ends with: CRC-32 and size modulo 2^32 of its content.
pub(super) fn trailer(crc: u32, size: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes[4..].copy_from_slice(&(size as u32).to_le_bytes());
    bytes
}

/// Writes one member that stores a known number of bytes.
pub(super) struct StoredMember<W> {
    out: W,
    size: u64,
    /// Bytes that no block was begun for.
    left: u64,
    /// Bytes that fit into the block that was begun.
    room: u64,
    crc: crc32fast::Hasher,
}

impl<W: Write> StoredMember<W> {
    /// Begins a member for exactly `size` bytes.
    pub(super) fn begin(mut out: W, size: u64) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let mut member = Self { out, size, left: size, room: 0, crc: crc32fast::Hasher::new() };
        if size == 0 {
            member.begin_block()?;
        }
        Ok(member)
    }

    /// Adds content.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        while !bytes.is_empty() {
            if self.room == 0 {
                self.begin_block()?;
            }
            let count = bytes.len().min(self.room as usize);
            self.out.write_all(&bytes[..count])?;
            self.room -= count as u64;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Ends the member.
    pub(super) fn finish(mut self) -> io::Result<()> {
        debug_assert_eq!((self.left, self.room), (0, 0), "a member got other bytes than announced");
        self.out.write_all(&trailer(self.crc.finalize(), self.size))
    }

    fn begin_block(&mut self) -> io::Result<()> {
        let size = self.left.min(BLOCK_LIMIT);
        self.left -= size;
        self.room = size;
        let (size, last) = (size as u16, u8::from(self.left == 0));
        self.out.write_all(&[last])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&(!size).to_le_bytes())
    }
}

struct Job {
    content: Vec<u8>,
    answer: SyncSender<Vec<u8>>,
}

/// Cuts what is written into members and compresses them on several threads.
///
/// The output does not depend on their number, nor on the sizes of the writes.
pub(super) struct MemberWriter<W> {
    out: W,
    chunk: Vec<u8>,
    jobs: Sender<Job>,
    waiting: VecDeque<Receiver<Vec<u8>>>,
    most_waiting: usize,
}

impl<W: Write> MemberWriter<W> {
    /// Starts `threads` threads in `scope`; they end with the writer.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, threads: usize, out: W) -> Self {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            scope.spawn(move || work(&queue));
        }
        let chunk = Vec::with_capacity(MEMBER_SIZE);
        Self { out, chunk, jobs, waiting: VecDeque::new(), most_waiting: 2 * threads.max(1) }
    }

    /// Compresses what is left and writes everything.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.submit()?;
        }
        while !self.waiting.is_empty() {
            self.collect()?;
        }
        self.out.flush()
    }

    fn submit(&mut self) -> io::Result<()> {
        let content = std::mem::replace(&mut self.chunk, Vec::with_capacity(MEMBER_SIZE));
        let (answer, member) = sync_channel(1);
        self.jobs.send(Job { content, answer }).map_err(|_| stopped())?;
        self.waiting.push_back(member);
        if self.waiting.len() > self.most_waiting { self.collect() } else { Ok(()) }
    }

    fn collect(&mut self) -> io::Result<()> {
        let Some(member) = self.waiting.pop_front() else { return Ok(()) };
        self.out.write_all(&member.recv().map_err(|_| stopped())?)
    }
}

impl<W: Write> Write for MemberWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(MEMBER_SIZE - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == MEMBER_SIZE {
            self.submit()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stopped() -> io::Error {
    io::Error::other("a compressing thread stopped")
}

/// Compresses until there is nothing more to do.
fn work(queue: &Mutex<Receiver<Job>>) {
    let mut compressor = compressor(LEVEL);
    loop {
        let job = queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
        let Ok(job) = job else { return };
        // Nobody waits for the answer after an error elsewhere.
        let _ = job.answer.send(member(&mut compressor, &job.content));
    }
}

/// libdeflater at one of its levels, 0 to 12.
pub(super) fn compressor(level: i32) -> Compressor {
    Compressor::new(CompressionLvl::new(level).expect("the level is one that libdeflater knows"))
}

/// One member with `content` compressed.
fn member(compressor: &mut Compressor, content: &[u8]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    bytes.extend(deflate(compressor, content));
    bytes.extend(trailer(crc32fast::hash(content), content.len() as u64));
    bytes
}

/// A raw DEFLATE stream of `content`.
pub(super) fn deflate(compressor: &mut Compressor, content: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; compressor.deflate_compress_bound(content.len())];
    let size = compressor.deflate_compress(content, &mut stream);
    stream.truncate(size.expect("the buffer has the size that libdeflater asked for"));
    stream
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::digest::Digest;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut content).unwrap();
        content
    }

    fn sample(size: usize) -> Vec<u8> {
        (0..size).map(|index| (index * index / 977 % 251) as u8).collect()
    }

    fn compressed(content: &[u8], threads: usize, write_size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        std::thread::scope(|scope| {
            let mut writer = MemberWriter::start(scope, threads, &mut out);
            content.chunks(write_size).for_each(|part| writer.write_all(part).unwrap());
            writer.finish().unwrap();
        });
        out
    }

    #[test]
    fn stored_members_give_their_bytes_back() {
        for size in [0, 1, 65_535, 65_536, 200_000] {
            let content = sample(size);
            let mut out = Vec::new();
            let mut member = StoredMember::begin(&mut out, size as u64).unwrap();
            content.chunks(777).for_each(|part| member.write(part).unwrap());
            member.finish().unwrap();
            assert_eq!(gunzip(&out), content);
        }
    }

    #[test]
    fn compressed_members_do_not_depend_on_threads_or_write_sizes() {
        let content = sample(3 * MEMBER_SIZE + 17);
        let expected = compressed(&content, 1, content.len());
        assert_eq!(gunzip(&expected), content);
        for (threads, write_size) in [(1, 511), (2, 4096), (7, 1 << 20), (3, 3_000_001)] {
            assert_eq!(compressed(&content, threads, write_size), expected);
        }
    }

    #[test]
    fn the_compressor_is_the_one_of_the_epoch() {
        let digest = Digest::of(&compressed(&sample(2 * MEMBER_SIZE), 2, 4096));
        let expected = "sha256:f7626ea15d773d2410ae832fe9bd1f52c17a302c449930afc30f6342eb07c167";
        assert_eq!(digest.to_string(), expected);
    }
}
