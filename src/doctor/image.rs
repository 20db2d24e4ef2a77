//! The GPU code of an image, and which of a machine's cards can run it.

use serde::Serialize;

use super::DoctorError;
use super::cards::KnownCard;
use super::code::{Capability, Code, list};
use super::cuda::{self, Version};
use super::library::{Library, Support};
use super::wheel::{WheelCode, is_library};
use crate::engine::Stop;
use crate::lock::{Lock, LockedWheel};
use crate::store::Store;

/// What NVIDIA's wheels of the runtime are called, whatever version follows.
const RUNTIME_WHEEL: &str = "nvidia-cuda-runtime";

/// How the names of NVIDIA's own wheels begin.
const VENDORS_WHEEL: &str = "nvidia-";

/// Wheels up to this size (bytes) are read in a moment, and nobody has to be told.
const SMALL: u64 = 32 << 20;

/// One wheel of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageWheel {
    /// Name and version, `torch 1.9.1`; the path of a library that a build job made.
    pub wheel: String,
    /// What it holds; absent while it is not in the store.
    pub code: Option<WheelCode>,
}

/// The GPU code of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImageCode {
    /// Every wheel, of the index or compiled, and every compiled library that is no part of one.
    pub wheels: Vec<ImageWheel>,
    /// The base of a registry, whose libraries are not looked at.
    pub base: Option<String>,
}

/// Why a card cannot run an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What is needed, as a noun.
    pub needed: String,
    /// What is there instead.
    pub there: String,
}

impl ImageCode {
    /// Looks into the wheels of `lock` that the store has; `tell` hears of each that takes a while.
    pub fn read(
        store: &Store,
        lock: &Lock,
        stop: &Stop,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Self, DoctorError> {
        let mut code =
            Self { base: lock.base.as_ref().map(|base| base.image.clone()), wheels: Vec::new() };
        code.add_files(store, lock)?;
        for wheel in wheels(lock) {
            let name = format!("{} {}", wheel.name, wheel.version);
            let found = match store.has(&wheel.sha256) {
                false => None,
                true => {
                    if wheel.size > SMALL && WheelCode::known(store, &wheel.sha256)?.is_none() {
                        tell(&name);
                    }
                    Some(WheelCode::read(store, &wheel.sha256, &wheel.file, stop)?)
                }
            };
            code.wheels.push(ImageWheel { wheel: name, code: found });
        }
        Ok(code)
    }

    /// Adds the libraries that build jobs left as files.
    fn add_files(&mut self, store: &Store, lock: &Lock) -> Result<(), DoctorError> {
        let built = lock.builds.iter().filter(|build| build.profile.is_none());
        let files = built.flat_map(|build| &build.files);
        for file in files.filter(|file| is_library(&file.path)) {
            let code = match store.has(&file.sha256) {
                false => None,
                true => Some(WheelCode::of_file(store, &file.sha256, &file.path)?),
            };
            self.wheels.push(ImageWheel { wheel: file.path.clone(), code });
        }
        Ok(())
    }

    /// The wheels that the store did not have.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.wheels.iter().filter(|it| it.code.is_none()).map(|it| it.wheel.as_str())
    }

    /// The wheels with GPU code.
    pub fn with_code(&self) -> impl Iterator<Item = (&str, &WheelCode)> {
        let read = self.wheels.iter().filter_map(|it| Some((it.wheel.as_str(), it.code.as_ref()?)));
        read.filter(|(_, code)| !code.libraries.is_empty())
    }

    /// The newest CUDA runtime: one that is a wheel, or one that a library is linked to.
    pub fn runtime(&self) -> Option<Version> {
        let read = self.wheels.iter().filter_map(|it| it.code.as_ref());
        let linked = read.flat_map(|code| code.runtimes.iter().copied());
        // A library is linked to `libcudart.so.11.0`, whichever 11 it is.
        let wheels = self.wheels.iter().filter(|it| it.wheel.starts_with(RUNTIME_WHEEL));
        let versions = wheels.filter_map(|it| Version::parse(it.wheel.split_once(' ')?.1));
        linked.chain(versions).max()
    }

    /// The wheels whose own libraries have no code for a card of capability `card`, with what they have.
    ///
    /// NVIDIA's libraries are left out: many are optional, and some keep their kernels where only they find them.
    pub fn lacks(&self, card: Capability) -> Vec<String> {
        self.lacking(card, false)
    }

    /// The same of NVIDIA's libraries: what calls them may fail, and the rest may run.
    pub fn vendors_lacks(&self, card: Capability) -> Vec<String> {
        self.lacking(card, true)
    }

    fn lacking(&self, card: Capability, of_vendor: bool) -> Vec<String> {
        let of_wheel = |(name, code): (&str, &WheelCode)| {
            let is_vendors = |it: &&Library| name.starts_with(VENDORS_WHEEL) || it.is_vendors();
            let libraries = code.libraries.iter().filter(|it| is_vendors(it) == of_vendor);
            lacking(name, &libraries.collect::<Vec<_>>(), card, of_vendor)
        };
        self.with_code().filter_map(of_wheel).collect()
    }

    /// The libraries whose code the driver would have to compile for the card first.
    pub fn compiled_for(&self, card: Capability) -> Vec<String> {
        let of_wheel = |(name, code): (&str, &WheelCode)| -> Vec<String> {
            let libraries = code.libraries.iter();
            let compiled = libraries.filter(|it| it.support(card) == Support::Compiled);
            compiled.map(|library| format!("{} of {name}", file_name(&library.path))).collect()
        };
        self.with_code().flat_map(of_wheel).collect()
    }

    /// Why the image cannot run on a card, one reason for each wheel; nothing is held against a card whose
    /// capability is not known.
    pub fn unfit(&self, known: &KnownCard) -> Vec<Unfit> {
        let Some(capability) = known.capability else { return Vec::new() };
        let needed = format!("code for {} ({capability})", known.card.name);
        let unfit = |there| Unfit { needed: needed.clone(), there };
        self.lacks(capability).into_iter().map(unfit).collect()
    }

    /// Why the image cannot run with `driver`, if so.
    pub fn unfit_driver(&self, driver: &str) -> Option<Unfit> {
        let runtime = self.runtime()?;
        let oldest = runtime.oldest_driver()?;
        if cuda::is_new_enough(driver, oldest)? {
            return None;
        }
        let needed = format!("driver {oldest} or newer for CUDA {runtime}");
        Some(Unfit { needed, there: format!("driver {driver}") })
    }
}

/// The wheels that are installed in the image.
fn wheels(lock: &Lock) -> impl Iterator<Item = &LockedWheel> {
    let built = lock.builds.iter().filter(|build| build.profile.is_none());
    lock.wheels.iter().chain(built.filter_map(|build| build.output.as_ref()))
}

/// What a wheel's `libraries` have in place of code for a card; `None` as long as most of their code can run there.
fn lacking(
    name: &str,
    libraries: &[&Library],
    card: Capability,
    of_vendor: bool,
) -> Option<String> {
    let telling = || libraries.iter().filter(|library| library.is_evidence());
    let without: Vec<_> = telling().filter(|it| !it.support(card).is_enough()).collect();
    let all: u64 = telling().map(|library| library.bytes()).sum();
    let missing: u64 = without.iter().map(|library| library.bytes()).sum();
    // A library that nobody may ever load must not speak for the whole wheel.
    if missing * 2 < all {
        return None;
    }
    let largest = without.iter().max_by_key(|library| library.bytes())?;
    let has = largest.code();
    let ptx = has.iter().any(|code| matches!(code, Code::Ptx(..)));
    let ptx = if ptx { "" } else { ", no PTX" };
    let parts = match largest.support(card) {
        Support::Partly => ", not in every part",
        _ => "",
    };
    let (has, file) = (list(&has), file_name(&largest.path));
    Some(match of_vendor {
        true => format!("{file} of {name} has {has}{ptx}{parts}"),
        false => format!("{name} has {has}{ptx}{parts} ({file})"),
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
