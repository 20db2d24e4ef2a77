//! What NVIDIA publishes about drivers and cards, as far as it decides whether code runs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Capability;

/// A version of the CUDA runtime, `10.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Releases of one major version run on one driver (from 11 on).
    pub major: u32,
    /// 0 where a library's name does not tell it.
    pub minor: u32,
}

impl Version {
    /// That of a library by its name: `libcudart-80664282.so.10.2`, `libcudart.so.11.0`.
    pub fn of_runtime(name: &str) -> Option<Self> {
        if !name.starts_with("libcudart") {
            return None;
        }
        Self::parse(name.split_once(".so.")?.1)
    }

    /// The first two numbers of `11.7.99`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| part.parse().ok());
        let major = numbers.next()??;
        Some(Self { major, minor: numbers.next().unwrap_or(Some(0))? })
    }

    /// The oldest driver for Linux that runs it.
    ///
    /// CUDA Toolkit Release Notes, "CUDA Toolkit and Minimum Required Driver Version", and NVIDIA's CUDA
    /// Compatibility, "Minor Version Compatibility": from CUDA 11 on all releases of a major version run
    /// on the first one's driver. `None` for versions that these do not list.
    pub fn oldest_driver(self) -> Option<&'static str> {
        Some(match (self.major, self.minor) {
            (13, _) => "580.65.06",
            (12, _) => "525.60.13",
            (11, 0) => "450.36.06",
            (11, _) => "450.80.02",
            (10, 2) => "440.33",
            (10, 1) => "418.39",
            (10, 0) => "410.48",
            (9, 2) => "396.26",
            (9, 1) => "390.46",
            (9, 0) => "384.81",
            (8, _) => "367.48",
            _ => return None,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no version")))
    }
}

/// Whether driver `there` is not older than `oldest`; `None` if one of them is no version.
pub fn is_new_enough(there: &str, oldest: &str) -> Option<bool> {
    let numbers = |text: &str| -> Option<Vec<u32>> {
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    Some(numbers(there)? >= numbers(oldest)?)
}

/// Models by words of their name, the more special ones first, with their capability.
///
/// From NVIDIA's page "CUDA GPU Compute Capability" and, for what that has dropped, "CUDA Legacy GPUs".
const MODELS: [(&[&str], &[&str], Capability); 25] = [
    (&["blackwell"], &["rtx"], Capability::new(12, 0)),
    (&["5050", "5060", "5070", "5080", "5090"], &["geforce", "rtx"], Capability::new(12, 0)),
    (&["b300", "gb300"], &[], Capability::new(10, 3)),
    (&["b200", "gb200"], &[], Capability::new(10, 0)),
    (&["h200", "h100", "h800", "h20", "gh200"], &[], Capability::new(9, 0)),
    (&["l40", "l40s", "l20", "l4", "l2"], &[], Capability::new(8, 9)),
    (&["ada"], &["rtx"], Capability::new(8, 9)),
    (&["4050", "4060", "4070", "4080", "4090"], &["geforce", "rtx"], Capability::new(8, 9)),
    (&["a100", "a800", "a30"], &[], Capability::new(8, 0)),
    (&["a40", "a16", "a10", "a10g", "a2"], &[], Capability::new(8, 6)),
    (&["a6000", "a5500", "a5000", "a4500", "a4000", "a2000"], &["rtx"], Capability::new(8, 6)),
    (&["3050", "3060", "3070", "3080", "3090"], &["geforce", "rtx"], Capability::new(8, 6)),
    (&["t4", "t4g"], &[], Capability::new(7, 5)),
    (&["2060", "2070", "2080"], &["geforce", "rtx"], Capability::new(7, 5)),
    (&["3000", "4000", "5000", "6000", "8000"], &["quadro", "rtx"], Capability::new(7, 5)),
    (&["rtx"], &["titan"], Capability::new(7, 5)),
    (&["1650", "1660"], &["geforce", "gtx"], Capability::new(7, 5)),
    (&["v100", "v100s", "gv100"], &[], Capability::new(7, 0)),
    (&["v"], &["titan"], Capability::new(7, 0)),
    (&["p100", "gp100"], &[], Capability::new(6, 0)),
    (&["p40", "p4", "xp"], &[], Capability::new(6, 1)),
    (&["1050", "1060", "1070", "1080"], &["geforce", "gtx"], Capability::new(6, 1)),
    (&["m60", "m40", "950", "960", "970", "980"], &[], Capability::new(5, 2)),
    (&["k80"], &[], Capability::new(3, 7)),
    (&["k40", "k40c", "k40m", "k20", "k20m", "k20x"], &[], Capability::new(3, 5)),
];

/// The capability of a model by its name, `Tesla V100-SXM2-32GB`, where the table has it.
pub fn of_model(name: &str) -> Option<Capability> {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
    let has = |word: &&str| words.contains(word);
    let is_it = |(any, all, _): &&(&[&str], &[&str], Capability)| {
        any.iter().any(has) && all.iter().all(has)
    };
    MODELS.iter().find(is_it).map(|(_, _, capability)| *capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_the_names_that_drivers_give_them() {
        let known = [
            ("Tesla V100-SXM2-32GB", 70),
            ("NVIDIA H200", 90),
            ("NVIDIA H100 80GB HBM3", 90),
            ("NVIDIA A100-SXM4-40GB", 80),
            ("Tesla T4", 75),
            ("Tesla K80", 37),
            ("Tesla P100-PCIE-16GB", 60),
            ("Tesla P40", 61),
            ("NVIDIA GeForce RTX 3090", 86),
            ("NVIDIA GeForce RTX 2080 Ti", 75),
            ("NVIDIA TITAN V", 70),
            ("TITAN RTX", 75),
            ("Quadro RTX 6000", 75),
            ("NVIDIA RTX 6000 Ada Generation", 89),
            ("NVIDIA RTX A6000", 86),
            ("NVIDIA L40S", 89),
            ("NVIDIA A10", 86),
            ("NVIDIA B200", 100),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 120),
        ];
        for (name, number) in known {
            assert_eq!(of_model(name), Some(Capability::of_number(number)), "{name}");
        }
        for name in ["GPU 0", "", "Intel Arc A770", "NVIDIA X9999"] {
            assert_eq!(of_model(name), None, "{name}");
        }
    }

    #[test]
    fn the_runtime_is_told_by_the_library_that_is_linked() {
        let version = |major, minor| Some(Version { major, minor });
        assert_eq!(Version::of_runtime("libcudart-80664282.so.10.2"), version(10, 2));
        assert_eq!(Version::of_runtime("libcudart.459720b2.so.10.2"), version(10, 2));
        assert_eq!(Version::of_runtime("libcudart.so.11.0"), version(11, 0));
        assert_eq!(Version::of_runtime("libcudart.so.12"), version(12, 0));
        for name in ["libcudart.so", "libcuda.so.1", "libcudart.so.x"] {
            assert_eq!(Version::of_runtime(name), None, "{name}");
        }
    }

    #[test]
    fn drivers_are_compared_number_by_number() {
        let oldest = Version { major: 10, minor: 2 }.oldest_driver().unwrap();
        assert_eq!(is_new_enough("440.33.01", oldest), Some(true));
        assert_eq!(is_new_enough("440.33", oldest), Some(true));
        assert_eq!(is_new_enough("1000.1", oldest), Some(true));
        assert_eq!(is_new_enough("390.116", oldest), Some(false));
        assert_eq!(is_new_enough("unknown", oldest), None);
        assert_eq!(Version { major: 99, minor: 0 }.oldest_driver(), None);
    }

    #[test]
    fn every_release_of_a_major_version_from_eleven_on_runs_on_the_first_ones_driver() {
        let driver = |major, minor| Version { major, minor }.oldest_driver();
        assert_eq!(driver(11, 8), driver(11, 1));
        assert_eq!(driver(12, 9), driver(12, 0));
        assert_ne!(driver(10, 2), driver(10, 1));
    }
}
