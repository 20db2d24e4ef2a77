//! The machine that a guide measured on, beside the one at hand.
//!
//! Names of GPUs and processors are written in many ways (`Tesla V100-SXM2-32GB`,
//! `V100-SXM2-32GB`; `GeForce RTX 3090`, `NVIDIA GeForce RTX 3090`): they are compared by the words
//! that tell models apart. What is shown is never a fault by itself; `comparison` says what counts.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::host::Host;
use super::record::RunRecord;
use crate::recipe::ReferenceHost;

/// Words of a GPU's name that are no part of its model.
const BRANDS: [&str; 6] = ["nvidia", "tesla", "geforce", "quadro", "graphics", "device"];

/// Words of a processor's name that are no part of its model.
const NOISE: [&str; 5] = ["intel", "amd", "cpu", "processor", "@"];

/// How far memory may differ and still be the same: a kernel keeps some for itself, and few people
/// write whether they mean GB or GiB.
const SAME_MEMORY: f64 = 0.1;

/// Something of the reference host that is other here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostDifference {
    /// What: `GPU`, `processor`.
    pub what: &'static str,
    /// What the guide's machine has.
    pub reference: String,
    /// What this one has; absent if that is not known.
    pub here: Option<String>,
}

impl fmt::Display for HostDifference {
    /// `driver 470.57.02, the guide's machine has 460.27.04`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here = self.here.as_deref().unwrap_or("not known");
        write!(f, "{} {here}, the guide's machine has {}", self.what, self.reference)
    }
}

impl RunRecord {
    /// What of the guide's machine was other on the one of this record; nothing if either is not known.
    pub fn host_differences(&self) -> Vec<HostDifference> {
        match &self.reference_host {
            Some(reference) if self.parsed.is_none() => host_differences(reference, &self.host),
            _ => Vec::new(),
        }
    }
}

/// What of the guide's machine is other on `host`, as far as the guide says.
pub fn host_differences(reference: &ReferenceHost, host: &Host) -> Vec<HostDifference> {
    let mut differences = Vec::new();
    let mut add = |what, reference: String, here: Option<String>| {
        differences.push(HostDifference { what, reference, here });
    };
    if let Some(gpu) = &reference.gpu {
        let fits = host.gpus.iter().all(|name| is_same_gpu(name, gpu));
        let count = reference.gpus.is_none_or(|count| count as usize == host.gpus.len());
        if host.gpus.is_empty() || !fits || !count {
            add("GPU", counted(gpu, reference.gpus), Some(gpus_of(host)));
        }
    }
    if let Some(cpu) = &reference.cpu
        && host.cpu.as_ref().is_none_or(|ours| !is_same_cpu(ours, cpu))
    {
        add("processor", cpu.clone(), host.cpu.clone());
    }
    if let Some(count) = reference.processors.filter(|count| host.cores != Some(*count)) {
        add("logical processors", count.to_string(), host.cores.map(|cores| cores.to_string()));
    }
    if let Some(memory) = reference.memory
        && host.memory.is_none_or(|ours| !is_same_memory(ours, memory))
    {
        add("memory", gigabytes(memory), host.memory.map(gigabytes));
    }
    let texts = [
        ("driver", &reference.driver, &host.driver),
        ("kernel", &reference.kernel, &host.kernel),
        ("system", &reference.os, &host.os),
    ];
    for (what, reference, here) in texts {
        if let Some(text) = reference.as_ref().filter(|text| Some(*text) != here.as_ref()) {
            add(what, text.clone(), here.clone());
        }
    }
    differences
}

/// `V100-SXM2-32GB`, or `8 × V100-SXM2-32GB`.
fn counted(name: &str, count: Option<u32>) -> String {
    count.map_or(name.to_owned(), |count| format!("{count} × {name}"))
}

/// The GPUs of a machine, those of one name together.
fn gpus_of(host: &Host) -> String {
    let names: BTreeSet<&String> = host.gpus.iter().collect();
    let count = |name: &String| host.gpus.iter().filter(|other| *other == name).count();
    let parts: Vec<String> =
        names.into_iter().map(|name| format!("{} × {name}", count(name))).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn is_same_memory(ours: u64, reference: u64) -> bool {
    (ours as f64 / reference as f64 - 1.0).abs() <= SAME_MEMORY
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.0} GB", bytes as f64 / 1e9)
}

/// Whether two names are of one model of GPU.
pub(super) fn is_same_gpu(ours: &str, reference: &str) -> bool {
    words(ours, &BRANDS) == words(reference, &BRANDS)
}

/// Whether a processor's name has all words of another that tell models apart.
pub(super) fn is_same_cpu(ours: &str, reference: &str) -> bool {
    let clean = |name: &str| name.replace("(R)", " ").replace("(TM)", " ");
    let clock = |word: &String| word.ends_with("ghz");
    let ours = words(&clean(ours), &NOISE);
    words(&clean(reference), &NOISE).iter().all(|word| clock(word) || ours.contains(word))
}

/// The words of a name in lower case without those of `noise`, in order.
fn words(name: &str, noise: &[&str]) -> Vec<String> {
    let split = |c: char| c.is_whitespace() || c == '-' || c == '_';
    let words = name.split(split).map(str::to_lowercase);
    words.filter(|word| !word.is_empty() && !noise.contains(&word.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_told_apart_by_their_model_and_not_by_their_brand() {
        for (ours, reference) in [
            ("Tesla V100-SXM2-32GB", "V100-SXM2-32GB"),
            ("NVIDIA GeForce RTX 3090", "RTX 3090"),
            ("Tesla V100 SXM2 32GB", "Tesla V100-SXM2-32GB"),
        ] {
            assert!(is_same_gpu(ours, reference), "{ours} {reference}");
        }
        for (ours, reference) in [
            ("Tesla V100-SXM2-16GB", "V100-SXM2-32GB"),
            ("NVIDIA GeForce RTX 3090 Ti", "RTX 3090"),
            ("Tesla V100-PCIE-32GB", "V100-SXM2-32GB"),
            ("GPU 0", "V100-SXM2-32GB"),
        ] {
            assert!(!is_same_gpu(ours, reference), "{ours} {reference}");
        }
    }

    #[test]
    fn processors_are_compared_without_trade_marks_and_clocks() {
        let full = "Intel(R) Xeon(R) Gold 6271C CPU @ 2.60GHz";
        assert!(is_same_cpu(full, full) && is_same_cpu(full, "Xeon Gold 6271C"));
        assert!(!is_same_cpu("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", full));
    }

    fn reference() -> ReferenceHost {
        ReferenceHost {
            gpu: Some("V100-SXM2-32GB".to_owned()),
            gpus: Some(8),
            cpu: Some("Intel(R) Xeon(R) Gold 6271C CPU @ 2.60GHz".to_owned()),
            processors: Some(80),
            memory: Some(629_000_000_000),
            driver: Some("460.27.04".to_owned()),
            ..ReferenceHost::default()
        }
    }

    #[test]
    fn every_difference_from_the_reference_host_is_told_with_both_sides() {
        let host = Host {
            gpus: vec!["NVIDIA H200".to_owned(); 2],
            cpu: Some("AMD EPYC 7763 64-Core Processor".to_owned()),
            cores: Some(80),
            memory: Some(64_000_000_000),
            ..Host::default()
        };
        let lines: Vec<String> =
            host_differences(&reference(), &host).iter().map(ToString::to_string).collect();
        let expected = [
            "GPU 2 × NVIDIA H200, the guide's machine has 8 × V100-SXM2-32GB",
            "processor AMD EPYC 7763 64-Core Processor, the guide's machine has \
             Intel(R) Xeon(R) Gold 6271C CPU @ 2.60GHz",
            "memory 64 GB, the guide's machine has 629 GB",
            "driver not known, the guide's machine has 460.27.04",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_guides_own_machine_differs_in_nothing() {
        let host = Host {
            gpus: vec!["Tesla V100-SXM2-32GB".to_owned(); 8],
            cpu: reference().cpu,
            cores: Some(80),
            memory: Some(675_000_000_000),
            driver: Some("460.27.04".to_owned()),
            ..Host::default()
        };
        assert_eq!(host_differences(&reference(), &host), []);
        let seven = Host { gpus: host.gpus[1..].to_vec(), ..host };
        assert_eq!(host_differences(&reference(), &seven)[0].what, "GPU");
        assert_eq!(host_differences(&ReferenceHost::default(), &seven), []);
    }
}
