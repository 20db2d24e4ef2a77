//! Which wheel fits best: compatibility tags (PEP 425, PEP 600) for CPython on Linux with glibc.
//!
//! The order is that of the `packaging` library, which pip uses: the interpreter's own
//! ABI before the stable ABI before pure Python, and for each of them the newest
//! platform first. A wheel's rank is the best rank among its tags; among wheels of one
//! rank the greater build tag wins (PEP 427), then the lesser file name, so that the
//! choice never depends on the order an index lists them in.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use super::PinError;
use crate::lock::PythonTarget;

/// The oldest manylinux platform of each processor, as a minor version of glibc 2 (PEP 600).
const OLDEST_GLIBC: [(&str, u32); 2] = [("x86_64", 5), ("aarch64", 17)];

/// Names that platforms had before PEP 600.
const ALIASES: [(u32, &str); 3] = [(17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1")];

/// The interpreter and machine that wheels are chosen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Platform {
    /// Minor version of Python 3.
    python: u32,
    /// Minor version of glibc 2.
    glibc: u32,
    /// The processor as Python names it.
    machine: &'static str,
}

impl Platform {
    /// Reads the versions of a recipe; `architecture` is Debian's name of the processor.
    pub(super) fn new(python: &PythonTarget, architecture: &str) -> Result<Self, PinError> {
        let machine = match architecture {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            _ => {
                return Err(PinError::Platform {
                    key: "architecture",
                    value: architecture.to_owned(),
                    expected: "`amd64` or `arm64`",
                });
            }
        };
        Ok(Self {
            python: minor("version", &python.version, "3", "a version such as `3.9`")?,
            glibc: minor("glibc", &python.glibc, "2", "a version such as `2.31`")?,
            machine,
        })
    }

    /// The platform in uv's words; the newest that uv knows and that fits.
    pub(super) fn for_uv(&self) -> Result<String, PinError> {
        let name = match self.glibc {
            17..=27 => "manylinux2014".to_owned(),
            28..=30 => "manylinux_2_28".to_owned(),
            31.. => format!("manylinux_2_{}", self.glibc.min(40)),
            _ => {
                return Err(PinError::Platform {
                    key: "glibc",
                    value: format!("2.{}", self.glibc),
                    expected: "`2.17` or later",
                });
            }
        };
        Ok(format!("{}-{name}", self.machine))
    }

    /// Every tag that this interpreter takes, best first.
    pub(super) fn tags(&self) -> Vec<String> {
        let platforms = self.platforms();
        let python = self.python;
        let mut tags = Vec::new();
        let mut on_platforms = |interpreter: &str, abi: &str| {
            tags.extend(platforms.iter().map(|name| format!("{interpreter}-{abi}-{name}")));
        };
        let own = format!("cp3{python}");
        on_platforms(&own, &self.abi());
        on_platforms(&own, "abi3");
        on_platforms(&own, "none");
        for older in (2..python).rev() {
            on_platforms(&format!("cp3{older}"), "abi3");
        }
        let pure = self.pure_interpreters();
        for interpreter in &pure {
            on_platforms(interpreter, "none");
        }
        tags.push(format!("{own}-none-any"));
        tags.extend(pure.iter().map(|interpreter| format!("{interpreter}-none-any")));
        tags
    }

    /// `py39`, `py3`, `py38`, …, `py30`.
    fn pure_interpreters(&self) -> Vec<String> {
        let older = (0..self.python).rev().map(|minor| format!("py3{minor}"));
        [format!("py3{}", self.python), "py3".to_owned()].into_iter().chain(older).collect()
    }

    /// Up to Python 3.7 the ABI carries the memory allocator's `m`.
    fn abi(&self) -> String {
        format!("cp3{}{}", self.python, if self.python < 8 { "m" } else { "" })
    }

    fn platforms(&self) -> Vec<String> {
        let oldest = OLDEST_GLIBC.iter().find(|(machine, _)| *machine == self.machine);
        let oldest = oldest.map_or(17, |(_, minor)| *minor);
        let mut platforms = Vec::new();
        for minor in (oldest..=self.glibc).rev() {
            platforms.push(format!("manylinux_2_{minor}_{}", self.machine));
            let alias = ALIASES.iter().find(|(version, _)| *version == minor);
            platforms.extend(alias.map(|(_, name)| format!("{name}_{}", self.machine)));
        }
        platforms.push(format!("linux_{}", self.machine));
        platforms
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPython 3.{} on {} with glibc 2.{}", self.python, self.machine, self.glibc)
    }
}

/// The `9` of `3.9` if the version starts with `major`; a third part is allowed and not looked at.
fn minor(
    key: &'static str,
    text: &str,
    major: &str,
    expected: &'static str,
) -> Result<u32, PinError> {
    let mut parts = text.split('.');
    let first = parts.next();
    let minor = parts.next().and_then(|part| part.parse().ok());
    minor.filter(|minor| first == Some(major) && *minor < 1000).ok_or_else(|| PinError::Platform {
        key,
        value: text.to_owned(),
        expected,
    })
}

/// Picks the wheel that fits best among file names; `None` if none fits.
pub(super) fn best<'a>(
    platform: &Platform,
    files: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let tags = platform.tags();
    let ranks: BTreeMap<&str, usize> =
        tags.iter().enumerate().map(|(rank, tag)| (tag.as_str(), rank)).collect();
    let ranked = files.into_iter().filter_map(|file| {
        let wheel = WheelName::parse(file)?;
        let rank = wheel.tags().filter_map(|tag| ranks.get(tag.as_str()).copied()).min()?;
        Some((rank, Reverse(wheel.build), file))
    });
    ranked.min().map(|(_, _, file)| file)
}

/// The parts of a wheel's file name that decide whether it fits (PEP 427).
struct WheelName<'a> {
    /// Number and rest of the build tag; absent sorts before every number.
    build: Option<(u64, &'a str)>,
    interpreters: &'a str,
    abis: &'a str,
    platforms: &'a str,
}

impl<'a> WheelName<'a> {
    /// `None` for names that are no wheel's.
    fn parse(file: &'a str) -> Option<Self> {
        let parts: Vec<_> = file.strip_suffix(".whl")?.split('-').collect();
        let (build, interpreters, abis, platforms) = match parts[..] {
            [_, _, interpreters, abis, platforms] => (None, interpreters, abis, platforms),
            [_, _, build, interpreters, abis, platforms] => {
                let end = build.find(|c: char| !c.is_ascii_digit()).unwrap_or(build.len());
                let number = build[..end].parse().ok()?;
                (Some((number, &build[end..])), interpreters, abis, platforms)
            }
            _ => return None,
        };
        Some(Self { build, interpreters, abis, platforms })
    }

    /// The compressed tag set, expanded.
    fn tags(&self) -> impl Iterator<Item = String> {
        self.interpreters.split('.').flat_map(move |interpreter| {
            self.abis.split('.').flat_map(move |abi| {
                let platforms = self.platforms.split('.');
                platforms.map(move |platform| format!("{interpreter}-{abi}-{platform}"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn platform(python: u32, glibc: u32) -> Platform {
        Platform { python, glibc, machine: "x86_64" }
    }

    #[test]
    fn tags_stand_in_the_order_of_the_packaging_library() {
        let tags = platform(9, 31).tags();
        let place = |tag: &str| tags.iter().position(|other| other == tag).expect(tag);
        let order = [
            "cp39-cp39-manylinux_2_31_x86_64",
            "cp39-cp39-manylinux_2_17_x86_64",
            "cp39-cp39-manylinux2014_x86_64",
            "cp39-cp39-manylinux_2_12_x86_64",
            "cp39-cp39-manylinux2010_x86_64",
            "cp39-cp39-manylinux_2_5_x86_64",
            "cp39-cp39-manylinux1_x86_64",
            "cp39-cp39-linux_x86_64",
            "cp39-abi3-manylinux_2_31_x86_64",
            "cp39-none-linux_x86_64",
            "cp38-abi3-manylinux2014_x86_64",
            "cp32-abi3-linux_x86_64",
            "py39-none-manylinux_2_31_x86_64",
            "py3-none-manylinux2014_x86_64",
            "py30-none-linux_x86_64",
            "cp39-none-any",
            "py39-none-any",
            "py3-none-any",
            "py38-none-any",
            "py30-none-any",
        ];
        assert!(order.is_sorted_by_key(|tag| place(tag)), "{order:?}");
        assert_eq!(place(order[0]), 0);
        assert_eq!(place(order[order.len() - 1]), tags.len() - 1);
        for absent in ["cp39-cp39-manylinux_2_32_x86_64", "cp31-abi3-linux_x86_64", "py2-none-any"]
        {
            assert!(!tags.iter().any(|tag| tag == absent), "{absent}");
        }
    }

    #[test]
    fn the_whole_list_equals_that_of_the_packaging_library() {
        // Digests of what `cpython_tags` and `compatible_tags` of the `packaging` in pip 23.2 give,
        // one tag a line.
        let expected = [
            (platform(9, 31), "cb8727fd0dd46701c518e7089c09629cb6f5af22cec97edaca4acb165a7b08ae"),
            (platform(7, 27), "bc2138b5a412955a326241b6f56caafa52a02d973c8dc235f626c84b9aa2ce63"),
            (
                Platform { python: 11, glibc: 36, machine: "aarch64" },
                "6ae23040664b5276fe92fd496d0cc41f64d5c5b1f86de7516c32b5ad8f2c88e1",
            ),
        ];
        for (platform, digest) in expected {
            assert_eq!(Digest::of(platform.tags().join("\n").as_bytes()).hex(), digest);
        }
    }

    #[test]
    fn python_3_7_has_the_abi_with_an_m() {
        assert_eq!(platform(7, 27).tags()[0], "cp37-cp37m-manylinux_2_27_x86_64");
    }

    #[test]
    fn aarch64_has_no_platform_older_than_manylinux2014() {
        let tags = Platform { python: 9, glibc: 31, machine: "aarch64" }.tags();
        assert!(tags.iter().any(|tag| tag == "cp39-cp39-manylinux2014_aarch64"));
        assert!(!tags.iter().any(|tag| tag.contains("manylinux_2_12") || tag.contains("x86")));
    }

    #[test]
    fn the_wheel_of_the_best_tag_wins_whatever_the_order_of_the_list() {
        let mut files = [
            "a-1-py3-none-any.whl",
            "a-1-cp36-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1-cp39-cp39-manylinux1_x86_64.whl",
            "a-1-cp39-cp39-manylinux_2_12_x86_64.manylinux2010_x86_64.whl",
            "a-1-cp39-cp39-manylinux_2_34_x86_64.whl",
            "a-1-cp39-cp39-musllinux_1_1_x86_64.whl",
            "a-1-cp310-cp310-manylinux2014_x86_64.whl",
            "a-1-cp39-cp39-win_amd64.whl",
            "a-1.tar.gz",
        ];
        let expected = "a-1-cp39-cp39-manylinux_2_12_x86_64.manylinux2010_x86_64.whl";
        assert_eq!(best(&platform(9, 31), files), Some(expected));
        files.reverse();
        assert_eq!(best(&platform(9, 31), files), Some(expected));
        assert_eq!(best(&platform(9, 4), files), Some("a-1-py3-none-any.whl"));
    }

    #[test]
    fn of_two_equal_wheels_the_greater_build_tag_wins_as_a_number() {
        let files = ["a-1-9-py3-none-any.whl", "a-1-10-py3-none-any.whl", "a-1-py3-none-any.whl"];
        assert_eq!(best(&platform(9, 31), files), Some(files[1]));
    }

    #[test]
    fn no_wheel_is_chosen_where_none_fits() {
        let files = [
            "a-1-cp312-cp312-manylinux2014_x86_64.whl",
            "a-1-x.whl",
            "whl",
            "a-1-b-py3-none-any.whl",
        ];
        assert_eq!(best(&platform(9, 31), files), None);
    }
}
