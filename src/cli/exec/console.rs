//! Joins the streams of this process to those of a job: a pipe, or a terminal of the job's own.
//!
//! A job never gets our own terminal or file: bytes are passed on. Between two terminals that goes as
//! `ssh` does it: ours is raw meanwhile, so that every key (Ctrl-C, too) reaches the job's, and the
//! job's has the size of ours.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::engine::{Input, Meter};

/// How soon the end of the job and another size of the terminal are noticed.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const BUFFER: usize = 64 << 10;

/// What passes bytes on while a job runs.
#[derive(Default)]
pub struct Console {
    is_over: Arc<AtomicBool>,
    /// What passes on between two terminals.
    threads: Vec<JoinHandle<()>>,
}

impl Console {
    /// The job's input, and what fills it once `meter` says that the job runs; `is_shown` says that the job's
    /// output goes to ours.
    pub fn open(is_shown: bool, meter: &Meter) -> io::Result<(Option<Input>, Self)> {
        let (input, output) = (io::stdin(), io::stdout());
        // Who is in the background of a terminal may not read from it.
        let is_ours = || tcgetpgrp(&input).is_ok_and(|group| group == rustix::process::getpgrp());
        if input.is_terminal() && !is_ours() {
            return Ok((None, Self::default()));
        }
        match input.is_terminal() && output.is_terminal() && is_shown {
            true => Self::terminal(meter.clone()),
            false => Self::pipe(),
        }
    }

    /// Whether the job has a terminal.
    pub fn is_terminal(&self) -> bool {
        !self.threads.is_empty()
    }

    fn pipe() -> io::Result<(Option<Input>, Self)> {
        let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let console = Self::default();
        let is_over = Arc::clone(&console.is_over);
        thread::spawn(move || pass_keys(File::from(writing), &is_over, None));
        Ok((Some(Input::pipe(reading)), console))
    }

    fn terminal(meter: Meter) -> io::Result<(Option<Input>, Self)> {
        let (ours, side) = pair()?;
        if let Ok(size) = tcgetwinsize(io::stdin()) {
            tcsetwinsize(&ours, size)?;
        }
        let resized = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(libc::SIGWINCH, Arc::clone(&resized))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (keys, screen) = (ours.try_clone()?, ours);
        let flag = Arc::clone(&is_over);
        let keys = thread::spawn(move || {
            // Before that Ctrl-C is for us: to unpack an image takes a while.
            if meter.started().is_some() {
                let _raw = Raw::enter();
                pass_keys(keys, &flag, Some(&resized));
            }
        });
        let screen = thread::spawn(move || pass_screen(screen));
        Ok((Some(Input::terminal(side)), Self { is_over, threads: vec![keys, screen] }))
    }

    /// Waits until everything that the job wrote is shown, and gives the terminal back. Nobody may
    /// hold the job's input any more, and the meter knows that the job has ended.
    pub fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A thread that panicked has shown what it could.
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Our terminal without lines, echo and signals, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// A new terminal: our side, and the side of programs.
fn pair() -> io::Result<(File, OwnedFd)> {
    let (mut ours, mut side) = (0, 0);
    let (name, settings, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
    // SAFETY: both numbers are written by the call, and the rest may be absent.
    if unsafe { libc::openpty(&mut ours, &mut side, name, settings, size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened both, and nobody else has them.
    let (ours, side) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(side)) };
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::fcntl_setfd(&side, rustix::io::FdFlags::CLOEXEC)?;
    Ok((ours, side))
}

/// Passes on what is typed or piped to us until it ends or the job does.
fn pass_keys(mut to: File, is_over: &AtomicBool, resized: Option<&AtomicBool>) {
    let input = io::stdin();
    let mut buffer = vec![0; BUFFER];
    while !is_over.load(Ordering::Relaxed) {
        if resized.is_some_and(|resized| resized.swap(false, Ordering::Relaxed))
            && let Ok(size) = tcgetwinsize(&input)
        {
            let _ = tcsetwinsize(&to, size);
        }
        let mut waited = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut waited, Some(&TICK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        // Past the buffer of the standard library, which would keep what it read too much.
        let count = match rustix::io::read(&input, &mut *buffer) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            Err(_) => return,
        };
        // A job that reads no more needs no more.
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// Shows what the job writes to its terminal until nobody can write to it any more.
fn pass_screen(mut from: File) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let mut output = io::stdout().lock();
                let _ = output.write_all(&buffer[..count]).and_then(|()| output.flush());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The last process with the other side has ended.
            Err(_) => return,
        }
    }
}
