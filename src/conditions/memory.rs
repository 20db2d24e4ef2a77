//! Memory, swapping, and how long tasks waited for what they need.

use std::fs;
use std::path::{Path, PathBuf};

use super::column::{Column, Count, Seen, Source};

/// What the kernel says of waiting: its file below `/proc/pressure`, and our column.
const PRESSURES: [(&str, Column); 3] =
    [("cpu", Column::PsiCpu), ("memory", Column::PsiMemory), ("io", Column::PsiIo)];

/// Memory of the machine below a root.
pub(super) struct Memory {
    proc: PathBuf,
    page: f64,
    swapped_in: Count,
    swapped_out: Count,
    waited: [Count; 3],
}

impl Memory {
    /// That below `root`.
    pub fn under(root: &Path) -> Self {
        Self {
            proc: root.join("proc"),
            page: rustix::param::page_size() as f64,
            swapped_in: Count::default(),
            swapped_out: Count::default(),
            waited: Default::default(),
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.proc.join(path)).ok()
    }

    fn look_at_swap(&mut self, seen: &mut Seen) {
        let Some(text) = self.read("vmstat") else {
            seen.note(Column::SwapIn, Err("`/proc/vmstat` cannot be read"));
            seen.note(Column::SwapOut, Err("`/proc/vmstat` cannot be read"));
            return;
        };
        let counts = [
            (Column::SwapIn, "pswpin ", &mut self.swapped_in),
            (Column::SwapOut, "pswpout ", &mut self.swapped_out),
        ];
        for (column, name, count) in counts {
            let pages = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            let Some(pages): Option<f64> = pages else {
                seen.note(column, Err("this kernel does not swap"));
                continue;
            };
            if let Some(rate) = count.rate(pages * self.page, seen.since) {
                seen.note(column, Ok::<_, String>(rate));
            }
        }
    }

    fn look_at_pressure(&mut self, seen: &mut Seen) {
        for (position, (name, column)) in PRESSURES.into_iter().enumerate() {
            let text = self.read(&format!("pressure/{name}"));
            let Some(microseconds) = text.as_deref().and_then(waited) else {
                seen.note(column, Err("this kernel has no pressure stall information"));
                continue;
            };
            if let Some(part) = self.waited[position].rate(microseconds / 1e6, seen.since) {
                seen.note(column, Ok::<_, String>(part.min(1.0)));
            }
        }
    }
}

impl Source for Memory {
    fn look(&mut self, seen: &mut Seen) {
        let text = self.read("meminfo").unwrap_or_default();
        let available = kibibytes(&text, "MemAvailable").ok_or("`/proc/meminfo` does not tell");
        seen.note(Column::MemoryAvailable, available);
        self.look_at_swap(seen);
        self.look_at_pressure(seen);
    }
}

/// Bytes of memory of the machine.
pub(super) fn total(root: &Path) -> Option<f64> {
    kibibytes(&fs::read_to_string(root.join("proc/meminfo")).ok()?, "MemTotal")
}

/// Bytes of a line `Name:   123 kB`.
fn kibibytes(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|number| number * 1024.0)
}

/// Microseconds in which some task waited since the machine started.
fn waited(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.split_whitespace().find_map(|field| field.strip_prefix("total=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::tree::Tree;

    fn pressure(total: u64) -> String {
        format!("some avg10=9.00 avg60=8.00 avg300=7.00 total={total}\nfull avg10=0.00 total=1\n")
    }

    #[test]
    fn memory_swap_and_waiting_are_read_over_time() {
        let tree = Tree::new(&[
            ("proc/meminfo", "MemTotal:  4096 kB\nMemAvailable:    1024 kB\n"),
            ("proc/vmstat", "pgpgin 9\npswpin 100\npswpout 7\n"),
            ("proc/pressure/cpu", &pressure(1_000_000)),
            ("proc/pressure/memory", &pressure(500_000)),
            ("proc/pressure/io", &pressure(0)),
        ]);
        let mut memory = Memory::under(tree.path());
        memory.page = 4096.0;
        memory.look(&mut Seen::default());
        tree.write("proc/vmstat", "pswpin 300\npswpout 7\n");
        tree.write("proc/pressure/cpu", &pressure(2_000_000));
        tree.write("proc/pressure/io", &pressure(60_000_000));
        let mut seen = Seen { since: Some(4.0), ..Seen::default() };
        memory.look(&mut seen);
        let expected = [
            (Column::MemoryAvailable, 1_048_576.0),
            (Column::SwapIn, 204_800.0),
            (Column::SwapOut, 0.0),
            (Column::PsiCpu, 0.25),
            (Column::PsiMemory, 0.0),
            (Column::PsiIo, 1.0),
        ];
        assert_eq!(seen.values, expected.into());
        assert_eq!(total(tree.path()), Some(4_194_304.0));
    }

    #[test]
    fn a_kernel_without_pressure_or_swap_says_so() {
        let tree = Tree::new(&[("proc/vmstat", "pgpgin 9\n"), ("proc/meminfo", "MemTotal: x\n")]);
        let mut seen = Seen::default();
        Memory::under(tree.path()).look(&mut seen);
        assert!(seen.values.is_empty());
        assert_eq!(seen.missing["psi_io"], "this kernel has no pressure stall information");
        assert_eq!(seen.missing["swap_in"], "this kernel does not swap");
        assert_eq!(seen.missing["memory_available"], "`/proc/meminfo` does not tell");
        assert_eq!(total(tree.path()), None);
    }
}
