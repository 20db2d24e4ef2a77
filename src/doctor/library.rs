//! The GPU code of one shared library, and whether it is enough for a card.

use std::collections::BTreeSet;
use std::fs::File;

use serde::{Deserialize, Serialize};

use super::code::{Capability, Code, How};
use super::elf::{self, Place};
use super::fatbin::{self, Amount, Held, Sets};

/// Containers of a library that hold exactly the same kinds of code.
///
/// A container is what one source file or one object of a linked library became; what a program calls is
/// in some container, and runs only if that one has code for the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What the kernels of each of them are made for.
    pub code: BTreeSet<Code>,
    /// What each of them has entries for that hold no kernel.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub empty: BTreeSet<Code>,
    /// How many there are.
    pub containers: u64,
    /// How large they are together.
    pub bytes: u64,
}

/// The GPU code of a shared library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// Path in the wheel.
    pub path: String,
    /// What programs load, by what it holds.
    pub parts: Vec<Part>,
    /// What was linked once more on the GPU's side and is not loaded as it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub relocatable: BTreeSet<Code>,
    /// Why it could not be read, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How the names of NVIDIA's own libraries begin.
const VENDORS: [&str; 22] = [
    "libcublas",
    "libcudart",
    "libcudnn",
    "libcudss",
    "libcufft",
    "libcufile",
    "libcupti",
    "libcurand",
    "libcusolver",
    "libcusparse",
    "libcutensor",
    "libnccl",
    "libnpp",
    "libnvJitLink",
    "libnvToolsExt",
    "libnvblas",
    "libnvfatbin",
    "libnvgraph",
    "libnvinfer",
    "libnvjpeg",
    "libnvrtc",
    "libnvshmem",
];

/// Whether a card can run a library's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    /// There is no code for it.
    None,
    /// There is code for it in some parts, and too little in those that are for every generation.
    Partly,
    /// There is code for it, and some of that has to be compiled by the driver first.
    Compiled,
    /// There is machine code for it.
    Direct,
}

/// One part of so many is little: a container without a kernel, which linking on the GPU's side leaves.
const LITTLE: u64 = 100;

impl Support {
    /// Whether the card can be expected to run the library.
    pub fn is_enough(self) -> bool {
        matches!(self, Self::Compiled | Self::Direct)
    }
}

impl Library {
    /// Every kind of code that programs can load from it.
    pub fn code(&self) -> BTreeSet<Code> {
        self.parts.iter().flat_map(|part| part.code.iter().copied()).collect()
    }

    /// Bytes of all its code.
    pub fn bytes(&self) -> u64 {
        self.with_kernels().map(|part| part.bytes).sum()
    }

    /// Whether it tells which cards it is for: it could be read, and it has a kernel.
    pub fn is_evidence(&self) -> bool {
        self.problem.is_none() && self.with_kernels().next().is_some()
    }

    /// Whether it is NVIDIA's own, wherever it lies: a program may or may not call it, and what it does for a card
    /// does not show in its containers alone.
    pub fn is_vendors(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        VENDORS.iter().any(|vendors| name.starts_with(vendors))
    }

    /// Parts without a kernel are no evidence.
    fn with_kernels(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.code.is_empty())
    }

    /// Whether a card of capability `card` can run it.
    ///
    /// Most of cuBLAS and cuDNN is special code for one generation or another; beside it stands code for
    /// all of them, which is what a card has to find. So only the parts count that are for as many generations
    /// as any; a hundredth of their bytes may be missing.
    pub fn support(&self, card: Capability) -> Support {
        let how = |part: &Part| part.code.iter().filter_map(|code| code.on(card)).max();
        if self.with_kernels().all(|part| how(part).is_none()) {
            return Support::None;
        }
        let (mut all, mut missing, mut compiled) = (0, 0, 0);
        for part in self.general() {
            all += part.bytes;
            match how(part) {
                None => missing += part.bytes,
                Some(How::Compiled) => compiled += part.bytes,
                Some(How::Directly) => {}
            }
        }
        match (missing > all / LITTLE, compiled > all / LITTLE) {
            (true, _) => Support::Partly,
            (false, true) => Support::Compiled,
            (false, false) => Support::Direct,
        }
    }

    /// The parts that are for as many generations as any; a part too small to speak for the rest is none.
    fn general(&self) -> impl Iterator<Item = &Part> {
        let enough = self.bytes() / LITTLE;
        let bytes_from = |least: usize| -> u64 {
            let parts = self.with_kernels().filter(|part| generations(&part.code) >= least);
            parts.map(|part| part.bytes).sum()
        };
        let counts = self.with_kernels().map(|part| generations(&part.code));
        let widest = counts.filter(|count| bytes_from(*count) >= enough).max().unwrap_or(0);
        self.with_kernels().filter(move |part| generations(&part.code) >= widest)
    }
}

/// How many generations of cards have code here.
fn generations(code: &BTreeSet<Code>) -> usize {
    code.iter().map(|code| code.capability().major).collect::<BTreeSet<_>>().len()
}

/// What a file is, seen from a GPU.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Its GPU code, if it has any.
    pub(super) library: Option<Library>,
    /// Names of the libraries that it is linked to.
    pub(super) needed: Vec<String>,
}

/// Looks into `file`, which is called `path` in its wheel.
pub(super) fn look(path: &str, file: &File) -> Looked {
    let layout = match elf::layout(file) {
        Ok(Some(layout)) => layout,
        Ok(None) => return Looked::default(),
        Err(problem) => return Looked { library: Some(broken(path, problem)), needed: Vec::new() },
    };
    let read = sets(file, &layout.executable)
        .and_then(|executable| Ok((executable, sets(file, &layout.relocatable)?)));
    let library = match read {
        Ok((executable, relocatable)) => of_sets(path, executable, relocatable),
        Err(problem) => Some(broken(path, problem)),
    };
    Looked { library, needed: layout.needed }
}

fn broken(path: &str, problem: String) -> Library {
    Library { path: path.to_owned(), problem: Some(problem), ..Library::default() }
}

fn sets(file: &File, places: &[Place]) -> Result<Sets, String> {
    let mut all = Sets::new();
    for (offset, size) in places {
        for (code, amount) in fatbin::read(file, *offset, *size)? {
            let sum = all.entry(code).or_default();
            sum.containers += amount.containers;
            sum.bytes = sum.bytes.saturating_add(amount.bytes);
        }
    }
    Ok(all)
}

fn of_sets(path: &str, executable: Sets, relocatable: Sets) -> Option<Library> {
    if executable.is_empty() && relocatable.is_empty() {
        return None;
    }
    let part = |(Held { code, empty }, amount): (Held, Amount)| Part {
        code,
        empty,
        containers: amount.containers,
        bytes: amount.bytes,
    };
    Some(Library {
        path: path.to_owned(),
        parts: executable.into_iter().map(part).collect(),
        relocatable: relocatable.into_keys().flat_map(|held| held.code).collect(),
        problem: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts by thousands of bytes, with the numbers of their machine code and of their PTX.
    fn library(parts: &[(u64, &[u32], &[u32])]) -> Library {
        let part = |(size, cubins, ptx): &(u64, &[u32], &[u32])| {
            let cubins = cubins.iter().map(|number| Code::cubin(Capability::of_number(*number)));
            let ptx = ptx.iter().map(|number| Code::ptx(Capability::of_number(*number)));
            Part {
                code: cubins.chain(ptx).collect(),
                empty: BTreeSet::new(),
                containers: 1,
                bytes: size * 1000,
            }
        };
        Library { parts: parts.iter().map(part).collect(), ..Library::default() }
    }

    fn on(library: &Library, number: u32) -> Support {
        library.support(Capability::of_number(number))
    }

    /// What `libtorch_cuda.so` of torch 1.9.1 is made of.
    fn torch() -> Library {
        library(&[
            (440_604, &[37, 50, 60, 70], &[]),
            (229_652, &[35, 50, 60, 61, 70, 75], &[]),
            (160_401, &[35, 50, 60, 70, 75], &[]),
            (442, &[35], &[]),
            (4_889, &[70], &[]),
            (18_468, &[70, 75], &[]),
            (9_715, &[50, 60, 61], &[]),
            (0, &[], &[]),
        ])
    }

    /// In the manner of `libcublasLt.so.11`: most is for one generation.
    fn blas() -> Library {
        library(&[
            (80_000, &[80], &[]),
            (9_000, &[35, 50, 60, 61, 70, 75, 80, 86], &[80]),
            (6_000, &[70, 75, 80, 86], &[]),
            (4_000, &[70], &[]),
        ])
    }

    #[test]
    fn special_code_of_other_generations_is_not_missed() {
        for number in [37, 50, 52, 60, 61, 70, 75] {
            assert_eq!(on(&torch(), number), Support::Direct, "sm_{number}");
        }
        assert_eq!(on(&blas(), 70), Support::Direct);
        assert_eq!(on(&blas(), 90), Support::Compiled);
    }

    #[test]
    fn a_card_without_code_in_a_general_part_is_not_supported() {
        assert_eq!(on(&torch(), 35), Support::Partly);
        assert_eq!(on(&torch(), 80), Support::None);
        assert_eq!(on(&torch(), 90), Support::None);
    }

    #[test]
    fn ptx_supports_what_came_later_and_is_told_apart() {
        let vision = library(&[(3_000, &[35, 50, 60, 70, 75], &[50])]);
        assert_eq!(on(&vision, 90), Support::Compiled);
        assert_eq!(on(&vision, 70), Support::Direct);
        assert_eq!(on(&library(&[]), 70), Support::None);
    }

    #[test]
    fn a_container_without_kernels_is_not_missed() {
        let jpeg = library(&[(1_776, &[30, 50, 60, 75], &[75]), (6, &[30, 50, 60, 75], &[])]);
        assert_eq!(on(&jpeg, 90), Support::Compiled);
        let half = library(&[(1_776, &[30, 50, 60, 75], &[75]), (900, &[30, 50, 60, 75], &[])]);
        assert_eq!(on(&half, 90), Support::Partly);
    }

    #[test]
    fn a_little_code_for_everything_does_not_speak_for_the_rest() {
        let library = library(&[(1, &[50, 60, 70, 80, 90], &[]), (999, &[50, 60, 70], &[])]);
        assert_eq!(on(&library, 90), Support::Partly);
        assert_eq!(on(&library, 70), Support::Direct);
    }
}
