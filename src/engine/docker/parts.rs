//! The files that `repro` is made of, as a container needs them to run it.
//!
//! The image may have another C library or none, so the program comes with its own: the
//! dynamic loader and the libraries that it runs with on this machine. They are mounted
//! below `/dev`, beside the devices, and leave the image's own tree as it is.

use std::ffi::{CStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use super::inside;
use crate::engine::{EngineError, Failure};

/// The folder in the container.
const FOLDER: &str = "/dev/.repro";

/// Second argument that makes `repro` print the files it is made of.
const ARGUMENT: &str = "parts";

/// The program and what it needs, on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    program: PathBuf,
    /// What loads the program; none if it needs nothing.
    loader: Option<PathBuf>,
    libraries: Vec<PathBuf>,
}

impl Parts {
    /// Asks `program` what it is made of.
    pub(super) fn of(program: &Path) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Helper { action: "start", source };
        let output = Command::new(program)
            .args([inside::ARGUMENT, ARGUMENT])
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        let parts: Self = serde_json::from_slice(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Failure::step("find the parts of the program", said)
        })?;
        Ok(Self { program: program.to_owned(), ..parts })
    }

    /// Every file, and its place in the container.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, String)> {
        let all = self.libraries.iter().chain(&self.loader);
        all.map(|path| (path.as_path(), place(path)))
            .chain([(self.program.as_path(), format!("{FOLDER}/repro"))])
    }

    /// The command that starts the program in the container.
    pub(super) fn command(&self) -> Vec<String> {
        let loaded = self
            .loader
            .iter()
            .flat_map(|loader| [place(loader), "--library-path".to_owned(), FOLDER.to_owned()]);
        loaded.chain([format!("{FOLDER}/repro"), inside::ARGUMENT.to_owned()]).collect()
    }
}

fn place(path: &Path) -> String {
    format!("{FOLDER}/{}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Prints the files of this process if that is what it was started for.
pub(super) fn entry() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments != [inside::ARGUMENT, ARGUMENT] {
        return None;
    }
    match serde_json::to_writer(std::io::stdout(), &of_this_process()) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// What the loader has loaded, under the names by which it would look for it again.
fn of_this_process() -> Parts {
    extern "C" fn add(info: *mut libc::dl_phdr_info, _: libc::size_t, found: *mut c_void) -> c_int {
        // SAFETY: the C library passes one entry with a name that ends with a zero, and the
        // pointer that was handed to it below.
        let (found, name, address) = unsafe {
            let found = &mut *found.cast::<Vec<(PathBuf, u64)>>();
            (found, CStr::from_ptr((*info).dlpi_name), (*info).dlpi_addr)
        };
        let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        // The program itself has no name, and the kernel's own library is no file.
        if path.is_absolute() {
            found.push((path.to_owned(), address));
        }
        0
    }
    let mut found: Vec<(PathBuf, u64)> = Vec::new();
    // SAFETY: the function above takes the pointer for what it is; both live until this returns.
    let base = unsafe {
        libc::dl_iterate_phdr(Some(add), (&raw mut found).cast());
        libc::getauxval(libc::AT_BASE)
    };
    let (loaders, libraries): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, address)| base != 0 && *address == base);
    Parts {
        program: PathBuf::new(),
        loader: loaders.into_iter().map(|(path, _)| path).next(),
        libraries: libraries.into_iter().map(|(path, _)| path).collect(),
    }
}
