//! The job's program, and how a process becomes it.
//!
//! The same in every engine: where a name is looked up, what is said when nothing is
//! there, which filter stands before the first instruction of the program.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use seccompiler::BpfProgram;

use super::filter;
use crate::engine::Failure;

/// The job's program, ready for the kernel.
pub(in crate::engine) struct Program {
    name: String,
    /// Where it may be, in the order of the job's `PATH`.
    places: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    /// Makes everything that needs memory: a forked process should only call the kernel.
    pub(in crate::engine) fn new(
        command: &[String],
        env: &BTreeMap<String, String>,
    ) -> Result<Self, NulError> {
        let name = command.first().cloned().unwrap_or_default();
        let places = places(&name, env);
        let environment = env.iter().map(|(key, value)| format!("{key}={value}"));
        Ok(Self {
            places: places
                .iter()
                .map(|path| CString::new(path.as_os_str().as_bytes()))
                .collect::<Result<_, _>>()?,
            arguments: command
                .iter()
                .map(|argument| CString::new(argument.as_str()))
                .collect::<Result<_, _>>()?,
            environment: environment.map(CString::new).collect::<Result<_, _>>()?,
            name,
        })
    }

    /// Replaces this process by the program; returns why it could not.
    fn start(&self) -> Failure {
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            let pointers = strings.iter().map(|string| string.as_ptr());
            pointers.chain([std::ptr::null()]).collect()
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        for place in &self.places {
            // SAFETY: strings that end with a zero, in lists that end with a null pointer.
            unsafe { libc::execve(place.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
            let error = io::Error::last_os_error();
            let place = place.to_string_lossy();
            match error.kind() {
                // A program is there but what runs it, named in its first line or header, is not.
                io::ErrorKind::NotFound if Path::new(&*place).exists() => {
                    let reason = format!("the interpreter of `{place}` is missing");
                    return self.failure(true, reason);
                }
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
                _ => return self.failure(true, format!("`{place}`: {error}")),
            }
        }
        match self.places.as_slice() {
            [] => self.failure(false, "the job has no `PATH` to look it up in".to_owned()),
            [..] => {
                let places = self.places.iter().map(|place| place.to_string_lossy());
                let places = places.collect::<Vec<_>>().join(", ");
                self.failure(false, format!("not found at {places}"))
            }
        }
    }

    fn failure(&self, is_there: bool, reason: String) -> Failure {
        Failure::Command { command: self.name.clone(), is_there, reason }
    }
}

/// A name with a slash is a path; any other is looked up in the job's `PATH`.
fn places(name: &str, env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![PathBuf::from(name)];
    }
    let folders = env.get("PATH").map(String::as_str).unwrap_or_default();
    let folders = folders.split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(folder).join(name)).collect()
}

/// The last steps of the job's own process; returns only if one fails.
pub(in crate::engine) fn become_job(program: &Program, programs: &[BpfProgram]) -> Failure {
    match prepare_job(programs) {
        Ok(()) => program.start(),
        Err(error) => Failure::step("start the job", error),
    }
}

fn prepare_job(programs: &[BpfProgram]) -> Result<(), Box<dyn std::error::Error>> {
    rustix::process::setsid()?;
    // A terminal of the job's own becomes the one that its keys for signals belong to. SAFETY: numbers only.
    unsafe {
        if libc::isatty(0) == 1 {
            libc::ioctl(0, libc::TIOCSCTTY, 0);
        }
    }
    // SAFETY: numbers and plain data only; signals without a number are refused harmlessly.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
    for program in programs {
        filter::install(program)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_the_jobs_path_and_nowhere_else() {
        let env = |path: &str| BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
        let found = |name: &str, env: &BTreeMap<String, String>| -> Vec<String> {
            places(name, env).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(found("sh", &env("/bin::/usr/bin")), ["/bin/sh", "/usr/bin/sh"]);
        assert_eq!(found("./sh", &env("/bin")), ["./sh"]);
        assert!(found("sh", &BTreeMap::new()).is_empty());
    }
}
