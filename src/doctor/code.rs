//! What GPU code there can be, and which card can run which.
//!
//! The rules are those of NVIDIA's CUDA C++ Programming Guide ("Binary Compatibility", "PTX
//! Compatibility", "Feature Availability"): a cubin runs on cards of its own major capability and of the same or a
//! greater minor one; PTX is compiled by the driver for any card of the same or a greater capability. Code that uses
//! what only one card has (`sm_90a`) runs on that one alone; code for a family (`sm_100f`), machine code or PTX, on
//! cards of the same major capability and of the same or a greater minor one.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a GPU can do, in NVIDIA's numbers: 7.0 for a V100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// The generation.
    pub major: u32,
    /// What was added within it.
    pub minor: u32,
}

impl Capability {
    /// Capability `major`.`minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// That of an architecture's number: 37 is 3.7, 100 is 10.0.
    pub const fn of_number(number: u32) -> Self {
        Self { major: number / 10, minor: number % 10 }
    }

    fn parse(text: &str) -> Option<Self> {
        let number: u32 = text.parse().ok()?;
        Some(Self::of_number(number))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Which cards code is for, beside the one whose capability it names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Those that came later, as far as the kind of code goes: `sm_90`.
    #[default]
    Onwards,
    /// Those of its family: `sm_100f`.
    Family,
    /// None: `sm_90a`.
    Alone,
}

impl Reach {
    fn suffix(self) -> &'static str {
        match self {
            Self::Onwards => "",
            Self::Family => "f",
            Self::Alone => "a",
        }
    }
}

/// One kind of code in a fat binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Machine code: `sm_70`, `sm_90a`.
    Cubin(Capability, Reach),
    /// Text that the driver compiles: `compute_70`, `compute_90a`.
    Ptx(Capability, Reach),
    /// Something else, which no card is taken to run: `kind_8_sm_70`.
    Other(u16, Capability),
}

impl Code {
    /// Machine code for `capability` and what came later in its generation.
    pub const fn cubin(capability: Capability) -> Self {
        Self::Cubin(capability, Reach::Onwards)
    }

    /// PTX for `capability` and all that came later.
    pub const fn ptx(capability: Capability) -> Self {
        Self::Ptx(capability, Reach::Onwards)
    }

    /// How a card of capability `card` runs it, if it can.
    pub fn on(self, card: Capability) -> Option<How> {
        let built = self.capability();
        let is_of_generation = built.major == card.major && built.minor <= card.minor;
        let (how, runs) = match self {
            Self::Cubin(_, Reach::Alone) => (How::Directly, built == card),
            Self::Cubin(..) => (How::Directly, is_of_generation),
            Self::Ptx(_, Reach::Onwards) => (How::Compiled, built <= card),
            Self::Ptx(_, Reach::Family) => (How::Compiled, is_of_generation),
            Self::Ptx(_, Reach::Alone) => (How::Compiled, built == card),
            Self::Other(..) => return None,
        };
        runs.then_some(how)
    }

    /// The capability that it was made for.
    pub fn capability(self) -> Capability {
        match self {
            Self::Cubin(capability, _) | Self::Ptx(capability, _) | Self::Other(_, capability) => {
                capability
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (rest, reach) = match text.strip_suffix(['a', 'f']) {
            Some(rest) if text.ends_with('a') => (rest, Reach::Alone),
            Some(rest) => (rest, Reach::Family),
            None => (text, Reach::Onwards),
        };
        if let Some(number) = rest.strip_prefix("sm_") {
            return Some(Self::Cubin(Capability::parse(number)?, reach));
        }
        if let Some(number) = rest.strip_prefix("compute_") {
            return Some(Self::Ptx(Capability::parse(number)?, reach));
        }
        let (kind, number) = text.strip_prefix("kind_")?.split_once("_sm_")?;
        Some(Self::Other(kind.parse().ok()?, Capability::parse(number)?))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Capability { major, minor } = self.capability();
        match self {
            Self::Cubin(_, reach) => write!(f, "sm_{major}{minor}{}", reach.suffix()),
            Self::Ptx(_, reach) => write!(f, "compute_{major}{minor}{}", reach.suffix()),
            Self::Other(kind, _) => write!(f, "kind_{kind}_sm_{major}{minor}"),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no GPU code")))
    }
}

/// How a card comes to run code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The driver compiles PTX when the program starts, which takes minutes for a large library.
    Compiled,
    /// There is machine code for it.
    Directly,
}

/// `sm_37 sm_70 compute_70`; `none` where there is nothing.
pub fn list(codes: &BTreeSet<Code>) -> String {
    if codes.is_empty() {
        return "none".to_owned();
    }
    codes.iter().map(Code::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const V100: Capability = Capability::new(7, 0);
    const T4: Capability = Capability::new(7, 5);
    const H200: Capability = Capability::new(9, 0);

    #[test]
    fn machine_code_runs_within_its_generation_and_upwards() {
        let sm_70 = Code::cubin(V100);
        assert_eq!(sm_70.on(V100), Some(How::Directly));
        assert_eq!(sm_70.on(T4), Some(How::Directly));
        assert_eq!(sm_70.on(H200), None);
        assert_eq!(Code::cubin(T4).on(V100), None);
        assert_eq!(Code::cubin(Capability::of_number(100)).on(Capability::new(12, 0)), None);
    }

    #[test]
    fn ptx_is_compiled_for_its_own_capability_and_all_above() {
        let compute_70 = Code::ptx(V100);
        assert_eq!(compute_70.on(V100), Some(How::Compiled));
        assert_eq!(compute_70.on(H200), Some(How::Compiled));
        assert_eq!(compute_70.on(Capability::new(6, 1)), None);
        assert_eq!(Code::Other(8, V100).on(V100), None);
    }

    #[test]
    fn code_for_one_card_or_one_family_runs_on_no_other() {
        let number = Capability::of_number;
        assert_eq!(Code::Cubin(H200, Reach::Alone).on(H200), Some(How::Directly));
        assert_eq!(Code::Ptx(H200, Reach::Alone).on(H200), Some(How::Compiled));
        for code in [Code::Cubin, Code::Ptx] {
            assert_eq!(code(number(100), Reach::Alone).on(number(103)), None);
            assert!(code(number(100), Reach::Family).on(number(103)).is_some());
            assert_eq!(code(number(103), Reach::Family).on(number(100)), None);
            assert_eq!(code(number(100), Reach::Family).on(number(120)), None);
        }
    }

    #[test]
    fn code_is_written_as_nvidia_writes_it_and_read_again() {
        let codes = [
            Code::cubin(Capability::of_number(37)),
            Code::ptx(Capability::of_number(100)),
            Code::Other(8, Capability::of_number(90)),
            Code::Cubin(H200, Reach::Alone),
            Code::Ptx(Capability::of_number(100), Reach::Family),
        ];
        let texts = codes.map(|code| code.to_string());
        assert_eq!(texts, ["sm_37", "compute_100", "kind_8_sm_90", "sm_90a", "compute_100f"]);
        let json = serde_json::to_string(&codes).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Code>>(&json).unwrap(), codes);
        assert!(serde_json::from_str::<Code>("\"sm_x\"").is_err());
    }
}
