//! The machine a benchmark runs on, as far as the kernel tells.
//!
//! What cannot be found out is absent. GPUs count only when the NVIDIA driver is
//! loaded *and* their device files exist: the files alone may be left over.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::machine::MachineSettings;
use crate::conditions;
use crate::engine::Card;

/// One machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Name of the processor, `AMD EPYC 7763 64-Core Processor`.
    pub cpu: Option<String>,
    /// Logical processors of the machine.
    pub cores: Option<u32>,
    /// Logical processors this process may use.
    pub usable_cores: Option<u32>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Release of the kernel, `5.10.0-28-amd64`.
    pub kernel: Option<String>,
    /// Name of the distribution, `Debian GNU/Linux 12 (bookworm)`.
    pub os: Option<String>,
    /// Names of the GPUs, one each; `GPU 0` where the driver tells no name.
    pub gpus: Vec<String>,
    /// The same GPUs with what else names them, in the order of the bus.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<Card>,
    /// Version of the NVIDIA driver; absent when it is not loaded.
    pub driver: Option<String>,
    /// How it is set up.
    #[serde(default, skip_serializing_if = "MachineSettings::is_empty")]
    pub settings: MachineSettings,
}

impl Host {
    /// Looks at this machine.
    pub fn of_this_machine() -> Self {
        let usable = std::thread::available_parallelism().ok();
        let usable_cores = usable.and_then(|count| u32::try_from(count.get()).ok());
        let mut host = Self { usable_cores, ..Self::under(Path::new("/")) };
        if !host.cards.is_empty() {
            host.settings.gpus = conditions::settings(&host.cards);
        }
        host
    }

    /// Reads the machine whose `/proc`, `/etc` and `/dev` lie under `root`.
    pub(super) fn under(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        let cpuinfo = read("proc/cpuinfo").unwrap_or_default();
        let driver = read("proc/driver/nvidia/version").and_then(|text| driver_version(&text));
        let cards = if driver.is_some() { cards(root) } else { Vec::new() };
        Self {
            cpu: field(&cpuinfo, "model name").or_else(|| field(&cpuinfo, "Processor")),
            cores: match cpuinfo.lines().filter(|line| line.starts_with("processor")).count() {
                0 => None,
                count => u32::try_from(count).ok(),
            },
            usable_cores: None,
            memory: read("proc/meminfo").and_then(|text| kibibytes(&field(&text, "MemTotal")?)),
            kernel: read("proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            os: read("etc/os-release").and_then(|text| os_name(&text)),
            gpus: cards.iter().map(|card| card.name.clone()).collect(),
            cards,
            driver,
            settings: MachineSettings::under(root),
        }
    }

    /// What is missing for a case that needs `gpus` GPUs, if anything.
    pub fn lacks_gpus(&self, gpus: u32) -> Option<String> {
        let there = self.gpus.len();
        if there >= gpus as usize {
            return None;
        }
        let why = if self.driver.is_none() { " (no NVIDIA driver is loaded)" } else { "" };
        let noun = if gpus == 1 { "GPU" } else { "GPUs" };
        Some(format!("needs {gpus} {noun}, this machine has {there}{why}"))
    }
}

/// The value of the first `key : value` line.
pub(super) fn field(text: &str, key: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

pub(super) fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn os_name(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13 …`; open modules
/// write `Open Kernel Module for x86_64` instead, so the number is found by its shape.
fn driver_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    let is_version = |word: &&str| {
        word.contains('.') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    line.split_whitespace().find(is_version).map(str::to_owned)
}

/// What the driver tells of one GPU.
struct Told {
    model: Option<String>,
    uuid: Option<String>,
    minor: Option<u32>,
}

/// Every GPU with a device file, in the order of the bus. In a container the driver tells of all
/// GPUs of the machine, but there are device files only for those that it was given.
fn cards(root: &Path) -> Vec<Card> {
    let names = names_in(&root.join("dev"));
    let mut minors: Vec<u32> = names.iter().filter_map(|name| minor(name)).collect();
    minors.sort_unstable();
    let mut told = told(root);
    for (position, told) in told.iter_mut().enumerate() {
        // Old drivers do not tell; their order is that of the device files.
        told.minor = told.minor.or(minors.get(position).copied());
    }
    told.retain(|told| told.minor.is_some_and(|minor| minors.contains(&minor)));
    let known: Vec<u32> = told.iter().filter_map(|told| told.minor).collect();
    let silent = minors.into_iter().filter(|minor| !known.contains(minor));
    told.extend(silent.map(|minor| Told { model: None, uuid: None, minor: Some(minor) }));
    let card = |(index, told): (u32, Told)| Card {
        index,
        minor: told.minor.unwrap_or(index),
        uuid: told.uuid,
        name: told.model.unwrap_or_else(|| format!("GPU {index}")),
    };
    (0..).zip(told).map(card).collect()
}

fn told(root: &Path) -> Vec<Told> {
    let folder = root.join("proc/driver/nvidia/gpus");
    let read = |name: &String| fs::read_to_string(folder.join(name).join("information"));
    let texts = names_in(&folder).into_iter().map(|name| read(&name).unwrap_or_default());
    let told = texts.map(|text| Told {
        model: field(&text, "Model"),
        // Before the GPU was used once there are question marks.
        uuid: field(&text, "GPU UUID").filter(|uuid| !uuid.contains('?')),
        minor: field(&text, "Device Minor").and_then(|minor| minor.parse().ok()),
    });
    told.collect()
}

/// `nvidia0` is a GPU; `nvidiactl`, `nvidia-uvm` and `nvidia-caps` are not.
pub(super) fn minor(name: &str) -> Option<u32> {
    let number = name.strip_prefix("nvidia")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Host {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Host::under(root.path())
    }

    const DRIVER: &str = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13 \
                          16:14:05 UTC 2021\nGCC version:  gcc version 10.2.1 20210110\n";

    #[test]
    fn a_machine_is_described_by_what_its_kernel_says() {
        let host = machine(&[
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon\n\nprocessor\t: 1\n"),
            ("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n"),
            ("proc/sys/kernel/osrelease", "5.10.0\n"),
            ("etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian 11\"\n"),
        ]);
        assert_eq!(host.cpu.as_deref(), Some("Xeon"));
        assert_eq!((host.cores, host.memory), (Some(2), Some(2 << 20)));
        assert_eq!(
            (host.kernel.as_deref(), host.os.as_deref()),
            (Some("5.10.0"), Some("Debian 11"))
        );
        assert_eq!(machine(&[]), Host::default());
    }

    #[test]
    fn gpus_count_only_with_a_loaded_driver() {
        let devices = [("dev/nvidia0", ""), ("dev/nvidia1", ""), ("dev/nvidiactl", "")];
        assert!(machine(&devices).gpus.is_empty());
        let driver = [("proc/driver/nvidia/version", DRIVER)];
        let model =
            [("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t Tesla V100\n")];
        let host = machine(&[&devices[..], &driver[..], &model[..]].concat());
        assert_eq!(host.gpus, ["Tesla V100", "GPU 1"]);
        assert_eq!(host.driver.as_deref(), Some("470.57.02"));
        assert_eq!(host.lacks_gpus(2), None);
        assert_eq!(host.lacks_gpus(8).unwrap(), "needs 8 GPUs, this machine has 2");
        let reason = machine(&devices).lacks_gpus(1).unwrap();
        assert_eq!(reason, "needs 1 GPU, this machine has 0 (no NVIDIA driver is loaded)");
    }

    #[test]
    fn a_card_is_found_by_its_device_file_and_counted_in_the_order_of_the_bus() {
        let told = |minor: &str, uuid: &str| {
            format!("Model: \t A100\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n")
        };
        let (first, second, third) = (told("10", "GPU-a"), told("2", "GPU-??"), told("3", "GPU-c"));
        let host = machine(&[
            ("proc/driver/nvidia/version", DRIVER),
            ("proc/driver/nvidia/gpus/0000:01:00.0/information", &first),
            ("proc/driver/nvidia/gpus/0000:02:00.0/information", &second),
            ("proc/driver/nvidia/gpus/0000:03:00.0/information", &third),
            ("dev/nvidia10", ""),
            ("dev/nvidia2", ""),
            ("dev/nvidia-uvm", ""),
        ]);
        let card = |index, minor, uuid: Option<&str>| Card {
            index,
            minor,
            uuid: uuid.map(str::to_owned),
            name: "A100".to_owned(),
        };
        assert_eq!(host.cards, [card(0, 10, Some("GPU-a")), card(1, 2, None)]);
    }

    #[test]
    fn the_driver_of_open_kernel_modules_is_read_too() {
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release";
        assert_eq!(driver_version(text).as_deref(), Some("550.54.15"));
    }
}
