//! What GPU code there can be, and which card can run which.
//!
//! The rules are those of NVIDIA's CUDA C++ Programming Guide ("Binary Compatibility", "PTX
//! Compatibility"): a cubin runs on cards of its own major capability and of the same or a greater minor
//! one; PTX is compiled by the driver for any card of the same or a greater capability.

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

/// One kind of code in a fat binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Machine code: `sm_70`.
    Cubin(Capability),
    /// Text that the driver compiles: `compute_70`.
    Ptx(Capability),
    /// Something else, which no card is taken to run: `kind_8_sm_70`.
    Other(u16, Capability),
}

impl Code {
    /// How a card of capability `card` runs it, if it can.
    pub fn on(self, card: Capability) -> Option<How> {
        match self {
            Self::Cubin(built) if built.major == card.major && built.minor <= card.minor => {
                Some(How::Directly)
            }
            Self::Ptx(built) if built <= card => Some(How::Compiled),
            _ => None,
        }
    }

    /// The capability that it was made for.
    pub fn capability(self) -> Capability {
        match self {
            Self::Cubin(capability) | Self::Ptx(capability) | Self::Other(_, capability) => {
                capability
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(number) = text.strip_prefix("sm_") {
            return Capability::parse(number).map(Self::Cubin);
        }
        if let Some(number) = text.strip_prefix("compute_") {
            return Capability::parse(number).map(Self::Ptx);
        }
        let (kind, number) = text.strip_prefix("kind_")?.split_once("_sm_")?;
        Some(Self::Other(kind.parse().ok()?, Capability::parse(number)?))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Capability { major, minor } = self.capability();
        match self {
            Self::Cubin(_) => write!(f, "sm_{major}{minor}"),
            Self::Ptx(_) => write!(f, "compute_{major}{minor}"),
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
        let sm_70 = Code::Cubin(V100);
        assert_eq!(sm_70.on(V100), Some(How::Directly));
        assert_eq!(sm_70.on(T4), Some(How::Directly));
        assert_eq!(sm_70.on(H200), None);
        assert_eq!(Code::Cubin(T4).on(V100), None);
        assert_eq!(Code::Cubin(Capability::of_number(100)).on(Capability::new(12, 0)), None);
    }

    #[test]
    fn ptx_is_compiled_for_its_own_capability_and_all_above() {
        let compute_70 = Code::Ptx(V100);
        assert_eq!(compute_70.on(V100), Some(How::Compiled));
        assert_eq!(compute_70.on(H200), Some(How::Compiled));
        assert_eq!(compute_70.on(Capability::new(6, 1)), None);
        assert_eq!(Code::Other(8, V100).on(V100), None);
    }

    #[test]
    fn code_is_written_as_nvidia_writes_it_and_read_again() {
        let codes = [
            Code::Cubin(Capability::of_number(37)),
            Code::Ptx(Capability::of_number(100)),
            Code::Other(8, Capability::of_number(90)),
        ];
        let texts = codes.map(|code| code.to_string());
        assert_eq!(texts, ["sm_37", "compute_100", "kind_8_sm_90"]);
        let json = serde_json::to_string(&codes).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Code>>(&json).unwrap(), codes);
        assert!(serde_json::from_str::<Code>("\"sm_x\"").is_err());
    }
}
