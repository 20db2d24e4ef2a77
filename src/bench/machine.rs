//! How a machine is set up: what two hosts of one model may still differ in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::host::{field, kibibytes, names_in};
use crate::conditions::CardSettings;

/// Settings of a machine that change its speed; what the kernel does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineSettings {
    /// Who chooses the processors' clock, `performance`; several where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    /// Whether the clock may rise above its nominal value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boost: Option<bool>,
    /// Whether a core runs two threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// Groups of processors with memory of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa_nodes: Option<u32>,
    /// Who gets huge pages without asking: `always`, `madvise`, `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<String>,
    /// Bytes of swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<u64>,
    /// Version of the processors' microcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microcode: Option<String>,
    /// What the machine runs on, if it is a virtual one; `unknown` if that has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// What keeps the container that `repro` itself runs in, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What is set of each GPU, where the driver's library tells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<CardSettings>,
}

impl MachineSettings {
    /// Reads those of the machine whose `/proc`, `/sys` and so on lie under `root`.
    pub(super) fn under(root: &Path) -> Self {
        let read = |path: &str| text(&root.join(path));
        let cpuinfo = read("proc/cpuinfo").unwrap_or_default();
        Self {
            governor: governor(root),
            boost: boost(root),
            smt: read("sys/devices/system/cpu/smt/active").as_deref().and_then(switch),
            numa_nodes: read("sys/devices/system/node/online").and_then(|it| count(&it)),
            huge_pages: read("sys/kernel/mm/transparent_hugepage/enabled").and_then(chosen),
            swap: read("proc/meminfo").and_then(|text| kibibytes(&field(&text, "SwapTotal")?)),
            microcode: field(&cpuinfo, "microcode"),
            hypervisor: hypervisor(root, &cpuinfo),
            container: container(root),
            gpus: Vec::new(),
        }
    }

    /// Whether nothing at all is known.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A file's text without white space around it; nothing if there is none.
fn text(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn governor(root: &Path) -> Option<String> {
    let folder = root.join("sys/devices/system/cpu/cpufreq");
    let policies = names_in(&folder).into_iter().filter(|name| name.starts_with("policy"));
    let governors: BTreeSet<String> =
        policies.filter_map(|name| text(&folder.join(name).join("scaling_governor"))).collect();
    let governors: Vec<String> = governors.into_iter().collect();
    (!governors.is_empty()).then(|| governors.join(", "))
}

/// Intel's own driver of the clock has a switch of its own, the other way round.
fn boost(root: &Path) -> Option<bool> {
    let folder = root.join("sys/devices/system/cpu");
    let boost = text(&folder.join("cpufreq/boost")).as_deref().and_then(switch);
    let no_turbo = text(&folder.join("intel_pstate/no_turbo")).as_deref().and_then(switch);
    boost.or(no_turbo.map(|off| !off))
}

/// How many numbers `0-3,8` names.
fn count(text: &str) -> Option<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    text.split(',').map(range).try_fold(0u32, |sum, many| sum.checked_add(many?))
}

/// The word in brackets of `always [madvise] never`.
fn chosen(text: String) -> Option<String> {
    let word = text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    word.map(str::to_owned)
}

/// Processors of a virtual machine say so; who made it stands in the firmware's tables, if it has any.
fn hypervisor(root: &Path, cpuinfo: &str) -> Option<String> {
    let flags = field(cpuinfo, "flags")?;
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return None;
    }
    let read = |path: &str| text(&root.join(path));
    let firmware = ["sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name"];
    let words: Vec<String> = firmware.into_iter().filter_map(read).collect();
    let named = (!words.is_empty()).then(|| words.join(" "));
    Some(named.or_else(|| read("sys/hypervisor/type")).unwrap_or_else(|| "unknown".to_owned()))
}

fn container(root: &Path) -> Option<String> {
    let is_there = |path: &str| root.join(path).exists();
    let marks = [
        ("run/secrets/kubernetes.io", "kubernetes"),
        ("run/.containerenv", "podman"),
        (".dockerenv", "docker"),
    ];
    let known = marks.into_iter().find(|(path, _)| is_there(path));
    known.map(|(_, name)| name.to_owned()).or_else(|| text(&root.join("run/systemd/container")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> MachineSettings {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        MachineSettings::under(root.path())
    }

    #[test]
    fn settings_that_change_the_speed_are_read() {
        let cpu = "sys/devices/system/cpu";
        let found = machine(&[
            (&format!("{cpu}/cpufreq/policy0/scaling_governor"), "powersave\n"),
            (&format!("{cpu}/cpufreq/policy1/scaling_governor"), "performance\n"),
            (&format!("{cpu}/cpufreq/policy2/scaling_governor"), "powersave\n"),
            (&format!("{cpu}/intel_pstate/no_turbo"), "0\n"),
            (&format!("{cpu}/smt/active"), "1\n"),
            ("sys/devices/system/node/online", "0-1\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("proc/meminfo", "MemTotal: 8 kB\nSwapTotal:       4 kB\n"),
            ("proc/cpuinfo", "processor: 0\nmicrocode\t: 0x1000065\nflags\t: fpu vme\n"),
        ]);
        let expected = MachineSettings {
            governor: Some("performance, powersave".to_owned()),
            boost: Some(true),
            smt: Some(true),
            numa_nodes: Some(2),
            huge_pages: Some("madvise".to_owned()),
            swap: Some(4096),
            microcode: Some("0x1000065".to_owned()),
            ..MachineSettings::default()
        };
        assert_eq!(found, expected);
        assert!(machine(&[]).is_empty());
    }

    #[test]
    fn a_virtual_machine_and_a_container_are_told() {
        let cpuinfo = ("proc/cpuinfo", "flags\t: fpu hypervisor\n");
        let found = machine(&[
            cpuinfo,
            ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
            ("sys/class/dmi/id/product_name", "p3.16xlarge\n"),
            (".dockerenv", ""),
        ]);
        assert_eq!(found.hypervisor.as_deref(), Some("Amazon EC2 p3.16xlarge"));
        assert_eq!(found.container.as_deref(), Some("docker"));
        assert_eq!(machine(&[cpuinfo]).hypervisor.as_deref(), Some("unknown"));
        let named = machine(&[cpuinfo, ("sys/hypervisor/type", "xen\n")]);
        assert_eq!(named.hypervisor.as_deref(), Some("xen"));
        // The firmware of a real machine has a name as well.
        assert_eq!(machine(&[("sys/class/dmi/id/sys_vendor", "Dell")]).hypervisor, None);
        assert_eq!(machine(&[("run/systemd/container", "lxc\n")]).container.unwrap(), "lxc");
    }

    #[test]
    fn lists_of_numbers_are_counted() {
        assert_eq!(["0", "0-3,8", "2-1", "x", ""].map(count), [Some(1), Some(5), None, None, None]);
    }
}
