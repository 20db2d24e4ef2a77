//! The GPU code of one shared library, and whether it is enough for a card.

use std::collections::BTreeSet;
use std::fs::File;

use serde::{Deserialize, Serialize};

use super::code::{Capability, Code, How};
use super::elf::{self, Place};
use super::fatbin::{self, Sets};

/// Containers of a library that hold exactly the same kinds of code.
///
/// A container is what one source file or one object of a linked library became; what a program calls is
/// in some container, and runs only if that one has code for the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What each of them holds.
    pub code: BTreeSet<Code>,
    /// How many there are.
    pub containers: u64,
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

/// Whether a card can run a library's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    /// There is no code for it.
    None,
    /// There is code for it in so many containers of all, and not in those that are for every card.
    Partly {
        /// With code for the card.
        usable: u64,
        /// With any code.
        all: u64,
    },
    /// There is code for it, and some of that has to be compiled by the driver first.
    Compiled,
    /// There is machine code for it.
    Direct,
}

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

    /// Whether a card of capability `card` can run it.
    ///
    /// Libraries like cuDNN have special code for some generations only, beside code for all of them: what a
    /// card has to find is a container's code where that container is for as many generations as any.
    pub fn support(&self, card: Capability) -> Support {
        let with_code = self.parts.iter().filter(|part| !part.code.is_empty());
        let widest = with_code.clone().map(|part| generations(&part.code)).max().unwrap_or(0);
        let (mut usable, mut all, mut least) = (0, 0, Some(How::Directly));
        for part in with_code {
            let best = part.code.iter().filter_map(|code| code.on(card)).max();
            all += part.containers;
            usable += if best.is_some() { part.containers } else { 0 };
            if generations(&part.code) == widest {
                least = least.min(best);
            }
        }
        match least {
            _ if usable == 0 => Support::None,
            // A few containers for more generations than the rest say nothing of the rest.
            _ if usable * 2 < all => Support::Partly { usable, all },
            None => Support::Partly { usable, all },
            Some(How::Compiled) => Support::Compiled,
            Some(How::Directly) => Support::Direct,
        }
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
        for (code, containers) in fatbin::read(file, *offset, *size)? {
            *all.entry(code).or_default() += containers;
        }
    }
    Ok(all)
}

fn of_sets(path: &str, executable: Sets, relocatable: Sets) -> Option<Library> {
    if executable.is_empty() && relocatable.is_empty() {
        return None;
    }
    let part = |(code, containers)| Part { code, containers };
    Some(Library {
        path: path.to_owned(),
        parts: executable.into_iter().map(part).collect(),
        relocatable: relocatable.into_keys().flatten().collect(),
        problem: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(parts: &[(u64, &[u32], &[u32])]) -> Library {
        let part = |(containers, cubins, ptx): &(u64, &[u32], &[u32])| {
            let cubins = cubins.iter().map(|number| Code::Cubin(Capability::of_number(*number)));
            let ptx = ptx.iter().map(|number| Code::Ptx(Capability::of_number(*number)));
            Part { code: cubins.chain(ptx).collect(), containers: *containers }
        };
        Library { parts: parts.iter().map(part).collect(), ..Library::default() }
    }

    fn on(library: &Library, number: u32) -> Support {
        library.support(Capability::of_number(number))
    }

    /// What `libtorch_cuda.so` of torch 1.9.1 is made of.
    fn torch() -> Library {
        library(&[
            (464, &[37, 50, 60, 70], &[]),
            (276, &[35, 50, 60, 61, 70, 75], &[]),
            (166, &[35, 50, 60, 70, 75], &[]),
            (55, &[35], &[]),
            (19, &[70], &[]),
            (16, &[70, 75], &[]),
            (13, &[50, 60, 61], &[]),
            (2, &[], &[]),
        ])
    }

    #[test]
    fn special_code_of_other_generations_is_not_missed() {
        for number in [37, 50, 52, 60, 61, 70, 75] {
            assert_eq!(on(&torch(), number), Support::Direct, "sm_{number}");
        }
    }

    #[test]
    fn a_card_without_code_in_a_general_part_is_not_supported() {
        assert_eq!(on(&torch(), 35), Support::Partly { usable: 497, all: 1009 });
        assert_eq!(on(&torch(), 80), Support::None);
        assert_eq!(on(&torch(), 90), Support::None);
    }

    #[test]
    fn ptx_supports_what_came_later_and_is_told_apart() {
        let vision = library(&[(7, &[35, 50, 60, 70, 75], &[50])]);
        assert_eq!(on(&vision, 90), Support::Compiled);
        assert_eq!(on(&vision, 70), Support::Direct);
        let jpeg = library(&[(6, &[30, 50, 75], &[75]), (1, &[30, 50, 75], &[])]);
        assert_eq!(on(&jpeg, 90), Support::Partly { usable: 6, all: 7 });
        assert_eq!(on(&library(&[]), 70), Support::None);
    }

    #[test]
    fn a_few_containers_for_everything_do_not_speak_for_the_rest() {
        let library = library(&[(1, &[50, 60, 70, 80, 90], &[]), (99, &[50, 60, 70], &[])]);
        assert_eq!(on(&library, 90), Support::Partly { usable: 1, all: 100 });
        assert_eq!(on(&library, 70), Support::Direct);
    }
}
